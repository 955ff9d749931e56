// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <absl/strings/str_cat.h>

#include <ottla/base/crc32c.hpp>
#include <ottla/env/small_file.hpp>
#include <ottla/log/checkpoint_file.hpp>
#include <ottla/log/impl/log_files.hpp>
#include <ottla/log/log_directory.hpp>
#include <ottla/log/manifest.hpp>

namespace ottla::inline OTTLA_ABI {

namespace log_impl {
inline constexpr std::string_view lock_file = ".lock";
inline constexpr std::string_view meta_properties_file = "meta.properties";
inline constexpr std::string_view reserve_file = ".ottla_reserve";
/// Kept for checkpoints and markers when nothing else is left.
inline constexpr std::size_t reserve_bytes = std::size_t{128} << 10;
inline constexpr std::size_t max_small_file = std::size_t{256} << 20;
}  // namespace log_impl

/// Reads everything before it changes anything.
template <FileSystem Fs>
class BasicLogDirectory<Fs>::Opener {
 public:
  Opener(BasicLogDirectory& directory, const LogDirectoryOptions& options, DirectoryReport& report)
      : directory_(directory), options_(options), report_(report) {}

  absl::Status run() {
    OTTLA_TRY(read_markers());
    OTTLA_TRY(read_checkpoints());
    OTTLA_TRY(read_properties());
    OTTLA_TRY(list());
    decide();
    OTTLA_TRY(note_others());
    OTTLA_TRY(settle_checkpoints());
    OTTLA_TRY(remove_markers());
    OTTLA_TRY(remove_temporaries());
    // The sync of a new directory's properties keeps their names: all that lies there is ours.
    OTTLA_TRY(write_run_record());
    OTTLA_TRY(directory_.make_reserve());
    return write_properties();
  }

 private:
  /// Nothing when the file is missing.
  absl::StatusOr<std::optional<std::string>> read(std::string_view name) {
    auto text = read_small_file(*directory_.files_, directory_.in(name), log_impl::max_small_file);
    if (fault(text.status()) == Fault::not_found) {
      return std::nullopt;
    }
    OTTLA_TRY(text.status());
    return *std::move(text);
  }

  /// On a full disk a directory can be read all the same: without a record the next opening takes
  /// this stop for a crash of the machine, which claims nothing.
  absl::Status write_run_record() {
    constexpr IoReason why = IoReason::open_directory;
    const absl::Status written = directory_.replace(
        run_record_file, format_run_record(directory_.run_), Durability::written, why);
    if (fault(written) != Fault::no_space || new_) {
      return written;
    }
    report_.findings.push_back(
        absl::StrCat(directory_.path_, ": no space is left, not even for the record of this run"));
    const absl::Status removed = directory_.files_->remove(directory_.in(run_record_file), why);
    return fault(removed) == Fault::not_found ? absl::OkStatus() : removed;
  }

  absl::Status read_markers() {
    OTTLA_ASSIGN(const VolumeId volume, directory_.files_->volume(directory_.path_));
    directory_.run_ = {options_.process, volume, options_.run, options_.run};
    OTTLA_ASSIGN(const auto run, read(run_record_file));
    has_run_ = run.has_value();
    last_run_ = parse_run_record(run.value_or(""));
    OTTLA_ASSIGN(const auto clean, read(clean_stop_file));
    clean_ = parse_clean_stop(clean.value_or(""));
    OTTLA_ASSIGN(kafka_clean_, read(kafka_clean_stop_file));
    has_clean_ = clean.has_value();
    OTTLA_ASSIGN(const auto sums, read(file_sums_file));
    used_ = has_run_ || has_clean_ || sums ||
            directory_.files_->status(directory_.in(log_impl::reserve_file)).ok();
    directory_.sums_ = FileSums::parse(sums.value_or("")).value_or(FileSums());
    return absl::OkStatus();
  }

  absl::Status read_checkpoints() {
    for (std::size_t i = 0; i < checkpoint_files.size(); ++i) {
      OTTLA_ASSIGN(const auto text, read(checkpoint_files[i]));
      crcs_[i] = crc32c(as_bytes(text.value_or("")));
      strange_[i] = !directory_.sums_.may_be(checkpoint_files[i], crcs_[i]);
      const auto entries =
          parse_offset_checkpoint(text.value_or(""), directory_.in(checkpoint_files[i]));
      if (!entries.ok()) {
        report_.findings.emplace_back(sv(entries.status().message()));
        malformed_[i] = true;
        continue;
      }
      for (const PartitionOffset& entry : *entries) {
        directory_.offsets_[i].insert_or_assign(entry.partition.to_string(), entry.offset);
      }
    }
    return absl::OkStatus();
  }

