// SPDX-License-Identifier: Apache-2.0
//
// The k-th file call of a whole life fails, for every k: nothing that was acknowledged is lost, and
// nothing is appended behind garbage.
#include <functional>
#include <optional>
#include <string>

#include <ottla/log/log_directory.hpp>

#include "directory_fixture.hpp"
#include "tests/support/catch.hpp"

using namespace ottla;
using namespace log_test;
using namespace std::chrono_literals;

namespace {

const TopicPartition topic{"t", PartitionId(0)};

enum class Failure { nothing_done, torn, no_space, after };

/// A broker's life in miniature: what it was told is in the log is in `acknowledged`.
struct Life {
  MemoryFileSystem memory{{.wall_now = [] { return Timestamp(t0); }}};
  int calls = 0;
  int failing = -1;
  bool from_then_on = false;
  Failure failure = Failure::nothing_done;
  AnyFileSystem files{FaultFileSystem(memory, [this](IoCall& call) { return hook(call); })};
  std::vector<std::int64_t> acknowledged;
  std::int64_t start = 0;

  absl::Status hook(IoCall& call) {
    if (call.done != (failure == Failure::after)) {
      return absl::OkStatus();
    }
    const int n = calls++;
    if (failing < 0 || (from_then_on ? n < failing : n != failing)) {
      return absl::OkStatus();
    }
    if (failure == Failure::torn && call.operation == IoOperation::write) {
      call.torn_at = call.bytes / 2;
      return error(Fault::io, "input/output error", Outcome::unknown);
    }
    return failure == Failure::no_space ? error(Fault::no_space, "no space left")
           : failure == Failure::after  ? error(Fault::io, "input/output error", Outcome::unknown)
                                        : error(Fault::io, "input/output error");
  }

  LogConfig config() const {
    LogConfig config;
    config.segment_bytes = 4 * make_batch(0).facts.size;
    config.index_interval_bytes = 100;
    config.retention = 4s;
    return config;
  }

  static LogDirectoryOptions options(int run) {
    return {.path = "/d", .properties = {"c", BrokerId(1), id(7)}, .process = 1, .run = id(run)};
  }

  void append(Log& log, int n) {
    const auto batches = make_batches(log.end().value(), n);
    const Offset before = log.end();
    const Appended done = log_test::append(log, batches);
    CHECK(log.end() == before + static_cast<std::int64_t>(done.batches));
    for (Offset at = before; at < log.end(); ++at) {
      acknowledged.push_back(at.value());
    }
  }

