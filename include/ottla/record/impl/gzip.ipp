// SPDX-License-Identifier: Apache-2.0
//
// gzip (RFC 1952) by zlib. Written: one member. Read: any number of members; what follows the last
// one and is no member is ignored, as in Java.
#pragma once

#include <ottla/record/impl/codec.hpp>

#ifdef OTTLA_WITH_ZLIB
#include <zlib.h>

namespace ottla::inline OTTLA_ABI::record_impl {

class GzipCodec {
 public:
  GzipCodec() = default;
  GzipCodec(const GzipCodec&) = delete;
  GzipCodec& operator=(const GzipCodec&) = delete;
  ~GzipCodec() {
    if (reads_) {
      inflateEnd(&inflate_);
    }
    if (writes_) {
      deflateEnd(&deflate_);
    }
  }

  absl::Status decompress(Bytes blob, CappedOutput& out);
  absl::StatusOr<std::size_t> compress(Bytes records, int level, Buffer& out);

 private:
  enum class Member : std::uint8_t { complete, not_one, malformed, too_large, no_memory };
  Member read_member(CappedOutput& out);

  z_stream inflate_{};
  z_stream deflate_{};
  int deflate_level_ = 0;
  bool reads_ = false;
  bool writes_ = false;
};

OTTLA_INLINE GzipCodec::Member GzipCodec::read_member(CappedOutput& out) {
  gz_header header{};
  inflateReset(&inflate_);
  inflateGetHeader(&inflate_, &header);
  std::size_t wanted = std::max<std::size_t>(std::size_t{inflate_.avail_in} * 4, 4096);
  for (;;) {
    const MutableBytes room = out.room(wanted);
    if (room.empty()) {
      return Member::no_memory;
    }
    inflate_.next_out = reinterpret_cast<Bytef*>(room.data());
    inflate_.avail_out = static_cast<uInt>(std::min<std::size_t>(room.size(), UINT32_MAX));
    const uInt room_before = inflate_.avail_out;
    // Z_FINISH: what fits into one call is not copied through zlib's window.
    const int result = inflate(&inflate_, Z_FINISH);
    out.wrote(room_before - inflate_.avail_out);
    if (out.beyond_limit()) {
      return Member::too_large;
    }
    if (result == Z_STREAM_END) {
      return Member::complete;
    }
    if (result == Z_MEM_ERROR) {
      return Member::no_memory;
    }
    const bool is_damaged = result != Z_OK && result != Z_BUF_ERROR;
    if (is_damaged || inflate_.avail_out != 0) {  // ... or the input ended first
      constexpr std::size_t piece = 16 * 1024;
      if (is_damaged) {
        out.drop_unfinished(piece);
      }
      return header.done == 1 ? Member::malformed : Member::not_one;
    }
    wanted = out.size();
  }
}

OTTLA_INLINE absl::Status GzipCodec::decompress(Bytes blob, CappedOutput& out) {
  if (!reads_ && inflateInit2(&inflate_, 16 + MAX_WBITS) != Z_OK) {
    return no_memory(sizeof inflate_);
  }
  reads_ = true;
  inflate_.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(blob.data()));
  inflate_.avail_in = static_cast<uInt>(std::min<std::size_t>(blob.size(), UINT32_MAX));
  for (bool first = true;; first = false) {
    const std::size_t before = out.size();
    switch (read_member(out)) {
      case Member::complete:
        break;
      case Member::not_one:
        if (!first) {
          return absl::OkStatus();
        }
        return malformed(CompressionType::gzip, "no gzip header");
      case Member::malformed:
        return malformed(CompressionType::gzip,
                         inflate_.msg != nullptr ? inflate_.msg : "it ends too early");
      case Member::too_large:
        return out.too_large();
      case Member::no_memory:
        return no_memory(before);
    }
    constexpr uInt least_member = 18;
    if (inflate_.avail_in <= least_member) {
      return absl::OkStatus();
    }
  }
}

OTTLA_INLINE absl::StatusOr<std::size_t> GzipCodec::compress(Bytes records, int level,
                                                             Buffer& out) {
  if (writes_ && deflate_level_ != level) {
    deflateEnd(&deflate_);
    writes_ = false;
  }
  if (!writes_ &&
      deflateInit2(&deflate_, level, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY) != Z_OK) {
    return no_memory(sizeof deflate_);
  }
  writes_ = true;
  deflate_level_ = level;
  deflateReset(&deflate_);
  gz_header header{};
  header.os = 0xff;  // unknown: as Java writes it
  deflateSetHeader(&deflate_, &header);
  const std::size_t bound = deflateBound(&deflate_, records.size());
  if (!grow(out, 0, bound)) {
    return no_memory(bound);
  }
  deflate_.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(records.data()));
  deflate_.avail_in = static_cast<uInt>(records.size());
  deflate_.next_out = reinterpret_cast<Bytef*>(out.data());
  deflate_.avail_out = static_cast<uInt>(out.capacity());
  if (deflate(&deflate_, Z_FINISH) != Z_STREAM_END) {
    return error(Fault::internal, "zlib did not finish within the size that it announced");
  }
  return out.capacity() - deflate_.avail_out;
}

}  // namespace ottla::inline OTTLA_ABI::record_impl
#endif
