// SPDX-License-Identifier: Apache-2.0
#include <ottla/record/batch_view.hpp>

#include "tests/record/random_batch.hpp"
#include "tests/support/catch.hpp"

using namespace ottla;

namespace {

/// The records of `view`, each copied; `owner` shows that they outlive the decompressor's next use.
std::vector<RandomRecord> read(const BatchView& view, Decompressor& decompressor) {
  SharedBytes owner;
  RecordCursor records = view.records(decompressor, owner);
  CHECK(owner.empty() == (!view.is_compressed() || records.remaining() == 0));
  decompressor.decompress(CompressionType::gzip, as_bytes("something else"));
  std::vector<RandomRecord> out;
  while (const RecordView* record = records.next()) out.push_back(copy_of(*record));
  INFO(records.status());
  CHECK(records.ok());
  return out;
}

}  // namespace

TEST_CASE("random batches come back as they were, under every codec and flag") {
  Compressor compressor;
  Decompressor decompressor;
  std::size_t by_codec[5] = {};
  for (std::uint64_t seed = 1; seed <= 400; ++seed) {
    INFO("seed " << seed);
    RandomBatch random(seed);
    const BatchFields fields = random.fields();
    std::vector<RandomRecord> records = random.records(fields.base_offset.value());
    BatchBuilder builder(fields);
    std::vector<RecordHeader> headers;
    std::int64_t largest = -1;
    for (const RandomRecord& record : records) {
      REQUIRE(builder.append_at(Offset(record.offset), fields_of(record, headers)).ok());
      largest = std::max(largest, record.timestamp);
    }
    const std::size_t size = builder.size();
    const auto sealed = builder.seal(compressor);
    INFO(sealed.status());
    REQUIRE(sealed.ok());
    if (fields.compression == CompressionType::none) REQUIRE(sealed->size() == size);

    const auto batch = BatchView::parse(sealed->bytes());
    REQUIRE(batch.ok());
    const BatchHeader& header = batch->header();
    CHECK(header.base_offset == fields.base_offset);
    CHECK(header.last_offset() == Offset(records.back().offset));
    CHECK(header.leader_epoch == fields.leader_epoch);
    CHECK(header.compression() == fields.compression);
    CHECK(header.is_transactional() == fields.is_transactional);
    CHECK(header.delete_horizon() == fields.delete_horizon);
    CHECK(header.max_timestamp == fields.log_append_time.value_or(Timestamp(largest)));
    CHECK(header.record_count == static_cast<std::int32_t>(records.size()));
    if (fields.log_append_time) {
      for (RandomRecord& record : records) record.timestamp = fields.log_append_time->value();
    }
    REQUIRE(read(*batch, decompressor) == records);
    ++by_codec[static_cast<std::size_t>(fields.compression)];
  }
  for (const std::size_t count : by_codec) CHECK(count > 40);
}

TEST_CASE("a batch that is read and built again has the same bytes") {
  for (std::uint64_t seed = 1000; seed < 1200; ++seed) {
    INFO("seed " << seed);
    RandomBatch random(seed);
    BatchFields fields = random.fields();
    fields.compression = CompressionType::none;
    fields.log_append_time.reset();
    BatchBuilder first(fields);
    std::vector<RecordHeader> headers;
    for (const RandomRecord& record : random.records(fields.base_offset.value())) {
      REQUIRE(first.append_at(Offset(record.offset), fields_of(record, headers)).ok());
    }
    const auto sealed = first.seal();
    REQUIRE(sealed.ok());
    BatchBuilder second(fields);
    RecordCursor records = BatchView(sealed->bytes()).records();
    while (const RecordView* record = records.next()) {
      headers.assign(record->headers().begin(), record->headers().end());
      REQUIRE(second
                  .append_at(record->offset(), {.timestamp = record->timestamp(),
                                                .key = record->key(),
                                                .value = record->value(),
                                                .headers = headers})
                  .ok());
    }
    REQUIRE(records.ok());
    const auto again = second.seal();
    REQUIRE(again.ok());
    REQUIRE(std::equal(again->bytes().begin(), again->bytes().end(), sealed->bytes().begin(),
                       sealed->bytes().end()));
  }
}
