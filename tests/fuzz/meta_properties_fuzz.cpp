// SPDX-License-Identifier: Apache-2.0
//
// meta.properties.
#include <ottla/log/meta_properties.hpp>

#include "fuzz.hpp"

using namespace ottla;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(as_string_view(fuzz::bytes(data, size)));
  const auto parsed = parse_meta_properties(text, "x");
  if (parsed.ok() && parsed->cluster_id.empty()) {
    return 0;  // version 0 may lack it; version 1, which is written, may not
  }
  fuzz::round_trip(
      text, [](const std::string& its) { return parse_meta_properties(its, "x"); },
      [](const MetaProperties& properties) { return format_meta_properties(properties); }, 256);
  return 0;
}
