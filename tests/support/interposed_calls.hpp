// SPDX-License-Identifier: Apache-2.0
//
// The C library's file calls, by definitions of our own, in the program or the preloaded library
// that includes this in one of its units and defines `before` and `after`. They ask the kernel
// itself, so calls within the C library (fopen, opendir) are not among them.
#pragma once

#include <algorithm>
#include <cerrno>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <string_view>

#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

namespace interposed {

enum class Kind : std::uint8_t {
  open,           ///< to read only
  open_to_write,  ///< and what may create
  read,
  write,
  truncate,
  reserve,
  sync,
  rename,
  remove,
  make_directory,
  remove_directory,
};
inline constexpr std::string_view names[] = {
    "open", "open_to_write", "read",   "write",          "truncate",        "reserve",
    "sync", "rename",        "remove", "make_directory", "remove_directory"};
inline constexpr int kinds = static_cast<int>(std::size(names));

struct Call {
  Kind kind;
  int descriptor;         ///< where there is no path
  const char* named;      ///< a path as it was given, or null
  std::size_t bytes = 0;  ///< to be read or written
};

/// What becomes of a call: it fails without being made, or moves `most` bytes.
struct Answer {
  int failure = 0;
  std::size_t most = SIZE_MAX;
};
Answer before(const Call& call);
void after(const Call& call, long result);  ///< of a call that was made

/// What a call is about, as the kernel names it at this time. Lives as long as `buffer`.
inline std::string_view path_of(const Call& call, char (&buffer)[4096]) {
  if (call.named != nullptr) return call.named;
  char link[40] = "/proc/self/fd/";
  std::size_t end = std::string_view(link).size();
  char digits[12];
  std::size_t count = 0;
  for (int rest = std::max(call.descriptor, 0); count == 0 || rest > 0; rest /= 10) {
    digits[count++] = static_cast<char>('0' + rest % 10);
  }
  while (count > 0) link[end++] = digits[--count];
  link[end] = '\0';
  const long size = ::syscall(SYS_readlinkat, AT_FDCWD, link, buffer, sizeof buffer);
  return {buffer, size < 0 ? 0 : static_cast<std::size_t>(size)};
}

template <class Make>
long made(const Call& call, Make make) {
  const int kept = errno;
  const Answer answer = before(call);
  errno = kept;
  if (answer.failure != 0) {
    errno = answer.failure;
    return -1;
  }
  const long result = make(answer.most);
  const int failure = errno;
  after(call, result);
  errno = failure;
  return result;
}

inline int opened(const char* path, int flags, mode_t mode) {
  const bool writes = (flags & (O_WRONLY | O_RDWR | O_CREAT | O_TRUNC)) != 0;
  return static_cast<int>(
      made({writes ? Kind::open_to_write : Kind::open, -1, path},
           [&](std::size_t) { return ::syscall(SYS_openat, AT_FDCWD, path, flags, mode); }));
}

inline ssize_t read_at(int fd, void* into, std::size_t size, off_t position) {
  return made({Kind::read, fd, nullptr, size}, [&](std::size_t most) {
    return ::syscall(SYS_pread64, fd, into, std::min(size, most), position);
  });
}

inline ssize_t write_at(int fd, const void* bytes, std::size_t size, off_t position) {
  return made({Kind::write, fd, nullptr, size}, [&](std::size_t most) {
    return ::syscall(SYS_pwrite64, fd, bytes, std::min(size, most), position);
  });
}

/// Cut short, it is the first piece at most.
inline ssize_t write_pieces_at(int fd, const iovec* pieces, int count, off_t position) {
  std::size_t total = 0;
  for (int i = 0; i < count; ++i) total += pieces[i].iov_len;
  return made({Kind::write, fd, nullptr, total}, [&](std::size_t most) {
    if (most >= total) return ::syscall(SYS_pwritev, fd, pieces, count, position, 0);
    while (count > 1 && pieces->iov_len == 0) ++pieces, --count;
    return ::syscall(SYS_pwrite64, fd, pieces->iov_base, std::min(pieces->iov_len, most), position);
  });
}

inline int cut(int fd, off_t size) {
  return static_cast<int>(made({Kind::truncate, fd, nullptr},
                               [&](std::size_t) { return ::syscall(SYS_ftruncate, fd, size); }));
}

inline int reserved(int fd, int mode, off_t position, off_t size) {
  return static_cast<int>(made({Kind::reserve, fd, nullptr}, [&](std::size_t) {
    return ::syscall(SYS_fallocate, fd, mode, position, size);
  }));
}

template <class Make>
int changed_name(Kind kind, const char* path, Make make) {
  return static_cast<int>(made({kind, -1, path}, [&](std::size_t) { return make(); }));
}

}  // namespace interposed

extern "C" {

int open(const char* path, int flags, ...) {
  std::va_list rest;
  va_start(rest, flags);
  const mode_t mode = (flags & O_CREAT) != 0 ? va_arg(rest, mode_t) : 0;
  va_end(rest);
  return interposed::opened(path, flags, mode);
}

ssize_t pread(int fd, void* into, size_t size, off_t position) {
  return interposed::read_at(fd, into, size, position);
}
ssize_t pwrite(int fd, const void* bytes, size_t size, off_t position) {
  return interposed::write_at(fd, bytes, size, position);
}
ssize_t pwritev(int fd, const iovec* pieces, int count, off_t position) {
  return interposed::write_pieces_at(fd, pieces, count, position);
}
int ftruncate(int fd, off_t size) noexcept { return interposed::cut(fd, size); }
int fallocate(int fd, int mode, off_t position, off_t size) {
  return interposed::reserved(fd, mode, position, size);
}

int fsync(int fd) {
  return static_cast<int>(interposed::made({interposed::Kind::sync, fd, nullptr},
                                           [&](std::size_t) { return ::syscall(SYS_fsync, fd); }));
}
int fdatasync(int fd) {
  return static_cast<int>(interposed::made({interposed::Kind::sync, fd, nullptr}, [&](std::size_t) {
    return ::syscall(SYS_fdatasync, fd);
  }));
}

int rename(const char* path, const char* to) noexcept {
  return interposed::changed_name(interposed::Kind::rename, path, [&] {
    return ::syscall(SYS_renameat2, AT_FDCWD, path, AT_FDCWD, to, 0);
  });
}
int unlink(const char* path) noexcept {
  return interposed::changed_name(interposed::Kind::remove, path,
                                  [&] { return ::syscall(SYS_unlinkat, AT_FDCWD, path, 0); });
}
int mkdir(const char* path, mode_t mode) noexcept {
  return interposed::changed_name(interposed::Kind::make_directory, path,
                                  [&] { return ::syscall(SYS_mkdirat, AT_FDCWD, path, mode); });
}
int rmdir(const char* path) noexcept {
  return interposed::changed_name(interposed::Kind::remove_directory, path, [&] {
    return ::syscall(SYS_unlinkat, AT_FDCWD, path, AT_REMOVEDIR);
  });
}
}
