// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cerrno>

#include <absl/strings/str_cat.h>
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <ottla/env/impl/descriptor_cache.hpp>
#include <ottla/env/impl/owned_descriptor.hpp>
#include <ottla/env/impl/system_error.hpp>
#include <ottla/env/posix/file_system.hpp>

namespace ottla::inline OTTLA_ABI {
namespace env_impl {

/// Writes all, however often it takes; 0 or the system's error. `written`: how far it came.
inline int write_all(int descriptor, std::int64_t position, std::span<const Bytes> pieces,
                     std::size_t& written) {
  constexpr std::size_t most = 512;  // half of IOV_MAX: 8 KiB of stack
  iovec vectors[most];
  std::size_t offset = 0;  // in the first piece that is left
  for (;;) {
    while (!pieces.empty() && offset == pieces.front().size()) {
      pieces = pieces.subspan(1);
      offset = 0;
    }
    if (pieces.empty()) {
      return 0;
    }
    const std::size_t count = std::min(pieces.size(), most);
    for (std::size_t i = 0; i < count; ++i) {
      const Bytes piece = i == 0 ? pieces[i].subspan(offset) : pieces[i];
      vectors[i] = {const_cast<std::byte*>(piece.data()), piece.size()};
    }
    const std::int64_t at = position + static_cast<std::int64_t>(written);
    const ssize_t answer = uninterrupted([&] {
      return count == 1  // 90 ns less
                 ? ::pwrite(descriptor, vectors[0].iov_base, vectors[0].iov_len, at)
                 : ::pwritev(descriptor, vectors, static_cast<int>(count), at);
    });
    if (answer <= 0) {
      return answer == 0 ? EIO : errno;
    }
    auto moved = static_cast<std::size_t>(answer);
    written += moved;
    while (moved >= pieces.front().size() - offset) {
      moved -= pieces.front().size() - offset;
      offset = 0;
      pieces = pieces.subspan(1);
      if (pieces.empty()) {
        return 0;
      }
    }
    offset += moved;
  }
}

inline Timestamp timestamp_of(const timespec& time) {
  return Timestamp(static_cast<std::int64_t>(time.tv_sec) * 1000 + time.tv_nsec / 1'000'000);
}

inline FileKind kind_of(mode_t mode) {
  return S_ISREG(mode) ? FileKind::file : S_ISDIR(mode) ? FileKind::directory : FileKind::other;
}

inline int open_flags(OpenMode mode) {
  switch (mode) {
    case OpenMode::read:
      return O_RDONLY;
    case OpenMode::read_write:
      return O_RDWR;
    case OpenMode::create_new:
      return O_RDWR | O_CREAT | O_EXCL;
    case OpenMode::create:
      break;
  }
  return O_RDWR | O_CREAT;
}

}  // namespace env_impl

OTTLA_INLINE PosixFile::PosixFile(std::unique_ptr<env_impl::OpenFile> file)
    : file_(std::move(file)) {}
OTTLA_INLINE PosixFile::PosixFile(PosixFile&&) noexcept = default;
OTTLA_INLINE PosixFile& PosixFile::operator=(PosixFile&&) noexcept = default;
OTTLA_INLINE PosixFile::~PosixFile() = default;

OTTLA_INLINE absl::StatusOr<std::size_t> PosixFile::read(std::int64_t position,
                                                         MutableBytes into) const {
  if (file_ == nullptr) {
    return env_impl::file_closed();
  }
  if (position < 0) {
    return env_impl::bad_position(position);
  }
  OTTLA_ASSIGN(const env_impl::Pin pin, file_->cache->pin(*file_));
  std::size_t done = 0;
  while (done < into.size()) {
    const auto read_on = [&] {
      return ::pread(pin.descriptor(), into.data() + done, into.size() - done,
                     position + static_cast<std::int64_t>(done));
    };
    ssize_t answer = env_impl::uninterrupted(read_on);
    if (answer < 0 && errno == EIO) {  // which may pass
      answer = env_impl::uninterrupted(read_on);
    }
    if (answer < 0) {
      return env_impl::system_error(
          errno, absl::StrCat("read ", into.size(), " bytes at ", position, " of"),
          file_->cache->path_of(*file_), env_impl::Access::reading);
    }
    if (answer == 0) {
      break;
    }
    done += static_cast<std::size_t>(answer);
  }
  return done;
}

OTTLA_INLINE absl::Status PosixFile::write(std::int64_t position, std::span<const Bytes> pieces,
                                           IoReason) {
  if (file_ == nullptr) {
    return env_impl::file_closed();
  }
  std::size_t total = 0;
  for (const Bytes piece : pieces) {
    total += piece.size();
  }
  const auto end = checked_add(position, static_cast<std::int64_t>(total));
  if (position < 0 || !end) {
    return env_impl::bad_position(position);
  }
  const auto failed = [&](int failure, Outcome outcome) {
    return env_impl::system_error(
        failure, absl::StrCat("write ", total, " bytes at ", position, " to"),
        file_->cache->path_of(*file_), env_impl::Access::writing, outcome);
  };
  OTTLA_ASSIGN(const env_impl::Pin pin, file_->cache->pin(*file_));
  if (total != 0 && *end > file_->cache->file_size_limit()) {
    return failed(EFBIG, Outcome::not_written);
  }
  std::size_t written = 0;
  const int failure = env_impl::write_all(pin.descriptor(), position, pieces, written);
  // Behind the write: a sync that ran meanwhile may not have covered it.
  file_->dirty.store(true, std::memory_order_relaxed);
  if (failure != 0) {
    return failed(failure,
                  written == 0 && failure != EIO ? Outcome::not_written : Outcome::unknown);
  }
  return absl::OkStatus();
}

OTTLA_INLINE absl::StatusOr<std::int64_t> PosixFile::size() const {
  if (file_ == nullptr) {
    return env_impl::file_closed();
  }
  OTTLA_ASSIGN(const env_impl::Pin pin, file_->cache->pin(*file_));
  struct stat status {};
  if (::fstat(pin.descriptor(), &status) != 0) {
    return env_impl::system_error(errno, "look at", file_->cache->path_of(*file_),
                                  env_impl::Access::reading);
  }
  return static_cast<std::int64_t>(status.st_size);
}

OTTLA_INLINE absl::Status PosixFile::truncate(std::int64_t size, IoReason) {
  if (file_ == nullptr) {
    return env_impl::file_closed();
  }
  if (size < 0) {
    return env_impl::bad_position(size);
  }
  OTTLA_ASSIGN(const env_impl::Pin pin, file_->cache->pin(*file_));
  const bool too_large = size > file_->cache->file_size_limit();
  if (too_large ||
      env_impl::uninterrupted([&] { return ::ftruncate(pin.descriptor(), size); }) != 0) {
    return env_impl::system_error(too_large ? EFBIG : errno,
                                  absl::StrCat("cut to ", size, " bytes"),
                                  file_->cache->path_of(*file_), env_impl::Access::writing,
                                  too_large ? Outcome::not_written : Outcome::unknown);
  }
  file_->dirty.store(true, std::memory_order_relaxed);
  return absl::OkStatus();
}

OTTLA_INLINE absl::Status PosixFile::sync(IoReason) {
  if (file_ == nullptr) {
    return env_impl::file_closed();
  }
  file_->sync_asked.store(true, std::memory_order_relaxed);
  OTTLA_ASSIGN(const env_impl::Pin pin, file_->cache->pin(*file_));
  // While it is pinned nobody evicts it, so what an eviction found is known by now.
  OTTLA_TRY(file_->cache->sync_failure(*file_));
  file_->dirty.store(false, std::memory_order_relaxed);
  if (env_impl::uninterrupted([&] { return ::fdatasync(pin.descriptor()); }) != 0) {
    return file_->cache->sync_failed(*file_, errno);
  }
  return absl::OkStatus();
}

OTTLA_INLINE void PosixFile::rest() {
  if (file_ != nullptr) {
    file_->cache->rest(*file_);
  }
}

OTTLA_INLINE absl::Status PosixFile::reserve(std::int64_t size, IoReason) {
  if (file_ == nullptr) {
    return env_impl::file_closed();
  }
  if (size <= 0) {
    return size == 0 ? absl::OkStatus() : env_impl::bad_position(size);
  }
  OTTLA_ASSIGN(const env_impl::Pin pin, file_->cache->pin(*file_));
  const bool too_large = size > file_->cache->file_size_limit();
  const auto reserve = [&] { return ::fallocate(pin.descriptor(), FALLOC_FL_KEEP_SIZE, 0, size); };
  if (too_large || env_impl::uninterrupted(reserve) != 0) {
    return env_impl::system_error(too_large ? EFBIG : errno,
                                  absl::StrCat("reserve ", size, " bytes for"),
                                  file_->cache->path_of(*file_), env_impl::Access::writing);
  }
  return absl::OkStatus();
}

OTTLA_INLINE absl::Status PosixFile::close() {
  if (file_ == nullptr) {
    return env_impl::file_closed();
  }
  const std::unique_ptr<env_impl::OpenFile> file = std::move(file_);
  return file->cache->close(*file);
}

OTTLA_INLINE PosixLock::~PosixLock() {
  if (descriptor_ >= 0 && made_in_.here()) {
    ::close(descriptor_);
  }
}

OTTLA_INLINE PosixFileSystem::PosixFileSystem(PosixFileSystemOptions options)
    : cache_(make_ref<env_impl::DescriptorCache>(options.max_descriptors)) {}
OTTLA_INLINE PosixFileSystem::PosixFileSystem(const PosixFileSystem&) = default;
OTTLA_INLINE PosixFileSystem& PosixFileSystem::operator=(const PosixFileSystem&) = default;
OTTLA_INLINE PosixFileSystem::~PosixFileSystem() = default;

OTTLA_INLINE std::size_t PosixFileSystem::descriptors() const { return cache_->descriptors(); }

OTTLA_INLINE absl::StatusOr<PosixFile> PosixFileSystem::open(std::string_view path, OpenMode mode,
                                                             IoReason) {
  OTTLA_ASSIGN(auto file, cache_->open(path, env_impl::open_flags(mode)));
  return PosixFile(std::move(file));
}

OTTLA_INLINE absl::StatusOr<FileStatus> PosixFileSystem::status(std::string_view path) {
  OTTLA_ASSIGN(const std::string full, cache_->resolve(path));
  struct stat status {};
  if (::stat(full.c_str(), &status) != 0) {
    return env_impl::system_error(errno, "look at", full, env_impl::Access::reading);
  }
  return FileStatus{.kind = env_impl::kind_of(status.st_mode),
                    .size = status.st_size,
                    .modified = env_impl::timestamp_of(status.st_mtim)};
}

OTTLA_INLINE absl::StatusOr<std::vector<DirectoryEntry>> PosixFileSystem::list(
    std::string_view path) {
  OTTLA_ASSIGN(const std::string full, cache_->resolve(path));
  OTTLA_ASSIGN(env_impl::OwnedDescriptor opened,
               cache_->open_descriptor(full, O_RDONLY | O_DIRECTORY));
  const auto failed = [&] {
    return env_impl::system_error(errno, "list", full, env_impl::Access::reading);
  };
  const std::unique_ptr<DIR, int (*)(DIR*)> directory(::fdopendir(opened.get()), &::closedir);
  if (directory == nullptr) {
    return failed();
  }
  const int descriptor = opened.release();  // the directory's now
  std::vector<DirectoryEntry> entries;
  for (;;) {
    errno = 0;
    const dirent* entry = ::readdir(directory.get());
    if (entry == nullptr) {
      if (errno != 0) {
        return failed();
      }
      break;
    }
    const std::string_view name = entry->d_name;
    if (name == "." || name == "..") {
      continue;
    }
    FileKind kind = entry->d_type == DT_REG   ? FileKind::file
                    : entry->d_type == DT_DIR ? FileKind::directory
                                              : FileKind::other;
    if (entry->d_type == DT_UNKNOWN || entry->d_type == DT_LNK) {
      struct stat status {};
      if (::fstatat(descriptor, entry->d_name, &status, 0) == 0) {
        kind = env_impl::kind_of(status.st_mode);
      }  // else a link to nowhere, or gone meanwhile: `other`
    }
    entries.push_back({.name = std::string(name), .kind = kind});
  }
  std::sort(entries.begin(), entries.end(),
            [](const DirectoryEntry& a, const DirectoryEntry& b) { return a.name < b.name; });
  return entries;
}

OTTLA_INLINE absl::Status PosixFileSystem::create_directory(std::string_view path, IoReason) {
  OTTLA_ASSIGN(const std::string full, cache_->resolve(path));
  return env_impl::name_changed(::mkdir(full.c_str(), 0777) == 0 ? 0 : errno,
                                "create the directory", full);
}

OTTLA_INLINE absl::Status PosixFileSystem::rename(std::string_view path, std::string_view to,
                                                  IoReason) {
  return cache_->rename(path, to);
}

OTTLA_INLINE absl::Status PosixFileSystem::remove(std::string_view path, IoReason) {
  return cache_->remove(path);
}

OTTLA_INLINE absl::Status PosixFileSystem::remove_directory(std::string_view path, IoReason) {
  OTTLA_ASSIGN(const std::string full, cache_->resolve(path));
  return env_impl::name_changed(::rmdir(full.c_str()) == 0 ? 0 : errno, "remove the directory",
                                full);
}

OTTLA_INLINE absl::Status PosixFileSystem::sync_directory(std::string_view path, IoReason) {
  OTTLA_ASSIGN(const std::string full, cache_->resolve(path));
  OTTLA_ASSIGN(const env_impl::OwnedDescriptor opened,
               cache_->open_descriptor(full, O_RDONLY | O_DIRECTORY));
  if (env_impl::uninterrupted([&] { return ::fsync(opened.get()); }) != 0) {
    return env_impl::sync_error(errno, "sync the directory", full);
  }
  return absl::OkStatus();
}

OTTLA_INLINE absl::Status PosixFileSystem::set_modified(std::string_view path, Timestamp time) {
  OTTLA_ASSIGN(const std::string full, cache_->resolve(path));
  const std::int64_t millis = ((time.value() % 1000) + 1000) % 1000;
  const timespec times[2] = {
      {.tv_sec = 0, .tv_nsec = UTIME_OMIT},
      {.tv_sec = (time.value() - millis) / 1000, .tv_nsec = millis * 1'000'000}};
  return ::utimensat(AT_FDCWD, full.c_str(), times, 0) == 0
             ? absl::OkStatus()
             : env_impl::system_error(errno, "set the time of", full, env_impl::Access::writing);
}

}  // namespace ottla::inline OTTLA_ABI
