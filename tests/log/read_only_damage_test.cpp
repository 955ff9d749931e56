// SPDX-License-Identifier: Apache-2.0
//
// Bytes that are not, or no longer, what was written.
#include "read_only_fixture.hpp"

using namespace ottla;
using namespace log_test;
using namespace read_only_test;

TEST_CASE("What is noted to be on the device and is not there is damage") {
  Writer writer(small_segments());
  writer.append(10);
  flush(*writer.log);
  writer.append(3);
  must(writer.log->close().status());
  const auto last = must(writer.log->view().segments()).back();
  const std::string path = directory + "/" + offset_file_name(last.base, log_suffix);
  AnyFileSystem files = reading(writer.memory);
  {
    auto file = must(writer.memory.open(path, OpenMode::read_write, IoReason::other));
    must(file.truncate(last.bytes - 5, IoReason::other));
  }
  auto log = must(ReadOnlyLog::open(files, directory));
  CHECK(offsets(log.view()) == range(0, 12));
  const absl::Status at_end = log.view().check_range(Offset(12));
  CHECK(error_code(at_end) == ErrorCode::corrupt_message);  // closing synced it
  CHECK(at_end.message().find(path) != absl::string_view::npos);
  CHECK(log.refresh().ok());
  CHECK_FALSE(log.view().check_range(Offset(12)).ok());
}

TEST_CASE("A damaged batch in the middle is a typed error, and never passed over") {
  Writer writer(small_segments());
  writer.append(40);
  const auto segments = must(writer.log->view().segments());
  const std::string path = directory + "/" + offset_file_name(segments[1].base, log_suffix);
  auto file = must(writer.memory.open(path, OpenMode::read_write, IoReason::other));
  std::byte byte{};
  must(file.read(70, {&byte, 1}).status());
  byte ^= std::byte{1};
  const Bytes piece(&byte, 1);
  must(file.write(70, {&piece, 1}, IoReason::other));
  AnyFileSystem files = reading(writer.memory);
  auto log = must(ReadOnlyLog::open(files, directory));
  const auto buffers = make_ref<ReadBuffers>();
  CHECK(error_code(log.read({segments[1].base, Offset(40)}, *buffers).status()) ==
        ErrorCode::corrupt_message);
  CHECK(read(log, segments[2].base.value()) == range(segments[2].base.value(), 40));
}

TEST_CASE("What a repair has cut off is not missed by a reader that was there before") {
  Writer writer;
  writer.append(10);
  flush(*writer.log);
  must(writer.log->close().status());
  writer.log.reset();
  auto file = writer.file();
  const std::int64_t at = must(file.size()) / 10 * 5 + 70;
  std::byte byte{};
  must(file.read(at, {&byte, 1}).status());
  byte ^= std::byte{1};
  const Bytes piece(&byte, 1);
  must(file.write(at, {&piece, 1}, IoReason::other));
  AnyFileSystem files = reading(writer.memory);
  auto log = must(ReadOnlyLog::open(files, directory,
                                    {.last_stop = LastStop::clean, .recovery_point = Offset(10)}));
  RecoveryReport report;
  writer.log.emplace(must(Log::open(
      writer.files, directory, writer.options,
      {.last_stop = LastStop::system_crash, .now = Timestamp(t0), .repair = Repair::truncate},
      make_ref<DirectoryHealth>("/d"), report)));
  REQUIRE(writer.log->end() == Offset(5));
  for (std::int64_t end = 5; end < 12; ++end) {
    log.refresh().IgnoreError();  // it may tell of a cut
    CHECK(offsets(log.view()) == range(0, end));
    CHECK(log.view().check_range(Offset(end)).ok());
    writer.append(1, {.epoch = 1});
  }
}

