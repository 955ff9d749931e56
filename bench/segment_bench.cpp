// SPDX-License-Identifier: Apache-2.0
//
// append_batch: sealed batches written to a fresh segment, 256 KiB a write, until 64 MiB are there
// (level reached: written). Its floor is the same bytes by bare pwritev to a fresh file, or by bare
// memcpy to fresh memory. seek_offset: the batch of a random offset, beside one bare pread of 4
// KiB. Ours and the floor take turns, each in a directory of its own; medians of the turns are
// reported.
#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <unistd.h>

#include <ottla/base/units.hpp>
#include <ottla/env/fault_file_system.hpp>
#include <ottla/env/memory/file_system.hpp>
#include <ottla/env/posix/file_system.hpp>
#include <ottla/record/batch_builder.hpp>
#include <ottla/segment/segment_files.hpp>

#include "tests/support/temporary_directory.hpp"

namespace {

using namespace ottla::units;

constexpr std::int64_t written_at_once = 256_KiB;
constexpr std::int64_t written_in_all = 64_MiB;

enum Storage : int { memory, fresh_file };

double median(std::vector<double> values) {
  std::ranges::sort(values);
  return values[values.size() / 2];
}

double least(const std::vector<double>& values) { return *std::ranges::min_element(values); }

template <class Work>
double seconds(Work work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

void stop_unless(bool done, const char* what) {
  if (!done) {
    std::fprintf(stderr, "segment_bench: %s\n", what);
    std::exit(1);
  }
}

// ── floors: no type of Ottla ────────────────────────────────────────────────────────────────────

void floor_write_file(const std::string& path, const std::vector<iovec>& pieces, int writes) {
  const int fd = ::open(path.c_str(), O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0644);
  stop_unless(fd >= 0, "cannot make a file");
  std::size_t size = 0;
  for (const iovec& piece : pieces) size += piece.iov_len;
  for (int i = 0; i < writes; ++i) {
    const auto at = static_cast<off_t>(size) * i;
    stop_unless(::pwritev(fd, pieces.data(), static_cast<int>(pieces.size()), at) ==
                    static_cast<ssize_t>(size),
                "cannot write");
  }
  ::close(fd);
}

void floor_write_memory(const std::vector<iovec>& pieces, int writes) {
  std::vector<std::unique_ptr<char[]>> chunks;
  std::size_t size = 0;
  for (const iovec& piece : pieces) size += piece.iov_len;
  for (int i = 0; i < writes; ++i) {
    chunks.emplace_back(new char[size]);
    char* to = chunks.back().get();
    for (const iovec& piece : pieces) {
      std::memcpy(to, piece.iov_base, piece.iov_len);
      to += piece.iov_len;
    }
  }
  benchmark::DoNotOptimize(chunks.data());
}

// ── ours ────────────────────────────────────────────────────────────────────────────────────────

ottla::SealedBatch sealed(std::size_t value_size, std::size_t batch_size, std::int32_t& records) {
  const std::string value(value_size, 'v');
  const ottla::RecordFields record{.timestamp = ottla::Timestamp(1'700'000'000'000),
                                   .value = ottla::as_bytes(value)};
  ottla::BatchBuilder builder;
  do {
    stop_unless(builder.append(record).ok(), "cannot build a batch");
  } while (builder.size_with(record) <= batch_size);
  records = builder.record_count();
  return *builder.seal();
}

/// What one write_out gets: batches that are stamped anew for each, as a log does.
struct Group {
  std::vector<ottla::SealedBatch> batches;
  std::vector<ottla::Bytes> pieces;
  std::vector<ottla::BatchFacts> facts;
  std::vector<iovec> floor_pieces;
  std::int32_t records_per_batch = 0;
  std::size_t bytes = 0;

  Group(std::size_t value_size, std::size_t batch_size) {
    do {
      batches.push_back(sealed(value_size, batch_size, records_per_batch));
      bytes += batches.back().size();
    } while (bytes + batches.back().size() <= static_cast<std::size_t>(written_at_once));
    for (ottla::SealedBatch& batch : batches) {
      pieces.push_back(batch.bytes());
      facts.push_back(ottla::BatchFacts::of(ottla::BatchHeader::parse(batch.bytes())));
      floor_pieces.push_back({batch.mutable_bytes().data(), batch.size()});
    }
  }
  void stamp(ottla::Offset& next, ottla::Timestamp now) {
    for (std::size_t i = 0; i < batches.size(); ++i) {
      batches[i].stamp(next, ottla::LeaderEpoch(0));
      facts[i].base_offset = next;
      facts[i].last_offset = next + (records_per_batch - 1);
      facts[i].max_timestamp = now;
      next += records_per_batch;
    }
  }
};

template <class Fs>
void append(Fs& fs, const std::string& directory, Group& group, int writes) {
  auto segment = ottla::create_segment(fs, directory, ottla::Offset(0));
  stop_unless(segment.ok(), "cannot make a segment");
  ottla::Offset next(0);
  for (int i = 0; i < writes; ++i) {
    group.stamp(next, ottla::Timestamp(1'700'000'000'000 + i));
    stop_unless(segment->write_out(group.pieces, group.facts).ok(), "cannot write out");
  }
  stop_unless(segment->become_inactive().ok(), "cannot end a segment");
}

std::int64_t page_faults() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return usage.ru_minflt;
}

void append_batch(benchmark::State& state) {
  const auto value_size = static_cast<std::size_t>(state.range(0));
  Group group(value_size, static_cast<std::size_t>(state.range(1)));
  const auto storage = static_cast<Storage>(state.range(2));
  const int writes = static_cast<int>(written_in_all / static_cast<std::int64_t>(group.bytes));
  const double records = static_cast<double>(writes) * group.records_per_batch *
                         static_cast<double>(group.batches.size());
  std::vector<double> ours;
  std::vector<double> floor;
  std::int64_t faults = 0;
  for (auto _ : state) {
    const TemporaryDirectory directory;
    floor.push_back(seconds([&] {
      storage == memory ? floor_write_memory(group.floor_pieces, writes)
                        : floor_write_file(directory / "floor", group.floor_pieces, writes);
    }));
    const std::int64_t before = page_faults();
    if (storage == memory) {
      ottla::MemoryFileSystem fs;
      ours.push_back(seconds([&] { append(fs, "/", group, writes); }));
    } else {
      ottla::PosixFileSystem fs;
      ours.push_back(seconds([&] { append(fs, directory.path().string(), group, writes); }));
    }
    faults += page_faults() - before;
    state.SetIterationTime(ours.back());
  }
  const double payload = records * static_cast<double>(value_size);
  const double bytes = static_cast<double>(group.bytes) * writes;
  state.counters["ns_per_record"] = 1e9 * median(ours) / records;
  state.counters["floor_ns"] = 1e9 * median(floor) / records;
  state.counters["x_floor"] = median(ours) / median(floor);
  state.counters["x_floor_best"] = least(ours) / least(floor);
  state.counters["payload_MBps"] = payload / median(ours) / 1e6;
  state.counters["written_per_payload"] = bytes / payload;
  state.counters["page_faults_per_MiB"] =
      static_cast<double>(faults) / static_cast<double>(ours.size()) / (bytes / 1_MiB);
}

class RandomNumbers {
 public:
  std::int64_t operator()(std::int64_t below) {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 7;
    state_ ^= state_ << 17;
    return static_cast<std::int64_t>(state_ % static_cast<std::uint64_t>(below));
  }

