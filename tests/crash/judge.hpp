// SPDX-License-Identifier: Apache-2.0
//
// Compares what happened (the ledger's events) with what the files hold. With A = acknowledged,
// S = sent, R = recovered: A is in R at the acknowledged offsets, R is in S, nothing twice, offsets
// dense, each client's values in order; what was read or is seen is what the files hold; what a
// group committed is there and was not delivered to it again; no stray file. Where a topic is
// compacted a value may be gone for a later one of its key, and offsets have gaps.
#pragma once

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <regex>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "decoder.hpp"
#include "ledger.hpp"

namespace crash {

/// Who sent a value and as which one: "<client> <n> <padding>".
struct Value {
  std::int64_t client = -1;
  std::int64_t n = -1;
  auto operator<=>(const Value&) const = default;

  std::string text() const { return std::to_string(client) + ":" + std::to_string(n); }
  static std::optional<Value> parse(std::string_view text) {
    Value value;
    const char* end = text.data() + text.size();
    const auto client = std::from_chars(text.data(), end, value.client);
    if (client.ec != std::errc() || client.ptr == end) return std::nullopt;
    const auto n = std::from_chars(client.ptr + 1, end, value.n);
    return n.ec == std::errc() ? std::optional(value) : std::nullopt;
  }
};

struct Verdict {
  std::vector<std::string> problems;
  std::size_t sent = 0;
  std::size_t acknowledged = 0;
  std::size_t recovered = 0;
  std::size_t commits = 0;
  std::size_t segments = 0;
};

class Judge {
 public:
  /// Before: nobody has the directory open, and its last child looked at all of it.
  Judge(std::filesystem::path directory, const std::vector<Event>& events)
      : directory_(std::move(directory)), events_(events) {
    for (std::size_t i = 0; i < events.size(); ++i) {
      if (events[i].kind == EventKind::life) last_life_ = i;
    }
  }

  Verdict judge() {
    read_root();
    check_topics();
    check_records();
    check_reads();
    check_commits();
    return std::move(verdict_);
  }

 private:
  struct Partition {
    std::int64_t start = 0;
    std::int64_t end = 0;
    std::vector<std::int64_t> offsets;  // ascending, and the value at each
    std::vector<Value> values;
    const Value* at(std::int64_t offset) const {
      const auto found = std::lower_bound(offsets.begin(), offsets.end(), offset);
      return found == offsets.end() || *found != offset
                 ? nullptr
                 : &values[std::size_t(found - offsets.begin())];
    }
  };
  using PartitionKey = std::pair<std::string, std::int32_t>;
  using CommitKey = std::tuple<std::string, std::string, std::int32_t>;

  void complain(const std::string& problem) {
    constexpr std::size_t most = 20;
    if (verdict_.problems.size() < most) verdict_.problems.push_back(problem);
  }
  static std::string name(const PartitionKey& key) {
    return key.first + "-" + std::to_string(key.second);
  }
  static Offsets offsets_of(const PartitionKey& key) {
    const bool is_compacted = key.first == topic_name(latest) || key.first == "__consumer_offsets";
    return is_compacted ? Offsets::ascending : Offsets::dense;
  }
  static PartitionKey key_of(const Event& event) {
    return {topic_name(event.topic), event.partition};
  }

  void read_root() {
    static const std::regex root_files(
        R"(\.lock|\.kafka_cleanshutdown|\.ottla_(clean|run|sums|reserve)|meta\.properties)"
        R"(|ottla_metadata(\.cut)?)"
        R"(|(recovery-point|log-start|replication|cleaner)-offset-checkpoint)");
    static const std::regex partition_name(R"((.+)-(\d+))");
    std::set<std::filesystem::path> entries;
    for (const auto& entry : std::filesystem::directory_iterator(directory_)) {
      entries.insert(entry.path());
    }
    for (const auto& path : entries) {
      const std::string file = path.filename().string();
      std::smatch parts;
      if (!std::filesystem::is_directory(path)) {
        if (!std::regex_match(file, root_files)) complain("stray file " + file);
      } else if (std::regex_match(file, parts, partition_name)) {
        read_partition(path, {parts[1].str(), std::stoi(parts[2].str())});
      } else {
        complain("stray directory " + file);
      }
    }
  }

