// SPDX-License-Identifier: Apache-2.0
//
// Entries in memory and in the file: when they move, what a failing file does to them.
#include <thread>

#include <ottla/index/offset_index.hpp>
#include <ottla/index/time_index.hpp>

#include "tests/index/index_files.hpp"
#include "tests/support/catch.hpp"

using namespace ottla;

namespace {

/// Entry `i` of the tests' indexes: offsets 10 apart, positions 100.
Offset offset(std::size_t i) { return Offset(static_cast<std::int64_t>(10 * i + 9)); }
std::int32_t position(std::size_t i) { return static_cast<std::int32_t>(100 * i + 50); }

OffsetIndex index_of(IndexFiles& files, std::size_t entries) {
  OffsetIndex index = OffsetIndex::open(files.open(), Offset(0)).value();
  for (std::size_t i = 0; i < entries; ++i) {
    REQUIRE(index.append(offset(i), position(i)).ok());
  }
  return index;
}

void check_all(const OffsetIndex& index, std::size_t entries) {
  REQUIRE(index.entries() == entries);
  for (std::size_t i = 0; i < entries; ++i) {
    REQUIRE(index.lookup(offset(i)).value() == OffsetPosition{offset(i), position(i)});
    REQUIRE(
        index.lookup(offset(i) - 1).value() ==
        (i == 0 ? OffsetPosition{Offset(0), 0} : OffsetPosition{offset(i - 1), position(i - 1)}));
    REQUIRE(index.upper_bound(0, position(i)).value() == OffsetPosition{offset(i), position(i)});
  }
  CHECK(index.upper_bound(0, INT64_MAX).value() == std::nullopt);
}

}  // namespace

TEST_CASE("entries are written 512 at a time", "[index]") {
  IndexFiles files;
  std::vector<std::size_t> writes;
  files.hook = [&](IoCall& call) {
    if (call.operation == IoOperation::write && call.done) {
      writes.push_back(call.bytes);
      CHECK(call.reason == IoReason::index_append);
    }
    return absl::OkStatus();
  };
  OffsetIndex index = index_of(files, 1500);
  CHECK(writes == std::vector<std::size_t>{4096, 4096});
  CHECK(index.unwritten() == 1500 - 1024);
  REQUIRE(index.flush().ok());
  REQUIRE(index.flush().ok());
  CHECK(writes == std::vector<std::size_t>{4096, 4096, 476 * 8});
  check_all(OffsetIndex::open(files.open(), Offset(0)).value(), 1500);
}

TEST_CASE("every entry is found, wherever it lies", "[index]") {
  const std::size_t entries = GENERATE(as<std::size_t>(), 0, 1, 7, 8, 9, 31, 32, 33, 127, 128, 129,
                                       511, 512, 513, 1023, 1024, 1025, 1600);
  IndexFiles files;
  OffsetIndex index = index_of(files, entries);
  check_all(index, entries);
  REQUIRE(index.flush().ok());
  check_all(index, entries);
}

TEST_CASE("a cut index goes on from where it was cut", "[index]") {
  const std::size_t kept =
      GENERATE(as<std::size_t>(), 0, 1, 300, 511, 512, 700, 1023, 1024, 1100, 1199);
  IndexFiles files;
  OffsetIndex index = index_of(files, 1200);
  REQUIRE(index.truncate_to(offset(kept)).ok());
  check_all(index, kept);
  for (std::size_t i = kept; i < 1300; ++i) {
    REQUIRE(index.append(offset(i), position(i)).ok());
  }
  check_all(index, 1300);
  REQUIRE(index.flush().ok());
  check_all(OffsetIndex::open(files.open(), Offset(0)).value(), 1300);
}

TEST_CASE("a group that cannot be written stays in memory", "[index]") {
  IndexFiles files;
  OffsetIndex index = index_of(files, 512);
  files.hook = [](IoCall& call) {
    if (call.operation == IoOperation::write && !call.done) {
      call.torn_at = 1001;
      return error(Fault::no_space, "full", Outcome::unknown);
    }
    return absl::OkStatus();
  };
  CHECK(fault(index.append(offset(512), position(512))) == Fault::no_space);
  CHECK(fault(index.flush()) == Fault::no_space);
  check_all(index, 512);
  files.hook = [](IoCall&) { return absl::OkStatus(); };
  REQUIRE(index.append(offset(512), position(512)).ok());
  check_all(index, 513);
  CHECK(files.content().size() == 4096);
}

