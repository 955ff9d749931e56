// SPDX-License-Identifier: Apache-2.0
//
// A partition on the real file system, records of 100 bytes: batches appended, fetched from memory,
// read right after they were produced, made durable by one thread and by four. Each beside the same
// work done with bare system calls on the same bytes (`floor`), rounds of both taking turns;
// `x_floor` is ours by theirs, `x_floor_cpu` the same of processor time. The directory is TMPDIR's.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <benchmark/benchmark.h>
#include <fcntl.h>
#include <unistd.h>

#include <ottla/broker/partition.hpp>
#include <ottla/env/fault_file_system.hpp>
#include <ottla/env/posix/posix_env.hpp>
#include <ottla/record/batch_builder.hpp>

#include "bench/against_floor.hpp"
#include "tests/support/temporary_directory.hpp"

namespace {

using namespace bench;
using namespace ottla;
using Clock = std::chrono::steady_clock;

constexpr int rounds = 7;
constexpr std::size_t value_size = 100;

SealedBatch prepare(std::size_t size) {
  const std::string value(value_size, 'v');
  BatchBuilder builder;
  for (std::size_t n = batch_header_size; n + value_size + 10 <= size; n += value_size + 10) {
    must(builder.append({.timestamp = Timestamp(1'700'000'000'000), .value = as_bytes(value)}));
  }
  return must(builder.seal());
}
std::int64_t records_of(const SealedBatch& batch) {
  return BatchHeader::parse(batch.bytes()).record_count;
}

class Ignoring final : public ProduceReply {
 public:
  std::atomic<std::int64_t> failed{0};
  void done(absl::StatusOr<ProduceResponse> outcome, SealedBatch) noexcept override {
    failed.fetch_add(!outcome.ok(), std::memory_order_relaxed);
  }
};

struct OpenPartition {
  TemporaryDirectory directory;
  std::int64_t writes = 0;
  AnyFileSystem files;
  std::unique_ptr<PosixEnv> env = must(PosixEnv::open({.executor = {.threads = 1}}));
  WorldOf<PosixEnv> world{*env};
  Ref<Ignoring> reply = make_ref<Ignoring>();
  Ref<Partition> partition;

  explicit OpenPartition(bool counting = false)
      : files(counting ? AnyFileSystem(FaultFileSystem(PosixFileSystem(),
                                                       [this](IoCall& call) {
                                                         writes += !call.done;
                                                         return absl::OkStatus();
                                                       }))
                       : AnyFileSystem(PosixFileSystem())) {
    const std::string path = directory / "t-0";
    std::filesystem::create_directory(path);
    RecoveryReport report;
    auto log = must(Log::open(files, path, {}, {.last_stop = LastStop::clean},
                              make_ref<DirectoryHealth>("bench"), report));
    partition = make_ref<Partition>(
        world, std::move(log), PartitionOptions{.partition = {"t", PartitionId(0)}, .topic_id = {}},
        make_ref<TailBudget>(std::int64_t{64} << 20), make_ref<ReadBuffers>());
  }
  ~OpenPartition() { must(partition->close(never).status()); }

  void produce(const SealedBatch& batch, Durability durability = Durability::written) {
    partition->produce(
        {.durability = durability, .batch = SealedBatch::copy_of(batch.bytes()), .reply = reply},
        BatchOrigin::here);
  }
  void finish(Durability durability = Durability::written) {
    must(partition->write_out(durability, never));
    if (reply->failed.load() != 0) throw std::runtime_error("a batch failed");
  }
};

/// A file written with one call a batch, which is copied first: as a producer fills its buffer.
struct Bare {
  TemporaryDirectory directory;
  int file = ::open((directory / "floor").c_str(), O_CREAT | O_RDWR, 0600);
  std::int64_t position = 0;

