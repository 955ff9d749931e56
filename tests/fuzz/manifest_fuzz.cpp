// SPDX-License-Identifier: Apache-2.0
//
// ottla_manifest, as it is and with sums that match. What can be read of it is everything before
// the first malformed line, so that a cut one never says more.
#include <ottla/log/manifest.hpp>

#include "fuzz.hpp"

using namespace ottla;

namespace {

bool same(const Manifest& a, const Manifest& b) { return a.whole_text() == b.whole_text(); }

void check(const std::string& text) {
  const auto parsed = [&] {
    const fuzz::MemoryBound bound(text.size() * 64 + (std::size_t{64} << 10));
    return Manifest::parse(text);
  }();
  if (!parsed) {
    return;
  }
  const std::string whole = parsed->whole_text();
  const auto again = Manifest::parse(whole);
  fuzz::require(again && again->owner() == parsed->owner() &&
                    again->segments() == parsed->segments() &&
                    again->synced() == parsed->synced() && again->era() == parsed->era() &&
                    again->durable_end() == parsed->durable_end(),
                "what was written reads differently");
  fuzz::require(again->whole_text() == whole, "it is written differently the second time");
  const std::size_t line = text.find('\n') + 1;
  const auto cut = Manifest::parse(text.substr(0, text.size() - 1));
  fuzz::require(text.size() <= line || cut.has_value(), "a cut last line takes the first with it");
  if (text.size() <= 1000) {
    auto torn = text;
    torn += "segment 0 1";
    fuzz::require(same(*Manifest::parse(torn), *parsed), "a torn last line counts");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(as_string_view(fuzz::bytes(data, size)));
  check(text);
  check(fuzz::with_line_sums(text));
  return 0;
}
