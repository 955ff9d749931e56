// SPDX-License-Identifier: Apache-2.0
//
// Records through a Producer, one send each, to a file: batches of 16 KiB are gathered into writes
// of 256 KiB and answered once they are written, as a broker does; `value` bytes without key.
// Beside it the same work by hand in one thread (`floor_*`, which knows no type of Ottla): encode,
// checksum, write. `x_floor` is ours by theirs in the same run, `allocs_per_record` counts ours.
// With several threads `ns_per_record` is the time of all of them by the records of all.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <benchmark/benchmark.h>
#include <fcntl.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include <ottla/base/crc32c.hpp>
#include <ottla/env/posix/posix_env.hpp>
#include <ottla/producer/producer.hpp>

#include "tests/producer/fake_leader.hpp"

namespace {

std::atomic<std::uint64_t> allocations{0};

}  // namespace

[[gnu::noinline]] void* operator new(std::size_t size) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  if (void* memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  allocations.fetch_add(1, std::memory_order_relaxed);
  return std::malloc(size);
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace {

constexpr std::size_t batch_size = 16 * 1024;
constexpr std::size_t write_size = 256 * 1024;
constexpr std::int64_t bytes_a_round = 32 << 20;
constexpr int rounds = 7;

/// A new file without a name.
int fresh_file() {
  const int file = open(".", O_TMPFILE | O_RDWR, 0600);
  if (file < 0) std::abort();
  return file;
}

std::int64_t records_a_round(std::int64_t value) { return bytes_a_round / (value + 10); }

/// Seconds on the wall, and of processors: the latter hold on a machine that does other work.
struct Seconds {
  double wall = 0;
  double cpu = 0;

  static Seconds now() {
    timespec used{};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    const std::chrono::duration<double> wall = std::chrono::steady_clock::now().time_since_epoch();
    return {wall.count(),
            static_cast<double>(used.tv_sec) + 1e-9 * static_cast<double>(used.tv_nsec)};
  }
  static Seconds since(const Seconds& begin) {
    const Seconds end = now();
    return {end.wall - begin.wall, end.cpu - begin.cpu};
  }
};

/// Of each apart.
Seconds median(const std::vector<Seconds>& all) {
  std::vector<double> wall;
  std::vector<double> cpu;
  for (const Seconds& each : all) {
    wall.push_back(each.wall);
    cpu.push_back(each.cpu);
  }
  std::sort(wall.begin(), wall.end());
  std::sort(cpu.begin(), cpu.end());
  return {wall[wall.size() / 2], cpu[cpu.size() / 2]};
}

// ── the floor: plain bytes ──────────────────────────────────────────────────────────────────────

std::byte* put_varint(std::byte* to, std::uint32_t n) {
  for (; n >= 0x80; n >>= 7) *to++ = static_cast<std::byte>(n | 0x80);
  *to++ = static_cast<std::byte>(n);
  return to;
}

/// As a hand-written program would take it from a library; ours is as fast as memory
/// (crc32c_bench).
std::uint32_t checksum(const std::byte* bytes, std::size_t size) {
  return ottla::crc32c(ottla::Bytes(bytes, size));
}

/// Timestamps equal the batch's; sizes are known at run time only. Answers where the batch ends.
std::byte* encode_by_hand(std::byte* const batch, const std::string& value, std::int64_t& left) {
  std::byte* to = batch + 61;
  auto size = static_cast<std::uint32_t>(value.size());
  benchmark::DoNotOptimize(size);
  for (std::uint32_t i = 0; left > 0; ++i, --left) {
    if (static_cast<std::size_t>(to - batch) + size + 12 > batch_size) break;
    const std::uint32_t value_bytes = 2 * size < 0x80 ? 1 : 2 * size < 0x4000 ? 2 : 3;
    to = put_varint(to, 2 * (1 + 1 + (2 * i < 0x80 ? 1 : 2) + 1 + value_bytes + size + 1));
    *to++ = std::byte{0};
    *to++ = std::byte{0};
    to = put_varint(to, 2 * i);
    *to++ = std::byte{1};
    to = put_varint(to, 2 * size);
    std::memcpy(to, value.data(), size);
    to += size;
    *to++ = std::byte{0};
    benchmark::ClobberMemory();
  }
  return to;
}

Seconds floor_seconds(std::int64_t value_size) {
  const std::string value(static_cast<std::size_t>(value_size), 'v');
  std::vector<std::byte> memory(write_size + batch_size);
  const int file = fresh_file();
  std::int64_t left = records_a_round(value_size);
  off_t position = 0;
  std::byte* to = memory.data();
  const Seconds begin = Seconds::now();
  while (left > 0) {
    std::byte* const end = encode_by_hand(to, value, left);
    const std::uint32_t crc = checksum(to + 21, static_cast<std::size_t>(end - to - 21));
    std::memcpy(to + 17, &crc, sizeof crc);
    to = end;
    const auto size = static_cast<std::size_t>(to - memory.data());
    if (size >= write_size || left == 0) {
      if (pwrite(file, memory.data(), size, position) != static_cast<ssize_t>(size)) std::abort();
      position += static_cast<off_t>(size);
      to = memory.data();
    }
  }
  const Seconds took = Seconds::since(begin);
  close(file);
  return took;
}

void floor_encode_crc_write(benchmark::State& state) {
  std::vector<Seconds> all;
  for (auto _ : state) {
    for (int round = 0; round < rounds; ++round) all.push_back(floor_seconds(state.range(0)));
  }
  const Seconds middle = median(all);
  const auto n = static_cast<double>(records_a_round(state.range(0)));
  state.counters["ns_per_record"] = middle.wall * 1e9 / n;
  state.counters["cpu_ns_per_record"] = middle.cpu * 1e9 / n;
}
BENCHMARK(floor_encode_crc_write)->ArgNames({"value"})->Arg(100)->Arg(1024)->Iterations(1);

// ── ours ────────────────────────────────────────────────────────────────────────────────────────

/// A leader that writes what it is given: each partition gathers, and whoever fills it writes.
class FileLeader final : public ottla::FakeLeader {
 public:
  FileLeader(ottla::World& world, std::size_t partitions) : FakeLeader(world), files_(partitions) {
    set_topic("t", static_cast<std::int32_t>(partitions));
    for (File& file : files_) file.descriptor = fresh_file();
  }
  ~FileLeader() override {
    for (const File& file : files_) close(file.descriptor);
  }

  void produce(ottla::ProduceRequest request) override {
    File& file = files_[static_cast<std::size_t>(request.partition.value())];
    std::vector<ottla::ProduceRequest> full;
    off_t position = 0;
    {
      ottla::Lock lock(file.mutex);
      file.bytes += request.batch.size();
      file.staged.push_back(std::move(request));
      ++batches_;
      if (file.bytes < write_size) return;
      position = take(file, full);
    }
    write(file, position, full);
  }
  absl::Status write_out(const ottla::TopicId&, ottla::PartitionId partition, ottla::Durability,
                         ottla::SteadyTime) override {
    File& file = files_[static_cast<std::size_t>(partition.value())];
    std::vector<ottla::ProduceRequest> rest;
    off_t position = 0;
    {
      ottla::Lock lock(file.mutex);
      position = take(file, rest);
    }
    write(file, position, rest);
    return absl::OkStatus();
  }
  std::int64_t batches() const { return batches_; }

 private:
  struct File {
    ottla::Mutex mutex;
    std::vector<ottla::ProduceRequest> staged;
    std::size_t bytes = 0;
    off_t position = 0;
    std::int64_t end = 0;
    int descriptor = -1;
  };
  static off_t take(File& file, std::vector<ottla::ProduceRequest>& into) {
    into.reserve(file.staged.size());  // for the next round
    into.swap(file.staged);
    const off_t position = file.position;
    file.position += static_cast<off_t>(std::exchange(file.bytes, 0));
    return position;
  }
  static void write(File& file, off_t position, std::vector<ottla::ProduceRequest>& requests) {
    std::vector<iovec> pieces;
    pieces.reserve(requests.size());
    for (ottla::ProduceRequest& each : requests) {
      const ottla::MutableBytes bytes = each.batch.mutable_bytes();
      pieces.push_back({bytes.data(), bytes.size()});
    }
    for (std::size_t i = 0; i < pieces.size(); i += 1024) {
      const std::size_t count = std::min<std::size_t>(1024, pieces.size() - i);
      const ssize_t written =
          pwritev(file.descriptor, pieces.data() + i, static_cast<int>(count), position);
      if (written < 0) std::abort();
      position += written;
    }
    for (ottla::ProduceRequest& each : requests) {
      if (each.reply) each.reply->done(ottla::ProduceResponse{.base_offset = ottla::Offset(0)}, {});
    }
  }

  std::vector<File> files_;
  std::atomic<std::int64_t> batches_{0};
};

struct FileHost {
  ottla::Ref<FileLeader> leader;
  ottla::Ref<ottla::Connection> connect() const { return leader; }
};

using Bytes = ottla::Producer<std::string_view, std::string_view>;

void send_all(Bytes& producer, std::int32_t partition, std::string_view value, std::int64_t n) {
  const auto topic = producer.topic("t");
  for (std::int64_t i = 0; i < n; ++i) {
    const auto sent = producer.send(
        {.topic = *topic, .partition = ottla::PartitionId(partition), .value = value});
    if (!sent.ok()) std::abort();
  }
}

void produce_record(benchmark::State& state) {
  const std::int64_t value_size = state.range(0);
  const std::chrono::milliseconds linger(state.range(1));
  const auto threads = static_cast<std::int32_t>(state.range(2));
  const bool one_each = state.range(3) != 0;
  const std::string value(static_cast<std::size_t>(value_size), 'v');
  const std::int64_t records = records_a_round(value_size) / threads * threads;
  auto env = ottla::PosixEnv::open({.executor = {.threads = 1}}).value();
  ottla::WorldOf<ottla::PosixEnv> world(*env);
  std::vector<Seconds> ours;
  std::vector<Seconds> theirs;
  std::uint64_t allocated = 0;
  std::int64_t batches = 0;
  for (auto _ : state) {
    for (int round = 0; round < rounds; ++round) {
      theirs.push_back(floor_seconds(value_size));
      const auto leader =
          ottla::make_ref<FileLeader>(world, static_cast<std::size_t>(one_each ? threads : 1));
      auto producer = Bytes::open(FileHost{leader}, {.linger = linger}).value();
      const std::uint64_t before = allocations.load();
      const Seconds begin = Seconds::now();
      std::vector<std::thread> others;
      for (std::int32_t i = 1; i < threads; ++i) {
        others.emplace_back(
            [&, i] { send_all(producer, one_each ? i : 0, value, records / threads); });
      }
      send_all(producer, 0, value, records / threads);
      for (std::thread& other : others) other.join();
      if (!producer.flush().ok()) std::abort();
      ours.push_back(Seconds::since(begin));
      allocated = allocations.load() - before;
      batches = leader->batches();
    }
  }
  const Seconds middle = median(ours);
  const Seconds floor = median(theirs);
  const auto n = static_cast<double>(records);
  const double floor_share = n / static_cast<double>(records_a_round(value_size));
  state.counters["ns_per_record"] = middle.wall * 1e9 / n;
  state.counters["cpu_ns_per_record"] = middle.cpu * 1e9 / n;
  state.counters["records_per_s"] = n / middle.wall;
  state.counters["records_per_batch"] = n / static_cast<double>(batches);
  state.counters["allocs_per_record"] = static_cast<double>(allocated) / n;
  state.counters["floor_ns"] = floor.wall * 1e9 * floor_share / n;
  state.counters["x_floor"] = middle.wall / (floor.wall * floor_share);
  state.counters["x_floor_cpu"] = middle.cpu / (floor.cpu * floor_share);
}
BENCHMARK(produce_record)
    ->ArgNames({"value", "linger_ms", "threads", "one_each"})
    ->ArgsProduct({{100, 1024}, {0, 5}, {1}, {0}})
    ->ArgsProduct({{100, 1024}, {0, 5}, {2, 4}, {0, 1}})
    ->Iterations(1)
    ->UseRealTime();

}  // namespace
