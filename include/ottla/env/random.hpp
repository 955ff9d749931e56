// SPDX-License-Identifier: Apache-2.0
//
// Where random numbers come from: the system, or a seed.
#pragma once

#include <concepts>
#include <cstdint>

#include <ottla/base/endian.hpp>
#include <ottla/base/uuid.hpp>

namespace ottla::inline OTTLA_ABI {

/// Thread-safe.
template <class R>
concept Random = requires(R& random) {
  { random.next() } -> std::same_as<std::uint64_t>;
};

/// A number that looks random, of another: no two have the same. Source: SplitMix64.
constexpr std::uint64_t mixed(std::uint64_t n) {
  n += 0x9e3779b97f4a7c15;
  n = (n ^ (n >> 30)) * 0xbf58476d1ce4e5b9;
  n = (n ^ (n >> 27)) * 0x94d049bb133111eb;
  return n ^ (n >> 31);
}

/// A version-4 UUID, never one that Kafka reserves (zero, or one) nor one whose text begins with a
/// dash.
template <Random R>
Uuid random_uuid(R& random) {
  Uuid id;
  do {
    store_big_endian(id.bytes.data(), random.next());
    store_big_endian(id.bytes.data() + 8, random.next());
    id.bytes[6] = (id.bytes[6] & std::byte{0x0f}) | std::byte{0x40};
    id.bytes[8] = (id.bytes[8] & std::byte{0x3f}) | std::byte{0x80};
  } while (id.to_string().front() == '-');
  return id;
}

}  // namespace ottla::inline OTTLA_ABI
