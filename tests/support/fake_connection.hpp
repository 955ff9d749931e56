// SPDX-License-Identifier: Apache-2.0
//
// A broker that says what a test tells it to: partitions are lists of pieces, hostile ones too, and
// the coordinator's answers are functions. Everything asked for is remembered.
#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <ottla/consumer/consumer.hpp>
#include <ottla/env/memory/memory_env.hpp>

#include "tests/support/built_batches.hpp"

namespace test {

class FakeConnection final : public ottla::Connection {
 public:
  struct Piece {
    ottla::SharedBytes bytes;
    std::int64_t next;  ///< the offset behind it
    bool verified = true;
  };
  struct Partition {
    std::deque<Piece> pieces = {};
    std::int64_t start = 0;
    std::int64_t end = 0;
    std::vector<ottla::AbortedRange> aborted = {};
    absl::Status status = {};  ///< answered once
    ottla::ErrorCode offsets_error = ottla::ErrorCode::none;
    std::int64_t stale_start = -1;  ///< what ListOffsets still tells
  };

  FakeConnection() : world_of_(env) { add_topic("orders", 2); }

  void add_topic(const std::string& name, int partitions) {
    topics[name].bytes[0] = static_cast<std::byte>(++last_id_);
    logs[name].assign(static_cast<std::size_t>(partitions), Partition());
    ++version;
  }
  Partition& log(int partition) { return logs["orders"].at(static_cast<std::size_t>(partition)); }
  void append(int partition, ottla::SharedBytes bytes, std::int64_t next, bool verified = true) {
    log(partition).pieces.push_back({std::move(bytes), next, verified});
    log(partition).end = next;
    ottla::Wakeups wakeups;
    for (auto& waiter : std::exchange(waiters, {})) wakeups.add(std::move(waiter));
  }
  /// `batches` batches of `records` each, at the end.
  void append_records(int partition, int batches, int records) {
    for (int i = 0; i < batches; ++i) {
      const std::int64_t end = log(partition).end;
      append(partition, batch_of(end, records), end + records);
    }
  }

  ottla::World& world() override { return world_of_; }
  std::uint64_t metadata_version() const override { return looked(); }
  absl::Status write_out(const ottla::TopicId&, ottla::PartitionId, ottla::Durability,
                         ottla::SteadyTime) override {
    return absl::OkStatus();
  }
  void produce(ottla::ProduceRequest) override {}

  absl::Status fetch(const ottla::FetchRequest& request, ottla::FetchResponse& into,
                     const ottla::Ref<ottla::Wakeable>& waiter) override {
    ++fetches;
    asked.clear();
    into.partitions.assign(request.partitions.size(), {});
    std::size_t bytes = 0;
    for (std::size_t i = 0; i < request.partitions.size(); ++i) {
      asked.push_back(request.partitions[i].partition.value());
      bytes += answer(request.partitions[i], into.partitions[i]);
    }
    if (bytes < static_cast<std::size_t>(request.min_bytes) && waiter) waiters.push_back(waiter);
    return fetch_fails;
  }

  void call(ottla::MetadataRequest request, ottla::Reply<ottla::MetadataResponse> reply) override {
    ++descriptions;
    ottla::MetadataResponse response;
    for (const std::string& name : *request.topics) {
      ottla::MetadataResponse::Topic topic{.name = name, .id = topics[name]};
      if (topic.id.is_zero()) topic.error = ottla::ErrorCode::unknown_topic_or_partition;
      for (std::size_t i = 0; i < logs[name].size(); ++i) {
        topic.partitions.push_back({.partition = ottla::PartitionId(static_cast<int>(i))});
      }
      response.topics.push_back(std::move(topic));
    }
    reply(std::move(response));
  }
  void call(ottla::ListOffsetsRequest request,
            ottla::Reply<ottla::ListOffsetsResponse> reply) override {
    ottla::ListOffsetsResponse response;
    for (const auto& each : request.partitions) {
      const Partition& log =
          logs[each.partition.topic].at(static_cast<std::size_t>(each.partition.partition.value()));
      const bool first = each.timestamp == ottla::at_earliest;
      const std::int64_t start = log.stale_start >= 0 ? log.stale_start : log.start;
      response.partitions.push_back({.partition = each.partition,
                                     .error = log.offsets_error,
                                     .offset = ottla::Offset(first ? start : log.end)});
    }
    reply(std::move(response));
  }

