// SPDX-License-Identifier: Apache-2.0
//
// The walk over records, for the forms that nearly all of them have: sizes and deltas of one byte
// or two, no headers. Whatever differs, and whatever is wrong, is walked again from its start by
// `next_of_any_form`.
#pragma once

#include <ottla/base/varint.hpp>
#include <ottla/record/record_view.hpp>

namespace ottla::inline OTTLA_ABI {
namespace record_impl {

/// An integer of one byte or two at `at`, which moves behind it. False for a longer one. Before:
/// two bytes can be read.
template <class Unsigned>
inline bool read_short(const std::byte*& at, Unsigned& value) {
  const auto first = static_cast<Unsigned>(at[0]);
  if (first < 0x80) {
    value = first;
    at += 1;
    return true;
  }
  const auto second = static_cast<Unsigned>(at[1]);
  value = (first & 0x7f) | second << 7;
  at += 2;
  return second < 0x80;
}

/// An integer of any form. Unlike the readers of base it drops excess bits of the last byte, as
/// Kafka does when it reads a record. Null when it does not end.
template <class Unsigned>
const std::byte* read_any(const std::byte* at, const std::byte* end, Unsigned& value) {
  constexpr unsigned most = sizeof(Unsigned) == 4 ? max_varint_size : max_varlong_size;
  value = 0;
  for (unsigned i = 0; i < most && at != end; ++i) {
    const auto byte = static_cast<Unsigned>(*at++);
    value |= (byte & 0x7f) << 7 * i;
    if (byte < 0x80) {
      return at;
    }
  }
  return nullptr;
}

/// A size, in zigzag form, and that many bytes; any negative size is null, as in Kafka. Null when
/// it does not fit.
inline const std::byte* read_nullable(const std::byte* at, const std::byte* end,
                                      const std::byte*& data, std::uint32_t& size) {
  at = read_any(at, end, size);
  if (at == nullptr || (size & 1) != 0) {
    return at;
  }
  data = at;
  return size / 2 > end - at ? nullptr : at + size / 2;
}

}  // namespace record_impl

inline const RecordView* RecordCursor::next() {
  using namespace record_impl;
  constexpr std::ptrdiff_t up_to_key = 2 + 1 + 2 + 2 + 2;  // read before the first look at `end`
  const std::byte* at = at_;
  if (remaining_ <= 1 || end_ - at < up_to_key) [[unlikely]] {
    return remaining_ <= 0 ? nullptr : last();
  }
  std::uint32_t length = 0;
  if (!read_short(at, length) || (length & 1) != 0 || length / 2 > end_ - at) [[unlikely]] {
    return next_of_any_form();
  }
  const std::byte* const end = at + length / 2;
  ++at;  // attributes, of which no bit means anything
  if (!read_short(at, record_.timestamp_delta_) || !read_short(at, record_.offset_delta_) ||
      !read_short(at, record_.key_size_)) [[unlikely]] {
    return next_of_any_form();
  }
  record_.key_ = at;
  at += RecordView::size_of(record_.key_size_);
  if (end - at < 2 || !read_short(at, record_.value_size_)) [[unlikely]] {
    return next_of_any_form();
  }
  record_.value_ = at;
  at += RecordView::size_of(record_.value_size_);
  if (end - at != 1 || *at != std::byte{0}) [[unlikely]] {  // the number of headers
    return next_of_any_form();
  }
  record_.header_count_ = 0;
  record_.encoded_size_ = static_cast<std::uint32_t>(end - at_);
  at_ = end;
  --remaining_;
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
  std::uint32_t key_size = 1;
  std::uint32_t value_size = 1;
  next_ = read_nullable(at_, end_, key, key_size);
  next_ = next_ == nullptr ? nullptr : read_nullable(next_, end_, value, value_size);
  if (next_ == nullptr || (key_size & 1) != 0) [[unlikely]] {  // never where the cursor has walked
    at_ = next_ = end_;
    return *this;
  }
  header_.key = as_string_view(Bytes(key, key_size / 2));
  header_.value =
      (value_size & 1) != 0 ? std::nullopt : std::optional(Bytes(value, value_size / 2));
  return *this;
}

}  // namespace ottla::inline OTTLA_ABI
