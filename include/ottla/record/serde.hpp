// SPDX-License-Identifier: Apache-2.0
//
// How a type becomes bytes and comes back: specialize `Serde<T>`. The ones here write what Kafka's
// own serializers write.
//   template <> struct ottla::Serde<Order> {
//     using input = const Order&;
//     static ottla::Bytes serialize(input order, std::vector<std::byte>& scratch);
//     static absl::StatusOr<Order> deserialize(ottla::Bytes bytes);
//   };
#pragma once

#include <array>
#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include <absl/status/statusor.h>

#include <ottla/base/bytes.hpp>
#include <ottla/base/status.hpp>
#include <ottla/base/uuid.hpp>

namespace ottla::inline OTTLA_ABI {

/// A specialization has
/// - `input`: what is cheap to pass for a T (`std::string_view` for strings, `const T&` for most);
/// - `serialize(input, scratch)`: the bytes of the value, which lie in the value itself or in
/// `scratch`, whose content is
///   nobody's before the call; `std::nullopt` for null; a Status where it can fail;
/// - `deserialize(bytes)`: bytes that are not null. T may be a view into them (`std::string_view`,
/// `Bytes`): it then lives
///   as long as they do;
/// - and, where null is a value of T, `deserialize_null()`.
template <class T>
struct Serde;

template <class T>
concept HasSerde = requires(typename Serde<T>::input value, std::vector<std::byte>& scratch,
                            Bytes bytes) {
  {
    Serde<T>::serialize(value, scratch)
    } -> std::convertible_to<absl::StatusOr<std::optional<Bytes>>>;
  { Serde<T>::deserialize(bytes) } -> std::same_as<absl::StatusOr<T>>;
};

template <class T>
concept NullableSerde = HasSerde<T> && requires {
  { Serde<T>::deserialize_null() } -> std::same_as<T>;
};

/// The error of a deserializer. `type`: what was expected; `what`: what is wrong with the bytes.
absl::Status bad_bytes(std::string_view type, std::string_view what);

/// `bytes` as a T; null is an error unless T knows null.
template <HasSerde T>
absl::StatusOr<T> deserialize(std::optional<Bytes> bytes) {
  if (bytes.has_value()) {
    return Serde<T>::deserialize(*bytes);
  }
  if constexpr (NullableSerde<T>) {
    return Serde<T>::deserialize_null();
  } else {
    return bad_bytes("a value", "they are null");
  }
}

// ── text and bytes: as they are; encodings are not checked ──────────────────────────────────────

template <>
struct Serde<std::string_view> {
  using input = std::string_view;
  static Bytes serialize(input text, std::vector<std::byte>&) { return as_bytes(text); }
  static absl::StatusOr<std::string_view> deserialize(Bytes bytes) { return as_string_view(bytes); }
};

template <>
struct Serde<std::string> {
  using input = std::string_view;
  static Bytes serialize(input text, std::vector<std::byte>&) { return as_bytes(text); }
  static absl::StatusOr<std::string> deserialize(Bytes bytes) {
    return std::string(as_string_view(bytes));
  }
};

template <>
struct Serde<Bytes> {
  using input = Bytes;
  static Bytes serialize(input bytes, std::vector<std::byte>&) { return bytes; }
  static absl::StatusOr<Bytes> deserialize(Bytes bytes) { return bytes; }
};

template <>
struct Serde<std::vector<std::byte>> {
  using input = Bytes;
  static Bytes serialize(input bytes, std::vector<std::byte>&) { return bytes; }
  static absl::StatusOr<std::vector<std::byte>> deserialize(Bytes bytes) {
    return std::vector<std::byte>(bytes.begin(), bytes.end());
  }
};

// ── numbers: big-endian, of exactly their width ─────────────────────────────────────────────────

/// What the number types have in common. `T` has the size of `Raw`.
template <class T, std::integral Raw>
struct FixedSerde {
  using input = T;
  static Bytes serialize(input value, std::vector<std::byte>& scratch) {
    scratch.resize(sizeof(Raw));
    store_big_endian(scratch.data(), std::bit_cast<Raw>(value));
    return scratch;
  }
  static absl::StatusOr<T> deserialize(Bytes bytes) {
    if (bytes.size() != sizeof(Raw)) {
      return bad_size(sizeof(Raw), bytes.size());
    }
    return std::bit_cast<T>(load_big_endian<Raw>(bytes.data()));
  }

 private:
  static absl::Status bad_size(std::size_t wanted, std::size_t found) {
    return bad_bytes("a number of " + std::to_string(wanted) + " bytes",
                     "there are " + std::to_string(found));
  }
};

template <>
struct Serde<std::int16_t> : FixedSerde<std::int16_t, std::int16_t> {};
template <>
struct Serde<std::int32_t> : FixedSerde<std::int32_t, std::int32_t> {};
template <>
struct Serde<std::int64_t> : FixedSerde<std::int64_t, std::int64_t> {};
template <>
struct Serde<float> : FixedSerde<float, std::int32_t> {};
template <>
struct Serde<double> : FixedSerde<double, std::int64_t> {};

/// One byte, 0 or 1.
template <>
struct Serde<bool> {
  using input = bool;
  static Bytes serialize(input value, std::vector<std::byte>& scratch);
  static absl::StatusOr<bool> deserialize(Bytes bytes);
};

/// As Kafka writes Java's UUIDs: 36 characters of text, "00112233-4455-6677-8899-aabbccddeeff".
template <>
struct Serde<Uuid> {
  using input = const Uuid&;
  static Bytes serialize(input id, std::vector<std::byte>& scratch);
  static absl::StatusOr<Uuid> deserialize(Bytes bytes);
};

// ── null ────────────────────────────────────────────────────────────────────────────────────────

/// Always null: for records without key or without value.
template <>
struct Serde<std::monostate> {
  using input = std::monostate;
  static std::optional<Bytes> serialize(input, std::vector<std::byte>&) { return std::nullopt; }
  static absl::StatusOr<std::monostate> deserialize(Bytes bytes);
  static std::monostate deserialize_null() { return {}; }
};

/// Null, or a T.
template <class T>
requires HasSerde<T> &&(!NullableSerde<T>)struct Serde<std::optional<T>> {
  using input =
      std::optional<std::conditional_t<std::is_lvalue_reference_v<typename Serde<T>::input>, T,
                                       typename Serde<T>::input>>;
  static absl::StatusOr<std::optional<Bytes>> serialize(const input& value,
                                                        std::vector<std::byte>& scratch) {
    if (!value.has_value()) {
      return std::optional<Bytes>();
    }
    return absl::StatusOr<std::optional<Bytes>>(Serde<T>::serialize(*value, scratch));
  }
  static absl::StatusOr<std::optional<T>> deserialize(Bytes bytes) {
    absl::StatusOr<T> value = Serde<T>::deserialize(bytes);
    if (!value.ok()) {
      return std::move(value).status();
    }
    return std::optional<T>(*std::move(value));
  }
  static std::optional<T> deserialize_null() { return std::nullopt; }
};

}  // namespace ottla::inline OTTLA_ABI

#ifndef OTTLA_COMPILED
#include <ottla/record/impl/serde.ipp>
#endif
