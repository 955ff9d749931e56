// SPDX-License-Identifier: Apache-2.0
//
// What groups have committed: a rule machine's state without its events. Questions change nothing
// and put the records that they ask for into `records`; `apply` alone changes the store, when they
// are written. Who may commit is not its business (see group/).
// A commit of a transaction stays pending until the marker of its producer comes: committed, it
// counts where its record stands behind that of the present value; aborted, it never was.
// Source: spec groups.md section 4.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/status.h>

#include <ottla/base/topic_partition.hpp>
#include <ottla/offsets/offset_records.hpp>
#include <ottla/offsets/offsets_config.hpp>
#include <ottla/offsets/record_portion.hpp>
#include <ottla/protocol/decision.hpp>
#include <ottla/protocol/offsets.hpp>

namespace ottla::inline OTTLA_ABI {

/// When the offsets of one group expire.
struct OffsetExpiry {
  Timestamp now;
  /// Since when the group has no members; nothing: each offset's time counts from its commit.
  std::optional<Timestamp> empty_since = {};
  /// Topics that members read: their offsets stay.
  std::function<bool(std::string_view topic)> is_subscribed = {};
};

/// Not thread-safe.
class OffsetStore {
 public:
  explicit OffsetStore(const OffsetsConfig& config = {}) : config_(config) {}

  /// Of each partition: accepted, or OFFSET_METADATA_TOO_LARGE, or INVALID_REQUEST for a name that
  /// a record cannot hold.
  OffsetCommitResponse commit(const OffsetCommitRequest& request, Timestamp now,
                              std::vector<MachineRecord>& records) const;
  /// Offset -1 where nothing was committed; UNSTABLE_OFFSET_COMMIT where a transaction may still
  /// change it and `require_stable` asks. All partitions are listed in ascending order.
  OffsetFetchResponse fetch(const OffsetFetchRequest& request) const;

  /// Asks for a tombstone if there is an offset, also a pending one. False when there is none.
  bool remove(std::string_view group, const TopicPartition& partition,
              std::vector<MachineRecord>& records) const;
  /// All of the group. True when they went into the portion.
  bool remove_all(std::string_view group, RecordPortion& portion) const;
  /// It becomes `to` where it is above that; without `to` it goes. False when the portion is full.
  bool revise(std::string_view group, const TopicPartition& partition, std::optional<Offset> to,
              RecordPortion& portion) const;
  /// True when no offset of the group is left then, nor an open transaction.
  bool expire(std::string_view group, const OffsetExpiry& expiry, RecordPortion& portion) const;

  struct Entry {
    std::string group;
    TopicPartition partition;
    CommittedOffset committed;
  };
  /// Ascending; without what transactions have not decided.
  std::vector<Entry> all() const;
  /// Groups that have an offset of it, also a pending one; ascending.
  std::vector<std::string> groups_of(const TopicPartition& partition) const;
  /// Null where nothing was committed. Valid until the next change.
  const CommittedOffset* find(std::string_view group, const TopicPartition& partition) const;
  bool has_offsets(std::string_view group) const { return offsets_.contains(group); }
  /// Transactions have commits for the group that are not decided.
  bool has_open_transaction(std::string_view group) const { return open_.contains(group); }
  bool is_pending(std::string_view group, const TopicPartition& partition) const;

  /// A record with the key of a committed offset; `corrupt` or `unsupported`: nothing changes.
  absl::Status apply(const WrittenRecord& record);
  /// The marker of a transaction in this log.
  void end_transaction(ProducerId producer, bool committed);

 private:
  struct Stored {
    CommittedOffset value;
    Offset record;  // where in the log
  };
  using OfGroup = std::map<TopicPartition, Stored>;
  using ByGroup = std::map<std::string, OfGroup, std::less<>>;

  void erase(const OffsetKey& key);

  OffsetsConfig config_;
  ByGroup offsets_;
  std::map<ProducerId, ByGroup> pending_;
  std::map<std::string, std::set<ProducerId>, std::less<>> open_;
};

}  // namespace ottla::inline OTTLA_ABI

#ifndef OTTLA_COMPILED
#include <ottla/offsets/impl/offset_store.ipp>
#endif
