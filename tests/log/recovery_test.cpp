// SPDX-License-Identifier: Apache-2.0
//
// Opening a log after its process, or its machine, has died.
#include <string>

#include "killed.hpp"
#include "tests/support/catch.hpp"

using namespace ottla;
using namespace log_test;

namespace {

using Kind = RecoveryReport::Kind;

}  // namespace

TEST_CASE("A log that was killed is there as it was") {
  for (const LastStop stop : both) {
    Killed disk;
    const Log log = disk.open_after(stop);
    CHECK(disk.report.last_stop == stop);
    CHECK(disk.report.findings.empty());
    CHECK(offsets(log.view()) == range(0, 12));
    CHECK(log.epochs().latest() == LeaderEpoch(0));
    CHECK(log.damage() == nullptr);
  }
}

TEST_CASE(
    "A log cut at any byte of its last two batches is recovered to the whole ones, and goes on") {
  for (const LastStop stop : both) {
    for (const std::int32_t index_interval : {0, 4096}) {
      const std::int64_t size = Killed(index_interval).size(file(8));
      const std::int64_t batch = Killed().batch_size;
      for (std::int64_t at = size - 2 * batch; at <= size; ++at) {
        Killed disk(index_interval);
        const std::string text = disk.content(file(8));
        disk.cut(file(8), at);
        const std::int64_t whole = at / batch;
        const std::int64_t torn = at % batch;
        INFO("cut at " << at << ", stop " << static_cast<int>(stop));
        Log log = disk.open_after(stop);
        REQUIRE(log.end() == Offset(8 + whole));
        REQUIRE(offsets(log.view()) == range(0, 8 + whole));
        REQUIRE(disk.size(file(8)) == whole * batch);
        REQUIRE(disk.report.has(Kind::cut) == (torn > 0));
        if (torn > 0) {
          const auto& finding = disk.report.findings.front();
          REQUIRE(finding.position == whole * batch);
          REQUIRE(finding.bytes == torn);
          // Zeros at the end of what is kept are left out.
          const std::string lost =
              text.substr(static_cast<std::size_t>(whole * batch), static_cast<std::size_t>(torn));
          const std::size_t kept = lost.find_last_not_of('\0') + 1;
          REQUIRE(finding.saved_as.empty() == (kept == 0));
          REQUIRE((kept == 0 || disk.content(finding.saved_as) == lost.substr(0, kept)));
        }
        REQUIRE(append(log, make_batches(8 + whole, 5)).status.ok());
        REQUIRE(offsets(log.view()) == range(0, 13 + whole));
        const Log again = disk.open_after(stop);
        REQUIRE(offsets(again.view()) == range(0, 13 + whole));
        REQUIRE_FALSE(disk.report.has(Kind::cut));
      }
    }
  }
}

TEST_CASE(
    "After the death of the process only the last segment is looked at, from its last index "
    "entry") {
  Killed disk(0);
  {
    Log log = disk.open_after(LastStop::process_crash);
    must(log.close());
  }
  std::int64_t read = 0;
  disk.hook = [&](IoCall& call) {
    const bool other = call.path.find(file(0)) != std::string_view::npos ||
                       call.path.find(file(4)) != std::string_view::npos;
    CHECK_FALSE(other);
    read += call.operation == IoOperation::read && !call.done &&
                    call.path.find(file(8)) != std::string_view::npos
                ? 1
                : 0;
    return absl::OkStatus();
  };
  const Log log = disk.open_after(LastStop::process_crash);
  CHECK(disk.report.scanned_bytes == disk.batch_size);
  disk.hook = [](IoCall&) { return absl::OkStatus(); };
  CHECK(offsets(log.view()) == range(0, 12));
}

TEST_CASE("After the death of the machine everything above the recovery point is looked at") {
  for (const std::int64_t point : {0, 3, 4, 7, 8, 12}) {
    Killed disk;
    const Log log = disk.open_after(LastStop::system_crash, point);
    INFO(point);
    // Where a segment begins at it, the indexes of the one before may not be on the device.
    const std::int64_t first = std::min<std::int64_t>(std::max<std::int64_t>(point - 1, 0) / 4, 2);
    CHECK(disk.report.scanned_bytes == (12 - 4 * first) * disk.batch_size);
    CHECK(log.durable_end() == Offset(point));
  }
}

