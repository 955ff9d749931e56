// SPDX-License-Identifier: Apache-2.0
//
// A segment in the list of a log: opened at first use by whichever thread comes first, counted, so
// that readers keep it, and pinned while they read, so that it is known when nobody does.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <absl/strings/str_cat.h>

#include <ottla/base/ref.hpp>
#include <ottla/base/status.hpp>
#include <ottla/index/transaction_index.hpp>
#include <ottla/log/manifest.hpp>
#include <ottla/log/retention.hpp>
#include <ottla/segment/segment_files.hpp>

namespace ottla::inline OTTLA_ABI::log_impl {

/// Where a log's files are. Shared by its segments.
template <FileSystem Fs>
struct LogPlace final : Counted {
  LogPlace(Fs& its_files, std::string its_directory, bool to_read = false)
      : files(its_files), directory(std::move(its_directory)), read_only(to_read) {}

  std::string path(std::string_view name) const { return absl::StrCat(directory, "/", av(name)); }

  Fs& files;
  const std::string directory;
  const bool read_only;  // no file of it is written, or made
};

/// An existing segment. Of an index that is damaged the good entries are used.
template <FileSystem Fs>
absl::StatusOr<BasicSegment<typename Fs::File>> open_log_segment(LogPlace<Fs>& place, Offset base,
                                                                 const SegmentOptions& options,
                                                                 Timestamp now) {
  auto opened = open_segment(place.files, place.directory, base, options, now);
  if (opened.ok() || fault(opened.status()) != Fault::corrupt) {
    return opened;
  }
  OTTLA_ASSIGN(auto cut,
               open_segment(place.files, place.directory, base, options, now, IndexLoad::prefix));
  cut.distrust_indexes();
  return cut;
}

template <FileSystem Fs>
class LogSegment final : public Counted {
 public:
  using Segment = BasicSegment<typename Fs::File>;
  using Place = LogPlace<Fs>;
  using Aborted = BasicTransactionIndex<typename Fs::File>;

  enum class Gone : std::uint8_t { no, deleted, truncated, replaced };

  /// Of files that are there. `closed`: what the manifest says of it, where it does. `end`: where
  /// its offsets must end, likewise. `stage`: what its names have behind their own; to read only.
  LogSegment(Ref<Place> place, Offset base, const SegmentOptions& options,
             const std::optional<SealedSegment>& closed = {}, std::optional<Offset> end = {},
             std::string_view stage = {})
      : place_(std::move(place)), base_(base), options_(options), stage_(stage) {
    if (closed) {
      expected_size_ = closed->size;
      expected_digest_ = closed->digest;
      expected_largest_ = closed->largest;
      end = closed->end();
    }
    expected_end_ = end;
  }
  LogSegment(Ref<Place> place, const SegmentOptions& options, Segment segment)
      : place_(std::move(place)),
        base_(segment.base_offset()),
        options_(options),
        segment_(std::make_unique<Segment>(std::move(segment)).release()) {}
  /// What a cut leaves of one that is retired, not pinned and open.
  LogSegment(LogSegment& other, const SegmentOptions& options)
      : LogSegment(other.place_, options, std::move(*other.if_open())) {
    aborted_.store(other.aborted_.exchange(nullptr), std::memory_order_relaxed);
    has_aborted_.store(other.has_aborted_.load(), std::memory_order_relaxed);
  }
  ~LogSegment() override {
    delete segment_.load(std::memory_order_acquire);
    delete aborted_.load(std::memory_order_acquire);
  }

  Offset base() const { return base_; }
  Place& place() const { return *place_; }
  std::string path() const { return offset_file_path(place_->directory, base_, log_suffix); }
  std::string_view stage() const { return stage_; }
  std::string staged_path() const { return absl::StrCat(path(), av(stage_)); }

  /// Any thread. `corrupt` where the end of its file is not that of a segment, or not the one it
  /// had; any error where it is gone meanwhile.
  absl::StatusOr<Segment*> segment() {
    Segment* segment = if_open();
    return segment != nullptr ? absl::StatusOr<Segment*>(segment) : first(segment_, open());
  }
  Segment* if_open() const { return segment_.load(std::memory_order_acquire); }
  /// `corrupt` where `opened`, whose end is known, is not as it was closed.
  absl::Status check_closed(const Segment& opened) const {
    OTTLA_TRY(check_size(opened));
    return check_end(opened);
  }

