// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <absl/strings/str_cat.h>

#include <ottla/base/status.hpp>
#include <ottla/record/record_view.hpp>

namespace ottla::inline OTTLA_ABI {

OTTLA_INLINE std::optional<RecordHeader> RecordHeaders::last(std::string_view key) const {
  std::optional<RecordHeader> found;
  for (const RecordHeader& header : *this) {
    if (header.key == key) {
      found = header;
    }
  }
  return found;
}

OTTLA_INLINE RecordCursor::RecordCursor(const BatchHeader& header, Bytes payload,
                                        absl::Status ending)
    : at_(payload.data()),
      end_(payload.data() + payload.size()),
      remaining_(header.record_count),
      ending_(std::move(ending)) {
  record_.base_offset_ = header.base_offset.value();
  record_.base_timestamp_ = header.base_timestamp.value();
  record_.base_sequence_ = header.base_sequence;
  if (header.timestamp_type() == TimestampType::log_append_time) {
    record_.base_timestamp_ = header.max_timestamp.value();
    record_.timestamp_mask_ = 0;
  }
  if (remaining_ < 0) {
    fail("the batch declares a negative number of records");
  }
}

OTTLA_INLINE const RecordView* RecordCursor::next_of_any_form() {
  using namespace record_impl;
  const std::byte* at = at_;
  std::uint32_t length = 0;
  at = read_any(at, end_, length);
  if (at == nullptr || (length & 1) != 0 || length / 2 > end_ - at || length == 0) {
    return fail("its length is malformed, or more than the bytes that are left");
  }
  const std::byte* const end = at + length / 2;
  record_.encoded_size_ = static_cast<std::uint32_t>(end - at_);
  ++at;  // attributes
  std::uint32_t header_count = 0;
  if ((at = read_any(at, end, record_.timestamp_delta_)) == nullptr ||
      (at = read_any(at, end, record_.offset_delta_)) == nullptr ||
      (at = read_nullable(at, end, record_.key_, record_.key_size_)) == nullptr ||
      (at = read_nullable(at, end, record_.value_, record_.value_size_)) == nullptr ||
      (at = read_any(at, end, header_count)) == nullptr) {
    return fail("a field is malformed, or longer than the record");
  }
  if (!headers_fit(at, end, header_count)) {
    return fail("its headers do not end where the record does");
  }
  record_.headers_ = Bytes(at, static_cast<std::size_t>(end - at));
  record_.header_count_ = header_count / 2;
  at_ = end;
  --remaining_;
  return &record_;
}

OTTLA_INLINE const RecordView* RecordCursor::last() {
  const RecordView* const record = next_of_any_form();
  if (record != nullptr && remaining_ == 0 && (at_ != end_ || !ending_.ok())) {
    return fail("bytes are left over behind the last record");
  }
  return record;
}

OTTLA_INLINE bool RecordCursor::headers_fit(const std::byte* at, const std::byte* end,
                                            std::uint32_t count) {
  constexpr std::ptrdiff_t least_size = 2;  // an empty key and a null value
  if ((count & 1) != 0 || count / 2 > (end - at) / least_size) {
    return false;
  }
  for (count /= 2; count > 0; --count) {
    const std::byte* data = nullptr;
    std::uint32_t key_size = 0;
    std::uint32_t value_size = 0;
    at = record_impl::read_nullable(at, end, data, key_size);
    if (at == nullptr || (key_size & 1) != 0) {
      return false;
    }
    at = record_impl::read_nullable(at, end, data, value_size);
    if (at == nullptr) {
      return false;
    }
  }
  return at == end;
}

OTTLA_INLINE const RecordView* RecordCursor::fail(std::string_view what) {
  status_ = !ending_.ok()
                ? ending_
                : error(ErrorCode::invalid_record, Fault::corrupt,
                        absl::StrCat("record batch at offset ", record_.base_offset_, ", with ",
                                     remaining_, " records still to come: ", av(what)));
  remaining_ = 0;
  return nullptr;
}

}  // namespace ottla::inline OTTLA_ABI
