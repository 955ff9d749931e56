// SPDX-License-Identifier: Apache-2.0
//
// The judge's own reading of Kafka's files, written from the format alone: it shares no line with
// the library that it judges. Batches of format 2, not compressed; an index's entries; what the
// records of __consumer_offsets commit.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>

namespace crash {

struct StoredBatch {
  std::int64_t base_offset = 0;
  std::int64_t last_offset = 0;
  std::int32_t leader_epoch = 0;
  std::size_t position = 0;
  std::size_t size = 0;
};

struct StoredRecord {
  std::int64_t offset = 0;
  std::optional<std::string_view> key;
  std::optional<std::string_view> value;
};

/// Takes numbers and text off the front of bytes. Once they do not suffice, it is not ok.
class Decoder {
 public:
  explicit Decoder(std::string_view bytes) : rest_(bytes) {}

  bool ok() const { return ok_; }
  std::size_t left() const { return rest_.size(); }

  template <class Int>
  Int integer() {
    std::make_unsigned_t<Int> value = 0;
    for (const char c : take(sizeof(Int))) {
      value = static_cast<std::make_unsigned_t<Int>>(value << 8 | static_cast<unsigned char>(c));
    }
    return static_cast<Int>(value);
  }

  std::int64_t varint() {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      const auto byte = static_cast<std::uint8_t>(integer<std::int8_t>());
      value |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
      if (byte < 0x80) {
        return static_cast<std::int64_t>(value >> 1) ^ -static_cast<std::int64_t>(value & 1);
      }
    }
    ok_ = false;
    return 0;
  }

  std::string_view take(std::int64_t size) {
    ok_ = ok_ && size >= 0 && static_cast<std::size_t>(size) <= rest_.size();
    if (!ok_) return {};
    const std::string_view taken = rest_.substr(0, static_cast<std::size_t>(size));
    rest_.remove_prefix(taken.size());
    return taken;
  }

  /// A varint length, -1 for null, and so many bytes.
  std::optional<std::string_view> nullable() {
    const std::int64_t size = varint();
    return size == -1 ? std::nullopt : std::optional(take(size));
  }

  std::string_view short_string() { return take(integer<std::int16_t>()); }

 private:
  std::string_view rest_;
  bool ok_ = true;
};

/// CRC-32C, a byte at a time.
inline std::uint32_t checksum(std::string_view bytes) {
  static constexpr auto table = [] {
    std::array<std::uint32_t, 256> made{};
    for (std::uint32_t i = 0; i < made.size(); ++i) {
      std::uint32_t value = i;
      for (int bit = 0; bit < 8; ++bit) {
        value = (value & 1) != 0 ? value >> 1 ^ 0x82F63B78U : value >> 1;
      }
      made[i] = value;
    }
    return made;
  }();
  std::uint32_t crc = 0xFFFFFFFFU;
  for (const char c : bytes) {
    crc = crc >> 8 ^ table[(crc ^ static_cast<unsigned char>(c)) & 0xFF];
  }
  return ~crc;
}

/// Whether each offset has to be there: compaction leaves gaps.
enum class Offsets : std::uint8_t { dense, ascending };

/// What is wrong with the records of a batch, or nothing. `use(record)` for each of them.
template <class Use>
std::string decode_records(std::string_view bytes, const StoredBatch& batch, std::int32_t count,
                           Offsets offsets, Use use) {
  Decoder all(bytes);
  std::int64_t next = batch.base_offset;
  for (std::int32_t i = 0; i < count; ++i) {
    Decoder body(all.take(all.varint()));
    const auto attributes = body.integer<std::int8_t>();
    body.varint();  // the timestamp's delta
    StoredRecord record{.offset = batch.base_offset + body.varint(), .key = {}, .value = {}};
    record.key = body.nullable();
    record.value = body.nullable();
    for (std::int64_t headers = body.varint(); body.ok() && headers > 0; --headers) {
      body.take(body.varint());
      body.nullable();
    }
    if (!all.ok() || !body.ok() || body.left() != 0 || attributes != 0) {
      return "a malformed record";
    }
    if (record.offset < next || record.offset > batch.last_offset ||
        (offsets == Offsets::dense && record.offset != next)) {
      return "offset " + std::to_string(record.offset) + " stands in the place of " +
             std::to_string(next);
    }
    next = record.offset + 1;
    use(record);
  }
  return all.left() == 0 ? "" : "bytes behind the last record";
}

/// What is wrong with a data file, or nothing: it consists of whole, valid batches up to its end.
/// `use_batch(batch)`, then `use(record)` for each record in it.
template <class UseBatch, class Use>
std::string decode_log(std::string_view file, Offsets offsets, UseBatch use_batch, Use use) {
  constexpr std::int16_t delete_horizon = 0x40;  // compaction's
  Decoder rest(file);
  while (rest.left() > 0) {
    StoredBatch batch{.position = file.size() - rest.left()};
    batch.base_offset = rest.integer<std::int64_t>();
    Decoder body(rest.take(rest.integer<std::int32_t>()));
    batch.size = file.size() - rest.left() - batch.position;
    batch.leader_epoch = body.integer<std::int32_t>();
    const auto magic = body.integer<std::int8_t>();
    const auto crc = body.integer<std::uint32_t>();
    const std::size_t covered = body.left();
    const auto attributes = body.integer<std::int16_t>();
    batch.last_offset = batch.base_offset + body.integer<std::int32_t>();
    body.take(8 + 8 + 8 + 2 + 4);  // times, producer, sequence
    const auto count = body.integer<std::int32_t>();
    const std::string where = "the batch at " + std::to_string(batch.position) + ": ";
    if (!rest.ok() || !body.ok()) {
      return where + "cut short";
    }
    if (checksum(file.substr(batch.position + batch.size - covered, covered)) != crc) {
      return where + "wrong checksum";
    }
    const bool is_dense = offsets == Offsets::dense;
    const std::int64_t most = batch.last_offset - batch.base_offset + 1;
    if (magic != 2 || (is_dense ? attributes : attributes & ~delete_horizon) != 0 ||
        (is_dense ? count != most : count > most)) {
      return where + "not a batch of this workload";
    }
    use_batch(batch);
    const std::string wrong = decode_records(body.take(static_cast<std::int64_t>(body.left())),
                                             batch, count, offsets, use);
    if (!wrong.empty()) return where + wrong;
  }
  return "";
}

struct StoredCommit {
  std::string group;
  std::string topic;
  std::int32_t partition = 0;
  std::optional<std::int64_t> offset = {};  ///< nothing: it was removed
};

/// What a record of __consumer_offsets commits; nothing where it is about something else.
inline std::optional<StoredCommit> decode_commit(const StoredRecord& record) {
  Decoder key(record.key.value_or(""));
  if (const auto type = key.integer<std::int16_t>(); !key.ok() || type < 0 || type > 1) {
    return std::nullopt;
  }
  StoredCommit commit{.group = std::string(key.short_string()),
                      .topic = std::string(key.short_string())};
  commit.partition = key.integer<std::int32_t>();
  if (record.value) {
    Decoder value(*record.value);
    value.integer<std::int16_t>();  // its version: the offset comes first in all of them
    commit.offset = value.integer<std::int64_t>();
    if (!value.ok()) commit.offset = -1;
  }
  return commit;
}

inline std::string read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace crash
