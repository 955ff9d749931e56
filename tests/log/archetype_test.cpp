// SPDX-License-Identifier: Apache-2.0
//
// A log asks of a file system no more than the concept says: compiled for the least one.
#include <ottla/log/log.hpp>
#include <ottla/log/log_directory.hpp>
#include <ottla/log/read_only_log.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/env_archetypes.hpp"

template class ottla::BasicLogView<archetypes::FileSystem>;
template class ottla::BasicLogFlush<archetypes::FileSystem>;
template class ottla::BasicLog<archetypes::FileSystem>;
template class ottla::BasicLogDirectory<archetypes::FileSystem>;
template class ottla::BasicReadOnlyLog<archetypes::FileSystem>;

TEST_CASE("An idle log is small") {
  CHECK(sizeof(ottla::Log) <= 904);
  CHECK(sizeof(ottla::LogView) <= 64);
}