  void retain(LogDirectory& directory, Log& log) {
    const auto begin = log.retention_start(log.end(), Timestamp(t0 + 12'000));
    log.publish();
    if (!begin.ok()) {
      return;
    }
    directory.set_offset(CheckpointKind::log_start, topic, *begin);
    if (directory
            .write_checkpoint(CheckpointKind::log_start,
                              directory.offsets(CheckpointKind::log_start), Durability::durable)
            .ok()) {
      log.raise_start(*begin, log.end()).IgnoreError();
      log.delete_segments(*begin, SteadyTime()).IgnoreError();
      log.publish();
      log.remove_deleted(SteadyTime(100s)).IgnoreError();
    }
    start = begin->value();
  }

  absl::Status live() {
    DirectoryReport report;
    OTTLA_ASSIGN(auto directory, LogDirectory::open(files, options(1), report));
    const LogDirectory::NewPartition one[] = {{topic, id(2), id(3)}};
    OTTLA_TRY(directory.create_partitions(one, Durability::written));
    directory.note_created(topic, Durability::written);
    RecoveryReport recovery;
    OTTLA_ASSIGN(auto log, Log::open(files, directory.path_of(topic), {.config = config()},
                                     directory.take_opening(topic, Timestamp(t0)),
                                     directory.health(), recovery));
    log.assign_epoch(LeaderEpoch(0));
    append(log, 3);
    append(log, 4);  // rolls
    (void)try_flush(log);
    append(log, 5);
    log.assign_epoch(LeaderEpoch(1));
    append(log, 2);
    retain(directory, log);
    append(log, 2);
    (void)try_flush(log);
    directory.set_offset(CheckpointKind::recovery_point, topic, log.recovery_point());
    OTTLA_TRY(directory.write_checkpoint(CheckpointKind::recovery_point,
                                         directory.offsets(CheckpointKind::recovery_point),
                                         Durability::written));
    append(log, 1);
    OTTLA_ASSIGN(const CleanEnd end, log.close());
    directory.note_closed(topic, end);
    return directory.close(directory.clean_ends());
  }

  /// Nothing fails any more. The directory is opened again, and used.
  void judge() {
    failing = -1;
    const bool ours = memory.status("/d/.ottla_clean").ok();
    const bool kafkas = memory.status("/d/.kafka_cleanshutdown").ok();
    DirectoryReport report;
    LogDirectory directory = must(LogDirectory::open(files, options(2), report));
    // What a stop leaves that was cut short between the two markers looks as if Kafka had been
    // here.
    CHECK(report.foreign == (ours && !kafkas));
    if (!memory.status("/d/t-0").ok()) {
      CHECK(acknowledged.empty());
      return;
    }
    RecoveryReport recovery;
    Log log =
        must(Log::open(files, directory.path_of(topic), {.config = config()},
                       directory.take_opening(topic, Timestamp(t0)), directory.health(), recovery));
    CHECK(log.damage() == nullptr);
    const std::vector<std::int64_t> found = offsets(log.view());
    CHECK(log.start().value() <= start);
    for (const std::int64_t offset : acknowledged) {
      if (offset >= start) {
        CHECK(std::binary_search(found.begin(), found.end(), offset));
      }
    }
    CHECK(found == range(log.start().value(), log.end().value()));
    const std::int64_t end = log.end().value();
    REQUIRE(log_test::append(log, make_batches(end, 5)).status.ok());
    CHECK(offsets(log.view(), end) == range(end, end + 5));
  }
};

int sweep(Failure failure, bool from_then_on) {
  for (int k = 0;; ++k) {
    Life life;
    life.failure = failure;
    life.from_then_on = from_then_on;
    life.failing = k;
    INFO("call " << k << ", failure " << static_cast<int>(failure) << ", from then on "
                 << from_then_on);
    const absl::Status lived = life.live();
    const bool done = life.calls <= k;
    CHECK((!done || lived.ok()));
    life.judge();
    if (done) {
      CHECK(life.acknowledged.size() == 17);
      return k;
    }
  }
}

}  // namespace

TEST_CASE("Whichever file call fails, once or from then on, nothing acknowledged is lost") {
  for (const Failure failure :
       {Failure::nothing_done, Failure::torn, Failure::no_space, Failure::after}) {
    for (const bool from_then_on : {false, true}) {
      CHECK(sweep(failure, from_then_on) > 100);
    }
  }
}

TEST_CASE("Whichever file call fails while a log is recovered, the next opening finds the same") {
  for (const LastStop stop : {LastStop::process_crash, LastStop::system_crash}) {
    for (const bool after : {false, true}) {
      for (int k = 0;; ++k) {
        Disk disk;
        disk.options.config.segment_bytes = 4 * make_batch(0).facts.size;
        disk.options.config.index_interval_bytes = 0;
        {
          Log log = disk.open();
          must(append(log, make_batches(0, 12)).status);
        }
        const std::string last = offset_file_name(Offset(8), log_suffix);
        disk.put(last, disk.content(last) + "torn");
        disk.put(offset_file_name(Offset(0), log_suffix) + ".deleted", "old");
        must(disk.memory.remove(disk.path("leader-epoch-checkpoint"), IoReason::other));
        int calls = 0;
        disk.hook = [&](IoCall& call) {
          return call.done == after && calls++ == k
                     ? error(Fault::io, "input/output error", Outcome::unknown)
                     : absl::OkStatus();
        };
        const bool opened = disk.try_open({.last_stop = stop}).ok();
        disk.hook = [](IoCall&) { return absl::OkStatus(); };
        INFO("call " << k << ", after " << after << ", stop " << static_cast<int>(stop));
        Log log = disk.open_after(stop);
        REQUIRE(offsets(log.view()) == range(0, 12));
        REQUIRE(append(log, make_batches(12, 3)).status.ok());
        REQUIRE(offsets(log.view()) == range(0, 15));
        if (calls <= k) {
          CHECK(opened);
          CHECK(k > 20);
          break;
        }
      }
    }
  }
}
