// SPDX-License-Identifier: Apache-2.0
//
// A log directory: who was here, what is remembered, partitions made and deleted.
#include <map>
#include <string>

#include "directory_fixture.hpp"
#include "tests/support/catch.hpp"

using namespace ottla;
using namespace log_test;

namespace {

const TopicPartition orders{"orders", PartitionId(0)};
const TopicPartition mail{"mail", PartitionId(1)};

struct Root : Directory {
  void create(LogDirectory& directory, Durability durability = Durability::written) {
    const LogDirectory::NewPartition both[] = {{orders, id(1), id(51)}, {mail, id(2), id(52)}};
    must(directory.create_partitions(both, durability));
    directory.note_created(orders, durability);
    directory.note_created(mail, durability);
  }
  Log open_log(LogDirectory& directory, const TopicPartition& partition) {
    RecoveryReport recovery;
    return must(Log::open(files, directory.path_of(partition), {},
                          directory.take_opening(partition, Timestamp(t0)), directory.health(),
                          recovery));
  }
  /// A directory with five records in "orders-0", closed as a broker would.
  void make_and_close() {
    LogDirectory directory = open();
    create(directory);
    Log log = open_log(directory, orders);
    must(append(log, make_batches(0, 5)).status);
    close(directory, log);
  }
  void close(LogDirectory& directory, Log& log) {
    directory.note_closed(orders, must(log.close()));
    directory.set_offset(CheckpointKind::recovery_point, orders, log.recovery_point());
    for (const CheckpointKind kind : {CheckpointKind::recovery_point, CheckpointKind::log_start,
                                      CheckpointKind::high_watermark}) {
      must(directory.write_checkpoint(kind, directory.offsets(kind), Durability::durable));
    }
    must(directory.close(directory.clean_ends()));
  }

  bool has(const std::string& name) { return memory.status("/d/" + name).ok(); }
  void remove(const std::string& name) { must(memory.remove("/d/" + name, IoReason::other)); }
};

}  // namespace

TEST_CASE("A new log directory gets its properties, a lock and a record of who opened it") {
  Root root;
  const LogDirectory directory = root.open();
  CHECK(parse_meta_properties(root.content("meta.properties"), "f").value() ==
        MetaProperties{"cluster", BrokerId(1), id(9)});
  CHECK(root.content(".lock").empty());
  CHECK(parse_run_record(root.content(".ottla_run"))->process == 4711);
  CHECK(directory.partitions().empty());
  CHECK(root.report.findings.empty());
}

TEST_CASE("A second opening is refused, names the process that has it, and touches nothing") {
  Root root;
  const LogDirectory directory = root.open();
  std::vector<std::string> touched;
  root.hook = [&](IoCall& call) {
    const bool reads = call.operation == IoOperation::status ||
                       call.operation == IoOperation::lock ||
                       call.path.find(".ottla_run") != std::string_view::npos;
    if (!reads && !call.done) {
      touched.emplace_back(call.path);
    }
    return absl::OkStatus();
  };
  DirectoryReport report;
  const auto second = LogDirectory::open(root.files, {.path = "/d", .run = id(3)}, report);
  CHECK(fault(second.status()) == Fault::locked);
  CHECK(second.status().message().find("4711") != absl::string_view::npos);
  CHECK(touched.empty());
}

TEST_CASE("A path that is no directory, or has no parent, is refused") {
  Root root;
  (void)root.open();
  root.put("file", "");
  DirectoryReport report;
  CHECK(fault(LogDirectory::open(root.files, {.path = "/d/file"}, report).status()) ==
        Fault::invalid_argument);
  CHECK(fault(LogDirectory::open(root.files, {.path = "/no/such"}, report).status()) ==
        Fault::not_found);
  // A new one needs to be told whose it is.
  CHECK(fault(LogDirectory::open(root.files, {.path = "/new"}, report).status()) ==
        Fault::invalid_argument);
}

