// SPDX-License-Identifier: Apache-2.0
//
// Index files that are cut, changed, or left at full length by a killed Kafka: what is found in
// them is what is there, or the file is refused.
#include <algorithm>

#include <ottla/index/offset_index.hpp>
#include <ottla/index/time_index.hpp>
#include <ottla/index/transaction_index.hpp>

#include "tests/index/index_files.hpp"
#include "tests/support/catch.hpp"

using namespace ottla;

namespace {

const Offset base(500);

std::vector<std::byte> offset_index_file() {
  IndexFiles files;
  OffsetIndex index = OffsetIndex::open(files.open(), base).value();
  for (int i = 0; i < 12; ++i) {
    REQUIRE(index.append(base + (3 + i * 257), 5000 + i * 4321).ok());
  }
  REQUIRE(index.flush().ok());
  return files.content();
}

std::vector<std::byte> time_index_file() {
  IndexFiles files;
  TimeIndex index = TimeIndex::open(files.open(), base).value();
  for (int i = 0; i < 12; ++i) {
    REQUIRE(index.append(Timestamp(1'700'000'000'000 + i * 1009), base + (3 + i / 2 * 257)).ok());
  }
  REQUIRE(index.flush().ok());
  return files.content();
}

std::vector<std::byte> transaction_index_file() {
  IndexFiles files;
  TransactionIndex index = TransactionIndex::open(files.open(), base).value();
  for (int i = 0; i < 5; ++i) {
    REQUIRE(
        index.append({ProducerId(7 + i), base + 10 * i, base + (10 * i + 7), base + (10 * i + 3)})
            .ok());
  }
  return files.content();
}

/// The entries as they lie in the file, without the zeros at its end.
std::vector<SparseEntry> entries_of(Bytes file, std::size_t size,
                                    SparseEntry (*decode)(const std::byte*)) {
  std::vector<SparseEntry> entries;
  for (std::size_t at = 0; at + size <= file.size(); at += size) {
    entries.push_back(decode(file.data() + at));
  }
  while (entries.size() > 1 && entries.back() == SparseEntry()) {
    entries.pop_back();
  }
  if (entries.size() == 1 && entries[0] == SparseEntry() && file.size() > size) {
    entries.pop_back();
  }
  return entries;
}

/// True when the index was refused; otherwise its answers were compared with a scan of the file.
bool refused_or_right(const OffsetIndex& index, Bytes file) {
  if (!index.lookup(base).ok()) {
    CHECK(fault(index.check()) == Fault::corrupt);
    return true;
  }
  const std::vector<SparseEntry> entries = entries_of(file, 8, OffsetIndexFormat::decode);
  CHECK(index.entries() == entries.size());
  for (std::int64_t target = -1; target < 3200; target += 41) {
    OffsetPosition expected{base, 0};
    for (const SparseEntry& entry : entries) {
      expected =
          entry.first <= target ? OffsetPosition{base + entry.first, entry.second} : expected;
    }
    if (index.lookup(base + target).value() != expected) {
      FAIL_CHECK("offset " << target << " above the base is not found where it is");
    }
  }
  return false;
}

bool refused_or_right(const TimeIndex& index, Bytes file) {
  if (!index.lookup(Timestamp(0)).ok()) {
    CHECK(fault(index.check()) == Fault::corrupt);
    return true;
  }
  const std::vector<SparseEntry> entries = entries_of(file, 12, TimeIndexFormat::decode);
  CHECK(index.entries() == entries.size());
  for (std::int64_t target = 1'699'999'999'999; target < 1'700'000'013'000; target += 331) {
    TimestampOffset expected{no_timestamp, base};
    for (const SparseEntry& entry : entries) {
      expected = entry.first <= target
                     ? TimestampOffset{Timestamp(entry.first), base + entry.second}
                     : expected;
    }
    if (index.lookup(Timestamp(target)).value() != expected) {
      FAIL_CHECK("timestamp " << target << " is not found where it is");
    }
  }
  return false;
}

struct Outcomes {
  int refused = 0;
  int right = 0;
};

template <class Index>
Outcomes cut_anywhere(const std::vector<std::byte>& file, IndexLoad load) {
  Outcomes outcomes;
  for (std::size_t size = 0; size <= file.size(); ++size) {
    const Bytes cut = Bytes(file).first(size);
    IndexFiles files;
    const Index index = Index::open(files.open(cut), base, default_index_bytes, load).value();
    ++(refused_or_right(index, cut) ? outcomes.refused : outcomes.right);
  }
  return outcomes;
}

template <class Index>
Outcomes flip_each_bit(const std::vector<std::byte>& file) {
  Outcomes outcomes;
  for (std::size_t bit = 0; bit < file.size() * 8; ++bit) {
    std::vector<std::byte> changed = file;
    changed[bit / 8] ^= std::byte{1} << bit % 8;
    IndexFiles files;
    const Index index = Index::open(files.open(changed), base).value();
    ++(refused_or_right(index, changed) ? outcomes.refused : outcomes.right);
  }
  return outcomes;
}

}  // namespace

