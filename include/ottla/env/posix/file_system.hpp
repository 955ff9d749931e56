// SPDX-License-Identifier: Apache-2.0
//
// The files of the system: pread and pwritev, never mapped, so that a full disk or a bad sector is
// a Status and no signal. Descriptors sit in a bounded cache: an open file that was not used for a
// while has none, and gets it back on demand, if the path still names the same file. All are closed
// on exec; none works in a child of fork.
#pragma once

#include <memory>
#include <utility>

#include <ottla/base/ref.hpp>
#include <ottla/env/file_system.hpp>
#include <ottla/env/posix/process.hpp>

namespace ottla::inline OTTLA_ABI {
namespace env_impl {
class DescriptorCache;
class OpenFile;
}  // namespace env_impl

struct PosixFileSystemOptions {
  /// Descriptors kept open; 0: 1,024, or half of RLIMIT_NOFILE if that is less. Calls in progress,
  /// and open files that were removed, may hold more.
  std::size_t max_descriptors = 0;
};

/// Beside the contract of File: `sync` may run beside reads and the writer. What an evicted
/// descriptor was written through is synced first if `sync` was ever called on this File, and a
/// failure is answered by the next `sync`; a failed sync stays failed. A read that fails with EIO
/// is tried once more.
class PosixFile {
 public:
  explicit PosixFile(std::unique_ptr<env_impl::OpenFile> file);
  PosixFile(PosixFile&&) noexcept;
  PosixFile& operator=(PosixFile&&) noexcept;
  ~PosixFile();

  absl::StatusOr<std::size_t> read(std::int64_t position, MutableBytes into) const;
  absl::Status write(std::int64_t position, std::span<const Bytes> pieces, IoReason why);
  absl::StatusOr<std::int64_t> size() const;
  absl::Status truncate(std::int64_t size, IoReason why);
  absl::Status sync(IoReason why);
  absl::Status reserve(std::int64_t size, IoReason why);
  void rest();
  absl::Status close();

 private:
  std::unique_ptr<env_impl::OpenFile> file_;
};

/// An open file description lock: let go by closing its descriptor, also by the end of the process.
class PosixLock {
 public:
  /// Takes over the locked descriptor.
  explicit PosixLock(int descriptor) : descriptor_(descriptor) {}
  PosixLock(PosixLock&& other) noexcept
      : descriptor_(std::exchange(other.descriptor_, -1)), made_in_(other.made_in_) {}
  PosixLock& operator=(PosixLock&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    std::swap(made_in_, other.made_in_);
    return *this;
  }
  ~PosixLock();

 private:
  int descriptor_;
  ProcessMark made_in_;
};

/// Thread-safe. Copies are handles of one cache; files may outlive them. Relative paths are meant
/// from the directory that was current at construction. A file is known by the path it was opened
/// by: renames and removals keep its File usable when they name it, or a directory above it, with
/// the same spelling.
class PosixFileSystem {
 public:
  using File = PosixFile;
  using Lock = PosixLock;

  explicit PosixFileSystem(PosixFileSystemOptions options = {});
  PosixFileSystem(const PosixFileSystem&);
  PosixFileSystem& operator=(const PosixFileSystem&);
  ~PosixFileSystem();

  absl::StatusOr<PosixFile> open(std::string_view path, OpenMode mode, IoReason why);
  absl::StatusOr<FileStatus> status(std::string_view path);
  absl::StatusOr<std::vector<DirectoryEntry>> list(std::string_view path);
  absl::Status create_directory(std::string_view path, IoReason why);
  absl::Status rename(std::string_view path, std::string_view to, IoReason why);
  absl::Status remove(std::string_view path, IoReason why);
  absl::Status remove_directory(std::string_view path, IoReason why);
  absl::Status sync_directory(std::string_view path, IoReason why);
  absl::Status set_modified(std::string_view path, Timestamp time);
  absl::StatusOr<PosixLock> lock(std::string_view path);
  absl::StatusOr<VolumeId> volume(std::string_view path);

  /// Descriptors in the cache now.
  std::size_t descriptors() const;

 private:
  Ref<env_impl::DescriptorCache> cache_;
};
static_assert(FileSystem<PosixFileSystem>);

}  // namespace ottla::inline OTTLA_ABI

#ifndef OTTLA_COMPILED
#include <ottla/env/impl/posix_file_system.ipp>
#include <ottla/env/impl/posix_volume.ipp>
#endif
