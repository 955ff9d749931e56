// SPDX-License-Identifier: Apache-2.0
//
// recovery-point-, log-start-, replication- and cleaner-offset-checkpoint.
#include <ottla/log/checkpoint_file.hpp>

#include "fuzz.hpp"

using namespace ottla;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(as_string_view(fuzz::bytes(data, size)));
  fuzz::round_trip(
      text, [](const std::string& its) { return parse_offset_checkpoint(its, "x"); },
      [](const auto& entries) { return format_offset_checkpoint(entries); });
  return 0;
}