TEST_CASE("A new partition has its final name once it says whose it is, and needs no sync") {
  Root root;
  LogDirectory directory = root.open();
  int syncs = 0;
  root.hook = [&](IoCall& call) {
    syncs += call.operation == IoOperation::sync || call.operation == IoOperation::sync_directory;
    if (call.operation == IoOperation::rename && !call.done) {
      CHECK(call.path.ends_with("-delete"));
      CHECK(root.memory.status(std::string(call.path) + "/partition.metadata").ok());
    }
    return absl::OkStatus();
  };
  root.create(directory);
  CHECK(syncs == 0);
  CHECK(root.content("orders-0/partition.metadata") == format_partition_metadata(id(1)));
  CHECK(must(directory.topic_id(mail)) == id(2));
  CHECK(fault(directory.topic_id({"none", PartitionId(0)}).status()) == Fault::not_found);
}

TEST_CASE("At the durable level many partitions are made with one sync of the directory") {
  Root root;
  LogDirectory directory = root.open();
  std::map<std::string, int> syncs;
  root.hook = [&](IoCall& call) {
    if (!call.done &&
        (call.operation == IoOperation::sync || call.operation == IoOperation::sync_directory)) {
      ++syncs[call.path == "/d" ? "the directory" : "a partition's"];
    }
    return absl::OkStatus();
  };
  root.create(directory, Durability::durable);
  CHECK(syncs["the directory"] == 1);
  CHECK(syncs["a partition's"] == 4);
}

TEST_CASE("Creation that was interrupted leaves nothing, or nothing that counts") {
  for (int k = 0;; ++k) {
    Root root;
    LogDirectory directory = root.open();
    int calls = 0;
    root.hook = [&](IoCall& call) {
      return !call.done && calls++ == k ? error(Fault::io, "input/output error") : absl::OkStatus();
    };
    const LogDirectory::NewPartition one[] = {{orders, id(1), id(51)}};
    const absl::Status made = directory.create_partitions(one, Durability::durable);
    root.hook = [](IoCall&) { return absl::OkStatus(); };
    if (calls <= k) {
      CHECK(made.ok());
      CHECK(k > 5);
      break;
    }
    CHECK_FALSE(made.ok());
    while (directory.health()->writable() && must(directory.remove_deleted_partitions())) {
    }
    for (const DirectoryEntry& entry : must(root.memory.list("/d"))) {
      const bool goes = directory_kind(entry.name) == DirectoryKind::deleted;
      CHECK((!goes || !directory.health()->writable()));
    }
    { const LogDirectory closed = std::move(directory); }
    LogDirectory again = root.open();
    const LogDirectory::NewPartition other[] = {{orders, id(7), id(53)}};
    const absl::Status remade = again.create_partitions(other, Durability::written);
    INFO("call " << k);
    CHECK((remade.ok() || must(again.topic_id(orders)) == id(1)));
    while (must(again.remove_deleted_partitions())) {
    }
    CHECK(again.partitions().size() <= 1);
  }
}

TEST_CASE("An incomplete directory without data is made again, one with data never") {
  Root root;
  LogDirectory directory = root.open();
  must(root.memory.create_directory("/d/orders-0", IoReason::other));
  root.put("orders-0/00000000000000000000.log", "");
  root.put("orders-0/partition.metadata", "");
  const LogDirectory::NewPartition one[] = {{orders, id(1), id(51)}};
  must(directory.create_partitions(one, Durability::written));
  CHECK(must(directory.topic_id(orders)) == id(1));
  CHECK(fault(directory.create_partitions(one, Durability::written)) == Fault::already_exists);

  root.put("orders-0/partition.metadata", "");
  root.put("orders-0/00000000000000000000.log", "data");
  CHECK(fault(directory.create_partitions(one, Durability::written)) == Fault::already_exists);
}

TEST_CASE("After a clean stop logs open without being looked through") {
  Root root;
  root.make_and_close();
  CHECK(root.content(".kafka_cleanshutdown") == R"({"version":0,"brokerEpoch":-1})");
  CHECK(root.content("recovery-point-offset-checkpoint") == "0\n1\norders 0 5\n");
  LogDirectory directory = root.open();
  CHECK(root.report.last_stop == LastStop::clean);
  CHECK_FALSE(root.report.foreign);
  CHECK_FALSE(root.has(".kafka_cleanshutdown"));
  CHECK_FALSE(root.has(".ottla_clean"));
  CHECK(directory.partitions() == std::vector<TopicPartition>{mail, orders});
  const LogOpening opening = directory.take_opening(orders, Timestamp(t0));
  CHECK(opening.last_stop == LastStop::clean);
  REQUIRE(opening.clean_end.has_value());
  CHECK(opening.clean_end->end == Offset(5));
  CHECK(opening.recovery_point == Offset(5));
}

