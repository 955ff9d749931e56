// SPDX-License-Identifier: Apache-2.0
//
// The three kinds of children, each a process that opens the directory anew. What they return is
// their exit code: 0, or 1 with the ledger's problem.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "workload.hpp"

namespace crash {

struct Child {
  Ledger& ledger;
  std::string directory;
  std::uint64_t seed;
  std::uint16_t life;  ///< number of the child, in this directory
};

/// What a child opens: its threads, its files, its broker.
struct World {
  std::unique_ptr<ottla::PosixEnv> env;
  std::unique_ptr<Stage> stage;
};

inline absl::StatusOr<World> open_world(const Child& child, ottla::BrokerConfig config) {
  Random random(child.seed ^ 0x9E3779B97F4A7C15);
  config.log_dirs = child.directory;
  // Of large ones an index's entries are written before their end.
  const std::int64_t kibibytes = one_in(random, 4) ? draw(random, 96, 256) : draw(random, 2, 24);
  const auto segment_bytes = static_cast<std::int32_t>(kibibytes) << 10;
  config.log.segment_bytes = segment_bytes;
  config.log.index_interval_bytes =
      one_in(random, 2) ? 1 : static_cast<std::int32_t>(draw(random, 1, 2048));
  config.log.file_delete_delay = std::chrono::milliseconds(draw(random, 0, 30));
  config.offsets_topic_partitions = 2;
  config.group_min_session_timeout = std::chrono::milliseconds(1);
  config.hot_tail_partition_bytes = one_in(random, 3) ? 4 << 10 : 1 << 20;
  config.cleaner.backoff = std::chrono::milliseconds(draw(random, 2, 30));
  config.cleaner.min_cleanable_ratio = 0.1;
  counted = {&child.ledger, child.directory};
  World world;
  OTTLA_ASSIGN(world.env,
               ottla::PosixEnv::open({.executor = {.threads = config.threads},
                                      .files = deadly_files(child.ledger, random() % 256)}));
  OTTLA_ASSIGN(ottla::Broker broker, ottla::Broker::open(*world.env, std::move(config)));
  world.stage.reset(new Stage{child.ledger, std::move(broker), segment_bytes});
  child.ledger.opened = true;
  return world;
}

inline int gave_up(const Child& child, std::string_view what, const absl::Status& status) {
  if (child.ledger.fails != Failing::nothing) return 0;
  child.ledger.give_up(std::string(what) + ": " + std::string(ottla::sv(status.message())));
  return 1;
}

inline absl::Status make_topics(Stage& stage) {
  const auto make = [&](std::uint16_t topic, std::int32_t partitions,
                        std::vector<std::pair<std::string, std::string>> configs) {
    stage.ledger.add({.kind = EventKind::topic_tried, .topic = topic, .n = partitions});
    OTTLA_TRY(stage.broker.create_topic({.name = topic_name(topic),
                                         .partitions = partitions,
                                         .configs = std::move(configs),
                                         .if_not_exists = true}));
    stage.ledger.add({.kind = EventKind::topic_made, .topic = topic, .n = partitions});
    return absl::OkStatus();
  };
  OTTLA_TRY(make(orders, 3, {}));
  OTTLA_TRY(make(durable, 2, {{"flush.messages", "1"}}));
  OTTLA_TRY(make(trimmed, 1,
                 {{"internal.segment.bytes", std::to_string(trimmed_segment_bytes)},
                  {"retention.bytes", "20000"}}));
  return make(latest, 1,
              {{"internal.segment.bytes", std::to_string(trimmed_segment_bytes)},
               {"cleanup.policy", "compact"},
               {"min.cleanable.dirty.ratio", "0.1"}});
}

/// Works for `milliseconds`, then closes everything.
inline int work(const Child& child, int milliseconds) {
  Random random(child.seed);
  auto world =
      open_world(child, {.threads = static_cast<std::int32_t>(draw(random, 1, 3)),
                         .retention_check_interval = std::chrono::milliseconds(draw(random, 5, 40)),
                         .checkpoint_interval = std::chrono::milliseconds(draw(random, 5, 40)),
                         .initial_task_delay = std::chrono::milliseconds(draw(random, 0, 20))});
  if (!world.ok()) return gave_up(child, "open", world.status());
  Stage& stage = *world->stage;
  if (absl::Status made = make_topics(stage); !made.ok()) return gave_up(child, "topics", made);

  const auto client = static_cast<std::uint16_t>(child.life * 16);
  std::vector<std::thread> threads;
  std::vector<Sender> senders;
  for (std::uint16_t i = 0; i < 3; ++i) {
    const Pace pace = i == 0 ? Pace::steady : Pace::waiting;
    senders.emplace_back(stage, static_cast<std::uint16_t>(client + i), random(), pace);
  }
  for (Sender& sender : senders) {
    threads.emplace_back([&] { sender.run({orders, durable, trimmed, latest}, 4000); });
  }
  std::vector<Reader> some;
  for (int i = 0; i < 3; ++i) some.emplace_back(stage, i == 0 ? assigned : readers, random());
  for (Reader& reader : some) threads.emplace_back([&] { reader.run(); });
  Founder founder(stage, static_cast<std::uint16_t>(first_made + child.life * 8),
                  static_cast<std::uint16_t>(client + 8), random());
  threads.emplace_back([&] { founder.run(); });

  for (int waited = 0; waited < milliseconds && !stage.stop; waited += 5) pause(5);
  stage.stop = true;
  for (std::thread& thread : threads) thread.join();
  if (child.ledger.problem[0] != '\0') return 1;
  const absl::Status closed = stage.broker.close();
  return closed.ok() ? 0 : gave_up(child, "close", closed);
}

/// Recovers what is there, and closes or just goes.
inline int recover(const Child& child) {
  Random random(child.seed);
  auto world = open_world(child, {.initial_task_delay = std::chrono::milliseconds(0)});
  if (!world.ok()) return gave_up(child, "open", world.status());
  if (one_in(random, 2)) ::_exit(0);
  const absl::Status closed = world->stage->broker.close();
  return closed.ok() ? 0 : gave_up(child, "close", closed);
}

/// Whether files that go by and by are still there.
inline bool is_unsettled(const std::string& directory) {
  for (const auto& entry : std::filesystem::recursive_directory_iterator(directory)) {
    const std::string name = entry.path().filename().string();
    if (name.ends_with("-delete") || name.ends_with(".deleted")) return true;
  }
  return false;
}

/// All records of a topic, as a consumer sees them.
inline absl::Status look_at_topic(Stage& stage, Consumer& consumer, std::uint16_t topic) {
  OTTLA_ASSIGN(const auto partitions, consumer.partitions_of(topic_name(topic)));
  stage.ledger.add({.kind = EventKind::listed,
                    .topic = topic,
                    .n = static_cast<std::int64_t>(partitions.size())});
  OTTLA_TRY(consumer.assign(partitions));
  OTTLA_TRY(consumer.seek_to_beginning());
  OTTLA_ASSIGN(const auto ends, consumer.end_offsets(partitions));
  const auto is_at_end = [&]() -> absl::StatusOr<bool> {
    for (const auto& [partition, end] : ends) {
      OTTLA_ASSIGN(const ottla::Offset position, consumer.position(partition));
      if (position < end) return false;
    }
    return true;
  };
  for (int polls = 0; polls < 100'000; ++polls) {
    OTTLA_ASSIGN(const bool at_end, is_at_end());
    if (at_end) return absl::OkStatus();
    OTTLA_ASSIGN(const auto records, consumer.poll(std::chrono::milliseconds(100)));
    for (const auto& record : records) {
      const Value value = Value::parse(*record.value()).value_or(Value{});
      stage.ledger.add({.kind = EventKind::seen,
                        .topic = topic,
                        .client = static_cast<std::uint16_t>(value.client),
                        .partition = record.partition().value(),
                        .n = value.n,
                        .offset = record.offset().value()});
    }
    OTTLA_TRY(records.status());
  }
  return absl::UnknownError("its end is never reached");
}

inline absl::Status look_at_group(Stage& stage, std::uint8_t group,
                                  const std::vector<std::string>& topics) {
  OTTLA_ASSIGN(Consumer consumer, Consumer::open(stage.broker, {.group = group_name(group)}));
  for (const std::uint16_t topic : {orders, durable}) {
    if (std::find(topics.begin(), topics.end(), topic_name(topic)) == topics.end()) continue;
    OTTLA_ASSIGN(const auto partitions, consumer.partitions_of(topic_name(topic)));
    OTTLA_ASSIGN(const auto committed, consumer.committed(partitions));
    for (const auto& [partition, offset] : committed) {
      stage.ledger.add({.kind = EventKind::stored,
                        .group = group,
                        .topic = topic,
                        .partition = partition.partition.value(),
                        .offset = offset.offset.value()});
    }
  }
  return consumer.close();
}

/// Opens the directory without being killed, and says what a program would see. Without a thread of
/// the library's own.
inline int look(const Child& child) {
  Random random(child.seed);
  auto world = open_world(child, {.threads = 0,
                                  .retention_check_interval = std::chrono::hours(1),
                                  .initial_task_delay = std::chrono::milliseconds(0),
                                  .cleaner = {.enable = false}});
  if (!world.ok()) return gave_up(child, "reopen", world.status());
  Stage& stage = *world->stage;
  int waited = 0;
  do {  // at least once, for retention to take what it was about to take when it was killed
    stage.broker.run_once(std::chrono::milliseconds(5));
    pause(2);
  } while (++waited < 2'000 && is_unsettled(child.directory));
  const auto topics = stage.broker.list_topics();
  if (!topics.ok()) return gave_up(child, "list topics", topics.status());
  {
    auto consumer = Consumer::open(stage.broker, {.auto_commit = false});
    if (!consumer.ok()) return gave_up(child, "open a consumer", consumer.status());
    for (std::uint16_t topic = 0; topic < first_made + (child.life + 1) * 8; ++topic) {
      const std::string name = topic_name(topic);
      if (std::find(topics->begin(), topics->end(), name) == topics->end()) continue;
      const absl::Status looked = look_at_topic(stage, *consumer, topic);
      if (!looked.ok()) return gave_up(child, "look at " + name, looked);
    }
  }
  for (const std::uint8_t group : {readers, assigned}) {
    const absl::Status looked = look_at_group(stage, group, *topics);
    if (!looked.ok()) return gave_up(child, "look at group " + group_name(group), looked);
  }
  if (one_in(random, 2)) ::_exit(0);
  const absl::Status closed = stage.broker.close();
  return closed.ok() ? 0 : gave_up(child, "close", closed);
}

}  // namespace crash
