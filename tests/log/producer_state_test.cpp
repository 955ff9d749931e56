// SPDX-License-Identifier: Apache-2.0
//
// Kafka's own answers to producers' lives on one partition, given to the machine alone; and what
// its files say, to the byte.
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <ottla/index/transaction_index.hpp>
#include <ottla/log/producer_snapshot.hpp>
#include <ottla/log/producer_state.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/golden.hpp"
#include "tests/support/must.hpp"

using namespace ottla;
using test::must;

namespace {

using Json = nlohmann::json;
constexpr std::chrono::milliseconds expiration(86'400'000);

std::int64_t number(const Json& json) { return json.get<std::int64_t>(); }

BatchHeader header_of(std::int64_t producer, std::int64_t epoch, std::int64_t timestamp) {
  BatchHeader header;
  header.producer_id = ProducerId(producer);
  header.producer_epoch = ProducerEpoch(static_cast<std::int16_t>(epoch));
  header.max_timestamp = Timestamp(timestamp);
  header.record_count = 1;
  return header;
}

BatchHeader data(std::int64_t producer, std::int64_t epoch, std::int64_t first, std::int64_t last,
                 bool transactional = false) {
  BatchHeader header = header_of(producer, epoch, 1'700'000'000'000);
  header.base_sequence = static_cast<std::int32_t>(first);
  const std::int64_t delta = last >= first ? last - first : last - first + (std::int64_t{1} << 31);
  header.last_offset_delta = static_cast<std::int32_t>(delta);
  header.attributes = transactional ? batch_attribute::transactional : std::int16_t{0};
  return header;
}

Json to_json(const ProducerStateEntry& entry) {
  Json batches = Json::array();
  for (const BatchMetadata& batch : entry.batches.all()) {
    batches.push_back({{"first_seq", batch.first_sequence()},
                       {"last_seq", batch.last_sequence},
                       {"first_offset", batch.first_offset().value()},
                       {"last_offset", batch.last_offset.value()},
                       {"timestamp", batch.timestamp.value()}});
  }
  return {{"epoch", entry.epoch.value()},
          {"coordinator_epoch", entry.coordinator_epoch},
          {"last_timestamp", entry.last_timestamp.value()},
          {"txn_first_offset",
           entry.transaction_start ? Json(entry.transaction_start->value()) : Json()},
          {"batches", batches}};
}
Json to_json(std::optional<Offset> offset) { return offset ? Json(offset->value()) : Json(); }

/// A log without bytes: what a partition's log does with the machine, and nothing else.
struct Life {
  struct Appended {
    BatchHeader header;
    std::optional<EndTransactionMarker> marker;
  };

  ProducerState producers;
  std::vector<Appended> log;
  std::map<Offset, std::vector<std::byte>> snapshots;
  std::vector<AbortedTransaction> aborted;
  Offset end{0};
  Offset high_watermark{0};
  Timestamp now{1'726'000'000'000};

  void apply(const Appended& batch) {
    if (!batch.marker) {
      if (batch.header.has_producer_id()) {
        producers.append(batch.header);
      }
    } else {
      const auto completed = producers.completed_by(batch.header, *batch.marker);
      if (completed && completed->aborted &&
          (aborted.empty() || aborted.back().last_offset < completed->last_offset)) {
        aborted.push_back({completed->producer_id, completed->first_offset, completed->last_offset,
                           producers.last_stable_offset_after(*completed)});
      }
      producers.append(batch.header, *batch.marker);
    }
    producers.set_end(batch.header.next_offset());
  }
  void append(BatchHeader header, std::optional<EndTransactionMarker> marker = {}) {
    header.base_offset = end;
    end = header.next_offset();
    log.push_back({header, marker});
    apply(log.back());
  }

