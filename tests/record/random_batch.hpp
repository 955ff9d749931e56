// SPDX-License-Identifier: Apache-2.0
//
// Records and batches made by a seed: null, empty and long fields, headers, odd timestamps, gaps
// between offsets.
#pragma once

#include <optional>
#include <random>
#include <string>
#include <vector>

#include <ottla/record/batch_builder.hpp>

struct RandomRecord {
  std::int64_t offset = 0;
  std::int64_t timestamp = 0;
  std::optional<std::string> key;
  std::optional<std::string> value;
  std::vector<std::pair<std::string, std::optional<std::string>>> headers;

  bool operator==(const RandomRecord&) const = default;
};

class RandomBatch {
 public:
  explicit RandomBatch(std::uint64_t seed) : random_(seed) {}

  std::size_t below(std::size_t n) { return random_() % n; }
  bool one_in(std::size_t n) { return below(n) == 0; }

  std::optional<std::string> text() {
    if (one_in(6)) return std::nullopt;
    const std::size_t most = one_in(10) ? 9000 : one_in(3) ? 300 : 20;
    std::string out(one_in(6) ? 0 : below(most), '\0');
    const std::size_t symbols = one_in(2) ? 3 : 256;
    for (char& c : out) c = static_cast<char>(below(symbols));
    return out;
  }

  RandomRecord record(std::int64_t offset) {
    RandomRecord record{.offset = offset, .key = text(), .value = text(), .headers = {}};
    record.timestamp = one_in(9)   ? -1
                       : one_in(9) ? static_cast<std::int64_t>(random_() >> 1)
                                   : 1700000000000 + static_cast<std::int64_t>(below(100000));
    for (std::size_t n = one_in(3) ? below(5) : 0; n > 0; --n) {
      record.headers.emplace_back(text().value_or(""), text());
    }
    return record;
  }

  std::vector<RandomRecord> records(std::int64_t base_offset) {
    std::vector<RandomRecord> out(1 + below(one_in(8) ? 400 : 12));
    std::int64_t offset = base_offset;
    for (RandomRecord& one : out) {
      offset += one_in(5) ? static_cast<std::int64_t>(below(100000)) : 0;
      one = record(offset++);
    }
    return out;
  }

  ottla::BatchFields fields() {
    ottla::BatchFields fields;
    fields.base_offset = ottla::Offset(static_cast<std::int64_t>(below(1'000'000'000'000)));
    fields.leader_epoch = ottla::LeaderEpoch(static_cast<std::int32_t>(below(1000)));
    fields.compression = static_cast<ottla::CompressionType>(below(5));
    if (one_in(5)) fields.log_append_time = ottla::Timestamp(1800000000000);
    if (one_in(5)) fields.delete_horizon = ottla::Timestamp(1900000000000);
    if (one_in(3)) {
      fields.producer_id = ottla::ProducerId(static_cast<std::int64_t>(below(1000)));
      fields.producer_epoch = ottla::ProducerEpoch(static_cast<std::int16_t>(below(30000)));
      fields.base_sequence = static_cast<std::int32_t>(random_() >> 33);
      fields.is_transactional = one_in(2);
    }
    return fields;
  }

 private:
  std::mt19937_64 random_;
};

/// `record` as the builder takes it; it must outlive the result, and so must `headers`.
inline ottla::RecordFields fields_of(const RandomRecord& record,
                                     std::vector<ottla::RecordHeader>& headers) {
  headers.clear();
  for (const auto& [key, value] : record.headers) {
    ottla::RecordHeader& header = headers.emplace_back();
    header.key = key;
    if (value) header.value = ottla::as_bytes(*value);
  }
  ottla::RecordFields fields{.timestamp = ottla::Timestamp(record.timestamp), .headers = headers};
  if (record.key) fields.key = ottla::as_bytes(*record.key);
  if (record.value) fields.value = ottla::as_bytes(*record.value);
  return fields;
}

inline RandomRecord copy_of(const ottla::RecordView& record) {
  const auto text = [](std::optional<ottla::Bytes> bytes) -> std::optional<std::string> {
    if (!bytes) return std::nullopt;
    return std::string(ottla::as_string_view(*bytes));
  };
  RandomRecord out{.offset = record.offset().value(),
                   .timestamp = record.timestamp().value(),
                   .key = text(record.key()),
                   .value = text(record.value()),
                   .headers = {}};
  for (const ottla::RecordHeader& header : record.headers()) {
    out.headers.emplace_back(header.key, text(header.value));
  }
  return out;
}