  absl::Status read_properties() {
    OTTLA_ASSIGN(const auto text, read(log_impl::meta_properties_file));
    new_ = !text.has_value();
    if (new_) {
      directory_.properties_ = options_.properties;
      return options_.properties.cluster_id.empty()
                 ? error(Fault::invalid_argument,
                         absl::StrCat(directory_.path_, " is new and needs a cluster id"))
                 : absl::OkStatus();
    }
    OTTLA_ASSIGN(directory_.properties_,
                 parse_meta_properties(*text, directory_.in(log_impl::meta_properties_file)));
    return absl::OkStatus();
  }

  absl::Status list() {
    OTTLA_ASSIGN(const auto entries, directory_.files_->list(directory_.path_));
    for (const DirectoryEntry& entry : entries) {
      if (entry.kind != FileKind::directory) {
        note_temporary(entry.name);
        continue;
      }
      switch (directory_kind(entry.name)) {
        case DirectoryKind::partition:
          directory_.partitions_.push_back(*TopicPartition::parse(entry.name));
          break;
        case DirectoryKind::deleted:
          directory_.deleted_.push_back(entry.name);
          break;
        default:
          report_.findings.push_back(
              absl::StrCat(directory_.in(entry.name), ": not a partition's directory; left alone"));
      }
    }
    return absl::OkStatus();
  }

  /// What a small file was about to be replaced with when the process died.
  void note_temporary(std::string_view name) {
    const auto small = log_impl::without(name, log_impl::temporary_suffix);
    constexpr std::array ours = {clean_stop_file, kafka_clean_stop_file, file_sums_file,
                                 run_record_file, log_impl::meta_properties_file};
    if (small && (std::count(ours.begin(), ours.end(), *small) > 0 ||
                  std::count(checkpoint_files.begin(), checkpoint_files.end(), *small) > 0)) {
      temporaries_.emplace_back(name);
    }
  }

  /// Whose stop it was, and how it came.
  void decide() {
    // Without a record: the sync of the markers failed, which all logs came through.
    const bool same_run = !has_run_ || (last_run_ && clean_ && clean_->run == last_run_->run);
    const bool ours = kafka_clean_ == kafka_clean_stop_text && clean_ && same_run;
    const bool same_boot = last_run_ && last_run_->volume == directory_.run_.volume;
    // Ours is removed first: who died before the other one was gone.
    const bool opened = same_boot && !has_clean_ && kafka_clean_ == kafka_clean_stop_text;
    bool foreign = !ours && !opened && (has_clean_ || (kafka_clean_ && used_));
    LastStop stop = LastStop::system_crash;
    if (kafka_clean_ && !opened) {
      stop = LastStop::clean;
    } else if (same_boot && !foreign) {
      // Files of the same boot that are not ours: Kafka was here, and died. It leaves none that
      // cannot be read.
      for (std::size_t i = 0; i < strange_.size(); ++i) {
        foreign = foreign || (strange_[i] && !malformed_[i]);
      }
      stop = foreign || opened ? LastStop::system_crash : LastStop::process_crash;
    }
    if (ours) {
      for (const CleanStop::Partition& partition : clean_->partitions) {
        directory_.clean_ends_.insert_or_assign(partition.directory, partition.end);
      }
    }
    if (foreign) {
      directory_.sums_ = FileSums();
    }
    // Of what lies here some may be recovered, and some not, when the process dies.
    const bool same_era = same_boot && (ours || stop == LastStop::process_crash);
    directory_.run_.era = same_era ? last_run_->era : options_.run;
    // Without a record a sync failed, or nothing is known; after a restart the pages are the
    // device's.
    const bool is_empty = new_ && directory_.partitions_.empty() && directory_.deleted_.empty();
    directory_.run_.rewrite_tail =
        has_run_ ? same_boot && last_run_->rewrite_tail : stop != LastStop::clean && !is_empty;
    directory_.last_stop_ = report_.last_stop = stop;
    foreign_ = report_.foreign = foreign;
    directory_.ours_ = ours;
    directory_.foreign_ = foreign || !used_;
  }

  /// Checkpoint files that are not as they were written, though nobody else was here: after our own
  /// stop they are damaged, and made anew. After the death of the machine they may be newer than
  /// their sums. Either way they are known from now on: the next opening does not take them for
  /// somebody else's.
  absl::Status settle_checkpoints() {
    bool mended = false;
    if (foreign_) {
      report_.findings.push_back(absl::StrCat(
          directory_.path(),
          ": somebody else, Kafka perhaps, had this directory meanwhile, or its last process died "
          "while it closed: its checkpoints are believed, and nothing that was noted here of how "
          "its files were"));
    }
    for (std::size_t i = 0; i < checkpoint_files.size(); ++i) {
      if (strange_[i] && !malformed_[i]) {
        report_.findings.push_back(absl::StrCat(directory_.in(checkpoint_files[i]),
                                                ": not the file that was written here"));
      }
    }
    for (std::size_t i = 0; !foreign_ && i < checkpoint_files.size(); ++i) {
      if (directory_.ours_) {
        OTTLA_TRY(make_anew(i));
      } else if (strange_[i]) {
        mended = true;
        directory_.sums_.replace(checkpoint_files[i], crcs_[i], crcs_[i]);
      }
    }
    const absl::Status known = mended ? write_sums(Durability::written) : absl::OkStatus();
    return fault(known) == Fault::no_space ? absl::OkStatus() : known;
  }

