// SPDX-License-Identifier: Apache-2.0
//
// The files of a segment in their directory: made, opened, renamed away and removed. Nothing is
// synced here: the owner syncs the directory before its first durable answer.
#pragma once

#include <cstdint>
#include <string_view>

#include <absl/status/statusor.h>

#include <ottla/env/file_system.hpp>
#include <ottla/segment/segment.hpp>
#include <ottla/segment/segment_name.hpp>

namespace ottla::inline OTTLA_ABI {

/// A new segment with its log and both indexes, all empty. A log of that name is used where it is
/// empty, and otherwise `already_exists`: it is never overwritten.
template <FileSystem Fs>
absl::StatusOr<BasicSegment<typename Fs::File>> create_segment(Fs& files,
                                                               std::string_view directory,
                                                               Offset base_offset,
                                                               const SegmentOptions& options = {},
                                                               Timestamp now = no_timestamp);

/// An existing segment. An index that is missing is made empty, and then the segment says that its
/// indexes are damaged. `now`: what counts as its creation time.
template <FileSystem Fs>
absl::StatusOr<BasicSegment<typename Fs::File>> open_segment(Fs& files, std::string_view directory,
                                                             Offset base_offset,
                                                             const SegmentOptions& options = {},
                                                             Timestamp now = no_timestamp,
                                                             IndexLoad indexes = IndexLoad::strict);

/// An existing segment, for who writes nothing: no file is made, and an index that is missing, or
/// cannot be read, costs time alone. `stage`: a suffix that its names have behind their own.
/// `trust_times`: else look-ups by time go through the log.
template <FileSystem Fs>
absl::StatusOr<BasicSegment<typename Fs::File>> open_segment_to_read(
    Fs& files, std::string_view directory, Offset base_offset, const SegmentOptions& options = {},
    std::string_view stage = {}, bool trust_times = true);

/// Adds ".deleted" to the names, the log's first. Open Segments stay usable. A missing index is no
/// error.
template <FileSystem Fs>
absl::Status rename_to_deleted(Fs& files, std::string_view directory, Offset base_offset,
                               IoReason why = IoReason::delete_segment);

/// Removes what `rename_to_deleted` renamed, a large log in steps of `step_bytes`, so that no call
/// takes long. True when nothing is left. Before: nobody reads it any more.
template <FileSystem Fs>
absl::StatusOr<bool> remove_deleted(Fs& files, std::string_view directory, Offset base_offset,
                                    std::int64_t step_bytes = 64 << 20,
                                    IoReason why = IoReason::delete_segment);

}  // namespace ottla::inline OTTLA_ABI

#include <ottla/segment/impl/segment_files_impl.hpp>
