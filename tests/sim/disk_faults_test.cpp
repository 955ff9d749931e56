// SPDX-License-Identifier: Apache-2.0
//
// Each fault, as a program meets it.
#include <algorithm>
#include <array>
#include <vector>

#include "disk_fixture.hpp"
#include "tests/support/catch.hpp"

using namespace ottla;
using namespace disk_test;

namespace {

using Tree = std::map<std::string, std::string>;

struct Faulty : DiskFixture {
  using DiskFixture::DiskFixture;

  /// The next call meets it.
  void next(SimFault fault, Repeat repeat = Repeat::once) {
    disk.fail_at(disk.calls() + 1, fault, repeat);
  }
  void power_cut() {
    disk.crash(CrashKind::power);
    fs = disk.restart();
  }
};

std::string pages(char letter, std::size_t sectors) { return std::string(sectors * 512, letter); }

}  // namespace

TEST_CASE("A failed sync may keep in memory what the device never gets, and succeed when retried") {
  Faulty d;
  SimFile file = d.settled("/a", "old");
  must(write(file, 0, "new"));
  d.next(SimFault::sync_keeps);
  const absl::Status failed = file.sync(why);
  CHECK(fault(failed) == Fault::io);
  CHECK(outcome(failed) == Outcome::unknown);
  CHECK(text_of(file) == "new");
  CHECK(file.sync(why).ok());
  CHECK(d.states() == std::set<Tree>{{{"/a", "old"}}});
}

TEST_CASE("After a failed sync the rest of a page goes out with it once it is written to again") {
  Faulty d;
  SimFile file = d.settled("/a", pages('a', 16));
  must(write(file, 0, "b"));
  must(write(file, 8 * 512, "b"));  // in the second page
  d.next(SimFault::sync_keeps);
  CHECK_FALSE(file.sync(why).ok());
  must(write(file, 512, "c"));
  must(file.sync(why));
  std::string expected = pages('a', 16);
  expected[0] = 'b';
  expected[512] = 'c';
  CHECK(d.states() == std::set<Tree>{{{"/a", expected}}});
}

TEST_CASE("A failed sync may take the file back to what the device holds") {
  Faulty d;
  SimFile file = d.settled("/a", "old");
  must(write(file, 0, "newer"));
  d.next(SimFault::sync_reverts);
  CHECK(fault(file.sync(why)) == Fault::io);
  CHECK(text_of(file) == "old");
  CHECK(d.states().size() == 1);
}

TEST_CASE("A failed sync may be reported by the next one only") {
  Faulty d;
  SimFile file = d.settled("/a", "old");
  must(write(file, 0, "new"));
  d.next(SimFault::sync_late);
  CHECK(file.sync(why).ok());
  CHECK(d.states() == std::set<Tree>{{{"/a", "old"}}});
  CHECK(fault(file.sync(why)) == Fault::io);
  CHECK(file.sync(why).ok());
}

TEST_CASE("A failed sync may be reported to another File of the same file") {
  Faulty d;
  SimFile file = d.settled("/a", "old");
  SimFile other = must(d.fs.open("/a", OpenMode::read_write, why));
  must(write(file, 0, "new"));
  d.next(SimFault::sync_elsewhere);
  CHECK(file.sync(why).ok());
  CHECK(file.sync(why).ok());
  CHECK(fault(other.sync(why)) == Fault::io);
  CHECK(other.sync(why).ok());
  CHECK(d.states() == std::set<Tree>{{{"/a", "old"}}});
}

TEST_CASE("A disk may be found full by a sync, and by a close") {
  Faulty d;
  SimFile file = d.settled("/a", "old");
  must(write(file, 0, "new"));
  d.next(SimFault::no_space);
  const absl::Status failed = file.sync(why);
  CHECK(fault(failed) == Fault::no_space);
  CHECK(outcome(failed) == Outcome::unknown);
  CHECK(d.states() == std::set<Tree>{{{"/a", "old"}}});
  d.next(SimFault::no_space);
  CHECK(fault(file.close()) == Fault::no_space);
  CHECK(d.disk.open_files().empty());
}

