// SPDX-License-Identifier: Apache-2.0
//
// A file system that lets nobody change anything.
#pragma once

#include <utility>

#include <ottla/env/any_file_system.hpp>
#include <ottla/env/fault_file_system.hpp>

#include "tests/support/catch.hpp"

namespace log_test {

using namespace ottla;

inline bool is_change(const IoCall& call) {
  switch (call.operation) {
    case IoOperation::open:
      return call.mode != OpenMode::read;
    case IoOperation::read:
    case IoOperation::size:
    case IoOperation::close:
    case IoOperation::status:
    case IoOperation::list:
    case IoOperation::volume:
      return false;
    default:
      return true;
  }
}

/// `files`; fails the test where anything there is changed, made or locked.
template <FileSystem Fs>
AnyFileSystem reading(Fs files) {
  return AnyFileSystem(FaultFileSystem(std::move(files), [](IoCall& call) {
    if (!is_change(call)) {
      return absl::OkStatus();
    }
    INFO(name(call.operation) << ' ' << call.path);
    CHECK_FALSE(is_change(call));
    return error(Fault::read_only, "a read-only medium");
  }));
}

}  // namespace log_test
