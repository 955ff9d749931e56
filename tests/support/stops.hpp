// SPDX-License-Identifier: Apache-2.0
//
// Whether something stops the process: it is tried in a child.
#pragma once

#include <csignal>
#include <stdexcept>

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/// True when `body` ends its process by a trap. Called while no other thread runs.
template <class Body>
bool stops(Body body) {
  const pid_t child = fork();
  if (child < 0) {
    throw std::runtime_error("no child");
  }
  if (child == 0) {
    const rlimit no_core = {0, 0};
    setrlimit(RLIMIT_CORE, &no_core);
    std::signal(SIGILL, SIG_DFL);
    std::signal(SIGTRAP, SIG_DFL);
    body();
    _exit(0);
  }
  int status = 0;
  if (waitpid(child, &status, 0) != child) {
    throw std::runtime_error("lost the child");
  }
  return WIFSIGNALED(status) && (WTERMSIG(status) == SIGILL || WTERMSIG(status) == SIGTRAP);
}
