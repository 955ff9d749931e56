// SPDX-License-Identifier: Apache-2.0
//
// What the targets of the two sparse indexes share: a plain reading of the file.
#pragma once

#include <vector>

#include <ottla/index/sparse_index.hpp>

#include "files.hpp"

namespace fuzz {

struct SparseEntries {
  std::vector<ottla::SparseEntry> entries;  ///< as far as they are good
  bool strict = false;                      ///< the file is these, and zeros behind them
};

/// By `Format`'s rules for entries, read one after the other.
template <class Format>
SparseEntries plain_entries(ottla::Bytes file) {
  SparseEntries read;
  std::vector<ottla::SparseEntry> all;
  for (std::size_t at = 0; at + Format::entry_size <= file.size(); at += Format::entry_size) {
    all.push_back(Format::decode(file.data() + at));
  }
  // A killed Kafka leaves zeros behind the entries; a single zero entry is one of its own.
  std::size_t end = all.size();
  while (end > 1 && all[end - 1] == ottla::SparseEntry()) {
    --end;
  }
  if (end == 1 && all.size() > 1 && all[0] == ottla::SparseEntry()) {
    end = 0;
  }
  for (std::size_t i = 0; i < end; ++i) {
    const bool good =
        i == 0 ? Format::valid_first(all[0]) : Format::may_follow(read.entries.back(), all[i]);
    if (!good) {
      return read;
    }
    read.entries.push_back(all[i]);
  }
  read.strict = file.size() % Format::entry_size == 0;
  return read;
}

/// The verdict on a file and what is left of it. Zeros are looked for by halving, so that what no
/// writer leaves, an entry between them, may end the index early: then it is a shorter hint.
template <class Format, class Index>
bool check_verdict(const Index& index, ottla::Bytes file, bool crashed, SparseEntries& plain) {
  const bool good = index.check().ok();
  const std::size_t n = index.entries();
  const auto is_zero = [&](std::size_t i) {
    return Format::decode(file.data() + i * Format::entry_size) == ottla::SparseEntry();
  };
  const std::size_t all = file.size() / Format::entry_size;
  if (good && n < all && all > 1 && is_zero(n) && is_zero(all - 1) &&
      n < plain.entries.size() + 1) {
    plain.entries.resize(n);
    return true;
  }
  require(good == (crashed || plain.strict), "another verdict");
  require(!good || n == plain.entries.size(), "another number of entries");
  return good;
}

}  // namespace fuzz
