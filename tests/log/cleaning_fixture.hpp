// SPDX-License-Identifier: Apache-2.0
//
// Compacting a log in one line, and keyed records to compact.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <ottla/log/log_cleaning.hpp>

#include "log_fixture.hpp"

namespace log_test {

/// Key, and value or tombstone.
using Keyed = std::pair<std::string, std::optional<std::string>>;

inline Batch keyed_batch(std::int64_t base, const std::vector<Keyed>& records,
                         std::int64_t timestamp = t0) {
  BatchBuilder builder({.base_offset = Offset(base), .leader_epoch = LeaderEpoch(0)});
  for (const auto& [key, value] : records) {
    RecordFields fields{.timestamp = Timestamp(timestamp), .key = as_bytes(key)};
    if (value) {
      fields.value = as_bytes(*value);
    }
    must(builder.append(fields));
  }
  SharedBytes bytes = must(builder.seal()).freeze();
  const BatchFacts facts = BatchFacts::of(BatchHeader::parse(bytes.bytes()));
  return {std::move(bytes), facts};
}

/// What a reader of all records knows of each key at last; nothing of a key that was deleted.
inline std::map<std::string, std::string> latest(const LogView& view) {
  std::map<std::string, std::string> latest;
  const auto buffers = make_ref<ReadBuffers>();
  Decompressor decompressor;
  for (Offset at = view.start(); at < view.end();) {
    const LogRead read = must(view.read({at, view.end(), 1 << 20}, *buffers));
    if (read.pieces.empty()) {
      break;
    }
    for (const SharedBytes& piece : read.pieces) {
      BatchCursor batches(piece.bytes());
      while (const BatchView* batch = batches.next()) {
        RecordCursor cursor = batch->records(decompressor);
        while (const RecordView* record = cursor.next()) {
          const std::string key(as_string_view(record->key().value_or(Bytes())));
          latest.erase(key);
          if (const auto value = record->value()) {
            latest.emplace(key, as_string_view(*value));
          }
        }
        must(cursor.status());
        at = batch->header().next_offset();
      }
      must(batches.status());
    }
  }
  return latest;
}

struct CleaningSettings {
  std::optional<Offset> checkpoint = {};
  CleaningConfig config = {.min_dirty_ratio = 0};
  LogCleaningOptions options = {.now = Timestamp(t0)};
  std::optional<Offset> last_stable = {};  ///< else the end
};

/// Nothing where nothing is to be cleaned.
inline absl::StatusOr<Ref<LogCleaning>> begin_cleaning(Log& log, const CleaningSettings& settings) {
  const CleaningBounds bounds{log.start(), settings.last_stable.value_or(log.end()),
                              log.durable_end(), log.end()};
  auto look = LogCleaning::look(log.view(), bounds, settings.checkpoint, settings.config,
                                settings.options.now);
  if (!look.ok()) {
    return look.status();
  }
  if (!look->range.is_due(settings.config)) {
    return Ref<LogCleaning>();
  }
  LogCleaningOptions options = settings.options;
  options.limits = {log.config().segment_bytes, log.config().segment_index_bytes};
  options.delete_retention = settings.config.delete_retention;
  return make_ref<LogCleaning>(log.view(), *std::move(look), options);
}

inline absl::Status finish(Log& log, LogCleaning& round, SteadyTime now = {}) {
  while (round.turn() != CleaningTurn::done) {
    const absl::Status status =
        round.turn() == CleaningTurn::step ? round.step().status() : round.step_with(log, now);
    log.publish();
    if (!status.ok()) {
      return status;
    }
  }
  return absl::OkStatus();
}

/// Where it ended; nothing where nothing was to be cleaned.
inline absl::StatusOr<std::optional<Offset>> clean(Log& log,
                                                   const CleaningSettings& settings = {}) {
  auto round = begin_cleaning(log, settings);
  if (!round.ok()) {
    return round.status();
  }
  if (!*round) {
    return std::nullopt;
  }
  if (absl::Status status = finish(log, **round); !status.ok()) {
    return status;
  }
  return std::optional((*round)->cleaned_to());
}

}  // namespace log_test
