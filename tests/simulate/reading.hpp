// SPDX-License-Identifier: Apache-2.0
//
// All that a log answers, read once, and whether what it keeps beside its batches (epochs,
// producers, transactions, indexes) says the same as they do.
#pragma once

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <absl/strings/str_cat.h>

#include <ottla/log/log.hpp>
#include <ottla/record/batch_view.hpp>
#include <ottla/record/control_record.hpp>

#include "history.hpp"

namespace simulate {

using namespace ottla;

inline std::string text_of(const RecordView& record) {
  std::string text(as_string_view(record.key().value_or(Bytes())));
  text += '=';
  return text += as_string_view(record.value().value_or(Bytes()));
}

struct Reading {
  Found found;
  std::vector<Timestamp> times;  ///< of the records
  ProducerState producers;
  std::set<ProducerId> transactional;
  std::map<ProducerId, Offset> open;  ///< transactions: where each begins
  std::vector<AbortedTransaction> aborted;
};

inline absl::Status read_batch(const BatchView& batch, Offset from, Reading& into) {
  const BatchHeader& header = batch.header();
  RecordCursor cursor = batch.records();
  while (const RecordView* record = cursor.next()) {
    if (record->offset() >= from) {
      into.found.records.push_back(
          {record->offset().value(), header.leader_epoch.value(), text_of(*record)});
      into.times.push_back(record->timestamp());
    }
    if (header.is_control() && header.has_producer_id()) {
      OTTLA_ASSIGN(const EndTransactionMarker marker, parse_marker(*record));
      const auto begun = into.open.find(header.producer_id);
      if (begun != into.open.end() && marker.type == ControlType::abort) {
        into.aborted.push_back({header.producer_id, begun->second, record->offset(), Offset(0)});
      }
      into.open.erase(header.producer_id);
    }
  }
  OTTLA_TRY(cursor.status());
  if (header.has_producer_id() && header.is_transactional()) {
    into.transactional.insert(header.producer_id);  // markers, too
  }
  if (header.has_producer_id() && !header.is_control()) {
    into.producers.append(header);
    if (header.is_transactional()) {
      into.open.try_emplace(header.producer_id, header.base_offset);
    }
  }
  return absl::OkStatus();
}

inline absl::Status read_log(const Log& log, Reading& into) {
  const auto buffers = make_ref<ReadBuffers>();
  const LogView view = log.view();
  into = Reading();
  into.found.start = view.start().value();
  into.found.end = view.end().value();
  Offset at = view.start();
  while (at < view.end()) {
    auto found = view.read({at, view.end(), 2'000}, *buffers);
    if (const auto goes_on = reading_goes_on(found.status())) {
      at = *goes_on;
      continue;
    }
    OTTLA_ASSIGN(const LogRead read, std::move(found));
    if (read.pieces.empty()) {
      return absl::OkStatus();
    }
    for (const SharedBytes& piece : read.pieces) {
      BatchCursor batches(piece.bytes());
      while (const BatchView* batch = batches.next()) {
        OTTLA_TRY(read_batch(*batch, at, into));
        at = std::max(at, batch->header().next_offset());
      }
      OTTLA_TRY(batches.status());
    }
  }
  return absl::OkStatus();
}

inline void check_epochs(const Log& log, const Reading& reading, History& history) {
  for (const Record& record : reading.found.records) {
    if (log.epochs().epoch_for_offset(Offset(record.offset)) != LeaderEpoch(record.epoch)) {
      history.violated("leader epochs", absl::StrCat("of offset ", record.offset));
      return;
    }
  }
}

/// Each producer is where its last batch in the log says.
inline void check_producers(const Log& log, const Reading& reading, History& history) {
  for (const ProducerStateEntry& entry : reading.producers.entries()) {
    const ProducerStateEntry* its = log.producers().find(entry.producer_id);
    BatchMetadata last = entry.batches.newest();
    if (its != nullptr && reading.transactional.count(entry.producer_id) > 0) {
      // A snapshot has one time for a producer: that of its last marker.
      last.timestamp = its->batches.newest().timestamp;
    }
    if (its == nullptr || its->epoch != entry.epoch || its->batches.newest() != last) {
      history.violated("producer state", absl::StrCat("of producer ", entry.producer_id.value()));
      return;
    }
  }
}

/// A consumer that wants what was committed waits where the first open transaction begins, and is
/// told of all that were aborted.
inline void check_transactions(const Log& log, const Reading& reading, History& history) {
  Offset stable = log.end();
  for (const auto& [producer, first] : reading.open) {
    stable = std::min(stable, first);
  }
  if (log.last_stable_offset(log.end()) != stable) {
    history.violated("last stable offset", absl::StrCat(log.last_stable_offset(log.end()).value(),
                                                        ", not ", stable.value()));
  }
  const auto told = log.view().aborted_transactions(log.start(), log.end());
  for (const AbortedTransaction& aborted : reading.aborted) {
    const auto is_it = [&](const AbortedTransaction& each) {
      return each.producer_id == aborted.producer_id && each.last_offset == aborted.last_offset &&
             each.first_offset <= aborted.first_offset;
    };
    if (!told.ok() || std::none_of(told->begin(), told->end(), is_it)) {
      history.violated("aborted transactions",
                       absl::StrCat("the one that ended at ", aborted.last_offset.value()));
      return;
    }
  }
}

/// The first and the last record of each time are where they are. Before: times ascend.
inline void check_times(const Log& log, const Reading& reading, History& history) {
  Decompressor decompressor;
  for (std::size_t i = 0; i < reading.times.size(); ++i) {
    const auto found = log.view().find_timestamp(reading.times[i], log.end(), decompressor);
    if (!found.ok() || !*found || (*found)->offset != Offset(reading.found.records[i].offset)) {
      history.violated("look-up by time",
                       absl::StrCat("of offset ", reading.found.records[i].offset, " answers ",
                                    !found.ok() ? std::string(sv(found.status().message()))
                                    : *found    ? std::to_string((*found)->offset.value())
                                                : std::string("nothing")));
      return;
    }
  }
}

}  // namespace simulate
