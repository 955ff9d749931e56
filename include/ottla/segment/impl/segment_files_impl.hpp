// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <utility>

#include <absl/strings/str_cat.h>

#include <ottla/segment/segment_files.hpp>

namespace ottla::inline OTTLA_ABI {

namespace segment_impl {

inline constexpr std::string_view all_suffixes[] = {log_suffix, offset_index_suffix,
                                                    time_index_suffix, transaction_index_suffix};

/// An empty file, whatever was in it: an index of a segment that is empty.
template <FileSystem Fs>
absl::StatusOr<typename Fs::File> create_empty(Fs& files, const std::string& path) {
  OTTLA_ASSIGN(auto file, files.open(path, OpenMode::create, IoReason::roll));
  OTTLA_ASSIGN(const std::int64_t size, file.size());
  if (size > 0) {
    OTTLA_TRY(file.truncate(0, IoReason::roll));
  }
  return file;
}

/// An existing file, or a new one and `missing` set.
template <FileSystem Fs>
absl::StatusOr<typename Fs::File> open_or_create(Fs& files, const std::string& path,
                                                 bool& missing) {
  auto file = files.open(path, OpenMode::read_write, IoReason::index_rebuild);
  if (fault(file.status()) != Fault::not_found) {
    return file;
  }
  missing = true;
  return files.open(path, OpenMode::create, IoReason::index_rebuild);
}

}  // namespace segment_impl

template <FileSystem Fs>
absl::StatusOr<BasicSegment<typename Fs::File>> create_segment(Fs& files,
                                                               std::string_view directory,
                                                               Offset base_offset,
                                                               const SegmentOptions& options,
                                                               Timestamp now) {
  const std::string path = offset_file_path(directory, base_offset, log_suffix);
  auto log = files.open(path, OpenMode::create_new, IoReason::roll);
  if (fault(log.status()) == Fault::already_exists) {
    log = files.open(path, OpenMode::read_write, IoReason::roll);
    OTTLA_TRY(log.status());
    OTTLA_ASSIGN(const std::int64_t size, log->size());
    if (size > 0) {
      return error(Fault::already_exists,
                   absl::StrCat(path, " of ", size,
                                " bytes is there already; a new segment never takes its ",
                                "place: move it away, or recover it"));
    }
  }
  OTTLA_TRY(log.status());
  OTTLA_ASSIGN(auto offset_index,
               segment_impl::create_empty(
                   files, offset_file_path(directory, base_offset, offset_index_suffix)));
  OTTLA_ASSIGN(auto time_index,
               segment_impl::create_empty(
                   files, offset_file_path(directory, base_offset, time_index_suffix)));
  if (options.reserve_bytes > 0) {
    // A hint: where the file system has no such thing, or no room, appends find out.
    (void)log->reserve(options.reserve_bytes, IoReason::roll);
  }
  return BasicSegment<typename Fs::File>::open(
      {*std::move(log), std::move(offset_index), std::move(time_index)}, base_offset, options,
      {now, now});
}

template <FileSystem Fs>
absl::StatusOr<BasicSegment<typename Fs::File>> open_segment(Fs& files, std::string_view directory,
                                                             Offset base_offset,
                                                             const SegmentOptions& options,
                                                             Timestamp now, IndexLoad indexes) {
  const std::string path = offset_file_path(directory, base_offset, log_suffix);
  OTTLA_ASSIGN(const FileStatus status, files.status(path));
  OTTLA_ASSIGN(auto log, files.open(path, OpenMode::read_write, IoReason::append));
  bool missing = false;
  OTTLA_ASSIGN(auto offset_index,
               segment_impl::open_or_create(
                   files, offset_file_path(directory, base_offset, offset_index_suffix), missing));
  OTTLA_ASSIGN(auto time_index,
               segment_impl::open_or_create(
                   files, offset_file_path(directory, base_offset, time_index_suffix), missing));
  OTTLA_ASSIGN(auto segment, BasicSegment<typename Fs::File>::open(
                                 {std::move(log), std::move(offset_index), std::move(time_index)},
                                 base_offset, options, {now, status.modified}, indexes));
  if (missing && status.size > 0) {
    segment.distrust_indexes();
  }
  return segment;
}

template <FileSystem Fs>
absl::StatusOr<BasicSegment<typename Fs::File>> open_segment_to_read(
    Fs& files, std::string_view directory, Offset base_offset, const SegmentOptions& options,
    std::string_view stage, bool trust_times) {
  const auto open = [&](std::string_view suffix) {
    return files.open(absl::StrCat(offset_file_path(directory, base_offset, suffix), av(stage)),
                      OpenMode::read, IoReason::other);
  };
  // `none`: the log takes the places of the indexes, and is not read there.
  const auto open_with = [&](IndexLoad load) -> absl::StatusOr<BasicSegment<typename Fs::File>> {
    const bool without = load == IndexLoad::none;
    OTTLA_ASSIGN(const FileStatus status,
                 files.status(absl::StrCat(offset_file_path(directory, base_offset, log_suffix),
                                           av(stage))));
    OTTLA_ASSIGN(auto log, open(log_suffix));
    OTTLA_ASSIGN(auto offset_index, open(without ? log_suffix : offset_index_suffix));
    OTTLA_ASSIGN(auto time_index, open(without ? log_suffix : time_index_suffix));
    OTTLA_ASSIGN(auto segment, BasicSegment<typename Fs::File>::open(
                                   {std::move(log), std::move(offset_index), std::move(time_index)},
                                   base_offset, options, {no_timestamp, status.modified}, load,
                                   trust_times ? load : IndexLoad::none));
    if (without || !trust_times) {
      segment.distrust_indexes();
    }
    return segment;
  };
  auto opened = open_with(IndexLoad::prefix);
  // Where it is the log that is missing, or cannot be read, it fails again.
  const Fault why = fault(opened.status());
  return why == Fault::not_found || why == Fault::io ? open_with(IndexLoad::none)
                                                     : std::move(opened);
}

template <FileSystem Fs>
absl::Status rename_to_deleted(Fs& files, std::string_view directory, Offset base_offset,
                               IoReason why) {
  for (const std::string_view suffix : segment_impl::all_suffixes) {
    const std::string path = offset_file_path(directory, base_offset, suffix);
    const absl::Status renamed = files.rename(path, absl::StrCat(path, av(deleted_suffix)), why);
    if (!renamed.ok() && (suffix == log_suffix || fault(renamed) != Fault::not_found)) {
      return renamed;
    }
  }
  return absl::OkStatus();
}

template <FileSystem Fs>
absl::StatusOr<bool> remove_deleted(Fs& files, std::string_view directory, Offset base_offset,
                                    std::int64_t step_bytes, IoReason why) {
  const auto path_of = [&](std::string_view suffix) {
    return absl::StrCat(offset_file_path(directory, base_offset, suffix), av(deleted_suffix));
  };
  if (const auto status = files.status(path_of(log_suffix));
      status.ok() && status->size > step_bytes) {
    OTTLA_ASSIGN(auto log, files.open(path_of(log_suffix), OpenMode::read_write, why));
    OTTLA_TRY(log.truncate(status->size - step_bytes, why));
    OTTLA_TRY(log.close());
    return false;
  }
  for (const std::string_view suffix : segment_impl::all_suffixes) {
    const absl::Status removed = files.remove(path_of(suffix), why);
    if (!removed.ok() && fault(removed) != Fault::not_found) {
      return removed;
    }
  }
  return true;
}

}  // namespace ottla::inline OTTLA_ABI
