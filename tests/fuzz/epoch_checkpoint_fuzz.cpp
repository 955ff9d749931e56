// SPDX-License-Identifier: Apache-2.0
//
// leader-epoch-checkpoint, and the cache that is made of it.
#include <ottla/log/leader_epochs.hpp>

#include "fuzz.hpp"

using namespace ottla;

namespace {

void look_up(const std::vector<EpochStart>& entries) {
  const LeaderEpochs epochs(entries);
  for (const EpochStart& entry : entries) {
    fuzz::require(epochs.epoch_for_offset(entry.start) == entry.epoch,
                  "an epoch does not lead where it begins");
    fuzz::require(epochs.end_offset_for(entry.epoch, Offset(INT64_MAX)).epoch == entry.epoch,
                  "an epoch is not found");
    LeaderEpochs cut = epochs;
    cut.truncate_from_end(entry.start);
    fuzz::require(!cut.epoch_for_offset(entry.start) || cut.latest() < entry.epoch,
                  "an epoch is not cut off");
    cut.assign(entry.epoch, entry.start);
    fuzz::require(cut.latest() == entry.epoch, "an epoch is not assigned");
    if (&entry - entries.data() > 20) {
      break;
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(as_string_view(fuzz::bytes(data, size)));
  const auto parse = [](const std::string& its) { return parse_epoch_checkpoint(its, "x"); };
  if (fuzz::round_trip(text, parse,
                       [](const auto& entries) { return format_epoch_checkpoint(entries); })) {
    look_up(*parse(text));
  }
  return 0;
}