TEST_CASE(
    "Bad data above the durable point is cut after the death of the machine, later segments too") {
  Killed disk;
  disk.flip(file(4), static_cast<std::size_t>(disk.batch_size) + 70);
  Log log = disk.open_after(LastStop::system_crash, 2);
  CHECK(log.end() == Offset(5));
  CHECK(offsets(log.view()) == range(0, 5));
  CHECK_FALSE(disk.has(file(8)));
  CHECK_FALSE(disk.has(file(8, offset_index_suffix)));
  REQUIRE(disk.report.findings.size() == 2);
  CHECK(disk.report.findings[0].saved_as == file(8) + ".cut-1");
  CHECK(disk.report.findings[1].saved_as == file(4) + ".cut-1");
  CHECK(disk.size(file(4) + ".cut-1") == 3 * disk.batch_size - 1);  // but a zero at the end
  CHECK(disk.size(file(8) + ".cut-1") == 4 * disk.batch_size);
  REQUIRE(append(log, make_batches(5, 5)).status.ok());
  CHECK(offsets(log.view()) == range(0, 10));
}

TEST_CASE("Bad data below the durable point is damage: nothing is cut, what is good is served") {
  Killed disk;
  const std::string before = disk.content(file(8));
  disk.flip(file(8), static_cast<std::size_t>(disk.batch_size) + 3);  // base offset of the second
  const std::string damaged = disk.content(file(8));
  Log log = disk.open_after(LastStop::system_crash, 12);
  REQUIRE(log.damage() != nullptr);
  CHECK(log.damage()->file == disk.path(file(8)));
  CHECK(log.damage()->position == disk.batch_size);
  CHECK(log.damage()->offset == Offset(9));
  CHECK(log.end() == Offset(9));
  CHECK(disk.content(file(8)) == damaged);
  CHECK(offsets(log.view()) == range(0, 9));
  const auto buffers = make_ref<ReadBuffers>();
  const LogView view = log.view();
  for (const std::int64_t at : {9, 10, 11, 12, 50}) {
    const auto read = view.read({Offset(at), Offset(INT64_MAX)}, *buffers);
    CHECK(error_code(read.status()) == ErrorCode::corrupt_message);
    CHECK(fault(read.status()) == Fault::corrupt);
    CHECK(read.status().message().find(log.damage()->file) != absl::string_view::npos);
  }
  const Appended done = append(log, make_batches(9, 1));
  CHECK(fault(done.status) == Fault::corrupt);
  CHECK(outcome(done.status) == Outcome::not_written);
  CHECK_FALSE(log.roll(Timestamp(t0)).ok());
  CHECK_FALSE(log.truncate_to(Offset(3), SteadyTime()).ok());
  CHECK_FALSE(log.close().ok());
  CHECK(disk.content(file(8)) == damaged);
}

TEST_CASE(
    "A torn write followed by what was written later is damage after the death of the process") {
  Killed disk;
  disk.flip(file(8), static_cast<std::size_t>(disk.batch_size) + 70);
  Log log = disk.open_after(LastStop::process_crash);
  REQUIRE(log.damage() != nullptr);
  CHECK(log.damage()->position == disk.batch_size);
  CHECK(offsets(log.view()) == range(0, 9));
  CHECK_FALSE(append(log, make_batches(9, 1)).status.ok());
  CHECK(disk.size(file(8)) == 4 * disk.batch_size);
}

TEST_CASE("A log that ends below its durable point has lost something: it is damaged at its end") {
  for (const LastStop stop : both) {
    Killed disk;
    disk.cut(file(8), disk.batch_size);
    const Log log = disk.open_after(stop, 11);
    INFO(static_cast<int>(stop));
    REQUIRE(log.damage() != nullptr);
    CHECK(log.end() == Offset(9));
    CHECK(disk.size(file(8)) == disk.batch_size);
  }
  Killed gone;
  for (const std::int64_t base : {0, 4, 8}) {
    must(gone.memory.remove(gone.path(file(base)), IoReason::other));
  }
  CHECK(gone.open_after(LastStop::system_crash, 11).damage() != nullptr);
}

