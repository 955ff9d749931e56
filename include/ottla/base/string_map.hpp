// SPDX-License-Identifier: Apache-2.0
//
// A hash map from strings that is searched by `std::string_view` without a copy. Its order is
// random: it must not reach behaviour (iterate a sorted copy where order shows). An insertion that
// finds no memory leaves it as it was; Abseil's maps break then.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <unordered_map>

#include <absl/hash/hash.h>

#include <ottla/base/abi.hpp>

namespace ottla::inline OTTLA_ABI {

struct StringHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const noexcept { return absl::HashOf(text); }
};
struct StringEqual {
  using is_transparent = void;
  bool operator()(std::string_view a, std::string_view b) const noexcept { return a == b; }
};

template <class Value>
using StringMap = std::unordered_map<std::string, Value, StringHash, StringEqual>;

}  // namespace ottla::inline OTTLA_ABI
