// SPDX-License-Identifier: Apache-2.0
//
// Reading a log: from an offset, up to a limit, and by time.
#include "log_fixture.hpp"
#include "tests/support/catch.hpp"

using namespace ottla;
using namespace log_test;

namespace {

struct Reading : Disk {
  Log log;
  Ref<ReadBuffers> buffers = make_ref<ReadBuffers>();

  Reading() : log(open()) {}

  std::vector<std::pair<std::int64_t, std::int64_t>> read(const LogReadRequest& request) {
    std::vector<std::pair<std::int64_t, std::int64_t>> batches;
    const LogView view = log.view();
    const LogRead answer = must(view.read(request, *buffers));
    std::size_t bytes = 0;
    for (const SharedBytes& piece : answer.pieces) {
      BatchCursor cursor(piece.bytes());
      while (const BatchView* batch = cursor.next()) {
        batches.emplace_back(batch->header().base_offset.value(),
                             batch->header().last_offset().value());
      }
      CHECK(cursor.position() == piece.size());  // whole batches only
      bytes += piece.size();
    }
    CHECK(bytes == answer.bytes);
    return batches;
  }
  std::optional<FoundOffset> find(std::int64_t target, std::int64_t limit = INT64_MAX) {
    Decompressor decompressor;
    const LogView view = log.view();
    return must(view.find_timestamp(Timestamp(target), Offset(limit), decompressor));
  }
};

using Batches = std::vector<std::pair<std::int64_t, std::int64_t>>;
const Offset all{INT64_MAX};

}  // namespace

TEST_CASE("A read answers from the batch that holds the offset, whole batches, up to max_bytes") {
  Reading disk;
  for (int i = 0; i < 5; ++i) {
    must(append(disk.log, {make_batch(3 * i, {.timestamps = {t0, t0, t0}})}).status);
  }
  const auto size =
      static_cast<std::size_t>(make_batch(0, {.timestamps = {t0, t0, t0}}).facts.size);
  CHECK(disk.read({Offset(4), all, 2 * size}) == Batches{{3, 5}, {6, 8}});
  CHECK(disk.read({Offset(4), all, 2 * size - 1}) == Batches{{3, 5}});
  CHECK(disk.read({Offset(4), all, 1}) == Batches{{3, 5}});
  CHECK(disk.read({Offset(4), all, size - 1, false}).empty());
  CHECK(disk.read({Offset(4), all, size, false}) == Batches{{3, 5}});
  CHECK(disk.read({Offset(0), all}) == Batches{{0, 2}, {3, 5}, {6, 8}, {9, 11}, {12, 14}});
  CHECK(disk.read({Offset(15), all}).empty());
}

TEST_CASE("A read ends before the batch that reaches its limit") {
  Reading disk;
  for (int i = 0; i < 5; ++i) {
    must(append(disk.log, {make_batch(3 * i, {.timestamps = {t0, t0, t0}})}).status);
  }
  CHECK(disk.read({Offset(0), Offset(15)}).size() == 5);
  CHECK(disk.read({Offset(0), Offset(14)}).size() == 4);
  CHECK(disk.read({Offset(0), Offset(12)}).size() == 4);
  CHECK(disk.read({Offset(0), Offset(11)}).size() == 3);
  CHECK(disk.read({Offset(0), Offset(2)}).empty());
  CHECK(disk.read({Offset(7), Offset(7)}).empty());
  CHECK(disk.read({Offset(12), Offset(3)}).empty());
}

TEST_CASE("Offsets outside of the log are out of range") {
  Reading disk;
  must(append(disk.log, make_batches(0, 5)).status);
  must(disk.log.raise_start(Offset(2), Offset(5)));
  disk.log.publish();
  const LogView view = disk.log.view();
  for (const std::int64_t at : {-1, 0, 1, 6, 100}) {
    CHECK(error_code(view.read({Offset(at), all}, *disk.buffers).status()) ==
          ErrorCode::offset_out_of_range);
  }
  CHECK(disk.read({Offset(2), all}).size() == 3);
}

TEST_CASE("A read that finds nothing in a segment goes on in the next, and ends with a segment") {
  Reading disk;
  disk.options.config.segment_bytes = 3 * make_batch(0).facts.size;
  disk.log = disk.open();
  must(append(disk.log, make_batches(0, 3)).status);
  must(append(disk.log, make_batches(10, 3)).status);  // a gap, as a follower may have
  CHECK(disk.read({Offset(0), all}) == Batches{{0, 0}, {1, 1}, {2, 2}});
  CHECK(disk.read({Offset(3), all}) == Batches{{10, 10}, {11, 11}, {12, 12}});
  CHECK(disk.read({Offset(7), all}) == Batches{{10, 10}, {11, 11}, {12, 12}});
  CHECK(disk.read({Offset(7), Offset(10)}).empty());
  CHECK(disk.read({Offset(1), all, 1, false}).empty());  // too large a batch is not passed over
}

