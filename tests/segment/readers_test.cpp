// SPDX-License-Identifier: Apache-2.0
//
// Readers beside one writer, without a lock: what is published can be found and read, complete and
// right.
#include <atomic>
#include <thread>

#include <ottla/env/posix/file_system.hpp>

#include "tests/segment/segment_batches.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/temporary_directory.hpp"

using namespace ottla;

namespace {

constexpr std::int64_t batches = 3000;

struct Counts {
  std::atomic<int> wrong{0};
  std::atomic<int> reads{0};
};

/// Batch `i` has offsets 2i and 2i + 1 and timestamps 5i and 5i + 1.
TestBatch batch(std::int64_t i) { return make_batch(2 * i, {5 * i, 5 * i + 1}); }

template <class SegmentT>
bool reads_right(const SegmentT& segment, std::int64_t i) {
  const auto place = segment.find(Offset(2 * i + i % 2));
  if (!place.ok() || !place->has_value() || (*place)->header.base_offset != Offset(2 * i)) {
    return false;
  }
  const auto bytes = segment.read_batches((*place)->position, 2000);
  return bytes.ok() &&
         std::ranges::equal(bytes->bytes().first((*place)->header.size()), batch(i).bytes);
}

template <class SegmentT>
void read_beside(const SegmentT& segment, std::int64_t turn, const std::atomic<bool>& done,
                 Counts& counts) {
  Decompressor decompressor;
  for (bool last_round = false; !last_round; ++turn) {
    last_round = done.load();
    const SegmentEnd end = segment.end();
    const std::int64_t published = end.next_offset.value() / 2;
    if (published == 0) continue;
    const bool consistent =
        end.next_offset.value() % 2 == 0 &&
        end.largest == TimestampOffset{Timestamp(5 * published - 4), end.next_offset - 1};
    const std::int64_t i = turn % 3 == 0 ? published - 1 : turn * 7919 % published;
    const auto found = segment.find_timestamp(Timestamp(5 * i), Offset(0), decompressor);
    const bool found_right =
        found.ok() && *found == TimestampOffset{Timestamp(5 * i), Offset(2 * i)};
    counts.wrong.fetch_add(consistent && reads_right(segment, i) && found_right ? 0 : 1);
    counts.reads.fetch_add(1);
  }
}

template <class SegmentT>
void write_beside_readers(SegmentT& segment) {
  std::atomic<bool> done{false};
  Counts counts;
  std::thread readers[] = {std::thread([&] { read_beside(segment, 1, done, counts); }),
                           std::thread([&] { read_beside(segment, 2, done, counts); })};
  int failed = 0;
  for (std::int64_t i = 0; i < batches; i += 3) {
    failed += write_out(segment, {batch(i), batch(i + 1), batch(i + 2)}).ok() ? 0 : 1;
  }
  done.store(true);
  for (std::thread& reader : readers) {
    reader.join();
  }
  CHECK(failed == 0);
  CHECK(counts.wrong.load() == 0);
  CHECK(counts.reads.load() > 0);
  CHECK_FALSE(segment.indexes_damaged());
}

}  // namespace

TEST_CASE("two readers find and read what one writer publishes, in memory", "[segment]") {
  SegmentDirectory directory;
  directory.options.index_interval_bytes = 0;
  Segment segment = directory.create();
  write_beside_readers(segment);
}

TEST_CASE("two readers find and read what one writer publishes, on disk", "[segment]") {
  TemporaryDirectory directory;
  PosixFileSystem fs;
  auto segment =
      create_segment(fs, directory.path().string(), Offset(0), {.index_interval_bytes = 0}).value();
  write_beside_readers(segment);
}

TEST_CASE("readers of a segment that was not checked yet check it side by side", "[segment]") {
  SegmentDirectory directory;
  directory.options.index_interval_bytes = 0;
  {
    Segment segment = directory.create();
    for (std::int64_t i = 0; i < 1000; ++i) {
      REQUIRE(write_out(segment, {batch(i)}).ok());
    }
    REQUIRE(segment.become_inactive().ok());
  }
  Segment segment = directory.open();
  REQUIRE(segment.find_end().ok());
  std::atomic<int> wrong{0};
  const auto read = [&](std::int64_t step) {
    for (std::int64_t i = 0; i < 1000; ++i) {
      wrong.fetch_add(reads_right(segment, i * step % 1000) ? 0 : 1);
    }
  };
  std::thread readers[] = {std::thread(read, 1), std::thread(read, 7), std::thread(read, 999)};
  for (std::thread& reader : readers) {
    reader.join();
  }
  CHECK(wrong.load() == 0);
}
