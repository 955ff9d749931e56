// SPDX-License-Identifier: Apache-2.0
//
// An integer type per meaning, so that an offset is never taken for a partition. Two values of one
// kind compare, and differ by a plain integer; a plain integer may be added. Nothing converts by
// itself. Before any arithmetic: the result fits, as with the plain integer; whoever adds values
// that were not checked uses `checked_add` (bytes.hpp).
#pragma once

#include <compare>
#include <cstddef>
#include <functional>
#include <iosfwd>
#include <utility>

#include <ottla/base/abi.hpp>

namespace ottla::inline OTTLA_ABI {

template <class Tag, class Int>
class StrongInt {
 public:
  using Value = Int;

  constexpr StrongInt() = default;
  constexpr explicit StrongInt(Int value) : value_(value) {}

  constexpr Int value() const { return value_; }

  constexpr auto operator<=>(const StrongInt&) const = default;

  constexpr StrongInt& operator++() {
    ++value_;
    return *this;
  }
  constexpr StrongInt& operator+=(Int n) {
    value_ = static_cast<Int>(value_ + n);
    return *this;
  }
  friend constexpr StrongInt operator+(StrongInt a, Int n) {
    return StrongInt(static_cast<Int>(a.value_ + n));
  }
  friend constexpr StrongInt operator-(StrongInt a, Int n) {
    return StrongInt(static_cast<Int>(a.value_ - n));
  }
  friend constexpr Int operator-(StrongInt a, StrongInt b) {
    return static_cast<Int>(a.value_ - b.value_);
  }

  template <class Char, class Traits>
  friend std::basic_ostream<Char, Traits>& operator<<(std::basic_ostream<Char, Traits>& out,
                                                      StrongInt a) {
    return out << a.value_;
  }
  template <class Hash>
  friend Hash AbslHashValue(Hash state, StrongInt a) {
    return Hash::combine(std::move(state), a.value_);
  }

 private:
  Int value_ = 0;
};

}  // namespace ottla::inline OTTLA_ABI

template <class Tag, class Int>
struct std::hash<ottla::StrongInt<Tag, Int>> {
  std::size_t operator()(ottla::StrongInt<Tag, Int> a) const noexcept {
    return std::hash<Int>{}(a.value());
  }
};
