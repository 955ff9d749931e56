// SPDX-License-Identifier: Apache-2.0
//
// The owner of a damaged partition decides: what consumers, producers and groups find afterwards.
#include <algorithm>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <ottla/env/fault_file_system.hpp>

#include "site.hpp"
#include "tests/support/catch.hpp"

using namespace ottla;
using namespace test;

namespace {

const std::string log_of_0 = "/orders-0/00000000000000000000.log";

/// Ten batches of one size in a partition, whose group has read them all; the seventh is bad.
struct RepairSite : Site {
  std::string whole;

  RepairSite() {
    const MemoryBroker broker = open();
    must(broker.create_topic({.name = "orders", .partitions = 2}));
    for (int i = 0; i < 10; ++i) produce_numbers(broker, i, 1);
    auto consumer = must(TextConsumer::open(
        broker, {.group = "billing", .offset_reset = OffsetReset::earliest, .auto_commit = false}));
    must(consumer.assign({partition(0)}));
    CHECK(drain(consumer).size() == 10);
    must(consumer.commit());
    kill();
  }
  void damage(std::size_t batch = 6) {
    whole = read(log_of_0);
    std::string bad = whole;
    const std::size_t at = bad.size() / 10 * batch + 63;
    bad[at] = static_cast<char>(bad[at] ^ 1);
    write(log_of_0, bad);
  }
  std::optional<Offset> committed(const MemoryBroker& broker) {
    auto consumer = must(TextConsumer::open(broker, {.group = "billing"}));
    const auto all = must(consumer.committed({partition(0)}));
    const auto found = all.find(partition(0));
    return found == all.end() ? std::nullopt : std::optional(found->second.offset);
  }
  bool was_told(const std::string& code) {
    return std::any_of(told.begin(), told.end(),
                       [&](const std::string& each) { return each.starts_with(code); });
  }
};

/// What polls bring from the start on, and the ranges that they tell.
struct Polled {
  std::vector<std::int64_t> offsets;
  std::vector<SkippedRange> skipped;
};
Polled poll_all(const MemoryBroker& broker) {
  auto consumer = must(TextConsumer::open(broker, {.offset_reset = OffsetReset::earliest}));
  must(consumer.assign({partition(0)}));
  Polled all;
  for (int empty = 0; empty < 3;) {
    const auto records = consumer.poll(0ms);
    if (const auto range = skipped_range(records.status())) {
      all.skipped.push_back(*range);
      continue;
    }
    must(records.status());
    empty += records->count() == 0 ? 1 : 0;
    for (const auto& record : *records) all.offsets.push_back(record.offset().value());
  }
  return all;
}

std::vector<std::int64_t> without(std::int64_t end, std::int64_t gone) {
  std::vector<std::int64_t> all;
  for (std::int64_t i = 0; i < end; ++i) {
    if (i != gone) all.push_back(i);
  }
  return all;
}

void flip(AnyFileSystem& files, const std::string& path, std::int64_t at) {
  auto file = must(files.open(path, OpenMode::read_write, IoReason::other));
  std::byte byte[1];
  must(file.read(at, byte).status());
  byte[0] ^= std::byte{1};
  const Bytes piece(byte);
  must(file.write(at, {&piece, 1}, IoReason::other));
}

/// A broker whose partition has ten batches, the fourth of which goes bad while it runs.
struct FaultySite {
  std::function<absl::Status(const IoCall&)> refuse;
  MemoryEnv env{{.files = AnyFileSystem(FaultFileSystem(MemoryFileSystem(), [this](IoCall& call) {
                   const bool asked = refuse && !call.done &&
                                      call.path.find("/orders-0") != std::string_view::npos;
                   return asked ? refuse(call) : absl::OkStatus();
                 }))}};
  std::optional<MemoryBroker> broker{test::open(env)};

  FaultySite() {
    must(broker->create_topic({.name = "orders", .partitions = 1}));
    for (int i = 0; i < 10; ++i) produce_numbers(*broker, i, 1);
    const std::string path = "data" + log_of_0;
    flip(env.file_system(), path, must(env.file_system().status(path)).size / 10 * 3 + 63);
  }
};

std::int32_t epoch_of(const MemoryBroker& broker) {
  return must(broker.describe_topic("orders")).partitions[0].leader_epoch.value();
}

}  // namespace

TEST_CASE(
    "a damaged range is taken out of a running broker's partition, which takes records then") {
  RepairSite site;
  site.damage();
  const MemoryBroker broker = site.open();
  const std::int32_t epoch = epoch_of(broker);
  const RepairReport report = must(broker.repair(partition(0), Repair::skip_range));
  REQUIRE(report.gone.size() == 1);
  const SkippedRange gone{Offset(6), Offset(7)};
  CHECK(report.gone[0].offsets == gone);
  CHECK(report.end == Offset(10));
  CHECK(site.read("/orders-0/" + report.gone[0].saved_as).size() == site.whole.size() / 10);
  CHECK(site.was_told("repaired orders-0"));
  CHECK(epoch_of(broker) > epoch);
  produce_numbers(broker, 10, 2);
  for (int i = 0; i < 2; ++i) {
    const Polled all = poll_all(broker);
    CHECK(all.offsets == without(12, 6));
    CHECK(all.skipped == std::vector{gone});
  }
  CHECK(site.committed(broker) == Offset(10));
}