  ~Bare() { ::close(file); }
  void write(Bytes bytes) {
    const ssize_t written = ::pwrite(file, bytes.data(), bytes.size(), position);
    if (written != static_cast<ssize_t>(bytes.size())) throw std::runtime_error("short write");
    position += written;
  }
};

// ── append: to the file (written), against one write a batch ────────────────────────────────────

void append(benchmark::State& state) {
  const SealedBatch batch = prepare(static_cast<std::size_t>(state.range(0)));
  const std::size_t batches = (std::size_t{192} << 20) / batch.size();
  compare(
      state, rounds, static_cast<double>(batches) * static_cast<double>(records_of(batch)),
      "ns_per_record",
      [&] {
        OpenPartition open;
        const Timed timed;
        for (std::size_t i = 0; i < batches; ++i) open.produce(batch);
        open.finish();
        return timed.took();
      },
      [&] {
        Bare bare;
        std::vector<std::byte> filled(batch.size());
        const Timed timed;
        for (std::size_t i = 0; i < batches; ++i) {
          std::memcpy(filled.data(), batch.bytes().data(), batch.size());
          bare.write(filled);
        }
        return timed.took();
      });
  OpenPartition counted(true);
  counted.produce(batch);
  counted.finish();
  const std::int64_t before = counted.writes;
  for (std::size_t i = 0; i < batches; ++i) counted.produce(batch);
  counted.finish();
  state.counters["file_calls_per_256KiB"] =
      static_cast<double>(counted.writes - before) / (192.0 * 4);
}

// ── fetch_tail: what is in memory, walked ───────────────────────────────────────────────────────

std::int64_t walk(Bytes bytes) {
  std::int64_t seen = 0;
  BatchCursor batches(bytes, "a fetch", CheckCrc::skip);
  while (const BatchView* batch = batches.next()) {
    RecordCursor records = batch->records();
    while (const RecordView* record = records.next()) {
      seen += static_cast<std::int64_t>(record->value()->front());
    }
  }
  return seen;
}

void fetch_tail(benchmark::State& state) {
  const SealedBatch batch = prepare(16 << 10);
  constexpr std::int64_t batches = 60;  // the tail holds them all
  constexpr int times = 200;
  OpenPartition open;
  for (std::int64_t i = 0; i < batches; ++i) open.produce(batch);
  open.finish();
  FetchedPartition all;
  open.partition->fetch({}, std::size_t{64} << 20, true, all);
  if (all.slices.size() != batches) throw std::runtime_error("the tail is not whole");
  compare(
      state, rounds, static_cast<double>(batches * times * records_of(batch)), "ns_per_record",
      [&] {
        FetchedPartition into;
        const Timed timed;
        for (int i = 0; i < times; ++i) {
          into.slices.erase(into.slices.begin(), into.slices.end());
          open.partition->fetch({}, std::size_t{1} << 20, true, into);
          for (const Slice& slice : into.slices)
            benchmark::DoNotOptimize(walk(slice.bytes.bytes()));
        }
        return timed.took();
      },
      [&] {
        const Timed timed;
        for (int i = 0; i < times; ++i) {
          for (const Slice& slice : all.slices) benchmark::DoNotOptimize(walk(slice.bytes.bytes()));
        }
        return timed.took();
      });
}

// ── produce, then fetch on the same thread (written) ────────────────────────────────────────────

void produce_then_fetch(benchmark::State& state) {
  const SealedBatch batch = prepare(static_cast<std::size_t>(state.range(0)));
  constexpr int times = 20'000;
  compare(
      state, rounds, times, "ns_per_batch",
      [&] {
        OpenPartition open;
        FetchedPartition into;
        const std::int64_t records = records_of(batch);
        const Timed timed;
        for (int i = 0; i < times; ++i) {
          open.produce(batch);
          into.slices.clear();
          open.partition->fetch({.offset = Offset(i * records)}, std::size_t{1} << 20, true, into);
          benchmark::DoNotOptimize(walk(into.slices.front().bytes.bytes()));
        }
        return timed.took();
      },
      [&] {
        Bare bare;
        std::vector<std::byte> filled(batch.size());
        const Timed timed;
        for (int i = 0; i < times; ++i) {
          std::memcpy(filled.data(), batch.bytes().data(), batch.size());
          bare.write(filled);
          benchmark::DoNotOptimize(walk(filled));
        }
        return timed.took();
      });
}

// ── durable: each thread waits for each of its batches ──────────────────────────────────────────

template <class Once>
Took by_threads(int threads, int times, Once once) {
  const Timed timed;
  std::vector<std::thread> all;
  for (int i = 0; i < threads; ++i) {
    all.emplace_back([&] {
      for (int k = 0; k < times; ++k) once();
    });
  }
  for (std::thread& thread : all) thread.join();
  return timed.took();
}

void durable(benchmark::State& state) {
  const auto threads = static_cast<int>(state.range(0));
  const SealedBatch batch = prepare(16 << 10);
  const int times = 400 / threads;
  compare(
      state, rounds, threads * times, "ns_per_batch",
      [&] {
        OpenPartition open;
        open.produce(batch);
        open.finish(Durability::durable);
        return by_threads(threads, times, [&] {
          open.produce(batch, Durability::durable);
          open.finish(Durability::durable);
        });
      },
      [&] {
        Bare bare;
        std::atomic<std::int64_t> position{0};
        return by_threads(threads, times, [&] {
          const std::int64_t at = position.fetch_add(static_cast<std::int64_t>(batch.size()));
          benchmark::DoNotOptimize(::pwrite(bare.file, batch.bytes().data(), batch.size(), at));
          if (::fdatasync(bare.file) != 0) throw std::runtime_error("fdatasync");
        });
      });
}

BENCHMARK(append)->Arg(4 << 10)->Arg(16 << 10)->Arg(64 << 10)->Iterations(1);
BENCHMARK(fetch_tail)->Iterations(1);
BENCHMARK(produce_then_fetch)->Arg(180)->Arg(16 << 10)->Iterations(1);
BENCHMARK(durable)->Arg(1)->Arg(4)->Iterations(1);

}  // namespace
