// SPDX-License-Identifier: Apache-2.0
//
// What a deletion leaves where a disk refuses a part of it: nothing that a new topic of the name
// gets, and nothing that keeps a broker from opening.
#include <map>
#include <string>

#include <ottla/admin/admin.hpp>
#include <ottla/env/fault_file_system.hpp>
#include <ottla/env/small_file.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/memory_broker.hpp"

using namespace ottla;
using namespace test;

namespace {

/// One log directory, "data"; calls with the reason `refused` that change something fail.
struct Site {
  std::optional<IoReason> refused;
  std::map<std::string, std::string> told;  // by "code file"
  MemoryEnv env{{.files = AnyFileSystem(FaultFileSystem(MemoryFileSystem(), [this](IoCall& call) {
                   const bool hit = refused && call.reason == *refused && !call.done &&
                                    (call.operation == IoOperation::write ||
                                     call.operation == IoOperation::rename);
                   return hit ? error(ErrorCode::kafka_storage_error, Fault::no_space, "disk full",
                                      Outcome::not_written)
                              : absl::OkStatus();
                 }))}};

  MemoryBroker open(const std::string& directory = "data") {
    told.clear();
    BrokerConfig config{.on_event = [this](const BrokerEvent& event) {
      told[event.code + " " + event.file] = event.text;
    }};
    config.log_dirs = directory;
    return must(MemoryBroker::open(env, std::move(config)));
  }
  bool there(const std::string& path) { return env.file_system().status(path).ok(); }
  void copy(const std::string& from, const std::string& to) {
    AnyFileSystem& files = env.file_system();
    must(files.create_directory(to, IoReason::other));
    for (const DirectoryEntry& entry : must(files.list(from))) {
      const std::string name = "/" + entry.name;
      if (entry.kind == FileKind::directory) {
        copy(from + name, to + name);
      } else {
        const std::string text = must(read_small_file(files, from + name, 1'000'000));
        must(replace_small_file(files, to + name, as_bytes(text), Durability::written,
                                IoReason::other));
      }
    }
  }
};

std::size_t records(const MemoryBroker& broker) {
  auto consumer = must(TextConsumer::open(broker, {.offset_reset = OffsetReset::earliest}));
  must(consumer.assign({partition(0)}));
  return drain(consumer).size();
}

}  // namespace

TEST_CASE(
    "checkpoints that a deletion could not write are written before the name is given again") {
  Site site;
  {
    const MemoryBroker broker = site.open();
    must(broker.create_topic({.name = "orders", .partitions = 1}));
    produce_numbers(broker, 0, 100);
    CHECK(must(must(Admin::open(broker)).delete_records(partition(0), Offset(60))) == Offset(60));
  }
  const MemoryBroker broker = site.open();
  site.refused = IoReason::checkpoint;
  CHECK_FALSE(broker.delete_topic("orders").ok());
  CHECK_FALSE(site.there("data/orders-0"));
  CHECK_FALSE(broker.create_topic({.name = "orders", .partitions = 1}).ok());
  site.refused.reset();
  must(broker.create_topic({.name = "orders", .partitions = 1, .if_not_exists = true}));
  produce_numbers(broker, 0, 50);
  site.copy("data", "killed");
  const MemoryBroker after = site.open("killed");
  CHECK(site.told.empty());
  CHECK(records(after) == 50);
  produce_numbers(after, 50, 1);
  CHECK(records(after) == 51);
}

TEST_CASE("what a deletion left and cannot be taken away keeps no other topic from being served") {
  const IoReason refused = GENERATE(IoReason::delete_partition, IoReason::checkpoint);
  Site site;
  {
    const MemoryBroker broker = site.open();
    must(broker.create_topic({.name = "orders", .partitions = 1}));
    must(broker.create_topic({.name = "doomed", .partitions = 1}));
    produce_numbers(broker, 0, 3);
  }
  {
    MemoryBroker broker = site.open();
    site.refused = refused;
    CHECK_FALSE(broker.delete_topic("doomed").ok());
    broker.close().IgnoreError();
  }
  {
    MemoryBroker broker = site.open();
    CHECK(site.told.contains("directory_failed data"));
    CHECK(records(broker) == 3);
    CHECK_FALSE(broker.create_topic({.name = "doomed", .partitions = 1}).ok());
    broker.close().IgnoreError();
  }
  site.refused.reset();
  const MemoryBroker broker = site.open();
  CHECK_FALSE(site.told.contains("directory_failed data"));
  must(broker.create_topic({.name = "doomed", .partitions = 1, .if_not_exists = true}));
  CHECK(records(broker) == 3);
}
