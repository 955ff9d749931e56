// SPDX-License-Identifier: Apache-2.0
//
// Each kernel of crc32c, and the choice among them, by size. `apart`: calls that do not wait for
// each other, as when one batch after the other is sealed; `chained`: each needs the last answer.
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>

#include <ottla/base/crc32c.hpp>

namespace {

using Crc32c = std::uint32_t (*)(ottla::Bytes, std::uint32_t);

void measure(benchmark::State& state, Crc32c crc32c, bool chained) {
  std::vector<std::byte> bytes(static_cast<std::size_t>(state.range(0)));
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    bytes[i] = static_cast<std::byte>(i * 131 + (i >> 8));
  }
  std::uint32_t crc = 0;
  for (auto _ : state) {
    crc = crc32c(bytes, chained ? crc : 0);
    benchmark::DoNotOptimize(crc);
  }
  state.SetBytesProcessed(state.iterations() * state.range(0));
}

void add(const std::string& name, Crc32c crc32c) {
  for (const bool chained : {false, true}) {
    const std::string full = "crc32c/" + name + (chained ? "/chained" : "/apart");
    auto* added = benchmark::RegisterBenchmark(
        full.c_str(),
        [crc32c, chained](benchmark::State& state) { measure(state, crc32c, chained); });
    for (const std::int64_t size : {64, 180, 512, 1200, 16 * 1024, 1024 * 1024}) {
      added->Arg(size);
    }
  }
}

const bool added = [] {
  for (const ottla::Crc32cKernel& kernel : ottla::crc32c_kernels()) {
    add(std::string(kernel.name), kernel.crc32c);
  }
  add("chosen", &ottla::crc32c);
  return true;
}();

}  // namespace
