// SPDX-License-Identifier: Apache-2.0
//
// What a consumer costs beside a bare walk over the same bytes (`floor_*`, which know no type of
// Ottla), records of 100 bytes in batches of 16 KiB. Rounds of both take turns; `x_floor` is ours
// by theirs, `allocs_per_record` counts ours.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <new>
#include <stdexcept>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>
#include <fcntl.h>
#include <unistd.h>

#include <ottla/base/crc32c.hpp>
#include <ottla/broker/broker.hpp>
#include <ottla/consumer/consumer.hpp>
#include <ottla/producer/producer.hpp>

#include "bench/against_floor.hpp"
#include "tests/support/temporary_directory.hpp"

namespace {
std::atomic<std::uint64_t> allocations{0};
}

[[gnu::noinline]] void* operator new(std::size_t size) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  if (void* memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace {

using namespace bench;
using namespace ottla;
using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
using Reader = Consumer<std::string_view, std::string_view>;

constexpr int rounds = 9;
constexpr std::size_t value_size = 100;

void produce(const Broker& broker, std::int64_t records) {
  auto producer = must(Producer<std::string_view, std::string_view>::open(
      broker, {.linger = 5ms, .batch_size = 16'384}));
  const auto topic = must(producer.topic("bench"));
  const std::string value(value_size, 'v');
  for (std::int64_t i = 0; i < records; ++i) {
    must(producer.send({.topic = topic, .partition = PartitionId(0), .value = value}).status());
  }
  must(producer.flush());
}

/// One round: all records from `from` on, their count and the bytes of their values added up.
struct Sums {
  std::int64_t records = 0;
  std::uint64_t bytes = 0;
};
Sums consume(Reader& consumer, std::int64_t records) {
  Sums sums;
  while (sums.records < records) {
    const auto polled = must(consumer.poll(1s));
    for (const auto& record : polled) {
      const auto value = record.raw_value();
      sums.bytes += value->size() + static_cast<std::uint8_t>((*value)[0]);
      ++sums.records;
    }
  }
  return sums;
}

// ── the floors: what anybody has to do ──────────────────────────────────────────────────────────

std::size_t floor_batch_size(const unsigned char* batch) {
  return (static_cast<std::size_t>(batch[8]) << 24 | static_cast<std::size_t>(batch[9]) << 16 |
          static_cast<std::size_t>(batch[10]) << 8 | batch[11]) +
         12;
}

const unsigned char* floor_varint(const unsigned char* at, std::int64_t& n) {
  std::uint64_t raw = *at++;
  if (raw >= 0x80) {
    raw = (raw & 0x7f) | static_cast<std::uint64_t>(*at++) << 7;  // two bytes are enough here
  }
  n = static_cast<std::int64_t>(raw >> 1) ^ -static_cast<std::int64_t>(raw & 1);
  return at;
}

/// Every field of every record, with a check that each stays inside its record.
void floor_walk_batch(const unsigned char* at, const unsigned char* end, Sums& sums) {
  std::int64_t seen = 0;
  while (at < end) {
    std::int64_t length = 0;
    std::int64_t timestamp = 0;
    std::int64_t offset = 0;
    std::int64_t key = 0;
    std::int64_t size = 0;
    std::int64_t headers = 0;
    at = floor_varint(at, length);
    const unsigned char* const record_end = at + length;
    if (record_end > end) return;
    at = floor_varint(at + 1, timestamp);
    at = floor_varint(at, offset);
    at = floor_varint(at, key);
    at += key < 0 ? 0 : key;
    at = floor_varint(at, size);
    const unsigned char* const data = at;
    at += size < 0 ? 0 : size;
    at = floor_varint(at, headers);
    if (at != record_end) return;
    seen += timestamp + offset;
    sums.bytes += static_cast<std::uint64_t>(size) + *data;
    ++sums.records;
    at = record_end;  // the same, known earlier
  }
  benchmark::DoNotOptimize(seen);
}

/// Walks every record of every batch in memory; with `check` also its checksum.
Sums floor_walk(const unsigned char* at, std::size_t size, bool check) {
  Sums sums;
  const unsigned char* const end = at + size;
  while (end - at > 61) {
    const std::size_t batch = floor_batch_size(at);
    if (check) {
      benchmark::DoNotOptimize(
          crc32c(Bytes(reinterpret_cast<const std::byte*>(at + 21), batch - 21)));
    }
    floor_walk_batch(at + 61, at + batch, sums);
    at += batch;
  }
  return sums;
}

std::vector<unsigned char> floor_read(const std::string& path) {
  std::vector<unsigned char> bytes(std::filesystem::file_size(path));
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) throw std::runtime_error("cannot open " + path);
  for (std::size_t at = 0; at < bytes.size();) {
    const auto want = std::min<std::size_t>(bytes.size() - at, 256 << 10);
    const auto got = ::pread(file, bytes.data() + at, want, static_cast<off_t>(at));
    if (got <= 0) throw std::runtime_error("cannot read " + path);
    at += static_cast<std::size_t>(got);
  }
  ::close(file);
  return bytes;
}

/// The same bytes from the file, 256 KiB at a time through one buffer.
Sums floor_read_and_walk(const std::string& path) {
  constexpr std::size_t piece = 256 << 10;
  std::vector<unsigned char> buffer(piece);
  Sums all;
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) throw std::runtime_error("cannot open " + path);
  std::size_t kept = 0;
  for (off_t at = 0;;) {
    const auto got = ::pread(file, buffer.data() + kept, piece - kept, at);
    if (got <= 0) break;
    at += got;
    const std::size_t there = kept + static_cast<std::size_t>(got);
    std::size_t whole = 0;
    while (there - whole > 61 && there - whole >= floor_batch_size(buffer.data() + whole)) {
      whole += floor_batch_size(buffer.data() + whole);
    }
    const Sums sums = floor_walk(buffer.data(), whole, true);
    all.records += sums.records;
    all.bytes += sums.bytes;
    kept = there - whole;
    std::memmove(buffer.data(), buffer.data() + whole, kept);
  }
  ::close(file);
  return all;
}

double nanoseconds(Clock::time_point from) {
  return std::chrono::duration<double, std::nano>(Clock::now() - from).count();
}
double median(std::vector<double> all) {
  std::sort(all.begin(), all.end());
  return all[all.size() / 2];
}

/// Rounds of ours and the floor's by turns; the counters of the median round.
template <class Ours, class Floor>
void compare(benchmark::State& state, std::int64_t records, Ours ours, Floor floor) {
  std::vector<double> mine;
  std::vector<double> theirs;
  std::uint64_t allocated = 0;
  for (auto _ : state) {
    for (int round = 0; round < rounds; ++round) {
      auto start = Clock::now();
      const Sums expected = floor();
      theirs.push_back(nanoseconds(start));
      const std::uint64_t before = allocations.load();
      start = Clock::now();
      const Sums got = ours();
      mine.push_back(nanoseconds(start));
      allocated += allocations.load() - before;
      if (got.records != records || expected.records != records || got.bytes != expected.bytes) {
        state.SkipWithError("the records differ");
        return;
      }
    }
  }
  const auto n = static_cast<double>(records);
  state.counters["ns_per_record"] = median(mine) / n;
  state.counters["floor_ns"] = median(theirs) / n;
  state.counters["x_floor"] = median(mine) / median(theirs);
  state.counters["allocs_per_record"] = static_cast<double>(allocated) / n / rounds;
}

/// What this process built and still has: the tail, 900 KiB of it, read again and again.
void consume_tail(benchmark::State& state) {
  constexpr std::int64_t records = 8'000;
  constexpr int repeats = 50;
  const TemporaryDirectory directory;
  const Broker broker = must(Broker::open({.log_dirs = directory.path().string()}));
  must(broker.create_topic({.name = "bench", .partitions = 1}));
  produce(broker, records);
  const std::vector<unsigned char> bytes =
      floor_read(directory / "bench-0/00000000000000000000.log");
  auto consumer =
      must(Reader::open(broker, {.offset_reset = OffsetReset::earliest,
                                 .max_poll_records = static_cast<std::int32_t>(state.range(0))}));
  const TopicPartition partition{"bench", PartitionId(0)};
  must(consumer.assign({partition}));
  const auto repeat = [&](auto body) {
    Sums all;
    for (int i = 0; i < repeats; ++i) {
      const Sums sums = body();
      all.records += sums.records;
      all.bytes += sums.bytes;
    }
    return all;
  };
  compare(
      state, records * repeats,
      [&] {
        return repeat([&] {
          must(consumer.seek(partition, Offset(0)));
          return consume(consumer, records);
        });
      },
      [&] { return repeat([&] { return floor_walk(bytes.data(), bytes.size(), false); }); });
}
BENCHMARK(consume_tail)->Arg(500)->Arg(100'000)->Iterations(1)->Unit(benchmark::kMillisecond);

/// What lies in the file alone: 220 MB, after the broker was opened again.
void consume_catch_up(benchmark::State& state) {
  constexpr std::int64_t records = 2'000'000;
  const TemporaryDirectory directory;
  {
    const Broker broker = must(Broker::open({.log_dirs = directory.path().string()}));
    must(broker.create_topic({.name = "bench", .partitions = 1}));
    produce(broker, records);
  }
  const Broker broker = must(Broker::open({.log_dirs = directory.path().string()}));
  const TopicPartition partition{"bench", PartitionId(0)};
  auto consumer = must(
      Reader::open(broker, {.offset_reset = OffsetReset::earliest, .max_poll_records = 100'000}));
  must(consumer.assign({partition}));
  compare(
      state, records,
      [&] {
        must(consumer.seek(partition, Offset(0)));
        return consume(consumer, records);
      },
      [&] { return floor_read_and_walk(directory / "bench-0/00000000000000000000.log"); });
}
BENCHMARK(consume_catch_up)->Iterations(1)->Unit(benchmark::kMillisecond);

}  // namespace
