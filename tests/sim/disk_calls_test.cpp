// SPDX-License-Identifier: Apache-2.0
//
// Calls and what is known of them: numbers, reasons, hooks, counts, and what a program must not do.
#include <utility>
#include <vector>

#include <ottla/base/crc32c.hpp>
#include <ottla/env/any_file_system.hpp>
#include <ottla/env/small_file.hpp>

#include "disk_fixture.hpp"
#include "tests/support/catch.hpp"

using namespace ottla;
using namespace disk_test;

TEST_CASE("Every call has a number, and a fault comes at its call: once, or from then on") {
  DiskFixture d;
  SimFile file = d.create("/a", "a");  // open and write
  CHECK(d.disk.calls() == 2);
  d.disk.fail_at(4, SimFault::io);
  CHECK(write(file, 0, "b").ok());
  CHECK_FALSE(write(file, 0, "c").ok());
  CHECK(write(file, 0, "d").ok());
  d.disk.fail_at(7, SimFault::io, Repeat::from_then_on);
  CHECK(write(file, 0, "e").ok());
  CHECK_FALSE(write(file, 0, "f").ok());
  CHECK_FALSE(d.fs.list("/").ok());
  CHECK(file.sync(why).ok());  // to which `io` does not apply
  CHECK_FALSE(file.size().ok());
  d.disk.heal();
  CHECK(text_of(file) == "e");
}

TEST_CASE("A crash comes at its call, whatever that does") {
  const auto run = [](SimDisk& disk) {
    SimFileSystem fs = disk.file_system();
    auto file = fs.open("/a", OpenMode::create, why);
    if (file.ok()) {
      (void)write(*file, 0, "abc");
      (void)file->sync(why);
      (void)file->truncate(1, why);
      (void)file->size();
      (void)file->reserve(5, why);
      std::byte into[1];
      (void)file->read(0, into);
      (void)file->close();
    }
    (void)fs.create_directory("/d", why);
    (void)fs.rename("/a", "/b", why);
    (void)fs.sync_directory("/", why);
    (void)fs.list("/");
    (void)fs.status("/");
    (void)fs.volume("/");
    (void)fs.set_modified("/b", Timestamp(1));
    (void)fs.lock("/.lock");
    (void)fs.remove("/b", why);
    (void)fs.remove_directory("/d", why);
  };
  SimDisk whole;
  run(whole);
  CHECK(whole.calls() == 18);
  for (int operation = 0; operation < SimFaultTable::operations; ++operation) {
    CHECK(whole.fault_table().fired(static_cast<IoOperation>(operation), SimFault::none) == 1);
  }
  for (const CrashKind kind : {CrashKind::process, CrashKind::power}) {
    for (std::uint64_t call = 1; call <= whole.calls(); ++call) {
      SimDisk disk({.seed = call});
      disk.crash_at(call, kind);
      run(disk);
      CHECK(disk.down());
      CHECK(disk.calls() == call);
      CHECK(disk.problems().empty());
      CHECK(disk.restart().list("/").ok());
    }
  }
}

TEST_CASE("A hook sees each call before it does anything, and one chooses its fault") {
  std::vector<std::string> seen;
  DiskFixture d({.before_call =
                     [&](const IoCall& call) {
                       seen.push_back(std::string(name(call.operation)) + " " +
                                      std::string(name(call.reason)) + " " +
                                      std::string(call.path));
                     },
                 .choose_fault =
                     [](const IoCall& call) {
                       return call.operation == IoOperation::sync && call.reason == IoReason::roll
                                  ? SimFault::sync_reverts
                                  : SimFault::stale_read;  // applies to reads only
                     }});
  SimFile file = d.create("/a", "a");
  CHECK(file.sync(IoReason::flush).ok());
  CHECK_FALSE(file.sync(IoReason::roll).ok());
  CHECK(seen == std::vector<std::string>{"open other /a", "write other /a", "sync flush /a",
                                         "sync roll /a"});
}

