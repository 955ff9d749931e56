// SPDX-License-Identifier: Apache-2.0
#pragma once

#define XXH_INLINE_ALL
#include <algorithm>
#include <cstring>

#include <absl/strings/str_cat.h>
#include <xxhash.h>

#include <ottla/base/status.hpp>
#include <ottla/log/offset_map.hpp>

namespace ottla::inline OTTLA_ABI {

OTTLA_INLINE absl::StatusOr<OffsetMap> OffsetMap::make(std::size_t slots, std::uint64_t seed,
                                                       double load_factor) {
  // One slot stays empty, so that every search ends.
  slots = std::max<std::size_t>(slots, 2);
  const double share = load_factor > 0 ? std::min(load_factor, 1.0) : 0;
  const auto wanted = static_cast<std::size_t>(static_cast<double>(slots) * share);
  const std::size_t bytes = slots * slot_size;
  Buffer memory = Buffer::allocate(bytes + secret_size);
  if (!memory) {
    return error(Fault::no_memory, absl::StrCat("no memory for a map of ", slots,
                                                " keys to compact a log; lower "
                                                "log.cleaner.dedupe.buffer.size"));
  }
  std::memset(memory.data(), 0xff, bytes);
  XXH3_generateSecret_fromSeed(memory.data() + bytes, seed);
  return OffsetMap(std::move(memory), slots, std::clamp<std::size_t>(wanted, 1, slots - 1));
}

OTTLA_INLINE OffsetMap::Slot* OffsetMap::place(Bytes key, std::uint64_t& low,
                                               std::uint64_t& high) const {
  const XXH128_hash_t hash = XXH3_128bits_withSecret(
      key.data(), key.size(), memory_.data() + slots_ * slot_size, secret_size);
  low = hash.low64;
  high = hash.high64;
  // The high word of the product: uniform over any number of slots.
  auto at = static_cast<std::size_t>((static_cast<unsigned __int128>(low) * slots_) >> 64);
  Slot* const slots = table();
  while (slots[at].offset >= 0 && (slots[at].low != low || slots[at].high != high)) {
    at = at + 1 == slots_ ? 0 : at + 1;
  }
  return slots + at;
}

OTTLA_INLINE void OffsetMap::put(Bytes key, Offset offset) {
  std::uint64_t low = 0;
  std::uint64_t high = 0;
  Slot* const slot = place(key, low, high);
  entries_ += std::size_t{slot->offset < 0};
  *slot = {low, high, offset.value()};
  advance(offset);
}

OTTLA_INLINE std::optional<Offset> OffsetMap::find(Bytes key) const {
  std::uint64_t low = 0;
  std::uint64_t high = 0;
  const Slot* const slot = place(key, low, high);
  return slot->offset < 0 ? std::nullopt : std::optional(Offset(slot->offset));
}

}  // namespace ottla::inline OTTLA_ABI
