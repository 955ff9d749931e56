// SPDX-License-Identifier: Apache-2.0
//
// Mending a damaged log at opening (log_repair.hpp). All of it is read first. Then `ottla_damaged`
// is on the device until all is mended, so that no opening in between cuts anything, and each step
// leaves a log that is damaged where it was, or is mended there.
#pragma once

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include <absl/strings/str_cat.h>

#include <ottla/log/impl/cut_keeper.hpp>
#include <ottla/log/impl/log_open_impl.hpp>
#include <ottla/segment/segment_survey.hpp>

namespace ottla::inline OTTLA_ABI {

template <FileSystem Fs>
class BasicLog<Fs>::Opener::Repairer {
 public:
  explicit Repairer(Opener& opener)
      : opener_(opener), log_(opener.log_), place_(opener.place_), bases_(opener.bases_) {}

  absl::Status run(Repair how) {
    OTTLA_TRY(log_.health_->check());
    OTTLA_TRY(find());
    if (bad_.empty() && !opener_.files_->damaged) {
      return error(ErrorCode::invalid_request, Fault::invalid_argument,
                   absl::StrCat(place_.directory,
                                " is not damaged: all of it was read, there is nothing to repair"));
    }
    if (bad_.empty()) {
      return absl::OkStatus();  // it was mended by its owner
    }
    OTTLA_TRY(mark());
    OTTLA_TRY(prepare_manifest());
    OTTLA_TRY(how == Repair::truncate ? truncate() : skip());
    return log_.sync_directory(why);
  }

 private:
  using FileT = typename Fs::File;
  using Survey = SegmentSurvey<FileT>;
  using Keeper = log_impl::CutKeeper<Fs>;
  static constexpr IoReason why = IoReason::repair;

  /// Where something is not what was written: bytes [position, end) of a segment's file, or none.
  struct Bad {
    std::size_t segment = 0;
    std::int64_t position = 0;
    std::int64_t end = 0;
    Repaired told;
  };
  /// What is good of a segment.
  struct Found {
    std::int64_t size = 0;     // of its file
    Offset next;               // behind its last good batch
    std::uint32_t digest = 0;  // of the headers of its good batches
    LeaderEpoch epoch = no_leader_epoch;
    std::optional<Offset> expected = {};  // where the next batch begins in a dense log
  };

  std::string path(std::size_t segment) const {
    return offset_file_path(place_.directory, bases_[segment], log_suffix);
  }
  static std::string rewritten(const std::string& file) {
    return absl::StrCat(file, av(log_impl::rewrite_suffix));
  }
  Offset limit(std::size_t segment) const {
    return segment + 1 < bases_.size() ? bases_[segment + 1] : bases_[segment] + INT32_MAX;
  }
  void add(std::size_t segment, std::int64_t position, std::int64_t end, SkippedRange offsets,
           std::string problem);
  Offset known_end() const;
  Offset end_of(std::size_t segment) const;

  absl::Status find();
  absl::Status read_segment(std::size_t segment);
  absl::StatusOr<std::string> read_good(Survey& survey, std::size_t segment);
  absl::StatusOr<std::string> judge(Survey& survey, std::size_t segment) const;
  absl::StatusOr<Offset> next_offset(const FileT& file, std::size_t segment, std::int64_t bad,
                                     std::int64_t good) const;
  void compare_closed(std::size_t segment);
  void find_hole(std::size_t segment);

  absl::Status mark();
  absl::Status prepare_manifest();
  absl::Status truncate();
  absl::Status skip();
  absl::Status take_out(std::size_t segment, Keeper& keeper);
  absl::StatusOr<FileStatus> make_copy(std::size_t segment, const std::string& copy,
                                       bool closed) const;
  void give_back(std::size_t segment, const std::string& cut) const;
  absl::Status copy_good(std::size_t segment, const std::string& copy) const;
  absl::Status make_indexes(std::size_t segment, const std::string& copy) const;
  absl::Status begin_segment(Offset base);