  /// After our own clean stop, which tells all recovery points; what cannot be believed is dropped.
  /// The markers are still there, and nothing that they say changes: whoever dies before they are
  /// gone does it again, who dies later finds the file that the sums tell of.
  absl::Status make_anew(std::size_t i) {
    const bool believed = !strange_[i] && !malformed_[i];
    Offsets& offsets = directory_.offsets_[i];
    if (!believed) {
      offsets.clear();
    }
    const bool lags = checkpoint_kinds[i] == CheckpointKind::recovery_point && take_clean_ends();
    if (believed && !lags) {
      return absl::OkStatus();
    }
    const std::string text = format_offset_checkpoint(directory_.offsets(checkpoint_kinds[i]));
    const std::uint32_t crc = believed ? crcs_[i] : crc32c(Bytes());
    FileSums before = directory_.sums_;
    directory_.sums_.replace(checkpoint_files[i], crc, crc32c(as_bytes(text)));
    const absl::Status known = write_sums(Durability::durable);
    if (fault(known) == Fault::no_space) {
      directory_.sums_ = std::move(before);  // and the file as it is
      return absl::OkStatus();
    }
    OTTLA_TRY(known);
    const absl::Status written = directory_.replace(checkpoint_files[i], text, Durability::durable,
                                                    IoReason::open_directory);
    if (fault(written) == Fault::no_space) {
      return believed ? absl::OkStatus() : remove(checkpoint_files[i]);
    }
    return written;
  }

  /// Whether a recovery point was another one.
  bool take_clean_ends() {
    bool changed = false;
    Offsets& offsets =
        directory_.offsets_[static_cast<std::size_t>(CheckpointKind::recovery_point)];
    for (const CleanStop::Partition& partition : clean_->partitions) {
      if (TopicPartition::parse(partition.directory)) {
        Offset& offset = offsets[partition.directory];
        changed = changed || offset != partition.end.end;
        offset = partition.end.end;
      }
    }
    return changed;
  }

  absl::Status write_sums(Durability durability) {
    return directory_.replace(file_sums_file, directory_.sums_.format(), durability,
                              IoReason::open_directory);
  }

  /// One that is not there is removed.
  absl::Status remove(std::string_view name) {
    const absl::Status removed =
        directory_.files_->remove(directory_.in(name), IoReason::open_directory);
    return fault(removed) == Fault::not_found ? absl::OkStatus() : removed;
  }

  /// What ours say of files that others have changed since goes, and the manifests say that others
  /// were here: for good, before what tells of them goes. Who opens the directory next does not
  /// know of them any more.
  absl::Status note_others() {
    for (std::size_t i = 0; directory_.foreign_ && i < directory_.partitions_.size(); ++i) {
      const std::string path = directory_.path_of(directory_.partitions_[i]);
      const auto there = directory_.files_->status(absl::StrCat(path, "/", av(manifest_file)));
      if (foreign_ || fault(there.status()) == Fault::not_found) {
        OTTLA_TRY(note_others(directory_.partitions_[i]));
        continue;
      }
      // Nothing else is ours: it was noted, by an opening that was cut short.
      OTTLA_TRY(there.status());
      OTTLA_TRY(directory_.files_->sync_directory(path, IoReason::open_directory));
    }
    return absl::OkStatus();
  }

  absl::Status note_others(const TopicPartition& partition) {
    const auto topic_id = directory_.topic_id(partition);
    if (const Fault why = fault(topic_id.status());
        why == Fault::not_found || why == Fault::corrupt || why == Fault::limit_reached) {
      return remove_manifest(partition);  // nobody opens it
    }
    OTTLA_TRY(topic_id.status());
    Manifest manifest({*topic_id, partition.partition});
    manifest.set_others(Manifest::anywhere);
    const absl::Status noted =
        directory_.replace(absl::StrCat(partition.to_string(), "/", av(manifest_file)),
                           manifest.whole_text(), Durability::durable, IoReason::open_directory);
    return fault(noted) == Fault::no_space ? remove_manifest(partition) : noted;
  }

