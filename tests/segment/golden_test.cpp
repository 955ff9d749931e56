// SPDX-License-Identifier: Apache-2.0
//
// Segments that Kafka wrote: found in, recovered, and their indexes made anew by the same rule.
#include "tests/support/golden.hpp"

#include "tests/segment/segment_batches.hpp"
#include "tests/support/catch.hpp"

using namespace ottla;
using nlohmann::json;

namespace {

struct GoldenSegment {
  std::string case_name;
  std::string where;  // case, directory, partition
  json log;           // as expected.json lists it
  json topic;         // its configuration
  std::filesystem::path path;

  std::int64_t base() const { return std::stoll(log["file"].get<std::string>().substr(0, 20)); }
  /// The file beside the log: `suffix` in the place of ".log".
  std::filesystem::path beside(std::string_view suffix) const {
    std::string name = path.string();
    return name.replace(name.rfind(log_suffix), log_suffix.size(), suffix);
  }
  /// Its base offset was changed in the middle: recovery ends there, and so does a scan.
  bool out_of_order() const {
    return where == "crash/before/crash-flip-base-offset-0" && base() == 104;
  }
  bool all_good() const {
    return log["valid_bytes"] == log["size"] && !log.contains("iteration_error");
  }
};

std::vector<GoldenSegment> golden_segments() {
  std::vector<GoldenSegment> segments;
  for (const auto& entry : std::filesystem::directory_iterator(golden::dir())) {
    if (!std::filesystem::exists(entry.path() / "expected.json")) continue;
    const json expected = golden::read_json(entry.path() / "expected.json");
    for (const auto& [directory, content] : expected["dirs"].items()) {
      for (const auto& [partition, files] : content["partitions"].items()) {
        const json topics = expected.value("topics", json::object());
        for (const json& log : files["logs"]) {
          if (log["file"].get<std::string>().find("900000") != std::string::npos)
            continue;  // a foreign name
          const std::string case_name = entry.path().filename().string();
          segments.push_back(
              {case_name, case_name + '/' + directory + '/' + partition, log,
               topics.value(partition.substr(0, partition.rfind('-')), json::object()),
               entry.path() / directory / partition / log["file"].get<std::string>()});
        }
      }
    }
  }
  return segments;
}

std::int64_t config(const GoldenSegment& segment, const char* key, std::int64_t otherwise) {
  return segment.topic.contains(key) ? std::stoll(segment.topic[key].get<std::string>())
                                     : otherwise;
}

void put_if_there(SegmentDirectory& directory, const GoldenSegment& segment,
                  std::string_view suffix) {
  if (std::filesystem::exists(segment.beside(suffix))) {
    directory.put(suffix, golden::read_bytes(segment.beside(suffix)), segment.base());
  }
}

/// Writes Kafka's batches as the brokers did, one after the other: each start of a broker began a
/// leader epoch, and each stop was clean.
std::vector<std::vector<std::byte>> written_anew(const GoldenSegment& golden) {
  SegmentDirectory directory;
  directory.options.index_interval_bytes =
      static_cast<std::int32_t>(config(golden, "index.interval.bytes", 4096));
  directory.options.index_bytes = config(golden, "segment.index.bytes", 4096);
  const std::vector<std::byte> log = golden::read_bytes(golden.path);
  Segment segment = directory.create(golden.base());
  std::int64_t epoch = -1;
  for (const json& batch : golden.log["batches"]) {
    if (const auto its_epoch = batch["partitionLeaderEpoch"].get<std::int64_t>();
        its_epoch != epoch) {
      REQUIRE(segment.become_inactive().ok());
      REQUIRE(segment.close().ok());
      segment = directory.open(golden.base());
      REQUIRE(segment.find_end().ok());
      epoch = its_epoch;
    }
    const Bytes bytes =
        Bytes(log).subspan(batch["position"].get<std::size_t>(), batch["size"].get<std::size_t>());
    const BatchFacts facts = BatchFacts::of(BatchHeader::parse(bytes));
    REQUIRE(segment.write_out({&bytes, 1}, {&facts, 1}).ok());
  }
  REQUIRE(segment.become_inactive().ok());
  return all_content(directory, golden.base());
}

/// Each offset, and each batch's timestamps, are found where expected.json says.
void check_lookups(const Segment& segment, const GoldenSegment& golden) {
  Decompressor decompressor;
  const json& batches = golden.log["batches"];
  for (std::size_t i = 0; i < batches.size(); ++i) {
    const json& batch = batches[i];
    for (const char* end : {"baseOffset", "lastOffset"}) {
      const auto place = segment.find(Offset(batch[end].get<std::int64_t>()));
      REQUIRE(place.ok());
      REQUIRE(place->has_value());
      CHECK((*place)->position == batch["position"].get<std::int64_t>());
    }
    const auto target = batch["maxTimestamp"].get<std::int64_t>();
    const auto found = segment.find_timestamp(Timestamp(target), Offset(0), decompressor);
    REQUIRE(found.ok());
    json expected;
    for (std::size_t before = 0; before <= i && expected.is_null(); ++before) {
      for (const json& record : batches[before]["records"]) {
        if (expected.is_null() && record["timestamp"].get<std::int64_t>() >= target) {
          expected = {record["timestamp"], record["offset"]};
        }
      }
    }
    // Without a record of that age up to its own batch (an emptied one) it lies behind, or nowhere.
    if (!expected.is_null()) {
      CHECK(json({(*found)->timestamp.value(), (*found)->offset.value()}) == expected);
    }
  }
}

}  // namespace