TEST_CASE("A transient error is gone with the next call") {
  Faulty d;
  SimFile file = d.create("/a", "abc");
  std::byte into[3];
  d.next(SimFault::io);
  CHECK(fault(file.read(0, into).status()) == Fault::io);
  CHECK(*file.read(0, into) == 3);
  d.next(SimFault::io);
  CHECK(fault(file.size().status()) == Fault::io);
  d.next(SimFault::io);
  CHECK(fault(d.fs.list("/").status()) == Fault::io);
  d.next(SimFault::io);
  CHECK(fault(d.fs.status("/a").status()) == Fault::io);
  d.next(SimFault::io);
  CHECK(outcome(d.fs.sync_directory("/", why)) == Outcome::unknown);
  CHECK(d.states().size() > 1);
  d.next(SimFault::io);
  CHECK(fault(d.fs.open("/b", OpenMode::create, why).status()) == Fault::io);
  CHECK(tree(d.fs) == Tree{{"/a", "abc"}});
}

TEST_CASE("A bad sector stays bad, for whoever reads it and for the sync that writes it") {
  Faulty d;
  SimFile file = d.settled("/a", pages('a', 3));
  d.disk.spoil_sector("/a", 600);
  std::vector<std::byte> into(512);
  CHECK(file.read(0, into).ok());
  for (int i = 0; i < 3; ++i) {
    CHECK(fault(file.read(512, into).status()) == Fault::io);
    CHECK(fault(file.read(1, into).status()) == Fault::io);
  }
  CHECK(file.read(1024, into).ok());
  must(write(file, 512, "b"));
  CHECK(fault(file.sync(why)) == Fault::io);
  d.power_cut();
  const SimFile again = must(d.fs.open("/a", OpenMode::read, why));
  CHECK(fault(again.read(512, into).status()) == Fault::io);
  d.disk.heal();
  CHECK(text_of(again) == pages('a', 3));
  d.next(SimFault::bad_sector);
  CHECK_FALSE(again.read(0, into).ok());
  CHECK_FALSE(again.read(0, into).ok());
}

TEST_CASE("A name change that fails may have been made") {
  std::set<Tree> seen;
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    Faulty d({.seed = seed});
    d.create("/a");
    d.next(SimFault::io);
    const absl::Status failed = d.fs.rename("/a", "/b", why);
    CHECK(fault(failed) == Fault::io);
    CHECK(outcome(failed) == Outcome::unknown);
    seen.insert(tree(d.fs));
  }
  CHECK(seen == std::set<Tree>{{{"/a", ""}}, {{"/b", ""}}});
}

TEST_CASE("A write that fails leaves nothing, or any first part") {
  std::set<std::string> seen;
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    Faulty d({.seed = seed});
    SimFile file = d.create("/a", "0");
    d.next(SimFault::io);
    CHECK(outcome(write(file, 1, "x")) == Outcome::unknown);
    CHECK(text_of(file) == "0");
    d.next(SimFault::cut_write);
    const absl::Status failed = write(file, 1, "123");
    CHECK(fault(failed) == Fault::io);
    CHECK(outcome(failed) == Outcome::unknown);
    seen.insert(text_of(file));
  }
  CHECK(seen == std::set<std::string>{"0", "01", "012"});
}

TEST_CASE("A budget of bytes ends a write where it is used up") {
  Faulty d({.max_bytes = 10});
  SimFile file = d.create("/a", "0123456");
  absl::Status full = write(file, 7, "789abc");
  CHECK(fault(full) == Fault::no_space);
  CHECK(outcome(full) == Outcome::unknown);
  CHECK(text_of(file) == "0123456789");
  full = write(file, 10, "x");
  CHECK(fault(full) == Fault::no_space);
  CHECK(outcome(full) == Outcome::not_written);
  CHECK(write(file, 0, "overwrites").ok());
  CHECK(fault(file.reserve(11, why)) == Fault::no_space);
  must(file.truncate(4, why));
  SimFile other = d.create("/b", "123456");
  CHECK_FALSE(write(other, 6, "7").ok());
  must(d.fs.remove("/a", why));
  CHECK_FALSE(write(other, 6, "7").ok());  // it is still open
  must(file.close());
  CHECK(write(other, 6, "7890").ok());
  d.disk.set_max_bytes(0);
  CHECK(write(other, 0, std::string(1000, 'x')).ok());
}