TEST_CASE("a partition is cut where it is damaged, and what groups have committed is lowered") {
  RepairSite site;
  site.damage();
  const bool known = GENERATE(true, false);  // the group's coordinator is loaded before
  {
    const MemoryBroker broker = site.open();
    if (known) CHECK(site.committed(broker) == Offset(10));
    const RepairReport report = must(broker.repair(partition(0), Repair::truncate));
    CHECK(report.end == Offset(6));
    CHECK(report.gone.front().offsets.first == Offset(6));
    CHECK(report.gone.back().offsets.next >= Offset(9));
    CHECK(site.was_told("offset_lowered orders-0"));
    CHECK(site.committed(broker) == Offset(6));
    produce_numbers(broker, 6, 3);
    CHECK(poll_all(broker).offsets == without(9, -1));
    if (known) site.kill();
  }
  if (known) site.reboot();
  const MemoryBroker broker = site.open();
  const Polled all = poll_all(broker);
  CHECK(all.offsets == without(9, -1));
  CHECK(all.skipped.empty());
  CHECK(site.committed(broker) == Offset(6));
}

TEST_CASE("what a repair took out is told by later brokers, too") {
  RepairSite site;
  site.damage();
  must(site.open().repair(partition(0), Repair::skip_range));
  const LastStop stop = GENERATE(LastStop::clean, LastStop::process_crash, LastStop::system_crash);
  for (int i = 0; i < 2; ++i) {
    const MemoryBroker broker = site.open();
    const Polled all = poll_all(broker);
    CHECK(all.offsets == without(10 + i, 6));
    CHECK(all.skipped.size() == 1);
    produce_numbers(broker, 0, 1);
    if (stop != LastStop::clean) site.kill();
    if (stop == LastStop::system_crash) site.reboot();
  }
}

TEST_CASE("a partition that is whole is not repaired, and goes on") {
  RepairSite site;
  const MemoryBroker broker = site.open();
  const std::int32_t epoch = epoch_of(broker);
  for (const Repair how : {Repair::skip_range, Repair::truncate}) {
    const absl::Status refused = broker.repair(partition(0), how).status();
    CHECK(fault(refused) == Fault::invalid_argument);
    CHECK(error_code(refused) == ErrorCode::invalid_request);
    CHECK(refused.message().find("not damaged") != absl::string_view::npos);
  }
  CHECK(error_code(broker.repair(partition(7), Repair::truncate).status()) ==
        ErrorCode::unknown_topic_or_partition);
  produce_numbers(broker, 10, 1);
  CHECK(poll_all(broker).offsets == without(11, -1));
  CHECK(epoch_of(broker) == epoch);
}

TEST_CASE("damage that came while a broker ran is found by the repair itself") {
  const Repair how = GENERATE(Repair::skip_range, Repair::truncate);
  RepairSite site;
  const MemoryBroker broker = site.open();
  produce_numbers(broker, 10, 1);
  const std::string path = site.directory + log_of_0;
  flip(site.files(), path, must(site.files().status(path)).size / 11 * 6 + 63);
  const RepairReport report = must(broker.repair(partition(0), how));
  CHECK(report.gone.front().offsets.first == Offset(6));
  const bool skip = how == Repair::skip_range;
  produce_numbers(broker, 0, 1);
  const Polled all = poll_all(broker);
  CHECK(all.offsets == (skip ? without(12, 6) : without(7, -1)));
  CHECK(all.skipped.size() == (skip ? 1 : 0));
}

TEST_CASE("a consumer that stands where a repair has cut is told, and goes on at the end") {
  RepairSite site;
  site.damage();
  const MemoryBroker broker = site.open();
  auto consumer = must(TextConsumer::open(
      broker, {.group = "billing", .offset_reset = OffsetReset::none, .auto_commit = false}));
  must(consumer.assign({partition(0)}));
  const absl::Status before = consumer.poll(0ms).status();
  CHECK(error_code(before) == ErrorCode::corrupt_message);
  CHECK(before.message().find("Broker::repair") != absl::string_view::npos);
  CHECK_FALSE(skipped_range(before));
  must(broker.repair(partition(0), Repair::truncate));
  const absl::Status told = consumer.poll(0ms).status();
  REQUIRE(skipped_range(told));
  CHECK(skipped_range(told)->first == Offset(6));
  CHECK(must(consumer.poll(0ms)).count() == 0);
  produce_numbers(broker, 6, 1);
  CHECK(must(consumer.poll(0ms)).count() == 1);
}

