// SPDX-License-Identifier: Apache-2.0
//
// Which batches of a walk through a log belong to aborted transactions, and which markers end a
// transaction of which nothing is left (spec storage.md section 20.3; Kafka's
// CleanedTransactionMetadata). The batches are shown to it in their order.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include <ottla/base/ids.hpp>
#include <ottla/index/transaction_index.hpp>
#include <ottla/record/batch_header.hpp>
#include <ottla/record/control_record.hpp>

namespace ottla::inline OTTLA_ABI {

/// Not thread-safe.
class CleanedTransactions {
 public:
  CleanedTransactions() = default;
  /// Of the aborted transactions of the log those whose marker lies at `from` or above.
  CleanedTransactions(const std::vector<AbortedTransaction>& aborted, Offset from);

  /// Of a batch of data: whether its transaction was aborted, so that nothing of it is kept.
  bool on_batch(const BatchHeader& header);

  struct Marker {
    bool discardable = false;  ///< nothing was seen of its transaction
    /// Else, of an aborted one: stays in the transaction index.
    std::optional<AbortedTransaction> aborted = {};
  };
  /// Of a control batch: `type` is that of its record, nothing where it was emptied already.
  Marker on_control_batch(const BatchHeader& header, std::optional<ControlType> type);

 private:
  struct Ongoing {
    AbortedTransaction transaction;
    bool seen = false;  // a batch of it
  };
  void begin_up_to(Offset offset);

  std::vector<AbortedTransaction> aborted_;  // by first offset
  std::size_t begun_ = 0;                    // of those
  std::map<ProducerId, Ongoing> ongoing_;    // aborted ones
  std::set<ProducerId> committed_;           // of which a batch was seen, and no marker yet
};

}  // namespace ottla::inline OTTLA_ABI

#ifndef OTTLA_COMPILED
#include <ottla/log/impl/cleaned_transactions.ipp>
#endif