  void take_snapshot() {
    if (snapshots.empty() ? end > Offset(0) : end > snapshots.rbegin()->first) {
      snapshots[end] = format_producer_snapshot(producers);
    }
  }
  /// From the newest snapshot, and what follows it.
  void reload(bool at_once) {
    std::erase_if(snapshots, [&](const auto& snapshot) { return snapshot.first > end; });
    const bool nothing_known = producers.empty();
    producers.clear_and_start_at(Offset(0));
    if (nothing_known && at_once) {
      producers.set_end(end);  // all that the batches tell had expired
      return;
    }
    if (!snapshots.empty()) {
      const auto& [offset, bytes] = *snapshots.rbegin();
      producers.load(must(parse_producer_snapshot(bytes, offset)), offset, now, expiration);
    }
    const Offset from = producers.end();
    for (const Appended& batch : log) {
      if (batch.header.base_offset >= from) {
        apply(batch);
      }
    }
    producers.on_high_watermark(high_watermark);
  }
  void truncate_to(Offset target) {
    while (!log.empty() && log.back().header.last_offset() >= target) {
      log.pop_back();
    }
    std::erase_if(aborted, [&](const auto& entry) { return entry.last_offset >= target; });
    const bool changed = target < end;
    end = std::min(end, target);
    high_watermark = std::min(high_watermark, end);
    if (changed) {
      reload(true);
      take_snapshot();
    }
  }
};

struct Trace : Life {
  void append_step(const Json& step) {
    BatchHeader batch = data(number(step["pid"]), number(step["epoch"]), number(step["first_seq"]),
                             number(step["last_seq"]), step["transactional"].get<bool>());
    batch.max_timestamp = now = Timestamp(number(step["timestamp"]));
    REQUIRE(batch.last_offset_delta + 1 == number(step["records"]));
    const auto checked = producers.check(batch, AppendOrigin::client);
    if (!checked.ok()) {
      CHECK(name(error_code(checked.status())) == step["result"].get<std::string>());
      return;
    }
    CHECK(step["result"] == (*checked ? "duplicate" : "ok"));
    if (*checked) {
      CHECK((*checked)->first_offset().value() == number(step["first_offset"]));
      CHECK((*checked)->last_offset.value() == number(step["last_offset"]));
    } else {
      CHECK(end.value() == number(step["first_offset"]));
      append(batch);
    }
  }

  void marker_step(const Json& step, ControlType type) {
    BatchHeader batch =
        header_of(number(step["pid"]), number(step["epoch"]), number(step["timestamp"]));
    now = batch.max_timestamp;
    const EndTransactionMarker marker{type,
                                      static_cast<std::int32_t>(number(step["coordinator_epoch"]))};
    const absl::Status checked = producers.check_marker(
        batch, marker, static_cast<int>(number(step["transaction_version"])));
    CHECK(step["result"] == (checked.ok() ? "ok" : name(error_code(checked))));
    if (checked.ok()) {
      append(batch, marker);
      CHECK(all_aborted() == step["aborted"]);
    }
  }

  Json all_aborted() const {
    Json all = Json::array();
    for (const AbortedTransaction& entry : aborted) {
      all.push_back({entry.producer_id.value(), entry.first_offset.value(),
                     entry.last_offset.value(), entry.last_stable_offset.value()});
    }
    return all;
  }

  void check_producers(const Json& expected) {
    REQUIRE(producers.size() == expected.size());
    for (const ProducerStateEntry& entry : producers.entries()) {
      CHECK(to_json(entry) == expected[std::to_string(entry.producer_id.value())]);
    }
  }

  void snapshot_step(const Json& step) {
    // Kafka's entries lie in the order of its map: one without a difference but that is equal.
    const Offset offset(number(step["end_offset"]));
    take_snapshot();
    REQUIRE(snapshots.contains(offset) == step["hex"].is_string());
    if (step["hex"].is_null()) {
      return;
    }
    const auto theirs =
        must(parse_producer_snapshot(golden::from_hex(step["hex"].get<std::string>()), offset));
    ProducerState loaded;
    loaded.load(theirs, offset, no_timestamp, std::chrono::milliseconds::max());
    CHECK(golden::to_hex(snapshots[offset]) == golden::to_hex(format_producer_snapshot(loaded)));
    if (theirs.size() < 2) {
      CHECK(golden::to_hex(snapshots[offset]) == step["hex"].get<std::string>());
    }
  }

