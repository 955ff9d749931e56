// SPDX-License-Identifier: Apache-2.0
//
// Zstandard frames (RFC 8878). Written: one, with its content size. Read: any number of them,
// without dictionary; none of those that zstd wrote before the RFC, though its library may read
// them. A frame is decompressed straight into the output, so that its window, up to 128 MiB at the
// levels above 19, costs no memory beyond the limit.
#pragma once

#include <ottla/record/impl/codec.hpp>

#ifdef OTTLA_WITH_ZSTD
#include <zstd.h>
#include <zstd_errors.h>

#include <ottla/base/endian.hpp>

namespace ottla::inline OTTLA_ABI::record_impl {

class ZstdCodec {
 public:
  ZstdCodec() = default;
  ZstdCodec(const ZstdCodec&) = delete;
  ZstdCodec& operator=(const ZstdCodec&) = delete;
  ~ZstdCodec() {
    ZSTD_freeDCtx(reader_);
    ZSTD_freeCCtx(writer_);
  }

  absl::Status decompress(Bytes blob, CappedOutput& out);
  absl::StatusOr<std::size_t> compress(Bytes records, int level, Buffer& out);

 private:
  static bool is_standard(Bytes blob);
  static std::size_t content_bound(Bytes frame);
  static absl::Status damaged(std::size_t result) {
    return malformed(CompressionType::zstd, ZSTD_getErrorName(result));
  }
  absl::Status read_frame(Bytes frame, CappedOutput& out);
  void read_damaged_frame(Bytes frame, CappedOutput& out);

  ZSTD_DCtx* reader_ = nullptr;
  ZSTD_CCtx* writer_ = nullptr;
};

/// Whether it begins as a frame of the RFC, or as one to skip.
OTTLA_INLINE bool ZstdCodec::is_standard(Bytes blob) {
  if (blob.size() < sizeof(std::uint32_t)) {
    return false;
  }
  const auto magic = load_little_endian<std::uint32_t>(blob.data());
  return magic == ZSTD_MAGICNUMBER ||
         (magic & ZSTD_MAGIC_SKIPPABLE_MASK) == ZSTD_MAGIC_SKIPPABLE_START;
}

/// The most that the frame can stand for, by its block headers, which may say nothing at all.
/// Before: zstd found the end of the frame.
OTTLA_INLINE std::size_t ZstdCodec::content_bound(Bytes frame) {
  constexpr std::size_t max_block = 128 * 1024;
  const auto descriptor = static_cast<unsigned>(frame[4]);
  const bool single_segment = (descriptor & 0x20) != 0;
  constexpr std::size_t dictionary_sizes[] = {0, 1, 2, 4};
  constexpr std::size_t content_sizes[] = {0, 2, 4, 8};
  std::size_t at = 5 + (single_segment ? 0 : 1) + dictionary_sizes[descriptor & 3] +
                   content_sizes[descriptor >> 6];
  at += single_segment && descriptor >> 6 == 0 ? 1 : 0;
  std::size_t bound = 0;
  for (bool last = false; !last && at + 3 <= frame.size();) {
    const std::uint32_t header = static_cast<std::uint32_t>(frame[at]) |
                                 static_cast<std::uint32_t>(frame[at + 1]) << 8 |
                                 static_cast<std::uint32_t>(frame[at + 2]) << 16;
    const std::size_t size = header >> 3;
    const unsigned type = header >> 1 & 3;  // 0 raw, 1 one byte repeated, 2 compressed
    last = (header & 1) != 0;
    bound += type == 2 ? max_block : size;
    at += 3 + (type == 1 ? 1 : size);
  }
  return bound;
}

OTTLA_INLINE absl::Status ZstdCodec::read_frame(Bytes frame, CappedOutput& out) {
  const unsigned long long content = ZSTD_getFrameContentSize(frame.data(), frame.size());
  if (content == 0) {  // a skippable frame, or an empty one
    return absl::OkStatus();
  }
  if (content != ZSTD_CONTENTSIZE_UNKNOWN && content > out.limit() - out.size()) {
    return out.too_large();
  }
  const MutableBytes room = out.room(std::max<std::size_t>(content_bound(frame), 1));
  if (room.empty()) {
    return no_memory(out.limit());
  }
  const std::size_t size =
      ZSTD_decompressDCtx(reader_, room.data(), room.size(), frame.data(), frame.size());
  if (ZSTD_isError(size)) {
    return ZSTD_getErrorCode(size) == ZSTD_error_dstSize_tooSmall ? out.too_large() : damaged(size);
  }
  out.wrote(size);
  return out.beyond_limit() ? out.too_large() : absl::OkStatus();
}

/// What can be had of a frame that is damaged or cut, piece by piece as Kafka reads it.
OTTLA_INLINE void ZstdCodec::read_damaged_frame(Bytes frame, CappedOutput& out) {
  constexpr std::size_t kafka_piece = 16 * 1024;
  constexpr int max_window_log = 23;  // 8 MiB
  ZSTD_DCtx_reset(reader_, ZSTD_reset_session_only);
  ZSTD_DCtx_setParameter(reader_, ZSTD_d_windowLogMax, max_window_log);
  ZSTD_inBuffer in{frame.data(), frame.size(), 0};
  for (;;) {
    const MutableBytes room = out.room(kafka_piece);
    ZSTD_outBuffer piece{room.data(), std::min(room.size(), kafka_piece), 0};
    while (piece.pos < piece.size) {
      const std::size_t before = in.pos + piece.pos;
      const std::size_t result = ZSTD_decompressStream(reader_, &piece, &in);
      if (ZSTD_isError(result)) {
        return;
      }
      if (in.pos + piece.pos == before || result == 0) {  // cut, or after all complete
        out.wrote(piece.pos);
        return;
      }
    }
    out.wrote(piece.pos);
    if (piece.pos == 0 || out.beyond_limit()) {
      return;
    }
  }
}

OTTLA_INLINE absl::Status ZstdCodec::decompress(Bytes blob, CappedOutput& out) {
  if (reader_ == nullptr && (reader_ = ZSTD_createDCtx()) == nullptr) {
    return no_memory(blob.size());
  }
  while (!blob.empty()) {
    if (!is_standard(blob)) {
      return malformed(CompressionType::zstd, "no frame begins here");
    }
    const std::size_t size = ZSTD_findFrameCompressedSize(blob.data(), blob.size());
    absl::Status status = ZSTD_isError(size) ? damaged(size) : read_frame(blob.first(size), out);
    if (fault(status) == Fault::corrupt) {
      read_damaged_frame(blob, out);
    }
    OTTLA_TRY(std::move(status));
    blob = blob.subspan(size);
  }
  return absl::OkStatus();
}

OTTLA_INLINE absl::StatusOr<std::size_t> ZstdCodec::compress(Bytes records, int level,
                                                             Buffer& out) {
  if (writer_ == nullptr && (writer_ = ZSTD_createCCtx()) == nullptr) {
    return no_memory(records.size());
  }
  const std::size_t bound = ZSTD_compressBound(records.size());
  if (!grow(out, 0, bound)) {
    return no_memory(bound);
  }
  const std::size_t size =
      ZSTD_compressCCtx(writer_, out.data(), out.capacity(), records.data(), records.size(), level);
  if (ZSTD_isError(size)) {
    return error(Fault::no_memory, absl::StrCat("zstd: ", ZSTD_getErrorName(size)));
  }
  return size;
}

}  // namespace ottla::inline OTTLA_ABI::record_impl
#endif
