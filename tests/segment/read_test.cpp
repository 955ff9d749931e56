// SPDX-License-Identifier: Apache-2.0
//
// Finding and reading batches: by offset, through gaps, past damaged indexes, and never past
// damaged data.
#include "tests/segment/segment_batches.hpp"
#include "tests/support/catch.hpp"

using namespace ottla;

namespace {

/// Index of the first batch whose last offset is `target` or above.
std::size_t first_at(const std::vector<TestBatch>& batches, Offset target) {
  std::size_t i = 0;
  while (i < batches.size() && batches[i].facts.last_offset < target) ++i;
  return i;
}

std::int64_t position_of(const std::vector<TestBatch>& batches, std::size_t index) {
  std::int64_t position = 0;
  for (std::size_t i = 0; i < index; ++i) position += batches[i].facts.size;
  return position;
}

void check_find(const Segment& segment, const std::vector<TestBatch>& batches) {
  for (Offset target(-2); target <= batches.back().facts.last_offset; ++target) {
    const std::size_t i = first_at(batches, target);
    const auto place = segment.find(target);
    REQUIRE(place.ok());
    REQUIRE(place->has_value());
    CHECK((*place)->position == position_of(batches, i));
    CHECK(BatchFacts::of((*place)->header).last_offset == batches[i].facts.last_offset);
  }
  const Offset behind = batches.back().facts.last_offset + 1;
  CHECK(segment.find(behind).value() == std::nullopt);
  CHECK(segment.find(Offset(INT64_MAX)).value() == std::nullopt);
}

bool operator==(const std::optional<BatchPlace>& place, std::nullopt_t) { return !place; }

void flip(SegmentDirectory& directory, std::int64_t position) {
  std::vector<std::byte> log = directory.content(log_suffix);
  log[static_cast<std::size_t>(position)] ^= std::byte{4};
  directory.put(log_suffix, log);
}

}  // namespace

TEST_CASE("every offset is found, and gaps lead to the next batch", "[segment]") {
  SegmentDirectory directory;
  directory.options.index_interval_bytes = GENERATE(0, 300, 4096, 1 << 20);
  const auto compression = GENERATE(CompressionType::none, CompressionType::lz4);
  const std::vector<TestBatch> batches = some_batches(5, 150, 3, {.compression = compression});
  Segment segment = directory.create(5);
  REQUIRE(write_out(segment, batches).ok());
  check_find(segment, batches);
  REQUIRE(segment.become_inactive().ok());
  REQUIRE(segment.close().ok());
  check_find(directory.open(5), batches);
}

TEST_CASE("an empty segment has nothing to find or read", "[segment]") {
  SegmentDirectory directory;
  const Segment segment = directory.create();
  Decompressor decompressor;
  CHECK(segment.find(Offset(0)).value() == std::nullopt);
  CHECK(segment.read_batches(0, 1000).value().empty());
  CHECK(segment.read(0, 1000).value().empty());
  CHECK(segment.find_timestamp(Timestamp(0), Offset(0), decompressor).value() == std::nullopt);
  CHECK(fault(segment.read(1, 10).status()) == Fault::invalid_argument);
  CHECK(fault(segment.read(-1, 10).status()) == Fault::invalid_argument);
}

TEST_CASE("whole batches are read, the first in any case", "[segment]") {
  SegmentDirectory directory;
  Segment segment = directory.create();
  const std::vector<TestBatch> batches = some_batches(0, 30);
  REQUIRE(write_out(segment, batches).ok());
  const auto size_of = [&](std::size_t from, std::size_t to) {
    return static_cast<std::size_t>(position_of(batches, to) - position_of(batches, from));
  };
  for (const std::size_t from : {0u, 7u, 29u}) {
    for (std::size_t to = from + 1; to <= 30; ++to) {
      const std::int64_t position = position_of(batches, from);
      CHECK(segment.read_batches(position, size_of(from, to)).value().size() == size_of(from, to));
      CHECK(segment.read_batches(position, size_of(from, to) - 1).value().size() ==
            size_of(from, std::max(to - 1, from + 1)));
    }
  }
  CHECK(segment.read_batches(0, 0).value().size() == size_of(0, 1));
  CHECK(segment.read_batches(segment.size(), 100).value().empty());
  const SharedBytes all = segment.read_batches(0, 1 << 20).value();
  CHECK(std::ranges::equal(all.bytes(), directory.content(log_suffix)));
}

