// SPDX-License-Identifier: Apache-2.0
//
// What the world of a seed is like: directories, a broker, topics, clients, faults. Each is drawn
// from a stream of its own, so that leaving one out changes no other.
#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <ottla/broker/broker.hpp>
#include <ottla/consumer/consumer.hpp>
#include <ottla/env/random.hpp>
#include <ottla/producer/producer.hpp>
#include <ottla/sim/sim_disk.hpp>
#include <ottla/sim/sim_scheduler.hpp>

namespace simulate {

using namespace ottla;
using namespace std::chrono_literals;

/// Streams of a seed. What is drawn per life adds the life's number, clients add theirs.
enum class Stream : std::uint64_t {
  world = 1,
  broker,
  topics,
  faults,
  main,
  producer,
  consumer,
  admin
};

class Dice {
 public:
  Dice(std::uint64_t seed, Stream stream, std::uint64_t life = 0, std::uint64_t client = 0)
      : key_(mixed(mixed(mixed(seed) + static_cast<std::uint64_t>(stream)) + life) + client) {}

  /// Evenly from [0, n).
  std::uint64_t below(std::uint64_t n) { return mixed(key_ + count_++) % n; }
  int between(int from, int to) {
    return from + static_cast<int>(below(static_cast<std::uint64_t>(to - from) + 1));
  }
  bool one_in(std::uint64_t n) { return below(n) == 0; }
  template <class T, std::size_t N>
  T pick(const T (&of)[N]) {
    return of[below(N)];
  }

