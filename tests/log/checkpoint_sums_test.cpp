// SPDX-License-Identifier: Apache-2.0
//
// Checkpoint files that are not what was written, and whom that tells of.
#include <string>

#include "directory_fixture.hpp"
#include "tests/support/catch.hpp"

using namespace ottla;
using namespace log_test;

namespace {

const TopicPartition orders{"orders", PartitionId(0)};
const std::string checkpoint = "recovery-point-offset-checkpoint";

struct Root : Directory {
  /// With a recovery point of 3.
  LogDirectory make() {
    LogDirectory directory = open();
    directory.set_offset(CheckpointKind::recovery_point, orders, Offset(3));
    must(directory.write_checkpoint(CheckpointKind::recovery_point,
                                    directory.offsets(CheckpointKind::recovery_point),
                                    Durability::durable));
    return directory;
  }
};

}  // namespace

TEST_CASE(
    "A checkpoint that is not the one that was written is not believed after our clean stop") {
  Root root;
  {
    LogDirectory directory = root.make();
    directory.set_offset(CheckpointKind::log_start, orders, Offset(2));
    must(directory.write_checkpoint(CheckpointKind::log_start,
                                    directory.offsets(CheckpointKind::log_start),
                                    Durability::durable));
    must(directory.close({}));
  }
  root.put("log-start-offset-checkpoint", "0\n1\norders 0 7\n");
  for (const LastStop stop : {LastStop::clean, LastStop::process_crash}) {
    const LogDirectory directory = root.open();
    CHECK(root.report.last_stop == stop);
    CHECK_FALSE(root.report.foreign);
    CHECK_FALSE(directory.offset(CheckpointKind::log_start, orders).has_value());
    CHECK(root.report.findings.size() == (stop == LastStop::clean ? 1 : 0));
    CHECK(root.content("log-start-offset-checkpoint") == "0\n0\n");
  }
}

TEST_CASE("A clean stop of ours tells all recovery points, also at the openings that follow") {
  for (const std::string text : {"", "0\n1\norders 0 7\n", "0\n1\nord"}) {
    Root root;
    must(root.make().close({{"orders-0", {.end = Offset(9)}}}));
    root.put(checkpoint, text);
    for (const LastStop stop : {LastStop::clean, LastStop::process_crash}) {
      const LogDirectory directory = root.open();
      CHECK(root.report.last_stop == stop);
      CHECK_FALSE(root.report.foreign);
      CHECK(directory.offset(CheckpointKind::recovery_point, orders) == Offset(9));
      CHECK(root.report.findings.size() == (stop == LastStop::clean && !text.empty() ? 1 : 0));
    }
  }
}

TEST_CASE("Recovery points that are made anew are there whatever call of the opening fails") {
  const std::string kept = "0\n1\nmail 0 5\n";  // it lags
  for (const std::string& text : {kept, std::string("0\n1\norders 0 7\n"), std::string("0\n1\n")}) {
    for (int k = 0, calls = k; calls >= k; ++k) {
      INFO("call " << k << " with " << text);
      Root root;
      {
        LogDirectory directory = root.open();
        const LogDirectory::NewPartition one = {orders, id(1), id(51)};
        must(directory.create_partitions({&one, 1}, Durability::written));
        directory.set_offset(CheckpointKind::recovery_point, {"mail", PartitionId(0)}, Offset(5));
        must(directory.write_checkpoint(CheckpointKind::recovery_point,
                                        directory.offsets(CheckpointKind::recovery_point),
                                        Durability::durable));
        must(directory.close({{"orders-0", {.end = Offset(9)}}}));
      }
      root.put(checkpoint, text);
      root.put("orders-0/ottla_manifest", "ours");
      calls = 0;
      root.hook = [&](IoCall& call) {
        return !call.done && calls++ >= k ? error(Fault::io, "input/output error")
                                          : absl::OkStatus();
      };
      root.report = {};
      (void)open_directory(root.files, ++root.runs, root.report);
      root.hook = [](IoCall&) { return absl::OkStatus(); };
      for (int again = 0; again < 2; ++again) {
        const LogDirectory directory = root.open();
        CHECK_FALSE(root.report.foreign);
        CHECK(root.memory.status("/d/orders-0/ottla_manifest").ok());
        CHECK(directory.offset(CheckpointKind::recovery_point, orders) == Offset(9));
        CHECK(directory.offset(CheckpointKind::recovery_point, {"mail", PartitionId(0)}) ==
              (text == kept ? std::optional(Offset(5)) : std::nullopt));
      }
    }
  }
}

TEST_CASE("On a full disk a directory opens whatever became of its checkpoints") {
  for (const std::string text : {"", "0\n1\norders 0 7\n", "0\n1\nord"}) {
    Root root;
    must(root.make().close({{"orders-0", {.end = Offset(9)}}}));
    root.put(checkpoint, text);
    must(root.memory.remove("/d/.ottla_reserve", IoReason::other));
    root.hook = [](IoCall& call) {
      return call.operation == IoOperation::write ? error(Fault::no_space, "no space is left")
                                                  : absl::OkStatus();
    };
    const LogDirectory directory = root.open();
    CHECK(directory.offset(CheckpointKind::recovery_point, orders) == Offset(9));
  }
}

TEST_CASE(
    "A checkpoint that a power cut left beside older sums tells of nobody at later openings") {
  Root root;
  (void)root.make();
  RunRecord run = *parse_run_record(root.content(".ottla_run"));
  run.volume.boot_id += "-before";
  root.put(".ottla_run", format_run_record(run));
  root.put(checkpoint, "0\n1\norders 0 4\n");
  {
    const LogDirectory directory = root.open();
    CHECK(root.report.last_stop == LastStop::system_crash);
    CHECK(directory.offset(CheckpointKind::recovery_point, orders) == Offset(4));
    CHECK(root.report.findings.size() == 1);
  }
  const LogDirectory directory = root.open();
  CHECK(root.report.last_stop == LastStop::process_crash);
  CHECK_FALSE(root.report.foreign);
  CHECK(root.report.findings.empty());
  CHECK(directory.offset(CheckpointKind::recovery_point, orders) == Offset(4));
}
