// SPDX-License-Identifier: Apache-2.0
#include <ottla/segment/segment_name.hpp>

#include "tests/support/catch.hpp"

using namespace ottla;

TEST_CASE("a segment's files are named by 20 digits", "[segment]") {
  CHECK(offset_file_name(Offset(0), log_suffix) == "00000000000000000000.log");
  CHECK(offset_file_name(Offset(2050), ".snapshot") == "00000000000000002050.snapshot");
  CHECK(offset_file_path("orders-0", Offset(42), time_index_suffix) ==
        "orders-0/00000000000000000042.timeindex");
}

TEST_CASE("a name is read back, and no other is taken for one", "[segment]") {
  for (const std::int64_t offset : {std::int64_t{0}, std::int64_t{1}, INT64_MAX - INT32_MAX}) {
    const std::string name = offset_file_name(Offset(offset), log_suffix);
    CHECK(offset_of_file_name(name, log_suffix) == Offset(offset));
    CHECK(offset_of_file_name(name, offset_index_suffix) == std::nullopt);
  }
  const char* others[] = {"",
                          ".log",
                          "5.log",
                          "0000000000000000000a.log",
                          "-0000000000000000005.log",
                          "+0000000000000000005.log",
                          " 0000000000000000005.log",
                          "00000000000000000005.log.deleted",
                          "00000000000000000005.logx",
                          "000000000000000000005.log",
                          "09223372036854775807.log",
                          "99999999999999999999.log"};
  for (const char* name : others) {
    CHECK(offset_of_file_name(name, log_suffix) == std::nullopt);
  }
}
