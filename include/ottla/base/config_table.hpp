// SPDX-License-Identifier: Apache-2.0
//
// One table per config struct, from which everything else is made: setting by Kafka's key,
// checking, describing, docs.
//   template <> inline constexpr auto config_table<ProducerConfig> = std::array{
//       config_key<&ProducerConfig::linger>("linger.ms", at_least(0), "How long a batch waits for
//       more records."), ...};
//   set_config(config, "linger.ms", "5");   check_config(config);   config_value(config,
//   "linger.ms") == "5"
// Durations are milliseconds in text (coarser ones in their own unit), enums are words (see
// ConfigWords). An unknown key is an error with the nearest one; one of Kafka's that is not there
// says so, and what stands in its place.
#pragma once

#include <array>
#include <chrono>
#include <concepts>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <absl/status/statusor.h>
#include <absl/strings/str_cat.h>

#include <ottla/base/status.hpp>

namespace ottla::inline OTTLA_ABI {

/// Inclusive bounds of a number, or of a duration in the unit of its text.
struct ConfigRange {
  std::int64_t least = INT64_MIN;
  std::int64_t most = INT64_MAX;
};
constexpr ConfigRange at_least(std::int64_t least) { return {.least = least}; }
constexpr ConfigRange between(std::int64_t least, std::int64_t most) { return {least, most}; }

/// The words of an enum in config text, specialized beside it:
///   template <> inline constexpr auto config_words<Acks> = std::array{ConfigWord{"all",
///   Acks::all}, ...};
template <class Enum>
struct ConfigWord {
  std::string_view word;
  Enum value;
};
template <class Enum>
inline constexpr std::array<ConfigWord<Enum>, 0> config_words{};

template <class Config>
struct ConfigKey {
  std::string_view name;
  std::string_view type;  ///< as Kafka names it: "long", "boolean", "string"
  ConfigRange range;
  std::string_view meaning;
  absl::Status (*parse)(const ConfigKey& key, std::string_view text, Config& into);
  std::string (*print)(const Config& from);
  absl::Status (*check)(const ConfigKey& key, const Config& config);
};

/// Specialized once per config struct.
template <class Config>
inline constexpr std::array<ConfigKey<Config>, 0> config_table{};

/// A key that Kafka has and we have not.
struct AbsentKey {
  std::string_view name;          ///< "ssl.": every key that begins so
  std::string_view instead = {};  ///< what to do here; may be empty
};
/// Specialized where a config struct has a table, from Kafka's own definitions.
template <class Config>
inline constexpr std::span<const AbsentKey> absent_keys{};

/// INVALID_CONFIG: "value 'x' of linger.ms: not a number; ...".
absl::Status bad_config_value(std::string_view key, std::string_view value, std::string_view why);
/// INVALID_CONFIG: "unknown config 'lingr.ms'; did you mean 'linger.ms'?".
absl::Status unknown_config(std::string_view key, const std::vector<std::string_view>& known);
/// INVALID_CONFIG, unsupported: "broker.id is Kafka's, and is not there; use node.id".
absl::Status absent_config(std::string_view key, std::string_view instead);
absl::StatusOr<std::int64_t> parse_config_number(std::string_view key, std::string_view text,
                                                 ConfigRange range);
absl::StatusOr<double> parse_config_double(std::string_view key, std::string_view text);
absl::StatusOr<bool> parse_config_boolean(std::string_view key, std::string_view text);
std::string print_config_double(double value);

/// `key=value` lines of a property file: `#` and `!` comments, `=`, `:` or blanks between, `\`
/// escapes and continuations, as Java reads them.
absl::StatusOr<std::vector<std::pair<std::string, std::string>>> parse_properties(
    std::string_view text);

namespace base_impl {

template <class T>
struct MemberOf;
template <class Config, class Value>
struct MemberOf<Value Config::*> {
  using Class = Config;
  using Type = Value;
};

template <class T>
inline constexpr bool is_duration = false;
template <class Rep, class Period>
inline constexpr bool is_duration<std::chrono::duration<Rep, Period>> = true;
/// The unit of a duration's text: milliseconds, or its own where that is coarser ("...minutes").
template <class Duration>
using ConfigUnit = std::conditional_t<std::ratio_greater_v<typename Duration::period, std::milli>,
                                      Duration, std::chrono::milliseconds>;

template <class T>
inline constexpr bool is_optional = false;
template <class T>
inline constexpr bool is_optional<std::optional<T>> = true;

template <class Value>
constexpr std::string_view config_type() {
  if constexpr (is_optional<Value>) {
    return config_type<typename Value::value_type>();
  } else if constexpr (std::same_as<Value, bool>) {
    return "boolean";
  } else if constexpr (std::floating_point<Value>) {
    return "double";
  } else if constexpr (is_duration<Value> || (std::integral<Value> && sizeof(Value) == 8)) {
    return "long";
  } else if constexpr (std::integral<Value>) {
    return sizeof(Value) == 2 ? "short" : "int";
  } else {
    return "string";
  }
}

template <class Value>
absl::StatusOr<Value> parse_config(std::string_view key, std::string_view text, ConfigRange range) {
  if constexpr (is_optional<Value>) {
    auto given = parse_config<typename Value::value_type>(key, text, range);
    if (!given.ok()) {
      return std::move(given).status();
    }
    constexpr typename Value::value_type none(-1);
    return *given == none ? Value() : Value(*given);
  } else if constexpr (std::same_as<Value, bool>) {
    return parse_config_boolean(key, text);
  } else if constexpr (std::floating_point<Value>) {
    return parse_config_double(key, text);
  } else if constexpr (is_duration<Value> || std::integral<Value>) {
    auto number = parse_config_number(key, text, range);
    if (!number.ok()) {
      return std::move(number).status();
    }
    if constexpr (is_duration<Value>) {
      using Unit = ConfigUnit<Value>;
      constexpr auto most = std::chrono::duration_cast<Unit>(Value::max());
      return *number >= most.count() ? Value::max() : Value(Unit(*number));
    } else {
      if (!std::in_range<Value>(*number)) {
        return bad_config_value(key, text, "too large");
      }
      return static_cast<Value>(*number);
    }
  } else if constexpr (std::is_enum_v<Value>) {
    std::string known;
    for (const auto& word : config_words<Value>) {
      if (word.word == text) {
        return word.value;
      }
      const std::string quoted = absl::StrCat(known.empty() ? "'" : ", '", av(word.word), "'");
      known += known.find(quoted) == std::string::npos ? quoted : std::string();
    }
    return bad_config_value(key, text, absl::StrCat("use one of ", known));
  } else {
    return Value(text);
  }
}

template <class Value>
std::string print_config(const Value& value) {
  if constexpr (is_optional<Value>) {
    return value ? print_config(*value) : "-1";
  } else if constexpr (std::same_as<Value, bool>) {
    return value ? "true" : "false";
  } else if constexpr (std::floating_point<Value>) {
    return print_config_double(value);
  } else if constexpr (is_duration<Value>) {
    return value == Value::max()
               ? std::to_string(INT64_MAX)
               : std::to_string(std::chrono::duration_cast<ConfigUnit<Value>>(value).count());
  } else if constexpr (std::integral<Value>) {
    return std::to_string(value);
  } else if constexpr (std::is_enum_v<Value>) {
    for (const auto& word : config_words<Value>) {
      if (word.value == value) {
        return std::string(word.word);
      }
    }
    return {};
  } else {
    return std::string(value);
  }
}

}  // namespace base_impl

namespace base_impl {

/// `config.*first.*...last`.
template <auto first, auto... rest>
constexpr auto& member_in(auto& config) {
  if constexpr (sizeof...(rest) == 0) {
    return config.*first;
  } else {
    return member_in<rest...>(config.*first);
  }
}

}  // namespace base_impl

/// A row: a member, or a member of a member, under Kafka's `name`.
template <auto first, auto... rest>
constexpr auto config_key(std::string_view name, ConfigRange range, std::string_view meaning) {
  using Config = typename base_impl::MemberOf<decltype(first)>::Class;
  using Value =
      std::remove_cvref_t<decltype(base_impl::member_in<first, rest...>(std::declval<Config&>()))>;
  using Key = ConfigKey<Config>;
  return Key{
      .name = name,
      .type = base_impl::config_type<Value>(),
      .range = range,
      .meaning = meaning,
      .parse = [](const Key& key, std::string_view text, Config& into) -> absl::Status {
        auto value = base_impl::parse_config<Value>(key.name, text, key.range);
        if (!value.ok()) {
          return std::move(value).status();
        }
        base_impl::member_in<first, rest...>(into) = *std::move(value);
        return absl::OkStatus();
      },
      .print =
          [](const Config& from) {
            return base_impl::print_config<Value>(base_impl::member_in<first, rest...>(from));
          },
      .check = [](const Key& key, const Config& config) -> absl::Status {
        const Value& value = base_impl::member_in<first, rest...>(config);
        if constexpr (base_impl::is_optional<Value>) {
          if (value && *value < typename Value::value_type(0)) {
            return bad_config_value(key.name, base_impl::print_config<Value>(value),
                                    "no limit is std::nullopt (-1 in text)");
          }
        }
        return base_impl::parse_config<Value>(key.name, base_impl::print_config<Value>(value),
                                              key.range)
            .status();
      }};
}

/// Sets one key. The config is unchanged when it fails.
template <class Config>
absl::Status set_config(Config& config, std::string_view name, std::string_view value) {
  std::vector<std::string_view> known;
  for (const ConfigKey<Config>& key : config_table<Config>) {
    if (key.name == name) {
      return key.parse(key, value, config);
    }
    known.push_back(key.name);
  }
  for (const AbsentKey& absent : absent_keys<Config>) {
    if (absent.name.ends_with('.') ? name.starts_with(absent.name) : name == absent.name) {
      return absent_config(name, absent.instead);
    }
  }
  return unknown_config(name, known);
}

/// Ok when every value is in its range.
template <class Config>
absl::Status check_config(const Config& config) {
  for (const ConfigKey<Config>& key : config_table<Config>) {
    OTTLA_TRY(key.check(key, config));
  }
  return absl::OkStatus();
}

/// The value under Kafka's key as text; empty for an unknown key.
template <class Config>
std::string config_value(const Config& config, std::string_view name) {
  for (const ConfigKey<Config>& key : config_table<Config>) {
    if (key.name == name) {
      return key.print(config);
    }
  }
  return {};
}

}  // namespace ottla::inline OTTLA_ABI

#ifndef OTTLA_COMPILED
#include <ottla/base/impl/config_table.ipp>
#endif