TEST_CASE("A partition that nobody opened is as closed at the next stop as it was before") {
  Root root;
  root.make_and_close();
  {
    LogDirectory directory = root.open();
    must(directory.close(directory.clean_ends()));
  }
  LogDirectory directory = root.open();
  CHECK(directory.take_opening(orders, Timestamp(t0)).clean_end.has_value());
  // Never opened, so never closed.
  CHECK(directory.take_opening(mail, Timestamp(t0)).last_stop == LastStop::system_crash);
}

TEST_CASE("Markers are removed, and that is synced, before any other write") {
  Root root;
  root.make_and_close();
  std::vector<std::string> order;
  root.hook = [&](IoCall& call) {
    const bool changes =
        call.operation == IoOperation::write || call.operation == IoOperation::remove ||
        call.operation == IoOperation::rename || call.operation == IoOperation::sync_directory ||
        call.operation == IoOperation::truncate;
    if (changes && !call.done) {
      order.emplace_back(call.path);
    }
    return absl::OkStatus();
  };
  (void)root.open();
  REQUIRE(order.size() > 3);
  CHECK(order[0] == "/d/.ottla_clean");
  CHECK(order[1] == "/d/.kafka_cleanshutdown");
  CHECK(order[2] == "/d");
}

TEST_CASE("The stop is clean only where both markers are ours and belong together") {
  const auto after = [](auto change) {
    Root root;
    root.make_and_close();
    change(root);
    (void)root.open();
    CHECK(root.report.findings.empty() == !root.report.foreign);
    return std::pair(root.report.last_stop, root.report.foreign);
  };
  const auto crash = LastStop::system_crash;
  CHECK(after([](Root&) {}) == std::pair(LastStop::clean, false));
  // Kafka opened it and stopped cleanly.
  CHECK(after([](Root& root) {
          root.remove(".kafka_cleanshutdown");
          root.put(".kafka_cleanshutdown", R"({"version":0,"brokerEpoch":12})");
        }) == std::pair(LastStop::clean, true));
  CHECK(after([](Root& root) { root.put(".kafka_cleanshutdown", ""); }) ==
        std::pair(LastStop::clean, true));
  // We opened it, and died between removing one and the other; or Kafka was here since.
  CHECK(after([](Root& root) { root.remove(".ottla_clean"); }) == std::pair(crash, false));
  CHECK(after([](Root& root) {
          root.remove(".ottla_clean");
          root.put("recovery-point-offset-checkpoint", "0\n1\norders 0 4\n");
        }) == std::pair(crash, true));
  // Kafka opened it and was killed.
  CHECK(after([](Root& root) { root.remove(".kafka_cleanshutdown"); }) == std::pair(crash, true));
  // Damaged, or of an earlier run.
  CHECK(after([](Root& root) { root.put(".ottla_clean", "nonsense"); }) ==
        std::pair(LastStop::clean, true));
  CHECK(after([](Root& root) {
          RunRecord run = *parse_run_record(root.content(".ottla_run"));
          run.run = id(77);
          root.put(".ottla_run", format_run_record(run));
        }) == std::pair(LastStop::clean, true));
}

TEST_CASE("Without markers the boot and the device tell which crash it was") {
  const auto after = [](auto change) {
    Root root;
    {
      LogDirectory directory = root.open();
      root.create(directory);
      directory.set_offset(CheckpointKind::recovery_point, orders, Offset(3));
      must(directory.write_checkpoint(CheckpointKind::recovery_point,
                                      directory.offsets(CheckpointKind::recovery_point),
                                      Durability::written));
    }
    change(root);
    const LogDirectory directory = root.open();
    CHECK(directory.offset(CheckpointKind::recovery_point, orders).has_value());
    CHECK((!root.report.foreign || !root.report.findings.empty()));
    return std::pair(root.report.last_stop, root.report.foreign);
  };
  const auto change_run = [](auto change) {
    return [change](Root& root) {
      RunRecord run = *parse_run_record(root.content(".ottla_run"));
      change(run);
      root.put(".ottla_run", format_run_record(run));
    };
  };
  CHECK(after([](Root&) {}) == std::pair(LastStop::process_crash, false));
  CHECK(after(change_run([](RunRecord& run) { run.volume.boot_id = "another-boot"; })) ==
        std::pair(LastStop::system_crash, false));
  CHECK(after(change_run([](RunRecord& run) { run.volume.device += 1; })) ==
        std::pair(LastStop::system_crash, false));
  CHECK(after([](Root& root) { root.remove(".ottla_run"); }) ==
        std::pair(LastStop::system_crash, false));
  // Kafka was here in between, and was killed: its checkpoint is not the one that we wrote.
  CHECK(after([](Root& root) {
          root.put("recovery-point-offset-checkpoint", "0\n1\norders 0 4\n");
        }) == std::pair(LastStop::system_crash, true));
  // Nobody writes one that cannot be read: it is damaged, and what we know of the rest still holds.
  CHECK(after([](Root& root) { root.put("log-start-offset-checkpoint", "0\n7\n"); }) ==
        std::pair(LastStop::process_crash, false));
}

