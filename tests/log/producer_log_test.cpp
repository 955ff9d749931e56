// SPDX-License-Identifier: Apache-2.0
//
// Producers in a whole log: Kafka's traces through appends, cuts and openings; snapshots, and what
// is made of them after each kind of stop; what a read_committed consumer needs.
#include <optional>
#include <string>
#include <vector>

#include <ottla/log/producer_snapshot.hpp>
#include <ottla/record/control_record.hpp>

#include "log_fixture.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/golden.hpp"

using namespace ottla;
using namespace log_test;

namespace {

using Json = nlohmann::json;

std::int64_t number(const Json& json) { return json.get<std::int64_t>(); }

struct From {
  std::int64_t producer = 7;
  std::int16_t epoch = 0;
  std::int32_t sequence = 0;
  bool transactional = false;
};

Batch batch_of(std::int64_t base, const From& from, int records = 1, std::int64_t timestamp = t0) {
  BatchBuilder builder({.base_offset = Offset(base),
                        .leader_epoch = LeaderEpoch(0),
                        .is_transactional = from.transactional,
                        .producer_id = ProducerId(from.producer),
                        .producer_epoch = ProducerEpoch(from.epoch),
                        .base_sequence = from.sequence});
  for (int i = 0; i < records; ++i) {
    must(builder.append(
        {.timestamp = Timestamp(timestamp), .key = as_bytes("k"), .value = as_bytes("v")}));
  }
  Compressor compressor;
  SharedBytes bytes = must(builder.seal(compressor)).freeze();
  const BatchFacts facts = BatchFacts::of(BatchHeader::parse(bytes.bytes()));
  return {std::move(bytes), facts};
}

Batch marker_of(std::int64_t base, ControlType type, const From& from,
                std::int32_t coordinator_epoch = 0, std::int64_t timestamp = t0) {
  SealedBatch sealed = must(marker_batch({.base_offset = Offset(base),
                                          .leader_epoch = LeaderEpoch(0),
                                          .timestamp = Timestamp(timestamp),
                                          .producer_id = ProducerId(from.producer),
                                          .producer_epoch = ProducerEpoch(from.epoch)},
                                         {type, coordinator_epoch}));
  SharedBytes bytes = std::move(sealed).freeze();
  const BatchFacts facts = BatchFacts::of(BatchHeader::parse(bytes.bytes()));
  return {std::move(bytes), facts};
}

void append_one(Log& log, const Batch& batch) { must(append(log, {batch}).status); }

std::vector<std::vector<std::int64_t>> aborted(const LogView& view, Offset from, Offset before) {
  std::vector<std::vector<std::int64_t>> all;
  for (const AbortedTransaction& entry : must(view.aborted_transactions(from, before))) {
    all.push_back({entry.producer_id.value(), entry.first_offset.value(), entry.last_offset.value(),
                   entry.last_stable_offset.value()});
  }
  return all;
}

Json to_json(std::span<const BatchMetadata> batches) {
  Json all = Json::array();
  for (const BatchMetadata& batch : batches) {
    all.push_back({{"first_seq", batch.first_sequence()},
                   {"last_seq", batch.last_sequence},
                   {"first_offset", batch.first_offset().value()},
                   {"last_offset", batch.last_offset.value()},
                   {"timestamp", batch.timestamp.value()}});
  }
  return all;
}

/// One trace of the oracle, on a log in memory.
struct Trace {
  Disk disk;
  std::optional<Log> log;
  Offset high_watermark{0};
  std::int64_t now = 1'726'000'000'000;
  // Where Kafka reads a snapshot, one batch is left of each producer, and nothing of what expired
  // before; ours may know more.
  bool window_is_wider = false;

  Trace() { log = disk.open(opening(LastStop::clean)); }

  LogOpening opening(LastStop stop) const {
    LogOpening opening{.last_stop = stop};
    opening.now = Timestamp(now);
    return opening;
  }

  void add(const Batch& batch) {
    const Bytes bytes = batch.bytes.bytes();
    must(log->append({&bytes, 1}, {&batch.facts, 1}, Timestamp(now)).status);
    log->publish(high_watermark);
  }

  void append_step(const Json& step) {
    const From from{number(step["pid"]), static_cast<std::int16_t>(number(step["epoch"])),
                    static_cast<std::int32_t>(number(step["first_seq"])),
                    step["transactional"].get<bool>()};
    now = number(step["timestamp"]);
    const Batch batch =
        batch_of(log->end().value(), from, static_cast<int>(number(step["records"])), now);
    const BatchHeader header = BatchHeader::parse(batch.bytes.bytes());
    REQUIRE(header.last_sequence() == number(step["last_seq"]));
    const auto checked = log->producers().check(header, AppendOrigin::client);
    const std::string result = step["result"];
    if (!checked.ok()) {
      CHECK(name(error_code(checked.status())) == result);
    } else if (*checked) {
      CHECK(
          (result == "duplicate" || (window_is_wider && result == "OUT_OF_ORDER_SEQUENCE_NUMBER")));
      if (result == "duplicate") {
        CHECK((*checked)->first_offset().value() == number(step["first_offset"]));
        CHECK((*checked)->last_offset.value() == number(step["last_offset"]));
      }
    } else {
      REQUIRE(result == "ok");
      CHECK(log->end().value() == number(step["first_offset"]));
      add(batch);
    }
  }

