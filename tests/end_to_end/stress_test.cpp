// SPDX-License-Identifier: Apache-2.0
//
// Four threads send, poll, commit, close, and create and delete topics on one broker with real
// files. OTTLA_STRESS_SECONDS says how long (2); a hang is found by CTest's limit.
#include <atomic>
#include <cstdlib>
#include <map>
#include <mutex>
#include <random>
#include <set>
#include <thread>

#include "tests/support/catch.hpp"
#include "tests/support/memory_broker.hpp"
#include "tests/support/temporary_directory.hpp"

using namespace ottla;
using namespace test;

namespace {

constexpr int partitions = 3;

/// What was seen to be wrong; assertions are not for threads.
class Problems {
 public:
  void add(const std::string& what) {
    const std::lock_guard lock(mutex_);
    if (all_.size() < 20) all_.push_back(what);
  }
  void expect(const absl::Status& status, const std::string& what) {
    if (!status.ok()) add(what + ": " + status.ToString());
  }
  std::vector<std::string> all() const {
    const std::lock_guard lock(mutex_);
    return all_;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<std::string> all_;
};

struct Stress {
  const Broker& broker;
  Problems& problems;
  std::chrono::steady_clock::time_point end;
  bool going() const { return std::chrono::steady_clock::now() < end; }
};

/// A sender of `steady`, now and then of `brief`, which comes and goes.
class Sender {
 public:
  explicit Sender(std::string name) : name_(std::move(name)) {}

  void run(const Stress& stress) {
    std::mt19937 random(std::hash<std::string>()(name_));
    while (stress.going()) {
      accepted_.clear();
      told_.clear();
      {
        auto producer = must(TextProducer::open(
            stress.broker, {.linger = std::chrono::milliseconds(random() % 3),
                            .batch_size = 1'000,
                            .max_block = 5ms,
                            .delivery_timeout = 3s,  // for records of a topic that stays deleted
                            .request_timeout = 1s,
                            .on_delivery = [&](const Delivery& delivery) { note(delivery); }}));
        for (int i = 0; i < 300; ++i) send(producer, stress);
        if (random() % 3 == 0) producer.flush().IgnoreError();  // some were for a deleted topic
        if (random() % 2 == 0) {
          const absl::Status closed = producer.close(20s);
          if (error_code(closed) != ErrorCode::unknown_topic_id) {  // of `brief`, as from flush
            stress.problems.expect(closed, "closing a producer");
          }
        }
      }
      if (told_ != accepted_) {
        stress.problems.add(name_ + ": " + std::to_string(accepted_.size()) + " accepted, " +
                            std::to_string(told_.size()) + " told once");
      }
    }
  }

  /// By partition and offset.
  const std::map<std::pair<int, std::int64_t>, std::string>& acknowledged() const {
    return acknowledged_;
  }

 private:
  void send(TextProducer& producer, const Stress& stress) {
    const std::uint64_t tag = next_++;
    const bool brief = tag % 11 == 0;
    const auto sent = producer.send(
        {.topic = brief ? "brief" : "steady",
         .partition = PartitionId(brief ? 0 : static_cast<std::int32_t>(tag % partitions)),
         .value = name_ + std::to_string(tag),
         .tag = tag});
    if (sent.ok()) {
      accepted_.insert(tag);
    } else if (!brief) {
      stress.problems.expect(sent.status(), "sending");
    }
  }

  void note(const Delivery& delivery) {
    const std::lock_guard lock(mutex_);
    if (!told_.insert(delivery.tag).second) told_.insert(delivery.tag | std::uint64_t{1} << 63);
    if (delivery.offset.ok() && delivery.topic == "steady") {
      acknowledged_[{delivery.partition.value(), delivery.offset->value()}] =
          name_ + std::to_string(delivery.tag);
    }
  }