  void call(ottla::InitProducerIdRequest,
            ottla::Reply<ottla::InitProducerIdResponse> reply) override {
    reply(ottla::InitProducerIdResponse{ottla::ErrorCode::none, ottla::ProducerId(1),
                                        ottla::ProducerEpoch(0)});
  }

  template <class Request, class Response>
  using Answers = std::function<void(Request, ottla::Reply<Response>)>;
  Answers<ottla::JoinGroupRequest, ottla::JoinGroupResponse> on_join;
  Answers<ottla::SyncGroupRequest, ottla::SyncGroupResponse> on_sync;
  Answers<ottla::HeartbeatRequest, ottla::HeartbeatResponse> on_heartbeat;
  Answers<ottla::LeaveGroupRequest, ottla::LeaveGroupResponse> on_leave;
  Answers<ottla::OffsetCommitRequest, ottla::OffsetCommitResponse> on_commit;
  Answers<ottla::OffsetFetchRequest, ottla::OffsetFetchResponse> on_offset_fetch;

#define TEST_CALL(Api, hook)                                                                  \
  void call(ottla::Api##Request request, ottla::Reply<ottla::Api##Response> reply) override { \
    hook ? hook(std::move(request), std::move(reply)) : reply(ottla::Api##Response{});        \
  }
#define TEST_NO_CALL(Api) \
  void call(ottla::Api##Request, ottla::Reply<ottla::Api##Response>) override {}
  TEST_CALL(JoinGroup, on_join)
  TEST_CALL(SyncGroup, on_sync)
  TEST_CALL(Heartbeat, on_heartbeat)
  TEST_CALL(LeaveGroup, on_leave)
  TEST_CALL(OffsetCommit, on_commit)
  TEST_CALL(OffsetFetch, on_offset_fetch)
  TEST_NO_CALL(CreateTopics)
  TEST_NO_CALL(DeleteTopics)
  TEST_NO_CALL(CreatePartitions)
  TEST_NO_CALL(DeleteRecords)
  TEST_NO_CALL(OffsetDelete)
  TEST_NO_CALL(ListGroups)
  TEST_NO_CALL(DescribeGroups)
  TEST_NO_CALL(DeleteGroups)

  ottla::MemoryEnv env;
  std::map<std::string, ottla::TopicId> topics;
  std::map<std::string, std::vector<Partition>> logs;
  std::vector<ottla::Ref<ottla::Wakeable>> waiters;
  std::vector<int> asked;  ///< partitions of the last fetch, in its order
  int fetches = 0;
  int descriptions = 0;
  std::uint64_t version = 0;
  std::function<std::uint64_t()> looked = [this] { return version; };  ///< each turn of a poll
  absl::Status fetch_fails;

 private:
  std::size_t answer(const ottla::FetchPartition& wanted, ottla::FetchedPartition& into) {
    into.topic_id = wanted.topic_id;
    into.partition = wanted.partition;
    if (wanted.topic_id != topics["orders"]) {
      into.status = ottla::error(ottla::ErrorCode::unknown_topic_id, "no such topic");
      return 0;
    }
    Partition& log = this->log(wanted.partition.value());
    into.high_watermark = ottla::Offset(log.end);
    into.aborted = log.aborted;
    into.status = std::exchange(log.status, absl::OkStatus());
    const std::int64_t from = wanted.offset.value();
    if (from < log.start || from > log.end) {
      into.status = ottla::error(ottla::ErrorCode::offset_out_of_range, "not there");
    }
    std::size_t bytes = 0;
    for (const Piece& piece : log.pieces) {
      const bool fits =
          bytes == 0 || bytes + piece.bytes.size() <= static_cast<std::size_t>(wanted.max_bytes);
      if (!into.status.ok() || !fits) break;
      if (piece.next <= from) continue;
      into.slices.push_back({piece.bytes, piece.verified});
      bytes += piece.bytes.size();
    }
    return bytes;
  }

  ottla::WorldOf<ottla::MemoryEnv> world_of_;
  int last_id_ = 0;
};

/// What clients are opened on. A client that waits holds its connection, which holds who waits.
struct FakeHost {
  FakeHost() = default;
  FakeHost(const FakeHost&) = delete;
  FakeHost& operator=(const FakeHost&) = delete;
  ~FakeHost() { connection->waiters.clear(); }

  ottla::Ref<FakeConnection> connection = ottla::make_ref<FakeConnection>();
  ottla::Ref<ottla::Connection> connect() const { return connection; }
};
}  // namespace test
