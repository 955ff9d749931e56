// SPDX-License-Identifier: Apache-2.0
//
// Batches looked at in place: one, or all of a buffer in their order. Nothing is copied; views live
// as long as the bytes.
//   BatchCursor batches(fetched, "fetched");
//   while (const BatchView* batch = batches.next()) walk(batch->records());
//   if (!batches.ok()) return batches.status();
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <ottla/base/bytes.hpp>
#include <ottla/base/shared_bytes.hpp>
#include <ottla/record/batch_header.hpp>
#include <ottla/record/compression.hpp>
#include <ottla/record/record_view.hpp>

namespace ottla::inline OTTLA_ABI {

/// Whether a checksum is computed: `skip` for bytes that this process built, or has verified
/// already.
enum class CheckCrc : std::uint8_t { verify, skip };

/// One whole batch. Copies are cheap (100 bytes) and thread-safe, as for any view.
class BatchView {
 public:
  BatchView() = default;
  /// Before: `bytes` begin with a batch that scan_batch called `whole`; what follows it is left
  /// out.
  explicit BatchView(Bytes bytes) : header_(BatchHeader::parse(bytes)) {
    bytes_ = bytes.first(header_.size());
  }
  /// The batch at the start of `bytes`; an error as of `batch_error` when there is no whole one.
  static absl::StatusOr<BatchView> parse(Bytes bytes, CheckCrc check = CheckCrc::verify);

  const BatchHeader& header() const { return header_; }
  Bytes bytes() const { return bytes_; }
  std::size_t size() const { return bytes_.size(); }
  /// What follows the header: the records, or one compressed blob.
  Bytes payload() const { return bytes_.subspan(batch_header_size); }
  bool is_compressed() const { return header_.compression() != CompressionType::none; }

  bool checksum_matches() const { return ottla::checksum_matches(bytes_); }
  /// CORRUPT_MESSAGE when the checksum does not match.
  absl::Status verify() const;

  /// The records of a batch that is not compressed; of a compressed one a cursor that fails at
  /// once.
  RecordCursor records() const;
  /// The records of any batch. Where it is compressed they lie in memory of `decompressor`, until
  /// it is used again.
  RecordCursor records(Decompressor& decompressor) const;
  /// The same, for records that are kept: `payload` becomes their owner (this batch's own is left
  /// empty when it is not compressed). `decompressor` is free again at once.
  RecordCursor records(Decompressor& decompressor, SharedBytes& payload) const;

 private:
  BatchHeader header_;
  Bytes bytes_;
};

/// Walks the batches of a buffer. Stops before a batch that is not there completely: that is no
/// error, as each fetched buffer may end in one. Not thread-safe.
class BatchCursor {
 public:
  BatchCursor() = default;
  /// `where`: what errors call the buffer. `max_batch_size`: a batch that declares more bytes is
  /// CORRUPT_MESSAGE.
  explicit BatchCursor(Bytes bytes, std::string_view where = "a buffer",
                       CheckCrc check = CheckCrc::verify, std::size_t max_batch_size = SIZE_MAX)
      : bytes_(bytes), where_(where), max_batch_size_(max_batch_size), check_(check) {}

  /// The next batch, valid until the next call; null at the end, at a partial batch and at an
  /// error.
  const BatchView* next();

  /// Where the next batch begins: after the end of the walk, how many bytes were good.
  std::size_t position() const { return position_; }
  /// The walk ended before a batch that is not all there.
  bool at_partial() const { return at_partial_; }
  /// Declared size of that batch; 0 when too few bytes were left to tell.
  std::size_t partial_size() const { return partial_size_; }
  bool ok() const { return status_.ok(); }
  const absl::Status& status() const { return status_; }
  /// Why an error ended the walk: `whole` when the checksum did.
  BatchVerdict verdict() const { return verdict_; }

 private:
  const BatchView* fail(absl::Status status);

  BatchView batch_;
  Bytes bytes_;
  std::size_t position_ = 0;
  std::size_t partial_size_ = 0;
  std::string_view where_;
  std::size_t max_batch_size_ = SIZE_MAX;
  CheckCrc check_ = CheckCrc::verify;
  BatchVerdict verdict_ = BatchVerdict::whole;
  bool at_partial_ = false;
  absl::Status status_;
};

}  // namespace ottla::inline OTTLA_ABI

#ifndef OTTLA_COMPILED
#include <ottla/record/impl/batch_view.ipp>
#endif
