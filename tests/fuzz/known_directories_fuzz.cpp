// SPDX-License-Identifier: Apache-2.0
//
// .ottla_directories, as it is and with a sum that matches.
#include <ottla/log/known_directories.hpp>

#include "fuzz.hpp"

using namespace ottla;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(as_string_view(fuzz::bytes(data, size)));
  for (const std::string& its : {text, fuzz::with_sum(text)}) {
    fuzz::round_trip(
        its, [](const std::string& one) { return parse_known_directories(one); },
        [](const std::vector<KnownDirectory>& parsed) { return format_known_directories(parsed); });
  }
  return 0;
}
