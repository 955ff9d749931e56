// SPDX-License-Identifier: Apache-2.0
//
// A log whose process has died.
#pragma once

#include <string>

#include "log_fixture.hpp"

namespace log_test {

inline std::string file(std::int64_t base, std::string_view suffix = log_suffix) {
  return offset_file_name(Offset(base), suffix);
}

/// Three segments of four batches: offsets 0 to 11. Left without a clean stop.
struct Killed : Disk {
  std::int32_t batch_size = make_batch(0).facts.size;

  explicit Killed(std::int32_t index_interval = 4096, int batches = 12) {
    options.config.segment_bytes = 4 * batch_size;
    options.config.index_interval_bytes = index_interval;
    Log log = open();
    must(append(log, make_batches(0, batches)).status);
  }
};

inline constexpr LastStop both[] = {LastStop::process_crash, LastStop::system_crash};

}  // namespace log_test
