// SPDX-License-Identifier: Apache-2.0
//
// The file systems that the contract of FileSystem is asked of, each with an empty directory of its
// own.
#pragma once

#include <string>

#include <ottla/env/any_file_system.hpp>
#include <ottla/env/fault_file_system.hpp>
#include <ottla/env/memory/file_system.hpp>
#include <ottla/env/posix/file_system.hpp>

#include "tests/support/temporary_directory.hpp"

struct PosixSubject {
  TemporaryDirectory directory;
  ottla::PosixFileSystem fs;
  std::string operator/(const std::string& name) const { return directory / name; }
};

/// So few descriptors that nearly each call has to get one back.
struct CrampedPosixSubject {
  TemporaryDirectory directory;
  ottla::PosixFileSystem fs{{.max_descriptors = 1}};
  std::string operator/(const std::string& name) const { return directory / name; }
};

struct MemorySubject {
  ottla::MemoryFileSystem fs{{.wall_now = [] { return ottla::Timestamp(1'600'000'000'000); }}};
  std::string operator/(const std::string& name) const { return "/" + name; }
};

template <class Subject>
struct AnySubject {
  Subject subject;
  ottla::AnyFileSystem fs{subject.fs};
  std::string operator/(const std::string& name) const { return subject / name; }
};

/// A hook that changes nothing.
template <class Subject>
struct FaultSubject {
  Subject subject;
  ottla::FaultFileSystem<decltype(Subject::fs)> fs{subject.fs,
                                                   [](ottla::IoCall&) { return absl::OkStatus(); }};
  std::string operator/(const std::string& name) const { return subject / name; }
};
