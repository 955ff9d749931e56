// SPDX-License-Identifier: Apache-2.0
//
// Members that died with their process hold up nobody when the broker is opened again.
#include <string>

#include <ottla/admin/admin.hpp>
#include <ottla/env/fault_file_system.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/memory_broker.hpp"

using namespace ottla;
using namespace test;

namespace {

ConsumerConfig billing(std::vector<std::string> assignors = {"range"}) {
  return {.group = "billing",
          .topics = {"orders"},
          .offset_reset = OffsetReset::earliest,
          .auto_commit = false,
          .assignors = std::move(assignors)};
}

/// A process that ends while it has a member, which has committed 10.
void die_as_member(MemoryEnv& env) {
  const MemoryBroker broker = open_with_topic(env, 1);
  produce_numbers(broker, 0, 10);
  TextConsumer consumer = must(TextConsumer::open(broker, billing()));
  CHECK(must(consumer.poll(100ms)).count() == 10);
  must(consumer.commit());
  must(broker.close());
}

}  // namespace

TEST_CASE("after a restart who assigns by hand commits at once") {
  MemoryEnv env;
  die_as_member(env);
  const MemoryBroker broker = open(env);
  TextConsumer consumer =
      must(TextConsumer::open(broker, {.group = "billing", .auto_commit = false}));
  must(consumer.assign({partition(0)}));
  must(consumer.commit({{partition(0), {Offset(3)}}}));
}

TEST_CASE("after a restart a group's offsets are altered, and it is deleted, at once") {
  MemoryEnv env;
  die_as_member(env);
  const MemoryBroker broker = open(env);
  const Admin admin = must(Admin::open(broker));
  must(admin.alter_group_offsets("billing", {{partition(0), Offset(2)}}));
  must(admin.delete_group("billing"));
}

TEST_CASE("after a restart a subscriber may have another assignor, at its first poll") {
  MemoryEnv env;
  die_as_member(env);
  const MemoryBroker broker = open(env);
  TextConsumer consumer = must(TextConsumer::open(broker, billing({"cooperative-sticky"})));
  must(consumer.poll(100ms).status());
  CHECK(must(consumer.assignment()).size() == 1);
}

TEST_CASE("commits can be read on a disk that takes no write, though members are to be ended") {
  bool full = false;
  const auto hook = [&](IoCall& call) {
    const bool hit = full && !call.done && call.operation == IoOperation::write &&
                     call.path.find("__consumer_offsets") != std::string_view::npos;
    return hit ? error(Fault::no_space, "no space left", Outcome::not_written) : absl::OkStatus();
  };
  MemoryEnv env({.files = AnyFileSystem(FaultFileSystem(MemoryFileSystem(), hook))});
  die_as_member(env);
  full = true;
  const MemoryBroker broker = open(env);
  TextConsumer consumer =
      must(TextConsumer::open(broker, {.group = "billing", .auto_commit = false}));
  CHECK(must(consumer.committed({partition(0)})).at(partition(0)).offset == Offset(10));
  full = false;
  must(consumer.assign({partition(0)}));
  must(consumer.commit({{partition(0), {Offset(3)}}}));
}
