// SPDX-License-Identifier: Apache-2.0
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <ottla/base/crc32c.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/golden.hpp"

using namespace ottla;

/// The definition, bit by bit.
static std::uint32_t by_definition(Bytes bytes, std::uint32_t before = 0) {
  std::uint32_t crc = ~before;
  for (const std::byte byte : bytes) {
    crc ^= static_cast<std::uint32_t>(byte);
    for (int bit = 0; bit < 8; ++bit) {
      crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82F63B78U : 0U);
    }
  }
  return ~crc;
}

static std::vector<std::byte> noise(std::size_t size) {
  std::vector<std::byte> bytes(size);
  std::uint32_t state = 1;
  for (std::byte& byte : bytes) {
    state = state * 1664525 + 1013904223;
    byte = static_cast<std::byte>(state >> 24);
  }
  return bytes;
}

TEST_CASE("CRC-32C has its known values") {
  CHECK(crc32c(as_bytes("123456789")) == 0xE3069283U);
  CHECK(crc32c(Bytes()) == 0U);
  CHECK(crc32c(std::vector<std::byte>(32)) == 0x8A9136AAU);
  CHECK(crc32c(std::vector<std::byte>(32, std::byte{0xff})) == 0x62A8AB43U);
}

TEST_CASE("CRC-32C of a record batch, from its attributes on, is what Kafka stores in it") {
  const std::vector<std::byte> batch = golden::from_hex(
      "00000000000000000000004e000000000251a321980000000000010000018bcfe568000000018bcfe56819ffff"
      "ffffffffffffffffffffffff0000000226000000046b31047631040468310261046832011000320201010200"
      "00");
  REQUIRE(batch.size() == 90);
  CHECK(crc32c(Bytes(batch).subspan(21)) == 0x51a32198U);
}

TEST_CASE("Each kernel of this CPU agrees with the portable one at every length and alignment") {
  REQUIRE(crc32c_kernels().front().name == "portable");
  const std::vector<std::byte> bytes = noise(1100 + 64);
  for (const Crc32cKernel& kernel : crc32c_kernels()) {
    CAPTURE(std::string(kernel.name));
    std::size_t different = 0;
    for (std::size_t start = 0; start < 64; ++start) {
      for (std::size_t size = 0; size <= 1100; ++size) {
        const Bytes part = Bytes(bytes).subspan(start, size);
        different += kernel.crc32c(part, 0x12345678) != crc32c_portable(part, 0x12345678);
      }
    }
    CHECK(different == 0);
  }
}

TEST_CASE("The portable kernel, and the one that is chosen, follow the definition") {
  const std::vector<std::byte> bytes = noise(1100);
  for (std::size_t size = 0; size <= bytes.size(); ++size) {
    const Bytes part = Bytes(bytes).first(size);
    const std::uint32_t expected = by_definition(part, 99);
    if (crc32c_portable(part, 99) != expected || crc32c(part, 99) != expected) {
      FAIL("different at " << size << " bytes");
    }
  }
}

TEST_CASE("Each kernel agrees on large pieces") {
  const std::vector<std::byte> bytes = noise((1 << 20) + 77);
  for (const std::size_t size : {3071UL, 3072UL, 3096UL, 6143UL, 65'536UL, bytes.size()}) {
    const Bytes part = Bytes(bytes).last(size);
    const std::uint32_t expected = by_definition(part);
    for (const Crc32cKernel& kernel : crc32c_kernels()) {
      CAPTURE(std::string(kernel.name), size);
      CHECK(kernel.crc32c(part, 0) == expected);
    }
    CHECK(crc32c(part) == expected);
  }
}

TEST_CASE("The checksum of two parts, one after the other, is that of the whole") {
  const std::vector<std::byte> bytes = noise(700);
  const std::uint32_t whole = crc32c(bytes);
  for (std::size_t cut = 0; cut <= bytes.size(); ++cut) {
    const std::uint32_t front = crc32c(Bytes(bytes).first(cut));
    if (crc32c(Bytes(bytes).subspan(cut), front) != whole) {
      FAIL("different when cut at " << cut);
    }
  }
}

TEST_CASE("Every single flipped bit changes the checksum") {
  std::vector<std::byte> bytes = noise(300);
  const std::uint32_t before = crc32c(bytes);
  std::size_t unnoticed = 0;
  for (std::byte& byte : bytes) {
    for (int bit = 0; bit < 8; ++bit) {
      byte ^= static_cast<std::byte>(1 << bit);
      unnoticed += crc32c(bytes) == before;
      byte ^= static_cast<std::byte>(1 << bit);
    }
  }
  CHECK(unnoticed == 0);
}
