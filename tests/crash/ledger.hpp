// SPDX-License-Identifier: Apache-2.0
//
// What happened, in memory that parent and children share, so that it outlives a kill: a line is
// written before each attempt and after each outcome. And where the next kill is to happen.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <sys/mman.h>

#include <ottla/env/fault_file_system.hpp>

namespace crash {

enum class EventKind : std::uint8_t {
  none,          ///< somebody was killed while writing it
  life,          ///< a new child begins
  sent,          ///< client, n, topic: about to be sent
  acked,         ///< ..., partition, offset: after the acknowledgement
  refused,       ///< client, n, topic: failed, and never written
  read,          ///< client, n, topic, partition, offset; group; since
  commit_tried,  ///< group, topic, partition, offset
  committed,     ///< the same, acknowledged
  topic_tried,   ///< topic, partitions in n
  topic_made,
  delete_tried,  ///< topic
  deleted,
  listed,  ///< at the end: topic, partitions in n, as the broker says
  seen,    ///< at the end: client, n, topic, partition, offset, as a consumer read it
  stored,  ///< at the end: group, topic, partition, offset, as the broker says
};

struct Event {
  EventKind kind = EventKind::none;
  std::uint8_t group = 0;
  std::uint16_t topic = 0;
  std::uint16_t client = 0;
  std::int32_t partition = 0;
  std::int64_t n = 0;
  std::int64_t offset = 0;
  std::uint32_t since = 0;  ///< of a read: the number of the event before which its poll began
};

inline std::string topic_name(std::uint16_t topic) {
  constexpr std::array<std::string_view, 4> fixed = {"orders", "durable", "trimmed", "latest"};
  return topic < fixed.size() ? std::string(fixed[topic]) : "made-" + std::to_string(topic);
}
inline constexpr std::uint16_t orders = 0;
inline constexpr std::uint16_t durable = 1;
inline constexpr std::uint16_t trimmed = 2;  ///< retention takes its oldest segments
inline constexpr std::uint16_t latest = 3;   ///< compacted: older records of a key go
inline constexpr std::uint16_t first_made = 16;
inline constexpr std::int64_t keys = 7;  ///< a value's key, where it has one, is its number modulo

inline std::string group_name(std::uint8_t group) { return group == 0 ? "readers" : "assigned"; }
inline constexpr std::uint8_t readers = 0;   ///< members that come, go and are killed
inline constexpr std::uint8_t assigned = 1;  ///< one reader at a time

/// A named point: an operation for a reason, before it, in the midst of it, or after it.
inline constexpr int io_operations = static_cast<int>(ottla::IoOperation::volume) + 1;
enum class When : std::uint8_t { before, torn, after };
/// Behind the library's reasons: an append to the topic that holds what groups commit.
inline constexpr int commit_reason = ottla::io_reasons;
inline constexpr int points = (commit_reason + 1) * io_operations * 3;
inline int point_of(int reason, ottla::IoOperation operation, When when) {
  return (reason * io_operations + static_cast<int>(operation)) * 3 + static_cast<int>(when);
}
inline int reason_of(int point) { return point / 3 / io_operations; }
inline bool is_reason(int point, ottla::IoReason reason) {
  return reason_of(point) == static_cast<int>(reason);
}
inline std::string_view reason_name(int reason) {
  return reason == commit_reason ? "commit" : ottla::name(static_cast<ottla::IoReason>(reason));
}
inline std::string point_name(int point) {
  constexpr std::array<std::string_view, 3> whens = {"before", "torn", "after"};
  const auto operation = static_cast<ottla::IoOperation>(point / 3 % io_operations);
  return std::string(reason_name(reason_of(point))) + "." + std::string(ottla::name(operation)) +
         "." + std::string(whens[static_cast<std::size_t>(point % 3)]);
}

/// What a child's disk does from some call on.
enum class Failing : std::uint8_t {
  nothing,
  sync,   ///< one sync fails
  space,  ///< writes find no room for a while, or for half of their bytes
};

struct Ledger {
  static constexpr std::uint32_t capacity = 1 << 20;

  /// Where a child kills itself: the `nth` time that it comes to `point`; -1: nowhere.
  int point = -1;
  std::uint32_t nth = 0;
  std::atomic<int> killed_at{-1};  ///< the point, once it did

  /// Or: at this one of its calls that change files, before it or after it; 0: at none.
  std::uint32_t call = 0;
  When call_when = When::before;
  std::atomic<std::uint32_t> calls{0};  ///< in this child
  std::atomic<int> killed_at_call{-1};  ///< of which kind, once it did

  Failing fails = Failing::nothing;
  std::uint32_t fails_from = 0;  ///< the call
  std::atomic<bool> sync_failed{false};

  std::array<std::atomic<std::uint32_t>, points> reached{};  ///< in this child
  std::array<std::atomic<std::uint32_t>, points> reached_in_flight{};
  std::atomic<std::uint32_t> sent{0};     ///< in this child
  std::atomic<std::uint32_t> settled{0};  ///< of those, acknowledged or failed
  std::atomic<int> committing{0};         ///< readers that wait for a commit
  std::atomic<bool> opened{false};        ///< the broker was open in this child
  std::array<char, 1024> problem{};       ///< why this child gave up

  std::atomic<std::uint32_t> used{0};
  struct Slot {
    Event event;
    std::atomic<bool> written;
  };
  std::array<Slot, capacity> slots;

  /// In memory that children of fork share. It ends with the process.
  static Ledger* make() {
    void* memory = ::mmap(nullptr, sizeof(Ledger), PROT_READ | PROT_WRITE,
                          MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) throw std::runtime_error("no shared memory");
    return new (memory) Ledger;
  }
  void forget_all() {
    const std::uint32_t count = used.exchange(0);
    for (std::uint32_t i = 0; i < std::min(count, capacity); ++i) slots[i].written = false;
  }
  void begin_child() {
    killed_at = -1;
    calls = 0;
    killed_at_call = -1;
    sync_failed = false;
    for (auto& count : reached) count = 0;
    for (auto& count : reached_in_flight) count = 0;
    sent = 0;
    settled = 0;
    committing = 0;
    opened = false;
    problem[0] = '\0';
    add({.kind = EventKind::life});
  }

  /// Any thread. The event is there when this returns, whatever becomes of the process.
  void add(const Event& event) {
    const std::uint32_t at = used.fetch_add(1);
    if (at >= capacity) return;
    slots[at].event = event;
    slots[at].written.store(true, std::memory_order_release);
  }
  bool is_nearly_full() const { return used > capacity / 4 * 3; }
  std::uint32_t now() const { return used; }

  /// Before: no child lives.
  std::vector<Event> events() const {
    std::vector<Event> all(std::min<std::uint32_t>(used, capacity));
    for (std::size_t i = 0; i < all.size(); ++i) {
      if (slots[i].written.load(std::memory_order_acquire)) all[i] = slots[i].event;
    }
    return all;
  }

  void give_up(std::string_view why) {
    const std::size_t size = std::min(why.size(), problem.size() - 1);
    std::memcpy(problem.data(), why.data(), size);
    problem[size] = '\0';
  }
};

}  // namespace crash
