// SPDX-License-Identifier: Apache-2.0
//
// .ottla_clean, as it is and with a sum that matches.
#include <ottla/log/clean_stop.hpp>

#include "fuzz.hpp"

using namespace ottla;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(as_string_view(fuzz::bytes(data, size)));
  for (const std::string& its : {text, fuzz::with_sum(text)}) {
    fuzz::round_trip(
        its, [](const std::string& one) { return parse_clean_stop(one); },
        [](const CleanStop& parsed) { return format_clean_stop(parsed); });
  }
  return 0;
}
