// SPDX-License-Identifier: Apache-2.0
//
// Clients of a simulated broker, one actor each: they do what their dice say, go on where they are
// refused, end where their process does, and note what they were told.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <ottla/sim/recording_host.hpp>
#include <ottla/sim/sim_env.hpp>

#include "broker_plan.hpp"

namespace simulate {

using SimProcessEnv = SimEnv<SimFileSystem>;
using SimBroker = BasicBroker<SimProcessEnv>;
using TextProducer = Producer<std::string, std::string>;
using TextConsumer = Consumer<std::string, std::string>;
using EventKind = HistoryEvent::Kind;

/// What the clients of one life share.
struct Stage {
  SimScheduler& world;
  RecordingHost host;
  HistoryWriter writer;
  std::uint64_t seed;
  std::uint64_t life;
  int steps;
  std::vector<TopicPlan>& topics;      ///< that are there
  std::set<std::string>& topics_gone;  ///< that are known not to be
  bool calm = false;                   ///< the liveness phase: nobody stops half-way

  bool over() const { return !writer.alive(); }
  void pass(std::chrono::nanoseconds time) const { world.await_time(after(world.now(), time)); }
  std::string name(std::string_view what, std::uint64_t number, int incarnation) const {
    return std::string(what) + std::to_string(number) + "." + std::to_string(life) + "." +
           std::to_string(incarnation);
  }
};

// ── producers ───────────────────────────────────────────────────────────────────────────────────

class ProducingClient {
 public:
  ProducingClient(Stage& stage, std::uint64_t number)
      : stage_(stage), number_(number), dice_(stage.seed, Stream::producer, stage.life, number) {}

  void run() {
    for (int incarnation = 0; steps_ < stage_.steps && !stage_.over(); ++incarnation) {
      name_ = stage_.name("p", number_, incarnation);
      const int until = std::min(stage_.steps, steps_ + dice_.between(1, stage_.steps));
      if (!be_one(until)) {
        stage_.pass(100ms);
        steps_ += 5;
      }
    }
  }

