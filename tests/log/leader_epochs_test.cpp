// SPDX-License-Identifier: Apache-2.0
#include <optional>
#include <string>
#include <vector>

#include <ottla/log/leader_epochs.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/golden.hpp"

using namespace ottla;

namespace {

using Json = nlohmann::json;

std::vector<EpochStart> entries_of(const Json& json) {
  std::vector<EpochStart> entries;
  for (const Json& entry : json) {
    entries.push_back(
        {LeaderEpoch(entry[0].get<std::int32_t>()), Offset(entry[1].get<std::int64_t>())});
  }
  return entries;
}

std::vector<EpochStart> entries_of(const LeaderEpochs& epochs) {
  return {epochs.entries().begin(), epochs.entries().end()};
}

std::optional<LeaderEpoch> epoch_of(const Json& json) {
  return json.is_null() ? std::nullopt : std::optional(LeaderEpoch(json.get<std::int32_t>()));
}

void check_lookups(const LeaderEpochs& epochs, const Json& step) {
  for (const Json& lookup : step["epoch_for_offset"]) {
    CHECK(epochs.epoch_for_offset(Offset(lookup[0].get<std::int64_t>())) == epoch_of(lookup[1]));
  }
  for (const Json& lookup : step["previous_next"]) {
    const LeaderEpoch epoch(lookup[0].get<std::int32_t>());
    CHECK(epochs.previous(epoch) == epoch_of(lookup[1]));
    CHECK(epochs.next(epoch) == epoch_of(lookup[2]));
  }
  const Json& range = step["entries_in_range"];
  CHECK(epochs.entries_in_range(Offset(range[0].get<std::int64_t>()),
                                Offset(range[1].get<std::int64_t>())) == entries_of(range[2]));
}

void run_step(LeaderEpochs& epochs, const Json& step) {
  const std::string op = step["op"];
  if (op == "assign") {
    epochs.assign(LeaderEpoch(step["epoch"].get<std::int32_t>()),
                  Offset(step["offset"].get<std::int64_t>()));
    CHECK(epochs.latest() == epoch_of(step["latest"]));
  } else if (op == "truncate_from_end") {
    epochs.truncate_from_end(Offset(step["offset"].get<std::int64_t>()));
  } else if (op == "truncate_from_start") {
    epochs.truncate_from_start(Offset(step["offset"].get<std::int64_t>()));
  } else if (op == "end_offset_for") {
    for (const Json& result : step["results"]) {
      const auto end = epochs.end_offset_for(LeaderEpoch(result[0].get<std::int32_t>()),
                                             Offset(step["log_end_offset"].get<std::int64_t>()));
      CHECK(end.epoch.value() == result[1].get<std::int32_t>());
      CHECK(end.end.value() == result[2].get<std::int64_t>());
    }
  } else if (op == "lookups") {
    check_lookups(epochs, step);
  } else {
    FAIL("a step of an unknown kind: " << op);
  }
}

}  // namespace

TEST_CASE("The leader-epoch cache does what Kafka's does, step by step") {
  const Json oracle = golden::read_json(golden::dir() / "oracle/leader_epoch_cache.json");
  int cases = 0;
  for (const Json& trace : oracle["cases"]) {
    INFO(trace["name"]);
    LeaderEpochs epochs;
    for (const Json& step : trace["steps"]) {
      INFO(step.dump());
      run_step(epochs, step);
      CHECK(entries_of(epochs) == entries_of(step["entries"]));
      if (step.contains("checkpoint_file")) {
        CHECK(format_epoch_checkpoint(epochs.entries()) == step["checkpoint_file"]);
      }
    }
    ++cases;
  }
  CHECK(cases == (golden::is_full() ? 100 : 10));
}

TEST_CASE("Where an epoch ended, as in spec section 28.11") {
  const LeaderEpochs epochs(
      {{LeaderEpoch(0), Offset(0)}, {LeaderEpoch(2), Offset(150)}, {LeaderEpoch(5), Offset(2040)}});
  const auto end = [&](int epoch) {
    const auto found = epochs.end_offset_for(LeaderEpoch(epoch), Offset(2100));
    return std::pair(found.epoch.value(), found.end.value());
  };
  CHECK(end(0) == std::pair(0, std::int64_t{150}));
  CHECK(end(1) == std::pair(0, std::int64_t{150}));
  CHECK(end(2) == std::pair(2, std::int64_t{2040}));
  CHECK(end(3) == std::pair(2, std::int64_t{2040}));
  CHECK(end(5) == std::pair(5, std::int64_t{2100}));
  CHECK(end(6) == std::pair(-1, std::int64_t{-1}));
  CHECK(LeaderEpochs().end_offset_for(LeaderEpoch(0), Offset(7)) == LeaderEpochs::EpochEnd());
}

TEST_CASE("A change of the epoch cache says whether it was one") {
  LeaderEpochs epochs;
  CHECK(epochs.assign(LeaderEpoch(1), Offset(10)));
  CHECK_FALSE(epochs.assign(LeaderEpoch(1), Offset(20)));
  CHECK_FALSE(epochs.assign(LeaderEpoch(-1), Offset(20)));
  CHECK(epochs.assign(LeaderEpoch(2), Offset(20)));
  CHECK_FALSE(epochs.truncate_from_start(Offset(10)));
  CHECK_FALSE(epochs.truncate_from_start(Offset(9)));
  CHECK(epochs.truncate_from_start(Offset(11)));
  CHECK_FALSE(epochs.truncate_from_end(Offset(21)));
  CHECK(epochs.truncate_from_end(Offset(20)));
  CHECK(entries_of(epochs) == std::vector<EpochStart>{{LeaderEpoch(1), Offset(11)}});
  CHECK(epochs.clear());
  CHECK_FALSE(epochs.clear());
}
