// SPDX-License-Identifier: Apache-2.0
//
// The partitions that a broker has open, by topic id (requests) and by name. An entry is never
// changed: a topic that grows gets a new one, so whoever holds one may walk it without a lock.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include <absl/hash/hash.h>

#include <ottla/base/mutex.hpp>
#include <ottla/base/ref.hpp>
#include <ottla/base/topic_partition.hpp>

namespace ottla::inline OTTLA_ABI {

/// Thread-safe; its lock is a leaf.
template <class Partition>
class TopicRegistry {
 public:
  struct Topic final : Counted {
    std::string name;
    TopicId id;
    std::vector<Ref<Partition>>
        partitions;  ///< by number; an empty Ref where one could not be opened
  };

  /// Empty where there is none.
  Ref<Topic> find(const TopicId& id) const {
    Lock lock(mutex_);
    const auto found = by_id_.find(id);
    return found == by_id_.end() ? Ref<Topic>() : found->second;
  }
  Ref<Topic> find(std::string_view name) const {
    Lock lock(mutex_);
    const auto found = by_name_.find(name);
    return found == by_name_.end() ? Ref<Topic>() : found->second;
  }
  Ref<Partition> find(const TopicId& id, PartitionId partition) const {
    Lock lock(mutex_);
    const auto found = by_id_.find(id);
    const auto index = static_cast<std::size_t>(partition.value());  // a negative one is too large
    return found != by_id_.end() && index < found->second->partitions.size()
               ? found->second->partitions[index]
               : Ref<Partition>();
  }

  /// In the place of an entry with that name or id. std::bad_alloc: everything is as before.
  void put(Ref<Topic> topic) {
    Ref<Topic> old;  // let go without the lock
    ByName named;
    const auto fresh = named.emplace(topic->name, topic).first;
    Lock lock(mutex_);
    by_id_.insert_or_assign(topic->id, topic);  // the last that may throw
    if (const auto found = by_name_.find(topic->name); found != by_name_.end()) {
      old = std::move(found->second);
      if (old->id != topic->id) {
        by_id_.erase(old->id);
      }
      by_name_.erase(found);
    }
    by_name_.insert(named.extract(fresh));
    version_.fetch_add(1, std::memory_order_release);
  }
  /// What was there, for the caller to close.
  Ref<Topic> remove(const TopicId& id) {
    Lock lock(mutex_);
    const auto found = by_id_.find(id);
    if (found == by_id_.end()) {
      return {};
    }
    Ref<Topic> old = std::move(found->second);
    by_id_.erase(found);
    by_name_.erase(old->name);
    version_.fetch_add(1, std::memory_order_release);
    return old;
  }
  /// Ascending by name.
  std::vector<Ref<Topic>> all() const {
    std::vector<Ref<Topic>> topics;
    Lock lock(mutex_);
    topics.reserve(by_name_.size());
    for (const auto& [name, topic] : by_name_) {
      topics.push_back(topic);
    }
    return topics;
  }
  /// The first by name behind `before`; empty behind the last.
  Ref<Topic> next(std::string_view before) const {
    Lock lock(mutex_);
    const auto found = by_name_.upper_bound(before);
    return found == by_name_.end() ? Ref<Topic>() : found->second;
  }
  /// Calls `work` for each partition that is open, without the lock; asks for no memory.
  template <class Work>
  void for_each_partition(Work work) const {
    for (Ref<Topic> topic = next(""); topic; topic = next(topic->name)) {
      for (const Ref<Partition>& partition : topic->partitions) {
        if (partition) {
          work(*partition);
        }
      }
    }
  }
  /// Grows with each change.
  std::uint64_t version() const { return version_.load(std::memory_order_acquire); }

 private:
  using ByName = std::map<std::string, Ref<Topic>, std::less<>>;

  mutable Mutex mutex_{Mutex::Kind::leaf};
  std::unordered_map<TopicId, Ref<Topic>, absl::Hash<TopicId>> by_id_ OTTLA_GUARDED_BY(mutex_);
  ByName by_name_ OTTLA_GUARDED_BY(mutex_);
  std::atomic<std::uint64_t> version_{1};
};

}  // namespace ottla::inline OTTLA_ABI