TEST_CASE("A budget of descriptors counts open files that do not rest") {
  Faulty d({.max_descriptors = 2});
  SimFile a = d.create("/a", "a");
  {
    const auto lock = d.fs.lock("/.lock");
    REQUIRE(lock.ok());
    CHECK(fault(d.fs.open("/a", OpenMode::read, why).status()) == Fault::no_descriptors);
  }
  SimFile b = d.create("/b", "b");
  CHECK(fault(d.fs.open("/c", OpenMode::create, why).status()) == Fault::no_descriptors);
  a.rest();
  SimFile c = d.create("/c2", "c");
  CHECK(fault(a.size().status()) == Fault::no_descriptors);
  must(c.close());
  CHECK(text_of(a) == "a");
  d.disk.set_max_descriptors(1);
  CHECK(fault(d.fs.open("/a", OpenMode::read, why).status()) == Fault::no_descriptors);
}

TEST_CASE("A disk that is read-only is read, and nothing changes it") {
  Faulty d;
  SimFile file = d.create("/a", "a");
  must(d.fs.create_directory("/d", why));
  const Tree before = tree(d.fs);
  d.disk.set_read_only(true);
  std::vector<absl::Status> refused = {write(file, 0, "b"),
                                       file.truncate(0, why),
                                       file.reserve(10, why),
                                       d.fs.open("/b", OpenMode::create, why).status(),
                                       d.fs.open("/a", OpenMode::read_write, why).status(),
                                       d.fs.create_directory("/e", why),
                                       d.fs.rename("/a", "/b", why),
                                       d.fs.remove("/a", why),
                                       d.fs.remove_directory("/d", why),
                                       d.fs.set_modified("/a", Timestamp(1)),
                                       d.fs.lock("/.lock").status()};
  for (const absl::Status& status : refused) {
    CHECK(fault(status) == Fault::read_only);
    CHECK(outcome(status) == Outcome::not_written);
  }
  CHECK(tree(d.fs) == before);
  d.disk.set_read_only(false);
  d.next(SimFault::denied);
  CHECK(fault(d.fs.open("/a", OpenMode::read_write, why).status()) == Fault::read_only);
}

TEST_CASE("Bits rot on the device, and are seen once memory has forgotten them") {
  Faulty d;
  SimFile file = d.settled("/a", "aaaa");
  d.disk.rot("/a", 1, std::byte{3});
  CHECK(text_of(file) == "abaa");
  must(write(file, 0, "cccc"));
  d.disk.rot("/a", 2, std::byte{3});
  CHECK(text_of(file) == "cccc");
  must(file.sync(why));
  CHECK(text_of(file) == "cccc");
  d.next(SimFault::bit_rot);
  CHECK(text_of(file) != "cccc");
}

TEST_CASE("A lost write answers ok, and only the size is there") {
  Faulty d;
  SimFile file = d.settled("/a", "old");
  d.next(SimFault::lost_write);
  CHECK(write(file, 0, "newer").ok());
  CHECK(text_of(file) == std::string("old\0\0", 5));
}

TEST_CASE("A misdirected write answers ok, and is in another sector") {
  Faulty d;
  SimFile file = d.settled("/a", pages('a', 4));
  d.next(SimFault::misdirected_write);
  CHECK(write(file, 512, pages('b', 1)).ok());
  const std::string text = text_of(file);
  CHECK(text.size() == 4 * 512);
  const std::size_t at = text.find('b');
  CHECK(at % 512 == 0);
  CHECK(at != 512);
  CHECK(std::count(text.begin(), text.end(), 'b') == 512);
}

