// SPDX-License-Identifier: Apache-2.0
//
// Kafka's own answers to whole lives of a log: appends, rolls, retention, deletion of records,
// truncation, reads, look-ups by time, reopening.
#include <optional>
#include <string>
#include <vector>

#include "log_fixture.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/golden.hpp"

using namespace ottla;
using namespace log_test;

namespace {

using Json = nlohmann::json;

std::int64_t number(const Json& json) { return json.get<std::int64_t>(); }

LogConfig config_of(const Json& json) {
  LogConfig config;
  const auto get = [&](const char* key) {
    return json.contains(key) ? std::optional(number(json[key])) : std::nullopt;
  };
  config.segment_bytes =
      static_cast<std::int32_t>(get("internal.segment.bytes").value_or(config.segment_bytes));
  config.index_interval_bytes =
      static_cast<std::int32_t>(get("index.interval.bytes").value_or(4096));
  config.segment_index_bytes =
      static_cast<std::int32_t>(get("segment.index.bytes").value_or(config.segment_index_bytes));
  config.segment_age =
      std::chrono::milliseconds(get("segment.ms").value_or(config.segment_age.count()));
  if (const auto retention = get("retention.ms")) {
    config.retention =
        *retention < 0 ? std::nullopt : std::optional(std::chrono::milliseconds(*retention));
  }
  config.retention_bytes = get("retention.bytes");
  if (const auto lag = get("max.compaction.lag.ms")) {
    config.max_compaction_lag = std::chrono::milliseconds(*lag);
  }
  const std::string policy = json.value("cleanup.policy", "delete");
  config.compact = policy.find("compact") != std::string::npos;
  config.delete_old = policy.find("delete") != std::string::npos;
  return config;
}

/// One trace: a log in memory, and what its partition would keep.
struct Trace {
  Disk disk;
  std::optional<Log> log;
  std::int64_t high_watermark = 0;
  std::int64_t now = 0;
  bool append_time = false;

  explicit Trace(const Json& trace) {
    disk.options.config = config_of(trace["config"]);
    append_time = trace["config"].value("message.timestamp.type", "") == "LogAppendTime";
    log = disk.open();
    now = number(trace["steps"][0].value("now", Json(1'726'000'000'000)));
  }

  BatchShape shape_of(const Json& step) const {
    BatchShape shape;
    shape.timestamps = step["timestamps"].get<std::vector<std::int64_t>>();
    shape.key_sizes = std::vector<std::size_t>(shape.timestamps.size(), 2);
    if (step.contains("value_sizes")) {
      shape.key_sizes = step["key_sizes"].get<std::vector<std::size_t>>();
      shape.value_sizes = step["value_sizes"].get<std::vector<std::size_t>>();
    }
    shape.epoch = static_cast<std::int32_t>(number(step["epoch"]));
    return shape;
  }

  void append_step(const Json& step) {
    BatchShape shape = shape_of(step);
    if (append_time) {
      shape.append_time = now;
    }
    log->assign_epoch(LeaderEpoch(shape.epoch));  // as a partition that leads does
    const std::int64_t base = log->end().value();
    const Appended done = append(*log, {make_batch(base, shape)}, now);
    if (step["result"] == "ok") {
      REQUIRE(done.status.ok());
      CHECK(base == number(step["first_offset"]));
    } else {
      CHECK(std::string(name(error_code(done.status))) == step["result"].get<std::string>());
    }
  }

  /// A follower's batch is only known by its size: values fill it.
  void follow_step(const Json& step) {
    BatchShape shape = shape_of(step);
    const std::size_t n = shape.timestamps.size();
    shape.value_sizes = std::vector<std::size_t>(n, 0);
    const std::int64_t base = number(step["base_offset"]);
    Batch batch = make_batch(base, shape);
    // Where a length field grows a byte, one size is passed over: the first key makes it up.
    for (std::size_t key = 2; batch.facts.size != number(step["size"]); ++key) {
      REQUIRE(key < 6);
      shape.key_sizes.front() = key;
      shape.value_sizes.back() = 0;
      batch = make_batch(base, shape);
      while (batch.facts.size < number(step["size"])) {
        ++shape.value_sizes.back();
        batch = make_batch(base, shape);
      }
    }
    REQUIRE(batch.facts.size == number(step["size"]));
    CHECK(append(*log, {batch}, now).status.ok() == (step["result"] == "ok"));
  }

  void retention_step(const Json& step) {
    const std::size_t before = segments(log->view()).size();
    const std::int64_t size = before == 0 ? 0 : segments(log->view()).back().second;
    const Offset start = must(log->retention_start(Offset(high_watermark), Timestamp(now)));
    const bool rolled = segments_of_writer() != before;
    must(log->raise_start(start, Offset(high_watermark)));
    log->publish();
    const int deleted = must(log->delete_segments(start, SteadyTime()));
    log->publish();
    CHECK(deleted == number(step["deleted_segments"]));
    CHECK((!rolled || size > 0));
  }
  std::size_t segments_of_writer() {
    log->publish();
    return segments(log->view()).size();
  }

  void delete_records_step(const Json& step) {
    const absl::Status raised =
        log->raise_start(Offset(number(step["offset"])), Offset(high_watermark));
    log->publish();
    if (step["result"] == "OFFSET_OUT_OF_RANGE") {
      CHECK(error_code(raised) == ErrorCode::offset_out_of_range);
    } else {
      CHECK(raised.ok());
    }
  }

