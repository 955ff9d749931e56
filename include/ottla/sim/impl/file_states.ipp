// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>

#include <ottla/sim/impl/durable_states.hpp>

namespace ottla::inline OTTLA_ABI {
namespace sim_impl {

/// `a * b`, or `most` where that is less.
inline std::uint64_t product_up_to(std::uint64_t most, std::uint64_t a, std::uint64_t b) {
  return b != 0 && a > most / b ? most : std::min(most, a * b);
}

OTTLA_INLINE FileStates::FileStates(const DiskFile& file, const CrashModel& model,
                                    std::uint64_t seed, std::uint64_t limit)
    : file_(file), model_(model), seed_(seed), limit_(limit), sizes_{file.durable_size()} {
  for (const SizeChange& change : file.sizes()) {
    if (std::find(sizes_.begin(), sizes_.end(), change.size) == sizes_.end()) {
      sizes_.push_back(change.size);
    }
  }
}

OTTLA_INLINE std::uint64_t FileStates::count() {
  while (counts_.size() < sizes_.size() && count_ <= limit_) {
    counts_.push_back(count_of(sizes_[counts_.size()]));
    count_ = std::min(limit_ + 1, count_ + counts_.back());
  }
  return count_;
}

// Sectors that the device is given before a size that makes them visible.
OTTLA_INLINE bool FileStates::follows_size(std::int64_t sector) const {
  const std::int64_t begin = sector * sector_size;
  switch (model_.mode) {
    case DiskMode::ext4_ordered:
      return begin >= (file_.durable_size() + page_size - 1) / page_size * page_size;
    case DiskMode::xfs:
      return begin + sector_size > file_.durable_size();
    default:
      return false;
  }
}

inline bool add_distinct(std::vector<Sector>& found, Sector bytes, std::size_t visible) {
  std::fill(bytes.begin() + static_cast<std::ptrdiff_t>(visible), bytes.end(), std::byte{0});
  if (std::find(found.begin(), found.end(), bytes) != found.end()) {
    return false;
  }
  found.push_back(bytes);
  return true;
}

// What a sector can hold, of the bytes that `size` makes visible: first without what is pending,
// then each version.
OTTLA_INLINE std::vector<Sector> FileStates::alternatives(
    std::int64_t sector, const std::vector<SectorVersion>& versions, std::int64_t size) const {
  const auto visible = static_cast<std::size_t>(std::min(sector_size, size - sector * sector_size));
  std::vector<Sector> found;
  if (follows_size(sector)) {
    add_distinct(found, versions.back().bytes, visible);
    return found;
  }
  add_distinct(found, sector_of(file_.durable(), sector), visible);
  for (const SectorVersion& version : versions) {
    add_distinct(found, version.bytes, visible);
  }
  add_spoilt(sector, versions, visible, found);
  return found;
}

OTTLA_INLINE void FileStates::add_spoilt(std::int64_t sector,
                                         const std::vector<SectorVersion>& versions,
                                         std::size_t visible, std::vector<Sector>& found) const {
  const Sector old = sector_of(file_.durable(), sector);
  std::size_t begin = visible;
  std::size_t end = 0;
  for (const SectorVersion& version : versions) {
    for (std::size_t i = 0; i < visible; ++i) {
      if (version.bytes[i] != old[i]) {
        begin = std::min(begin, i);
        end = std::max(end, i + 1);
      }
    }
  }
  if (begin >= end) {
    return;
  }
  SeededRandom random(seed_ + static_cast<std::uint64_t>(sector));
  const std::uint64_t cuts = end - begin - 1;
  const std::uint64_t first = random.next();
  for (std::uint64_t i = 0; model_.torn && i < cuts; ++i) {
    const std::uint64_t cut = begin + 1 + (first % cuts + i) % cuts;
    Sector torn = versions.back().bytes;
    std::copy(old.begin() + static_cast<std::ptrdiff_t>(cut), old.end(),
              torn.begin() + static_cast<std::ptrdiff_t>(cut));
    if (add_distinct(found, torn, visible)) {
      break;
    }
  }
  const bool garbage = model_.garbage && model_.mode == DiskMode::adversarial;
  for (int i = 0; garbage && i < 16; ++i) {
    Sector any = old;
    for (std::size_t at = begin; at < end; ++at) {
      any[at] = static_cast<std::byte>(random.next());
    }
    if (add_distinct(found, any, visible)) {
      break;
    }
  }
}

OTTLA_INLINE std::uint64_t FileStates::count_of(std::int64_t size) const {
  std::uint64_t count = 1;
  for (const auto& [sector, versions] : file_.pending()) {
    if (sector * sector_size >= size || count > limit_) {
      break;
    }
    if (!follows_size(sector)) {
      count = product_up_to(limit_ + 1, count, alternatives(sector, versions, size).size());
    }
  }
  return count;
}

OTTLA_INLINE std::vector<std::byte> FileStates::content(std::int64_t size, const Pick& pick) const {
  std::vector<std::byte> bytes = file_.durable();
  bytes.resize(static_cast<std::size_t>(size));
  for (const auto& [sector, versions] : file_.pending()) {
    const std::int64_t begin = sector * sector_size;
    if (begin >= size) {
      break;
    }
    const std::vector<Sector> choices = alternatives(sector, versions, size);
    const Sector& chosen = choices[pick(versions, choices.size())];
    std::copy_n(chosen.begin(), std::min(sector_size, size - begin), bytes.begin() + begin);
  }
  return bytes;
}

OTTLA_INLINE std::vector<std::byte> FileStates::at(std::uint64_t index) const {
  std::size_t size = 0;
  while (index >= counts_[size]) {
    index -= counts_[size];
    ++size;
  }
  return content(sizes_[size], [&](const auto&, std::size_t choices) {
    const auto chosen = static_cast<std::size_t>(index % choices);
    index /= choices;
    return chosen;
  });
}

OTTLA_INLINE std::vector<std::byte> FileStates::in_order(ChangeNumber cut) const {
  DiskFile copy = file_;
  copy.settle(cut);
  std::vector<std::byte> bytes(static_cast<std::size_t>(copy.durable_size()));
  copy.read_durable(0, bytes);
  return bytes;
}

OTTLA_INLINE std::vector<std::byte> FileStates::draw(SeededRandom& random, Draw draw,
                                                     ChangeNumber cut) const {
  if (draw == Draw::in_order) {
    return in_order(cut);
  }
  const bool extreme = draw != Draw::mixed && random.next() % 8 != 0;
  const bool newest = draw == Draw::mostly_kept;
  const std::size_t size =
      extreme ? (newest ? sizes_.size() - 1 : 0) : random.next() % sizes_.size();
  const std::int64_t chosen = extreme && newest ? file_.size() : sizes_[size];
  return content(chosen, [&](const std::vector<SectorVersion>& versions, std::size_t choices) {
    if (draw != Draw::mixed && random.next() % 8 != 0) {
      // Versions that look the same at this size count once: the newest may come earlier.
      return newest ? std::min(versions.size(), choices - 1) : std::size_t{0};
    }
    return static_cast<std::size_t>(random.next() % choices);
  });
}

}  // namespace sim_impl
}  // namespace ottla::inline OTTLA_ABI
