// SPDX-License-Identifier: Apache-2.0
//
// A broker whose disk is full, but for what it keeps for that: what is old goes, and it stops
// clean.
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
  MemoryEnv env({.files = AnyFileSystem(FaultFileSystem(memory, [&](IoCall& call) {
                   return full && call.operation == IoOperation::write && !call.done &&
                                  there(".ottla_reserve")
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
  CHECK(there(".ottla_reserve"));
  produce_numbers(broker, 1000, 1);
}
