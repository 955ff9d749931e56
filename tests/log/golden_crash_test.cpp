// SPDX-License-Identifier: Apache-2.0
//
// A directory of a Kafka that was killed, damaged on purpose. Our verdicts are those of Kafka's
// recovery but where its looks away.
#include <string>

#include "golden_directory.hpp"
#include "tests/support/catch.hpp"

using namespace ottla;
using namespace log_test;

namespace {

/// Where we cut, and Kafka's recovery does not see that something is wrong, or cuts too much.
std::optional<std::int64_t> own_end(const std::string& partition) {
  return partition == "crash-flip-base-offset-0" ? std::optional<std::int64_t>(106)
         : partition == "crash-flip-magic-0"     ? std::optional<std::int64_t>(100)
         : partition == "crash-flip-epoch-0"     ? std::optional<std::int64_t>(83)
                                                 : std::nullopt;
}

bool is_cut(const std::string& partition) {
  for (const char* name : {"torn", "flip-last", "flip-unflushed", "flip-length", "flip-base-offset",
                           "flip-magic", "flip-epoch", "cut-mid", "prealloc"}) {
    if (partition.find(name) != std::string::npos) {
      return true;
    }
  }
  return false;
}

void check_lookups(const std::string& partition, const LogView& view, const Json& client) {
  // Kafka believes a wrong index, searches a corrupt batch, or has other records.
  const bool scan = own_end(partition) || partition == "crash-stale-index-0" ||
                    partition == "crash-flip-flushed-0";
  Decompressor decompressor;
  for (const Json& lookup : client["list_offsets_read_uncommitted"]["for_timestamp"]) {
    INFO(lookup.dump());
    const std::int64_t target = number(lookup["target"]);
    const auto found = view.find_timestamp(Timestamp(target), view.end(), decompressor);
    if (partition == "crash-flip-flushed-0" && !found.ok()) {
      CHECK(error_code(found.status()) == ErrorCode::corrupt_message);
      continue;
    }
    REQUIRE(found.ok());
    if (scan && partition != "crash-flip-flushed-0") {
      CHECK(*found == scan_for(view, target));
    } else if (!scan) {
      CHECK((*found ? (*found)->offset.value() : -1) == number(lookup["offset"]));
      CHECK((*found ? (*found)->timestamp.value() : -1) == number(lookup["timestamp"]));
    }
  }
}

Log open_log(GoldenDirectory& directory, LogDirectory& opened, const std::string& partition,
             RecoveryReport& report) {
  const TopicPartition id = *TopicPartition::parse(partition);
  return must(Log::open(directory.files, opened.path_of(id),
                        {.topic_id = must(opened.topic_id(id)), .partition = id.partition},
                        opened.take_opening(id, Timestamp(t0)), opened.health(), report));
}

void check_records(const GoldenDirectory& directory, const std::string& partition, const Log& log) {
  const LogView view = log.view();
  const ReadBytes all = read_bytes(view, view.start(), 1 << 20);
  CHECK(view.start() == Offset(0));
  if (partition == "crash-flip-flushed-0") {
    CHECK(same(all.bytes, directory.batches(partition, 0, 16, "before")));
    CHECK(error_code(all.status) == ErrorCode::corrupt_message);
    CHECK(all.status.message().find("00000000000000000000.log") != absl::string_view::npos);
    CHECK(all.status.message().find("1704") != absl::string_view::npos);
    return;
  }
  CHECK(all.status.ok());
  if (const auto end = own_end(partition); end) {
    CHECK(view.end() == Offset(*end));
    CHECK(same(all.bytes, directory.batches(partition, 0, *end, "before")));
  } else {
    CHECK(same(all.bytes, directory.batches(partition, 0, INT64_MAX, "after")));
  }
}

}  // namespace

