// SPDX-License-Identifier: Apache-2.0
//
// The records of an uncompressed payload, decoded in the plainest way: field by field, byte by
// byte, one copy per field. Judges the real walk; shares no code with it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace reference {

using Text = std::optional<std::string>;

struct Record {
  std::int64_t timestamp_delta = 0;
  std::int32_t offset_delta = 0;
  Text key;
  Text value;
  std::vector<std::pair<std::string, Text>> headers;

  bool operator==(const Record&) const = default;
};

struct Stop {};

class Decoder {
 public:
  explicit Decoder(std::span<const std::byte> bytes) : bytes_(bytes) {}

  /// The records before the first mistake, and whether there was none.
  std::pair<std::vector<Record>, bool> decode(std::int32_t count) {
    std::vector<Record> records;
    try {
      if (count < 0) throw Stop{};
      for (std::int32_t i = 0; i < count; ++i) {
        Record record = next();
        if (i + 1 == count && at_ != bytes_.size()) throw Stop{};
        records.push_back(record);
      }
    } catch (const Stop&) {
      return {records, false};
    }
    return {records, true};
  }

 private:
  std::uint8_t byte() {
    if (at_ >= end_) throw Stop{};
    return static_cast<std::uint8_t>(bytes_[at_++]);
  }
  std::uint64_t base128(int most) {
    std::uint64_t value = 0;
    for (int i = 0; i < most; ++i) {
      const std::uint8_t b = byte();
      value |= static_cast<std::uint64_t>(b & 0x7f) << (7 * i);  // excess bits are dropped
      if ((b & 0x80) == 0) return value;
    }
    throw Stop{};
  }
  std::int32_t varint() {
    const auto n = static_cast<std::uint32_t>(base128(5));
    return n % 2 == 0 ? static_cast<std::int32_t>(n / 2) : -static_cast<std::int32_t>(n / 2) - 1;
  }
  std::int64_t varlong() {
    const std::uint64_t n = base128(10);
    return n % 2 == 0 ? static_cast<std::int64_t>(n / 2) : -static_cast<std::int64_t>(n / 2) - 1;
  }
  Text text() {
    const std::int32_t size = varint();
    if (size < 0) return std::nullopt;
    std::string out;
    for (std::int32_t i = 0; i < size; ++i) out.push_back(static_cast<char>(byte()));
    return out;
  }
  Record next() {
    end_ = bytes_.size();
    const std::int32_t length = varint();
    if (length < 0 || static_cast<std::size_t>(length) > bytes_.size() - at_) throw Stop{};
    end_ = at_ + static_cast<std::size_t>(length);
    Record record;
    byte();
    record.timestamp_delta = varlong();
    record.offset_delta = varint();
    record.key = text();
    record.value = text();
    const std::int32_t headers = varint();
    if (headers < 0) throw Stop{};
    for (std::int32_t i = 0; i < headers; ++i) {
      Text key = text();
      if (!key) throw Stop{};
      Text value = text();
      record.headers.emplace_back(*key, value);
    }
    if (at_ != end_) throw Stop{};
    return record;
  }

  std::span<const std::byte> bytes_;
  std::size_t at_ = 0;
  std::size_t end_ = 0;
};

}  // namespace reference
