// SPDX-License-Identifier: Apache-2.0
//
// What a program appends, and how it compacts.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "program.hpp"

namespace simulate {

inline SharedBytes Program::batch_of(std::int64_t offset, const Shape& shape) {
  known_.clock += shape.after.count();
  BatchFields fields{.base_offset = Offset(offset),
                     .leader_epoch = LeaderEpoch(known_.epoch),
                     .is_transactional = shape.transactional};
  if (shape.producer >= 0) {
    fields.producer_id = ProducerId(shape.producer);
    fields.producer_epoch = ProducerEpoch(0);
    fields.base_sequence = known_.sequences[shape.producer]++;
  }
  const std::string key(1, static_cast<char>('a' + known_.records * 5 % 7));
  std::string value = std::to_string(++known_.records);
  value.insert(0, shape.value_size - std::min(shape.value_size, value.size()), '0');
  RecordFields record{.timestamp = Timestamp(known_.clock), .key = as_bytes(key)};
  if (!shape.tombstone) {
    record.value = as_bytes(value);
  }
  BatchBuilder builder(fields);
  builder.append(record).IgnoreError();
  return std::move(*builder.seal()).freeze();
}

inline void Program::write(const std::vector<SharedBytes>& sealed) {
  std::vector<Bytes> pieces;
  std::vector<BatchFacts> facts;
  for (const SharedBytes& batch : sealed) {
    pieces.push_back(batch.bytes());
    facts.push_back(BatchFacts::of(BatchHeader::parse(pieces.back())));
  }
  const Appended appended = log_->append(pieces, facts, now());
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    const auto told = i < appended.batches                               ? History::Told::written
                      : outcome(appended.status) == Outcome::not_written ? History::Told::refused
                                                                         : History::Told::unknown;
    const BatchView batch(pieces[i]);
    RecordCursor cursor = batch.records();
    while (const RecordView* record = cursor.next()) {
      known_.history.appended(
          record->offset().value(),
          {record->offset().value(), batch.header().leader_epoch.value(), text_of(*record)}, told);
    }
  }
  log_->publish();
}

inline absl::StatusOr<Offset> Program::try_compact() {
  const CleaningConfig config{.min_dirty_ratio = 0, .delete_retention = std::chrono::seconds(1)};
  const auto checkpoint = directory_->offset(CheckpointKind::cleaned, main_partition);
  OTTLA_ASSIGN(auto look, LogCleaning::look(log_->view(),
                                            {log_->start(), log_->last_stable_offset(log_->end()),
                                             log_->durable_end(), log_->end()},
                                            checkpoint, config, now()));
  if (!look.range.is_due(config)) {
    return Offset(0);
  }
  const LogCleaningOptions options{
      .limits = {settings_.config.segment_bytes, settings_.config.segment_index_bytes},
      .delete_retention = config.delete_retention,
      .io_bytes = 150,
      .now = now()};
  const auto round = make_ref<LogCleaning>(log_->view(), std::move(look), options);
  while (round->turn() != CleaningTurn::done) {
    const absl::Status status = round->turn() == CleaningTurn::step
                                    ? round->step().status()
                                    : round->step_with(*log_, SteadyTime());
    log_->publish();
    OTTLA_TRY(status);
  }
  return round->cleaned_to();
}

}  // namespace simulate
