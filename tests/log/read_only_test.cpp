// SPDX-License-Identifier: Apache-2.0
//
// A reader beside a writer, each in a process of its own as far as they can tell: the reader looks
// and reads before each call of the writer on its files.
#include "read_only_fixture.hpp"

using namespace ottla;
using namespace log_test;
using namespace read_only_test;

TEST_CASE("A reader sees what was written, and later what is written then") {
  Writer writer;
  writer.append(3);
  AnyFileSystem files = reading(writer.memory);
  auto log = must(ReadOnlyLog::open(files, directory));
  CHECK(read_all(log.view()) == read_all(writer.log->view()));
  writer.append(2);
  CHECK(log.view().end() == Offset(3));
  must(log.refresh());
  CHECK(offsets(log.view()) == range(0, 5));
  CHECK(log.leader_epoch() == LeaderEpoch(0));
}

TEST_CASE("A reader may come before there is anything to read") {
  Writer writer;
  AnyFileSystem files = reading(writer.memory);
  auto log = must(ReadOnlyLog::open(files, directory));
  CHECK(log.view().start() == log.view().end());
  must(log.refresh());
  writer.append(1);
  must(log.refresh());
  CHECK(offsets(log.view()) == range(0, 1));
  CHECK(fault(ReadOnlyLog::open(files, "/d/none").status()) == Fault::not_found);
}

TEST_CASE("Before and after each call of a writer that appends and rolls a reader sees a prefix") {
  Writer writer(small_segments());
  AnyFileSystem files = reading(writer.memory);
  auto log = must(ReadOnlyLog::open(files, directory));
  std::int64_t end = 0;
  std::int64_t looked = 0;
  writer.between = [&](const IoCall&) {
    must(log.refresh());
    CHECK(log.view().end().value() >= end);
    CHECK(log.view().start() == Offset(0));
    end = log.view().end().value();
    CHECK(read(log, 0) == range(0, end));
    // Who opens it at this point sees the same.
    auto other = must(ReadOnlyLog::open(files, directory));
    CHECK(other.view().end() == log.view().end());
    CHECK(read(other, std::max<std::int64_t>(end - 3, 0)) ==
          range(std::max<std::int64_t>(end - 3, 0), end));
    ++looked;
  };
  for (int round = 0; round < 12; ++round) {
    writer.append(1 + round % 3);
    CHECK(end == writer.log->end().value());
  }
  CHECK(writer.log->view().segments()->size() > 3);
  CHECK(looked > 50);
}

TEST_CASE("A batch that is half written is not there yet") {
  Writer writer;
  writer.append(2);
  AnyFileSystem files = reading(writer.memory);
  auto log = must(ReadOnlyLog::open(files, directory));
  const Batch batch = make_batch(2, {.value_size = 300});
  auto file = writer.file();
  const std::int64_t at = must(file.size());
  const Bytes bytes = batch.bytes.bytes();
  for (std::size_t i = 1; i < bytes.size(); ++i) {
    const Bytes piece = bytes.subspan(i - 1, 1);
    must(file.write(at + static_cast<std::int64_t>(i) - 1, {&piece, 1}, IoReason::other));
    must(log.refresh());
    REQUIRE(log.view().end() == Offset(2));
    REQUIRE(log.view().check_range(Offset(2)).ok());  // an end, no damage
  }
  const Bytes piece = bytes.last(1);
  must(file.write(at + static_cast<std::int64_t>(bytes.size()) - 1, {&piece, 1}, IoReason::other));
  must(log.refresh());
  CHECK(offsets(log.view()) == range(0, 3));
}

TEST_CASE("Room that is reserved in a file, and zeros behind its end, are not data") {
  Writer writer;
  writer.append(2);
  auto file = writer.file();
  const std::string zeros(5000, '\0');
  const Bytes piece = as_bytes(zeros);
  must(file.write(must(file.size()), {&piece, 1}, IoReason::other));
  AnyFileSystem files = reading(writer.memory);
  auto log = must(ReadOnlyLog::open(files, directory));
  CHECK(offsets(log.view()) == range(0, 2));
  CHECK(log.view().check_range(Offset(2)).ok());
}

