// SPDX-License-Identifier: Apache-2.0
//
// The log and its directory on the real file system, and another process beside.
#include <string>

#include <sys/wait.h>
#include <unistd.h>

#include <ottla/env/posix/file_system.hpp>
#include <ottla/log/log_directory.hpp>

#include "directory_fixture.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/temporary_directory.hpp"

using namespace ottla;
using namespace log_test;

namespace {

const TopicPartition topic{"t", PartitionId(0)};

LogDirectoryOptions options(const TemporaryDirectory& at, int run) {
  return {.path = at / "data",
          .properties = {"cluster", BrokerId(1), id(9)},
          .process = static_cast<std::uint64_t>(::getpid()),
          .run = id(run)};
}

LogConfig small_segments() {
  LogConfig config;
  config.segment_bytes = 4 * make_batch(0).facts.size;
  return config;
}

Log open_log(AnyFileSystem& files, LogDirectory& directory) {
  RecoveryReport report;
  return must(Log::open(files, directory.path_of(topic), {.config = small_segments()},
                        directory.take_opening(topic, Timestamp(t0)), directory.health(), report));
}

/// Runs `body` in a child; its exit code.
template <class Body>
int in_child(Body body) {
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    ::_exit(body());
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

}  // namespace

TEST_CASE("A log on disk is there after a process that was killed while it had it open") {
  const TemporaryDirectory at;
  const int code = in_child([&] {
    AnyFileSystem files{PosixFileSystem()};
    DirectoryReport report;
    LogDirectory directory = must(LogDirectory::open(files, options(at, 1), report));
    const LogDirectory::NewPartition one[] = {{topic, id(2), id(3)}};
    must(directory.create_partitions(one, Durability::written));
    directory.note_created(topic, Durability::written);
    Log log = open_log(files, directory);
    must(append(log, make_batches(0, 10)).status);
    ::kill(::getpid(), SIGKILL);
    return 0;
  });
  CHECK(code == -SIGKILL);
  AnyFileSystem files{PosixFileSystem()};
  DirectoryReport report;
  LogDirectory directory = must(LogDirectory::open(files, options(at, 4), report));
  CHECK(report.last_stop == LastStop::process_crash);
  Log log = open_log(files, directory);
  CHECK(offsets(log.view()) == range(0, 10));
  must(append(log, make_batches(10, 5)).status);
  flush(log);
  directory.note_closed(topic, must(log.close()));
  must(directory.close(directory.clean_ends()));
  CHECK(offsets(log.view()) == range(0, 15));
}

TEST_CASE("Another process, or a second opening in this one, finds a directory locked") {
  const TemporaryDirectory at;
  AnyFileSystem files{PosixFileSystem()};
  DirectoryReport report;
  std::optional<LogDirectory> directory = must(LogDirectory::open(files, options(at, 1), report));
  const auto try_open = [&] {
    AnyFileSystem other{PosixFileSystem()};
    DirectoryReport ignored;
    return LogDirectory::open(other, options(at, 2), ignored).status();
  };
  const auto found_locked = [&] {
    const absl::Status status = try_open();
    const std::string pid = std::to_string(directory ? ::getpid() : 0);
    return fault(status) == Fault::locked &&
           status.message().find("process ") != absl::string_view::npos;
  };
  CHECK(found_locked());
  CHECK(in_child([&] { return found_locked() ? 7 : 0; }) == 7);
  directory.reset();
  CHECK(in_child([&] { return try_open().ok() ? 7 : 0; }) == 7);
  CHECK(try_open().ok());
}

TEST_CASE("A child of fork writes nothing through what it inherited") {
  const TemporaryDirectory at;
  AnyFileSystem files{PosixFileSystem()};
  DirectoryReport report;
  LogDirectory directory = must(LogDirectory::open(files, options(at, 1), report));
  const LogDirectory::NewPartition one[] = {{topic, id(2), id(3)}};
  must(directory.create_partitions(one, Durability::written));
  directory.note_created(topic, Durability::written);
  Log log = open_log(files, directory);
  must(append(log, make_batches(0, 3)).status);
  const int code = in_child([&] {
    const bool refused = fault(append(log, make_batches(3, 1)).status) == Fault::forked &&
                         !log.close().ok() && !directory.close({}).ok();
    return refused ? 7 : 0;
  });
  CHECK(code == 7);
  must(append(log, make_batches(3, 3)).status);
  CHECK(offsets(log.view()) == range(0, 6));
}

TEST_CASE("Deleting on disk frees the names, and readers go on meanwhile") {
  const TemporaryDirectory at;
  AnyFileSystem files{PosixFileSystem({.max_descriptors = 8})};
  DirectoryReport report;
  LogDirectory directory = must(LogDirectory::open(files, options(at, 1), report));
  const LogDirectory::NewPartition one[] = {{topic, id(2), id(3)}};
  must(directory.create_partitions(one, Durability::durable));
  directory.note_created(topic, Durability::durable);
  Log log = open_log(files, directory);
  must(append(log, make_batches(0, 200)).status);  // 50 segments, 8 descriptors
  CHECK(offsets(log.view()) == range(0, 200));
  must(log.raise_start(Offset(100), Offset(200)));
  CHECK(must(log.delete_segments(Offset(100), SteadyTime())) == 25);
  log.publish();
  CHECK_FALSE(must(log.remove_deleted(SteadyTime(std::chrono::hours(1)))).has_value());
  CHECK(offsets(log.view()) == range(100, 200));
  must(directory.delete_partition(topic, id(8), Durability::durable));
  CHECK(offsets(log.view()) == range(100, 200));
  while (must(directory.remove_deleted_partitions())) {
  }
  CHECK(must(files.list(at / "data")).size() == 4);  // lock, run, properties, reserve
}
