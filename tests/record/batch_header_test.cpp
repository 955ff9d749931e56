// SPDX-License-Identifier: Apache-2.0
#include <limits>

#include <ottla/base/crc32c.hpp>
#include <ottla/record/batch_builder.hpp>
#include <ottla/record/batch_view.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/golden.hpp"

using namespace ottla;

namespace {

std::vector<std::byte> batch_of(std::string_view value) {
  BatchBuilder builder;
  REQUIRE(builder.append({.timestamp = Timestamp(1000), .value = as_bytes(value)}).ok());
  const auto sealed = builder.seal();
  REQUIRE(sealed.ok());
  return {sealed->bytes().begin(), sealed->bytes().end()};
}

BatchVerdict verdict(Bytes bytes) { return scan_batch(bytes, bytes.size()).verdict; }

void set_length(std::vector<std::byte>& batch, std::int32_t length) {
  store_big_endian(&batch[batch_position::batch_length], length);
}

}  // namespace

TEST_CASE("a header that was written reads back field by field") {
  const BatchHeader header{.base_offset = Offset(0x0102030405060708),
                           .batch_length = 0x11121314,
                           .leader_epoch = LeaderEpoch(0x21222324),
                           .magic = 2,
                           .crc = 0xf1f2f3f4,
                           .attributes = 0x3132,
                           .last_offset_delta = 0x41424344,
                           .base_timestamp = Timestamp(0x5152535455565758),
                           .max_timestamp = Timestamp(0x6162636465666768),
                           .producer_id = ProducerId(0x7172737475767778),
                           .producer_epoch = ProducerEpoch(0x0182),
                           .base_sequence = 0x11223344,
                           .record_count = 0x55667788};
  std::vector<std::byte> bytes(batch_header_size);
  header.write(bytes.data());
  CHECK(golden::to_hex(bytes) ==
        "01020304050607081112131421222324"
        "02f1f2f3f4313241424344515253545556575861626364656667687172737475767778"
        "01821122334455667788");
  CHECK(BatchHeader::parse(bytes) == header);
}

TEST_CASE("attribute bits say what Kafka says with them") {
  BatchHeader header;
  for (int bits = 0; bits < 128; ++bits) {
    header.attributes = static_cast<std::int16_t>(bits);
    header.base_timestamp = Timestamp(77);
    CHECK(static_cast<int>(header.compression()) == bits % 8);
    CHECK(is_known(header.compression()) == (bits % 8 <= 4));
    CHECK((header.timestamp_type() == TimestampType::log_append_time) == ((bits & 8) != 0));
    CHECK(header.is_transactional() == ((bits & 16) != 0));
    CHECK(header.is_control() == ((bits & 32) != 0));
    CHECK(header.delete_horizon().has_value() == ((bits & 64) != 0));
  }
  CHECK(header.delete_horizon() == Timestamp(77));
}

TEST_CASE("last offset and sequence follow from the deltas, and wrap around") {
  BatchHeader header{.base_offset = Offset(100), .last_offset_delta = 9, .base_sequence = 5};
  CHECK(header.last_offset() == Offset(109));
  CHECK(header.next_offset() == Offset(110));
  CHECK(header.last_sequence() == 14);
  header.base_sequence = std::numeric_limits<std::int32_t>::max() - 3;
  CHECK(header.last_sequence() == 5);
  header.base_sequence = -1;
  CHECK(header.last_sequence() == no_sequence);
  header.base_offset = Offset(std::numeric_limits<std::int64_t>::max());
  header.last_offset_delta = std::numeric_limits<std::int32_t>::max();
  CHECK(header.last_offset().value() == std::numeric_limits<std::int64_t>::min() + 2147483646);
  CHECK(header.next_offset() == header.last_offset() + 1);
}