  absl::Status remove_manifest(const TopicPartition& partition) {
    const std::string path = directory_.path_of(partition);
    const absl::Status removed = directory_.files_->remove(
        absl::StrCat(path, "/", av(manifest_file)), IoReason::open_directory);
    if (fault(removed) == Fault::not_found) {
      return absl::OkStatus();
    }
    OTTLA_TRY(removed);
    return directory_.files_->sync_directory(path, IoReason::open_directory);
  }

  /// Both, before any write that what they say may not hold after, and for good (W11): also where a
  /// program died, or could not go on, between removing them and that.
  absl::Status remove_markers() {
    OTTLA_TRY(has_clean_ ? remove(clean_stop_file) : absl::OkStatus());
    OTTLA_TRY(kafka_clean_ ? remove(kafka_clean_stop_file) : absl::OkStatus());
    if (!new_ || has_clean_ || kafka_clean_) {
      OTTLA_TRY(directory_.files_->sync_directory(directory_.path_, IoReason::open_directory));
    }
    return foreign_ ? remove(file_sums_file) : absl::OkStatus();
  }

  absl::Status remove_temporaries() {
    for (const std::string& name : temporaries_) {
      OTTLA_TRY(remove(name));
    }
    return absl::OkStatus();
  }

  absl::Status write_properties() {
    if (!new_) {
      // It is known as ours from now on, whatever a power cut leaves of it.
      return used_ ? absl::OkStatus()
                   : directory_.files_->sync_directory(directory_.path_, IoReason::open_directory);
    }
    OTTLA_TRY(sync_entry());
    return directory_.replace(log_impl::meta_properties_file,
                              format_meta_properties(directory_.properties_), Durability::durable,
                              IoReason::open_directory);
  }

  /// A new directory's own. Where its parent may not be read, somebody else has made it.
  absl::Status sync_entry() {
    const absl::Status synced = directory_.files_->sync_directory(
        parent_directory(directory_.path_), IoReason::open_directory);
    return fault(synced) == Fault::read_only ? absl::OkStatus() : synced;
  }

  BasicLogDirectory& directory_;
  const LogDirectoryOptions& options_;
  DirectoryReport& report_;
  std::optional<RunRecord> last_run_;
  std::optional<CleanStop> clean_;
  std::optional<std::string> kafka_clean_;
  std::vector<std::string> temporaries_;
  bool has_run_ = false;
  bool used_ = false;  // by us, once
  bool has_clean_ = false;
  std::array<std::uint32_t, checkpoint_files.size()> crcs_ = {};  // of the checkpoint files
  std::array<bool, checkpoint_files.size()> malformed_ = {};
  std::array<bool, checkpoint_files.size()> strange_ = {};  // those that were not written here
  bool foreign_ = false;
  bool new_ = false;
};

template <FileSystem Fs>
BasicLogDirectory<Fs>::BasicLogDirectory(Fs& files, std::string path, typename Fs::Lock lock)
    : files_(&files),
      path_(std::move(path)),
      lock_(std::move(lock)),
      health_(make_ref<DirectoryHealth>(path_, [&files, record = in(run_record_file)] {
        files.remove(record, IoReason::flush).IgnoreError();
      })) {}

template <FileSystem Fs>
absl::StatusOr<BasicLogDirectory<Fs>> BasicLogDirectory<Fs>::open(
    Fs& files, const LogDirectoryOptions& options, DirectoryReport& report) {
  auto status = files.status(options.path);
  if (fault(status.status()) == Fault::not_found) {
    OTTLA_TRY(files.create_directory(options.path, IoReason::open_directory));
    status = files.status(options.path);
  }
  OTTLA_TRY(status.status());
  if (status->kind != FileKind::directory) {
    return error(Fault::invalid_argument,
                 absl::StrCat(options.path, " is no directory; name one for the log"));
  }
  auto lock = files.lock(absl::StrCat(options.path, "/", av(log_impl::lock_file)));
  if (fault(lock.status()) == Fault::locked) {
    const auto text = read_small_file(files, absl::StrCat(options.path, "/", av(run_record_file)),
                                      log_impl::max_small_file);
    const auto run = parse_run_record(text.ok() ? std::string_view(*text) : "");
    if (run && run->process == options.process) {
      return error(Fault::locked,
                   absl::StrCat(options.path, " is open in this process (", run->process,
                                ") already; close that one first, or share it"));
    }
    return error(Fault::locked,
                 absl::StrCat(options.path, " is in use",
                              run ? absl::StrCat(" by process ", run->process) : std::string(),
                              "; close it there, or take another directory"));
  }
  OTTLA_TRY(lock.status());
  BasicLogDirectory directory(files, options.path, *std::move(lock));
  OTTLA_TRY(Opener(directory, options, report).run());
  return directory;
}

}  // namespace ottla::inline OTTLA_ABI
