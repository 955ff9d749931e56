// SPDX-License-Identifier: Apache-2.0
//
// What a consumer of either isolation level makes of fetched bytes and of the aborted transactions
// that the broker names, as Kafka's consumer does it (spec storage.md section 16).
#pragma once

#include <algorithm>
#include <set>
#include <vector>

#include <ottla/protocol/connection.hpp>
#include <ottla/record/batch_view.hpp>
#include <ottla/record/control_record.hpp>

#include "tests/support/must.hpp"

namespace test {

class FetchedRecords {
 public:
  template <class Broker>
  FetchedRecords(const Broker& broker, const ottla::TopicPartition& partition,
                 ottla::IsolationLevel isolation, std::int32_t max_bytes = 1 << 20)
      : connection_(broker.connect()),
        isolation_(isolation),
        wanted_{.topic_id = must(broker.describe_topic(partition.topic)).id,
                .partition = partition.partition,
                .max_bytes = max_bytes} {
    ottla::FetchResponse response;
    must(connection_->fetch({.partitions = {&wanted_, 1}}, response, {}));
    if (wanted_.offset < response.partitions.at(0).log_start_offset) {
      wanted_.offset = response.partitions.at(0).log_start_offset;
    }
  }

  /// `see(header of the batch, record)` from the log's start to the end that is visible.
  template <class See>
  void each(See see) {
    const ottla::Offset start = wanted_.offset;
    for (ottla::Offset before(-1); before != wanted_.offset;) {
      before = wanted_.offset;
      ottla::FetchResponse response;
      must(
          connection_->fetch({.partitions = {&wanted_, 1}, .isolation = isolation_}, response, {}));
      must(response.partitions.at(0).status);
      take(response.partitions.at(0), [&](const auto& header, const auto& record) {
        if (record.offset() >= start) see(header, record);
      });
    }
  }

  ottla::Offset position() const { return wanted_.offset; }
  /// How many transactions were named, each once.
  std::size_t aborted() const { return aborted_.size(); }

 private:
  template <class See>
  void take(const ottla::FetchedPartition& fetched, See see) {
    std::vector<ottla::AbortedRange> ahead = fetched.aborted;
    std::sort(ahead.begin(), ahead.end(),
              [](const auto& a, const auto& b) { return b.first_offset < a.first_offset; });
    for (const auto& one : ahead) aborted_.insert(one.first_offset.value());
    std::set<std::int64_t> aborting;
    for (const ottla::Slice& slice : fetched.slices) {
      ottla::BatchCursor batches(slice.bytes.bytes());
      while (const ottla::BatchView* batch = batches.next()) {
        while (!ahead.empty() && ahead.back().first_offset <= batch->header().last_offset()) {
          aborting.insert(ahead.back().producer_id.value());
          ahead.pop_back();
        }
        take(*batch, aborting, see);
      }
      must(batches.status());
    }
  }
  template <class See>
  void take(const ottla::BatchView& batch, std::set<std::int64_t>& aborting, See see) {
    const ottla::BatchHeader& header = batch.header();
    const bool hidden = header.is_transactional() && aborting.contains(header.producer_id.value());
    ottla::RecordCursor records = batch.records(decompressor_);
    while (const ottla::RecordView* record = records.next()) {
      if (header.is_control()) {
        const auto type = must(ottla::parse_control_type(record->key()));
        if (type == ottla::ControlType::abort) aborting.erase(header.producer_id.value());
      } else if (!hidden) {
        see(header, *record);
      }
    }
    must(records.status());
    wanted_.offset = header.next_offset();
  }

  ottla::Ref<ottla::Connection> connection_;
  ottla::IsolationLevel isolation_;
  ottla::FetchPartition wanted_;
  ottla::Decompressor decompressor_;
  std::set<std::int64_t> aborted_;
};

}  // namespace test
