// SPDX-License-Identifier: Apache-2.0
//
// Kafka's four codecs, framed as Kafka frames them (README.md): whole blobs in, whole blobs out, in
// memory that is used again. Each is there when its library was found; else asking for it is
// UNSUPPORTED_COMPRESSION_TYPE with the name of the package. Decompression stops at a limit before
// it allocates beyond it.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <ottla/base/bytes.hpp>
#include <ottla/base/shared_bytes.hpp>
#include <ottla/record/compression_type.hpp>

namespace ottla::inline OTTLA_ABI {

/// Ok where this build can read and write that codec.
absl::Status check_codec(CompressionType type);

/// Levels that Kafka allows: gzip 1 to 9 (and -1, zlib's default), lz4 1 to 17, zstd -131072 to 22.
/// The other codecs have none, and ignore one. INVALID_CONFIG beyond.
absl::Status check_level(CompressionType type, int level);
/// gzip -1, lz4 9, zstd 3; nothing for codecs without levels.
std::optional<int> default_level(CompressionType type);

/// What a decompressed batch may take.
struct DecompressionLimits {
  std::size_t max_bytes = std::size_t{16} << 20;
  /// Also at most this many times the compressed size and 64 KiB. 0: not asked, as for what is in
  /// the log already.
  std::size_t max_ratio = 0;

  /// For a blob of `compressed` bytes.
  std::size_t of(std::size_t compressed) const;
};

/// For blobs from the wire.
inline constexpr DecompressionLimits wire_decompression_limits{std::size_t{16} << 20, 64};

/// What came out before the end or an error: as in Kafka, the records before a damaged place can be
/// read.
struct Decompressed {
  Bytes bytes;
  /// INVALID_RECORD (corrupt) for a malformed blob, MESSAGE_TOO_LARGE (limit_reached) for one
  /// beyond the limits.
  absl::Status status;
};

/// Codec states and one output buffer, kept from call to call. Not thread-safe; cheap until first
/// used.
class Decompressor {
 public:
  explicit Decompressor(DecompressionLimits limits = {});
  Decompressor(Decompressor&&) noexcept;
  Decompressor& operator=(Decompressor&&) noexcept;
  ~Decompressor();

  /// The result is valid until the next call.
  Decompressed decompress(CompressionType type, Bytes blob);

  const DecompressionLimits& limits() const { return limits_; }
  /// Bytes held for the next call.
  std::size_t capacity() const { return out_.capacity(); }

 private:
  struct States;
  DecompressionLimits limits_;
  Buffer out_;
  std::unique_ptr<States> states_;
};

/// Codec states and one output buffer, kept from call to call. Not thread-safe; cheap until first
/// used.
class Compressor {
 public:
  Compressor();
  Compressor(Compressor&&) noexcept;
  Compressor& operator=(Compressor&&) noexcept;
  ~Compressor();

  /// The blob that stands for `records`, valid until the next call. Without `level` the codec's
  /// default.
  absl::StatusOr<Bytes> compress(CompressionType type, Bytes records,
                                 std::optional<int> level = std::nullopt);

 private:
  struct States;
  Buffer out_;
  std::unique_ptr<States> states_;
};

}  // namespace ottla::inline OTTLA_ABI

#ifndef OTTLA_COMPILED
#include <ottla/record/impl/compression.ipp>
#endif
