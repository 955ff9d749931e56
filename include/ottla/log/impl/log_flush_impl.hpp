// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <iterator>
#include <utility>

#include <ottla/base/crc32c.hpp>
#include <ottla/log/log.hpp>

namespace ottla::inline OTTLA_ABI {

template <FileSystem Fs>
void BasicLog<Fs>::publish(std::optional<Offset> high_watermark) {
  View& view = shared_.view;
  producers_.on_high_watermark(high_watermark.value_or(end_));
  if (shared_.unstable != producers_.unstable()) {
    shared_.unstable = producers_.unstable();
  }
  shared_.producers_end = producers_.end() < end_ ? producers_.end() : Offset(INT64_MAX);
  if (view.list_ != list_) {
    // The old one may be the last that has files open.
    replaced_list_ = std::exchange(view.list_, list_);
  }
  view.start_ = start_;
  view.end_ = end_;
  const Segment* segment = active() == nullptr ? nullptr : active()->if_open();
  view.end_position_ = segment == nullptr ? 0 : segment->size();
  if (!epochs_published_) {
    shared_.epochs = epochs_;
    epochs_published_ = true;
  }
  shared_.changes = changes_;
  shared_.epoch_changes = epoch_changes_;
  if (shared_.cuts != cuts_) {
    // What was noted of offsets above the cut is not true any more.
    shared_.cuts = cuts_;
    shared_.recovery_point = std::min(shared_.recovery_point, end_);
    shared_.unsealed_from =
        std::min(shared_.unsealed_from, active() == nullptr ? end_ : active()->base());
    shared_.sealed.clear();
    shared_.synced.reset();
  }
  if (shared_.replacements != replacements_) {
    shared_.replacements = replacements_;
    shared_.sealed.clear();  // may speak of what was replaced
  }
  std::move(shared_.sealed.begin(), shared_.sealed.end(), std::back_inserter(sealed_));
  shared_.sealed.clear();
  if (shared_.synced) {
    synced_ = std::exchange(shared_.synced, std::nullopt);
  }
}

/// Recovery trusts the indexes of the segments that end at or below the recovery point.
template <FileSystem Fs>
Offset BasicLog<Fs>::recovery_point() const {
  return has_unsealed() ? std::min(shared_.recovery_point, shared_.unsealed_from)
                        : shared_.recovery_point;
}

template <FileSystem Fs>
auto BasicLog<Fs>::plan_flush(FlushScope scope) const -> Flush {
  Flush flush;
  flush.place_ = place_;
  flush.health_ = health_;
  flush.scope_ = scope;
  const View& view = shared_.view;
  flush.end_ = view.end_;
  flush.cuts_ = shared_.cuts;
  flush.replacements_ = shared_.replacements;
  flush.changes_ = shared_.changes;
  flush.epochs_ = shared_.epoch_changes != shared_.epoch_changes_synced;
  flush.epoch_changes_ = shared_.epoch_changes;
  flush.directory_ = shared_.changes != shared_.changes_synced;
  flush.parent_ = !shared_.entry_synced;
  const auto& segments = view.list_->segments;
  const Offset from = scope == FlushScope::data ? shared_.recovery_point : recovery_point();
  if (from < view.end_ || (scope == FlushScope::sealed && has_unsealed())) {
    for (std::size_t i = view.list_->find(from); i < segments.size(); ++i) {
      flush.segments_.push_back(segments[i]);
    }
  }
  return flush;
}

template <FileSystem Fs>
void BasicLog<Fs>::flushed(const Flush& flush) {
  if (flush.cuts_ != shared_.cuts) {
    return;  // the log was cut back meanwhile: what was synced may be gone
  }
  if (flush.end_ > shared_.recovery_point) {
    shared_.recovery_point = flush.end_;
    shared_.synced = flush.end_;
  }
  shared_.changes_synced = std::max(shared_.changes_synced, flush.changes_);
  shared_.epoch_changes_synced = std::max(shared_.epoch_changes_synced, flush.epoch_changes_);
  shared_.entry_synced = true;
  if (flush.scope_ != FlushScope::sealed || flush.segments_.empty()) {
    return;
  }
  for (std::size_t i = 0; i + 1 < flush.segments_.size(); ++i) {
    const LogSegment& entry = *flush.segments_[i];
    const Segment* segment = entry.if_open();
    if (segment != nullptr && entry.base() >= shared_.unsealed_from &&
        flush.replacements_ == shared_.replacements) {
      const SegmentEnd end = segment->end();
      const Offset last = end.size == 0 ? Offset(-1) : end.next_offset - 1;
      shared_.sealed.push_back({entry.base(), last, end.size, end.largest.timestamp, entry.digest});
    }
  }
  shared_.unsealed_from = std::max(shared_.unsealed_from, flush.segments_.back()->base());
}

template <FileSystem Fs>
absl::StatusOr<CleanEnd> BasicLog<Fs>::close() {
  OTTLA_TRY(note_damage());
  OTTLA_TRY(check_writable());
  OTTLA_TRY(undo_failed_roll());
  if (active() != nullptr) {
    OTTLA_ASSIGN(auto* segment, active()->segment());
    OTTLA_TRY(seal(*segment));
  }
  if (!epochs_saved_) {
    OTTLA_TRY(save_epochs());
  }
  if (active() != nullptr && end_ > start_ && settle_producers().ok()) {
    // Without it the next open reads what is behind the last one.
    take_snapshot(end_, Durability::durable).IgnoreError();
  }
  publish();
  Flush flush = plan_flush(FlushScope::sealed);
  // All indexes: those of the active segment were written just now.
  const bool untouched = !appended_ && changes_ == 0 && cuts_ == 0;
  if (active() != nullptr && !untouched) {
    OTTLA_ASSIGN(auto* segment, active()->segment());
    OTTLA_TRY(health_->checked(segment->sync_indexes(IoReason::clean_stop)));
    if (active()->has_aborted()) {
      OTTLA_ASSIGN(auto* aborted, active()->aborted());
      OTTLA_TRY(health_->checked(aborted->sync(IoReason::clean_stop)));
    }
  }
  OTTLA_TRY(flush.run());
  flushed(flush);
  publish();
  if (!sealed_.empty() || synced_) {
    // Who came by and wrote nothing needs no era. On a full disk they lag behind.
    const absl::Status noted = write_notes(no_timestamp);
    OTTLA_TRY(fault(noted) == Fault::no_space ? absl::OkStatus() : noted);
  }
  return clean_end();
}

template <FileSystem Fs>
absl::StatusOr<CleanEnd> BasicLog<Fs>::clean_end() const {
  CleanEnd end{.end = end_};
  if (active() == nullptr) {
    return end;
  }
  OTTLA_ASSIGN(const auto* segment, active()->segment());
  end.end = segment->end().next_offset;
  end.segment = segment->base_offset();
  end.size = segment->size();
  if (end.size > 0) {
    OTTLA_ASSIGN(const auto place, segment->find(segment->end().next_offset - 1));
    if (!place) {
      return broken_invariant("Log::close: a segment that has bytes has a last batch");
    }
    OTTLA_ASSIGN(const SharedBytes header, segment->read(place->position, batch_header_size));
    end.last_position = place->position;
    end.digest = crc32c(header.bytes());
  }
  return end;
}

}  // namespace ottla::inline OTTLA_ABI
