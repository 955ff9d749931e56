// SPDX-License-Identifier: Apache-2.0
//
// Groups in __consumer_offsets, and what members say of themselves: the input is records, each a
// key and a value (UINT16 length and bytes), that a coordinator takes in their order. A byte 1
// before a record: it is a tombstone.
#include <ottla/group/consumer_protocol.hpp>
#include <ottla/group/group_coordinator.hpp>

#include "fuzz.hpp"

using namespace ottla;

namespace {

using Vector = std::vector<std::byte>;

void decode_all(const Vector& bytes) {
  const auto encoded = [](const auto& its) { return encode(its); };
  fuzz::round_trip(
      bytes, [](const Vector& its) { return decode_group_key(its); },
      [](const std::string& group) { return encode_group_key(group); });
  fuzz::round_trip(
      bytes, [](const Vector& its) { return decode_group_value(its); }, encoded);
  fuzz::round_trip(
      bytes, [](const Vector& its) { return decode_consumer_subscription(its); }, encoded);
  fuzz::round_trip(
      bytes, [](const Vector& its) { return decode_consumer_assignment(its); }, encoded);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  GroupCoordinator coordinator;
  for (std::int64_t i = 0; !input.empty() && i < 64; ++i) {
    const bool is_tombstone = input.integer<std::uint8_t>() == 1;
    const Bytes key = input.piece();
    const Bytes value = input.piece();
    decode_all({value.begin(), value.end()});
    decode_all({key.begin(), key.end()});
    WrittenRecord record{.key = key, .value = value, .offset = Offset(i)};
    if (is_tombstone) {
      record.value.reset();
    }
    if (const absl::Status taken = coordinator.apply(record); !taken.ok()) {
      fuzz::require_typed(taken);
    }
  }
  const Now now{SteadyTime(), Timestamp(1'700'000'000'000)};
  (void)coordinator.decide(GroupCoordinator::Loaded{.members_gone = true}, now);
  (void)coordinator.answer(ListGroupsRequest{});
  (void)coordinator.offsets().all();
  return 0;
}
