// SPDX-License-Identifier: Apache-2.0
//
// After a sync has failed the kernel may hold what the device does not, and say nothing more of it.
#include <map>
#include <string>
#include <vector>

#include "directory_fixture.hpp"
#include "tests/support/catch.hpp"

using namespace ottla;
using namespace log_test;

namespace {

const TopicPartition partitions[] = {{"t", PartitionId(0)}, {"t", PartitionId(1)}};

/// A kernel that marks pages clean when it could not write them.
class Kernel {
 public:
  bool failing = false;

  absl::Status call(IoCall& call) {
    const std::string path(call.path);
    if (call.operation == IoOperation::sync && !call.done) {
      for (auto& byte : files_[path]) {
        byte = byte == Byte::dirty ? (failing ? Byte::lost : Byte::durable) : byte;
      }
      return failing ? error(Fault::io, "input/output error", Outcome::unknown) : absl::OkStatus();
    }
    if (call.operation == IoOperation::write && !call.done) {
      auto& bytes = files_[path];
      const auto begin = static_cast<std::size_t>(call.position);
      bytes.resize(std::max(bytes.size(), begin + call.bytes), Byte::dirty);
      std::fill_n(bytes.begin() + call.position, call.bytes, Byte::dirty);
    } else if (call.operation == IoOperation::truncate && !call.done) {
      files_[path].resize(static_cast<std::size_t>(call.position), Byte::dirty);
    } else if (call.operation == IoOperation::rename && call.done) {
      files_[std::string(call.to)] = std::exchange(files_[path], {});
    } else if (call.operation == IoOperation::remove && call.done) {
      files_.erase(path);
    }
    return absl::OkStatus();
  }

  bool durable(const std::string& path, std::int64_t from, std::int64_t to) const {
    const auto& bytes = files_.at(path);
    return std::all_of(bytes.begin() + from, bytes.begin() + to,
                       [](Byte byte) { return byte == Byte::durable; });
  }

 private:
  enum class Byte : std::uint8_t { dirty, durable, lost };
  std::map<std::string, std::vector<Byte>> files_;
};

struct Machine {
  MemoryFileSystem memory{{.wall_now = [] { return Timestamp(t0); }}};
  Kernel kernel;
  int rewrites = 0;
  int calls = 0;
  int dies_at = INT_MAX;
  AnyFileSystem files{FaultFileSystem(memory, [this](IoCall& call) {
    if (!call.done && calls++ >= dies_at) {
      return error(Fault::io, "input/output error");
    }
    rewrites += call.operation == IoOperation::open && !call.done &&
                call.reason == IoReason::recover_rewrite && call.path.ends_with(".rewrite");
    return kernel.call(call);
  })};
  DirectoryReport report;
  int runs = 0;
  std::int64_t size = make_batch(0).facts.size;

  absl::StatusOr<LogDirectory> try_open() {
    report = {};
    return open_directory(files, ++runs, report);
  }
  absl::StatusOr<Log> try_open(LogDirectory& directory, int n) {
    RecoveryReport recovered;
    return Log::open(files, directory.path_of(partitions[n]),
                     {.config = {.segment_bytes = static_cast<std::int32_t>(4 * size)},
                      .topic_id = id(n),
                      .partition = PartitionId(n)},
                     directory.take_opening(partitions[n], Timestamp(t0)), directory.health(),
                     recovered);
  }
  /// Two logs: offsets 0 to 5 durable and known to be, 6 to 9 are not; a sync of the first failed.
  void fail() {
    LogDirectory directory = must(try_open());
    const LogDirectory::NewPartition both[] = {{partitions[0], id(0), id(51)},
                                               {partitions[1], id(1), id(52)}};
    must(directory.create_partitions(both, Durability::written));
    std::vector<Log> logs;
    for (int n = 0; n < 2; ++n) {
      directory.note_created(partitions[n], Durability::written);
      logs.push_back(must(try_open(directory, n)));
      must(append(logs[static_cast<std::size_t>(n)], make_batches(0, 6)).status);
      flush(logs[static_cast<std::size_t>(n)], FlushScope::data);
      must(append(logs[static_cast<std::size_t>(n)], make_batches(6, 4)).status);
    }
    kernel.failing = true;
    CHECK(outcome(try_flush(logs[0], FlushScope::data)) == Outcome::unknown);
    CHECK_FALSE(try_flush(logs[1], FlushScope::data).ok());
    CHECK_FALSE(directory.close({}).ok());
    kernel.failing = false;
    CHECK_FALSE(memory.status("/d/.ottla_run").ok());
  }
  /// Whether all that a log calls durable is.
  bool honest(const Log& log, int n) const {
    const std::string directory = "/d/t-" + std::to_string(n);
    bool good = true;
    for (std::int64_t base = 0; base < log.durable_end().value(); base += 4) {
      const std::int64_t end = std::min<std::int64_t>(4, log.durable_end().value() - base);
      good = good &&
             kernel.durable(offset_file_path(directory, Offset(base), log_suffix), 0, end * size);
    }
    return good;
  }
};

}  // namespace

