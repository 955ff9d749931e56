// SPDX-License-Identifier: Apache-2.0
//
// A batch with records under each codec. The input is a batch; length, magic and checksum are made
// right, so that what is behind them is reached. Without a codec the records are those of the plain
// decoder; what can be written again reads the same; memory stays within the limit.
#include <memory>

#include <ottla/record/batch_builder.hpp>
#include <ottla/record/batch_view.hpp>
#include <ottla/record/control_record.hpp>

#include "fuzz.hpp"
#include "tests/record/random_batch.hpp"
#include "tests/record/reference_decoder.hpp"

using namespace ottla;

namespace {

constexpr std::size_t limit = std::size_t{256} << 10;
// The codecs' own states; zstd takes a window of up to 8 MiB for a damaged frame.
constexpr std::size_t codec_memory = std::size_t{10} << 20;

struct Walked {
  std::vector<RandomRecord> records;
  bool whole = false;
};

Walked walk(const BatchView& batch, Decompressor& decompressor) {
  Walked walked;
  RecordCursor records = batch.records(decompressor);
  while (const RecordView* record = records.next()) {
    (void)parse_marker(*record);
    (void)record->sequence();
    fuzz::require(record->payload_size() <= record->encoded_size(), "sizes do not fit");
    walked.records.push_back(copy_of(*record));
  }
  walked.whole = records.ok();
  fuzz::require(
      walked.records.size() <= static_cast<std::size_t>(std::max(batch.header().record_count, 0)),
      "more records than declared");
  fuzz::require(!walked.whole ||
                    walked.records.size() == static_cast<std::size_t>(batch.header().record_count),
                "fewer records than declared");
  if (!records.ok()) {
    const ErrorCode code = error_code(records.status());
    fuzz::require(code == ErrorCode::invalid_record || code == ErrorCode::message_too_large ||
                      code == ErrorCode::unsupported_compression_type,
                  "an error of another kind", records.status().ToString());
  }
  return walked;
}

/// `a - b`, wrapping around.
std::int64_t difference(std::int64_t a, std::int64_t b) {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(a) - static_cast<std::uint64_t>(b));
}

void compare_with_plain(const BatchView& batch, const Walked& walked) {
  const auto [records, whole] =
      reference::Decoder(batch.payload()).decode(batch.header().record_count);
  fuzz::require(whole == walked.whole && records.size() == walked.records.size(),
                "another verdict than the plain decoder's");
  const bool own_time = batch.header().timestamp_type() == TimestampType::create_time;
  for (std::size_t i = 0; i < records.size(); ++i) {
    const reference::Record& plain = records[i];
    const RandomRecord& ours = walked.records[i];
    fuzz::require(
        plain.key == ours.key && plain.value == ours.value && plain.headers == ours.headers &&
            plain.offset_delta == static_cast<std::int32_t>(difference(
                                      ours.offset, batch.header().base_offset.value())) &&
            (!own_time || plain.timestamp_delta ==
                              difference(ours.timestamp, batch.header().base_timestamp.value())),
        "another record than the plain decoder's");
  }
}

void write_again(const BatchView& batch, const Walked& walked, Decompressor& decompressor) {
  const BatchHeader& header = batch.header();
  BatchFields fields{.base_offset = header.base_offset,
                     .leader_epoch = header.leader_epoch,
                     .compression = header.compression(),
                     .delete_horizon = header.delete_horizon(),
                     .is_transactional = header.is_transactional(),
                     .is_control = header.is_control(),
                     .producer_id = header.producer_id,
                     .producer_epoch = header.producer_epoch,
                     .base_sequence = header.base_sequence};
  if (header.timestamp_type() == TimestampType::log_append_time) {
    fields.log_append_time = header.max_timestamp;
  }
  BatchBuilder builder(fields);
  std::vector<RecordHeader> headers;
  for (const RandomRecord& record : walked.records) {
    if (!builder.append_at(Offset(record.offset), fields_of(record, headers)).ok()) {
      return;  // offsets that no writer gives
    }
  }
  if (builder.empty() || !builder.set_last_offset(header.last_offset()).ok()) {
    return;
  }
  static Compressor compressor;
  const auto sealed = builder.seal(compressor);
  if (!sealed.ok()) {
    return;  // producer fields that do not fit together
  }
  const auto again = BatchView::parse(sealed->bytes());
  fuzz::require(again.ok(), "what was written is no batch", again.status().ToString());
  const Walked second = walk(*again, decompressor);
  fuzz::require(second.whole && second.records == walked.records,
                "what was written reads differently");
  fuzz::require(again->header().last_offset() == header.last_offset() &&
                    again->header().compression() == header.compression() &&
                    again->header().producer_id == header.producer_id,
                "another header");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < batch_header_size) {
    return 0;
  }
  const auto exact = std::make_unique<std::byte[]>(size);
  const MutableBytes bytes(exact.get(), size);
  std::copy_n(fuzz::bytes(data, size).begin(), size, bytes.begin());
  store_big_endian(&bytes[batch_position::batch_length], static_cast<std::int32_t>(size - 12));
  bytes[batch_position::magic] = std::byte{2};
  stamp_checksum(bytes);
  const auto batch = BatchView::parse(bytes);
  fuzz::require(batch.ok(), "a whole batch is refused", batch.status().ToString());

  Decompressor decompressor({.max_bytes = limit});
  {
    const fuzz::MemoryBound bound(2 * limit + codec_memory);
    const Decompressed all =
        decompressor.decompress(batch->header().compression(), batch->payload());
    fuzz::require(all.bytes.size() <= limit, "more than the limit came out");
  }
  const Walked walked = walk(*batch, decompressor);
  if (!batch->is_compressed()) {
    compare_with_plain(*batch, walked);
  }
  if (walked.whole) {
    write_again(*batch, walked, decompressor);
  }
  return 0;
}
