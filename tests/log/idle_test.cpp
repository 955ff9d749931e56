// SPDX-License-Identifier: Apache-2.0
//
// What a log that nobody uses costs: no file calls, no descriptors.
#include <atomic>
#include <string>
#include <thread>

#include <ottla/env/posix/file_system.hpp>

#include "log_fixture.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/temporary_directory.hpp"

using namespace ottla;
using namespace log_test;
using namespace std::chrono_literals;

namespace {

/// Counts file calls.
struct CountedCalls : Disk {
  int calls = 0;

  CountedCalls() {
    options.config.segment_bytes = 4 * make_batch(0).facts.size;
    options.config.retention = 100'000s;
    hook = [this](IoCall& call) {
      calls += call.done ? 0 : 1;
      return absl::OkStatus();
    };
  }
  int calls_of_tick(Log& log) {
    calls = 0;
    CHECK(must(log.retention_start(log.end(), Timestamp(t0))) == log.start());
    log.publish();
    return calls;
  }
};

struct OnDisk {
  TemporaryDirectory at;
  PosixFileSystem posix;
  AnyFileSystem files{posix};
  LogOptions options{.topic_id = {{std::byte{1}}}, .partition = PartitionId(0)};

  Log open() {
    options.config.segment_bytes = 4 * make_batch(0).facts.size;
    const std::string directory = at / "t-0";
    must(posix.create_directory(directory, IoReason::other));
    RecoveryReport report;
    return must(Log::open(files, directory, options,
                          {.last_stop = LastStop::clean, .now = Timestamp(t0)},
                          make_ref<DirectoryHealth>(std::string(at / "")), report));
  }
};

}  // namespace

TEST_CASE("Retention of a log that does not change makes no file call") {
  CountedCalls disk;
  Log log = disk.open();
  must(append(log, make_batches(0, 14)).status);
  CHECK(disk.calls_of_tick(log) == 0);
  must(append(log, make_batches(14, 4)).status);
  CHECK(disk.calls_of_tick(log) == 0);
}

TEST_CASE("Closed segments are not opened to learn their age: the manifest has it, or once") {
  for (const bool noted : {true, false}) {
    CountedCalls disk;
    {
      Log log = disk.open();
      must(append(log, make_batches(0, 14)).status);
      flush(log, FlushScope::sealed);
      must(append(log, make_batches(14, 1)).status);
      must(log.close());
    }
    if (!noted) {
      must(disk.memory.remove(disk.path(manifest_file), IoReason::other));
    }
    Log log = disk.open();
    INFO(noted);
    CHECK((disk.calls_of_tick(log) == 0) == noted);
    CHECK(disk.calls_of_tick(log) == 0);
    CHECK(must(log.retention_start(log.end(), Timestamp(t0 + 100'000'000 + 3001))) == Offset(4));
    CHECK(must(log.retention_start(log.end(), Timestamp(t0 + 100'000'000 + 7001))) == Offset(8));
  }
}

TEST_CASE("A log that rests has no descriptors, and goes on as if it had them") {
  OnDisk disk;
  Log log = disk.open();
  for (int round = 0; round < 3; ++round) {
    must(append(log, make_batches(log.end().value(), 6)).status);
    CHECK(offsets(log.view()) == range(0, 6 * (round + 1)));
    CHECK(disk.posix.descriptors() >= 3);
    log.view().rest();
    CHECK(disk.posix.descriptors() == 0);
    log.view().rest();
    CHECK(disk.posix.descriptors() == 0);
  }
  must(log.close());
}

TEST_CASE("What somebody will ask to be durable keeps its descriptor until it is") {
  OnDisk disk;
  Log log = disk.open();
  must(append(log, make_batches(0, 2)).status);
  flush(log, FlushScope::data);
  must(append(log, make_batches(2, 1)).status);
  log.view().rest();
  CHECK(disk.posix.descriptors() == 1);
  flush(log, FlushScope::data);
  log.view().rest();
  CHECK(disk.posix.descriptors() == 0);
  flush(log, FlushScope::sealed);
  CHECK(log.durable_end() == Offset(3));
}

TEST_CASE("Deleted segments rest until they are removed") {
  OnDisk disk;
  Log log = disk.open();
  must(append(log, make_batches(0, 10)).status);
  const LogView before = log.view();
  must(log.raise_start(Offset(8), log.end()));
  CHECK(must(log.delete_segments(Offset(8), SteadyTime())) == 2);
  log.publish();
  log.view().rest();
  CHECK(disk.posix.descriptors() == 0);
  while (must(log.remove_deleted(SteadyTime(1000s)))) {
  }
  CHECK(disk.posix.descriptors() == 0);
}

TEST_CASE("A log may rest while it is appended to, read and synced") {
  OnDisk disk;
  Log log = disk.open();
  std::atomic<bool> stop{false};
  std::atomic<int> problems{0};
  must(append(log, make_batches(0, 3)).status);  // one segment
  const LogView view = log.view();
  std::thread rests([&] {
    while (!stop) {
      view.rest();
    }
  });
  std::thread reads([&] {
    const auto buffers = make_ref<ReadBuffers>();
    while (!stop) {
      const auto read = view.read({Offset(1), view.end()}, *buffers);
      problems += !read.ok() || read->pieces.empty();
    }
  });
  for (int i = 3; i < 300; i += 3) {
    must(append(log, make_batches(i, 3)).status);
    flush(log, FlushScope::data);
  }
  stop = true;
  rests.join();
  reads.join();
  CHECK(problems == 0);
  CHECK(offsets(log.view()) == range(0, 300));
}