 private:
  std::uint64_t state_ = 88172645463325252u;
};

template <class Segment>
void find_any(const Segment& segment, std::int64_t offsets, int seeks, RandomNumbers& random) {
  for (int i = 0; i < seeks; ++i) {
    const auto place = segment.find(ottla::Offset(random(offsets)));
    stop_unless(place.ok() && place->has_value(), "an offset was not found");
  }
}

void floor_read_pages(int fd, std::int64_t log_bytes, int reads, RandomNumbers& random) {
  char page[4096];
  for (int i = 0; i < reads; ++i) {
    const auto at = static_cast<off_t>(random(log_bytes - 4096));
    benchmark::DoNotOptimize(::pread(fd, page, sizeof page, at));
  }
}

/// Bytes read a seek, the index's too.
double bytes_a_seek(const std::string& directory, std::int64_t offsets, RandomNumbers& random) {
  std::int64_t bytes = 0;
  ottla::FaultFileSystem fs(ottla::PosixFileSystem(), [&](ottla::IoCall& call) {
    bytes += call.operation == ottla::IoOperation::read && call.done
                 ? static_cast<std::int64_t>(call.bytes)
                 : 0;
    return absl::OkStatus();
  });
  const auto segment = ottla::open_segment(fs, directory, ottla::Offset(0));
  stop_unless(segment.ok(), "cannot open a segment");
  find_any(*segment, offsets, 1, random);  // which checks the index, once
  bytes = 0;
  find_any(*segment, offsets, 1000, random);
  return static_cast<double>(bytes) / 1000;
}

void seek_offset(benchmark::State& state) {
  constexpr int seeks = 20'000;
  const std::int64_t log_bytes = state.range(0);
  Group group(100, static_cast<std::size_t>(state.range(1)));
  const TemporaryDirectory directory;
  ottla::PosixFileSystem fs;
  append(fs, directory.path().string(), group,
         static_cast<int>(log_bytes / static_cast<std::int64_t>(group.bytes)));
  const auto segment = ottla::open_segment(fs, directory.path().string(), ottla::Offset(0));
  const int fd = ::open((directory / "00000000000000000000.log").c_str(), O_RDONLY | O_CLOEXEC);
  stop_unless(segment.ok() && fd >= 0, "cannot open a segment");
  const std::int64_t offsets = segment->size() /
                               static_cast<std::int64_t>(group.batches[0].size()) *
                               group.records_per_batch;
  RandomNumbers random;
  std::vector<double> ours;
  std::vector<double> floor;
  for (auto _ : state) {
    floor.push_back(seconds([&] { floor_read_pages(fd, log_bytes, seeks, random); }));
    ours.push_back(seconds([&] { find_any(*segment, offsets, seeks, random); }));
    state.SetIterationTime(ours.back());
  }
  ::close(fd);
  state.counters["ns_per_seek"] = 1e9 * median(ours) / seeks;
  state.counters["floor_ns"] = 1e9 * median(floor) / seeks;
  state.counters["x_floor"] = median(ours) / median(floor);
  state.counters["x_floor_best"] = least(ours) / least(floor);
  state.counters["bytes_scanned_per_seek"] =
      bytes_a_seek(directory.path().string(), offsets, random);
}

}  // namespace

BENCHMARK(append_batch)
    ->ArgNames({"value", "batch", "file"})
    ->ArgsProduct({{100, 1 << 10, 10 << 10},
                   {4 << 10, 16 << 10, 64 << 10, 1 << 20},
                   {memory, fresh_file}})
    ->UseManualTime()
    ->Iterations(7);
BENCHMARK(seek_offset)
    ->ArgNames({"log", "batch"})
    ->ArgsProduct({{64_MiB, 1_GiB - 1_MiB}, {4 << 10, 16 << 10}})
    ->UseManualTime()
    ->Iterations(5);
