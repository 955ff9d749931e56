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
      base_offset_(header.base_offset.value()),
      base_timestamp_(header.base_timestamp.value()),
      append_time_(header.max_timestamp.value()),
      base_sequence_(header.base_sequence),
      remaining_(header.record_count),
      is_append_time_(header.timestamp_type() == TimestampType::log_append_time),
      ending_(std::move(ending)) {
  if (remaining_ < 0) {
    fail("the batch declares a negative number of records");
  }
}

OTTLA_INLINE bool RecordCursor::headers_fit(const std::byte* at, const std::byte* end,
                                            std::int32_t count) {
  constexpr std::ptrdiff_t least_size = 2;  // an empty key and a null value
  if (count < 0 || count > (end - at) / least_size) {
    return false;
  }
  for (; count > 0; --count) {
    const std::byte* data = nullptr;
    std::int32_t key_size = 0;
    std::int32_t value_size = 0;
    at = record_impl::walk_nullable(at, end, data, key_size);
    if (at == nullptr || key_size < 0) {
      return false;
    }
    at = record_impl::walk_nullable(at, end, data, value_size);
    if (at == nullptr) {
      return false;
    }
  }
  return at == end;
}

OTTLA_INLINE const RecordView* RecordCursor::fail(std::string_view what) {
  status_ = !ending_.ok() ? ending_
                          : error(ErrorCode::invalid_record, Fault::corrupt,
                                  absl::StrCat("record batch at offset ", base_offset_, ", with ",
                                               remaining_, " records still to come: ", av(what)));
  remaining_ = 0;
  return nullptr;
}

OTTLA_INLINE const RecordView* RecordCursor::fail_behind_last() {
  return fail("bytes are left over behind the last record");
}

}  // namespace ottla::inline OTTLA_ABI
