// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <utility>

#include <ottla/sim/impl/disk_file.hpp>

namespace ottla::inline OTTLA_ABI {
namespace sim_impl {

inline std::size_t read_bytes(const std::vector<std::byte>& from, std::int64_t size,
                              std::int64_t position, MutableBytes into) {
  if (position >= size) {
    return 0;
  }
  const auto bytes =
      static_cast<std::size_t>(std::min(static_cast<std::int64_t>(into.size()), size - position));
  const auto begin = static_cast<std::size_t>(position);
  for (std::size_t i = 0; i < bytes; ++i) {
    into[i] = begin + i < from.size() ? from[begin + i] : std::byte{0};
  }
  return bytes;
}

OTTLA_INLINE Sector sector_of(const std::vector<std::byte>& bytes, std::int64_t sector) {
  Sector copy{};
  const auto begin = static_cast<std::size_t>(sector * sector_size);
  if (begin < bytes.size()) {
    std::copy_n(bytes.begin() + sector * sector_size, std::min(copy.size(), bytes.size() - begin),
                copy.begin());
  }
  return copy;
}

OTTLA_INLINE std::size_t DiskFile::read(std::int64_t position, MutableBytes into) const {
  return read_bytes(content_, size(), position, into);
}

OTTLA_INLINE std::size_t DiskFile::read_durable(std::int64_t position, MutableBytes into) const {
  return read_bytes(durable_, durable_size_, position, into);
}

OTTLA_INLINE bool DiskFile::is_stale(std::int64_t position, std::int64_t bytes) const {
  if (bytes_from(position, bytes) == 0) {
    return false;
  }
  std::vector<std::byte> seen(static_cast<std::size_t>(bytes));
  std::vector<std::byte> held(seen.size());
  const std::size_t there = read(position, seen);
  return read_durable(position, held) != there || held != seen;
}

OTTLA_INLINE void DiskFile::write(std::int64_t position, Bytes bytes, ChangeNumber change) {
  if (bytes.empty()) {
    return;
  }
  const std::int64_t end = position + static_cast<std::int64_t>(bytes.size());
  if (end > size()) {
    content_.resize(static_cast<std::size_t>(end));
    note_size(change);
  }
  std::copy(bytes.begin(), bytes.end(), content_.begin() + position);
  note_sectors(position, end, change);
  // What a failed sync called clean goes out with its page when that is dirty again.
  const std::int64_t page_begin = position / page_size * (page_size / sector_size);
  const std::int64_t page_end = ((end - 1) / page_size + 1) * (page_size / sector_size);
  for (auto at = lost_.lower_bound(page_begin); at != lost_.end() && *at < page_end;) {
    const std::int64_t sector = *at;
    at = lost_.erase(at);
    note_sector(sector, change);
  }
  write_back(change);
}

OTTLA_INLINE void DiskFile::truncate(std::int64_t new_size, ChangeNumber change) {
  const std::int64_t old_size = size();
  if (new_size == old_size) {
    return;
  }
  content_.resize(static_cast<std::size_t>(new_size));
  note_size(change);
  if (new_size < old_size) {
    note_sectors(new_size, old_size, change);  // zeros, should it grow again
  }
  write_back(change);
}

OTTLA_INLINE void DiskFile::note_size(ChangeNumber change) { sizes_.push_back({change, size()}); }

OTTLA_INLINE void DiskFile::note_sectors(std::int64_t begin, std::int64_t end,
                                         ChangeNumber change) {
  for (std::int64_t sector = begin / sector_size; sector * sector_size < end; ++sector) {
    note_sector(sector, change);
  }
}

OTTLA_INLINE void DiskFile::note_sector(std::int64_t sector, ChangeNumber change) {
  lost_.erase(sector);
  const Sector now = sector_of(content_, sector);
  const auto found = pending_.find(sector);
  if (now == (found == pending_.end() ? sector_of(durable_, sector) : found->second.back().bytes)) {
    return;
  }
  std::vector<SectorVersion>& versions = found == pending_.end() ? pending_[sector] : found->second;
  if (!versions.empty() && versions.back().change == change) {
    versions.back().bytes = now;
  } else {
    versions.push_back({change, now});
  }
  if (versions.size() > most_versions) {
    versions.erase(versions.begin());  // one that the device passed over
  }
}

OTTLA_INLINE void DiskFile::write_back(ChangeNumber change) {
  if (pending_.size() <= most_pending && sizes_.size() <= most_pending) {
    return;
  }
  std::vector<ChangeNumber> changes;
  for (const auto& [sector, versions] : pending_) {
    changes.push_back(versions.back().change);
  }
  for (const SizeChange& its : sizes_) {
    changes.push_back(its.change);
  }
  const auto middle = changes.begin() + static_cast<std::ptrdiff_t>(changes.size() / 2);
  std::nth_element(changes.begin(), middle, changes.end());
  settle(std::min(*middle, change - 1));
  if (pending_.size() > 2 * most_pending) {
    settle(change);  // one write that is larger than that
  }
}

OTTLA_INLINE void DiskFile::settle(ChangeNumber upto) {
  for (auto at = pending_.begin(); at != pending_.end();) {
    auto& [sector, versions] = *at;
    const auto later = std::find_if(versions.begin(), versions.end(),
                                    [&](const auto& version) { return version.change > upto; });
    if (later != versions.begin()) {
      const auto begin = static_cast<std::size_t>(sector * sector_size);
      durable_.resize(std::max(durable_.size(), begin + sector_size));
      const Sector& bytes = std::prev(later)->bytes;
      std::copy(bytes.begin(), bytes.end(), durable_.begin() + sector * sector_size);
      versions.erase(versions.begin(), later);
    }
    at = versions.empty() ? pending_.erase(at) : std::next(at);
  }
  const auto later = std::find_if(sizes_.begin(), sizes_.end(),
                                  [&](const SizeChange& change) { return change.change > upto; });
  if (later != sizes_.begin()) {
    durable_size_ = std::prev(later)->size;
    sizes_.erase(sizes_.begin(), later);
  }
  if (pending_.empty() && sizes_.empty()) {
    durable_.resize(static_cast<std::size_t>(durable_size_));
  }
}

OTTLA_INLINE void DiskFile::lose_pending() {
  for (const auto& [sector, versions] : pending_) {
    lost_.insert(sector);
  }
  pending_.clear();
}

OTTLA_INLINE void DiskFile::revert() {
  pending_.clear();
  sizes_.clear();
  lost_.clear();
  durable_.resize(static_cast<std::size_t>(durable_size_));
  content_ = durable_;
}

OTTLA_INLINE DiskFile DiskFile::restarted(std::vector<std::byte> content) const {
  DiskFile fresh;
  fresh.modified = modified;
  fresh.bad_ = bad_;
  fresh.content_ = content;
  fresh.durable_ = std::move(content);
  fresh.durable_size_ = fresh.size();
  return fresh;
}

OTTLA_INLINE void DiskFile::rot(std::int64_t position, std::byte bits) {
  const auto at = static_cast<std::size_t>(position);
  const std::int64_t sector = position / sector_size;
  if (at >= durable_.size()) {
    return;
  }
  durable_[at] ^= bits;
  if (!pending_.contains(sector) && !lost_.contains(sector) && at < content_.size()) {
    content_[at] ^= bits;
  }
}

OTTLA_INLINE bool DiskFile::spoiled(std::int64_t position, std::size_t bytes) const {
  const auto found = bad_.lower_bound(position / sector_size);
  return bytes != 0 && found != bad_.end() &&
         *found * sector_size < position + static_cast<std::int64_t>(bytes);
}

OTTLA_INLINE bool DiskFile::spoiled_pending() const {
  return std::any_of(bad_.begin(), bad_.end(),
                     [this](std::int64_t sector) { return pending_.contains(sector); });
}

}  // namespace sim_impl
}  // namespace ottla::inline OTTLA_ABI
