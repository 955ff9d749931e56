// SPDX-License-Identifier: Apache-2.0
//
// Bytes read and written with bounds. A `ByteReader` is a cursor over hostile input: a read that
// does not fit, and every one after it, gives zero, empty or null and `ok()` turns false, so a
// decoder reads a whole struct and asks once. A `ByteWriter` appends to a vector that its owner
// reserves.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include <ottla/base/endian.hpp>
#include <ottla/base/varint.hpp>

namespace ottla::inline OTTLA_ABI {

using Bytes = std::span<const std::byte>;
using MutableBytes = std::span<std::byte>;

inline Bytes as_bytes(std::string_view text) {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}
inline std::string_view as_string_view(Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// `a + b`, or nothing when it overflows.
template <std::integral Int>
constexpr std::optional<Int> checked_add(Int a, Int b) {
  Int sum;
  return __builtin_add_overflow(a, b, &sum) ? std::nullopt : std::optional<Int>(sum);
}

/// Not thread-safe. What it answers are views of the input.
class ByteReader {
 public:
  explicit ByteReader(Bytes bytes) : at_(bytes.data()), end_(bytes.data() + bytes.size()) {}

  bool ok() const { return !failed_; }
  std::size_t remaining() const { return static_cast<std::size_t>(end_ - at_); }
  /// Everything was read, and nothing failed.
  bool exhausted() const { return ok() && at_ == end_; }
  void fail() {
    failed_ = true;
    at_ = end_;
  }

  /// A fixed-width big-endian integer.
  template <FixedInteger Int>
  Int integer() {
    if (remaining() < sizeof(Int)) {
      fail();
      return 0;
    }
    const Int value = load_big_endian<Int>(at_);
    at_ += sizeof(Int);
    return value;
  }

  std::int32_t varint() { return variable<std::int32_t>(&read_varint); }
  std::int64_t varlong() { return variable<std::int64_t>(&read_varlong); }
  std::uint32_t unsigned_varint() { return variable<std::uint32_t>(&read_unsigned_varint); }

  /// The next `n` bytes; fails when fewer remain.
  Bytes bytes(std::size_t n) {
    if (n > remaining()) {
      fail();
      return {};
    }
    const Bytes taken(at_, n);
    at_ += n;
    return taken;
  }

  /// STRING: INT16 length and bytes; null (-1) fails.
  std::string_view string();
  /// STRING that may be null.
  std::optional<std::string_view> nullable_string();
  /// COMPACT_STRING: UVARINT length + 1 and bytes; null (0) fails, and so do more than 32,767
  /// bytes.
  std::string_view compact_string();
  std::optional<std::string_view> nullable_compact_string();
  /// BYTES: INT32 length (-1 = null) and bytes.
  std::optional<Bytes> nullable_bytes();
  /// COMPACT_BYTES: UVARINT length + 1 (0 = null) and bytes.
  std::optional<Bytes> nullable_compact_bytes();
  /// ARRAY count (INT32), 0 for null; fails when `count * min_element_size` is more than what
  /// remains.
  std::size_t array_count(std::size_t min_element_size);
  /// COMPACT_ARRAY count (UVARINT of count + 1), likewise.
  std::size_t compact_array_count(std::size_t min_element_size);
  /// Skips a tagged-field block: UVARINT count, then (UVARINT tag ascending, UVARINT size, payload)
  /// each.
  void skip_tagged_fields();

 private:
  template <class Int>
  Int variable(const std::byte* (*read)(const std::byte*, const std::byte*, Int&)) {
    Int value = 0;
    const std::byte* next = read(at_, end_, value);
    if (next == nullptr) {
      fail();
      return 0;
    }
    at_ = next;
    return value;
  }
  std::optional<Bytes> nullable(std::int64_t length, std::int64_t longest);
  std::size_t checked_count(std::int64_t count, std::size_t min_element_size);

  const std::byte* at_;
  const std::byte* end_;
  bool failed_ = false;
};

/// Not thread-safe. Before each call: a string has at most 32,767 bytes, bytes and arrays at most
/// 2,147,483,647, and nothing written is a view of the vector itself.
class ByteWriter {
 public:
  explicit ByteWriter(std::vector<std::byte>& out) : out_(out) {}

  std::size_t size() const { return out_.size(); }

  template <FixedInteger Int>
  void integer(Int value) {
    const std::size_t position = out_.size();
    out_.resize(position + sizeof(Int));
    patch(position, value);
  }
  /// Overwrites what `integer` of the same type wrote at `position`.
  template <FixedInteger Int>
  void patch(std::size_t position, Int value) {
    store_big_endian(out_.data() + position, value);
  }
  void varint(std::int32_t value);
  void varlong(std::int64_t value);
  void unsigned_varint(std::uint32_t value);
  void bytes(Bytes bytes) { out_.insert(out_.end(), bytes.begin(), bytes.end()); }

  void string(std::string_view text);
  void nullable_string(std::optional<std::string_view> text);
  void compact_string(std::string_view text);
  void nullable_compact_string(std::optional<std::string_view> text);
  void nullable_bytes(std::optional<Bytes> bytes);
  void nullable_compact_bytes(std::optional<Bytes> bytes);
  void array_count(std::size_t count) { integer(static_cast<std::int32_t>(count)); }
  void compact_array_count(std::size_t count) {
    unsigned_varint(static_cast<std::uint32_t>(count + 1));
  }
  void no_tagged_fields() { out_.push_back(std::byte{0}); }

 private:
  std::vector<std::byte>& out_;
};

}  // namespace ottla::inline OTTLA_ABI

#ifndef OTTLA_COMPILED
#include <ottla/base/impl/bytes.ipp>
#endif
