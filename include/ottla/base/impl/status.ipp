// SPDX-License-Identifier: Apache-2.0
//
// The payload of our errors: code (2 bytes, big-endian), fault, outcome.
#pragma once

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <string>
#include <string_view>

#include <absl/strings/cord.h>
#include <absl/strings/str_cat.h>

#include <ottla/base/status.hpp>

namespace ottla::inline OTTLA_ABI {
namespace base_impl {

inline constexpr char payload_url[] = "ottla/error";

inline constexpr std::string_view fault_names[] = {
    "none",
    "closed",
    "locked",
    "forked",
    "moved_from",
    "wrong_thread",
    "would_deadlock",
    "woken",
    "timed_out",
    "no_space",
    "no_memory",
    "no_descriptors",
    "read_only",
    "io",
    "corrupt",
    "limit_reached",
    "invalid_argument",
    "not_found",
    "already_exists",
    "unsupported",
    "internal",
};
static_assert(static_cast<std::size_t>(Fault::internal) + 1 == std::size(fault_names));

struct Payload {
  ErrorCode code = ErrorCode::unknown_server_error;
  Fault fault = Fault::none;
  Outcome outcome = Outcome::unknown;
};

inline Payload payload_of(const absl::Status& status) {
  if (status.ok()) {
    return {.code = ErrorCode::none, .outcome = Outcome::not_written};
  }
  const auto cord = status.GetPayload(payload_url);
  if (!cord.has_value()) {
    const bool bare =
        status.code() == absl::StatusCode::kResourceExhausted && status.message().empty();
    return {.fault = bare ? Fault::no_memory : Fault::none};
  }
  const std::string bytes(*cord);
  if (bytes.size() != 4) {
    return {};
  }
  const auto at = [&](std::size_t i) { return static_cast<unsigned char>(bytes[i]); };
  const auto number = static_cast<std::int16_t>(static_cast<std::uint16_t>(at(0) << 8 | at(1)));
  return {.code = error_code(number),
          .fault = at(2) < std::size(fault_names) ? static_cast<Fault>(at(2)) : Fault::internal,
          .outcome = at(3) == 0 ? Outcome::not_written : Outcome::unknown};
}

inline absl::StatusCode status_code(Fault fault) {
  switch (fault) {
    case Fault::closed:
    case Fault::forked:
    case Fault::moved_from:
    case Fault::wrong_thread:
    case Fault::would_deadlock:
    case Fault::read_only:
      return absl::StatusCode::kFailedPrecondition;
    case Fault::locked:
      return absl::StatusCode::kAborted;
    case Fault::woken:
      return absl::StatusCode::kCancelled;
    case Fault::timed_out:
      return absl::StatusCode::kDeadlineExceeded;
    case Fault::no_space:
    case Fault::no_memory:
    case Fault::no_descriptors:
    case Fault::limit_reached:
      return absl::StatusCode::kResourceExhausted;
    case Fault::io:
      return absl::StatusCode::kUnavailable;
    case Fault::corrupt:
      return absl::StatusCode::kDataLoss;
    case Fault::invalid_argument:
      return absl::StatusCode::kInvalidArgument;
    case Fault::not_found:
      return absl::StatusCode::kNotFound;
    case Fault::already_exists:
      return absl::StatusCode::kAlreadyExists;
    case Fault::unsupported:
      return absl::StatusCode::kUnimplemented;
    case Fault::none:
    case Fault::internal:
      break;
  }
  return absl::StatusCode::kInternal;
}

inline absl::StatusCode status_code(ErrorCode code) {
  switch (code) {
    case ErrorCode::unknown_topic_or_partition:
    case ErrorCode::group_id_not_found:
    case ErrorCode::unknown_topic_id:
      return absl::StatusCode::kNotFound;
    case ErrorCode::topic_already_exists:
      return absl::StatusCode::kAlreadyExists;
    case ErrorCode::offset_out_of_range:
      return absl::StatusCode::kOutOfRange;
    case ErrorCode::request_timed_out:
      return absl::StatusCode::kDeadlineExceeded;
    case ErrorCode::corrupt_message:
      return absl::StatusCode::kDataLoss;
    case ErrorCode::unsupported_version:
    case ErrorCode::unsupported_compression_type:
      return absl::StatusCode::kUnimplemented;
    case ErrorCode::unknown_server_error:
      return absl::StatusCode::kInternal;
    default:
      return retriable(code) ? absl::StatusCode::kUnavailable : absl::StatusCode::kInvalidArgument;
  }
}

/// What `make` answers; `out_of_memory()` where that throws.
template <class Make>
absl::Status made(Make make) noexcept {
#if OTTLA_EXCEPTIONS
  try {
    return make();
  } catch (...) {
    return out_of_memory();
  }
#else
  return make();
#endif
}

inline void set_payload(absl::Status& status, Payload payload) {
  const auto number = static_cast<std::uint16_t>(payload.code);
  const char bytes[4] = {static_cast<char>(number >> 8), static_cast<char>(number & 0xff),
                         static_cast<char>(payload.fault), static_cast<char>(payload.outcome)};
  status.SetPayload(payload_url, absl::Cord(absl::string_view(bytes, sizeof bytes)));
}

inline absl::Status make_error(absl::StatusCode kind, std::string_view message,
                               Payload payload) noexcept {
  return made([&] {
    absl::Status status(kind, av(message));
    set_payload(status, payload);
    return status;
  });
}

}  // namespace base_impl

OTTLA_INLINE absl::Status error(ErrorCode code, std::string_view message,
                                Outcome outcome) noexcept {
  return base_impl::make_error(base_impl::status_code(code), message,
                               {.code = code, .outcome = outcome});
}

OTTLA_INLINE absl::Status error(Fault fault, std::string_view message, Outcome outcome) noexcept {
  return base_impl::make_error(base_impl::status_code(fault), message,
                               {.fault = fault, .outcome = outcome});
}

OTTLA_INLINE absl::Status error(ErrorCode code, Fault fault, std::string_view message,
                                Outcome outcome) noexcept {
  return base_impl::make_error(base_impl::status_code(fault), message,
                               {.code = code, .fault = fault, .outcome = outcome});
}

OTTLA_INLINE absl::Status out_of_memory() noexcept {
  return absl::Status(absl::StatusCode::kResourceExhausted, absl::string_view());
}

OTTLA_INLINE ErrorCode error_code(const absl::Status& status) {
  return base_impl::payload_of(status).code;
}

OTTLA_INLINE Fault fault(const absl::Status& status) { return base_impl::payload_of(status).fault; }

OTTLA_INLINE Outcome outcome(const absl::Status& status) {
  return base_impl::payload_of(status).outcome;
}

OTTLA_INLINE bool retriable(const absl::Status& status) {
  const base_impl::Payload payload = base_impl::payload_of(status);
  switch (payload.fault) {
    case Fault::none:
      return retriable(payload.code);
    case Fault::woken:
    case Fault::timed_out:
    case Fault::no_space:
    case Fault::no_memory:
    case Fault::no_descriptors:
    case Fault::locked:
      return true;
    default:
      return false;
  }
}

OTTLA_INLINE absl::Status annotate(const absl::Status& status, std::string_view context) noexcept {
  if (status.ok()) {
    return status;
  }
  return base_impl::made([&] {
    absl::Status longer(status.code(), absl::StrCat(av(context), ": ", status.message()));
    status.ForEachPayload(
        [&](absl::string_view url, const absl::Cord& payload) { longer.SetPayload(url, payload); });
    base_impl::set_payload(longer, base_impl::payload_of(status));
    return longer;
  });
}

OTTLA_INLINE absl::Status with_outcome(const absl::Status& status, Outcome outcome) noexcept {
  if (status.ok()) {
    return status;
  }
  return base_impl::made([&] {
    absl::Status same = status;
    base_impl::Payload payload = base_impl::payload_of(status);
    payload.outcome = outcome;
    base_impl::set_payload(same, payload);
    return same;
  });
}

OTTLA_INLINE std::string_view name(Fault fault) {
  return base_impl::fault_names[static_cast<std::size_t>(fault)];
}

}  // namespace ottla::inline OTTLA_ABI