TEST_CASE("A copy of the last segment that takes its place is followed") {
  Writer writer;
  writer.append(3);
  AnyFileSystem files = reading(writer.memory);
  auto log = must(ReadOnlyLog::open(files, directory));
  const std::string path = directory + "/00000000000000000000.log";
  auto from = must(writer.memory.open(path, OpenMode::read, IoReason::other));
  std::string text(static_cast<std::size_t>(must(from.size())), '\0');
  must(from.read(0, std::as_writable_bytes(std::span(text))).status());
  const Batch next = make_batch(3);
  text += as_string_view(next.bytes.bytes());
  auto to = must(writer.memory.open("/d/copy", OpenMode::create, IoReason::other));
  const Bytes piece = as_bytes(text);
  must(to.write(0, {&piece, 1}, IoReason::other));
  must(writer.memory.rename("/d/copy", path, IoReason::other));
  must(log.refresh());
  CHECK(offsets(log.view()) == range(0, 4));
}

TEST_CASE("A batch that is as long as it says, and is not all there, is not there yet") {
  Writer writer;
  writer.append(2);
  AnyFileSystem files = reading(writer.memory);
  auto log = must(ReadOnlyLog::open(files, directory));
  auto file = writer.file();
  const Batch batch = make_batch(2);
  const std::int64_t at = must(file.size());
  std::string text(as_string_view(batch.bytes.bytes()));
  std::fill(text.end() - 8, text.end(), '\0');
  Bytes piece = as_bytes(text);
  must(file.write(at, {&piece, 1}, IoReason::other));
  must(log.refresh());
  CHECK(offsets(log.view()) == range(0, 2));
  piece = batch.bytes.bytes();
  must(file.write(at, {&piece, 1}, IoReason::other));
  must(log.refresh());
  CHECK(offsets(log.view()) == range(0, 3));
}

TEST_CASE("Another batch in the place of the last one is noticed, though no name has changed") {
  Writer writer;
  writer.append(3);
  AnyFileSystem files = reading(writer.memory);
  auto log = must(ReadOnlyLog::open(files, directory));
  auto file = writer.file();
  const Batch other = make_batch(2, {.epoch = 1});
  const Bytes piece = other.bytes.bytes();
  const std::int64_t at = must(file.size()) - static_cast<std::int64_t>(piece.size());
  must(file.write(at, {&piece, 1}, IoReason::other));
  CHECK(error_code(log.refresh()) == ErrorCode::offset_out_of_range);
  CHECK(log.leader_epoch() == LeaderEpoch(1));
  CHECK(log.refresh().ok());
}

TEST_CASE("What was read and checked before is checked again") {
  Writer writer;
  writer.append(3);
  AnyFileSystem files = reading(writer.memory);
  auto log = must(ReadOnlyLog::open(files, directory));
  const LogView view = log.view();
  REQUIRE(offsets(view) == range(0, 3));
  auto file = writer.file();
  const std::string half = "half";
  const Bytes piece = as_bytes(half);
  must(file.write(70, {&piece, 1}, IoReason::other));
  const auto buffers = make_ref<ReadBuffers>();
  CHECK(error_code(view.read({Offset(0), Offset(3)}, *buffers).status()) ==
        ErrorCode::corrupt_message);
}

TEST_CASE("Indexes that cannot be read cost a reader time alone") {
  const bool from_the_start = GENERATE(true, false);
  CAPTURE(from_the_start);
  Writer writer(small_segments());
  writer.append(40);
  bool fails = from_the_start;
  int failed = 0;
  AnyFileSystem files(FaultFileSystem(reading(writer.memory), [&](IoCall& call) {
    const bool hit =
        fails && call.operation == IoOperation::read && !call.done && call.path.ends_with("index");
    failed += hit;
    return hit ? error(Fault::io, "input/output error") : absl::OkStatus();
  }));
  auto log = must(ReadOnlyLog::open(files, directory));
  fails = true;
  CHECK(read(log, 0) == range(0, 40));
  writer.append(1);
  must(log.refresh());
  CHECK(read(log, 17) == range(17, 41));
  CHECK(failed > 0);
}
