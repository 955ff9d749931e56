// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <set>
#include <tuple>

#include <ottla/sim/impl/history_folds.hpp>

namespace ottla::inline OTTLA_ABI {
namespace sim_impl {

/// Where a topic is compacted, some may see it, and others not.
inline bool has_newer(const HistoryEvent& log, const HistoryRecord& record) {
  return std::any_of(log.records.begin(), log.records.end(), [&](const HistoryRecord& each) {
    return each.key == record.key && each.offset > record.offset;
  });
}

class MisorderedPolls {
 public:
  explicit MisorderedPolls(const History& history) : history_(history) {}

  Violations find() {
    const auto& events = history_.events();
    for (number_ = 0; number_ < events.size(); ++number_) {
      const HistoryEvent& event = events[number_];
      lives_.note(event);
      wanted_.note(event);
      if (lives_.ended()) {
        last_.clear();
      }
      if (lives_.loses_writes()) {
        passed_over_.clear();
      }
      if (event.kind == EventKind::seek) {
        last_.erase({event.client, event.partition});
      } else if (event.kind == EventKind::poll) {
        look_at(event);
      } else if (event.kind == EventKind::log) {
        look_for_skipped(event);
      }
    }
    return std::move(found_);
  }

 private:
  struct PassedOver {
    TopicPartition partition;
    Offset last;
    Offset next;
    std::uint64_t event;
  };

  void look_at(const HistoryEvent& poll) {
    const Offset offset = poll.record.offset;
    const auto [last, is_first] = last_.try_emplace({poll.client, poll.partition}, offset);
    if (is_first) {
      return;
    }
    const Offset before = std::exchange(last->second, offset);
    const auto complain = [&](std::string_view property) {
      found_.push_back(violation(property, number_,
                                 absl::StrCat(poll.client, " polls ", place(poll.partition, offset),
                                              " behind ", before.value())));
    };
    if (offset <= before) {
      complain("nonmonotonic poll");
    } else if (offset > before + 1) {
      if (!history_.topic(poll.partition.topic).compacted && offset > wanted_.of(poll.partition)) {
        complain("poll skip");
      }
      passed_over_.push_back({poll.partition, before, offset, number_});
    }
  }
  void look_for_skipped(const HistoryEvent& log) {
    const bool compacted = history_.topic(log.partition.topic).compacted;
    for (const PassedOver& gap : passed_over_) {
      for (const HistoryRecord& record : log.records) {
        const auto sent = sends_.find(record.value);
        if (gap.partition == log.partition && record.offset > gap.last &&
            record.offset < gap.next && sent != sends_.end() && sent->second.number < gap.event &&
            !(compacted && has_newer(log, record))) {
          found_.push_back(violation("poll skip", gap.event,
                                     absl::StrCat("passed over ", record.value, " at ",
                                                  place(log.partition, record.offset))));
        }
      }
    }
    std::erase_if(passed_over_, [&](const auto& gap) { return gap.partition == log.partition; });
  }

  const History& history_;
  const std::map<std::string_view, Sent> sends_ = sends_of(history_);
  Lives lives_;
  WantedStarts wanted_;
  std::map<std::pair<std::string, TopicPartition>, Offset> last_;
  std::vector<PassedOver> passed_over_;
  std::uint64_t number_ = 0;
  Violations found_;
};

/// Of what only grows: the largest by event.
class Highest {
 public:
  void grow(std::uint64_t event, Offset offset) {
    if (highest_.empty() || offset > highest_.back().second) {
      highest_.emplace_back(event, offset);
    }
  }
  /// Of what was known when there were `events` events.
  Offset before(std::uint64_t events) const {
    Offset highest(-1);
    for (const auto& [event, offset] : highest_) {
      highest = event < events ? offset : highest;
    }
    return highest;
  }
  void lower_to(std::uint64_t event, Offset most) {
    if (!highest_.empty()) {
      const Offset now = std::min(highest_.back().second, most);
      highest_.assign(1, {event, now});
    }
  }

