// SPDX-License-Identifier: Apache-2.0
//
// What a backslash means in an option's value: \n line feed, \t tab, \\ backslash.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace console {

/// What `c` stands for behind a backslash; nothing where it is no escape.
inline std::optional<char> escaped(char c) {
  switch (c) {
    case 'n':
      return '\n';
    case 't':
      return '\t';
    case '\\':
      return '\\';
    default:
      return std::nullopt;
  }
}

/// `text` with its escapes replaced; nothing where one of them is none.
inline std::optional<std::string> unescape(std::string_view text) {
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool is_escape = text[i] == '\\';
    const std::optional<char> c = !is_escape          ? text[i]
                                  : ++i < text.size() ? escaped(text[i])
                                                      : std::nullopt;
    if (!c) return std::nullopt;
    plain += *c;
  }
  return plain;
}

}  // namespace console
