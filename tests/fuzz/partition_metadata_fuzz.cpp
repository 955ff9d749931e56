// SPDX-License-Identifier: Apache-2.0
//
// partition.metadata.
#include <ottla/log/partition_metadata.hpp>

#include "fuzz.hpp"

using namespace ottla;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(as_string_view(fuzz::bytes(data, size)));
  fuzz::round_trip(
      text, [](const std::string& its) { return parse_partition_metadata(its, "x"); },
      [](const TopicId& id) { return format_partition_metadata(id); });
  return 0;
}