  void run(const Json& step) {
    const std::string op = step["op"];
    if (op == "append") {
      append_step(step);
    } else if (op == "plain") {
      BatchHeader batch;
      batch.last_offset_delta = static_cast<std::int32_t>(number(step["records"]) - 1);
      append(batch);
    } else if (op == "abort_marker" || op == "commit_marker") {
      marker_step(step, op == "abort_marker" ? ControlType::abort : ControlType::commit);
    } else if (op == "high_watermark") {
      high_watermark = Offset(number(step["offset"]));
    } else if (op == "advance_and_expire") {
      now = Timestamp(number(step["now"]));
      producers.remove_expired(now, expiration);
      Json left = Json::array();
      for (const ProducerStateEntry& entry : producers.entries()) {
        left.push_back(entry.producer_id.value());
      }
      CHECK(left == step["remaining"]);
    } else if (op == "snapshot") {
      snapshot_step(step);
    } else if (op == "truncate_to") {
      truncate_to(Offset(number(step["offset"])));
      check_producers(step["producers"]);
    } else {
      REQUIRE((op == "reopen_clean" || op == "reopen_unclean"));
      high_watermark = Offset(0);
      // Either way Kafka ends with a snapshot at the end, and reads it.
      end = log.empty() ? Offset(0) : log.back().header.next_offset();
      take_snapshot();
      reload(false);
      check_producers(step["producers"]);
    }
  }
};

}  // namespace

TEST_CASE("Producers live through Kafka's traces as in Kafka") {
  const Json oracle = golden::read_json(golden::dir() / "oracle/producer_state.json");
  int cases = 0;
  for (const Json& trace : oracle["cases"]) {
    INFO(trace["name"]);
    Trace life;
    bool stale = false;
    for (const Json& step : trace["steps"]) {
      INFO(step.dump());
      life.run(step);
      if (trace["high_watermark_follows_end"].get<bool>() && step["op"] != "high_watermark") {
        life.high_watermark = life.end;
      }
      life.producers.on_high_watermark(life.high_watermark);
      if (step.contains("producer") && !step["producer"].is_null()) {
        const ProducerStateEntry* entry = life.producers.find(ProducerId(number(step["pid"])));
        REQUIRE(entry != nullptr);
        CHECK(to_json(*entry) == step["producer"]);
      }
      CHECK(life.end.value() == number(step["log_end_offset"]));
      CHECK(life.high_watermark.value() == number(step["high_watermark"]));
      CHECK(life.producers.unstable().last_stable_offset(life.high_watermark).value() ==
            number(step["last_stable_offset"]));
      // Cut back above the high watermark, Kafka goes on with the old one until something comes.
      stale = step["op"] == "truncate_to" ? life.high_watermark < life.end
                                          : stale && step.value("result", "ok") != "ok";
      if (!stale) {
        CHECK(to_json(life.producers.unstable().first(life.high_watermark)) ==
              step["first_unstable_offset"]);
      }
      CHECK(to_json(life.producers.unstable().undecided) == step["first_undecided_offset"]);
    }
    CHECK(life.all_aborted() == trace["final_aborted"]);
    ++cases;
  }
  CHECK(cases == (golden::is_full() ? 150 : 10));
}