TEST_CASE("At each call of retention a reader sees a suffix that begins no later than the start") {
  Writer writer(small_segments());
  writer.append(40);
  AnyFileSystem files = reading(writer.memory);
  auto log = must(ReadOnlyLog::open(files, directory));
  std::int64_t start = 0;
  writer.between = [&](const IoCall&) {
    must(log.refresh());
    CHECK(log.view().start().value() >= start);
    start = log.view().start().value();
    CHECK(start <= writer.log->start().value());
    CHECK(log.view().end() == Offset(40));
    CHECK(read(log, start) == range(start, 40));
  };
  const Offset middle = Offset(must(writer.log->view().segments())[3].base);
  must(writer.log->raise_start(middle, writer.log->end()));
  writer.log->publish();
  must(writer.log->delete_segments(middle, SteadyTime()));
  writer.log->publish();
  CHECK(start == middle.value());
  must(writer.log->remove_deleted(SteadyTime() + std::chrono::hours(1)));
  const auto buffers = make_ref<ReadBuffers>();
  CHECK(error_code(log.read({Offset(0), Offset(40)}, *buffers).status()) ==
        ErrorCode::offset_out_of_range);

  // A start that is above the first segment's is for the caller to tell.
  must(log.refresh(middle + 2));
  CHECK(log.view().start() == middle + 2);
}

TEST_CASE("At each call of compaction a reader sees the newest value of each key") {
  LogConfig config = small_segments();
  config.compact = true;
  Writer writer(config);
  for (std::int64_t i = 0; i < 40; ++i) {
    REQUIRE(append(*writer.log, {keyed_batch(i, {{std::to_string(i % 5), std::to_string(i)}})})
                .status.ok());
  }
  flush(*writer.log);
  const auto expected = latest(writer.log->view());
  REQUIRE(expected.size() == 5);
  AnyFileSystem files = reading(writer.memory);
  auto lasting = must(ReadOnlyLog::open(files, directory));
  REQUIRE(latest(lasting.view()) == expected);
  int looked = 0;
  writer.between = [&](const IoCall& call) {
    INFO(name(call.operation) << ' ' << call.path << ' ' << call.to);
    must(lasting.refresh());
    CHECK(lasting.view().end() == Offset(40));
    must(lasting.read({Offset(0), Offset(40)}, *make_ref<ReadBuffers>()).status());
    CHECK(latest(lasting.view()) == expected);
    auto fresh = must(ReadOnlyLog::open(files, directory));
    CHECK(latest(fresh.view()) == expected);
    CHECK(fresh.view().end() == Offset(40));
    ++looked;
  };
  REQUIRE(must(clean(*writer.log)).has_value());
  CHECK(looked > 30);
  must(writer.log->remove_deleted(SteadyTime() + std::chrono::hours(1)));
  CHECK(latest(lasting.view()).size() == 5);
  CHECK(must(lasting.view().segments()).size() == must(writer.log->view().segments()).size());
}

TEST_CASE("A listing that lacks a name, beside a rename, is not believed") {
  LogConfig config = small_segments();
  config.compact = true;
  Writer writer(config);
  for (std::int64_t i = 0; i < 40; ++i) {
    const std::string text = std::to_string(i);
    REQUIRE(append(*writer.log, {keyed_batch(i, {{text, text}})}).status.ok());
  }
  flush(*writer.log);
  REQUIRE(must(clean(*writer.log)).has_value());
  must(writer.log->remove_deleted(SteadyTime() + std::chrono::hours(1)));
  const auto segments = must(writer.log->view().segments());
  REQUIRE(segments.size() > 2);
  const std::string path = directory + "/" + offset_file_name(segments[1].base, log_suffix);
  int missed = 0;  // in so many listings
  bool away = false;
  const auto move = [&](const std::string& from, const std::string& to) {
    must(writer.memory.rename(from, to, IoReason::other));
    away = !away;
  };
  AnyFileSystem files(FaultFileSystem(writer.memory, [&](IoCall& call) {
    if (call.operation == IoOperation::list && !call.done && missed > 0) {
      --missed;
      move(path, "/d/away");
    } else if (call.done && away) {
      move("/d/away", path);
    }
    return absl::OkStatus();
  }));
  auto lasting = must(ReadOnlyLog::open(files, directory));
  REQUIRE(offsets(lasting.view()) == range(0, 40));
  missed = 1;
  must(lasting.refresh());
  CHECK(missed == 0);
  CHECK(offsets(lasting.view()) == range(0, 40));
  missed = 1;
  auto fresh = must(ReadOnlyLog::open(files, directory));
  CHECK(missed == 0);
  CHECK(offsets(fresh.view()) == range(0, 40));
}

