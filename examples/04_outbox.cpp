// SPDX-License-Identifier: Apache-2.0
//
// A service of your own in the simulated world: an outbox. An order is accepted once it lies in a
// topic, durably; a relay posts what lies there, then notes how far it came. Wherever a power cut
// ends that, the next life posts each accepted order, and none that nobody gave.
#include <algorithm>
#include <iostream>
#include <set>
#include <string>

#include <ottla/ottla.hpp>
#include <ottla/sim/sim_disk.hpp>
#include <ottla/sim/sim_env.hpp>

using namespace std::chrono_literals;
using Orders = std::set<std::string>;
using Process = ottla::SimEnv<ottla::SimFileSystem>;
using Broker = ottla::BasicBroker<Process>;

absl::Status accept(const Broker& broker, const Orders& orders, Orders& accepted) {
  using Letters = ottla::Producer<std::string, std::string>;
  OTTLA_ASSIGN(auto producer, Letters::open(broker, {.linger = 0ms, .retries = 0}));
  for (const std::string& order : orders) {
    OTTLA_ASSIGN(const auto receipt, producer.send({.topic = "outbox", .value = order}));
    OTTLA_TRY(producer.wait(receipt).status());
    accepted.insert(order);
  }
  return absl::OkStatus();
}

absl::Status relay(const Broker& broker, Orders& posted) {
  using Letters = ottla::Consumer<std::string, std::string>;
  OTTLA_ASSIGN(auto consumer, Letters::open(broker, {.group = "relay",
                                                     .topics = {"outbox"},
                                                     .offset_reset = ottla::OffsetReset::earliest,
                                                     .auto_commit = false}));
  for (;;) {
    OTTLA_ASSIGN(const auto records, consumer.poll(60s));  // a dead member's session; time is free
    if (records.empty()) return absl::OkStatus();
    for (const auto& record : records) posted.insert(*record.value());
    OTTLA_TRY(consumer.commit());
  }
}

absl::Status serve(Process& process, const Orders& orders, Orders& accepted, Orders& posted) {
  OTTLA_ASSIGN(const auto broker, Broker::open(process, {.log_dirs = "data"}));
  OTTLA_TRY(broker.create_topic(
      {.name = "outbox", .configs = {{"flush.messages", "1"}}, .if_not_exists = true}));
  OTTLA_TRY(accept(broker, orders, accepted));
  OTTLA_TRY(relay(broker, posted));
  return broker.close();
}

int main() {
  const Orders orders = {"order 1", "order 2", "order 3"};
  for (std::uint64_t call = 1;; call += 5) {  // each fifth; all of them take some seconds
    ottla::SimDisk disk({.seed = call});
    Orders accepted, posted;
    absl::Status served;
    const auto live = [&](ottla::SimFileSystem files, const Orders& given) {
      ottla::SimScheduler world({.seed = call});
      Process process(world, std::move(files));
      served.Update(
          world.run(process.process(), [&] { served = serve(process, given, accepted, posted); }));
    };
    disk.crash_at(call, ottla::CrashKind::power);
    live(disk.file_system(), orders);
    if (!disk.down()) {
      std::cout << call / 5 << " power cuts: every accepted order was posted\n";
      return 0;
    }
    live(disk.restart(), {});
    if (!served.ok() || !std::ranges::includes(posted, accepted) ||
        !std::ranges::includes(orders, posted)) {
      std::cerr << "error: after a power cut in call " << call << ": " << served << '\n';
      return 1;
    }
  }
}