TEST_CASE("a cut index is whole entries, or refused", "[index]") {
  const Outcomes offsets = cut_anywhere<OffsetIndex>(offset_index_file(), IndexLoad::strict);
  CHECK(offsets.right == 13);
  CHECK(offsets.refused == 12 * 7);
  const Outcomes times = cut_anywhere<TimeIndex>(time_index_file(), IndexLoad::strict);
  CHECK(times.right == 13);
  CHECK(times.refused == 12 * 11);
}

TEST_CASE("after a crash the whole entries of a cut index are used", "[index]") {
  CHECK(cut_anywhere<OffsetIndex>(offset_index_file(), IndexLoad::prefix).refused == 0);
  CHECK(cut_anywhere<TimeIndex>(time_index_file(), IndexLoad::prefix).refused == 0);
}

TEST_CASE("an index with a changed bit is right, or refused", "[index]") {
  const Outcomes offsets = flip_each_bit<OffsetIndex>(offset_index_file());
  CHECK(offsets.refused > 100);
  CHECK(offsets.right > 100);
  const Outcomes times = flip_each_bit<TimeIndex>(time_index_file());
  CHECK(times.refused > 100);
  CHECK(times.right > 100);
}

TEST_CASE("after a crash the entries before a changed one are used", "[index]") {
  std::vector<std::byte> file = offset_index_file();
  file[8 * 7] = std::byte{0x80};
  IndexFiles files;
  OffsetIndex index =
      OffsetIndex::open(files.open(file), base, default_index_bytes, IndexLoad::prefix).value();
  CHECK(index.cut());
  CHECK(index.entries() == 7);
  CHECK(index.lookup(Offset(INT64_MAX)).value() ==
        OffsetPosition{base + (3 + 6 * 257), 5000 + 6 * 4321});
  REQUIRE(index.append(base + 5000, 100'000).ok());
  REQUIRE(index.flush().ok());
  CHECK(files.content().size() == 8 * 8);
}

TEST_CASE("zeros that a killed Kafka left behind the entries are dropped", "[index]") {
  std::vector<std::byte> file = offset_index_file();
  const auto length = static_cast<std::size_t>(GENERATE(13, 14, 60, 600, 5000)) * 8;
  file.resize(length);
  IndexFiles files;
  OffsetIndex index = OffsetIndex::open(files.open(file), base).value();
  CHECK_FALSE(refused_or_right(index, file));
  CHECK(index.entries() == 12);
  REQUIRE(index.append(base + 5000, 100'000).ok());
  REQUIRE(index.flush().ok());
  CHECK(files.content().size() == 13 * 8);
}

TEST_CASE("an index of zeros alone is empty", "[index]") {
  IndexFiles files;
  OffsetIndex index = OffsetIndex::open(files.open(std::vector<std::byte>(4096)), base).value();
  CHECK(index.entries() == 0);
  CHECK(index.check().ok());
  REQUIRE(index.flush().ok());
  CHECK(files.content().empty());
}

TEST_CASE("one entry of zeros is an entry", "[index]") {
  IndexFiles files;  // a batch of timestamp 0 at the base offset, and nothing else in the segment
  const TimeIndex index = TimeIndex::open(files.open(std::vector<std::byte>(12)), base).value();
  CHECK(index.last() == TimestampOffset{Timestamp(0), base});
}

TEST_CASE("a refused index is good again once it is cleared", "[index]") {
  std::vector<std::byte> file = offset_index_file();
  file.pop_back();
  IndexFiles files;
  OffsetIndex index = OffsetIndex::open(files.open(file), base).value();
  CHECK(fault(index.append(base + 5000, 100'000)) == Fault::corrupt);
  REQUIRE(index.flush().ok());
  CHECK(files.content() == file);
  REQUIRE(index.clear().ok());
  REQUIRE(index.append(base + 5, 1000).ok());
  REQUIRE(index.flush().ok());
  CHECK(files.content().size() == 8);
  CHECK(index.lookup(base + 5).value() == OffsetPosition{base + 5, 1000});
}

TEST_CASE("a transaction index that is cut or changed is right, or refused", "[index]") {
  const std::vector<std::byte> file = transaction_index_file();
  int refused = 0;
  for (std::size_t size = 0; size <= file.size(); ++size) {
    IndexFiles files;
    const auto index = TransactionIndex::open(files.open(Bytes(file).first(size)), base);
    CHECK(index.ok() == (size % AbortedTransaction::encoded_size == 0));
    if (index.ok()) {
      std::vector<AbortedTransaction> found;
      REQUIRE(index->collect(base, Offset(INT64_MAX), found).ok());
      CHECK(found.size() == size / AbortedTransaction::encoded_size);
    }
  }
  for (std::size_t bit = 0; bit < file.size() * 8; ++bit) {
    std::vector<std::byte> changed = file;
    changed[bit / 8] ^= std::byte{1} << bit % 8;
    IndexFiles files;
    const auto index = TransactionIndex::open(files.open(changed), base);
    if (!index.ok()) {
      CHECK(fault(index.status()) == Fault::corrupt);
      ++refused;
    }
  }
  CHECK(refused > 5 * 16);  // each bit of each version at least
}
