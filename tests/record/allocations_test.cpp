// SPDX-License-Identifier: Apache-2.0
//
// No allocation per record: this program's operator new counts.
#include <atomic>
#include <cstdlib>
#include <new>

#include <ottla/record/batch_builder.hpp>
#include <ottla/record/batch_view.hpp>
#include <ottla/record/serde.hpp>

#include "tests/support/catch.hpp"

namespace {
std::atomic<std::size_t> allocations{0};

void* count_and_allocate(std::size_t size) noexcept {
  allocations.fetch_add(1, std::memory_order_relaxed);
  return std::malloc(size == 0 ? 1 : size);
}
}  // namespace

void* operator new(std::size_t size) {
  if (void* memory = count_and_allocate(size)) return memory;
  std::abort();
}
void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  return count_and_allocate(size);
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void* memory, const std::nothrow_t&) noexcept { std::free(memory); }

using namespace ottla;

namespace {

template <class Work>
std::size_t allocations_of(Work work) {
  const std::size_t before = allocations.load();
  work();
  return allocations.load() - before;
}

constexpr int records = 1000;

SealedBatch make(CompressionType codec, Compressor& compressor) {
  BatchBuilder builder({.compression = codec});
  const RecordHeader headers[] = {{"trace", as_bytes("1234")}, {"null", std::nullopt}};
  for (int i = 0; i < records; ++i) {
    REQUIRE(builder
                .append({.timestamp = Timestamp(i),
                         .key = as_bytes("key"),
                         .value = as_bytes("a value of some length"),
                         .headers = headers})
                .ok());
  }
  auto sealed = builder.seal(compressor);
  REQUIRE(sealed.ok());
  return *std::move(sealed);
}

bool walk(const BatchView& batch, Decompressor& decompressor) {
  RecordCursor cursor = batch.records(decompressor);
  int seen = 0;
  while (const RecordView* record = cursor.next()) {
    for (const RecordHeader& header : record->headers()) seen += header.key.empty() ? 1000 : 0;
    seen += record->key().has_value() ? 1 : 0;
  }
  return cursor.ok() && seen == records;
}

}  // namespace

TEST_CASE("appending allocates for the buffer only, and not at all in one that is given") {
  const RecordFields record{.timestamp = Timestamp(1), .value = as_bytes("value")};
  BatchBuilder growing;
  bool ok = true;
  CHECK(allocations_of([&] {
          for (int i = 0; i < records; ++i) ok = growing.append(record).ok() && ok;
        }) == 3);  // 4, 8 and 16 KiB
  BatchBuilder given({}, Buffer::allocate(64 * 1024));
  CHECK(allocations_of([&] {
          for (int i = 0; i < records; ++i) ok = given.append(record).ok() && ok;
          ok = given.seal().ok() && ok;
        }) == 0);
  CHECK(ok);
}

TEST_CASE("walking allocates nothing, and decompressing nothing once warm") {
  Compressor compressor;
  Decompressor decompressor;
  for (const auto codec : {CompressionType::none, CompressionType::gzip, CompressionType::snappy,
                           CompressionType::lz4, CompressionType::zstd}) {
    INFO(name(codec));
    const SealedBatch batch = make(codec, compressor);
    const BatchView view(batch.bytes());
    REQUIRE(walk(view, decompressor));
    bool ok = false;
    CHECK(allocations_of([&] { ok = view.verify().ok() && walk(view, decompressor); }) == 0);
    CHECK(ok);
  }
}

TEST_CASE("the usual serdes allocate nothing per value once their scratch is warm") {
  std::vector<std::byte> scratch;
  Serde<std::int64_t>::serialize(1, scratch);
  std::size_t seen = 0;
  CHECK(allocations_of([&] {
          for (int i = 0; i < records; ++i) {
            seen += Serde<std::int64_t>::serialize(i, scratch).size();
            seen += Serde<std::string_view>::serialize("text", scratch).size();
            seen += deserialize<std::string_view>(as_bytes("text"))->size();
          }
        }) == 0);
  CHECK(seen == records * 16);
}
