// SPDX-License-Identifier: Apache-2.0
//
// What a producer sees of a broker: topics are as told, produced batches are kept in memory, and a
// script may stand in their way.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <ottla/base/mutex.hpp>
#include <ottla/protocol/connection.hpp>
#include <ottla/record/batch_view.hpp>

namespace ottla {

/// Thread-safe, but for the script.
class FakeLeader : public Connection {
 public:
  /// Sees each request first; true when it has taken the request over.
  using Script = std::function<bool(ProduceRequest& request)>;
  using Place = std::pair<TopicId, PartitionId>;

  /// Before: `world` outlives it.
  explicit FakeLeader(World& world) : world_(world) {}

  /// Makes the topic, or gives it so many partitions, or (with 0) takes it away.
  void set_topic(const std::string& name, std::int32_t partitions) {
    Lock lock(mutex_);
    ++version_;
    if (partitions == 0) {
      topics_.erase(name);
      return;
    }
    const auto [place, is_new] = topics_.try_emplace(name);
    if (is_new) {
      place->second.id.bytes[0] = std::byte{++topics_made_};
    }
    place->second.partitions = partitions;
  }
  void set_offline(const std::string& name, std::int32_t partition, bool offline) {
    Lock lock(mutex_);
    ++version_;
    if (offline) {
      offline_.insert({name, partition});
    } else {
      offline_.erase({name, partition});
    }
  }
  TopicId topic_id(const std::string& name) {
    Lock lock(mutex_);
    return topics_.at(name).id;
  }

  Script script = {};
  /// Outcomes wait for write_out, as in a broker that gathers.
  bool answer_on_write_out = false;
  bool gives_no_ids = false;

  /// Batches as the partition's log has them, in their order.
  std::vector<SharedBytes> log(const std::string& topic, std::int32_t partition) {
    Lock lock(mutex_);
    return logs_[{topics_.at(topic).id, PartitionId(partition)}].batches;
  }
  /// The values of all records there.
  std::vector<std::string> values(const std::string& topic, std::int32_t partition) {
    std::vector<std::string> all;
    Decompressor decompressor;
    for (const SharedBytes& bytes : log(topic, partition)) {
      const auto batch = BatchView::parse(bytes.bytes());
      RecordCursor records = batch.value().records(decompressor);
      while (const RecordView* record = records.next()) {
        const Bytes value = record->value().value_or(Bytes());
        all.emplace_back(reinterpret_cast<const char*>(value.data()), value.size());
      }
    }
    return all;
  }

  /// Appends the batch and answers, as without a script.
  void accept(ProduceRequest request) {
    ProduceResponse response;
    {
      Lock lock(mutex_);
      PartitionLog& to = logs_[{request.topic_id, request.partition}];
      response.base_offset = to.end;
      to.end = to.end + BatchView(request.batch.bytes()).header().record_count;
      request.batch.stamp(response.base_offset, LeaderEpoch(0));
      to.batches.push_back(std::move(request.batch).freeze());
    }
    if (request.reply) {
      request.reply->done(response, {});
    }
  }

  World& world() override { return world_; }
  std::uint64_t metadata_version() const override {
    Lock lock(mutex_);
    return version_;
  }
  void produce(ProduceRequest request) override {
    if (script && script(request)) {
      return;
    }
    if (!answer_on_write_out) {
      accept(std::move(request));
      return;
    }
    Lock lock(mutex_);
    staged_[{request.topic_id, request.partition}].push_back(std::move(request));
  }
  absl::Status write_out(const TopicId& topic, PartitionId partition, Durability,
                         SteadyTime) override {
    std::deque<ProduceRequest> staged;
    {
      Lock lock(mutex_);
      staged.swap(staged_[{topic, partition}]);
    }
    for (ProduceRequest& each : staged) {
      accept(std::move(each));
    }
    return absl::OkStatus();
  }
  absl::Status fetch(const FetchRequest&, FetchResponse&, const Ref<Wakeable>&) override {
    return none();
  }

