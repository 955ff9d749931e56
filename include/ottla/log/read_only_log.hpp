// SPDX-License-Identifier: Apache-2.0
//
// A partition's log for reading only: nothing is made, changed, synced or locked, so it works on a
// read-only medium, on what an unclean stop left, and beside another process that writes there.
//   auto log = ReadOnlyLog::open(files, "orders-data/orders-0");
//   log->refresh();                                           // what was written since
//   auto read = log->read({.offset = at, .limit = log->view().end()}, buffers);
//
// It sees what is written: whole batches, whether they are on the device or not. After the death
// of the machine, or of a write, some of that may be gone, of which `refresh` tells. A bad end of
// the last segment is where the log ends: a batch that is not whole yet, or a torn tail. Indexes
// are hints. Without indexes, or after the death of the machine, look-ups by time read the log.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <absl/status/statusor.h>

#include <ottla/env/any_file_system.hpp>
#include <ottla/log/leader_epochs.hpp>
#include <ottla/log/log_recovery.hpp>
#include <ottla/log/log_view.hpp>
#include <ottla/log/manifest.hpp>

namespace ottla::inline OTTLA_ABI {

namespace log_impl {
struct LogFiles;
}

/// One thread at a time; its views are anybody's.
template <FileSystem Fs>
class BasicReadOnlyLog {
 public:
  using View = BasicLogView<Fs>;

  /// Opens the log of `directory`. `files` is there as long as it and its views. `opening` tells
  /// how the last writer ended, a living one as `process_crash`: after a `system_crash` all above
  /// its recovery point is read and checked.
  static absl::StatusOr<BasicReadOnlyLog> open(Fs& files, std::string directory,
                                               const LogOpening& opening = {
                                                   .last_stop = LastStop::process_crash});

  /// As of the last time that it looked. A read that fails with anything but OFFSET_OUT_OF_RANGE
  /// may have met a change of the files: see `reopen`.
  View view() const { return view_; }

  /// Takes in what was written since: batches, segments, deletions, compaction. `log_start`: what
  /// its checkpoint says by now. OFFSET_OUT_OF_RANGE, once, where the log was cut back below what
  /// `view` had: the view is that of what is there now, and what was read from `cut_to` on may be
  /// nowhere. After any other error the view is as before.
  absl::Status refresh(Offset log_start = Offset(0));
  /// Likewise, from nothing: all that was known of the files is forgotten.
  absl::Status reopen();
  /// Where the last cut that `refresh` told of has left the log as it was, at least.
  Offset cut_to() const { return cut_to_; }

  /// As the view's; where that fails because of what the writer did meanwhile, once more on the
  /// files as they are then.
  absl::StatusOr<LogRead> read(const LogReadRequest& request, ReadBuffers& buffers);

  /// Of the last batch.
  LeaderEpoch leader_epoch() const {
    return followed_.last ? followed_.last->header.leader_epoch : no_leader_epoch;
  }

 private:
  using Place = log_impl::LogPlace<Fs>;
  using LogSegment = log_impl::LogSegment<Fs>;
  using SegmentList = log_impl::SegmentList<Fs>;
  using Segment = typename LogSegment::Segment;
  /// Of the files that make up the log, by their names.
  struct Listed {
    Offset base;
    std::string_view stage;
    bool operator<(const Listed& other) const { return base < other.base; }
  };
  static constexpr std::size_t most_marks = 16;
  static constexpr int most_listings = 8;  // until two are the same, and until all of it is there
  static constexpr std::size_t window_bytes = std::size_t{256} << 10;

  BasicReadOnlyLog(Ref<Place> place, const LogOpening& opening)
      : place_(std::move(place)), opening_(opening), list_(make_ref<SegmentList>()) {}

  absl::Status look();
  absl::Status look_once();
  absl::StatusOr<std::vector<DirectoryEntry>> list_settled(std::uint64_t& names) const;
  absl::Status list_anew(const std::vector<DirectoryEntry>& entries);
  absl::StatusOr<std::vector<Listed>> choose(const log_impl::LogFiles& files) const;
  absl::Status read_manifest();
  void check_presence(std::vector<Listed>& listed);
  std::optional<Offset> end_before(Offset next) const;
  absl::StatusOr<Ref<LogSegment>> closed_segment(const log_impl::LogFiles& files,
                                                 const Listed& listed,
                                                 std::optional<Offset> end) const;
  absl::StatusOr<Ref<LogSegment>> follow_segment(const Listed& listed, FollowedEnd& followed) const;
  absl::Status follow_doubtful(const log_impl::LogFiles& files, std::vector<Listed>& listed,
                               SegmentList& list, FollowedEnd& followed);
  bool is_joined(Offset end, Offset next) const;
  absl::StatusOr<SegmentVisit> epoch_check() const;
  absl::Status follow_last();
  absl::StatusOr<bool> follow_file(LogSegment& last);
  absl::Status open_last_anew();
  RecoveryOptions how() const;
  void publish();
  absl::Status find_cut(Offset old_end);
  void forget();
  void note_mark();
  absl::StatusOr<bool> holds(const BatchHeader& batch) const;
  void damage(Offset base, std::int64_t position, Offset offset, std::string why);

  Ref<Place> place_;
  LogOpening opening_;
  Ref<SegmentList> list_;
  FollowedEnd followed_;     // in the last segment
  std::uint64_t names_ = 0;  // of the directory; 0: it was not looked at
  std::optional<Manifest> manifest_;
  bool manifest_there_ = false;
  Offset durable_end_{0};
  bool noted_damaged_ = false;
  bool was_cut_ = false;      // the last segment, by what `follow` found
  bool listed_anew_ = false;  // since a cut was looked for
  std::shared_ptr<const Damage> damage_;
  std::vector<BatchHeader> marks_;  // some of those that were the last ones, ascending
  Offset cut_to_{0};
  View view_;
};

using ReadOnlyLog = BasicReadOnlyLog<AnyFileSystem>;

}  // namespace ottla::inline OTTLA_ABI

#include <ottla/log/impl/read_only_log_impl.hpp>
#ifdef OTTLA_COMPILED
namespace ottla::inline OTTLA_ABI {
extern template class BasicReadOnlyLog<AnyFileSystem>;
}
#endif
