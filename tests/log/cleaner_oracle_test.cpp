// SPDX-License-Identifier: Apache-2.0
//
// Rounds of Kafka's cleaner: what it took, what it left of each segment, to the byte.
#include "cleaner_oracle.hpp"

#include <algorithm>

#include "tests/support/catch.hpp"

using namespace ottla;
using namespace cleaner_oracle;

namespace {

std::vector<CleanableSegment> all_facts(const std::vector<OracleSegment>& segments) {
  std::vector<CleanableSegment> facts;
  for (const OracleSegment& segment : segments) {
    facts.push_back(facts_of(segment));
  }
  return facts;
}

/// Bases of the segments of each group, in order.
Json bases_of_groups(const std::vector<CleanableSegment>& segments, Offset end,
                     const GroupLimits& limits) {
  Json groups = Json::array();
  std::size_t at = 0;
  for (const std::size_t n : group_segments(segments, end, limits)) {
    Json group = Json::array();
    for (std::size_t i = 0; i < n; ++i) {
      group.push_back(segments[at++].base.value());
    }
    groups.push_back(group);
  }
  return groups;
}

/// A round, in memory.
struct Round {
  const Json& trace;
  const Json& json;
  std::vector<OracleSegment> before = segments_of(json["segments_before"]);
  std::vector<AbortedTransaction> aborted = aborted_of(before);
  std::vector<CleanableSegment> facts = all_facts(before);
  CleaningConfig config = config_of(trace);
  CleanableRange range = cleanable_range(facts, bounds_of(json),
                                         json["checkpoint"].is_null()
                                             ? std::nullopt
                                             : std::optional(Offset(number(json["checkpoint"]))),
                                         config, Timestamp(number(json["now"])));
  GroupLimits limits{.bytes = number(trace["config"]["internal.segment.bytes"])};
  OffsetMap map =
      must(OffsetMap::make(static_cast<std::size_t>(number(json["map_slots"])), 7 /* any seed */));
  Decompressor decompressor{};
  Compressor compressor{};

  void check_range() {
    CHECK(range.first_dirty.value() == number(json["first_dirty"]));
    CHECK(range.first_uncleanable.value() == number(json["first_uncleanable"]));
    CHECK(range.clean_bytes == number(json["clean_bytes"]));
    CHECK(range.cleanable_bytes == number(json["cleanable_bytes"]));
    if (range.clean_bytes + range.cleanable_bytes > 0) {
      CHECK(std::abs(range.ratio() - json["dirty_ratio"].get<double>()) < 1e-9);
    }
    auto below = facts;
    std::erase_if(below,
                  [&](const auto& segment) { return segment.base >= range.first_uncleanable; });
    CHECK(bases_of_groups(below, range.first_uncleanable, limits) ==
          json["groups_up_to_uncleanable"]);
  }

  void build_map() {
    CleanedTransactions transactions(aborted, range.first_dirty);
    for (std::size_t i = 0; i < before.size() && before[i].base < range.end; ++i) {
      const Offset next = before[i + 1].base;
      if (next <= range.first_dirty) {
        continue;
      }
      BatchCursor batches(before[i].bytes);
      while (const BatchView* batch = batches.next()) {
        if (batch->header().last_offset() >= range.first_dirty &&
            !must(map_batch(*batch, range.first_dirty, map, transactions, decompressor))) {
          return;
        }
      }
      map.advance(next - 1);
    }
  }

  std::vector<OracleSegment> clean() {
    std::vector<OracleSegment> after;
    const ActiveProducers producers = producers_of(json);
    CleanedTransactions transactions(aborted, Offset(0));
    const RetentionRules rules{map, producers, range.end, Timestamp(number(json["now"])),
                               config.delete_retention};
    BatchCleaner cleaner(rules, transactions, decompressor, compressor);
    auto cleaned = facts;
    std::erase_if(cleaned, [&](const auto& segment) { return segment.base > map.latest(); });
    std::size_t at = 0;
    for (const std::size_t n : group_segments(cleaned, range.end, limits)) {
      OracleSegment to{before[at].base, {}, {}};
      for (std::size_t i = 0; i < n; ++i) {
        BatchCursor batches(before[at++].bytes);
        while (const BatchView* batch = batches.next()) {
          const CleanedBatch left = must(cleaner.clean(*batch));
          to.bytes.insert(to.bytes.end(), left.bytes.begin(), left.bytes.end());
          if (left.aborted) {
            to.aborted.push_back(*left.aborted);
          }
        }
      }
      after.push_back(to);
    }
    after.insert(after.end(), before.begin() + static_cast<std::ptrdiff_t>(at), before.end());
    return after;
  }

  void check() {
    check_range();
    if (json["result"] != "ok") {
      CHECK(!range.is_due(config));
      return;
    }
    build_map();
    const std::vector<OracleSegment> after = clean();
    const std::vector<OracleSegment> expected = segments_of(json["segments_after"]);
    CHECK(map.latest().value() + 1 == number(json["new_checkpoint"]));
    REQUIRE(after.size() == expected.size());
    for (std::size_t i = 0; i < after.size(); ++i) {
      CHECK(after[i].base == expected[i].base);
      CHECK(content(after[i].bytes) == content(expected[i].bytes));
      CHECK(after[i].aborted == expected[i].aborted);
    }
  }
};

}  // namespace

TEST_CASE("compaction takes the range, and leaves the bytes, that Kafka's cleaner does") {
  const Json oracle = golden::read_json(golden::dir() / "oracle" / "cleaner.json");
  std::size_t rounds = 0;
  for (const Json& trace : oracle["cases"]) {
    INFO(trace["name"].get<std::string>());
    for (const Json& json : trace["rounds"]) {
      INFO("now " << json["now"]);
      Round round{trace, json};
      round.check();
      ++rounds;
    }
  }
  CHECK(rounds >= oracle["cases"].size());
}
