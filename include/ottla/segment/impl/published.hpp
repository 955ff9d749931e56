// SPDX-License-Identifier: Apache-2.0
//
// The newest value of a small struct, from one writer to many readers without a lock. Two places
// take turns: readers copy the one that the version names, the writer fills the other and then
// moves the version on. A reader tries again only where two values were published while it copied
// one; it never waits for a writer.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include <ottla/base/abi.hpp>

namespace ottla::inline OTTLA_ABI::segment_impl {

template <class T>
class Published {
  static_assert(std::is_trivially_copyable_v<T> && sizeof(T) % sizeof(std::uint64_t) == 0);

 public:
  Published() = default;
  explicit Published(const T& value) { store(value); }
  /// While nobody else uses either.
  Published(const Published& other) : Published(other.load()) {}
  Published& operator=(const Published& other) {
    if (this != &other) {
      store(other.load());
    }
    return *this;
  }

  /// The writer's.
  void store(const T& value) {
    std::uint64_t words[count];
    std::memcpy(words, &value, sizeof value);
    const std::uint32_t next = version_.load(std::memory_order_relaxed) + 1;
    for (std::size_t i = 0; i < count; ++i) {
      places_[next % 2][i].store(words[i], std::memory_order_release);
    }
    version_.store(next, std::memory_order_release);
  }

  T load() const {
    for (;;) {
      const std::uint32_t version = version_.load(std::memory_order_acquire);
      std::uint64_t words[count];
      for (std::size_t i = 0; i < count; ++i) {
        words[i] = places_[version % 2][i].load(std::memory_order_acquire);
      }
      if (version_.load(std::memory_order_acquire) == version) {
        T value;
        std::memcpy(static_cast<void*>(&value), words, sizeof value);
        return value;
      }
    }
  }

 private:
  static constexpr std::size_t count = sizeof(T) / sizeof(std::uint64_t);
  std::atomic<std::uint64_t> places_[2][count] = {};
  std::atomic<std::uint32_t> version_{0};
};

}  // namespace ottla::inline OTTLA_ABI::segment_impl
