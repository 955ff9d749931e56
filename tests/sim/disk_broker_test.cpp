// SPDX-License-Identifier: Apache-2.0
//
// A whole broker on the simulated disk, which dies in the middle of any of its calls: whatever
// state that leaves, the next broker has what was answered, has nothing of what was refused as not
// written, and serves every partition.
#include <algorithm>
#include <map>
#include <memory>
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

namespace {

using namespace ottla;
using namespace std::chrono_literals;
using test::must;

using Process = SimEnv<SimFileSystem>;
using SimBroker = BasicBroker<Process>;
using TextProducer = Producer<std::string, std::string>;
using TextConsumer = Consumer<std::string, std::string>;

enum class Known : std::uint8_t { there, gone, perhaps };

/// What the clients of a broker know by its answers.
struct Story {
  struct Partition {
    std::vector<std::string> sent;
    std::size_t answered = 0;  // of them, the first ones
  };
  /// Of partition 0, ascending.
  struct Commits {
    std::int64_t asked = -1;
    std::int64_t answered = -1;
  };
  std::map<std::string, Known> topics;
  std::map<std::string, Partition> partitions;
  std::map<std::string, Commits> commits;

  void tell(const std::string& topic, const absl::Status& answer, Known done, Known refused) {
    topics[topic] = answer.ok()                               ? done
                    : outcome(answer) == Outcome::not_written ? refused
                                                              : Known::perhaps;
  }
};

/// One life of a process: a broker and its clients, which go on when they are refused.
class Life {
 public:
  Life(SimDisk& disk, Story& story, std::uint64_t seed)
      : story_(story), world_({.seed = seed}), env_(world_, disk.file_system()) {}

  template <class Work>
  void run(Work work) {
    must(world_.run(env_.process(), [&] {
      auto opened = SimBroker::open(env_, config());
      if (!opened.ok()) {
        status = opened.status();
        return;
      }
      broker_ = std::make_unique<SimBroker>(*std::move(opened));
      work();
      status = broker_->close();
      broker_.reset();
    }));
  }
  void create(const std::string& topic, std::int32_t partitions) {
    if (story_.topics[topic] != Known::perhaps) {
      story_.topics[topic] = Known::gone;
    }
    const absl::Status answer = broker_->create_topic(
        {.name = topic, .partitions = partitions, .configs = {{"flush.messages", "1"}}});
    story_.tell(topic, answer, Known::there, story_.topics[topic]);
  }
  void remove(const std::string& topic) {
    story_.tell(topic, broker_->delete_topic(topic), Known::gone, story_.topics[topic]);
    if (story_.topics[topic] == Known::gone) {
      story_.partitions.erase(topic + "-0");  // one of that name begins anew
    }
  }
  /// One record at a time.
  void produce(const std::string& topic, int partition, int count) {
    auto producer = must(TextProducer::open(*broker_, {.linger = 0ms, .retries = 0}));
    Story::Partition& told = story_.partitions[topic + "-" + std::to_string(partition)];
    for (int i = 0; i < count; ++i) {
      told.sent.push_back(topic + std::to_string(told.sent.size()));
      const auto receipt = producer.send(
          {.topic = topic, .partition = PartitionId(partition), .value = told.sent.back()});
      if (!receipt.ok() || !producer.wait(*receipt).status().ok()) {
        return;
      }
      told.answered = told.sent.size();
    }
  }
  void commit(const std::string& topic, std::int64_t offset) {
    auto consumer = must(TextConsumer::open(*broker_, {.group = "billing", .auto_commit = false}));
    Story::Commits& told = story_.commits[topic];
    told.asked = offset;
    if (consumer.commit({{{topic, PartitionId(0)}, {.offset = Offset(offset)}}}).ok()) {
      told.answered = offset;
    }
  }

  /// Against the story; `written`: also what was answered at that level.
  void check(bool written) {
    const std::vector<std::string> names = must(broker_->list_topics());
    for (const auto& [topic, known] : story_.topics) {
      const bool there = std::count(names.begin(), names.end(), topic) > 0;
      INFO(topic << (there ? " is there" : " is not there"));
      CHECK((known == Known::perhaps || there == (known == Known::there)));
      if (there) {
        check_records(topic);
      }
    }
    check_committed(written);
  }

  absl::Status status;
  std::vector<std::string> errors;  // events

