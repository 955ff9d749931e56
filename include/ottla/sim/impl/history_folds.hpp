// SPDX-License-Identifier: Apache-2.0
//
// What several checkers want to know of a history.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include <absl/strings/str_cat.h>

#include <ottla/base/status.hpp>
#include <ottla/sim/checkers.hpp>

namespace ottla::inline OTTLA_ABI {
namespace sim_impl {

using EventKind = HistoryEvent::Kind;
inline constexpr std::uint64_t not_yet = std::numeric_limits<std::uint64_t>::max();

/// Which process is which.
class Lives {
 public:
  void note(const HistoryEvent& event) {
    sync_failed_ = sync_failed_ && !ended_;
    dimmed_ = dimmed_ && !ended_;
    ended_ = event.kind == EventKind::process_death || event.kind == EventKind::power_cut;
    loses_ = event.kind == EventKind::power_cut || (ended_ && sync_failed_);
    sync_failed_ = sync_failed_ || event.kind == EventKind::sync_failed;
    dimmed_ = dimmed_ || sync_failed_ || event.kind == EventKind::dimmed;
  }
  /// With the event that was noted last.
  bool ended() const { return ended_; }
  /// It ended, and what is not durable may be gone.
  bool loses_writes() const { return loses_; }
  /// What is read may not be all.
  bool dimmed() const { return dimmed_; }

 private:
  bool ended_ = false;
  bool loses_ = false;
  bool sync_failed_ = false;
  bool dimmed_ = false;
};

/// "orders-0@7"
inline std::string place(const TopicPartition& partition, Offset offset) {
  return absl::StrCat(partition.to_string(), "@", offset.value());
}

/// One that names its event.
inline Violation violation(std::string_view property, std::uint64_t event,
                           const std::string& what) {
  return {std::string(property), absl::StrCat(what, " (event ", event, ")")};
}

struct Sent {
  const HistoryEvent* event = nullptr;
  std::uint64_t number = 0;
  int told = 0;
  EventKind outcome = EventKind::send;  ///< the last one that was told
};

/// By value.
inline std::map<std::string_view, Sent> sends_of(const History& history) {
  std::map<std::string_view, Sent> sends;
  for (std::uint64_t i = 0; i < history.size(); ++i) {
    const HistoryEvent& event = history.events()[i];
    if (event.kind == EventKind::send) {
      sends[event.record.value] = {.event = &event, .number = i};
    } else if (event.kind == EventKind::ok || event.kind == EventKind::not_written ||
               event.kind == EventKind::unknown) {
      Sent& sent = sends[event.record.value];
      ++sent.told;
      sent.outcome = event.kind;
    }
  }
  return sends;
}

/// Calls `seen(partition, record)` for each record that the event says is there.
template <class Seen>
void for_each_seen(const HistoryEvent& event, Seen seen) {
  if (event.kind == EventKind::poll ||
      (event.kind == EventKind::ok && event.record.offset >= Offset(0))) {
    seen(event.partition, event.record);
  }
  if (event.kind == EventKind::log) {
    for (const HistoryRecord& record : event.records) {
      seen(event.partition, record);
    }
  }
}

/// The highest one of each partition; else 0.
class HighestOffsets {
 public:
  void grow(const TopicPartition& partition, Offset offset) {
    Offset& its = offsets_.try_emplace(partition, 0).first->second;
    its = std::max(its, offset);
  }
  Offset of(const TopicPartition& partition) const {
    const auto found = offsets_.find(partition);
    return found == offsets_.end() ? Offset(0) : found->second;
  }

 private:
  std::map<TopicPartition, Offset> offsets_;
};

/// What lies below is on the device, as far as the history tells.
class DurableEnds : public HighestOffsets {
 public:
  explicit DurableEnds(const History& history) : history_(history) {}

  void note(const HistoryEvent& event) {
    const bool durable = history_.topic(event.partition.topic).durable;
    if (event.kind == EventKind::ok && (durable || event.durability == Durability::durable)) {
      grow(event.partition, event.record.offset + 1);
    }
    if (durable && event.kind == EventKind::poll) {
      grow(event.partition, event.record.offset + 1);
    }
    if (durable && (event.kind == EventKind::bounds || event.kind == EventKind::log)) {
      grow(event.partition, event.end);
    }
  }

 private:
  const History& history_;
};

/// Where somebody wanted partitions to begin.
class WantedStarts : public HighestOffsets {
 public:
  void note(const HistoryEvent& event) {
    if (event.kind == EventKind::delete_records) {
      grow(event.partition, event.offset);
    }
  }
};

}  // namespace sim_impl
}  // namespace ottla::inline OTTLA_ABI
