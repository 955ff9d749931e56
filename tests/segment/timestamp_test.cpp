// SPDX-License-Identifier: Apache-2.0
//
// Offsets by timestamp: what a scan of every record finds.
#include "tests/segment/segment_batches.hpp"
#include "tests/support/catch.hpp"

using namespace ottla;

namespace {

std::optional<TimestampOffset> scan_records(const std::vector<TestBatch>& batches, Timestamp target,
                                            Offset from) {
  Decompressor decompressor;
  for (const TestBatch& batch : batches) {
    const BatchView view(batch.bytes);
    RecordCursor records = view.records(decompressor);
    while (const RecordView* record = records.next()) {
      if (record->timestamp() >= target && record->offset() >= from) {
        return TimestampOffset{record->timestamp(), record->offset()};
      }
    }
  }
  return std::nullopt;
}

void check_lookups(const Segment& segment, const std::vector<TestBatch>& batches) {
  Decompressor decompressor;
  for (std::int64_t target = 1'699'999'999'990; target < 1'700'000'001'700; target += 13) {
    for (const std::int64_t from : {0, 37, 180}) {
      const auto found = segment.find_timestamp(Timestamp(target), Offset(from), decompressor);
      REQUIRE(found.ok());
      CHECK(*found == scan_records(batches, Timestamp(target), Offset(from)));
    }
  }
}

}  // namespace

TEST_CASE("the first record of at least a timestamp is found", "[segment]") {
  SegmentDirectory directory;
  directory.options.index_interval_bytes = GENERATE(0, 500, 4096);
  const auto compression = GENERATE(CompressionType::none, CompressionType::gzip);
  const std::vector<TestBatch> batches = some_batches(0, 150, 9, {.compression = compression});
  Segment segment = directory.create();
  REQUIRE(write_out(segment, batches).ok());
  check_lookups(segment, batches);
  REQUIRE(segment.become_inactive().ok());
  check_lookups(directory.open(), batches);
}

TEST_CASE("a time index that lies is found out, and the log is searched without it", "[segment]") {
  SegmentDirectory directory;
  directory.options.index_interval_bytes = 500;
  const std::vector<TestBatch> batches = some_batches(0, 150, 9);
  {
    Segment segment = directory.create();
    REQUIRE(write_out(segment, batches).ok());
    REQUIRE(segment.become_inactive().ok());
  }
  std::vector<std::byte> index = directory.content(time_index_suffix);
  const int kind = GENERATE(0, 1, 2);  // later offsets; earlier timestamps; half an entry
  for (std::size_t at = 0; kind < 2 && at < index.size(); at += 12) {
    if (kind == 0) {
      store_big_endian(&index[at + 8], load_big_endian<std::int32_t>(&index[at + 8]) + 40);
    } else {
      store_big_endian(&index[at], load_big_endian<std::int64_t>(&index[at]) - 700);
    }
  }
  if (kind == 2) {
    index.resize(index.size() - 6);
  }
  directory.put(time_index_suffix, index);
  const Segment segment = directory.open();
  check_lookups(segment, batches);
  CHECK(segment.indexes_damaged());
}

TEST_CASE("a damaged batch is an error to a look-up that needs it", "[segment]") {
  SegmentDirectory directory;
  const std::vector<TestBatch> batches = {make_batch(0, {10}), make_batch(1, {20}),
                                          make_batch(2, {30})};
  {
    Segment segment = directory.create();
    REQUIRE(write_out(segment, batches).ok());
    REQUIRE(segment.become_inactive().ok());
  }
  std::vector<std::byte> log = directory.content(log_suffix);
  log[batches[0].bytes.size() + 66] ^= std::byte{1};
  directory.put(log_suffix, log);
  const Segment segment = directory.open();
  Decompressor decompressor;
  const auto find = [&](std::int64_t target) {
    return segment.find_timestamp(Timestamp(target), Offset(0), decompressor);
  };
  CHECK(find(10).value() == TimestampOffset{Timestamp(10), Offset(0)});
  CHECK(fault(find(15).status()) == Fault::corrupt);
  CHECK(find(25).value() == TimestampOffset{Timestamp(30), Offset(2)});
}
