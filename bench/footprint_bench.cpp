// SPDX-License-Identifier: Apache-2.0
//
// `footprint`: bytes, descriptors and mappings, no times. What one more idle partition, producer
// and consumer hold: the growth of malloc's used bytes by their number. A partition is one that was
// appended to, read, and left alone for `idle_ms`. `program` is bench/minimal.cpp, which opens a
// broker, sends and reads.
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <thread>
#include <type_traits>
#include <vector>

#include <benchmark/benchmark.h>
#include <malloc.h>

#include <ottla/broker/broker.hpp>
#include <ottla/consumer/consumer.hpp>
#include <ottla/producer/producer.hpp>

#include "bench/against_floor.hpp"
#include "tests/support/temporary_directory.hpp"

namespace {

using namespace bench;
using namespace ottla;
using namespace std::chrono_literals;
using Reader = Consumer<std::string_view, std::string_view>;
using Writer = Producer<std::string_view, std::string_view>;

struct Held {
  double bytes = static_cast<double>(::mallinfo2().uordblks + ::mallinfo2().hblkhd);
  double descriptors =
      static_cast<double>(std::distance(std::filesystem::directory_iterator("/proc/self/fd"), {}));
  double mappings = 0;
  Held() {
    std::ifstream maps("/proc/self/maps");
    for (std::string line; std::getline(maps, line);) ++mappings;
  }
};

void report(benchmark::State& state, const Held& before, double n) {
  const Held after;
  state.counters["bytes_each"] = (after.bytes - before.bytes) / n;
  state.counters["descriptors_each"] = (after.descriptors - before.descriptors) / n;
  state.counters["mappings_each"] = (after.mappings - before.mappings) / n;
}

void produce_and_read(const Broker& broker, std::int32_t partitions) {
  auto producer = must(Writer::open(broker));
  auto consumer = must(Reader::open(broker, {.offset_reset = OffsetReset::earliest}));
  std::vector<TopicPartition> all;
  for (std::int32_t i = 0; i < partitions; ++i) {
    all.push_back({"bench", PartitionId(i)});
    must(producer.send({.topic = "bench", .partition = PartitionId(i), .value = "x"}).status());
  }
  must(producer.flush());
  must(consumer.assign(all));
  for (std::int64_t seen = 0; seen < partitions;) {
    seen += static_cast<std::int64_t>(must(consumer.poll(1s)).count());
  }
}

/// A partition rests at the second checkpoint that finds it unused: at the default minute each that
/// is two minutes.
constexpr std::chrono::milliseconds checkpoint_interval = 500ms;

void footprint_partition(benchmark::State& state) {
  const auto partitions = static_cast<std::int32_t>(state.range(0));
  for (auto _ : state) {
    const TemporaryDirectory directory;
    const Broker broker = must(Broker::open(
        {.log_dirs = directory.path().string(), .checkpoint_interval = checkpoint_interval}));
    must(broker.create_topic({.name = "warm", .partitions = 1}));
    const Held before;
    must(broker.create_topic({.name = "bench", .partitions = partitions}));
    if (state.range(1) != 0) produce_and_read(broker, partitions);
    std::this_thread::sleep_for(std::chrono::milliseconds(state.range(2)));
    report(state, before, partitions);
  }
}

template <class Client>
void footprint_client(benchmark::State& state) {
  constexpr std::size_t clients = 100;
  for (auto _ : state) {
    const TemporaryDirectory directory;
    const Broker broker = must(Broker::open({.log_dirs = directory.path().string()}));
    must(broker.create_topic({.name = "bench", .partitions = 1}));
    std::vector<Client> all;
    all.reserve(clients);
    const Held before;
    for (std::size_t i = 0; i < clients; ++i) {
      all.push_back(must(Client::open(broker)));
      if constexpr (std::is_same_v<Client, Reader>) {
        must(all.back().assign({{"bench", PartitionId(0)}}));
      } else {
        must(all.back().topic("bench").status());
      }
    }
    report(state, before, clients);
  }
}

void footprint_program(benchmark::State& state) {
  for (auto _ : state) {
    state.counters["program_bytes"] =
        static_cast<double>(std::filesystem::file_size(OTTLA_MINIMAL_PROGRAM));
  }
}

BENCHMARK(footprint_partition)
    ->ArgNames({"partitions", "used", "idle_ms"})
    ->Args({200, 0, 0})
    ->Args({200, 1, 0})
    ->Args({200, 1, 3'000})
    ->Iterations(1);
BENCHMARK(footprint_client<Writer>)->Name("footprint_producer")->Iterations(1);
BENCHMARK(footprint_client<Reader>)->Name("footprint_consumer")->Iterations(1);
BENCHMARK(footprint_program)->Iterations(1);

}  // namespace
