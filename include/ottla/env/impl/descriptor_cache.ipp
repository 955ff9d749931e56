// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cerrno>
#include <limits>
#include <optional>

#include <absl/strings/str_cat.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <ottla/env/impl/descriptor_cache.hpp>
#include <ottla/env/impl/name_claims.hpp>
#include <ottla/env/impl/owned_descriptor.hpp>
#include <ottla/env/impl/path_text.hpp>
#include <ottla/env/impl/system_error.hpp>

namespace ottla::inline OTTLA_ABI {
namespace env_impl {

inline int descriptor_in(std::uint64_t state) { return static_cast<int>(state >> 32) - 1; }
inline std::uint64_t pins_in(std::uint64_t state) { return state & 0xffffffff; }
inline std::uint64_t state_of(int descriptor, std::uint64_t pins) {
  return (static_cast<std::uint64_t>(descriptor) + 1) << 32 | pins;
}

inline std::size_t default_max_descriptors() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) {
    return 1024;
  }
  return std::clamp<std::size_t>(limit.rlim_cur / 2, 1, 1024);
}

inline std::int64_t current_file_size_limit() {
  constexpr auto none = std::numeric_limits<std::int64_t>::max();
  rlimit limit{};
  if (::getrlimit(RLIMIT_FSIZE, &limit) != 0 || limit.rlim_cur >= static_cast<rlim_t>(none)) {
    return none;
  }
  return static_cast<std::int64_t>(limit.rlim_cur);
}

inline std::string current_directory() {
  char buffer[4096];
  return ::getcwd(buffer, sizeof buffer) == nullptr ? std::string() : std::string(buffer);
}

OTTLA_INLINE OpenFile::~OpenFile() { cache->drop(*this); }

OTTLA_INLINE DescriptorCache::DescriptorCache(std::size_t max_descriptors)
    : max_descriptors_(max_descriptors == 0 ? default_max_descriptors() : max_descriptors),
      start_directory_(current_directory()),
      file_size_limit_(current_file_size_limit()) {}

OTTLA_INLINE absl::StatusOr<std::string> DescriptorCache::resolve(std::string_view path) const {
  Mutex::expect_none_held();
  if (!made_in_.here()) {
    return in_child(path);
  }
  if (path.empty() || path.find('\0') != std::string_view::npos) {
    return error(Fault::invalid_argument, "a path that is empty or holds a zero byte");
  }
  if (!path.starts_with('/') && start_directory_.empty()) {
    return system_error(ENOENT, "find the directory that was current for", path, Access::reading);
  }
  return full_path(start_directory_, path);
}

OTTLA_INLINE absl::StatusOr<OwnedDescriptor> DescriptorCache::open_descriptor(
    const std::string& path, int flags) {
  for (;;) {
    OwnedDescriptor opened(::open(path.c_str(), flags | O_CLOEXEC | O_NOCTTY, 0666));
    if (opened.get() >= 0) {
      return opened;
    }
    const int failure = errno;
    const bool retry =
        failure == EINTR || ((failure == EMFILE || failure == ENFILE) && evict_one());
    if (!retry) {
      const bool writing = (flags & (O_WRONLY | O_RDWR | O_CREAT)) != 0;
      return system_error(failure, (flags & O_EXCL) != 0 ? "create" : "open", path,
                          writing ? Access::writing : Access::reading);
    }
  }
}

OTTLA_INLINE absl::StatusOr<OwnedDescriptor> DescriptorCache::open_file(const std::string& path,
                                                                        int flags,
                                                                        FileIdentity& identity) {
  while (descriptors() >= max_descriptors_ && evict_one()) {
  }
  file_size_limit_.store(current_file_size_limit(), std::memory_order_relaxed);
  // O_NONBLOCK: what is no file (a pipe) is told from one, not waited for.
  OTTLA_ASSIGN(OwnedDescriptor opened, open_descriptor(path, flags | O_NONBLOCK));
  struct stat status {};
  if (::fstat(opened.get(), &status) != 0) {
    return system_error(errno, "look at", path, Access::reading);
  }
  if (!S_ISREG(status.st_mode)) {
    return error(Fault::invalid_argument, absl::StrCat("cannot open ", path, ": not a file"));
  }
  identity = {.device = status.st_dev, .inode = status.st_ino};
  return opened;
}