 private:
  std::vector<std::pair<std::uint64_t, Offset>> highest_;
};

/// What a group committed in a partition: a register. Events count from 1 here.
class CommittedOffset {
 public:
  std::size_t begin(std::uint64_t event, Offset offset) {
    all_.push_back({offset, event, not_yet});
    return all_.size() - 1;
  }
  void end(std::size_t commit, std::uint64_t event, EventKind how) {
    Commit& its = all_[commit];
    its.ended = how == EventKind::commit_unknown ? not_yet : event;
    its.acknowledged = how == EventKind::commit_ok;
    its.refused = how == EventKind::commit_refused;
  }
  /// What has not come by then does not come any more.
  void process_ended(std::uint64_t event, bool loses) {
    for (Commit& its : all_) {
      its.ended = std::min(its.ended, event);
      its.acknowledged = its.acknowledged && !loses;
    }
    lost_ = lost_ || loses;
  }
  /// Whether `offset` can be what is committed, between events `asked` and `event`.
  bool may_be(Offset offset, std::uint64_t asked, std::uint64_t event) {
    std::uint64_t overwritten = 0;  // what ended before it
    Offset most(-1);
    for (const Commit& its : all_) {
      if (its.acknowledged && its.ended <= asked) {
        overwritten = std::max(overwritten, its.begun);
      }
      most = its.refused ? most : std::max(most, its.offset);
    }
    // Lowered to where a log ends that has lost something.
    const bool lowered = lost_ && overwritten == 0 && offset <= most;
    const bool may = lowered || std::any_of(all_.begin(), all_.end(), [&](const Commit& its) {
                       return its.offset == offset && !its.refused && its.begun < event &&
                              its.ended >= overwritten;
                     });
    if (may && lost_) {
      lost_ = false;
      all_.push_back({offset, asked + 1, event, true});
    }
    return may;
  }

 private:
  struct Commit {
    Offset offset;
    std::uint64_t begun;
    std::uint64_t ended;
    bool acknowledged = false;
    bool refused = false;
  };

