// SPDX-License-Identifier: Apache-2.0
//
// What the fuzz targets share. Each <name>_fuzz.cpp has one LLVMFuzzerTestOneInput; libFuzzer calls
// it (tests/fuzz/run), and replay.cpp does, with every file of corpus/<name>. An oracle that does
// not hold ends the process.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/statusor.h>
#include <absl/strings/str_cat.h>

#include <ottla/base/bytes.hpp>
#include <ottla/base/crc32c.hpp>
#include <ottla/base/status.hpp>

#include "memory.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace fuzz {

[[noreturn]] inline void fail(std::string_view what, std::string_view detail = "") {
  std::fprintf(stderr, "oracle: %.*s %.*s\n", static_cast<int>(what.size()), what.data(),
               static_cast<int>(detail.size()), detail.data());
  std::abort();
}
inline void require(bool holds, std::string_view what, std::string_view detail = "") {
  if (!holds) {
    fail(what, detail);
  }
}

inline ottla::Bytes bytes(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const std::byte*>(data), size};
}

/// Takes an input apart; zeros and nothing where it has ended.
class Input {
 public:
  explicit Input(ottla::Bytes bytes) : bytes_(bytes) {}
  Input(const std::uint8_t* data, std::size_t size) : Input(fuzz::bytes(data, size)) {}

  bool empty() const { return bytes_.empty(); }
  template <class Int>
  Int integer() {
    const ottla::Bytes raw = take(sizeof(Int));
    return raw.size() == sizeof(Int) ? ottla::load_big_endian<Int>(raw.data()) : Int{0};
  }
  ottla::Bytes take(std::size_t n) {
    const ottla::Bytes taken = bytes_.first(std::min(n, bytes_.size()));
    bytes_ = bytes_.subspan(taken.size());
    return taken;
  }
  /// UINT16 length and as many bytes.
  ottla::Bytes piece() { return take(integer<std::uint16_t>()); }
  ottla::Bytes rest() { return take(bytes_.size()); }

 private:
  ottla::Bytes bytes_;
};

/// An error that a decoder may answer hostile bytes with.
inline void require_typed(const absl::Status& status) {
  using ottla::Fault;
  const Fault fault = ottla::fault(status);
  require(fault == Fault::corrupt || fault == Fault::unsupported || fault == Fault::limit_reached ||
              ottla::error_code(status) == ottla::ErrorCode::invalid_record,
          "an error of another kind:", status.ToString());
}

template <class T>
bool accepted(const std::optional<T>& parsed) {
  return parsed.has_value();
}
template <class T>
bool accepted(const absl::StatusOr<T>& parsed) {
  if (!parsed.ok()) {
    require_typed(parsed.status());
  }
  return parsed.ok();
}

/// What `parse` accepts is the same when it is written and read again, and is written the same
/// again. `parse` may take `memory` bytes for each byte of the input, and 64 KiB.
template <class Text, class Parse, class Format>
bool round_trip(const Text& input, Parse parse, Format format, std::size_t memory = 64) {
  auto first = [&] {
    const MemoryBound bound(input.size() * memory + (std::size_t{64} << 10));
    return parse(input);
  }();
  if (!accepted(first)) {
    return false;
  }
  const auto written = format(*first);
  const auto second = parse(Text(written));
  require(accepted(second), "what was written is not read again");
  require(*second == *first, "what was written reads differently");
  require(format(*second) == written, "it is written differently the second time");
  return true;
}

inline std::string hex8(std::uint32_t value) {
  return absl::StrCat(absl::Hex(value, absl::kZeroPad8));
}
/// The text with the last line that our own small files end in.
inline std::string with_sum(std::string_view text) {
  return absl::StrCat(ottla::av(text), "sum ", hex8(ottla::crc32c(ottla::as_bytes(text))), "\n");
}
/// Each line with its sum, as in ottla_manifest.
inline std::string with_line_sums(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    absl::StrAppend(&out, ottla::av(line), " ", hex8(ottla::crc32c(ottla::as_bytes(line))), "\n");
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return out;
}

}  // namespace fuzz
