// SPDX-License-Identifier: Apache-2.0
//
// Opening a log directory again and again, as another run each time.
#pragma once

#include <cstddef>

#include <ottla/log/log_directory.hpp>

#include "log_fixture.hpp"

namespace log_test {

inline Uuid id(int n) {
  Uuid uuid;
  uuid.bytes[15] = static_cast<std::byte>(n);
  return uuid;
}

inline absl::StatusOr<LogDirectory> open_directory(AnyFileSystem& files, int run,
                                                   DirectoryReport& report) {
  return LogDirectory::open(files,
                            {.path = "/d",
                             .properties = {"cluster", BrokerId(1), id(9)},
                             .process = 4711,
                             .run = id(100 + run)},
                            report);
}

}  // namespace log_test
