// SPDX-License-Identifier: Apache-2.0
//
// Committed offsets of __consumer_offsets: the input is a key (UINT16 length and bytes) and a
// value, each decoded alone, and then taken by a store.
#include <ottla/offsets/offset_store.hpp>

#include "fuzz.hpp"

using namespace ottla;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  const Bytes key = input.piece();
  const Bytes value = input.rest();
  const auto encoded = [](const auto& its) { return encode(its); };
  using Vector = std::vector<std::byte>;
  for (const Bytes bytes : {key, value}) {
    const Vector copy(bytes.begin(), bytes.end());
    fuzz::round_trip(
        copy, [](const Vector& its) { return decode_offset_key(its); }, encoded);
    fuzz::round_trip(
        copy, [](const Vector& its) { return decode_committed_offset(its); }, encoded);
  }
  OffsetStore store;
  const absl::Status taken = store.apply({.key = key, .value = value, .offset = Offset(3)});
  if (!taken.ok()) {
    fuzz::require_typed(taken);
    fuzz::require(store.all().empty(), "a refused record changed the store");
    return 0;
  }
  const auto id = decode_offset_key(key);
  if (id.ok()) {
    const CommittedOffset* found = store.find(id->group, id->partition);
    fuzz::require(found != nullptr && *found == *decode_committed_offset(value),
                  "a committed offset is not found");
    fuzz::require(store.apply({.key = key, .offset = Offset(4)}).ok() && store.all().empty(),
                  "a tombstone leaves it");
  }
  return 0;
}
