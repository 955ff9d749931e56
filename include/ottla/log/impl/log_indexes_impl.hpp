// SPDX-License-Identifier: Apache-2.0
//
// Indexes that are missing, damaged or unread: removed, and made anew from the log.
#pragma once

#include <string_view>
#include <utility>

#include <absl/strings/str_cat.h>

#include <ottla/log/impl/log_files.hpp>
#include <ottla/log/log.hpp>

namespace ottla::inline OTTLA_ABI {

/// Who has them open goes on with them; the next opening makes them anew.
template <FileSystem Fs>
absl::Status BasicLog<Fs>::remove_indexes(Offset base) {
  for (const std::string_view suffix : {offset_index_suffix, time_index_suffix}) {
    const absl::Status removed = place_->files.remove(
        offset_file_path(place_->directory, base, suffix), IoReason::index_rebuild);
    OTTLA_TRY(fault(removed) == Fault::not_found ? absl::OkStatus() : removed);
  }
  return absl::OkStatus();
}

/// In files of other names, which get theirs once all of it is on the device: half of them would be
/// believed, and below the recovery point nobody makes them anew after a power cut.
template <FileSystem Fs>
auto BasicLog<Fs>::make_indexes(Offset base, bool closed, Offset durable, SegmentRecovery& found)
    -> absl::StatusOr<Segment> {
  constexpr IoReason why = IoReason::index_rebuild;
  const auto path = [&](std::string_view suffix) {
    return offset_file_path(place_->directory, base, suffix);
  };
  const auto copy = [&](std::string_view suffix) {
    return absl::StrCat(path(suffix), av(log_impl::rewrite_suffix));
  };
  const auto begin = [&](std::string_view suffix) -> absl::StatusOr<typename Fs::File> {
    OTTLA_ASSIGN(auto file, place_->files.open(copy(suffix), OpenMode::create, why));
    OTTLA_TRY(file.truncate(0, why));
    return file;
  };
  const auto make = [&]() -> absl::StatusOr<Segment> {
    OTTLA_ASSIGN(const FileStatus status, place_->files.status(path(log_suffix)));
    OTTLA_ASSIGN(auto log, place_->files.open(path(log_suffix), OpenMode::read_write, why));
    OTTLA_ASSIGN(auto offset_index, begin(offset_index_suffix));
    OTTLA_ASSIGN(auto time_index, begin(time_index_suffix));
    OTTLA_ASSIGN(auto fresh,
                 Segment::open({std::move(log), std::move(offset_index), std::move(time_index)},
                               base, segment_options(), {opened_, status.modified}));
    OTTLA_ASSIGN(found, fresh.recover({.trust_indexes = false, .durable_end = durable}));
    OTTLA_TRY(fresh.index_status());
    OTTLA_TRY(closed && found.clean() ? fresh.become_inactive(why) : absl::OkStatus());
    OTTLA_TRY(health_->checked(fresh.sync_indexes(why)));
    for (const std::string_view suffix : {offset_index_suffix, time_index_suffix}) {
      OTTLA_TRY(place_->files.rename(copy(suffix), path(suffix), why));
    }
    OTTLA_TRY(sync_directory(why));
    return fresh;
  };
  auto made = make();
  for (const std::string_view suffix : {offset_index_suffix, time_index_suffix}) {
    if (!made.ok()) {
      place_->files.remove(copy(suffix), why).IgnoreError();  // what it failed with is told
    }
  }
  return made;
}

template <FileSystem Fs>
absl::StatusOr<int> BasicLog<Fs>::repair_indexes() {
  OTTLA_TRY(check_writable());
  int repaired = 0;
  auto segments = list_->segments;
  for (Ref<LogSegment>& entry : segments) {
    Segment* segment = entry->if_open();
    if (segment == nullptr || (!segment->indexes_damaged() && !segment->indexes_unread())) {
      continue;
    }
    // What takes its place does not know what a failed write left, or is to be synced.
    OTTLA_TRY(entry.get() == active() ? make_ready(*segment) : absl::OkStatus());
    const std::int64_t size = segment->size();
    SegmentRecovery recovered;
    OTTLA_ASSIGN(auto fresh, make_indexes(entry->base(), entry.get() != active(), end_, recovered));
    if (!recovered.clean() || recovered.file_size != size) {
      return error(
          ErrorCode::corrupt_message, Fault::corrupt,
          absl::StrCat(entry->path(), " at byte ", recovered.valid_end, ": ", recovered.problem));
    }
    const auto digest = entry->closed_digest();
    const bool has_aborted = entry->has_aborted();
    entry = make_ref<LogSegment>(place_, segment_options(), std::move(fresh));
    entry->digest = digest;
    entry->set_has_aborted(has_aborted);
    ++changes_;
    ++repaired;
    replace_list(segments);
  }
  return repaired;
}

}  // namespace ottla::inline OTTLA_ABI