TEST_CASE("A stale read answers what the device holds") {
  Faulty d;
  SimFile file = d.settled("/a", "old");
  must(write(file, 0, "new"));
  d.next(SimFault::stale_read);
  CHECK(text_of(file) == "old");
  CHECK(text_of(file) == "new");
}

TEST_CASE("A fault that answers ok and of which nothing comes is none, and is not counted") {
  Faulty d;
  SimFile file = d.settled("/a", "old");
  const auto fired = [&](IoOperation operation, SimFault fault) {
    return d.disk.fault_table().fired(operation, fault);
  };
  std::array<std::byte, 8> into{};
  for (const SimFault fault : {SimFault::bad_sector, SimFault::bit_rot}) {
    d.next(fault);
    CHECK(file.read(3, into).value() == 0);
    CHECK(fired(IoOperation::read, fault) == 0);
  }
  d.next(SimFault::stale_read);
  CHECK(text_of(file) == "old");
  CHECK(fired(IoOperation::read, SimFault::stale_read) == 0);
  for (const SimFault fault : {SimFault::sync_late, SimFault::sync_elsewhere}) {
    d.next(fault);
    CHECK(file.sync(why).ok());
    CHECK(file.sync(why).ok());
    CHECK(fired(IoOperation::sync, fault) == 0);
  }
  d.next(SimFault::misdirected_write);
  CHECK(write(file, 0, "new").ok());
  CHECK(text_of(file) == "new");
  CHECK(fired(IoOperation::write, SimFault::misdirected_write) == 0);
  d.next(SimFault::stale_read);
  CHECK(text_of(file) == "old");
  CHECK(fired(IoOperation::read, SimFault::stale_read) == 1);
  d.next(SimFault::sync_late);
  CHECK(file.sync(why).ok());
  CHECK(fired(IoOperation::sync, SimFault::sync_late) == 1);
  CHECK_FALSE(file.sync(why).ok());
}

TEST_CASE("Delays and hangs pass their time in the hook, without a lock") {
  std::vector<std::chrono::nanoseconds> passed;
  SimDisk* running = nullptr;
  Faulty d({.max_delay = std::chrono::seconds(3), .pass_time = [&](std::chrono::nanoseconds time) {
              passed.push_back(time);
              if (time == std::chrono::nanoseconds::max()) {
                running->crash(CrashKind::process);
              }
            }});
  running = &d.disk;
  SimFile file = d.create("/a");
  d.next(SimFault::delay);
  CHECK(write(file, 0, "late").ok());
  CHECK(text_of(file) == "late");
  REQUIRE(passed.size() == 1);
  CHECK(passed[0] <= std::chrono::seconds(3));
  d.next(SimFault::hang);
  CHECK(outcome(file.sync(why)) == Outcome::unknown);  // somebody has killed the process meanwhile
  CHECK(passed.size() == 2);
  CHECK(d.disk.down());
  CHECK(d.disk.problems().empty());
}

TEST_CASE("A call that was delayed beyond its process's end does nothing, and is no problem") {
  SimDisk* running = nullptr;
  Faulty d({.pass_time = [&](std::chrono::nanoseconds) {
    running->crash(CrashKind::process);
    running->restart();
  }});
  running = &d.disk;
  SimFile file = d.create("/a", "a");
  d.next(SimFault::delay);
  CHECK(outcome(write(file, 0, "b")) == Outcome::unknown);
  CHECK(d.disk.problems().empty());
  CHECK(text_of(d.disk.file_system(), "/a") == "a");
}

TEST_CASE("Without a hook a delay takes no time, and a hang is an error") {
  Faulty d;
  SimFile file = d.create("/a");
  d.next(SimFault::delay);
  CHECK(write(file, 0, "late").ok());
  d.next(SimFault::hang);
  const absl::Status hung = write(file, 0, "never");
  CHECK(fault(hung) == Fault::io);
  CHECK(outcome(hung) == Outcome::unknown);
  CHECK(text_of(file) == "late");
}
