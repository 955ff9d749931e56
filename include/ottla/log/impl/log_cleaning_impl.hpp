// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include <absl/strings/str_cat.h>

#include <ottla/base/crc32c.hpp>
#include <ottla/base/invariant.hpp>
#include <ottla/log/impl/log_files.hpp>
#include <ottla/log/log_cleaning.hpp>

namespace ottla::inline OTTLA_ABI {

template <FileSystem Fs>
absl::StatusOr<CleaningLook> BasicLogCleaning<Fs>::look(const BasicLogView<Fs>& view,
                                                        const CleaningBounds& bounds,
                                                        std::optional<Offset> checkpoint,
                                                        const CleaningConfig& config,
                                                        Timestamp now) {
  CleaningLook look;
  for (const auto& entry : view.list_->segments) {
    CleanableSegment& facts = look.segments.emplace_back();
    facts.base = entry->base();
    if (entry.get() == view.list_->segments.back().get()) {
      continue;  // of the active one nothing else is asked
    }
    const log_impl::Pin<Fs> pin(*entry);
    OTTLA_ASSIGN(const auto* segment, source(view, *entry, pin));
    facts.size = segment->size();
    facts.largest = segment->largest_timestamp();
    facts.offset_index_size = segment->offset_index_size();
    facts.time_index_size = segment->time_index_size();
    if (config.max_lag != std::chrono::milliseconds::max()) {
      OTTLA_ASSIGN(const auto first, segment->find(entry->base()));
      facts.first_batch = first ? first->header.max_timestamp : no_timestamp;
    }
  }
  look.range = cleanable_range(look.segments, bounds, checkpoint, config, now);
  return look;
}

template <FileSystem Fs>
BasicLogCleaning<Fs>::BasicLogCleaning(BasicLogView<Fs> view, CleaningLook look,
                                       LogCleaningOptions options)
    : view_(std::move(view)),
      look_(std::move(look)),
      options_(std::move(options)),
      buffers_(make_ref<BufferPool>(options_.io_bytes, options_.io_bytes)) {
  if (options_.producers) {
    producers_ = *options_.producers;
    phase_ = Phase::map;
  }
}

template <FileSystem Fs>
CleaningTurn BasicLogCleaning<Fs>::turn() const {
  return phase_ == Phase::done                            ? CleaningTurn::done
         : phase_ == Phase::open || phase_ == Phase::swap ? CleaningTurn::baton
                                                          : CleaningTurn::step;
}

template <FileSystem Fs>
absl::StatusOr<std::int64_t> BasicLogCleaning<Fs>::step() {
  switch (phase_) {
    case Phase::producers:
      return find_producers();
    case Phase::map:
      return map_some();
    case Phase::copy:
      return copy_some();
    default:
      return broken_invariant("LogCleaning::step: it is not the turn of one");
  }
}

/// What is deleted or cut back is no error of the log's.
template <FileSystem Fs>
auto BasicLogCleaning<Fs>::source(const BasicLogView<Fs>& view, LogSegment& entry,
                                  const log_impl::Pin<Fs>& pin) -> absl::StatusOr<const Segment*> {
  auto opened = view.open(pin, entry, entry.base());
  return opened.ok() || entry.gone() == LogSegment::Gone::no
             ? opened
             : error(ErrorCode::offset_not_available,
                     absl::StrCat(entry.path(), " went while the log was compacted"));
}

// ── producers ───────────────────────────────────────────────────────────────────────────────────

template <FileSystem Fs>
absl::Status BasicLogCleaning<Fs>::read_aborted(const LogSegment& entry) {
  auto& place = entry.place();
  auto file =
      place.files.open(offset_file_path(place.directory, entry.base(), transaction_index_suffix),
                       OpenMode::read, IoReason::compaction);
  if (fault(file.status()) == Fault::not_found) {
    return absl::OkStatus();
  }
  OTTLA_TRY(file.status());
  OTTLA_ASSIGN(const auto index,
               BasicTransactionIndex<FileT>::open(*std::move(file), entry.base()));
  return index
      .collect(Offset(0), Offset(std::numeric_limits<std::int64_t>::max()), producers_.aborted)
      .status();
}

template <FileSystem Fs>
void BasicLogCleaning<Fs>::note_producer(const BatchHeader& header) {
  if (!header.has_producer_id()) {
    return;
  }
  LastRecord& last = producers_.active[header.producer_id];
  if (header.producer_epoch != last.epoch) {
    last = {.last_data = {}, .epoch = header.producer_epoch};
  }
  if (!header.is_control()) {
    last.last_data = header.last_offset();
  }
  if (header.is_transactional()) {
    header.is_control() ? open_.erase(header.producer_id)
                        : std::size_t{open_.emplace(header.producer_id, header.base_offset).second};
  }
}

/// A segment, or what a step reads of one.
template <FileSystem Fs>
absl::StatusOr<std::int64_t> BasicLogCleaning<Fs>::find_producers() {
  const auto& segments = view_.list_->segments;
  LogSegment& entry = *segments[at_];
  const log_impl::Pin<Fs> pin(entry);
  OTTLA_ASSIGN(const auto* segment, source(view_, entry, pin));
  if (!position_) {
    OTTLA_TRY(read_aborted(entry));
  }
  // By offset: where the walk goes on.
  const Offset from = position_ ? Offset(*position_) : entry.base();
  std::int64_t walked = 0;
  Offset next = from;
  const absl::Status enough = absl::CancelledError();
  const absl::Status status =
      segment->each_batch(from, [&](const BatchHeader& header, std::int64_t) -> absl::Status {
        if (header.base_offset >= view_.end() ||
            walked >= static_cast<std::int64_t>(options_.io_bytes)) {
          return enough;
        }
        note_producer(header);
        walked += static_cast<std::int64_t>(header.size());
        next = header.next_offset();
        return absl::OkStatus();
      });
  if (!status.ok() && status != enough) {
    return status;
  }
  position_ = next.value();
  if (status.ok() || next >= view_.end()) {
    position_.reset();
    within_ = {};
    if (++at_ == segments.size()) {
      for (const auto& [producer, begin] : open_) {
        if (begin < look_.range.end) {
          return error(Fault::unsupported,
                       absl::StrCat("a transaction is open at offset ", begin.value(),
                                    ", and nobody says up to where the log may be compacted"));
        }
      }
      at_ = 0;
      phase_ = Phase::map;
    }
  }
  return walked;
}

// ── the map ─────────────────────────────────────────────────────────────────────────────────────

template <FileSystem Fs>
absl::Status BasicLogCleaning<Fs>::make_map() {
  // No more keys than offsets.
  const auto offsets = static_cast<std::size_t>(look_.range.end - look_.range.first_dirty);
  const auto enough = static_cast<std::size_t>(static_cast<double>(offsets) /
                                               std::clamp(options_.map_load_factor, 0.1, 1.0)) +
                      2;
  const std::size_t slots = std::min(enough, options_.map_bytes / OffsetMap::slot_size);
  OTTLA_ASSIGN(map_, OffsetMap::make(slots, options_.seed, options_.map_load_factor));
  transactions_ = CleanedTransactions(producers_.aborted, look_.range.first_dirty);
  at_ = view_.list_->find(look_.range.first_dirty);
  return absl::OkStatus();
}

template <FileSystem Fs>
absl::StatusOr<std::int64_t> BasicLogCleaning<Fs>::map_some() {
  if (!map_) {
    OTTLA_TRY(make_map());
  }
  const auto& segments = view_.list_->segments;
  const Offset from = look_.range.first_dirty;
  if (segments[at_]->base() >= look_.range.end) {
    end_map();
    return 0;
  }
  const log_impl::Pin<Fs> pin(*segments[at_]);
  OTTLA_ASSIGN(const auto* segment, source(view_, *view_.list_->segments[at_], pin));
  if (!position_) {
    OTTLA_ASSIGN(const auto place, segment->find(from));
    position_ = place ? place->position : segment->size();
  }
  std::int64_t read = 0;
  if (*position_ < segment->size()) {
    OTTLA_ASSIGN(const SharedBytes bytes,
                 segment->read_batches(*position_, options_.io_bytes, buffers_->take(), &within_));
    BatchCursor batches(bytes.bytes(), "a segment", CheckCrc::skip);
    while (const BatchView* batch = batches.next()) {
      OTTLA_ASSIGN(const bool taken, map_batch(*batch, from, *map_, transactions_, decompressor_));
      if (!taken) {
        end_map();
        return static_cast<std::int64_t>(bytes.size());
      }
    }
    read = static_cast<std::int64_t>(bytes.size());
    *position_ += read;
    counts_.read_bytes += read;
  }
  if (*position_ >= segment->size()) {
    map_->advance(segments[++at_]->base() - 1);
    position_.reset();
    within_ = {};
  }
  return read;
}

template <FileSystem Fs>
void BasicLogCleaning<Fs>::end_map() {
  std::vector<CleanableSegment> cleaned = look_.segments;
  std::erase_if(cleaned, [&](const CleanableSegment& segment) {
    return segment.base > map_->latest() || segment.base >= look_.range.end;
  });
  groups_ = group_segments(cleaned, look_.range.end, options_.limits);
  counts_.segments_before = cleaned.size();
  counts_.segments_after = groups_.size();
  transactions_ = CleanedTransactions(producers_.aborted, look_.segments.front().base);
  rules_.emplace(RetentionRules{*map_, producers_.active, look_.range.end, options_.now,
                                options_.delete_retention});
  cleaner_.emplace(*rules_, transactions_, decompressor_, compressor_);
  at_ = 0;
  position_.reset();
  within_ = {};
  phase_ = groups_.empty() ? Phase::done : Phase::open;
}

// ── copying ─────────────────────────────────────────────────────────────────────────────────────

template <FileSystem Fs>
absl::StatusOr<std::int64_t> BasicLogCleaning<Fs>::copy_some() {
  const log_impl::Pin<Fs> pin(*view_.list_->segments[at_]);
  OTTLA_ASSIGN(const auto* segment, source(view_, *view_.list_->segments[at_], pin));
  const std::int64_t position = position_.value_or(0);
  const std::int64_t written = counts_.written_bytes;
  std::int64_t read = 0;
  if (position < segment->size()) {
    OTTLA_ASSIGN(const SharedBytes bytes,
                 segment->read_batches(position, options_.io_bytes, buffers_->take(), &within_));
    OTTLA_TRY(write(bytes.bytes()));
    read = static_cast<std::int64_t>(bytes.size());
    counts_.read_bytes += read;
  }
  position_ = position + read;
  if (*position_ >= segment->size()) {
    position_.reset();
    within_ = {};
    if (++at_ == group_begin_ + groups_[group_]) {
      OTTLA_TRY(end_copy());
    }
  }
  return read + counts_.written_bytes - written;
}

/// What is left of them, with one write.
template <FileSystem Fs>
absl::Status BasicLogCleaning<Fs>::write(Bytes bytes) {
  left_.clear();
  pieces_.clear();
  facts_.clear();
  BatchCursor batches(bytes, "a segment", CheckCrc::skip);
  while (const BatchView* batch = batches.next()) {
    OTTLA_ASSIGN(CleanedBatch left, cleaner_->clean(*batch));
    if (left.aborted) {
      OTTLA_TRY(keep_aborted(*left.aborted));
    }
    if (left.bytes.empty()) {
      continue;
    }
    const BatchHeader header = BatchHeader::parse(left.bytes);
    output_->digest = crc32c(left.bytes.first(batch_header_size), output_->digest);
    output_->last = header.last_offset();
    counts_.written_bytes += static_cast<std::int64_t>(left.bytes.size());
    counts_.kept_records += left.kept;
    pieces_.push_back(left.bytes);
    facts_.push_back(BatchFacts::of(header));
    left_.push_back(std::move(left));
  }
  const absl::Status status =
      pieces_.empty() ? absl::OkStatus()
                      : output_->segment.write_out(pieces_, facts_, IoReason::compaction);
  left_.clear();
  return status;
}

template <FileSystem Fs>
absl::StatusOr<typename Fs::File> BasicLogCleaning<Fs>::create(std::string_view suffix) {
  const LogSegment& first = *group().front();
  auto& place = first.place();
  return place.files.open(
      log_impl::staged_path(place.directory, first.base(), suffix, log_impl::cleaned_suffix),
      OpenMode::create_new, IoReason::compaction);
}

template <FileSystem Fs>
absl::Status BasicLogCleaning<Fs>::keep_aborted(const AbortedTransaction& transaction) {
  if (!output_->aborted) {
    OTTLA_ASSIGN(auto file, create(transaction_index_suffix));
    OTTLA_ASSIGN(output_->aborted,
                 BasicTransactionIndex<FileT>::open(std::move(file), group().front()->base()));
  }
  return output_->aborted->append(transaction, IoReason::compaction);
}

template <FileSystem Fs>
absl::Status BasicLogCleaning<Fs>::open_output(const LogConfig& config) {
  const Offset base = group().front()->base();
  OTTLA_ASSIGN(auto log_file, create(log_suffix));
  OTTLA_ASSIGN(auto offset_index, create(offset_index_suffix));
  OTTLA_ASSIGN(auto time_index, create(time_index_suffix));
  OTTLA_ASSIGN(
      auto segment,
      Segment::open({std::move(log_file), std::move(offset_index), std::move(time_index)}, base,
                    {.index_interval_bytes = config.index_interval_bytes,
                     .index_bytes = config.segment_index_bytes}));
  output_.emplace(Output{std::move(segment), std::nullopt, 0, std::nullopt});
  return absl::OkStatus();
}

template <FileSystem Fs>
absl::Status BasicLogCleaning<Fs>::sync_output() {
  OTTLA_TRY(output_->segment.sync(IoReason::compaction));
  OTTLA_TRY(output_->segment.sync_indexes(IoReason::compaction));
  return output_->aborted ? output_->aborted->sync(IoReason::compaction) : absl::OkStatus();
}

/// The new files are complete, and on the device.
template <FileSystem Fs>
absl::Status BasicLogCleaning<Fs>::end_copy() {
  Segment& segment = output_->segment;
  OTTLA_TRY(segment.index_status());
  OTTLA_TRY(segment.become_inactive(IoReason::compaction));
  OTTLA_TRY(health_->checked(sync_output()));
  has_transactions_ = output_->aborted.has_value();
  const SegmentEnd end = segment.end();
  cleaned_ = {segment.base_offset(), output_->last.value_or(Offset(-1)), end.size,
              end.largest.timestamp, output_->digest};
  OTTLA_TRY(segment.close());
  output_.reset();
  auto& place = group().front()->place();
  OTTLA_ASSIGN(const FileStatus last, place.files.status(group().back()->path()));
  modified_ = last.modified;
  OTTLA_TRY(place.files.set_modified(
      log_impl::staged_path(place.directory, cleaned_.base, log_suffix, log_impl::cleaned_suffix),
      modified_));
  phase_ = Phase::swap;
  return absl::OkStatus();
}

template <FileSystem Fs>
absl::Status BasicLogCleaning<Fs>::step_with(BasicLog<Fs>& log, SteadyTime now) {
  if (phase_ == Phase::swap) {
    OTTLA_TRY(log.replace_segments(cleaned_, has_transactions_, group(), modified_, now));
    group_begin_ += groups_[group_++];
    phase_ = group_ == groups_.size() ? Phase::done : Phase::open;
  }
  if (phase_ == Phase::open) {
    if (!std::exchange(began_, true)) {
      // Of a round that was given up: one that is left behind would make the next opening believe
      // that a swap has not begun.
      OTTLA_TRY(log.remove_cleaned());
    }
    health_ = log.health();
    OTTLA_TRY(open_output(log.config()));
    phase_ = Phase::copy;
  }
  return absl::OkStatus();
}

}  // namespace ottla::inline OTTLA_ABI
