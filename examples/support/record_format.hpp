// SPDX-License-Identifier: Apache-2.0
//
// How a record is printed: text with directives, "%t %p %o %k %v\n".
//   %t topic   %p partition   %o offset   %d timestamp in milliseconds   %% a percent sign
//   %k %v      key, value as they are, nothing for null
//   %K %V      the same in lower-case hex, "null" for null
//   %h         headers as name=hex, joined by commas
//   \n \t \\   line feed, tab, backslash
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/statusor.h>

#include <ottla/base/bytes.hpp>
#include <ottla/base/status.hpp>

#include "escapes.hpp"
#include "output.hpp"

namespace console {

class RecordFormat {
 public:
  static absl::StatusOr<RecordFormat> parse(std::string_view text) {
    RecordFormat format;
    std::string literal;
    for (std::size_t i = 0; i < text.size(); ++i) {
      const char c = text[i];
      if (c != '%' && c != '\\') {
        literal += c;
        continue;
      }
      const char next = ++i < text.size() ? text[i] : '\0';
      if (c == '\\') {
        const std::optional<char> plain = escaped(next);
        if (!plain) return wrong(text.substr(i - 1, 2), "the escapes are \\n \\t \\\\");
        literal += *plain;
      } else if (next == '%') {
        literal += '%';
      } else if (next != '\0' && directives.find(next) != std::string_view::npos) {
        format.pieces_.push_back({std::exchange(literal, {}), next});
      } else {
        return wrong(text.substr(i - 1, 2), "there are %t %p %o %k %v %K %V %h %d %%");
      }
    }
    format.pieces_.push_back({literal, '\0'});
    return format;
  }

  template <class Record>
  void print(const Record& record, Output& out) const {
    for (const Piece& piece : pieces_) {
      out.add(piece.text);
      switch (piece.directive) {
        case 't':
          out.add(record.topic());
          break;
        case 'p':
          out.add(std::to_string(record.partition().value()));
          break;
        case 'o':
          out.add(std::to_string(record.offset().value()));
          break;
        case 'd':
          out.add(std::to_string(record.timestamp().value()));
          break;
        case 'k':
          out.add(ottla::as_string_view(record.raw_key().value_or(ottla::Bytes())));
          break;
        case 'v':
          out.add(ottla::as_string_view(record.raw_value().value_or(ottla::Bytes())));
          break;
        case 'K':
          add_hex(record.raw_key(), out);
          break;
        case 'V':
          add_hex(record.raw_value(), out);
          break;
        case 'h':
          add_headers(record.headers(), out);
          break;
        default:
          break;
      }
    }
  }

 private:
  static constexpr std::string_view directives = "tpokvKVhd";
  struct Piece {
    std::string text;
    char directive;  // behind the text; '\0': none
  };

  static absl::Status wrong(std::string_view what, std::string_view remedy) {
    return absl::InvalidArgumentError("no such thing as '" + std::string(what) + "'; " +
                                      std::string(remedy));
  }

  static void add_hex(std::optional<ottla::Bytes> bytes, Output& out) {
    constexpr std::string_view digits = "0123456789abcdef";
    if (!bytes) {
      out.add("null");
      return;
    }
    for (const std::byte byte : *bytes) {
      out.add(digits[std::to_integer<std::size_t>(byte >> 4)]);
      out.add(digits[std::to_integer<std::size_t>(byte & std::byte{15})]);
    }
  }

  template <class Headers>
  static void add_headers(const Headers& headers, Output& out) {
    bool first = true;
    for (const auto& header : headers) {
      out.add(first ? "" : ",");
      first = false;
      out.add(header.key);
      out.add('=');
      add_hex(header.value, out);
    }
  }

  std::vector<Piece> pieces_;
};

}  // namespace console