  const std::string name_;
  std::uint64_t next_ = 0;
  std::set<std::uint64_t> accepted_;
  std::mutex mutex_;
  std::set<std::uint64_t> told_;  // one that was told twice is there twice
  std::map<std::pair<int, std::int64_t>, std::string> acknowledged_;
};

/// The only member of its group, again and again: between rebalances (which begin at the commit)
/// nothing is missing, and nothing comes again that it committed.
void read(const Stress& stress, std::int64_t& records) {
  std::map<TopicPartition, Offset> committed;
  std::map<TopicPartition, Offset> next;
  const auto forget = [&](const std::vector<TopicPartition>&) { next.clear(); };
  for (int round = 0; stress.going(); ++round) {
    auto consumer = must(TextConsumer::open(
        stress.broker, {.group = "g",
                        .topics = {"steady", "brief"},
                        .offset_reset = OffsetReset::earliest,
                        .auto_commit = false,
                        .rebalance = {.assigned = forget, .revoked = forget, .lost = forget}}));
    for (int i = 0; i < 20 && stress.going(); ++i) {
      const auto polled = consumer.poll(20ms);
      if (!polled.ok()) continue;  // of `brief`, which was deleted
      for (const auto& record : *polled) {
        if (record.topic() != "steady") continue;
        ++records;
        const TopicPartition from{"steady", record.partition()};
        const auto known = next.find(from);
        if (known != next.end() && record.offset() != known->second) {
          stress.problems.add(from.to_string() + ": " + std::to_string(record.offset().value()) +
                              " instead of " + std::to_string(known->second.value()));
        }
        if (record.offset() < committed[from]) {
          stress.problems.add(from.to_string() + ": committed " +
                              std::to_string(committed[from].value()) + ", but read " +
                              std::to_string(record.offset().value()));
        }
        next[from] = record.offset() + 1;
      }
      if (i % 5 == 1) consumer.commit_async().IgnoreError();
      if (i % 5 == 3 && consumer.commit().ok()) {
        for (const auto& [partition, offset] : next) committed[partition] = offset;
      }
    }
    if (round % 2 == 0) stress.problems.expect(consumer.close(20s), "closing a consumer");
  }
}

void come_and_go(const Stress& stress) {
  while (stress.going()) {
    stress.problems.expect(stress.broker.create_topic({.name = "brief", .partitions = 2}),
                           "creating");
    stress.problems.expect(stress.broker.list_topics().status(), "listing");
    stress.problems.expect(stress.broker.describe_topic("brief").status(), "describing");
    for (int i = 0; i < 50; ++i) std::this_thread::yield();
    stress.problems.expect(stress.broker.delete_topic("brief"), "deleting");
  }
}

}  // namespace

TEST_CASE("four threads send, poll, commit, close and delete, and nothing is lost or told twice") {
  const char* const wanted = std::getenv("OTTLA_STRESS_SECONDS");
  const std::chrono::seconds length(wanted == nullptr ? 2 : std::atoi(wanted));
  const TemporaryDirectory directory;
  Problems problems;
  Sender ada("ada-");
  Sender bob("bob-");
  std::int64_t records = 0;
  {
    const Broker broker = must(Broker::open({.log_dirs = directory.path().string()}));
    must(broker.create_topic({.name = "steady", .partitions = partitions}));
    const Stress stress{broker, problems, std::chrono::steady_clock::now() + length};
    std::vector<std::thread> threads;
    threads.emplace_back([&] { ada.run(stress); });
    threads.emplace_back([&] { bob.run(stress); });
    threads.emplace_back([&] { read(stress, records); });
    threads.emplace_back([&] { come_and_go(stress); });
    for (std::thread& thread : threads) thread.join();
    must(broker.close(60s));
  }
  CHECK(problems.all() == std::vector<std::string>{});
  CHECK(records > 0);

  std::map<std::pair<int, std::int64_t>, std::string> there;
  std::set<std::string> values;
  const Broker broker = must(Broker::open({.log_dirs = directory.path().string()}));
  auto consumer = must(TextConsumer::open(broker, {.offset_reset = OffsetReset::earliest}));
  std::vector<TopicPartition> all;
  for (int i = 0; i < partitions; ++i) all.push_back({"steady", PartitionId(i)});
  must(consumer.assign(all));
  std::size_t ends = 0;
  for (const auto& [partition, end] : must(consumer.end_offsets(all))) {
    ends += static_cast<std::size_t>(end.value());
  }
  while (there.size() < ends) {
    for (const auto& record : must(consumer.poll(60s))) {
      CHECK(values.insert(*record.value()).second);
      there[{record.partition().value(), record.offset().value()}] = *record.value();
    }
  }
  std::size_t acknowledged = 0;
  for (const Sender* sender : {&ada, &bob}) {
    for (const auto& [place, value] : sender->acknowledged()) {
      ++acknowledged;
      const auto found = there.find(place);
      REQUIRE(found != there.end());
      CHECK(found->second == value);
    }
  }
  CHECK(acknowledged > 0);
  if (wanted != nullptr) {
    WARN(acknowledged << " records acknowledged, " << records << " read by the group");
  }
}
