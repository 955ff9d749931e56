// SPDX-License-Identifier: Apache-2.0
//
// A batch as the golden data writes it down, so that decoding is judged by comparing two JSON
// values. The names are those of the oracle files; expected.json's are translated.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <ottla/record/batch_view.hpp>
#include <ottla/record/control_record.hpp>

#include "tests/support/golden.hpp"
#include "tests/support/sha256.hpp"

namespace golden {

using nlohmann::json;

/// Hex; null; and where `long_as_digest`, more than 200 bytes as length and SHA-256.
inline json to_json(std::optional<ottla::Bytes> bytes, bool long_as_digest) {
  if (!bytes.has_value()) return nullptr;
  if (long_as_digest && bytes->size() > 200) {
    return {{"len", bytes->size()}, {"sha256", sha256(*bytes)}};
  }
  return to_hex(*bytes);
}

inline json to_json(const ottla::RecordView& record, bool long_as_digest) {
  json headers = json::array();
  for (const ottla::RecordHeader& header : record.headers()) {
    headers.push_back({to_hex(ottla::as_bytes(header.key)), to_json(header.value, long_as_digest)});
  }
  return {{"offset", record.offset().value()},
          {"timestamp", record.timestamp().value()},
          {"sequence", record.sequence()},
          {"key", to_json(record.key(), long_as_digest)},
          {"value", to_json(record.value(), long_as_digest)},
          {"headers", headers}};
}

/// Header, derived values and all records. `error`: what stopped the walk.
inline json to_json(const ottla::BatchView& batch, bool long_as_digest = false) {
  const ottla::BatchHeader& header = batch.header();
  json out = {{"base_offset", header.base_offset.value()},
              {"last_offset", header.last_offset().value()},
              {"partition_leader_epoch", header.leader_epoch.value()},
              {"magic", header.magic},
              {"crc", header.crc},
              {"crc_ok", batch.checksum_matches()},
              {"attributes", header.attributes},
              {"compression", std::string(ottla::name(header.compression()))},
              {"timestamp_type", header.timestamp_type() == ottla::TimestampType::create_time
                                     ? "CreateTime"
                                     : "LogAppendTime"},
              {"transactional", header.is_transactional()},
              {"control", header.is_control()},
              {"delete_horizon", nullptr},
              {"base_timestamp", header.base_timestamp.value()},
              {"max_timestamp", header.max_timestamp.value()},
              {"producer_id", header.producer_id.value()},
              {"producer_epoch", header.producer_epoch.value()},
              {"base_sequence", header.base_sequence},
              {"last_sequence", header.last_sequence()},
              {"count", header.record_count},
              {"size", batch.size()},
              {"records", json::array()}};
  if (header.delete_horizon()) out["delete_horizon"] = header.delete_horizon()->value();
  ottla::Decompressor decompressor;
  ottla::RecordCursor records = batch.records(decompressor);
  while (const ottla::RecordView* record = records.next()) {
    out["records"].push_back(to_json(*record, long_as_digest));
  }
  if (!records.ok()) out["error"] = records.status().ToString();
  return out;
}

/// What a control record says, in the words of expected.json.
inline void add_control(const ottla::RecordView& record, json& out) {
  const auto type = ottla::parse_control_type(record.key());
  if (!type.ok()) throw std::runtime_error(type.status().ToString());
  out["controlType"] = std::string(ottla::name(*type));
  if (*type == ottla::ControlType::abort || *type == ottla::ControlType::commit) {
    const auto marker = ottla::parse_marker(record);
    if (!marker.ok()) throw std::runtime_error(marker.status().ToString());
    out["coordinatorEpoch"] = marker->coordinator_epoch;
  }
}

/// A batch of expected.json under the oracle's names; `sequence` follows from the batch.
inline json with_oracle_names(const json& batch) {
  const std::vector<std::pair<const char*, const char*>> names = {
      {"baseOffset", "base_offset"},
      {"lastOffset", "last_offset"},
      {"recordCount", "count"},
      {"magic", "magic"},
      {"attributes", "attributes"},
      {"codec", "compression"},
      {"timestampType", "timestamp_type"},
      {"isTransactional", "transactional"},
      {"isControl", "control"},
      {"deleteHorizon", "delete_horizon"},
      {"baseTimestamp", "base_timestamp"},
      {"maxTimestamp", "max_timestamp"},
      {"producerId", "producer_id"},
      {"producerEpoch", "producer_epoch"},
      {"baseSequence", "base_sequence"},
      {"lastSequence", "last_sequence"},
      {"partitionLeaderEpoch", "partition_leader_epoch"},
      {"crc", "crc"},
      {"crcValid", "crc_ok"},
      {"size", "size"}};
  json out;
  for (const auto& [theirs, ours] : names) out[ours] = batch.at(theirs);
  out["records"] = json::array();
  for (const json& record : batch.at("records")) {
    const auto delta = static_cast<std::int32_t>(record.at("offset").get<std::int64_t>() -
                                                 batch.at("baseOffset").get<std::int64_t>());
    out["records"].push_back(
        {{"offset", record.at("offset")},
         {"timestamp", record.at("timestamp")},
         {"sequence", ottla::sequence_after(batch.at("baseSequence").get<std::int32_t>(), delta)},
         {"key", record.at("key")},
         {"value", record.at("value")},
         {"headers", record.value("headers", json::array())}});
  }
  return out;
}

}  // namespace golden
