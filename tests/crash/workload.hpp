// SPDX-License-Identifier: Apache-2.0
//
// What a child does until it is killed: producers, members of a group, a reader of its own, and
// somebody who makes and deletes topics, all on one broker. Each attempt and each outcome goes into
// the ledger.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <poll.h>

#include <ottla/ottla.hpp>

#include "judge.hpp"
#include "kill_choice.hpp"
#include "kill_points.hpp"
#include "ledger.hpp"

namespace crash {

using Bytes = std::string_view;
using Producer = ottla::Producer<Bytes, Bytes>;
using Consumer = ottla::Consumer<Bytes, Bytes>;

inline std::int64_t draw(Random& random, std::int64_t least, std::int64_t most) {
  return std::uniform_int_distribution<std::int64_t>(least, most)(random);
}
inline bool one_in(Random& random, std::int64_t n) { return draw(random, 1, n) == 1; }

inline constexpr std::int32_t trimmed_segment_bytes = 4096;

inline void pause(int milliseconds) { ::poll(nullptr, 0, milliseconds); }

/// What all the threads of a child share.
struct Stage {
  Ledger& ledger;
  ottla::Broker broker;
  std::int32_t segment_bytes;
  std::atomic<bool> stop{false};

  /// Not what this workload expects, unless its disk fails: the child ends with this as its
  /// problem.
  void fail(std::string_view what, const absl::Status& status) {
    if (ledger.fails == Failing::nothing)
      ledger.give_up(std::string(what) + ": " + std::string(ottla::sv(status.message())));
    stop = true;
  }
};

enum class Pace : std::uint8_t {
  waiting,  ///< now and then for what it sent
  steady,   ///< a little all the time, so that something is always under way
};

/// One client: sends values that name it and count up.
class Sender {
 public:
  Sender(Stage& stage, std::uint16_t client, std::uint64_t seed, Pace pace)
      : stage_(stage), client_(client), random_(seed), pace_(pace) {}

  void run(const std::vector<std::uint16_t>& topics, int most) {
    auto producer = Producer::open(stage_.broker, config());
    if (!producer.ok()) return stage_.fail("open a producer", producer.status());
    while (!stage_.stop && !stage_.ledger.is_nearly_full() && n_ < most) {
      std::optional<ottla::Receipt> newest;
      const bool is_steady = pace_ == Pace::steady;
      for (std::int64_t burst = draw(random_, 1, is_steady ? 8 : 40); burst > 0; --burst) {
        const std::size_t which = one_in(random_, 3) ? random_() % topics.size() : 0;
        newest = send(*producer, topics[which]);
        if (!newest) return;
      }
      if (is_steady) {
        pause(1);
      } else if (one_in(random_, 3)) {
        check("flush", producer->flush());
      } else if (one_in(random_, 2)) {
        check("wait", producer->wait(*newest).status());
      } else {
        pause(static_cast<int>(draw(random_, 0, 2)));
      }
    }
    check("close a producer", producer->close());
  }

 private:
  ottla::ProducerConfig config() {
    ottla::ProducerConfig config;
    config.acks = one_in(random_, 3) ? ottla::Acks::leader : ottla::Acks::all;
    config.durability =
        one_in(random_, 3) ? ottla::Durability::durable : ottla::Durability::written;
    config.linger = std::chrono::milliseconds(pace_ == Pace::steady ? 3 : draw(random_, 0, 3));
    config.batch_size = static_cast<std::int32_t>(
        draw(random_, 0, std::min(stage_.segment_bytes, trimmed_segment_bytes) / 2));
    config.on_delivery = [this](const ottla::Delivery& delivery) { delivered(delivery); };
    return config;
  }

