// SPDX-License-Identifier: Apache-2.0
//
// Segments are opened by name, and names change: whoever is amid opening one when it is compacted,
// deleted or cut away is told what was there, or to ask again; never that it is damaged.
#include <algorithm>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <ottla/log/log_verification.hpp>
#include <ottla/record/control_record.hpp>

#include "cleaning_fixture.hpp"
#include "tests/support/catch.hpp"

using namespace ottla;
using namespace log_test;

namespace {

constexpr std::int64_t records = 26;
constexpr Offset everything(std::numeric_limits<std::int64_t>::max());

Batch in_transaction(std::int64_t base, std::int32_t sequence) {
  BatchBuilder builder({.base_offset = Offset(base),
                        .leader_epoch = LeaderEpoch(0),
                        .is_transactional = true,
                        .producer_id = ProducerId(7),
                        .producer_epoch = ProducerEpoch(0),
                        .base_sequence = sequence});
  must(builder.append(
      {.timestamp = Timestamp(t0 + base), .key = as_bytes("t"), .value = as_bytes("aborted")}));
  SharedBytes bytes = must(builder.seal()).freeze();
  const BatchFacts facts = BatchFacts::of(BatchHeader::parse(bytes.bytes()));
  return {std::move(bytes), facts};
}

Batch abort_marker(std::int64_t base) {
  SharedBytes bytes = must(marker_batch({.base_offset = Offset(base),
                                         .leader_epoch = LeaderEpoch(0),
                                         .timestamp = Timestamp(t0 + base),
                                         .producer_id = ProducerId(7),
                                         .producer_epoch = ProducerEpoch(0)},
                                        {ControlType::abort, 0}))
                          .freeze();
  const BatchFacts facts = BatchFacts::of(BatchHeader::parse(bytes.bytes()));
  return {std::move(bytes), facts};
}

/// Every fifth pair of records is of an aborted transaction, and its marker.
Batch batch(std::int64_t i) {
  return i % 10 == 1   ? in_transaction(i, static_cast<std::int32_t>(i / 10))
         : i % 10 == 2 ? abort_marker(i)
                       : keyed_batch(i, {{"k" + std::to_string(i % 2), std::to_string(i)}}, t0 + i);
}

/// A log whose process died: nothing of it is known to be durable, and of its segments the last
/// one alone is open.
struct Found : Disk {
  std::optional<Log> log;
  LogView old;
  int calls = 0;
  std::function<void()> meanwhile;

  Found() {
    options.config.compact = true;
    options.config.index_interval_bytes = 70;
    options.config.segment_bytes = 4 * keyed_batch(0, {{"k0", "00"}}).facts.size;
    options.producer_id_expiration = std::chrono::milliseconds::max();
    log = open();
    for (std::int64_t i = 0; i < records; ++i) {
      must(append(*log, {batch(i)}).status);
    }
    log.reset();
    log = open_after(LastStop::process_crash);
    old = log->view();
    hook = [this](IoCall&) {
      if (meanwhile && calls-- == 0) {
        std::exchange(meanwhile, nullptr)();
      }
      return absl::OkStatus();
    };
  }
  /// Before file call number `at / 2`, or behind it.
  void interrupt(int at, std::function<void()> change) {
    calls = at;
    meanwhile = std::move(change);
  }

  void compact(int rounds = 1) {
    flush(*log);
    for (int i = 1; i <= rounds; ++i) {
      CleaningSettings settings;
      settings.config.delete_retention = std::chrono::milliseconds(1);
      settings.options.now = Timestamp(t0 + i * 1'000'000);
      must(clean(*log, settings));
    }
  }
  void remove() { must(log->remove_deleted(SteadyTime(std::chrono::hours(1))).status()); }
  void delete_old() {
    must(log->raise_start(Offset(20), log->end()));
    must(log->delete_segments(Offset(20), {}).status());
    log->publish();
  }
  void begin_anew() {
    must(log->truncate_fully_and_start_at(Offset(0), Timestamp(t0), {}));
    log->publish();
    for (std::int64_t i = 0; i < records; ++i) {
      must(append(*log, {make_batch(i)}).status);
    }
  }
  void damage_index() {
    std::string index = content(offset_file_name(Offset(0), offset_index_suffix));
    REQUIRE(index.size() > 8);
    index[7] = static_cast<char>(index[7] + 5);  // a position inside a batch
    put(offset_file_name(Offset(0), offset_index_suffix), index);
  }
  void remake_index() {
    CHECK(offsets(log->view(), 1) == range(1, records));  // which notices it
    CHECK(must(log->repair_indexes()) == 1);
    log->publish();
  }
  void cut() {
    const auto done = log->truncate_to(Offset(2), {});
    CHECK((done.ok() || error_code(done.status()) == ErrorCode::offset_not_available));
    log->publish();
  }
};

struct Change {
  std::string name;
  std::function<void(Found&)> make;
  std::vector<ErrorCode> answers = {};  // that a reader may get
  bool damages_index = false;           // before
};

const std::vector<Change>& changes() {
  static const std::vector<Change> all = {
      {"indexed anew", [](Found& disk) { disk.remake_index(); }, {}, true},
      {"compacted", [](Found& disk) { disk.compact(); }},
      {"compacted thrice", [](Found& disk) { disk.compact(3); }, {ErrorCode::offset_not_available}},
      {"compacted, and the old files removed",
       [](Found& disk) {
         disk.compact();
         disk.remove();
       },
       {ErrorCode::offset_not_available}},
      {"deleted", [](Found& disk) { disk.delete_old(); }, {ErrorCode::offset_out_of_range}},
      {"begun anew", [](Found& disk) { disk.begin_anew(); }, {ErrorCode::offset_not_available}},
      {"cut back",
       [](Found& disk) { disk.cut(); },
       {ErrorCode::offset_out_of_range, ErrorCode::offset_not_available}},
  };
  return all;
}

/// `look` at a log that is changed amid each of its file calls. Answers how many there were.
template <class Look>
int amid_each_call(const Change& change, Look look) {
  for (int at = 0;; ++at) {
    INFO("the log is " << change.name << " at call " << at / 2 << (at % 2 ? ", behind it" : ""));
    Found disk;
    if (change.damages_index) {
      disk.damage_index();
    }
    disk.interrupt(at, [&] { change.make(disk); });
    look(disk);
    if (disk.meanwhile) {
      return at / 2;
    }
    disk.hook = [](IoCall&) { return absl::OkStatus(); };
    must(append(*disk.log, {make_batch(disk.log->end().value())}).status);
    flush(*disk.log);
    const auto left = offsets(disk.log->view());
    disk.log.reset();
    Log again = disk.open_after(LastStop::process_crash);
    REQUIRE(again.damage() == nullptr);
    REQUIRE(offsets(again.view(), left.front()) == left);
  }
}

void check_answer(const Change& change, const absl::Status& status) {
  INFO(status.message());
  CHECK((status.ok() ||
         std::count(change.answers.begin(), change.answers.end(), error_code(status)) > 0));
}

}  // namespace

