// SPDX-License-Identifier: Apache-2.0
#include <limits>

#include <ottla/record/batch_builder.hpp>
#include <ottla/record/batch_view.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/golden.hpp"

using namespace ottla;

namespace {

RecordFields record(std::string_view value, std::int64_t timestamp = 1000) {
  return {.timestamp = Timestamp(timestamp), .value = as_bytes(value)};
}

std::vector<std::pair<std::int64_t, std::int64_t>> offsets_and_timestamps(const BatchView& batch) {
  std::vector<std::pair<std::int64_t, std::int64_t>> out;
  RecordCursor records = batch.records();
  while (const RecordView* one = records.next()) {
    out.emplace_back(one->offset().value(), one->timestamp().value());
  }
  REQUIRE(records.ok());
  return out;
}

}  // namespace

TEST_CASE("a batch without records is refused, and a builder is used again after sealing") {
  BatchBuilder builder;
  CHECK(builder.empty());
  CHECK(builder.size() == batch_header_size);
  CHECK(error_code(builder.seal().status()) == ErrorCode::invalid_record);
  for (int round = 0; round < 3; ++round) {
    REQUIRE(builder.append(record("value")).ok());
    CHECK(builder.record_count() == 1);
    const auto sealed = builder.seal();
    REQUIRE(sealed.ok());
    CHECK(offsets_and_timestamps(BatchView(sealed->bytes())).size() == 1);
    CHECK(builder.empty());
    CHECK(builder.capacity() == 0);
  }
}

TEST_CASE("the size is known before each append, and the buffer grows from small") {
  BatchBuilder builder;
  CHECK(builder.capacity() == 0);
  std::string value;
  for (int i = 0; i < 3000; ++i) {
    value.assign(static_cast<std::size_t>(i % 300), 'x');
    const RecordFields next = record(value, 1000 + i * 37 % 5000);
    const std::size_t expected = builder.size_with(next);
    REQUIRE(builder.append(next).ok());
    REQUIRE(builder.size() == expected);
    if (i == 0) CHECK(builder.capacity() == BatchBuilder::initial_capacity);
    REQUIRE(builder.capacity() < 2 * builder.size() + BatchBuilder::initial_capacity);
  }
  const std::size_t size = builder.size();
  const auto sealed = builder.seal();
  REQUIRE(sealed.ok());
  CHECK(sealed->size() == size);
  CHECK(offsets_and_timestamps(BatchView(sealed->bytes())).size() == 3000);
}

TEST_CASE("a record larger than the buffer makes room for itself") {
  BatchBuilder builder;
  const std::string large(1 << 20, 'x');
  REQUIRE(builder.append(record("small")).ok());
  REQUIRE(builder.append(record(large)).ok());
  const auto sealed = builder.seal();
  REQUIRE(sealed.ok());
  CHECK(sealed->size() > large.size());
  CHECK(sealed->size() < large.size() + 200);
}

TEST_CASE("a caller's buffer is begun in and can be exchanged for a larger one") {
  BatchBuilder builder({}, Buffer::allocate(256));
  REQUIRE(builder.append(record("one")).ok());
  CHECK(builder.capacity() == 256);
  Buffer larger = Buffer::allocate(512);
  const std::byte* const place = larger.data();
  const Buffer back = builder.move_to(std::move(larger));
  CHECK(back.capacity() == 256);
  CHECK(builder.capacity() == 512);
  REQUIRE(builder.append(record("two")).ok());
  const auto sealed = builder.seal();
  REQUIRE(sealed.ok());
  CHECK(sealed->bytes().data() == place);  // nothing was copied
  CHECK(offsets_and_timestamps(BatchView(sealed->bytes())).size() == 2);
}

