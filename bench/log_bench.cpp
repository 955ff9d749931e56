// SPDX-License-Identifier: Apache-2.0
//
// A log on the real file system, records of 100 bytes: appended, read from the file, made durable,
// opened again. Each beside the same work done with bare system calls on the same bytes (`floor_*`,
// which know no type of Ottla), rounds of both taking turns. `x_floor` is ours by theirs.
// The directory is TMPDIR's; figures are of the level "written" where nothing else is said.
#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>
#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#include <ottla/base/crc32c.hpp>
#include <ottla/env/any_file_system.hpp>
#include <ottla/env/posix/file_system.hpp>
#include <ottla/log/log.hpp>
#include <ottla/record/batch_builder.hpp>

#include "bench/against_floor.hpp"
#include "tests/support/temporary_directory.hpp"

namespace {

using namespace bench;
using namespace ottla;
using Clock = std::chrono::steady_clock;

constexpr int rounds = 7;
constexpr std::size_t value_size = 100;

/// A sealed batch of about `size` bytes; its records.
struct Prepared {
  std::vector<std::byte> bytes;
  std::int64_t records = 0;
};
Prepared prepare(std::size_t size) {
  const std::string value(value_size, 'v');
  BatchBuilder builder;
  std::int64_t records = 0;
  for (std::size_t n = batch_header_size; n + value_size + 10 <= size; n += value_size + 10) {
    must(builder.append({.timestamp = Timestamp(1'700'000'000'000), .value = as_bytes(value)}));
    ++records;
  }
  Compressor compressor;
  const SealedBatch sealed = must(builder.seal(compressor));
  return {{sealed.bytes().begin(), sealed.bytes().end()}, records};
}

/// `n` copies of a batch in memory of their own, as producers leave them.
struct Batches {
  std::vector<std::vector<std::byte>> copies;
  std::vector<Bytes> pieces;
  std::vector<BatchFacts> facts;
  std::int64_t records = 0;  // of all
  std::size_t bytes = 0;

  Batches(const Prepared& batch, std::size_t n) : copies(n, batch.bytes) {
    records = batch.records * static_cast<std::int64_t>(n);
    for (const auto& copy : copies) {
      pieces.emplace_back(copy);
      bytes += copy.size();
    }
    facts.resize(n);
  }
  void stamp(Offset base) {
    for (std::size_t i = 0; i < copies.size(); ++i) {
      stamp_offset_and_epoch(copies[i], base, LeaderEpoch(0));
      facts[i] = BatchFacts::of(BatchHeader::parse(pieces[i]));
      base = facts[i].last_offset + 1;
    }
  }
};

struct OpenLog {
  AnyFileSystem files{PosixFileSystem()};
  std::string path;
  Ref<DirectoryHealth> health = make_ref<DirectoryHealth>("bench");
  RecoveryReport report;
  Log log;

