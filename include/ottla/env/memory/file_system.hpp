// SPDX-License-Identifier: Apache-2.0
//
// A whole file system in memory, with the contract and the rename rules of the system's own.
// Brokers that leave no file live on it. Bytes lie in chunks that readers copy from without holding
// a lock: appends go behind what they see, and a chunk whose bytes change is replaced. A removed
// file gives its memory back with its last File.
#pragma once

#include <functional>
#include <utility>

#include <ottla/base/ref.hpp>
#include <ottla/env/file_system.hpp>

namespace ottla::inline OTTLA_ABI {
namespace env_impl {
class MemoryContent;
class MemoryTree;
}  // namespace env_impl

struct MemoryFileSystemOptions {
  /// Bytes that all files may take together, in whole chunks; more is `no_space`. 0: no limit.
  std::int64_t max_bytes = 0;
  /// The wall clock that files are stamped with, called from the threads that change them. None:
  /// they have no time.
  std::function<Timestamp()> wall_now = {};
};

/// `sync` and `reserve` do nothing. Any number of Files of one path may write; each write is one
/// step for readers.
class MemoryFile {
 public:
  MemoryFile(Ref<env_impl::MemoryContent> content, std::string path, bool writable);
  MemoryFile(MemoryFile&&) noexcept;
  MemoryFile& operator=(MemoryFile&&) noexcept;
  ~MemoryFile();

  absl::StatusOr<std::size_t> read(std::int64_t position, MutableBytes into) const;
  absl::Status write(std::int64_t position, std::span<const Bytes> pieces, IoReason why);
  absl::StatusOr<std::int64_t> size() const;
  absl::Status truncate(std::int64_t size, IoReason why);
  absl::Status sync(IoReason why);
  absl::Status reserve(std::int64_t size, IoReason why);
  void rest() {}
  absl::Status close();

 private:
  Ref<env_impl::MemoryContent> content_;
  std::string path_;  // that it was opened by, for messages
  bool writable_;
};

class MemoryLock {
 public:
  /// Takes over the lock on `content`.
  explicit MemoryLock(Ref<env_impl::MemoryContent> content);
  MemoryLock(MemoryLock&&) noexcept;
  MemoryLock& operator=(MemoryLock&&) noexcept;
  ~MemoryLock();

 private:
  Ref<env_impl::MemoryContent> content_;
};

/// Thread-safe. Copies are handles of one file system; it ends with the last of them. Relative
/// paths are meant from "/".
class MemoryFileSystem {
 public:
  using File = MemoryFile;
  using Lock = MemoryLock;

  explicit MemoryFileSystem(MemoryFileSystemOptions options = {});
  MemoryFileSystem(const MemoryFileSystem&);
  MemoryFileSystem& operator=(const MemoryFileSystem&);
  ~MemoryFileSystem();

  absl::StatusOr<MemoryFile> open(std::string_view path, OpenMode mode, IoReason why);
  absl::StatusOr<FileStatus> status(std::string_view path);
  absl::StatusOr<std::vector<DirectoryEntry>> list(std::string_view path);
  absl::Status create_directory(std::string_view path, IoReason why);
  absl::Status rename(std::string_view path, std::string_view to, IoReason why);
  absl::Status remove(std::string_view path, IoReason why);
  absl::Status remove_directory(std::string_view path, IoReason why);
  absl::Status sync_directory(std::string_view path, IoReason why);
  absl::Status set_modified(std::string_view path, Timestamp time);
  absl::StatusOr<MemoryLock> lock(std::string_view path);
  absl::StatusOr<VolumeId> volume(std::string_view path);

  /// Bytes that files take now, in whole chunks; removed ones too while they are open.
  std::int64_t bytes() const;

 private:
  Ref<env_impl::MemoryTree> tree_;
};
static_assert(FileSystem<MemoryFileSystem>);

}  // namespace ottla::inline OTTLA_ABI

#ifndef OTTLA_COMPILED
#include <ottla/env/impl/memory_file_system.ipp>
#endif