TEST_CASE("A large read comes in pieces of pooled memory") {
  Reading disk;
  std::vector<Batch> batches;
  for (int i = 0; i < 20; ++i) {
    batches.push_back(make_batch(i, {.value_size = 100'000}));
  }
  must(append(disk.log, batches).status);
  const LogView view = disk.log.view();
  {
    const LogRead read = must(view.read({Offset(0), all, 1'000'000}, *disk.buffers));
    CHECK(read.pieces.size() >= 4);
    CHECK(read.bytes <= 1'000'000);
    CHECK(read.bytes > 800'000);
    for (const SharedBytes& piece : read.pieces) {
      CHECK(piece.block_capacity() == ReadBuffers::block_size);
    }
  }
  CHECK(disk.buffers->kept_bytes() >= 4 * ReadBuffers::block_size);
  // A batch larger than a piece comes whole.
  must(append(disk.log, {make_batch(20, {.value_size = 700'000})}).status);
  CHECK(disk.read({Offset(20), all, 1000}) == Batches{{20, 20}});
  CHECK(offsets(disk.log.view()) == range(0, 21));
}

TEST_CASE(
    "Damage ends a read before it, and is what the next one answers, with file and position") {
  Reading disk;
  must(append(disk.log, make_batches(0, 6)).status);
  must(disk.log.close());
  const std::string file = offset_file_name(Offset(0), log_suffix);
  const auto size = static_cast<std::size_t>(make_batch(0).facts.size);
  disk.flip(file, 3 * size + 70);
  disk.log = disk.open();
  CHECK(disk.read({Offset(0), all}) == Batches{{0, 0}, {1, 1}, {2, 2}});
  const LogView view = disk.log.view();
  const absl::Status status = view.read({Offset(3), all}, *disk.buffers).status();
  CHECK(error_code(status) == ErrorCode::corrupt_message);
  CHECK(fault(status) == Fault::corrupt);
  CHECK(status.message().find(file) != absl::string_view::npos);
  CHECK(status.message().find(std::to_string(3 * size)) != absl::string_view::npos);
  CHECK(disk.read({Offset(4), all}) == Batches{{4, 4}, {5, 5}});
}

TEST_CASE("The first record at or after a time is found, and none at or above the limit") {
  Reading disk;
  disk.options.config.segment_bytes = 3 * make_batch(0).facts.size;
  disk.log = disk.open();
  must(append(disk.log, make_batches(0, 10)).status);
  CHECK(disk.find(0)->offset == Offset(0));
  CHECK(disk.find(t0 + 4000) == FoundOffset{Timestamp(t0 + 4000), Offset(4), LeaderEpoch(0)});
  CHECK(disk.find(t0 + 4001)->offset == Offset(5));
  CHECK(disk.find(t0 + 9000)->offset == Offset(9));
  CHECK_FALSE(disk.find(t0 + 9001).has_value());
  CHECK_FALSE(disk.find(t0 + 9000, 9).has_value());
  CHECK(disk.find(t0 + 8000, 9)->offset == Offset(8));
}

TEST_CASE(
    "The first record with the largest timestamp is found, unless it is not below the limit") {
  Reading disk;
  Decompressor decompressor;
  const auto find = [&](std::int64_t limit) {
    const LogView view = disk.log.view();
    return must(view.find_max_timestamp(Offset(limit), decompressor));
  };
  CHECK_FALSE(find(INT64_MAX).has_value());
  must(append(disk.log, {make_batch(0, {.timestamps = {-1, -1}})}).status);
  CHECK_FALSE(find(INT64_MAX).has_value());
  must(append(disk.log, {make_batch(2, {.timestamps = {t0, t0 + 7, t0 + 7}, .epoch = 2}),
                         make_batch(5, {.timestamps = {t0 + 7, t0 + 9}, .epoch = 2})})
           .status);
  CHECK(find(INT64_MAX) == FoundOffset{Timestamp(t0 + 9), Offset(6), LeaderEpoch(2)});
  CHECK(find(7).has_value());
  CHECK_FALSE(find(6).has_value());
}

TEST_CASE("A view of deleted segments answers like an offset below the start") {
  Reading disk;
  disk.options.config.segment_bytes = 3 * make_batch(0).facts.size;
  disk.log = disk.open();
  must(append(disk.log, make_batches(0, 9)).status);
  const LogView before = disk.log.view();
  must(disk.log.raise_start(Offset(6), Offset(9)));
  CHECK(must(disk.log.delete_segments(Offset(6), SteadyTime())) == 2);
  disk.log.publish();
  CHECK(error_code(before.read({Offset(1), all}, *disk.buffers).status()) ==
        ErrorCode::offset_out_of_range);
  CHECK(offsets(before, 6) == range(6, 9));
  CHECK(offsets(disk.log.view()) == range(6, 9));
  CHECK(disk.find(0)->offset == Offset(6));
}
