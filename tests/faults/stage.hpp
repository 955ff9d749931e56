// SPDX-License-Identifier: Apache-2.0
//
// What the scenarios of a program under faults share: its broker, a producer that notes on the disk
// what it was told, and a reader. What is not as it should be is thrown.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <dlfcn.h>

#include <ottla/ottla.hpp>

#include "tests/support/must.hpp"

namespace faults {

using namespace ottla;
using namespace std::chrono_literals;
using test::must;
using TextProducer = Producer<std::string, std::string>;
using TextConsumer = Consumer<std::string, std::string>;

// Of the preloaded library (shim.cpp); null without it.
inline const auto set_faults =
    reinterpret_cast<void (*)(const char*)>(::dlsym(RTLD_DEFAULT, "ottla_faults"));
inline const auto faults_hit =
    reinterpret_cast<long (*)()>(::dlsym(RTLD_DEFAULT, "ottla_faults_hit"));

inline void expect(bool holds, const std::string& what) {
  if (!holds) throw std::runtime_error(what);
}
inline void expect(const absl::Status& status, Fault which, const std::string& what) {
  expect(fault(status) == which, what + ": " + status.ToString());
}

inline TopicPartition orders(int partition) { return {"orders", PartitionId(partition)}; }

/// What a producer was told, so that it outlives the program: "acknowledged 1 17 value" and
/// "refused value".
class Notes {
 public:
  explicit Notes(const std::string& path) : out_(path, std::ios::app) {}
  void acknowledged(const TopicPartition& partition, Offset offset, const std::string& value) {
    out_ << "acknowledged " << partition.partition.value() << ' ' << offset.value() << ' ' << value
         << std::endl;
    if (!values_.insert(value).second) throw std::runtime_error(value + " twice");
  }
  void refused(const std::string& value) { out_ << "refused " << value << std::endl; }
  const std::set<std::string>& values() const { return values_; }

 private:
  std::ofstream out_;
  std::set<std::string> values_;
};

struct Stage {
  std::string directory;  ///< of the scenario's own
  Notes notes{directory + "/notes"};
  std::mutex mutex{};
  std::vector<std::string> events{};  ///< their codes; by `mutex`

  /// Small segments, and next to nothing in memory: what is read comes from the files.
  BrokerConfig config(std::vector<std::string> names = {"data"}) {
    for (std::string& name : names) name = directory + "/" + name;
    BrokerConfig config;
    config.log_dirs = names;
    config.log.segment_bytes = 64 << 10;
    config.hot_tail_partition_bytes = 1;
    config.offsets_topic_partitions = 1;
    config.on_event = [this](const BrokerEvent& event) {
      const std::lock_guard lock(mutex);
      events.push_back(event.code + " " + event.file + ": " + event.text);
    };
    return config;
  }
  Broker open() { return must(Broker::open(config())); }
  Broker open_with_orders(std::vector<std::pair<std::string, std::string>> configs = {}) {
    Broker broker = open();
    must(broker.create_topic(
        {.name = "orders", .partitions = 2, .configs = std::move(configs), .if_not_exists = true}));
    return broker;
  }
  std::string told() {
    const std::lock_guard lock(mutex);
    std::string all;
    for (const std::string& event : events) all += event + "\n";
    return all;
  }
};

/// Sends a record of 1 KB, a batch of its own, and waits for it.
class Sender {
 public:
  Sender(Stage& stage, const Broker& broker, ProducerConfig config = {})
      : stage_(stage), producer_(open(broker, std::move(config))) {}

  absl::Status send(int partition) {
    static int number = 0;
    const std::string value = "value-" + std::to_string(number++) + std::string(1'000, 'x');
    const auto sent =
        producer_.send({.topic = "orders", .partition = PartitionId(partition), .value = value});
    const auto outcome =
        sent.ok() ? producer_.wait(*sent) : absl::StatusOr<RecordMetadata>(sent.status());
    if (outcome.ok()) {
      stage_.notes.acknowledged(orders(partition), outcome->offset, value);
    } else if (ottla::outcome(outcome.status()) == Outcome::not_written) {
      stage_.notes.refused(value);
    }
    return outcome.status();
  }
  void send_all(int count) {
    for (int i = 0; i < count; ++i) must(send(i % 2));
  }
  /// The first refusal of `partition`.
  absl::Status until_refused(int partition) {
    for (int i = 0; i < 1'000; ++i) {
      if (absl::Status status = send(partition); !status.ok()) return status;
    }
    throw std::runtime_error("nothing was refused");
  }

 private:
  static TextProducer open(const Broker& broker, ProducerConfig config) {
    config.linger = 0ms;
    config.request_timeout = std::min<std::chrono::milliseconds>(config.request_timeout, 1s);
    config.delivery_timeout = std::min<std::chrono::milliseconds>(config.delivery_timeout, 2s);
    config.retry_backoff = 10ms;
    return must(TextProducer::open(broker, config));
  }
  Stage& stage_;
  TextProducer producer_;
};

/// What is seen of `partitions`, up to their ends.
inline absl::Status read(const Broker& broker, const std::vector<int>& partitions,
                         std::set<std::string>& seen) {
  OTTLA_ASSIGN(
      TextConsumer consumer,
      TextConsumer::open(broker, {.offset_reset = OffsetReset::earliest, .api_timeout = 1s}));
  std::vector<TopicPartition> of;
  for (const int partition : partitions) of.push_back(orders(partition));
  OTTLA_TRY(consumer.assign(of));
  OTTLA_ASSIGN(const auto ends, consumer.end_offsets(of));
  for (int polls = 0; polls < 500; ++polls) {
    bool at_end = true;
    for (const auto& [partition, end] : ends) {
      OTTLA_ASSIGN(const Offset position, consumer.position(partition));
      at_end = at_end && position >= end;
    }
    if (at_end) return absl::OkStatus();
    OTTLA_ASSIGN(const auto records, consumer.poll(50ms));
    for (const auto& record : records) seen.insert(*record.value());
    OTTLA_TRY(records.status());
  }
  return absl::DeadlineExceededError("its end is never reached");
}

/// All that was acknowledged can be read.
inline void expect_all(Stage& stage, const Broker& broker) {
  std::set<std::string> seen;
  must(read(broker, {0, 1}, seen));
  expect(std::includes(seen.begin(), seen.end(), stage.notes.values().begin(),
                       stage.notes.values().end()),
         std::to_string(stage.notes.values().size()) + " were acknowledged, " +
             std::to_string(seen.size()) + " are read");
}

/// Rules hold while this lives. After: at least one call met one.
class Faults {
 public:
  explicit Faults(const std::string& rules) { set_faults(rules.c_str()); }
  Faults(const Faults&) = delete;
  Faults& operator=(const Faults&) = delete;
  ~Faults() { set_faults(""); }
  void expect_hit() const { expect(faults_hit() > 0, "no call failed"); }
};

}  // namespace faults
