// SPDX-License-Identifier: Apache-2.0
//
// The parts of a partition that hold batches in memory: staged ones, the hot tail, read buffers.
#include <vector>

#include <ottla/log/hot_tail.hpp>
#include <ottla/log/staged_batches.hpp>

#include "tests/support/catch.hpp"

using namespace ottla;

namespace {

SharedBytes bytes(std::size_t n) { return SharedBytes::copy_of(std::vector<std::byte>(n)); }
BatchFacts facts(std::int64_t base, std::int64_t last, std::int32_t size) {
  return {Offset(base), Offset(last), no_timestamp, size};
}

/// Batches of 100 bytes and `records` offsets each, from 0 on.
HotTail tail_of(int batches, int records) {
  HotTail tail;
  HotTail::Dropped dropped;
  for (int i = 0; i < batches; ++i) {
    tail.push(bytes(100), Offset(i * records), Offset((i + 1) * records - 1), dropped);
  }
  return tail;
}

}  // namespace

TEST_CASE("Staged batches are taken as one range while others are staged behind it") {
  StagedBatches staged;
  CHECK(staged.empty());
  staged.push(bytes(100), facts(0, 2, 100));
  staged.push(bytes(50), facts(3, 3, 50));
  const StagedRange range = staged.take();
  staged.push(bytes(7), facts(4, 4, 7));
  REQUIRE(range.facts.size() == 2);
  CHECK(range.facts[1].base_offset == Offset(3));
  CHECK(range.pieces[0].size() == 100);
  CHECK(range.batches[1].size() == 50);
  CHECK(range.pieces[1].data() == range.batches[1].data());
  CHECK(staged.bytes() == 157);
  CHECK(staged.waiting_bytes() == 7);
  staged.written();
  CHECK(staged.bytes() == 7);
  CHECK(staged.take().facts.front().base_offset == Offset(4));
  staged.written();
  CHECK(staged.empty());
  CHECK(staged.take().empty());
}

TEST_CASE("What cannot be written goes together with everything staged behind it") {
  StagedBatches staged;
  staged.push(bytes(1), facts(0, 0, 1));
  CHECK_FALSE(staged.take().empty());
  staged.push(bytes(2), facts(1, 1, 2));
  std::vector<SharedBytes> dropped;
  staged.drop(dropped);
  REQUIRE(dropped.size() == 2);
  CHECK(dropped[0].size() == 1);
  CHECK(dropped[1].size() == 2);
  CHECK(staged.empty());
  CHECK(staged.bytes() == 0);
}

TEST_CASE("What is kept is taken again before what was staged behind it, and can be read") {
  StagedBatches staged;
  staged.push(bytes(10), facts(0, 2, 10));
  staged.push(bytes(20), facts(3, 3, 20));
  staged.push(bytes(30), facts(4, 6, 30));
  CHECK(staged.take().facts.size() == 3);
  staged.push(bytes(40), facts(7, 7, 40));
  const auto sizes = [&](std::int64_t offset, std::size_t most, bool at_least_one) {
    std::vector<SharedBytes> read;
    staged.read(Offset(offset), most, at_least_one, read);
    std::vector<std::size_t> all;
    for (const SharedBytes& each : read) all.push_back(each.size());
    return all;
  };
  using Sizes = std::vector<std::size_t>;
  CHECK(sizes(0, 1'000, false) == Sizes{10, 20, 30, 40});
  CHECK(sizes(5, 1'000, false) == Sizes{30, 40});
  CHECK(sizes(3, 50, false) == Sizes{20, 30});
  CHECK(sizes(3, 5, true) == Sizes{20});
  CHECK(sizes(3, 5, false).empty());
  CHECK(sizes(8, 1'000, true).empty());
  staged.keep(1);
  CHECK(staged.waiting_bytes() == 90);
  CHECK(sizes(0, 1'000, false) == Sizes{20, 30, 40});
  const StagedRange again = staged.take();
  REQUIRE(again.facts.size() == 2);
  CHECK(again.facts.front().base_offset == Offset(3));
  CHECK(again.pieces.front().size() == 20);
  staged.written();
  CHECK(staged.take().facts.front().base_offset == Offset(7));
  staged.keep(1);
  CHECK(staged.empty());
  CHECK(staged.take().empty());
}

TEST_CASE("The hot tail answers from the batch that holds the offset, up to the limit") {
  const HotTail tail = tail_of(10, 5);
  CHECK(tail.start() == Offset(0));
  CHECK(tail.end() == Offset(50));
  CHECK(tail.bytes() == 1000);
  std::vector<SharedBytes> into;
  auto taken = tail.take(Offset(12), Offset(50), 1000, true, into);
  CHECK(taken.bytes == 800);
  CHECK(taken.next == Offset(50));
  CHECK(into.size() == 8);
  into.clear();
  taken = tail.take(Offset(12), Offset(24), 1000, true, into);  // 20 to 24 reaches the limit
  CHECK(into.size() == 2);
  CHECK(taken.next == Offset(20));
  into.clear();
  CHECK(tail.take(Offset(12), Offset(25), 250, true, into).next == Offset(20));
  into.clear();
  CHECK(tail.take(Offset(12), Offset(50), 99, false, into).bytes == 0);
  CHECK(into.empty());
  CHECK(tail.take(Offset(12), Offset(50), 99, true, into).next == Offset(15));
  into.clear();
  CHECK(tail.take(Offset(10), Offset(14), 1000, true, into).next == Offset(10));
  CHECK(into.empty());
}

TEST_CASE("The hot tail drops its oldest batches to keep within its budget") {
  HotTail tail = tail_of(10, 1);
  HotTail::Dropped dropped;
  tail.trim(1000, dropped);
  CHECK(dropped.empty());
  tail.trim(950, dropped);
  CHECK(dropped.size() == 1);
  tail.trim(301, dropped);
  CHECK(dropped.size() == 7);
  CHECK(tail.start() == Offset(7));
  CHECK(tail.bytes() == 300);
  std::vector<SharedBytes> into;
  CHECK(tail.take(Offset(8), Offset(10), 1000, true, into).bytes == 200);
  tail.clear(dropped);
  CHECK(tail.empty());
  CHECK(dropped.size() == 10);
}

TEST_CASE("The hot tail has no gap: what does not follow drops what was there") {
  HotTail tail = tail_of(2, 1);
  HotTail::Dropped dropped;
  tail.push(bytes(10), Offset(3), Offset(3), dropped);
  CHECK(dropped.size() == 2);
  CHECK(tail.start() == Offset(3));
  CHECK(tail.bytes() == 10);
}

TEST_CASE("The hot tail is cut back by whole batches") {
  HotTail tail = tail_of(4, 5);
  HotTail::Dropped dropped;
  tail.truncate(Offset(20), dropped);
  CHECK(dropped.empty());
  tail.truncate(Offset(12), dropped);
  CHECK(dropped.size() == 2);
  CHECK(tail.end() == Offset(10));
  CHECK(tail.bytes() == 200);
  tail.truncate(Offset(0), dropped);
  CHECK(tail.empty());
}
