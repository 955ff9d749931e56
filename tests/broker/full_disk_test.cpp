// SPDX-License-Identifier: Apache-2.0
//
// A broker whose disk is full, but for what it keeps for that: what is old goes, and it stops
// clean.
#include <string>

#include <ottla/env/fault_file_system.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/memory_broker.hpp"

using namespace ottla;
using namespace test;

TEST_CASE("On a full disk what is too old goes, and the broker stops clean") {
  MemoryFileSystem memory;
  const auto there = [&](std::string_view name) {
    return memory.status("data/" + std::string(name)).ok();
  };
  bool full = false;
  const auto has_reserve = [&] {
    const auto reserve = memory.status("data/.ottla_reserve");
    return reserve.ok() && reserve->size > 0;
  };
  MemoryEnv env({.files = AnyFileSystem(FaultFileSystem(memory, [&](IoCall& call) {
                   return full && call.operation == IoOperation::write && !call.done &&
                                  has_reserve()
                              ? error(Fault::no_space, "no space left")
                              : absl::OkStatus();
                 }))});
  {
    MemoryBroker broker = open_with_topic(env, 1, {{"retention.ms", "3600000"}});
    must(broker.create_topic({.name = "never-written", .partitions = 1}));
    produce_numbers(broker, 0, 1000, 0, {.batch_size = 1});
    full = true;
    env.advance(2h);
    CHECK_FALSE(there("orders-0/00000000000000000000.log"));
    CHECK(must(memory.status("data/orders-0/00000000000000001000.log")).size == 0);
    must(broker.close());
  }
  CHECK(there(".kafka_cleanshutdown"));
  CHECK(there(".ottla_clean"));
  full = false;
  const MemoryBroker broker = open(env);
  CHECK(has_reserve());
  produce_numbers(broker, 1000, 1);
}

TEST_CASE("On a full disk partitions cannot be opened; the same call opens them when it has room") {
  bool full = false;
  MemoryEnv env({.files = AnyFileSystem(FaultFileSystem(MemoryFileSystem(), [&](IoCall& call) {
                   const bool hit = full && call.operation == IoOperation::create_directory &&
                                    call.path.find("orders-2") != std::string_view::npos;
                   return hit && !call.done ? error(Fault::no_space, "no space left; free some")
                                            : absl::OkStatus();
                 }))});
  std::string told;
  const MemoryBroker broker = open(env, {.on_event = [&](const BrokerEvent& event) {
                                     if (event.code == "partition_offline") {
                                       told += event.file + ": " + event.text;
                                     }
                                   }});
  must(broker.create_topic({.name = "orders", .partitions = 2}));
  full = true;
  for (int i = 0; i < 2; ++i) {
    const absl::Status failed = broker.add_partitions("orders", 3);
    INFO(failed);
    CHECK(error_code(failed) == ErrorCode::kafka_storage_error);
    CHECK(outcome(failed) == Outcome::unknown);
    CHECK(failed.message().find("no space left; free some") != std::string::npos);
    CHECK(told ==
          "orders-2: no space left; free some; create_topic with if_not_exists tries again");
    told.clear();
  }
  full = false;
  CHECK(error_code(broker.add_partitions("orders", 2)) == ErrorCode::invalid_partitions);
  must(broker.add_partitions("orders", 3));
  CHECK(told.empty());
  produce_numbers(broker, 0, 1, 2);
  CHECK(error_code(broker.add_partitions("orders", 3)) == ErrorCode::invalid_partitions);
}