  std::optional<ottla::Receipt> send(Producer& producer, std::uint16_t topic) {
    const std::int64_t n = n_++;
    const std::string value =
        std::to_string(client_) + " " + std::to_string(n) + " " + std::string(random_() % 200, '.');
    const std::string key = "key " + std::to_string(n % keys);
    const std::string name = topic_name(topic);
    Producer::Record record{.topic = name, .value = value};
    record.tag = static_cast<std::uint64_t>(topic) << 48 | static_cast<std::uint64_t>(n);
    if (topic == latest || one_in(random_, 2)) record.key = key;
    ++stage_.ledger.sent;
    stage_.ledger.add({.kind = EventKind::sent, .topic = topic, .client = client_, .n = n});
    auto sent = producer.send(record);
    if (sent.ok()) return *sent;
    ++stage_.ledger.settled;
    stage_.fail("send", sent.status());
    return std::nullopt;
  }

  void delivered(const ottla::Delivery& delivery) {
    Event event{.topic = static_cast<std::uint16_t>(delivery.tag >> 48), .client = client_};
    event.n = static_cast<std::int64_t>(delivery.tag & 0xFFFFFFFFFFFF);
    event.partition = delivery.partition.value();
    if (delivery.offset.ok()) {
      event.kind = EventKind::acked;
      event.offset = delivery.offset->value();
      stage_.ledger.add(event);
    } else {
      event.kind = EventKind::refused;
      if (ottla::outcome(delivery.offset.status()) == ottla::Outcome::not_written) {
        stage_.ledger.add(event);
      }
      stage_.fail("delivery", delivery.offset.status());
    }
    ++stage_.ledger.settled;
  }

  void check(std::string_view what, const absl::Status& status) {
    if (!status.ok()) stage_.fail(what, status);
  }

  Stage& stage_;
  std::uint16_t client_;
  Random random_;
  Pace pace_;
  std::int64_t n_ = 0;
};

/// Reads and commits for a group: as a member that comes and goes, or from partitions of its own.
class Reader {
 public:
  Reader(Stage& stage, std::uint8_t group, std::uint64_t seed)
      : stage_(stage), group_(group), random_(seed) {}

  void run() {
    while (!stage_.stop && !stage_.ledger.is_nearly_full()) {
      next_.clear();
      auto consumer = Consumer::open(stage_.broker, config());
      if (!consumer.ok()) return stage_.fail("open a consumer", consumer.status());
      if (group_ == assigned) {
        std::vector<ottla::TopicPartition> partitions;
        for (std::int32_t i = 0; i < 3; ++i) {
          partitions.push_back({topic_name(orders), ottla::PartitionId(i)});
        }
        if (absl::Status status = consumer->assign(partitions); !status.ok()) {
          return stage_.fail("assign", status);
        }
      }
      for (std::int64_t polls = draw(random_, 5, 200); polls > 0 && !stage_.stop; --polls) {
        poll(*consumer);
        if (one_in(random_, 4)) commit(*consumer);
      }
      // Before the callbacks of what is committed still lose their reader.
      if (absl::Status closed = consumer->close(); !closed.ok()) stage_.fail("leave", closed);
    }
  }

 private:
  ottla::ConsumerConfig config() {
    ottla::ConsumerConfig config{.group = group_name(group_)};
    if (group_ == readers) config.topics = {topic_name(orders), topic_name(durable)};
    config.offset_reset = ottla::OffsetReset::earliest;
    config.auto_commit = false;
    config.max_poll_records = static_cast<std::int32_t>(draw(random_, 1, 300));
    config.session_timeout = std::chrono::milliseconds(300);
    config.heartbeat_interval = std::chrono::milliseconds(60);
    const auto forget = [this](const std::vector<ottla::TopicPartition>& partitions) {
      for (const ottla::TopicPartition& partition : partitions) next_.erase(partition);
    };
    config.rebalance = {.assigned = {}, .revoked = forget, .lost = forget};
    return config;
  }

