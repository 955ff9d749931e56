// SPDX-License-Identifier: Apache-2.0
//
// A broker on a copy in memory of a log directory that Kafka wrote, and what its clients see.
#pragma once

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <ottla/env/small_file.hpp>
#include <ottla/log/directory_name.hpp>

#include "tests/record/batch_json.hpp"
#include "tests/support/memory_broker.hpp"

namespace served {

using golden::json;
using namespace std::chrono_literals;

/// Shortly after the directories were written: groups have not expired, nothing is retained yet.
inline constexpr ottla::Timestamp now{1'795'337'000'000};

inline std::int64_t number(const json& value) { return value.get<std::int64_t>(); }

class ServedDirectory {
 public:
  /// All of `names` are log directories of the one broker.
  ServedDirectory(const std::string& golden_case, const std::vector<std::string>& names)
      : from_(golden::dir() / golden_case), expected_(golden::read_json(from_ / "expected.json")) {
    for (const std::string& name : names) {
      copy(from_ / name, name);
      set_times(name);
    }
    ottla::BrokerConfig config{.producer_id_expiration = std::chrono::hours(24 * 36'500)};
    config.log_dirs = ottla::LogDirs(names);
    config.on_event = [this](const ottla::BrokerEvent& event) {
      told_[event.file].push_back(event.code + ": " + event.text);
    };
    broker_.emplace(test::must(ottla::MemoryBroker::open(env_, std::move(config))));
    consumer_.emplace(open_consumer(ottla::IsolationLevel::read_uncommitted));
    committed_.emplace(open_consumer(ottla::IsolationLevel::read_committed));
  }

  const json& expected() const { return expected_; }
  const ottla::MemoryBroker& broker() const { return *broker_; }
  test::TextConsumer& consumer(
      ottla::IsolationLevel isolation = ottla::IsolationLevel::read_uncommitted) {
    return isolation == ottla::IsolationLevel::read_committed ? *committed_ : *consumer_;
  }
  ottla::MemoryEnv& env() { return env_; }
  ottla::MemoryFileSystem& files() { return files_; }
  const std::map<std::string, std::vector<std::string>>& told() const { return told_; }

  template <class Response, class Request>
  Response ask(Request request) {
    const auto connection = broker_->connect();
    return test::must(ottla::ask<Response>(*connection, std::move(request),
                                           connection->world().steady_now() + 60s));
  }

  /// As expected.json writes it.
  json list_offset(const std::string& partition, ottla::IsolationLevel isolation,
                   ottla::Timestamp target) {
    const auto answer = ask<ottla::ListOffsetsResponse>(ottla::ListOffsetsRequest{
        .isolation = isolation,
        .partitions = {
            {.partition = *ottla::TopicPartition::parse(partition), .timestamp = target}}});
    const auto& one = answer.partitions.at(0);
    if (one.error != ottla::ErrorCode::none) return {{"error", std::string(name(one.error))}};
    return {{"offset", one.offset.value()},
            {"timestamp", one.timestamp.value()},
            {"leaderEpoch",
             one.leader_epoch == ottla::no_leader_epoch ? json() : json(one.leader_epoch.value())}};
  }

 private:
  test::TextConsumer open_consumer(ottla::IsolationLevel isolation) {
    return test::must(test::TextConsumer::open(
        *broker_, {.offset_reset = ottla::OffsetReset::none, .isolation = isolation}));
  }
  void copy(const std::filesystem::path& from, const std::string& to) {
    test::must(files_.create_directory(to, ottla::IoReason::other));
    for (const auto& entry : std::filesystem::directory_iterator(from)) {
      const std::string path = to + "/" + entry.path().filename().string();
      if (entry.is_directory()) {
        copy(entry.path(), path);
      } else {
        test::must(ottla::replace_small_file(files_, path, golden::read_bytes(entry.path()),
                                             ottla::Durability::written, ottla::IoReason::other));
      }
    }
  }
  void set_times(const std::string& name) {
    for (const auto& [partition, content] : expected_["dirs"][name]["partitions"].items()) {
      for (const json& log : content["logs"]) {
        const std::string path = name + "/" + partition + "/" + log["file"].get<std::string>();
        test::must(files_.set_modified(path, ottla::Timestamp(number(log["mtime_ms"]))));
      }
    }
  }

  std::filesystem::path from_;
  json expected_;
  std::map<std::string, std::vector<std::string>> told_;
  ottla::MemoryFileSystem files_{{.wall_now = [] { return now; }}};
  ottla::MemoryEnv env_{{.wall = now, .files = ottla::AnyFileSystem(files_)}};
  std::optional<ottla::MemoryBroker> broker_;
  std::optional<test::TextConsumer> consumer_;
  std::optional<test::TextConsumer> committed_;
};

/// Inclusive ones.
inline json ranges_of(const std::vector<std::int64_t>& offsets) {
  json ranges = json::array();
  for (const std::int64_t offset : offsets) {
    if (!ranges.empty() && number(ranges.back()[1]) + 1 == offset) {
      ranges.back()[1] = offset;
    } else {
      ranges.push_back({offset, offset});
    }
  }
  return ranges;
}

/// The records that Kafka's classes read from the files of a partition, in a range.
inline json records_of(const json& partition, std::int64_t start, std::int64_t before = INT64_MAX) {
  json all = json::array();
  std::int64_t last = -1;  // what steps back was moved by a damaged header
  for (const json& log : partition["logs"]) {
    if (!log["file"].get<std::string>().ends_with(".log")) continue;
    for (const json& batch : log["batches"]) {
      if (number(batch["baseOffset"]) <= last) continue;
      last = number(batch["lastOffset"]);
      if (batch["isControl"].get<bool>()) continue;
      for (const json& record : batch["records"]) {
        if (number(record["offset"]) < start || number(record["offset"]) >= before) continue;
        json& one = all.emplace_back();
        for (const char* key : {"offset", "timestamp", "key", "value"}) one[key] = record.at(key);
        one["headers"] = record.value("headers", json::array());
      }
    }
  }
  return all;
}

/// What a consumer is given, up to the end or an error.
struct Consumed {
  json records = json::array();
  std::vector<std::int64_t> offsets;
  std::int64_t position = -1;
  absl::Status status;
};

inline Consumed consume(ServedDirectory& directory, const std::string& name,
                        ottla::IsolationLevel isolation = ottla::IsolationLevel::read_uncommitted) {
  Consumed all;
  const auto partition = *ottla::TopicPartition::parse(name);
  test::TextConsumer& consumer = directory.consumer(isolation);
  test::must(consumer.assign({partition}));
  test::must(consumer.seek_to_beginning());
  for (;;) {
    const auto polled = consumer.poll(10ms);
    all.status = polled.ok() ? polled->status() : polled.status();
    if (!polled.ok() || polled->empty()) break;
    for (const auto& record : *polled) {
      json headers = json::array();
      for (const ottla::RecordHeader& header : record.headers()) {
        headers.push_back(
            {golden::to_hex(ottla::as_bytes(header.key)), golden::to_json(header.value, true)});
      }
      all.offsets.push_back(record.offset().value());
      all.records.push_back({{"offset", record.offset().value()},
                             {"timestamp", record.timestamp().value()},
                             {"key", golden::to_json(record.raw_key(), true)},
                             {"value", golden::to_json(record.raw_value(), true)},
                             {"headers", headers}});
    }
    all.status = polled->status();
    if (!all.status.ok()) break;
  }
  all.position = test::must(consumer.position(partition)).value();
  return all;
}

}  // namespace served