  void call(MetadataRequest request, Reply<MetadataResponse> reply) override {
    MetadataResponse response;
    {
      Lock lock(mutex_);
      for (const std::string& name : request.topics.value_or(std::vector<std::string>())) {
        const auto found = topics_.find(name);
        auto& topic = response.topics.emplace_back();
        topic.name = name;
        if (found == topics_.end()) {
          topic.error = ErrorCode::unknown_topic_or_partition;
          continue;
        }
        topic.id = found->second.id;
        for (std::int32_t i = 0; i < found->second.partitions; ++i) {
          auto& partition = topic.partitions.emplace_back();
          partition.partition = PartitionId(i);
          partition.error =
              offline_.contains({name, i}) ? ErrorCode::kafka_storage_error : ErrorCode::none;
        }
      }
    }
    reply(std::move(response));
  }
  // clang-format off
  void call(CreateTopicsRequest, Reply<CreateTopicsResponse> reply) override { reply(none()); }
  void call(DeleteTopicsRequest, Reply<DeleteTopicsResponse> reply) override { reply(none()); }
  void call(CreatePartitionsRequest, Reply<CreatePartitionsResponse> r) override { r(none()); }
  void call(ListOffsetsRequest, Reply<ListOffsetsResponse> reply) override { reply(none()); }
  void call(DeleteRecordsRequest, Reply<DeleteRecordsResponse> reply) override { reply(none()); }
  void call(InitProducerIdRequest, Reply<InitProducerIdResponse> reply) override {
    if (gives_no_ids) {
      reply(InitProducerIdResponse{ErrorCode::coordinator_not_available, {}, {}});
      return;
    }
    Lock lock(mutex_);
    const ProducerId id(1'000 + producers_made_++);
    lock.unlock();
    reply(InitProducerIdResponse{ErrorCode::none, id, ProducerEpoch(0)});
  }
  void call(JoinGroupRequest, Reply<JoinGroupResponse> reply) override { reply(none()); }
  void call(SyncGroupRequest, Reply<SyncGroupResponse> reply) override { reply(none()); }
  void call(HeartbeatRequest, Reply<HeartbeatResponse> reply) override { reply(none()); }
  void call(LeaveGroupRequest, Reply<LeaveGroupResponse> reply) override { reply(none()); }
  void call(OffsetCommitRequest, Reply<OffsetCommitResponse> reply) override { reply(none()); }
  void call(OffsetFetchRequest, Reply<OffsetFetchResponse> reply) override { reply(none()); }
  void call(OffsetDeleteRequest, Reply<OffsetDeleteResponse> reply) override { reply(none()); }
  void call(ListGroupsRequest, Reply<ListGroupsResponse> reply) override { reply(none()); }
  void call(DescribeGroupsRequest, Reply<DescribeGroupsResponse> reply) override { reply(none()); }
  void call(DeleteGroupsRequest, Reply<DeleteGroupsResponse> reply) override { reply(none()); }
  // clang-format on

 private:
  struct Topic {
    TopicId id;
    std::int32_t partitions = 0;
  };
  struct PartitionLog {
    std::vector<SharedBytes> batches;
    Offset end{0};
  };
  static absl::Status none() {
    return error(Fault::unsupported, "the fake leader does not answer this");
  }

  World& world_;
  mutable Mutex mutex_;
  std::uint64_t version_ OTTLA_GUARDED_BY(mutex_) = 1;
  std::uint8_t topics_made_ OTTLA_GUARDED_BY(mutex_) = 0;
  std::int64_t producers_made_ OTTLA_GUARDED_BY(mutex_) = 0;
  std::map<std::string, Topic> topics_ OTTLA_GUARDED_BY(mutex_);
  std::set<std::pair<std::string, std::int32_t>> offline_ OTTLA_GUARDED_BY(mutex_);
  std::map<Place, PartitionLog> logs_ OTTLA_GUARDED_BY(mutex_);
  std::map<Place, std::deque<ProduceRequest>> staged_ OTTLA_GUARDED_BY(mutex_);
};

}  // namespace ottla
