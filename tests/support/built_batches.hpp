// SPDX-License-Identifier: Apache-2.0
//
// Batches as a log holds them, and what becomes of them when bytes are changed.
#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include <ottla/record/batch_builder.hpp>

namespace test {

/// Records "v<offset>" from `first` on, as one batch.
inline ottla::SharedBytes batch_of(std::int64_t first, int records,
                                   ottla::BatchFields fields = {}) {
  fields.base_offset = ottla::Offset(first);
  ottla::BatchBuilder builder(fields);
  ottla::Compressor compressor;
  for (int i = 0; i < records; ++i) {
    const std::string value = "v" + std::to_string(first + i);
    builder
        .append({.timestamp = ottla::Timestamp(1'000 + first + i), .value = ottla::as_bytes(value)})
        .IgnoreError();
  }
  ottla::SealedBatch sealed = *builder.seal(compressor);
  sealed.stamp(ottla::Offset(first), ottla::LeaderEpoch(3));
  return std::move(sealed).freeze();
}

/// The same bytes, changed by `change`, with a checksum that matches again where `sign`.
template <class Change>
ottla::SharedBytes changed(const ottla::SharedBytes& bytes, bool sign, Change change) {
  ottla::SealedBatch copy = ottla::SealedBatch::copy_of(bytes.bytes());
  change(copy.mutable_bytes());
  if (sign) ottla::stamp_checksum(copy.mutable_bytes());
  return std::move(copy).freeze();
}

}  // namespace test