  void read_partition(const std::filesystem::path& path, const PartitionKey& key) {
    static const std::regex own_files(
        R"(\d{20}\.(log|index|timeindex|txnindex|snapshot|log\.cut-\d+))"
        R"(|leader-epoch-checkpoint|partition\.metadata|ottla_manifest|ottla_damaged)");
    std::set<std::string> logs;
    for (const auto& entry : std::filesystem::directory_iterator(path)) {
      const std::string file = entry.path().filename().string();
      if (!std::regex_match(file, own_files)) complain("stray file " + name(key) + "/" + file);
      if (file.size() == 24 && file.ends_with(".log")) logs.insert(file);
    }
    Partition& partition = partitions_[key];
    std::int64_t next = logs.empty() ? 0 : std::stoll(*logs.begin());
    std::int32_t epoch = -1;
    partition.start = next;
    for (const std::string& log : logs) {
      if (!may_follow(key, next, std::stoll(log))) {
        complain(name(key) + "/" + log + ": offset " + std::to_string(next) + " comes next");
      }
      next = std::stoll(log);
      read_segment(path / log, key, partition, next, epoch);
      ++verdict_.segments;
    }
    partition.end = next;
  }

  static bool may_follow(const PartitionKey& key, std::int64_t next, std::int64_t offset) {
    return offsets_of(key) == Offsets::dense ? offset == next : offset >= next;
  }

  void read_segment(const std::filesystem::path& path, const PartitionKey& key,
                    Partition& partition, std::int64_t& next, std::int32_t& epoch) {
    const std::string where = name(key) + "/" + path.filename().string();
    const std::int64_t base = next;
    std::map<std::uint32_t, std::int64_t> batches;  // position to last offset
    const auto use_batch = [&](const StoredBatch& batch) {
      if (!may_follow(key, next, batch.base_offset)) {
        complain(where + ": a batch at offset " + std::to_string(batch.base_offset) + ", " +
                 std::to_string(next) + " comes next");
      }
      if (batch.leader_epoch < epoch) complain(where + ": the leader epoch goes back");
      next = batch.last_offset + 1;
      epoch = batch.leader_epoch;
      batches[static_cast<std::uint32_t>(batch.position)] = batch.last_offset;
    };
    const std::string file = read_file(path.string());
    const std::string wrong =
        decode_log(file, offsets_of(key), use_batch,
                   [&](const StoredRecord& record) { use_record(where, key, partition, record); });
    if (!wrong.empty()) complain(where + ": " + wrong);
    check_index(path, where, base, batches);
  }

  void use_record(const std::string& where, const PartitionKey& key, Partition& partition,
                  const StoredRecord& record) {
    if (key.first == "__consumer_offsets") {
      if (const auto commit = decode_commit(record)) {
        commits_[{commit->group, commit->topic, commit->partition}] = commit->offset;
      }
      return;
    }
    const auto value = Value::parse(record.value.value_or(""));
    if (!value) complain(where + ": nobody sent what is at " + std::to_string(record.offset));
    partition.offsets.push_back(record.offset);
    partition.values.push_back(value.value_or(Value{}));
  }

  /// Each entry is a batch's last offset and where that batch begins.
  void check_index(std::filesystem::path path, const std::string& where, std::int64_t base,
                   const std::map<std::uint32_t, std::int64_t>& batches) {
    const std::string file = read_file(path.replace_extension(".index").string());
    for (Decoder rest(file); rest.left() > 0;) {
      const std::int64_t offset = base + rest.integer<std::int32_t>();
      const auto batch = batches.find(rest.integer<std::uint32_t>());
      if (!rest.ok() || batch == batches.end() || batch->second != offset) {
        complain(where + ": its index has a wrong entry");
        return;
      }
    }
  }

