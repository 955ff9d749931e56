// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include <absl/strings/str_cat.h>

#include <ottla/base/invariant.hpp>
#include <ottla/log/log.hpp>

namespace ottla::inline OTTLA_ABI {

template <FileSystem Fs>
absl::Status BasicLog<Fs>::raise_start(Offset start, Offset high_watermark) {
  if (start > high_watermark || start < Offset(0)) {
    return error(ErrorCode::offset_out_of_range,
                 absl::StrCat("the log cannot begin at ", start.value(), ", its high watermark is ",
                              high_watermark.value()));
  }
  if (start > start_) {
    start_ = start;
    producers_.on_log_start(start);
    if (epochs_.truncate_from_start(start)) {
      epochs_saved_ = epochs_published_ = false;
    }
  }
  return absl::OkStatus();
}

template <FileSystem Fs>
absl::StatusOr<Offset> BasicLog<Fs>::retention_start(Offset high_watermark, Timestamp now,
                                                     bool by_age) {
  OTTLA_TRY(check_writable());
  std::vector<SegmentFacts> facts;
  facts.reserve(list_->segments.size());
  for (const auto& entry : list_->segments) {
    if (entry.get() != active()) {
      OTTLA_ASSIGN(const SegmentFacts its, entry->closed_facts());
      facts.push_back(its);
    }
  }
  if (active() != nullptr) {
    OTTLA_ASSIGN(const auto* segment, active()->segment());
    facts.push_back({active()->base(), segment->size(), segment->largest_timestamp()});
  }
  const std::size_t expired = expired_segments(facts, {start_, high_watermark, end_}, config_,
                                               by_age ? std::optional(now) : std::nullopt);
  if (expired == 0) {
    return start_;
  }
  if (expired == facts.size()) {
    const absl::Status rolled = roll(now);
    if (fault(rolled) == Fault::no_space) {
      return active()->base();  // what lies before it makes room
    }
    OTTLA_TRY(rolled);
  }
  return list_->segments[expired]->base();
}

/// Whoever fails in between has the log out of the way: the rest are orphans, removed at the next
/// open.
template <FileSystem Fs>
absl::Status BasicLog<Fs>::delete_files(const Ref<LogSegment>& segment,
                                        typename LogSegment::Gone why, SteadyTime now) {
  segment->retire(why);
  ++changes_;
  const absl::Status renamed = rename_to_deleted(place_->files, place_->directory, segment->base());
  if (!renamed.ok() && fault(place_->files.status(segment->path()).status()) != Fault::not_found) {
    segment->keep();
    return renamed;
  }
  segment->rest();
  forget_deleted(segment->base());
  deleted_.push_back({segment, after(now, config_.file_delete_delay), why});
  drop_snapshot(segment->base()).IgnoreError();  // else it goes at the next open
  return absl::OkStatus();
}

/// Of an earlier segment with that base: its files were renamed over just now.
template <FileSystem Fs>
void BasicLog<Fs>::forget_deleted(Offset base) {
  std::erase_if(deleted_, [&](const Deleted& entry) {
    const bool same = entry.segment->base() == base;
    if (same) {
      entry.segment->retire(entry.why);
    }
    return same;
  });
}

template <FileSystem Fs>
absl::Status BasicLog<Fs>::sync_directory(IoReason why) {
  return health_->checked(place_->files.sync_directory(place_->directory, why));
}

template <FileSystem Fs>
absl::StatusOr<int> BasicLog<Fs>::delete_segments(Offset checkpointed_start, SteadyTime now) {
  OTTLA_TRY(check_writable());
  if (!invariant(checkpointed_start <= start_)) {
    return broken_invariant("Log::delete_segments: a start that the log has not been raised to");
  }
  const auto& segments = list_->segments;
  std::size_t n = 0;
  absl::Status status;
  while (status.ok() && n + 1 < segments.size() && segments[n + 1]->base() <= checkpointed_start) {
    status = delete_files(segments[n], LogSegment::Gone::deleted, now);
    n += std::size_t{status.ok()};
  }
  if (n > 0) {
    replace_list({segments.begin() + static_cast<std::ptrdiff_t>(n), segments.end()});
    manifest_.drop_below(list_->segments.front()->base());
    status.Update(sync_directory(IoReason::delete_segment));
  }
  if (!status.ok()) {
    return status;
  }
  return static_cast<int>(n);
}

template <FileSystem Fs>
absl::StatusOr<std::optional<SteadyTime>> BasicLog<Fs>::remove_deleted(SteadyTime now) {
  OTTLA_TRY(health_->check());
  std::optional<SteadyTime> next;
  for (std::size_t i = 0; i < deleted_.size();) {
    const Deleted& entry = deleted_[i];
    if (entry.due <= now && entry.segment->retire(entry.why)) {
      if (Segment* opened = entry.segment->if_open(); opened != nullptr) {
        opened->close().IgnoreError();  // a view keeps it; nobody reads it any more
      }
      if (auto* aborted = entry.segment->aborted_if_open(); aborted != nullptr) {
        aborted->close().IgnoreError();
      }
      OTTLA_ASSIGN(const bool removed,
                   ottla::remove_deleted(place_->files, place_->directory, entry.segment->base()));
      if (!removed) {
        return now;  // a step of it; the rest soon
      }
      deleted_.erase(deleted_.begin() + static_cast<std::ptrdiff_t>(i));
      continue;
    }
    const SteadyTime due = std::max(entry.due, after(now, std::chrono::seconds(1)));
    next = std::min(next.value_or(never), due);
    ++i;
  }
  return next;
}

/// Deletes the segments from index `kept` on, highest first, so that no hole is left (W9).
template <FileSystem Fs>
absl::Status BasicLog<Fs>::delete_above(std::size_t kept, SteadyTime now) {
  absl::Status status;
  auto segments = list_->segments;
  while (status.ok() && segments.size() > kept) {
    status = delete_files(segments.back(), LogSegment::Gone::truncated, now);
    if (status.ok()) {
      segments.pop_back();
    }
  }
  if (segments.size() < list_->segments.size()) {
    replace_list(std::move(segments));
    ++cuts_;
    deletions_synced_ = false;
  }
  if (!deletions_synced_) {
    status.Update(sync_directory(IoReason::truncate));
    deletions_synced_ = status.ok();
  }
  return status;
}

/// What a cut that came to no end has taken away does not come back after a power cut.
template <FileSystem Fs>
absl::Status BasicLog<Fs>::sync_cut() {
  OTTLA_TRY(sync_directory(IoReason::truncate));
  Segment* last = active() == nullptr ? nullptr : active()->if_open();
  return last == nullptr ? absl::OkStatus() : health_->checked(last->sync(IoReason::truncate));
}

template <FileSystem Fs>
absl::StatusOr<bool> BasicLog<Fs>::truncate_to(Offset end, SteadyTime now) {
  OTTLA_TRY(check_writable());
  if (end >= end_) {
    OTTLA_TRY(undo_failed_write());
    OTTLA_TRY(manifest_.cut_at() ? sync_cut() : absl::OkStatus());
    if (epochs_.truncate_from_end(end)) {
      epochs_published_ = false;
      OTTLA_TRY(save_epochs());
    }
    return false;
  }
  if (list_->segments.empty() || end < list_->segments.front()->base()) {
    OTTLA_TRY(truncate_fully_and_start_at(end, opened_, now));
    return true;
  }
  const std::size_t index = list_->find(end);
  const Ref<LogSegment> boundary = list_->segments[index];
  OTTLA_TRY(boundary->open_all());
  Segment* segment = boundary->if_open();
  if (!boundary->retire(LogSegment::Gone::truncated)) {
    boundary->keep();
    return error(
        ErrorCode::offset_not_available,
        absl::StrCat(place_->directory, " is read where it has to be cut back; try again"));
  }
  const absl::Status cut = cut_back(end, index, *segment, now);
  auto segments = list_->segments;
  segments[index] = make_ref<LogSegment>(*boundary, segment_options());
  replace_list(std::move(segments));
  if (!cut.ok()) {
    // As far as it came: what is above the boundary's end is deleted, or all is still there.
    end_ = index + 1 == list_->segments.size()
               ? std::min(end_, active()->if_open()->end().next_offset)
               : end_;
    return cut;
  }
  end_ = end;
  start_ = std::min(start_, end);
  jitter_ = draw_jitter();
  if (epochs_.truncate_from_end(end)) {
    epochs_published_ = false;
    OTTLA_TRY(save_epochs());
  }
  OTTLA_TRY(settle_producers());
  return true;
}

/// Until it is written the next try has to write it; nor does the manifest get to know later what
/// flushes have made known above it.
template <FileSystem Fs>
absl::Status BasicLog<Fs>::note_cut(Offset end) {
  std::erase_if(sealed_, [&](const SealedSegment& segment) {
    return segment.base >= end || segment.last >= end;
  });
  synced_ = std::min(synced_, std::optional(end));
  Manifest before = manifest_;
  const absl::Status noted = write_manifest(manifest_.cut(end), Durability::durable);
  if (!noted.ok()) {
    manifest_ = std::move(before);
  }
  return noted;
}

/// Everything at or above `end` goes: the segments above the one at `index`, then its own end.
template <FileSystem Fs>
absl::Status BasicLog<Fs>::cut_back(Offset end, std::size_t index, Segment& segment,
                                    SteadyTime now) {
  OTTLA_TRY(note_cut(end));
  OTTLA_TRY(drop_snapshots_above(end));
  OTTLA_TRY(delete_above(index + 1, now));
  ++cuts_;
  OTTLA_TRY(segment.truncate_to(end).status());
  if (list_->segments[index]->has_aborted()) {
    OTTLA_ASSIGN(auto* aborted, list_->segments[index]->aborted());
    OTTLA_TRY(aborted->truncate_to(end));
  }
  return health_->checked(segment.sync(IoReason::truncate));
}

template <FileSystem Fs>
absl::Status BasicLog<Fs>::truncate_fully_and_start_at(Offset offset, Timestamp wall_now,
                                                       SteadyTime now) {
  OTTLA_TRY(check_writable());
  OTTLA_TRY(note_cut(Offset(0)));
  ++cuts_;
  OTTLA_TRY(drop_snapshots_above(Offset(-1)));
  OTTLA_TRY(delete_above(0, now));
  start_ = end_ = offset;
  producers_.clear_and_start_at(offset);
  epochs_.clear();
  epochs_published_ = false;
  OTTLA_TRY(save_epochs());
  return add_segment(offset, wall_now);
}

}  // namespace ottla::inline OTTLA_ABI
