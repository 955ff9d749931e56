// SPDX-License-Identifier: Apache-2.0
//
// Lines, fields and numbers of the small text files of a log directory.
#pragma once

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include <ottla/base/abi.hpp>

namespace ottla::inline OTTLA_ABI {
namespace log_impl {

/// Lines that end in `\n` or at the end of the text.
class TextLines {
 public:
  explicit TextLines(std::string_view text) : rest_(text) {}

  /// Without its line end; nothing at the end of the text.
  std::optional<std::string_view> next() {
    ++number_;
    if (rest_.empty()) {
      return std::nullopt;
    }
    const std::size_t end = std::min(rest_.find('\n'), rest_.size());
    const std::string_view line = rest_.substr(0, end);
    rest_.remove_prefix(std::min(end + 1, rest_.size()));
    return line;
  }
  /// Of the line that `next` returned last, from 1.
  std::size_t number() const { return number_; }
  std::string_view rest() const { return rest_; }

 private:
  std::string_view rest_;
  std::size_t number_ = 0;
};

/// Exactly N fields between blanks; all empty when there are more or fewer.
template <std::size_t N>
std::array<std::string_view, N> split(std::string_view line) {
  constexpr std::string_view blanks = " \t\r\f\v";
  std::array<std::string_view, N> fields{};
  std::size_t n = 0;
  while (true) {
    line.remove_prefix(std::min(line.find_first_not_of(blanks), line.size()));
    if (line.empty()) {
      return n == N ? fields : std::array<std::string_view, N>{};
    }
    if (n == N) {
      return {};
    }
    const std::size_t end = std::min(line.find_first_of(blanks), line.size());
    fields[n++] = line.substr(0, end);
    line.remove_prefix(end);
  }
}

/// A number of base `base` that is all of `text`, without a sign.
template <class Int>
std::optional<Int> number(std::string_view text, int base = 10) {
  Int value = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (text.empty() || text.front() == '-' || failure != std::errc() ||
      end != text.data() + text.size()) {
    return std::nullopt;
  }
  return value;
}
inline std::optional<std::int64_t> decimal(std::string_view text) {
  return number<std::int64_t>(text);
}

}  // namespace log_impl
}  // namespace ottla::inline OTTLA_ABI
