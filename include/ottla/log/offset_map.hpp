// SPDX-License-Identifier: Apache-2.0
//
// The highest offset of each key in the dirty section of a log (spec storage.md section 20.2),
// within a fixed memory: 24 bytes a slot, of which Kafka fills 90 %. A key is its hash of 128 bits
// (XXH3 with a secret of this map's own, where Kafka has MD5): two keys of one hash would count as
// one, which by chance happens once in 10^20 maps of a billion keys.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include <absl/status/statusor.h>

#include <ottla/base/bytes.hpp>
#include <ottla/base/ids.hpp>
#include <ottla/base/shared_bytes.hpp>

namespace ottla::inline OTTLA_ABI {

/// Not thread-safe; movable.
class OffsetMap {
 public:
  static constexpr std::size_t slot_size = 24;  ///< bytes
  static constexpr double default_load_factor = 0.9;

  /// `seed`: random, so that nobody can choose keys that collide. `no_memory`.
  static absl::StatusOr<OffsetMap> make(std::size_t slots, std::uint64_t seed,
                                        double load_factor = default_load_factor);

  /// Takes no more keys: the section is mapped as far as `latest`.
  bool full() const { return entries_ >= max_entries_; }
  /// Before: not full, and offsets ascend.
  void put(Bytes key, Offset offset);
  /// Nothing where the section does not have the key.
  std::optional<Offset> find(Bytes key) const;

  /// The section is mapped up to here, this one included; -1 at first.
  Offset latest() const { return latest_; }
  /// Records that have no place in the map lie up to `offset`. Never lowers it.
  void advance(Offset offset) { latest_ = offset > latest_ ? offset : latest_; }

  std::size_t entries() const { return entries_; }
  std::size_t slots() const { return slots_; }

 private:
  static constexpr std::size_t secret_size = 192;
  struct Slot {
    std::uint64_t low;
    std::uint64_t high;
    std::int64_t offset;  // -1: empty
  };
  static_assert(sizeof(Slot) == slot_size);

  OffsetMap(Buffer memory, std::size_t slots, std::size_t max_entries)
      : memory_(std::move(memory)), slots_(slots), max_entries_(max_entries) {}
  Slot* table() const { return reinterpret_cast<Slot*>(const_cast<std::byte*>(memory_.data())); }
  /// The key's slot, or the empty one where it would be; `low` and `high` are its hash.
  Slot* place(Bytes key, std::uint64_t& low, std::uint64_t& high) const;

  Buffer memory_;  // the slots, then the secret
  std::size_t slots_;
  std::size_t max_entries_;
  std::size_t entries_ = 0;
  Offset latest_{-1};
};

}  // namespace ottla::inline OTTLA_ABI

#ifndef OTTLA_COMPILED
#include <ottla/log/impl/offset_map.ipp>
#endif
