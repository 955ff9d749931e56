// SPDX-License-Identifier: Apache-2.0
//
// What clients of a broker of ours see, in the lines of KafkaClient.java:
//   R LEVEL PARTITION OFFSET TIMESTAMP C|L EPOCH KEY VALUE [HEADER=VALUE]...   bytes in hex, or
//   null T LEVEL PARTITION TARGET OFFSET TIMESTAMP                                  a lookup by
//   time G GROUP PARTITION OFFSET EPOCH METADATA                                    a committed
//   offset
#pragma once

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

#include <ottla/broker/memory_broker.hpp>
#include <ottla/consumer/consumer.hpp>

#include "tests/support/golden.hpp"
#include "tests/support/must.hpp"

namespace interop {

using Consumer = ottla::Consumer<std::string, std::string>;

inline std::string hex(std::optional<ottla::Bytes> bytes) {
  return bytes ? golden::to_hex(*bytes) : "null";
}

template <class Response, class Request>
Response ask(const ottla::MemoryBroker& broker, Request request) {
  const auto connection = broker.connect();
  return test::must(ottla::ask<Response>(
      *connection, std::move(request), connection->world().steady_now() + std::chrono::minutes(1)));
}

inline std::string record_line(ottla::Offset offset, ottla::Timestamp timestamp,
                               ottla::TimestampType type, ottla::LeaderEpoch epoch,
                               std::optional<ottla::Bytes> key, std::optional<ottla::Bytes> value,
                               const std::vector<ottla::RecordHeader>& headers) {
  std::string line = std::to_string(offset.value()) + " " + std::to_string(timestamp.value()) +
                     (type == ottla::TimestampType::create_time ? " C " : " L ") +
                     std::to_string(epoch.value()) + " " + hex(key) + " " + hex(value);
  for (const ottla::RecordHeader& header : headers) {
    line += " " + golden::to_hex(ottla::as_bytes(header.key)) + "=" + hex(header.value);
  }
  return line;
}

inline std::string lookup_line(const ottla::MemoryBroker& broker,
                               const ottla::TopicPartition& partition,
                               ottla::IsolationLevel isolation, ottla::Timestamp target) {
  const auto answer = ask<ottla::ListOffsetsResponse>(
      broker,
      ottla::ListOffsetsRequest{.isolation = isolation,
                                .partitions = {{.partition = partition, .timestamp = target}}});
  const auto& found = answer.partitions.at(0);
  if (found.error != ottla::ErrorCode::none) return std::string(name(found.error));
  return std::to_string(found.offset.value()) + " " + std::to_string(found.timestamp.value());
}

/// The records of one partition at one level, and then its lookups.
inline std::pair<std::string, std::string> view(const ottla::MemoryBroker& broker,
                                                const ottla::TopicPartition& partition,
                                                ottla::IsolationLevel isolation) {
  const bool committed = isolation == ottla::IsolationLevel::read_committed;
  const std::string where =
      (committed ? "read_committed " : "read_uncommitted ") + partition.to_string() + " ";
  std::string seen;
  std::vector<ottla::Timestamp> times;
  auto consumer = test::must(Consumer::open(
      broker, {.offset_reset = ottla::OffsetReset::earliest, .isolation = isolation}));
  test::must(consumer.assign({partition}));
  for (;;) {
    const Consumer::Records records = test::must(consumer.poll(std::chrono::milliseconds(10)));
    if (records.empty()) break;
    for (const auto& record : records) {
      std::vector<ottla::RecordHeader> headers;
      for (const ottla::RecordHeader& one : record.headers()) headers.push_back(one);
      seen += "R " + where +
              record_line(record.offset(), record.timestamp(), record.timestamp_type(),
                          record.leader_epoch(), record.raw_key(), record.raw_value(), headers) +
              "\n";
      times.push_back(record.timestamp());
    }
    test::must(records.status());
  }
  std::set<ottla::Timestamp> targets = {ottla::Timestamp(0)};
  for (std::size_t i = 0; i < times.size(); i += std::max<std::size_t>(1, times.size() / 8)) {
    if (times[i] < ottla::Timestamp(0)) continue;
    targets.insert(times[i]);
    targets.insert(times[i] + 1);
  }
  std::string found;
  const auto look_up = [&](const std::string& what, ottla::Timestamp target) {
    found += "T " + where + what + " " + lookup_line(broker, partition, isolation, target) + "\n";
  };
  look_up("earliest", ottla::at_earliest);
  look_up("latest", ottla::at_latest);
  look_up("largest", ottla::at_max_timestamp);
  for (const ottla::Timestamp target : targets) look_up(std::to_string(target.value()), target);
  return {seen, found};
}

/// Of every partition of `topics`, in the order of their names.
inline std::string view(const ottla::MemoryBroker& broker, const std::vector<std::string>& topics) {
  std::map<std::string, ottla::TopicPartition> partitions;
  for (const std::string& topic : topics) {
    for (const auto& one : test::must(broker.describe_topic(topic)).partitions) {
      const ottla::TopicPartition partition{topic, one.partition};
      partitions[partition.to_string()] = partition;
    }
  }
  std::string text;
  for (const auto isolation :
       {ottla::IsolationLevel::read_uncommitted, ottla::IsolationLevel::read_committed}) {
    std::string lookups;
    for (const auto& [name, partition] : partitions) {
      const auto [seen, found] = view(broker, partition, isolation);
      text += seen;
      lookups += found;
    }
    text += lookups;
  }
  return text;
}

inline std::string committed(const ottla::MemoryBroker& broker,
                             const std::vector<std::string>& groups) {
  std::string text;
  for (const std::string& group : groups) {
    std::set<std::string> sorted;
    const auto answer = ask<ottla::OffsetFetchResponse>(broker, ottla::OffsetFetchRequest{group});
    for (const auto& one : answer.partitions) {
      sorted.insert("G " + group + " " + one.partition.to_string() + " " +
                    std::to_string(one.offset.value()) + " " +
                    std::to_string(one.leader_epoch.value()) + " " + one.metadata + "\n");
    }
    for (const std::string& line : sorted) text += line;
  }
  return text;
}

/// The lines that begin so.
inline std::string select(const std::string& text, const std::string& start) {
  std::istringstream lines(text);
  std::string selected;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with(start)) selected += line + "\n";
  }
  return selected;
}

inline std::size_t lines_of(const std::string& text, const std::string& start) {
  std::istringstream lines(text);
  std::size_t count = 0;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with(start)) ++count;
  }
  return count;
}

}  // namespace interop
