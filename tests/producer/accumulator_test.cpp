// SPDX-License-Identifier: Apache-2.0
#include <string>
#include <vector>

#include <ottla/base/status.hpp>
#include <ottla/producer/accumulator.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/golden.hpp"

namespace {

using namespace ottla;

struct FixedClock {
  SteadyTime steady{};
  Timestamp wall{1'000};
  SteadyTime steady_now() const { return steady; }
  Timestamp wall_now() const { return wall; }
};

/// A record of given sizes; -1 is null.
struct SizedRecord {
  std::vector<std::byte> memory;
  std::vector<std::pair<std::string, std::optional<std::vector<std::byte>>>> header_memory;
  std::vector<RecordHeader> headers;
  RecordFields fields;

  explicit SizedRecord(const nlohmann::json& json) {
    const auto bytes_of = [&](const char* name) -> std::optional<Bytes> {
      const int size = json.at(name).get<int>();
      return size < 0 ? std::nullopt
                      : std::optional(Bytes(memory).first(static_cast<std::size_t>(size)));
    };
    memory.resize(static_cast<std::size_t>(
        std::max({0, json.at("key_size").get<int>(), json.at("value_size").get<int>()})));
    for (const auto& header : json.at("headers")) {
      const int value = header.at(1).get<int>();
      header_memory.emplace_back(
          std::string(header.at(0).get<std::size_t>(), 'h'),
          value < 0 ? std::nullopt
                    : std::optional(std::vector<std::byte>(static_cast<std::size_t>(value))));
    }
    for (const auto& [key, value] : header_memory) {
      headers.push_back({key, value ? std::optional<Bytes>(*value) : std::nullopt});
    }
    fields = {.key = bytes_of("key_size"), .value = bytes_of("value_size"), .headers = headers};
  }
};

struct Alone {
  explicit Alone(BatchingOptions with, std::int64_t memory = 1 << 24)
      : options(std::move(with)), budget(memory), queue(options, budget, outcomes) {}

