// SPDX-License-Identifier: Apache-2.0
//
// How far a program is: one line on standard error that is written over. Only where that is a
// terminal that obeys (TERM is not dumb), and no standard output goes to a terminal meanwhile.
#pragma once

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <string>
#include <string_view>

#include <unistd.h>

namespace console {

class Progress {
 public:
  /// `what`: "lines sent". `prints`: whether the program writes to standard output, too.
  Progress(std::string_view what, bool prints) : what_(what) {
    const char* terminal = std::getenv("TERM");
    shown_ = ::isatty(STDERR_FILENO) == 1 && !(prints && ::isatty(STDOUT_FILENO) == 1) &&
             terminal != nullptr && std::string_view(terminal) != "dumb";
  }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  ~Progress() { clear(); }

  void show(std::uint64_t done) {
    if (!shown_) {
      return;
    }
    const auto now = std::chrono::steady_clock::now();
    if (now - last_ < std::chrono::milliseconds(200)) {
      return;
    }
    last_ = now;
    const std::chrono::duration<double> passed = now - began_;
    std::cerr << '\r' << done << ' ' << what_ << ", "
              << static_cast<std::uint64_t>(static_cast<double>(done) / passed.count())
              << " a second\033[K" << std::flush;
    written_ = true;
  }

  /// Instead of how far it is.
  void say(std::string_view text) {
    if (!shown_) {
      return;
    }
    std::cerr << '\r' << text << "\033[K" << std::flush;
    written_ = true;
  }

  /// Before anything else is written there.
  void clear() {
    if (written_) {
      std::cerr << "\r\033[K" << std::flush;
      written_ = false;
    }
  }

 private:
  std::string what_;
  bool shown_ = false;
  bool written_ = false;
  std::chrono::steady_clock::time_point began_ = std::chrono::steady_clock::now();
  std::chrono::steady_clock::time_point last_ = began_;
};

}  // namespace console
