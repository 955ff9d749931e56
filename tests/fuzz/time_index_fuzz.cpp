// SPDX-License-Identifier: Apache-2.0
//
// A time index: a byte (odd: opened as after a crash), then the file. Look-ups are those of a scan
// over the entries, or the file is refused.
#include <ottla/index/time_index.hpp>

#include "sparse_entries.hpp"

using namespace ottla;

namespace {

constexpr Offset base{1'000'000'000'000};

TimestampOffset of(const SparseEntry& entry) {
  return {Timestamp(entry.first), base + entry.second};
}

void check_lookups(const TimeIndex& index, const std::vector<SparseEntry>& entries) {
  std::vector<std::int64_t> times = {-1, 0, INT64_MAX};
  std::vector<std::int64_t> offsets = {-1, 0, INT32_MAX};
  for (std::size_t i = 0; i < entries.size() && i < 40; ++i) {
    times.push_back(entries[i].first);
    times.push_back(entries[i].first - 1);
    offsets.push_back(entries[i].second);
    offsets.push_back(std::int64_t{entries[i].second} - 1);
  }
  const TimestampOffset none{no_timestamp, base};
  for (const std::int64_t target : times) {
    TimestampOffset expected = none;
    for (const SparseEntry& entry : entries) {
      expected = entry.first <= target ? of(entry) : expected;
    }
    const auto found = index.lookup(Timestamp(target));
    fuzz::require(found.ok() && *found == expected, "a look-up differs from a scan");
  }
  for (const std::int64_t target : offsets) {
    TimestampOffset expected = none;
    for (const SparseEntry& entry : entries) {
      expected = entry.second <= target ? of(entry) : expected;
    }
    const auto found = index.last_up_to(base + target);
    fuzz::require(found.ok() && *found == expected, "a look-up by offset differs from a scan");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  const bool crashed = input.integer<std::uint8_t>() % 2 == 1;
  const Bytes file = input.rest();
  fuzz::Files files;
  files.put("/d/x", file);
  fuzz::SparseEntries plain = fuzz::plain_entries<TimeIndexFormat>(file);
  auto index = TimeIndex::open(files.open("/d/x"), base, default_index_bytes,
                               crashed ? IndexLoad::prefix : IndexLoad::strict);
  fuzz::Files::must(index.status());
  if (!fuzz::check_verdict<TimeIndexFormat>(*index, file, crashed, plain)) {
    fuzz::require(fault(index->check()) == Fault::corrupt && !index->lookup(Timestamp(0)).ok(),
                  "a refused index answers");
    fuzz::require(index->clear().ok() && index->entries() == 0, "it cannot be cleared");
    return 0;
  }
  check_lookups(*index, plain.entries);
  const TimestampOffset last = index->last();
  if (!index->full() && last.timestamp < Timestamp(INT64_MAX) && last.offset < base + INT32_MAX) {
    fuzz::Files::must(index->append(last.timestamp + 1, last.offset + 1).status());
    fuzz::Files::must(index->flush());
    fuzz::require(files.content("/d/x").size() == 12 * (plain.entries.size() + 1),
                  "the file does not end where its entries do");
    fuzz::Files::must(index->truncate_to(last.offset + 1));
    fuzz::require(index->entries() == plain.entries.size(), "an entry is not cut off");
  }
  return 0;
}