TEST_CASE("what a failed write left behind the entries is cut off", "[index]") {
  IndexFiles files;
  OffsetIndex index = index_of(files, 512);
  files.hook = [](IoCall& call) {
    if (call.operation == IoOperation::write && !call.done) {
      call.torn_at = 4000;
      return error(Fault::io, "no", Outcome::unknown);
    }
    return absl::OkStatus();
  };
  CHECK_FALSE(index.flush().ok());
  files.hook = [](IoCall&) { return absl::OkStatus(); };
  REQUIRE(index.truncate_to(offset(3)).ok());
  REQUIRE(index.flush().ok());
  CHECK(files.content().size() == 24);
}

TEST_CASE("no entry is added that may not follow", "[index]") {
  IndexFiles files;
  OffsetIndex offsets = index_of(files, 3);
  CHECK(fault(offsets.append(offset(2), position(3))) == Fault::invalid_argument);
  CHECK(fault(offsets.append(offset(3), position(2))) == Fault::invalid_argument);
  CHECK(fault(offsets.append(Offset(-1), position(3))) == Fault::invalid_argument);
  CHECK(fault(offsets.append(Offset(std::int64_t{INT32_MAX} + 1), position(3))) ==
        Fault::invalid_argument);
  check_all(offsets, 3);

  CHECK(fault(OffsetIndex::open(files.open("/x"), Offset(-1)).status()) == Fault::invalid_argument);
  CHECK(fault(TimeIndex::open(files.open("/x"), Offset(INT64_MAX)).status()) ==
        Fault::invalid_argument);
}

TEST_CASE("the errors of the file are answered", "[index]") {
  IndexFiles files;
  REQUIRE(index_of(files, 600).flush().ok());
  AnyFile unreadable = files.open();
  OffsetIndex index = OffsetIndex::open(files.open(), Offset(0)).value();
  files.hook = [](IoCall&) { return error(Fault::io, "the device failed"); };
  CHECK(fault(index.lookup(Offset(5)).status()) == Fault::io);
  CHECK(fault(index.truncate_to(Offset(5))) == Fault::io);
  CHECK(fault(OffsetIndex::open(std::move(unreadable), Offset(0)).status()) == Fault::io);
  files.hook = [](IoCall&) { return absl::OkStatus(); };
  check_all(index, 600);  // nothing was remembered of the failure
}

TEST_CASE("a reader whose entries moved to the file meanwhile looks again", "[index]") {
  using Entries = BasicSparseIndex<AnyFile, OffsetIndexFormat>;
  IndexFiles files;
  Entries entries = Entries::open(files.open()).value();
  std::int32_t next = 0;
  const auto append = [&](std::int32_t count) {
    for (const std::int32_t end = next + count; next < end; ++next) {
      REQUIRE(entries.append({next, 10 * next + 1}).ok());
    }
  };
  append(300);
  const std::int64_t target = GENERATE(0, 150, 299);
  int looked = 0;
  const auto lies_before = [&](const SparseEntry& entry) {
    if (looked++ == 0) append(1000);  // a writer that is faster than this reader
    return entry.first < target;
  };
  const auto found = entries.search(lies_before).value();
  CHECK(found.after == SparseEntry{target, static_cast<std::int32_t>(10 * target + 1)});
  CHECK(found.index == static_cast<std::size_t>(target));
  CHECK(found.before.has_value() == (target > 0));
}

TEST_CASE("readers find every entry while one writer appends", "[index]") {
  IndexFiles files;
  OffsetIndex index = OffsetIndex::open(files.open(), Offset(0)).value();
  constexpr std::size_t entries = 40'000;
  std::atomic<bool> done{false};
  std::atomic<std::size_t> wrong{0};
  const auto read = [&](std::size_t seed) {
    for (std::size_t turn = seed; !done.load() || turn < seed + 100; ++turn) {
      const std::size_t seen = index.entries();
      if (seen == 0) {
        continue;
      }
      // Near the end, where entries move from memory to the file, and anywhere.
      const std::size_t i =
          turn % 2 == 0 ? seen - 1 - turn % std::min<std::size_t>(seen, 600) : turn * 7919 % seen;
      const auto found = index.lookup(offset(i));
      const auto bound = index.upper_bound(0, position(i));
      if (!found.ok() || *found != OffsetPosition{offset(i), position(i)} || !bound.ok() ||
          *bound != OffsetPosition{offset(i), position(i)}) {
        wrong.fetch_add(1);
      }
    }
  };
  std::thread readers[] = {std::thread(read, 1), std::thread(read, 2)};
  std::size_t failed = 0;
  for (std::size_t i = 0; i < entries; ++i) {
    failed += std::size_t{!index.append(offset(i), position(i)).ok()};
  }
  done.store(true);
  for (std::thread& reader : readers) {
    reader.join();
  }
  CHECK(failed == 0);
  CHECK(wrong.load() == 0);
}
