// SPDX-License-Identifier: Apache-2.0
//
// What crashes leave, counted by hand.
#include "disk_fixture.hpp"
#include "tests/support/catch.hpp"

using namespace ottla;
using namespace disk_test;

namespace {

using Tree = std::map<std::string, std::string>;

const std::string zeros(512, '\0');

SimDiskOptions in_mode(DiskMode mode) { return {.crash = {.mode = mode}}; }
SimDiskOptions plain() { return {.crash = {.torn = false, .garbage = false}}; }

}  // namespace

TEST_CASE("A sector that was not synced is kept, dropped, torn or garbage") {
  DiskFixture d;
  SimFile file = d.settled("/a", std::string(512, 'a'));
  must(write(file, 0, std::string(512, 'b')));
  const auto states = d.states();
  REQUIRE(states.size() == 4);
  int torn = 0;
  int garbage = 0;
  for (const Tree& state : states) {
    const std::string& text = state.at("/a");
    REQUIRE(text.size() == 512);
    const std::size_t old = text.find_first_not_of('b');
    const bool is_torn = old != 0 && old != std::string::npos &&
                         text.find_first_not_of('a', old) == std::string::npos;
    torn += is_torn ? 1 : 0;
    garbage += !is_torn && text != std::string(512, 'a') && text != std::string(512, 'b') ? 1 : 0;
  }
  CHECK(states.contains({{"/a", std::string(512, 'a')}}));
  CHECK(states.contains({{"/a", std::string(512, 'b')}}));
  CHECK(torn == 1);
  CHECK(garbage == 1);
}

TEST_CASE("Sectors are on their own") {
  DiskFixture d;
  SimFile file = d.settled("/a", std::string(1024, 'a'));
  must(write(file, 0, std::string(1024, 'b')));
  CHECK(d.states().size() == 4 * 4);
}

TEST_CASE("Bytes that were not written are never harmed") {
  DiskFixture d;
  SimFile file = d.settled("/a", std::string(512, 'a'));
  must(write(file, 100, std::string(50, 'b')));
  const auto states = d.states();
  CHECK(states.size() == 4);
  for (const Tree& state : states) {
    const std::string& text = state.at("/a");
    CHECK(text.substr(0, 100) == std::string(100, 'a'));
    CHECK(text.substr(150) == std::string(362, 'a'));
  }
}

TEST_CASE("Each version of a sector may be the one on the device") {
  DiskFixture d(plain());
  SimFile file = d.settled("/a", "one");
  must(write(file, 0, "two"));
  must(write(file, 0, "six"));
  CHECK(d.states() == std::set<Tree>{{{"/a", "one"}}, {{"/a", "two"}}, {{"/a", "six"}}});
}

TEST_CASE("A size lies: it may be there without its data, and data without its size") {
  DiskFixture d(plain());
  SimFile file = d.settled("/a");
  must(write(file, 0, "abc"));
  CHECK(d.states() ==
        std::set<Tree>{{{"/a", ""}}, {{"/a", "abc"}}, {{"/a", std::string(3, '\0')}}});
}

TEST_CASE("Appends to one sector leave a state for each size and version that can be told apart") {
  const auto appended = [](SimDiskOptions options) {
    DiskFixture d(std::move(options));
    SimFile file = d.settled("/a");
    must(write(file, 0, std::string(50, 'a')));
    must(write(file, 50, std::string(50, 'b')));
    return d.states().size();
  };
  CHECK(appended(plain()) == 1 + 2 + 3);
  CHECK(appended({}) == 1 + (2 + 2) + (3 + 2));
}

TEST_CASE("A cut is pending as everything else") {
  DiskFixture d;
  SimFile file = d.settled("/a", std::string(1000, 'a'));
  must(file.truncate(100, why));
  // At the old size both sectors may have been zeroed behind the cut, or torn, or be garbage.
  const auto states = d.states();
  CHECK(states.size() == 4 * 4 + 1);
  CHECK(states.contains({{"/a", std::string(1000, 'a')}}));
  CHECK(states.contains({{"/a", std::string(100, 'a')}}));
}

