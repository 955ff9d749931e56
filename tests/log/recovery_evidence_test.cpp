// SPDX-License-Identifier: Apache-2.0
//
// What recovery goes by, where it is not all there: the epoch file, the first segment, and what a
// failed write left.
#include <string>

#include "log_fixture.hpp"
#include "tests/support/catch.hpp"

using namespace ottla;
using namespace log_test;

namespace {

using Kind = RecoveryReport::Kind;

/// Segments of four batches, offsets from 0 on. Left without a clean stop.
struct Killed : Disk {
  explicit Killed(int batches) {
    options.config.segment_bytes = 4 * make_batch(0).facts.size;
    Log log = open();
    must(append(log, make_batches(0, batches)).status);
  }
};

}  // namespace

TEST_CASE("A refused epoch file is not vouched for, though its successor does not get there") {
  Killed disk(12);
  disk.put("leader-epoch-checkpoint", "0\n1\n0 3\n");
  disk.hook = [](IoCall& call) {
    return call.operation == IoOperation::rename && call.to.ends_with(epoch_checkpoint_file)
               ? error(Fault::io, "the disk does not rename")
               : absl::OkStatus();
  };
  {
    Log log = disk.open_after(LastStop::process_crash);
    log.assign_epoch(LeaderEpoch(1));
    CHECK_FALSE(append(log, {make_batch(12, {.epoch = 1})}).status.ok());
  }
  const Log log = disk.open_after(LastStop::process_crash);
  CHECK(disk.report.has(Kind::epochs_rebuilt));
  CHECK(log.damage() == nullptr);
  CHECK(offsets(log.view()) == range(0, 12));
}

TEST_CASE("What a failed write left goes before an epoch or a segment begins at its offset") {
  Killed disk(10);
  {
    Log log = disk.open_after(LastStop::process_crash);
    disk.hook = [](IoCall& call) {
      if (!call.done && call.operation == IoOperation::write && call.reason == IoReason::append) {
        call.torn_at = call.bytes;
        return error(Fault::io, "written, but not told so", Outcome::unknown);
      }
      return !call.done && call.operation == IoOperation::truncate
                 ? error(Fault::io, "the disk does not cut")
                 : absl::OkStatus();
    };
    CHECK(outcome(append(log, make_batches(10, 2)).status) == Outcome::unknown);
    log.assign_epoch(LeaderEpoch(1));
    CHECK_FALSE(append(log, {make_batch(10, {.epoch = 1})}).status.ok());
    CHECK(disk.content("leader-epoch-checkpoint") == "0\n1\n0 0\n");
    CHECK_FALSE(log.roll(Timestamp(t0)).ok());
    CHECK_FALSE(log.close().ok());
  }
  disk.hook = [](IoCall&) { return absl::OkStatus(); };
  const Log log = disk.open_after(LastStop::process_crash);
  CHECK(log.damage() == nullptr);
  CHECK(offsets(log.view()) == range(0, 12));  // nobody was told that the two are not there
}

TEST_CASE("The first segment is missed, though nobody had noted it") {
  Killed disk(12);
  for (const std::string_view suffix : {log_suffix, offset_index_suffix, time_index_suffix}) {
    must(disk.memory.remove(disk.path(offset_file_name(Offset(0), suffix)), IoReason::other));
  }
  const Log log = disk.open_after(LastStop::system_crash);
  CHECK(disk.report.has(Kind::segments_missing));
  CHECK(offsets(log.view()) == range(4, 12));
  (void)disk.open_after(LastStop::system_crash, 0, 4);
  CHECK_FALSE(disk.report.has(Kind::segments_missing));
}
