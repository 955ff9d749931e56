// SPDX-License-Identifier: Apache-2.0
//
// A transaction index: what overlaps a range is what a scan over the entries finds, or the file is
// refused.
#include <ottla/index/transaction_index.hpp>

#include "files.hpp"

using namespace ottla;

namespace {

constexpr Offset base{100};

/// All entries; nothing where the file is none.
std::optional<std::vector<AbortedTransaction>> plain_entries(Bytes file) {
  std::vector<AbortedTransaction> entries;
  if (file.size() % AbortedTransaction::encoded_size != 0) {
    return std::nullopt;
  }
  for (std::size_t at = 0; at < file.size(); at += AbortedTransaction::encoded_size) {
    const auto entry = AbortedTransaction::parse(file.data() + at);
    const Offset before = entries.empty() ? base - 1 : entries.back().last_offset;
    if (!entry.ok() || entry->last_offset <= before) {
      return std::nullopt;
    }
    std::byte written[AbortedTransaction::encoded_size];
    entry->write(written);
    fuzz::require(std::equal(std::begin(written), std::end(written), file.data() + at),
                  "an entry is written differently");
    entries.push_back(*entry);
  }
  return entries;
}

void check_range(const TransactionIndex& index, const std::vector<AbortedTransaction>& entries,
                 Offset from, Offset upper_bound) {
  std::vector<AbortedTransaction> expected;
  bool complete = false;
  for (const AbortedTransaction& entry : entries) {
    if (!complete && entry.last_offset >= from && entry.first_offset < upper_bound) {
      expected.push_back(entry);
    }
    complete = complete || entry.last_stable_offset >= upper_bound;
  }
  std::vector<AbortedTransaction> found;
  const auto ended = index.collect(from, upper_bound, found);
  fuzz::require(ended.ok() && *ended == complete && found == expected,
                "a range differs from a scan");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Bytes file = fuzz::bytes(data, size);
  fuzz::Files files;
  files.put("/d/x", file);
  const auto plain = plain_entries(file);
  auto index = TransactionIndex::open(files.open("/d/x"), base);
  if (!index.ok()) {
    fuzz::require(!plain, "a good index is refused", index.status().ToString());
    fuzz::require(fault(index.status()) == Fault::corrupt ||
                      error_code(index.status()) == ErrorCode::unsupported_version,
                  "an error of another kind", index.status().ToString());
    return 0;
  }
  fuzz::require(plain && index->entries() == plain->size(), "a bad index is taken");
  check_range(*index, *plain, Offset(0), Offset(INT64_MAX));
  for (std::size_t i = 0; i < plain->size() && i < 30; ++i) {
    const AbortedTransaction& entry = (*plain)[i];
    check_range(*index, *plain, entry.first_offset, entry.last_offset);
    check_range(*index, *plain, entry.last_offset, entry.last_stable_offset);
  }
  if (!plain->empty()) {
    const Offset middle = (*plain)[plain->size() / 2].last_offset;
    fuzz::Files::must(index->truncate_to(middle));
    fuzz::require(index->entries() == plain->size() / 2 &&
                      files.content("/d/x").size() == 34 * index->entries(),
                  "it is not cut where it should be");
    fuzz::Files::must(index->append({ProducerId(1), middle, middle, middle}));
  }
  return 0;
}
