// SPDX-License-Identifier: Apache-2.0
//
// A broker that compacts on the simulated disk, whose power is cut in many of its calls: the next
// one has every value that was acknowledged as durable, none that was deleted, and compacts on.
#include <map>
#include <optional>
#include <string>
#include <utility>

#include <ottla/broker/broker.hpp>
#include <ottla/consumer/consumer.hpp>
#include <ottla/env/memory/memory_env.hpp>
#include <ottla/producer/producer.hpp>
#include <ottla/sim/sim_disk.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/memory_broker.hpp"

using namespace ottla;
using namespace test;

namespace {

using Values = std::map<std::string, std::string>;

std::string key_of(int i) { return "k" + std::to_string(i * 3 % 5); }
bool is_tombstone(int i) { return i % 7 == 6; }

Values history(int end) {
  Values values;
  for (int i = 0; i < end; ++i) {
    values.erase(key_of(i));
    if (!is_tombstone(i)) {
      values.emplace(key_of(i), std::to_string(i));
    }
  }
  return values;
}

/// A process on the disk, at a time of its own.
struct House {
  MemoryEnv env;
  absl::StatusOr<MemoryBroker> broker;

  House(SimFileSystem files, int hours)
      : env({.wall = Timestamp(1'600'000'000'000 + hours * 3'600'000LL),
             .files = AnyFileSystem(std::move(files))}),
        broker(MemoryBroker::open(
            env,
            {.log_dirs = "/data", .hot_tail_partition_bytes = 0, .offsets_topic_partitions = 1})) {}
};

/// How many are acknowledged from `from` on, which is what they are told.
int put(const MemoryBroker& broker, int from, int to) {
  auto producer = TextProducer::open(broker, {.linger = 0ms});
  if (!producer.ok()) {
    return from;  // no id is to be had where the disk is down
  }
  for (int i = from; i < to; ++i) {
    const std::string text = std::to_string(i);
    const std::string key = key_of(i);
    Outgoing<std::string> value;
    if (!is_tombstone(i)) {
      value = std::string_view(text);
    }
    if (!producer->send({.topic = "orders", .key = key, .value = value}).ok() ||
        !producer->flush().ok()) {
      return i;
    }
  }
  return to;
}

void settle(SimFileSystem files, const std::string& directory) {
  for (const DirectoryEntry& entry : must(files.list(directory))) {
    const std::string path = directory + "/" + entry.name;
    if (entry.kind == FileKind::directory) {
      settle(files, path);
    } else {
      must(must(files.open(path, OpenMode::read_write, IoReason::other)).sync(IoReason::other));
    }
  }
  must(files.sync_directory(directory, IoReason::other));
}

/// A topic, made long ago.
void make_topic(SimDisk& disk) {
  SimFileSystem files = disk.file_system();
  must(files.create_directory("/data", IoReason::other));
  must(files.sync_directory("/", IoReason::other));
  {
    House house(files, 0);
    must(must(std::move(house.broker))
             .create_topic({.name = "orders",
                            .configs = {{"cleanup.policy", "compact"},
                                        {"internal.segment.bytes", "400"},
                                        {"min.cleanable.dirty.ratio", "0.1"},
                                        {"delete.retention.ms", "1000"},
                                        {"flush.messages", "1"}}}));
  }
  settle(files, "/data");
}

/// How many records were acknowledged before the disk went down, or all.
int live(SimDisk& disk) {
  House house(disk.file_system(), 0);
  int acknowledged = 0;
  for (const int end : {25, 45, 60}) {
    if (!house.broker.ok() || disk.down()) {
      break;
    }
    acknowledged = put(*house.broker, acknowledged, end);
    house.env.advance(40s);
  }
  return acknowledged;
}

std::optional<Values> read_all(const MemoryBroker& broker, int& end) {
  auto consumer = must(TextConsumer::open(broker));
  must(consumer.assign({partition(0)}));
  must(consumer.seek_to_beginning());
  const Offset last = must(consumer.end_offsets({partition(0)})).at(partition(0));
  end = static_cast<int>(last.value());
  Values values;
  while (must(consumer.position(partition(0))) < last) {
    for (const auto& record : must(consumer.poll(10ms))) {
      values.erase(*record.key());
      if (!record.value().is_null()) {
        values.emplace(*record.key(), *record.value());
      }
    }
  }
  return values;
}

std::string judge(SimFileSystem files, int acknowledged) {
  House house(std::move(files), 1);
  if (!house.broker.ok()) {
    return std::string(sv(house.broker.status().message()));
  }
  for (int round = 0; round < 2; ++round) {
    int end = 0;
    const auto values = read_all(*house.broker, end);
    if (end < acknowledged) {
      return "shorter";
    }
    if (values != history(end)) {
      return "different in round " + std::to_string(round);
    }
    put(*house.broker, end, end + 10);
    house.env.advance(60s);
  }
  return "";
}

}  // namespace

TEST_CASE("A power cut in a broker that compacts loses no durable value and brings none back") {
  SimDisk whole;
  make_topic(whole);
  const std::uint64_t begin = whole.calls();
  CHECK(live(whole) == 60);
  const std::uint64_t calls = whole.calls();
  CHECK(judge(whole.file_system(), 60) == "");
  std::uint64_t cuts = 0;
  for (std::uint64_t call = begin + 1; call <= calls; call += 5) {
    SimDisk disk({.seed = call});
    make_topic(disk);
    disk.crash_at(call, CrashKind::power);
    const int acknowledged = live(disk);
    if (!disk.down()) {
      break;
    }
    ++cuts;
    CAPTURE(call);
    disk.for_each_durable_state(
        2, [&](SimDisk& state) { CHECK(judge(state.file_system(), acknowledged) == ""); });
  }
  CHECK(cuts > 150);
}
