// SPDX-License-Identifier: Apache-2.0
//
// compression.type of a topic.
#include <string>
#include <tuple>
#include <vector>

#include "partition_fixture.hpp"
#include "tests/support/catch.hpp"

using namespace partition_test;

namespace {

constexpr std::int64_t now = 1'600'000'000'000;

SealedBatch sent(CompressionType codec, std::size_t value_size = 300, std::int32_t sequence = 5) {
  BatchBuilder builder({.compression = codec,
                        .producer_id = ProducerId(7),
                        .producer_epoch = ProducerEpoch(1),
                        .base_sequence = sequence});
  const std::vector<RecordHeader> headers = {{"h", as_bytes("1")}, {"h", std::nullopt}};
  const std::string value(value_size, 'v');
  must(builder.append({.timestamp = Timestamp(now + 5), .key = as_bytes("k"), .headers = headers}));
  must(builder.append({.timestamp = Timestamp(now - 7), .value = as_bytes(value)}));
  must(builder.append({.value = as_bytes("")}));
  Compressor compressor;
  return must(builder.seal(compressor));
}

using Record = std::tuple<std::int64_t, std::int64_t, std::optional<std::string>,
                          std::optional<std::string>, std::vector<std::string>>;

std::optional<std::string> text(std::optional<Bytes> bytes) {
  return bytes ? std::optional(std::string(as_string_view(*bytes))) : std::nullopt;
}

std::vector<Record> records_of(const SealedBatch& batch) {
  std::vector<Record> all;
  Decompressor decompressor;
  RecordCursor records = must(BatchView::parse(batch.bytes())).records(decompressor);
  while (const RecordView* record = records.next()) {
    std::vector<std::string> headers;
    for (const RecordHeader& each : record->headers()) {
      headers.push_back(std::string(each.key) + "=" + text(each.value).value_or("null"));
    }
    all.emplace_back(record->offset().value(), record->timestamp().value(), text(record->key()),
                     text(record->value()), headers);
  }
  must(records.status());
  return all;
}

}  // namespace

TEST_CASE("A batch is stored with the codec of its topic, with the same records and producer") {
  const auto from = GENERATE(CompressionType::none, CompressionType::gzip, CompressionType::zstd);
  const auto to = GENERATE(TopicCompression::uncompressed, TopicCompression::gzip,
                           TopicCompression::snappy, TopicCompression::lz4, TopicCompression::zstd);
  const auto origin = GENERATE(BatchOrigin::here, BatchOrigin::elsewhere);
  TopicConfig config;
  config.compression = to;
  SealedBatch batch = sent(from);
  const std::vector<std::byte> before(batch.bytes().begin(), batch.bytes().end());
  const ProducedBatch produced = must(check_produced(batch, config, Timestamp(now), origin));
  CHECK(produced.last_offset_delta == 2);
  CHECK(produced.max_timestamp == Timestamp(now + 5));
  const BatchHeader header = must(BatchView::parse(batch.bytes())).header();  // its checksum, too
  CHECK(header.compression() == static_cast<CompressionType>(to));
  CHECK(header.producer_id == ProducerId(7));
  CHECK(header.producer_epoch == ProducerEpoch(1));
  CHECK(header.base_sequence == 5);
  CHECK(header.max_timestamp == Timestamp(now + 5));
  CHECK(records_of(batch) == records_of(sent(from)));
  const bool untouched =
      std::equal(before.begin(), before.end(), batch.bytes().begin(), batch.bytes().end());
  CHECK(untouched == (static_cast<CompressionType>(to) == from));
}

TEST_CASE("With LogAppendTime a batch that is compressed anew carries the broker's time") {
  TopicConfig config;
  config.compression = TopicCompression::lz4;
  config.timestamp_type = TimestampType::log_append_time;
  SealedBatch batch = sent(CompressionType::none);
  const auto produced = must(check_produced(batch, config, Timestamp(now + 50), BatchOrigin::here));
  CHECK(produced.append_time == Timestamp(now + 50));
  for (const Record& record : records_of(batch)) {
    CHECK(std::get<1>(record) == now + 50);
  }
}

TEST_CASE("A batch that its topic's codec makes too large is refused as it came") {
  TopicConfig config;
  config.compression = TopicCompression::uncompressed;
  SealedBatch batch = sent(CompressionType::zstd, 5'000);
  config.max_message_bytes = static_cast<std::int32_t>(batch.size()) + 100;
  const SealedBatch before = SealedBatch::copy_of(batch.bytes());
  const auto refused = check_produced(batch, config, Timestamp(now), BatchOrigin::here);
  CHECK(error_code(refused.status()) == ErrorCode::message_too_large);
  CHECK(std::equal(batch.bytes().begin(), batch.bytes().end(), before.bytes().begin(),
                   before.bytes().end()));
}

TEST_CASE("What is stored compressed counts as such, and is read back") {
  Harness harness;
  harness.partition_options.config.compression = TopicCompression::zstd;
  harness.open_partition();
  harness.produce_batch(0, sent(CompressionType::none, 100'000, 0));
  must(harness.write_out());
  REQUIRE(harness.told->size() == 1);
  CHECK(harness.told->front().outcome.ok());
  const FetchedPartition fetched = harness.fetch(0);
  REQUIRE(fetched.slices.size() == 1);
  CHECK(fetched.slices.front().bytes.size() < 1'000);
  CHECK(harness.held == 0);
}

TEST_CASE("compression.type and its levels are Kafka's") {
  const auto resolved = [](std::map<std::string, std::string> own) {
    return resolve_topic_config({}, own);
  };
  CHECK(must(resolved({})).compression == TopicCompression::producer);
  CHECK(must(resolved({{"compression.type", "uncompressed"}})).compression ==
        TopicCompression::uncompressed);
  CHECK(
      must(resolved({{"compression.type", "gzip"}, {"compression.gzip.level", "1"}})).gzip_level ==
      1);
  CHECK(error_code(resolved({{"compression.type", "none"}}).status()) == ErrorCode::invalid_config);
  CHECK(error_code(resolved({{"compression.gzip.level", "0"}}).status()) ==
        ErrorCode::invalid_config);
  CHECK(error_code(resolved({{"compression.lz4.level", "18"}}).status()) ==
        ErrorCode::invalid_config);
}

TEST_CASE("A batch that nobody could decompress again is not compressed") {
  TopicConfig config;
  config.compression = TopicCompression::gzip;
  config.max_message_bytes = 64 << 20;
  SealedBatch batch = sent(CompressionType::none, DecompressionLimits().max_bytes);
  const absl::Status refused =
      check_produced(batch, config, Timestamp(now), BatchOrigin::here).status();
  CHECK(error_code(refused) == ErrorCode::message_too_large);
  CHECK(refused.message().find("send smaller ones") != std::string::npos);
}
