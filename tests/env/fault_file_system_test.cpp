// SPDX-License-Identifier: Apache-2.0
#include <vector>

#include <ottla/env/fault_file_system.hpp>
#include <ottla/env/memory/file_system.hpp>
#include <ottla/env/small_file.hpp>

#include "tests/support/catch.hpp"

using namespace ottla;

namespace {

absl::Status replace(auto& fs, std::string_view text, Durability durability) {
  return replace_small_file(fs, "/d/checkpoint", as_bytes(text), durability, IoReason::checkpoint);
}

MemoryFileSystem with_directory() {
  MemoryFileSystem fs;
  REQUIRE(fs.create_directory("/d", IoReason::other).ok());
  return fs;
}

}  // namespace

TEST_CASE("a hook sees each call before and after, with its reason and path", "[env]") {
  MemoryFileSystem memory = with_directory();
  std::vector<std::string> calls;
  FaultFileSystem fs(memory, [&](IoCall& call) {
    calls.push_back(std::string(name(call.operation)) +
                    (call.done ? (call.result.ok() ? " ok" : " failed") : "") + ' ' +
                    std::string(name(call.reason)) + ' ' + std::string(call.path) + ' ' +
                    std::to_string(call.bytes));
    return absl::OkStatus();
  });
  auto file = fs.open("/d/f", OpenMode::create, IoReason::roll);
  REQUIRE(file.ok());
  const Bytes pieces[] = {as_bytes("ab"), as_bytes("cde")};
  REQUIRE(file->write(0, pieces, IoReason::append).ok());
  REQUIRE_FALSE(fs.open("/d/f", OpenMode::create_new, IoReason::seal).ok());
  CHECK(calls == std::vector<std::string>{"open roll /d/f 0", "open ok roll /d/f 0",
                                          "write append /d/f 5", "write ok append /d/f 5",
                                          "open seal /d/f 0", "open failed seal /d/f 0"});
}

TEST_CASE("a hook fails a call in its place, or after it happened", "[env]") {
  MemoryFileSystem memory = with_directory();
  bool after = false;
  FaultFileSystem fs(memory, [&](IoCall& call) {
    const bool hit = call.operation == IoOperation::rename && call.done == after;
    return hit ? error(Fault::io, "no", Outcome::unknown) : absl::OkStatus();
  });
  REQUIRE(memory.open("/a", OpenMode::create, IoReason::other).ok());
  CHECK(fault(fs.rename("/a", "/b", IoReason::other)) == Fault::io);
  CHECK(memory.status("/a").ok());
  after = true;
  CHECK(fault(fs.rename("/a", "/b", IoReason::other)) == Fault::io);
  CHECK(memory.status("/b").ok());
}

TEST_CASE("a hook tears a write", "[env]") {
  MemoryFileSystem memory = with_directory();
  FaultFileSystem fs(memory, [&](IoCall& call) {
    if (call.operation != IoOperation::write || call.done) {
      return absl::OkStatus();
    }
    call.torn_at = 3;
    return error(Fault::io, "torn", Outcome::unknown);
  });
  auto file = fs.open("/d/f", OpenMode::create, IoReason::other);
  const Bytes pieces[] = {as_bytes("ab"), as_bytes("cde"), as_bytes("f")};
  CHECK(fault(file->write(0, pieces, IoReason::other)) == Fault::io);
  CHECK(*read_small_file(memory, "/d/f", 100) == "abc");
}

TEST_CASE("a small file is replaced whole", "[env]") {
  MemoryFileSystem fs = with_directory();
  CHECK(fault(read_small_file(fs, "/d/checkpoint", 100).status()) == Fault::not_found);
  for (const Durability durability : {Durability::written, Durability::durable}) {
    REQUIRE(replace(fs, "a longer text", durability).ok());
    CHECK(*read_small_file(fs, "/d/checkpoint", 13) == "a longer text");
    REQUIRE(replace(fs, "short", durability).ok());
    CHECK(*read_small_file(fs, "/d/checkpoint", 100) == "short");
  }
  CHECK(fs.list("/d")->size() == 1);
  CHECK(fault(read_small_file(fs, "/d/checkpoint", 4).status()) == Fault::limit_reached);
}

