// SPDX-License-Identifier: Apache-2.0
//
// Small files (checkpoints, metadata) that are read whole and replaced whole, never overwritten in
// place: a reader, and a crash, find the old content or the new one.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>

#include <absl/strings/str_cat.h>

#include <ottla/base/status.hpp>
#include <ottla/env/durability.hpp>
#include <ottla/env/file_system.hpp>

namespace ottla::inline OTTLA_ABI {

/// The whole content. `limit_reached` when it has more than `limit` bytes: then it is not what was
/// expected, and nothing of it is read.
template <FileSystem Fs>
absl::StatusOr<std::string> read_small_file(Fs& fs, std::string_view path, std::size_t limit) {
  OTTLA_ASSIGN(const auto file, fs.open(path, OpenMode::read, IoReason::other));
  OTTLA_ASSIGN(const std::int64_t size, file.size());
  if (size > static_cast<std::int64_t>(limit)) {
    return error(Fault::limit_reached, absl::StrCat(av(path), " has ", size, " bytes, more than ",
                                                    limit, "; is it what its name says?"));
  }
  std::string content(static_cast<std::size_t>(size), '\0');
  OTTLA_ASSIGN(const std::size_t read, file.read(0, std::as_writable_bytes(std::span(content))));
  content.resize(read);
  return content;
}

/// The directory that holds the entry `path`; of "a/b/" it is "a".
inline std::string_view parent_directory(std::string_view path) {
  while (path.size() > 1 && path.ends_with('/')) {
    path.remove_suffix(1);
  }
  const std::size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? std::string_view(".")
                                         : path.substr(0, std::max<std::size_t>(slash, 1));
}

/// Writes `<path>.tmp`, syncs it, renames it to `path`, syncs the directory; the syncs only at
/// `durable`: without them a crash of the machine may leave neither content. One caller a path.
/// After an error that is not `unknown` in outcome the old content stands; after one that is,
/// `path` may name either.
template <FileSystem Fs>
absl::Status replace_small_file(Fs& fs, std::string_view path, Bytes content, Durability durability,
                                IoReason why) {
  const std::string temporary = absl::StrCat(av(path), ".tmp");
  const auto replace = [&]() -> absl::Status {
    OTTLA_ASSIGN(auto file, fs.open(temporary, OpenMode::create, why));
    OTTLA_TRY(file.truncate(0, why));  // what a crash left
    const absl::Status written = file.write(0, std::span(&content, 1), why);
    if (fault(written) == Fault::no_space) {
      return with_outcome(written, Outcome::not_written);  // a part of it, in a file nobody reads
    }
    OTTLA_TRY(written);
    if (durability == Durability::durable) {
      OTTLA_TRY(file.sync(why));
    }
    OTTLA_TRY(file.close());
    return fs.rename(temporary, path, why);
  };
  if (absl::Status failed = replace(); !failed.ok()) {
    if (outcome(failed) == Outcome::not_written) {
      // Gives the space back where it is short. Nobody reads it, so what this answers is no news.
      fs.remove(temporary, why).IgnoreError();
    }
    return failed;
  }
  if (durability == Durability::durable) {
    return with_outcome(fs.sync_directory(parent_directory(path), why), Outcome::unknown);
  }
  return absl::OkStatus();
}

}  // namespace ottla::inline OTTLA_ABI