TEST_CASE("indexes of Kafka's batches, written anew, are Kafka's to the byte",
          "[segment][golden]") {
  int compared = 0;
  for (const GoldenSegment& golden : golden_segments()) {
    // The metadata log is Kafka's own affair: nothing closed it at the first stop.
    if (golden.case_name != "rolled" || golden.where.find("__cluster") != std::string::npos)
      continue;
    INFO(golden.where << '/' << golden.log["file"]);
    const std::vector<std::vector<std::byte>> content = written_anew(golden);
    CHECK(content[0] == golden::read_bytes(golden.path));
    CHECK(golden::to_hex(content[1]) ==
          golden::to_hex(golden::read_bytes(golden.beside(offset_index_suffix))));
    CHECK(golden::to_hex(content[2]) ==
          golden::to_hex(golden::read_bytes(golden.beside(time_index_suffix))));
    ++compared;
  }
  CHECK(compared >= 5);
  CHECK((!golden::is_full() || compared == 68));
}

TEST_CASE("every batch of Kafka's segments is found by offset and by time", "[segment][golden]") {
  int looked_up = 0;
  for (const GoldenSegment& golden : golden_segments()) {
    if (!golden.all_good() || golden.out_of_order()) continue;
    INFO(golden.where << '/' << golden.log["file"]);
    SegmentDirectory directory;
    directory.put(log_suffix, golden::read_bytes(golden.path), golden.base());
    put_if_there(directory, golden, offset_index_suffix);
    put_if_there(directory, golden, time_index_suffix);
    check_lookups(directory.open(golden.base()), golden);
    ++looked_up;
  }
  CHECK(looked_up >= 50);
  CHECK((!golden::is_full() || looked_up == 597));
}

TEST_CASE("every segment of Kafka's is recovered up to its first bad batch", "[segment][golden]") {
  int recovered = 0;
  for (const GoldenSegment& golden : golden_segments()) {
    INFO(golden.where << '/' << golden.log["file"]);
    SegmentDirectory directory;
    directory.put(log_suffix, golden::read_bytes(golden.path), golden.base());
    put_if_there(directory, golden, offset_index_suffix);
    put_if_there(directory, golden, time_index_suffix);
    Segment segment = directory.open(golden.base(), IndexLoad::prefix);
    const SegmentRecovery report = segment.recover().value();
    if (golden.out_of_order()) {
      CHECK(report.next_offset == Offset(106));  // Kafka's would empty the segment
    } else {
      CHECK(report.valid_end == golden.log["valid_bytes"].get<std::int64_t>());
    }
    ++recovered;
  }
  CHECK(recovered >= 50);
  CHECK((!golden::is_full() || recovered == 612));
}
