// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include <ottla/base/varint.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/golden.hpp"

using namespace ottla;

template <class Int>
std::string written(std::size_t (*write)(std::byte*, Int), Int value) {
  std::array<std::byte, max_varlong_size> bytes{};
  const std::size_t size = write(bytes.data(), value);
  return golden::to_hex(std::span(bytes).first(size));
}

/// The value and how many bytes it took; nothing when it is refused.
template <class Int>
std::optional<std::pair<Int, std::size_t>> read(const std::byte* (*reader)(const std::byte*,
                                                                           const std::byte*, Int&),
                                                std::string_view hex) {
  const std::vector<std::byte> bytes = golden::from_hex(hex);
  Int value = 0;
  const std::byte* end = reader(bytes.data(), bytes.data() + bytes.size(), value);
  if (end == nullptr) {
    return std::nullopt;
  }
  return std::pair(value, static_cast<std::size_t>(end - bytes.data()));
}

constexpr std::int32_t min32 = std::numeric_limits<std::int32_t>::min();
constexpr std::int32_t max32 = std::numeric_limits<std::int32_t>::max();
constexpr std::int64_t min64 = std::numeric_limits<std::int64_t>::min();
constexpr std::int64_t max64 = std::numeric_limits<std::int64_t>::max();

TEST_CASE("Varints are written and read as Kafka's") {
  const std::vector<std::pair<std::int32_t, std::string>> vectors = {{0, "00"},
                                                                     {-1, "01"},
                                                                     {1, "02"},
                                                                     {63, "7e"},
                                                                     {-64, "7f"},
                                                                     {64, "8001"},
                                                                     {300, "d804"},
                                                                     {-300, "d704"},
                                                                     {max32, "feffffff0f"},
                                                                     {min32, "ffffffff0f"}};
  for (const auto& [value, hex] : vectors) {
    CAPTURE(value);
    CHECK(written<std::int32_t>(&write_varint, value) == hex);
    CHECK(read<std::int32_t>(&read_varint, hex) == std::pair(value, hex.size() / 2));
    CHECK(varint_size(value) == hex.size() / 2);
  }
}

TEST_CASE("Varlongs are written and read as Kafka's") {
  const std::vector<std::pair<std::int64_t, std::string>> vectors = {
      {1'700'000'000'000, "80a0abfef962"},
      {-86'400'000, "ffefb252"},
      {max64, "feffffffffffffffff01"},
      {min64, "ffffffffffffffffff01"}};
  for (const auto& [value, hex] : vectors) {
    CAPTURE(value);
    CHECK(written<std::int64_t>(&write_varlong, value) == hex);
    CHECK(read<std::int64_t>(&read_varlong, hex) == std::pair(value, hex.size() / 2));
    CHECK(varlong_size(value) == hex.size() / 2);
  }
}

TEST_CASE("Zigzag keeps small numbers small, and the extremes") {
  STATIC_REQUIRE(zigzag(std::int32_t{0}) == 0);
  STATIC_REQUIRE(zigzag(std::int32_t{-1}) == 1);
  STATIC_REQUIRE(zigzag(std::int32_t{1}) == 2);
  STATIC_REQUIRE(zigzag(max32) == 0xfffffffeU);
  STATIC_REQUIRE(zigzag(min32) == 0xffffffffU);
  STATIC_REQUIRE(zigzag(max64) == 0xfffffffffffffffeU);
  STATIC_REQUIRE(zigzag(min64) == 0xffffffffffffffffU);
  for (const std::int32_t n : {0, 1, -1, 2, -2, 1 << 30, max32, max32 - 1, min32, min32 + 1}) {
    CHECK(unzigzag(zigzag(n)) == n);
  }
  for (const std::int64_t n : {max64, max64 - 1, min64, min64 + 1, std::int64_t{1} << 62}) {
    CHECK(unzigzag(zigzag(n)) == n);
  }
}

TEST_CASE("At each number of bits a varint has the size that was announced, and comes back") {
  for (unsigned bits = 0; bits <= 64; ++bits) {
    for (const std::uint64_t n : {bits == 0 ? 0 : ~std::uint64_t{0} >> (64 - bits),
                                  bits == 0 ? 0 : std::uint64_t{1} << (bits - 1)}) {
      CAPTURE(bits, n);
      const std::int64_t wide = unzigzag(n);
      const std::string hex = written<std::int64_t>(&write_varlong, wide);
      CHECK(hex.size() / 2 == varlong_size(wide));
      CHECK(hex.size() / 2 == unsigned_varlong_size(n));
      CHECK(read<std::int64_t>(&read_varlong, hex) == std::pair(wide, hex.size() / 2));
      if (bits <= 32) {
        const auto narrow = static_cast<std::uint32_t>(n);
        CHECK(written<std::uint32_t>(&write_unsigned_varint, narrow) == hex);
        CHECK(hex.size() / 2 == unsigned_varint_size(narrow));
        CHECK(read<std::uint32_t>(&read_unsigned_varint, hex) == std::pair(narrow, hex.size() / 2));
      }
    }
  }
}

TEST_CASE("A varint that ends too early, goes on too long or has too many bits is refused") {
  CHECK_FALSE(read<std::int32_t>(&read_varint, ""));
  CHECK_FALSE(read<std::int32_t>(&read_varint, "80"));
  CHECK_FALSE(read<std::int32_t>(&read_varint, "ffffffff"));
  CHECK_FALSE(read<std::int32_t>(&read_varint, "ffffffff8f"));
  CHECK_FALSE(read<std::int32_t>(&read_varint, "808080808000"));
  CHECK_FALSE(read<std::int32_t>(&read_varint, "ffffffff10"));
  CHECK_FALSE(read<std::uint32_t>(&read_unsigned_varint, "ffffffff7f"));
  CHECK_FALSE(read<std::int64_t>(&read_varlong, "ffffffffffffffffff"));
  CHECK_FALSE(read<std::int64_t>(&read_varlong, "ffffffffffffffffff02"));
  CHECK_FALSE(read<std::int64_t>(&read_varlong, "ffffffffffffffffff81"));
  CHECK_FALSE(read<std::int64_t>(&read_varlong, "8080808080808080808000"));
}

TEST_CASE("A varint may be longer than it needs to be, and what follows it is left alone") {
  CHECK(read<std::int32_t>(&read_varint, "8000") == std::pair(0, std::size_t{2}));
  CHECK(read<std::int32_t>(&read_varint, "8280808000") == std::pair(1, std::size_t{5}));
  CHECK(read<std::int32_t>(&read_varint, "02ffff") == std::pair(1, std::size_t{1}));
  CHECK(read<std::int64_t>(&read_varlong, "80808080808080808000") ==
        std::pair(std::int64_t{0}, std::size_t{10}));
}