  BatchingOptions options;
  MemoryBudget budget;
  BatchOutcomes outcomes;
  PartitionQueue queue;
  FixedClock clock;
};

RecordFields value_of(std::string_view text) { return {.value = as_bytes(text)}; }

std::vector<nlohmann::json> cases_of(std::string_view kind) {
  std::vector<nlohmann::json> cases;
  const auto file = golden::read_json(golden::dir() / "oracle/accumulator_sizes.json");
  for (const auto& test : file.at("cases")) {
    if (test.at("kind") == kind) {
      cases.push_back(test);
    }
  }
  return cases;
}

}  // namespace

TEST_CASE("record sizes and bounds are those of Kafka's accumulator") {
  int seen = 0;
  for (const auto& test : cases_of("record")) {
    const SizedRecord record(test);
    CHECK(record_size(test["offset_delta"].get<std::int32_t>(),
                      test["timestamp_delta"].get<std::int64_t>(),
                      record.fields) == test["record_size"].get<std::size_t>());
    CHECK(batch_size_upper_bound(record.fields) == test["batch_upper_bound"].get<std::size_t>());
    ++seen;
  }
  CHECK(seen > 0);
}

TEST_CASE("batches are cut at the same record as Kafka's") {
  int seen = 0;
  for (const auto& test : cases_of("batching")) {
    Alone alone({.batch_size = test["batch_size"].get<std::int64_t>()}, 1LL << 40);
    std::vector<ClosedBatch> batches;
    const auto take_closed = [&] {
      for (auto batch = alone.queue.take(); batch; batch = alone.queue.take_next()) {
        batches.push_back(*std::move(batch));
      }
    };
    for (const auto& step : test["records"]) {
      SizedRecord record(step);
      record.fields.timestamp = Timestamp(step["timestamp"].get<std::int64_t>());
      REQUIRE(alone.queue.append(record.fields, 0, false, alone.clock).ok());
      take_closed();
      CHECK(alone.queue.close_opened_by(SteadyTime::min()) ==
            (step["full_after"].get<bool>() ? never : alone.clock.steady));
    }
    alone.queue.close_open();
    take_closed();
    REQUIRE(batches.size() == test["batches"].size());
    for (std::size_t i = 0; i < batches.size(); ++i) {
      const auto& expected = test["batches"][i];
      CHECK(batches[i].builder.record_count() ==
            static_cast<std::int32_t>(expected["records"].size()));
      CHECK(batches[i].charged == expected["buffer_size"].get<std::int64_t>());
      CHECK(batches[i].builder.size() == expected["size"].get<std::size_t>());
    }
    ++seen;
  }
  CHECK(seen > 0);
}

TEST_CASE("the compression ratio is estimated as Kafka estimates it") {
  int seen = 0;
  for (const auto& test : cases_of("ratio_estimator")) {
    CompressionRatio ratio;
    CHECK(ratio.estimate() == test["initial"].get<float>());
    for (const auto& update : test["updates"]) {
      ratio.update(update.at(0).get<float>());
      CHECK(ratio.estimate() == update.at(1).get<float>());
    }
    ++seen;
  }
  CHECK(seen > 0);
}

TEST_CASE("a receipt names the batch and the record's place in it") {
  Alone alone({});
  const auto first = alone.queue.append(value_of("a"), 0, false, alone.clock);
  const auto second = alone.queue.append(value_of("b"), 0, false, alone.clock);
  REQUIRE(first.ok());
  REQUIRE(second.ok());
  CHECK(first->opened);
  CHECK_FALSE(second->opened);
  CHECK(first->receipt == Receipt{1, 0});
  CHECK(second->receipt == Receipt{1, 1});
}

TEST_CASE("with batch size 0 records of some size have a batch each") {
  Alone alone({.batch_size = 0});
  const std::string value(100, 'v');
  for (int i = 0; i < 3; ++i) {
    const auto appended = alone.queue.append(value_of(value), 0, false, alone.clock);
    REQUIRE(appended.ok());
    CHECK(appended->receipt.index == 0);
  }
}

TEST_CASE("records without a timestamp share the time at which their batch was opened") {
  Alone alone({});
  REQUIRE(alone.queue.append(value_of("a"), 0, false, alone.clock).ok());
  alone.clock.wall = Timestamp(2'000);
  REQUIRE(alone.queue.append(value_of("b"), 0, false, alone.clock).ok());
  alone.queue.close_open();
  CHECK(alone.queue.take()->builder.max_timestamp() == Timestamp(1'000));
}

TEST_CASE("the send baton gives batches to one sender at a time, in order") {
  Alone alone({.batch_size = 0});
  const std::string value(100, 'v');
  REQUIRE(alone.queue.append(value_of(value), 0, false, alone.clock).ok());
  REQUIRE(alone.queue.append(value_of(value), 0, false, alone.clock).ok());
  alone.queue.close_open();
  const auto first = alone.queue.take();
  REQUIRE(first.has_value());
  CHECK(first->number == 1);
  CHECK_FALSE(alone.queue.take().has_value());
  CHECK(alone.queue.take_next()->number == 2);
  CHECK_FALSE(alone.queue.take_next().has_value());
  CHECK_FALSE(alone.queue.take().has_value());
}

TEST_CASE("a batch that lingered is closed, a younger one is not") {
  Alone alone({});
  alone.clock.steady = SteadyTime(std::chrono::milliseconds(10));
  REQUIRE(alone.queue.append(value_of("a"), 0, false, alone.clock).ok());
  CHECK(alone.queue.close_opened_by(SteadyTime(std::chrono::milliseconds(9))) ==
        alone.clock.steady);
  CHECK_FALSE(alone.queue.take().has_value());
  alone.queue.close_opened_by(alone.clock.steady);
  CHECK(alone.queue.take().has_value());
  CHECK(alone.queue.close_opened_by(alone.clock.steady) == never);
}

TEST_CASE("without memory a record is refused, and taken once memory was granted") {
  Alone alone({.batch_size = 1'000}, 1'500);
  const std::string large(900, 'x');
  REQUIRE(alone.queue.append(value_of(large), 0, false, alone.clock).ok());
  const auto refused = alone.queue.append(value_of(large), 0, false, alone.clock);
  CHECK(fault(refused.status()) == Fault::limit_reached);
  CHECK(alone.queue.take()->number == 1);
  alone.budget.give_back(1'000);
  REQUIRE(alone.budget.try_take(1'000));
  CHECK(alone.queue.append(value_of(large), 0, false, alone.clock, 1'000).ok());
  CHECK(alone.budget.available() == 500);
}

TEST_CASE("a grant that nobody needs goes back") {
  Alone alone({.batch_size = 1'000}, 3'000);
  REQUIRE(alone.queue.append(value_of("a"), 0, false, alone.clock).ok());
  REQUIRE(alone.budget.try_take(1'000));
  REQUIRE(alone.queue.append(value_of("b"), 0, false, alone.clock, 1'000).ok());
  CHECK(alone.budget.available() == 2'000);
}

TEST_CASE("a record that cannot be built leaves no batch and no memory behind") {
  Alone alone({}, 100'000);
  CHECK_FALSE(alone.queue.append({.timestamp = Timestamp(-5)}, 0, false, alone.clock).ok());
  CHECK(alone.budget.available() == 100'000);
  CHECK(alone.outcomes.pending() == 0);
  CHECK_FALSE(alone.queue.close_open());
}

TEST_CASE("full batches use the memory of those that are done, and never outgrow it") {
  const std::size_t block = 1'000 + batch_memory_slack;
  const auto memory = make_ref<BufferPool>(block, 4 * block);
  Alone alone({.batch_size = 1'000, .memory = memory});
  const std::string value(37, 'v');  // batches end at odd places
  std::size_t batches = 0;
  for (int i = 0; batches < 20; ++i) {
    const auto appended = alone.queue.append(value_of(value), 0, false, alone.clock);
    REQUIRE(appended.ok());
    if (appended->closed) {
      const auto batch = alone.queue.take();
      REQUIRE(batch);
      CHECK(batch->builder.size() <= 1'000);
      if (batches++ > 0) {  // the first one did not know how large it would be
        CHECK(batch->builder.capacity() == block);
      }
      CHECK_FALSE(alone.queue.take_next());
    }
  }
  CHECK(memory->kept_bytes() == block);
}

TEST_CASE(
    "records that will be compressed are in memory: the budget pays, or their batch is full") {
  if (!check_codec(CompressionType::zstd).ok()) return;
  const std::string value(100, 'v');
  const auto fill = [&](Alone& alone) {
    for (int i = 0; i < 200; ++i) {
      alone.queue.observed_ratio(0.01F);
    }
    std::optional<ClosedBatch> batch;
    while (!batch) {
      alone.queue.append(value_of(value), 0, false, alone.clock).status().IgnoreError();
      batch = alone.queue.take();
    }
    CHECK(batch->builder.capacity() <=
          static_cast<std::size_t>(batch->charged) + batch_memory_slack);
    alone.queue.take_next();
    if (alone.queue.close_open()) {  // begun by the record that found no room
      alone.budget.give_back(alone.queue.take()->charged);
      alone.queue.take_next();
    }
    return *std::move(batch);
  };
  const BatchingOptions options{.batch_size = 1'000,
                                .fields = {.compression = CompressionType::zstd}};
  Alone ample(options);
  const ClosedBatch whole = fill(ample);
  CHECK(whole.builder.size() > 70'000);
  CHECK(ample.budget.available() == (1 << 24) - whole.charged);
  Alone scarce(options, 20'000);
  for (int i = 0; i < 3; ++i) {
    const ClosedBatch cut = fill(scarce);
    CHECK(cut.builder.size() > 8'000);
    CHECK(cut.builder.size() <= 20'000);
    CHECK(cut.charged <= 20'000);
    scarce.budget.give_back(cut.charged);
    CHECK(scarce.budget.available() == 20'000);
  }
}

TEST_CASE("a small batch does not take a large block") {
  const auto memory = make_ref<BufferPool>(16'384 + batch_memory_slack, std::size_t{1} << 20);
  Alone alone({.memory = memory});
  for (int i = 0; i < 2; ++i) {
    REQUIRE(alone.queue.append(value_of("a"), 0, false, alone.clock).ok());
    const auto batch = alone.queue.take(PartitionQueue::Take::open_too);
    REQUIRE(batch);
    CHECK(batch->builder.capacity() < 8'192);
    CHECK_FALSE(alone.queue.take_next());
  }
  CHECK(memory->kept_bytes() == 0);
}

TEST_CASE("a partition without keys is left once it has had a batch's worth") {
  StickyShare share;
  CHECK_FALSE(share.add(900, true, 1'000));
  CHECK_FALSE(share.add(200, false, 1'000));
  CHECK(share.add(10, true, 1'000));
  CHECK_FALSE(share.add(1'999, false, 1'000));
  CHECK(share.add(1, false, 1'000));
}

TEST_CASE("the sticky partition stays until somebody moves on, and then changes") {
  StickyPartition sticky;
  const PartitionId first = sticky.current(3, 7);
  CHECK(sticky.current(3, 12345) == first);
  sticky.move_on(first, 3, 5);
  const PartitionId second = sticky.current(3, 0);
  CHECK(second != first);
  sticky.move_on(first, 3, 1);
  CHECK(sticky.current(3, 0) == second);
}
