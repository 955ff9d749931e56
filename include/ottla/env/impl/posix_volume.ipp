// SPDX-License-Identifier: Apache-2.0
//
// What a log directory is known by: its lock, its device, and the run of the kernel.
#pragma once

#include <cerrno>

#include <absl/strings/str_cat.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <ottla/env/impl/descriptor_cache.hpp>
#include <ottla/env/impl/owned_descriptor.hpp>
#include <ottla/env/impl/system_error.hpp>
#include <ottla/env/posix/file_system.hpp>

namespace ottla::inline OTTLA_ABI {
namespace env_impl {

inline struct flock whole_file() {
  struct flock lock {};  // l_pid must be 0, l_len 0 is the whole file
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  return lock;
}

inline absl::Status somebody_locked(int descriptor, const std::string& path) {
  struct flock holder = whole_file();
  const bool known = ::fcntl(descriptor, F_OFD_GETLK, &holder) == 0 && holder.l_type != F_UNLCK;
  return error(
      Fault::locked,
      absl::StrCat("cannot lock ", path, ": ",
                   known && holder.l_pid > 0
                       ? absl::StrCat("process ", holder.l_pid, " holds it")
                       : std::string("another broker, here or in another process, holds it"),
                   "; stop that one first, or use another directory"));
}

}  // namespace env_impl

OTTLA_INLINE absl::StatusOr<PosixLock> PosixFileSystem::lock(std::string_view path) {
  OTTLA_ASSIGN(const std::string full, cache_->resolve(path));
  const auto failed = [&] {
    return env_impl::system_error(errno, "lock", full, env_impl::Access::writing);
  };
  for (int attempt = 0; attempt < 100; ++attempt) {
    OTTLA_ASSIGN(env_impl::OwnedDescriptor opened,
                 cache_->open_descriptor(full, O_RDWR | O_CREAT | O_NONBLOCK));
    struct flock whole = env_impl::whole_file();
    const auto lock = [&] { return ::fcntl(opened.get(), F_OFD_SETLK, &whole); };
    if (env_impl::uninterrupted(lock) != 0) {
      if (errno == EAGAIN || errno == EACCES) {
        return env_impl::somebody_locked(opened.get(), full);
      }
      return failed();
    }
    struct stat locked {};
    struct stat named {};
    if (::fstat(opened.get(), &locked) != 0) {
      return failed();
    }
    const bool still_there = ::stat(full.c_str(), &named) == 0;
    if (!still_there && errno != ENOENT) {
      return failed();
    }
    if (still_there && locked.st_dev == named.st_dev && locked.st_ino == named.st_ino) {
      return PosixLock(opened.release());
    }  // else somebody removed it between our open and our lock: a lock on nothing
  }
  return error(Fault::locked, absl::StrCat("cannot lock ", full,
                                           ": another program keeps replacing it; stop that one"));
}

OTTLA_INLINE absl::StatusOr<VolumeId> PosixFileSystem::volume(std::string_view path) {
  OTTLA_ASSIGN(const std::string full, cache_->resolve(path));
  struct stat status {};
  if (::stat(full.c_str(), &status) != 0) {
    return env_impl::system_error(errno, "look at", full, env_impl::Access::reading);
  }
  const std::string source = "/proc/sys/kernel/random/boot_id";
  OTTLA_ASSIGN(const env_impl::OwnedDescriptor opened, cache_->open_descriptor(source, O_RDONLY));
  char text[64];
  const ssize_t size =
      env_impl::uninterrupted([&] { return ::read(opened.get(), text, sizeof text); });
  if (size < 0) {
    return env_impl::system_error(errno, "read", source, env_impl::Access::reading);
  }
  const std::string_view line(text, static_cast<std::size_t>(size));
  const std::string_view id = line.substr(0, line.find('\n'));
  if (id.empty()) {
    return error(Fault::unsupported, absl::StrCat(source, " is empty"));
  }
  return VolumeId{.boot_id = std::string(id), .device = status.st_dev};
}

}  // namespace ottla::inline OTTLA_ABI
