// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <absl/strings/str_cat.h>

#include <ottla/base/status.hpp>
#include <ottla/record/batch_view.hpp>

namespace ottla::inline OTTLA_ABI {

OTTLA_INLINE absl::StatusOr<BatchView> BatchView::parse(Bytes bytes, CheckCrc check) {
  const ScannedBatch scanned = scan_batch(bytes, bytes.size());
  if (scanned.verdict != BatchVerdict::whole) {
    return batch_error(scanned.verdict, "a buffer", 0);
  }
  BatchView batch(bytes);
  if (check == CheckCrc::verify) {
    OTTLA_TRY(batch.verify());
  }
  return batch;
}

OTTLA_INLINE absl::Status BatchView::verify() const {
  const std::uint32_t computed = batch_checksum(bytes_);
  if (computed == header_.crc) {
    return absl::OkStatus();
  }
  return error(ErrorCode::corrupt_message, Fault::corrupt,
               absl::StrCat("record batch at offset ", header_.base_offset.value(), " of ", size(),
                            " bytes: its checksum is stored as ", header_.crc, " and computes as ",
                            computed));
}

OTTLA_INLINE RecordCursor BatchView::records() const {
  if (!is_compressed()) {
    return RecordCursor(header_, payload());
  }
  return RecordCursor(header_, Bytes(),
                      error(Fault::invalid_argument,
                            "BatchView::records: a compressed batch needs a Decompressor"));
}

OTTLA_INLINE RecordCursor BatchView::records(Decompressor& decompressor) const {
  if (!is_compressed()) {
    return RecordCursor(header_, payload());
  }
  Decompressed out = decompressor.decompress(header_.compression(), payload());
  return RecordCursor(header_, out.bytes, std::move(out.status));
}

OTTLA_INLINE RecordCursor BatchView::records(Decompressor& decompressor,
                                             SharedBytes& payload) const {
  payload = SharedBytes();
  if (!is_compressed()) {
    return RecordCursor(header_, this->payload());
  }
  Decompressed out = decompressor.decompress(header_.compression(), this->payload());
  payload = SharedBytes::copy_of(out.bytes);
  if (payload.size() != out.bytes.size()) {
    return RecordCursor(
        header_, Bytes(),
        error(Fault::no_memory,
              absl::StrCat("no memory for a decompressed batch of ", out.bytes.size(), " bytes")));
  }
  return RecordCursor(header_, payload.bytes(), std::move(out.status));
}

OTTLA_INLINE const BatchView* BatchCursor::next() {
  if (!status_.ok() || at_partial_ || position_ == bytes_.size()) {
    return nullptr;
  }
  const Bytes rest = bytes_.subspan(position_);
  const ScannedBatch scanned = scan_batch(rest, rest.size());
  if (scanned.size > max_batch_size_) {
    return fail(
        error(ErrorCode::corrupt_message, Fault::corrupt,
              absl::StrCat("record batch at byte ", position_, " of ", av(where_), ": it declares ",
                           scanned.size, " bytes, and at most ", max_batch_size_, " are allowed")));
  }
  verdict_ = scanned.verdict;
  if (scanned.verdict == BatchVerdict::partial) {
    at_partial_ = true;
    partial_size_ = scanned.size;
    return nullptr;
  }
  if (scanned.verdict != BatchVerdict::whole) {
    return fail(batch_error(scanned.verdict, where_, position_));
  }
  batch_ = BatchView(rest);
  if (check_ == CheckCrc::verify && !batch_.checksum_matches()) {
    return fail(annotate(batch_.verify(), absl::StrCat("byte ", position_, " of ", av(where_))));
  }
  position_ += scanned.size;
  return &batch_;
}

OTTLA_INLINE const BatchView* BatchCursor::fail(absl::Status status) {
  status_ = std::move(status);
  return nullptr;
}

}  // namespace ottla::inline OTTLA_ABI
