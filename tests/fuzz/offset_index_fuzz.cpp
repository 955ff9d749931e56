// SPDX-License-Identifier: Apache-2.0
//
// An offset index: a byte (odd: opened as after a crash), then the file. Look-ups are those of a
// scan over the entries, or the file is refused.
#include <ottla/index/offset_index.hpp>

#include "sparse_entries.hpp"

using namespace ottla;

namespace {

constexpr Offset base{1'000'000'000'000};

void check_lookups(const OffsetIndex& index, const std::vector<SparseEntry>& entries) {
  std::vector<std::int64_t> targets = {-1, 0, INT32_MAX};
  for (std::size_t i = 0; i < entries.size() && i < 40; ++i) {
    for (const std::int64_t near : {-1, 0, 1}) {
      targets.push_back(entries[i].first + near);
    }
  }
  for (const std::int64_t target : targets) {
    OffsetPosition expected{base, 0};
    for (const SparseEntry& entry : entries) {
      expected =
          entry.first <= target ? OffsetPosition{base + entry.first, entry.second} : expected;
    }
    const auto found = index.lookup(base + target);
    fuzz::require(found.ok() && *found == expected, "a look-up differs from a scan");
  }
  for (std::size_t i = 0; i < entries.size() && i < 40; ++i) {
    const auto above = index.upper_bound(entries[i].second, 1);
    const bool last = i + 1 == entries.size();
    fuzz::require(above.ok() && above->has_value() == !last &&
                      (last || (*above)->position == entries[i + 1].second),
                  "an upper bound differs from a scan");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  const bool crashed = input.integer<std::uint8_t>() % 2 == 1;
  const Bytes file = input.rest();
  fuzz::Files files;
  files.put("/d/x", file);
  fuzz::SparseEntries plain = fuzz::plain_entries<OffsetIndexFormat>(file);
  auto index = OffsetIndex::open(files.open("/d/x"), base, default_index_bytes,
                                 crashed ? IndexLoad::prefix : IndexLoad::strict);
  fuzz::Files::must(index.status());
  if (!fuzz::check_verdict<OffsetIndexFormat>(*index, file, crashed, plain)) {
    fuzz::require(fault(index->check()) == Fault::corrupt && !index->lookup(base).ok(),
                  "a refused index answers");
    fuzz::require(index->clear().ok() && index->entries() == 0, "it cannot be cleared");
    return 0;
  }
  check_lookups(*index, plain.entries);
  const OffsetPosition last = index->last().value_or(OffsetPosition{base, 0});
  if (!index->full() && last.offset < base + INT32_MAX && last.position < INT32_MAX) {
    fuzz::Files::must(index->append(last.offset + 1, last.position + 1));
    fuzz::Files::must(index->flush());
    fuzz::require(files.content("/d/x").size() == 8 * (plain.entries.size() + 1),
                  "the file does not end where its entries do");
    fuzz::Files::must(index->truncate_to(last.offset + 1));
    fuzz::require(index->entries() == plain.entries.size(), "an entry is not cut off");
  }
  return 0;
}