TEST_CASE("A sync makes data and size durable, and not the name") {
  DiskFixture d;
  SimFile file = d.create("/a", std::string(2000, 'a'));
  must(file.sync(why));
  CHECK(d.states() == std::set<Tree>{{}, {{"/a", std::string(2000, 'a')}}});
  must(d.fs.sync_directory("/", why));
  CHECK(d.states() == std::set<Tree>{{{"/a", std::string(2000, 'a')}}});
}

TEST_CASE("A sync of a directory makes its names durable, and not what they name") {
  DiskFixture d;
  SimFile file = d.create("/a", "abc");
  CHECK(d.states().size() == 1 + 1 + 4);
  must(d.fs.sync_directory("/", why));
  CHECK(d.states().size() == 1 + 4);
  must(d.fs.create_directory("/d", why));
  SimFile other = d.create("/d/f");
  must(file.sync(why));
  CHECK(d.states() == std::set<Tree>{{{"/a", "abc"}},
                                     {{"/a", "abc"}, {"/d/", ""}},
                                     {{"/a", "abc"}, {"/d/", ""}, {"/d/f", ""}}});
  must(d.fs.sync_directory("/", why));
  CHECK(d.states().size() == 2);
}

TEST_CASE("Names that were not synced are kept or not, each on its own") {
  DiskFixture d;
  d.create("/a");
  d.create("/b");
  d.create("/c");
  CHECK(d.states().size() == 8);
}

TEST_CASE("A rename is there or not, and never both names nor none") {
  DiskFixture d;
  d.settled("/a", "old");
  d.settled("/a.tmp", "new");
  must(d.fs.rename("/a.tmp", "/a", why));
  CHECK(tree(d.fs) == Tree{{"/a", "new"}});
  CHECK(d.states() == std::set<Tree>{{{"/a", "old"}, {"/a.tmp", "new"}}, {{"/a", "new"}}});
}

TEST_CASE("A rename overtakes the creation of its file and the sync of its data") {
  DiskFixture d(plain());
  d.settled("/a", "old");
  d.create("/a.tmp", "new");
  must(d.fs.rename("/a.tmp", "/a", why));
  const auto states = d.states();
  CHECK(states.contains({{"/a", ""}}));
  CHECK(states.contains({{"/a", std::string(3, '\0')}}));
  CHECK(states.contains({{"/a", "new"}}));
  CHECK(states.contains({{"/a", "old"}}));
  CHECK(states.contains({{"/a", "old"}, {"/a.tmp", "new"}}));
  CHECK(states.size() == 3 + 1 + 3);
}

TEST_CASE("A rename from one directory to another is an entry of each") {
  DiskFixture d;
  must(d.fs.create_directory("/x", why));
  must(d.fs.create_directory("/y", why));
  must(d.fs.sync_directory("/", why));
  d.settled("/x/f", "f");
  must(d.fs.rename("/x/f", "/y/f", why));
  CHECK(d.states().size() == 4);
  must(d.fs.sync_directory("/y", why));
  CHECK(d.states().size() == 2);
  must(d.fs.sync_directory("/x", why));
  CHECK(d.states() == std::set<Tree>{{{"/x/", ""}, {"/y/", ""}, {"/y/f", "f"}}});
}

TEST_CASE("A directory that two names lead to is reached by one") {
  DiskFixture d;
  for (const char* path : {"/x", "/y", "/y/z"}) {
    must(d.fs.create_directory(path, why));
  }
  must(d.fs.sync_directory("/", why));
  must(d.fs.sync_directory("/y", why));
  must(d.fs.rename("/y", "/x/y", why));
  must(d.fs.rename("/x/y/z", "/z", why));
  must(d.fs.rename("/x", "/z/x", why));
  for (const Tree& state : d.states()) {
    CHECK(state.size() <= 3);
  }
}

TEST_CASE("A removed file may come back") {
  DiskFixture d;
  d.settled("/a", "a");
  must(d.fs.remove("/a", why));
  CHECK(d.states() == std::set<Tree>{{}, {{"/a", "a"}}});
  must(d.fs.sync_directory("/", why));
  CHECK(d.states() == std::set<Tree>{{}});
}

