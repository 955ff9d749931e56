// SPDX-License-Identifier: Apache-2.0
//
// Opening a log. What has to be found out is found out first, by reading; then files are changed.
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <absl/strings/str_cat.h>

#include <ottla/base/crc32c.hpp>
#include <ottla/env/small_file.hpp>
#include <ottla/log/impl/cut_keeper.hpp>
#include <ottla/log/impl/log_files.hpp>
#include <ottla/log/impl/replacement.hpp>
#include <ottla/log/log.hpp>

namespace ottla::inline OTTLA_ABI {

template <FileSystem Fs>
class BasicLog<Fs>::Opener {
 public:
  Opener(BasicLog& log, const LogOpening& opening, RecoveryReport& report)
      : log_(log), opening_(opening), report_(report), place_(*log.place_) {}

  absl::Status run() {
    report_.last_stop = opening_.last_stop;
    log_.opened_ = opening_.now;
    OTTLA_TRY(list_files());
    OTTLA_TRY(read_manifest());
    check_era();
    OTTLA_TRY(read_epochs());
    OTTLA_TRY(opening_.repair ? repair(*opening_.repair) : absl::OkStatus());
    check_presence();
    OTTLA_TRY(rewrite_tail());
    OTTLA_TRY(recover());
    OTTLA_TRY(settle_damage());
    OTTLA_TRY(rebuild_indexes());
    OTTLA_TRY(settle_start());
    OTTLA_TRY(settle_epochs());
    settle_producers();
    if (damage_ == nullptr) {
      OTTLA_TRY(remove_leftovers());
    }
    settle_shared();
    return note_foreign();
  }

 private:
  class Repairer;
  using Kind = RecoveryReport::Kind;

  void find(Kind kind, std::string file, std::int64_t position, std::int64_t bytes, std::string why,
            std::string saved_as = {}) {
    report_.findings.push_back(
        {kind, std::move(file), position, bytes, std::move(why), std::move(saved_as)});
  }
  void damage(Offset base, std::int64_t position, Offset offset, std::string why) {
    const std::string file = offset_file_path(place_.directory, base, log_suffix);
    find(Kind::damage, file, position, 0, why);
    damage_ = log_.shared_.view.damage_ =
        std::make_shared<Damage>(Damage{file, position, offset, std::move(why)});
  }

  absl::Status list_files();
  absl::Status read_manifest();
  /// The log was in use since the era began.
  bool in_era() const { return opening_.era && log_.manifest_.era() == opening_.era; }
  void check_era();
  absl::Status read_epochs();
  absl::Status repair(Repair how);
  void check_presence();
  absl::Status rewrite_tail();
  absl::Status rewrite(Offset base);
  absl::Status rewrite_metadata();
  absl::Status read_without_copy(const std::string& copy, const absl::Status& why);
  Offset indexed_end() const;
  std::size_t first_unsealed(Offset end) const;
  absl::Status recover();
  absl::Status open_clean();
  absl::StatusOr<bool> is_clean_end(const Segment& segment) const;
  absl::StatusOr<bool> recover_segment(std::size_t index);
  absl::StatusOr<bool> judge(std::size_t index, Segment& segment, const SegmentRecovery& found);
  bool joined(std::size_t index, Offset end) const;
  absl::Status cut(std::size_t index, Segment& segment, const SegmentRecovery& found);
  absl::Status check_epoch(const BatchHeader& header) const;
  absl::Status check_offsets(const BatchHeader& header, std::optional<Offset> expected) const;
  SegmentVisit visit_of(Offset base) const;
  std::optional<Offset> known_end(std::size_t index) const;
  absl::Status settle_damage();
  bool has_indexes(Offset base) const;
  absl::Status rebuild_indexes();
  absl::Status settle_start();
  absl::Status settle_epochs();
  void settle_producers();
  void remove_stray_snapshots();
  absl::Status doubt_from(std::size_t index);
  absl::Status check_last_transaction_index();
  absl::Status rebuild_epochs();
  absl::Status remove_leftovers();
  void settle_shared();
  absl::Status note_foreign();
  void add_opened(std::size_t index, Segment segment);