TEST_CASE("offsets ascend with gaps, and the last offset may lie above the last record") {
  BatchBuilder builder({.base_offset = Offset(100)});
  REQUIRE(builder.append_at(Offset(103), record("a")).ok());
  CHECK(error_code(builder.append_at(Offset(103), record("b"))) == ErrorCode::invalid_record);
  CHECK(error_code(builder.append_at(Offset(99), record("b"))) == ErrorCode::invalid_record);
  CHECK(error_code(builder.append_at(Offset(100 + (std::int64_t{1} << 31)), record("b"))) ==
        ErrorCode::invalid_record);
  CHECK(builder.record_count() == 1);
  REQUIRE(builder.append(record("c")).ok());
  CHECK(error_code(builder.set_last_offset(Offset(103))) == ErrorCode::invalid_record);
  REQUIRE(builder.set_last_offset(Offset(110)).ok());
  CHECK(error_code(builder.append_at(Offset(110), record("d"))) == ErrorCode::invalid_record);
  const auto sealed = builder.seal();
  REQUIRE(sealed.ok());
  const BatchView batch(sealed->bytes());
  CHECK(batch.header().last_offset() == Offset(110));
  CHECK(batch.header().record_count == 2);
  CHECK(offsets_and_timestamps(batch) ==
        std::vector<std::pair<std::int64_t, std::int64_t>>{{103, 1000}, {104, 1000}});
}

TEST_CASE("offsets at the ends of their range neither overflow nor pass") {
  constexpr std::int64_t most = std::numeric_limits<std::int64_t>::max();
  BatchBuilder builder({.base_offset = Offset(most)});
  REQUIRE(builder.append(record("a")).ok());
  // As a reader's, the sum wraps around.
  CHECK(builder.append_at(Offset(std::numeric_limits<std::int64_t>::min() + 5), record("b")).ok());
  BatchBuilder low({.base_offset = Offset(std::numeric_limits<std::int64_t>::min())});
  CHECK(!low.append_at(Offset(most), record("a")).ok());
  CHECK(!low.append_at(Offset(0), record("a")).ok());
}

TEST_CASE("timestamps: the first is the base, the largest is kept, below -1 is refused") {
  BatchBuilder builder;
  REQUIRE(builder.append(record("a", 500)).ok());
  REQUIRE(builder.append(record("b", -1)).ok());
  REQUIRE(builder.append(record("c", 900)).ok());
  REQUIRE(builder.append(record("d", 100)).ok());
  CHECK(error_code(builder.append(record("e", -2))) == ErrorCode::invalid_timestamp);
  CHECK(builder.max_timestamp() == Timestamp(900));
  const auto sealed = builder.seal();
  REQUIRE(sealed.ok());
  const BatchView batch(sealed->bytes());
  CHECK(batch.header().base_timestamp == Timestamp(500));
  CHECK(batch.header().max_timestamp == Timestamp(900));
  CHECK(offsets_and_timestamps(batch) ==
        std::vector<std::pair<std::int64_t, std::int64_t>>{{0, 500}, {1, -1}, {2, 900}, {3, 100}});
}

TEST_CASE("extreme timestamps and one below -1 survive being copied from another batch") {
  constexpr std::int64_t most = std::numeric_limits<std::int64_t>::max();
  constexpr std::int64_t least = std::numeric_limits<std::int64_t>::min();
  BatchBuilder builder;
  REQUIRE(builder.append_at(Offset(0), record("a", -5)).ok());
  REQUIRE(builder.append_at(Offset(1), record("b", most)).ok());
  REQUIRE(builder.append_at(Offset(2), record("c", least)).ok());
  const auto sealed = builder.seal();
  REQUIRE(sealed.ok());
  CHECK(offsets_and_timestamps(BatchView(sealed->bytes())) ==
        std::vector<std::pair<std::int64_t, std::int64_t>>{{0, -5}, {1, most}, {2, least}});
}

TEST_CASE("a delete horizon takes the base timestamp's place, and timestamps stay") {
  BatchBuilder builder({.delete_horizon = Timestamp(9999)});
  REQUIRE(builder.append(record("a", 500)).ok());
  REQUIRE(builder.append(record("b", 600)).ok());
  const auto sealed = builder.seal();
  REQUIRE(sealed.ok());
  const BatchView batch(sealed->bytes());
  CHECK(batch.header().delete_horizon() == Timestamp(9999));
  CHECK(batch.header().max_timestamp == Timestamp(600));
  CHECK(offsets_and_timestamps(batch) ==
        std::vector<std::pair<std::int64_t, std::int64_t>>{{0, 500}, {1, 600}});
}

