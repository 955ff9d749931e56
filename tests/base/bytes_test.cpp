// SPDX-License-Identifier: Apache-2.0
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <ottla/base/bytes.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/golden.hpp"

using namespace ottla;

/// What `write` wrote, in hex.
template <class Write>
static std::string written(Write write) {
  std::vector<std::byte> bytes;
  ByteWriter out(bytes);
  write(out);
  CHECK(out.size() == bytes.size());
  return golden::to_hex(bytes);
}

TEST_CASE("Integers are big-endian at any address") {
  const std::vector<std::byte> bytes = golden::from_hex("00fffe010203040506");
  CHECK(load_big_endian<std::int8_t>(bytes.data() + 1) == -1);
  CHECK(load_big_endian<std::int16_t>(bytes.data() + 1) == -2);
  CHECK(load_big_endian<std::uint32_t>(bytes.data() + 1) == 0xfffe0102U);
  CHECK(load_big_endian<std::int64_t>(bytes.data() + 1) == -0x0001fefdfcfbfafaL);
  CHECK(load_little_endian<std::uint32_t>(bytes.data() + 1) == 0x0201feffU);
  std::byte stored[9] = {};
  store_big_endian(stored + 1, std::int64_t{-2});
  CHECK(golden::to_hex(std::span(stored)) == "00fffffffffffffffe");
  store_big_endian(stored, std::int16_t{0x0102});
  CHECK(golden::to_hex(std::span(stored)) == "0102fffffffffffffe");
}

TEST_CASE("A sum that overflows is nothing") {
  constexpr std::int64_t largest = std::numeric_limits<std::int64_t>::max();
  STATIC_REQUIRE(checked_add<std::int64_t>(largest - 1, 1) == largest);
  STATIC_REQUIRE_FALSE(checked_add<std::int64_t>(largest, 1).has_value());
  STATIC_REQUIRE_FALSE(checked_add<std::int32_t>(INT32_MIN, -1).has_value());
  STATIC_REQUIRE_FALSE(checked_add<std::size_t>(SIZE_MAX, 1).has_value());
}

TEST_CASE("What the writer writes is Kafka's encoding") {
  CHECK(written([](ByteWriter& out) { out.integer(std::int16_t{-2}); }) == "fffe");
  CHECK(written([](ByteWriter& out) { out.integer(std::uint32_t{0x51a32198}); }) == "51a32198");
  CHECK(written([](ByteWriter& out) { out.varint(-300); }) == "d704");
  CHECK(written([](ByteWriter& out) { out.varlong(1'700'000'000'000); }) == "80a0abfef962");
  CHECK(written([](ByteWriter& out) { out.unsigned_varint(300); }) == "ac02");
  CHECK(written([](ByteWriter& out) { out.string("k1"); }) == "00026b31");
  CHECK(written([](ByteWriter& out) { out.string(""); }) == "0000");
  CHECK(written([](ByteWriter& out) { out.nullable_string(std::nullopt); }) == "ffff");
  CHECK(written([](ByteWriter& out) { out.nullable_string("a"); }) == "000161");
  CHECK(written([](ByteWriter& out) { out.compact_string("k1"); }) == "036b31");
  CHECK(written([](ByteWriter& out) { out.compact_string(""); }) == "01");
  CHECK(written([](ByteWriter& out) { out.nullable_compact_string(std::nullopt); }) == "00");
  CHECK(written([](ByteWriter& out) { out.nullable_bytes(std::nullopt); }) == "ffffffff");
  CHECK(written([](ByteWriter& out) { out.nullable_bytes(Bytes()); }) == "00000000");
  CHECK(written([](ByteWriter& out) { out.nullable_bytes(as_bytes("v")); }) == "0000000176");
  CHECK(written([](ByteWriter& out) { out.nullable_compact_bytes(std::nullopt); }) == "00");
  CHECK(written([](ByteWriter& out) { out.nullable_compact_bytes(Bytes()); }) == "01");
  CHECK(written([](ByteWriter& out) { out.array_count(3); }) == "00000003");
  CHECK(written([](ByteWriter& out) { out.compact_array_count(3); }) == "04");
  CHECK(written([](ByteWriter& out) { out.no_tagged_fields(); }) == "00");
}

TEST_CASE("A patched integer replaces the one written there and nothing else") {
  std::vector<std::byte> bytes;
  ByteWriter out(bytes);
  out.integer(std::int32_t{0});
  out.string("ab");
  out.patch(0, std::int32_t{7});
  CHECK(golden::to_hex(bytes) == "0000000700026162");
}

