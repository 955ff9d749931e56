// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <set>

#include <ottla/sim/impl/history_folds.hpp>

namespace ottla::inline OTTLA_ABI {
namespace sim_impl {

class LostWrites {
 public:
  explicit LostWrites(const History& history) : history_(history), durable_(history) {}

  Violations find() {
    const auto& events = history_.events();
    for (number_ = 0; number_ < events.size(); ++number_) {
      const HistoryEvent& event = events[number_];
      lives_.note(event);
      durable_.note(event);
      wanted_.note(event);
      if (lives_.loses_writes()) {
        forget_what_was_only_written();
      } else if (event.kind == EventKind::delete_topic) {
        std::erase_if(owed_,
                      [&](const auto& each) { return each.first.topic == event.partition.topic; });
        gone_.insert(event.partition.topic);
      } else if (event.kind == EventKind::send && event.record.tombstone) {
        tombstones_[event.partition][event.record.key].push_back(event.record.value);
      } else if (event.kind == EventKind::log && !lives_.dimmed()) {
        look_for_owed(event);
      }
      for_each_seen(event, [&](const TopicPartition& partition, const HistoryRecord& record) {
        if (gone_.count(partition.topic) == 0) {
          owed_[partition][record.offset] = whole(record);
        }
      });
    }
    return std::move(found_);
  }

 private:
  /// An acknowledgement says where a record is; its send, what it is.
  HistoryRecord whole(HistoryRecord record) {
    if (const auto sent = sends_.find(record.value);
        sent != sends_.end() && sent->second.event != nullptr) {
      record.key = sent->second.event->record.key;
      record.tombstone = sent->second.event->record.tombstone;
    }
    return record;
  }
  void forget_what_was_only_written() {
    for (auto& [partition, records] : owed_) {
      records.erase(records.lower_bound(durable_.of(partition)), records.end());
    }
  }

  void look_for_owed(const HistoryEvent& log) {
    auto& owed = owed_[log.partition];
    std::map<Offset, const HistoryRecord*> there;
    for (const HistoryRecord& record : log.records) {
      there[record.offset] = &record;
    }
    std::erase_if(owed, [&](const auto& each) {
      const auto& [offset, record] = each;
      const auto its = there.find(offset);
      const bool is_there = its != there.end() && its->second->value == record.value;
      if (is_there) {
        return false;
      }
      const bool deleted = offset < log.offset && offset < wanted_.of(log.partition);
      if (!deleted && !superseded(log, record)) {
        found_.push_back(
            violation("lost write", number_,
                      absl::StrCat(record.value, " is not at ", place(log.partition, offset))));
      }
      return true;
    });
  }
  bool superseded(const HistoryEvent& log, const HistoryRecord& record) {
    if (!history_.topic(log.partition.topic).compacted) {
      return false;
    }
    bool older = false;
    for (const HistoryRecord& each : log.records) {
      const bool same = whole(each).key == record.key;
      if (same && each.offset > record.offset) {
        return true;
      }
      older = older || same;
    }
    // A tombstone goes by and by, and what it deleted went before.
    return record.tombstone ? !older : deleted_later(log.partition, record);
  }
  bool deleted_later(const TopicPartition& partition, const HistoryRecord& record) {
    for (const std::string& value : tombstones_[partition][record.key]) {
      const auto at = acknowledged_.find(value);
      if (sends_.at(value).outcome != EventKind::not_written &&
          (at == acknowledged_.end() || at->second > record.offset)) {
        return true;
      }
    }
    return false;
  }
  static std::map<std::string_view, Offset> acknowledgements(const History& history) {
    std::map<std::string_view, Offset> all;
    for (const HistoryEvent& event : history.events()) {
      if (event.kind == EventKind::ok && event.record.offset >= Offset(0)) {
        all[event.record.value] = event.record.offset;
      }
    }
    return all;
  }