TEST_CASE("producer fields that do not fit together are refused at the seal") {
  const auto seal = [](const BatchFields& fields) {
    BatchBuilder builder(fields);
    REQUIRE(builder.append(record("a")).ok());
    return builder.seal().status();
  };
  const ProducerId id(7);
  const ProducerEpoch epoch(0);
  CHECK(seal({.producer_id = id, .producer_epoch = epoch, .base_sequence = 0}).ok());
  CHECK(seal({.is_control = true, .producer_id = id, .producer_epoch = epoch}).ok());
  CHECK(!seal({.is_transactional = true}).ok());
  CHECK(!seal({.producer_id = id, .base_sequence = 0}).ok());
  CHECK(!seal({.producer_id = id, .producer_epoch = epoch}).ok());
}

TEST_CASE("a failed seal leaves the records, and a compressed batch needs a compressor") {
  BatchBuilder builder({.compression = CompressionType::gzip});
  REQUIRE(builder.append(record("a")).ok());
  CHECK(fault(builder.seal().status()) == Fault::invalid_argument);
  CHECK(builder.record_count() == 1);
  Compressor compressor;
  const std::size_t capacity = builder.capacity();
  const auto sealed = builder.seal(compressor);
  REQUIRE(sealed.ok());
  CHECK(builder.capacity() == capacity);  // kept for the next one
  Decompressor decompressor;
  RecordCursor records = BatchView(sealed->bytes()).records(decompressor);
  const RecordView* one = records.next();
  REQUIRE(one != nullptr);
  CHECK(as_string_view(one->value().value()) == "a");
}

TEST_CASE("a compressed batch read without a decompressor fails, with no record") {
  BatchBuilder builder({.compression = CompressionType::lz4});
  REQUIRE(builder.append(record("a")).ok());
  Compressor compressor;
  const auto sealed = builder.seal(compressor);
  REQUIRE(sealed.ok());
  RecordCursor records = BatchView(sealed->bytes()).records();
  CHECK(records.next() == nullptr);
  CHECK(fault(records.status()) == Fault::invalid_argument);
}

TEST_CASE("headers keep order, duplicates, empty keys, null and empty values") {
  const std::vector<RecordHeader> headers = {{"a", as_bytes("1")},
                                             {"", std::nullopt},
                                             {"a", as_bytes("")},
                                             {"a", as_bytes("2")},
                                             {"b", std::nullopt}};
  BatchBuilder builder;
  RecordFields fields = record("value");
  fields.headers = headers;
  REQUIRE(builder.append(fields).ok());
  const auto sealed = builder.seal();
  REQUIRE(sealed.ok());
  RecordCursor records = BatchView(sealed->bytes()).records();
  const RecordView* one = records.next();
  REQUIRE(one != nullptr);
  REQUIRE(one->headers().size() == 5);
  std::size_t i = 0;
  for (const RecordHeader& header : one->headers()) {
    CHECK(header.key == headers[i].key);
    CHECK(header.value.has_value() == headers[i].value.has_value());
    if (header.value) CHECK(as_string_view(*header.value) == as_string_view(*headers[i].value));
    ++i;
  }
  CHECK(i == 5);
  CHECK(as_string_view(*one->headers().last("a")->value) == "2");
  CHECK(!one->headers().last("b")->value.has_value());
  CHECK(!one->headers().last("c").has_value());
  CHECK(one->encoded_size() + batch_header_size == sealed->size());
}

TEST_CASE("a sequence wraps inside a batch") {
  constexpr std::int32_t most = std::numeric_limits<std::int32_t>::max();
  BatchBuilder builder({.producer_id = ProducerId(1),
                        .producer_epoch = ProducerEpoch(0),
                        .base_sequence = most - 1});
  for (int i = 0; i < 4; ++i) REQUIRE(builder.append(record("v")).ok());
  const auto sealed = builder.seal();
  REQUIRE(sealed.ok());
  RecordCursor records = BatchView(sealed->bytes()).records();
  std::vector<std::int32_t> sequences;
  while (const RecordView* one = records.next()) sequences.push_back(one->sequence());
  CHECK(sequences == std::vector<std::int32_t>{most - 1, most, 0, 1});
}