  void check_topics() {
    std::map<std::uint16_t, std::int64_t> made, listed;
    std::set<std::uint16_t> doomed, deleted;
    for (std::size_t i = 0; i < events_.size(); ++i) {
      const Event& event = events_[i];
      if (event.kind == EventKind::topic_made) made[event.topic] = event.n;
      if (event.kind == EventKind::delete_tried) doomed.insert(event.topic);
      if (event.kind == EventKind::deleted) deleted.insert(event.topic);
      if (event.kind == EventKind::listed && i > last_life_) listed[event.topic] = event.n;
    }
    for (const auto& [topic, count] : made) {
      if (!doomed.contains(topic) && listed[topic] < count) {
        complain("topic " + topic_name(topic) + " was made and is not there whole");
      }
    }
    for (const auto& [topic, count] : listed) {
      if (count > 0 && deleted.contains(topic)) {
        complain("topic " + topic_name(topic) + " was deleted and came back");
      }
      for (std::int32_t i = 0; i < count; ++i) {
        if (!partitions_.contains({topic_name(topic), i})) {
          complain(name({topic_name(topic), i}) + " has no directory");
        }
      }
    }
    for (const auto& [key, partition] : partitions_) {
      const bool is_known =
          std::any_of(listed.begin(), listed.end(), [&place = key](const auto& topic) {
            return topic_name(topic.first) == place.first && topic.second > place.second;
          });
      if (key.first != "__consumer_offsets" && !is_known) {
        complain(name(key) + " has a directory, but the broker does not know it");
      }
    }
    gone_ = std::move(doomed);
  }

  void check_records() {
    std::map<Value, std::uint16_t> sent;
    std::set<Value> refused;
    for (const Event& event : events_) {
      const Value value{event.client, event.n};
      if (event.kind == EventKind::sent) sent[value] = event.topic;
      if (event.kind == EventKind::refused) refused.insert(value);
    }
    verdict_.sent = sent.size();
    std::set<Value> recovered;
    for (const auto& [key, partition] : partitions_) {
      std::map<std::int64_t, std::int64_t> newest;  // n of each client
      for (const Value& value : partition.values) {
        const auto attempt = sent.find(value);
        if (attempt == sent.end() || topic_name(attempt->second) != key.first) {
          complain(name(key) + ": " + value.text() + " was never sent there");
        }
        if (!recovered.insert(value).second) complain(name(key) + ": " + value.text() + " twice");
        if (refused.contains(value)) complain(name(key) + ": " + value.text() + " was refused");
        const auto [client, is_first] = newest.try_emplace(value.client, value.n);
        if (!is_first && client->second >= value.n) {
          complain(name(key) + ": " + value.text() + " out of order");
        }
        client->second = value.n;
      }
    }
    verdict_.recovered = recovered.size();
  }

  /// What was acknowledged, read, or is seen lies where it was said to lie.
  void check_reads() {
    std::map<PartitionKey, std::size_t> seen;
    for (std::size_t i = 0; i < events_.size(); ++i) {
      const Event& event = events_[i];
      const bool is_ack = event.kind == EventKind::acked;
      const bool is_seen = event.kind == EventKind::seen;
      if (!is_ack && !is_seen && event.kind != EventKind::read) continue;
      verdict_.acknowledged += is_ack ? 1 : 0;
      const PartitionKey key = key_of(event);
      const auto found = partitions_.find(key);
      if (found == partitions_.end() && gone_.contains(event.topic)) continue;
      const Partition nothing;
      const Partition& partition = found == partitions_.end() ? nothing : found->second;
      const Value value{event.client, event.n};
      const Value* there = partition.at(event.offset);
      const bool may_be_gone = (event.topic == trimmed && event.offset < partition.start) ||
                               (event.topic == latest && has_later(partition, event));
      if ((there == nullptr && !may_be_gone) || (there != nullptr && *there != value)) {
        complain(name(key) + ": " + value.text() +
                 (is_ack    ? " was acknowledged at "
                  : is_seen ? " is seen at "
                            : " was read at ") +
                 std::to_string(event.offset) + ", there is " +
                 (there == nullptr ? std::string("nothing") : there->text()));
      }
      if (is_seen && i > last_life_) {
        std::size_t& next = seen[key];
        if (next < partition.offsets.size() && partition.offsets[next] != event.offset) {
          complain(name(key) + ": a reader does not see " +
                   std::to_string(partition.offsets[next]));
        }
        ++next;
      }
    }
    for (const auto& [key, partition] : partitions_) {
      const auto next = seen.find(key);
      const std::size_t count = next == seen.end() ? 0 : next->second;
      if (count != partition.values.size()) {
        complain(name(key) + ": a reader does not see its end");
      }
    }
  }

