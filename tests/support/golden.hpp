// SPDX-License-Identifier: Apache-2.0
//
// Golden data: log directories written by Apache Kafka and vectors computed by its classes. The
// environment variable OTTLA_GOLDEN_DIR names the full set; without it tests use the small copy in
// tests/golden. JSON integers are exact 64-bit ones: read them with get<std::int64_t>().
#pragma once

#include <cstddef>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

namespace golden {

inline bool is_full() { return std::getenv("OTTLA_GOLDEN_DIR") != nullptr; }

/// The root of the golden data. A root that was asked for and is not there is an error, never a
/// skipped test.
inline std::filesystem::path dir() {
  const char* full = std::getenv("OTTLA_GOLDEN_DIR");
  const std::filesystem::path root = full ? full : OTTLA_TESTS_DIR "/golden";
  if (!std::filesystem::is_directory(root)) {
    throw std::runtime_error("no golden data in " + root.string());
  }
  return root;
}

/// For a test that only the full data can feed: `if (golden::skip_without_full_data()) return;`.
/// CTest then shows the test as skipped, and the reason in its output.
inline bool skip_without_full_data() {
  if (!is_full()) std::cout << "SKIPPED: set OTTLA_GOLDEN_DIR to the full golden data\n";
  return !is_full();
}

inline std::string read_text(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  if (!in) throw std::runtime_error("cannot read " + file.string());
  return std::string(std::istreambuf_iterator<char>(in), {});
}

inline std::vector<std::byte> read_bytes(const std::filesystem::path& file) {
  const std::string text = read_text(file);
  const auto* begin = reinterpret_cast<const std::byte*>(text.data());
  return std::vector<std::byte>(begin, begin + text.size());
}

inline nlohmann::json read_json(const std::filesystem::path& file) {
  return nlohmann::json::parse(read_text(file));
}

inline std::vector<std::byte> from_hex(std::string_view hex) {
  const auto digit = [](char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    throw std::runtime_error("not a lower-case hex digit");
  };
  if (hex.size() % 2 != 0) throw std::runtime_error("an odd number of hex digits");
  std::vector<std::byte> bytes;
  bytes.reserve(hex.size() / 2);
  for (std::size_t i = 0; i < hex.size(); i += 2) {
    bytes.push_back(static_cast<std::byte>(digit(hex[i]) * 16 + digit(hex[i + 1])));
  }
  return bytes;
}

template <class Bytes>
std::string to_hex(const Bytes& bytes) {
  std::string hex;
  for (const std::byte b : bytes) {
    hex += "0123456789abcdef"[std::to_integer<unsigned>(b) >> 4];
    hex += "0123456789abcdef"[std::to_integer<unsigned>(b) & 15];
  }
  return hex;
}

}  // namespace golden
