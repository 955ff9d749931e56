// SPDX-License-Identifier: Apache-2.0
//
// LZ4 frames, version 1. Written: independent blocks of 64 KiB, no checksums, no content size.
//   04 22 4d 18, FLG 60, BD 40, HC 82, then per block UINT32 size (top bit: stored), bytes; at last
//   00000000 (these integers are little-endian).
// Read with the strictness of Kafka's reader, which differs from LZ4's own in what follows the end
// mark: nothing is looked at there.
#pragma once

#include <ottla/record/impl/codec.hpp>

#ifdef OTTLA_WITH_LZ4
#include <lz4.h>
#include <lz4hc.h>

#include <ottla/base/endian.hpp>
#include <ottla/record/impl/xxh32.hpp>

namespace ottla::inline OTTLA_ABI::record_impl {

class Lz4Codec {
 public:
  absl::Status decompress(Bytes blob, CappedOutput& out);
  absl::StatusOr<std::size_t> compress(Bytes records, int level, Buffer& out);

 private:
  struct Frame {
    Bytes blocks;  ///< what follows the descriptor
    std::size_t max_block = 0;
    bool block_checksums = false;
    bool content_checksum = false;
  };
  static absl::StatusOr<Frame> read_descriptor(Bytes blob);
  static absl::Status read_block(Bytes block, bool stored, std::size_t max_block,
                                 CappedOutput& out);
  int compress_block(Bytes block, int level, MutableBytes room);

  static constexpr std::size_t written_block = 64 * 1024;
  static constexpr std::uint32_t stored_bit = 0x80000000U;

