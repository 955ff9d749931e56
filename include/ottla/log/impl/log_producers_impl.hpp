// SPDX-License-Identifier: Apache-2.0
//
// A log's producer state: kept up with what is written, snapshots of it, and both made anew from
// the newest snapshot and the batches behind it. Transaction indexes are written on the way: an
// entry is there before its transaction counts as decided.
#pragma once

#include <algorithm>
#include <utility>

#include <ottla/env/small_file.hpp>
#include <ottla/log/impl/log_open_impl.hpp>
#include <ottla/log/log.hpp>
#include <ottla/log/producer_snapshot.hpp>
#include <ottla/record/batch_view.hpp>

namespace ottla::inline OTTLA_ABI {

namespace log_impl {
/// Of appended batches: recovery after the death of the process reads no more headers than that.
inline constexpr std::int64_t snapshot_interval = std::int64_t{4} << 20;
inline constexpr std::size_t max_snapshot = std::size_t{64} << 20;

/// What a control batch says of a transaction: nothing where it was emptied, or is of another kind.
inline std::optional<EndTransactionMarker> marker_of(Bytes batch) {
  RecordCursor records = BatchView(batch).records();
  const RecordView* record = records.next();
  if (record == nullptr) {
    return std::nullopt;
  }
  const auto marker = parse_marker(*record);
  return marker.ok() ? std::optional(*marker) : std::nullopt;
}
}  // namespace log_impl

// ── keeping up ────────────────────────────────────────────────────────────────────────────────

template <FileSystem Fs>
absl::Status BasicLog<Fs>::note_producers(std::span<const Bytes> batches,
                                          std::span<const BatchFacts> facts) {
  std::int64_t written = 0;
  for (std::size_t i = 0; i < facts.size(); ++i) {
    written += facts[i].size;
    const std::byte* producer = batches[i].data() + batch_position::producer_id;
    if (load_big_endian<std::int64_t>(producer) != no_producer_id.value()) {
      const BatchHeader header = BatchHeader::parse(batches[i]);
      if (header.is_control()) {
        OTTLA_TRY(note_marker(*active(), header, batches[i]));
      } else {
        producers_.append(header);
      }
    }
    producers_.set_end(facts[i].last_offset + 1);
  }
  snapshot_sometimes(written);
  return absl::OkStatus();
}

/// `entry`: the segment that has the batch.
template <FileSystem Fs>
absl::Status BasicLog<Fs>::note_marker(LogSegment& entry, const BatchHeader& header, Bytes batch) {
  const std::optional<EndTransactionMarker> marker = log_impl::marker_of(batch);
  if (!marker) {
    return absl::OkStatus();
  }
  const auto completed = producers_.completed_by(header, *marker);
  if (completed && completed->aborted && damage() == nullptr) {
    changes_ += std::uint64_t{!entry.has_aborted()};
    OTTLA_ASSIGN(auto* index, entry.aborted());
    if (completed->last_offset > index->last_offset().value_or(Offset(-1))) {
      OTTLA_TRY(
          index->append({completed->producer_id, completed->first_offset, completed->last_offset,
                         producers_.last_stable_offset_after(*completed)}));
    }
    entry.set_has_aborted(true);
  }
  producers_.append(header, *marker);
  return absl::OkStatus();
}

/// From where the state ends to the end of the log.
template <FileSystem Fs>
absl::Status BasicLog<Fs>::replay_producers() {
  const Offset from = producers_.end();
  const auto& segments = list_->segments;
  for (std::size_t i = list_->find(from); from < end_ && i < segments.size(); ++i) {
    LogSegment& entry = *segments[i];
    if (entry.base() > start_ && entry.base() >= from && damage() == nullptr) {
      take_snapshot(entry.base(), Durability::written).IgnoreError();
    }
    OTTLA_ASSIGN(const auto* segment, entry.segment());
    const SegmentVisit note = [&](const BatchHeader& header, std::int64_t position) {
      return header.base_offset < from ? absl::OkStatus()
                                       : replay_batch(entry, *segment, header, position);
    };
    OTTLA_TRY(segment->each_batch(std::max(from, entry.base()), note));
  }
  producers_.set_end(end_);
  return absl::OkStatus();
}

template <FileSystem Fs>
absl::Status BasicLog<Fs>::replay_batch(LogSegment& entry, const Segment& segment,
                                        const BatchHeader& header, std::int64_t position) {
  if (header.has_producer_id() && header.is_control()) {
    OTTLA_ASSIGN(const SharedBytes batch, segment.read_batches(position, header.size()));
    OTTLA_TRY(note_marker(entry, header, batch.bytes()));
  } else if (header.has_producer_id()) {
    producers_.append(header);
  }
  producers_.set_end(header.next_offset());
  since_snapshot_ += static_cast<std::int64_t>(header.size());
  return absl::OkStatus();
}

/// From the newest snapshot that is good. Those that are not, or that cannot be believed, go.
template <FileSystem Fs>
absl::Status BasicLog<Fs>::reload_producers(int* malformed) {
  producers_loaded_ = false;
  const Offset newest = std::min(believed_snapshots_, end_);
  OTTLA_TRY(damage() == nullptr ? drop_snapshots_above(newest) : absl::OkStatus());
  believed_snapshots_ = Offset(INT64_MAX);
  producers_.clear_and_start_at(start_);
  since_snapshot_ = 0;
  for (std::size_t i = snapshots_.size(); i-- > 0;) {
    const Offset offset = snapshots_[i];
    if (offset > newest || offset <= start_) {
      continue;
    }
    const std::string path = offset_file_path(place_->directory, offset, producer_snapshot_suffix);
    const auto text = read_small_file(place_->files, path, log_impl::max_snapshot);
    if (!text.ok() && fault(text.status()) != Fault::not_found &&
        fault(text.status()) != Fault::limit_reached) {
      return text.status();
    }
    const auto entries = text.ok() ? parse_producer_snapshot(as_bytes(*text), offset)
                                   : absl::StatusOr<std::vector<ProducerStateEntry>>(text.status());
    if (entries.ok()) {
      producers_.load(*entries, offset, wall_now_, producer_id_expiration_);
      break;
    }
    if (malformed != nullptr) {
      ++*malformed;
    }
    OTTLA_TRY(damage() == nullptr ? drop_snapshot(offset) : absl::OkStatus());
  }
  OTTLA_TRY(replay_producers());
  producers_loaded_ = true;
  return absl::OkStatus();
}

/// They are behind where an index could not be written, ahead where the log was cut back.
template <FileSystem Fs>
absl::Status BasicLog<Fs>::settle_producers() {
  if (!producers_loaded_) {
    return reload_producers();
  }
  if (producers_.end() == end_) {
    return absl::OkStatus();
  }
  if (producers_.end() < end_) {
    return replay_producers();
  }
  if (producers_.empty()) {
    producers_.clear_and_start_at(end_);  // all that the batches tell had expired
  } else {
    OTTLA_TRY(reload_producers());
  }
  if (end_ > start_ && (snapshots_.empty() || snapshots_.back() < end_)) {
    take_snapshot(end_, Durability::written).IgnoreError();
  }
  return absl::OkStatus();
}

// ── snapshots ─────────────────────────────────────────────────────────────────────────────────

/// One that is cut short does not pass, and counts for nothing.
template <FileSystem Fs>
absl::Status BasicLog<Fs>::take_snapshot(Offset offset, Durability durability) {
  const auto at = std::lower_bound(snapshots_.begin(), snapshots_.end(), offset);
  if (at != snapshots_.end() && *at == offset) {
    return absl::OkStatus();
  }
  snapshots_.insert(at, offset);
  ++changes_;
  const absl::Status written = write_snapshot(offset, durability);
  if (written.ok()) {
    since_snapshot_ = 0;
  } else {
    drop_snapshot(offset).IgnoreError();
  }
  return written;
}

template <FileSystem Fs>
absl::Status BasicLog<Fs>::write_snapshot(Offset offset, Durability durability) {
  constexpr IoReason why = IoReason::producer_snapshot;
  const std::vector<std::byte> bytes = format_producer_snapshot(producers_);
  const Bytes piece(bytes);
  OTTLA_ASSIGN(auto file, place_->files.open(
                              offset_file_path(place_->directory, offset, producer_snapshot_suffix),
                              OpenMode::create, why));
  OTTLA_TRY(file.truncate(0, why));
  OTTLA_TRY(file.write(0, {&piece, 1}, why));
  if (durability == Durability::durable) {
    OTTLA_TRY(file.sync(why));
  }
  return file.close();
}

template <FileSystem Fs>
void BasicLog<Fs>::snapshot_sometimes(std::int64_t written) {
  since_snapshot_ += written;
  if (since_snapshot_ < log_impl::snapshot_interval) {
    return;
  }
  since_snapshot_ = 0;  // also where it fails: the next one is as good
  if (take_snapshot(end_, Durability::written).ok()) {
    drop_snapshots_between_segments();
  }
}

/// The newest one stays, and those at the segments' bases.
template <FileSystem Fs>
void BasicLog<Fs>::drop_snapshots_between_segments() {
  std::vector<Offset> strays;
  for (std::size_t i = 0; i + 1 < snapshots_.size(); ++i) {
    const auto& segments = list_->segments;
    const std::size_t at = list_->find(snapshots_[i]);
    if (at == segments.size() || segments[at]->base() != snapshots_[i]) {
      strays.push_back(snapshots_[i]);
    }
  }
  for (const Offset offset : strays) {
    drop_snapshot(offset).IgnoreError();  // the next opening sees to it
  }
}

template <FileSystem Fs>
absl::Status BasicLog<Fs>::drop_snapshot(Offset offset) {
  const auto at = std::lower_bound(snapshots_.begin(), snapshots_.end(), offset);
  if (at == snapshots_.end() || *at != offset) {
    return absl::OkStatus();
  }
  snapshots_.erase(at);
  ++changes_;
  const absl::Status removed =
      place_->files.remove(offset_file_path(place_->directory, offset, producer_snapshot_suffix),
                           IoReason::producer_snapshot);
  return fault(removed) == Fault::not_found ? absl::OkStatus() : removed;
}

/// For good, before anything else gets those offsets: one that came back would pass as theirs.
template <FileSystem Fs>
absl::Status BasicLog<Fs>::drop_snapshots_above(Offset end) {
  if (snapshots_.empty() || snapshots_.back() <= end) {
    return absl::OkStatus();
  }
  while (!snapshots_.empty() && snapshots_.back() > end) {
    const Offset offset = snapshots_.back();
    const absl::Status dropped = drop_snapshot(offset);
    if (!dropped.ok()) {
      snapshots_.push_back(offset);
      return dropped;
    }
  }
  return sync_directory(IoReason::producer_snapshot);
}

// ── opening ───────────────────────────────────────────────────────────────────────────────────

/// Kafka's rule: those at no segment's base go, but for the largest where it lies above all bases.
template <FileSystem Fs>
void BasicLog<Fs>::Opener::remove_stray_snapshots() {
  const auto& segments = log_.list_->segments;
  log_.drop_snapshots_between_segments();
  while (!log_.snapshots_.empty() && log_.snapshots_.front() <= log_.start_) {
    log_.drop_snapshot(log_.snapshots_.front()).IgnoreError();
  }
  if (!log_.snapshots_.empty() && !segments.empty() &&
      log_.snapshots_.back() < segments.back()->base()) {
    const Offset newest = log_.snapshots_.back();
    if (segments[log_.list_->find(newest)]->base() != newest) {
      log_.drop_snapshot(newest).IgnoreError();
    }
  }
}

/// Of the segments from `index` on transaction indexes may lack what their logs have, or have what
/// those lack: they are made anew. Before: nothing else was changed.
template <FileSystem Fs>
absl::Status BasicLog<Fs>::Opener::doubt_from(std::size_t index) {
  log_.believed_snapshots_ = std::min(log_.believed_snapshots_, bases_[index]);
  std::vector<Offset>& indexes = files_->transaction_indexes;
  while (!indexes.empty() && indexes.back() >= bases_[index]) {
    const std::string path =
        offset_file_path(place_.directory, indexes.back(), transaction_index_suffix);
    OTTLA_TRY(place_.files.remove(path, IoReason::index_rebuild));
    indexes.pop_back();
  }
  return absl::OkStatus();
}

/// A process that died while it wrote an entry left a part of it.
template <FileSystem Fs>
absl::Status BasicLog<Fs>::Opener::check_last_transaction_index() {
  if (bases_.empty() || !log_impl::LogFiles::has(files_->transaction_indexes, bases_.back())) {
    return absl::OkStatus();
  }
  LogSegment last(log_.place_, bases_.back(), log_.segment_options());
  last.set_has_aborted(true);
  const absl::Status opened = last.aborted().status();
  return fault(opened) == Fault::corrupt ? doubt_from(bases_.size() - 1) : opened;
}

/// An error of the disk is none of opening: record files may have been changed by now. Until they
/// can be read nothing is appended, and nothing is stable.
template <FileSystem Fs>
void BasicLog<Fs>::Opener::settle_producers() {
  for (const auto& entry : log_.list_->segments) {
    entry->set_has_aborted(log_impl::LogFiles::has(files_->transaction_indexes, entry->base()));
  }
  log_.snapshots_ = files_->snapshots;
  log_.wall_now_ = opening_.now;
  if (damage_ == nullptr) {  // else nothing is changed here
    remove_stray_snapshots();
  }
  int malformed = 0;
  const absl::Status reloaded = log_.reload_producers(&malformed);
  if (malformed > 0) {
    find(Kind::snapshot_dropped, place_.directory, 0, 0,
         "a producer snapshot was malformed, as a kill leaves one; an earlier one and the records "
         "say the same, so there is nothing to do");
  }
  if (reloaded.ok() && damage_ == nullptr) {
    if (stop_ != LastStop::clean && end_ > log_.start_) {
      log_.take_snapshot(end_, Durability::written).IgnoreError();
    }
    log_.snapshot_sometimes(0);
  }
}

}  // namespace ottla::inline OTTLA_ABI
