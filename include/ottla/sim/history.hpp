// SPDX-License-Identifier: Apache-2.0
//
// What clients did and were told, in the order in which it happened: what checkers.hpp looks at.
//   History history;
//   history.add_topic("orders", {.durable = true});
//   HistoryWriter writer(history);     // of one process
//   using enum HistoryEvent::Kind;
//   writer.note({.kind = send, .client = "p1", .partition = p, .record = {.value = "p1-0"}});
//   writer.note({.kind = ok, .partition = p, .record = {.offset = at, .value = "p1-0"}});
//   for (const Violation& each : check(history)) ...
// Nothing here knows who was asked: a broker in a SimEnv, a real one, a test that makes it up.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <ottla/base/ids.hpp>
#include <ottla/base/time.hpp>
#include <ottla/base/topic_partition.hpp>
#include <ottla/env/durability.hpp>

namespace ottla::inline OTTLA_ABI {

/// What a topic promises.
struct HistoryTopic {
  bool durable = false;    ///< flush.messages=1: what is acknowledged or seen survives the machine
  bool compacted = false;  ///< cleanup.policy=compact: records go once there is a newer one
};

struct HistoryRecord {
  Offset offset{-1};
  std::string value = {};  ///< no other send of the history has it
  std::string key = {};    ///< looked at where the topic is compacted
  bool tombstone = false;
  LeaderEpoch epoch = no_leader_epoch;
};

/// One thing that happened. Members that a kind does not name are not looked at.
struct HistoryEvent {
  enum class Kind : std::uint8_t {
    send,             ///< `client` sends `record` to `partition`, in the order of its sends
    ok,               ///< `record.value` is at `record.offset`, as far as `durability` says
    not_written,      ///< `record.value` will never be seen
    unknown,          ///< `record.value` may be seen, or not; also of acks=0
    poll,             ///< a poll of `client`, in `group` or in none, returned `record`
    seek,             ///< `client` goes on elsewhere in `partition`: a seek, another assignment
    commit,           ///< `group` commits `offset`
    commit_ok,        ///< commit number `asked` was acknowledged
    commit_refused,   ///< it never was, nor will be
    commit_unknown,   ///< it may be there
    committed,        ///< `group` has committed `offset` (-1: nothing); asked at `asked`
    subscribe,        ///< `group` reads all of `partition` from its beginning
    owns,             ///< member `client` of `group` has `partition` in `generation`
    bounds,           ///< `partition` is [offset, end), where not -1; asked at `asked`
    log,              ///< all of `partition`, read: [offset, end) holds `records`
    delete_records,   ///< somebody wants `partition` to begin at `offset`
    records_deleted,  ///< it does
    delete_topic,     ///< somebody wants `partition.topic` gone; no other one gets its name
    dimmed,           ///< readers may see less than there is, until the process ends
    sync_failed,      ///< likewise; and then what is not durable may be gone
    process_death,    ///< what was written is there, unless a sync had failed
    power_cut,        ///< what is durable is there
    finished,         ///< faults have ended, and there was time: everything has come to its end
  };

  Kind kind = Kind::finished;
  std::string client = {};
  std::string group = {};
  TopicPartition partition = {};
  HistoryRecord record = {};
  Durability durability = Durability::written;
  Offset offset{-1};
  Offset end{-1};
  Generation generation{-1};
  std::uint64_t asked = 0;  ///< how many events there were, or a commit's number
  std::vector<HistoryRecord> records = {};
  SteadyTime time{};  ///< set by `note`
};

/// For people, in one line.
std::string text(const HistoryEvent& event);

/// One thread.
class History {
 public:
  /// Without `now` events have no time.
  explicit History(std::function<SteadyTime()> now = {}) : now_(std::move(now)) {}

  void add_topic(std::string name, HistoryTopic topic) { topics_[std::move(name)] = topic; }
  /// One that nobody added promises nothing but the defaults.
  HistoryTopic topic(std::string_view name) const {
    const auto found = topics_.find(name);
    return found == topics_.end() ? HistoryTopic() : found->second;
  }

  /// Its number: how many there were before.
  std::uint64_t note(HistoryEvent event);
  const std::vector<HistoryEvent>& events() const { return events_; }
  std::uint64_t size() const { return events_.size(); }
  /// How many processes have ended.
  std::uint64_t life() const { return life_; }

 private:
  std::function<SteadyTime()> now_;
  std::map<std::string, HistoryTopic, std::less<>> topics_;
  std::vector<HistoryEvent> events_;
  std::uint64_t life_ = 0;
};

/// Notes for the process that runs when it is made: what comes once that has ended is dropped.
/// Copies are handles. Before: `history` outlives it.
class HistoryWriter {
 public:
  explicit HistoryWriter(History& history) : history_(&history), life_(history.life()) {}

  bool alive() const { return history_->life() == life_; }
  /// The event's number, or that of the next one where it was dropped.
  std::uint64_t note(HistoryEvent event) const {
    return alive() ? history_->note(std::move(event)) : history_->size();
  }
  void add_topic(std::string name, HistoryTopic topic) const {
    if (alive()) {
      history_->add_topic(std::move(name), topic);
    }
  }
  /// For `asked`.
  std::uint64_t now() const { return history_->size(); }

 private:
  History* history_;
  std::uint64_t life_;
};

}  // namespace ottla::inline OTTLA_ABI

#ifndef OTTLA_COMPILED
#include <ottla/sim/impl/history.ipp>
#endif
