// SPDX-License-Identifier: Apache-2.0
//
// Closes a broker for as long as that takes: many partitions on a slow disk take minutes. On a
// terminal it says that it does; Ctrl-C twice stops at once.
#pragma once

#include <chrono>
#include <future>
#include <iostream>
#include <string>

#include <ottla/broker/broker.hpp>

#include "progress.hpp"

namespace console {

inline constexpr std::chrono::minutes longest_close{10};
/// Of a broker that goes without `close`, or after it.
inline constexpr std::chrono::seconds destructor_close{1};

/// A close that takes too long is no error, but a warning: what was acknowledged is there.
inline absl::Status close(const ottla::Broker& broker, const std::string& dir) {
  Progress progress("", false);
  auto closed = std::async([&] { return broker.close(longest_close); });
  for (int seconds = 1;; ++seconds) {
    if (closed.wait_for(std::chrono::seconds(1)) != std::future_status::timeout) break;
    progress.say("closing " + dir + ", " + std::to_string(seconds) + " s");
  }
  const absl::Status status = closed.get();
  progress.clear();
  if (ottla::fault(status) != ottla::Fault::timed_out) return status;
  std::cerr << "warning: " << dir << " could not be closed within "
            << longest_close / std::chrono::minutes(1)
            << " minutes; nothing acknowledged or committed is lost, and whoever opens it next"
               " checks it first\n";
  return absl::OkStatus();
}

}  // namespace console
