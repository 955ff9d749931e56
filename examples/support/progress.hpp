// SPDX-License-Identifier: Apache-2.0
//
// How far a program is: one line on standard error that is written over. Only where that is a
// terminal that obeys (TERM is not dumb), NO_COLOR is not set, and standard output goes elsewhere.
#pragma once

#include <chrono>
#include <cstdlib>
#include <iostream>
#include <string>
#include <string_view>

#include <unistd.h>

namespace console {

class Progress {
 public:
  /// `what`: "lines sent".
  explicit Progress(std::string_view what) : what_(what) {
    const char* terminal = std::getenv("TERM");
    const char* no_color = std::getenv("NO_COLOR");
    shown_ = ::isatty(STDERR_FILENO) == 1 && ::isatty(STDOUT_FILENO) != 1 &&
             (no_color == nullptr || *no_color == '\0') && terminal != nullptr &&
             std::string_view(terminal) != "dumb";
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