/// One of each kind, with bytes of 0 to 200 in the strings.
static std::vector<std::byte> one_of_each(std::size_t length) {
  const std::string text(length, 'x');
  std::vector<std::byte> bytes;
  ByteWriter out(bytes);
  out.integer(std::int8_t{-1});
  out.integer(std::int64_t{1} << 40);
  out.varint(-5);
  out.varlong(std::int64_t{1} << 50);
  out.unsigned_varint(0xffffffffU);
  out.string(text);
  out.nullable_string(std::nullopt);
  out.nullable_string(text);
  out.compact_string(text);
  out.nullable_compact_string(std::nullopt);
  out.nullable_bytes(as_bytes(text));
  out.nullable_bytes(std::nullopt);
  out.nullable_compact_bytes(as_bytes(text));
  out.array_count(2);
  out.bytes(as_bytes("abcd"));
  out.compact_array_count(1);
  out.bytes(as_bytes("z"));
  out.no_tagged_fields();
  return bytes;
}

/// Reads what `one_of_each` wrote; whether every value was as written and everything was read.
static bool reads_one_of_each(Bytes bytes, std::size_t length) {
  const std::string text(length, 'x');
  ByteReader in(bytes);
  bool same = in.integer<std::int8_t>() == -1;
  same &= in.integer<std::int64_t>() == std::int64_t{1} << 40;
  same &= in.varint() == -5;
  same &= in.varlong() == std::int64_t{1} << 50;
  same &= in.unsigned_varint() == 0xffffffffU;
  same &= in.string() == text;
  same &= in.nullable_string() == std::nullopt;
  same &= in.nullable_string() == text;
  same &= in.compact_string() == text;
  same &= in.nullable_compact_string() == std::nullopt;
  const auto whole = in.nullable_bytes();
  same &= whole.has_value() && as_string_view(*whole) == text;
  same &= !in.nullable_bytes().has_value();
  const auto compact = in.nullable_compact_bytes();
  same &= compact.has_value() && as_string_view(*compact) == text;
  same &= in.array_count(2) == 2;
  same &= as_string_view(in.bytes(4)) == "abcd";
  same &= in.compact_array_count(1) == 1;
  same &= as_string_view(in.bytes(1)) == "z";
  in.skip_tagged_fields();
  return same && in.exhausted();
}

TEST_CASE("What was written is read back") {
  for (const std::size_t length : {0UL, 1UL, 127UL, 128UL, 200UL, 32'767UL}) {
    CAPTURE(length);
    CHECK(reads_one_of_each(one_of_each(length), length));
  }
}

TEST_CASE("A struct that is cut anywhere fails, and one with a byte too many is not exhausted") {
  std::vector<std::byte> bytes = one_of_each(20);
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    CAPTURE(size);
    // A copy of its own, so that a sanitizer sees a read beyond the end.
    const std::vector<std::byte> cut(bytes.begin(), bytes.begin() + static_cast<long>(size));
    CHECK_FALSE(reads_one_of_each(cut, 20));
  }
  bytes.push_back(std::byte{0});
  CHECK_FALSE(reads_one_of_each(bytes, 20));
}

TEST_CASE("After a failed read everything is zero, empty or null") {
  const std::vector<std::byte> bytes = golden::from_hex("0001610002");
  ByteReader in(bytes);
  CHECK(in.string() == "a");
  CHECK(in.string() == "");
  CHECK_FALSE(in.ok());
  CHECK_FALSE(in.exhausted());
  CHECK(in.remaining() == 0);
  CHECK(in.integer<std::int8_t>() == 0);
  CHECK(in.varint() == 0);
  CHECK(in.varlong() == 0);
  CHECK(in.bytes(0).empty());
  CHECK(in.bytes(1).empty());
  CHECK_FALSE(in.nullable_string().has_value());
  CHECK_FALSE(in.nullable_compact_string().has_value());
  CHECK_FALSE(in.nullable_bytes().has_value());
  CHECK_FALSE(in.nullable_compact_bytes().has_value());
  CHECK(in.array_count(1) == 0);
  CHECK(in.compact_array_count(1) == 0);
}

/// Whether `read` leaves a reader of these bytes failed.
template <class Read>
static bool fails(std::string_view hex, Read read) {
  const std::vector<std::byte> bytes = golden::from_hex(hex);
  ByteReader in(bytes);
  read(in);
  return !in.ok();
}

TEST_CASE("Null is refused where it is not allowed, and a length below it everywhere") {
  CHECK(fails("ffff", [](ByteReader& in) { in.string(); }));
  CHECK(fails("00", [](ByteReader& in) { in.compact_string(); }));
  CHECK_FALSE(fails("ffff", [](ByteReader& in) { in.nullable_string(); }));
  CHECK(fails("fffe00", [](ByteReader& in) { in.nullable_string(); }));
  CHECK(fails("8000", [](ByteReader& in) { in.nullable_string(); }));
  CHECK(fails("fffffffe00", [](ByteReader& in) { in.nullable_bytes(); }));
  CHECK(fails("80000000", [](ByteReader& in) { in.nullable_bytes(); }));
  CHECK(fails("7fffffff00", [](ByteReader& in) { in.nullable_bytes(); }));
  CHECK(fails("ffffffff0f00", [](ByteReader& in) { in.nullable_compact_bytes(); }));
}

