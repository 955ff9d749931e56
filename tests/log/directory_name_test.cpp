// SPDX-License-Identifier: Apache-2.0
//
// What the name of a directory of a log directory says.
#include <string>

#include <ottla/log/log_directory.hpp>

#include "log_fixture.hpp"
#include "tests/support/catch.hpp"

using namespace ottla;
using namespace log_test;

TEST_CASE("A directory name says what the directory is") {
  Uuid id;
  id.bytes[15] = std::byte{1};
  const std::string hex = id.to_hex();
  CHECK(directory_kind("orders-0") == DirectoryKind::partition);
  CHECK(directory_kind("a-b-12") == DirectoryKind::partition);
  CHECK(directory_kind("---0") == DirectoryKind::partition);
  CHECK(directory_kind("a." + hex + "-delete") == DirectoryKind::deleted);
  CHECK(directory_kind("a-0." + hex + "-future") == DirectoryKind::future);
  CHECK(directory_kind("a-0." + hex + "-stray") == DirectoryKind::stray);
  for (const char* name : {"orders", "orders-", "orders-x", "orders-00", "orders-01", "-1", "..-0",
                           "a/b-0", "a-99999999999"}) {
    INFO(name);
    CHECK(directory_kind(name) == DirectoryKind::other);
  }
  CHECK(directory_kind("a-0.123-delete") == DirectoryKind::other);
  const std::string long_name =
      deleted_directory_name({std::string(249, 't'), PartitionId(12)}, id);
  CHECK(long_name.size() == 255);
  CHECK(directory_kind(long_name) == DirectoryKind::deleted);
}
