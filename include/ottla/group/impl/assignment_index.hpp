// SPDX-License-Identifier: Apache-2.0
//
// A group to assign in small integers: members by ascending id, topics with partitions that
// somebody subscribes to by ascending name, partitions numbered through in that order, racks in any
// order. Assignors compute with these; strings come back at the end.
#pragma once

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <ottla/group/assignor.hpp>

namespace ottla::inline OTTLA_ABI::group_impl {

/// A topic's number, a member's, a rack's, or a partition's, says the name of the variable.
using Index = std::uint32_t;
inline constexpr Index none = UINT32_MAX;

class AssignmentIndex {
 public:
  explicit AssignmentIndex(const GroupToAssign& group);

  std::size_t members() const { return members_.size(); }
  std::size_t topics() const { return topics_.size(); }
  std::size_t partitions() const { return topic_of_.size(); }
  const MemberToAssign& member(Index member) const { return *members_[member]; }

  Index first_partition(Index topic) const { return first_[topic]; }
  Index end_partition(Index topic) const { return first_[topic + 1]; }
  Index count(Index topic) const { return first_[topic + 1] - first_[topic]; }
  Index topic_of(Index partition) const { return topic_of_[partition]; }

  /// Ascending, each once.
  const std::vector<Index>& topics_of(Index member) const { return topics_of_[member]; }
  const std::vector<Index>& subscribers(Index topic) const { return subscribers_[topic]; }
  bool subscribes(Index member, Index topic) const {
    return std::binary_search(topics_of_[member].begin(), topics_of_[member].end(), topic);
  }
  /// Whether all name the same topics, existing or not.
  bool equal_subscriptions() const { return equal_subscriptions_; }

  /// The existing partitions that it says it owns, as it lists them, each once.
  std::vector<Index> owned_by(Index member) const;

  /// `none` for a member without one.
  Index rack_of(Index member) const { return rack_of_[member]; }
  std::size_t racks() const { return racks_.size(); }
  /// Of a partition's replicas: ascending, each once. Empty when no member names a rack.
  const std::vector<Index>& racks_of(Index partition) const {
    return racks_of_.empty() ? no_racks_ : racks_of_[partition];
  }
  bool is_in_rack(Index partition, Index rack) const {
    const std::vector<Index>& racks = racks_of(partition);
    return std::binary_search(racks.begin(), racks.end(), rack);
  }
  /// Whether racks can make a difference to `members` and the partitions [begin, end): some rack is
  /// common to both, and partitions differ in theirs.
  bool racks_matter(const std::vector<Index>& members, Index begin, Index end) const;

  /// From the partitions of each member, in any order, to what its user gets, in the order of the
  /// group's members.
  GroupAssignment in_words(std::vector<std::vector<Index>> assigned) const;

 private:
  void index_members();
  void index_topics();
  void index_racks();
  bool same_topics(const MemberToAssign& a, const MemberToAssign& b) const;