  /// False when it is gone. Every true `pin` is followed by an `unpin`.
  bool pin() {
    readers_.fetch_add(1, std::memory_order_seq_cst);
    if (gone_.load(std::memory_order_seq_cst) == Gone::no) {
      return true;
    }
    unpin();
    return false;
  }
  void unpin() { readers_.fetch_sub(1, std::memory_order_release); }
  /// From now on nobody pins it. Whether nobody has it pinned.
  bool retire(Gone why) {
    gone_.store(why, std::memory_order_seq_cst);
    return readers_.load(std::memory_order_seq_cst) == 0;
  }
  void keep() { gone_.store(Gone::no, std::memory_order_seq_cst); }
  Gone gone() const { return gone_.load(std::memory_order_seq_cst); }

  /// Before it is retired, or another takes its names: nothing is opened by name any more.
  absl::Status open_all() {
    OTTLA_TRY(segment().status());
    return has_aborted() ? aborted().status() : absl::OkStatus();
  }
  /// Of what is open, descriptors are let go (`File::rest`). Any thread that has it pinned; the
  /// writer.
  void rest() {
    if (Segment* segment = if_open(); segment != nullptr) {
      segment->rest();
    }
    if (Aborted* aborted = aborted_if_open(); aborted != nullptr) {
      aborted->rest();
    }
  }

  /// Its transaction index has a file. Any thread.
  bool has_aborted() const { return has_aborted_.load(std::memory_order_acquire); }
  void set_has_aborted(bool has) { has_aborted_.store(has, std::memory_order_release); }
  /// That index. Any thread where the file is there; the writer makes it. `corrupt` where it cannot
  /// be believed.
  absl::StatusOr<Aborted*> aborted() {
    Aborted* opened = aborted_.load(std::memory_order_acquire);
    return opened != nullptr ? absl::StatusOr<Aborted*>(opened) : first(aborted_, open_aborted());
  }
  Aborted* aborted_if_open() const { return aborted_.load(std::memory_order_acquire); }
  std::string aborted_path() const {
    return absl::StrCat(offset_file_path(place_->directory, base_, transaction_index_suffix),
                        av(stage_));
  }

  /// Of all its batch headers, where it is known. Before: it is closed.
  std::optional<std::uint32_t> closed_digest() const {
    return expected_digest_ ? expected_digest_ : digest;
  }
  // The writer's, of a segment that this process has written from its start.
  std::optional<std::uint32_t> digest;

  /// The writer's: what retention goes by, of a segment that is closed. Opened for it at most once.
  absl::StatusOr<SegmentFacts> closed_facts() {
    if (!facts_) {
      OTTLA_ASSIGN(const Segment* opened, segment());
      facts_ = SegmentFacts{base_, opened->size(), opened->largest_timestamp()};
    }
    return *facts_;
  }
  void set_closed_facts(std::int64_t size, Timestamp largest) {
    facts_ = SegmentFacts{base_, size, largest};
  }