  void marker_step(const Json& step, ControlType type) {
    const From from{number(step["pid"]), static_cast<std::int16_t>(number(step["epoch"]))};
    now = number(step["timestamp"]);
    const auto epoch = static_cast<std::int32_t>(number(step["coordinator_epoch"]));
    const Batch batch = marker_of(log->end().value(), type, from, epoch, now);
    const absl::Status checked =
        log->producers().check_marker(BatchHeader::parse(batch.bytes.bytes()), {type, epoch},
                                      static_cast<int>(number(step["transaction_version"])));
    CHECK(step["result"] == (checked.ok() ? "ok" : name(error_code(checked))));
    if (checked.ok()) {
      add(batch);
      CHECK(Json(aborted(log->view(), log->start(), log->end())) == step["aborted"]);
    }
  }

  void reopen(LastStop stop) {
    LogOpening next = opening(stop);
    high_watermark = Offset(0);
    if (stop == LastStop::clean) {
      next.clean_end = must(log->close());
    } else {
      next.recovery_point = log->recovery_point();
      window_is_wider = true;
    }
    log.reset();
    log = disk.open(next);
  }

  void check_entry(const ProducerStateEntry& entry, const Json& expected) {
    CHECK(entry.epoch.value() == number(expected["epoch"]));
    const std::int64_t coordinator_epoch = number(expected["coordinator_epoch"]);
    CHECK((entry.coordinator_epoch == coordinator_epoch ||
           (window_is_wider && entry.coordinator_epoch > coordinator_epoch)));
    CHECK(entry.last_timestamp.value() == number(expected["last_timestamp"]));
    const Json& start = expected["txn_first_offset"];
    CHECK((entry.transaction_start ? Json(entry.transaction_start->value()) : Json()) == start);
    const auto batches = entry.batches.all();
    const std::size_t n = expected["batches"].size();
    REQUIRE((window_is_wider ? batches.size() >= n : batches.size() == n));
    CHECK(
        (n == 0 || batches.back().last_sequence == number(expected["batches"].back()["last_seq"])));
    CHECK((n == 0 || batches.back().last_offset.value() ==
                         number(expected["batches"].back()["last_offset"])));
    if (window_is_wider) {
      return;  // a snapshot of Kafka's gives its only batch the producer's last timestamp, too
    }
    CHECK(to_json(batches) == expected["batches"]);
  }
  void check_producers(const Json& expected) {
    REQUIRE(log->producers().size() == expected.size());
    for (const ProducerStateEntry& entry : log->producers().entries()) {
      check_entry(entry, expected[std::to_string(entry.producer_id.value())]);
    }
  }

  void run(const Json& step) {
    const std::string op = step["op"];
    if (op == "append") {
      append_step(step);
    } else if (op == "plain") {
      BatchShape shape;
      shape.timestamps =
          std::vector<std::int64_t>(static_cast<std::size_t>(number(step["records"])), now);
      add(make_batch(log->end().value(), shape));
    } else if (op == "abort_marker" || op == "commit_marker") {
      marker_step(step, op == "abort_marker" ? ControlType::abort : ControlType::commit);
    } else if (op == "high_watermark") {
      high_watermark = Offset(number(step["offset"]));
    } else if (op == "advance_and_expire") {
      now = number(step["now"]);
      log->remove_expired_producers(Timestamp(now));
      Json left = Json::array();
      for (const ProducerStateEntry& entry : log->producers().entries()) {
        left.push_back(entry.producer_id.value());
      }
      CHECK(left == step["remaining"]);
    } else if (op == "truncate_to") {
      must(log->truncate_to(Offset(number(step["offset"])), SteadyTime()).status());
      check_producers(step["producers"]);
    } else if (op == "reopen_clean" || op == "reopen_unclean") {
      reopen(op == "reopen_clean" ? LastStop::clean : LastStop::process_crash);
      check_producers(step["producers"]);
    } else {
      REQUIRE(op == "snapshot");
      window_is_wider = true;  // where Kafka reads it, one batch is left
    }
    high_watermark = Offset(number(step["high_watermark"]));
    log->publish(high_watermark);
  }
};

}  // namespace

