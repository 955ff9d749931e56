// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <charconv>

#include <absl/strings/ascii.h>
#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>

#include <ottla/base/config_table.hpp>

namespace ottla::inline OTTLA_ABI {
namespace base_impl {

/// Levenshtein's distance, one row at a time.
inline std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) {
    row[j] = j;
  }
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i);
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({replaced, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row[b.size()];
}

/// Joins continued lines; what is left is one logical line each, without leading blanks.
inline std::vector<std::string> logical_lines(std::string_view text) {
  std::vector<std::string> lines;
  bool continued = false;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find_first_of("\r\n"), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    line = sv(absl::StripLeadingAsciiWhitespace(av(line)));
    if (!continued && (line.empty() || line[0] == '#' || line[0] == '!')) {
      continue;
    }
    if (!continued) {
      lines.emplace_back();
    }
    const std::size_t last = line.find_last_not_of('\\');
    const std::size_t slashes = line.size() - (last == std::string_view::npos ? 0 : last + 1);
    continued = slashes % 2 == 1;
    lines.back().append(line.substr(0, line.size() - (continued ? 1 : 0)));
  }
  return lines;
}

/// Resolves `\t \n \r \f \\ \uXXXX` (below U+0080 only; others are refused) and `\x` for any other
/// x.
inline absl::StatusOr<std::string> unescape(std::string_view text) {
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\' || i + 1 == text.size()) {
      plain += text[i];
      continue;
    }
    const char c = text[++i];
    if (c == 'u') {
      unsigned code = 0;
      const std::string_view digits = text.substr(i + 1, 4);
      const auto [end, failure] = std::from_chars(digits.begin(), digits.end(), code, 16);
      if (digits.size() != 4 || failure != std::errc() || end != digits.end() || code > 0x7f) {
        return error(ErrorCode::invalid_config, Fault::invalid_argument,
                     absl::StrCat("property file: bad escape \\u", av(digits),
                                  "; write the character itself in UTF-8"));
      }
      plain += static_cast<char>(code);
      i += 4;
    } else {
      constexpr std::string_view names = "tnrf";
      constexpr std::string_view values = "\t\n\r\f";
      const std::size_t known = names.find(c);
      plain += known == std::string_view::npos ? c : values[known];
    }
  }
  return plain;
}

}  // namespace base_impl

OTTLA_INLINE absl::Status bad_config_value(std::string_view key, std::string_view value,
                                           std::string_view why) {
  return error(ErrorCode::invalid_config, Fault::invalid_argument,
               absl::StrCat("value '", av(value), "' of ", av(key), ": ", av(why)));
}

OTTLA_INLINE absl::Status unknown_config(std::string_view key,
                                         const std::vector<std::string_view>& known) {
  std::string hint;
  std::size_t nearest = std::max<std::size_t>(3, key.size() / 3) + 1;
  for (const std::string_view candidate : known) {
    if (const std::size_t distance = base_impl::edit_distance(key, candidate); distance < nearest) {
      nearest = distance;
      hint = absl::StrCat("; did you mean '", av(candidate), "'?");
    }
  }
  return error(ErrorCode::invalid_config, Fault::invalid_argument,
               absl::StrCat("unknown config '", av(key), "'", hint));
}

OTTLA_INLINE absl::Status absent_config(std::string_view key, std::string_view instead) {
  return error(ErrorCode::invalid_config, Fault::unsupported,
               absl::StrCat(av(key), " is Kafka's, and is not there",
                            instead.empty() ? " yet" : "; ", av(instead)));
}

OTTLA_INLINE absl::StatusOr<std::int64_t> parse_config_number(std::string_view key,
                                                              std::string_view text,
                                                              ConfigRange range) {
  const std::string_view digits = sv(absl::StripAsciiWhitespace(av(text)));
  std::int64_t number = 0;
  const auto [end, failure] = std::from_chars(digits.begin(), digits.end(), number);
  if (digits.empty() || failure != std::errc() || end != digits.end()) {
    return bad_config_value(key, text, "not a whole number");
  }
  if (number < range.least || number > range.most) {
    const std::string most =
        range.most == INT64_MAX ? std::string() : absl::StrCat(" and at most ", range.most);
    return bad_config_value(key, text, absl::StrCat("must be at least ", range.least, most));
  }
  return number;
}

OTTLA_INLINE absl::StatusOr<double> parse_config_double(std::string_view key,
                                                        std::string_view text) {
  double number = 0;
  if (!absl::SimpleAtod(av(text), &number)) {
    return bad_config_value(key, text, "not a number");
  }
  return number;
}

OTTLA_INLINE absl::StatusOr<bool> parse_config_boolean(std::string_view key,
                                                       std::string_view text) {
  const std::string word = absl::AsciiStrToLower(absl::StripAsciiWhitespace(av(text)));
  if (word != "true" && word != "false") {
    return bad_config_value(key, text, "use true or false");
  }
  return word == "true";
}

OTTLA_INLINE std::string print_config_double(double value) { return absl::StrCat(value); }

OTTLA_INLINE absl::StatusOr<std::vector<std::pair<std::string, std::string>>> parse_properties(
    std::string_view text) {
  std::vector<std::pair<std::string, std::string>> properties;
  for (const std::string& line : base_impl::logical_lines(text)) {
    std::size_t end = 0;
    while (end < line.size() && std::string_view("=: \t\f").find(line[end]) == std::string::npos) {
      end += line[end] == '\\' ? 2U : 1U;
    }
    end = std::min(end, line.size());
    std::size_t value = line.find_first_not_of(" \t\f", end);
    if (value != std::string::npos && (line[value] == '=' || line[value] == ':')) {
      value = line.find_first_not_of(" \t\f", value + 1);
    }
    const std::string_view rest =
        value == std::string::npos ? std::string_view() : std::string_view(line).substr(value);
    OTTLA_ASSIGN(std::string key, base_impl::unescape(std::string_view(line).substr(0, end)));
    OTTLA_ASSIGN(std::string plain, base_impl::unescape(rest));
    properties.emplace_back(std::move(key), std::move(plain));
  }
  return properties;
}

}  // namespace ottla::inline OTTLA_ABI
