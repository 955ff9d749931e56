// SPDX-License-Identifier: Apache-2.0
//
// What compaction leaves of one batch (spec storage.md section 20.3): a pure decision, and the
// bytes. A batch of which all records stay is the same to the byte; of another one base offset,
// last offset, sequence, epoch and codec stay, and so do the offsets of the records that are kept.
//   BatchCleaner cleaner(rules, transactions, decompressor, compressor);
//   OTTLA_ASSIGN(const CleanedBatch left, cleaner.clean(batch));
//   if (!left.bytes.empty()) write(left.bytes);
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include <absl/status/statusor.h>

#include <ottla/base/ids.hpp>
#include <ottla/base/shared_bytes.hpp>
#include <ottla/base/time.hpp>
#include <ottla/log/cleaned_transactions.hpp>
#include <ottla/log/offset_map.hpp>
#include <ottla/record/batch_builder.hpp>
#include <ottla/record/batch_view.hpp>
#include <ottla/record/compression.hpp>

namespace ottla::inline OTTLA_ABI {

/// What the producer state says of a producer that may go on where it stopped: the batch that tells
/// its last sequence and epoch stays, if emptied.
struct LastRecord {
  std::optional<Offset> last_data = {};  ///< last offset of its last batch of data
  ProducerEpoch epoch = no_producer_epoch;
  bool operator==(const LastRecord&) const = default;
};
using ActiveProducers = std::map<ProducerId, LastRecord>;

struct RetentionRules {
  const OffsetMap& map;
  const ActiveProducers& producers;
  Offset round_end;  ///< of the dirty section: the batch that ends there stays, so that it is told
  Timestamp now;
  std::chrono::milliseconds delete_retention{86'400'000};  ///< delete.retention.ms
};

struct CleanedBatch {
  Bytes bytes;           ///< empty: nothing is left. Of the batch itself, or of `owned`
  SharedBytes owned;     ///< what was built anew
  std::size_t kept = 0;  ///< records
  std::optional<AbortedTransaction> aborted = {};  ///< for the transaction index of its segment
};

/// Not thread-safe. Memory is used again from batch to batch.
class BatchCleaner {
 public:
  /// Before: all of them outlive it.
  BatchCleaner(const RetentionRules& rules, CleanedTransactions& transactions,
               Decompressor& decompressor, Compressor& compressor)
      : rules_(rules),
        transactions_(transactions),
        decompressor_(decompressor),
        compressor_(compressor) {}

  /// Batches come in their order. The error of a batch that cannot be read: nothing is known of
  /// what it would have left.
  absl::StatusOr<CleanedBatch> clean(const BatchView& batch);

 private:
  struct Choice {
    std::size_t kept = 0;
    std::size_t records = 0;
    bool tombstones = false;  // among those that are kept
  };
  bool is_last_of_producer(const BatchHeader& header) const;
  bool is_kept(const BatchHeader& header, const RecordView& record) const;
  absl::StatusOr<Choice> choose(const BatchHeader& header, RecordCursor records);
  absl::StatusOr<SharedBytes> rebuild(const BatchHeader& header, RecordCursor records,
                                      std::optional<Timestamp> horizon);

  const RetentionRules& rules_;
  CleanedTransactions& transactions_;
  Decompressor& decompressor_;
  Compressor& compressor_;
  std::vector<bool> keep_;  // of each record
  std::vector<RecordHeader> headers_;
};

/// What a control batch says: nothing where it was emptied. INVALID_RECORD.
absl::StatusOr<std::optional<ControlType>> control_type_of(const BatchView& batch,
                                                           Decompressor& decompressor);

/// Puts the keys of `batch` whose offsets lie at `from` or above into `map`. False when the map is
/// full before its end: the section ends with what is mapped. Batches come in their order.
absl::StatusOr<bool> map_batch(const BatchView& batch, Offset from, OffsetMap& map,
                               CleanedTransactions& transactions, Decompressor& decompressor);

}  // namespace ottla::inline OTTLA_ABI

#ifndef OTTLA_COMPILED
#include <ottla/log/impl/batch_cleaner.ipp>
#endif
