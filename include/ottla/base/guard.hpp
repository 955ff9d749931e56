// SPDX-License-Identifier: Apache-2.0
//
// The boundary that no exception crosses: memory that cannot be had, and whatever a user's callback
// throws, become a Status. Called in bodies (.ipp) and in templates over a user's own type only.
#pragma once

#include <type_traits>

#include <absl/status/status.h>

#include <ottla/base/abi.hpp>
#include <ottla/base/status.hpp>
#if OTTLA_EXCEPTIONS
#include <exception>
#include <new>
#endif

namespace ottla::inline OTTLA_ABI {

/// Calls `body` (returning absl::Status, StatusOr or void) and answers what it answered;
/// `out_of_memory()` for std::bad_alloc, `internal` with the text for anything else that was
/// thrown.
template <class Body>
[[nodiscard]] auto guarded(Body&& body) {
  using Answer = decltype(body());
  using Result = std::conditional_t<std::is_void_v<Answer>, absl::Status, Answer>;
  const auto run = [&]() -> Result {
    if constexpr (std::is_void_v<Answer>) {
      body();
      return absl::OkStatus();
    } else {
      return body();
    }
  };
#if OTTLA_EXCEPTIONS
  try {
    return run();
  } catch (const std::bad_alloc&) {
    return Result(out_of_memory());
  } catch (const std::exception& thrown) {
    return Result(error(Fault::internal, thrown.what(), Outcome::unknown));
  } catch (...) {
    return Result(
        error(Fault::internal, "something that is no std::exception was thrown", Outcome::unknown));
  }
#else
  return run();
#endif
}

}  // namespace ottla::inline OTTLA_ABI
