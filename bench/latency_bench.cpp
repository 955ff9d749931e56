// SPDX-License-Identifier: Apache-2.0
//
// From `send` until the record was read, 100 bytes, through a broker on a fresh directory; level:
// written. `latency_same_thread`: one thread sends, then polls; floor: encode, checksum, one
// pwrite, walk. `latency_at_once`: the same of a topic that is visible at once, and no pwrite in
// the floor. `latency_blocked`: another thread sleeps in poll for `idle_us` first; floor: one
// pwrite and a raw futex. Rounds of ours and the floor's take turns. Floors know no type of Ottla,
// but for the checksum.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <climits>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <benchmark/benchmark.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <ottla/base/crc32c.hpp>
#include <ottla/broker/broker.hpp>
#include <ottla/consumer/consumer.hpp>
#include <ottla/producer/producer.hpp>

#include "bench/against_floor.hpp"
#include "tests/support/temporary_directory.hpp"

namespace {

using namespace bench;
using namespace ottla;
using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
using Reader = Consumer<std::string_view, std::string_view>;
using Writer = Producer<std::string_view, std::string_view>;

constexpr int rounds = 5;
constexpr std::size_t value_size = 100;
const std::string value(value_size, 'v');

std::int64_t now_ns() { return Clock::now().time_since_epoch() / 1ns; }

void pause(std::chrono::microseconds idle) {
  if (idle >= 1ms) {
    std::this_thread::sleep_for(idle);
    return;
  }
  for (const auto until = Clock::now() + idle; Clock::now() < until;) {
  }
}

/// Nanoseconds of each record.
using Times = std::vector<double>;
double quantile(Times all, double q) {
  std::sort(all.begin(), all.end());
  const auto at = static_cast<std::size_t>(q * static_cast<double>(all.size()));
  return all[std::min(at, all.size() - 1)];
}
/// Of each round's quantile.
double median_of(const std::vector<Times>& all, double q) {
  Times each;
  for (const Times& times : all) each.push_back(quantile(times, q));
  return quantile(each, 0.5);
}

template <class Ours, class Floor>
void compare(benchmark::State& state, Ours ours, Floor floor) {
  std::vector<Times> mine;
  std::vector<Times> theirs;
  for (auto _ : state) {
    for (int round = 0; round < rounds; ++round) {
      theirs.push_back(floor());
      mine.push_back(ours());
    }
  }
  state.counters["p50_ns"] = median_of(mine, 0.5);
  state.counters["p99_ns"] = median_of(mine, 0.99);
  state.counters["p999_ns"] = median_of(mine, 0.999);
  state.counters["floor_p50"] = median_of(theirs, 0.5);
  state.counters["floor_p99"] = median_of(theirs, 0.99);
  state.counters["x_floor"] = median_of(mine, 0.5) / median_of(theirs, 0.5);
  state.counters["x_floor_p99"] = median_of(mine, 0.99) / median_of(theirs, 0.99);
}

// ── floors ──────────────────────────────────────────────────────────────────────────────────────

struct BareFile {
  TemporaryDirectory directory;
  int file = ::open((directory / "floor").c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600);
  off_t position = 0;
  ~BareFile() { ::close(file); }
  void write(const unsigned char* bytes, std::size_t size) {
    if (::pwrite(file, bytes, size, position) != static_cast<ssize_t>(size)) std::abort();
    position += static_cast<off_t>(size);
  }
};

/// A batch of one record; its size.
std::size_t floor_encode(unsigned char* batch) {
  std::memset(batch, 0, 61);
  unsigned char* to = batch + 61;
  auto size = static_cast<std::uint32_t>(value.size());
  benchmark::DoNotOptimize(size);
  const std::uint32_t length = 2 * (size + 7);
  for (const std::uint32_t n : {length}) {
    *to++ = static_cast<unsigned char>(n | 0x80);
    *to++ = static_cast<unsigned char>(n >> 7);
  }
  *to++ = 0;
  *to++ = 0;
  *to++ = 0;
  *to++ = 1;
  *to++ = static_cast<unsigned char>(2 * size | 0x80);
  *to++ = static_cast<unsigned char>(2 * size >> 7);
  std::memcpy(to, value.data(), size);
  to += size;
  *to++ = 0;
  const auto whole = static_cast<std::size_t>(to - batch);
  const std::uint32_t crc =
      crc32c(ottla::Bytes(reinterpret_cast<const std::byte*>(batch + 21), whole - 21));
  std::memcpy(batch + 17, &crc, sizeof crc);
  return whole;
}
std::uint32_t floor_walk(const unsigned char* batch) {
  const unsigned char* at = batch + 61 + 2 + 4;
  const auto size = (at[0] & 0x7fU) | static_cast<std::uint32_t>(at[1]) << 7;
  return size / 2 + at[2];
}

long futex(std::atomic<std::uint32_t>& word, int operation, std::uint32_t n) {
  return ::syscall(SYS_futex, &word, operation | FUTEX_PRIVATE_FLAG, n, nullptr, nullptr, 0);
}

Times floor_same_thread(int times, bool writes) {
  BareFile bare;
  Times took;
  unsigned char batch[256];
  for (int i = 0; i < times; ++i) {
    const std::int64_t start = now_ns();
    const std::size_t size = floor_encode(batch);
    if (writes) bare.write(batch, size);
    benchmark::DoNotOptimize(floor_walk(batch));
    took.push_back(static_cast<double>(now_ns() - start));
  }
  return took;
}

Times floor_blocked(int times, std::chrono::microseconds idle) {
  BareFile bare;
  Times took(static_cast<std::size_t>(times));
  std::atomic<std::uint32_t> sent{0};
  std::atomic<int> read{0};
  std::atomic<std::int64_t> start{0};
  std::thread sleeper([&] {
    for (int i = 0; i < times; ++i) {
      while (sent.load() == static_cast<std::uint32_t>(i)) {
        futex(sent, FUTEX_WAIT, static_cast<std::uint32_t>(i));
      }
      took[static_cast<std::size_t>(i)] = static_cast<double>(now_ns() - start.load());
      read.store(i + 1);
    }
  });
  unsigned char batch[256];
  for (int i = 0; i < times; ++i) {
    while (read.load() != i) std::this_thread::yield();
    pause(idle);
    start.store(now_ns());
    bare.write(batch, floor_encode(batch));
    sent.store(static_cast<std::uint32_t>(i + 1));
    futex(sent, FUTEX_WAKE, INT_MAX);
  }
  sleeper.join();
  return took;
}

// ── ours ────────────────────────────────────────────────────────────────────────────────────────

struct Both {
  TemporaryDirectory directory;
  Broker broker = must(Broker::open({.log_dirs = directory.path().string()}));
  Writer producer = must(Writer::open(broker, {.linger = 0ms}));  // 5 ms is the default
  std::optional<Topic> topic;
  Reader consumer = must(Reader::open(broker, {.offset_reset = OffsetReset::earliest}));

