// SPDX-License-Identifier: Apache-2.0
//
// oracle/cleaner.json: rounds of Kafka's cleaner, as inputs of ours and as what has to come out.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <ottla/log/batch_cleaner.hpp>
#include <ottla/log/cleanable.hpp>

#include "tests/record/batch_json.hpp"
#include "tests/support/golden.hpp"
#include "tests/support/must.hpp"

namespace cleaner_oracle {

using namespace ottla;
using Json = nlohmann::json;
using test::must;

inline std::int64_t number(const Json& json) { return json.get<std::int64_t>(); }

struct OracleSegment {
  Offset base;
  std::vector<std::byte> bytes;
  std::vector<AbortedTransaction> aborted;
};

inline OracleSegment segment_of(const Json& json) {
  OracleSegment segment{Offset(number(json["base"])), golden::from_hex(json.value("hex", "")), {}};
  for (const Json& entry : json["aborted"]) {
    segment.aborted.push_back({ProducerId(number(entry[0])), Offset(number(entry[1])),
                               Offset(number(entry[2])), Offset(number(entry[3]))});
  }
  return segment;
}

inline std::vector<OracleSegment> segments_of(const Json& list) {
  std::vector<OracleSegment> segments;
  for (const Json& json : list) {
    segments.push_back(segment_of(json));
  }
  return segments;
}

inline std::vector<AbortedTransaction> aborted_of(const std::vector<OracleSegment>& segments) {
  std::vector<AbortedTransaction> all;
  for (const OracleSegment& segment : segments) {
    all.insert(all.end(), segment.aborted.begin(), segment.aborted.end());
  }
  return all;
}

inline ActiveProducers producers_of(const Json& round) {
  ActiveProducers producers;
  for (const auto& [id, json] : round["active_producers"].items()) {
    LastRecord last{.epoch = ProducerEpoch(static_cast<std::int16_t>(number(json["epoch"])))};
    if (!json["last_data_offset"].is_null() && number(json["last_data_offset"]) >= 0) {
      last.last_data = Offset(number(json["last_data_offset"]));
    }
    producers.emplace(ProducerId(std::stoll(id)), last);
  }
  return producers;
}

inline CleaningConfig config_of(const Json& trace) {
  const Json& json = trace["config"];
  CleaningConfig config{.min_dirty_ratio = 0};
  if (json.contains("min.compaction.lag.ms")) {
    config.min_lag = std::chrono::milliseconds(number(json["min.compaction.lag.ms"]));
  }
  if (json.contains("delete.retention.ms")) {
    config.delete_retention = std::chrono::milliseconds(number(json["delete.retention.ms"]));
  }
  return config;
}

inline CleanableSegment facts_of(const OracleSegment& segment) {
  CleanableSegment facts{.base = segment.base,
                         .size = static_cast<std::int64_t>(segment.bytes.size())};
  BatchCursor batches(segment.bytes);
  while (const BatchView* batch = batches.next()) {
    const Timestamp largest = batch->header().max_timestamp;
    facts.first_batch = facts.first_batch == no_timestamp ? largest : facts.first_batch;
    facts.largest = std::max(facts.largest, largest);
  }
  must(batches.status());
  return facts;
}

inline CleaningBounds bounds_of(const Json& round) {
  return {.start = Offset(number(round["log_start_offset"])),
          .last_stable = Offset(number(round["last_stable_offset"])),
          .durable = Offset(number(round["log_end_offset"])),
          .end = Offset(number(round["log_end_offset"]))};
}

/// Of compressed batches what they say; of others their bytes.
inline Json content(const std::vector<std::byte>& bytes) {
  Json all = Json::array();
  BatchCursor batches(bytes);
  while (const BatchView* batch = batches.next()) {
    if (!batch->is_compressed()) {
      all.push_back(golden::to_hex(batch->bytes()));
      continue;
    }
    Json json = golden::to_json(*batch);
    json.erase("crc");
    json.erase("size");
    all.push_back(json);
  }
  must(batches.status());
  return all;
}

}  // namespace cleaner_oracle