  explicit OpenLog(std::string directory,
                   const LogOpening& opening = {.last_stop = LastStop::clean})
      : path(std::move(directory)), log(open(opening)) {}
  Log open(const LogOpening& opening) {
    std::filesystem::create_directory(path);
    return must(Log::open(files, path, {}, opening, health, report));
  }
  void append(Batches& batches) {
    batches.stamp(log.end());
    must(log.append(batches.pieces, batches.facts, Timestamp(1'700'000'000'000)).status);
    log.publish();
  }
};

// ── append_batch: size of a batch, bytes gathered into one write ────────────────────────────────

void append_batch(benchmark::State& state) {
  constexpr std::size_t total = std::size_t{192} << 20;
  const Prepared batch = prepare(static_cast<std::size_t>(state.range(0)));
  const auto gathered =
      std::max<std::size_t>(1, static_cast<std::size_t>(state.range(1)) / batch.bytes.size());
  Batches batches(batch, gathered);
  const std::size_t writes = total / batches.bytes;
  const auto records = static_cast<double>(batches.records) * static_cast<double>(writes);
  compare(
      state, rounds, records, "ns_per_record",
      [&] {
        const TemporaryDirectory directory;
        OpenLog open(directory / "t-0");
        const Timed start;
        for (std::size_t i = 0; i < writes; ++i) open.append(batches);
        return start.took();
      },
      [&] {
        const TemporaryDirectory directory;
        const int file = ::open((directory / "floor").c_str(), O_CREAT | O_RDWR, 0600);
        std::vector<iovec> pieces;
        for (auto& copy : batches.copies) pieces.push_back({copy.data(), copy.size()});
        const Timed start;
        std::int64_t position = 0;
        for (std::size_t i = 0; i < writes; ++i) {
          position += ::pwritev(file, pieces.data(), static_cast<int>(pieces.size()), position);
        }
        const Took time = start.took();
        ::close(file);
        return time;
      });
}

// ── consume_catch_up: from the file, verified, every value touched ──────────────────────────────

/// Sums something of every record; `at` becomes the offset behind the last one.
std::int64_t walk(Bytes bytes, Offset& at) {
  std::int64_t seen = 0;
  BatchCursor batches(bytes, "a read", CheckCrc::skip);
  while (const BatchView* batch = batches.next()) {
    RecordCursor records = batch->records();
    while (const RecordView* record = records.next()) {
      seen += static_cast<std::int64_t>(record->value()->front()) + record->offset().value();
    }
    at = batch->header().next_offset();
  }
  return seen;
}

const std::byte* get_varint(const std::byte* at, std::int64_t& n) {
  auto raw = static_cast<std::uint64_t>(*at++);
  if (raw >= 0x80) {
    raw = (raw & 0x7f) | static_cast<std::uint64_t>(*at++) << 7;  // two bytes are enough here
  }
  n = static_cast<std::int64_t>(raw >> 1) ^ -static_cast<std::int64_t>(raw & 1);
  return at;
}

std::int64_t walk_by_hand(const std::byte* at, const std::byte* end, std::int64_t base) {
  std::int64_t seen = 0;
  while (at < end) {
    std::int64_t length = 0, timestamp = 0, offset = 0, key = 0, size = 0, headers = 0;
    at = get_varint(at, length);
    const std::byte* const record_end = at + length;
    if (record_end > end) return -1;
    at = get_varint(at + 1, timestamp);
    at = get_varint(at, offset);
    at = get_varint(at, key);
    at = get_varint(at, size);
    seen += static_cast<std::int64_t>(*at) + base + offset;
    at = get_varint(at + size, headers);
    if (at != record_end) return -1;
    at = record_end;
  }
  return seen;
}

/// pread of 256 KiB (or one batch), checksum and walk of the whole batches in it.
Took floor_catch_up(const std::string& path, std::size_t batch_size) {
  const int file = ::open(path.c_str(), O_RDONLY);
  std::vector<std::byte> window(std::max(std::size_t{256} << 10, batch_size));
  const Timed start;
  std::int64_t position = 0;
  for (;;) {
    const ssize_t read = ::pread(file, window.data(), window.size(), position);
    std::size_t at = 0;
    while (read - static_cast<ssize_t>(at) > 61) {
      const std::size_t size = load_big_endian<std::uint32_t>(window.data() + at + 8) + 12;
      if (at + size > static_cast<std::size_t>(read)) break;
      const std::uint32_t crc = crc32c(Bytes(window.data() + at + 21, size - 21));
      if (crc != load_big_endian<std::uint32_t>(window.data() + at + 17)) std::abort();
      benchmark::DoNotOptimize(walk_by_hand(window.data() + at + 61, window.data() + at + size,
                                            load_big_endian<std::int64_t>(window.data() + at)));
      at += size;
    }
    if (at == 0) break;
    position += static_cast<std::int64_t>(at);
  }
  const Took time = start.took();
  ::close(file);
  return time;
}

void consume_catch_up(benchmark::State& state) {
  const TemporaryDirectory directory;
  const Prepared batch = prepare(static_cast<std::size_t>(state.range(0)));
  Batches batches(batch, std::max<std::size_t>(1, (std::size_t{1} << 20) / batch.bytes.size()));
  CleanEnd end;
  {
    OpenLog open(directory / "t-0");
    for (int i = 0; i < 256; ++i) open.append(batches);
    end = must(open.log.close());
  }
  compare(
      state, rounds, static_cast<double>(batches.records) * 256, "ns_per_record",
      [&] {
        // Opened anew: nothing is known to be good yet.
        OpenLog open(directory / "t-0", {.last_stop = LastStop::clean, .clean_end = end});
        const auto buffers = make_ref<ReadBuffers>();
        const auto view = open.log.view();
        const Timed start;
        Offset at = view.start();
        while (at < view.end()) {
          const LogRead read = must(view.read({at, view.end(), 1 << 20}, *buffers));
          for (const SharedBytes& piece : read.pieces) {
            benchmark::DoNotOptimize(walk(piece.bytes(), at));
          }
        }
        return start.took();
      },
      [&] {
        return floor_catch_up(directory / "t-0/00000000000000000000.log", batch.bytes.size());
      });
}

// ── durable: each batch is on the device before the next (one writer) ───────────────────────────

void durable(benchmark::State& state) {
  constexpr int writes = 300;
  const Prepared batch = prepare(static_cast<std::size_t>(state.range(0)));
  Batches batches(batch, 1);
  compare(
      state, rounds, writes, "ns_per_batch",
      [&] {
        const TemporaryDirectory directory;
        OpenLog open(directory / "t-0");
        const auto once = [&] {
          open.append(batches);
          LogFlush flush = open.log.plan_flush(FlushScope::data);
          must(flush.run());
          open.log.flushed(flush);
        };
        once();
        const Timed start;
        for (int i = 0; i < writes; ++i) once();
        return start.took();
      },
      [&] {
        const TemporaryDirectory directory;
        const int file = ::open((directory / "floor").c_str(), O_CREAT | O_RDWR, 0600);
        const auto once = [&](std::int64_t i) {
          const auto size = static_cast<std::int64_t>(batch.bytes.size());
          benchmark::DoNotOptimize(
              ::pwrite(file, batch.bytes.data(), batch.bytes.size(), i * size));
          ::fdatasync(file);
        };
        once(0);
        ::fsync(file);
        const Timed start;
        for (std::int64_t i = 1; i <= writes; ++i) once(i);
        const Took time = start.took();
        ::close(file);
        return time;
      });
}

// ── reopen: open, append one batch, read it back; MiB of log, and how it was left ───────────────

/// Seconds of three writes, each synced: the bar is 5 ms beyond them.
double floor_three_syncs(const std::string& path, Bytes piece) {
  const int file = ::open(path.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600);
  const auto start = Clock::now();
  for (int i = 0; i < 3; ++i) {
    const auto at = static_cast<off_t>(piece.size()) * i;
    const ssize_t wrote = ::pwrite(file, piece.data(), piece.size(), at);
    if (wrote != static_cast<ssize_t>(piece.size()) || ::fdatasync(file) != 0) {
      throw std::runtime_error("cannot sync " + path);
    }
  }
  const double took = seconds(start);
  ::close(file);
  return took;
}

void reopen(benchmark::State& state) {
  const TemporaryDirectory directory;
  Batches batches(prepare(16 << 10), 64);
  LogOpening opening{.last_stop = static_cast<LastStop>(state.range(1))};
  {
    OpenLog open(directory / "t-0");
    for (std::int64_t i = 0; i < state.range(0); ++i) open.append(batches);
    if (opening.last_stop == LastStop::clean) opening.clean_end = must(open.log.close());
  }
  Batches one(prepare(16 << 10), 1);
  const auto buffers = make_ref<ReadBuffers>();
  std::vector<double> times;
  std::vector<double> floor;
  std::int64_t scanned = 0;
  for (auto _ : state) {
    for (int round = 0; round < rounds; ++round) {
      floor.push_back(floor_three_syncs(directory / "floor", one.pieces.front()));
      const auto start = Clock::now();
      OpenLog open(directory / "t-0", opening);
      const Offset at = open.log.end();
      open.append(one);
      const auto view = open.log.view();
      benchmark::DoNotOptimize(must(view.read({at, view.end(), 1 << 20}, *buffers)).bytes);
      times.push_back(seconds(start));
      scanned = open.report.scanned_bytes;
      must(open.log.truncate_to(at, SteadyTime()).status());
      if (opening.last_stop == LastStop::clean) opening.clean_end = must(open.log.close());
    }
  }
  state.counters["ms"] = 1000 * median(times);
  state.counters["three_syncs_ms"] = 1000 * median(floor);
  state.counters["max_ms"] = 1000 * *std::max_element(times.begin(), times.end());
  state.counters["scanned_KiB"] = static_cast<double>(scanned) / 1024;
}

BENCHMARK(append_batch)
    ->ArgNames({"batch", "gathered"})
    ->Args({4 << 10, 256 << 10})
    ->Args({16 << 10, 1})
    ->Args({16 << 10, 256 << 10})
    ->Args({64 << 10, 256 << 10})
    ->Args({1 << 20, 1 << 20})
    ->Iterations(1)
    ->Unit(benchmark::kMillisecond);
BENCHMARK(consume_catch_up)
    ->ArgNames({"batch"})
    ->Args({16 << 10})
    ->Args({4 << 10})
    ->Args({1 << 20})
    ->Iterations(1)
    ->Unit(benchmark::kMillisecond);
BENCHMARK(durable)
    ->ArgNames({"batch"})
    ->Args({200})
    ->Args({16 << 10})
    ->Iterations(1)
    ->Unit(benchmark::kMillisecond);
BENCHMARK(reopen)
    ->ArgNames({"MiB", "stop"})
    ->Args({64, static_cast<int>(LastStop::clean)})
    ->Args({2048, static_cast<int>(LastStop::clean)})
    ->Args({64, static_cast<int>(LastStop::process_crash)})
    ->Args({2048, static_cast<int>(LastStop::process_crash)})
    ->Iterations(1)
    ->Unit(benchmark::kMillisecond);

}  // namespace
