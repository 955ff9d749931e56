// SPDX-License-Identifier: Apache-2.0
//
// What we ask of files and directories. Errors are values with the path and the system's reason:
// `not_found`, `already_exists`, `no_space`, `no_descriptors`, `read_only`, `locked`, `io`,
// `corrupt` never. Nothing about order or durability is assumed beyond what is written here.
// Models: posix, memory, any_file_system (chosen at run time).
#pragma once

#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/statusor.h>

#include <ottla/base/bytes.hpp>
#include <ottla/base/time.hpp>
#include <ottla/env/io_reason.hpp>

namespace ottla::inline OTTLA_ABI {

enum class OpenMode : std::uint8_t {
  read,        ///< an existing file, for reading
  read_write,  ///< an existing file
  create_new,  ///< a file that must not exist yet, for reading and writing
  create,      ///< the file, made when missing; its content is kept
};

enum class FileKind : std::uint8_t { file, directory, other };

struct FileStatus {
  FileKind kind = FileKind::file;
  std::int64_t size = 0;  ///< bytes
  Timestamp modified = no_timestamp;
};

struct DirectoryEntry {
  std::string name;  ///< without the directory
  FileKind kind = FileKind::file;
};

/// Whether two openings of a path saw the same running kernel and device.
struct VolumeId {
  std::string boot_id;
  std::uint64_t device = 0;
  bool operator==(const VolumeId&) const = default;
};

/// An open file. Reading is thread-safe, also beside one writer; writing is one thread's; `sync`
/// may run beside both. It stays usable when its file or directory is renamed through the same
/// FileSystem, and when it is removed. The destructor closes it.
template <class F>
concept File = std::movable<F> &&
    requires(F file, const F& reading, std::int64_t position, MutableBytes into,
             std::span<const Bytes> pieces, IoReason why) {
  /// Fills `into` from `position`, less only where the file ends. Returns the bytes read.
  { reading.read(position, into) } -> std::same_as<absl::StatusOr<std::size_t>>;
  /// Writes all pieces one after the other from `position`: everything, or an error after which any
  /// part may be there (none, where its outcome is `not_written`).
  { file.write(position, pieces, why) } -> std::same_as<absl::Status>;
  { reading.size() } -> std::same_as<absl::StatusOr<std::int64_t>>;
  { file.truncate(position, why) } -> std::same_as<absl::Status>;
  /// Data and size are on the device when this answers ok. After a failure nothing is known (never
  /// try again).
  { file.sync(why) } -> std::same_as<absl::Status>;
  /// Reserves room up to `position` bytes without changing the size. A hint: `unsupported` is fine.
  { file.reserve(position, why) } -> std::same_as<absl::Status>;
  /// Nobody will use it for a while: lets go of what the system counts (a descriptor), unless
  /// somebody is using it, or asks for durability and it is not synced. The next call gets it back.
  /// Thread-safe.
  {file.rest()};
  { file.close() } -> std::same_as<absl::Status>;
};

/// Thread-safe.
template <class Fs>
concept FileSystem = File<typename Fs::File> && std::movable<typename Fs::Lock> &&
    requires(Fs& fs, std::string_view path, std::string_view to, OpenMode mode, IoReason why,
             Timestamp time) {
  { fs.open(path, mode, why) } -> std::same_as<absl::StatusOr<typename Fs::File>>;
  { fs.status(path) } -> std::same_as<absl::StatusOr<FileStatus>>;
  /// Ascending by name, without "." and "..".
  { fs.list(path) } -> std::same_as<absl::StatusOr<std::vector<DirectoryEntry>>>;
  /// One level; `already_exists` when there is one.
  { fs.create_directory(path, why) } -> std::same_as<absl::Status>;
  /// Atomic for readers; replaces an existing file.
  { fs.rename(path, to, why) } -> std::same_as<absl::Status>;
  { fs.remove(path, why) } -> std::same_as<absl::Status>;
  /// An empty directory.
  { fs.remove_directory(path, why) } -> std::same_as<absl::Status>;
  /// Names made, renamed and removed in the directory before this are on the device when it answers
  /// ok.
  { fs.sync_directory(path, why) } -> std::same_as<absl::Status>;
  { fs.set_modified(path, time) } -> std::same_as<absl::Status>;
  /// The exclusive lock that Java takes too, on a file made when missing and never removed; until
  /// the Lock is destroyed. `locked` when somebody else has it, in this process too.
  { fs.lock(path) } -> std::same_as<absl::StatusOr<typename Fs::Lock>>;
  { fs.volume(path) } -> std::same_as<absl::StatusOr<VolumeId>>;
};

}  // namespace ottla::inline OTTLA_ABI