TEST_CASE("Producers live through Kafka's traces in a whole log") {
  const Json oracle = golden::read_json(golden::dir() / "oracle/producer_state.json");
  int cases = 0;
  for (const Json& trace : oracle["cases"]) {
    INFO(trace["name"]);
    Trace life;
    for (const Json& step : trace["steps"]) {
      INFO(step.dump());
      life.run(step);
      if (step.contains("producer") && !step["producer"].is_null()) {
        const auto* entry = life.log->producers().find(ProducerId(number(step["pid"])));
        REQUIRE(entry != nullptr);
        life.check_entry(*entry, step["producer"]);
      }
      CHECK(life.log->end().value() == number(step["log_end_offset"]));
      CHECK(life.log->last_stable_offset(life.high_watermark).value() ==
            number(step["last_stable_offset"]));
    }
    CHECK(Json(aborted(life.log->view(), life.log->start(), life.log->end())) ==
          trace["final_aborted"]);
    ++cases;
  }
  CHECK(cases == (golden::is_full() ? 150 : 10));
}

TEST_CASE("A read_committed consumer stops below what is undecided, and is told what was aborted") {
  Disk disk;
  Log log = disk.open();
  const From p1{.producer = 1, .transactional = true};
  const From p2{.producer = 2, .transactional = true};
  std::vector<std::int64_t> stable;
  const auto put = [&](const Batch& batch) {
    append_one(log, batch);
    stable.push_back(log.last_stable_offset(log.end()).value());
  };
  put(batch_of(0, p1, 2));
  put(batch_of(2, p2));
  put(make_batch(3));
  put(marker_of(4, ControlType::abort, p1));
  put(batch_of(5, {.producer = 1, .sequence = 2, .transactional = true}));
  put(marker_of(6, ControlType::commit, p2));
  put(marker_of(7, ControlType::commit, p1));
  CHECK(stable == std::vector<std::int64_t>{0, 0, 0, 2, 2, 5, 8});
  using List = std::vector<std::vector<std::int64_t>>;
  CHECK(aborted(log.view(), Offset(0), Offset(8)) == List{{1, 0, 4, 2}});
  CHECK(aborted(log.view(), Offset(5), Offset(8)).empty());
}

TEST_CASE("Snapshots lie at the bases of segments and at a clean stop's end, and go with theirs") {
  Disk disk;
  disk.options.config.segment_bytes = 300;
  std::optional<Log> log = disk.open();
  for (int i = 0; i < 20; ++i) {
    append_one(*log, batch_of(i, {.sequence = i}));
  }
  const auto all = segments(log->view());
  REQUIRE(all.size() > 3);
  const auto has = [&](std::int64_t offset) {
    return disk.has(offset_file_name(Offset(offset), producer_snapshot_suffix));
  };
  CHECK_FALSE(has(0));
  for (std::size_t i = 1; i < all.size(); ++i) {
    CHECK(has(all[i].first));
  }
  const Offset start(all[2].first);
  must(log->raise_start(start, log->end()));
  must(log->delete_segments(start, SteadyTime()).status());
  CHECK_FALSE(has(all[1].first));
  CHECK(has(all[2].first));
  const CleanEnd end = must(log->close());
  CHECK(has(20));
  log = disk.open({.last_stop = LastStop::clean, .clean_end = end, .log_start = start});
  CHECK_FALSE(has(all[2].first));  // Kafka's rule: of use is what lies above the start
  CHECK(log->producers().find(ProducerId(7))->batches.newest().last_sequence == 19);
  CHECK(disk.report.scanned_bytes == 0);
  append_one(*log, batch_of(20, {.sequence = 20}));
  must(log->truncate_to(Offset(19), SteadyTime()).status());
  CHECK_FALSE(has(20));
  CHECK(log->producers().find(ProducerId(7))->batches.newest().last_sequence == 18);
}

TEST_CASE("Whatever becomes of the snapshots, the state is that of the log") {
  for (const LastStop stop : {LastStop::clean, LastStop::process_crash, LastStop::system_crash}) {
    for (const std::string_view kind : {"as it was", "malformed", "missing"}) {
      INFO(kind);
      Disk disk;
      disk.options.config.segment_bytes = 300;
      std::optional<Log> log = disk.open();
      append_one(*log, batch_of(0, {.producer = 8, .transactional = true}));
      for (int i = 1; i < 9; ++i) {
        append_one(*log, batch_of(i, {.sequence = i - 1}));
      }
      append_one(*log, marker_of(9, ControlType::abort, {.producer = 8}));
      const auto clean = stop == LastStop::clean ? std::optional(must(log->close())) : std::nullopt;
      log.reset();
      for (const std::string& name : disk.names()) {
        if (name.ends_with(producer_snapshot_suffix) && kind != "as it was") {
          disk.put(name, kind == "malformed" ? "garbage" : "");
          if (kind == "missing") {
            must(disk.memory.remove(disk.path(name), IoReason::other));
          }
        }
      }
      log = disk.open({.last_stop = stop, .clean_end = clean});
      // A crash of the machine leaves all of them in doubt.
      CHECK(disk.report.has(RecoveryReport::Kind::snapshot_dropped) ==
            (kind == "malformed" && stop != LastStop::system_crash));
      REQUIRE(log->producers().size() == 2);
      const ProducerStateEntry& entry = *log->producers().find(ProducerId(7));
      CHECK(entry.batches.newest().last_sequence == 7);
      CHECK(entry.batches.newest().last_offset == Offset(8));
      using List = std::vector<std::vector<std::int64_t>>;
      CHECK(aborted(log->view(), Offset(0), log->end()) == List{{8, 0, 9, 10}});
      CHECK(log->last_stable_offset(log->end()) == Offset(10));
      append_one(*log, batch_of(10, {.sequence = 8}));
    }
  }
}