TEST_CASE("What the kernel may have lost when a sync failed is written again before it counts") {
  Machine machine;
  machine.fail();
  LogDirectory directory = must(machine.try_open());
  CHECK(machine.report.last_stop == LastStop::system_crash);
  CHECK_FALSE(machine.report.foreign);
  for (int n = 0; n < 2; ++n) {
    Log log = must(machine.try_open(directory, n));
    CHECK(log.durable_end() == Offset(6));
    CHECK(offsets(log.view()) == range(0, 10));
    must(append(log, make_batches(10, 3)).status);
    flush(log, FlushScope::data);
    CHECK(log.durable_end() == Offset(13));
    CHECK(machine.honest(log, n));
  }
  CHECK(machine.rewrites == 4);  // of each log the segments from offset 4 on
}

TEST_CASE("That a sync failed is not forgotten by a process that dies before each log was opened") {
  for (int k = 0;; ++k) {
    Machine machine;
    machine.fail();
    machine.dies_at = machine.calls + k;
    const auto run = [&]() -> absl::Status {
      OTTLA_ASSIGN(LogDirectory directory, machine.try_open());
      for (int n = 0; n < 2; ++n) {
        OTTLA_ASSIGN(Log log, machine.try_open(directory, n));
        OTTLA_TRY(append(log, make_batches(10, 1)).status);
      }
      return absl::OkStatus();
    };
    const absl::Status died = run();
    machine.dies_at = INT_MAX;
    LogDirectory directory = must(machine.try_open());
    for (int n = 0; n < 2; ++n) {
      INFO("call " << k << ", log " << n);
      Log log = must(machine.try_open(directory, n));
      REQUIRE(log.end() >= Offset(10));
      flush(log, FlushScope::data);
      REQUIRE(machine.honest(log, n));
    }
    if (died.ok()) {
      CHECK(k > 30);
      break;
    }
  }
}

TEST_CASE("Nothing is copied where no sync has failed, nor twice") {
  Machine machine;
  {
    LogDirectory directory = must(machine.try_open());
    const LogDirectory::NewPartition one[] = {{partitions[0], id(0), id(51)}};
    must(directory.create_partitions(one, Durability::written));
    directory.note_created(partitions[0], Durability::written);
    Log log = must(machine.try_open(directory, 0));
    must(append(log, make_batches(0, 6)).status);
  }
  {
    LogDirectory directory = must(machine.try_open());
    Log log = must(machine.try_open(directory, 0));
    CHECK(machine.rewrites == 0);
    machine.kernel.failing = true;
    CHECK_FALSE(try_flush(log, FlushScope::data).ok());
    machine.kernel.failing = false;
  }
  for (const int rewrites : {2, 2}) {
    LogDirectory directory = must(machine.try_open());
    Log log = must(machine.try_open(directory, 0));
    must(append(log, make_batches(log.end().value(), 1)).status);
    CHECK(machine.rewrites == rewrites);
  }
}

TEST_CASE("A sync that fails when the directory was let go touches nothing") {
  Machine machine;
  LogDirectory directory = must(machine.try_open());
  const Ref<DirectoryHealth> health = directory.health();
  directory.let_go();
  health->fail();
  CHECK(machine.memory.status("/d/.ottla_run").ok());
  CHECK_FALSE(health->writable());
}

TEST_CASE("A directory whose logs were taken away takes writes: nothing of it failed to sync") {
  const auto health = make_ref<DirectoryHealth>("d");
  const absl::Status gone = error(Fault::not_found, "no such file or directory");
  CHECK(health->checked(gone) == gone);
  CHECK(health->writable());
  CHECK_FALSE(health->checked(error(Fault::io, "input/output error")).ok());
  CHECK_FALSE(health->writable());
}