TEST_CASE("All states are visited up to the limit, and beyond it a sample is") {
  DiskFixture d;
  SimFile file = d.settled("/a", std::string(7 * 512, 'a'));
  must(write(file, 0, std::string(6 * 512, 'b')));
  CHECK(d.states().size() == 4096);
  must(write(file, 6 * 512, "b"));
  std::set<std::string> seen;
  const auto sample = [&](std::uint64_t limit) {
    seen.clear();
    return d.disk.for_each_durable_state(
        limit, [&](SimDisk& state) { seen.insert(text_of(state.file_system(), "/a")); });
  };
  const DurableStateCount few = sample(300);
  CHECK_FALSE(few.all);
  CHECK(few.visited == 300);
  CHECK(seen.size() > 50);
  CHECK(seen.contains(std::string(7 * 512, 'a')));
  CHECK(seen.contains(std::string(6 * 512, 'b') + "b" + std::string(511, 'a')));
  const auto first = seen;
  sample(300);
  CHECK(seen == first);
  CHECK(sample(3 * 4096).all);  // a single byte is kept, dropped or garbage
  CHECK(seen.size() == 3 * 4096);
}

TEST_CASE("ext4: names come in order, and all of them with any sync") {
  DiskFixture d(in_mode(DiskMode::ext4_ordered));
  d.create("/a");
  SimFile b = d.create("/b");
  must(d.fs.rename("/a", "/c", why));
  CHECK(d.states() ==
        std::set<Tree>{{}, {{"/a", ""}}, {{"/a", ""}, {"/b", ""}}, {{"/b", ""}, {"/c", ""}}});
  must(b.sync(why));
  CHECK(d.states() == std::set<Tree>{{{"/b", ""}, {"/c", ""}}});
}

TEST_CASE("ext4: a size brings the data of new pages, but not of the page that was there") {
  DiskFixture d(in_mode(DiskMode::ext4_ordered));
  SimFile a = d.settled("/a");
  must(write(a, 0, std::string(1000, 'a')));
  CHECK(d.states() == std::set<Tree>{{{"/a", ""}}, {{"/a", std::string(1000, 'a')}}});
  must(a.sync(why));
  must(write(a, 1000, std::string(10, 'b')));
  const auto states = d.states();
  CHECK(states.contains({{"/a", std::string(1000, 'a') + std::string(10, '\0')}}));
  CHECK(states.size() == 1 + 3);  // without the size; dropped, kept, torn
}

TEST_CASE("xfs: a size brings all data that it makes visible") {
  DiskFixture d(in_mode(DiskMode::xfs));
  SimFile a = d.settled("/a", std::string(1000, 'a'));
  must(write(a, 1000, std::string(10, 'b')));
  CHECK(d.states() == std::set<Tree>{{{"/a", std::string(1000, 'a')}},
                                     {{"/a", std::string(1000, 'a') + std::string(10, 'b')}}});
}

TEST_CASE(
    "What replaces a file without a sync is whole in ext4 and btrfs, and may be empty in xfs") {
  for (const DiskMode mode : {DiskMode::ext4_ordered, DiskMode::btrfs, DiskMode::xfs}) {
    DiskFixture d(in_mode(mode));
    d.settled("/a", "old");
    d.create("/a.tmp", "new");
    must(d.fs.rename("/a.tmp", "/a", why));
    must(d.fs.sync_directory("/", why));
    std::set<std::string> left;
    for (const Tree& state : d.states()) {
      left.insert(state.at("/a"));
    }
    CHECK(left == (mode == DiskMode::xfs ? std::set<std::string>{"", "new"}
                                         : std::set<std::string>{"new"}));
  }
}

TEST_CASE("btrfs: the disk is as it was after one change or another") {
  DiskFixture d(in_mode(DiskMode::btrfs));
  SimFile a = d.create("/a", "1");
  must(write(a, 0, "2"));
  SimFile b = d.create("/b");
  CHECK(d.states() ==
        std::set<Tree>{{}, {{"/a", ""}}, {{"/a", "1"}}, {{"/a", "2"}}, {{"/a", "2"}, {"/b", ""}}});
  must(write(b, 0, "b"));
  must(a.sync(why));
  for (const Tree& state : d.states()) {
    CHECK(state.at("/a") == "2");
  }
}

