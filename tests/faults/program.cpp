// SPDX-License-Identifier: Apache-2.0
//
// program SCENARIO DIRECTORY: a broker, producers and consumers while the kernel fails (shim.cpp is
// preloaded). Prints what is not as it should be.
#include <cstdlib>
#include <exception>
#include <functional>
#include <iostream>
#include <map>
#include <string>

#include <unistd.h>

#include "stage.hpp"

using namespace faults;

namespace {

void fill(Stage& stage) {
  const Broker broker = stage.open_with_orders();
  Sender(stage, broker).send_all(200);
  must(broker.close());
}

/// And is gone as if it was killed.
void fill_and_die(Stage& stage) {
  const Broker broker = stage.open_with_orders();
  Sender(stage, broker).send_all(200);
  ::_exit(0);
}

void interrupted(Stage& stage) {
  const Broker broker = stage.open_with_orders();
  Sender(stage, broker).send_all(200);
  Sender(stage, broker, {.durability = Durability::durable}).send_all(20);
  expect_all(stage, broker);
  TextConsumer consumer = must(TextConsumer::open(
      broker, {.group = "billing", .topics = {"orders"}, .offset_reset = OffsetReset::earliest}));
  while (must(consumer.poll(100ms)).empty()) {
  }
  must(consumer.commit());
  must(consumer.close());
  expect(faults_hit() > 500, "few calls were interrupted");
  must(broker.close());
  must(stage.open().close());
}

void no_space(Stage& stage) {
  const Broker broker = stage.open_with_orders();
  Sender sender(stage, broker);
  sender.send_all(20);
  TextConsumer consumer =
      must(TextConsumer::open(broker, {.group = "billing", .offset_reset = OffsetReset::earliest}));
  must(consumer.assign({orders(0)}));
  while (must(consumer.poll(100ms)).empty()) {
  }
  {
    const Faults full("write full=20000 path=/orders-");
    const absl::Status refused = sender.until_refused(0);
    expect(refused, Fault::no_space, "a full disk");
    expect(outcome(refused) == Outcome::not_written, "it may appear: " + refused.ToString());
    expect_all(stage, broker);
    must(consumer.commit());
    full.expect_hit();
  }
  must(sender.send(0));  // the same producer, as if nothing had been
  sender.send_all(20);
  expect_all(stage, broker);
  must(broker.close());
}

/// Everything is full: topics, commits, the end.
void no_space_anywhere(Stage& stage) {
  const Broker broker = stage.open_with_orders();
  Sender sender(stage, broker);
  sender.send_all(20);
  TextConsumer consumer = must(TextConsumer::open(
      broker, {.group = "billing", .offset_reset = OffsetReset::earliest, .api_timeout = 1s}));
  must(consumer.assign({orders(0)}));
  while (must(consumer.poll(100ms)).empty()) {
  }
  must(consumer.commit());
  const std::string full = "write ENOSPC; reserve ENOSPC; make_directory ENOSPC";
  {
    const Faults faults(full);
    expect(broker.create_topic({.name = "more"}), Fault::no_space, "a topic");
    expect(sender.until_refused(1), Fault::no_space, "a record");
    sender.until_refused(0).IgnoreError();
    must(consumer.seek(orders(0), Offset(1)));
    const absl::Status refused = consumer.commit();
    expect(!refused.ok(), "a commit found room");
    expect_all(stage, broker);
  }
  must(broker.create_topic({.name = "more"}));
  must(consumer.commit());
  must(consumer.close());
  sender.send_all(20);
  set_faults(full.c_str());
  const absl::Status closed = broker.close();
  expect(closed.ok() || fault(closed) == Fault::no_space, "closing: " + closed.ToString());
}

constexpr const char* all_changes =
    "open_to_write count path=/data; write count path=/data; truncate count path=/data; "
    "sync count path=/data; rename count path=/data; remove count path=/data; "
    "make_directory count path=/data; reserve count path=/data";

void sync_fails(Stage& stage, const std::string& rule) {
  const Broker broker = stage.open_with_orders({{"flush.messages", "1"}});
  Sender sender(stage, broker);
  sender.send_all(20);
  {
    const Faults faults(rule);
    const absl::Status failed = sender.send(0);
    expect(failed, Fault::io, "a failed sync");
    expect(outcome(failed) == Outcome::unknown, "not unknown: " + failed.ToString());
    faults.expect_hit();
  }
  const Faults changes(all_changes);
  for (int partition = 0; partition < 2; ++partition) {
    const absl::Status refused = Sender(stage, broker).send(partition);
    expect(!refused.ok(), "a directory whose sync failed takes records");
  }
  expect(!broker.create_topic({.name = "more"}).ok(), "and topics");
  expect_all(stage, broker);
  broker.close().IgnoreError();
  expect(faults_hit() == 0,
         "after a failed sync it changed files " + std::to_string(faults_hit()) + " times");
  expect(stage.told().find("sync") != std::string::npos, "nobody was told: " + stage.told());
}

void sync_fails_once(Stage& stage) { sync_fails(stage, "sync EIO path=/orders-0/ times=1"); }
void sync_fails_for_good(Stage& stage) { sync_fails(stage, "sync EIO"); }

/// One of two log directories.
void other_directory(Stage& stage) {
  const Broker broker = must(Broker::open(stage.config({"data", "other"})));
  must(broker.create_topic(
      {.name = "orders", .partitions = 2, .configs = {{"flush.messages", "1"}}}));
  const int there = std::filesystem::exists(stage.directory + "/other/orders-0") ? 0 : 1;
  expect(std::filesystem::exists(stage.directory + "/other/orders-" + std::to_string(there)),
         "both lie in one directory");
  Sender sender(stage, broker);
  sender.send_all(20);
  const Faults faults("sync EIO path=/other/");
  expect(!sender.send(there).ok(), "a failed sync was not told");
  for (int i = 0; i < 20; ++i) must(sender.send(1 - there));
  expect(!Sender(stage, broker).send(there).ok(), "the directory goes on");
  expect_all(stage, broker);
  broker.close().IgnoreError();
}

void read_fails(Stage& stage) {
  const Broker broker = stage.open_with_orders();
  Sender sender(stage, broker);
  sender.send_all(300);
  {
    const Faults once("read EIO path=/orders-0/ times=1");
    expect_all(stage, broker);
    once.expect_hit();
  }
  {
    const std::string file = "/orders-0/00000000000000000000.log";
    const Faults faults("read EIO path=" + file);
    std::set<std::string> seen;
    const absl::Status failed = read(broker, {0}, seen);
    expect(failed, Fault::io, "a failed read");
    expect(failed.message().find(file) != std::string::npos, "which file? " + failed.ToString());
    must(read(broker, {1}, seen));
    faults.expect_hit();
  }
  expect_all(stage, broker);
  sender.send_all(2);
  must(broker.close());
}

/// The directory was filled; reading fails from the beginning.
void read_fails_at_open(Stage& stage) {
  const auto broker = Broker::open(stage.config());
  expect(faults_hit() > 0, "no call failed");
  if (!broker.ok()) return expect(broker.status(), Fault::io, "opening");
  std::set<std::string> seen;
  const absl::Status failed = read(*broker, {0}, seen);
  expect(!failed.ok(), "a partition that cannot be read is served");
  must(read(*broker, {1}, seen));
  expect(seen.size() == 100, std::to_string(seen.size()) + " records of the other one");
  broker->close().IgnoreError();
}

void no_descriptors(Stage& stage) {
  const Broker broker = stage.open_with_orders();
  Sender sender(stage, broker);
  sender.send_all(20);
  {
    const Faults faults("open_to_write EMFILE; open EMFILE");
    const absl::Status refused = sender.until_refused(0);  // at the next segment, at the latest
    expect(retriable(refused) || fault(refused) == Fault::timed_out, refused.ToString());
    expect(fault(refused) == Fault::no_descriptors || fault(refused) == Fault::timed_out,
           refused.ToString());
    expect(broker.create_topic({.name = "more"}), Fault::no_descriptors, "a topic");
    faults.expect_hit();
  }
  must(broker.create_topic({.name = "more"}));
  sender.send_all(200);
  expect_all(stage, broker);
  expect(stage.told().find("offline") == std::string::npos, stage.told());
  must(broker.close());
}

/// The directory was filled; nothing can be changed from the beginning.
void read_only(Stage& stage) {
  const auto broker = Broker::open(stage.config());
  expect(faults_hit() > 0, "no call failed");
  expect(broker.status(), Fault::read_only, "opening");
  expect(broker.status().message().find("/data/") != std::string::npos,
         "which file? " + broker.status().ToString());
}

/// A sync takes longer than a producer waits.
void slow(Stage& stage) {
  const Broker broker = stage.open_with_orders({{"flush.messages", "1"}});
  Sender sender(stage, broker);
  sender.send_all(20);
  const Faults faults("sync delay=400 path=/orders-0/");
  Sender hasty(stage, broker, {.delivery_timeout = 100ms, .request_timeout = 50ms});
  const absl::Status late = hasty.send(0);
  expect(late, Fault::timed_out, "a slow sync");
  expect(outcome(late) == Outcome::unknown, "not unknown: " + late.ToString());
  must(sender.send(1));
  must(sender.send(0));
  faults.expect_hit();
  expect_all(stage, broker);
  must(broker.close());
}

/// The disk hangs for longer than a close may take.
void hung(Stage& stage) {
  const Broker broker = stage.open_with_orders();
  Sender sender(stage, broker);
  sender.send_all(20);
  const Faults faults("sync delay=1500");
  const auto began = std::chrono::steady_clock::now();
  const absl::Status closed = broker.close(200ms);
  expect(std::chrono::steady_clock::now() - began < 1'400ms, "closing waited for the disk");
  expect(closed, Fault::timed_out, "closing");
  expect(outcome(closed) == Outcome::unknown, "not unknown: " + closed.ToString());
  faults.expect_hit();
}

/// Names cannot be changed: checkpoints, topics that go.
void rename_fails(Stage& stage) {
  const Broker broker = stage.open_with_orders();
  Sender sender(stage, broker);
  sender.send_all(20);
  {
    const Faults faults("rename ENOSPC");
    expect(!broker.create_topic({.name = "more"}).ok(), "a topic without a name");
    sender.send_all(200);
    faults.expect_hit();
  }
  must(broker.create_topic({.name = "more", .if_not_exists = true}));
  expect_all(stage, broker);
  must(broker.close());
}

/// A little of everything, whatever fails.
void go_on(Stage& stage) {
  auto broker = Broker::open(stage.config());
  if (!broker.ok()) return;
  const auto make = [&](const std::string& name) {
    return broker->create_topic({.name = name, .partitions = 2, .if_not_exists = true});
  };
  make("gone").IgnoreError();
  const bool made = make("orders").ok() || make("orders").ok();
  for (const Durability durability : {Durability::written, Durability::durable}) {
    if (!made || !TextProducer::open(*broker).ok()) break;
    Sender sender(stage, *broker,
                  {.durability = durability, .delivery_timeout = 100ms, .request_timeout = 50ms});
    for (int i = 0, failed = 0; i < 100 && failed < 3; ++i)
      failed += sender.send(i % 2).ok() ? 0 : 1;
    std::set<std::string> seen;
    read(*broker, {0, 1}, seen).IgnoreError();
  }
  broker->delete_topic("gone").IgnoreError();
  broker->close().IgnoreError();
}

const std::map<std::string, std::function<void(Stage&)>> scenarios = {
    {"go_on", go_on},
    {"fill", fill},
    {"fill_and_die", fill_and_die},
    {"interrupted", interrupted},
    {"no_space", no_space},
    {"no_space_anywhere", no_space_anywhere},
    {"sync_fails_once", sync_fails_once},
    {"sync_fails_for_good", sync_fails_for_good},
    {"other_directory", other_directory},
    {"read_fails", read_fails},
    {"read_fails_at_open", read_fails_at_open},
    {"no_descriptors", no_descriptors},
    {"read_only", read_only},
    {"slow", slow},
    {"hung", hung},
    {"rename_fails", rename_fails},
};

}  // namespace

int main(int argc, char** argv) {
  const auto scenario = scenarios.find(argc == 3 ? argv[1] : "");
  if (scenario == scenarios.end()) {
    std::cerr << "usage: program SCENARIO DIRECTORY\n";
    return 2;
  }
  if (set_faults == nullptr || faults_hit == nullptr) {
    std::cout << "the library of faults is not preloaded";
    return EXIT_FAILURE;
  }
  try {
    Stage stage{.directory = argv[2]};
    scenario->second(stage);
    set_faults("");
  } catch (const std::exception& wrong) {
    std::cout << wrong.what();
    return EXIT_FAILURE;
  }
  return EXIT_SUCCESS;
}