TEST_CASE("A hook may use the disk, or crash it") {
  SimDisk* disk = nullptr;
  int calls = 0;
  DiskFixture d({.before_call = [&](const IoCall&) {
    if (++calls == 3) {
      disk->crash(CrashKind::power);
    }
  }});
  disk = &d.disk;
  SimFile file = d.create("/a", "a");
  CHECK_FALSE(file.sync(why).ok());
  CHECK(d.disk.down());
}

TEST_CASE("A table counts which faults met which reasons and which kinds of calls") {
  DiskFixture d;
  SimFile file = d.create("/a", "a");
  d.disk.fail_at(d.disk.calls() + 1, SimFault::sync_keeps);
  (void)file.sync(IoReason::flush);
  must(file.sync(IoReason::flush));
  d.disk.fail_at(d.disk.calls() + 1, SimFault::cut_write);
  (void)write(file, 0, "b", IoReason::append);
  d.disk.fail_at(d.disk.calls() + 1, SimFault::sync_keeps);
  (void)text_of(file);  // to which it does not apply
  const SimFaultTable table = d.disk.fault_table();
  CHECK(table.fired(IoReason::flush, SimFault::none) == 2);
  CHECK(table.fired(IoReason::flush, SimFault::sync_keeps) == 1);
  CHECK(table.fired(IoReason::append, SimFault::cut_write) == 1);
  CHECK(table.fired(IoOperation::sync, SimFault::sync_keeps) == 1);
  CHECK(table.fired(IoOperation::sync, IoReason::roll, SimFault::sync_keeps) == 0);
  CHECK(table.fired(IoOperation::read, SimFault::none) == 1);
  CHECK(table.fired(IoReason::other, SimFault::none) == 2);  // a read carries no reason
  SimFaultTable sum = table;
  sum += table;
  CHECK(sum.fired(IoReason::flush, SimFault::none) == 4);
}

TEST_CASE("Faults come by chance, as often as they are asked for") {
  SimFaultRates rates;
  rates[SimFault::cut_write] = 100'000;
  rates[SimFault::sync_reverts] = 1'000'000;
  DiskFixture d({.seed = 5});
  SimFile file = d.create("/a");
  d.disk.set_rates(rates);
  for (int i = 0; i < 1000; ++i) {
    (void)write(file, 0, "a");
    CHECK_FALSE(file.sync(why).ok());
  }
  const std::uint64_t cut = d.disk.fault_table().fired(IoOperation::write, SimFault::cut_write);
  CHECK(cut > 50);
  CHECK(cut < 200);
  d.disk.heal();
  CHECK(file.sync(why).ok());
}

TEST_CASE("A reason that is ignored for a run costs what its sync is there for") {
  DiskFixture d;
  d.disk.ignore(IoReason::checkpoint, IoOperation::sync);
  d.settled("/c", "old");
  const auto replace = [&](IoReason reason) {
    must(replace_small_file(d.fs, "/c", as_bytes("new"), Durability::durable, reason));
    return d.states();
  };
  CHECK(replace(IoReason::checkpoint).size() > 1);
  CHECK(d.disk.ignored() == 1);
  CHECK(replace(IoReason::metadata).size() == 1);
  CHECK(d.disk.ignored() == 1);
  d.disk.ignore(IoReason::metadata, IoOperation::rename);
  CHECK(d.fs.rename("/c", "/d", IoReason::metadata).ok());
  CHECK(d.fs.status("/c").ok());
  d.disk.ignore(IoReason::metadata, IoOperation::sync_directory);
  d.create("/e");
  CHECK(d.fs.sync_directory("/", IoReason::metadata).ok());
  CHECK(d.states().size() == 2);
  SimFile file = must(d.fs.open("/c", OpenMode::read_write, why));
  d.disk.ignore(IoReason::truncate, IoOperation::truncate);
  d.disk.ignore(IoReason::append, IoOperation::write);
  CHECK(file.truncate(0, IoReason::truncate).ok());
  CHECK(write(file, 0, "x", IoReason::append).ok());
  CHECK(text_of(file) == "new");
}

