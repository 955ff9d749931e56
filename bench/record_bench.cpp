// SPDX-License-Identifier: Apache-2.0
//
// Records of 100 bytes without key in batches of 16 KiB: encoded, sealed, walked and verified, each
// beside the same work done by hand (`floor_*`, which know no type of Ottla; the checksum's own
// floors are in crc32c_bench). `x_floor` is ours by theirs in the same run.
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>

#include <ottla/base/crc32c.hpp>
#include <ottla/record/batch_builder.hpp>
#include <ottla/record/batch_view.hpp>

namespace {

constexpr std::size_t batch_size = 16 * 1024;
constexpr std::size_t records_per_batch = 150;
const std::string value(100, 'v');

// ── floors: plain bytes ─────────────────────────────────────────────────────────────────────────

std::byte* put_varint(std::byte* to, std::uint32_t n) {
  for (; n >= 0x80; n >>= 7) *to++ = static_cast<std::byte>(n | 0x80);
  *to++ = static_cast<std::byte>(n);
  return to;
}

/// Timestamps equal the batch's, as when one clock is read a batch; the size is known at run time
/// only.
std::size_t encode_by_hand(std::byte* const batch, const std::string& from) {
  std::byte* to = batch + 61;
  std::uint32_t record_bytes = static_cast<std::uint32_t>(from.size());
  benchmark::DoNotOptimize(record_bytes);
  for (std::uint32_t i = 0; i < records_per_batch; ++i) {
    const std::uint32_t offset_delta = 2 * i;  // zigzag
    const std::uint32_t body = 1 + 1 + (offset_delta < 0x80 ? 1 : 2) + 1 + 2 + record_bytes + 1;
    to = put_varint(to, 2 * body);
    *to++ = std::byte{0};
    *to++ = std::byte{0};
    to = put_varint(to, offset_delta);
    *to++ = std::byte{1};
    to = put_varint(to, 2 * record_bytes);
    std::memcpy(to, from.data(), record_bytes);
    to += record_bytes;
    *to++ = std::byte{0};
    benchmark::ClobberMemory();
  }
  return static_cast<std::size_t>(to - batch);
}

const std::byte* get_varint(const std::byte* at, std::int64_t& n) {
  std::uint64_t raw = static_cast<std::uint64_t>(*at++);
  if (raw >= 0x80) {
    raw = (raw & 0x7f) | static_cast<std::uint64_t>(*at++) << 7;  // two bytes are enough here
  }
  n = static_cast<std::int64_t>(raw >> 1) ^ -static_cast<std::int64_t>(raw & 1);
  return at;
}

/// Every field of every record, with a check that each stays inside its record.
std::int64_t walk_by_hand(const std::byte* at, const std::byte* end) {
  std::int64_t seen = 0;
  while (at < end) {
    std::int64_t length = 0;
    std::int64_t timestamp = 0;
    std::int64_t offset = 0;
    std::int64_t key = 0;
    std::int64_t size = 0;
    std::int64_t headers = 0;
    at = get_varint(at, length);
    const std::byte* const record_end = at + length;
    if (record_end > end) return -1;
    at = get_varint(at + 1, timestamp);
    at = get_varint(at, offset);
    at = get_varint(at, key);
    at += key < 0 ? 0 : key;
    at = get_varint(at, size);
    const std::byte* const data = at;
    at += size < 0 ? 0 : size;
    at = get_varint(at, headers);
    if (at != record_end) return -1;
    seen += timestamp + offset + size + static_cast<std::int64_t>(*data);
    at = record_end;  // the same, known earlier
  }
  return seen;
}

// ── measuring ───────────────────────────────────────────────────────────────────────────────────

/// Nanoseconds a record of `work`, which does one batch: the best of several rounds.
template <class Work>
double nanoseconds(Work work) {
  double best = 1e9;
  for (int round = 0; round < 30; ++round) {
    constexpr int batches = 200;
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < batches; ++i) work();
    const std::chrono::duration<double, std::nano> took = std::chrono::steady_clock::now() - start;
    best = std::min(best, took.count() / (batches * records_per_batch));
  }
  return best;
}

/// Runs `work`, which does one batch, and reports it beside `floor` (0: this is one).
template <class Work>
void report(benchmark::State& state, double floor, Work work) {
  const double ours = nanoseconds(work);
  for (auto _ : state) work();
  state.counters["ns_per_record"] = ours;
  state.counters["records_per_s"] = 1e9 / ours;
  if (floor > 0) state.counters["x_floor"] = ours / floor;
}

std::vector<std::byte>& hand_made() {
  static std::vector<std::byte> batch(2 * batch_size);
  static const std::size_t size = encode_by_hand(batch.data(), value);
  batch.resize(size);
  return batch;
}