  /// Whether a later value of its key is there.
  static bool has_later(const Partition& partition, const Event& event) {
    for (std::size_t i = partition.offsets.size(); i-- > 0;) {
      if (partition.offsets[i] <= event.offset) return false;
      if (partition.values[i].n % keys == event.n % keys) return true;
    }
    return false;
  }

  void check_commits() {
    struct History {
      std::int64_t acknowledged = -1;  // the newest
      std::int64_t most_tried = -1;
      std::vector<std::tuple<std::uint32_t, std::uint32_t, std::int64_t>> all;  // number, life
    };
    std::map<CommitKey, History> histories;
    std::map<CommitKey, std::int64_t> by_broker;
    std::uint32_t life = 0;
    for (std::uint32_t number = 0; number < events_.size(); ++number) {
      const Event& event = events_[number];
      life += event.kind == EventKind::life ? 1 : 0;
      const CommitKey key{group_name(event.group), topic_name(event.topic), event.partition};
      if (event.kind == EventKind::commit_tried) {
        histories[key].most_tried = std::max(histories[key].most_tried, event.offset);
      } else if (event.kind == EventKind::committed) {
        ++verdict_.commits;
        histories[key].acknowledged = event.offset;
        histories[key].all.emplace_back(number, life, event.offset);
      } else if (event.kind == EventKind::stored && number > last_life_) {
        by_broker[key] = event.offset;
      } else if (event.kind == EventKind::read) {
        for (const auto& [at, its_life, offset] : histories[key].all) {
          // A member that was slow and is out may still look at what it had: not so after a kill.
          const bool counts = event.group == readers ? its_life < life : at < event.since;
          if (counts && event.offset < offset) {
            complain(name(key_of(event)) + ": " + std::to_string(event.offset) +
                     " was delivered again to " + group_name(event.group) + ", which committed " +
                     std::to_string(offset));
            break;
          }
        }
      }
    }
    for (const auto& [key, history] : histories)
      check_commit(key, history.acknowledged, history.most_tried, by_broker);
  }

  void check_commit(const CommitKey& key, std::int64_t acknowledged, std::int64_t most_tried,
                    const std::map<CommitKey, std::int64_t>& by_broker) {
    const auto& [group, topic, partition] = key;
    const std::string who = group + "'s commit of " + name({topic, partition}) + ": ";
    const auto found = commits_.find(key);
    const std::int64_t stored =
        found == commits_.end() ? -1 : found->second.value_or(std::int64_t{-1});
    if (stored < acknowledged || stored > most_tried) {
      complain(who + std::to_string(stored) + " is stored, " + std::to_string(acknowledged) +
               " was acknowledged, " + std::to_string(most_tried) + " tried");
    }
    if (stored > partitions_[{topic, partition}].end) complain(who + "it is beyond the end");
    const auto told = by_broker.find(key);
    if ((told == by_broker.end() ? -1 : told->second) != stored) {
      complain(who + "the broker tells another one");
    }
  }

  std::filesystem::path directory_;
  const std::vector<Event>& events_;
  std::size_t last_life_ = 0;  // its number among the events: the child that looked
  std::map<PartitionKey, Partition> partitions_;
  std::map<CommitKey, std::optional<std::int64_t>> commits_;
  std::set<std::uint16_t> gone_;  // topics that may be
  Verdict verdict_;
};

}  // namespace crash