  void reopen(LastStop stop) {
    LogOpening opening{.last_stop = stop, .log_start = log->start()};
    opening.now = Timestamp(now);
    if (stop == LastStop::clean) {
      opening.clean_end = must(log->close());
    } else {
      // The machine lives on, and Kafka's recovery looks at everything above its recovery point.
      opening.recovery_point = log->recovery_point();
    }
    log.reset();
    log = disk.open(opening);
  }

  FoundOffset place(Offset offset) {
    return {no_timestamp, offset, log->epochs().epoch_for_offset(offset).value_or(no_leader_epoch)};
  }
  std::optional<FoundOffset> find_time(std::int64_t target) {
    Decompressor decompressor;
    const LogView view = log->view();
    switch (target) {
      case -1:
        return place(view.end());
      case -2:
      case -4:
        return place(view.start());
      case -3:
        return must(view.find_max_timestamp(view.end(), decompressor));
      default:
        return must(view.find_timestamp(Timestamp(target), view.end(), decompressor));
    }
  }

  void lookups_step(const Json& step) {
    for (const Json& lookup : step["offset_by_timestamp"]) {
      INFO(lookup.dump());
      const auto found = find_time(number(lookup[0]));
      REQUIRE(found.has_value() == !lookup[1].is_null());
      if (found) {
        CHECK(found->timestamp.value() == number(lookup[1][0]));
        CHECK(found->offset.value() == number(lookup[1][1]));
        CHECK(found->leader_epoch.value() == (lookup[1][2].is_null() ? -1 : number(lookup[1][2])));
      }
    }
    for (const Json& read : step["reads"]) {
      INFO(read.dump());
      check_read(read);
    }
  }

  void check_read(const Json& read) {
    const auto buffers = make_ref<ReadBuffers>();
    const LogView view = log->view();
    const auto answer = view.read({Offset(number(read[0])), view.end(),
                                   static_cast<std::size_t>(number(read[1])), read[2].get<bool>()},
                                  *buffers);
    if (read[3].is_string()) {
      CHECK(std::string(name(error_code(answer.status()))) == read[3].get<std::string>());
      return;
    }
    REQUIRE(answer.ok());
    Json batches = Json::array();
    std::size_t bytes = 0;
    for (const SharedBytes& piece : answer->pieces) {
      BatchCursor cursor(piece.bytes());
      while (const BatchView* batch = cursor.next()) {
        batches.push_back(
            {batch->header().base_offset.value(), batch->header().last_offset().value()});
        bytes += batch->size();
      }
    }
    CHECK(batches == read[3]["batches"]);
    CHECK(answer->bytes == bytes);  // whole batches only; Kafka's slice may go on into the next one
    CHECK(static_cast<std::int64_t>(bytes) <= number(read[3]["bytes"]));
  }

  void run(const Json& step) {
    const std::string op = step["op"];
    now = step.contains("now") ? number(step["now"]) : now;
    if (op == "append") {
      append_step(step);
    } else if (op == "append_as_follower") {
      follow_step(step);
    } else if (op == "retention") {
      retention_step(step);
    } else if (op == "delete_records") {
      delete_records_step(step);
    } else if (op == "truncate_to") {
      CHECK(must(log->truncate_to(Offset(number(step["offset"])), SteadyTime())) ==
            step["changed"].get<bool>());
      log->publish();
    } else if (op == "truncate_fully_and_start_at") {
      must(log->truncate_fully_and_start_at(Offset(number(step["offset"])), Timestamp(now),
                                            SteadyTime()));
      log->publish();
    } else if (op == "roll") {
      must(log->roll(Timestamp(now)));
      log->publish();
    } else if (op == "reopen_clean") {
      reopen(LastStop::clean);
    } else if (op == "reopen_unclean") {
      reopen(LastStop::system_crash);
    } else if (op == "lookups") {
      lookups_step(step);
    } else {
      REQUIRE(op == "advance");
    }
    high_watermark = number(step["high_watermark"]);
  }

  void check_state(const Json& step) {
    Json sizes = Json::array();
    for (const auto& [base, size] : segments(log->view())) {
      sizes.push_back({base, size});
    }
    if (sizes.empty()) {
      sizes.push_back({log->end().value(), 0});  // Kafka makes the file before the first batch
    }
    CHECK(sizes == step["segments"]);
    CHECK(log->start().value() == number(step["log_start_offset"]));
    CHECK(log->end().value() == number(step["log_end_offset"]));
    Json epochs = Json::array();
    for (const EpochStart& entry : log->epochs().entries()) {
      epochs.push_back({entry.epoch.value(), entry.start.value()});
    }
    CHECK(epochs == step["epochs"]);
  }
};

}  // namespace

TEST_CASE("A log lives through Kafka's traces as Kafka's does") {
  const Json oracle = golden::read_json(golden::dir() / "oracle/log_traces.json");
  int cases = 0;
  for (const Json& trace : oracle["cases"]) {
    INFO(trace["name"]);
    Trace life(trace);
    for (const Json& step : trace["steps"]) {
      INFO(step.dump());
      life.run(step);
      life.check_state(step);
    }
    ++cases;
  }
  CHECK(cases == (golden::is_full() ? 70 : 10));
}
