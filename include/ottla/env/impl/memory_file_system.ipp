// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <memory>

#include <absl/strings/str_cat.h>
#include <errno.h>

#include <ottla/env/impl/memory_content.hpp>
#include <ottla/env/impl/path_text.hpp>
#include <ottla/env/impl/system_error.hpp>
#include <ottla/env/memory/file_system.hpp>

namespace ottla::inline OTTLA_ABI {
namespace env_impl {

struct MemoryDirectory;

/// A file or a directory, by name.
struct MemoryEntry {
  Ref<MemoryContent> file;
  std::unique_ptr<MemoryDirectory> directory;
};

struct MemoryDirectory {
  std::map<std::string, MemoryEntry, std::less<>> entries;
  Timestamp modified = no_timestamp;
  std::unique_ptr<MemoryDirectory> next_to_destroy = nullptr;
};

/// The names. All methods answer 0, or the number that the system would give the error.
class MemoryTree final : public Counted {
 public:
  explicit MemoryTree(MemoryFileSystemOptions options) : volume(make_ref<MemoryVolume>()) {
    volume->max_bytes = options.max_bytes;
    volume->wall_now = std::move(options.wall_now);
    root_.modified = volume->now();
  }
  ~MemoryTree() override;

  absl::StatusOr<std::string> resolve(std::string_view path) const;
  int open(std::string_view path, OpenMode mode, Ref<MemoryContent>& content);
  int status(std::string_view path, FileStatus& status);
  int list(std::string_view path, std::vector<DirectoryEntry>& entries);
  int create_directory(std::string_view path);
  int rename(std::string_view path, std::string_view to);
  int remove(std::string_view path, FileKind kind);
  int set_modified(std::string_view path, Timestamp time);

  const Ref<MemoryVolume> volume;

 private:
  using Place = std::pair<MemoryDirectory*, std::string_view>;  // a directory, and a name in it

  int find_directory(std::string_view path, MemoryDirectory*& directory) OTTLA_REQUIRES(mutex_);
  int find_place(std::string_view path, Place& place) OTTLA_REQUIRES(mutex_);