  explicit Both(std::string visibility = "written") {
    must(broker.create_topic({.name = "bench",
                              .partitions = 1,
                              .configs = {{"ottla.visibility", std::move(visibility)}}}));
    topic = must(producer.topic("bench"));
    must(consumer.assign({{"bench", PartitionId(0)}}));
    for (int i = 0; i < 100; ++i) {
      send(true);
      read();
    }
  }
  void send(bool waits) {
    const Receipt receipt =
        must(producer.send({.topic = *topic, .partition = PartitionId(0), .value = value}));
    if (waits) must(producer.wait(receipt).status());
  }
  void read() {
    for (std::int64_t seen = 0; seen == 0;) {
      const auto polled = must(consumer.poll(10s));
      for (const auto& record : polled) {
        benchmark::DoNotOptimize((*record.raw_value())[0]);
        ++seen;
      }
    }
  }
};

/// `waits`: for the record's acknowledgement, before it is polled for.
void latency_same_thread(benchmark::State& state) {
  const bool waits = state.range(0) != 0;
  constexpr int times = 10'000;
  compare(
      state,
      [&] {
        Both both;
        Times took;
        for (int i = 0; i < times; ++i) {
          const std::int64_t start = now_ns();
          both.send(waits);
          both.read();
          took.push_back(static_cast<double>(now_ns() - start));
        }
        return took;
      },
      [&] { return floor_same_thread(times, true); });
}

void latency_at_once(benchmark::State& state) {
  constexpr int times = 10'000;
  compare(
      state,
      [&] {
        Both both("at_once");
        Times took;
        for (int i = 0; i < times; ++i) {
          const std::int64_t start = now_ns();
          both.send(false);
          both.read();
          took.push_back(static_cast<double>(now_ns() - start));
        }
        return took;
      },
      [&] { return floor_same_thread(times, false); });
}

void latency_blocked(benchmark::State& state) {
  const std::chrono::microseconds idle(state.range(0));
  const int times = idle >= 1ms ? 300 : 10'000;
  compare(
      state,
      [&] {
        Both both;
        Times took(static_cast<std::size_t>(times));
        std::atomic<int> read{0};
        std::atomic<std::int64_t> start{0};
        std::thread sleeper([&] {
          for (int i = 0; i < times; ++i) {
            both.read();
            took[static_cast<std::size_t>(i)] = static_cast<double>(now_ns() - start.load());
            read.store(i + 1);
          }
        });
        for (int i = 0; i < times; ++i) {
          while (read.load() != i) std::this_thread::yield();
          pause(idle);
          start.store(now_ns());
          both.send(true);
        }
        sleeper.join();
        return took;
      },
      [&] { return floor_blocked(times, idle); });
}

BENCHMARK(latency_same_thread)->ArgNames({"wait"})->Arg(1)->Arg(0)->Iterations(1);
BENCHMARK(latency_at_once)->Iterations(1);
BENCHMARK(latency_blocked)->ArgNames({"idle_us"})->Arg(50)->Arg(5'000)->Iterations(1);

}  // namespace