TEST_CASE("A transaction index that lost entries is made anew after a crash of the machine") {
  for (const std::string_view kind : {"cut", "missing", "empty"}) {
    Disk disk;
    std::optional<Log> log = disk.open();
    append_one(*log, batch_of(0, {.producer = 8, .transactional = true}));
    append_one(*log, marker_of(1, ControlType::abort, {.producer = 8}));
    append_one(*log, batch_of(2, {.producer = 9, .transactional = true}));
    append_one(*log, marker_of(3, ControlType::abort, {.producer = 9}));
    log.reset();
    const std::string name = offset_file_name(Offset(0), transaction_index_suffix);
    if (kind == "missing") {
      must(disk.memory.remove(disk.path(name), IoReason::other));
    } else {
      disk.cut(name, kind == "cut" ? 40 : 0);
    }
    log = disk.open_after(LastStop::system_crash);
    using List = std::vector<std::vector<std::int64_t>>;
    CHECK(aborted(log->view(), Offset(0), log->end()) == List{{8, 0, 1, 2}, {9, 2, 3, 4}});
  }
}

TEST_CASE("After the death of the process a half written index entry is written again") {
  Disk disk;
  std::optional<Log> log = disk.open();
  append_one(*log, batch_of(0, {.producer = 8, .transactional = true}));
  append_one(*log, marker_of(1, ControlType::abort, {.producer = 8}));
  log.reset();
  const std::string name = offset_file_name(Offset(0), transaction_index_suffix);
  disk.cut(name, 20);
  log = disk.open_after(LastStop::process_crash);
  using List = std::vector<std::vector<std::int64_t>>;
  CHECK(aborted(log->view(), Offset(0), log->end()) == List{{8, 0, 1, 2}});
  log.reset();
  must(disk.memory.remove(disk.path(name), IoReason::other));
  must(disk.memory.remove(disk.path(offset_file_name(Offset(2), producer_snapshot_suffix)),
                          IoReason::other));
  log = disk.open_after(LastStop::process_crash);
  CHECK(aborted(log->view(), Offset(0), log->end()) == List{{8, 0, 1, 2}});
}

TEST_CASE("A transaction whose index entry cannot be written stays undecided until it can") {
  Disk disk;
  Log log = disk.open();
  append_one(log, batch_of(0, {.producer = 8, .transactional = true}));
  bool full = true;
  disk.hook = [&](IoCall& call) {
    return full && call.reason == IoReason::index_append
               ? error(Fault::no_space, "the disk is full")
               : absl::OkStatus();
  };
  append_one(log, marker_of(1, ControlType::abort, {.producer = 8}));
  CHECK(log.end() == Offset(2));
  CHECK(log.last_stable_offset(log.end()) == Offset(0));
  CHECK(fault(append(log, {make_batch(2)}).status) == Fault::no_space);
  full = false;
  append_one(log, make_batch(2));
  CHECK(log.last_stable_offset(log.end()) == Offset(3));
  using List = std::vector<std::vector<std::int64_t>>;
  CHECK(aborted(log.view(), Offset(0), log.end()) == List{{8, 0, 1, 2}});
}

TEST_CASE("Recovery after a kill reads no more than four mebibytes of a segment's producers") {
  Disk disk;
  Log log = disk.open();
  BatchShape large;
  large.value_size = 700'000;
  append_one(log, batch_of(0, {}));
  for (int i = 1; i < 30; ++i) {
    append_one(log, make_batch(i, large));
  }
  int files = 0;
  for (const std::string& name : disk.names()) {
    files += name.ends_with(producer_snapshot_suffix) ? 1 : 0;
  }
  CHECK(files == 1);
  Log again = disk.open_after(LastStop::process_crash);
  CHECK(again.producers().size() == 1);
  CHECK(again.producers().end() == again.end());
}