TEST_CASE("what a crash left of a small file is overwritten", "[env]") {
  MemoryFileSystem fs = with_directory();
  {
    auto left = fs.open("/d/checkpoint.tmp", OpenMode::create, IoReason::other);
    const Bytes text = as_bytes("left over from before");
    REQUIRE(left->write(0, std::span(&text, 1), IoReason::other).ok());
  }
  REQUIRE(replace(fs, "new", Durability::durable).ok());
  CHECK(*read_small_file(fs, "/d/checkpoint", 100) == "new");
  CHECK(fs.list("/d")->size() == 1);
}

TEST_CASE("a replacement that fails at any call leaves the old content or the new", "[env]") {
  int calls = 0;
  for (int failing = 0; failing <= calls; ++failing) {
    MemoryFileSystem memory = with_directory();
    REQUIRE(replace(memory, "old", Durability::durable).ok());
    int at = 0;
    FaultFileSystem fs(memory, [&](IoCall&) {
      return at++ == failing ? error(Fault::no_space, "full") : absl::OkStatus();
    });
    const absl::Status replaced = replace(fs, "new", Durability::durable);
    calls = std::max(calls, at);
    CHECK(replaced.ok() == (failing >= at));
    const std::string content = *read_small_file(memory, "/d/checkpoint", 100);
    CHECK((content == "new" || (content == "old" && !replaced.ok())));
    CHECK(memory.list("/d")->size() == 1);
  }
  CHECK(calls > 12);
}

TEST_CASE("a replacement that finds room for half of it leaves the old content alone", "[env]") {
  MemoryFileSystem memory = with_directory();
  REQUIRE(replace(memory, "old", Durability::durable).ok());
  FaultFileSystem fs(memory, [&](IoCall& call) {
    if (call.operation != IoOperation::write || call.done) {
      return absl::OkStatus();
    }
    call.torn_at = 2;
    return error(Fault::no_space, "full", Outcome::unknown);
  });
  const absl::Status replaced = replace(fs, "longer", Durability::durable);
  CHECK(fault(replaced) == Fault::no_space);
  CHECK(outcome(replaced) == Outcome::not_written);
  CHECK(*read_small_file(memory, "/d/checkpoint", 100) == "old");
  CHECK(memory.list("/d")->size() == 1);
}

TEST_CASE("whatever fails once the new content has the name, its outcome is unknown", "[env]") {
  MemoryFileSystem memory = with_directory();
  FaultFileSystem fs(memory, [&](IoCall& call) {
    return call.operation == IoOperation::sync_directory
               ? error(Fault::no_descriptors, "no descriptor is left")
               : absl::OkStatus();
  });
  const absl::Status replaced = replace(fs, "new", Durability::durable);
  CHECK(fault(replaced) == Fault::no_descriptors);
  CHECK(outcome(replaced) == Outcome::unknown);
  CHECK(*read_small_file(memory, "/d/checkpoint", 100) == "new");
}

TEST_CASE("after a device failed, a replacement touches nothing more", "[env]") {
  MemoryFileSystem memory = with_directory();
  bool failed = false;
  int calls_after = 0;
  FaultFileSystem fs(memory, [&](IoCall& call) {
    calls_after += failed;
    if (call.operation == IoOperation::sync) {
      failed = true;
      return error(Fault::io, "the device failed", Outcome::unknown);
    }
    return absl::OkStatus();
  });
  CHECK(outcome(replace(fs, "new", Durability::durable)) == Outcome::unknown);
  CHECK(failed);
  CHECK(calls_after == 0);
}

TEST_CASE("syncs of a small file come before what depends on them, and only when asked", "[env]") {
  MemoryFileSystem memory = with_directory();
  std::string order;
  FaultFileSystem fs(memory, [&](IoCall& call) {
    if (!call.done) {
      order += call.operation == IoOperation::write            ? "write "
               : call.operation == IoOperation::sync           ? "sync "
               : call.operation == IoOperation::rename         ? "rename "
               : call.operation == IoOperation::sync_directory ? "directory "
                                                               : "";
    }
    return absl::OkStatus();
  });
  REQUIRE(replace(fs, "a", Durability::durable).ok());
  CHECK(order == "write sync rename directory ");
  order.clear();
  REQUIRE(replace(fs, "b", Durability::written).ok());
  CHECK(order == "write rename ");
}
