// SPDX-License-Identifier: Apache-2.0
//
// What the codec files share: a sink with a cap, and their errors.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <utility>

#include <absl/status/statusor.h>
#include <absl/strings/str_cat.h>

#include <ottla/base/shared_bytes.hpp>
#include <ottla/base/status.hpp>
#include <ottla/record/compression_type.hpp>

namespace ottla::inline OTTLA_ABI::record_impl {

/// Makes room for `capacity` bytes in all, keeping the first `used`. False when memory cannot be
/// had.
inline bool grow(Buffer& buffer, std::size_t used, std::size_t capacity) {
  if (buffer && capacity <= buffer.capacity()) {
    return true;
  }
  Buffer larger = Buffer::allocate(capacity);
  if (!larger) {
    return false;
  }
  if (used != 0) {
    std::memcpy(larger.data(), buffer.data(), used);
  }
  buffer = std::move(larger);
  return true;
}

inline absl::Status malformed(CompressionType type, std::string_view what) {
  return error(ErrorCode::invalid_record, Fault::corrupt,
               absl::StrCat("malformed ", av(name(type)), " data in a record batch: ", av(what)));
}
inline absl::Status no_memory(std::size_t size) {
  return error(Fault::no_memory, absl::StrCat("no memory for ", size, " bytes of a record batch"));
}

/// A buffer that fills up to `limit` bytes and one more, which tells that there would have been
/// more.
class CappedOutput {
 public:
  CappedOutput(Buffer& buffer, std::size_t limit)
      : buffer_(buffer), limit_(std::min<std::size_t>(limit, INT32_MAX)) {}

  std::size_t size() const { return size_; }
  std::size_t limit() const { return limit_; }
  Bytes bytes() const { return size_ == 0 ? Bytes() : Bytes(buffer_.data(), size_); }
  bool beyond_limit() const { return size_ > limit_; }
  absl::Status too_large() const {
    return error(ErrorCode::message_too_large, Fault::limit_reached,
                 absl::StrCat("a record batch takes more than ", limit_,
                              " bytes when decompressed, the limit for its size"));
  }

  /// Room behind what is there: at least `wanted` bytes, or fewer where the limit comes first.
  /// Empty when memory cannot be had.
  MutableBytes room(std::size_t wanted) {
    const std::size_t most = std::min(std::max(wanted, buffer_.capacity() - size_),
                                      limit_ - std::min(size_, limit_) + 1);
    if (!grow(buffer_, size_, size_ + most)) {
      return {};
    }
    return {buffer_.data() + size_, most};
  }
  /// Before: `n` <= what room() gave.
  void wrote(std::size_t n) { size_ += n; }
  /// Kafka reads in pieces of `piece` bytes and loses the one in which it meets damage.
  void drop_unfinished(std::size_t piece) { size_ -= size_ % piece; }

 private:
  Buffer& buffer_;
  std::size_t limit_;
  std::size_t size_ = 0;
};

/// In the place of a codec whose library was not there: check_codec has refused before.
struct MissingCodec {
  absl::Status decompress(Bytes, CappedOutput&) { return error(Fault::unsupported, "no codec"); }
  absl::StatusOr<std::size_t> compress(Bytes, int, Buffer&) {
    return error(Fault::unsupported, "no codec");
  }
};

}  // namespace ottla::inline OTTLA_ABI::record_impl