 private:
  BrokerConfig config() {
    return {.log_dirs = "data",
            .offsets_topic_partitions = 1,
            .on_event = [this](const BrokerEvent& event) {
              if (event.level == EventLevel::error) {
                errors.push_back(std::string(event.code) + " " + std::string(event.file) + ": " +
                                 std::string(event.text));
              }
            }};
  }
  void check_records(const std::string& topic) {
    auto consumer = must(TextConsumer::open(*broker_, {.offset_reset = OffsetReset::earliest}));
    for (const PartitionId number : partitions_of(topic)) {
      const std::string name = topic + "-" + std::to_string(number.value());
      INFO(name);
      must(consumer.assign({{topic, number}}));
      std::vector<std::string> found;
      for (;;) {
        const auto records = consumer.poll(1ms);
        CHECK(records.status().ToString() == "OK");
        if (!records.ok() || records->empty()) {
          break;
        }
        for (const auto& record : *records) {
          found.push_back(*record.value());
        }
      }
      const Story::Partition& told = story_.partitions[name];
      CHECK(found.size() >= told.answered);
      REQUIRE(found.size() <= told.sent.size());
      CHECK(std::equal(found.begin(), found.end(), told.sent.begin()));
    }
  }
  std::vector<PartitionId> partitions_of(const std::string& topic) {
    std::vector<PartitionId> all;
    for (const auto& partition : must(broker_->describe_topic(topic)).partitions) {
      all.push_back(partition.partition);
    }
    return all;
  }
  void check_committed(bool written) {
    if (story_.topics["kept"] != Known::there) {
      return;
    }
    auto consumer = must(TextConsumer::open(*broker_, {.group = "billing", .auto_commit = false}));
    const TopicPartition partition{"kept", PartitionId(0)};
    const auto committed = must(consumer.committed({partition}));
    const auto found = committed.find(partition);
    const std::int64_t offset = found == committed.end() ? -1 : found->second.offset.value();
    CHECK(offset <= story_.commits["kept"].asked);
    CHECK((!written || offset >= story_.commits["kept"].answered));
  }

  Story& story_;
  SimScheduler world_;
  Process env_;
  std::unique_ptr<SimBroker> broker_;
};

void sync_all(SimFileSystem& files, const std::string& directory) {
  for (const DirectoryEntry& entry : must(files.list(directory))) {
    const std::string path = directory + "/" + entry.name;
    if (entry.kind == FileKind::directory) {
      sync_all(files, path);
    } else {
      must(must(files.open(path, OpenMode::read_write, IoReason::other)).sync(IoReason::other));
    }
  }
  must(files.sync_directory(directory, IoReason::other));
}

/// With the topic of committed offsets, and all of it synced: it is not durable, and of such a
/// topic a power cut may leave records in a directory that does not say whose it is.
SimDisk new_disk(SimDiskOptions options) {
  SimDisk disk(std::move(options));
  SimFileSystem files = disk.file_system();
  must(files.create_directory("/data", IoReason::other));
  must(files.sync_directory("/", IoReason::other));
  Story story;
  Life life(disk, story, 0);
  life.run([&] {
    life.create("before", 1);
    life.commit("before", 0);
  });
  must(life.status);
  sync_all(files, "/data");
  return disk;
}

/// Two lives; the first one ends cleanly. Stops where the disk does.
void live(SimDisk& disk, Story& story) {
  Life first(disk, story, 1);
  first.run([&] {
    first.create("kept", 2);
    first.produce("kept", 0, 3);
    first.produce("kept", 1, 1);
    first.commit("kept", 1);
    first.create("gone", 1);
    first.produce("gone", 0, 1);
    first.remove("gone");
  });
  if (disk.down()) {
    return;
  }
  must(first.status);
  Life second(disk, story, 2);
  second.run([&] {
    second.create("late", 1);
    second.produce("kept", 0, 2);
    second.commit("kept", 4);
    second.produce("late", 0, 1);
    second.create("gone", 1);
  });
}

void check_state(SimDisk& state, Story story, bool written) {
  Life next(state, story, 3);
  next.run([&] { next.check(written); });
  CHECK(next.status.ToString() == "OK");
  CHECK(next.errors == std::vector<std::string>());
}

}  // namespace

TEST_CASE("A broker that dies in any call is found by the next one as its clients know it") {
  const CrashKind kind = GENERATE(CrashKind::power, CrashKind::process);
  const DiskMode mode = GENERATE(DiskMode::adversarial, DiskMode::ext4_ordered, DiskMode::xfs);
  const SimDisk begun = new_disk({.crash = {.mode = mode}});
  std::uint64_t first = 0;
  std::uint64_t last = 0;
  begun.for_each_durable_state(1, [&](SimDisk& disk) {
    Story story;
    first = disk.calls() + 1;
    live(disk, story);
    last = disk.calls();
    REQUIRE(story.partitions["kept-0"].answered == 5);
    REQUIRE(story.topics["gone"] == Known::there);
  });
  // Each mode dies in others of the calls.
  for (std::uint64_t call = first + static_cast<std::uint64_t>(mode); call <= last; call += 4) {
    CAPTURE(call, static_cast<int>(kind), static_cast<int>(mode));
    begun.for_each_durable_state(1, [&](SimDisk& disk) {
      Story story;
      disk.crash_at(call, kind);
      live(disk, story);
      REQUIRE(disk.down());
      if (kind == CrashKind::power) {
        disk.for_each_durable_state(4, [&](SimDisk& state) { check_state(state, story, false); });
      } else {
        disk.restart();
        check_state(disk, story, true);
      }
    });
  }
}