  void poll(Consumer& consumer) {
    const std::uint32_t since = stage_.ledger.now();
    const auto records = consumer.poll(std::chrono::milliseconds(5));
    if (!records.ok()) return stage_.fail("poll", records.status());
    for (const auto& record : *records) {
      const auto value = Value::parse(*record.value());
      const std::uint16_t topic = record.topic() == topic_name(orders) ? orders : durable;
      stage_.ledger.add({.kind = EventKind::read,
                         .group = group_,
                         .topic = topic,
                         .client = static_cast<std::uint16_t>(value ? value->client : 0xFFFF),
                         .partition = record.partition().value(),
                         .n = value ? value->n : -1,
                         .offset = record.offset().value(),
                         .since = since});
      next_[{std::string(record.topic()), record.partition()}] = {record.offset() + 1};
    }
    if (!records->status().ok()) stage_.fail("walk", records->status());
  }

  void commit(Consumer& consumer) {
    if (next_.empty()) return;
    const ottla::OffsetsToCommit offsets = next_;
    note(EventKind::commit_tried, offsets);
    if (group_ == readers && one_in(random_, 3)) {
      const auto done = [this, offsets](const absl::Status& status) {
        if (status.ok()) note(EventKind::committed, offsets);
      };
      consumer.commit_async(offsets, done).IgnoreError();
      return;
    }
    ++stage_.ledger.committing;
    const absl::Status status = consumer.commit(offsets);
    --stage_.ledger.committing;
    if (status.ok()) {
      note(EventKind::committed, offsets);
    } else if (group_ == assigned) {
      stage_.fail("commit", status);  // a member may be told to join again instead
    }
  }

  void note(EventKind kind, const ottla::OffsetsToCommit& offsets) {
    for (const auto& [partition, offset] : offsets) {
      stage_.ledger.add({.kind = kind,
                         .group = group_,
                         .topic = partition.topic == topic_name(orders) ? orders : durable,
                         .partition = partition.partition.value(),
                         .offset = offset.offset.value()});
    }
  }

  Stage& stage_;
  std::uint8_t group_;
  Random random_;
  ottla::OffsetsToCommit next_;
};

/// Makes topics, lets them grow, sends to them, deletes some.
class Founder {
 public:
  /// Its topics are `first` and up; its clients too.
  Founder(Stage& stage, std::uint16_t first, std::uint16_t client, std::uint64_t seed)
      : stage_(stage), topic_(first), client_(client), seed_(seed), random_(seed) {}

  void run() {
    for (int i = 0; i < 8 && !stage_.stop; ++i, ++topic_) {
      const std::int64_t partitions = draw(random_, 1, 2);
      note(EventKind::topic_tried, partitions);
      if (!check("create a topic",
                 stage_.broker.create_topic(
                     {.name = topic_name(topic_), .partitions = static_cast<int>(partitions)}))) {
        return;
      }
      note(EventKind::topic_made, partitions);
      Sender sender(stage_, static_cast<std::uint16_t>(client_ + i), seed_ + topic_, Pace::waiting);
      sender.run({topic_}, static_cast<int>(draw(random_, 1, 60)));
      if (one_in(random_, 3) &&
          check("add partitions", stage_.broker.add_partitions(topic_name(topic_), 3))) {
        note(EventKind::topic_made, 3);
      }
      if (one_in(random_, 3)) {
        note(EventKind::delete_tried, 0);
        if (check("delete a topic", stage_.broker.delete_topic(topic_name(topic_)))) {
          note(EventKind::deleted, 0);
        }
      }
      pause(static_cast<int>(draw(random_, 0, 20)));
    }
  }

 private:
  void note(EventKind kind, std::int64_t n) {
    stage_.ledger.add({.kind = kind, .topic = topic_, .n = n});
  }
  bool check(std::string_view what, const absl::Status& status) {
    if (!status.ok()) stage_.fail(what, status);
    return status.ok();
  }

  Stage& stage_;
  std::uint16_t topic_;
  std::uint16_t client_;
  std::uint64_t seed_;
  Random random_;
};

}  // namespace crash