TEST_CASE("A listing that is never the same twice is refused, and the view is as before") {
  Writer writer;
  writer.append(3);
  int listed = 0;
  bool changing = false;
  AnyFileSystem files(FaultFileSystem(writer.memory, [&](IoCall& call) {
    if (changing && call.operation == IoOperation::list && !call.done) {
      const std::string name = directory + "/" + std::to_string(++listed);
      must(writer.memory.open(name, OpenMode::create, IoReason::other).status());
    }
    return absl::OkStatus();
  }));
  auto log = must(ReadOnlyLog::open(files, directory));
  changing = true;
  CHECK(fault(log.refresh()) == Fault::timed_out);
  CHECK(offsets(log.view()) == range(0, 3));
  changing = false;
  must(log.refresh());
  CHECK(offsets(log.view()) == range(0, 3));
}

TEST_CASE("A swap that was interrupted is served, and not finished") {
  LogConfig config = small_segments();
  config.compact = true;
  int stopped = 0;
  int moved = 0;
  for (int stop_at = 1; stop_at < 200; ++stop_at) {
    Writer writer(config);
    for (std::int64_t i = 0; i < 40; ++i) {
      REQUIRE(append(*writer.log, {keyed_batch(i, {{std::to_string(i % 5), std::to_string(i)}})})
                  .status.ok());
    }
    flush(*writer.log);
    const auto expected = latest(writer.log->view());
    int renames = 0;
    bool dead = false;
    AnyFileSystem dying(FaultFileSystem(writer.memory, [&](IoCall& call) {
      dead = dead || (!call.done && call.operation == IoOperation::rename && ++renames == stop_at);
      return dead ? error(Fault::io, "the process died") : absl::OkStatus();
    }));
    RecoveryReport report;
    Log log = must(Log::open(dying, directory, writer.options,
                             {.last_stop = LastStop::clean, .now = Timestamp(t0)},
                             make_ref<DirectoryHealth>("/d"), report));
    flush(log);
    if (clean(log).ok()) {
      break;
    }
    ++stopped;
    INFO("before rename " << stop_at);
    AnyFileSystem files = reading(writer.memory);
    auto reader = must(ReadOnlyLog::open(files, directory));
    CHECK(latest(reader.view()) == expected);
    CHECK(reader.view().end() == Offset(40));
    // Once it was listed a swapped file may get its name.
    bool gone = false;
    AnyFileSystem moving(FaultFileSystem(writer.memory, [&](IoCall& call) {
      const bool hit = !gone && !call.done && call.path.ends_with(".log.swap");
      gone = gone || hit;
      moved += hit ? 1 : 0;
      return hit ? error(Fault::not_found, "it was renamed") : absl::OkStatus();
    }));
    CHECK(latest(must(ReadOnlyLog::open(moving, directory)).view()) == expected);
  }
  CHECK(stopped > 10);
  CHECK(moved > 0);
}

TEST_CASE("A reader is told once that the log was cut back, and to where it is as it was") {
  Writer writer(small_segments());
  writer.append(5);
  AnyFileSystem files = reading(writer.memory);
  auto log = must(ReadOnlyLog::open(files, directory));
  writer.append(10);
  must(log.refresh());
  writer.append(20);
  must(log.refresh());
  const LogView old = log.view();
  must(writer.log->truncate_to(Offset(17), SteadyTime()).status());
  writer.log->publish();
  const absl::Status told = log.refresh();
  CHECK(error_code(told) == ErrorCode::offset_out_of_range);
  CHECK(told.message().find("cut back") != absl::string_view::npos);
  CHECK(log.cut_to() == Offset(15));
  CHECK(offsets(log.view()) == range(0, 17));
  CHECK(log.refresh().ok());
  writer.append(3);
  must(log.refresh());
  CHECK(offsets(log.view()) == range(0, 20));
  CHECK(old.end() == Offset(35));
}