TEST_CASE("a repair wakes all who wait for records") {
  const Repair how = GENERATE(Repair::skip_range, Repair::truncate);
  struct Bell final : Wakeable {
    int rung = 0;
    void wake() noexcept override { ++rung; }
  };
  FaultySite site;
  const TopicId id = must(site.broker->describe_topic("orders")).id;
  const FetchPartition end{.topic_id = id, .partition = PartitionId(0), .offset = Offset(10)};
  std::vector<Ref<Bell>> bells(20);
  for (Ref<Bell>& bell : bells) {
    bell = make_ref<Bell>();
    FetchResponse response;
    must(site.broker->connect()->fetch({.partitions = {&end, 1}}, response, bell));
  }
  must(site.broker->repair(partition(0), how).status());
  CHECK(std::all_of(bells.begin(), bells.end(), [](const auto& bell) { return bell->rung == 1; }));
}

TEST_CASE("groups whose log was damaged have, after a repair, what is left of it") {
  RepairSite site;
  { const MemoryBroker closed = site.open(); }
  std::string damaged;
  for (const auto& entry : must(site.files().list(site.directory))) {
    const std::string name = "/" + entry.name + "/00000000000000000000.log";
    const auto status = site.files().status(site.directory + name);
    if (entry.name.starts_with("__consumer_offsets-") && status.ok() && status->size > 0) {
      damaged = entry.name;
      std::string bad = site.read(name);
      bad[63] = static_cast<char>(bad[63] ^ 1);
      site.write(name, bad);
    }
  }
  REQUIRE_FALSE(damaged.empty());
  const MemoryBroker broker = site.open();
  auto consumer = must(TextConsumer::open(
      broker, {.group = "billing", .offset_reset = OffsetReset::earliest, .auto_commit = false}));
  CHECK_FALSE(consumer.committed({partition(0)}).ok());
  must(broker.repair(*TopicPartition::parse(damaged), Repair::skip_range));
  must(consumer.committed({partition(0)}));
  must(consumer.assign({partition(0)}));
  CHECK(drain(consumer).size() > 0);
  must(consumer.commit());
  CHECK(site.committed(broker) == Offset(10));
}

TEST_CASE("any call of a repair may fail, and no good record is lost where nobody knew of damage") {
  const Fault kind = GENERATE(Fault::no_space, Fault::io, Fault::no_memory);
  const Repair how = GENERATE(Repair::skip_range, Repair::truncate);
  const auto expected = how == Repair::skip_range ? without(10, 3) : without(3, -1);
  int failed = 0;
  for (int n = 1;; ++n) {
    FaultySite site;
    int calls = 0;
    site.refuse = [&](const IoCall&) {
      return ++calls == n ? error(ErrorCode::kafka_storage_error, kind, "") : absl::OkStatus();
    };
    failed += site.broker->repair(partition(0), how).ok() ? 0 : 1;
    site.refuse = {};
    if (calls < n) break;
    INFO("call " << n);
    if (n % 2 == 0) {
      site.broker->close().IgnoreError();
      site.broker.reset();
      site.broker.emplace(test::open(site.env));
    }
    const absl::Status again = site.broker->repair(partition(0), how).status();
    const bool offline = n % 2 == 1 && fault(again) == Fault::io;  // a sync failed
    if (offline) continue;
    CHECK((again.ok() || fault(again) == Fault::invalid_argument));
    CHECK(poll_all(*site.broker).offsets == expected);
  }
  CHECK(failed > 20);
}

TEST_CASE("repairs for which there is no room leave nothing, and what was cut before stays") {
  FaultySite site;
  AnyFileSystem& files = site.env.file_system();
  const std::string cut = "00000000000000000000.log.cut-1";
  must(replace_small_file(files, "data/orders-0/" + cut, as_bytes("a tail"), Durability::written,
                          IoReason::other));
  site.refuse = [](const IoCall& call) {
    const bool hit = call.operation == IoOperation::write && call.path.ends_with(".log.rewrite");
    return hit ? error(ErrorCode::kafka_storage_error, Fault::no_space, "") : absl::OkStatus();
  };
  const auto beside = [&] {
    std::vector<std::string> names;
    for (const DirectoryEntry& entry : must(files.list("data/orders-0"))) {
      const bool is_made = entry.name.find(".cut-") != std::string::npos ||
                           entry.name.find(".rewrite") != std::string::npos;
      if (is_made) names.push_back(entry.name);
    }
    std::sort(names.begin(), names.end());
    return names;
  };
  for (int i = 0; i < 10; ++i) {
    const absl::Status repaired = site.broker->repair(partition(0), Repair::skip_range).status();
    CHECK(fault(repaired) == Fault::no_space);
    CHECK(beside() == std::vector{cut});
  }
  site.refuse = {};
  const RepairReport report = must(site.broker->repair(partition(0), Repair::skip_range));
  CHECK(beside() == std::vector{cut, report.gone.at(0).saved_as});
  CHECK(poll_all(*site.broker).offsets == without(10, 3));
}