TEST_CASE(
    "After a power cut the disk is in one of its states, and everything from before is dead") {
  std::set<std::string> seen;
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    DiskFixture d({.seed = seed});
    SimFile file = d.settled("/a", "old");
    const std::string boot = must(d.fs.volume("/")).boot_id;
    must(write(file, 0, "new"));
    const auto states = d.states();
    d.disk.crash(CrashKind::power);
    CHECK(d.disk.down());
    CHECK(d.states() == states);
    CHECK(fault(file.sync(why)) == Fault::io);
    CHECK(outcome(write(file, 0, "x")) == Outcome::unknown);
    CHECK_FALSE(d.fs.list("/").ok());
    CHECK(d.disk.problems().empty());
    SimFileSystem after = d.disk.restart();
    CHECK(states.contains(tree(after)));
    CHECK(must(after.volume("/")).boot_id != boot);
    seen.insert(text_of(after, "/a"));
    CHECK_FALSE(file.size().ok());
    CHECK(d.disk.problems().size() == 1);
    DiskFixture left;
    left.disk = std::move(d.disk);
    CHECK(left.states().size() == 1);
  }
  CHECK(seen.contains("old"));
  CHECK(seen.contains("new"));
  CHECK(seen.size() > 3);
}

TEST_CASE("A process that dies leaves what it wrote, still without a sync") {
  DiskFixture d(plain());
  SimFile file = d.settled("/a", "old");
  const VolumeId volume = must(d.fs.volume("/"));
  must(write(file, 0, "new"));
  d.create("/b");
  d.disk.crash(CrashKind::process);
  d.fs = d.disk.restart();
  CHECK(tree(d.fs) == Tree{{"/a", "new"}, {"/b", ""}});
  CHECK(must(d.fs.volume("/")) == volume);
  CHECK(d.states().size() == 2 * 2);
}

TEST_CASE("A write under way when the process dies is cut at any byte") {
  std::set<std::string> seen;
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    DiskFixture d({.seed = seed});
    SimFile file = d.create("/a", "0");
    d.disk.crash_at(d.disk.calls() + 1, CrashKind::process);
    CHECK(outcome(write(file, 1, "123")) == Outcome::unknown);
    CHECK(d.disk.down());
    seen.insert(text_of(d.disk.restart(), "/a"));
  }
  CHECK(seen == std::set<std::string>{"0", "01", "012", "0123"});
}

TEST_CASE("A name change under way when the process dies is made or not") {
  std::set<Tree> seen;
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    DiskFixture d({.seed = seed});
    d.create("/a");
    d.disk.crash_at(d.disk.calls() + 1, CrashKind::process);
    CHECK(outcome(d.fs.rename("/a", "/b", why)) == Outcome::unknown);
    seen.insert(tree(d.disk.restart()));
  }
  CHECK(seen == std::set<Tree>{{{"/a", ""}}, {{"/b", ""}}});
}

TEST_CASE("A sync that is cut off has made nothing certain") {
  DiskFixture d(plain());
  SimFile file = d.settled("/a", "old");
  must(write(file, 0, "new"));
  d.disk.crash_at(d.disk.calls() + 1, CrashKind::power);
  CHECK(outcome(file.sync(why)) == Outcome::unknown);
  CHECK(d.states() == std::set<Tree>{{{"/a", "old"}}, {{"/a", "new"}}});
}

TEST_CASE("A lock ends with its process") {
  DiskFixture d;
  const auto lock = d.fs.lock("/.lock");
  REQUIRE(lock.ok());
  CHECK(fault(d.fs.lock("/.lock").status()) == Fault::locked);
  d.disk.crash(CrashKind::process);
  d.fs = d.disk.restart();
  CHECK(d.fs.lock("/.lock").ok());
}

TEST_CASE("What was not synced for long reaches the device all the same, in order") {
  DiskFixture d(plain());
  SimFile file = d.settled("/a");
  for (int i = 0; i < 10'000; ++i) {
    must(write(file, i * 512, std::string(512, static_cast<char>('a' + i % 26))));
  }
  d.disk.crash(CrashKind::power);
  d.fs = d.disk.restart();
  CHECK(must(d.fs.status("/a")).size >= 1'000'000);
  CHECK(text_of(d.fs, "/a").substr(512, 512) == std::string(512, 'b'));
}
