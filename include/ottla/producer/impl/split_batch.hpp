// SPDX-License-Identifier: Apache-2.0
//
// A batch that the broker finds too large goes on as smaller ones with the same records.
#pragma once

#include <algorithm>
#include <iterator>
#include <list>
#include <utility>
#include <vector>

#include <absl/status/statusor.h>

#include <ottla/base/status.hpp>
#include <ottla/producer/accumulator.hpp>
#include <ottla/record/batch_view.hpp>

namespace ottla::inline OTTLA_ABI {
namespace producer_impl {

/// Bytes of a piece, not compressed: `batch.size` where the batch is larger, else its half. So
/// there are at least two.
inline std::size_t piece_size(std::size_t whole, const BatchingOptions& options) {
  const auto batch_size = static_cast<std::size_t>(options.batch_size);
  return batch_size != 0 && batch_size < whole ? batch_size : whole / 2;
}

/// Pieces of `whole`, whose bytes came back as `refused`; the last one has its memory. Before: more
/// than one record.
inline absl::StatusOr<std::list<ClosedBatch>> split_batch(const ClosedBatch& whole, Bytes refused,
                                                          const BatchingOptions& options) {
  OTTLA_ASSIGN(const BatchView view, BatchView::parse(refused, CheckCrc::skip));
  Decompressor decompressor({.max_bytes = SIZE_MAX});
  RecordCursor measured = view.records(decompressor);
  std::size_t size = batch_header_size;
  while (const RecordView* record = measured.next()) {
    size += record->encoded_size();
  }
  OTTLA_TRY(measured.status());
  const std::size_t limit = piece_size(size, options);
  std::list<ClosedBatch> pieces;
  std::vector<RecordHeader> headers;
  RecordCursor records = view.records(decompressor);
  std::int32_t index = 0;
  for (; const RecordView* record = records.next(); ++index) {
    headers.assign(record->headers().begin(), record->headers().end());
    const RecordFields fields{.timestamp = record->timestamp(),
                              .key = record->key(),
                              .value = record->value(),
                              .headers = headers};
    if (pieces.empty() || pieces.back().builder.size_with(fields) > limit) {
      ClosedBatch& piece = pieces.emplace_back();
      piece.number = whole.number;
      piece.first_index = whole.first_index + index;
      piece.attempts = whole.attempts;
      piece.opened = whole.opened;
      piece.builder = BatchBuilder(options.fields);
    }
    ClosedBatch& piece = pieces.back();
    OTTLA_TRY(piece.builder.append(fields));
    ++piece.records;
    if (options.keep_tags) {
      piece.tags.push_back(whole.tags[static_cast<std::size_t>(index)]);
    }
  }
  if (!records.ok() || index != whole.records || pieces.size() < 2) {
    return error(Fault::internal, "a batch that is to be split does not hold its records");
  }
  pieces.back().charged = whole.charged;
  return pieces;
}

}  // namespace producer_impl
}  // namespace ottla::inline OTTLA_ABI