TEST_CASE("a buffer that is large enough is read into", "[segment]") {
  SegmentDirectory directory;
  Segment segment = directory.create();
  REQUIRE(write_out(segment, some_batches(0, 3)).ok());
  Buffer buffer = Buffer::allocate(1 << 16);
  const std::byte* memory = buffer.data();
  CHECK(segment.read_batches(0, 1 << 16, std::move(buffer)).value().data() == memory);
}

TEST_CASE("a batch is checked at its first reading and not again", "[segment]") {
  SegmentDirectory directory;
  const std::vector<TestBatch> batches = some_batches(0, 40);
  {
    Segment segment = directory.create();
    REQUIRE(write_out(segment, batches).ok());
    flip(directory, 70);  // what this process built is believed
    CHECK(segment.read_batches(0, 1 << 20).ok());
    flip(directory, 70);
    REQUIRE(segment.become_inactive().ok());
  }
  Segment segment = directory.open();
  const std::int64_t middle = position_of(batches, 20);
  REQUIRE(segment.read_batches(0, static_cast<std::size_t>(middle)).ok());
  flip(directory, 70);
  CHECK(segment.read_batches(0, static_cast<std::size_t>(middle)).ok());
  flip(directory, middle + 70);
  CHECK(fault(segment.read_batches(middle, 1 << 20).status()) == Fault::corrupt);
}

TEST_CASE("a damaged batch ends what is read, and is never jumped over", "[segment]") {
  const std::int64_t field = GENERATE(8, 16, 17, 21, 57, 70);
  SegmentDirectory directory;
  const std::vector<TestBatch> batches = some_batches(0, 40);
  {
    Segment segment = directory.create();
    REQUIRE(write_out(segment, batches).ok());
    REQUIRE(segment.become_inactive().ok());
  }
  const std::int64_t bad = position_of(batches, 20);
  flip(directory, bad + field);
  const Segment segment = directory.open();
  CHECK(segment.read_batches(0, 1 << 20).value().size() == static_cast<std::size_t>(bad));
  const absl::Status refused = segment.read_batches(bad, 1 << 20).status();
  CHECK(fault(refused) == Fault::corrupt);
  CHECK(error_code(refused) == ErrorCode::corrupt_message);
  CHECK(std::string(refused.message()).find("00000000000000000000.log") != std::string::npos);
}

TEST_CASE("an index that lies is found out, and the log is searched without it", "[segment]") {
  SegmentDirectory directory;
  directory.options.index_interval_bytes = 300;
  const std::vector<TestBatch> batches = some_batches(0, 100);
  {
    Segment segment = directory.create();
    REQUIRE(write_out(segment, batches).ok());
    REQUIRE(segment.become_inactive().ok());
  }
  std::vector<std::byte> index = directory.content(offset_index_suffix);
  // 0: every position off by one. 1: positions of later batches. 2: positions behind the end. 3:
  // half an entry.
  const int kind = GENERATE(0, 1, 2, 3);
  if (kind == 3) {
    index.resize(index.size() - 4);
  }
  for (std::size_t at = 0; kind < 3 && at < index.size(); at += 8) {
    const auto position = load_big_endian<std::int32_t>(&index[at + 4]);
    const bool last = at + 8 >= index.size();
    store_big_endian(&index[at + 4], kind == 0   ? position + 1
                                     : kind == 2 ? position + (1 << 20)
                                     : last ? static_cast<std::int32_t>(position_of(batches, 99))
                                            : load_big_endian<std::int32_t>(&index[at + 12]));
  }
  directory.put(offset_index_suffix, index);
  Segment segment = directory.open();
  check_find(segment, batches);
  CHECK(segment.indexes_damaged());
  REQUIRE(segment.find_end().ok());
  CHECK(segment.end().next_offset == batches.back().facts.last_offset + 1);
}

TEST_CASE("an index that cannot be read is done without, and not taken for damaged", "[segment]") {
  SegmentDirectory directory;
  directory.options.index_interval_bytes = 300;
  const std::vector<TestBatch> batches = some_batches(0, 100);
  {
    Segment segment = directory.create();
    REQUIRE(write_out(segment, batches).ok());
    REQUIRE(segment.become_inactive().ok());
  }
  const std::string_view unread = GENERATE(offset_index_suffix, time_index_suffix);
  const Segment segment = directory.open();
  const Timestamp newest = segment.largest_timestamp();
  const auto before = all_content(directory);
  int failed = 0;
  directory.hook = [&](IoCall& call) {
    const bool hit = call.operation == IoOperation::read && !call.done &&
                     call.path == SegmentDirectory::path(unread);
    failed += hit;
    return hit ? error(Fault::io, "input/output error") : absl::OkStatus();
  };
  Decompressor decompressor;
  CHECK_FALSE(segment.indexes_unread());
  check_find(segment, batches);
  const auto found = segment.find_timestamp(newest, Offset(0), decompressor);
  REQUIRE(found.ok());
  REQUIRE(found->has_value());
  CHECK((*found)->timestamp == newest);
  CHECK(segment.upper_bound(0, 1 << 20).value() == std::nullopt);
  CHECK(failed > 0);
  CHECK(segment.indexes_unread());
  CHECK_FALSE(segment.indexes_damaged());
  CHECK(all_content(directory) == before);
}

