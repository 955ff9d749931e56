// SPDX-License-Identifier: Apache-2.0
//
// A partition directory written with our records, segments and indexes, and beside it what Kafka's
// dump tool has to print of it, made from what was put in.
#pragma once

#include <algorithm>
#include <iterator>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <ottla/env/any_file_system.hpp>
#include <ottla/env/posix/file_system.hpp>
#include <ottla/index/transaction_index.hpp>
#include <ottla/record/batch_builder.hpp>
#include <ottla/record/control_record.hpp>
#include <ottla/segment/segment_files.hpp>

#include "tests/support/golden.hpp"
#include "tests/support/temporary_directory.hpp"

struct WrittenHeader {
  std::string key;
  std::optional<std::string> value;
};

struct WrittenRecord {
  std::int64_t timestamp = 0;
  std::optional<std::string> key;
  std::optional<std::string> value;
  std::vector<WrittenHeader> headers;
  std::int64_t offset_delta = -1;  ///< -1: the next one
};

class WrittenLog {
 public:
  /// `segment_bytes`: when to roll.
  explicit WrittenLog(ottla::Offset base = ottla::Offset(0), std::int64_t segment_bytes = 1 << 30,
                      ottla::SegmentOptions options = {.index_interval_bytes = 300})
      : next_offset_(base), segment_bytes_(segment_bytes), options_(options) {
    create_segment();
  }

  static void must(const absl::Status& status) {
    if (!status.ok()) throw std::runtime_error(status.ToString());
  }

  ottla::Offset next_offset() const { return next_offset_; }
  ottla::AnyFileSystem& files() { return files_; }
  std::string directory() const { return directory_.path().string(); }
  const std::vector<ottla::Offset>& segments() const { return segments_; }

  /// One batch at the end of the log; `last_offset_delta` beyond its last record where given.
  void append(ottla::BatchFields fields, const std::vector<WrittenRecord>& records,
              std::optional<std::int32_t> last_offset_delta = std::nullopt) {
    fields.base_offset = next_offset_;
    ottla::BatchBuilder builder(fields);
    std::vector<std::string> lines;
    ottla::BatchHeader stated = header_of(fields);
    for (const WrittenRecord& record : records) {
      stated.last_offset_delta = add(builder, record, lines);
      stated.max_timestamp = std::max(stated.max_timestamp, ottla::Timestamp(record.timestamp));
    }
    stated.record_count = static_cast<std::int32_t>(records.size());
    if (fields.log_append_time) stated.max_timestamp = *fields.log_append_time;
    if (last_offset_delta) {
      stated.last_offset_delta = *last_offset_delta;
      must(builder.set_last_offset(next_offset_ + *last_offset_delta));
    }
    append(builder.seal(compressor_).value(), stated, lines);
  }
  /// A batch that was made elsewhere, what its header is meant to say, and the lines of its
  /// records.
  void append(const ottla::SealedBatch& batch, ottla::BatchHeader stated,
              std::vector<std::string> lines) {
    const auto header = ottla::BatchHeader::parse(batch.bytes());
    stated.batch_length = static_cast<std::int32_t>(batch.size() - ottla::batch_length_end);
    stated.crc = header.crc;
    staged_.push_back({{batch.bytes().begin(), batch.bytes().end()},
                       ottla::BatchFacts::of(header),
                       describe(stated),
                       std::move(lines)});
    next_offset_ = stated.next_offset();
  }
  void append_marker(ottla::MarkerFields fields, const ottla::EndTransactionMarker& marker) {
    fields.base_offset = next_offset_;
    const bool abort = marker.type == ottla::ControlType::abort;
    ottla::BatchHeader stated = header_of({.base_offset = fields.base_offset,
                                           .leader_epoch = fields.leader_epoch,
                                           .is_transactional = true,
                                           .is_control = true,
                                           .producer_id = fields.producer_id,
                                           .producer_epoch = fields.producer_epoch});
    stated.max_timestamp = fields.timestamp;
    stated.record_count = 1;
    append(ottla::marker_batch(fields, marker).value(), stated,
           {start_of_line(next_offset_, "CreateTime", fields.timestamp.value(), 4, 6, -1, "") +
            " endTxnMarker: " + (abort ? "ABORT" : "COMMIT") +
            " coordinatorEpoch: " + std::to_string(marker.coordinator_epoch)});
  }
  /// Of the newest segment.
  void add_aborted(const ottla::AbortedTransaction& aborted) {
    auto file = files_.open(path(segments_.back(), ottla::transaction_index_suffix),
                            ottla::OpenMode::create, ottla::IoReason::other);
    auto index = ottla::TransactionIndex::open(std::move(file).value(), segments_.back()).value();
    must(index.append(aborted));
  }

