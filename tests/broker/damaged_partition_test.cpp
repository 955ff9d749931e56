// SPDX-License-Identifier: Apache-2.0
//
// Partitions that were found damaged: nothing behind the damage is cut, whatever stops come next,
// and the others in their directory do not suffer.
#include <algorithm>
#include <optional>
#include <string>

#include <ottla/log/checkpoint_file.hpp>

#include "site.hpp"
#include "tests/support/catch.hpp"

using namespace ottla;
using namespace test;

namespace {

const std::string damaged_log = "/orders-0/00000000000000000000.log";

/// Ten batches of one size in each of two partitions.
struct DamagedSite : Site {
  std::string bad;  // the damaged file

  MemoryBroker open_and_produce() {
    MemoryBroker broker = open();
    must(broker.create_topic({.name = "orders", .partitions = 2}));
    for (int into = 0; into < 2; ++into) {
      for (int i = 0; i < 10; ++i) produce_numbers(broker, i, 1, into);
    }
    return broker;
  }
  /// The base offset of the seventh batch of ten.
  void damage() {
    bad = read(damaged_log);
    bad[bad.size() / 2 + 70] = static_cast<char>(bad[bad.size() / 2 + 70] ^ 1);
    write(damaged_log, bad);
  }
  void check_untouched(const MemoryBroker& broker) {
    auto consumer = must(TextConsumer::open(broker, {.offset_reset = OffsetReset::earliest}));
    must(consumer.assign({partition(1)}));
    CHECK(drain(consumer).size() == 10);
    CHECK(must(consumer.end_offsets({partition(0)})).at(partition(0)) == Offset(6));
    auto producer = must(TextProducer::open(broker));
    const auto sent =
        producer.send({.topic = "orders", .partition = PartitionId(0), .value = "new"});
    CHECK_FALSE((sent.ok() ? producer.wait(*sent).status() : sent.status()).ok());
    CHECK(read(damaged_log) == bad);
  }
  std::optional<Offset> committed(const MemoryBroker& broker) {
    auto consumer = must(TextConsumer::open(broker, {.group = "billing"}));
    const auto all = must(consumer.committed({partition(0)}));
    const auto found = all.find(partition(0));
    return found == all.end() ? std::nullopt : std::optional(found->second.offset);
  }
  std::int64_t recovery_point(int number) {
    const auto all = must(parse_offset_checkpoint(read("/recovery-point-offset-checkpoint"), ""));
    const auto at = std::find_if(all.begin(), all.end(), [&](const PartitionOffset& each) {
      return each.partition == partition(number);
    });
    return at == all.end() ? -1 : at->offset.value();
  }
};

}  // namespace

TEST_CASE("damage that a death of the process left is not cut after one of the machine") {
  DamagedSite site;
  {
    const MemoryBroker broker = site.open_and_produce();
    site.kill();
  }
  site.damage();
  {
    MemoryBroker broker = site.open();
    site.check_untouched(broker);
    if (GENERATE(true, false)) must(broker.close());
    site.kill();
  }
  site.reboot();
  for (int i = 0; i < 2; ++i) {
    MemoryBroker broker = site.open();
    site.check_untouched(broker);
    must(broker.close());
  }
}

TEST_CASE("damage that a clean stop of Kafka's left is not cut, and its recovery point stays") {
  DamagedSite site;
  { const MemoryBroker broker = site.open_and_produce(); }
  site.damage();
  for (const std::string name : {"/.ottla_run", "/.ottla_clean", "/.ottla_sums", "/.ottla_reserve",
                                 "/orders-0/ottla_manifest", "/orders-1/ottla_manifest"}) {
    const absl::Status removed = site.files().remove(site.directory + name, IoReason::other);
    CHECK((removed.ok() || fault(removed) == Fault::not_found));
  }
  REQUIRE(site.recovery_point(0) == 10);
  for (int i = 0; i < 3; ++i) {
    MemoryBroker broker = site.open();
    site.check_untouched(broker);
    site.env.advance(61s);
    CHECK(site.recovery_point(0) == 10);
    if (i == 1) {
      site.kill();
    }
  }
}