 private:
  absl::Status check_size(const Segment& opened) const {
    return !expected_size_ || opened.size() == *expected_size_
               ? absl::OkStatus()
               : error(ErrorCode::corrupt_message, Fault::corrupt,
                       absl::StrCat(path(), " has ", opened.size(), " bytes; it was closed with ",
                                    *expected_size_));
  }
  absl::Status check_end(const Segment& opened) const {
    const Offset end = opened.end().next_offset;
    return !expected_end_ || end == *expected_end_
               ? absl::OkStatus()
               : error(ErrorCode::corrupt_message, Fault::corrupt,
                       absl::StrCat(path(), " ends at offset ", end.value(), "; it was closed at ",
                                    expected_end_->value()));
  }
  absl::StatusOr<std::unique_ptr<Aborted>> open_aborted() {
    const OpenMode mode = place_->read_only ? OpenMode::read
                          : has_aborted()   ? OpenMode::read_write
                                            : OpenMode::create;
    OTTLA_ASSIGN(auto file, place_->files.open(aborted_path(), mode, IoReason::index_append));
    auto opened = Aborted::open(std::move(file), base_);
    if (!opened.ok()) {
      return annotate(opened.status(), aborted_path());
    }
    return std::make_unique<Aborted>(*std::move(opened));
  }
  absl::StatusOr<std::unique_ptr<Segment>> open() {
    OTTLA_ASSIGN(auto opened, open_files());
    OTTLA_TRY(check_size(opened));
    OTTLA_TRY(opened.find_end(expected_largest_));  // who made it anew may not have come to its end
    OTTLA_TRY(check_end(opened));
    return std::make_unique<Segment>(std::move(opened));
  }
  /// Where an index cannot be read, without them: to be made anew, and no reason to read nothing.
  absl::StatusOr<Segment> open_files() {
    if (place_->read_only) {
      return open_segment_to_read(place_->files, place_->directory, base_, options_, stage_);
    }
    auto opened = open_log_segment(*place_, base_, options_, no_timestamp);
    if (fault(opened.status()) != Fault::io) {
      return opened;
    }
    OTTLA_ASSIGN(auto without, open_segment(place_->files, place_->directory, base_, options_,
                                            no_timestamp, IndexLoad::none));
    without.distrust_indexes();
    return without;
  }
  /// What is gone once its files are open may have opened another's. Who was faster is right: it is
  /// open before another takes its names.
  template <class T>
  absl::StatusOr<T*> first(std::atomic<T*>& place,
                           absl::StatusOr<std::unique_ptr<T>> opened) const {
    if (opened.ok() && gone() != Gone::no) {
      opened = error(ErrorCode::offset_not_available, absl::StrCat(path(), " is gone"));
    }
    T* current = nullptr;
    if (!opened.ok()) {
      current = place.load(std::memory_order_acquire);
      return current != nullptr ? absl::StatusOr<T*>(current) : opened.status();
    }
    if (place.compare_exchange_strong(current, opened->get(), std::memory_order_acq_rel)) {
      return opened->release();
    }
    return current;
  }

  const Ref<Place> place_;
  const Offset base_;
  const SegmentOptions options_;
  const std::string_view stage_ = {};  // a constant's
  std::optional<std::int64_t> expected_size_;
  std::optional<Offset> expected_end_;
  std::optional<std::uint32_t> expected_digest_;
  Timestamp expected_largest_ = no_timestamp;
  std::optional<SegmentFacts> facts_;
  std::atomic<Segment*> segment_{nullptr};
  std::atomic<Aborted*> aborted_{nullptr};
  std::atomic<bool> has_aborted_{false};
  std::atomic<std::int32_t> readers_{0};
  std::atomic<Gone> gone_{Gone::no};
};

/// A log's segments, ascending. Never changed once shared.
template <FileSystem Fs>
struct SegmentList final : Counted {
  std::vector<Ref<LogSegment<Fs>>> segments;

  /// The last one whose base is at most `offset`, the first one where there is none; size() when
  /// empty.
  std::size_t find(Offset offset) const {
    std::size_t begin = 0;
    std::size_t end = segments.size();
    while (begin < end) {
      const std::size_t middle = begin + (end - begin) / 2;
      if (segments[middle]->base() <= offset) {
        begin = middle + 1;
      } else {
        end = middle;
      }
    }
    return begin == 0 ? begin : begin - 1;
  }
};

/// Keeps a segment pinned for a scope.
template <FileSystem Fs>
class Pin {
 public:
  explicit Pin(LogSegment<Fs>& segment) : segment_(segment.pin() ? &segment : nullptr) {}
  Pin(const Pin&) = delete;
  Pin& operator=(const Pin&) = delete;
  ~Pin() {
    if (segment_ != nullptr) {
      segment_->unpin();
    }
  }
  explicit operator bool() const { return segment_ != nullptr; }

 private:
  LogSegment<Fs>* segment_;
};

}  // namespace ottla::inline OTTLA_ABI::log_impl
