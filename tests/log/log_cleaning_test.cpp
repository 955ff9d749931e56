// SPDX-License-Identifier: Apache-2.0
//
// Compaction of whole logs: Kafka's rounds again, now in files; readers meanwhile; what changes
// under it.
#include <algorithm>

#include "cleaner_oracle.hpp"
#include "cleaning_fixture.hpp"
#include "tests/support/catch.hpp"

using namespace ottla;
using namespace log_test;

namespace {

namespace oracle = cleaner_oracle;

std::string log_name(Offset base) { return offset_file_name(base, log_suffix); }
std::string transactions_name(Offset base) {
  return offset_file_name(base, transaction_index_suffix);
}

void put(Disk& disk, const oracle::OracleSegment& segment) {
  disk.put(log_name(segment.base), as_string_view(segment.bytes));
  std::string entries(segment.aborted.size() * AbortedTransaction::encoded_size, '\0');
  for (std::size_t i = 0; i < segment.aborted.size(); ++i) {
    segment.aborted[i].write(reinterpret_cast<std::byte*>(entries.data()) +
                             i * AbortedTransaction::encoded_size);
  }
  if (!entries.empty()) {
    disk.put(transactions_name(segment.base), entries);
  }
}

std::vector<AbortedTransaction> aborted_in(Disk& disk, Offset base) {
  std::vector<AbortedTransaction> all;
  if (disk.has(transactions_name(base))) {
    const std::string text = disk.content(transactions_name(base));
    for (std::size_t at = 0; at < text.size(); at += AbortedTransaction::encoded_size) {
      all.push_back(
          must(AbortedTransaction::parse(reinterpret_cast<const std::byte*>(text.data()) + at)));
    }
  }
  return all;
}

void run(const oracle::Json& trace, const oracle::Json& json) {
  Disk disk;
  disk.options.config.segment_bytes =
      static_cast<std::int32_t>(oracle::number(trace["config"]["internal.segment.bytes"]));
  disk.options.config.compact = true;
  const auto before = oracle::segments_of(json["segments_before"]);
  for (const oracle::OracleSegment& segment : before) {
    put(disk, segment);
  }
  Log log = disk.open({.last_stop = LastStop::clean,
                       .log_start = Offset(oracle::number(json["log_start_offset"])),
                       .now = Timestamp(oracle::number(json["now"]))});
  flush(log);
  CleaningSettings settings;
  if (!json["checkpoint"].is_null()) {
    settings.checkpoint = Offset(oracle::number(json["checkpoint"]));
  }
  settings.config = oracle::config_of(trace);
  settings.last_stable = Offset(oracle::number(json["last_stable_offset"]));
  settings.options.now = Timestamp(oracle::number(json["now"]));
  settings.options.io_bytes = 200;  // many steps
  settings.options.map_bytes =
      static_cast<std::size_t>(oracle::number(json["map_slots"])) * OffsetMap::slot_size;
  settings.options.producers = {oracle::producers_of(json), oracle::aborted_of(before)};
  const auto cleaned = must(clean(log, settings));
  if (json["result"] != "ok") {
    CHECK(!cleaned);
    return;
  }
  CHECK(cleaned == Offset(oracle::number(json["new_checkpoint"])));
  const auto expected = oracle::segments_of(json["segments_after"]);
  REQUIRE(segments(log.view()).size() == expected.size());
  for (const oracle::OracleSegment& segment : expected) {
    const std::string text = disk.content(log_name(segment.base));
    const Bytes bytes = as_bytes(text);
    CHECK(oracle::content({bytes.begin(), bytes.end()}) == oracle::content(segment.bytes));
    CHECK(aborted_in(disk, segment.base) == segment.aborted);
  }
}

}  // namespace

TEST_CASE("a log in files is compacted as Kafka's cleaner does it") {
  const oracle::Json all = golden::read_json(golden::dir() / "oracle" / "cleaner.json");
  for (const oracle::Json& trace : all["cases"]) {
    INFO(trace["name"].get<std::string>());
    for (const oracle::Json& json : trace["rounds"]) {
      INFO("now " << json["now"]);
      run(trace, json);
    }
  }
}

namespace {

/// Segments of four batches, five keys in turn.
struct CompactedDisk : Disk {
  CompactedDisk() {
    options.config.compact = true;
    options.config.index_interval_bytes = 70;
    options.config.segment_bytes = 4 * keyed_batch(0, {{"k0", "00"}}).facts.size;
  }
  static Batch batch(std::int64_t i) {
    return keyed_batch(i, {{"k" + std::to_string(i % 5), std::to_string(10 + i)}}, t0 + i * 1000);
  }
  Log filled(std::int64_t n = 30) {
    Log log = open();
    for (std::int64_t i = 0; i < n; ++i) {
      must(append(log, {batch(i)}).status);
    }
    flush(log);
    return log;
  }
};

}  // namespace

TEST_CASE("who reads when segments are replaced reads on, and is told to ask again at last") {
  CompactedDisk disk;
  disk.options.config.file_delete_delay = std::chrono::milliseconds(1000);
  Log log = disk.filled();
  const LogView old = log.view();
  const auto before = read_all(old);
  must(clean(log));
  CHECK(read_all(old) == before);
  CHECK(offsets(log.view()).size() < 12);
  CHECK(must(log.remove_deleted(SteadyTime(std::chrono::milliseconds(500)))).has_value());
  CHECK(read_all(old) == before);
  must(log.remove_deleted(SteadyTime(std::chrono::milliseconds(1000))).status());
  const auto buffers = make_ref<ReadBuffers>();
  const auto read = old.read({Offset(0), old.end(), 1000}, *buffers);
  CHECK(error_code(read.status()) == ErrorCode::offset_not_available);
  CHECK(retriable(read.status()));
  for (const std::string& name : disk.names()) {
    CHECK_FALSE(name.ends_with(".deleted"));
  }
}