  BasicLog& log_;
  LogOpening opening_;
  RecoveryReport& report_;
  Place& place_;
  std::optional<log_impl::LogFiles> files_;
  std::vector<Offset> bases_;          // of the segments that make up the log
  std::vector<Ref<LogSegment>> list_;  // one for each, once recovery has passed
  LastStop stop_ = LastStop::clean;    // after what was found to be true of it
  bool manifest_there_ = false;        // it says that this library was here
  bool manifest_known_ = false;        // and it can be read
  bool epochs_known_ = false;
  bool epochs_refused_ = false;
  bool others_end_ = false;  // where they do is known now
  Offset durable_end_{0};
  Offset end_{0};
  std::shared_ptr<const Damage> damage_;
};

template <FileSystem Fs>
BasicLog<Fs>::BasicLog(Ref<Place> place, const LogOptions& options, Ref<DirectoryHealth> health)
    : place_(std::move(place)),
      health_(std::move(health)),
      config_(options.config),
      list_(make_ref<SegmentList>()),
      producer_id_expiration_(options.producer_id_expiration),
      manifest_(Manifest::Owner{options.topic_id, options.partition}),
      random_(options.seed) {}

template <FileSystem Fs>
absl::StatusOr<BasicLog<Fs>> BasicLog<Fs>::open(Fs& files, std::string directory,
                                                const LogOptions& options,
                                                const LogOpening& opening,
                                                Ref<DirectoryHealth> health,
                                                RecoveryReport& report) {
  BasicLog log(make_ref<Place>(files, std::move(directory)), options, std::move(health));
  OTTLA_TRY(Opener(log, opening, report).run());
  return log;
}

template <FileSystem Fs>
absl::Status BasicLog<Fs>::Opener::list_files() {
  OTTLA_ASSIGN(const auto entries, place_.files.list(place_.directory));
  files_.emplace(entries);
  if (!files_->cleaned.empty() || !files_->swaps.empty()) {
    OTTLA_ASSIGN(const bool changed, log_impl::Replacement(place_, *files_, report_).finish());
    if (changed) {
      OTTLA_ASSIGN(const auto after, place_.files.list(place_.directory));
      files_.emplace(after);
    }
  }
  bases_ = files_->logs;
  stop_ = opening_.last_stop;
  return absl::OkStatus();
}

/// Evidence of ours alone: what cannot be used is dropped.
template <FileSystem Fs>
absl::Status BasicLog<Fs>::Opener::read_manifest() {
  const std::string path = place_.path(manifest_file);
  const auto text = read_small_file(place_.files, path, std::size_t{256} << 20);
  durable_end_ = opening_.recovery_point;
  if (fault(text.status()) == Fault::not_found) {
    return absl::OkStatus();
  }
  OTTLA_TRY(text.status());
  auto manifest = Manifest::parse(*text);
  const Manifest::Owner owner = log_.manifest_.owner();
  manifest_there_ = !manifest || manifest->owner() == owner;
  if (!manifest || manifest->owner() != owner) {
    find(Kind::manifest_dropped, path, 0, 0,
         manifest ? "it is another partition's" : "it cannot be read");
    return absl::OkStatus();
  }
  manifest_known_ = true;
  log_.manifest_ = *std::move(manifest);
  durable_end_ = std::max(durable_end_, log_.manifest_.durable_end().value_or(Offset(0)));
  return absl::OkStatus();
}

/// The machine, or somebody else, may have been here before the process that died, and that one did
/// not come as far as this log.
template <FileSystem Fs>
void BasicLog<Fs>::Opener::check_era() {
  if (stop_ == LastStop::process_crash && opening_.era && !in_era()) {
    stop_ = report_.last_stop = LastStop::system_crash;
  }
}

template <FileSystem Fs>
absl::Status BasicLog<Fs>::Opener::read_epochs() {
  const std::string path = place_.path(epoch_checkpoint_file);
  const auto text = read_small_file(place_.files, path, log_impl::max_epoch_file);
  if (fault(text.status()) == Fault::not_found) {
    return absl::OkStatus();  // rebuilt where there are batches
  }
  OTTLA_TRY(text.status());
  if (text->empty()) {
    return absl::OkStatus();  // likewise: a power cut may leave a new file's name without its
                              // content
  }
  const std::uint32_t crc = crc32c(as_bytes(*text));
  auto entries = parse_epoch_checkpoint(*text, path);
  if (!entries.ok() || !log_.manifest_.may_be_epochs(crc)) {
    find(Kind::epochs_rebuilt, path, 0, 0,
         entries.ok() ? "it is not the file that was written here"
                      : std::string(sv(entries.status().message())));
    epochs_refused_ = true;
    return absl::OkStatus();
  }
  log_.epochs_ = LeaderEpochs(*std::move(entries));
  log_.epochs_crc_ = crc;
  epochs_known_ = true;
  return absl::OkStatus();
}

/// Below the log's start segments may be missing: their deletion was interrupted. From there on
/// each one that is known to have been closed has to be there.
template <FileSystem Fs>
void BasicLog<Fs>::Opener::check_presence() {
  for (const auto& [base, segment] : log_.manifest_.segments()) {
    if (segment.last < opening_.log_start || log_impl::LogFiles::has(bases_, base)) {
      continue;
    }
    if (bases_.empty() || base < bases_.front()) {
      find(Kind::segments_missing, offset_file_path(place_.directory, base, log_suffix), 0,
           segment.size, "it was there, and the log begins behind it now");
      continue;
    }
    damage(base, 0, base, "the file is missing");
    bases_.erase(std::lower_bound(bases_.begin(), bases_.end(), base), bases_.end());
    return;
  }
  for (std::size_t i = 0; i + 1 < bases_.size(); ++i) {
    const auto line = log_.manifest_.segments().find(bases_[i]);
    const std::optional<Offset> end = known_end(i);
    if (line == log_.manifest_.segments().end() || !end || *end <= opening_.log_start) {
      continue;
    }
    if (const Offset closed_at = line->second.end(); closed_at < *end) {
      damage(closed_at, 0, closed_at, "the file is missing");
      bases_.resize(i + 1);
      return;
    }
  }
  if (manifest_known_ && stop_ == LastStop::system_crash && !bases_.empty() &&
      bases_.front() > opening_.log_start && !log_.manifest_.is_of_others(bases_.front()) &&
      !report_.has(Kind::segments_missing)) {
    find(Kind::segments_missing, place_.directory, 0, 0,
         absl::StrCat("the log began at ", opening_.log_start.value(), " and begins at ",
                      bases_.front().value(),
                      " now: files that nobody synced were lost, or "
                      "somebody else deleted them"));
  }
}

/// W5: copies of the files that may have unsynced pages take their place, and are synced.
template <FileSystem Fs>
absl::Status BasicLog<Fs>::Opener::rewrite_tail() {
  if (!opening_.rewrite_tail || stop_ == LastStop::clean || in_era()) {
    return absl::OkStatus();
  }
  const auto first = std::upper_bound(bases_.begin(), bases_.end(), durable_end_);
  for (auto base = first == bases_.begin() ? first : first - 1; base != bases_.end(); ++base) {
    const absl::Status copied = rewrite(*base);
    if (fault(copied) == Fault::no_space) {
      const std::string copy = absl::StrCat(offset_file_path(place_.directory, *base, log_suffix),
                                            av(log_impl::rewrite_suffix));
      place_.files.remove(copy, IoReason::recover_rewrite).IgnoreError();
      return read_without_copy(copy, copied);
    }
    OTTLA_TRY(copied);
  }
  const absl::Status copied = rewrite_metadata();
  if (fault(copied) == Fault::no_space) {
    return read_without_copy(place_.path(partition_metadata_file), copied);
  }
  OTTLA_TRY(copied);
  return place_.files.sync_directory(place_.directory, IoReason::recover_rewrite);
}

/// What cannot be copied can be read: nothing is written behind it, and the next opening tries
/// again.
template <FileSystem Fs>
absl::Status BasicLog<Fs>::Opener::read_without_copy(const std::string& copy,
                                                     const absl::Status& why) {
  find(Kind::not_copied, copy, 0, 0, std::string(sv(why.message())));
  log_.health_->fail();
  return absl::OkStatus();
}

template <FileSystem Fs>
absl::Status BasicLog<Fs>::Opener::rewrite(Offset base) {
  constexpr IoReason why = IoReason::recover_rewrite;
  const std::string name = offset_file_name(base, log_suffix);
  const std::string copy_name = absl::StrCat(name, av(log_impl::rewrite_suffix));
  std::erase(files_->rewrites, copy_name);  // one that was left over is none any more
  OTTLA_ASSIGN(const auto from, place_.files.open(place_.path(name), OpenMode::read, why));
  OTTLA_ASSIGN(auto to, place_.files.open(place_.path(copy_name), OpenMode::create, why));
  OTTLA_TRY(to.truncate(0, why));
  OTTLA_ASSIGN(const std::int64_t size, from.size());
  OTTLA_TRY(log_impl::copy_bytes(from, 0, size, to, why));
  OTTLA_TRY(to.sync(why));
  OTTLA_TRY(to.close());
  return place_.files.rename(place_.path(copy_name), place_.path(name), why);
}

/// What says whose the log is can be made of nothing else.
template <FileSystem Fs>
absl::Status BasicLog<Fs>::Opener::rewrite_metadata() {
  const std::string path = place_.path(partition_metadata_file);
  const auto text = read_small_file(place_.files, path, std::size_t{64} << 10);
  if (fault(text.status()) == Fault::not_found) {
    return absl::OkStatus();  // a log used alone has none
  }
  OTTLA_TRY(text.status());
  std::erase(files_->temporaries, absl::StrCat(av(partition_metadata_file), ".tmp"));
  return replace_small_file(place_.files, path, as_bytes(*text), Durability::durable,
                            IoReason::recover_rewrite);
}

template <FileSystem Fs>
bool BasicLog<Fs>::Opener::has_indexes(Offset base) const {
  return log_impl::LogFiles::has(files_->offset_indexes, base) &&
         log_impl::LogFiles::has(files_->time_indexes, base);
}

/// Of segments whose index files are missing, and that were not recovered.
template <FileSystem Fs>
absl::Status BasicLog<Fs>::Opener::rebuild_indexes() {
  for (std::size_t i = 0; i < bases_.size(); ++i) {
    const Segment* opened = list_[i]->if_open();
    if (has_indexes(bases_[i]) || (opened != nullptr && !opened->indexes_damaged())) {
      continue;
    }
    SegmentRecovery found;
    auto made = log_.make_indexes(bases_[i], i + 1 < bases_.size(), durable_end_, found);
    report_.scanned_bytes += found.valid_end;
    if (fault(made.status()) == Fault::no_space) {
      continue;  // reads do without
    }
    OTTLA_TRY(made.status());
    find(Kind::index_rebuilt, list_[i]->path(), 0, found.valid_end, "an index was missing");
    if (found.clean() && list_[i]->check_closed(*made).ok()) {
      add_opened(i, *std::move(made));
    }
    // Else reading there says what is wrong.
  }
  return absl::OkStatus();
}

template <FileSystem Fs>
absl::Status BasicLog<Fs>::Opener::settle_start() {
  log_.replace_list(std::move(list_));
  log_.start_ = bases_.empty() ? opening_.log_start : std::max(opening_.log_start, bases_.front());
  if (damage_ != nullptr) {
    log_.start_ = std::min(log_.start_, end_);
  } else if (end_ < log_.start_) {
    // All that is left lies below the start, which was not lost.
    OTTLA_TRY(log_.delete_above(0, SteadyTime()));
    end_ = log_.start_;
    OTTLA_TRY(log_.add_segment(end_, opening_.now));
  } else if (!bases_.empty() && log_.manifest_.segments().count(bases_.back()) > 0) {
    // It was closed, and the one behind it is lost: it stays as the manifest has it.
    log_.end_ = end_;
    OTTLA_TRY(log_.roll_to(end_, opening_.now));
  }
  log_.end_ = end_;
  const bool was_cutting = stop_ == LastStop::process_crash && log_.manifest_.cut_at();
  return was_cutting ? log_.sync_cut() : absl::OkStatus();
}

/// Whatever an interrupted deletion or copy left, indexes without a log, and epochs that were
/// refused.
template <FileSystem Fs>
absl::Status BasicLog<Fs>::Opener::remove_leftovers() {
  std::vector<std::string> names = files_->deleted;
  names.insert(names.end(), files_->rewrites.begin(), files_->rewrites.end());
  const auto orphans = [&](const std::vector<Offset>& bases, std::string_view suffix) {
    for (const Offset base : bases) {
      if (!log_impl::LogFiles::has(files_->logs, base)) {
        names.push_back(offset_file_name(base, suffix));
      }
    }
  };
  orphans(files_->offset_indexes, offset_index_suffix);
  orphans(files_->time_indexes, time_index_suffix);
  orphans(files_->transaction_indexes, transaction_index_suffix);
  for (const std::string& name : names) {
    const absl::Status removed = place_.files.remove(place_.path(name), IoReason::delete_segment);
    if (fault(removed) == Fault::not_found) {
      continue;  // a copy that has become the file
    }
    OTTLA_TRY(removed);
    if (stop_ != LastStop::clean || !name.ends_with(deleted_suffix)) {
      find(Kind::leftover, place_.path(name), 0, 0, "an interrupted deletion: removed");
    }  // else it waited for its time
  }
  if (epochs_refused_) {
    // Gone before a flush is acknowledged: without the manifest it might be believed next time.
    ++log_.changes_;
    OTTLA_TRY(place_.files.remove(place_.path(epoch_checkpoint_file), IoReason::checkpoint));
  }
  for (const std::string& name : files_->temporaries) {
    OTTLA_TRY(place_.files.remove(place_.path(name), IoReason::checkpoint));
  }
  return absl::OkStatus();
}

template <FileSystem Fs>
void BasicLog<Fs>::Opener::settle_shared() {
  Shared& shared = log_.shared_;
  const bool clean = stop_ == LastStop::clean && damage_ == nullptr;
  shared.recovery_point = clean ? end_ : std::min(durable_end_, end_);
  const std::size_t unsealed = bases_.empty() ? 0
                               : clean        ? bases_.size() - 1
                                              : first_unsealed(std::min(indexed_end(), end_));
  shared.unsealed_from = bases_.empty() ? Offset(0) : bases_[unsealed];
  shared.entry_synced = opening_.entry_synced || (clean && opening_.clean_end.has_value());
  if (opening_.era && !in_era()) {
    log_.manifest_.set_era(*opening_.era);
    log_.era_noted_ = false;
  }
  // Behind damage it is not known how far: until an opening finds the log whole.
  if (!log_.manifest_.skipped().empty()) {
    shared.view.skipped_ =
        std::make_shared<const std::vector<SkippedRange>>(log_.manifest_.skipped());
  }
  if (!manifest_there_ && opening_.foreign) {
    log_.manifest_.set_others(damage_ == nullptr ? end_ : Manifest::anywhere);
  } else if (damage_ == nullptr && log_.manifest_.is_of_others(end_)) {
    log_.manifest_.set_others(end_);
    others_end_ = true;
  } else if (!manifest_known_ && end_ > Offset(0)) {
    log_.manifest_.add_sparse(Offset(0), end_);  // nothing is known of what was written
  }
  log_.changes_ += clean ? 0 : 1;
  log_.epoch_changes_ += clean ? 0 : 1;
  log_.jitter_ = log_.draw_jitter();
  log_.publish();
}

}  // namespace ottla::inline OTTLA_ABI

#include <ottla/log/impl/log_indexes_impl.hpp>
#include <ottla/log/impl/log_recover_impl.hpp>
#include <ottla/log/impl/log_repair_impl.hpp>