TEST_CASE("Sequences follow one another in an epoch, wrap around, and begin at zero in the next") {
  Life life;
  const auto send = [&](std::int64_t epoch, std::int64_t first, std::int64_t last) {
    const auto checked = life.producers.check(data(7, epoch, first, last), AppendOrigin::client);
    if (!checked.ok()) {
      return std::string(name(error_code(checked.status())));
    }
    if (*checked) {
      return "duplicate of " + std::to_string((*checked)->first_offset().value());
    }
    life.append(data(7, epoch, first, last));
    return std::string("ok");
  };
  CHECK(send(0, 0, 4) == "ok");
  CHECK(send(0, 5, 9) == "ok");
  CHECK(send(0, 0, 4) == "duplicate of 0");
  CHECK(send(0, 3, 4) == "OUT_OF_ORDER_SEQUENCE_NUMBER");
  CHECK(send(0, 11, 11) == "OUT_OF_ORDER_SEQUENCE_NUMBER");
  CHECK(send(0, 10, 10) == "ok");
  CHECK(send(1, 3, 3) == "OUT_OF_ORDER_SEQUENCE_NUMBER");
  CHECK(send(1, 0, 0) == "ok");
  CHECK(send(0, 11, 11) == "INVALID_PRODUCER_EPOCH");
  life.producers.clear_and_start_at(Offset(0));
  CHECK(send(0, 2'147'483'646, 1) == "ok");  // a producer that nothing is known of
  CHECK(send(0, 2, 2) == "ok");
  for (int i = 3; i < 8; ++i) {
    CHECK(send(0, i, i) == "ok");
  }
  CHECK(send(0, 2, 2) == "OUT_OF_ORDER_SEQUENCE_NUMBER");  // not one of the last five
}

TEST_CASE("A coordinator's batches have no sequence, and what is replicated is not judged") {
  Life life;
  BatchHeader offsets = data(7, 3, no_sequence, no_sequence, true);
  life.append(offsets);
  CHECK(must(life.producers.check(offsets, AppendOrigin::coordinator)) == std::nullopt);
  offsets.producer_epoch = ProducerEpoch(2);
  CHECK(error_code(life.producers.check(offsets, AppendOrigin::coordinator).status()) ==
        ErrorCode::invalid_producer_epoch);
  CHECK(must(life.producers.check(offsets, AppendOrigin::replication)) == std::nullopt);
}

TEST_CASE(
    "Producers of a partition have a limit: the oldest make room, but none in a transaction") {
  ProducerState producers;
  std::int64_t offset = 0;
  const auto append = [&](std::int64_t producer, bool transactional = false) {
    BatchHeader header = data(producer, 0, 0, 0, transactional);
    header.base_offset = Offset(offset++);
    producers.append(header);
  };
  const auto most = static_cast<std::int64_t>(ProducerState::most);
  append(0, true);
  for (std::int64_t producer = 1; producer < most; ++producer) {
    append(producer);
  }
  append(1);  // not new, and not old any more
  REQUIRE(producers.size() == ProducerState::most);

  append(most);
  REQUIRE(producers.size() == ProducerState::most * 9 / 10 + 1);
  for (const std::int64_t stays : {std::int64_t{0}, std::int64_t{1}, most - 1, most}) {
    CAPTURE(stays);
    REQUIRE(producers.find(ProducerId(stays)) != nullptr);
  }
  REQUIRE(producers.find(ProducerId(2)) == nullptr);
  REQUIRE(producers.unstable().undecided == Offset(0));
  // It goes on where it was.
  REQUIRE(must(producers.check(data(2, 0, 1, 1), AppendOrigin::client)) == std::nullopt);

  for (std::int64_t producer = most + 1; producer < 3 * most; ++producer) {
    append(producer);
    REQUIRE(producers.size() <= ProducerState::most);
  }
  REQUIRE(producers.find(ProducerId(0)) != nullptr);
}

TEST_CASE("A producer snapshot is Kafka's, to the byte") {
  ProducerState producers;
  ProducerStateEntry open{.producer_id = ProducerId(1000),
                          .epoch = ProducerEpoch(2),
                          .coordinator_epoch = 5,
                          .last_timestamp = Timestamp(1'700'000'000'077),
                          .transaction_start = Offset(2040)};
  open.batches.add({Offset(2049), Timestamp(1'700'000'000'077), 9, 2});
  const ProducerStateEntry ended{.producer_id = ProducerId(1001),
                                 .epoch = ProducerEpoch(0),
                                 .coordinator_epoch = 5,
                                 .last_timestamp = Timestamp(1'700'000'000'100)};
  producers.load(std::vector{ended, open}, Offset(2050), Timestamp(0), expiration);
  const std::string hex =
      "0001f25558790000000200000000000003e80002000000090000000000000801000000020000018bcfe5684d0000"
      "000500000000000007f800000000000003e90000ffffffffffffffffffffffff000000000000018bcfe568640000"
      "0005ffffffffffffffff";
  CHECK(golden::to_hex(format_producer_snapshot(producers)) == hex);
  ProducerState again;
  again.load(must(parse_producer_snapshot(golden::from_hex(hex), Offset(2050))), Offset(2050),
             Timestamp(0), expiration);
  CHECK(golden::to_hex(format_producer_snapshot(again)) == hex);
  CHECK(again.unstable().undecided == Offset(2040));
}

TEST_CASE("A producer snapshot with any bit wrong, or of another log, is thrown away") {
  Life life;
  life.append(data(1, 0, 0, 3));
  life.append(data(2, 0, 0, 0, true));
  std::vector<std::byte> bytes = format_producer_snapshot(life.producers);
  must(parse_producer_snapshot(bytes, life.end).status());
  for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    bytes[bit / 8] ^= std::byte{1} << (bit % 8);
    CHECK(fault(parse_producer_snapshot(bytes, life.end).status()) == Fault::corrupt);
    bytes[bit / 8] ^= std::byte{1} << (bit % 8);
  }
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    CHECK_FALSE(parse_producer_snapshot(Bytes(bytes).first(size), life.end).ok());
  }
  CHECK_FALSE(parse_producer_snapshot(bytes, life.end - 1).ok());
  bytes.push_back(std::byte{0});
  CHECK_FALSE(parse_producer_snapshot(bytes, life.end).ok());
}
