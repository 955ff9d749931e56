// SPDX-License-Identifier: Apache-2.0
//
// Admin on a broker: what Kafka's answers are comes from spec api.md section 4, storage.md section
// 19 and groups.md section 4.
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <ottla/admin/admin.hpp>
#include <ottla/env/fault_file_system.hpp>
#include <ottla/env/small_file.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/fake_connection.hpp"
#include "tests/support/memory_broker.hpp"

using namespace ottla;
using namespace test;

namespace {

TextConsumer member(const MemoryBroker& broker) {
  return must(TextConsumer::open(broker, {.group = "billing",
                                          .topics = {"orders"},
                                          .offset_reset = OffsetReset::earliest,
                                          .auto_commit = false}));
}

std::vector<std::string> read_all(const MemoryBroker& broker, int partitions = 1) {
  TextConsumer consumer = must(TextConsumer::open(broker, {.offset_reset = OffsetReset::earliest}));
  std::vector<TopicPartition> all;
  for (int i = 0; i < partitions; ++i) all.push_back(partition(i));
  must(consumer.assign(all));
  return drain(consumer);
}

std::vector<std::string> group_names(const Admin& admin) {
  std::vector<std::string> names;
  for (const auto& group : must(admin.list_groups())) names.push_back(group.group);
  return names;
}

ErrorCode code(const absl::Status& status) { return error_code(status); }

}  // namespace

TEST_CASE("topics are made, listed, described, given more partitions and deleted by Admin") {
  MemoryEnv env;
  const MemoryBroker broker = open(env);
  const Admin admin = must(Admin::open(broker));
  must(admin.create_topic({.name = "orders", .partitions = 2}));
  CHECK(code(admin.create_topic({.name = "orders"})) == ErrorCode::topic_already_exists);
  must(admin.create_topic({.name = "orders", .if_not_exists = true}));
  must(admin.add_partitions("orders", 3));
  CHECK(code(admin.add_partitions("orders", 3)) == ErrorCode::invalid_partitions);
  CHECK(must(admin.list_topics()) == std::vector<std::string>{"orders"});
  CHECK(must(admin.describe_topic("orders")).partitions.size() == 3);
  must(admin.delete_topic("orders"));
  CHECK(code(admin.describe_topic("orders").status()) == ErrorCode::unknown_topic_or_partition);
}

TEST_CASE("deleted records cannot be read any more, also after a restart, whatever the batch") {
  MemoryEnv env;
  {
    const MemoryBroker broker = open_with_topic(env, 1);
    produce_numbers(broker, 0, 5);  // one batch
    const Admin admin = must(Admin::open(broker));
    CHECK(must(admin.delete_records(partition(0), Offset(3))) == Offset(3));
    CHECK(read_all(broker) == std::vector<std::string>{"orders-0@3 null=n3", "orders-0@4 null=n4"});
    CHECK(must(admin.delete_records(partition(0), Offset(1))) == Offset(3));  // never back
  }
  const MemoryBroker broker = open(env);
  CHECK(read_all(broker) == std::vector<std::string>{"orders-0@3 null=n3", "orders-0@4 null=n4"});
  const Admin admin = must(Admin::open(broker));
  CHECK(must(admin.delete_records(partition(0), before_high_watermark)) == Offset(5));
  CHECK(read_all(broker).empty());
  produce_numbers(broker, 5, 1);
  CHECK(read_all(broker) == std::vector<std::string>{"orders-0@5 null=n5"});
}

TEST_CASE("segments that lie below the deleted records go from the disk") {
  MemoryEnv env;
  const MemoryBroker broker =
      open_with_topic(env, 1, {{"internal.segment.bytes", "100"}, {"file.delete.delay.ms", "0"}});
  for (int i = 0; i < 4; ++i) produce_numbers(broker, i, 1);
  const auto has = [&](const std::string& name) {
    return env.file_system().status("data/orders-0/" + name).ok();
  };
  CHECK(has("00000000000000000000.log"));
  CHECK(must(must(Admin::open(broker)).delete_records(partition(0), Offset(2))) == Offset(2));
  env.advance(2s);
  CHECK_FALSE(has("00000000000000000000.log"));
  CHECK(has("00000000000000000003.log"));
  CHECK(read_all(broker) == std::vector<std::string>{"orders-0@2 null=n2", "orders-0@3 null=n3"});
}

