// SPDX-License-Identifier: Apache-2.0
//
// The head of a batch, and a walk over a buffer of batches: verdicts as a plain decoder gives them,
// never a byte beyond the buffer, and the checksum noticed.
#include <algorithm>

#include <ottla/record/batch_view.hpp>

#include "fuzz.hpp"

using namespace ottla;

namespace {

std::int64_t big_endian(Bytes bytes, std::size_t at, std::size_t n) {
  std::uint64_t value = (bytes[at] & std::byte{0x80}) != std::byte{0} ? ~std::uint64_t{0} : 0;
  for (std::size_t i = 0; i < n; ++i) {
    value = value << 8 | std::to_integer<std::uint64_t>(bytes[at + i]);
  }
  return static_cast<std::int64_t>(value);
}

BatchVerdict plain_verdict(Bytes bytes) {
  if (bytes.size() < 12) {
    return BatchVerdict::partial;
  }
  const std::int64_t length = big_endian(bytes, 8, 4);
  if (length < 14 || length + 12 > INT32_MAX) {
    return BatchVerdict::corrupt_length;
  }
  if (bytes.size() < 17) {
    return BatchVerdict::partial;
  }
  const std::int64_t magic = big_endian(bytes, 16, 1);
  if (magic < 0 || magic > 2) {
    return BatchVerdict::corrupt_magic;
  }
  if (length + 12 > static_cast<std::int64_t>(bytes.size())) {
    return BatchVerdict::partial;
  }
  return magic < 2 ? BatchVerdict::old_format
                   : (length < 49 ? BatchVerdict::too_small : BatchVerdict::whole);
}

void check_header(Bytes batch) {
  const BatchHeader header = BatchHeader::parse(batch);
  std::byte written[batch_header_size];
  header.write(written);
  fuzz::require(std::equal(std::begin(written), std::end(written), batch.begin()),
                "a header is written differently");
  fuzz::require(header.size() == batch.size(), "a header gives another size");
  fuzz::require(header.base_offset.value() == big_endian(batch, 0, 8) &&
                    header.last_offset_delta == big_endian(batch, 23, 4) &&
                    header.producer_id.value() == big_endian(batch, 43, 8) &&
                    header.record_count == big_endian(batch, 57, 4),
                "a field has another value");
  (void)header.last_offset();
  (void)header.last_sequence();
}

void check_stamps(std::vector<std::byte> copy) {
  stamp_checksum(copy);
  fuzz::require(checksum_matches(copy), "a stamped checksum does not match");
  stamp_offset_and_epoch(copy, Offset(INT64_MAX), LeaderEpoch(7));
  fuzz::require(checksum_matches(copy), "offset and epoch lie in the checksum");
  stamp_max_timestamp(copy, TimestampType::log_append_time, Timestamp(12));
  const auto view = BatchView::parse(copy);
  fuzz::require(view.ok() && view->header().max_timestamp == Timestamp(12) &&
                    view->header().timestamp_type() == TimestampType::log_append_time &&
                    view->header().base_offset == Offset(INT64_MAX),
                "a stamp is not read");
}

void walk(Bytes bytes, CheckCrc check, std::size_t max_batch_size) {
  BatchCursor batches(bytes, "a buffer", check, max_batch_size);
  std::size_t position = 0;
  while (const BatchView* batch = batches.next()) {
    fuzz::require(batch->bytes().data() == bytes.data() + position &&
                      batch->size() >= batch_header_size && batch->size() <= max_batch_size &&
                      batch->size() <= bytes.size() - position,
                  "a batch lies elsewhere");
    fuzz::require(check == CheckCrc::skip || batch->checksum_matches(),
                  "a checksum was passed over");
    position += batch->size();
    fuzz::require(batches.position() == position, "the walk is elsewhere");
  }
  fuzz::require(batches.position() == position, "the end of the walk is elsewhere");
  if (batches.ok()) {
    fuzz::require(position == bytes.size() || batches.at_partial(), "the walk ends early");
  } else {
    fuzz::require(error_code(batches.status()) == ErrorCode::corrupt_message ||
                      error_code(batches.status()) == ErrorCode::unsupported_for_message_format,
                  "an error of another kind", batches.status().ToString());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Bytes bytes = fuzz::bytes(data, size);
  const BatchVerdict verdict = plain_verdict(bytes);
  const ScannedBatch by_head = scan_batch(bytes.first(std::min(size, batch_scan_size)), size);
  fuzz::require(by_head.verdict == verdict && scan_batch(bytes, size).verdict == verdict,
                "another verdict");
  if (verdict == BatchVerdict::whole) {
    const Bytes batch = bytes.first(by_head.size);
    check_header(batch);
    check_stamps({batch.begin(), batch.end()});
  } else {
    fuzz::require(!batch_error(verdict, "x", 0).ok(), "no error for a bad verdict");
  }
  walk(bytes, CheckCrc::verify, SIZE_MAX);
  walk(bytes, CheckCrc::skip, SIZE_MAX);
  walk(bytes, CheckCrc::skip, 100);
  return 0;
}
