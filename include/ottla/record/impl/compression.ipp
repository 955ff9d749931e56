// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <new>
#include <utility>

#include <absl/strings/str_cat.h>

#include <ottla/base/status.hpp>
#include <ottla/record/compression.hpp>
#include <ottla/record/impl/codec.hpp>
#include <ottla/record/impl/gzip.ipp>
#include <ottla/record/impl/lz4.ipp>
#include <ottla/record/impl/snappy.ipp>
#include <ottla/record/impl/zstd.ipp>

namespace ottla::inline OTTLA_ABI {
namespace record_impl {

struct CodecLibrary {
  CompressionType type;
  bool is_built_in;
  std::string_view package;
};
inline constexpr CodecLibrary codec_libraries[] = {
    {CompressionType::none, true, ""},
#ifdef OTTLA_WITH_ZLIB
    {CompressionType::gzip, true, "zlib1g-dev"},
#else
    {CompressionType::gzip, false, "zlib1g-dev"},
#endif
#ifdef OTTLA_WITH_SNAPPY
    {CompressionType::snappy, true, "libsnappy-dev"},
#else
    {CompressionType::snappy, false, "libsnappy-dev"},
#endif
#ifdef OTTLA_WITH_LZ4
    {CompressionType::lz4, true, "liblz4-dev"},
#else
    {CompressionType::lz4, false, "liblz4-dev"},
#endif
#ifdef OTTLA_WITH_ZSTD
    {CompressionType::zstd, true, "libzstd-dev"},
#else
    {CompressionType::zstd, false, "libzstd-dev"},
#endif
};

struct LevelRange {
  int lowest;
  int highest;
  int standard;
};
/// Of gzip, lz4 and zstd; an empty range for codecs without levels.
inline constexpr LevelRange level_range(CompressionType type) {
  switch (type) {
    case CompressionType::gzip:
      return {-1, 9, -1};
    case CompressionType::lz4:
      return {1, 17, 9};
    case CompressionType::zstd:
      return {-131072, 22, 3};
    case CompressionType::none:
    case CompressionType::snappy:
      break;
  }
  return {0, -1, 0};
}

#ifndef OTTLA_WITH_ZLIB
using GzipCodec = MissingCodec;
#endif
#ifndef OTTLA_WITH_SNAPPY
using SnappyCodec = MissingCodec;
#endif
#ifndef OTTLA_WITH_LZ4
using Lz4Codec = MissingCodec;
#endif
#ifndef OTTLA_WITH_ZSTD
using ZstdCodec = MissingCodec;
#endif

/// One of each; libraries' own states are made at first use.
struct Codecs {
  GzipCodec gzip;
  SnappyCodec snappy;
  Lz4Codec lz4;
  ZstdCodec zstd;

  /// Calls `use` with the codec of that type. Before: check_codec said ok, and it is not `none`.
  template <class Use>
  auto with(CompressionType type, Use&& use) {
    switch (type) {
      case CompressionType::gzip:
        return use(gzip);
      case CompressionType::snappy:
        return use(snappy);
      case CompressionType::lz4:
        return use(lz4);
      case CompressionType::none:
      case CompressionType::zstd:
        break;
    }
    return use(zstd);
  }
};

}  // namespace record_impl

OTTLA_INLINE absl::Status check_codec(CompressionType type) {
  if (!is_known(type)) {
    return error(ErrorCode::unsupported_compression_type,
                 absl::StrCat("compression type ", static_cast<int>(type),
                              ": Kafka knows 0 to 4 (none, gzip, snappy, lz4, zstd)"));
  }
  const record_impl::CodecLibrary& library =
      record_impl::codec_libraries[static_cast<std::size_t>(type)];
  if (library.is_built_in) {
    return absl::OkStatus();
  }
  return error(ErrorCode::unsupported_compression_type, Fault::unsupported,
               absl::StrCat("codec ", av(name(type)), " is not built in; install ",
                            av(library.package), " and build again"));
}

OTTLA_INLINE absl::Status check_level(CompressionType type, int level) {
  const record_impl::LevelRange range = record_impl::level_range(type);
  const bool is_none_of_gzip = type == CompressionType::gzip && level == 0;
  if (range.lowest > range.highest ||
      (level >= range.lowest && level <= range.highest && !is_none_of_gzip)) {
    return absl::OkStatus();
  }
  return error(
      ErrorCode::invalid_config,
      absl::StrCat("compression.", av(name(type)), ".level=", level, ": ", range.lowest, " to ",
                   range.highest, is_none_of_gzip ? " without 0" : "", " are allowed"));
}

OTTLA_INLINE std::optional<int> default_level(CompressionType type) {
  const record_impl::LevelRange range = record_impl::level_range(type);
  return range.lowest > range.highest ? std::nullopt : std::optional<int>(range.standard);
}

OTTLA_INLINE std::size_t DecompressionLimits::of(std::size_t compressed) const {
  constexpr std::size_t slack = std::size_t{64} << 10;
  if (max_ratio == 0 || compressed > (SIZE_MAX - slack) / max_ratio) {
    return max_bytes;
  }
  return std::min(max_bytes, compressed * max_ratio + slack);
}

struct Decompressor::States : record_impl::Codecs {};

OTTLA_INLINE Decompressor::Decompressor(DecompressionLimits limits) : limits_(limits) {}
OTTLA_INLINE Decompressor::Decompressor(Decompressor&&) noexcept = default;
OTTLA_INLINE Decompressor& Decompressor::operator=(Decompressor&&) noexcept = default;
OTTLA_INLINE Decompressor::~Decompressor() = default;

OTTLA_INLINE Decompressed Decompressor::decompress(CompressionType type, Bytes blob) {
  if (absl::Status status = check_codec(type); !status.ok()) {
    return {Bytes(), std::move(status)};
  }
  if (type == CompressionType::none) {
    return {blob, absl::OkStatus()};
  }
  if (states_ == nullptr) {
    states_.reset(new (std::nothrow) States);
  }
  if (states_ == nullptr) {
    return {Bytes(), record_impl::no_memory(sizeof(States))};
  }
  record_impl::CappedOutput out(out_, limits_.of(blob.size()));
  absl::Status status =
      states_->with(type, [&](auto& codec) { return codec.decompress(blob, out); });
  return {out.bytes(), std::move(status)};
}

struct Compressor::States : record_impl::Codecs {};

OTTLA_INLINE Compressor::Compressor() = default;
OTTLA_INLINE Compressor::Compressor(Compressor&&) noexcept = default;
OTTLA_INLINE Compressor& Compressor::operator=(Compressor&&) noexcept = default;
OTTLA_INLINE Compressor::~Compressor() = default;

OTTLA_INLINE absl::StatusOr<Bytes> Compressor::compress(CompressionType type, Bytes records,
                                                        std::optional<int> level) {
  OTTLA_TRY(check_codec(type));
  if (level.has_value()) {
    OTTLA_TRY(check_level(type, *level));
  }
  if (records.size() > INT32_MAX) {
    return error(ErrorCode::message_too_large, "a record batch holds less than 2 GiB");
  }
  if (type == CompressionType::none) {
    return records;
  }
  if (states_ == nullptr) {
    states_.reset(new (std::nothrow) States);
  }
  if (states_ == nullptr) {
    return record_impl::no_memory(sizeof(States));
  }
  const int chosen = level.has_value() ? *level : default_level(type).value_or(0);
  OTTLA_ASSIGN(const std::size_t size, states_->with(type, [&](auto& codec) {
    return codec.compress(records, chosen, out_);
  }));
  return Bytes(out_.data(), size);
}

}  // namespace ottla::inline OTTLA_ABI
