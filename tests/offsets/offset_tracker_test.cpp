// SPDX-License-Identifier: Apache-2.0
#include <ottla/offsets/offset_tracker.hpp>

#include "tests/support/catch.hpp"

namespace {

const ottla::TopicPartition a0{"a", ottla::PartitionId(0)};
const ottla::TopicPartition a1{"a", ottla::PartitionId(1)};
const ottla::TopicPartition b0{"b", ottla::PartitionId(0)};

ottla::ConsumerPosition at(std::int64_t offset) { return {.offset = ottla::Offset(offset)}; }

}  // namespace

TEST_CASE("a partition has no position until it is told, and is not fetched") {
  ottla::OffsetTracker tracker;
  tracker.assign({b0, a1, a0});
  std::vector<ottla::TopicPartition> order;
  for (const auto& [partition, tracked] : tracker.partitions()) {
    order.push_back(partition);
    CHECK_FALSE(tracked.position());
    CHECK_FALSE(tracked.is_fetchable());
    CHECK_FALSE(tracked.lag());
  }
  CHECK(order == std::vector{a0, a1, b0});
  CHECK(tracker.find({"c", ottla::PartitionId(0)}) == nullptr);
  CHECK(tracker.to_commit().empty());
}

TEST_CASE("a position moves on with what was handed out, and that is what may be committed") {
  ottla::OffsetTracker tracker;
  tracker.assign({a0, a1});
  ottla::TrackedPartition* tracked = tracker.find(a0);
  tracked->seek(at(5));
  tracked->committed(at(5));
  CHECK(tracker.to_commit().empty());
  CHECK(tracked->advance(at(9), tracked->turn()));
  CHECK(tracked->position() == at(9));
  CHECK(tracker.to_commit() == std::vector{std::pair{a0, at(9)}});
  tracked->committed(at(9));
  CHECK(tracker.to_commit().empty());
}

TEST_CASE("a position that nobody committed may be committed though it did not move") {
  ottla::OffsetTracker tracker;
  tracker.assign({a0});
  tracker.find(a0)->seek(at(0));
  CHECK(tracker.to_commit() == std::vector{std::pair{a0, at(0)}});
}

TEST_CASE("what was fetched before a seek, a reset or another assignment moves nothing") {
  ottla::OffsetTracker tracker;
  tracker.assign({a0});
  ottla::TrackedPartition* tracked = tracker.find(a0);
  tracked->seek(at(5));
  const std::uint64_t fetched = tracked->turn();
  SECTION("seek") {
    tracked->seek(at(2));
    CHECK_FALSE(tracked->advance(at(9), fetched));
    CHECK(tracked->position() == at(2));
  }
  SECTION("reset") {
    tracked->reset(ottla::Timestamp(-2));
    CHECK_FALSE(tracked->advance(at(9), fetched));
    CHECK_FALSE(tracked->position());
    CHECK(tracked->wanted() == ottla::Timestamp(-2));
  }
  SECTION("unassigned meanwhile") {
    tracker.assign({});
    tracker.assign({a0});
    tracker.find(a0)->seek(at(5));
    CHECK_FALSE(tracker.find(a0)->advance(at(9), fetched));
    CHECK(tracker.find(a0)->position() == at(5));
  }
  SECTION("backwards") {
    CHECK_FALSE(tracked->advance(at(4), fetched));
    CHECK(tracked->position() == at(5));
  }
}

TEST_CASE("a partition that stays assigned keeps its state") {
  ottla::OffsetTracker tracker;
  tracker.assign({a0, a1});
  tracker.find(a1)->seek(at(3));
  tracker.find(a1)->pause(true);
  ottla::TrackedPartition* kept = tracker.find(a1);
  tracker.assign({a1, b0});
  CHECK(tracker.find(a0) == nullptr);
  CHECK(tracker.find(a1) == kept);
  CHECK(kept->position() == at(3));
  CHECK(kept->is_paused());
}

TEST_CASE("a paused partition keeps its position and is not fetched") {
  ottla::TrackedPartition tracked;
  tracked.seek(at(3));
  CHECK(tracked.is_fetchable());
  tracked.pause(true);
  CHECK_FALSE(tracked.is_fetchable());
  CHECK(tracked.position() == at(3));
  tracked.pause(false);
  CHECK(tracked.is_fetchable());
}

TEST_CASE("lag is what lies between the position and the visible end") {
  ottla::TrackedPartition tracked;
  tracked.seek(at(3));
  tracked.set_end(ottla::Offset(10));
  CHECK(tracked.lag() == 7);
  tracked.seek(at(12));
  CHECK(tracked.lag() == 0);
}
