// SPDX-License-Identifier: Apache-2.0
//
// Errors are values: an `absl::Status` that says what, where, which file, and what to do. It
// carries Kafka's code, our own fault where Kafka has none, and whether the write may still appear:
//
//   return error(ErrorCode::message_too_large, absl::StrCat("record of ", n, " bytes ..."));
//
//   return error(Fault::no_space, "disk full while ...; free space, then send again");
//
//   if (error_code(status) == ErrorCode::unknown_topic_or_partition) ...
#pragma once

#include <cstdint>
#include <string_view>
#include <utility>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/strings/string_view.h>

#include <ottla/base/error_code.hpp>

namespace ottla::inline OTTLA_ABI {

/// Packaged Abseil may have a string view of its own. Views in either direction, nothing is copied.
inline std::string_view sv(absl::string_view text) noexcept { return {text.data(), text.size()}; }
inline absl::string_view av(std::string_view text) noexcept { return {text.data(), text.size()}; }

/// What Kafka's codes have no word for.
enum class Fault : std::uint8_t {
  none,
  closed,            ///< the object, or the broker behind it, was closed
  locked,            ///< another process or broker owns the directory
  forked,            ///< called in a child of fork; open new objects there
  moved_from,        ///< the object was moved from
  wrong_thread,      ///< a single-threaded object was entered by a second thread
  would_deadlock,    ///< a call that waits was made from a callback
  woken,             ///< wakeup() ended the wait
  timed_out,         ///< a deadline of ours passed
  no_space,          ///< disk or quota full, or the file size limit reached
  no_memory,         ///< allocation failed
  no_descriptors,    ///< process or system out of file descriptors
  read_only,         ///< the directory cannot be written
  io,                ///< the device or file system failed
  corrupt,           ///< stored bytes are not what was written
  limit_reached,     ///< a configured limit of ours
  invalid_argument,  ///< the caller's argument or configuration
  not_found,         ///< no such file
  already_exists,    ///< a file or topic of that name exists
  unsupported,       ///< not built in, or not there yet
  internal,          ///< a broken promise of our own (an invariant)
};

/// Whether a failed write may still be seen by readers, now or after a restart.
enum class Outcome : std::uint8_t {
  not_written,  ///< definite: it never appears; also where nothing was to be written
  unknown,      ///< it may appear: time ran out, a sync failed, or shutdown was under way
};

/// Before: `code` is not `none`, `fault` neither. Where there is no memory for it:
/// `out_of_memory()`.
absl::Status error(ErrorCode code, std::string_view message,
                   Outcome outcome = Outcome::not_written) noexcept;
absl::Status error(Fault fault, std::string_view message,
                   Outcome outcome = Outcome::not_written) noexcept;
/// Both: a fault that Kafka answers with `code`.
absl::Status error(ErrorCode code, Fault fault, std::string_view message,
                   Outcome outcome = Outcome::not_written) noexcept;
/// `Fault::no_memory` and an unknown outcome, made without an allocation, so without a message.
absl::Status out_of_memory() noexcept;

/// Kafka's code: `none` of an ok status, `unknown_server_error` where it has none.
ErrorCode error_code(const absl::Status& status);
/// `none` where the error is one of Kafka's alone, or not one of ours.
Fault fault(const absl::Status& status);
/// `unknown` where the error is not one of ours.
Outcome outcome(const absl::Status& status);
/// Whether the same call may succeed later without any change by the caller.
bool retriable(const absl::Status& status);
/// The same error with `context` and ": " before its message; an ok status stays as it is.
absl::Status annotate(const absl::Status& status, std::string_view context) noexcept;
/// The same error with this outcome; an ok status stays as it is.
absl::Status with_outcome(const absl::Status& status, Outcome outcome) noexcept;

/// Short text of a fault, e.g. "no_space".
std::string_view name(Fault fault);

}  // namespace ottla::inline OTTLA_ABI

/// `OTTLA_TRY(file.sync(why));` returns the status from this function unless it is ok.
#define OTTLA_TRY(...)                                                   \
  do {                                                                   \
    if (absl::Status ottla_status = (__VA_ARGS__); !ottla_status.ok()) { \
      return ottla_status;                                               \
    }                                                                    \
  } while (false)

/// `OTTLA_ASSIGN(auto file, fs.open(path));` the value, or returns the status from this function.
/// Several statements: not the body of an `if` without braces.
#define OTTLA_ASSIGN(target, ...) \
  OTTLA_ASSIGN_2(OTTLA_JOIN(ottla_, result_, __LINE__), target, __VA_ARGS__)
#define OTTLA_ASSIGN_2(result, target, ...) \
  auto result = (__VA_ARGS__);              \
  if (!result.ok()) {                       \
    return std::move(result).status();      \
  }                                         \
  target = *std::move(result)

#ifndef OTTLA_COMPILED
#include <ottla/base/impl/status.ipp>
#endif
