// SPDX-License-Identifier: Apache-2.0
//
// Directories that are found and not served: what is kept of them, and what is said.
#include <map>
#include <string>

#include <ottla/env/fault_file_system.hpp>
#include <ottla/env/small_file.hpp>
#include <ottla/log/partition_metadata.hpp>

#include "site.hpp"
#include "tests/support/catch.hpp"

using namespace ottla;
using namespace test;

namespace {

void put(MemoryEnv& env, const std::string& path, std::string_view text) {
  must(replace_small_file(env.file_system(), path, as_bytes(text), Durability::written,
                          IoReason::other));
}

void make_directory(MemoryEnv& env, const std::string& path) {
  must(env.file_system().create_directory(path, IoReason::other));
}

Uuid some_id(int n) {
  Uuid id;
  id.bytes[15] = static_cast<std::byte>(n);
  return id;
}

/// By "code file".
using Told = std::map<std::string, std::string>;

BrokerConfig telling(Told& told) {
  return {.on_event = [&told](const BrokerEvent& event) {
    told[event.code + " " + event.file] = event.text;
  }};
}

}  // namespace

TEST_CASE(
    "what checkpoints say of a directory that is left alone is kept, also once it is served") {
  MemoryEnv env;
  const std::string starts = "data/log-start-offset-checkpoint";
  const auto noted = [&] { return must(read_small_file(env.file_system(), starts, 1'000)); };
  make_directory(env, "data");
  {
    const MemoryBroker broker = open_with_topic(env, 1);
    for (int i = 0; i < 10; ++i) produce_numbers(broker, i, 1);
  }
  const std::string identity = "data/orders-0/partition.metadata";
  const std::string whose = must(read_small_file(env.file_system(), identity, 1'000));
  must(env.file_system().remove(identity, IoReason::other));
  must(env.file_system().remove("data/ottla_metadata", IoReason::other));
  put(env, starts, "0\n3\ngone 3 5\norders 0 7\norders 1 2\n");
  put(env, "data/.ottla_sums", "");
  for (int i = 0; i < 2; ++i) {
    Told told;
    const MemoryBroker broker = open(env, telling(told));
    CHECK(told.contains("unknown_directory data/orders-0"));
  }
  CHECK(noted() == "0\n1\norders 0 7\n");
  put(env, identity, whose);
  const MemoryBroker broker = open(env);
  auto consumer = must(TextConsumer::open(broker));
  CHECK(must(consumer.beginning_offsets({partition(0)})).at(partition(0)) == Offset(7));
}

TEST_CASE("a new topic does not get what checkpoints say of a directory that was moved away") {
  MemoryEnv env;
  make_directory(env, "data");
  make_directory(env, "data/orders-0");
  put(env, "data/orders-0/00000000000000000000.log", "of somebody");
  put(env, "data/log-start-offset-checkpoint", "0\n1\norders 0 7\n");
  put(env, "data/recovery-point-offset-checkpoint", "0\n1\norders 0 9\n");
  const MemoryBroker broker = open(env);
  must(env.file_system().rename("data/orders-0", "moved", IoReason::other));
  must(broker.create_topic({.name = "orders", .partitions = 1}));
  produce_numbers(broker, 0, 1);
  auto consumer = must(TextConsumer::open(broker, {.offset_reset = OffsetReset::earliest}));
  must(consumer.assign({partition(0)}));
  CHECK(drain(consumer) == std::vector<std::string>{"orders-0@0 null=n0"});
}

TEST_CASE("a directory whose owner could not be read for a moment is recovered like any other") {
  bool fails = false;
  const auto hook = [&](IoCall& call) {
    const bool hit = fails && !call.done && call.operation == IoOperation::open &&
                     call.path.ends_with("orders-0/partition.metadata");
    fails = fails && !hit;
    return hit ? error(Fault::io, "the device failed") : absl::OkStatus();
  };
  Site site{.env = MemoryEnv({.files = AnyFileSystem(FaultFileSystem(MemoryFileSystem(), hook))})};
  const auto segment = [](int base) {
    return "/orders-0/" + offset_file_name(Offset(base), log_suffix);
  };
  {
    const MemoryBroker broker = site.open();
    must(broker.create_topic({.name = "orders", .configs = {{"internal.segment.bytes", "100"}}}));
    for (int i = 0; i < 3; ++i) produce_numbers(broker, i, 1);
    site.kill();
  }
  std::vector<std::string> left = {"orders-0@0 null=n0"};
  SECTION("after the death of its process") {
    site.write(segment(2), site.read(segment(2)) + "torn");
    left.insert(left.end(), {"orders-0@1 null=n1", "orders-0@2 null=n2"});
  }
  SECTION("after the death of the machine, which took a segment's end and what lay behind it") {
    site.reboot();
    site.write(segment(1), "");
    site.write(segment(2), "");
  }
  fails = true;
  const MemoryBroker broker = site.open();
  CHECK_FALSE(fails);
  produce_numbers(broker, 9, 1);
  left.push_back("orders-0@" + std::to_string(left.size()) + " null=n9");
  auto consumer = must(TextConsumer::open(broker, {.offset_reset = OffsetReset::earliest}));
  must(consumer.assign({partition(0)}));
  CHECK(drain(consumer) == left);
}

TEST_CASE("a directory with the name of another topic is not said to be served") {
  MemoryEnv env;
  { const MemoryBroker broker = open_with_topic(env, 1); }
  make_directory(env, "data/orders-1");
  put(env, "data/orders-1/partition.metadata", format_partition_metadata(some_id(7)));
  {
    Told told;
    const MemoryBroker broker = open(env, telling(told));
    CHECK_FALSE(told.contains("adopted_topic orders"));
    REQUIRE(told.contains("not_adopted data/orders-1"));
    CHECK(told["not_adopted data/orders-1"].find(some_id(7).to_string()) != std::string::npos);
    CHECK(must(broker.describe_topic("orders")).partitions.size() == 1);
    must(broker.delete_topic("orders"));  // as it says
  }
  Told told;
  const MemoryBroker broker = open(env, telling(told));
  CHECK(told.contains("adopted_topic orders"));
  CHECK(must(broker.describe_topic("orders")).id == some_id(7));
}

TEST_CASE(
    "where an adoption cannot be written opening fails, with the reason, and is tried again") {
  bool full = false;
  MemoryFileSystem memory;
  MemoryEnv env({.files = AnyFileSystem(FaultFileSystem(memory, [&](IoCall& call) {
                   const bool hit = full && !call.done && call.reason == IoReason::metadata &&
                                    call.operation == IoOperation::write;
                   return hit ? error(ErrorCode::kafka_storage_error, Fault::no_space, "disk full")
                              : absl::OkStatus();
                 }))});
  { const MemoryBroker broker = open_with_topic(env, 1); }
  make_directory(env, "data/mail-0");
  put(env, "data/mail-0/partition.metadata", format_partition_metadata(some_id(7)));
  full = true;
  Told told;
  BrokerConfig config = telling(told);
  config.log_dirs = "data";
  const auto refused = MemoryBroker::open(env, config);
  CHECK(fault(refused.status()) == Fault::no_space);
  CHECK(std::string(sv(refused.status().message())).find("'mail'") != std::string::npos);
  CHECK(std::string(sv(refused.status().message())).find("disk full") != std::string::npos);
  CHECK(told.contains("topics_refused data"));
  CHECK_FALSE(told.contains("adopted_topic mail"));
  full = false;
  const MemoryBroker broker = open(env, telling(told));
  CHECK(told.contains("adopted_topic mail"));
  CHECK(broker.describe_topic("mail").ok());
}