TEST_CASE("an index is not done without where a descriptor or memory is short", "[segment]") {
  SegmentDirectory directory;
  directory.options.index_interval_bytes = 300;
  {
    Segment segment = directory.create();
    REQUIRE(write_out(segment, some_batches(0, 100)).ok());
    REQUIRE(segment.become_inactive().ok());
  }
  const Segment segment = directory.open();
  directory.hook = [](IoCall& call) {
    return call.operation == IoOperation::read && !call.done && call.path.ends_with("index")
               ? error(Fault::no_descriptors, "too many open files")
               : absl::OkStatus();
  };
  CHECK(fault(segment.find(Offset(30)).status()) == Fault::no_descriptors);
  CHECK_FALSE(segment.indexes_unread());
}

TEST_CASE("errors of the file are answered as they are", "[segment]") {
  SegmentDirectory directory;
  Segment segment = directory.create();
  REQUIRE(write_out(segment, some_batches(0, 50)).ok());
  directory.hook = [](IoCall& call) {
    return call.operation == IoOperation::read && !call.done ? error(Fault::io, "no")
                                                             : absl::OkStatus();
  };
  Decompressor decompressor;
  CHECK(fault(segment.find(Offset(30)).status()) == Fault::io);
  CHECK(fault(segment.read_batches(0, 100).status()) == Fault::io);
  CHECK(fault(segment.find_timestamp(Timestamp(0), Offset(0), decompressor).status()) == Fault::io);
  CHECK(fault(segment.find_end()) == Fault::io);
}

TEST_CASE("a log that became shorter is an error of the file, not corruption", "[segment]") {
  SegmentDirectory directory;
  const std::vector<TestBatch> batches = some_batches(0, 10);
  Segment segment = directory.create();
  REQUIRE(write_out(segment, batches).ok());
  directory.put(log_suffix, Bytes(batches[0].bytes));
  CHECK(fault(segment.read_batches(batches[0].facts.size, 100).status()) == Fault::io);
  CHECK(fault(segment.find(Offset(5)).status()) == Fault::io);
}

TEST_CASE("an upper bound lies above every offset that was read", "[segment]") {
  SegmentDirectory directory;
  directory.options.index_interval_bytes = 300;
  const std::vector<TestBatch> batches = some_batches(0, 100);
  Segment segment = directory.create();
  REQUIRE(write_out(segment, batches).ok());
  std::size_t bounded = 0;
  for (std::size_t from = 0; from < 90; from += 7) {
    const std::int64_t position = position_of(batches, from);
    const std::int64_t size = position_of(batches, from + 5) - position;
    const auto bound = segment.upper_bound(position, size).value();
    if (bound) {
      CHECK(*bound > batches[from + 4].facts.last_offset);
      ++bounded;
    }
  }
  CHECK(bounded > 5);
  CHECK(segment.upper_bound(0, segment.size()).value() == std::nullopt);
}

TEST_CASE("batches are visited from an offset on, until one is refused", "[segment]") {
  SegmentDirectory directory;
  const std::vector<TestBatch> batches = some_batches(0, 60);
  Segment segment = directory.create();
  REQUIRE(write_out(segment, batches).ok());
  std::size_t at = first_at(batches, Offset(50));
  REQUIRE(segment
              .each_batch(Offset(50),
                          [&](const BatchHeader& header, std::int64_t position) {
                            CHECK(BatchFacts::of(header).last_offset ==
                                  batches[at].facts.last_offset);
                            CHECK(position == position_of(batches, at));
                            ++at;
                            return absl::OkStatus();
                          })
              .ok());
  CHECK(at == batches.size());
  int visited = 0;
  const absl::Status refused = segment.each_batch(Offset(0), [&](const BatchHeader&, std::int64_t) {
    return ++visited == 3 ? error(Fault::woken, "enough") : absl::OkStatus();
  });
  CHECK(fault(refused) == Fault::woken);
  CHECK(visited == 3);
}
