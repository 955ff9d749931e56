// SPDX-License-Identifier: Apache-2.0
//
// Raw snappy blocks in the framing of the Java library (xerial), not snappy's own:
//   82 'S' 'N' 'A' 'P' 'P' 'Y' 00, INT32 version 1, INT32 lowest compatible version 1, then per 32
//   KiB of input INT32 size, block.
// Read too: a repeated header in place of a size, and a blob without header that is one raw block.
#pragma once

#include <ottla/record/impl/codec.hpp>

#ifdef OTTLA_WITH_SNAPPY
#include <snappy-c.h>

#include <ottla/base/endian.hpp>

namespace ottla::inline OTTLA_ABI::record_impl {

class SnappyCodec {
 public:
  absl::Status decompress(Bytes blob, CappedOutput& out);
  absl::StatusOr<std::size_t> compress(Bytes records, int level, Buffer& out);

 private:
  static constexpr std::size_t header_size = 16;
  static constexpr std::size_t chunk_size = 32 * 1024;
  static constexpr std::byte header[header_size] = {
      std::byte{0x82}, std::byte{'S'}, std::byte{'N'}, std::byte{'A'},
      std::byte{'P'},  std::byte{'P'}, std::byte{'Y'}, std::byte{0},
      std::byte{0},    std::byte{0},   std::byte{0},   std::byte{1},
      std::byte{0},    std::byte{0},   std::byte{0},   std::byte{1}};
  static constexpr std::size_t magic_size = 8;
  static constexpr std::size_t compatible_at = 12;

  static bool has_magic(Bytes bytes) {
    return bytes.size() >= header_size && std::memcmp(bytes.data(), header, magic_size) == 0;
  }
  static absl::Status read_block(Bytes block, CappedOutput& out);
  static absl::Status read_chunks(Bytes chunks, CappedOutput& out);
};

OTTLA_INLINE absl::Status SnappyCodec::read_block(Bytes block, CappedOutput& out) {
  const auto* data = reinterpret_cast<const char*>(block.data());
  std::size_t size = 0;
  if (snappy_uncompressed_length(data, block.size(), &size) != SNAPPY_OK) {
    return malformed(CompressionType::snappy, "a block has no length");
  }
  if (size > out.limit() - out.size()) {
    return out.too_large();
  }
  // An element of 3 bytes stands for 64 at most: a claim beyond that is not worth any memory.
  if (size > block.size() * 22) {
    return malformed(CompressionType::snappy, "a block is shorter than its length needs");
  }
  const MutableBytes room = out.room(size);
  if (room.size() < size) {
    return no_memory(size);
  }
  if (snappy_uncompress(data, block.size(), reinterpret_cast<char*>(room.data()), &size) !=
      SNAPPY_OK) {
    return malformed(CompressionType::snappy, "a block cannot be decompressed");
  }
  out.wrote(size);
  return absl::OkStatus();
}

OTTLA_INLINE absl::Status SnappyCodec::read_chunks(Bytes rest, CappedOutput& out) {
  constexpr std::size_t size_of_size = 4;
  while (rest.size() >= size_of_size) {  // fewer bytes are ignored, as in Java
    if (std::memcmp(rest.data(), header, size_of_size) == 0) {
      if (rest.size() < header_size) {
        return malformed(CompressionType::snappy, "a repeated header is cut short");
      }
      if (!has_magic(rest)) {
        return absl::OkStatus();
      }
      rest = rest.subspan(header_size);
      continue;
    }
    const auto size = load_big_endian<std::int32_t>(rest.data());
    rest = rest.subspan(size_of_size);
    if (size <= 0 || static_cast<std::size_t>(size) > rest.size()) {
      return malformed(CompressionType::snappy, "a chunk is longer than what is left");
    }
    OTTLA_TRY(read_block(rest.first(static_cast<std::size_t>(size)), out));
    rest = rest.subspan(static_cast<std::size_t>(size));
  }
  return absl::OkStatus();
}

OTTLA_INLINE absl::Status SnappyCodec::decompress(Bytes blob, CappedOutput& out) {
  if (!has_magic(blob)) {
    return read_block(blob, out);
  }
  if (load_big_endian<std::int32_t>(blob.data() + compatible_at) < 1) {
    return malformed(CompressionType::snappy, "framing of an unknown version");
  }
  absl::Status status = read_chunks(blob.subspan(header_size), out);
  if (!status.ok()) {
    constexpr std::size_t piece = 2 * 1024;
    out.drop_unfinished(piece);
  }
  return status;
}

OTTLA_INLINE absl::StatusOr<std::size_t> SnappyCodec::compress(Bytes records, int, Buffer& out) {
  const std::size_t chunks = records.size() / chunk_size + 1;
  const std::size_t bound = header_size + chunks * (4 + snappy_max_compressed_length(chunk_size));
  if (!grow(out, 0, bound)) {
    return no_memory(bound);
  }
  std::memcpy(out.data(), header, header_size);
  std::size_t at = header_size;
  while (!records.empty()) {
    const Bytes chunk = records.first(std::min(records.size(), chunk_size));
    std::size_t size = out.capacity() - at - 4;
    if (snappy_compress(reinterpret_cast<const char*>(chunk.data()), chunk.size(),
                        reinterpret_cast<char*>(out.data() + at + 4), &size) != SNAPPY_OK) {
      return error(Fault::internal, "snappy did not fit into the size that it announced");
    }
    store_big_endian(out.data() + at, static_cast<std::int32_t>(size));
    at += 4 + size;
    records = records.subspan(chunk.size());
  }
  return at;
}

}  // namespace ottla::inline OTTLA_ABI::record_impl
#endif
