// SPDX-License-Identifier: Apache-2.0
//
// A power cut takes records that a group has read and committed behind, and leaves the commit: the
// group gets every record that comes in their place (R13), whenever it is asked for next.
#include <functional>
#include <string>

#include <ottla/broker/broker.hpp>
#include <ottla/consumer/consumer.hpp>
#include <ottla/log/partition_metadata.hpp>
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
using TextProducer = Producer<std::string, std::string>;
using TextConsumer = Consumer<std::string, std::string>;

const std::string its_log = "/data/t-0/00000000000000000000.log";

void live(SimDisk& disk, std::uint64_t seed, const std::function<void(SimBroker&)>& work) {
  SimScheduler world({.seed = seed});
  SimEnv<SimFileSystem> env(world, disk.file_system());
  must(world.run(env.process(), [&] {
    auto opened = SimBroker::open(
        env, {.log_dirs = "data",
              .offsets_topic_partitions = 1,
              .on_event = [](const BrokerEvent& event) { UNSCOPED_INFO(event.text); }});
    if (opened.ok()) {
      work(*opened);
      opened->close().IgnoreError();
    }
  }));
}

void produce(SimBroker& broker, const std::string& tag, int count) {
  auto producer = must(TextProducer::open(broker, {.linger = 0ms}));
  for (int i = 0; i < count; ++i) {
    const std::string value = tag + std::to_string(i);
    must(producer.send({.topic = "t", .partition = PartitionId(0), .value = value}).status());
  }
  must(producer.flush());
}

/// How many records the group gets, and the first of them.
std::string consume(SimBroker& broker) {
  auto consumer = must(TextConsumer::open(broker, {.group = "g",
                                                   .topics = {"t"},
                                                   .offset_reset = OffsetReset::earliest,
                                                   .auto_commit = false}));
  std::string first;
  int count = 0;
  for (int i = 0; i < 4; ++i) {
    for (const auto& record : must(consumer.poll(200ms))) {
      first = count++ == 0 ? *record.value() : first;
    }
  }
  must(consumer.commit());
  return std::to_string(count) + " " + first;
}

/// The kernel wrote it back.
void sync_all(SimFileSystem& files, const std::string& directory) {
  for (const DirectoryEntry& entry : must(files.list(directory))) {
    const std::string path = directory + "/" + entry.name;
    if (entry.kind == FileKind::directory) {
      sync_all(files, path);
    } else {
      auto file = must(files.open(path, OpenMode::read_write, IoReason::other));
      must(file.sync(IoReason::other));
    }
  }
  must(files.sync_directory(directory, IoReason::other));
}

struct Story {
  explicit Story(std::uint64_t seed) : disk({.seed = seed}) {
    must(files.create_directory("/data", IoReason::other));
    must(files.sync_directory("/", IoReason::other));
  }
  /// Twenty records that the group has read; of all this the commit alone was written back.
  void lose(bool directory_is_safe) {
    live(disk, 2, [&](SimBroker& broker) {
      must(broker.create_topic({.name = "t", .partitions = 1, .if_not_exists = true}));
      must(directory_is_safe ? files.sync_directory("/data", IoReason::other) : absl::OkStatus());
      produce(broker, "old", 20);
      CHECK(consume(broker) == "20 old0");
      sync_all(files, "/data/__consumer_offsets-0");
      disk.crash(CrashKind::power);
    });
    files = disk.restart();
  }
  /// A group and its topic, all of it on the device.
  void settle(bool with_records) {
    live(disk, 1, [&](SimBroker& broker) {
      const std::string name = with_records ? "t" : "other";
      must(broker.create_topic({.name = name, .partitions = 1}));
      if (with_records) {
        produce(broker, "first", 20);
        consume(broker);
        sync_all(files, "/data");
        disk.crash(CrashKind::process);  // so that an epoch of their own begins
        return;
      }
      auto consumer = must(TextConsumer::open(broker, {.group = "g", .auto_commit = false}));
      must(consumer.commit({{{"other", PartitionId(0)}, {.offset = Offset(0)}}}));
    });
    if (with_records) {
      files = disk.restart();
    }
    sync_all(files, "/data");
  }
  bool is_there(const std::string& path) { return files.status(path).ok(); }
  /// Empty where there is none.
  std::string text_of(const std::string& path) {
    auto file = files.open(path, OpenMode::read, IoReason::other);
    std::string text(file.ok() ? static_cast<std::size_t>(must(file->size())) : 0, ' ');
    if (!text.empty()) {
      must(file->read(0, std::as_writable_bytes(std::span(text))).status());
    }
    return text;
  }
  bool has_old_records() { return text_of(its_log).find("old") != std::string::npos; }
  void check_new_records(bool later) {
    live(disk, 3, [&](SimBroker& broker) {
      produce(broker, "new", 50);
      CHECK((later || consume(broker) == "50 new0"));
    });
    live(disk, 4, [&](SimBroker& broker) { CHECK((!later || consume(broker) == "50 new0")); });
  }

  SimDisk disk;
  SimFileSystem files = disk.file_system();
};

/// Of many seeds those that have come to what the test is about.
void tell(bool with_records, bool directory_is_safe, const std::function<bool(Story&)>& fits) {
  const bool later = GENERATE(false, true);
  int told = 0;
  for (std::uint64_t seed = 0; seed < 200 && told < 8; ++seed) {
    CAPTURE(seed, later);
    Story story(seed);
    story.settle(with_records);
    story.lose(directory_is_safe);
    if (fits(story)) {
      ++told;
      story.check_new_records(later);
    }
  }
  CHECK(told > 0);
}

}  // namespace

TEST_CASE("A group gets what comes into a partition whose directory was lost") {
  tell(false, false, [](Story& story) { return !story.is_there("/data/t-0"); });
}

TEST_CASE("A group gets what comes into a partition whose records were lost, all of them") {
  tell(false, true, [](Story& story) {
    const std::string whose = story.text_of("/data/t-0/partition.metadata");
    return parse_partition_metadata(whose, "").ok() && !story.has_old_records();
  });
}

TEST_CASE("A group gets what comes after records of an epoch that was lost as a whole") {
  tell(true, true, [](Story& story) { return !story.has_old_records(); });
}
