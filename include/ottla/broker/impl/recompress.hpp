// SPDX-License-Identifier: Apache-2.0
//
// A produced batch in the codec that its topic stores. Source: spec storage.md section 7, rule 7.
#pragma once

#include <optional>
#include <vector>

#include <ottla/base/status.hpp>
#include <ottla/broker/topic_config.hpp>
#include <ottla/record/batch_builder.hpp>
#include <ottla/record/batch_view.hpp>
#include <ottla/record/compression.hpp>

namespace ottla::inline OTTLA_ABI::broker_impl {

inline bool is_recompressed(const TopicConfig& config, const BatchHeader& header) {
  return config.compression != TopicCompression::producer &&
         static_cast<CompressionType>(config.compression) != header.compression();
}

inline std::optional<int> compression_level(const TopicConfig& config) {
  switch (config.compression) {
    case TopicCompression::gzip:
      return config.gzip_level;
    case TopicCompression::lz4:
      return config.lz4_level;
    case TopicCompression::zstd:
      return config.zstd_level;
    default:
      return std::nullopt;
  }
}

/// The same records, producer and flags. Before: what there is to check of `batch` was checked.
inline absl::StatusOr<SealedBatch> recompress(const BatchView& batch, const TopicConfig& config) {
  const BatchHeader& header = batch.header();
  Decompressor decompressor;
  const std::size_t most = decompressor.limits().max_bytes;
  if (batch.payload().size() > most) {
    return error(
        ErrorCode::message_too_large, Fault::limit_reached,
        absl::StrCat("a batch of ", batch.payload().size(),
                     " bytes is to be compressed by the topic's compression.type, and none "
                     "of more than ",
                     most, " can be read then; send smaller ones"));
  }
  BatchBuilder builder({.compression = static_cast<CompressionType>(config.compression),
                        .compression_level = compression_level(config),
                        .is_transactional = header.is_transactional(),
                        .producer_id = header.producer_id,
                        .producer_epoch = header.producer_epoch,
                        .base_sequence = header.base_sequence});
  std::vector<RecordHeader> headers;
  RecordCursor records = batch.records(decompressor);
  while (const RecordView* record = records.next()) {
    headers.clear();
    for (const RecordHeader& each : record->headers()) {
      headers.push_back(each);
    }
    OTTLA_TRY(builder.append_at(record->offset(), {.timestamp = record->timestamp(),
                                                   .key = record->key(),
                                                   .value = record->value(),
                                                   .headers = headers}));
  }
  OTTLA_TRY(records.status());
  Compressor compressor;
  return builder.seal(compressor);
}

}  // namespace ottla::inline OTTLA_ABI::broker_impl
