// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <absl/strings/str_cat.h>
#include <errno.h>
#include <string.h>

#include <ottla/env/impl/system_error.hpp>

namespace ottla::inline OTTLA_ABI {
namespace env_impl {

// strerror_r answers a text (GNU) or a number (POSIX).
inline std::string_view words_of(const char* text, const char*) { return text; }
inline std::string_view words_of(int failed, const char* buffer) {
  return failed == 0 ? buffer : "unknown error";
}

inline std::string_view remedy(Fault fault, int failure, Access access) {
  switch (fault) {
    case Fault::no_space:
      return failure == EFBIG ? "; raise the limit on the size of files (ulimit -f)"
                              : "; free space or raise the quota";
    case Fault::no_descriptors:
      return "; raise the limit on open files (ulimit -n)";
    case Fault::read_only:
      return "; let this user write there";
    case Fault::not_found:
      return failure == ENOTDIR          ? "; name a path on which all but the last are directories"
             : access == Access::writing ? "; make the directories above it first"
                                         : "";
    case Fault::io:
      return failure == EACCES || failure == EPERM ? "; let this user read it"
                                                   : "; look at the device";
    default:
      return "";
  }
}

OTTLA_INLINE Fault fault_of(int failure, Access access) {
  switch (failure) {
    case ENOENT:
    case ENOTDIR:
      return Fault::not_found;
    case EEXIST:
    case ENOTEMPTY:
      return Fault::already_exists;
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
      return Fault::no_space;
    case EMFILE:
    case ENFILE:
      return Fault::no_descriptors;
    case ENOMEM:
      return Fault::no_memory;
    case EROFS:
    case ETXTBSY:
      return Fault::read_only;
    case EACCES:
    case EPERM:
      return access == Access::writing ? Fault::read_only : Fault::io;
    case EOPNOTSUPP:
    case ENOSYS:
      return Fault::unsupported;
    case EBADF:  // opened for reading only
    case EINVAL:
    case EISDIR:
    case ELOOP:
    case ENAMETOOLONG:
      return Fault::invalid_argument;
    default:
      return Fault::io;
  }
}

OTTLA_INLINE absl::Status system_error(int failure, std::string_view action, std::string_view path,
                                       Access access, Outcome outcome) {
  char buffer[256] = "";
  const std::string_view words = words_of(::strerror_r(failure, buffer, sizeof buffer), buffer);
  const Fault fault = fault_of(failure, access);
  return error(fault,
               absl::StrCat("cannot ", av(action), " ", av(path), ": ", av(words),
                            av(remedy(fault, failure, access))),
               outcome);
}

OTTLA_INLINE absl::Status name_changed(int failure, std::string_view action,
                                       std::string_view path) {
  return failure == 0 ? absl::OkStatus()
                      : system_error(failure, action, path, Access::writing,
                                     failure == EIO ? Outcome::unknown : Outcome::not_written);
}

OTTLA_INLINE absl::Status sync_error(int failure, std::string_view action, std::string_view path) {
  return system_error(failure == ENOMEM ? EIO : failure, action, path, Access::writing,
                      Outcome::unknown);
}

OTTLA_INLINE absl::Status bad_position(std::int64_t position) {
  return error(Fault::invalid_argument, absl::StrCat("position ", position, " in a file"));
}

OTTLA_INLINE absl::Status in_child(std::string_view what) {
  return error(Fault::forked, absl::StrCat("cannot use ", av(what),
                                           " in a child of fork; open new objects there"));
}

OTTLA_INLINE absl::Status file_closed() {
  return error(Fault::closed, "the file was closed or moved from; open it again");
}

}  // namespace env_impl
}  // namespace ottla::inline OTTLA_ABI
