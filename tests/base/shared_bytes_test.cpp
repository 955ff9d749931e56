// SPDX-License-Identifier: Apache-2.0
#include <cstdint>
#include <cstring>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <ottla/base/shared_bytes.hpp>

#include "tests/support/catch.hpp"

using namespace ottla;

static std::string text_of(const SharedBytes& bytes) {
  return std::string(as_string_view(bytes.bytes()));
}

/// A pool of one block, which counts what comes back.
struct OneBlock final : Counted {
  alignas(16) std::byte memory[sizeof(BufferBlock) + 64];
  int returned = 0;

  BufferBlock* take() {
    auto* block = new (memory) BufferBlock;
    block->capacity = 64;
    block->owner = Ref<OneBlock>(this);
    block->release = [](BufferBlock* last) noexcept {
      const Ref<Counted> owner = std::move(last->owner);
      ++static_cast<OneBlock&>(*owner).returned;
    };
    return block;
  }
};

TEST_CASE("A buffer has the room that was asked for, aligned, and can be written") {
  for (const std::size_t capacity : {0UL, 1UL, 15UL, 4096UL}) {
    Buffer buffer = Buffer::allocate(capacity);
    REQUIRE(buffer);
    CHECK(buffer.capacity() >= capacity);
    CHECK(buffer.bytes().size() == buffer.capacity());
    CHECK(reinterpret_cast<std::uintptr_t>(buffer.data()) % 16 == 0);
    std::memset(buffer.data(), 7, capacity);
  }
}

TEST_CASE("A buffer that cannot be had is false and empty") {
  for (const std::size_t capacity :
       {SIZE_MAX, SIZE_MAX - sizeof(BufferBlock), std::size_t{PTRDIFF_MAX}}) {
    Buffer none = Buffer::allocate(capacity);
    CHECK_FALSE(none);
    CHECK(none.capacity() == 0);
    CHECK(none.data() == nullptr);
    CHECK(none.bytes().empty());
    CHECK(std::move(none).share(0).owners() == 0);
  }
}

TEST_CASE("Sharing a buffer freezes its first bytes and leaves it empty") {
  Buffer buffer = Buffer::allocate(8);
  std::memcpy(buffer.data(), "abcdefgh", 8);
  const std::byte* where = buffer.data();
  const SharedBytes shared = std::move(buffer).share(5);
  CHECK(text_of(shared) == "abcde");
  CHECK(shared.data() == where);
  CHECK(shared.owners() == 1);
  CHECK(shared.block_capacity() == 8);
  CHECK_FALSE(buffer);
}

TEST_CASE("A block goes back once: when its buffer is dropped unshared, or with its last owner") {
  const auto pool = make_ref<OneBlock>();
  { const Buffer dropped(pool->take()); }
  CHECK(pool->returned == 1);
  {
    Buffer first(pool->take());
    Buffer second(std::move(first));
    first = std::move(second);
    SharedBytes shared = std::move(first).share(10);
    SharedBytes copy = shared;
    SharedBytes slice = copy.slice(2, 3);
    CHECK(shared.owners() == 3);
    shared = SharedBytes();
    copy = SharedBytes();
    CHECK(slice.owners() == 1);
    CHECK(pool->returned == 1);
    slice = slice.slice(1, 1);
    CHECK(slice.owners() == 1);
  }
  CHECK(pool->returned == 2);
}

TEST_CASE("Assigning to a buffer frees what it had at once") {
  const auto pool = make_ref<OneBlock>();
  Buffer buffer(pool->take());
  buffer = Buffer::allocate(1);
  CHECK(pool->returned == 1);
}

TEST_CASE("Copies and slices are the same bytes, and outlive the first owner") {
  SharedBytes slice;
  const std::byte* where = nullptr;
  {
    const SharedBytes whole = SharedBytes::copy_of(as_bytes("record batch"));
    where = whole.data();
    slice = whole.slice(7, 5);
    CHECK(whole.owners() == 2);
    CHECK(whole.slice(12, 0).empty());
    CHECK(whole.slice(0, 12).bytes().data() == where);
  }
  CHECK(text_of(slice) == "batch");
  CHECK(slice.data() == where + 7);
  CHECK(slice.size() == 5);
  CHECK(slice.owners() == 1);
}

TEST_CASE("A moved-from owner is empty, and assigning to oneself changes nothing") {
  SharedBytes first = SharedBytes::copy_of(as_bytes("x"));
  SharedBytes second = std::move(first);
  CHECK(first.empty());
  CHECK(first.owners() == 0);
  SharedBytes& same = second;
  second = same;
  CHECK(text_of(second) == "x");
  CHECK(second.owners() == 1);
}

TEST_CASE("A copy of nothing is empty and yet an owner of its own") {
  const SharedBytes nothing = SharedBytes::copy_of(Bytes());
  CHECK(nothing.empty());
  CHECK(nothing.owners() == 1);
  CHECK(SharedBytes().owners() == 0);
  CHECK(SharedBytes().block_capacity() == 0);
}

TEST_CASE("Threads copy and drop one block, and it goes back once") {
  const auto pool = make_ref<OneBlock>();
  std::vector<int> sums(4);
  {
    Buffer buffer(pool->take());
    std::memset(buffer.data(), 1, 64);
    const SharedBytes shared = std::move(buffer).share(64);
    std::vector<std::thread> threads;
    for (int& sum : sums) {
      threads.emplace_back([shared, &sum] {
        for (std::size_t i = 0; i < 10'000; ++i) {
          const SharedBytes copy = shared;
          const SharedBytes slice = copy.slice(i % 64, 1);
          sum += static_cast<int>(slice.bytes()[0]);
        }
      });
    }
    for (std::thread& thread : threads) {
      thread.join();
    }
    threads.clear();
    CHECK(shared.owners() == 1);
    CHECK(pool->returned == 0);
  }
  CHECK(pool->returned == 1);
  CHECK(sums == std::vector<int>(4, 10'000));
}
