// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>

#include <ottla/log/leader_epochs.hpp>

namespace ottla::inline OTTLA_ABI {
namespace log_impl {

inline auto first_above(std::span<const EpochStart> entries, LeaderEpoch epoch) {
  return std::upper_bound(entries.begin(), entries.end(), epoch,
                          [](LeaderEpoch a, const EpochStart& b) { return a < b.epoch; });
}

inline auto first_above(std::span<const EpochStart> entries, Offset offset) {
  return std::upper_bound(entries.begin(), entries.end(), offset,
                          [](Offset a, const EpochStart& b) { return a < b.start; });
}

}  // namespace log_impl

OTTLA_INLINE std::optional<LeaderEpoch> LeaderEpochs::latest() const {
  return entries_.empty() ? std::nullopt : std::optional(entries_.back().epoch);
}

OTTLA_INLINE bool LeaderEpochs::assign(LeaderEpoch epoch, Offset start) {
  if (epoch < LeaderEpoch(0) || start < Offset(0) ||
      (!entries_.empty() && epoch == entries_.back().epoch && start >= entries_.back().start)) {
    return false;
  }
  while (!entries_.empty() && (entries_.back().epoch >= epoch || entries_.back().start >= start)) {
    entries_.pop_back();
  }
  entries_.push_back({epoch, start});
  return true;
}

OTTLA_INLINE bool LeaderEpochs::truncate_from_end(Offset end) {
  const std::size_t before = entries_.size();
  while (!entries_.empty() && entries_.back().start >= end) {
    entries_.pop_back();
  }
  return entries_.size() != before;
}

OTTLA_INLINE bool LeaderEpochs::truncate_from_start(Offset start) {
  const std::span<const EpochStart> entries(entries_);
  const auto kept = log_impl::first_above(entries, start) - entries.begin();
  if (kept == 0 || (kept == 1 && entries_.front().start == start)) {
    return false;
  }
  entries_[static_cast<std::size_t>(kept) - 1].start = start;
  entries_.erase(entries_.begin(), entries_.begin() + kept - 1);
  return true;
}

OTTLA_INLINE bool LeaderEpochs::clear() {
  const bool changed = !entries_.empty();
  entries_.clear();
  return changed;
}

OTTLA_INLINE LeaderEpochs::EpochEnd LeaderEpochs::end_offset_for(LeaderEpoch epoch,
                                                                 Offset log_end) const {
  if (entries_.empty() || epoch < LeaderEpoch(0) || epoch > entries_.back().epoch) {
    return {};
  }
  if (epoch == entries_.back().epoch) {
    return {epoch, log_end};
  }
  const std::span<const EpochStart> entries(entries_);
  const auto above = log_impl::first_above(entries, epoch);
  return {above == entries.begin() ? epoch : (above - 1)->epoch, above->start};
}

OTTLA_INLINE std::optional<LeaderEpoch> LeaderEpochs::epoch_for_offset(Offset offset) const {
  const std::span<const EpochStart> entries(entries_);
  const auto above = log_impl::first_above(entries, offset);
  return above == entries.begin() ? std::nullopt : std::optional((above - 1)->epoch);
}

OTTLA_INLINE std::optional<LeaderEpoch> LeaderEpochs::previous(LeaderEpoch epoch) const {
  const std::span<const EpochStart> entries(entries_);
  const auto at = std::lower_bound(entries.begin(), entries.end(), epoch,
                                   [](const EpochStart& a, LeaderEpoch b) { return a.epoch < b; });
  return at == entries.begin() ? std::nullopt : std::optional((at - 1)->epoch);
}

OTTLA_INLINE std::optional<LeaderEpoch> LeaderEpochs::next(LeaderEpoch epoch) const {
  const std::span<const EpochStart> entries(entries_);
  const auto above = log_impl::first_above(entries, epoch);
  return above == entries.end() ? std::nullopt : std::optional(above->epoch);
}

OTTLA_INLINE std::vector<EpochStart> LeaderEpochs::entries_in_range(Offset start,
                                                                    Offset end) const {
  LeaderEpochs part(entries_);
  part.truncate_from_start(start);
  part.truncate_from_end(end);
  return std::move(part.entries_);
}

}  // namespace ottla::inline OTTLA_ABI
