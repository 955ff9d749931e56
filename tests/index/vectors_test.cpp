// SPDX-License-Identifier: Apache-2.0
//
// The three index files of one segment with base offset 2000, byte by byte.
#include <ottla/index/offset_index.hpp>
#include <ottla/index/time_index.hpp>
#include <ottla/index/transaction_index.hpp>

#include "tests/index/index_files.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/golden.hpp"

using namespace ottla;

namespace {
const Offset base(2000);
const Timestamp start(1'700'000'000'000);
}  // namespace

TEST_CASE("an offset index file is entries of 8 bytes", "[index]") {
  const std::string hex = "0000001e000010040000003d0000206c";
  IndexFiles files;
  OffsetIndex index = OffsetIndex::open(files.open(), base).value();
  REQUIRE(index.append(Offset(2030), 4100).ok());
  REQUIRE(index.append(Offset(2061), 8300).ok());
  REQUIRE(index.flush().ok());
  CHECK(golden::to_hex(files.content()) == hex);

  const OffsetIndex read = OffsetIndex::open(files.open(golden::from_hex(hex)), base).value();
  CHECK(read.entries() == 2);
  CHECK(read.last() == OffsetPosition{Offset(2061), 8300});
  CHECK(read.lookup(Offset(2060)).value() == OffsetPosition{Offset(2030), 4100});
}

TEST_CASE("a time index file is entries of 12 bytes", "[index]") {
  const std::string hex = "0000018bcfe5681e0000001e0000018bcfe5684b0000003a";
  IndexFiles files;
  TimeIndex index = TimeIndex::open(files.open(), base).value();
  REQUIRE(index.append(start + 30, Offset(2030)).value());
  REQUIRE(index.append(start + 75, Offset(2058)).value());
  REQUIRE(index.flush().ok());
  CHECK(golden::to_hex(files.content()) == hex);

  const TimeIndex read = TimeIndex::open(files.open(golden::from_hex(hex)), base).value();
  CHECK(read.entries() == 2);
  CHECK(read.last() == TimestampOffset{start + 75, Offset(2058)});
  CHECK(read.lookup(start + 74).value() == TimestampOffset{start + 30, Offset(2030)});
}

TEST_CASE("a transaction index file is entries of 34 bytes", "[index]") {
  const std::string hex = "000000000000000003e800000000000007f8000000000000080700000000000007ee";
  const AbortedTransaction aborted{ProducerId(1000), Offset(2040), Offset(2055), Offset(2030)};
  IndexFiles files;
  TransactionIndex index = TransactionIndex::open(files.open(), base).value();
  REQUIRE(index.append(aborted).ok());
  CHECK(golden::to_hex(files.content()) == hex);

  const TransactionIndex read =
      TransactionIndex::open(files.open(golden::from_hex(hex)), base).value();
  std::vector<AbortedTransaction> found;
  REQUIRE(read.collect(base, Offset(2100), found).ok());
  CHECK(found == std::vector{aborted});
}
