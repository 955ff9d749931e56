// SPDX-License-Identifier: Apache-2.0
#include <thread>

#include <ottla/index/transaction_index.hpp>

#include "tests/index/index_files.hpp"
#include "tests/support/catch.hpp"

using namespace ottla;

namespace {

AbortedTransaction aborted(std::int64_t first, std::int64_t last, std::int64_t stable) {
  return {ProducerId(1), Offset(first), Offset(last), Offset(stable)};
}

struct Collected {
  std::vector<std::int64_t> last_offsets;
  bool complete = false;
  bool operator==(const Collected&) const = default;
};

Collected collect(const TransactionIndex& index, std::int64_t from, std::int64_t upper_bound) {
  std::vector<AbortedTransaction> found;
  Collected answer;
  answer.complete = index.collect(Offset(from), Offset(upper_bound), found).value();
  for (const AbortedTransaction& entry : found) {
    answer.last_offsets.push_back(entry.last_offset.value());
  }
  return answer;
}

}  // namespace

TEST_CASE("the aborted transactions that overlap a range are collected", "[index]") {
  IndexFiles files;
  TransactionIndex index = TransactionIndex::open(files.open(), Offset(0)).value();
  REQUIRE(index.append(aborted(0, 10, 11)).ok());
  REQUIRE(index.append(aborted(12, 20, 15)).ok());
  REQUIRE(index.append(aborted(15, 30, 31)).ok());
  REQUIRE(index.append(aborted(40, 50, 51)).ok());

  CHECK(collect(index, 0, 100) == Collected{{10, 20, 30, 50}, false});
  CHECK(collect(index, 11, 100) == Collected{{20, 30, 50}, false});
  CHECK(collect(index, 0, 11) == Collected{{10}, true});
  CHECK(collect(index, 0, 16) == Collected{{10, 20, 30}, true});
  CHECK(collect(index, 10, 15) == Collected{{10, 20}, true});
  CHECK(collect(index, 31, 40) == Collected{{}, true});
  CHECK(collect(index, 31, 51) == Collected{{50}, true});
  CHECK(collect(index, 51, 60) == Collected{{}, false});
}

TEST_CASE("last offsets of aborted transactions ascend from the base offset", "[index]") {
  IndexFiles files;
  TransactionIndex index = TransactionIndex::open(files.open(), Offset(100)).value();
  CHECK(fault(index.append(aborted(50, 99, 100))) == Fault::invalid_argument);
  REQUIRE(index.append(aborted(50, 100, 101)).ok());
  CHECK(fault(index.append(aborted(50, 100, 101))) == Fault::invalid_argument);
  REQUIRE(index.append(aborted(50, 101, 102)).ok());
  CHECK(index.entries() == 2);
}

TEST_CASE("a transaction index is cut at the first entry that goes", "[index]") {
  IndexFiles files;
  TransactionIndex index = TransactionIndex::open(files.open(), Offset(0)).value();
  for (std::int64_t i = 1; i <= 300; ++i) {
    REQUIRE(index.append(aborted(10 * i - 5, 10 * i, 10 * i + 1)).ok());
  }
  REQUIRE(index.truncate_to(Offset(10'000)).ok());
  CHECK(index.entries() == 300);
  REQUIRE(index.truncate_to(Offset(2001)).ok());
  CHECK(index.entries() == 200);
  REQUIRE(index.truncate_to(Offset(2000)).ok());
  CHECK(index.entries() == 199);
  CHECK(files.content().size() == 199 * 34);
  REQUIRE(index.append(aborted(1, 1991, 1992)).ok());
  REQUIRE(index.truncate_to(Offset(0)).ok());
  CHECK(files.content().empty());
  REQUIRE(index.append(aborted(0, 0, 1)).ok());
  CHECK(TransactionIndex::open(files.open(), Offset(0)).value().entries() == 1);
}

TEST_CASE("an entry that cannot be written is not there", "[index]") {
  IndexFiles files;
  TransactionIndex index = TransactionIndex::open(files.open(), Offset(0)).value();
  REQUIRE(index.append(aborted(0, 10, 11)).ok());
  files.hook = [](IoCall& call) {
    if (call.operation == IoOperation::write && !call.done) {
      call.torn_at = 20;
      return error(Fault::no_space, "full", Outcome::unknown);
    }
    return absl::OkStatus();
  };
  CHECK(fault(index.append(aborted(11, 20, 21))) == Fault::no_space);
  CHECK(index.entries() == 1);
  CHECK(files.content().size() == 34);
  files.hook = [](IoCall&) { return absl::OkStatus(); };
  REQUIRE(index.append(aborted(11, 20, 21)).ok());
  CHECK(collect(index, 0, 100) == Collected{{10, 20}, false});
}

TEST_CASE("transactions are collected while one writer appends", "[index]") {
  IndexFiles files;
  TransactionIndex index = TransactionIndex::open(files.open(), Offset(0)).value();
  std::atomic<bool> done{false};
  std::atomic<int> wrong{0};
  std::thread reader([&] {
    std::vector<AbortedTransaction> found;
    while (!done.load()) {
      const std::size_t before = index.entries();
      found.clear();
      const bool ok = index.collect(Offset(0), Offset(INT64_MAX), found).ok();
      wrong.fetch_add(ok && found.size() >= before ? 0 : 1);
    }
  });
  int failed = 0;
  for (std::int64_t i = 0; i < 500; ++i) {
    failed += index.append(aborted(i, i, i + 1)).ok() ? 0 : 1;
  }
  done.store(true);
  reader.join();
  CHECK(failed == 0);
  CHECK(wrong.load() == 0);
}
