// SPDX-License-Identifier: Apache-2.0
//
// A partition of __consumer_offsets is damaged: what its groups are told, what others do, and the
// way out.
#include <algorithm>
#include <string>
#include <vector>

#include <ottla/admin/admin.hpp>
#include <ottla/env/fault_file_system.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/memory_broker.hpp"

using namespace ottla;
using namespace test;

namespace {

const std::string damaged = "data/__consumer_offsets-9";  // of the group "billing"

TextConsumer member(const MemoryBroker& broker, const std::string& group) {
  return must(TextConsumer::open(broker, {.group = group,
                                          .topics = {"orders"},
                                          .offset_reset = OffsetReset::earliest,
                                          .auto_commit = false}));
}

void read_all(const MemoryBroker& broker, const std::string& group) {
  TextConsumer consumer = member(broker, group);
  CHECK(drain(consumer).size() == 3);
  must(consumer.commit());
}

absl::StatusOr<OffsetsToCommit> committed(const MemoryBroker& broker, const std::string& group) {
  TextConsumer consumer = must(TextConsumer::open(broker, {.group = group, .api_timeout = 200ms}));
  return consumer.committed({partition(0)});
}

/// A bit in the first of several batches.
void flip_a_bit(MemoryEnv& env) {
  auto log = must(env.file_system().open(damaged + "/00000000000000000000.log",
                                         OpenMode::read_write, IoReason::other));
  std::byte one[1];
  must(log.read(70, MutableBytes(one)));
  one[0] ^= std::byte{1};
  const Bytes piece(one);
  must(log.write(70, {&piece, 1}, IoReason::other));
}

void forget_clean_stop(MemoryEnv& env) {
  for (const std::string name : {".kafka_cleanshutdown", ".ottla_clean"}) {
    const absl::Status removed = env.file_system().remove("data/" + name, IoReason::other);
    REQUIRE((removed.ok() || fault(removed) == Fault::not_found));
  }
}

void move_away(MemoryEnv& env) {
  auto& files = env.file_system();
  for (const auto& entry : must(files.list(damaged))) {
    must(files.remove(damaged + "/" + entry.name, IoReason::other));
  }
  must(files.remove_directory(damaged, IoReason::other));
}

void check_advice(const absl::Status& why) {
  INFO(why);
  CHECK(fault(why) == Fault::corrupt);
  CHECK(why.message().find("move the directory " + damaged + " away") != std::string::npos);
  CHECK(why.message().find("seek to") == std::string::npos);
}

}  // namespace

TEST_CASE("groups of a damaged log say what can be done, and hold up no others") {
  MemoryEnv env;
  const bool crashed = GENERATE(false, true);
  INFO(crashed);
  {
    const MemoryBroker broker = open_with_topic(env, 1);
    produce_numbers(broker, 0, 3);
    read_all(broker, "billing");
    read_all(broker, "audit");
  }
  flip_a_bit(env);
  if (crashed) {
    forget_clean_stop(env);
  }
  std::vector<BrokerEvent> told;
  const BrokerConfig config{.on_event = [&](const BrokerEvent& event) { told.push_back(event); }};
  {
    const MemoryBroker broker = open(env, config);
    check_advice(committed(broker, "billing").status());
    check_advice(member(broker, "billing").poll(10ms).status());
    CHECK(must(committed(broker, "audit")).at(partition(0)).offset == Offset(3));

    const Admin admin = must(Admin::open(broker));
    check_advice(admin.delete_group("billing"));
    const auto groups = must(admin.list_groups());
    REQUIRE(groups.size() == 1);
    CHECK(groups[0].group == "audit");
    const auto event = std::find_if(told.begin(), told.end(), [](const BrokerEvent& each) {
      return each.code == "groups_damaged";
    });
    REQUIRE(event != told.end());
    CHECK(event->file == "__consumer_offsets-9");
    CHECK(event->text.find(damaged) != std::string::npos);

    must(broker.delete_topic("orders"));
    must(broker.create_topic({.name = "orders"}));
    CHECK(must(committed(broker, "audit")).empty());
    produce_numbers(broker, 0, 3);
    read_all(broker, "audit");
  }
  move_away(env);
  told.clear();
  {
    const MemoryBroker broker = open(env, config);
    REQUIRE(told.size() == 1);
    CHECK(told[0].code == "offsets_lost");
    CHECK(told[0].file == damaged);
    CHECK(must(committed(broker, "billing")).empty());
    CHECK(must(committed(broker, "audit")).at(partition(0)).offset == Offset(3));
    read_all(broker, "billing");
  }
  const MemoryBroker broker = open(env, config);
  CHECK(must(committed(broker, "billing")).at(partition(0)).offset == Offset(3));
  CHECK(told.size() == 1);
}

TEST_CASE("a log of groups that was taken away is not missed again after a crash") {
  MemoryEnv env;
  {
    const MemoryBroker broker = open_with_topic(env, 1);
    produce_numbers(broker, 0, 3);
    read_all(broker, "billing");
  }
  move_away(env);
  { const MemoryBroker broker = open(env); }
  forget_clean_stop(env);
  std::vector<BrokerEvent> told;
  const MemoryBroker broker =
      open(env, {.on_event = [&](const BrokerEvent& event) { told.push_back(event); }});
  CHECK(told.empty());
  CHECK(must(committed(broker, "billing")).empty());
  read_all(broker, "billing");
}

TEST_CASE("that it was taken away is written before it begins anew, whatever failed before") {
  bool fails = false;
  bool dead = false;
  MemoryEnv env(
      {.files = AnyFileSystem(FaultFileSystem(MemoryFileSystem(), [&](IoCall& call) {
         const bool changes = call.operation == IoOperation::write ||
                              call.operation == IoOperation::rename ||
                              call.operation == IoOperation::remove;
         const bool hit =
             changes &&
             (dead || (fails && call.path.find("recovery-point-offset") != std::string_view::npos));
         return hit && !call.done ? error(Fault::io, "input/output error") : absl::OkStatus();
       }))});
  {
    const MemoryBroker broker = open_with_topic(env, 1);
    produce_numbers(broker, 0, 3);
    read_all(broker, "billing");
  }
  move_away(env);
  std::vector<BrokerEvent> told;
  const BrokerConfig config{.on_event = [&](const BrokerEvent& event) { told.push_back(event); }};
  {
    fails = true;
    const MemoryBroker broker = open(env, config);
    fails = false;
    CHECK(must(committed(broker, "billing")).empty());
    CHECK(std::count_if(told.begin(), told.end(),
                        [](const BrokerEvent& each) { return each.code == "offsets_lost"; }) == 1);
    dead = true;
  }
  dead = false;
  told.clear();
  const MemoryBroker broker = open(env, config);
  CHECK(told.empty());
  read_all(broker, "billing");
}