 private:
  std::uint64_t key_;
  std::uint64_t count_ = 0;
};

struct TopicPlan {
  std::string name;
  std::int32_t partitions = 1;
  bool durable = false;
  bool compacted = false;
  std::vector<std::pair<std::string, std::string>> configs = {};
};

inline std::vector<TopicPartition> partitions_of(const std::vector<TopicPlan>& topics) {
  std::vector<TopicPartition> all;
  for (const TopicPlan& topic : topics) {
    for (std::int32_t i = 0; i < topic.partitions; ++i) {
      all.push_back({topic.name, PartitionId(i)});
    }
  }
  return all;
}

inline TopicPlan draw_topic(std::string name, Dice& dice) {
  TopicPlan topic{.name = std::move(name),
                  .partitions = dice.between(1, 3),
                  .durable = dice.one_in(3),
                  .compacted = dice.one_in(3)};
  const auto add = [&](std::string_view key, std::string value) {
    topic.configs.emplace_back(key, std::move(value));
  };
  add("internal.segment.bytes", std::to_string(dice.between(200, dice.one_in(2) ? 400 : 3'000)));
  add("index.interval.bytes", dice.one_in(2) ? "1" : "300");
  add("file.delete.delay.ms", dice.pick({"0", "500", "60000"}));
  if (topic.durable) {
    add("flush.messages", "1");
  }
  if (topic.compacted) {
    add("cleanup.policy", dice.one_in(3) ? "compact,delete" : "compact");
    add("min.cleanable.dirty.ratio", "0.01");
    add("delete.retention.ms", dice.pick({"0", "300", "86400000"}));
  }
  if (dice.one_in(4)) {
    add("segment.index.bytes", dice.pick({"24", "60"}));
  }
  if (dice.one_in(4)) {
    add("segment.ms", dice.pick({"20", "1000"}));
  }
  if (dice.one_in(6)) {
    add("preallocate", "true");
  }
  if (dice.one_in(6)) {
    add("compression.type", dice.pick({"uncompressed", "gzip", "lz4", "zstd"}));
  }
  if (dice.one_in(6)) {
    add("message.timestamp.type", "LogAppendTime");
  }
  if (dice.one_in(8)) {
    add("max.message.bytes", "300");
  }
  return topic;
}

inline std::vector<TopicPlan> draw_topics(std::uint64_t seed) {
  Dice dice(seed, Stream::topics);
  std::vector<TopicPlan> topics;
  for (int i = dice.between(1, 3); i > 0; --i) {
    topics.push_back(draw_topic("t" + std::to_string(i), dice));
  }
  return topics;
}

inline BrokerConfig draw_broker(std::uint64_t seed) {
  Dice dice(seed, Stream::broker);
  BrokerConfig config;
  config.log_dirs = dice.one_in(2) ? LogDirs("/d0") : LogDirs({"/d0", "/d1"});
  config.write_out_delay = dice.pick({0us, 100us, 1'000us, 20'000us});
  config.hot_tail_bytes = dice.pick({0, 2'000, 1 << 20});
  config.hot_tail_partition_bytes = dice.pick({0, 300, 1 << 20});
  config.staged_bytes = dice.pick({1, 500, 1 << 20});
  config.retention_check_interval = dice.pick({50ms, 1'000ms, 300'000ms});
  config.checkpoint_interval = dice.pick({20ms, 500ms, 60'000ms});
  config.initial_task_delay = dice.pick({0ms, 100ms, 30'000ms});
  config.offsets_topic_partitions = dice.between(1, 3);
  config.group_initial_rebalance_delay = dice.pick({0ms, 0ms, 300ms});
  config.cleaner.backoff = dice.pick({10ms, 200ms, 15'000ms});
  config.cleaner.min_cleanable_ratio = dice.pick({0.0, 0.5});
  config.cleaner.dedupe_buffer_bytes = dice.pick({std::int64_t{1'024}, std::int64_t{1} << 16});
  config.cleaner.io_buffer_bytes = dice.pick({1'024, 1 << 16});
  config.scrubber.interval = dice.pick({0ms, 0ms, 2'000ms});
  return config;
}

inline ProducerConfig draw_producer(Dice& dice) {
  ProducerConfig config;
  config.acks = dice.pick({Acks::all, Acks::all, Acks::leader, Acks::none});
  config.durability = dice.one_in(3) ? Durability::durable : Durability::written;
  config.linger = dice.pick({0ms, 1ms, 5ms, 50ms});
  config.batch_size = dice.pick({0, 1, 150, 400, 16'384});
  config.compression =
      dice.pick({CompressionType::none, CompressionType::none, CompressionType::gzip,
                 CompressionType::lz4, CompressionType::zstd, CompressionType::snappy});
  config.buffer_memory = dice.pick({20'000, 40'000, 1 << 20});
  config.max_block = dice.pick({10ms, 1'000ms});
  config.request_timeout = dice.pick({20ms, 1'000ms});
  config.delivery_timeout = config.request_timeout + config.linger + dice.pick({0ms, 5'000ms});
  config.retries = dice.pick({0, 2, INT32_MAX});
  config.retry_backoff = dice.pick({1ms, 100ms});
  config.enable_idempotence = dice.one_in(3) ? Idempotence::off : Idempotence::where_possible;
  config.close_timeout = 5s;
  return config;
}

inline ConsumerConfig draw_consumer(Dice& dice) {
  ConsumerConfig config;
  config.offset_reset = OffsetReset::earliest;
  config.auto_commit = dice.one_in(2);
  config.auto_commit_interval = dice.pick({0ms, 20ms, 5'000ms});
  config.max_poll_records = dice.pick({1, 3, 500});
  config.max_poll_interval = dice.pick({7'000ms, 300'000ms});
  config.fetch_min_bytes = dice.pick({0, 1, 200});
  config.fetch_max_bytes = dice.pick({0, 100, 1'000, 1 << 20});
  config.max_partition_fetch_bytes = dice.pick({1, 150, 1 << 20});
  config.fetch_max_wait = dice.pick({0ms, 20ms, 500ms});
  config.isolation =
      dice.one_in(2) ? IsolationLevel::read_committed : IsolationLevel::read_uncommitted;
  config.session_timeout = 6s;
  config.heartbeat_interval = dice.pick({100ms, 1'000ms});
  config.api_timeout = 2s;
  config.close_timeout = 2s;
  return config;
}

inline std::vector<std::string> draw_assignors(Dice& dice) {
  switch (dice.below(4)) {
    case 0:
      return {"range"};
    case 1:
      return {"cooperative-sticky"};
    case 2:
      return {"cooperative-sticky", "range"};
    default:
      return {"range", "cooperative-sticky"};
  }
}

/// Faults that a broker has to live with, and how likely they are: a choice of kinds.
inline SimFaultRates draw_faults(Dice& dice, std::uint32_t allowed) {
  static constexpr SimFault kinds[] = {
      SimFault::io,     SimFault::no_space,      SimFault::no_descriptors, SimFault::read_only,
      SimFault::denied, SimFault::cut_write,     SimFault::sync_keeps,     SimFault::sync_reverts,
      SimFault::delay,  SimFault::process_crash, SimFault::power_crash};
  SimFaultRates rates;
  const bool calm = dice.one_in(3);
  for (const SimFault fault : kinds) {
    const bool ends = fault == SimFault::process_crash || fault == SimFault::power_crash;
    const std::uint64_t rate = dice.one_in(3) ? dice.below(ends ? 1'000 : 10'000) : 0;
    const bool may = !calm && (allowed >> static_cast<unsigned>(fault) & 1U) != 0;
    rates[fault] = may ? static_cast<std::uint32_t>(rate) : 0;
  }
  return rates;
}

}  // namespace simulate