TEST_CASE("nothing is deleted before where the partition begins is written, however often asked") {
  bool fails = true;
  const auto hook = [&](IoCall& call) {
    const bool hit = fails && !call.done && call.operation == IoOperation::rename &&
                     call.to.ends_with("log-start-offset-checkpoint");
    return hit ? error(Fault::io, "the device failed") : absl::OkStatus();
  };
  MemoryEnv env({.files = AnyFileSystem(FaultFileSystem(MemoryFileSystem(), hook))});
  const MemoryBroker broker = open_with_topic(env, 1);
  produce_numbers(broker, 0, 5);
  const Admin admin = must(Admin::open(broker));
  const auto written = [&] {
    return must(read_small_file(env.file_system(), "data/log-start-offset-checkpoint", 1000));
  };
  for (int i = 0; i < 3; ++i) {
    CHECK_FALSE(admin.delete_records(partition(0), Offset(3)).ok());
    CHECK(read_all(broker).size() == 5);
  }
  fails = false;
  CHECK(must(admin.delete_records(partition(0), Offset(3))) == Offset(3));
  CHECK(written() == "0\n1\norders 0 3\n");
}

TEST_CASE("records are not deleted above the end, of a compacted topic, or where there is none") {
  MemoryEnv env;
  const MemoryBroker broker = open_with_topic(env, 1);
  const Admin admin = must(Admin::open(broker));
  produce_numbers(broker, 0, 2);
  CHECK(code(admin.delete_records(partition(0), Offset(3)).status()) ==
        ErrorCode::offset_out_of_range);
  CHECK(code(admin.delete_records(partition(0), Offset(-2)).status()) ==
        ErrorCode::offset_out_of_range);
  CHECK(code(admin.delete_records(partition(1), Offset(0)).status()) ==
        ErrorCode::unknown_topic_or_partition);
  CHECK(code(admin.delete_records({"orders", PartitionId(-1)}, Offset(0)).status()) ==
        ErrorCode::unknown_topic_or_partition);
  CHECK(code(admin.delete_records({"a/b", PartitionId(0)}, Offset(0)).status()) ==
        ErrorCode::invalid_topic_exception);
  must(admin.create_topic(
      {.name = "compacted", .partitions = 1, .configs = {{"cleanup.policy", "compact"}}}));
  const absl::Status refused =
      admin.delete_records({"compacted", PartitionId(0)}, Offset(0)).status();
  CHECK(code(refused) == ErrorCode::policy_violation);
  CHECK(refused.message().find("cleanup.policy") != std::string::npos);
  CHECK(read_all(broker).size() == 2);
}

TEST_CASE("a group is listed and described with what its members read") {
  MemoryEnv env;
  const MemoryBroker broker = open_with_topic(env, 2);
  const Admin admin = must(Admin::open(broker));
  CHECK(group_names(admin).empty());
  CHECK(code(admin.describe_group("billing").status()) == ErrorCode::group_id_not_found);
  {
    TextConsumer consumer = member(broker);
    drain(consumer);
    CHECK(group_names(admin) == std::vector<std::string>{"billing"});
    const GroupDescription group = must(admin.describe_group("billing"));
    CHECK(group.state == "Stable");
    CHECK(group.protocol_type == "consumer");
    REQUIRE(group.members.size() == 1);
    CHECK(group.members[0].assignment == std::vector<TopicPartition>{partition(0), partition(1)});
  }
  CHECK(must(admin.describe_group("billing")).members.empty());
}