  const History& history_;
  const std::map<std::string_view, Sent> sends_ = sends_of(history_);
  const std::map<std::string_view, Offset> acknowledged_ = acknowledgements(history_);
  Lives lives_;
  DurableEnds durable_;
  WantedStarts wanted_;
  std::map<TopicPartition, std::map<Offset, HistoryRecord>> owed_;
  std::map<TopicPartition, std::map<std::string, std::vector<std::string>>> tombstones_;
  std::set<std::string> gone_;  // topics
  std::uint64_t number_ = 0;
  Violations found_;
};

}  // namespace sim_impl

OTTLA_INLINE Violations lost_writes(const History& history) {
  return sim_impl::LostWrites(history).find();
}

OTTLA_INLINE Violations aborted_reads(const History& history) {
  Violations found;
  const auto sends = sim_impl::sends_of(history);
  for (std::uint64_t i = 0; i < history.size(); ++i) {
    const HistoryEvent& event = history.events()[i];
    sim_impl::for_each_seen(
        event, [&](const TopicPartition& partition, const HistoryRecord& record) {
          const auto sent = sends.find(record.value);
          const bool known = sent != sends.end() && sent->second.event != nullptr;
          const std::string where = absl::StrCat("'", record.value, "' is at ",
                                                 sim_impl::place(partition, record.offset));
          if (!known || sent->second.event->partition != partition) {
            found.push_back(
                sim_impl::violation("wrong record", i, where + ", and nobody sent it there"));
          } else if (sent->second.outcome == HistoryEvent::Kind::not_written) {
            found.push_back(sim_impl::violation("aborted read", i, where + ", and was refused"));
          }
        });
  }
  return found;
}

OTTLA_INLINE Violations duplicates(const History& history) {
  Violations found;
  std::map<std::string_view, std::pair<TopicPartition, Offset>> places;
  for (std::uint64_t i = 0; i < history.size(); ++i) {
    sim_impl::for_each_seen(
        history.events()[i], [&](const TopicPartition& partition, const HistoryRecord& record) {
          const std::pair here(partition, record.offset);
          const auto [first, is_new] = places.try_emplace(record.value, here);
          if (!is_new && first->second != here) {
            found.push_back(sim_impl::violation(
                "duplicate", i,
                absl::StrCat(record.value, " is at ",
                             sim_impl::place(first->second.first, first->second.second), " and at ",
                             sim_impl::place(partition, record.offset))));
          }
        });
  }
  return found;
}

OTTLA_INLINE Violations inconsistent_offsets(const History& history) {
  Violations found;
  sim_impl::Lives lives;
  sim_impl::DurableEnds durable(history);
  std::map<TopicPartition, std::map<Offset, std::string_view>> values;
  for (std::uint64_t i = 0; i < history.size(); ++i) {
    const HistoryEvent& event = history.events()[i];
    lives.note(event);
    durable.note(event);
    if (lives.loses_writes()) {
      for (auto& [partition, its] : values) {
        its.erase(its.lower_bound(durable.of(partition)), its.end());
      }
    }
    sim_impl::for_each_seen(
        event, [&](const TopicPartition& partition, const HistoryRecord& record) {
          const auto [first, is_new] = values[partition].try_emplace(record.offset, record.value);
          if (!is_new && first->second != record.value) {
            found.push_back(
                sim_impl::violation("inconsistent offsets", i,
                                    absl::StrCat(sim_impl::place(partition, record.offset), " is ",
                                                 av(first->second), " and ", record.value)));
          }
        });
  }
  return found;
}

OTTLA_INLINE Violations misordered_sends(const History& history) {
  Violations found;
  const auto sends = sim_impl::sends_of(history);
  using Order = std::map<std::uint64_t, Offset>;  // by the number of the send
  const auto check = [&](std::uint64_t event, const TopicPartition& partition, const Order& order) {
    Offset last(-1);
    for (const auto& [number, offset] : order) {
      if (offset <= last) {
        found.push_back(
            sim_impl::violation("order", event,
                                absl::StrCat(history.events()[number].record.value, " is at ",
                                             sim_impl::place(partition, offset),
                                             ", what was sent before at ", last.value())));
        return;
      }
      last = offset;
    }
  };
  std::map<std::pair<std::string_view, TopicPartition>, Order> acknowledged;
  for (std::uint64_t i = 0; i < history.size(); ++i) {
    const HistoryEvent& event = history.events()[i];
    std::map<std::string_view, Order> found_there;
    sim_impl::for_each_seen(
        event, [&](const TopicPartition& partition, const HistoryRecord& record) {
          const auto sent = sends.find(record.value);
          if (sent == sends.end() || sent->second.event == nullptr) {
            return;
          }
          const std::string_view client = sent->second.event->client;
          if (event.kind == HistoryEvent::Kind::log) {
            found_there[client][sent->second.number] = record.offset;
          } else if (event.kind == HistoryEvent::Kind::ok) {
            acknowledged[{client, partition}][sent->second.number] = record.offset;
          }
        });
    for (const auto& [client, order] : found_there) {
      check(i, event.partition, order);
    }
  }
  for (const auto& [who, order] : acknowledged) {
    check(history.size(), who.second, order);
  }
  return found;
}

OTTLA_INLINE Violations gaps(const History& history) {
  Violations found;
  for (std::uint64_t i = 0; i < history.size(); ++i) {
    const HistoryEvent& event = history.events()[i];
    if (event.kind != HistoryEvent::Kind::log) {
      continue;
    }
    const bool dense = !history.topic(event.partition.topic).compacted;
    Offset next = event.offset;
    LeaderEpoch epoch = no_leader_epoch;
    std::string wrong;
    for (const HistoryRecord& record : event.records) {
      if (record.offset < next || record.offset >= event.end || (dense && record.offset != next)) {
        wrong = absl::StrCat(sim_impl::place(event.partition, record.offset), " comes where ",
                             next.value(), " should");
      } else if (record.epoch != no_leader_epoch && record.epoch < epoch) {
        wrong = absl::StrCat("the epoch goes back at ",
                             sim_impl::place(event.partition, record.offset));
      }
      next = record.offset + 1;
      epoch = std::max(epoch, record.epoch);
    }
    if (dense && wrong.empty() && next != event.end) {
      wrong = absl::StrCat(event.partition.to_string(), " ends at ", next.value(), ", not at ",
                           event.end.value());
    }
    if (!wrong.empty()) {
      found.push_back(sim_impl::violation("dense offsets", i, wrong));
    }
  }
  return found;
}

OTTLA_INLINE Violations wrong_outcomes(const History& history) {
  Violations found;
  const auto sends = sim_impl::sends_of(history);
  sim_impl::Lives lives;
  std::uint64_t begun = 0;
  bool finished = false;
  for (std::uint64_t i = 0; i < history.size(); ++i) {
    lives.note(history.events()[i]);
    begun = lives.ended() ? i : begun;
    finished = finished || history.events()[i].kind == HistoryEvent::Kind::finished;
  }
  for (const auto& [value, sent] : sends) {
    if (sent.event == nullptr || sent.told > 1) {
      found.push_back(sim_impl::violation(
          "outcome", sent.number,
          absl::StrCat(av(value), sent.told > 1 ? " was told twice" : " was never sent")));
    } else if (finished && sent.number >= begun && sent.told == 0) {
      found.push_back(
          sim_impl::violation("outcome", sent.number, absl::StrCat(av(value), " was never told")));
    }
  }
  return found;
}

OTTLA_INLINE std::span<const Checker> all_checkers() {
  static constexpr std::array all{
      Checker{"lost write", lost_writes},
      Checker{"aborted read", aborted_reads},
      Checker{"duplicate", duplicates},
      Checker{"inconsistent offsets", inconsistent_offsets},
      Checker{"order", misordered_sends},
      Checker{"dense offsets", gaps},
      Checker{"outcome", wrong_outcomes},
      Checker{"poll order", misordered_polls},
      Checker{"bounds", bounds_gone_back},
      Checker{"log start", misplaced_starts},
      Checker{"committed offset", wrong_commits},
      Checker{"ownership", shared_partitions},
      Checker{"unseen", unseen_records},
  };
  return all;
}

OTTLA_INLINE Violations check(const History& history) {
  Violations all;
  for (const Checker& checker : all_checkers()) {
    for (Violation& each : checker.check(history)) {
      all.push_back(std::move(each));
    }
  }
  return all;
}

}  // namespace ottla::inline OTTLA_ABI
