// SPDX-License-Identifier: Apache-2.0
//
// The walk over records: small bodies that must be inlined where they are used.
#pragma once

#include <ottla/record/record_view.hpp>

namespace ottla::inline OTTLA_ABI {
namespace record_impl {

/// As read_varint, with the short forms in line.
inline const std::byte* walk_varint(const std::byte* at, const std::byte* end,
                                    std::int32_t& value) {
  if (end - at >= 2) [[likely]] {
    const auto first = static_cast<std::uint32_t>(at[0]);
    if (first < 0x80) {
      value = unzigzag(first);
      return at + 1;
    }
    const auto second = static_cast<std::uint32_t>(at[1]);
    if (second < 0x80) {
      value = unzigzag((first & 0x7f) | second << 7);
      return at + 2;
    }
  }
  return read_varint(at, end, value);
}

inline const std::byte* walk_varlong(const std::byte* at, const std::byte* end,
                                     std::int64_t& value) {
  if (end - at >= 2) [[likely]] {
    const auto first = static_cast<std::uint64_t>(at[0]);
    if (first < 0x80) {
      value = unzigzag(first);
      return at + 1;
    }
    const auto second = static_cast<std::uint64_t>(at[1]);
    if (second < 0x80) {
      value = unzigzag((first & 0x7f) | second << 7);
      return at + 2;
    }
  }
  return read_varlong(at, end, value);
}

/// A size and that many bytes; any negative size is null, as in Kafka. Null when it does not fit.
inline const std::byte* walk_nullable(const std::byte* at, const std::byte* end,
                                      const std::byte*& data, std::int32_t& size) {
  at = walk_varint(at, end, size);
  if (at == nullptr || size > end - at) {
    return nullptr;
  }
  data = at;
  return size < 0 ? at : at + size;
}

inline std::int64_t wrapping_add(std::int64_t a, std::int64_t b) {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(a) + static_cast<std::uint64_t>(b));
}

}  // namespace record_impl

inline const RecordView* RecordCursor::next() {
  using namespace record_impl;
  if (remaining_ <= 0) {
    return nullptr;
  }
  const std::byte* at = at_;
  std::int32_t length = 0;
  at = walk_varint(at, end_, length);
  if (at == nullptr || length < 1 || length > end_ - at) {
    return fail("its length is malformed, or more than the bytes that are left");
  }
  const std::byte* const end = at + length;
  record_.encoded_size_ = static_cast<std::uint32_t>(end - at_);
  ++at;  // attributes, of which no bit means anything
  std::int64_t timestamp_delta = 0;
  std::int32_t offset_delta = 0;
  std::int32_t header_count = 0;
  if ((at = walk_varlong(at, end, timestamp_delta)) == nullptr ||
      (at = walk_varint(at, end, offset_delta)) == nullptr ||
      (at = walk_nullable(at, end, record_.key_, record_.key_size_)) == nullptr ||
      (at = walk_nullable(at, end, record_.value_, record_.value_size_)) == nullptr ||
      (at = walk_varint(at, end, header_count)) == nullptr) {
    return fail("a field is malformed, or longer than the record");
  }
  record_.headers_ = Bytes(at, static_cast<std::size_t>(end - at));
  record_.header_count_ = static_cast<std::size_t>(header_count);
  if (header_count != 0 ? !headers_fit(at, end, header_count) : at != end) {
    return fail("its headers do not end where the record does");
  }
  record_.timestamp_ =
      is_append_time_ ? append_time_ : wrapping_add(base_timestamp_, timestamp_delta);
  record_.offset_ = wrapping_add(base_offset_, offset_delta);
  record_.sequence_ = sequence_after(base_sequence_, offset_delta);
  at_ = end;
  --remaining_;
  if (remaining_ == 0 && (at_ != end_ || !ending_.ok())) [[unlikely]] {
    return fail_behind_last();
  }
  return &record_;
}

inline RecordHeaders::Iterator& RecordHeaders::Iterator::operator++() {
  using namespace record_impl;
  at_ = next_;
  if (at_ == end_) {
    return *this;
  }
  const std::byte* key = nullptr;
  const std::byte* value = nullptr;
  std::int32_t key_size = 0;
  std::int32_t value_size = 0;
  next_ = walk_nullable(at_, end_, key, key_size);
  next_ = next_ == nullptr ? nullptr : walk_nullable(next_, end_, value, value_size);
  if (next_ == nullptr || key_size < 0) [[unlikely]] {  // never where the cursor has walked before
    at_ = next_ = end_;
    return *this;
  }
  header_.key = as_string_view(Bytes(key, static_cast<std::size_t>(key_size)));
  header_.value = value_size < 0
                      ? std::nullopt
                      : std::optional(Bytes(value, static_cast<std::size_t>(value_size)));
  return *this;
}

}  // namespace ottla::inline OTTLA_ABI