TEST_CASE(
    "Kafka's killed and damaged directory is recovered: the records, and the lookups by time") {
  GoldenDirectory directory("crash", "before");
  LogDirectory opened = directory.open();
  CHECK(directory.report.last_stop == LastStop::system_crash);
  int partitions = 0;
  for (const std::string& partition : directory.partitions()) {
    INFO(partition);
    RecoveryReport report;
    Log log = open_log(directory, opened, partition, report);
    CHECK(log.damage() == nullptr);
    CHECK(report.has(RecoveryReport::Kind::cut) == is_cut(partition));
    check_records(directory, partition, log);
    check_lookups(partition, log.view(), expected_of("crash")["client_after_recovery"][partition]);
    ++partitions;

    // It can go on, and what is appended follows what is there.
    const Batch batch = make_batch(log.end().value(), {.epoch = 9});
    REQUIRE(append(log, {batch}).status.ok());
    const LogView view = log.view();
    CHECK(offsets(view, batch.facts.base_offset.value()).size() == 1);
  }
  CHECK(partitions == (golden::is_full() ? 26 : partitions));
  CHECK(partitions > 0);
}

TEST_CASE("Recovery of Kafka's directory, done twice, changes nothing the second time") {
  GoldenDirectory directory("crash", "before");
  std::map<std::string, std::string> after_first;
  for (int round = 0; round < 2; ++round) {
    LogDirectory opened = directory.open();
    for (const std::string& partition : directory.partitions()) {
      INFO(partition << ", round " << round);
      RecoveryReport report;
      const Log log = open_log(directory, opened, partition, report);
      check_records(directory, partition, log);
      for (const DirectoryEntry& entry : must(directory.memory.list("/d/" + partition))) {
        const std::string path = "/d/" + partition + "/" + entry.name;
        if (round == 0) {
          after_first[path] = directory.content(path);
        } else {
          CHECK(after_first.count(path) == 1);
          CHECK(same(after_first[path], directory.content(path)));
        }
      }
    }
  }
}

TEST_CASE("What recovery cuts off is kept beside, and unknown files are left alone") {
  GoldenDirectory directory("crash", "before");
  LogDirectory opened = directory.open();
  for (const std::string& partition : directory.partitions()) {
    INFO(partition);
    RecoveryReport report;
    (void)open_log(directory, opened, partition, report);
    for (const auto& finding : report.findings) {
      if (finding.kind == RecoveryReport::Kind::cut && !finding.saved_as.empty()) {
        const std::string kept = directory.content("/d/" + partition + "/" + finding.saved_as);
        const std::string file = finding.file.substr(finding.file.rfind('/') + 1);
        const std::string text = golden::read_text(directory.from / partition / file);
        CHECK(same(text.substr(static_cast<std::size_t>(finding.position), kept.size()), kept));
      }
    }
    const std::string names = "/d/" + partition + "/";
    if (partition == "crash-left-deleted-0") {
      CHECK(directory.memory.status(names + "notes.txt").ok());
      CHECK(directory.memory.status(names + "00000000000000000000.manifest").ok());
      CHECK_FALSE(directory.memory.status(names + "00000000000000900000.log.deleted").ok());
      CHECK_FALSE(directory.memory.status(names + "00000000000000800000.index").ok());
    }
    CHECK_FALSE(directory.memory.status(names + "00000000000000000000.log.cleaned").ok());
    CHECK_FALSE(directory.memory.status(names + "00000000000000000000.log.swap").ok());
  }
}

// Kafka's cleaner does not wait for the recovery point, and what a topic is configured as now, if
// that is known at all, does not tell what it was.
TEST_CASE("Kafka's compacted logs are whole after a kill, whatever is known of their topics") {
  int partitions = 0;
  for (const std::string name : {"before", "after1", "after2", "after3"}) {
    GoldenDirectory directory("compaction", name);
    must(directory.memory.remove("/d/.kafka_cleanshutdown", IoReason::other));
    must(directory.memory.remove("/d/recovery-point-offset-checkpoint", IoReason::other));
    LogDirectory opened = directory.open();
    CHECK(directory.report.last_stop == LastStop::system_crash);
    for (const std::string& partition : directory.partitions()) {
      INFO(name << "/" << partition);
      RecoveryReport report;
      const Log log = open_log(directory, opened, partition, report);
      CHECK_FALSE(report.has(RecoveryReport::Kind::cut));
      const LogView view = log.view();
      const ReadBytes all = read_bytes(view, view.start(), 1 << 20);
      CHECK(all.status.ok());
      CHECK(same(all.bytes, directory.batches(partition, view.start().value(), INT64_MAX)));
      ++partitions;
    }
  }
  CHECK(partitions >= 8);
  CHECK((!golden::is_full() || partitions > 40));
}
