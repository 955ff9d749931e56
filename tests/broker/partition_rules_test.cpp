// SPDX-License-Identifier: Apache-2.0
//
// Which batches a leader takes.
#include <climits>

#include "partition_fixture.hpp"
#include "tests/support/catch.hpp"

using namespace partition_test;

namespace {

constexpr std::int64_t now = 1'600'000'000'000;

/// A batch whose bytes were changed, with a checksum that fits again.
SealedBatch changed(SealedBatch batch, std::size_t at, std::vector<int> bytes) {
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    batch.mutable_bytes()[at + i] = static_cast<std::byte>(bytes[i]);
  }
  stamp_checksum(batch.mutable_bytes());
  return batch;
}

std::vector<std::byte> copy(const SealedBatch& batch) {
  return {batch.bytes().begin(), batch.bytes().end()};
}

struct Judge {
  TopicConfig config;
  ErrorCode operator()(SealedBatch batch, BatchOrigin origin) const {
    const std::vector<std::byte> before = copy(batch);
    const auto checked = check_produced(batch, config, Timestamp(now), origin);
    if (checked.ok()) return ErrorCode::none;
    CHECK(copy(batch) == before);
    CHECK(outcome(checked.status()) == Outcome::not_written);
    return error_code(checked.status());
  }
  ErrorCode both(SealedBatch batch) const {
    const ErrorCode here = (*this)(SealedBatch::copy_of(batch.bytes()), BatchOrigin::here);
    CHECK((*this)(std::move(batch), BatchOrigin::elsewhere) == here);
    return here;
  }
};

SealedBatch timed(std::vector<std::int64_t> timestamps,
                  CompressionType compression = CompressionType::none) {
  BatchBuilder builder({.compression = compression});
  for (const std::int64_t timestamp : timestamps) {
    must(builder.append_at(Offset(builder.record_count()), {.timestamp = Timestamp(timestamp)}));
  }
  Compressor compressor;
  return must(builder.seal(compressor));
}

}  // namespace

TEST_CASE("A well-formed batch is taken, whoever built it") {
  const Judge judge;
  CHECK(judge.both(make_batch(0)) == ErrorCode::none);
  CHECK(judge.both(make_batch(0, {.records = 50, .compression = CompressionType::zstd})) ==
        ErrorCode::none);
  CHECK(judge.both(timed({-1, -1})) == ErrorCode::none);
}

TEST_CASE("What is not exactly one whole batch of magic 2 is refused") {
  const Judge judge;
  CHECK(judge.both({}) == ErrorCode::corrupt_message);
  const SealedBatch good = make_batch(0, {.value_size = 40});
  for (const std::size_t size : {1UL, 11UL, 60UL, good.size() - 1}) {
    CHECK(judge.both(SealedBatch::copy_of(good.bytes().first(size))) == ErrorCode::corrupt_message);
  }
  std::vector<std::byte> twice = copy(good);
  twice.insert(twice.end(), good.bytes().begin(), good.bytes().end());
  CHECK(judge.both(SealedBatch::copy_of(twice)) == ErrorCode::invalid_record);
  CHECK(judge.both(changed(make_batch(0), batch_position::magic, {1})) ==
        ErrorCode::unsupported_for_message_format);
  CHECK(judge.both(changed(make_batch(0), batch_position::magic, {3})) ==
        ErrorCode::corrupt_message);
}

TEST_CASE("A batch may be no larger than the topic and its segments allow") {
  Judge judge;
  const auto size = static_cast<std::int32_t>(make_batch(0).size());
  judge.config.max_message_bytes = size;
  CHECK(judge.both(make_batch(0)) == ErrorCode::none);
  judge.config.max_message_bytes = size - 1;
  CHECK(judge.both(make_batch(0)) == ErrorCode::message_too_large);
  judge.config = {};
  judge.config.log.segment_bytes = size;
  CHECK(judge.both(make_batch(0)) == ErrorCode::none);
  judge.config.log.segment_bytes = size - 1;
  CHECK(judge.both(make_batch(0)) == ErrorCode::record_list_too_large);
}

TEST_CASE("Numbers and attributes of the header have to fit") {
  namespace at = batch_position;
  const Judge judge;
  const auto refused = [&](std::size_t position, std::vector<int> bytes) {
    return judge.both(changed(make_batch(0, {.records = 2}), position, std::move(bytes)));
  };
  CHECK(refused(at::base_offset, {0, 0, 0, 0, 0, 0, 0, 1}) == ErrorCode::invalid_record);
  CHECK(refused(at::last_offset_delta, {0, 0, 0, 2}) == ErrorCode::invalid_record);
  CHECK(refused(at::last_offset_delta, {0x7f, 0xff, 0xff, 0xff}) == ErrorCode::invalid_record);
  CHECK(refused(at::record_count, {0, 0, 0, 0}) == ErrorCode::invalid_record);
  CHECK(refused(at::record_count, {0xff, 0xff, 0xff, 0xff}) == ErrorCode::invalid_record);
  CHECK(refused(at::producer_id, {0, 0, 0, 0, 0, 0, 0, 1}) == ErrorCode::invalid_record);
  CHECK(refused(at::producer_id, {0x80, 0, 0, 0, 0, 0, 0, 0}) == ErrorCode::invalid_record);
  CHECK(refused(at::attributes, {0, 0x20}) == ErrorCode::invalid_record);
  CHECK(refused(at::attributes, {0, 0x40}) == ErrorCode::invalid_record);
  CHECK(refused(at::attributes, {0, 0x80}) == ErrorCode::invalid_record);
  CHECK(refused(at::attributes, {1, 0}) == ErrorCode::invalid_record);
  CHECK(refused(at::attributes, {0, 0x08}) == ErrorCode::invalid_timestamp);
  CHECK(refused(at::attributes, {0, 0x10}) == ErrorCode::invalid_txn_state);
  CHECK(refused(at::attributes, {0, 0x05}) == ErrorCode::unsupported_compression_type);
}