TEST_CASE("A segment that ends before the next one begins ends the log, where it was not durable") {
  Killed disk;
  disk.cut(file(4), 2 * disk.batch_size);
  const Log log = disk.open_after(LastStop::system_crash, 5);
  CHECK(log.end() == Offset(6));
  CHECK(disk.report.has(Kind::cut));
  CHECK_FALSE(disk.has(file(8)));

  Killed other;
  other.cut(file(4), 2 * other.batch_size);
  CHECK(other.open_after(LastStop::system_crash, 7).damage() != nullptr);
}

TEST_CASE("Before a file that is missing nothing is served that is not as it was closed") {
  Killed disk;
  {
    Log log = disk.open_after(LastStop::process_crash);
    flush(log);
    must(log.close());
  }
  must(disk.memory.remove(disk.path(file(4)), IoReason::other));
  disk.cut(file(0), 2 * disk.batch_size);
  for (const bool without_epochs : {false, true}) {
    if (without_epochs) {
      must(disk.memory.remove(disk.path(epoch_checkpoint_file), IoReason::other));
    }
    const Log log = disk.open_after(LastStop::clean);
    REQUIRE(log.damage() != nullptr);
    CHECK(log.end() == Offset(4));
    const auto buffers = make_ref<ReadBuffers>();
    const auto read = log.view().read({Offset(0), log.end(), 1}, *buffers);
    CHECK(fault(read.status()) == Fault::corrupt);
  }
}

TEST_CASE("A gap that a follower was told to leave is no hole") {
  Disk disk;
  {
    Log log = disk.open();
    must(append(log, make_batches(0, 3)).status);
    must(append(log, {make_batch(std::int64_t{1} << 40)}).status);
  }
  const Log log = disk.open_after(LastStop::system_crash);
  CHECK(disk.report.findings.empty());
  CHECK(offsets(log.view()) == std::vector<std::int64_t>{0, 1, 2, std::int64_t{1} << 40});
}

TEST_CASE("A batch whose leader epoch did not lead there is not taken for one") {
  Killed disk;
  disk.flip(file(8), static_cast<std::size_t>(3 * disk.batch_size + 15));  // epoch 0 to 16
  const Log log = disk.open_after(LastStop::system_crash);
  CHECK(log.end() == Offset(11));
  CHECK(disk.report.has(Kind::cut));
}

