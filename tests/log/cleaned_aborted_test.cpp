// SPDX-License-Identifier: Apache-2.0
//
// Aborted transactions in a log that is compacted: what its readers are told is what the next
// opening finds.
#include <limits>

#include <ottla/record/control_record.hpp>

#include "cleaning_fixture.hpp"
#include "tests/support/catch.hpp"

using namespace ottla;
using namespace log_test;

namespace {

constexpr Offset everything(std::numeric_limits<std::int64_t>::max());

Batch frozen(SealedBatch sealed) {
  SharedBytes bytes = std::move(sealed).freeze();
  const BatchFacts facts = BatchFacts::of(BatchHeader::parse(bytes.bytes()));
  return {std::move(bytes), facts};
}

Batch in_transaction(std::int64_t base, std::int32_t sequence) {
  BatchBuilder builder({.base_offset = Offset(base),
                        .leader_epoch = LeaderEpoch(0),
                        .is_transactional = true,
                        .producer_id = ProducerId(7),
                        .producer_epoch = ProducerEpoch(0),
                        .base_sequence = sequence});
  must(builder.append(
      {.timestamp = Timestamp(t0), .key = as_bytes("k0"), .value = as_bytes("aborted")}));
  return frozen(must(builder.seal()));
}

Batch abort_marker(std::int64_t base) {
  return frozen(must(marker_batch({.base_offset = Offset(base),
                                   .leader_epoch = LeaderEpoch(0),
                                   .timestamp = Timestamp(t0),
                                   .producer_id = ProducerId(7),
                                   .producer_epoch = ProducerEpoch(0)},
                                  {ControlType::abort, 0})));
}

}  // namespace

TEST_CASE("readers of a compacted log are told of the aborted transactions that are left") {
  Disk disk;
  disk.options.config.compact = true;
  disk.options.config.segment_bytes = 4 * keyed_batch(0, {{"k0", "00"}}).facts.size;
  disk.options.producer_id_expiration = std::chrono::milliseconds::max();
  Log log = disk.open();
  for (std::int64_t i = 0; i < 40; ++i) {
    const bool aborts = i % 10 == 3 || i % 10 == 6;
    const auto sequence = static_cast<std::int32_t>(i / 10);
    must(append(log, {aborts ? (i % 10 == 3 ? in_transaction(i, sequence) : abort_marker(i))
                             : keyed_batch(i, {{"k" + std::to_string(i % 3), "v"}})})
             .status);
  }
  flush(log);
  const auto before = must(log.view().aborted_transactions(Offset(0), everything));
  REQUIRE(before.size() == 4);
  const bool knows_producers = GENERATE(false, true);
  CAPTURE(knows_producers);
  CleaningSettings settings;
  settings.config.delete_retention = std::chrono::milliseconds(1);
  std::size_t left = before.size();
  for (int round = 0; round < 3; ++round) {
    INFO("round " << round);
    settings.options.now = Timestamp(t0 + round * 1000);
    settings.options.producers.reset();
    if (knows_producers) {
      settings.options.producers = {{},
                                    must(log.view().aborted_transactions(Offset(0), everything))};
    }
    REQUIRE(must(clean(log, settings)).has_value());
    flush(log);
    const auto told = must(log.view().aborted_transactions(Offset(0), everything));
    CHECK(told.size() <= left);
    left = told.size();
    std::size_t files = 0;
    for (const std::string& name : disk.names()) {
      files += name.ends_with(transaction_index_suffix) ? 1U : 0U;
    }
    CHECK((files == 0) == told.empty());
    Log again = disk.open();
    CHECK(must(again.view().aborted_transactions(Offset(0), everything)) == told);
  }
  CHECK(left < before.size());
}
