// SPDX-License-Identifier: Apache-2.0
//
// The metadata log on the simulated disk: what was answered is in each state that a power cut can
// leave, what was refused as not written is in none.
#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <ottla/broker/metadata_file.hpp>
#include <ottla/env/fault_file_system.hpp>
#include <ottla/env/memory/memory_env.hpp>
#include <ottla/sim/sim_disk.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/must.hpp"

using namespace ottla;
using test::must;

namespace {

using Metadata = MetadataFile<AnyFileSystem>;

SimDisk new_disk(SimDiskOptions options = {}) {
  SimDisk disk(std::move(options));
  SimFileSystem files = disk.file_system();
  must(files.create_directory("/data", IoReason::other));
  must(files.sync_directory("/", IoReason::other));
  return disk;
}

MachineRecord record_of(std::string_view text) {
  MachineRecord record;
  const Bytes bytes = as_bytes(text);
  record.value.emplace(bytes.begin(), bytes.end());
  return record;
}

/// A process that has it open, and what it holds.
struct Process {
  explicit Process(SimFileSystem its_files, Metadata::Stop stop = {}, IoHook hook = {})
      : files(FaultFileSystem(
            std::move(its_files),
            hook ? std::move(hook) : [](IoCall&) { return absl::OkStatus(); })) {
    auto opened = Metadata::open(files, world, "/data", stop, health, cut);
    status = opened.status();
    if (!status.ok()) {
      return;
    }
    file = *std::move(opened);
    must(file->load([&](const WrittenRecord& record) {
      texts.emplace_back(as_string_view(*record.value));
      return absl::OkStatus();
    }));
    file->set_snapshot([this] {
      std::vector<MachineRecord> records;
      for (const std::string& text : texts) {
        records.push_back(record_of(text));
      }
      return records;
    });
  }
  /// One with `large` bytes more is no part of the state.
  absl::Status append(const std::string& text, std::size_t large = 0) {
    absl::Status answer = absl::UnknownError("no answer");
    const MachineRecord record = record_of(large > 0 ? std::string(large, 'x') : text);
    file->append(std::span(&record, 1),
                 [&](const absl::StatusOr<Offset>& base) { answer = base.status(); });
    if (answer.ok() && large == 0) {
      texts.push_back(text);
    }
    return answer;
  }
  /// Beyond the size where the next change has it rewritten.
  void grow() {
    for (std::int64_t size = 0; size < Metadata::smallest_rewrite; size += 300'000) {
      must(append("", 300'000));
    }
  }

  AnyFileSystem files;
  MemoryEnv env;
  WorldOf<MemoryEnv> world{env};
  Ref<DirectoryHealth> health = make_ref<DirectoryHealth>("/data");
  std::string cut;
  absl::Status status;
  std::vector<std::string> texts;
  Ref<Metadata> file;
};

/// Of the states that a power cut leaves: how many there are, and in how many each text is.
struct Left {
  std::uint64_t states = 0;
  std::map<std::string, std::uint64_t> found;

  bool in_all(const std::string& text) { return states > 0 && found[text] == states; }
  bool in_none(const std::string& text) { return states > 0 && found[text] == 0; }
};
Left after_power_cut(const SimDisk& disk, std::uint64_t limit = 200) {
  Left left;
  left.states = disk.for_each_durable_state(limit,
                                            [&](SimDisk& state) {
                                              const Process process(state.file_system());
                                              must(process.status);
                                              for (const std::string& text : process.texts) {
                                                ++left.found[text];
                                              }
                                            })
                    .visited;
  return left;
}

/// Fails the next call of this kind on a path that ends so, before it does anything.
struct Failing {
  IoOperation operation = IoOperation::sync;
  std::string path_end = "ottla_metadata";
  absl::Status answer = error(Fault::no_descriptors, "no descriptor is left");
  bool armed = false;

  IoHook hook() {
    return [this](IoCall& call) {
      const bool hit =
          armed && !call.done && call.operation == operation && call.path.ends_with(path_end);
      armed = armed && !hit;
      return hit ? answer : absl::OkStatus();
    };
  }
};

}  // namespace

TEST_CASE("A change that was refused as not written is in no state that a power cut leaves") {
  for (const bool first : {true, false}) {
    SimDisk disk = new_disk();
    Failing failing;
    Process process(disk.file_system(), {}, failing.hook());
    must(process.status);
    if (!first) {
      must(process.append("one"));
    }
    failing.armed = true;
    const absl::Status refused = process.append("refused");
    CHECK_FALSE(failing.armed);
    CHECK(fault(refused) == Fault::no_descriptors);
    CHECK(outcome(refused) == Outcome::not_written);
    CHECK(after_power_cut(disk).in_none("refused"));
    must(process.append("two"));
    Left left = after_power_cut(disk);
    CHECK(left.in_all("two"));
    CHECK(left.in_none("refused"));
  }
}

TEST_CASE("A refused change that cannot be cut for good may be there, and its answer says so") {
  for (const IoOperation hindered : {IoOperation::truncate, IoOperation::sync}) {
    SimDisk disk = new_disk();
    int hits = -1;
    Process process(disk.file_system(), {}, [&](IoCall& call) {
      const bool hit = hits >= 0 && !call.done &&
                       ((call.operation == IoOperation::sync && hits == 0) ||
                        (call.operation == hindered && hits == 1));
      hits += hit ? 1 : 0;
      return hit ? error(Fault::no_descriptors, "no descriptor is left") : absl::OkStatus();
    });
    must(process.append("one"));
    hits = 0;
    CHECK(outcome(process.append("refused")) == Outcome::unknown);
    CHECK(hits == 2);
    must(process.append("two"));
    Left left = after_power_cut(disk);
    CHECK(left.in_all("two"));
    CHECK(left.in_none("refused"));
    must(process.file->close(never));
    const Process again(disk.file_system(), {.clean = true});
    must(again.status);
    CHECK(again.texts == process.texts);
  }
}

TEST_CASE("The name of the file is on the device with the first change, whatever fails") {
  SimDisk disk = new_disk();
  Failing failing{.operation = IoOperation::sync_directory, .path_end = "data", .armed = true};
  CHECK(fault(Process(disk.file_system(), {}, failing.hook()).status) == Fault::no_descriptors);
  Process process(disk.file_system(), {}, failing.hook());
  failing.armed = true;
  must(process.append("one"));
  CHECK(after_power_cut(disk).in_all("one"));
}

TEST_CASE("What a killed process wrote is on the device once it is seen") {
  for (const DiskMode mode : {DiskMode::adversarial, DiskMode::ext4_ordered, DiskMode::xfs}) {
    for (const std::uint64_t call : {1U, 2U, 3U}) {  // write, sync, the next write
      SimDisk disk = new_disk({.crash = {.mode = mode}});
      {
        Process process(disk.file_system());
        must(process.append("one"));
        disk.crash_at(disk.calls() + call, CrashKind::process);
        process.append("two").IgnoreError();
        process.append("three").IgnoreError();
        REQUIRE(disk.down());
      }
      const Process again(disk.restart());
      must(again.status);
      Left left = after_power_cut(disk);
      CHECK(left.in_all("one"));
      for (const std::string& text : again.texts) {
        CHECK(left.in_all(text));
      }
    }
  }
}

TEST_CASE("What the device lacks after a failed sync is written anew, not only synced again") {
  for (const bool told : {true, false}) {  // who saw it fail may not have lived to tell
    SimDisk disk = new_disk();
    {
      Process process(disk.file_system());
      must(process.append("one"));
      disk.fail_at(disk.calls() + 2, SimFault::sync_keeps);
      CHECK(outcome(process.append("two")) == Outcome::unknown);
      CHECK_FALSE(process.health->writable());
    }
    disk.crash(CrashKind::process);
    const Process again(disk.restart(), {.sync_failed = told});
    must(again.status);
    CHECK(again.texts == std::vector<std::string>{"one", "two"});
    Left left = after_power_cut(disk);
    CHECK(left.in_all("one"));
    CHECK(left.in_all("two"));
  }
}

TEST_CASE("A full disk opens it, to be read only where a sync has failed there") {
  for (const bool sync_failed : {true, false}) {
    SimDisk disk = new_disk();
    must(Process(disk.file_system()).append("one"));
    disk.crash(CrashKind::process);
    SimFileSystem files = disk.restart();
    disk.set_max_bytes(files.status("/data/ottla_metadata")->size + 10);
    Process again(files, {.sync_failed = sync_failed});
    must(again.status);
    CHECK(again.texts == std::vector<std::string>{"one"});
    CHECK(again.health->writable() == !sync_failed);
    disk.set_max_bytes(0);
    const absl::Status appended = again.append("two");
    CHECK(appended.ok() == !sync_failed);
    CHECK((appended.ok() || outcome(appended) == Outcome::not_written));
    CHECK(after_power_cut(disk).in_all("one"));
  }
}

TEST_CASE("A change after a rewriting that stopped half-way is in the file of that name") {
  struct Case {
    IoOperation operation;
    std::string path_end;
    Fault why;
    bool answered;  // whether the change that came upon it was taken
  };
  const Case cases[] = {
      {IoOperation::sync_directory, "data", Fault::no_descriptors, true},
      {IoOperation::open, "ottla_metadata", Fault::no_descriptors, false},
      {IoOperation::open, "ottla_metadata.tmp", Fault::no_descriptors, true},
      {IoOperation::sync, "ottla_metadata.tmp", Fault::no_descriptors, true},
      {IoOperation::rename, "ottla_metadata.tmp", Fault::no_space, true},
  };
  for (const Case& each : cases) {
    CAPTURE(static_cast<int>(each.operation), each.path_end);
    SimDisk disk = new_disk();
    Failing failing{each.operation, each.path_end, error(each.why, "it is short")};
    Process process(disk.file_system(), {}, failing.hook());
    must(process.append("one"));
    process.grow();
    failing.armed = true;
    const absl::Status answer = process.append("two");
    CHECK_FALSE(failing.armed);
    CHECK(answer.ok() == each.answered);
    CHECK((answer.ok() || outcome(answer) == Outcome::not_written));
    CHECK(process.health->writable());
    Left left = after_power_cut(disk, 10);
    CHECK(left.in_all("one"));
    CHECK((answer.ok() ? left.in_all("two") : left.in_none("two")));
    must(process.append("three"));
    left = after_power_cut(disk, 10);
    CHECK(left.in_all("one"));
    CHECK(left.in_all("three"));
    must(process.file->close(never));
    CHECK(Process(disk.file_system(), {.clean = true}).texts == process.texts);
  }
}

TEST_CASE("A sync that fails while it is rewritten is as final as any other") {
  for (const auto& [operation, path_end] : {std::pair(IoOperation::sync, "ottla_metadata.tmp"),
                                            {IoOperation::sync_directory, "data"}}) {
    SimDisk disk = new_disk();
    Failing failing{operation, path_end, error(Fault::io, "the device failed", Outcome::unknown)};
    Process process(disk.file_system(), {}, failing.hook());
    must(process.append("one"));
    process.grow();
    failing.armed = true;
    CHECK_FALSE(process.append("two").ok());
    CHECK_FALSE(failing.armed);
    CHECK_FALSE(process.health->writable());
    CHECK_FALSE(process.append("three").ok());
    CHECK(after_power_cut(disk, 10).in_all("one"));
    CHECK_FALSE(process.file->close(never).ok());
  }
}
