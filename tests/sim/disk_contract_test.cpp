// SPDX-License-Identifier: Apache-2.0
//
// The contract of File and FileSystem, as env asks it of its own models, asked of the simulated
// disk in each mode.
#include <ottla/sim/sim_disk.hpp>

#include "tests/env/file_system_subjects.hpp"

template <ottla::DiskMode mode>
struct SimSubject {
  ottla::SimDisk disk{
      {.crash = {.mode = mode}, .wall_now = [] { return ottla::Timestamp(1'600'000'000'000); }}};
  ottla::SimFileSystem fs = disk.file_system();
  std::string operator/(const std::string& name) const { return "/" + name; }
};

#define FILE_SYSTEMS                                                                   \
  SimSubject<ottla::DiskMode::adversarial>, SimSubject<ottla::DiskMode::ext4_ordered>, \
      SimSubject<ottla::DiskMode::xfs>, SimSubject<ottla::DiskMode::btrfs>,            \
      AnySubject<SimSubject<ottla::DiskMode::adversarial>>
#include "tests/env/file_system_test.cpp"