TEST_CASE("A compact string has at most 32,767 bytes, as any string") {
  std::vector<std::byte> bytes;
  ByteWriter out(bytes);
  out.nullable_compact_bytes(std::vector<std::byte>(32'768));
  ByteReader longer(bytes);
  longer.compact_string();
  CHECK_FALSE(longer.ok());
  ByteReader as_bytes_it_is_fine(bytes);
  CHECK(as_bytes_it_is_fine.nullable_compact_bytes()->size() == 32'768);
}

TEST_CASE("A count is believed only as far as its elements could be there") {
  const auto count = [](std::string_view hex, std::size_t min_size) -> std::optional<std::size_t> {
    const std::vector<std::byte> bytes = golden::from_hex(hex);
    ByteReader in(bytes);
    const std::size_t answer = in.array_count(min_size);
    return in.ok() ? std::optional(answer) : std::nullopt;
  };
  CHECK(count("ffffffff", 4) == 0);
  CHECK(count("00000000", 4) == 0);
  CHECK(count("0000000200000000", 2) == 2);
  CHECK_FALSE(count("0000000200000000", 3));
  CHECK_FALSE(count("0000000500000000", 1));
  CHECK_FALSE(count("0000000500000000", 0));
  CHECK_FALSE(count("7fffffff00000000", 0));
  CHECK_FALSE(count("fffffffe00000000", 1));
  CHECK_FALSE(count("000000", 1));
  CHECK(fails("ffffffff0f00", [](ByteReader& in) { in.compact_array_count(1); }));
  CHECK_FALSE(fails("00", [](ByteReader& in) { in.compact_array_count(1); }));
}

TEST_CASE("Tagged fields are skipped when they ascend and fit") {
  const auto skip = [](ByteReader& in) { in.skip_tagged_fields(); };
  CHECK_FALSE(fails("00", skip));
  CHECK_FALSE(fails("0200010a0500", skip));
  CHECK(fails("0200010a0001ff", skip));
  CHECK(fails("0205000400", skip));
  CHECK(fails("0100027f", skip));
  CHECK(fails("01", skip));
  CHECK(fails("ffffffff0f", skip));
  CHECK(fails("", skip));
}

/// The same numbers in every run.
struct Numbers {
  std::uint32_t state = 7;
  std::uint32_t next() {
    state = state * 1664525 + 1013904223;
    return state >> 16;
  }
};

static std::vector<std::byte> nasty_bytes(Numbers& numbers) {
  std::vector<std::byte> bytes(numbers.next() % 24);
  for (std::byte& byte : bytes) {
    constexpr std::uint32_t nasty[] = {0, 1, 2, 0x7f, 0x80, 0xff};
    const std::uint32_t choice = numbers.next();
    byte = static_cast<std::byte>(choice % 8 < 6 ? nasty[choice % 6] : numbers.next());
  }
  return bytes;
}

/// Reads something, and answers the bytes that it was given, if any.
static Bytes read_something(ByteReader& in, Numbers& numbers) {
  switch (numbers.next() % 11) {
    case 0:
      in.integer<std::int32_t>();
      return {};
    case 1:
      in.varint();
      return {};
    case 2:
      in.varlong();
      return {};
    case 3:
      return as_bytes(in.string());
    case 4:
      return as_bytes(in.nullable_compact_string().value_or(""));
    case 5:
      return in.nullable_bytes().value_or(Bytes());
    case 6:
      return in.nullable_compact_bytes().value_or(Bytes());
    case 7:
      return in.bytes(numbers.next() % 12);
    case 8:
      in.skip_tagged_fields();
      return {};
    case 9:
      in.array_count(3);
      return {};
    default:
      in.compact_array_count(1);
      return {};
  }
}

TEST_CASE("Whatever the bytes, a reader stays inside them and never goes back") {
  Numbers numbers;
  for (int round = 0; round < 20'000; ++round) {
    const std::vector<std::byte> bytes = nasty_bytes(numbers);
    ByteReader in(bytes);
    std::size_t before = in.remaining();
    for (int step = 0; step < 12; ++step) {
      const Bytes taken = read_something(in, numbers);
      const bool inside =
          taken.empty() || (taken.data() >= bytes.data() &&
                            taken.data() + taken.size() <= bytes.data() + bytes.size());
      if (!inside || in.remaining() > before || (!in.ok() && in.remaining() != 0)) {
        FAIL("outside, or went back, in round " << round);
      }
      before = in.remaining();
    }
  }
}