TEST_CASE("Zeros behind the end are cut and not kept") {
  Killed disk;
  disk.put(file(8), disk.content(file(8)) + std::string(100'000, '\0'));
  const Log log = disk.open_after(LastStop::process_crash);
  CHECK(log.end() == Offset(12));
  REQUIRE(disk.report.findings.size() == 1);
  CHECK(disk.report.findings[0].bytes == 100'000);
  CHECK(disk.report.findings[0].saved_as.empty());
}

TEST_CASE("What the newest eight recoveries cut off is kept") {
  Killed disk;
  for (int i = 1; i <= 12; ++i) {
    disk.put(file(8), disk.content(file(8)) + "torn " + std::to_string(i));
    (void)disk.open_after(LastStop::process_crash);
  }
  std::vector<std::string> kept;
  for (const std::string& name : disk.names()) {
    if (name.find(".cut-") != std::string::npos) {
      kept.push_back(name);
    }
  }
  CHECK(kept.size() == 8);
  CHECK(disk.content(file(8) + ".cut-12") == "torn 12");
  CHECK(disk.content(file(8) + ".cut-5") == "torn 5");
}

TEST_CASE("Where there is no room for it, what is cut off is not kept, and the log opens") {
  Killed disk;
  disk.put(file(8), disk.content(file(8)) + "torn");
  disk.hook = [](IoCall& call) {
    return call.operation == IoOperation::write && !call.done
               ? error(Fault::no_space, "no space left")
               : absl::OkStatus();
  };
  const Log log = disk.open_after(LastStop::process_crash);
  CHECK(log.end() == Offset(12));
  REQUIRE(disk.report.findings.size() == 1);
  CHECK(disk.report.findings[0].saved_as.empty());
  CHECK(disk.names().size() == 13);
}

TEST_CASE("An I/O error is no corruption: opening fails, and the record files are as they were") {
  for (const LastStop stop : both) {
    for (int k = 0;; ++k) {
      Killed disk(0);
      disk.put(file(8), disk.content(file(8)) + "torn");
      const std::string before = disk.content(file(0)) + disk.content(file(4)) +
                                 disk.content(file(8)) + disk.content("leader-epoch-checkpoint");
      int calls = 0;
      disk.hook = [&](IoCall& call) {
        const bool reads =
            call.operation == IoOperation::read || call.operation == IoOperation::size ||
            call.operation == IoOperation::status || call.operation == IoOperation::list ||
            call.operation == IoOperation::open;
        return reads && !call.done && calls++ == k ? error(Fault::io, "input/output error")
                                                   : absl::OkStatus();
      };
      auto log = disk.try_open({.last_stop = stop});
      disk.hook = [](IoCall&) { return absl::OkStatus(); };
      INFO("call " << k << ", stop " << static_cast<int>(stop));
      if (log.ok() && calls <= k) {
        CHECK(k > 10);
        break;
      }
      if (log.ok()) {
        // Only what is known of producers could not be read, or noted: the next append sees to it.
        CHECK(offsets(log->view()) == range(0, 12));
        must(append(*log, make_batches(12, 1)).status);
        CHECK(log->last_stable_offset(log->end()) == Offset(13));
        continue;
      }
      REQUIRE(fault(log.status()) == Fault::io);
      REQUIRE(before == disk.content(file(0)) + disk.content(file(4)) + disk.content(file(8)) +
                            disk.content("leader-epoch-checkpoint"));
      Log again = disk.open_after(stop);
      REQUIRE(offsets(again.view()) == range(0, 12));
    }
  }
}

TEST_CASE(
    "A missing epoch file is made anew from the batches, without walking through every segment") {
  Disk disk;
  disk.options.config.segment_bytes = 4 * make_batch(0).facts.size;
  {
    Log log = disk.open();
    for (int i = 0; i < 40; ++i) {
      must(append(log, {make_batch(i, {.epoch = i < 5 ? 1 : i < 8 ? 2 : 7})}).status);
    }
  }
  for (const bool malformed : {false, true}) {
    if (malformed) {
      disk.put("leader-epoch-checkpoint", "0\n1\n0 1 2\n");
    } else {
      must(disk.memory.remove(disk.path("leader-epoch-checkpoint"), IoReason::other));
    }
    Log log = disk.open_after(LastStop::process_crash);
    CHECK(disk.report.has(Kind::epochs_rebuilt));
    CHECK(format_epoch_checkpoint(log.epochs().entries()) == "0\n3\n1 0\n2 5\n7 8\n");
    must(append(log, {make_batch(log.end().value(), {.epoch = 7})}).status);
    CHECK(disk.content("leader-epoch-checkpoint") == "0\n3\n1 0\n2 5\n7 8\n");
  }
}

TEST_CASE("An epoch file from elsewhere is noticed") {
  Killed disk;
  disk.put("leader-epoch-checkpoint", "0\n1\n0 3\n");
  const Log log = disk.open_after(LastStop::process_crash);
  CHECK(disk.report.has(Kind::epochs_rebuilt));
  CHECK(format_epoch_checkpoint(log.epochs().entries()) == "0\n1\n0 0\n");
}

TEST_CASE("Epochs above the end and below the start are forgotten") {
  Disk disk;
  {
    Log log = disk.open();
    for (int i = 0; i < 10; ++i) {
      must(append(log, {make_batch(i, {.epoch = i})}).status);
    }
  }
  disk.cut(file(0), 7 * make_batch(0).facts.size);
  const Log log = disk.open_after(LastStop::system_crash, 0, 3);
  CHECK(format_epoch_checkpoint(log.epochs().entries()) == "0\n4\n3 3\n4 4\n5 5\n6 6\n");
  CHECK(log.start() == Offset(3));
}

TEST_CASE("Where everything that was left lies below the log's start, it begins there, empty") {
  Killed disk;
  Log log = disk.open_after(LastStop::system_crash, 0, 20);
  CHECK(log.start() == Offset(20));
  CHECK(log.end() == Offset(20));
  REQUIRE(append(log, make_batches(20, 1)).status.ok());
  CHECK(offsets(log.view()) == range(20, 21));
  CHECK_FALSE(disk.has(file(0)));
}

TEST_CASE("A manifest of another partition is not believed, nor one that cannot be read") {
  Killed disk;
  disk.options.partition = PartitionId(7);
  (void)disk.open_after(LastStop::process_crash);
  CHECK(disk.report.has(Kind::manifest_dropped));
  disk.put("ottla_manifest", "nonsense");
  (void)disk.open_after(LastStop::process_crash);
  CHECK(disk.report.has(Kind::manifest_dropped));
}

TEST_CASE("After a failed sync the tail is copied to new files and synced before it is believed") {
  Killed disk;
  disk.put(file(0) + ".rewrite", "left over");
  std::vector<std::string> order;
  disk.hook = [&](IoCall& call) {
    if (call.reason == IoReason::recover_rewrite && !call.done &&
        (call.operation == IoOperation::sync || call.operation == IoOperation::rename ||
         call.operation == IoOperation::sync_directory)) {
      order.push_back(std::to_string(static_cast<int>(call.operation)));
    }
    return absl::OkStatus();
  };
  const Log log = disk.open(
      {.last_stop = LastStop::system_crash, .recovery_point = Offset(5), .rewrite_tail = true});
  const auto op = [](IoOperation operation) { return std::to_string(static_cast<int>(operation)); };
  CHECK(order == std::vector<std::string>{op(IoOperation::sync), op(IoOperation::rename),
                                          op(IoOperation::sync), op(IoOperation::rename),
                                          op(IoOperation::sync_directory)});
  CHECK(offsets(log.view()) == range(0, 12));
  for (const std::string& name : disk.names()) {
    CHECK_FALSE(name.ends_with(".rewrite"));
  }
}

TEST_CASE("An interrupted replacement is finished or undone, as Kafka does it") {
  const std::string zero = file(0);
  // Being written still: nothing of it counts.
  Killed unfinished;
  unfinished.put(zero + ".cleaned", "half");
  unfinished.put(file(4) + ".swap", "later than the one being cleaned");
  CHECK(offsets(unfinished.open_after(LastStop::system_crash).view()) == range(0, 12));
  CHECK_FALSE(unfinished.has(zero + ".cleaned"));
  CHECK_FALSE(unfinished.has(file(4) + ".swap"));

  // Complete: it takes the place of all that it covers.
  Killed complete;
  complete.put(zero + ".swap", complete.content(zero) + complete.content(file(4)));
  complete.put(file(0, offset_index_suffix) + ".swap", "");
  complete.put(file(0, time_index_suffix) + ".swap", "");
  const Log log = complete.open_after(LastStop::system_crash, 8);
  CHECK(offsets(log.view()) == range(0, 12));
  CHECK(segments(log.view()).size() == 2);
  CHECK_FALSE(complete.has(file(4)));
  CHECK_FALSE(complete.has(zero + ".deleted"));

  // Not complete, and the old ones are there: they stay.
  Killed broken;
  broken.put(zero + ".swap", broken.content(zero) + broken.content(file(4)).substr(0, 100));
  CHECK(offsets(broken.open_after(LastStop::system_crash).view()) == range(0, 12));
  CHECK(segments(broken.open_after(LastStop::system_crash).view()).size() == 3);
}

TEST_CASE("Files that are not ours are left alone") {
  Killed disk;
  const std::vector<std::string> names = {
      "notes.txt", "00000000000000000000.manifest", ".hidden", "5.log", "foo.log", "3.snapshot"};
  for (const std::string& name : names) {
    disk.put(name, "mine");
  }
  must(disk.memory.create_directory(disk.path("sub"), IoReason::other));
  for (const LastStop stop : {LastStop::clean, LastStop::process_crash, LastStop::system_crash}) {
    const Log log = disk.open_after(stop);
    CHECK(offsets(log.view()) == range(0, 12));
  }
  for (const std::string& name : names) {
    CHECK(disk.content(name) == "mine");
  }
  CHECK(disk.has("sub"));
}