 private:
  /// Whether it could be opened.
  bool be_one(int until) {
    ProducerConfig config = draw_producer(dice_);
    config.on_delivery = [this, config](const Delivery& delivery) { tell(config, delivery); };
    auto producer = TextProducer::open(stage_.host, config);
    if (!producer.ok()) {
      return false;
    }
    for (; steps_ < until && !stage_.over(); ++steps_) {
      switch (dice_.below(10)) {
        case 0:
          producer->flush().IgnoreError();
          break;
        case 1:
        case 2:
          stage_.pass(std::chrono::microseconds(dice_.below(50'000)));
          break;
        default:
          send(*producer, config);
      }
    }
    if (dice_.one_in(3)) {
      producer->flush().IgnoreError();
    }
    producer->close().IgnoreError();
    return true;
  }
  void send(TextProducer& producer, const ProducerConfig& config) {
    if (stage_.topics.empty()) {
      return;
    }
    const TopicPlan topic = stage_.topics[dice_.below(stage_.topics.size())];
    const TopicPartition partition{topic.name, PartitionId(dice_.between(0, topic.partitions - 1))};
    const std::string value =
        name_ + "-" + std::to_string(sent_.size()) + std::string(dice_.below(30), '.');
    const std::string key = "k" + std::to_string(dice_.below(4));
    const bool tombstone = topic.compacted && dice_.one_in(6);
    sent_.push_back({partition, value});
    stage_.writer.note({.kind = EventKind::send,
                        .client = name_,
                        .partition = partition,
                        .record = {.value = value, .key = key, .tombstone = tombstone},
                        .durability = config.durability});
    const std::uint64_t tag = sent_.size() - 1;
    const RecordHeader header{"value", as_bytes(value)};
    TextProducer::Record record{.topic = topic.name, .partition = partition.partition, .key = key};
    if (tombstone) {
      record.headers = std::span(&header, 1);
    } else {
      record.value = value;
    }
    record.tag = tag;
    const auto receipt = producer.send(record);
    if (!receipt.ok()) {
      note(EventKind::not_written, tag);
    } else if (dice_.one_in(5)) {
      producer.wait(*receipt).status().IgnoreError();
    }
  }
  void tell(const ProducerConfig& config, const Delivery& delivery) {
    if (!delivery.offset.ok()) {
      const bool refused = outcome(delivery.offset.status()) == Outcome::not_written;
      note(refused ? EventKind::not_written : EventKind::unknown, delivery.tag);
    } else if (config.acks == Acks::none) {
      note(EventKind::unknown, delivery.tag);
    } else {
      note(EventKind::ok, delivery.tag, *delivery.offset, config.durability);
    }
  }
  void note(EventKind kind, std::uint64_t tag, Offset offset = Offset(-1),
            Durability durability = Durability::written) {
    const Sent& sent = sent_[static_cast<std::size_t>(tag)];
    stage_.writer.note({.kind = kind,
                        .client = name_,
                        .partition = sent.partition,
                        .record = {.offset = offset, .value = sent.value},
                        .durability = durability});
  }

  struct Sent {
    TopicPartition partition;
    std::string value;
  };
  Stage& stage_;
  const std::uint64_t number_;
  Dice dice_;
  std::string name_;
  std::vector<Sent> sent_;
  int steps_ = 0;
};

// ── consumers ───────────────────────────────────────────────────────────────────────────────────

inline HistoryRecord seen_record(const ConsumerRecord<std::string, std::string>& record) {
  HistoryRecord seen{.offset = record.offset(),
                     .value = *record.value(),
                     .key = *record.key(),
                     .tombstone = record.value().is_null(),
                     .epoch = record.leader_epoch()};
  if (seen.tombstone) {
    if (const auto header = record.headers().last("value"); header && header->value) {
      seen.value = std::string(as_string_view(*header->value));
    }
  }
  return seen;
}

class ConsumingClient {
 public:
  ConsumingClient(Stage& stage, std::uint64_t group, std::uint64_t number)
      : stage_(stage),
        group_("g" + std::to_string(group)),
        number_(group * 10 + number),
        dice_(stage.seed, Stream::consumer, stage.life, number_),
        group_dice_(stage.seed, Stream::consumer, stage.life, 1'000 + group) {
    assignors_ = draw_assignors(group_dice_);
  }

  /// In the liveness phase: until `done`.
  template <class Done>
  void run(Done done) {
    for (int incarnation = 0; !stage_.over() && !done(steps_); ++incarnation) {
      name_ = stage_.name("c", number_, incarnation);
      const int until = steps_ + dice_.between(1, stage_.steps);
      if (!be_one([&] { return done(steps_) || (!stage_.calm && steps_ >= until); })) {
        stage_.pass(100ms);
        steps_ += 5;
      }
    }
  }

 private:
  ConsumerConfig config() {
    ConsumerConfig config = draw_consumer(dice_);
    config.group = group_;
    config.assignors = assignors_;
    config.client_id = name_;
    for (const TopicPlan& topic : stage_.topics) {
      config.topics.push_back(topic.name);
    }
    config.rebalance.assigned = [this](const std::vector<TopicPartition>& partitions) {
      for (const TopicPartition& partition : partitions) {
        stage_.writer.note({.kind = EventKind::seek, .client = name_, .partition = partition});
      }
    };
    return config;
  }
  template <class Done>
  bool be_one(Done done) {
    const ConsumerConfig its = config();
    auto consumer = TextConsumer::open(stage_.host, its);
    if (!consumer.ok()) {
      return false;
    }
    for (; !stage_.over() && !done(); ++steps_) {
      const auto records = consumer->poll(std::chrono::milliseconds(dice_.below(100)));
      if (records.ok()) {
        for (const auto& record : *records) {
          stage_.writer.note({.kind = EventKind::poll,
                              .client = name_,
                              .group = group_,
                              .partition = {std::string(record.topic()), record.partition()},
                              .record = seen_record(record)});
        }
      } else if (!stage_.over()) {
        stage_.pass(1ms);
      }
      if (!its.auto_commit && dice_.one_in(3)) {
        (dice_.one_in(2) ? consumer->commit() : consumer->commit_async()).IgnoreError();
      }
      if (!stage_.calm && dice_.one_in(20)) {
        stage_.pass(dice_.one_in(3) ? 10s : 100ms);  // may be put out of its group
      }
    }
    if (!its.auto_commit && (stage_.calm || dice_.one_in(2))) {
      consumer->commit().IgnoreError();
    }
    consumer->close().IgnoreError();
    return true;
  }

  Stage& stage_;
  const std::string group_;
  const std::uint64_t number_;
  Dice dice_;
  Dice group_dice_;
  std::vector<std::string> assignors_;
  std::string name_;
  int steps_ = 0;
};

// ── whoever looks after it ──────────────────────────────────────────────────────────────────────

/// All of a partition as it is now, while nobody writes; an error where it cannot be read.
inline absl::Status read_log(const Stage& stage, const TopicPartition& partition) {
  OTTLA_ASSIGN(auto consumer, TextConsumer::open(stage.host, {.offset_reset = OffsetReset::earliest,
                                                              .auto_commit = false,
                                                              .api_timeout = 5s}));
  HistoryEvent log{.kind = EventKind::log, .partition = partition, .asked = stage.writer.now()};
  OTTLA_ASSIGN(const auto starts, consumer.beginning_offsets({partition}));
  OTTLA_ASSIGN(const auto ends, consumer.end_offsets({partition}));
  log.offset = starts.at(partition);
  log.end = ends.at(partition);
  OTTLA_TRY(consumer.assign({partition}));
  OTTLA_TRY(consumer.seek(partition, log.offset));
  const SteadyTime deadline = after(stage.world.now(), 60s);
  Offset at = log.offset;
  while (at < log.end) {
    const auto records = consumer.poll(100ms);
    if (!records.ok() && !retriable(records.status())) {
      return records.status();
    }
    if (records.ok()) {
      for (const auto& record : *records) {
        if (record.offset() < log.end) {
          log.records.push_back(seen_record(record));
        }
      }
    }
    OTTLA_ASSIGN(at, consumer.position(partition));
    if (stage.world.now() >= deadline || stage.over()) {
      OTTLA_TRY(records.status());
      return error(Fault::timed_out, partition.to_string() + " was not read to its end");
    }
  }
  stage.writer.note(std::move(log));
  return absl::OkStatus();
}

class AdministeringClient {
 public:
  explicit AdministeringClient(Stage& stage)
      : stage_(stage), dice_(stage.seed, Stream::admin, stage.life) {}

  void run() {
    auto admin = Admin::open(stage_.host, {.timeout = 2s});
    auto reader = TextConsumer::open(
        stage_.host,
        {.group = "g" + std::to_string(dice_.below(2)), .auto_commit = false, .api_timeout = 2s});
    for (int step = 0; admin.ok() && reader.ok() && step < stage_.steps && !stage_.over(); ++step) {
      stage_.pass(std::chrono::microseconds(dice_.below(100'000)));
      if (stage_.topics.empty()) {
        continue;
      }
      const TopicPlan topic = stage_.topics[dice_.below(stage_.topics.size())];
      const TopicPartition partition{topic.name,
                                     PartitionId(dice_.between(0, topic.partitions - 1))};
      switch (dice_.below(8)) {
        case 0:
          delete_records(*admin, *reader, partition);
          break;
        case 1:
        case 2:
          if (!stage_.calm) {
            dice_.one_in(2) ? create(*admin) : remove(*admin);
          }
          break;
        case 3:
          admin->describe_group("g0").status().IgnoreError();
          break;
        case 4:
        case 5:
          reader->committed({partition}).status().IgnoreError();
          break;
        default:
          reader->beginning_offsets({partition}).status().IgnoreError();
          reader->end_offsets({partition}).status().IgnoreError();
      }
    }
  }

 private:
  void delete_records(const Admin& admin, TextConsumer& reader, const TopicPartition& partition) {
    const auto ends = reader.end_offsets({partition});
    const auto starts = reader.beginning_offsets({partition});
    if (!ends.ok() || !starts.ok()) {
      return;
    }
    const std::int64_t start = starts->at(partition).value();
    const std::int64_t room = std::max<std::int64_t>(0, ends->at(partition).value() - start);
    const Offset before(
        start + static_cast<std::int64_t>(dice_.below(static_cast<std::uint64_t>(room) / 2 + 1)));
    stage_.writer.note(
        {.kind = EventKind::delete_records, .partition = partition, .offset = before});
    const auto begins = admin.delete_records(partition, before);
    if (begins.ok()) {
      stage_.writer.note(
          {.kind = EventKind::records_deleted, .partition = partition, .offset = *begins});
    }
  }
  void create(const Admin& admin) {
    TopicPlan topic =
        draw_topic("x" + std::to_string(stage_.life) + "-" + std::to_string(++made_), dice_);
    if (admin
            .create_topic(
                {.name = topic.name, .partitions = topic.partitions, .configs = topic.configs})
            .ok() &&
        !stage_.over()) {
      add_to_history(topic);
      stage_.topics.push_back(std::move(topic));
    }
  }
  void remove(const Admin& admin) {
    for (std::size_t i = 0; i < stage_.topics.size(); ++i) {
      if (stage_.topics[i].name.starts_with("x") && dice_.one_in(2)) {
        const std::string name = stage_.topics[i].name;
        stage_.topics.erase(stage_.topics.begin() + static_cast<std::ptrdiff_t>(i));
        stage_.writer.note({.kind = EventKind::delete_topic, .partition = {name, PartitionId(0)}});
        if (admin.delete_topic(name).ok() && !stage_.over()) {
          stage_.topics_gone.insert(name);
        }
        return;
      }
    }
  }
  void add_to_history(const TopicPlan& topic) {
    stage_.writer.add_topic(topic.name, {.durable = topic.durable, .compacted = topic.compacted});
  }

  Stage& stage_;
  Dice dice_;
  int made_ = 0;
};

// ── at the end ──────────────────────────────────────────────────────────────────────────────────

/// A record to each partition, by a producer that takes its time; what went wrong.
inline std::string send_at_last(const SimBroker& broker, const Stage& stage) {
  auto producer = TextProducer::open(broker);
  if (!producer.ok()) {
    return producer.status().ToString();
  }
  for (const TopicPartition& partition : partitions_of(stage.topics)) {
    HistoryEvent event{.kind = EventKind::send,
                       .client = "last",
                       .partition = partition,
                       .record = {.value = "last-" + partition.to_string(), .key = "k"}};
    stage.writer.note(event);
    const auto sent = producer->send({.topic = partition.topic,
                                      .partition = partition.partition,
                                      .key = "k",
                                      .value = event.record.value});
    const auto where = sent.ok() ? producer->wait(*sent) : sent.status();
    if (!where.ok()) {
      return partition.to_string() + ": " + where.status().ToString();
    }
    event.kind = EventKind::ok;
    event.record.offset = where->offset;
    stage.writer.note(std::move(event));
  }
  return "";
}

/// What a group has left to do.
inline std::string lag(const Admin& admin, const std::string& group,
                       const std::vector<TopicPlan>& topics) {
  const auto described = admin.describe_group(group);
  if (!described.ok() || described->state != "Stable") {
    return group + ": " + (described.ok() ? described->state : described.status().ToString());
  }
  const auto offsets = admin.list_group_offsets(group);
  if (!offsets.ok()) {
    return group + ": " + offsets.status().ToString();
  }
  std::set<TopicPartition> done;
  for (const GroupOffset& each : *offsets) {
    if (each.lag() == 0) {
      done.insert(each.partition);
    }
  }
  for (const TopicPartition& partition : partitions_of(topics)) {
    if (done.count(partition) == 0) {
      return group + " has not read " + partition.to_string();
    }
  }
  return "";
}

}  // namespace simulate