TEST_CASE("a damaged partition takes no clean end from those beside it") {
  DamagedSite site;
  { const MemoryBroker broker = site.open_and_produce(); }
  site.damage();
  for (int i = 0; i < 3; ++i) {
    MemoryBroker broker = site.open();
    site.check_untouched(broker);
    must(broker.close());
    CHECK(site.read("/.ottla_clean").find("orders-1") != std::string::npos);
    CHECK(site.read("/.ottla_clean").find("orders-0") == std::string::npos);
    CHECK(site.read("/orders-1/leader-epoch-checkpoint") == "0\n1\n0 0\n");
  }
}

TEST_CASE("a damaged partition whose file was restored is served in full, and takes records") {
  DamagedSite site;
  { const MemoryBroker broker = site.open_and_produce(); }
  const std::string whole = site.read(damaged_log);
  site.damage();
  {
    const MemoryBroker broker = site.open();
    site.check_untouched(broker);
  }
  site.write(damaged_log, whole);
  const MemoryBroker broker = site.open();
  produce_numbers(broker, 10, 1, 0);
  auto consumer = must(TextConsumer::open(broker, {.offset_reset = OffsetReset::earliest}));
  must(consumer.assign({partition(0)}));
  CHECK(drain(consumer).size() == 11);
}

TEST_CASE("a damaged partition takes no commit back, and is read from there when it is whole") {
  const int how = GENERATE(0, 1, 2);
  INFO(how);
  const bool moved_away = how > 0;  // else cut
  const bool killed = how == 2;     // so that a leader epoch begins behind the damage
  DamagedSite site;
  const auto produce_and_commit = [&](MemoryBroker& broker) {
    for (int i = 0; i < 10; ++i) produce_numbers(broker, i, 1);
    auto consumer = must(TextConsumer::open(broker, {.group = "billing",
                                                     .topics = {"orders"},
                                                     .offset_reset = OffsetReset::earliest,
                                                     .auto_commit = false}));
    drain(consumer);
    must(consumer.commit());
  };
  {
    MemoryBroker broker = site.open();
    must(broker.create_topic(
        {.name = "orders", .partitions = 1, .configs = {{"internal.segment.bytes", "200"}}}));
    produce_and_commit(broker);
    if (killed) site.kill();
  }
  if (killed) {
    const MemoryBroker broker = site.open();
    for (int i = 10; i < 20; ++i) produce_numbers(broker, i, 1);
  }
  std::vector<std::string> segments;
  for (const auto& entry : must(site.files().list(site.directory + "/orders-0"))) {
    if (entry.name.ends_with(".log")) segments.push_back("/orders-0/" + entry.name);
  }
  std::sort(segments.begin(), segments.end());
  REQUIRE(segments.size() >= (killed ? 8U : 4U));
  const std::string hurt = segments[killed ? segments.size() / 4 : segments.size() - 1];
  const std::string whole = site.read(hurt);
  if (moved_away) {
    must(site.files().remove(site.directory + hurt, IoReason::other));
  } else {
    site.write(hurt, whole.substr(0, whole.size() / 2));
  }
  site.told.clear();
  {
    const MemoryBroker broker = site.open();
    auto consumer = must(TextConsumer::open(broker));
    CHECK(must(consumer.end_offsets({partition(0)})).at(partition(0)) < Offset(10));
    CHECK(site.committed(broker) == Offset(10));
  }
  site.write(hurt, whole);
  for (int i = 0; i < 2; ++i) {
    const MemoryBroker broker = site.open();
    auto consumer = must(TextConsumer::open(broker));
    CHECK(must(consumer.end_offsets({partition(0)})).at(partition(0)) ==
          Offset((killed ? 20 : 10) + i));
    CHECK(site.committed(broker) == Offset(10));
    produce_numbers(broker, 0, 1);
  }
  CHECK(std::count(site.told.begin(), site.told.end(), "offset_lowered orders-0") == 0);
}