  const GroupToAssign& group_;
  std::vector<const MemberToAssign*> members_;
  std::vector<std::size_t> place_;  ///< of each member in the group's list
  std::vector<const TopicToAssign*> topics_;
  std::unordered_map<std::string_view, Index> topic_numbers_;
  std::vector<Index> first_;
  std::vector<Index> topic_of_;
  std::vector<std::vector<Index>> topics_of_;
  std::vector<std::vector<Index>> subscribers_;
  std::unordered_map<std::string_view, Index> racks_;
  std::vector<Index> rack_of_;
  std::vector<std::vector<Index>> racks_of_;
  std::vector<Index> no_racks_;
  bool equal_subscriptions_ = true;
};

inline AssignmentIndex::AssignmentIndex(const GroupToAssign& group) : group_(group) {
  index_members();
  index_topics();
  index_racks();
}

inline void AssignmentIndex::index_members() {
  place_.resize(group_.members.size());
  std::iota(place_.begin(), place_.end(), std::size_t{0});
  std::sort(place_.begin(), place_.end(), [this](std::size_t a, std::size_t b) {
    return group_.members[a].id < group_.members[b].id;
  });
  for (const std::size_t place : place_) {
    members_.push_back(&group_.members[place]);
    equal_subscriptions_ = equal_subscriptions_ && same_topics(*members_.front(), *members_.back());
  }
}

inline bool AssignmentIndex::same_topics(const MemberToAssign& a, const MemberToAssign& b) const {
  const auto sorted = [](const MemberToAssign& member) {
    std::vector<std::string_view> topics(member.topics.begin(), member.topics.end());
    std::sort(topics.begin(), topics.end());
    topics.erase(std::unique(topics.begin(), topics.end()), topics.end());
    return topics;
  };
  return a.topics == b.topics || sorted(a) == sorted(b);
}

inline void AssignmentIndex::index_topics() {
  for (const TopicToAssign& topic : group_.topics) {
    if (topic.partitions > 0) {
      topic_numbers_.emplace(topic.name, none);
    }
  }
  for (const MemberToAssign* member : members_) {
    for (const std::string& topic : member->topics) {
      if (const auto found = topic_numbers_.find(topic); found != topic_numbers_.end()) {
        found->second = 0;  // somebody subscribes to it
      }
    }
  }
  for (const TopicToAssign& topic : group_.topics) {
    if (topic.partitions > 0 && topic_numbers_.find(topic.name)->second == 0) {
      topics_.push_back(&topic);
    }
  }
  std::sort(topics_.begin(), topics_.end(),
            [](const TopicToAssign* a, const TopicToAssign* b) { return a->name < b->name; });
  for (const TopicToAssign* topic : topics_) {
    const auto number = static_cast<Index>(first_.size());
    topic_numbers_.find(topic->name)->second = number;
    first_.push_back(static_cast<Index>(topic_of_.size()));
    topic_of_.insert(topic_of_.end(), static_cast<std::size_t>(topic->partitions), number);
  }
  first_.push_back(static_cast<Index>(topic_of_.size()));
  subscribers_.resize(topics_.size());
  topics_of_.resize(members_.size());
  for (Index member = 0; member < members_.size(); ++member) {
    std::vector<Index>& topics = topics_of_[member];
    for (const std::string& name : members_[member]->topics) {
      if (const auto found = topic_numbers_.find(name); found != topic_numbers_.end()) {
        topics.push_back(found->second);
      }
    }
    std::sort(topics.begin(), topics.end());
    topics.erase(std::unique(topics.begin(), topics.end()), topics.end());
    for (const Index topic : topics) {
      subscribers_[topic].push_back(member);
    }
  }
}

inline void AssignmentIndex::index_racks() {
  rack_of_.assign(members_.size(), none);
  for (Index member = 0; member < members_.size(); ++member) {
    if (const auto& rack = members_[member]->rack; rack && !rack->empty()) {
      rack_of_[member] = racks_.emplace(*rack, static_cast<Index>(racks_.size())).first->second;
    }
  }
  if (racks_.empty()) {
    return;
  }
  racks_of_.resize(partitions());
  for (Index topic = 0; topic < topics_.size(); ++topic) {
    const auto& known = topics_[topic]->racks;
    for (Index i = 0; i < count(topic) && i < known.size(); ++i) {
      std::vector<Index>& racks = racks_of_[first_partition(topic) + i];
      for (const std::string& rack : known[i]) {
        racks.push_back(racks_.emplace(rack, static_cast<Index>(racks_.size())).first->second);
      }
      std::sort(racks.begin(), racks.end());
      racks.erase(std::unique(racks.begin(), racks.end()), racks.end());
    }
  }
}

inline bool AssignmentIndex::racks_matter(const std::vector<Index>& members, Index begin,
                                          Index end) const {
  std::vector<bool> of_members(racks_.size());
  std::vector<bool> of_partitions(racks_.size());
  for (const Index member : members) {
    if (rack_of_[member] != none) {
      of_members[rack_of_[member]] = true;
    }
  }
  std::size_t all_racks = 0;
  bool common = false;
  for (Index partition = begin; partition < end; ++partition) {
    for (const Index rack : racks_of(partition)) {
      all_racks += of_partitions[rack] ? 0U : 1U;
      of_partitions[rack] = true;
      common = common || of_members[rack];
    }
  }
  for (Index partition = begin; common && partition < end; ++partition) {
    if (racks_of(partition).size() != all_racks) {
      return true;
    }
  }
  return false;
}

inline std::vector<Index> AssignmentIndex::owned_by(Index member) const {
  std::vector<Index> owned;
  for (const PartitionsOfTopic& part : members_[member]->owned) {
    const auto found = topic_numbers_.find(part.topic);
    if (found == topic_numbers_.end() || found->second == none) {
      continue;
    }
    for (const PartitionId partition : part.partitions) {
      if (partition.value() >= 0 && static_cast<Index>(partition.value()) < count(found->second)) {
        owned.push_back(first_partition(found->second) + static_cast<Index>(partition.value()));
      }
    }
  }
  std::vector<Index> sorted = owned;
  std::sort(sorted.begin(), sorted.end());
  if (const auto end = std::unique(sorted.begin(), sorted.end()); end != sorted.end()) {
    owned.assign(sorted.begin(), end);
  }
  return owned;
}

inline GroupAssignment AssignmentIndex::in_words(std::vector<std::vector<Index>> assigned) const {
  GroupAssignment result(members_.size());
  for (Index member = 0; member < members_.size(); ++member) {
    std::vector<PartitionsOfTopic>& parts = result[place_[member]].partitions;
    std::sort(assigned[member].begin(), assigned[member].end());
    Index last_topic = none;
    for (const Index partition : assigned[member]) {
      const Index topic = topic_of_[partition];
      if (topic != last_topic) {
        parts.push_back({.topic = topics_[topic]->name, .partitions = {}});
        last_topic = topic;
      }
      parts.back().partitions.emplace_back(
          static_cast<std::int32_t>(partition - first_partition(topic)));
    }
  }
  return result;
}

}  // namespace ottla::inline OTTLA_ABI::group_impl
