// SPDX-License-Identifier: Apache-2.0
//
// What has to go well for a test to go on; else the test fails with the error's words.
#pragma once

#include <stdexcept>
#include <utility>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

namespace test {

inline void must(const absl::Status& status) {
  if (!status.ok()) {
    throw std::runtime_error(status.ToString());
  }
}
template <class T>
T must(absl::StatusOr<T> value) {
  must(value.status());
  return *std::move(value);
}

}  // namespace test