double floor_encode_ns() {
  std::vector<std::byte> batch(2 * batch_size);
  return nanoseconds([&] { benchmark::DoNotOptimize(encode_by_hand(batch.data(), value)); });
}
double floor_walk_ns() {
  const auto& batch = hand_made();
  return nanoseconds([&] {
    benchmark::DoNotOptimize(walk_by_hand(batch.data() + 61, batch.data() + batch.size()));
  });
}
double floor_crc_ns() {
  const ottla::Bytes bytes(hand_made());
  return nanoseconds([&] { benchmark::DoNotOptimize(ottla::crc32c(bytes.subspan(21))); });
}

void floor_encode(benchmark::State& state) {
  std::vector<std::byte> batch(2 * batch_size);
  report(state, 0, [&] { benchmark::DoNotOptimize(encode_by_hand(batch.data(), value)); });
}
void floor_walk(benchmark::State& state) {
  const auto& batch = hand_made();
  report(state, 0, [&] {
    benchmark::DoNotOptimize(walk_by_hand(batch.data() + 61, batch.data() + batch.size()));
  });
}
void floor_crc(benchmark::State& state) {
  const ottla::Bytes bytes(hand_made());
  report(state, 0, [&] { benchmark::DoNotOptimize(ottla::crc32c(bytes.subspan(21))); });
}

// ── ours ────────────────────────────────────────────────────────────────────────────────────────

bool fill(ottla::BatchBuilder& builder) {
  const ottla::RecordFields record{.timestamp = ottla::Timestamp(1700000000000),
                                   .value = ottla::as_bytes(value)};
  for (std::size_t i = 0; i < records_per_batch; ++i) {
    if (!builder.append(record).ok()) return false;
  }
  return true;
}

ottla::SealedBatch sealed() {
  ottla::BatchBuilder builder({}, ottla::Buffer::allocate(2 * batch_size));
  fill(builder);
  return *builder.seal();
}

void record_encode(benchmark::State& state) {
  report(state, floor_encode_ns(), [] {
    ottla::BatchBuilder builder({}, ottla::Buffer::allocate(2 * batch_size));
    benchmark::DoNotOptimize(fill(builder));
  });
}

/// From nothing to a batch that can be sent: memory, records, header, checksum.
void batch_seal(benchmark::State& state) {
  report(state, floor_encode_ns() + floor_crc_ns(), [] {
    ottla::BatchBuilder builder({}, ottla::Buffer::allocate(2 * batch_size));
    fill(builder);
    const auto batch = builder.seal();
    benchmark::DoNotOptimize(batch->size());
  });
}

std::int64_t walk(const ottla::BatchView& batch) {
  std::int64_t seen = 0;
  ottla::RecordCursor records = batch.records();
  while (const ottla::RecordView* record = records.next()) {
    const auto bytes = record->value();
    seen += record->timestamp().value() + record->offset().value() +
            static_cast<std::int64_t>(bytes->size()) + static_cast<std::int64_t>(bytes->front());
  }
  return records.ok() ? seen : -1;
}

void record_walk(benchmark::State& state) {
  const ottla::SealedBatch batch = sealed();
  report(state, floor_walk_ns(),
         [&] { benchmark::DoNotOptimize(walk(ottla::BatchView(batch.bytes()))); });
}

void batch_verify(benchmark::State& state) {
  const ottla::SealedBatch batch = sealed();
  report(state, floor_crc_ns(),
         [&] { benchmark::DoNotOptimize(ottla::BatchView::parse(batch.bytes()).ok()); });
}

/// What a consumer does with bytes from a file.
void batch_verify_and_walk(benchmark::State& state) {
  const ottla::SealedBatch batch = sealed();
  report(state, floor_crc_ns() + floor_walk_ns(), [&] {
    ottla::BatchCursor batches(batch.bytes());
    while (const ottla::BatchView* one = batches.next()) benchmark::DoNotOptimize(walk(*one));
  });
}

void codec(benchmark::State& state, ottla::CompressionType type) {
  ottla::Compressor compressor;
  ottla::Decompressor decompressor;
  report(state, 0, [&] {
    ottla::BatchBuilder builder({.compression = type}, ottla::Buffer::allocate(2 * batch_size));
    fill(builder);
    const auto batch = builder.seal(compressor);
    ottla::RecordCursor records = ottla::BatchView(batch->bytes()).records(decompressor);
    while (records.next() != nullptr) {
    }
    benchmark::DoNotOptimize(records.ok());
  });
}

}  // namespace

BENCHMARK(floor_encode);
BENCHMARK(record_encode);
BENCHMARK(floor_crc);
BENCHMARK(batch_seal);
BENCHMARK(floor_walk);
BENCHMARK(record_walk);
BENCHMARK(batch_verify);
BENCHMARK(batch_verify_and_walk);
BENCHMARK_CAPTURE(codec, gzip, ottla::CompressionType::gzip);
BENCHMARK_CAPTURE(codec, snappy, ottla::CompressionType::snappy);
BENCHMARK_CAPTURE(codec, lz4, ottla::CompressionType::lz4);
BENCHMARK_CAPTURE(codec, zstd, ottla::CompressionType::zstd);