TEST_CASE("A cut is seen where as much, or more, was written there since") {
  for (const int more : {0, 1, 30}) {
    INFO(more);
    Writer writer(small_segments());
    writer.append(12);
    AnyFileSystem files = reading(writer.memory);
    auto log = must(ReadOnlyLog::open(files, directory));
    must(writer.log->truncate_to(Offset(10), SteadyTime()).status());
    writer.log->publish();
    writer.append(2 + more, {.epoch = 1});
    const absl::Status told = log.refresh();
    CHECK(error_code(told) == ErrorCode::offset_out_of_range);
    CHECK(log.cut_to() <= Offset(10));
    CHECK(offsets(log.view()) == range(0, 12 + more));
    CHECK(log.refresh().ok());
  }
}

TEST_CASE("At each call of a truncation a reader sees a prefix") {
  Writer writer(small_segments());
  writer.append(35);
  AnyFileSystem files = reading(writer.memory);
  auto log = must(ReadOnlyLog::open(files, directory));
  int told = 0;
  writer.between = [&](const IoCall&) {
    const absl::Status status = log.refresh();
    told += status.ok() ? 0 : 1;
    CHECK((status.ok() || error_code(status) == ErrorCode::offset_out_of_range));
    CHECK(read(log, 0) == range(0, log.view().end().value()));
  };
  must(writer.log->truncate_to(Offset(8), SteadyTime()).status());
  CHECK(told > 1);
  CHECK(log.view().end() == Offset(8));
}

TEST_CASE("Without indexes, and with half of one, everything is found") {
  Writer writer(small_segments());
  writer.append(40);
  const LogView theirs = writer.log->view();
  for (const DirectoryEntry& entry : must(writer.memory.list(directory))) {
    if (entry.name.ends_with("index")) {
      const std::string path = directory + "/" + entry.name;
      auto file = must(writer.memory.open(path, OpenMode::read_write, IoReason::other));
      must(file.truncate(must(file.size()) * 2 / 3, IoReason::other));
      if (entry.name < "00000000000000000020") {
        must(writer.memory.remove(path, IoReason::other));
      }
    }
  }
  AnyFileSystem files = reading(writer.memory);
  auto log = must(ReadOnlyLog::open(files, directory));
  CHECK(read(log, 0) == range(0, 40));
  Decompressor decompressor;
  for (std::int64_t i = 0; i < 40; ++i) {
    const auto found =
        must(log.view().find_timestamp(Timestamp(t0 + i * 1000), Offset(40), decompressor));
    REQUIRE(found);
    CHECK(found->offset == Offset(i));
  }
}

TEST_CASE("Index entries that are written while a reader follows are used by it") {
  LogConfig config;
  config.index_interval_bytes = 1;
  Writer writer(config);
  std::int64_t bytes_read = 0;
  AnyFileSystem files(FaultFileSystem(writer.memory, [&](IoCall& call) {
    bytes_read += call.done && call.operation == IoOperation::read && call.path.ends_with(".log")
                      ? static_cast<std::int64_t>(call.bytes)
                      : 0;
    return absl::OkStatus();
  }));
  auto log = must(ReadOnlyLog::open(files, directory));
  writer.append(1);
  must(log.refresh());
  for (int i = 0; i < 20; ++i) {
    writer.append(100);
    must(log.refresh());
  }
  const auto buffers = make_ref<ReadBuffers>();
  bytes_read = 0;
  must(log.read({Offset(1500), Offset(1501), 100}, *buffers).status());
  CHECK(bytes_read < 20'000);  // of 160,000
}

TEST_CASE("Where nothing happens a refresh makes few calls") {
  Writer writer(small_segments());
  writer.append(40);
  int calls = 0;
  AnyFileSystem files(FaultFileSystem(writer.memory, [&](IoCall& call) {
    calls += call.done ? 0 : 1;
    return absl::OkStatus();
  }));
  auto log = must(ReadOnlyLog::open(files, directory));
  must(log.refresh());
  calls = 0;
  must(log.refresh());
  CHECK(calls <= 6);
}
