// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include <absl/strings/str_cat.h>

#include <ottla/base/crc32c.hpp>
#include <ottla/base/invariant.hpp>
#include <ottla/env/small_file.hpp>
#include <ottla/log/log.hpp>

namespace ottla::inline OTTLA_ABI {

namespace log_impl {
/// Shorter ones are not worth being written anew, though most of their lines are of the past.
inline constexpr std::int64_t long_manifest = 64 << 10;

inline constexpr std::size_t max_epoch_file = std::size_t{256} << 20;

inline LeaderEpoch leader_epoch_of(Bytes batch) {
  return LeaderEpoch(load_big_endian<std::int32_t>(batch.data() + batch_position::leader_epoch));
}
}  // namespace log_impl

template <FileSystem Fs>
absl::Status BasicLog<Fs>::check_writable() const {
  OTTLA_TRY(health_->check());
  if (const Damage* damaged = damage(); damaged != nullptr) {
    return error(
        ErrorCode::kafka_storage_error, Fault::corrupt,
        absl::StrCat(damaged->file, " is damaged at byte ", damaged->position, " (", damaged->why,
                     "): it takes no appends; repair it (Broker::repair), restore the file from "
                     "a backup, or delete the topic"));
  }
  return absl::OkStatus();
}

template <FileSystem Fs>
SegmentOptions BasicLog<Fs>::segment_options() const {
  return {.index_interval_bytes = config_.index_interval_bytes,
          .index_bytes = config_.segment_index_bytes,
          .reserve_bytes = config_.preallocate ? config_.segment_bytes : 0};
}

template <FileSystem Fs>
auto BasicLog<Fs>::active() const -> LogSegment* {
  return list_->segments.empty() ? nullptr : list_->segments.back().get();
}

template <FileSystem Fs>
Appended BasicLog<Fs>::append(std::span<const Bytes> batches, std::span<const BatchFacts> facts,
                              Timestamp now) {
  Appended done{0, check_writable()};
  wall_now_ = now;
  for (std::size_t i = 0; done.status.ok() && i < facts.size(); ++i) {
    if (facts[i].size > config_.segment_bytes) {
      done.status = error(ErrorCode::record_list_too_large,
                          absl::StrCat("a batch of ", facts[i].size, " bytes, segment.bytes is ",
                                       config_.segment_bytes));
    }
  }
  if (const Segment* last = active() == nullptr ? nullptr : active()->if_open();
      last != nullptr && last->size() > 0) {
    end_ = std::max(end_, last->end().next_offset);  // what came behind that write had no memory
  }
  if (done.status.ok() && !facts.empty() && facts.front().base_offset < end_) {
    done.status = error(Fault::invalid_argument,
                        absl::StrCat("offset ", facts.front().base_offset.value(), " in ",
                                     place_->directory, ", which ends at ", end_.value()));
  }
  if (done.status.ok()) {
    // Evidence for recovery, that may lag: where it cannot be written now, it is the next time.
    write_notes(now).IgnoreError();
    done.status = undo_failed_write();
  }
  if (done.status.ok()) {
    done.status = settle_producers();
  }
  if (done.status.ok()) {
    done.status = note_epochs(batches, facts);
  }
  if (done.status.ok()) {
    done.status = note_gaps(facts);
  }
  while (done.status.ok() && done.batches < facts.size()) {
    const auto written =
        append_to_active(batches.subspan(done.batches), facts.subspan(done.batches), now);
    done.status = written.status();
    done.batches += written.ok() ? *written : 0;
  }
  if (!done.status.ok() && epochs_.truncate_from_end(end_ + 1)) {
    epochs_saved_ = epochs_published_ = false;  // of batches that did not get there
  }
  return done;
}

/// Offsets that a leader left out (it was compacted), or that a cut within a batch took, are told
/// from bits that turned by this note: it is on the device before the first batch that lies apart.
template <FileSystem Fs>
absl::Status BasicLog<Fs>::note_gaps(std::span<const BatchFacts> facts) {
  const Segment* last = list_->segments.empty() ? nullptr : active()->if_open();
  Offset next = last != nullptr ? last->end().next_offset : end_;
  for (const BatchFacts& batch : facts) {
    if (batch.base_offset > next && manifest_.is_dense_at(batch.base_offset)) {
      Manifest before = manifest_;
      // Behind a cut there is this one; a leader that was compacted has more of them.
      const Offset to = batch.base_offset == end_ ? batch.base_offset + 1 : Offset(INT64_MAX);
      absl::Status noted = write_manifest(manifest_.add_sparse(next, to), Durability::durable);
      if (!noted.ok()) {
        manifest_ = std::move(before);
        return noted;
      }
    }
    next = batch.last_offset + 1;
  }
  return absl::OkStatus();
}

template <FileSystem Fs>
absl::StatusOr<std::size_t> BasicLog<Fs>::append_to_active(std::span<const Bytes> batches,
                                                           std::span<const BatchFacts> facts,
                                                           Timestamp now) {
  const Offset base = facts.front().base_offset;
  const RollLimits limits{config_.segment_bytes, config_.max_segment_age() - jitter_, now};
  if (active() == nullptr) {
    OTTLA_TRY(add_segment(end_, now));
  }
  OTTLA_ASSIGN(auto* segment, active()->segment());
  OTTLA_ASSIGN(std::size_t fit, segment->fitting(facts, limits));
  if (fit == 0) {
    OTTLA_TRY(roll_to(base, now));
    OTTLA_ASSIGN(segment, active()->segment());
    OTTLA_ASSIGN(fit, segment->fitting(facts, limits));
    if (!invariant(fit > 0)) {
      return broken_invariant("Log::append: a new segment takes at least one batch");
    }
  }
  if (absl::Status failed = segment->write_out(batches.first(fit), facts.first(fit));
      !failed.ok()) {
    const absl::Status synced = sync_undone(*segment);
    if (!synced.ok()) {
      failed = error(error_code(failed), fault(failed),
                     absl::StrCat(failed.message(),
                                  "; cut off, and that could not be synced: ", synced.message()),
                     Outcome::unknown);
    }
    return failed;
  }
  segment->set_modified(now);
  appended_ = true;
  if (std::optional<std::uint32_t>& digest = active()->digest; digest) {
    for (const Bytes batch : batches.first(fit)) {
      digest = crc32c(batch.first(batch_header_size), *digest);
    }
  }
  const bool kept_up = producers_.end() == end_;
  end_ = facts[fit - 1].last_offset + 1;
  if (kept_up) {
    // Where a transaction index cannot be written they stay behind, and the next append sees to it.
    note_producers(batches.first(fit), facts.first(fit)).IgnoreError();
  }
  return fit;
}

/// What is said not to be written does not come back after a power cut either. A sync that was not
/// tried stays owed.
template <FileSystem Fs>
absl::Status BasicLog<Fs>::sync_undone(Segment& segment) {
  if (!segment.take_undone()) {
    return absl::OkStatus();
  }
  absl::Status synced = health_->checked(segment.sync(IoReason::undo_append));
  if (not_tried(synced)) {
    segment.note_undone();
  }
  return synced;
}

template <FileSystem Fs>
absl::Status BasicLog<Fs>::roll(Timestamp now) {
  OTTLA_TRY(check_writable());
  return active() == nullptr ? add_segment(end_, now) : roll_to(end_, now);
}

/// What is closed is complete in its files before a new segment is there: recovery after the death
/// of the process looks at the last segment only. It would not see that indexes are damaged,
/// either. On a full disk they go: retention and a clean stop are to work there.
template <FileSystem Fs>
absl::Status BasicLog<Fs>::seal(Segment& segment) {
  OTTLA_TRY(make_ready(segment));
  absl::Status indexed = segment.become_inactive();
  if (fault(indexed) == Fault::no_space) {
    segment.distrust_indexes();
    indexed = absl::OkStatus();
  }
  OTTLA_TRY(std::move(indexed));
  return segment.indexes_damaged() ? remove_indexes(segment.base_offset()) : absl::OkStatus();
}

template <FileSystem Fs>
absl::Status BasicLog<Fs>::roll_to(Offset base, Timestamp now) {
  OTTLA_ASSIGN(auto* segment, active()->segment());
  if (segment->size() == 0 && segment->base_offset() == base) {
    return absl::OkStatus();
  }
  OTTLA_TRY(seal(*segment));
  const Offset ended = segment->end().next_offset;
  if (ended < base) {
    // Without it recovery takes the next segment for one behind a torn tail.
    OTTLA_TRY(write_manifest(manifest_.add_gap(ended, base), Durability::durable));
  }
  if (producers_.end() >= end_) {
    take_snapshot(base, Durability::written).IgnoreError();  // recovery does with an older one
  }
  OTTLA_TRY(add_segment(base, now));
  drop_snapshots_between_segments();
  return absl::OkStatus();
}

template <FileSystem Fs>
absl::Status BasicLog<Fs>::add_segment(Offset base, Timestamp now) {
  OTTLA_TRY(rolling_to_ == base ? absl::OkStatus() : undo_failed_roll());
  ++changes_;
  rolling_to_ = base;
  auto created = create_segment(place_->files, place_->directory, base, segment_options(), now);
  if (fault(created.status()) == Fault::already_exists) {
    rolling_to_ = Offset(-1);  // somebody else's
  }
  OTTLA_ASSIGN(auto segment, std::move(created));
  auto segments = list_->segments;
  segments.push_back(make_ref<LogSegment>(place_, segment_options(), std::move(segment)));
  segments.back()->digest = 0;
  replace_list(std::move(segments));
  rolling_to_ = Offset(-1);
  jitter_ = draw_jitter();
  return absl::OkStatus();
}

template <FileSystem Fs>
void BasicLog<Fs>::replace_list(std::vector<Ref<LogSegment>> segments) {
  replaced_list_ = {};  // published since
  list_ = make_ref<SegmentList>();
  list_->segments = std::move(segments);
}

/// Uniform in [0, min(segment.jitter.ms, segment.ms)).
template <FileSystem Fs>
std::chrono::milliseconds BasicLog<Fs>::draw_jitter() {
  const auto most = std::min(config_.segment_jitter, config_.segment_age).count();
  if (most <= 0) {
    return std::chrono::milliseconds(0);
  }
  random_ += 0x9e3779b97f4a7c15;  // splitmix64
  std::uint64_t mixed = (random_ ^ (random_ >> 30)) * 0xbf58476d1ce4e5b9;
  mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111eb;
  mixed ^= mixed >> 31;
  return std::chrono::milliseconds(
      static_cast<std::int64_t>(mixed % static_cast<std::uint64_t>(most)));
}

template <FileSystem Fs>
void BasicLog<Fs>::assign_epoch(LeaderEpoch epoch) {
  if (epochs_.assign(epoch, end_)) {
    epochs_saved_ = epochs_published_ = false;
  }
}

/// What a failed write left may be whole batches. They go before the epochs in the file do that
/// tell recovery what they are: a torn tail, and no damage.
template <FileSystem Fs>
absl::Status BasicLog<Fs>::undo_failed_write() {
  OTTLA_TRY(undo_failed_roll());
  if (active() == nullptr) {
    return absl::OkStatus();
  }
  OTTLA_ASSIGN(auto* segment, active()->segment());
  return make_ready(*segment);
}

/// What a failed write left is cut off, also on the device: what comes next may go to a new
/// segment, and no flush of that would sync this one.
template <FileSystem Fs>
absl::Status BasicLog<Fs>::make_ready(Segment& segment) {
  OTTLA_TRY(segment.ready_to_write());
  return sync_undone(segment);
}

/// Its files are none of the log's: what is appended now may still fit the segment before it, and
/// pass the offset that they are named after.
template <FileSystem Fs>
absl::Status BasicLog<Fs>::undo_failed_roll() {
  if (rolling_to_ < Offset(0)) {
    return absl::OkStatus();
  }
  ++changes_;
  for (const std::string_view suffix : {log_suffix, offset_index_suffix, time_index_suffix}) {
    const absl::Status removed = place_->files.remove(
        offset_file_path(place_->directory, rolling_to_, suffix), IoReason::roll);
    OTTLA_TRY(fault(removed) == Fault::not_found ? absl::OkStatus() : removed);
  }
  rolling_to_ = Offset(-1);
  return absl::OkStatus();
}

/// New leader epochs are in their file before the batches that carry them (W7).
template <FileSystem Fs>
absl::Status BasicLog<Fs>::note_epochs(std::span<const Bytes> batches,
                                       std::span<const BatchFacts> facts) {
  for (std::size_t i = 0; i < facts.size(); ++i) {
    const LeaderEpoch epoch = log_impl::leader_epoch_of(batches[i]);
    if (epoch != epochs_.latest() && epochs_.assign(epoch, facts[i].base_offset)) {
      epochs_saved_ = epochs_published_ = false;
    }
  }
  return epochs_saved_ ? absl::OkStatus() : save_epochs();
}

template <FileSystem Fs>
absl::Status BasicLog<Fs>::save_epochs() {
  const std::string text = format_epoch_checkpoint(epochs_.entries());
  const std::string path = place_->path(epoch_checkpoint_file);
  const std::uint32_t next = crc32c(as_bytes(text));
  if (epochs_crc_ == next) {
    epochs_saved_ = true;  // forgotten and assigned again, as in a log that is empty
    return absl::OkStatus();
  }
  if (!epochs_crc_) {
    const auto current = read_small_file(place_->files, path, log_impl::max_epoch_file);
    if (!current.ok() && fault(current.status()) != Fault::not_found) {
      return current.status();
    }
    epochs_crc_ = crc32c(as_bytes(current.ok() ? std::string_view(*current) : ""));
  }
  OTTLA_TRY(write_manifest(manifest_.set_epochs(*epochs_crc_, next), Durability::written));
  ++changes_;
  ++epoch_changes_;
  epochs_crc_.reset();  // not known until the file is there
  OTTLA_TRY(replace_small_file(place_->files, path, as_bytes(text), Durability::written,
                               IoReason::checkpoint));
  epochs_crc_ = next;
  epochs_saved_ = true;
  return absl::OkStatus();
}

/// Appends lines that manifest_ knows already. The first time the whole file is written anew.
template <FileSystem Fs>
absl::Status BasicLog<Fs>::write_manifest(const std::string& lines, Durability durability) {
  const std::string path = place_->path(manifest_file);
  const std::int64_t end = std::exchange(manifest_end_, -1);  // not known if this fails
  if (end >= 0 && end < manifest_limit_) {
    OTTLA_ASSIGN(auto file, place_->files.open(path, OpenMode::read_write, IoReason::checkpoint));
    const Bytes piece = as_bytes(lines);
    OTTLA_TRY(file.write(end, {&piece, 1}, IoReason::checkpoint));
    if (durability == Durability::durable) {
      OTTLA_TRY(health_->checked(file.sync(IoReason::checkpoint)));
      OTTLA_TRY(manifest_named_ ? absl::OkStatus() : sync_directory(IoReason::checkpoint));
      manifest_named_ = true;
    }
    OTTLA_TRY(file.close());
    manifest_end_ = end + static_cast<std::int64_t>(lines.size());
    return absl::OkStatus();
  }
  const std::string text = manifest_.whole_text();
  durability = manifest_.has_to_last() ? Durability::durable : durability;
  ++changes_;
  OTTLA_TRY(health_->replaced(
      replace_small_file(place_->files, path, as_bytes(text), durability, IoReason::checkpoint),
      durability));
  manifest_named_ = durability == Durability::durable;
  manifest_end_ = static_cast<std::int64_t>(text.size());
  manifest_limit_ = std::max(log_impl::long_manifest, 2 * manifest_end_);
  return absl::OkStatus();
}

/// What flushes have made known since the last time; how far they came alone, once a second.
template <FileSystem Fs>
absl::Status BasicLog<Fs>::write_notes(Timestamp now) {
  const bool soon = noted_ && now >= *noted_ && now - *noted_ < 1000;
  if (sealed_.empty() && era_noted_ && (!synced_ || soon)) {
    return absl::OkStatus();
  }
  noted_ = synced_ ? now : noted_;
  std::string lines = era_noted_ ? std::string() : manifest_.set_era(*manifest_.era());
  for (const SealedSegment& segment : sealed_) {
    lines += manifest_.add(segment);
  }
  if (synced_) {
    lines += manifest_.set_synced(*synced_);
  }
  sealed_.clear();
  synced_.reset();
  OTTLA_TRY(write_manifest(lines, Durability::written));
  era_noted_ = true;
  return absl::OkStatus();
}

}  // namespace ottla::inline OTTLA_ABI
