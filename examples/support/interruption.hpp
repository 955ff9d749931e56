// SPDX-License-Identifier: Apache-2.0
//
// Ctrl-C (or SIGTERM) once: the program is asked to finish what it has and end with `exit_code()`.
// Twice: it stops at once.
#pragma once

#include <cerrno>
#include <csignal>

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

namespace console {

class Interruption {
 public:
  /// One in a program, before it starts threads.
  Interruption() {
    bell_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    struct sigaction action = {};
    action.sa_handler = &Interruption::notice;
    ::sigemptyset(&action.sa_mask);
    ::sigaction(SIGINT, &action, nullptr);
    ::sigaction(SIGTERM, &action, nullptr);
    std::signal(SIGPIPE, SIG_IGN);  // a closed pipe shows where it is written to
  }

  bool asked() const { return signal_ != 0; }
  int exit_code() const { return 128 + signal_; }
  /// Readable once asked.
  int descriptor() const { return bell_; }

 private:
  static void notice(int signal) {
    if (signal_ != 0) {
      ::_exit(128 + signal);
    }
    const int error = errno;
    signal_ = signal;
    [[maybe_unused]] const int rung = ::eventfd_write(bell_, 1);
    errno = error;
  }

  static inline volatile std::sig_atomic_t signal_ = 0;
  static inline int bell_ = -1;
};

}  // namespace console