TEST_CASE("a group's offsets are listed with their lag, moved and deleted") {
  MemoryEnv env;
  const MemoryBroker broker = open_with_topic(env, 2);
  const Admin admin = must(Admin::open(broker));
  produce_numbers(broker, 0, 3, 0);
  produce_numbers(broker, 3, 2, 1);
  {
    TextConsumer consumer = member(broker);
    CHECK(drain(consumer).size() == 5);
    must(consumer.commit());
    produce_numbers(broker, 5, 4, 1);
    const auto offsets = must(admin.list_group_offsets("billing"));
    REQUIRE(offsets.size() == 2);
    CHECK((offsets[0].partition == partition(0) && offsets[0].offset == Offset(3)));
    CHECK(offsets[0].lag() == 0);
    CHECK((offsets[1].offset == Offset(2) && offsets[1].end == Offset(6)));
    CHECK(offsets[1].lag() == 4);
    must(admin.delete_records(partition(1), Offset(5)).status());
    CHECK(must(admin.list_group_offsets("billing"))[1].lag() == 1);  // what is left of them

    const absl::Status moved = admin.alter_group_offsets("billing", {{partition(0), Offset(0)}});
    CHECK(code(moved) == ErrorCode::unknown_member_id);
    CHECK(moved.message().find("close its consumers first") != std::string::npos);
    CHECK(code(admin.delete_group("billing")) == ErrorCode::non_empty_group);
    CHECK(code(admin.delete_group_offsets("billing", {partition(0)})) ==
          ErrorCode::group_subscribed_to_topic);
  }
  must(admin.alter_group_offsets("billing", {{partition(0), Offset(1)}}));
  {
    TextConsumer consumer = member(broker);
    CHECK(drain(consumer) == std::vector<std::string>{"orders-0@1 null=n1", "orders-0@2 null=n2",
                                                      "orders-1@5 null=n8"});
  }
  must(admin.delete_group_offsets("billing", {partition(1)}));
  CHECK(must(admin.list_group_offsets("billing")).size() == 1);
  must(admin.delete_group("billing"));
  CHECK(group_names(admin).empty());
  CHECK(must(admin.list_group_offsets("billing")).empty());
  CHECK(code(admin.delete_group("billing")) == ErrorCode::group_id_not_found);
}

TEST_CASE("what a coordinator refuses is told with what to do, to try again where that may help") {
  const FakeHost host;
  const Admin admin = must(Admin::open(host));
  for (const auto& [code, remedy] :
       {std::pair(ErrorCode::policy_violation, "as many groups as it takes"),
        std::pair(ErrorCode::invalid_request, "too long"),
        std::pair(ErrorCode::not_coordinator, "try again"),
        std::pair(ErrorCode::group_authorization_failed, "it was refused")}) {
    host.connection->on_commit = [&, code = code](const OffsetCommitRequest& request,
                                                  Reply<OffsetCommitResponse> reply) {
      reply(OffsetCommitResponse{.partitions = {{request.partitions.at(0).partition, code}}});
    };
    const absl::Status refused = admin.alter_group_offsets("g", {{partition(0), Offset(0)}});
    CHECK(error_code(refused) == code);
    CHECK(refused.message().find(remedy) != std::string::npos);
  }
}

TEST_CASE("offsets make a group that was not there; a bad one or an unknown partition is refused") {
  MemoryEnv env;
  const MemoryBroker broker = open_with_topic(env, 1);
  const Admin admin = must(Admin::open(broker));
  produce_numbers(broker, 0, 3);
  CHECK(code(admin.alter_group_offsets("billing", {{partition(0), Offset(-1)}})) ==
        ErrorCode::invalid_request);
  CHECK(code(admin.alter_group_offsets("billing", {{partition(7), Offset(0)}})) ==
        ErrorCode::unknown_topic_or_partition);
  must(admin.alter_group_offsets("billing", {{partition(0), Offset(2)}}));
  TextConsumer consumer = member(broker);
  CHECK(drain(consumer) == std::vector<std::string>{"orders-0@2 null=n2"});
}

TEST_CASE("an offset of a partition that is gone has no lag") {
  CHECK(GroupOffset{.offset = Offset(3)}.lag() == std::nullopt);
  CHECK(GroupOffset{.offset = Offset(3), .end = Offset(1)}.lag() == 0);
}

TEST_CASE("an admin outlives its broker, and says what is wrong with one that was moved from") {
  MemoryEnv env;
  std::optional<MemoryBroker> broker = open_with_topic(env, 1);
  Admin admin = must(Admin::open(*broker));
  const MemoryBroker other = std::move(*broker);
  CHECK(fault(Admin::open(*broker).status()) == Fault::moved_from);
  must(other.close());
  CHECK(fault(admin.list_topics().status()) == Fault::closed);
  CHECK(fault(admin.delete_records(partition(0), Offset(0)).status()) == Fault::closed);
  CHECK(fault(admin.list_groups().status()) == Fault::closed);
  const Admin moved = std::move(admin);
  CHECK(fault(admin.list_topics().status()) == Fault::moved_from);
  CHECK(code(Admin::open(other, {.timeout = std::chrono::milliseconds(-1)}).status()) ==
        ErrorCode::invalid_config);
}
