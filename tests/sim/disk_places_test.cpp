// SPDX-License-Identifier: Apache-2.0
//
// Two log directories, in one of which the making of a partition fails: wherever it is made then,
// it never lies in both.
#include <string>
#include <utility>
#include <vector>

#include <ottla/broker/broker.hpp>
#include <ottla/consumer/consumer.hpp>
#include <ottla/producer/producer.hpp>
#include <ottla/sim/sim_disk.hpp>
#include <ottla/sim/sim_env.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/must.hpp"

using namespace ottla;
using namespace std::chrono_literals;
using test::must;

namespace {

using SimBroker = BasicBroker<SimEnv<SimFileSystem>>;
using Texts = std::vector<std::string>;

/// A life of a broker; which partitions were offline in it.
template <class Work>
Texts live(SimDisk& disk, std::uint64_t seed, Work work) {
  Texts offline;
  SimScheduler world({.seed = seed});
  SimEnv<SimFileSystem> env(world, disk.file_system());
  must(world.run(env.process(), [&] {
    auto opened = SimBroker::open(
        env, {.log_dirs = LogDirs({"/d0", "/d1"}), .on_event = [&](const BrokerEvent& event) {
                if (event.code == "partition_offline") {
                  offline.push_back(event.text);
                }
              }});
    if (opened.ok()) {
      work(*opened);
      opened->close().IgnoreError();
    }
  }));
  return offline;
}

bool create(const SimBroker& broker, const std::string& topic) {
  return broker
      .create_topic({.name = topic,
                     .partitions = 1,
                     .configs = {{"flush.messages", "1"}},
                     .if_not_exists = true})
      .ok();
}

bool send(const SimBroker& broker, const std::string& value) {
  auto producer =
      must(Producer<std::string, std::string>::open(broker, {.linger = 0ms, .retries = 0}));
  const auto sent = producer.send({.topic = "orders", .value = value});
  return sent.ok() && producer.wait(*sent).ok();
}

Texts read(const SimBroker& broker) {
  auto consumer = must(
      Consumer<std::string, std::string>::open(broker, {.offset_reset = OffsetReset::earliest}));
  must(consumer.assign({{"orders", PartitionId(0)}}));
  Texts values;
  for (auto records = must(consumer.poll(1ms)); !records.empty();
       records = must(consumer.poll(1ms))) {
    for (const auto& record : records) {
      values.push_back(*record.value());
    }
  }
  return values;
}

bool is_there(SimDisk& disk, const std::string& path) {
  return disk.file_system().status(path).ok();
}

/// What the clients of a life know, and the calls of the disk when they learnt it.
struct Story {
  bool tried = false;  // to make "orders-0" in /d1
  bool sent = false;   // a record in it, which was answered
  std::uint64_t before = 0;
  std::uint64_t after = 0;
};

/// Where the first try fails, /d0 has no more partitions than /d1 at the second one.
Story make_orders(SimDisk& disk, const SimBroker& broker) {
  Story story;
  create(broker, "first");
  story.before = disk.calls();
  story.tried = create(broker, "orders");
  story.after = disk.calls();
  create(broker, "second");
  create(broker, "orders");
  story.sent = send(broker, "first");
  return story;
}

void check(SimDisk& disk, const Story& story) {
  CHECK((!is_there(disk, "/d0/orders-0") || !is_there(disk, "/d1/orders-0")));
  const Texts offline = live(disk, 2, [&](const SimBroker& broker) {
    CHECK(create(broker, "orders"));
    CHECK(send(broker, "second"));
    const Texts values = read(broker);
    CHECK((values == Texts{"first", "second"} || (!story.sent && values == Texts{"second"})));
  });
  CHECK(offline == Texts());
}

/// Dies, unless it is dead, and checks what is left.
void check_after(SimDisk& disk, const Story& story, CrashKind kind) {
  if (!disk.down()) {
    disk.crash(kind);
  }
  if (kind == CrashKind::power) {
    disk.for_each_durable_state(4, [&](SimDisk& state) { check(state, story); });
  } else {
    disk.restart();
    disk.heal();
    check(disk, story);
  }
}

/// Of that call, the first time.
SimDiskOptions failing_once(bool& failed) {
  return {.choose_fault = [&failed](const IoCall& call) {
    const bool now = call.operation == IoOperation::sync_directory &&
                     call.reason == IoReason::create_partition && call.path == "/d1" && !failed;
    failed = failed || now;
    return now ? SimFault::no_descriptors : SimFault::none;
  }};
}

}  // namespace

TEST_CASE("Whichever call fails that makes a partition, it lies in one log directory") {
  Story whole;
  {
    SimDisk disk;
    live(disk, 1, [&](const SimBroker& broker) { whole = make_orders(disk, broker); });
    REQUIRE(whole.sent);
    REQUIRE(is_there(disk, "/d1/orders-0"));
  }
  int left = 0;  // in /d1 by a try that failed
  for (const SimFault fault : {SimFault::no_descriptors, SimFault::io, SimFault::no_space,
                               SimFault::denied, SimFault::sync_keeps, SimFault::sync_reverts}) {
    for (std::uint64_t call = whole.before + 1; call <= whole.after; ++call) {
      for (const CrashKind kind : {CrashKind::process, CrashKind::power}) {
        CAPTURE(call, name(fault), static_cast<int>(kind));
        SimDisk disk;
        disk.fail_at(call, fault);
        Story story;
        live(disk, 1, [&](const SimBroker& broker) {
          story = make_orders(disk, broker);
          disk.crash(kind);
        });
        left += !story.tried && story.sent ? 1 : 0;
        check_after(disk, story, kind);
      }
    }
  }
  CHECK(left > 0);
}

TEST_CASE("A partition whose making failed lies in one log directory whenever the broker dies") {
  Story whole;
  std::uint64_t calls = 0;
  {
    bool failed = false;
    SimDisk disk(failing_once(failed));
    live(disk, 1, [&](const SimBroker& broker) {
      whole = make_orders(disk, broker);
      calls = disk.calls();
    });
    REQUIRE(failed);
    REQUIRE_FALSE(whole.tried);
    REQUIRE(whole.sent);
  }
  for (std::uint64_t call = whole.after + 1; call <= calls; ++call) {
    for (const CrashKind kind : {CrashKind::process, CrashKind::power}) {
      CAPTURE(call, static_cast<int>(kind));
      bool failed = false;
      SimDisk disk(failing_once(failed));
      disk.crash_at(call, kind);
      Story story;
      live(disk, 1, [&](const SimBroker& broker) { story = make_orders(disk, broker); });
      REQUIRE(disk.down());
      check_after(disk, story, kind);
    }
  }
}

TEST_CASE("A topic whose partition could not be made is deleted, and one of its name made") {
  bool failed = false;
  SimDisk disk(failing_once(failed));
  Story story;
  live(disk, 1, [&](const SimBroker& broker) {
    create(broker, "first");
    CHECK_FALSE(create(broker, "orders"));
    CHECK(is_there(disk, "/d1/orders-0"));
    must(broker.delete_topic("orders"));
    CHECK_FALSE(is_there(disk, "/d1/orders-0"));
    CHECK(create(broker, "orders"));
    story.sent = send(broker, "first");
    CHECK(story.sent);
  });
  check_after(disk, story, CrashKind::power);
}