TEST_CASE("a flush that is overtaken amid opening a segment has nothing to sync there") {
  for (const Change& change : changes()) {
    for (const FlushScope scope : {FlushScope::data, FlushScope::sealed}) {
      const int calls = amid_each_call(change, [&](Found& disk) {
        LogFlush late = disk.log->plan_flush(scope);
        const absl::Status status = late.run();
        INFO(status.message());
        REQUIRE(status.ok());
        disk.log->flushed(late);
        disk.log->publish();
      });
      CHECK(calls > 20);
    }
  }
}

TEST_CASE("a reader that is overtaken amid opening a segment reads what was there, or asks again") {
  const auto before = read_all(Found().old);
  REQUIRE(before.size() == records);
  const auto buffers = make_ref<ReadBuffers>();
  for (const Change& change : changes()) {
    for (const std::int64_t from : {0, 9}) {
      const int calls = amid_each_call(change, [&](Found& disk) {
        const auto read = disk.old.read({Offset(from), disk.old.end(), 1}, *buffers);
        check_answer(change, read.status());
        if (read.ok() && !read->pieces.empty()) {
          const Batch expected = batch(from);
          CHECK(std::ranges::equal(read->pieces[0].bytes(), expected.bytes.bytes()));
        }
        CHECK((!read.ok() || !read->pieces.empty()));
      });
      CHECK(calls > 5);
    }
  }
}

TEST_CASE("who looks for times is overtaken, and told what was there, or to ask again") {
  Decompressor decompressor;
  for (const Change& change : changes()) {
    amid_each_call(change, [&](Found& disk) {
      const auto found = disk.old.find_timestamp(Timestamp(t0 + 9), everything, decompressor);
      check_answer(change, found.status());
      if (change.answers.empty() && found.ok()) {
        CHECK((*found && (*found)->offset == Offset(9)));
      }
    });
    amid_each_call(change, [&](Found& disk) {
      const auto found = disk.old.find_max_timestamp(everything, decompressor);
      check_answer(change, found.status());
      CHECK((!found.ok() || change.name == "begun anew" || !*found ||
             (*found)->offset == Offset(records - 1)));
    });
    amid_each_call(change,
                   [&](Found& disk) { check_answer(change, disk.old.segments().status()); });
  }
}

TEST_CASE("a check that is overtaken finds no damage") {
  const auto buffers = make_ref<ReadBuffers>();
  for (const Change& change : changes()) {
    const int calls = amid_each_call(change, [&](Found& disk) {
      LogVerification check(disk.old);
      while (must(check.step(300, *buffers))) {
      }
      for (const LogDamage& each : check.damage()) {
        FAIL_CHECK(each.file << " at " << each.position << ": " << each.why);
      }
    });
    CHECK(calls > 20);
  }
}

TEST_CASE("readers of what is compacted are told of its aborted transactions, and later ones too") {
  const auto before = must(Found().old.aborted_transactions(Offset(0), everything));
  REQUIRE(before.size() == 3);
  for (const Change& change : changes()) {
    amid_each_call(change, [&](Found& disk) {
      const auto told = disk.old.aborted_transactions(Offset(0), everything);
      check_answer(change, told.status());
      CHECK((!told.ok() || *told == before));
    });
  }
  Found disk;
  disk.compact();
  CHECK(must(disk.old.aborted_transactions(Offset(0), everything)) == before);
}

TEST_CASE("a swap that is read amid each of its calls is read as it was") {
  const auto before = read_all(Found().old);
  const auto aborted = must(Found().old.aborted_transactions(Offset(0), everything));
  for (int at = 0;; ++at) {
    INFO("at call " << at);
    Found disk;
    disk.interrupt(at, [&] {
      CHECK(read_all(disk.old) == before);
      CHECK(must(disk.old.aborted_transactions(Offset(0), everything)) == aborted);
      LogFlush late = disk.log->plan_flush(FlushScope::sealed);
      CHECK(late.run().ok());
    });
    disk.compact();
    if (disk.meanwhile) {
      CHECK(at > 200);
      break;
    }
  }
}
