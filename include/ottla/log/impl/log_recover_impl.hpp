// SPDX-License-Identifier: Apache-2.0
//
// Recovery at opening: where the log ends, and whether what stands there is a torn tail or damage.
#pragma once

#include <algorithm>
#include <string>
#include <utility>

#include <absl/strings/str_cat.h>

#include <ottla/base/crc32c.hpp>
#include <ottla/log/impl/cut_keeper.hpp>
#include <ottla/log/impl/log_open_impl.hpp>

namespace ottla::inline OTTLA_ABI {

/// Segments that end at or below it are closed, and on the device with their indexes.
template <FileSystem Fs>
Offset BasicLog<Fs>::Opener::indexed_end() const {
  Offset end = opening_.recovery_point;
  const auto& sealed = log_.manifest_.segments();
  for (auto it = sealed.begin(); it != sealed.end() && it->first <= end; ++it) {
    end = std::max(end, it->second.end());
  }
  return end;
}

/// Where the segment's offsets end by what is known of the next one. After the death of the machine
/// one above the durable point may be what the log does not have any more, and below the log's
/// start any may miss.
template <FileSystem Fs>
std::optional<Offset> BasicLog<Fs>::Opener::known_end(std::size_t index) const {
  const bool known = manifest_known_ && !opening_.foreign && index + 1 < bases_.size() &&
                     bases_[index + 1] > opening_.log_start &&
                     (stop_ != LastStop::system_crash || bases_[index + 1] <= durable_end_);
  return known ? log_.manifest_.end_before(bases_[index + 1]) : std::nullopt;
}

/// The first segment whose indexes may not be on the device, where `end` says up to where they are:
/// that of the segment which ended there were written when it was closed, later. Not where
/// others wrote: Kafka syncs them with its records.
template <FileSystem Fs>
std::size_t BasicLog<Fs>::Opener::first_unsealed(Offset end) const {
  const auto above = std::upper_bound(bases_.begin(), bases_.end(), end);
  auto index = static_cast<std::size_t>(above - bases_.begin());
  index -= index > 0 ? 1 : 0;
  const bool ours = manifest_known_ ? log_.manifest_.is_dense_at(end - 1) : manifest_there_;
  const bool at_its_base = index > 0 && bases_[index] == end && ours;
  return at_its_base && log_.manifest_.segments().count(bases_[index - 1]) == 0 ? index - 1 : index;
}

template <FileSystem Fs>
absl::Status BasicLog<Fs>::Opener::recover() {
  for (std::size_t i = 0; i < bases_.size(); ++i) {
    const auto& sealed = log_.manifest_.segments();
    const auto line = sealed.find(bases_[i]);
    const bool closed = line != sealed.end() && (i + 1 < bases_.size() || damage_ != nullptr);
    list_.push_back(make_ref<LogSegment>(log_.place_, bases_[i], log_.segment_options(),
                                         closed ? std::optional(line->second) : std::nullopt,
                                         known_end(i)));
    if (closed && line->second.largest != no_timestamp) {
      list_.back()->set_closed_facts(line->second.size, line->second.largest);
    }
  }
  if (bases_.empty()) {
    // A log has no files before its first write, and some from then on.
    end_ = opening_.log_start;
    const bool clean = stop_ == LastStop::clean && opening_.clean_end;
    const Offset known = clean ? std::max(durable_end_, opening_.clean_end->end) : durable_end_;
    if (damage_ == nullptr && (known > end_ || files_->damaged)) {
      damage(opening_.log_start, 0, end_, "the log has no files, and was not empty");
    }
    return absl::OkStatus();
  }
  if (damage_ != nullptr) {
    stop_ = LastStop::clean;  // the last segment left was closed
    return open_clean();
  }
  if (files_->damaged) {
    stop_ = report_.last_stop = LastStop::system_crash;  // it is looked for again
  }
  OTTLA_TRY(check_last_transaction_index());
  if (stop_ == LastStop::clean) {
    OTTLA_TRY(open_clean());
  }
  if (stop_ == LastStop::process_crash) {
    return recover_segment(bases_.size() - 1).status();
  }
  if (stop_ == LastStop::system_crash) {
    const auto above = std::upper_bound(bases_.begin(), bases_.end(), opening_.log_start);
    const auto at_start =
        static_cast<std::size_t>(std::max(bases_.begin() + 1, above) - 1 - bases_.begin());
    std::size_t index = std::max(at_start, first_unsealed(indexed_end()));  // below it any may miss
    OTTLA_TRY(doubt_from(index));
    for (; index < bases_.size(); ++index) {
      OTTLA_ASSIGN(const bool go_on, recover_segment(index));
      if (!go_on) {
        break;
      }
    }
  }
  return absl::OkStatus();
}

/// Whatever stop comes next must not cut what this opening did not.
template <FileSystem Fs>
absl::Status BasicLog<Fs>::Opener::settle_damage() {
  constexpr IoReason why = IoReason::checkpoint;
  if (damage_ == nullptr) {
    OTTLA_TRY(files_->damaged ? place_.files.remove(place_.path(damage_file), why)
                              : absl::OkStatus());
    return files_->damaged ? log_.sync_directory(why) : absl::OkStatus();
  }
  log_.damage_noted_ = files_->damaged;
  const absl::Status noted = log_.note_damage();
  return fault(noted) == Fault::no_space ? absl::OkStatus() : noted;  // closing tries again
}

/// The next opening is not told that somebody else was here, whose gaps are no torn tails; nor that
/// what is behind them is ours, whose gaps are.
template <FileSystem Fs>
absl::Status BasicLog<Fs>::Opener::note_foreign() {
  const bool damage_noted = damage_ == nullptr || log_.damage_noted_;
  const bool has_news = others_end_ || (opening_.foreign && !manifest_there_);
  if (!has_news || (bases_.empty() && !others_end_) || !damage_noted) {
    return absl::OkStatus();
  }
  const absl::Status noted = log_.write_manifest("", Durability::durable);
  log_.era_noted_ = log_.era_noted_ || noted.ok();
  return fault(noted) == Fault::no_space ? absl::OkStatus() : noted;  // it is written later
}

template <FileSystem Fs>
absl::Status BasicLog<Fs>::note_damage() {
  if (damage() == nullptr || damage_noted_) {
    return absl::OkStatus();
  }
  const std::string text = absl::StrCat(
      damage()->file, " is damaged at byte ", damage()->position, ": ", damage()->why,
      ".\nNothing is cut or appended here until an opening finds the log whole: repair it "
      "(Broker::repair), restore the file from a backup, or delete the topic.\n");
  OTTLA_TRY(
      health_->replaced(replace_small_file(place_->files, place_->path(damage_file), as_bytes(text),
                                           Durability::durable, IoReason::checkpoint),
                        Durability::durable));
  damage_noted_ = true;
  return absl::OkStatus();
}

template <FileSystem Fs>
void BasicLog<Fs>::Opener::add_opened(std::size_t index, Segment segment) {
  list_[index] = make_ref<LogSegment>(log_.place_, log_.segment_options(), std::move(segment));
}

/// After a clean stop the end has to be found only. A marker that does not match is stale for this
/// partition: then it is recovered.
template <FileSystem Fs>
absl::Status BasicLog<Fs>::Opener::open_clean() {
  OTTLA_ASSIGN(auto segment, log_impl::open_log_segment(place_, bases_.back(),
                                                        log_.segment_options(), opening_.now));
  if (opening_.clean_end && damage_ == nullptr) {
    OTTLA_ASSIGN(const bool matches, is_clean_end(segment));
    if (!matches) {
      stop_ = report_.last_stop = LastStop::system_crash;
      return absl::OkStatus();
    }
  }
  if (!has_indexes(bases_.back())) {
    segment.distrust_indexes();
  }
  const absl::Status found = segment.find_end();
  if (!found.ok() && fault(found) != Fault::corrupt) {
    return found;
  }
  if (!found.ok()) {
    OTTLA_ASSIGN(
        const SegmentRecovery recovery,
        segment.recover({.trust_indexes = false, .durable_end = {}}, visit_of(bases_.back())));
    report_.scanned_bytes += recovery.file_size;
    if (!recovery.clean() && damage_ == nullptr) {
      damage(bases_.back(), recovery.valid_end, recovery.next_offset,
             std::string(recovery.problem));
    }
  }
  if (damage_ != nullptr && !list_.back()->check_closed(segment).ok()) {
    end_ = damage_->offset;  // reading there says what is wrong
    return absl::OkStatus();
  }
  end_ = segment.end().next_offset;
  add_opened(bases_.size() - 1, std::move(segment));
  return absl::OkStatus();
}

template <FileSystem Fs>
absl::StatusOr<bool> BasicLog<Fs>::Opener::is_clean_end(const Segment& segment) const {
  const CleanEnd& end = *opening_.clean_end;
  if (end.segment != segment.base_offset() || end.size != segment.size()) {
    return false;
  }
  if (end.size == 0) {
    return end.last_position == -1;
  }
  if (end.last_position < 0 ||
      end.last_position > end.size - static_cast<std::int64_t>(batch_header_size)) {
    return false;
  }
  OTTLA_ASSIGN(const SharedBytes header, segment.read(end.last_position, batch_header_size));
  const ScannedBatch batch =
      scan_batch(header.bytes(), static_cast<std::uint64_t>(end.size - end.last_position));
  return batch.verdict == BatchVerdict::whole && crc32c(header.bytes()) == end.digest &&
         end.last_position + static_cast<std::int64_t>(batch.size) == end.size;
}

/// Whether the epoch of a batch led at its offset. Below the first entry nothing is known.
template <FileSystem Fs>
absl::Status BasicLog<Fs>::Opener::check_epoch(const BatchHeader& header) const {
  const auto expected = log_.epochs_.epoch_for_offset(header.base_offset);
  if (header.leader_epoch == no_leader_epoch || (!expected && !log_.epochs_.empty()) ||
      expected == header.leader_epoch) {
    return absl::OkStatus();
  }
  return error(Fault::corrupt, absl::StrCat("the batch at offset ", header.base_offset.value(),
                                            " has leader epoch ", header.leader_epoch.value(),
                                            ", which did not lead there"));
}

/// No checksum covers where a batch begins: whether it can begin there. `expected`: behind the
/// batch before it in its segment.
template <FileSystem Fs>
absl::Status BasicLog<Fs>::Opener::check_offsets(const BatchHeader& header,
                                                 std::optional<Offset> expected) const {
  const bool is_above_end = opening_.last_stop == LastStop::clean && opening_.clean_end &&
                            header.next_offset() > opening_.clean_end->end;
  // A manifest that a power cut spoilt was never on the device, as it is before the first gap that
  // is not below the recovery point.
  const bool is_dense = manifest_known_ ? log_.manifest_.is_dense_at(header.base_offset)
                                        : manifest_there_ && stop_ == LastStop::system_crash &&
                                              header.base_offset > durable_end_;
  const bool is_apart = is_dense && !opening_.foreign && expected && header.base_offset > *expected;
  if (!is_above_end && !is_apart) {
    return absl::OkStatus();
  }
  return error(Fault::corrupt,
               absl::StrCat("a batch with offsets ", header.base_offset.value(), " to ",
                            header.last_offset().value(),
                            is_above_end ? ", above the end of the log at its clean stop"
                                         : ", apart from those before it"));
}

/// What recovery asks of the batches of a segment, one after the other.
template <FileSystem Fs>
SegmentVisit BasicLog<Fs>::Opener::visit_of(Offset base) const {
  return [this, base, next = std::optional<Offset>()](
             const BatchHeader& header, std::int64_t position) mutable -> absl::Status {
    const std::optional<Offset> expected = position == 0 ? base : next;
    next = header.next_offset();
    OTTLA_TRY(check_offsets(header, expected));
    return epochs_known_ && stop_ != LastStop::clean ? check_epoch(header) : absl::OkStatus();
  };
}

/// Whether the segments behind it are to be recovered, too.
template <FileSystem Fs>
absl::StatusOr<bool> BasicLog<Fs>::Opener::recover_segment(std::size_t index) {
  OTTLA_ASSIGN(auto segment, log_impl::open_log_segment(place_, bases_[index],
                                                        log_.segment_options(), opening_.now));
  OTTLA_ASSIGN(const SegmentRecovery found,
               segment.recover(
                   {.trust_indexes = stop_ == LastStop::process_crash, .durable_end = durable_end_},
                   visit_of(bases_[index])));
  report_.scanned_bytes += found.valid_end - found.scanned_from;
  end_ = found.next_offset;
  OTTLA_ASSIGN(const bool go_on, judge(index, segment, found));
  if (go_on && index + 1 < bases_.size()) {
    OTTLA_TRY(log_.seal(segment));
  } else if (stop_ == LastStop::system_crash && damage_ == nullptr) {
    // What was cut off, here or by an opening that died then, does not come back.
    OTTLA_TRY(log_.sync_directory(IoReason::recover_cut));
    OTTLA_TRY(log_.health_->checked(segment.sync(IoReason::recover_cut)));
  }
  if (end_ <= indexed_end()) {
    // Nobody makes them anew after the next power cut.
    OTTLA_TRY(log_.health_->checked(segment.sync_indexes(IoReason::index_rebuild)));
  }
  add_opened(index, std::move(segment));
  return go_on;
}

/// Whether nothing is missing between the segment, whose records end at `end`, and the next one.
template <FileSystem Fs>
bool BasicLog<Fs>::Opener::joined(std::size_t index, Offset end) const {
  // A compacted log may have nothing left at the end of a segment: below the durable point, since
  // nothing else is compacted here, and where the manifest says so, if it can be read; somebody
  // else does it elsewhere, too, and what their topic is configured to be now does not tell what it
  // was.
  const Offset next = bases_[index + 1];
  const bool may_be_compacted =
      manifest_known_ ? !log_.manifest_.is_dense_at(next - 1) : log_.config_.compact;
  const bool compacted =
      (may_be_compacted && next <= durable_end_) ||
      (manifest_there_ ? log_.manifest_.is_of_others(next - 1) : opening_.foreign);
  return compacted || next == end || next <= opening_.log_start ||
         log_.manifest_.has_gap(end, next);
}

/// Torn tail or damage (reliability: what was durable, or is followed by what was written later,
/// was whole once, and what was damage stays it).
template <FileSystem Fs>
absl::StatusOr<bool> BasicLog<Fs>::Opener::judge(std::size_t index, Segment& segment,
                                                 const SegmentRecovery& found) {
  const bool last = index + 1 == bases_.size();
  const bool is_joined = last || joined(index, found.next_offset);
  const bool lost = found.next_offset < durable_end_ && durable_end_ > opening_.log_start;
  if (found.clean() && is_joined && !(last && lost)) {
    return true;
  }
  std::string why = !found.clean() ? found.problem
                    : last         ? "it ends here, and was longer"
                                   : "it ends here, before the next one begins";
  if (lost || files_->damaged || opening_.never_cut ||
      (stop_ == LastStop::process_crash && found.batch_follows)) {
    damage(bases_[index], found.valid_end, found.next_offset, std::move(why));
  } else {
    OTTLA_TRY(cut(index, segment, found));
  }
  bases_.resize(index + 1);
  list_.resize(index + 1);
  return false;
}

/// Nothing is left that could be taken for the log's: later segments go first, the highest before
/// the others (W9). Where the machine lived on, all this is as good as written.
template <FileSystem Fs>
absl::Status BasicLog<Fs>::Opener::cut(std::size_t index, Segment& segment,
                                       const SegmentRecovery& found) {
  log_impl::CutKeeper<Fs> keeper(place_, files_->cuts);
  for (std::size_t i = bases_.size(); i-- > index + 1;) {
    OTTLA_ASSIGN(const auto kept, keeper.keep_segment(bases_[i]));
    find(Kind::cut, offset_file_path(place_.directory, bases_[i], log_suffix), 0, kept.bytes,
         "it follows a torn tail", kept.name);
  }
  const std::string path = offset_file_path(place_.directory, bases_[index], log_suffix);
  if (!found.clean()) {
    OTTLA_ASSIGN(const auto kept,
                 keeper.keep_tail(bases_[index], found.valid_end, found.file_size));
    find(Kind::cut, path, found.valid_end, found.file_size - found.valid_end, found.problem,
         kept.name);
  }
  OTTLA_TRY(stop_ == LastStop::system_crash ? log_.sync_directory(IoReason::recover_cut)
                                            : absl::OkStatus());
  return segment.cut_tail(IoReason::recover_cut);
}

template <FileSystem Fs>
absl::Status BasicLog<Fs>::Opener::settle_epochs() {
  const auto& segments = log_.list_->segments;
  const bool has_batches = !segments.empty() && end_ > segments.front()->base();
  if (!epochs_known_ && has_batches) {
    if (!report_.has(Kind::epochs_rebuilt)) {
      find(Kind::epochs_rebuilt, place_.path(epoch_checkpoint_file), 0, 0, "it is missing");
    }
    OTTLA_TRY(rebuild_epochs());
    log_.epochs_saved_ = false;
  }
  report_.latest_epoch = log_.epochs_.latest();
  if (log_.epochs_.truncate_from_end(end_)) {
    log_.epochs_saved_ = false;
  }
  if (log_.epochs_.truncate_from_start(log_.start_)) {
    log_.epochs_saved_ = false;
  }
  return absl::OkStatus();
}

/// By the batches: a segment that begins in the same epoch as the next one is not looked through.
template <FileSystem Fs>
absl::Status BasicLog<Fs>::Opener::rebuild_epochs() {
  const auto& segments = log_.list_->segments;
  const auto walk = [&](LogSegment& entry, const SegmentVisit& visit) -> absl::Status {
    const auto segment = entry.segment();
    const absl::Status walked =
        segment.ok() ? (*segment)->each_batch(entry.base(), visit) : segment.status();
    // Damage is for those who read there.
    return absl::IsCancelled(walked) || fault(walked) == Fault::corrupt ? absl::OkStatus() : walked;
  };
  std::vector<EpochStart> firsts(segments.size() + 1, EpochStart{no_leader_epoch, end_});
  for (std::size_t i = 0; i < segments.size(); ++i) {
    OTTLA_TRY(walk(*segments[i], [&](const BatchHeader& header, std::int64_t) {
      firsts[i] = {header.leader_epoch, header.base_offset};
      return absl::CancelledError();  // ends the walk
    }));
  }
  LeaderEpochs& epochs = log_.epochs_;
  const auto note = [&](LeaderEpoch epoch, Offset offset) {
    if (epoch > epochs.latest().value_or(no_leader_epoch)) {
      epochs.assign(epoch, offset);
    }
  };
  for (std::size_t i = 0; i < segments.size(); ++i) {
    note(firsts[i].epoch, firsts[i].start);
    if (firsts[i].epoch != firsts[i + 1].epoch) {
      OTTLA_TRY(walk(*segments[i], [&](const BatchHeader& header, std::int64_t) {
        note(header.leader_epoch, header.base_offset);
        return absl::OkStatus();
      }));
    }
  }
  return absl::OkStatus();
}

}  // namespace ottla::inline OTTLA_ABI