TEST_CASE("a scan tells whole, partial and corrupt apart at every length") {
  const std::vector<std::byte> batch = batch_of("value");
  for (std::size_t size = 0; size < batch.size(); ++size) {
    INFO(size);
    const ScannedBatch scanned = scan_batch(Bytes(batch).first(size), size);
    CHECK(scanned.verdict == BatchVerdict::partial);
    CHECK(scanned.size == (size < 12 ? 0 : batch.size()));
  }
  std::vector<std::byte> longer = batch;
  longer.push_back(std::byte{7});
  CHECK(verdict(batch) == BatchVerdict::whole);
  CHECK(verdict(longer) == BatchVerdict::whole);
  CHECK(scan_batch(longer, longer.size()).size == batch.size());
  // The head of a file's rest is enough.
  const Bytes head = Bytes(batch).first(batch_scan_size);
  CHECK(scan_batch(head, batch.size()).verdict == BatchVerdict::whole);
  CHECK(scan_batch(head, batch.size() - 1).verdict == BatchVerdict::partial);
}

TEST_CASE("a scan refuses lengths that no batch has") {
  std::vector<std::byte> batch = batch_of("value");
  constexpr std::int32_t most = std::numeric_limits<std::int32_t>::max();
  for (const std::int32_t length :
       {13, 0, -1, std::numeric_limits<std::int32_t>::min(), most, most - 11}) {
    set_length(batch, length);
    INFO(length);
    CHECK(verdict(batch) == BatchVerdict::corrupt_length);
    CHECK(verdict(Bytes(batch).first(12)) == BatchVerdict::corrupt_length);
  }
  set_length(batch, 14);
  CHECK(verdict(batch) == BatchVerdict::too_small);
  set_length(batch, 48);
  CHECK(verdict(batch) == BatchVerdict::too_small);
  set_length(batch, 49);
  CHECK(verdict(batch) == BatchVerdict::whole);
  set_length(batch, most - 12);
  CHECK(verdict(batch) == BatchVerdict::partial);
}

TEST_CASE("a scan looks at the magic byte before the size, and old formats are named") {
  std::vector<std::byte> batch = batch_of("value");
  for (int magic = -128; magic < 128; ++magic) {
    batch[batch_position::magic] = static_cast<std::byte>(magic);
    INFO(magic);
    const BatchVerdict expected = magic == 2                 ? BatchVerdict::whole
                                  : magic == 0 || magic == 1 ? BatchVerdict::old_format
                                                             : BatchVerdict::corrupt_magic;
    CHECK(verdict(batch) == expected);
    CHECK(verdict(Bytes(batch).first(17)) == (expected == BatchVerdict::corrupt_magic
                                                  ? BatchVerdict::corrupt_magic
                                                  : BatchVerdict::partial));
  }
  const absl::Status old = batch_error(BatchVerdict::old_format, "t-0/0.log", 1234);
  CHECK(error_code(old) == ErrorCode::unsupported_for_message_format);
  CHECK(sv(old.message()).find("1234 of t-0/0.log") != std::string_view::npos);
  for (const auto verdict : {BatchVerdict::partial, BatchVerdict::corrupt_length,
                             BatchVerdict::corrupt_magic, BatchVerdict::too_small}) {
    CHECK(error_code(batch_error(verdict, "x", 0)) == ErrorCode::corrupt_message);
    CHECK(fault(batch_error(verdict, "x", 0)) == Fault::corrupt);
  }
  CHECK(batch_error(BatchVerdict::whole, "x", 0).ok());
}

TEST_CASE("offset and epoch are stamped outside the checksum") {
  std::vector<std::byte> batch = batch_of("value");
  const std::vector<std::byte> before = batch;
  stamp_offset_and_epoch(batch, Offset(77), LeaderEpoch(5));
  CHECK(checksum_matches(batch));
  CHECK(BatchView(batch).header().base_offset == Offset(77));
  CHECK(BatchView(batch).header().leader_epoch == LeaderEpoch(5));
  stamp_offset_and_epoch(batch, Offset(0), no_leader_epoch);
  CHECK(batch == before);
}

