// SPDX-License-Identifier: Apache-2.0
//
// A log directory of real files, written by a broker of ours through its public API, and what was
// put in.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include <ottla/broker/memory_broker.hpp>
#include <ottla/consumer/consumer.hpp>
#include <ottla/env/posix/file_system.hpp>
#include <ottla/producer/producer.hpp>

#include "tests/interop/client_view.hpp"
#include "tests/support/must.hpp"
#include "tests/support/temporary_directory.hpp"

namespace interop {

using namespace std::chrono_literals;

inline constexpr std::int64_t start_time = 1'700'000'000'000;

/// A broker whose clock is stepped, on real files. Kafka's data are older than a day here, so that
/// nothing of them is kept for being young.
struct OpenedBroker {
  explicit OpenedBroker(const std::string& directory, ottla::Timestamp now)
      : env({.wall = now, .files = ottla::AnyFileSystem(ottla::PosixFileSystem())}),
        broker(test::must(ottla::MemoryBroker::open(env, config(directory)))) {}

  ottla::BrokerConfig config(const std::string& directory) {
    ottla::BrokerConfig config{.offsets_topic_partitions = 3,
                               .producer_id_expiration = std::chrono::hours(24 * 36'500)};
    config.log_dirs = directory;
    config.log.retention.reset();
    config.on_event = [this](const ottla::BrokerEvent& event) {
      told += event.code + " " + event.file + ": " + event.text + "\n";
    };
    return config;
  }

  std::string told;
  ottla::MemoryEnv env;
  ottla::MemoryBroker broker;
};

class WrittenDirectory {
 public:
  using Configs = std::vector<std::pair<std::string, std::string>>;

  static constexpr const char* group = "ottla-group";

  WrittenDirectory() {
    std::filesystem::create_directory(path());
    OpenedBroker opened(path(), now());
    create_topics(opened.broker);
    write(opened, 0);
    test::must(opened.broker.close());
    OpenedBroker again(path(), now() + 60'000);
    write(again, 1);
    commit(again.broker);
    // Compaction begins half a minute after opening.
    again.env.advance(3min);
    view_ = view(again.broker, topics());
    committed_ = interop::committed(again.broker, {group});
    for (const std::string& topic : all_topics()) {
      ids_[topic] = test::must(again.broker.describe_topic(topic)).id.to_string();
    }
    std::filesystem::copy(path(), killed(), std::filesystem::copy_options::recursive);
    test::must(again.broker.close());
  }

  std::string path() const { return directory_ / "ours"; }
  /// As a kill would have left it, before the broker was closed.
  std::string killed() const { return directory_ / "killed"; }

  static std::map<std::string, std::pair<std::int32_t, Configs>> definitions() {
    std::map<std::string, std::pair<std::int32_t, Configs>> all = {
        {"rolled", {2, {{"internal.segment.bytes", "4000"}, {"index.interval.bytes", "200"}}}},
        {"append-time", {1, {{"message.timestamp.type", "LogAppendTime"}}}},
        {"compacted",
         {1,
          {{"cleanup.policy", "compact"},
           {"internal.segment.bytes", "3000"},
           {"min.cleanable.dirty.ratio", "0.1"}}}}};
    for (const char* codec : {"none", "gzip", "snappy", "lz4", "zstd"}) {
      all["codec-" + std::string(codec)] = {
          1, {{"internal.segment.bytes", "40000"}, {"index.interval.bytes", "300"}}};
    }
    return all;
  }
  static std::vector<std::string> topics() {
    std::vector<std::string> all;
    for (const auto& [name, definition] : definitions()) all.push_back(name);
    return all;
  }
  static std::vector<std::string> all_topics() {
    std::vector<std::string> all = topics();
    all.push_back("__consumer_offsets");
    return all;
  }

  /// What our own broker showed its clients.
  const std::string& seen() const { return view_; }
  const std::string& committed() const { return committed_; }
  const std::map<std::string, std::string>& ids() const { return ids_; }
  /// The lines of the records that were acknowledged, by partition; without those of the topic
  /// whose time is the broker's.
  const std::map<std::string, std::string>& put_in() const { return put_in_; }

 private:
  using Producer = ottla::Producer<std::string, std::string>;

  static ottla::Timestamp now() { return ottla::Timestamp(start_time + 86'400'000); }

  static void create_topics(const ottla::MemoryBroker& broker) {
    for (const auto& [name, definition] : definitions()) {
      test::must(broker.create_topic(
          {.name = name, .partitions = definition.first, .configs = definition.second}));
    }
  }

  void write(OpenedBroker& opened, int round) {
    for (const auto& [codec, type] : codecs()) {
      auto producer = test::must(Producer::open(
          opened.broker, {.batch_size = 900,
                          .compression = type,
                          .enable_idempotence = round == 0 ? ottla::Idempotence::where_possible
                                                           : ottla::Idempotence::off}));
      send_shapes(producer, "codec-" + codec, round);
      for (int i = 0; i < 100; ++i) {
        const int n = round * 100 + i;
        send(producer, "rolled", n % 2, n * 10 - (n % 5 == 0 ? 40'000 : 0),
             "key-" + std::to_string(n % 7), "value-" + std::to_string(n), {});
      }
      for (int i = 0; i < 60; ++i) {
        send(producer, "compacted", 0, i, "key-" + std::to_string(i % 9),
             i % 20 == 19 ? std::nullopt : std::optional("v" + std::to_string(i) + codec), {});
        if (i % 10 == 9) test::must(producer.flush());
      }
      send(producer, "append-time", 0, round, codec, "stamped by the broker", {});
      test::must(producer.close());
    }
  }

  static std::map<std::string, ottla::CompressionType> codecs() {
    std::map<std::string, ottla::CompressionType> here;
    for (std::uint8_t i = 0; i <= 4; ++i) {
      const auto codec = static_cast<ottla::CompressionType>(i);
      if (ottla::check_codec(codec).ok()) here[std::string(ottla::name(codec))] = codec;
    }
    return here;
  }

  void send_shapes(Producer& producer, const std::string& topic, int round) {
    const std::vector<std::optional<std::string>> parts = {std::nullopt,
                                                           "",
                                                           "v",
                                                           "schl\u00fcssel",
                                                           std::string(40, '\0') + "\xff\n",
                                                           std::string(20'000, 'x'),
                                                           noise(9'000)};
    const std::vector<std::vector<ottla::RecordHeader>> headers = {
        {},
        {{"", std::nullopt}},
        {{"a", ottla::as_bytes("1")}, {"a", ottla::as_bytes("2")}, {"a", std::nullopt}},
        {{"\u043a\u043b\u044e\u0447-\u982d", ottla::Bytes()}}};
    for (std::size_t i = 0; i < 5 * parts.size(); ++i) {
      const std::int64_t time = i == 7 ? -86'000'000 : static_cast<std::int64_t>(i * 977 % 400);
      send(producer, topic, 0, round * 500 + time, parts[i % 5], parts[i % parts.size()],
           headers[(i + i / 4) % 4]);
    }
  }

  static std::string noise(std::size_t size) {
    std::string text;
    for (std::uint32_t seed = 1; text.size() < size;) {
      seed = seed * 1664525 + 1013904223;
      text += static_cast<char>(seed >> 24);
    }
    return text;
  }

  void send(Producer& producer, const std::string& topic, int partition, std::int64_t time,
            const std::optional<std::string>& key, const std::optional<std::string>& value,
            const std::vector<ottla::RecordHeader>& headers) {
    const auto part = [](const std::optional<std::string>& text) {
      return text ? ottla::Outgoing<std::string>(std::string_view(*text))
                  : ottla::Outgoing<std::string>();
    };
    const auto bytes = [](const std::optional<std::string>& text) {
      return text ? std::optional(ottla::as_bytes(*text)) : std::nullopt;
    };
    const ottla::Timestamp timestamp(start_time + time);
    test::must(producer.send({.topic = topic,
                              .partition = ottla::PartitionId(partition),
                              .key = part(key),
                              .value = part(value),
                              .headers = headers,
                              .timestamp = timestamp}));
    const std::string where = topic + "-" + std::to_string(partition);
    // Acknowledged in their order, so that the offsets are known.
    const ottla::Offset offset(next_[where]++);
    if (topic == "append-time") return;
    put_in_[where] += "R read_uncommitted " + where + " " +
                      record_line(offset, timestamp, ottla::TimestampType::create_time,
                                  ottla::LeaderEpoch(0), bytes(key), bytes(value), headers) +
                      "\n";
  }

  static void commit(const ottla::MemoryBroker& broker) {
    auto consumer = test::must(Consumer::open(broker, {.group = group}));
    test::must(consumer.commit({{{"codec-none", ottla::PartitionId(0)},
                                 {ottla::Offset(17), ottla::LeaderEpoch(0), "half"}},
                                {{"rolled", ottla::PartitionId(1)}, {ottla::Offset(5)}}}));
    test::must(consumer.commit(
        {{{"rolled", ottla::PartitionId(1)}, {ottla::Offset(9), ottla::LeaderEpoch(0), ""}}}));
    test::must(consumer.close());
  }

  TemporaryDirectory directory_;
  std::map<std::string, std::int64_t> next_;
  std::map<std::string, std::string> put_in_;
  std::map<std::string, std::string> ids_;
  std::string view_;
  std::string committed_;
};

}  // namespace interop
