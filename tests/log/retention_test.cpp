// SPDX-License-Identifier: Apache-2.0
#include <vector>

#include <ottla/log/retention.hpp>

#include "tests/support/catch.hpp"

using namespace ottla;
using namespace std::chrono_literals;

namespace {

/// Three segments of 100 bytes at 0, 10 and 20, an hour apart, and the active one at 30.
std::vector<SegmentFacts> segments(std::int64_t active_size = 100) {
  return {{Offset(0), 100, Timestamp(0)},
          {Offset(10), 100, Timestamp(3'600'000)},
          {Offset(20), 100, Timestamp(7'200'000)},
          {Offset(30), active_size, Timestamp(10'800'000)}};
}
const LogBounds all{Offset(0), Offset(40), Offset(40)};

std::size_t expired(const LogConfig& config, std::int64_t now = 0, const LogBounds& bounds = all,
                    std::int64_t active_size = 100) {
  return expired_segments(segments(active_size), bounds, config, Timestamp(now));
}

}  // namespace

TEST_CASE("Segments go when their newest record is older than retention.ms") {
  const LogConfig config{.retention = 1h};
  CHECK(expired(config, 3'600'000) == 0);
  CHECK(expired(config, 3'600'001) == 1);
  CHECK(expired(config, 3 * 3'600'000) == 2);
  CHECK(expired(config, 100'000'000) == 4);
  CHECK(expired({.retention = std::nullopt}, 100'000'000) == 0);
}

TEST_CASE("Segments go as long as retention.bytes would be left") {
  const auto by_size = [](std::int64_t bytes) {
    return expired({.retention = std::nullopt, .retention_bytes = bytes});
  };
  CHECK(by_size(401) == 0);
  CHECK(by_size(400) == 0);
  CHECK(by_size(301) == 0);
  CHECK(by_size(300) == 1);
  CHECK(by_size(199) == 2);
  CHECK(by_size(1) == 3);
  CHECK(by_size(0) == 4);
}

TEST_CASE("Segments below the log's start go, also where only compaction was asked for") {
  for (const bool deletes : {true, false}) {
    const LogConfig config{.retention = std::nullopt, .delete_old = deletes};
    CHECK(expired(config, 0, {Offset(9), Offset(40), Offset(40)}) == 0);
    CHECK(expired(config, 0, {Offset(10), Offset(40), Offset(40)}) == 1);
    CHECK(expired(config, 0, {Offset(29), Offset(40), Offset(40)}) == 2);
    CHECK(expired(config, 0, {Offset(40), Offset(40), Offset(40)}) == 4);
  }
  CHECK(expired({.retention = 1ms, .delete_old = false}, 100'000'000) == 0);
}

TEST_CASE("Nothing goes above the high watermark, nor an empty last segment") {
  const LogConfig config{.retention = 1ms};
  CHECK(expired(config, 100'000'000, {Offset(0), Offset(19), Offset(40)}) == 1);
  CHECK(expired(config, 100'000'000, {Offset(0), Offset(20), Offset(40)}) == 2);
  CHECK(expired(config, 100'000'000, {Offset(0), Offset(39), Offset(40)}) == 3);
  CHECK(expired(config, 100'000'000, {Offset(0), Offset(30), Offset(30)}, 0) == 3);
}

TEST_CASE("A later segment never goes before an earlier one") {
  std::vector<SegmentFacts> facts = segments();
  facts[0].largest = Timestamp(50'000'000);
  CHECK(expired_segments(facts, all, {.retention = 1h}, Timestamp(20'000'000)) == 0);
}

TEST_CASE("Timestamps that are no times expire nothing, and overflow nothing") {
  for (const std::int64_t strange : {INT64_MIN, INT64_MAX}) {
    const std::vector<SegmentFacts> facts = {{Offset(0), 100, Timestamp(strange)},
                                             {Offset(10), 100, Timestamp(strange)}};
    CHECK(expired_segments(facts, all, {.retention = 1h}, Timestamp(20'000'000)) == 0);
  }
}