  Mutex mutex_{Mutex::Kind::leaf};
  MemoryDirectory root_ OTTLA_GUARDED_BY(mutex_);
};

// Not by recursion, since others decided how deep the tree is; and without memory: those that are
// left to be destroyed form a list.
OTTLA_INLINE MemoryTree::~MemoryTree() {
  std::unique_ptr<MemoryDirectory> left;
  const auto empty = [&](MemoryDirectory& directory) {
    for (auto& [name, entry] : directory.entries) {
      if (entry.directory != nullptr) {
        entry.directory->next_to_destroy = std::move(left);
        left = std::move(entry.directory);
      }
    }
  };
  Lock lock(mutex_);
  empty(root_);
  while (left != nullptr) {
    const std::unique_ptr<MemoryDirectory> next = std::move(left);
    left = std::move(next->next_to_destroy);
    empty(*next);
  }
}

// There are no links here, so ".." is what it seems.
OTTLA_INLINE absl::StatusOr<std::string> MemoryTree::resolve(std::string_view path) const {
  Mutex::expect_none_held();  // files may be slow
  if (path.empty() || path.find('\0') != std::string_view::npos) {
    return error(Fault::invalid_argument, "a path that is empty or holds a zero byte");
  }
  std::string full = full_path("/", path);
  for (std::size_t at; (at = (full + "/").find("/../")) != std::string::npos;) {
    const std::size_t before = at == 0 ? 0 : full.rfind('/', at - 1);
    full.erase(before, at + 3 - before);
  }
  const bool too_long = full.size() >= 4096 || name_of(full).size() > 255;
  return too_long
             ? absl::StatusOr<std::string>(system_error(ENAMETOOLONG, "use", full, Access::reading))
         : full.empty() ? "/"
                        : std::move(full);
}

OTTLA_INLINE int MemoryTree::find_directory(std::string_view path, MemoryDirectory*& directory) {
  directory = &root_;
  while (path.size() > 1) {
    path.remove_prefix(1);
    const std::string_view name = path.substr(0, path.find('/'));
    path.remove_prefix(name.size());
    const auto found = directory->entries.find(name);
    if (found == directory->entries.end()) {
      return ENOENT;
    }
    directory = found->second.directory.get();
    if (directory == nullptr) {
      return ENOTDIR;
    }
  }
  return 0;
}

OTTLA_INLINE int MemoryTree::find_place(std::string_view path, Place& place) {
  place.second = name_of(path);
  return place.second.empty() ? EBUSY : find_directory(parent_of(path), place.first);
}

OTTLA_INLINE int MemoryTree::open(std::string_view path, OpenMode mode,
                                  Ref<MemoryContent>& content) {
  const bool create = mode == OpenMode::create || mode == OpenMode::create_new;
  auto fresh = create ? make_ref<MemoryContent>(volume) : nullptr;
  Lock lock(mutex_);
  Place place;
  if (const int failure = find_place(path, place); failure != 0) {
    return failure == EBUSY ? EISDIR : failure;
  }
  auto& [directory, name] = place;
  const auto found = directory->entries.find(name);
  if (found != directory->entries.end()) {
    content = found->second.file;
    return mode == OpenMode::create_new ? EEXIST : content ? 0 : EISDIR;
  }
  if (!create) {
    return ENOENT;
  }
  directory->modified = fresh->modified();
  content = fresh;
  directory->entries[std::string(name)].file = std::move(fresh);
  return 0;
}

OTTLA_INLINE int MemoryTree::status(std::string_view path, FileStatus& status) {
  Lock lock(mutex_);
  Place place;
  const MemoryDirectory* directory = &root_;
  if (path != "/") {
    if (const int failure = find_place(path, place); failure != 0) {
      return failure;
    }
    const auto found = place.first->entries.find(place.second);
    if (found == place.first->entries.end()) {
      return ENOENT;
    }
    if (const Ref<MemoryContent> file = found->second.file) {
      lock.unlock();
      status = {.kind = FileKind::file, .size = file->size(), .modified = file->modified()};
      return 0;
    }
    directory = found->second.directory.get();
  }
  status = {.kind = FileKind::directory, .size = 0, .modified = directory->modified};
  return 0;
}

OTTLA_INLINE int MemoryTree::list(std::string_view path, std::vector<DirectoryEntry>& entries) {
  Lock lock(mutex_);
  MemoryDirectory* directory = nullptr;
  if (const int failure = find_directory(path, directory); failure != 0) {
    return failure;
  }
  entries.reserve(directory->entries.size());
  for (const auto& [name, entry] : directory->entries) {
    entries.push_back({.name = name, .kind = entry.file ? FileKind::file : FileKind::directory});
  }
  return 0;
}

OTTLA_INLINE int MemoryTree::create_directory(std::string_view path) {
  auto fresh = std::make_unique<MemoryDirectory>();
  fresh->modified = volume->now();
  Lock lock(mutex_);
  Place place;
  if (const int failure = find_place(path, place); failure != 0) {
    return failure == EBUSY ? EEXIST : failure;
  }
  if (place.first->entries.contains(place.second)) {
    return EEXIST;
  }
  place.first->modified = fresh->modified;
  place.first->entries[std::string(place.second)].directory = std::move(fresh);
  return 0;
}

OTTLA_INLINE int MemoryTree::rename(std::string_view path, std::string_view to) {
  const Timestamp now = volume->now();
  MemoryEntry replaced;  // freed after the lock
  Lock lock(mutex_);
  Place from_place;
  Place to_place;
  if (const int failure = find_place(path, from_place); failure != 0) {
    return failure;
  }
  if (const int failure = find_place(to, to_place); failure != 0) {
    return failure;
  }
  auto& from_entries = from_place.first->entries;
  auto& to_entries = to_place.first->entries;
  const auto from = from_entries.find(from_place.second);
  if (from == from_entries.end()) {
    return ENOENT;
  }
  if (path == to) {
    return 0;
  }
  if (lies_below(path, to)) {
    return EINVAL;
  }
  if (const auto old = to_entries.find(to_place.second); old != to_entries.end()) {
    const MemoryDirectory* old_directory = old->second.directory.get();
    if (from->second.directory == nullptr && old_directory != nullptr) {
      return EISDIR;
    }
    if (from->second.directory != nullptr && old_directory == nullptr) {
      return ENOTDIR;
    }
    if (old_directory != nullptr && !old_directory->entries.empty()) {
      return ENOTEMPTY;
    }
    replaced = std::exchange(old->second, std::move(from->second));
  } else {
    to_entries.emplace(std::string(to_place.second), std::move(from->second));
  }
  from_entries.erase(from);
  from_place.first->modified = now;
  to_place.first->modified = now;
  lock.unlock();
  return 0;
}

OTTLA_INLINE int MemoryTree::remove(std::string_view path, FileKind kind) {
  const Timestamp now = volume->now();
  MemoryEntry removed;  // freed after the lock
  Lock lock(mutex_);
  Place place;
  if (const int failure = find_place(path, place); failure != 0) {
    return failure;
  }
  const auto found = place.first->entries.find(place.second);
  if (found == place.first->entries.end()) {
    return ENOENT;
  }
  if (kind == FileKind::file && !found->second.file) {
    return EISDIR;
  }
  if (kind == FileKind::directory && found->second.directory == nullptr) {
    return ENOTDIR;
  }
  if (kind == FileKind::directory && !found->second.directory->entries.empty()) {
    return ENOTEMPTY;
  }
  removed = std::move(found->second);
  place.first->entries.erase(found);
  place.first->modified = now;
  lock.unlock();
  return 0;
}

OTTLA_INLINE int MemoryTree::set_modified(std::string_view path, Timestamp time) {
  Lock lock(mutex_);
  if (path == "/") {
    root_.modified = time;
    return 0;
  }
  Place place;
  if (const int failure = find_place(path, place); failure != 0) {
    return failure;
  }
  const auto found = place.first->entries.find(place.second);
  if (found == place.first->entries.end()) {
    return ENOENT;
  }
  if (found->second.file) {
    found->second.file->set_modified(time);
  } else {
    found->second.directory->modified = time;
  }
  return 0;
}

}  // namespace env_impl

OTTLA_INLINE MemoryFile::MemoryFile(Ref<env_impl::MemoryContent> content, std::string path,
                                    bool writable)
    : content_(std::move(content)), path_(std::move(path)), writable_(writable) {}
OTTLA_INLINE MemoryFile::MemoryFile(MemoryFile&&) noexcept = default;
OTTLA_INLINE MemoryFile& MemoryFile::operator=(MemoryFile&&) noexcept = default;
OTTLA_INLINE MemoryFile::~MemoryFile() = default;

OTTLA_INLINE absl::StatusOr<std::size_t> MemoryFile::read(std::int64_t position,
                                                          MutableBytes into) const {
  if (!content_) {
    return env_impl::file_closed();
  }
  if (position < 0) {
    return env_impl::bad_position(position);
  }
  return content_->read(position, into);
}

OTTLA_INLINE absl::Status MemoryFile::write(std::int64_t position, std::span<const Bytes> pieces,
                                            IoReason) {
  if (!content_) {
    return env_impl::file_closed();
  }
  if (position < 0) {
    return env_impl::bad_position(position);
  }
  const int failure = writable_ ? content_->write(position, pieces) : EBADF;
  return failure == 0 ? absl::OkStatus()
                      : env_impl::system_error(failure, absl::StrCat("write at ", position, " to"),
                                               path_, env_impl::Access::writing);
}

OTTLA_INLINE absl::StatusOr<std::int64_t> MemoryFile::size() const {
  if (!content_) {
    return env_impl::file_closed();
  }
  return content_->size();
}

OTTLA_INLINE absl::Status MemoryFile::truncate(std::int64_t size, IoReason) {
  if (!content_) {
    return env_impl::file_closed();
  }
  if (size < 0) {
    return env_impl::bad_position(size);
  }
  const int failure = writable_ ? content_->truncate(size) : EBADF;
  return failure == 0 ? absl::OkStatus()
                      : env_impl::system_error(failure, absl::StrCat("cut to ", size, " bytes"),
                                               path_, env_impl::Access::writing);
}

OTTLA_INLINE absl::Status MemoryFile::sync(IoReason) {
  return content_ ? absl::OkStatus() : env_impl::file_closed();
}

OTTLA_INLINE absl::Status MemoryFile::reserve(std::int64_t size, IoReason) {
  if (!content_) {
    return env_impl::file_closed();
  }
  return size < 0 ? env_impl::bad_position(size) : absl::OkStatus();
}

OTTLA_INLINE absl::Status MemoryFile::close() {
  if (!content_) {
    return env_impl::file_closed();
  }
  content_ = nullptr;
  return absl::OkStatus();
}

OTTLA_INLINE MemoryLock::MemoryLock(Ref<env_impl::MemoryContent> content)
    : content_(std::move(content)) {}
OTTLA_INLINE MemoryLock::MemoryLock(MemoryLock&&) noexcept = default;
OTTLA_INLINE MemoryLock& MemoryLock::operator=(MemoryLock&& other) noexcept {
  std::swap(content_, other.content_);
  return *this;
}
OTTLA_INLINE MemoryLock::~MemoryLock() {
  if (content_) {
    content_->unlock();
  }
}

OTTLA_INLINE MemoryFileSystem::MemoryFileSystem(MemoryFileSystemOptions options)
    : tree_(make_ref<env_impl::MemoryTree>(std::move(options))) {}
OTTLA_INLINE MemoryFileSystem::MemoryFileSystem(const MemoryFileSystem&) = default;
OTTLA_INLINE MemoryFileSystem& MemoryFileSystem::operator=(const MemoryFileSystem&) = default;
OTTLA_INLINE MemoryFileSystem::~MemoryFileSystem() = default;

OTTLA_INLINE std::int64_t MemoryFileSystem::bytes() const {
  return tree_->volume->bytes.load(std::memory_order_relaxed);
}

OTTLA_INLINE absl::StatusOr<MemoryFile> MemoryFileSystem::open(std::string_view path, OpenMode mode,
                                                               IoReason) {
  OTTLA_ASSIGN(std::string full, tree_->resolve(path));
  Ref<env_impl::MemoryContent> content;
  const bool writable = mode != OpenMode::read;
  if (const int failure = tree_->open(full, mode, content); failure != 0) {
    return env_impl::system_error(failure, mode == OpenMode::create_new ? "create" : "open", full,
                                  writable ? env_impl::Access::writing : env_impl::Access::reading);
  }
  return MemoryFile(std::move(content), std::move(full), writable);
}

OTTLA_INLINE absl::StatusOr<FileStatus> MemoryFileSystem::status(std::string_view path) {
  OTTLA_ASSIGN(const std::string full, tree_->resolve(path));
  FileStatus status;
  if (const int failure = tree_->status(full, status); failure != 0) {
    return env_impl::system_error(failure, "look at", full, env_impl::Access::reading);
  }
  return status;
}

OTTLA_INLINE absl::StatusOr<std::vector<DirectoryEntry>> MemoryFileSystem::list(
    std::string_view path) {
  OTTLA_ASSIGN(const std::string full, tree_->resolve(path));
  std::vector<DirectoryEntry> entries;
  if (const int failure = tree_->list(full, entries); failure != 0) {
    return env_impl::system_error(failure, "list", full, env_impl::Access::reading);
  }
  return entries;
}

OTTLA_INLINE absl::Status MemoryFileSystem::create_directory(std::string_view path, IoReason) {
  OTTLA_ASSIGN(const std::string full, tree_->resolve(path));
  return env_impl::name_changed(tree_->create_directory(full), "create the directory", full);
}

OTTLA_INLINE absl::Status MemoryFileSystem::rename(std::string_view path, std::string_view to,
                                                   IoReason) {
  OTTLA_ASSIGN(const std::string full, tree_->resolve(path));
  OTTLA_ASSIGN(const std::string full_to, tree_->resolve(to));
  return env_impl::name_changed(tree_->rename(full, full_to), "rename",
                                absl::StrCat(full, " to ", full_to));
}

OTTLA_INLINE absl::Status MemoryFileSystem::remove(std::string_view path, IoReason) {
  OTTLA_ASSIGN(const std::string full, tree_->resolve(path));
  return env_impl::name_changed(tree_->remove(full, FileKind::file), "remove", full);
}

OTTLA_INLINE absl::Status MemoryFileSystem::remove_directory(std::string_view path, IoReason) {
  OTTLA_ASSIGN(const std::string full, tree_->resolve(path));
  return env_impl::name_changed(tree_->remove(full, FileKind::directory), "remove the directory",
                                full);
}

OTTLA_INLINE absl::Status MemoryFileSystem::sync_directory(std::string_view path, IoReason) {
  return list(path).status();
}

OTTLA_INLINE absl::Status MemoryFileSystem::set_modified(std::string_view path, Timestamp time) {
  OTTLA_ASSIGN(const std::string full, tree_->resolve(path));
  return env_impl::name_changed(tree_->set_modified(full, time), "set the time of", full);
}

OTTLA_INLINE absl::StatusOr<MemoryLock> MemoryFileSystem::lock(std::string_view path) {
  OTTLA_ASSIGN(const std::string full, tree_->resolve(path));
  Ref<env_impl::MemoryContent> content;
  if (const int failure = tree_->open(full, OpenMode::create, content); failure != 0) {
    return env_impl::system_error(failure, "lock", full, env_impl::Access::writing);
  }
  if (!content->try_lock()) {
    return error(Fault::locked, absl::StrCat("cannot lock ", full,
                                             ": another broker holds it; close that one first"));
  }
  return MemoryLock(std::move(content));
}

OTTLA_INLINE absl::StatusOr<VolumeId> MemoryFileSystem::volume(std::string_view path) {
  OTTLA_ASSIGN(const FileStatus there, status(path));
  (void)there;
  return VolumeId{.boot_id = "memory", .device = 0};
}

}  // namespace ottla::inline OTTLA_ABI