TEST_CASE("The checksum is looked at where somebody else built the batch") {
  const Judge judge;
  const auto broken = [] {
    SealedBatch batch = make_batch(0);
    batch.mutable_bytes()[batch.size() - 3] ^= std::byte{1};
    return batch;
  };
  CHECK(judge(broken(), BatchOrigin::elsewhere) == ErrorCode::corrupt_message);
  CHECK(judge(broken(), BatchOrigin::here) == ErrorCode::none);
}

TEST_CASE("Records that somebody else built are walked to the last byte") {
  const Judge judge;
  const auto verdict = [&](SealedBatch batch) {
    return judge(std::move(batch), BatchOrigin::elsewhere);
  };
  const std::size_t record = batch_header_size;
  // A record's length, its offset delta, the count.
  CHECK(verdict(changed(make_batch(0), record, {2})) == ErrorCode::invalid_record);
  CHECK(verdict(changed(make_batch(0), record + 3, {2})) == ErrorCode::invalid_record);
  CHECK(verdict(changed(make_batch(0, {.records = 2}), batch_position::last_offset_delta,
                        {0, 0, 0, 2, 0})) == ErrorCode::invalid_record);
  SealedBatch more =
      changed(make_batch(0, {.records = 2}), batch_position::last_offset_delta, {0, 0, 0, 2});
  CHECK(verdict(changed(std::move(more), batch_position::record_count, {0, 0, 0, 3})) ==
        ErrorCode::invalid_record);
  BatchBuilder gap;
  must(gap.append_at(Offset(0), {}));
  must(gap.append_at(Offset(2), {}));
  SealedBatch gapped = changed(must(gap.seal()), batch_position::last_offset_delta, {0, 0, 0, 1});
  CHECK(verdict(std::move(gapped)) == ErrorCode::invalid_record);
  // Not compressed at all, and a bomb.
  CHECK(verdict(changed(make_batch(0), batch_position::attributes, {0, 4})) ==
        ErrorCode::invalid_record);
  const Shape bomb{.records = 20, .value_size = 1 << 19, .compression = CompressionType::zstd};
  CHECK(verdict(make_batch(0, bomb)) == ErrorCode::message_too_large);
}

TEST_CASE("The largest timestamp is what the records say") {
  TopicConfig config;
  SealedBatch batch = timed({now - 5, now, now - 3});
  SealedBatch lying = SealedBatch::copy_of(batch.bytes());
  stamp_max_timestamp(lying.mutable_bytes(), TimestampType::create_time, Timestamp(now - 4));
  const auto checked = check_produced(lying, config, Timestamp(now), BatchOrigin::elsewhere);
  REQUIRE(checked.ok());
  CHECK(checked->max_timestamp == Timestamp(now));
  CHECK(copy(lying) == copy(batch));
  CHECK(checksum_matches(lying.bytes()));
}

TEST_CASE("Timestamps keep to the bounds of the topic, the extreme ones too") {
  Judge judge;
  judge.config.timestamp_after_max = std::chrono::milliseconds(1000);
  CHECK(judge.both(timed({now + 1000})) == ErrorCode::none);
  CHECK(judge.both(timed({now, now + 1001})) == ErrorCode::invalid_timestamp);
  CHECK(judge.both(timed({INT64_MAX})) == ErrorCode::invalid_timestamp);
  CHECK(judge.both(timed({0})) == ErrorCode::none);
  judge.config.timestamp_before_max = std::chrono::milliseconds(1000);
  CHECK(judge.both(timed({now - 1000})) == ErrorCode::none);
  CHECK(judge.both(timed({now, now - 1001, now})) == ErrorCode::invalid_timestamp);
  CHECK(judge.both(timed({now, now - 1001}, CompressionType::zstd)) ==
        ErrorCode::invalid_timestamp);
  CHECK(judge.both(timed({INT64_MIN})) == ErrorCode::invalid_timestamp);
  CHECK(judge.both(timed({-1})) == ErrorCode::none);
  judge.config.timestamp_type = TimestampType::log_append_time;
  CHECK(judge.both(timed({INT64_MAX})) == ErrorCode::none);
}

TEST_CASE("A compacted topic wants a key with every record; a wrong time is told first") {
  Judge judge;
  judge.config.log.compact = true;
  CHECK(judge.both(make_batch(0, {.records = 3, .with_keys = true})) == ErrorCode::none);
  CHECK(judge.both(make_batch(0)) == ErrorCode::invalid_record);
  CHECK(judge.both(timed({now, now + 4'000'000})) == ErrorCode::invalid_timestamp);
}

TEST_CASE("A batch is as its producer sealed it when a leader's stamps are taken back") {
  TopicConfig config;
  config.timestamp_type = GENERATE(TimestampType::create_time, TimestampType::log_append_time);
  SealedBatch batch =
      timed({now + 3, now + 9, now}, GENERATE(CompressionType::none, CompressionType::zstd));
  const std::vector<std::byte> before = copy(batch);
  REQUIRE(check_produced(batch, config, Timestamp(now + 50), BatchOrigin::here).ok());
  batch.stamp(Offset(77), LeaderEpoch(3));
  REQUIRE(copy(batch) != before);
  unstamp(batch);
  CHECK(copy(batch) == before);
}