  Buffer fast_state_;
  Buffer high_state_;
};

inline void store_little_endian(std::byte* to, std::uint32_t value) {
  store_big_endian(to, swap_bytes(value));
}
inline absl::Status bad_lz4(std::string_view what) { return malformed(CompressionType::lz4, what); }

OTTLA_INLINE absl::StatusOr<Lz4Codec::Frame> Lz4Codec::read_descriptor(Bytes blob) {
  constexpr std::uint32_t magic = 0x184D2204;
  if (blob.size() < 7 || load_little_endian<std::uint32_t>(blob.data()) != magic) {
    return bad_lz4("no frame header");
  }
  const auto flags = static_cast<unsigned>(blob[4]);
  const auto sizes = static_cast<unsigned>(blob[5]);
  const unsigned block_code = sizes >> 4;
  if (flags >> 6 != 1 || (flags & 0x03) != 0 || (flags & 0x20) == 0) {
    return bad_lz4("an unknown version, a dictionary, or blocks that depend on each other");
  }
  if (block_code < 4 || block_code > 7 || (sizes & 0x0f) != 0) {
    return bad_lz4("an unknown block size");
  }
  const std::size_t descriptor_end = (flags & 0x08) != 0 ? 14 : 6;
  if (blob.size() <= descriptor_end) {
    return bad_lz4("the frame header is cut short");
  }
  const auto checksum = static_cast<unsigned>(blob[descriptor_end]);
  if (checksum != (xxh32(blob.subspan(4, descriptor_end - 4)) >> 8 & 0xff)) {
    return bad_lz4("the frame header's checksum does not match");
  }
  return Frame{blob.subspan(descriptor_end + 1), std::size_t{1} << (8 + 2 * block_code),
               (flags & 0x10) != 0, (flags & 0x04) != 0};
}

OTTLA_INLINE absl::Status Lz4Codec::read_block(Bytes block, bool stored, std::size_t max_block,
                                               CappedOutput& out) {
  // A byte stands for 255 at most: a small block is not given the room of the largest.
  const std::size_t most = stored ? block.size() : std::min(max_block, block.size() * 256 + 64);
  const MutableBytes room = out.room(most);
  if (room.empty()) {
    return no_memory(most);
  }
  if (stored) {
    if (room.size() < block.size()) {
      return out.too_large();
    }
    std::memcpy(room.data(), block.data(), block.size());
    out.wrote(block.size());
  } else {
    const int size = LZ4_decompress_safe(
        reinterpret_cast<const char*>(block.data()), reinterpret_cast<char*>(room.data()),
        static_cast<int>(block.size()), static_cast<int>(room.size()));
    if (size < 0) {
      return room.size() < most ? out.too_large() : bad_lz4("a block cannot be decompressed");
    }
    out.wrote(static_cast<std::size_t>(size));
  }
  return out.beyond_limit() ? out.too_large() : absl::OkStatus();
}

OTTLA_INLINE absl::Status Lz4Codec::decompress(Bytes blob, CappedOutput& out) {
  OTTLA_ASSIGN(const Frame frame, read_descriptor(blob));
  Bytes rest = frame.blocks;
  for (;;) {
    if (rest.size() < 4) {
      return bad_lz4("the end mark is missing");
    }
    const std::uint32_t word = load_little_endian<std::uint32_t>(rest.data());
    const std::size_t size = word & ~stored_bit;
    rest = rest.subspan(4);
    if (size == 0) {
      const bool complete = !frame.content_checksum || rest.size() >= 4;
      return complete ? absl::OkStatus() : bad_lz4("the content checksum is missing");
    }
    const std::size_t checksum_size = frame.block_checksums ? 4 : 0;
    if (size > frame.max_block || size + checksum_size > rest.size()) {
      return bad_lz4("a block is longer than allowed, or than what is left");
    }
    const Bytes block = rest.first(size);
    if (frame.block_checksums &&
        load_little_endian<std::uint32_t>(rest.data() + size) != xxh32(block)) {
      return bad_lz4("a block's checksum does not match");
    }
    OTTLA_TRY(read_block(block, (word & stored_bit) != 0, frame.max_block, out));
    rest = rest.subspan(size + checksum_size);
  }
}

OTTLA_INLINE int Lz4Codec::compress_block(Bytes block, int level, MutableBytes room) {
  const auto* from = reinterpret_cast<const char*>(block.data());
  auto* to = reinterpret_cast<char*>(room.data());
  const int size = static_cast<int>(block.size());
  const int capacity = static_cast<int>(room.size());
  constexpr int fast_level = 9;  // Kafka's default selects the fast compressor
  if (level == fast_level) {
    return LZ4_compress_fast_extState(fast_state_.data(), from, to, size, capacity, 1);
  }
  return LZ4_compress_HC_extStateHC(high_state_.data(), from, to, size, capacity, level);
}

OTTLA_INLINE absl::StatusOr<std::size_t> Lz4Codec::compress(Bytes records, int level, Buffer& out) {
  constexpr std::byte descriptor[7] = {std::byte{0x04}, std::byte{0x22}, std::byte{0x4d},
                                       std::byte{0x18}, std::byte{0x60}, std::byte{0x40},
                                       std::byte{0x82}};
  const std::size_t blocks = records.size() / written_block + 1;
  const std::size_t bound = sizeof descriptor + records.size() + blocks * 4 + 4;
  if (!grow(fast_state_, 0, static_cast<std::size_t>(LZ4_sizeofState())) ||
      (level != 9 && !grow(high_state_, 0, static_cast<std::size_t>(LZ4_sizeofStateHC()))) ||
      !grow(out, 0, bound)) {
    return no_memory(bound);
  }
  std::memcpy(out.data(), descriptor, sizeof descriptor);
  std::byte* at = out.data() + sizeof descriptor;
  while (!records.empty()) {
    const Bytes block = records.first(std::min(records.size(), written_block));
    records = records.subspan(block.size());
    // Room for one byte less than the block: what does not shrink is stored.
    const int size = compress_block(block, level, MutableBytes(at + 4, block.size() - 1));
    if (size > 0) {
      store_little_endian(at, static_cast<std::uint32_t>(size));
      at += 4 + size;
    } else {
      store_little_endian(at, static_cast<std::uint32_t>(block.size()) | stored_bit);
      std::memcpy(at + 4, block.data(), block.size());
      at += 4 + block.size();
    }
  }
  store_little_endian(at, 0);
  return static_cast<std::size_t>(at + 4 - out.data());
}

}  // namespace ottla::inline OTTLA_ABI::record_impl
#endif
