// SPDX-License-Identifier: Apache-2.0
//
// gzip (RFC 1952) over zlib's deflate. Written: one member. Read: any number of them; what follows
// the last one and does not begin like a member is ignored, as in Java. Header and trailer are read
// here: zlib would not tell damaged data from a wrong checksum behind good data.
#pragma once

#include <ottla/record/impl/codec.hpp>

#ifdef OTTLA_WITH_ZLIB
#include <zlib.h>

#include <ottla/base/bytes.hpp>

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
  static std::size_t header_size(Bytes blob);
  absl::Status read_deflated(CappedOutput& out);
  absl::Status read_member(Bytes& blob, CappedOutput& out);

  z_stream inflate_{};
  z_stream deflate_{};
  int deflate_level_ = 0;
  bool reads_ = false;
  bool writes_ = false;
};

/// Of the member that begins here; 0 when none does.
OTTLA_INLINE std::size_t GzipCodec::header_size(Bytes blob) {
  constexpr unsigned has_checksum = 2;
  constexpr unsigned has_extra = 4;
  constexpr unsigned has_name = 8;
  constexpr unsigned has_comment = 16;
  ByteReader reader(blob);
  const auto magic = reader.integer<std::uint16_t>();
  const auto method = reader.integer<std::uint8_t>();
  const auto flags = reader.integer<std::uint8_t>();
  reader.bytes(6);  // time, extra flags, system
  if ((flags & has_extra) != 0) {
    reader.bytes(swap_bytes(reader.integer<std::uint16_t>()));
  }
  for (const unsigned text : {has_name, has_comment}) {
    while ((flags & text) != 0 && reader.ok() && reader.integer<std::uint8_t>() != 0) {
    }
  }
  const std::size_t size = blob.size() - reader.remaining();
  const auto* data = reinterpret_cast<const Bytef*>(blob.data());
  const bool is_wrong =
      (flags & has_checksum) != 0 &&
      swap_bytes(reader.integer<std::uint16_t>()) !=
          static_cast<std::uint16_t>(::crc32(0, data, static_cast<uInt>(size)) & 0xffff);
  if (!reader.ok() || magic != 0x1f8b || method != Z_DEFLATED || is_wrong) {
    return 0;
  }
  return blob.size() - reader.remaining();
}

/// From inflate_'s input up to the end of the deflated data.
OTTLA_INLINE absl::Status GzipCodec::read_deflated(CappedOutput& out) {
  constexpr std::size_t kafka_piece = 16 * 1024;
  std::size_t wanted = std::max<std::size_t>(std::size_t{inflate_.avail_in} * 4, 4096);
  for (;;) {
    const MutableBytes room = out.room(wanted);
    if (room.empty()) {
      return no_memory(out.size() + wanted);
    }
    inflate_.next_out = reinterpret_cast<Bytef*>(room.data());
    inflate_.avail_out = static_cast<uInt>(room.size());
    // Z_FINISH: what fits into one call is not copied through zlib's window.
    const int result = inflate(&inflate_, Z_FINISH);
    out.wrote(room.size() - inflate_.avail_out);
    if (out.beyond_limit()) {
      return out.too_large();
    }
    if (result == Z_STREAM_END) {
      return absl::OkStatus();
    }
    if (result == Z_MEM_ERROR) {
      return no_memory(out.size());
    }
    if (result != Z_OK && result != Z_BUF_ERROR) {
      out.drop_unfinished(kafka_piece);
      return malformed(CompressionType::gzip,
                       inflate_.msg != nullptr ? inflate_.msg : "it cannot be decompressed");
    }
    if (inflate_.avail_out != 0) {
      return malformed(CompressionType::gzip, "it ends too early");
    }
    wanted = out.size();
  }
}

/// One member, with its trailer; `blob` is moved behind it.
OTTLA_INLINE absl::Status GzipCodec::read_member(Bytes& blob, CappedOutput& out) {
  const std::size_t start = out.size();
  inflateReset(&inflate_);
  inflate_.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(blob.data()));
  inflate_.avail_in = static_cast<uInt>(blob.size());
  OTTLA_TRY(read_deflated(out));
  const Bytes content = out.bytes().subspan(start);
  ByteReader trailer(blob.last(inflate_.avail_in));
  const auto checksum = swap_bytes(trailer.integer<std::uint32_t>());
  const auto size = swap_bytes(trailer.integer<std::uint32_t>());
  const auto* data = reinterpret_cast<const Bytef*>(content.data());
  if (!trailer.ok() || checksum != ::crc32(0, data, static_cast<uInt>(content.size())) ||
      size != content.size()) {
    return malformed(CompressionType::gzip, "its checksum or size does not match");
  }
  blob = blob.last(trailer.remaining());
  return absl::OkStatus();
}

OTTLA_INLINE absl::Status GzipCodec::decompress(Bytes blob, CappedOutput& out) {
  constexpr std::size_t least_member = 18;
  if (blob.size() > INT32_MAX) {
    return malformed(CompressionType::gzip, "it is larger than a batch");
  }
  if (!reads_ && inflateInit2(&inflate_, -MAX_WBITS) != Z_OK) {
    return no_memory(sizeof inflate_);
  }
  reads_ = true;
  std::size_t header = header_size(blob);
  if (header == 0) {
    return malformed(CompressionType::gzip, "no gzip header");
  }
  while (header != 0) {
    blob = blob.subspan(header);
    OTTLA_TRY(read_member(blob, out));
    header = blob.size() > least_member ? header_size(blob) : 0;
  }
  return absl::OkStatus();
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
