// SPDX-License-Identifier: Apache-2.0
//
// Names of a segment's files: its base offset in 20 digits, then what the file is.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <ottla/base/ids.hpp>

namespace ottla::inline OTTLA_ABI {

inline constexpr std::string_view log_suffix = ".log";
inline constexpr std::string_view offset_index_suffix = ".index";
inline constexpr std::string_view time_index_suffix = ".timeindex";
inline constexpr std::string_view transaction_index_suffix = ".txnindex";
/// Behind the whole name of a file that is about to be removed.
inline constexpr std::string_view deleted_suffix = ".deleted";

/// E.g. "00000000000000000042.log". Before: `offset` >= 0.
std::string offset_file_name(Offset offset, std::string_view suffix);

/// `directory`, "/" and the above.
std::string offset_file_path(std::string_view directory, Offset offset, std::string_view suffix);

/// The offset of a name that is 20 digits and exactly `suffix`; nothing for any other, also where
/// an offset of 32 bits above it would overflow.
std::optional<Offset> offset_of_file_name(std::string_view name, std::string_view suffix);

}  // namespace ottla::inline OTTLA_ABI

#ifndef OTTLA_COMPILED
#include <ottla/segment/impl/segment_name.ipp>
#endif