  Opener& opener_;
  BasicLog& log_;
  Place& place_;
  std::vector<Offset>& bases_;
  std::size_t first_ = 0;  // segment that is looked at: those before it end below the log's start
  bool no_files_ = false;  // there is none: `bases_` has the one that is to be made
  std::vector<Found> found_;  // of each segment
  std::vector<Bad> bad_;      // ascending
};

/// Mends the log, and looks at its directory again.
template <FileSystem Fs>
absl::Status BasicLog<Fs>::Opener::repair(Repair how) {
  stop_ = report_.last_stop = LastStop::system_crash;
  OTTLA_TRY(Repairer(*this).run(how));
  OTTLA_TRY(list_files());
  stop_ = LastStop::system_crash;
  log_.manifest_end_ = -1;  // the opening may know more of it in the end
  durable_end_ =
      std::max(opening_.recovery_point, log_.manifest_.durable_end().value_or(Offset(0)));
  return absl::OkStatus();
}

template <FileSystem Fs>
absl::Status BasicLog<Fs>::Opener::Repairer::mark() {
  const Repaired& first = bad_.front().told;
  log_.damage_noted_ = opener_.files_->damaged;
  log_.shared_.view.damage_ =
      std::make_shared<Damage>(Damage{first.file, first.position, first.offsets.first, first.why});
  absl::Status marked = log_.note_damage();
  log_.shared_.view.damage_.reset();
  log_.damage_noted_ = false;
  return marked;
}

/// What is known of the log stays known: also what only this opening was told.
template <FileSystem Fs>
absl::Status BasicLog<Fs>::Opener::Repairer::prepare_manifest() {
  Manifest& manifest = log_.manifest_;
  if (manifest.cut_at()) {  // that may have been interrupted
    const auto above = std::upper_bound(bases_.begin(), bases_.end(), *manifest.cut_at());
    if (above != bases_.begin() && !no_files_) {
      OTTLA_ASSIGN(auto file,
                   place_.files.open(offset_file_path(place_.directory, *(above - 1), log_suffix),
                                     OpenMode::read_write, why));
      OTTLA_TRY(log_.health_->checked(file.sync(why)));
    }
    OTTLA_TRY(log_.sync_directory(why));
  }
  if (!opener_.manifest_there_ && opener_.opening_.foreign) {
    manifest.set_others(Manifest::anywhere);
  } else if (!opener_.manifest_known_) {
    manifest.add_sparse(Offset(0), end_of(bases_.size() - 1));
  }
  if (opener_.durable_end_ > Offset(0)) {
    manifest.set_synced(opener_.durable_end_);
  }
  return absl::OkStatus();
}

/// Later segments go first, the highest before the others (W9).
template <FileSystem Fs>
absl::Status BasicLog<Fs>::Opener::Repairer::truncate() {
  const Bad& bad = bad_.front();
  const std::size_t segment = bad.segment;
  const Offset end = bad.told.offsets.first;
  const Offset known = std::max(end_of(bases_.size() - 1), end);
  log_.manifest_.cut(end);
  OTTLA_TRY(log_.write_manifest("", Durability::durable));
  if (no_files_) {
    OTTLA_TRY(begin_segment(bases_.front()));
  }
  Keeper keeper(place_, opener_.files_->cuts, why);
  std::vector<Repaired>& told = opener_.report_.repaired;
  told.push_back(bad.told);
  told.back().offsets.next = segment + 1 < bases_.size() ? bases_[segment + 1] : known;
  for (std::size_t i = bases_.size(); i-- > segment + 1;) {
    OTTLA_ASSIGN(auto kept, keeper.keep_segment(bases_[i]));
    const Offset behind = i + 1 < bases_.size() ? bases_[i + 1] : known;
    told.insert(told.begin() + 1, {{bases_[i], behind},
                                   path(i),
                                   0,
                                   kept.bytes,
                                   "it follows what is damaged",
                                   std::move(kept.name)});
  }
  if (bad.position < found_[segment].size) {
    const typename Keeper::Piece tail{bad.position, found_[segment].size};
    OTTLA_ASSIGN(auto kept, keeper.keep_pieces(bases_[segment], {&tail, 1}));
    told.front().bytes = kept.bytes;
    told.front().saved_as = std::move(kept.name);
  }
  OTTLA_TRY(log_.sync_directory(why));
  if (!no_files_) {
    OTTLA_ASSIGN(auto file, place_.files.open(path(segment), OpenMode::read_write, why));
    OTTLA_TRY(file.truncate(bad.position, why));
    OTTLA_TRY(log_.health_->checked(file.sync(why)));
    OTTLA_TRY(file.close());
  }
  opener_.opening_.recovery_point = std::min(opener_.opening_.recovery_point, end);
  return absl::OkStatus();
}

/// Each segment's good batches take the place of all its bytes, the highest segment's first, so
/// that what is kept of one repair has one number.
template <FileSystem Fs>
absl::Status BasicLog<Fs>::Opener::Repairer::skip() {
  Manifest& manifest = log_.manifest_;
  for (const Bad& bad : bad_) {
    manifest.skip(bad.told.offsets);
    const Offset end = found_[bad.segment].next;
    if (bad.segment + 1 < bases_.size() && end < bases_[bad.segment + 1]) {
      manifest.add_gap(end, bases_[bad.segment + 1]);
    }
  }
  const Offset good_end = found_.back().next;
  const Offset end = end_of(bases_.size() - 1);
  if (good_end < end) {
    manifest.add_gap(good_end, end);
  }
  OTTLA_TRY(log_.write_manifest("", Durability::durable));
  if (no_files_) {
    OTTLA_TRY(begin_segment(bases_.front()));
  }
  Keeper keeper(place_, opener_.files_->cuts, why);
  for (std::size_t i = bases_.size(); i-- > first_;) {
    OTTLA_TRY(take_out(i, keeper));
  }
  if (good_end < end) {
    OTTLA_TRY(begin_segment(end));
  }
  for (Bad& bad : bad_) {
    opener_.report_.repaired.push_back(std::move(bad.told));
  }
  return absl::OkStatus();
}

/// Its indexes go before: they are of other positions. New ones get their names once they are
/// complete, and on the device: nobody would notice that they are not. Those of the last segment
/// are made by the opening.
template <FileSystem Fs>
absl::Status BasicLog<Fs>::Opener::Repairer::take_out(std::size_t segment, Keeper& keeper) {
  std::vector<typename Keeper::Piece> pieces;
  for (const Bad& bad : bad_) {
    if (bad.segment == segment && bad.end > bad.position) {
      pieces.push_back({bad.position, bad.end});
    }
  }
  if (pieces.empty()) {
    return absl::OkStatus();
  }
  OTTLA_ASSIGN(const auto kept, keeper.keep_pieces(bases_[segment], pieces));
  const std::string copy = rewritten(path(segment));
  const bool closed = segment + 1 < bases_.size();
  const auto status = make_copy(segment, copy, closed);
  if (!status.ok()) {
    give_back(segment, kept.name);
    return status.status();
  }
  OTTLA_TRY(place_.files.rename(copy, path(segment), why));
  for (const std::string_view suffix : {offset_index_suffix, time_index_suffix}) {
    const std::string index = offset_file_path(place_.directory, bases_[segment], suffix);
    OTTLA_TRY(log_.sync_directory(why));
    OTTLA_TRY(closed ? place_.files.rename(rewritten(index), index, why) : absl::OkStatus());
  }
  OTTLA_TRY(place_.files.set_modified(path(segment), status->modified));
  for (Bad& bad : bad_) {
    if (bad.segment == segment && bad.end > bad.position) {
      bad.told.saved_as = kept.name;
    }
  }
  return absl::OkStatus();
}

/// All that takes room. The status of the file that it is to replace.
template <FileSystem Fs>
absl::StatusOr<FileStatus> BasicLog<Fs>::Opener::Repairer::make_copy(std::size_t segment,
                                                                     const std::string& copy,
                                                                     bool closed) const {
  OTTLA_TRY(copy_good(segment, copy));
  OTTLA_ASSIGN(const FileStatus status, place_.files.status(path(segment)));
  OTTLA_TRY(closed ? make_indexes(segment, copy) : absl::OkStatus());
  OTTLA_TRY(log_.remove_indexes(bases_[segment]));
  OTTLA_TRY(log_.sync_directory(why));
  return status;
}

/// The segment is as it was: what was made for it goes.
template <FileSystem Fs>
void BasicLog<Fs>::Opener::Repairer::give_back(std::size_t segment, const std::string& cut) const {
  for (const std::string_view suffix : {log_suffix, offset_index_suffix, time_index_suffix}) {
    const std::string file = offset_file_path(place_.directory, bases_[segment], suffix);
    place_.files.remove(rewritten(file), why).IgnoreError();
  }
  place_.files.remove(place_.path(cut), why).IgnoreError();
}

template <FileSystem Fs>
absl::Status BasicLog<Fs>::Opener::Repairer::copy_good(std::size_t segment,
                                                       const std::string& copy) const {
  OTTLA_ASSIGN(const auto from, place_.files.open(path(segment), OpenMode::read, why));
  OTTLA_ASSIGN(auto to, place_.files.open(copy, OpenMode::create, why));
  OTTLA_TRY(to.truncate(0, why));
  std::int64_t good = 0;
  std::int64_t written = 0;
  const auto copy_to = [&](std::int64_t end) {
    absl::Status copied = log_impl::copy_bytes(from, good, end, to, why, written);
    written += end - good;
    return copied;
  };
  for (const Bad& bad : bad_) {
    if (bad.segment == segment) {
      OTTLA_TRY(copy_to(bad.position));
      good = bad.end;
    }
  }
  OTTLA_TRY(copy_to(found_[segment].size));
  OTTLA_TRY(log_.health_->checked(to.sync(why)));
  return to.close();
}

template <FileSystem Fs>
absl::Status BasicLog<Fs>::Opener::Repairer::make_indexes(std::size_t segment,
                                                          const std::string& copy) const {
  const Offset base = bases_[segment];
  const auto open = [&](std::string_view suffix) {
    return place_.files.open(rewritten(offset_file_path(place_.directory, base, suffix)),
                             OpenMode::create, why);
  };
  OTTLA_ASSIGN(auto log, place_.files.open(copy, OpenMode::read_write, why));
  OTTLA_ASSIGN(auto offset_index, open(offset_index_suffix));
  OTTLA_ASSIGN(auto time_index, open(time_index_suffix));
  OTTLA_TRY(offset_index.truncate(0, why));
  OTTLA_TRY(time_index.truncate(0, why));
  OTTLA_ASSIGN(auto made,
               Segment::open({std::move(log), std::move(offset_index), std::move(time_index)}, base,
                             log_.segment_options()));
  OTTLA_TRY(made.recover().status());
  OTTLA_TRY(made.index_status());
  OTTLA_TRY(made.become_inactive(why));
  OTTLA_TRY(log_.health_->checked(made.sync_indexes(why)));
  return made.close();
}

template <FileSystem Fs>
absl::Status BasicLog<Fs>::Opener::Repairer::begin_segment(Offset base) {
  OTTLA_ASSIGN(auto segment, create_segment(place_.files, place_.directory, base,
                                            log_.segment_options(), opener_.opening_.now));
  return segment.close();
}

}  // namespace ottla::inline OTTLA_ABI

#include <ottla/log/impl/log_repair_survey_impl.hpp>
