// SPDX-License-Identifier: Apache-2.0
//
// Apache Kafka's own dump tool reads what we write: every field of every batch and record, and the
// indexes, which it verifies against the log.
#include <cstdlib>
#include <fstream>
#include <memory>
#include <tuple>

#include "tests/interop/kafka_tools.hpp"
#include "tests/interop/written_log.hpp"
#include "tests/support/catch.hpp"

using namespace ottla;

namespace {

constexpr std::int64_t start = 1'700'000'000'000;

std::vector<std::string> all_paths(const std::vector<WrittenLog*>& logs,
                                   const std::vector<std::string_view>& suffixes) {
  std::vector<std::string> all;
  for (const WrittenLog* log : logs) {
    for (const std::string_view suffix : suffixes) {
      for (const std::string& path : log->paths(suffix)) all.push_back(path);
    }
  }
  return all;
}

void check_output(const kafka::Output& output, const std::string& expected) {
  CHECK(output.exit_status == 0);
  CHECK(kafka::complaints(output) == std::vector<std::string>());
  CHECK(kafka::difference(output.text, expected) == "");
}

/// All records, as they were put in; header values too, which the dump tool leaves out.
void check_records(const std::vector<WrittenLog*>& logs) {
  std::string records;
  std::string headers;
  std::map<std::string, std::string> gaps;
  for (const WrittenLog* log : logs) {
    records += log->printed();
    headers += log->printed_headers();
    gaps.insert(log->gaps().begin(), log->gaps().end());
  }
  const std::vector<std::string> files = all_paths(logs, {log_suffix});
  kafka::Output output = kafka::dump(kafka::print_records, files);
  CHECK(kafka::take_gaps(output) == gaps);
  check_output(output, records);
  check_output(kafka::run("HeaderPrinter", files), headers);
}

/// Both indexes of every segment: each entry names a batch of the log, and Kafka would not make
/// them anew when it starts.
void check_indexes(const std::vector<WrittenLog*>& logs) {
  const auto files = all_paths(logs, {offset_index_suffix, time_index_suffix});
  std::string quiet;
  std::string passed;
  for (const std::string& file : files) {
    const bool empty = file.ends_with(".index") && std::filesystem::file_size(file) == 0;
    const std::string first = "Dumping " + file + "\n" + (empty ? file + " is empty.\n" : "");
    quiet += first;
    passed += first + (empty ? "" : file + " passed sanity check.\n");
  }
  check_output(kafka::dump({"--deep-iteration", "--verify-index-only"}, files), quiet);
  check_output(kafka::dump({"--index-sanity-check"}, files), passed);
}

std::int64_t bytes_in(const WrittenLog& log, std::string_view suffix) {
  std::int64_t bytes = 0;
  for (const std::string& path : log.paths(suffix)) {
    bytes += static_cast<std::int64_t>(std::filesystem::file_size(path));
  }
  return bytes;
}

std::string noise(std::size_t size, std::uint32_t seed) {
  std::string text;
  for (std::size_t i = 0; i < size; ++i) {
    seed = seed * 1664525 + 1013904223;
    text += static_cast<char>(seed >> 24);
  }
  return text;
}

/// Null, empty and present keys with such values, and headers of all kinds.
std::vector<WrittenRecord> every_shape() {
  const std::vector<std::optional<std::string>> keys = {std::nullopt, "", "k", "schl\u00fcssel"};
  const std::vector<std::optional<std::string>> values = {std::nullopt, "", "v",
                                                          std::string(40, '\0') + "\xff\n"};
  const std::vector<std::vector<WrittenHeader>> headers = {
      {},
      {{"", std::nullopt}},
      {{"a", "1"}, {"a", "2"}, {"a", std::nullopt}},
      {{"\u043a\u043b\u044e\u0447-\u982d", ""}, {"bin", std::string("\0\1\xff", 3)}}};
  std::vector<WrittenRecord> records;
  for (const auto& key : keys) {
    for (const auto& value : values) {
      const auto n = std::ssize(records);
      records.push_back(
          {start + n * 7, key, value, headers[static_cast<std::size_t>(n + n / 4) % 4]});
    }
  }
  return records;
}

std::vector<WrittenRecord> small_records(int count, std::int64_t from = start) {
  std::vector<WrittenRecord> records;
  for (int i = 0; i < count; ++i) {
    records.push_back({from + i, "key-" + std::to_string(i % 7), "value-" + std::to_string(i), {}});
  }
  return records;
}

/// Batches of every kind that a log of data may hold.
std::unique_ptr<WrittenLog> log_of_every_kind(CompressionType codec) {
  auto log = std::make_unique<WrittenLog>(Offset(1'000'000'000'000));
  const BatchFields plain{.leader_epoch = LeaderEpoch(3), .compression = codec};
  log->append(plain, {{start, "k", "v", {}}});
  log->append(plain, every_shape());
  log->append(plain, small_records(300));
  log->append(plain, {{start, "large", std::string(90'000, 'x'), {}},
                      {start + 1, "large", std::string(90'000, 'y') + noise(100, 1), {}},
                      {start + 2, "random", noise(70'000, 2), {}}});
  // Timestamps without order: none, the smallest, far ahead, back again.
  log->append(plain, {{-1, "none", "", {}}, {-1, "none", "", {}}});
  log->append(plain, {{start + 50, "a", "", {}},
                      {0, "b", "", {}},
                      {-1, "c", "", {}},
                      {32'503'680'000'000, "d", "", {}},
                      {start, "e", "", {}}});

  BatchFields appended = plain;
  appended.log_append_time = Timestamp(start + 1'000'000);
  log->append(appended, small_records(20));

  BatchFields idempotent = plain;
  idempotent.producer_id = ProducerId(4'000'000'000);
  idempotent.producer_epoch = ProducerEpoch(12);
  idempotent.base_sequence = INT32_MAX - 2;
  log->append(idempotent, small_records(6));  // the sequence wraps around
  idempotent.is_transactional = true;
  idempotent.base_sequence = 0;
  log->append(idempotent, every_shape());

  log->finish();
  return log;
}

/// Small batches in small segments, so that there are many index entries.
std::unique_ptr<WrittenLog> log_of_many_segments(CompressionType codec) {
  auto log = std::make_unique<WrittenLog>(Offset(0), 6000);
  for (int i = 0; i < 120; ++i) {
    const std::int64_t jitter = i % 5 == 0 ? -40'000 : i * 100;
    log->append({.leader_epoch = LeaderEpoch(i / 50), .compression = codec},
                small_records(1 + i % 9, start + jitter));
    if (i % 11 == 0) log->write_out();
  }
  log->finish();
  return log;
}

std::vector<CompressionType> codecs_here() {
  std::vector<CompressionType> codecs;
  for (std::uint8_t i = 0; i <= 4; ++i) {
    const auto codec = static_cast<CompressionType>(i);
    const absl::Status there = check_codec(codec);
    if (there.ok()) codecs.push_back(codec);
    if (!there.ok()) std::cout << "not tested here: " << there << '\n';
  }
  return codecs;
}

}  // namespace

TEST_CASE("Kafka's dump tool reads what we wrote, under each codec", "[interop]") {
  if (kafka::skip_without_tools()) return;
  std::vector<std::unique_ptr<WrittenLog>> logs;
  std::vector<WrittenLog*> views;
  for (const CompressionType codec : codecs_here()) {
    logs.push_back(log_of_every_kind(codec));
    logs.push_back(log_of_many_segments(codec));
    CHECK(logs.back()->segments().size() > 2);
    CHECK(bytes_in(*logs.back(), offset_index_suffix) > 8 * 10);
    CHECK(bytes_in(*logs.back(), time_index_suffix) > 12 * 10);
  }
  for (const auto& log : logs) views.push_back(log.get());
  check_records(views);
  check_indexes(views);
}

TEST_CASE("Kafka's dump tool reads our transactions and control records", "[interop]") {
  if (kafka::skip_without_tools()) return;
  WrittenLog log;
  BatchFields data{.is_transactional = true};
  data.producer_id = ProducerId(77);
  data.producer_epoch = ProducerEpoch(2);
  data.base_sequence = 0;
  MarkerFields marker;
  marker.leader_epoch = LeaderEpoch(5);
  marker.timestamp = Timestamp(start);
  marker.producer_id = ProducerId(77);
  marker.producer_epoch = ProducerEpoch(2);

  log.append(data, small_records(3));
  log.append_marker(marker, {ControlType::commit, 9});
  const Offset first = log.next_offset();
  data.base_sequence = 3;
  log.append(data, small_records(4));
  log.append_marker(marker, {ControlType::abort, INT32_MAX});
  const AbortedTransaction aborted{ProducerId(77), first, first + 4, first + 5};
  log.add_aborted(aborted);

  // What compaction leaves of a batch whose records are all gone.
  BatchHeader emptied{.base_offset = log.next_offset(),
                      .leader_epoch = LeaderEpoch(5),
                      .last_offset_delta = 6,
                      .max_timestamp = Timestamp(start),
                      .producer_id = ProducerId(77),
                      .producer_epoch = ProducerEpoch(2),
                      .base_sequence = 7};
  log.append(emptied_batch(emptied), emptied, {});
  log.finish();
  check_records({&log});
  check_indexes({&log});
  const std::string index = log.path(Offset(0), transaction_index_suffix);
  check_output(kafka::dump({}, {index}),
               "Dumping " + index +
                   "\nversion: 0 producerId: 77 firstOffset: 4 lastOffset: 8 "
                   "lastStableOffset: 9\n");
}

// Of version 0 only: the tool takes every leader change for one.
TEST_CASE("Kafka's dump tool reads the quorum's records", "[interop]") {
  if (kafka::skip_without_tools()) return;
  const Uuid directory = Uuid::parse("AAAAAAAAAAAAAAAAAAAAAQ").value();
  const KRaftVoters voters{.voters = {{.id = 1,
                                       .directory = directory,
                                       .endpoints = {{"CONTROLLER", "localhost", 65535}},
                                       .max_kraft_version = 1}}};
  const std::vector<std::tuple<ControlType, std::vector<std::byte>, std::string>> records = {
      {ControlType::leader_change,
       encode(
           LeaderChange{.leader = 1, .voters = {{1, {}}, {2, {}}}, .granting_voters = {{2, {}}}}),
       R"(LeaderChange: {"version":0,"leaderId":1,"voters":[{"voterId":1},{"voterId":2}],)"
       R"("grantingVoters":[{"voterId":2}]})"},
      {ControlType::snapshot_header,
       encode(SnapshotHeader{.last_contained_log_timestamp = Timestamp(start)}),
       R"(SnapshotHeader {"version":0,"lastContainedLogTimestamp":1700000000000})"},
      {ControlType::kraft_version, encode(KRaftVersion{.kraft_version = 1}),
       R"(KRaftVersion {"version":0,"kRaftVersion":1})"},
      {ControlType::kraft_voters, encode(voters),
       R"(KRaftVoters {"version":0,"voters":[{"voterId":1,)"
       R"("voterDirectoryId":"AAAAAAAAAAAAAAAAAAAAAQ",)"
       R"("endpoints":[{"name":"CONTROLLER","host":"localhost","port":65535}],)"
       R"("kRaftVersionFeature":{"minSupportedVersion":0,"maxSupportedVersion":1}}]})"},
      {ControlType::snapshot_footer, encode(SnapshotFooter{}), R"(SnapshotFooter {"version":0})"}};
  WrittenLog log;
  for (const auto& [type, value, printed] : records) {
    BatchHeader stated{.base_offset = log.next_offset(),
                       .leader_epoch = LeaderEpoch(8),
                       .attributes = batch_attribute::control,
                       .max_timestamp = Timestamp(start),
                       .record_count = 1};
    log.append(
        quorum_batch(log.next_offset(), LeaderEpoch(8), Timestamp(start), type, value).value(),
        stated,
        {"| offset: " + std::to_string(log.next_offset().value()) + " CreateTime: " +
         std::to_string(start) + " keySize: 4 valueSize: " + std::to_string(value.size()) +
         " sequence: -1 headerKeys: [] " + printed});
  }
  log.finish();
  check_records({&log});
}

TEST_CASE("Kafka's dump tool reads what compaction leaves", "[interop]") {
  if (kafka::skip_without_tools()) return;
  WrittenLog log(Offset(500));
  BatchFields fields{.delete_horizon = Timestamp(start + 5'000'000)};
  log.append(fields, {{start, "kept", "v", {}, 3}, {start + 9, "deleted", {}, {}, 40}}, 99);
  fields.compression = CompressionType::zstd;
  log.append(fields, {{start, "kept", "v", {}}, {start + 9, "kept too", {}, {}, 7}}, 7);
  log.finish();
  check_records({&log});
  check_indexes({&log});
}

TEST_CASE("Kafka's dump tool verifies indexes made anew, and a log that was cut and went on",
          "[interop]") {
  if (kafka::skip_without_tools()) return;
  const auto log = log_of_many_segments(CompressionType::none);
  const std::int64_t before = bytes_in(*log, offset_index_suffix);
  for (const Offset base : log->segments()) {
    std::filesystem::remove(log->path(base, offset_index_suffix));
    std::filesystem::remove(log->path(base, time_index_suffix));
    Segment segment =
        open_segment(log->files(), log->directory(), base, {.index_interval_bytes = 300}).value();
    REQUIRE(segment.recover().value().clean());
    log->must(segment.become_inactive());
    log->must(segment.close());
  }
  CHECK(bytes_in(*log, offset_index_suffix) >= before);
  check_records({log.get()});
  check_indexes({log.get()});

  log->reopen_and_truncate_to(log->next_offset() + -20);
  for (int i = 0; i < 30; ++i) log->append({}, small_records(3, start + 20'000 + i));
  log->finish();
  check_records({log.get()});
  check_indexes({log.get()});
}

namespace {

/// Adds `change` to the byte there.
void damage(const std::string& path, std::int64_t position, int change) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekg(position);
  const int byte = file.get();
  file.seekp(position);
  file.put(static_cast<char>(byte + change));
  if (!file) throw std::runtime_error("cannot damage " + path);
}

bool complains(const kafka::Output& output, std::string_view sign) {
  for (const std::string& line : kafka::complaints(output)) {
    if (line.find(sign) != std::string::npos) return true;
  }
  return false;
}

}  // namespace

TEST_CASE("these tests notice every kind of damage", "[interop]") {
  if (kafka::skip_without_tools()) return;
  const auto log = log_of_many_segments(CompressionType::none);
  const std::string file = log->path(Offset(0), log_suffix);
  const std::string index = log->path(Offset(0), offset_index_suffix);
  const std::string time_index = log->path(Offset(0), time_index_suffix);
  const std::vector<std::string> verify = {"--deep-iteration", "--verify-index-only"};
  const auto records = [&] { return kafka::dump(kafka::print_records, {file}); };
  REQUIRE(kafka::complaints(records()).empty());
  REQUIRE(kafka::complaints(kafka::dump(verify, {index, time_index})).empty());

  SECTION("a byte of a record") {
    damage(file, 70, 1);
    CHECK(complains(records(), "isvalid: false"));
  }
  SECTION("a byte that no checksum covers") {
    damage(file, 15, 1);  // the leader epoch
    kafka::Output output = records();
    CHECK(kafka::complaints(output).empty());
    CHECK(kafka::difference(output.text, log->printed().substr(0, output.text.size())) != "");
  }
  SECTION("half a batch at the end") {
    const auto bytes = golden::read_text(file);
    std::ofstream(file, std::ios::app | std::ios::binary) << bytes.substr(0, 40);
    CHECK(complains(records(), "Found 40 invalid bytes"));
  }
  SECTION("an offset in the index") {
    damage(index, 11, -1);
    CHECK(complains(kafka::dump(verify, {index}), "Mismatches in"));
  }
  SECTION("a position in the index") {
    damage(index, 7, 1);
    CHECK(!kafka::complaints(kafka::dump(verify, {index})).empty());
  }
  SECTION("an offset in the time index") {
    damage(time_index, 11, 1);
    CHECK(!kafka::complaints(kafka::dump(verify, {time_index})).empty());
  }
  SECTION("a timestamp in the time index") {
    damage(time_index, 7, 1);
    CHECK(complains(kafka::dump(verify, {time_index}), "Found timestamp mismatch"));
  }
  SECTION("half an entry at the end of an index") {
    std::ofstream(index, std::ios::app | std::ios::binary) << "1234";
    CHECK(complains(kafka::dump({"--index-sanity-check"}, {index}), "CorruptIndexException"));
  }
}

#ifdef OTTLA_EXAMPLE
TEST_CASE("Kafka's dump tool reads what the example of a segment wrote, under each codec",
          "[interop]") {
  if (kafka::skip_without_tools()) return;
  const std::string source = OTTLA_TESTS_DIR "/interop/dump_tool_test.cpp";  // real lines
  std::string expected;
  std::ifstream in(source);
  for (std::string line; std::getline(in, line);) {
    expected += " key: " + golden::to_hex(as_bytes(source)) +
                " payload: " + golden::to_hex(as_bytes(line)) + "\n";
  }
  for (const CompressionType codec : codecs_here()) {
    const TemporaryDirectory directory;
    const std::string command = OTTLA_EXAMPLE " --dir '" + directory.path().string() +
                                "' --compression " + std::string(name(codec)) + " '" + source +
                                "' >'" + directory / "printed" + "'";
    REQUIRE(std::system(command.c_str()) == 0);
    const auto output = kafka::dump(kafka::print_records, {directory / "00000000000000000000.log"});
    CHECK(kafka::complaints(output).empty());
    CHECK(output.text.find("compresscodec: " + std::string(name(codec))) != std::string::npos);
    std::string records;
    std::istringstream lines(output.text);
    for (std::string line; std::getline(lines, line);) {
      if (line.starts_with("| ")) records += line.substr(line.find(" key: ")) + "\n";
    }
    CHECK(kafka::difference(records, expected) == "");
    const auto indexes = kafka::dump(
        {"--deep-iteration", "--verify-index-only"},
        {directory / "00000000000000000000.index", directory / "00000000000000000000.timeindex"});
    CHECK(kafka::complaints(indexes).empty());
  }
}
#endif
