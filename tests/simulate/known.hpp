// SPDX-License-Identifier: Apache-2.0
//
// What outlives the program of a scenario: how it is set up, and what it told others.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>

#include <ottla/log/log_directory.hpp>

#include "history.hpp"

namespace simulate {

using namespace ottla;

inline Uuid uuid(int n) {
  Uuid uuid;
  uuid.bytes[14] = static_cast<std::byte>(n >> 8);
  uuid.bytes[15] = static_cast<std::byte>(n & 0xff);
  return uuid;
}

inline const TopicPartition main_partition{"t", PartitionId(0)};
inline const TopicId main_topic{uuid(1)};

struct Settings {
  LogConfig config;
  std::chrono::milliseconds producer_id_expiration = std::chrono::milliseconds::max();
  Durability made = Durability::written;  ///< its partition
};

/// What is to be found of a partition's directory.
enum class Presence : std::uint8_t { absent, present, either };
struct Partition {
  Presence written = Presence::absent;
  Presence durable = Presence::absent;
};

/// What outlives the program: what it told others.
struct Known {
  History history;
  std::map<std::string, Partition> partitions;
  std::optional<Uuid> directory_id;
  std::map<std::int64_t, std::int32_t> sequences;  ///< of producers: the next one
  std::int64_t records = 0;                        ///< so far: a record's value is its number
  std::int64_t clock = 1'700'000'000'000;          ///< ms
  std::int32_t epoch = 0;
  int runs = 0;
  bool producers_expire = false;
  std::optional<Repair> repair;  ///< what the next opening is asked for, at `damaged`
  std::int64_t damaged = 0;
};

struct Shape {
  std::int64_t producer = -1;
  bool transactional = false;
  std::int64_t left_out = 0;  ///< offsets before the first batch
  std::chrono::milliseconds after{1'000};
  std::size_t value_size = 6;
  bool tombstone = false;
};

}  // namespace simulate
