// SPDX-License-Identifier: Apache-2.0
//
// Index files that cannot be read, for a moment or for good, beside logs that can.
#include <string>

#include "log_fixture.hpp"
#include "tests/support/catch.hpp"

using namespace ottla;
using namespace log_test;

namespace {

const std::string first = "00000000000000000000";

struct Unread : Disk {
  int failed = 0;

  /// Of segments of three batches, an index entry for each but the first.
  Unread() {
    options.config.segment_bytes = 3 * make_batch(0).facts.size;
    options.config.index_interval_bytes = 1;
  }
  /// So many batches, then a clean stop: how the next one opens it.
  LogOpening written(int batches) {
    Log log = open();
    must(append(log, make_batches(0, batches)).status);
    const CleanEnd end = must(log.close());
    return {.last_stop = LastStop::clean, .clean_end = end, .recovery_point = end.end};
  }
  void fail_indexes_of(const std::string& base) {
    hook = [this, base](IoCall& call) {
      const bool hit =
          call.operation == IoOperation::read && !call.done &&
          (call.path == path(base + ".index") || call.path == path(base + ".timeindex"));
      failed += hit;
      return hit ? error(Fault::io, "input/output error") : absl::OkStatus();
    };
  }
  void fail_nothing() {
    hook = [](IoCall&) { return absl::OkStatus(); };
  }
  std::string indexes_of(const std::string& base) {
    return content(base + ".index") + "|" + content(base + ".timeindex");
  }
};

std::int64_t found(const LogView& view, std::int64_t timestamp) {
  Decompressor decompressor;
  const auto place = must(view.find_timestamp(Timestamp(timestamp), view.end(), decompressor));
  return place ? place->offset.value() : -1;
}

}  // namespace

TEST_CASE("A closed segment is read where its indexes cannot be, and they are made anew") {
  Unread disk;
  const LogOpening opening = disk.written(8);
  const std::string before = disk.indexes_of(first);
  REQUIRE(before.size() > 1);
  const bool opened_before = GENERATE(false, true);
  Log log = disk.open(opening);
  if (opened_before) {
    REQUIRE(offsets(log.view()) == range(0, 8));
  }
  disk.fail_indexes_of(first);
  CHECK(offsets(log.view()) == range(0, 8));
  CHECK(offsets(log.view(), 2) == range(2, 8));
  CHECK(found(log.view(), t0 + 1000) == 1);
  CHECK(disk.failed > 0);
  CHECK(disk.indexes_of(first) == before);

  CHECK(must(log.repair_indexes()) == 1);  // by new files
  disk.fail_nothing();
  CHECK(disk.indexes_of(first) == before);
  CHECK(must(log.repair_indexes()) == 0);
  CHECK(offsets(log.view()) == range(0, 8));
}

TEST_CASE("A roll keeps indexes that could not be read for a moment") {
  Unread disk;
  const LogOpening opening = disk.written(3);
  Log log = disk.open(opening);
  REQUIRE(offsets(log.view()) == range(0, 3));
  disk.fail_indexes_of(first);
  CHECK(offsets(log.view(), 2) == range(2, 3));
  CHECK(disk.failed > 0);
  disk.fail_nothing();
  must(append(log, make_batches(3, 1)).status);
  REQUIRE(segments(log.view()).size() == 2);
  CHECK(disk.has(first + ".index"));
  CHECK(disk.has(first + ".timeindex"));
  CHECK(offsets(log.view()) == range(0, 4));
}

TEST_CASE("Indexes made anew do not hide that a cut is to be synced") {
  Unread disk;
  Log log = disk.open();
  must(append(log, make_batches(0, 2)).status);
  int synced = 0;
  bool fails = true;
  disk.hook = [&](IoCall& call) {
    if (call.done) {
      return absl::OkStatus();
    }
    const bool undoes = call.operation == IoOperation::sync && call.reason == IoReason::undo_append;
    synced += undoes && !fails;
    return !fails                                 ? absl::OkStatus()
           : undoes                               ? error(Fault::no_descriptors, "too many files")
           : call.operation == IoOperation::write ? error(Fault::io, "no", Outcome::unknown)
           : call.path.ends_with(".index") && call.operation == IoOperation::read
               ? error(Fault::io, "input/output error")
               : absl::OkStatus();
  };
  CHECK(outcome(append(log, make_batches(2, 1)).status) == Outcome::unknown);
  CHECK(offsets(log.view()) == range(0, 2));
  CHECK(fault(log.repair_indexes().status()) == Fault::no_descriptors);
  fails = false;
  CHECK(must(log.repair_indexes()) == 1);
  CHECK(synced == 1);
}

TEST_CASE("A log that cannot be read is an error, whatever its indexes are") {
  Unread disk;
  const LogOpening opening = disk.written(8);
  const Log log = disk.open(opening);
  disk.hook = [](IoCall& call) {
    const bool hit = call.operation == IoOperation::read && !call.done &&
                     call.path.find(first) != std::string_view::npos;
    return hit ? error(Fault::io, "input/output error") : absl::OkStatus();
  };
  const auto buffers = make_ref<ReadBuffers>();
  CHECK(fault(log.view().read({Offset(0), log.end(), 1000}, *buffers).status()) == Fault::io);
}
