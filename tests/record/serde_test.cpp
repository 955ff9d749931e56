// SPDX-License-Identifier: Apache-2.0
#include <limits>

#include <ottla/record/serde.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/golden.hpp"

namespace {

/// A type of a user's own.
struct Order {
  std::int32_t number = 0;
  std::string item;

  bool operator==(const Order&) const = default;
};

}  // namespace

template <>
struct ottla::Serde<Order> {
  using input = const Order&;
  static absl::StatusOr<Bytes> serialize(input order, std::vector<std::byte>& scratch) {
    if (order.number < 0) return error(Fault::invalid_argument, "orders are not negative");
    scratch.clear();
    ByteWriter writer(scratch);
    writer.integer(order.number);
    writer.string(order.item);
    return Bytes(scratch);
  }
  static absl::StatusOr<Order> deserialize(Bytes bytes) {
    ByteReader reader(bytes);
    Order order;
    order.number = reader.integer<std::int32_t>();
    order.item = reader.string();
    if (!reader.exhausted()) return bad_bytes("an order", "wrong size");
    return order;
  }
};

using namespace ottla;
using golden::from_hex;

namespace {

template <class T>
std::optional<std::string> serialized(const std::type_identity_t<T>& value) {
  std::vector<std::byte> scratch = from_hex("eeeeeeeeeeeeeeeeeeeeee");
  const absl::StatusOr<std::optional<Bytes>> bytes = Serde<T>::serialize(value, scratch);
  REQUIRE(bytes.ok());
  if (!bytes->has_value()) return std::nullopt;
  return golden::to_hex(**bytes);
}

template <class T>
void check(const std::type_identity_t<T>& value, const std::string& hex) {
  static_assert(HasSerde<T>);
  CHECK(serialized<T>(value) == hex);
  const auto bytes = from_hex(hex);
  const absl::StatusOr<T> back = deserialize<T>(Bytes(bytes));
  REQUIRE(back.ok());
  if constexpr (std::equality_comparable<T>) CHECK(*back == value);
}

template <class T>
bool refuses(const std::string& hex) {
  const auto bytes = from_hex(hex);
  const absl::StatusOr<T> value = deserialize<T>(Bytes(bytes));
  return !value.ok() && fault(value.status()) == Fault::invalid_argument;
}

}  // namespace

TEST_CASE("numbers are written big-endian, as Kafka's serializers write them") {
  check<std::int16_t>(-2, "fffe");
  check<std::int32_t>(0x01020304, "01020304");
  check<std::int64_t>(-2, "fffffffffffffffe");
  check<std::int64_t>(std::numeric_limits<std::int64_t>::max(), "7fffffffffffffff");
  check<float>(1.5F, "3fc00000");
  check<double>(-2.25, "c002000000000000");
  check<bool>(true, "01");
  check<bool>(false, "00");
}

TEST_CASE("numbers of another size are refused, and the error says the sizes") {
  CHECK(refuses<std::int16_t>("00"));
  CHECK(refuses<std::int32_t>("0000000000"));
  CHECK(refuses<std::int32_t>("000000"));
  CHECK(refuses<std::int64_t>(""));
  CHECK(refuses<float>("0000000000000000"));
  CHECK(refuses<double>("00000000"));
  CHECK(refuses<bool>("0001"));
  CHECK(refuses<bool>("02"));
  const auto status = deserialize<std::int32_t>(as_bytes("12345")).status();
  CHECK(sv(status.message()).find("4 bytes") != std::string_view::npos);
  CHECK(sv(status.message()).find("5") != std::string_view::npos);
}

TEST_CASE("a floating-point number keeps every bit, NaN too") {
  const auto bytes = from_hex("7ff8000000000123");
  const auto value = deserialize<double>(Bytes(bytes));
  REQUIRE(value.ok());
  CHECK(serialized<double>(*value) == "7ff8000000000123");
}

TEST_CASE("text and bytes pass as they are, and views copy nothing") {
  check<std::string>("k\xc3\xa4se", "6bc3a47365");
  check<std::string>("", "");
  check<std::string_view>("abc", "616263");
  check<std::vector<std::byte>>(from_hex("00ff"), "00ff");
  const std::string text = "text";
  std::vector<std::byte> scratch;
  CHECK(Serde<std::string>::serialize(text, scratch).data() == as_bytes(text).data());
  CHECK(Serde<Bytes>::serialize(as_bytes(text), scratch).data() == as_bytes(text).data());
  CHECK(deserialize<std::string_view>(as_bytes(text))->data() == text.data());
  CHECK(deserialize<Bytes>(as_bytes(text))->data() == as_bytes(text).data());
}

TEST_CASE("a UUID is 36 characters of text, as Kafka's serializer writes it") {
  Uuid id;
  for (std::size_t i = 0; i < 16; ++i) id.bytes[i] = static_cast<std::byte>(i * 17);
  CHECK(serialized<Uuid>(id) == golden::to_hex(as_bytes("00112233-4455-6677-8899-aabbccddeeff")));
  CHECK(*deserialize<Uuid>(as_bytes("00112233-4455-6677-8899-aabbccddeeff")) == id);
  CHECK(*deserialize<Uuid>(as_bytes("00112233-4455-6677-8899-AABBCCDDEEFF")) == id);
  CHECK(!deserialize<Uuid>(as_bytes("00112233-4455-6677-8899-aabbccddeef")).ok());
  CHECK(!deserialize<Uuid>(as_bytes("00112233-4455-6677-8899-aabbccddeefg")).ok());
  CHECK(!deserialize<Uuid>(as_bytes("001122334-455-6677-8899-aabbccddeeff")).ok());
}

TEST_CASE("null is a value only where the type has one") {
  CHECK(fault(deserialize<std::string>(std::nullopt).status()) == Fault::invalid_argument);
  CHECK(*deserialize<std::optional<std::string>>(std::nullopt) == std::nullopt);
  CHECK(*deserialize<std::optional<std::string>>(as_bytes("")) == "");
  CHECK(*deserialize<std::optional<std::int32_t>>(from_hex("00000007")) == 7);
  CHECK(!deserialize<std::optional<std::int32_t>>(from_hex("07")).ok());
  CHECK(serialized<std::optional<std::int32_t>>(7) == "00000007");
  CHECK(serialized<std::optional<std::int32_t>>(std::nullopt) == std::nullopt);
  std::vector<std::byte> scratch;
  CHECK(!Serde<std::monostate>::serialize({}, scratch).has_value());
  CHECK(deserialize<std::monostate>(std::nullopt).ok());
  CHECK(!deserialize<std::monostate>(as_bytes("")).ok());
}

TEST_CASE("a user's own type is serialized through its specialization, and may fail") {
  check<Order>({7, "lamp"}, "0000000700046c616d70");
  CHECK(refuses<Order>("00000007"));
  std::vector<std::byte> scratch;
  CHECK(!Serde<Order>::serialize({-1, ""}, scratch).ok());
  static_assert(!HasSerde<std::vector<int>>);
}
