// SPDX-License-Identifier: Apache-2.0
//
// Batches for the segment's tests, and a segment on a file system in memory that asks a hook.
#pragma once

#include <algorithm>
#include <initializer_list>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <ottla/env/any_file_system.hpp>
#include <ottla/env/fault_file_system.hpp>
#include <ottla/env/memory/file_system.hpp>
#include <ottla/record/batch_builder.hpp>
#include <ottla/segment/segment_files.hpp>

struct TestBatch {
  std::vector<std::byte> bytes;
  ottla::BatchFacts facts;
};

struct BatchShape {
  ottla::CompressionType compression = ottla::CompressionType::none;
  ottla::LeaderEpoch epoch{0};
  std::size_t size = 0;  ///< of the whole batch, in bytes; 0: whatever it comes to
};

/// A batch of one record for each timestamp, at offsets from `base` on.
inline TestBatch make_batch(std::int64_t base, const std::vector<std::int64_t>& timestamps,
                            const BatchShape& shape = {}) {
  std::size_t padding[2] =
      {};  // of the first and the last value: one alone cannot reach every size
  for (;;) {
    ottla::BatchBuilder builder({.base_offset = ottla::Offset(base),
                                 .leader_epoch = shape.epoch,
                                 .compression = shape.compression});
    for (std::size_t i = 0; i < timestamps.size(); ++i) {
      std::string value = i == 0 ? std::string(padding[0], 'v') : "";
      std::string key(i + 1 == timestamps.size() ? padding[1] : 0, 'k');
      if (!builder
               .append({.timestamp = ottla::Timestamp(timestamps[i]),
                        .key = ottla::as_bytes(key),
                        .value = ottla::as_bytes(value)})
               .ok()) {
        throw std::runtime_error("cannot build a batch");
      }
    }
    ottla::Compressor compressor;
    const ottla::SealedBatch sealed = builder.seal(compressor).value();
    // A length field may grow by a byte: near the goal one byte at a time, by turns.
    if (shape.size > sealed.size()) {
      const std::size_t missing = shape.size - sealed.size();
      padding[missing > 8 || padding[1] > padding[0] ? 0 : 1] += missing > 8 ? missing - 8 : 1;
      continue;
    }
    if (shape.size != 0 && shape.size != sealed.size()) {
      throw std::runtime_error("no batch has that size");
    }
    const ottla::Bytes bytes = sealed.bytes();
    return {{bytes.begin(), bytes.end()}, ottla::BatchFacts::of(ottla::BatchHeader::parse(bytes))};
  }
}

template <class Segment>
absl::Status write_out(Segment& segment, const std::vector<TestBatch>& batches) {
  std::vector<ottla::Bytes> pieces;
  std::vector<ottla::BatchFacts> facts;
  for (const TestBatch& batch : batches) {
    pieces.emplace_back(batch.bytes);
    facts.push_back(batch.facts);
  }
  return segment.write_out(pieces, facts);
}

/// `count` batches of 1 to 3 records, offsets from `base` on with gaps here and there, timestamps
/// that mostly rise.
inline std::vector<TestBatch> some_batches(std::int64_t base, int count, std::uint32_t seed = 1,
                                           const BatchShape& shape = {}) {
  const auto random = [&seed](std::uint32_t below) {
    seed = seed * 1664525 + 1013904223;
    return (seed >> 8) % below;
  };
  std::vector<TestBatch> batches;
  for (int i = 0; i < count; ++i) {
    base += random(5) == 0 ? random(4) : 0;
    std::vector<std::int64_t> timestamps(1 + random(3));
    for (std::int64_t& timestamp : timestamps) {
      timestamp = 1'700'000'000'000 + i * 10 + random(40);
    }
    BatchShape its_shape = shape;
    its_shape.size = shape.size == 0 && shape.compression == ottla::CompressionType::none
                         ? 100 + random(200)
                         : shape.size;
    if (its_shape.size == 126) ++its_shape.size;  // which one record cannot come to
    batches.push_back(make_batch(base, timestamps, its_shape));
    base += static_cast<std::int64_t>(timestamps.size());
  }
  return batches;
}

/// A directory with segments, as plain bytes too.
struct SegmentDirectory {
  ottla::MemoryFileSystem memory{{.wall_now = [] { return ottla::Timestamp(1'650'000'000'000); }}};
  ottla::IoHook hook = [](ottla::IoCall&) { return absl::OkStatus(); };
  ottla::AnyFileSystem fs{
      ottla::FaultFileSystem(memory, [this](ottla::IoCall& call) { return hook(call); })};
  ottla::SegmentOptions options;

  SegmentDirectory() { must(memory.create_directory("/d", ottla::IoReason::other)); }

  static void must(const absl::Status& status) {
    if (!status.ok()) throw std::runtime_error(status.ToString());
  }
  ottla::Segment create(std::int64_t base = 0) {
    return ottla::create_segment(fs, "/d", ottla::Offset(base), options).value();
  }
  ottla::Segment open(std::int64_t base = 0, ottla::IndexLoad load = ottla::IndexLoad::strict) {
    return ottla::open_segment(fs, "/d", ottla::Offset(base), options, ottla::no_timestamp, load)
        .value();
  }
  std::vector<std::byte> content(std::string_view suffix, std::int64_t base = 0) {
    auto file =
        memory.open(path(suffix, base), ottla::OpenMode::read, ottla::IoReason::other).value();
    std::vector<std::byte> bytes(static_cast<std::size_t>(file.size().value()));
    must(file.read(0, bytes).status());
    return bytes;
  }
  void put(std::string_view suffix, ottla::Bytes content, std::int64_t base = 0) {
    auto file =
        memory.open(path(suffix, base), ottla::OpenMode::create, ottla::IoReason::other).value();
    must(file.truncate(0, ottla::IoReason::other));
    must(file.write(0, std::span(&content, 1), ottla::IoReason::other));
  }
  static std::string path(std::string_view suffix, std::int64_t base = 0) {
    return ottla::offset_file_path("/d", ottla::Offset(base), suffix);
  }
};

/// What the three files hold.
inline std::vector<std::vector<std::byte>> all_content(SegmentDirectory& directory,
                                                       std::int64_t base = 0) {
  return {directory.content(ottla::log_suffix, base),
          directory.content(ottla::offset_index_suffix, base),
          directory.content(ottla::time_index_suffix, base)};
}