TEST_CASE("the append time is stamped with a new checksum, and taken off again") {
  std::vector<std::byte> batch = batch_of("value");
  const std::vector<std::byte> before = batch;
  stamp_max_timestamp(batch, TimestampType::log_append_time, Timestamp(5000));
  CHECK(checksum_matches(batch));
  const BatchView view(batch);
  CHECK(view.header().base_timestamp == Timestamp(1000));
  RecordCursor records = view.records();
  const RecordView* record = records.next();
  REQUIRE(record != nullptr);
  CHECK(record->timestamp() == Timestamp(5000));
  stamp_max_timestamp(batch, TimestampType::create_time, Timestamp(1000));
  CHECK(batch == before);
}

TEST_CASE("the checksum covers every byte from the attributes on, and none before") {
  std::vector<std::byte> batch = batch_of("value");
  CHECK(batch_checksum(batch) == crc32c_portable(Bytes(batch).subspan(21)));
  for (std::size_t at = 0; at < batch.size(); ++at) {
    const bool is_outside = at < 17;
    batch[at] ^= std::byte{0x40};
    INFO(at);
    CHECK(checksum_matches(batch) == is_outside);
    batch[at] ^= std::byte{0x40};
  }
}

TEST_CASE("a cursor walks batch after batch and stops before one that is cut") {
  std::vector<std::byte> buffer;
  std::vector<std::size_t> ends = {0};
  for (const std::string_view value : {"a", "bb", "ccc"}) {
    const auto batch = batch_of(value);
    buffer.insert(buffer.end(), batch.begin(), batch.end());
    ends.push_back(buffer.size());
  }
  for (std::size_t size = 0; size <= buffer.size(); ++size) {
    INFO(size);
    BatchCursor batches(Bytes(buffer).first(size));
    std::size_t count = 0;
    while (batches.next() != nullptr) ++count;
    CHECK(batches.ok());
    CHECK(ends[count] <= size);
    CHECK((count == 3 || ends[count + 1] > size));
    CHECK(batches.position() == ends[count]);
    CHECK(batches.at_partial() == (size != ends[count]));
    if (size >= ends[count] + 12) {
      CHECK(batches.partial_size() == (count == 3 ? 0 : ends[count + 1] - ends[count]));
    }
  }
}

TEST_CASE("a cursor says where damage is, and may skip checksums or cap sizes") {
  std::vector<std::byte> buffer = batch_of("first");
  const std::size_t first = buffer.size();
  const std::vector<std::byte> second = batch_of("second");
  buffer.insert(buffer.end(), second.begin(), second.end());
  buffer.back() ^= std::byte{1};

  BatchCursor checked(buffer, "t-0/7.log");
  REQUIRE(checked.next() != nullptr);
  CHECK(checked.next() == nullptr);
  CHECK(error_code(checked.status()) == ErrorCode::corrupt_message);
  CHECK(sv(checked.status().message()).find("byte " + std::to_string(first) + " of t-0/7.log") !=
        std::string_view::npos);
  CHECK(checked.position() == first);
  CHECK(checked.next() == nullptr);

  BatchCursor trusting(buffer, "x", CheckCrc::skip);
  CHECK(trusting.next() != nullptr);
  CHECK(trusting.next() != nullptr);
  CHECK(trusting.next() == nullptr);
  CHECK(trusting.ok());

  BatchCursor capped(buffer, "x", CheckCrc::verify, first);
  CHECK(capped.next() != nullptr);
  CHECK(capped.next() == nullptr);
  CHECK(error_code(capped.status()) == ErrorCode::corrupt_message);
}

TEST_CASE("a single batch is parsed with or without its checksum") {
  std::vector<std::byte> batch = batch_of("value");
  CHECK(BatchView::parse(batch).ok());
  batch.back() ^= std::byte{1};
  CHECK(error_code(BatchView::parse(batch).status()) == ErrorCode::corrupt_message);
  CHECK(BatchView::parse(batch, CheckCrc::skip).ok());
  CHECK(error_code(BatchView::parse(Bytes(batch).first(60)).status()) ==
        ErrorCode::corrupt_message);
  CHECK(!BatchView::parse(Bytes()).ok());
}