TEST_CASE("A checkpoint that cannot be read counts as empty, and is reported") {
  Root root;
  root.make_and_close();
  root.put("log-start-offset-checkpoint", "0\n7\n");
  const LogDirectory directory = root.open();
  CHECK_FALSE(directory.offset(CheckpointKind::log_start, orders).has_value());
  REQUIRE(root.report.findings.size() == 1);
  CHECK(root.report.findings[0].find("log-start-offset-checkpoint, line") != std::string::npos);
}

TEST_CASE(
    "A checkpoint is in place as a whole or not at all, and its checksum never rules it out") {
  for (int k = 0;; ++k) {
    Root root;
    int calls = 0;
    {
      LogDirectory directory = root.open();
      directory.set_offset(CheckpointKind::log_start, orders, Offset(3));
      must(directory.write_checkpoint(CheckpointKind::log_start,
                                      directory.offsets(CheckpointKind::log_start),
                                      Durability::durable));
      root.hook = [&](IoCall& call) {
        return !call.done && calls++ >= k ? error(Fault::io, "input/output error")
                                          : absl::OkStatus();
      };
      directory.set_offset(CheckpointKind::log_start, orders, Offset(8));
      const absl::Status written = directory.write_checkpoint(
          CheckpointKind::log_start, directory.offsets(CheckpointKind::log_start),
          Durability::durable);
      CHECK(written.ok() == (calls <= k));
      root.hook = [](IoCall&) { return absl::OkStatus(); };
    }
    const LogDirectory directory = root.open();
    INFO("call " << k);
    CHECK(root.report.last_stop == LastStop::process_crash);
    CHECK_FALSE(root.report.foreign);
    const auto start = directory.offset(CheckpointKind::log_start, orders);
    CHECK((start == Offset(3) || start == Offset(8)));
    if (calls <= k) {
      CHECK(start == Offset(8));
      break;
    }
  }
}

TEST_CASE("When the disk is full the room kept for it takes checkpoints and the clean stop") {
  Root root;
  LogDirectory directory = root.open();
  root.create(directory);
  CHECK(root.has(".ottla_reserve"));
  root.hook = [&](IoCall& call) {
    return call.operation == IoOperation::write && !call.done &&
                   !root.content(".ottla_reserve").empty()
               ? error(Fault::no_space, "no space left")
               : absl::OkStatus();
  };
  directory.set_offset(CheckpointKind::log_start, orders, Offset(3));
  CHECK(directory
            .write_checkpoint(CheckpointKind::log_start,
                              directory.offsets(CheckpointKind::log_start), Durability::durable)
            .ok());
  CHECK(root.content("log-start-offset-checkpoint") == "0\n1\norders 0 3\n");
  CHECK(directory.close(directory.clean_ends()).ok());
}

TEST_CASE("A failed sync of the directory, or of a checkpoint, is final") {
  for (const IoOperation failing : {IoOperation::sync, IoOperation::sync_directory}) {
    Root root;
    LogDirectory directory = root.open();
    root.hook = [&](IoCall& call) {
      return call.operation == failing && !call.done
                 ? error(Fault::io, "input/output error", Outcome::unknown)
                 : absl::OkStatus();
    };
    CHECK_FALSE(
        directory.write_checkpoint(CheckpointKind::log_start, {}, Durability::durable).ok());
    CHECK_FALSE(directory.health()->writable());
    root.hook = [](IoCall&) { return absl::OkStatus(); };
    const LogDirectory::NewPartition one[] = {{orders, id(1), id(51)}};
    CHECK(error_code(directory.create_partitions(one, Durability::written)) ==
          ErrorCode::kafka_storage_error);
    CHECK_FALSE(directory.close({}).ok());
    CHECK_FALSE(root.has(".kafka_cleanshutdown"));
  }
}