OTTLA_INLINE absl::StatusOr<std::unique_ptr<OpenFile>> DescriptorCache::open(std::string_view path,
                                                                             int flags) {
  OTTLA_ASSIGN(const std::string full, resolve(path));
  auto file = std::make_unique<OpenFile>(Ref<DescriptorCache>(this));
  file->name = name_of(full);
  file->flags = flags & ~(O_CREAT | O_EXCL);
  const Claim claim(*this, full);
  OTTLA_ASSIGN(OwnedDescriptor opened, open_file(full, flags, file->identity));
  Lock lock(mutex_);
  attach(*file, parent_of(full));
  enter_ring(*file, opened, 0);
  return file;
}

OTTLA_INLINE std::optional<Pin> DescriptorCache::try_pin(OpenFile& file) {
  std::uint64_t state = file.state.load(std::memory_order_relaxed);
  while (state != 0) {
    if (file.state.compare_exchange_weak(state, state + 1, std::memory_order_acquire,
                                         std::memory_order_relaxed)) {
      if (!file.used.load(std::memory_order_relaxed)) {
        file.used.store(true, std::memory_order_relaxed);
      }
      return Pin(file, descriptor_in(state));
    }
  }
  return std::nullopt;
}

OTTLA_INLINE absl::StatusOr<Pin> DescriptorCache::pin(OpenFile& file) {
  Mutex::expect_none_held();
  if (!made_in_.here()) {
    return in_child("a file of the parent");
  }
  if (auto pinned = try_pin(file)) {
    return *std::move(pinned);
  }
  const Claim claim(*this, file);
  if (auto pinned = try_pin(file)) {  // another thread was first
    return *std::move(pinned);
  }
  if (!claim.path().starts_with('/')) {
    return error(Fault::not_found, absl::StrCat(claim.path(),
                                                " was removed by another program "
                                                "while it was open here; leave the directory to "
                                                "this one"));
  }
  return reopen_claimed(file, claim.path());
}

OTTLA_INLINE absl::StatusOr<Pin> DescriptorCache::reopen_claimed(OpenFile& file,
                                                                 const std::string& path) {
  FileIdentity identity;
  OTTLA_ASSIGN(OwnedDescriptor opened, open_file(path, file.flags, identity));
  Lock lock(mutex_);
  if (identity != file.identity) {
    lock.unlock();
    return error(Fault::not_found,
                 absl::StrCat(path,
                              " was replaced by another program while it was open here; "
                              "leave the directory to this one"));
  }
  enter_ring(file, opened, 1);
  return Pin(file, descriptor_in(file.state.load(std::memory_order_relaxed)));
}

OTTLA_INLINE absl::Status DescriptorCache::close(OpenFile& file) {
  Mutex::expect_none_held();
  if (!made_in_.here()) {
    return in_child("a file of the parent");
  }
  const std::string path = path_of(file);
  const int descriptor = take_out(file);
  if (descriptor >= 0 && ::close(descriptor) != 0 && errno != EINTR && file.sync_failure.ok()) {
    return system_error(errno, "close", path, Access::writing, Outcome::unknown);
  }
  return file.sync_failure;
}

OTTLA_INLINE void DescriptorCache::drop(OpenFile& file) noexcept {
  if (made_in_.here()) {  // else memory only: locks and descriptors are the parent's
    if (const int descriptor = take_out(file); descriptor >= 0) {
      ::close(descriptor);
    }
  }
}

// After: the cache does not know the file any more. Answers the descriptor that it had, or -1.
OTTLA_INLINE int DescriptorCache::take_out(OpenFile& file) {
  Lock lock(mutex_);
  while (file.evicting || file.held > 0) {
    changed_.wait(lock);
  }
  if (file.directory != nullptr) {
    detach(file);
  }
  const int descriptor = descriptor_in(file.state.load(std::memory_order_acquire));
  if (descriptor >= 0) {
    leave_ring(file);
  }
  return descriptor;
}

OTTLA_INLINE bool DescriptorCache::must_sync(const OpenFile& file) {
  return file.dirty.load(std::memory_order_relaxed) &&
         file.sync_asked.load(std::memory_order_relaxed);
}

OTTLA_INLINE bool DescriptorCache::evict_one() {
  Lock lock(mutex_);
  int descriptor = -1;
  OpenFile* file = take_victim(descriptor);
  if (file == nullptr) {
    return false;
  }
  lock.unlock();
  evict(*file, descriptor);
  return true;
}

