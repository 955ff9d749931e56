// SPDX-License-Identifier: Apache-2.0
//
// A producer snapshot: INT64 offset, then the file, whose version and checksum are made right when
// the offset is even.
#include <algorithm>
#include <chrono>

#include <ottla/log/producer_snapshot.hpp>

#include "fuzz.hpp"

using namespace ottla;

namespace {

constexpr std::size_t crc_position = 2;
constexpr std::size_t crc_from = 6;

ProducerState load(const std::vector<ProducerStateEntry>& entries, Offset offset) {
  ProducerState state;
  state.load(entries, offset, Timestamp(0), std::chrono::milliseconds::max());
  return state;
}

bool same(const ProducerStateEntry& a, const ProducerStateEntry& b) {
  return a.producer_id == b.producer_id && a.epoch == b.epoch &&
         a.coordinator_epoch == b.coordinator_epoch && a.last_timestamp == b.last_timestamp &&
         a.transaction_start == b.transaction_start && a.batches.newest() == b.batches.newest();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  const Offset offset(input.integer<std::int64_t>());
  const Bytes rest = input.rest();
  std::vector<std::byte> file(rest.begin(), rest.end());
  if (offset.value() % 2 == 0 && file.size() >= crc_from) {
    store_big_endian(file.data(), std::int16_t{1});
    store_big_endian(file.data() + crc_position, crc32c(Bytes(file).subspan(crc_from)));
  }
  const auto entries = [&] {
    const fuzz::MemoryBound bound(8 * file.size() + (std::size_t{64} << 10));
    return parse_producer_snapshot(file, offset);
  }();
  if (!fuzz::accepted(entries)) {
    return 0;
  }
  const ProducerState state = load(*entries, offset);
  for (const ProducerStateEntry& entry : state.entries()) {
    const auto found = std::find_if(entries->begin(), entries->end(), [&](const auto& its) {
      return its.producer_id == entry.producer_id;
    });
    fuzz::require(found != entries->end() && same(*found, entry), "a producer of its own");
  }
  const auto written = format_producer_snapshot(state);
  const auto again = parse_producer_snapshot(written, offset);
  fuzz::require(again.ok(), "what was written is refused", again.status().ToString());
  fuzz::require(format_producer_snapshot(load(*again, offset)) == written,
                "it is written differently the second time");
  return 0;
}