  std::vector<Commit> all_{{Offset(-1), 0, 0, true}};
  bool lost_ = false;
};

}  // namespace sim_impl

OTTLA_INLINE Violations misordered_polls(const History& history) {
  return sim_impl::MisorderedPolls(history).find();
}

OTTLA_INLINE Violations bounds_gone_back(const History& history) {
  using Kind = HistoryEvent::Kind;
  Violations found;
  sim_impl::Lives lives;
  sim_impl::DurableEnds durable(history);
  std::map<TopicPartition, sim_impl::Highest> starts;
  std::map<TopicPartition, sim_impl::Highest> ends;
  const auto look = [&](std::uint64_t number, std::string_view what, Offset offset,
                        sim_impl::Highest& highest) {
    const HistoryEvent& event = history.events()[number];
    if (offset < Offset(0)) {
      return;
    }
    if (const Offset before = highest.before(event.asked); offset < before) {
      found.push_back(
          sim_impl::violation("bounds", number,
                              absl::StrCat(event.partition.to_string(), av(what), offset.value(),
                                           ", before it was ", before.value())));
    }
    highest.grow(number, offset);
  };
  for (std::uint64_t i = 0; i < history.size(); ++i) {
    const HistoryEvent& event = history.events()[i];
    lives.note(event);
    durable.note(event);
    if (lives.loses_writes()) {
      for (auto& [partition, highest] : ends) {
        highest.lower_to(i, durable.of(partition));
      }
    } else if (event.kind == Kind::ok && event.record.offset >= Offset(0)) {
      ends[event.partition].grow(i, event.record.offset + 1);
    } else if (event.kind == Kind::records_deleted) {
      starts[event.partition].grow(i, event.offset);
    } else if (event.kind == Kind::bounds || event.kind == Kind::log) {
      look(i, " begins at ", event.offset, starts[event.partition]);
      if (!lives.dimmed()) {
        look(i, " ends at ", event.end, ends[event.partition]);
      }
    }
  }
  return found;
}

OTTLA_INLINE Violations misplaced_starts(const History& history) {
  using Kind = HistoryEvent::Kind;
  Violations found;
  sim_impl::Lives lives;
  sim_impl::WantedStarts starts;
  sim_impl::DurableEnds durable(history);
  bool lost = false;
  for (std::uint64_t i = 0; i < history.size(); ++i) {
    const HistoryEvent& event = history.events()[i];
    lives.note(event);
    starts.note(event);
    lost = lost || lives.loses_writes();
    const Offset start = starts.of(event.partition);
    if ((event.kind == Kind::bounds || event.kind == Kind::log) && event.offset > start) {
      // Where nothing is durable yet, the first segments may be lost alone; where a topic is
      // compacted, they may be empty.
      if (history.topic(event.partition.topic).compacted ||
          (lost && durable.of(event.partition) <= start)) {
        starts.grow(event.partition, event.offset);
      } else {
        found.push_back(sim_impl::violation(
            "log start", i,
            absl::StrCat(event.partition.to_string(), " begins at ", event.offset.value(),
                         ", only ", start.value(), " was asked for")));
      }
    }
    durable.note(event);
  }
  return found;
}

OTTLA_INLINE Violations wrong_commits(const History& history) {
  using Kind = HistoryEvent::Kind;
  using Key = std::pair<std::string, TopicPartition>;
  Violations found;
  sim_impl::Lives lives;
  std::map<Key, sim_impl::CommittedOffset> all;
  std::map<std::uint64_t, std::pair<sim_impl::CommittedOffset*, std::size_t>> commits;
  std::set<std::string> gone;  // topics
  for (std::uint64_t i = 0; i < history.size(); ++i) {
    const HistoryEvent& event = history.events()[i];
    lives.note(event);
    if (event.kind == Kind::commit) {
      sim_impl::CommittedOffset& its = all[{event.group, event.partition}];
      commits[i] = {&its, its.begin(i + 1, event.offset)};
    } else if (event.kind == Kind::commit_ok || event.kind == Kind::commit_refused ||
               event.kind == Kind::commit_unknown) {
      const auto [its, commit] = commits.at(event.asked);
      its->end(commit, i + 1, event.kind);
    } else if (lives.ended()) {
      for (auto& [key, its] : all) {
        its.process_ended(i + 1, lives.loses_writes());
      }
    } else if (event.kind == Kind::delete_topic) {
      gone.insert(event.partition.topic);
    } else if (event.kind == Kind::committed && gone.count(event.partition.topic) == 0 &&
               !all[{event.group, event.partition}].may_be(event.offset, event.asked, i + 1)) {
      found.push_back(
          sim_impl::violation("committed offset", i,
                              absl::StrCat(event.group, " has committed ", event.offset.value(),
                                           " of ", event.partition.to_string())));
    }
  }
  return found;
}

OTTLA_INLINE Violations shared_partitions(const History& history) {
  Violations found;
  sim_impl::Lives lives;
  std::map<std::tuple<std::string, Generation, TopicPartition>, std::string> owners;
  for (std::uint64_t i = 0; i < history.size(); ++i) {
    const HistoryEvent& event = history.events()[i];
    lives.note(event);
    if (lives.ended()) {
      owners.clear();
    }
    if (event.kind != HistoryEvent::Kind::owns) {
      continue;
    }
    const auto [owner, is_first] =
        owners.try_emplace({event.group, event.generation, event.partition}, event.client);
    if (!is_first && owner->second != event.client) {
      found.push_back(sim_impl::violation(
          "ownership", i,
          absl::StrCat(event.partition.to_string(), " is ", owner->second, "'s and ", event.client,
                       "'s in generation ", event.generation.value())));
    }
  }
  return found;
}

OTTLA_INLINE Violations unseen_records(const History& history) {
  using Kind = HistoryEvent::Kind;
  using Key = std::pair<std::string, TopicPartition>;
  Violations found;
  std::set<Key> subscribed;
  std::map<std::string, std::set<std::string_view>> seen;  // by group
  std::map<TopicPartition, const HistoryEvent*> logs;
  std::map<Key, Offset> committed;
  const auto look = [&](std::uint64_t number) {
    for (const Key& key : subscribed) {
      const auto& [group, partition] = key;
      const HistoryEvent* log = logs[partition];
      if (log == nullptr || log->records.empty()) {
        continue;
      }
      const bool compacted = history.topic(partition.topic).compacted;
      for (const HistoryRecord& record : log->records) {
        if (seen[group].count(record.value) == 0 &&
            !(compacted && sim_impl::has_newer(*log, record))) {
          found.push_back(
              sim_impl::violation("unseen", number,
                                  absl::StrCat(group, " never polled ", record.value, " at ",
                                               sim_impl::place(partition, record.offset))));
        }
      }
      if (const auto its = committed.find(key); its != committed.end() && its->second < log->end) {
        found.push_back(
            sim_impl::violation("unseen", number,
                                absl::StrCat(group, " has committed ", its->second.value(), " of ",
                                             sim_impl::place(partition, log->end))));
      }
    }
  };
  for (std::uint64_t i = 0; i < history.size(); ++i) {
    const HistoryEvent& event = history.events()[i];
    if (event.kind == Kind::subscribe) {
      subscribed.insert({event.group, event.partition});
    } else if (event.kind == Kind::poll) {
      seen[event.group].insert(event.record.value);
    } else if (event.kind == Kind::log) {
      logs[event.partition] = &event;
    } else if (event.kind == Kind::committed) {
      committed[{event.group, event.partition}] = event.offset;
    } else if (event.kind == Kind::delete_topic) {
      std::erase_if(subscribed,
                    [&](const Key& key) { return key.second.topic == event.partition.topic; });
    } else if (event.kind == Kind::finished) {
      look(i);
    }
  }
  return found;
}

}  // namespace ottla::inline OTTLA_ABI