  /// Writes what was appended, several batches at a time, into as many segments as it takes.
  void write_out() {
    while (!staged_.empty()) {
      std::vector<ottla::BatchFacts> facts;
      for (const Staged& batch : staged_) facts.push_back(batch.facts);
      const std::size_t fit = segment_->fitting(facts, {.segment_bytes = segment_bytes_}).value();
      if (fit == 0) {
        roll();
        continue;
      }
      const std::size_t count = std::min<std::size_t>(fit, 5);
      std::vector<ottla::Bytes> pieces;
      std::int64_t position = segment_->size();
      for (std::size_t i = 0; i < count; ++i) {
        Staged& batch = staged_[i];
        pieces.emplace_back(batch.bytes);
        printed_.back() += batch.line.first + std::to_string(position) + batch.line.second + "\n";
        for (const std::string& line : batch.lines) {
          printed_.back() += line + "\n";
          note_gap(std::stoll(line.substr(std::string_view("| offset: ").size())));
        }
        position += batch.facts.size;
      }
      facts.resize(count);
      must(segment_->write_out(pieces, facts));
      staged_.erase(staged_.begin(), staged_.begin() + static_cast<std::ptrdiff_t>(count));
    }
    must(segment_->index_status());
  }
  /// The last act: all is in the files.
  void finish() {
    write_out();
    must(segment_->become_inactive());
    must(segment_->close());
    segment_.reset();
  }

  /// After `finish`: goes on in the newest segment, cut back to the batch before `target`.
  void reopen_and_truncate_to(ottla::Offset target) {
    segment_.emplace(ottla::open_segment(files_, directory(), segments_.back(), options_).value());
    must(segment_->find_end());
    must(segment_->truncate_to(target).status());
    next_offset_ = segment_->end().next_offset;
    std::string& text = printed_.back();
    text.resize(text.find("baseOffset: " + std::to_string(next_offset_.value()) + " "));
    last_printed_ = next_offset_.value() - 1;
  }

  /// Paths of the files of that kind, in the order of the segments.
  std::vector<std::string> paths(std::string_view suffix) const {
    std::vector<std::string> paths;
    for (const ottla::Offset base : segments_) paths.push_back(path(base, suffix));
    return paths;
  }
  std::string path(ottla::Offset base, std::string_view suffix) const {
    return ottla::offset_file_path(directory(), base, suffix);
  }
  /// What the dump tool has to print of all logs, and HeaderPrinter.
  std::string printed() const {
    std::string all;
    for (const std::string& text : printed_) all += text;
    return all;
  }
  const std::string& printed_headers() const { return printed_headers_; }
  /// What the dump tool has to remark, by file: each file's first record, if its offset is not 0,
  /// and each record that does not have the offset next to the one before.
  const std::map<std::string, std::string>& gaps() const { return gaps_; }

 private:
  struct Staged {
    std::vector<std::byte> bytes;
    ottla::BatchFacts facts;
    std::pair<std::string, std::string> line;  // before and behind its position
    std::vector<std::string> lines;
  };

  static std::string hex(std::string_view text) { return golden::to_hex(ottla::as_bytes(text)); }

  void create_segment() {
    segment_.emplace(
        ottla::create_segment(files_, directory(), next_offset_of_file(), options_).value());
    segments_.push_back(segment_->base_offset());
    last_printed_ = -1;
    printed_.push_back("Dumping " + path(segments_.back(), ottla::log_suffix) +
                       "\nLog starting offset: " + std::to_string(segments_.back().value()) + "\n");
  }
  ottla::Offset next_offset_of_file() const {
    return staged_.empty() ? next_offset_ : staged_.front().facts.base_offset;
  }
  void note_gap(std::int64_t offset) {
    if (offset != last_printed_ + 1) {
      gaps_[path(segments_.back(), ottla::log_suffix)] +=
          "  " + std::to_string(last_printed_) + " is followed by " + std::to_string(offset) + "\n";
    }
    last_printed_ = offset;
  }
  void roll() {
    must(segment_->become_inactive());
    must(segment_->close());
    create_segment();
  }

  static std::string start_of_line(ottla::Offset offset, std::string_view time_name,
                                   std::int64_t time, std::int64_t key_size,
                                   std::int64_t value_size, std::int32_t sequence,
                                   const std::string& header_keys) {
    return "| offset: " + std::to_string(offset.value()) + " " + std::string(time_name) + ": " +
           std::to_string(time) + " keySize: " + std::to_string(key_size) +
           " valueSize: " + std::to_string(value_size) + " sequence: " + std::to_string(sequence) +
           " headerKeys: [" + header_keys + "]";
  }