OTTLA_INLINE void DescriptorCache::rest(OpenFile& file) {
  if (file.state.load(std::memory_order_relaxed) == 0 || must_sync(file) || !made_in_.here()) {
    return;
  }
  int descriptor = -1;
  {
    Lock lock(mutex_);
    if (file.nameless || file.held > 0) {
      return;
    }
    descriptor = take_idle(file);
  }
  if (descriptor >= 0) {
    evict(file, descriptor);
  }
}

// Before: it is marked as being evicted.
OTTLA_INLINE void DescriptorCache::evict(OpenFile& file, int descriptor) {
  const bool dirty = file.dirty.load(std::memory_order_relaxed);
  int failure = 0;
  if (must_sync(file)) {
    if (uninterrupted([&] { return ::fdatasync(descriptor); }) != 0) {
      failure = errno;
    } else {
      file.dirty.store(false, std::memory_order_relaxed);
    }
  }
  if (::close(descriptor) != 0 && errno != EINTR && dirty && failure == 0) {
    failure = errno;
  }
  {
    Lock lock(mutex_);
    file.evicting = false;
    if (failure != 0) {
      note_failure(file, failure);
    }
  }
  changed_.notify_all();
}

// Marks it as being evicted and answers its descriptor, or -1: somebody uses it.
OTTLA_INLINE int DescriptorCache::take_idle(OpenFile& file) {
  std::uint64_t state = file.state.load(std::memory_order_relaxed);
  if (state == 0 || pins_in(state) != 0 ||
      !file.state.compare_exchange_strong(state, 0, std::memory_order_acquire)) {
    return -1;
  }
  file.evicting = true;
  leave_ring(file);
  return descriptor_in(state);
}

// Up to three rounds of the hand: the first forgives use, the second spares what must be synced,
// the third nothing.
OTTLA_INLINE OpenFile* DescriptorCache::take_victim(int& descriptor) {
  for (std::size_t step = 0; step < 3 * ring_.size(); ++step) {
    hand_ = hand_ + 1 < ring_.size() ? hand_ + 1 : 0;
    OpenFile& file = *ring_[hand_];
    if (file.nameless || file.held > 0) {
      continue;
    }
    const bool sync_first = must_sync(file);
    if (step < 2 * ring_.size() &&
        (file.used.exchange(false, std::memory_order_relaxed) || sync_first)) {
      continue;
    }
    descriptor = take_idle(file);
    if (descriptor >= 0) {
      return &file;
    }
  }
  return nullptr;
}

OTTLA_INLINE void DescriptorCache::enter_ring(OpenFile& file, OwnedDescriptor& opened,
                                              std::uint64_t pins) {
  file.ring_index = ring_.size();
  ring_.push_back(&file);
  file.state.store(state_of(opened.release(), pins), std::memory_order_release);
}

OTTLA_INLINE void DescriptorCache::leave_ring(OpenFile& file) {
  OpenFile* last = ring_.back();
  ring_[file.ring_index] = last;
  last->ring_index = file.ring_index;
  ring_.pop_back();
  file.state.store(0, std::memory_order_relaxed);
}

OTTLA_INLINE std::string DescriptorCache::path_under_lock(const OpenFile& file) const {
  return file.directory == nullptr ? absl::StrCat(file.name, " (removed)")
                                   : absl::StrCat(file.directory->first, "/", file.name);
}

OTTLA_INLINE std::string DescriptorCache::path_of(const OpenFile& file) {
  Lock lock(mutex_);
  return path_under_lock(file);
}

OTTLA_INLINE absl::Status DescriptorCache::sync_failure(const OpenFile& file) {
  Lock lock(mutex_);
  return file.sync_failure;
}

OTTLA_INLINE absl::Status DescriptorCache::sync_failed(OpenFile& file, int failure) {
  Lock lock(mutex_);
  note_failure(file, failure);
  return file.sync_failure;
}

OTTLA_INLINE void DescriptorCache::note_failure(OpenFile& file, int failure) {
  if (file.sync_failure.ok()) {
    file.sync_failure = sync_error(failure, "sync", path_under_lock(file));
  }
}

OTTLA_INLINE std::size_t DescriptorCache::descriptors() {
  Lock lock(mutex_);
  return ring_.size();
}

OTTLA_INLINE std::int64_t DescriptorCache::file_size_limit() {
  const std::int64_t seen = file_size_limit_.load(std::memory_order_relaxed);
  return seen == std::numeric_limits<std::int64_t>::max() ? seen : current_file_size_limit();
}

}  // namespace env_impl
}  // namespace ottla::inline OTTLA_ABI
