// SPDX-License-Identifier: Apache-2.0
//
// A round of compaction of one log (spec storage.md section 20), in steps that its owner spreads
// over time. Most of it needs neither the owner's lock nor the write baton: closed segments are
// read, new ones written beside them. Only what changes names is done with the baton.
//   OTTLA_ASSIGN(auto look, LogCleaning::look(view, bounds, checkpoint, config, now));
//   auto round = make_ref<LogCleaning>(view, std::move(look), options);
//   while (round->turn() != CleaningTurn::done) {
//     round->turn() == CleaningTurn::step ? round->step() : round->step_with(log, now);  // baton
//   }
//   note(round->cleaned_to());  // cleaner-offset-checkpoint
// All that makes a record superfluous is on the device before it goes (CleaningBounds::durable),
// and the segments before it are, compacted, before a tombstone can go: no power cut brings one
// back.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include <absl/status/statusor.h>

#include <ottla/base/buffer_pool.hpp>
#include <ottla/base/ref.hpp>
#include <ottla/log/batch_cleaner.hpp>
#include <ottla/log/cleanable.hpp>
#include <ottla/log/log.hpp>

namespace ottla::inline OTTLA_ABI {

/// What the producer state of the log knows.
struct CleaningProducers {
  ActiveProducers active;
  std::vector<AbortedTransaction> aborted;
};

struct LogCleaningOptions {
  GroupLimits limits = {};
  std::chrono::milliseconds delete_retention{86'400'000};  ///< delete.retention.ms
  std::size_t map_bytes = std::size_t{16} << 20;           ///< at most; what does not fit waits
  double map_load_factor = OffsetMap::default_load_factor;
  std::size_t io_bytes = std::size_t{512} << 10;  ///< read in a step
  Timestamp now = no_timestamp;                   ///< the wall clock
  std::uint64_t seed = 0;                         ///< random
  /// Without it the round finds out by itself, at the price of a walk over all headers, and takes
  /// every producer for active; a log with an open transaction is left alone then (`unsupported`).
  std::optional<CleaningProducers> producers = {};
};

/// What there is to be cleaned of a log.
struct CleaningLook {
  std::vector<CleanableSegment> segments;  ///< all of the log
  CleanableRange range;
};

enum class CleaningTurn : std::uint8_t { step, baton, done };

/// Since the round began.
struct CleaningCounts {
  std::int64_t read_bytes = 0;
  std::int64_t written_bytes = 0;
  std::uint64_t kept_records = 0;
  std::uint64_t segments_before = 0;
  std::uint64_t segments_after = 0;
};

/// One thread at a time. An error ends the round: what was replaced by then stays so, the rest is
/// as it was. OFFSET_NOT_AVAILABLE where the log has changed meanwhile: a later round finds it so.
template <FileSystem Fs>
class BasicLogCleaning final : public Counted {
 public:
  /// Opens closed segments; reads nothing of a log that has none.
  static absl::StatusOr<CleaningLook> look(const BasicLogView<Fs>& view,
                                           const CleaningBounds& bounds,
                                           std::optional<Offset> checkpoint,
                                           const CleaningConfig& config, Timestamp now);
  /// Before: `look` is of `view`, and has something to clean.
  BasicLogCleaning(BasicLogView<Fs> view, CleaningLook look, LogCleaningOptions options);

  CleaningTurn turn() const;
  /// Goes on, without lock and baton; bytes read and written. Before: it is the turn of a `step`.
  absl::StatusOr<std::int64_t> step();
  /// With the write baton of the log. Before: it is that turn. After: publish.
  absl::Status step_with(BasicLog<Fs>& log, SteadyTime now);

  /// How far the log is clean, once it is done.
  Offset cleaned_to() const { return map_->latest() + 1; }
  const CleaningCounts& counts() const { return counts_; }

 private:
  using LogSegment = log_impl::LogSegment<Fs>;
  using Segment = typename LogSegment::Segment;
  using FileT = typename Fs::File;
  enum class Phase : std::uint8_t { producers, map, open, copy, swap, done };

  /// The new segment that is being written.
  struct Output {
    Segment segment;
    std::optional<BasicTransactionIndex<FileT>> aborted;
    std::uint32_t digest = 0;
    std::optional<Offset> last;
  };

  static absl::StatusOr<const Segment*> source(const BasicLogView<Fs>& view, LogSegment& entry,
                                               const log_impl::Pin<Fs>& pin);
  absl::StatusOr<std::int64_t> find_producers();
  absl::Status read_aborted(const LogSegment& entry);
  void note_producer(const BatchHeader& header);
  absl::Status make_map();
  absl::StatusOr<std::int64_t> map_some();
  void end_map();
  absl::StatusOr<std::int64_t> copy_some();
  absl::Status write(Bytes batches);
  absl::Status keep_aborted(const AbortedTransaction& transaction);
  absl::Status end_copy();
  absl::Status sync_output();
  absl::Status open_output(const LogConfig& config);
  absl::StatusOr<FileT> create(std::string_view suffix);
  std::span<const Ref<LogSegment>> group() const {
    return std::span(view_.list_->segments).subspan(group_begin_, groups_[group_]);
  }

  const BasicLogView<Fs> view_;
  const CleaningLook look_;
  const LogCleaningOptions options_;
  const Ref<BufferPool> buffers_;
  Decompressor decompressor_;
  Compressor compressor_;
  CleaningProducers producers_;
  std::map<ProducerId, Offset> open_;  // transactions: where each begins
  std::optional<OffsetMap> map_;
  CleanedTransactions transactions_;
  std::optional<RetentionRules> rules_;
  std::optional<BatchCleaner> cleaner_;

  Phase phase_ = Phase::producers;
  std::size_t at_ = 0;                    // of the segment that is read
  std::optional<std::int64_t> position_;  // in it; nothing: to be found
  OffsetRange within_;                    // of its batches from there on
  std::vector<std::size_t> groups_;
  std::size_t group_ = 0;
  std::size_t group_begin_ = 0;
  bool began_ = false;  // files of earlier rounds are gone
  std::optional<Output> output_;
  SealedSegment cleaned_;
  Timestamp modified_ = no_timestamp;
  Ref<DirectoryHealth> health_;
  bool has_transactions_ = false;
  std::vector<CleanedBatch> left_;  // of one write
  std::vector<Bytes> pieces_;
  std::vector<BatchFacts> facts_;
  CleaningCounts counts_;
};

using LogCleaning = BasicLogCleaning<AnyFileSystem>;

}  // namespace ottla::inline OTTLA_ABI

#include <ottla/log/impl/log_cleaning_impl.hpp>
#ifdef OTTLA_COMPILED
namespace ottla::inline OTTLA_ABI {
extern template class BasicLogCleaning<AnyFileSystem>;
}
#endif
