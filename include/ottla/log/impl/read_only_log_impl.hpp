// SPDX-License-Identifier: Apache-2.0
//
// The names in the directory say which segments there are. The manifest is read after they are
// listed, and a file after the manifest: what is noted of a file is true of it, or of one that has
// taken its place since. Whatever does not fit is looked at twice before it is believed.
#pragma once

#include <algorithm>
#include <utility>

#include <absl/hash/hash.h>
#include <absl/strings/str_cat.h>

#include <ottla/base/guard.hpp>
#include <ottla/env/small_file.hpp>
#include <ottla/log/impl/log_files.hpp>
#include <ottla/log/impl/replacement.hpp>
#include <ottla/log/read_only_log.hpp>

namespace ottla::inline OTTLA_ABI {

template <FileSystem Fs>
absl::StatusOr<BasicReadOnlyLog<Fs>> BasicReadOnlyLog<Fs>::open(Fs& files, std::string directory,
                                                                const LogOpening& opening) {
  BasicReadOnlyLog log(make_ref<Place>(files, std::move(directory), true), opening);
  OTTLA_TRY(guarded([&] { return log.look(); }));
  log.was_cut_ = false;
  OTTLA_TRY(guarded([&] { log.note_mark(); }));
  return log;
}

template <FileSystem Fs>
absl::Status BasicReadOnlyLog<Fs>::refresh(Offset log_start) {
  opening_.log_start = std::max(opening_.log_start, log_start);
  const Offset old_end = view_.end_;
  absl::Status looked = guarded([&] { return look(); });
  if (!looked.ok() && !not_tried(looked)) {
    return reopen();
  }
  OTTLA_TRY(looked);
  return guarded([&] { return find_cut(old_end); });
}

template <FileSystem Fs>
absl::Status BasicReadOnlyLog<Fs>::reopen() {
  const Offset old_end = view_.end_;
  OTTLA_TRY(guarded([&] {
    forget();
    return look();
  }));
  return guarded([&] { return find_cut(old_end); });
}

template <FileSystem Fs>
void BasicReadOnlyLog<Fs>::forget() {
  list_ = make_ref<SegmentList>();
  followed_ = {};
  names_ = 0;
}

template <FileSystem Fs>
absl::StatusOr<LogRead> BasicReadOnlyLog<Fs>::read(const LogReadRequest& request,
                                                   ReadBuffers& buffers) {
  auto read = view_.read(request, buffers);
  if (read.ok() || error_code(read.status()) == ErrorCode::offset_out_of_range) {
    return read;
  }
  OTTLA_TRY(reopen());
  return view_.read(request, buffers);
}

/// Damage is believed when it is still there after all was opened anew: the writer may have
/// changed one file while another was read.
template <FileSystem Fs>
absl::Status BasicReadOnlyLog<Fs>::look() {
  const std::shared_ptr<const Damage> known = std::exchange(damage_, nullptr);
  OTTLA_TRY(look_once());
  if (damage_ != nullptr && (known == nullptr || known->offset != damage_->offset)) {
    forget();
    damage_ = nullptr;
    OTTLA_TRY(look_once());
  }
  publish();
  return absl::OkStatus();
}

/// A listing beside a rename may have neither of its names, so one that differs from `names_` is
/// believed when the next one is the same. `names`: of what is answered.
template <FileSystem Fs>
auto BasicReadOnlyLog<Fs>::list_settled(std::uint64_t& names) const
    -> absl::StatusOr<std::vector<DirectoryEntry>> {
  std::uint64_t before = names_;
  for (int i = 0; i < most_listings; ++i) {
    OTTLA_ASSIGN(auto entries, place_->files.list(place_->directory));
    names = 1;
    for (const DirectoryEntry& entry : entries) {
      names = absl::HashOf(names, entry.name);
    }
    if (names == std::exchange(before, names)) {
      return entries;
    }
  }
  return error(ErrorCode::kafka_storage_error, Fault::timed_out,
               absl::StrCat(place_->directory, ": its files change all the time; try again"));
}

/// A file that was listed and is not there was renamed, or deleted, meanwhile.
template <FileSystem Fs>
absl::Status BasicReadOnlyLog<Fs>::look_once() {
  absl::Status listed;
  for (int i = 0; i < most_listings; ++i) {
    std::uint64_t names = 0;
    OTTLA_ASSIGN(const auto entries, list_settled(names));
    listed = names == names_ ? absl::OkStatus() : list_anew(entries);
    if (listed.ok()) {
      names_ = names;
      return follow_last();
    }
    if (fault(listed) != Fault::not_found) {
      break;
    }
  }
  return listed;
}

template <FileSystem Fs>
RecoveryOptions BasicReadOnlyLog<Fs>::how() const {
  return {.trust_indexes = opening_.last_stop != LastStop::system_crash,
          .durable_end = durable_end_};
}

template <FileSystem Fs>
absl::Status BasicReadOnlyLog<Fs>::read_manifest() {
  durable_end_ = opening_.recovery_point;
  manifest_.reset();
  manifest_there_ = false;
  const auto text =
      read_small_file(place_->files, place_->path(manifest_file), std::size_t{256} << 20);
  if (fault(text.status()) == Fault::not_found) {
    return absl::OkStatus();
  }
  OTTLA_TRY(text.status());
  manifest_there_ = true;
  if ((manifest_ = Manifest::parse(*text))) {
    // What a repair has cut off was durable before.
    opening_.recovery_point =
        std::min(opening_.recovery_point, manifest_->cut_at().value_or(opening_.recovery_point));
    durable_end_ = opening_.recovery_point;
    durable_end_ = std::max(durable_end_, manifest_->durable_end().value_or(Offset(0)));
    view_.skipped_ = std::make_shared<const std::vector<SkippedRange>>(manifest_->skipped());
  }
  return absl::OkStatus();
}

/// The segments, ascending. Of a swap that goes on, or was interrupted, the new ones are taken once
/// they are complete: their old ones may be gone (W10).
template <FileSystem Fs>
auto BasicReadOnlyLog<Fs>::choose(const log_impl::LogFiles& files) const
    -> absl::StatusOr<std::vector<Listed>> {
  using namespace log_impl;
  Offset least_cleaned(INT64_MAX);
  for (const std::string& name : files.cleaned) {
    least_cleaned = std::min(least_cleaned, segment_file(*without(name, cleaned_suffix))->base);
  }
  std::vector<Listed> listed;
  Offset from(INT64_MAX);
  Offset to(-1);
  for (const std::string& name : files.swaps) {
    const SegmentFile swapped = *segment_file(*without(name, swap_suffix));
    if (swapped.suffix != log_suffix || swapped.base >= least_cleaned) {
      continue;
    }
    OTTLA_ASSIGN(const auto file,
                 place_->files.open(place_->path(name), OpenMode::read, IoReason::other));
    OTTLA_ASSIGN(const auto next, next_offset_of(file, swapped.base));
    if (!next) {
      listed.clear();
      to = Offset(-1);
      break;
    }
    listed.push_back({swapped.base, swap_suffix});
    from = std::min(from, swapped.base);
    to = std::max({to, *next, swapped.base + 1});
  }
  for (const Offset base : files.logs) {
    if (base < from || base >= to) {
      listed.push_back({base, ""});
    }
  }
  std::sort(listed.begin(), listed.end());
  return listed;
}

/// A segment that is known to have been closed, and is missing between others.
template <FileSystem Fs>
void BasicReadOnlyLog<Fs>::check_presence(std::vector<Listed>& listed) {
  for (std::size_t i = 0; manifest_ && i + 1 < listed.size(); ++i) {
    const auto line = manifest_->segments().find(listed[i].base);
    const std::optional<Offset> end = end_before(listed[i + 1].base);
    if (line != manifest_->segments().end() && end && line->second.end() < *end &&
        *end > opening_.log_start) {
      damage(line->second.end(), 0, line->second.end(), "the file is missing");
      listed.resize(i + 1);
    }
  }
}

/// Where the segment ends behind which one begins at `next`, where that is known.
template <FileSystem Fs>
std::optional<Offset> BasicReadOnlyLog<Fs>::end_before(Offset next) const {
  const bool known = manifest_ && !opening_.foreign && next > opening_.log_start &&
                     (opening_.last_stop != LastStop::system_crash || next <= durable_end_);
  return known ? manifest_->end_before(next) : std::nullopt;
}

template <FileSystem Fs>
auto BasicReadOnlyLog<Fs>::closed_segment(const log_impl::LogFiles& files, const Listed& listed,
                                          std::optional<Offset> end) const
    -> absl::StatusOr<Ref<LogSegment>> {
  std::optional<SealedSegment> closed;
  if (manifest_ && listed.stage.empty()) {
    const auto line = manifest_->segments().find(listed.base);
    closed = line == manifest_->segments().end() ? std::nullopt : std::optional(line->second);
  }
  auto segment =
      make_ref<LogSegment>(place_, listed.base, SegmentOptions(), closed, end, listed.stage);
  const auto& aborted = files.transaction_indexes;
  segment->set_has_aborted(log_impl::LogFiles::has(aborted, listed.base));
  const std::size_t at = list_->segments.empty() ? 0 : list_->find(listed.base);
  if (at + 1 >= list_->segments.size() || list_->segments[at]->base() != listed.base) {
    return segment;
  }
  // One that is open stays so, unless it was compacted.
  Ref<LogSegment> old = list_->segments[at];
  const bool in_place = listed.stage.empty() && old->stage().empty();
  const Segment* opened = in_place ? old->if_open() : nullptr;
  if (opened == nullptr) {
    return segment;
  }
  OTTLA_ASSIGN(const FileStatus status, place_->files.status(old->path()));
  return status.size == opened->size() && old->has_aborted() == segment->has_aborted() ? old
                                                                                       : segment;
}

template <FileSystem Fs>
auto BasicReadOnlyLog<Fs>::follow_segment(const Listed& listed, FollowedEnd& followed) const
    -> absl::StatusOr<Ref<LogSegment>> {
  const RecoveryOptions options = how();
  OTTLA_ASSIGN(auto segment,
               open_segment_to_read(place_->files, place_->directory, listed.base, SegmentOptions(),
                                    listed.stage, options.trust_indexes));
  Buffer window = Buffer::allocate(window_bytes);
  if (!window) {
    return error(Fault::no_memory, "no memory to read a log");
  }
  OTTLA_ASSIGN(const SegmentVisit visit, epoch_check());
  followed = {};
  OTTLA_TRY(segment.follow(followed, window.bytes(), options, visit).status());
  return make_ref<LogSegment>(place_, SegmentOptions(), std::move(segment));
}

/// After the death of the machine, of a batch: whether its epoch led there (log_recover_impl.hpp).
template <FileSystem Fs>
absl::StatusOr<SegmentVisit> BasicReadOnlyLog<Fs>::epoch_check() const {
  if (opening_.last_stop != LastStop::system_crash) {
    return SegmentVisit();
  }
  const std::string path = place_->path(epoch_checkpoint_file);
  const auto text = read_small_file(place_->files, path, std::size_t{256} << 20);
  if (fault(text.status()) == Fault::not_found) {
    return SegmentVisit();
  }
  OTTLA_TRY(text.status());
  auto entries = parse_epoch_checkpoint(*text, path);
  if (!entries.ok() || entries->empty()) {
    return SegmentVisit();
  }
  return SegmentVisit([epochs = LeaderEpochs(*std::move(entries))](const BatchHeader& header,
                                                                   std::int64_t) -> absl::Status {
    const auto expected = epochs.epoch_for_offset(header.base_offset);
    return header.leader_epoch == no_leader_epoch || !expected || expected == header.leader_epoch
               ? absl::OkStatus()
               : error(Fault::corrupt, "a leader epoch that did not lead there");
  });
}

template <FileSystem Fs>
absl::Status BasicReadOnlyLog<Fs>::list_anew(const std::vector<DirectoryEntry>& entries) {
  const log_impl::LogFiles files(entries);
  if (names_ != 0 && opening_.last_stop == LastStop::system_crash) {
    opening_.last_stop = LastStop::process_crash;  // somebody has come, and recovered it
    opening_.recovery_point = Offset(0);
    opening_.era.reset();
  }
  noted_damaged_ = files.damaged;
  listed_anew_ = true;
  OTTLA_ASSIGN(std::vector<Listed> listed, choose(files));
  OTTLA_TRY(read_manifest());
  if (opening_.last_stop == LastStop::process_crash && opening_.era &&
      (!manifest_ || manifest_->era() != opening_.era)) {
    opening_.last_stop = LastStop::system_crash;  // which came before the process that died
  }
  check_presence(listed);
  auto list = make_ref<SegmentList>();
  FollowedEnd followed;
  if (listed.empty()) {
    return absl::OkStatus();  // not made yet, or between two states: what was there is kept
  }
  for (std::size_t i = 0; i + 1 < listed.size(); ++i) {
    OTTLA_ASSIGN(auto segment, closed_segment(files, listed[i], end_before(listed[i + 1].base)));
    list->segments.push_back(std::move(segment));
  }
  const LogSegment* last = list_->segments.empty() ? nullptr : list_->segments.back().get();
  const bool same = last != nullptr && last->base() == listed.back().base &&
                    listed.back().stage.empty() && !last->if_open()->indexes_damaged();
  if (opening_.last_stop == LastStop::system_crash) {
    OTTLA_TRY(follow_doubtful(files, listed, *list, followed));
  } else if (same) {
    list->segments.push_back(list_->segments.back());
    followed = followed_;
  } else {
    OTTLA_ASSIGN(auto segment, follow_segment(listed.back(), followed));
    list->segments.push_back(std::move(segment));
  }
  LogSegment& end = *list->segments.back();
  end.set_has_aborted(log_impl::LogFiles::has(files.transaction_indexes, end.base()));
  list_ = std::move(list);
  followed_ = std::move(followed);
  return absl::OkStatus();
}

/// Whether a segment may begin at `next` behind one that ends at `end`, after the death of the
/// machine (log_recover_impl.hpp).
template <FileSystem Fs>
bool BasicReadOnlyLog<Fs>::is_joined(Offset end, Offset next) const {
  if (end == next || next <= opening_.log_start) {
    return true;
  }
  if (!manifest_) {
    return !manifest_there_ && opening_.foreign;
  }
  const bool may_be_compacted = next <= durable_end_ && !manifest_->is_dense_at(next - 1);
  return may_be_compacted || manifest_->is_of_others(next - 1) || manifest_->has_gap(end, next);
}

/// Above what is known durable the log ends at the first place that is not good: whatever lies
/// behind it goes when it is recovered.
template <FileSystem Fs>
absl::Status BasicReadOnlyLog<Fs>::follow_doubtful(const log_impl::LogFiles& files,
                                                   std::vector<Listed>& listed, SegmentList& list,
                                                   FollowedEnd& followed) {
  const auto above = std::upper_bound(listed.begin(), listed.end(), Listed{durable_end_, ""});
  std::size_t index = static_cast<std::size_t>(above - listed.begin());
  index -= std::min<std::size_t>(index, 1);
  for (; index < listed.size(); ++index) {
    OTTLA_ASSIGN(auto segment, follow_segment(listed[index], followed));
    segment->set_has_aborted(
        log_impl::LogFiles::has(files.transaction_indexes, listed[index].base));
    const Offset end = segment->if_open()->end().next_offset;
    list.segments.resize(std::min(index, list.segments.size()));
    list.segments.push_back(std::move(segment));
    const bool joined = index + 1 == listed.size() || is_joined(end, listed[index + 1].base);
    if (!followed.problem.empty() || !joined) {
      break;
    }
  }
  return absl::OkStatus();
}

template <FileSystem Fs>
absl::Status BasicReadOnlyLog<Fs>::follow_last() {
  if (list_->segments.empty()) {
    return absl::OkStatus();
  }
  OTTLA_ASSIGN(const bool same, follow_file(*list_->segments.back()));
  if (!same) {
    OTTLA_TRY(open_last_anew());
  }
  const SegmentEnd end = list_->segments.back()->if_open()->end();
  const bool lost = end.next_offset < durable_end_ && durable_end_ > opening_.log_start;
  if (damage_ == nullptr && (lost || (noted_damaged_ && !followed_.problem.empty()))) {
    damage(list_->segments.back()->base(), end.size, end.next_offset,
           followed_.problem.empty() ? "it ends here, and was longer" : followed_.problem);
  }
  return absl::OkStatus();
}

/// False where the file was cut, or another one has its name: a copy, made after a failed sync.
template <FileSystem Fs>
absl::StatusOr<bool> BasicReadOnlyLog<Fs>::follow_file(LogSegment& last) {
  const std::string path = last.staged_path();
  OTTLA_ASSIGN(const FileStatus before, place_->files.status(path));
  std::byte least[4096];
  Buffer large = before.size > last.if_open()->size() ? Buffer::allocate(window_bytes) : Buffer();
  OTTLA_ASSIGN(const SegmentVisit visit, epoch_check());
  OTTLA_ASSIGN(
      const bool there,
      last.if_open()->follow(followed_, large ? large.bytes() : MutableBytes(least), how(), visit));
  was_cut_ = was_cut_ || !there;
  if (!there || followed_.file_size <= before.size) {
    return there && followed_.file_size == before.size;
  }
  OTTLA_ASSIGN(const FileStatus after, place_->files.status(path));
  return after.size >= followed_.file_size;
}

template <FileSystem Fs>
absl::Status BasicReadOnlyLog<Fs>::open_last_anew() {
  LogSegment& last = *list_->segments.back();
  last.retire(LogSegment::Gone::truncated);
  auto list = make_ref<SegmentList>();
  list->segments.assign(list_->segments.begin(), list_->segments.end() - 1);
  FollowedEnd followed;
  OTTLA_ASSIGN(auto anew, follow_segment({last.base(), last.stage()}, followed));
  anew->set_has_aborted(last.has_aborted());
  list->segments.push_back(std::move(anew));
  list_ = std::move(list);
  followed_ = std::move(followed);
  return read_manifest();
}

template <FileSystem Fs>
void BasicReadOnlyLog<Fs>::damage(Offset base, std::int64_t position, Offset offset,
                                  std::string why) {
  damage_ = std::make_shared<Damage>(Damage{offset_file_path(place_->directory, base, log_suffix),
                                            position, offset, std::move(why)});
}

template <FileSystem Fs>
void BasicReadOnlyLog<Fs>::publish() {
  view_.list_ = list_;
  view_.damage_ = damage_;
  if (list_->segments.empty()) {
    view_.start_ = view_.end_ = std::max(view_.end_, opening_.log_start);
    view_.end_position_ = 0;
    return;
  }
  const SegmentEnd end = list_->segments.back()->if_open()->end();
  view_.start_ =
      std::min(std::max(opening_.log_start, list_->segments.front()->base()), end.next_offset);
  view_.end_ = end.next_offset;
  view_.end_position_ = end.size;
}

/// Whether the batch is still there, as far as that can be told: not of one that may have been
/// compacted, or deleted.
template <FileSystem Fs>
absl::StatusOr<bool> BasicReadOnlyLog<Fs>::holds(const BatchHeader& batch) const {
  if (batch.last_offset() >= view_.end_) {
    return false;
  }
  if (batch.base_offset < view_.start_ || !manifest_ ||
      !manifest_->is_dense_at(batch.base_offset)) {
    return true;
  }
  OTTLA_ASSIGN(const Segment* segment, list_->segments[list_->find(batch.base_offset)]->segment());
  OTTLA_ASSIGN(const auto place, segment->find(batch.base_offset));
  return place && place->header == batch;
}

/// What of the log was cut back, where it was.
template <FileSystem Fs>
absl::Status BasicReadOnlyLog<Fs>::find_cut(Offset old_end) {
  bool cut = std::exchange(was_cut_, false) || view_.end_ < old_end;
  if (std::exchange(listed_anew_, false) && !cut && !marks_.empty()) {
    const auto same = holds(marks_.back());
    cut = same.ok() && !*same;
  }
  while (cut && !marks_.empty() && !holds(marks_.back()).value_or(false)) {
    marks_.pop_back();
  }
  if (cut) {
    cut_to_ = marks_.empty() ? view_.start_ : marks_.back().next_offset();
  }
  note_mark();
  return cut ? error(ErrorCode::offset_out_of_range,
                     absl::StrCat(place_->directory,
                                  " was cut back by its writer: what was read "
                                  "from offset ",
                                  cut_to_.value(), " on may be nowhere"))
             : absl::OkStatus();
}

/// Of many every second one is forgotten, so that old ones lie far apart.
template <FileSystem Fs>
void BasicReadOnlyLog<Fs>::note_mark() {
  if (!followed_.last || (!marks_.empty() && marks_.back() == followed_.last->header)) {
    return;
  }
  if (marks_.size() >= most_marks) {
    for (std::size_t i = 0; i < most_marks / 2; ++i) {
      marks_[i] = marks_[2 * i + 1];
    }
    marks_.resize(most_marks / 2);
  }
  marks_.push_back(followed_.last->header);
}

}  // namespace ottla::inline OTTLA_ABI
