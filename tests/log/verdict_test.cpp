// SPDX-License-Identifier: Apache-2.0
//
// What ended the last run stays known until each log was taken through it, whoever dies meanwhile.
#include <string>

#include "directory_fixture.hpp"
#include "tests/support/catch.hpp"

using namespace ottla;
using namespace log_test;

namespace {

using Kind = RecoveryReport::Kind;

const TopicPartition first{"t", PartitionId(0)};
const TopicPartition second{"t", PartitionId(1)};

/// Two partitions of six records, left without a clean stop.
struct Two : Directory {
  RecoveryReport recovered;

  Two() {
    LogDirectory directory = must(try_open());
    const LogDirectory::NewPartition both[] = {{first, id(1), id(51)}, {second, id(2), id(52)}};
    must(directory.create_partitions(both, Durability::written));
    for (const TopicPartition& each : {first, second}) {
      directory.note_created(each, Durability::written);
      Log log = must(try_open(directory, each));
      must(append(log, make_batches(0, 6)).status);
    }
  }

  using Directory::try_open;
  absl::StatusOr<Log> try_open(LogDirectory& directory, const TopicPartition& partition) {
    recovered = {};
    return Log::open(files, directory.path_of(partition),
                     {.topic_id = id(partition == first ? 1 : 2), .partition = partition.partition},
                     directory.take_opening(partition, Timestamp(t0)), directory.health(),
                     recovered);
  }

  /// The power goes: of each log the third batch is lost, the later ones are there.
  void lose_power() {
    RunRecord run = *parse_run_record(content(".ottla_run"));
    run.volume.boot_id += "-before";
    put(".ottla_run", format_run_record(run));
    for (const std::string name : {"t-0", "t-1"}) {
      std::string log = content(name + "/00000000000000000000.log");
      const auto size = static_cast<std::size_t>(make_batch(0).facts.size);
      log.replace(2 * size, size, size, '\0');
      put(name + "/00000000000000000000.log", log);
    }
  }
};

}  // namespace

TEST_CASE(
    "A process that dies before every log was recovered does not hide that the machine died") {
  Two disk;
  disk.lose_power();
  {
    LogDirectory directory = must(disk.try_open());
    CHECK(disk.report.last_stop == LastStop::system_crash);
    Log log = must(disk.try_open(directory, first));
    CHECK(log.end() == Offset(2));
    must(append(log, make_batches(2, 3)).status);
  }
  for (int again = 0; again < 3; ++again) {
    INFO(again);
    LogDirectory directory = must(disk.try_open());
    CHECK(disk.report.last_stop == LastStop::process_crash);
    Log log = must(disk.try_open(directory, first));
    CHECK(disk.recovered.last_stop == LastStop::process_crash);
    CHECK(log.end() == Offset(5));
    if (again == 0) {
      continue;  // it dies before the second one, once more
    }
    log = must(disk.try_open(directory, second));
    CHECK(log.damage() == nullptr);
    CHECK(disk.recovered.has(Kind::cut) == (again == 1));
    // A log that was not appended to is looked through again.
    CHECK(disk.recovered.last_stop == LastStop::system_crash);
    CHECK(log.end() == Offset(2));
  }
}

TEST_CASE("Recovery from the death of the machine that dies at any call is done by the next one") {
  for (int k = 0;; ++k) {
    Two disk;
    disk.lose_power();
    int calls = 0;
    disk.hook = [&](IoCall& call) {
      return !call.done && calls++ >= k ? error(Fault::io, "input/output error") : absl::OkStatus();
    };
    const auto run = [&]() -> absl::Status {
      OTTLA_ASSIGN(LogDirectory directory, disk.try_open());
      for (const TopicPartition& each : {second, first}) {
        OTTLA_ASSIGN(Log log, disk.try_open(directory, each));
        OTTLA_TRY(append(log, make_batches(2, 1)).status);
      }
      return absl::OkStatus();
    };
    const absl::Status died = run();
    disk.hook = [](IoCall&) { return absl::OkStatus(); };
    LogDirectory directory = must(disk.try_open());
    for (const TopicPartition& each : {first, second}) {
      INFO("call " << k << ", partition " << each.to_string());
      const Log log = must(disk.try_open(directory, each));
      REQUIRE(log.damage() == nullptr);
      REQUIRE(offsets(log.view()) == range(0, log.end().value()));
      REQUIRE(log.end() >= Offset(2));
      REQUIRE(log.end() <= Offset(3));
      REQUIRE((!died.ok() || log.end() == Offset(3)));
    }
    if (died.ok()) {
      break;
    }
  }
}

TEST_CASE("A restart of the machine after a clean stop, and deaths after it, look at no more") {
  Two disk;
  {
    LogDirectory directory = must(disk.try_open());
    for (const TopicPartition& each : {first, second}) {
      Log log = must(disk.try_open(directory, each));
      directory.note_closed(each, must(log.close()));
    }
    must(directory.close(directory.clean_ends()));
  }
  RunRecord run = *parse_run_record(disk.content(".ottla_run"));
  const Uuid era = run.era;
  run.volume.boot_id += "-before";
  disk.put(".ottla_run", format_run_record(run));
  {
    LogDirectory directory = must(disk.try_open());
    CHECK(disk.report.last_stop == LastStop::clean);
    CHECK(parse_run_record(disk.content(".ottla_run"))->era != era);
    Log log = must(disk.try_open(directory, first));
    CHECK(disk.recovered.last_stop == LastStop::clean);
    must(append(log, make_batches(6, 1)).status);
  }
  LogDirectory directory = must(disk.try_open());
  Log log = must(disk.try_open(directory, first));
  CHECK(disk.recovered.last_stop == LastStop::process_crash);
  CHECK(log.end() == Offset(7));
  CHECK(Manifest::parse(disk.content("t-0/ottla_manifest"))->era() !=
        Manifest::parse(disk.content("t-1/ottla_manifest"))->era());
}

TEST_CASE(
    "That somebody else wrote here is known of every log, though the process dies meanwhile") {
  Two disk;
  CHECK(disk.content("t-0/ottla_manifest").find("\nera ") != std::string::npos);
  disk.put(".kafka_cleanshutdown", R"({"version":0,"brokerEpoch":12})");
  for (int k = 0;; ++k) {
    int calls = 0;
    disk.hook = [&](IoCall& call) {
      return !call.done && calls++ >= k ? error(Fault::io, "input/output error") : absl::OkStatus();
    };
    const bool died = !disk.try_open().ok();
    disk.hook = [](IoCall&) { return absl::OkStatus(); };
    INFO("call " << k);
    const bool marked = disk.memory.status("/d/.kafka_cleanshutdown").ok();
    const auto manifest = Manifest::parse(disk.content("t-1/ottla_manifest"));
    REQUIRE(manifest.has_value());
    REQUIRE((marked || manifest->is_of_others(Offset(5))));
    if (!died) {
      break;
    }
  }
  LogDirectory directory = must(disk.try_open());
  const Log log = must(disk.try_open(directory, second));
  CHECK(disk.recovered.last_stop == LastStop::system_crash);
  CHECK(log.end() == Offset(6));
}
