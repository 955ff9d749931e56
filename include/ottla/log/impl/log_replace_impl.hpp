// SPDX-License-Identifier: Apache-2.0
//
// The swap of compacted segments (write-ordering rule W10). impl/replacement.hpp ends one that was
// interrupted.
#pragma once

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include <absl/strings/str_cat.h>

#include <ottla/base/guard.hpp>
#include <ottla/log/impl/log_files.hpp>
#include <ottla/log/log.hpp>

namespace ottla::inline OTTLA_ABI {

namespace log_impl {
/// Of a segment's file while it is compacted, and while it takes its place.
inline std::string staged_path(const std::string& directory, Offset base, std::string_view suffix,
                               std::string_view stage) {
  return absl::StrCat(offset_file_path(directory, base, suffix), av(stage));
}
}  // namespace log_impl

/// The place in the list of the first of `replaced`. They are what they were, and not active.
template <FileSystem Fs>
absl::StatusOr<std::size_t> BasicLog<Fs>::find_replaced(
    std::span<const Ref<LogSegment>> replaced) const {
  const auto& segments = list_->segments;
  const std::size_t first = segments.empty() ? 0 : list_->find(replaced.front()->base());
  bool same = first + replaced.size() < segments.size();
  for (std::size_t i = 0; same && i < replaced.size(); ++i) {
    same = segments[first + i].get() == replaced[i].get() &&
           replaced[i]->gone() == LogSegment::Gone::no;
  }
  return same ? absl::StatusOr<std::size_t>(first)
              : error(ErrorCode::offset_not_available,
                      absl::StrCat(place_->directory, " has changed while it was compacted"));
}

/// Where a swap has failed the new ones are all there is: the directory takes no writes then.
template <FileSystem Fs>
absl::Status BasicLog<Fs>::remove_cleaned() {
  OTTLA_TRY(check_writable());
  OTTLA_ASSIGN(const auto entries, place_->files.list(place_->directory));
  const log_impl::LogFiles files(entries);
  for (const auto* names : {&files.cleaned, &files.swaps}) {
    for (const std::string& name : *names) {
      OTTLA_TRY(place_->files.remove(place_->path(name), IoReason::compaction));
    }
  }
  return absl::OkStatus();
}

/// Until the first old one is renamed away all can be taken back, and is. A failure behind that
/// leaves a directory that only the next opening can put in order.
template <FileSystem Fs>
absl::Status BasicLog<Fs>::swap_files(Offset base, std::span<const std::string_view> suffixes,
                                      std::span<const Ref<log_impl::LogSegment<Fs>>> replaced) {
  using namespace log_impl;
  const auto rename_all = [&](std::string_view from, std::string_view to) -> absl::Status {
    for (const std::string_view suffix : suffixes) {
      OTTLA_TRY(place_->files.rename(staged_path(place_->directory, base, suffix, from),
                                     staged_path(place_->directory, base, suffix, to),
                                     IoReason::compaction));
    }
    return absl::OkStatus();
  };
  const auto swap = [&]() -> absl::Status {
    for (const auto& segment : replaced) {
      OTTLA_TRY(rename_to_deleted(place_->files, place_->directory, segment->base(),
                                  IoReason::compaction));
    }
    OTTLA_TRY(sync_directory(IoReason::compaction));
    OTTLA_TRY(rename_all(swap_suffix, ""));
    return sync_directory(IoReason::compaction);
  };
  ++changes_;
  absl::Status staged = guarded([&]() -> absl::Status {
    OTTLA_TRY(rename_all(cleaned_suffix, swap_suffix));
    return sync_directory(IoReason::compaction);
  });
  if (!staged.ok()) {
    if (!guarded([&] { return remove_cleaned(); }).ok()) {
      health_->fail();
    }
    return staged;
  }
  absl::Status swapped = guarded(swap);
  if (!swapped.ok()) {
    health_->fail();  // also where only a descriptor was short, or memory
  }
  return swapped;
}

template <FileSystem Fs>
absl::Status BasicLog<Fs>::replace_segments(const SealedSegment& cleaned, bool has_transactions,
                                            std::span<const Ref<log_impl::LogSegment<Fs>>> replaced,
                                            Timestamp modified, SteadyTime now) {
  OTTLA_TRY(check_writable());
  OTTLA_ASSIGN(const std::size_t first, find_replaced(replaced));
  for (const auto& segment : replaced) {
    OTTLA_TRY(segment->open_all());
  }
  const auto from = list_->segments.begin() + static_cast<std::ptrdiff_t>(first);
  const auto to = from + static_cast<std::ptrdiff_t>(replaced.size());
  const Offset end = (*to)->base();
  const std::string_view suffixes[] = {log_suffix, offset_index_suffix, time_index_suffix,
                                       transaction_index_suffix};
  // What was noted of the old ones does not hold for the new one.
  OTTLA_TRY(write_manifest(manifest_.replace(cleaned.base, end), Durability::durable));
  std::erase_if(sealed_, [&](const SealedSegment& segment) {
    return segment.base >= cleaned.base && segment.base < end;
  });
  ++replacements_;
  // Whatever needs memory for the change of the list does so before the first name changes.
  auto list = make_ref<SegmentList>();
  auto& segments = list->segments;
  segments.reserve(list_->segments.size());
  segments.assign(list_->segments.begin(), from);
  segments.push_back(make_ref<LogSegment>(place_, cleaned.base, segment_options(), cleaned));
  segments.back()->digest = cleaned.digest;
  segments.back()->set_has_aborted(has_transactions);
  segments.back()->set_closed_facts(cleaned.size,
                                    cleaned.largest == no_timestamp ? modified : cleaned.largest);
  segments.insert(segments.end(), to, list_->segments.end());
  deleted_.reserve(deleted_.size() + replaced.size());
  OTTLA_TRY(
      swap_files(cleaned.base, std::span(suffixes).first(has_transactions ? 4 : 3), replaced));
  for (const auto& segment : replaced) {
    forget_deleted(segment->base());
    segment->rest();
    deleted_.push_back(
        {segment, after(now, config_.file_delete_delay), LogSegment::Gone::replaced});
  }
  replaced_list_ = {};  // published since
  list_ = std::move(list);
  // Snapshots that else go at the next open, and evidence that may lag.
  guarded([&] {
    for (const auto& segment : replaced) {
      if (segment->base() != cleaned.base) {
        drop_snapshot(segment->base()).IgnoreError();
      }
    }
    std::string lines = manifest_.add(cleaned);
    if (const Offset cleaned_end = cleaned.end(); cleaned_end < end) {
      lines += manifest_.add_gap(cleaned_end, end);
    }
    write_manifest(lines, Durability::written).IgnoreError();
  }).IgnoreError();
  return absl::OkStatus();
}

}  // namespace ottla::inline OTTLA_ABI