TEST_CASE("A deleted partition is gone at once, its files by and by, also at a later open") {
  Root root;
  {
    LogDirectory directory = root.open();
    root.create(directory);
    Log log = root.open_log(directory, orders);
    must(append(log, make_batches(0, 5)).status);
    must(directory.delete_partition(orders, id(60), Durability::written));
    directory.note_deleted(orders);
    CHECK_FALSE(root.has("orders-0"));
    CHECK(offsets(log.view()) == range(0, 5));  // whoever has it open still reads
    const LogDirectory::NewPartition one[] = {{orders, id(5), id(51)}};
    must(directory.create_partitions(one, Durability::written));
    CHECK(must(directory.topic_id(orders)) == id(5));
  }
  LogDirectory directory = root.open();
  CHECK(directory.partitions() == std::vector<TopicPartition>{mail, orders});
  CHECK(root.has("orders-0." + id(60).to_hex() + "-delete"));
  while (must(directory.remove_deleted_partitions())) {
  }
  CHECK_FALSE(root.has("orders-0." + id(60).to_hex() + "-delete"));
  CHECK_FALSE(must(directory.remove_deleted_partitions()));
}

TEST_CASE("Directories that are not partitions are reported and left alone") {
  Root root;
  (void)root.open();
  const std::string future = "a-0." + id(1).to_hex() + "-future";
  const std::string stray = "a-1." + id(1).to_hex() + "-stray";
  for (const std::string& name : {future, stray, std::string("sub"), std::string("sub-x"),
                                  std::string("a-01"), std::string("foo-future-0")}) {
    must(root.memory.create_directory("/d/" + name, IoReason::other));
  }
  root.put("unknown-3", "a file");
  const LogDirectory directory = root.open();
  CHECK(directory.partitions() == std::vector<TopicPartition>{{"foo-future", PartitionId(0)}});
  CHECK(root.report.findings.size() == 5);
  CHECK(root.has(future));
  CHECK(root.has("sub"));
}

TEST_CASE("An I/O error while it opens is answered, and the next opening finds what was there") {
  for (int k = 0;; ++k) {
    Root root;
    root.make_and_close();
    int calls = 0;
    root.hook = [&](IoCall& call) {
      return !call.done && calls++ == k ? error(Fault::io, "input/output error") : absl::OkStatus();
    };
    DirectoryReport report;
    const auto opened =
        LogDirectory::open(root.files, {.path = "/d", .process = 1, .run = id(99)}, report);
    root.hook = [](IoCall&) { return absl::OkStatus(); };
    if (opened.ok()) {
      CHECK(k > 10);
      break;
    }
    CHECK(fault(opened.status()) == Fault::io);
    LogDirectory directory = root.open();
    const Log log = root.open_log(directory, orders);
    INFO("call " << k);
    CHECK(offsets(log.view()) == range(0, 5));
    CHECK(log.damage() == nullptr);
  }
}

TEST_CASE("An owner that cannot be read for a moment costs no manifest") {
  Root root;
  root.make_and_close();
  root.remove(".ottla_clean");  // Kafka had it since, and died
  root.put("recovery-point-offset-checkpoint", "0\n1\norders 0 4\n");
  const std::string before = root.content("orders-0/ottla_manifest");
  root.hook = [](IoCall& call) {
    const bool hit = call.path.ends_with("orders-0/partition.metadata") && !call.done &&
                     call.operation == IoOperation::read;
    return hit ? error(Fault::io, "input/output error") : absl::OkStatus();
  };
  CHECK(fault(root.try_open().status()) == Fault::io);
  REQUIRE(root.has("orders-0/ottla_manifest"));
  CHECK(root.content("orders-0/ottla_manifest") == before);
  root.hook = [](IoCall&) { return absl::OkStatus(); };
  (void)root.open();
  CHECK(root.report.foreign);
  CHECK(Manifest::parse(root.content("orders-0/ottla_manifest"))->is_of_others(Offset(4)));
}
