// SPDX-License-Identifier: Apache-2.0
//
// What has to be synced before a log is durable up to some offset: made under the owner's lock, run
// without it by one thread for all who wait (group commit), told to the log under the lock again.
//   LogFlush flush = log.plan_flush(FlushScope::data);     // lock
//   absl::Status synced = flush.run();                     // no lock, no baton
//   if (synced.ok()) log.flushed(flush);                   // lock
#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include <absl/container/inlined_vector.h>
#include <absl/status/status.h>
#include <absl/strings/str_cat.h>

#include <ottla/base/status.hpp>
#include <ottla/env/any_file_system.hpp>
#include <ottla/env/small_file.hpp>
#include <ottla/log/directory_health.hpp>
#include <ottla/log/impl/log_segment.hpp>
#include <ottla/log/partition_metadata.hpp>
#include <ottla/log/producer_snapshot.hpp>

namespace ottla::inline OTTLA_ABI {

enum class FlushScope : std::uint8_t {
  data,    ///< what an answer depends on: logs, epochs, and the directory entries of both
  sealed,  ///< also the indexes of closed segments: not for somebody who waits
};

inline constexpr std::string_view epoch_checkpoint_file = "leader-epoch-checkpoint";

template <FileSystem Fs>
class BasicLogFlush {
 public:
  /// Below it all is durable once `run` answered ok, which may have lowered it: of what is being
  /// cut back it promises nothing.
  Offset end() const { return end_; }
  /// Nothing is to be done.
  bool empty() const { return segments_.empty() && !epochs_ && !directory_ && !parent_; }

  /// Syncs, earlier segments first (W3). A failed sync is final (W5): the directory takes no writes
  /// from then on, and the outcome of what was to be durable is `unknown`. Where descriptors or
  /// memory were short (`not_tried`) no sync was tried, and the next one may do.
  absl::Status run() {
    OTTLA_TRY(health_->check());
    for (std::size_t i = 0; i < segments_.size(); ++i) {
      LogSegment& entry = *segments_[i];
      const log_impl::Pin<Fs> pin(entry);
      const auto opened = pin ? entry.segment() : absl::StatusOr<Segment*>(nullptr);
      const auto gone = entry.gone();
      if (pin && gone == LogSegment::Gone::no) {
        OTTLA_TRY(opened.status());
      }
      if (!pin || !opened.ok()) {
        if (gone == LogSegment::Gone::deleted || gone == LogSegment::Gone::replaced) {
          continue;  // nobody is promised what was in it
        }
        // It is being cut back, which may fail: what it keeps is for the next flush.
        end_ = std::min(end_, entry.base());
        segments_.resize(i);
        break;
      }
      Segment* segment = *opened;
      OTTLA_TRY(checked(segment->sync(IoReason::flush)));
      if (scope_ == FlushScope::sealed && i + 1 < segments_.size()) {
        OTTLA_TRY(checked(segment->sync_indexes(IoReason::flush)));
        OTTLA_TRY(entry.has_aborted() ? sync_path(entry.aborted_path()) : absl::OkStatus());
        OTTLA_TRY(sync_file(offset_file_name(segments_[i + 1]->base(), producer_snapshot_suffix)));
      }
    }
    OTTLA_TRY(epochs_ ? sync_file(epoch_checkpoint_file) : absl::OkStatus());
    OTTLA_TRY(parent_ ? sync_file(partition_metadata_file) : absl::OkStatus());
    if (directory_ || parent_) {
      OTTLA_TRY(checked(place_->files.sync_directory(place_->directory, IoReason::flush)));
    }
    return parent_ ? checked(place_->files.sync_directory(parent_directory(place_->directory),
                                                          IoReason::flush))
                   : absl::OkStatus();
  }

 private:
  template <FileSystem>
  friend class BasicLog;
  using LogSegment = log_impl::LogSegment<Fs>;
  using Segment = typename LogSegment::Segment;

  absl::Status checked(absl::Status synced) {
    synced = health_->checked(std::move(synced));
    if (synced.ok()) {
      return synced;
    }
    return error(ErrorCode::kafka_storage_error, fault(synced),
                 absl::StrCat("sync of ", place_->directory, " failed: ", synced.message()),
                 Outcome::unknown);
  }

  absl::Status sync_file(std::string_view name) { return sync_path(place_->path(name)); }
  absl::Status sync_path(const std::string& path) {
    auto file = place_->files.open(path, OpenMode::read_write, IoReason::flush);
    if (fault(file.status()) == Fault::not_found) {
      return absl::OkStatus();  // a log used alone has no partition.metadata, say
    }
    return checked(file.ok() ? file->sync(IoReason::flush) : file.status());
  }

  Ref<log_impl::LogPlace<Fs>> place_;
  Ref<DirectoryHealth> health_;
  FlushScope scope_ = FlushScope::data;
  absl::InlinedVector<Ref<LogSegment>, 2> segments_;  // the last one is the active one
  Offset end_{0};
  bool epochs_ = false;
  bool directory_ = false;
  bool parent_ = false;
  std::uint64_t changes_ = 0;  // of the directory, that were known
  std::uint64_t epoch_changes_ = 0;
  std::uint64_t cuts_ = 0;  // of the log
  std::uint64_t replacements_ = 0;
};

using LogFlush = BasicLogFlush<AnyFileSystem>;

}  // namespace ottla::inline OTTLA_ABI
