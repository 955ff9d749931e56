// SPDX-License-Identifier: Apache-2.0
//
// Records of the metadata log: values (UINT16 length and bytes) that the machine takes in their
// order. What it takes can be written as a snapshot, which makes the same machine.
#include <ottla/metadata/metadata_machine.hpp>

#include "fuzz.hpp"

using namespace ottla;

namespace {

using Vector = std::vector<std::byte>;

void round_trip(const Vector& value) {
  const auto parse = [](const Vector& its) { return decode_metadata_record(its); };
  const auto record = parse(value);
  if (record.ok() && std::holds_alternative<OtherMetadataRecord>(*record)) {
    return;
  }
  fuzz::round_trip(value, parse, [](const MetadataRecord& its) { return encode(its); });
}

MetadataMachine machine_of(const std::vector<MachineRecord>& records) {
  MetadataMachine machine{MetadataPlacement{}};
  for (std::size_t i = 0; i < records.size(); ++i) {
    const absl::Status taken = machine.apply(
        {.value = Bytes(*records[i].value), .offset = Offset(static_cast<std::int64_t>(i))});
    fuzz::require(taken.ok(), "a snapshot is not taken", taken.ToString());
  }
  return machine;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  MetadataMachine machine{MetadataPlacement{}};
  for (std::int64_t i = 0; !input.empty() && i < 64; ++i) {
    const Bytes value = input.piece();
    round_trip({value.begin(), value.end()});
    const absl::Status taken = machine.apply({.value = value, .offset = Offset(i)});
    if (!taken.ok()) {
      fuzz::require_typed(taken);
    }
  }
  const std::vector<MachineRecord> snapshot = machine.snapshot();
  const MetadataMachine again = machine_of(snapshot);
  fuzz::require(again.snapshot() == snapshot, "the snapshot makes another machine");
  fuzz::require(again.partition_count() == machine.partition_count(), "partitions are lost");
  return 0;
}
