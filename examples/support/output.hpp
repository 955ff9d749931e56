// SPDX-License-Identifier: Apache-2.0
//
// Standard output in large pieces. Whoever reads it may go away: then `closed()`, and nothing more
// is written or said.
#pragma once

#include <cerrno>
#include <cstring>
#include <string>
#include <string_view>

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

namespace console {

/// First of all in a program: the number of a standard descriptor that is closed would go to the
/// next file that is opened, a log's perhaps, and what is meant for a terminal into it.
inline void hold_standard_descriptors() {
  int held = ::open("/dev/null", O_RDWR);
  while (held >= 0 && held <= STDERR_FILENO) held = ::dup(held);
  if (held >= 0) ::close(held);
}

class Output {
 public:
  explicit Output(int descriptor = STDOUT_FILENO) : descriptor_(descriptor) {}

  void add(std::string_view text) { pending_.append(text); }
  void add(char c) { pending_.push_back(c); }
  /// A good moment to flush, if only for the size of what is pending.
  bool is_full() const { return pending_.size() >= 64 << 10; }

  /// Whether everything went out.
  bool flush() {
    std::string_view left = pending_;
    while (!left.empty() && error_ == 0) {
      const ssize_t wrote = ::write(descriptor_, left.data(), left.size());
      if (wrote >= 0) {
        left.remove_prefix(static_cast<std::size_t>(wrote));
      } else if (errno == EAGAIN) {
        pollfd one = {.fd = descriptor_, .events = POLLOUT, .revents = 0};
        ::poll(&one, 1, -1);
      } else if (errno != EINTR) {
        error_ = errno;
      }
    }
    pending_.clear();
    return error_ == 0;
  }

  /// Notices that whoever reads went away, without writing.
  void look() {
    pollfd one = {.fd = descriptor_, .events = 0, .revents = 0};
    if (error_ == 0 && ::poll(&one, 1, 0) == 1 && (one.revents & (POLLERR | POLLHUP)) != 0) {
      error_ = EPIPE;
    }
  }

  bool failed() const { return error_ != 0; }
  bool closed() const { return error_ == EPIPE; }
  /// What went wrong, or nothing: a closed pipe is nothing wrong.
  std::string problem() const {
    return error_ == 0 || closed() ? std::string()
                                   : std::string("cannot write to standard output: ") +
                                         std::strerror(error_) + "; see where it leads to";
  }

 private:
  int descriptor_;
  std::string pending_;
  int error_ = 0;
};

}  // namespace console
