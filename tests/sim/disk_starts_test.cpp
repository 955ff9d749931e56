// SPDX-License-Identifier: Apache-2.0
//
// Where partitions begin, once records were deleted, on a disk that loses what was not synced.
#include <optional>
#include <utility>

#include <ottla/admin/admin.hpp>
#include <ottla/broker/broker.hpp>
#include <ottla/broker/broker_directory.hpp>
#include <ottla/consumer/consumer.hpp>
#include <ottla/env/memory/memory_env.hpp>
#include <ottla/producer/producer.hpp>
#include <ottla/sim/sim_disk.hpp>
#include <ottla/sim/sim_env.hpp>

#include "tests/log/directory_fixture.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/must.hpp"

using namespace ottla;
using namespace std::chrono_literals;
using test::must;

namespace {

using SimBroker = BasicBroker<SimEnv<SimFileSystem>>;
const TopicPartition orders{"orders", PartitionId(0)};

/// Five records, of which three are deleted; whether that was answered.
bool delete_three(const SimBroker& broker) {
  const TopicDefinition topic{
      .name = "orders", .partitions = 1, .configs = {{"flush.messages", "1"}}};
  if (!broker.create_topic(topic).ok()) {
    return false;
  }
  auto producer =
      must(Producer<std::string, std::string>::open(broker, {.linger = 0ms, .retries = 0}));
  for (int i = 0; i < 5; ++i) {
    const auto sent = producer.send({.topic = "orders", .value = "v"});
    if (!sent.ok() || !producer.wait(*sent).status().ok()) {
      return false;
    }
  }
  const Admin admin = must(Admin::open(broker));
  return admin.delete_records(orders, Offset(3)).ok();
}

template <class Work>
void live(SimDisk& disk, std::uint64_t seed, Work work) {
  SimScheduler world({.seed = seed});
  SimEnv<SimFileSystem> env(world, disk.file_system());
  must(world.run(env.process(), [&] {
    auto opened = SimBroker::open(env, {.log_dirs = "data", .offsets_topic_partitions = 1});
    if (opened.ok()) {
      work(*opened);
      opened->close().IgnoreError();
    }
  }));
}

Offset start_of(SimDisk& disk) {
  Offset start(-1);
  live(disk, 2, [&](const SimBroker& broker) {
    auto consumer = must(Consumer<std::string, std::string>::open(broker, {}));
    start = must(consumer.beginning_offsets({orders})).at(orders);
  });
  return start;
}

}  // namespace

TEST_CASE("Records whose deletion was answered do not come back after a power cut") {
  std::uint64_t calls = 0;
  {
    SimDisk disk(SimDiskOptions{});
    live(disk, 1, [&](const SimBroker& broker) { CHECK(delete_three(broker)); });
    calls = disk.calls();
  }
  int answered = 0;
  for (std::uint64_t call = 1; call <= calls; ++call) {
    SimDisk disk(SimDiskOptions{});
    bool deleted = false;
    disk.crash_at(call, CrashKind::power);
    live(disk, 1, [&](const SimBroker& broker) { deleted = delete_three(broker); });
    if (!deleted) {
      continue;
    }
    ++answered;
    CAPTURE(call);
    disk.for_each_durable_state(8, [&](SimDisk& state) { CHECK(start_of(state) == Offset(3)); });
  }
  CHECK(answered > 0);
}

TEST_CASE("A start that a killed process has left is durable once it is answered again") {
  MemoryEnv env;
  WorldOf<MemoryEnv> world(env);
  const auto begin_at = [](BrokerDirectory<AnyFileSystem>& directory, Offset start) {
    directory.locked([&](LogDirectory& same) {
      same.set_offset(CheckpointKind::log_start, orders, start);
      return 0;
    });
    return directory.checkpoint(CheckpointKind::log_start, never);
  };
  int killed = 0;
  for (std::uint64_t more = 1;; ++more) {
    CAPTURE(more);
    SimDisk disk(SimDiskOptions{});
    DirectoryReport found;
    {
      AnyFileSystem files(disk.file_system());
      const auto directory = make_ref<BrokerDirectory<AnyFileSystem>>(
          world, must(log_test::open_directory(files, 0, found)));
      must(begin_at(*directory, Offset(10)));
      disk.crash_at(disk.calls() + more, CrashKind::process);
      begin_at(*directory, Offset(100)).IgnoreError();
      if (!disk.down()) {
        break;
      }
    }
    ++killed;
    disk.restart();
    AnyFileSystem files(disk.file_system());
    const auto directory = make_ref<BrokerDirectory<AnyFileSystem>>(
        world, must(log_test::open_directory(files, 1, found)));
    must(begin_at(*directory, Offset(100)));
    disk.crash(CrashKind::power);
    disk.for_each_durable_state(200, [&](SimDisk& state) {
      AnyFileSystem of_state(state.file_system());
      DirectoryReport report;
      const auto after = must(log_test::open_directory(of_state, 2, report));
      CHECK(after.offset(CheckpointKind::log_start, orders) == Offset(100));
    });
  }
  CHECK(killed > 10);
}