TEST_CASE("Using a file after close is reported, and so is closing it again") {
  DiskFixture d;
  SimFile file = d.create("/a", "a");
  CHECK(d.disk.open_files() == std::vector<std::string>{"/a"});
  must(file.close());
  CHECK(d.disk.open_files().empty());
  CHECK(d.disk.problems().empty());
  CHECK(fault(write(file, 0, "b")) == Fault::closed);
  CHECK(fault(file.close()) == Fault::closed);
  const auto problems = d.disk.problems();
  REQUIRE(problems.size() == 2);
  CHECK(problems[0].kind == SimDiskProblem::Kind::used_closed);
  CHECK(problems[0].operation == IoOperation::write);
  CHECK(problems[0].path == "/a");
  CHECK(problems[1].kind == SimDiskProblem::Kind::closed_twice);
  CHECK(text_of(d.fs, "/a") == "a");
}

TEST_CASE("A file that is never closed is seen at the end, and a destroyed one is closed") {
  DiskFixture d;
  SimFile leaked = d.create("/leaked");
  {
    SimFile a = d.create("/a");
    SimFile b = d.create("/b");
    a = std::move(b);
    CHECK(d.disk.open_files() == std::vector<std::string>{"/leaked", "/b"});
  }
  CHECK(d.disk.open_files() == std::vector<std::string>{"/leaked"});
  CHECK(d.disk.problems().empty());
}

TEST_CASE("A dead process may end while nobody follows it; once somebody does, it is reported") {
  DiskFixture d;
  SimFile file = d.create("/a", "a");
  d.disk.crash(CrashKind::process);
  CHECK_FALSE(write(file, 0, "b").ok());
  CHECK_FALSE(d.fs.remove("/a", why).ok());
  CHECK(d.disk.problems().empty());
  SimFileSystem next = d.disk.restart();
  CHECK(outcome(write(file, 0, "b")) == Outcome::unknown);
  CHECK_FALSE(d.fs.remove("/a", why).ok());
  const auto problems = d.disk.problems();
  REQUIRE(problems.size() == 2);
  CHECK(problems[0].kind == SimDiskProblem::Kind::dead_process);
  CHECK(problems[1].operation == IoOperation::remove);
  CHECK(text_of(next, "/a") == "a");
}

TEST_CASE("The same seed gives the same run, on every compiler") {
  const auto run = [](std::uint64_t seed) {
    SimFaultRates rates;
    for (int i = 1; i <= static_cast<int>(SimFault::delay); ++i) {
      rates[static_cast<SimFault>(i)] = 30'000;
    }
    SimDisk disk({.seed = seed, .max_bytes = 20'000, .rates = rates});
    disk.crash_at(200, CrashKind::power);
    AnyFileSystem fs(disk.file_system());
    for (int i = 0; i < 300; ++i) {
      if (disk.down()) {
        fs = AnyFileSystem(disk.restart());
      }
      auto file = fs.open("/" + std::to_string(i % 7), OpenMode::create, IoReason::append);
      const std::string text(static_cast<std::size_t>(i) * 3 % 700,
                             static_cast<char>('a' + i % 26));
      const Bytes piece = as_bytes(text);
      if (file.ok()) {
        (void)file->write(i, std::span(&piece, 1), IoReason::append);
        (void)(i % 5 == 0 ? file->sync(IoReason::flush) : file->truncate(i, IoReason::truncate));
      }
      (void)fs.rename("/" + std::to_string(i % 7), "/" + std::to_string(i % 5), IoReason::other);
    }
    disk.heal();
    std::string left;
    for (const auto& [path, text] : tree(disk.restart())) {
      left += path + text;
    }
    return std::pair(disk.trace_hash(), crc32c(as_bytes(left)));
  };
  CHECK(run(1) == run(1));
  CHECK(run(1) != run(2));
  CHECK(run(1).first == 0x5511976ceb4b7ef6);
  CHECK(run(1).second == 0xabfe327c);
}