TEST_CASE("a round ends without a change where the log has changed under it") {
  const bool truncated = GENERATE(true, false);
  CompactedDisk disk;
  Log log = disk.filled();
  auto round = must(begin_cleaning(log, {}));
  while (round->turn() == CleaningTurn::step) {
    must(round->step().status());
  }
  must(round->step_with(log, {}));  // the first files are there
  if (truncated) {
    must(log.truncate_to(Offset(2), {}).status());
  } else {
    must(log.raise_start(Offset(20), Offset(30)));
    must(log.delete_segments(Offset(20), {}).status());
  }
  log.publish();
  const auto before = read_all(log.view());
  CHECK(error_code(finish(log, *round)) == ErrorCode::offset_not_available);
  CHECK(read_all(log.view()) == before);
  must(log.remove_cleaned());
  const auto left = disk.names();
  CHECK(std::none_of(left.begin(), left.end(),
                     [](const std::string& name) { return name.ends_with(".cleaned"); }));
}

TEST_CASE("a map that is too small cleans a part, and the next rounds the rest") {
  CompactedDisk disk;
  Log log = disk.filled();
  const auto values = latest(log.view());
  CleaningSettings settings;
  settings.options.map_bytes = 4 * OffsetMap::slot_size;
  std::optional<Offset> end = must(clean(log, settings));
  REQUIRE(end);
  CHECK(*end < Offset(28));
  int rounds = 1;
  for (; *end < Offset(28) && rounds < 40; ++rounds) {
    settings.checkpoint = end;
    end = must(clean(log, settings));
    REQUIRE(end);
    CHECK(latest(log.view()) == values);
  }
  CHECK(rounds > 3);
  CHECK(rounds < 40);
}

TEST_CASE("records that are not on the device make none superfluous") {
  CompactedDisk disk;
  Log log = disk.open();
  for (std::int64_t i = 0; i < 30; ++i) {
    must(append(log, {CompactedDisk::batch(i)}).status);
    if (i == 9) {
      flush(log);
    }
  }
  CHECK(must(clean(log)) == Offset(8));  // the base of the segment with offset 10
  CHECK(offsets(log.view(), 8) == range(8, 30));
}

TEST_CASE("a compacted log is found whole after every stop, with its indexes") {
  const LastStop stop = GENERATE(LastStop::clean, LastStop::process_crash, LastStop::system_crash);
  CompactedDisk disk;
  std::optional<Log> log = disk.filled();
  must(clean(*log));
  flush(*log);
  const auto before = read_all(log->view());
  LogOpening opening{.last_stop = stop, .recovery_point = log->recovery_point()};
  if (stop == LastStop::clean) {
    opening.clean_end = must(log->close());
  }
  log.reset();
  Log again = disk.open(opening);
  CHECK(again.damage() == nullptr);
  CHECK(read_all(again.view()) == before);
  CHECK(again.end() == Offset(30));
  Decompressor decompressor;
  const auto found =
      must(again.view().find_timestamp(Timestamp(t0 + 3000), again.end(), decompressor));
  REQUIRE(found);
  CHECK(found->offset.value() == before.front().first);
}

TEST_CASE("a producer's last batch and an open transaction are known without a producer state") {
  Disk disk;
  disk.options.config.compact = true;
  disk.options.config.segment_bytes = 200;
  const auto batch = [](std::int64_t at, bool transactional) {
    BatchBuilder builder({.base_offset = Offset(at),
                          .is_transactional = transactional,
                          .producer_id = ProducerId(7),
                          .producer_epoch = ProducerEpoch(0),
                          .base_sequence = static_cast<std::int32_t>(at)});
    must(
        builder.append({.timestamp = Timestamp(t0), .key = as_bytes("k"), .value = as_bytes("v")}));
    SharedBytes bytes = must(builder.seal()).freeze();
    const BatchFacts facts = BatchFacts::of(BatchHeader::parse(bytes.bytes()));
    return Batch{std::move(bytes), facts};
  };
  const bool transactional = GENERATE(true, false);
  Log log = disk.open();
  for (std::int64_t i = 0; i < 4; ++i) {
    must(append(log, {batch(i, transactional)}).status);
  }
  for (std::int64_t i = 4; i < 12; ++i) {
    must(append(log, {keyed_batch(i, {{"k", "v"}})}).status);
  }
  flush(log);
  const auto done = clean(log);
  if (transactional) {
    CHECK(fault(done.status()) == Fault::unsupported);
    CHECK(offsets(log.view()) == range(0, 12));
    return;
  }
  must(done);
  std::vector<std::int64_t> emptied;
  const auto buffers = make_ref<ReadBuffers>();
  const LogRead read = must(log.view().read({Offset(0), log.end(), 1000}, *buffers));
  BatchCursor batches(read.pieces.front().bytes());
  while (const BatchView* left = batches.next()) {
    if (left->header().record_count == 0) {
      emptied.push_back(left->header().last_offset().value());
    }
  }
  CHECK(emptied == std::vector<std::int64_t>{3});
}
