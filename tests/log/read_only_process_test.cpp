// SPDX-License-Identifier: Apache-2.0
//
// A log on the real file system, written by one process and read by another.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <ottla/env/posix/file_system.hpp>
#include <ottla/log/read_only_log.hpp>

#include "log_fixture.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/temporary_directory.hpp"

using namespace ottla;
using namespace log_test;

namespace {

/// A log in the directory, whose segments are small.
absl::StatusOr<Log> open_writer(AnyFileSystem& files, const std::string& directory) {
  LogOptions options{.topic_id = {{std::byte{1}}}, .partition = PartitionId(0)};
  options.config.segment_bytes = 40'000;
  options.config.index_interval_bytes = 500;
  RecoveryReport report;
  return Log::open(files, directory, options, {.last_stop = LastStop::clean, .now = Timestamp(t0)},
                   make_ref<DirectoryHealth>(directory), report);
}

/// Appends `n` batches in calls of up to 7.
bool write(Log& log, std::int64_t n) {
  for (std::int64_t end = log.end().value() + n; log.end().value() < end;) {
    const auto some = std::min<std::int64_t>(7, end - log.end().value());
    if (!append(log, make_batches(log.end().value(), static_cast<int>(some))).status.ok()) {
      return false;
    }
  }
  return true;
}

struct Child {
  /// `body` gets a pipe to tell the parent something, and one to hear of it.
  explicit Child(const std::function<bool(int to_parent, int from_parent)>& body) {
    int up[2];
    int down[2];
    REQUIRE(::pipe(up) == 0);
    REQUIRE(::pipe(down) == 0);
    pid = ::fork();
    REQUIRE(pid >= 0);
    if (pid == 0) {
      ::close(up[0]);
      ::close(down[1]);
      ::_exit(body(up[1], down[0]) ? 0 : 1);
    }
    ::close(up[1]);
    ::close(down[0]);
    from_child = up[0];
    to_child = down[1];
  }
  ~Child() {
    ::close(from_child);
    ::close(to_child);  // a child that waits ends
    if (!ended) {
      end();
    }
  }
  int end() {
    ended = true;
    int status = 0;
    ::waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }
  /// False where the child has ended.
  bool hear() const {
    char byte = 0;
    return ::read(from_child, &byte, 1) == 1;
  }
  bool tell() const { return ::write(to_child, "x", 1) == 1; }

  pid_t pid = -1;
  int from_child = -1;
  int to_child = -1;
  bool ended = false;
};

/// Reads what is new behind `at`, and moves `at` on.
void read_on(ReadOnlyLog& log, std::int64_t& at) {
  must(log.refresh());
  for (const auto& [offset, value] : read_all(log.view(), at)) {
    REQUIRE(offset == at);
    REQUIRE(value.starts_with(std::to_string(offset)));
    ++at;
  }
  REQUIRE(at == log.view().end().value());
}

}  // namespace

TEST_CASE("What another process has written is there as soon as it says so") {
  const TemporaryDirectory directory;
  const Child child([&](int to_parent, int from_parent) {
    AnyFileSystem files{PosixFileSystem()};
    auto log = open_writer(files, directory.path());
    char go = 0;
    while (log.ok() && ::read(from_parent, &go, 1) == 1) {
      if (!write(*log, 100) || ::write(to_parent, "x", 1) != 1) {
        return false;
      }
    }
    return log.ok();
  });
  AnyFileSystem files{PosixFileSystem()};
  REQUIRE(child.tell());
  REQUIRE(child.hear());
  auto log = must(ReadOnlyLog::open(files, directory.path()));
  std::int64_t at = 0;
  for (int round = 2; round < 30; ++round) {
    REQUIRE(child.tell());
    REQUIRE(child.hear());
    read_on(log, at);
    CHECK(at == round * 100);
  }
  CHECK(must(log.view().segments()).size() > 3);
}

TEST_CASE("While another process writes as fast as it can a reader sees one prefix after another") {
  constexpr std::int64_t all = 40'000;
  const TemporaryDirectory directory;
  Child child([&](int to_parent, int) {
    AnyFileSystem files{PosixFileSystem()};
    auto log = open_writer(files, directory.path());
    return log.ok() && write(*log, 10) && ::write(to_parent, "x", 1) == 1 &&
           write(*log, all - 10) && log->close().ok();
  });
  REQUIRE(child.hear());
  AnyFileSystem files{PosixFileSystem()};
  auto log = must(ReadOnlyLog::open(files, directory.path()));
  std::int64_t at = 0;
  int looks = 0;
  while (at < all) {
    read_on(log, at);
    ++looks;
  }
  CHECK(child.end() == 0);
  CHECK(looks > 1);
  CHECK(log.view().end() == Offset(all));
}

TEST_CASE("A writer that is killed leaves a prefix to a reader") {
  const TemporaryDirectory directory;
  Child child([&](int to_parent, int) {
    AnyFileSystem files{PosixFileSystem()};
    auto log = open_writer(files, directory.path());
    while (log.ok() && write(*log, 50) && ::write(to_parent, "x", 1) == 1) {
    }
    return false;
  });
  for (int i = 0; i < 20; ++i) {
    REQUIRE(child.hear());
  }
  REQUIRE(::kill(child.pid, SIGKILL) == 0);
  CHECK(child.end() == -1);
  AnyFileSystem files{PosixFileSystem()};
  auto log = must(ReadOnlyLog::open(files, directory.path()));
  std::int64_t at = 0;
  read_on(log, at);
  CHECK(at >= 1000);
}