  /// Answers the record's offset, above that of the batch.
  std::int32_t add(ottla::BatchBuilder& builder, const WrittenRecord& record,
                   std::vector<std::string>& lines) {
    const ottla::BatchFields& fields = builder.fields();
    std::vector<ottla::RecordHeader> headers;
    std::string header_keys;
    std::string header_values;
    for (const WrittenHeader& header : record.headers) {
      header_keys += (headers.empty() ? "" : ",") + header.key;
      header_values += " " + hex(header.key) + "=" + (header.value ? hex(*header.value) : "null");
      ottla::RecordHeader& made = headers.emplace_back();
      made.key = header.key;
      if (header.value) made.value = ottla::as_bytes(*header.value);
    }
    ottla::RecordFields made{.timestamp = ottla::Timestamp(record.timestamp), .headers = headers};
    if (record.key) made.key = ottla::as_bytes(*record.key);
    if (record.value) made.value = ottla::as_bytes(*record.value);
    const std::int64_t delta = record.offset_delta < 0 ? std::ssize(lines) : record.offset_delta;
    const ottla::Offset offset = next_offset_ + delta;
    must(builder.append_at(offset, made));

    const auto& append_time = fields.log_append_time;
    const auto size = [](const std::optional<std::string>& part) {
      return part ? std::ssize(*part) : -1;
    };
    lines.push_back(start_of_line(
        offset, append_time ? "LogAppendTime" : "CreateTime",
        append_time ? append_time->value() : record.timestamp, size(record.key), size(record.value),
        fields.base_sequence < 0
            ? -1
            : static_cast<std::int32_t>((fields.base_sequence + delta) & INT32_MAX),
        header_keys));
    if (record.key) lines.back() += " key: " + hex(*record.key);
    if (record.value) lines.back() += " payload: " + hex(*record.value);
    if (!headers.empty()) {
      printed_headers_ += std::to_string(offset.value()) + header_values + "\n";
    }
    return static_cast<std::int32_t>(delta);
  }

  static ottla::BatchHeader header_of(const ottla::BatchFields& fields) {
    namespace bit = ottla::batch_attribute;
    ottla::BatchHeader header{.base_offset = fields.base_offset,
                              .leader_epoch = fields.leader_epoch,
                              .attributes = static_cast<std::int16_t>(fields.compression),
                              .producer_id = fields.producer_id,
                              .producer_epoch = fields.producer_epoch,
                              .base_sequence = fields.base_sequence};
    const auto set = [&header](bool yes, std::int16_t which) {
      if (yes) header.attributes = static_cast<std::int16_t>(header.attributes | which);
    };
    set(fields.log_append_time.has_value(), bit::log_append_time);
    set(fields.delete_horizon.has_value(), bit::delete_horizon);
    set(fields.is_transactional, bit::transactional);
    set(fields.is_control, bit::control);
    header.base_timestamp = fields.delete_horizon.value_or(ottla::no_timestamp);
    return header;
  }

  /// The line of a batch, without its position between the two.
  static std::pair<std::string, std::string> describe(const ottla::BatchHeader& header) {
    const auto word = [](bool yes) { return yes ? "true" : "false"; };
    const auto horizon = header.delete_horizon();
    const bool append_time = header.timestamp_type() == ottla::TimestampType::log_append_time;
    return {"baseOffset: " + std::to_string(header.base_offset.value()) +
                " lastOffset: " + std::to_string(header.last_offset().value()) +
                " count: " + std::to_string(header.record_count) +
                " baseSequence: " + std::to_string(header.base_sequence) +
                " lastSequence: " + std::to_string(header.last_sequence()) +
                " producerId: " + std::to_string(header.producer_id.value()) +
                " producerEpoch: " + std::to_string(header.producer_epoch.value()) +
                " partitionLeaderEpoch: " + std::to_string(header.leader_epoch.value()) +
                " isTransactional: " + word(header.is_transactional()) +
                " isControl: " + word(header.is_control()) + " deleteHorizonMs: OptionalLong" +
                (horizon ? "[" + std::to_string(horizon->value()) + "]" : ".empty") + " position: ",
            " " + std::string(append_time ? "LogAppendTime" : "CreateTime") + ": " +
                std::to_string(header.max_timestamp.value()) +
                " size: " + std::to_string(header.size()) +
                " magic: 2 compresscodec: " + std::string(name(header.compression())) +
                " crc: " + std::to_string(header.crc) + " isvalid: true"};
  }

  TemporaryDirectory directory_;
  ottla::AnyFileSystem files_{ottla::PosixFileSystem()};
  ottla::Compressor compressor_;
  ottla::Offset next_offset_;
  std::int64_t segment_bytes_;
  ottla::SegmentOptions options_;
  std::optional<ottla::Segment> segment_;
  std::vector<Staged> staged_;
  std::vector<ottla::Offset> segments_;
  std::vector<std::string> printed_;  // by segment
  std::string printed_headers_;
  std::map<std::string, std::string> gaps_;
  std::int64_t last_printed_ = -1;
};
