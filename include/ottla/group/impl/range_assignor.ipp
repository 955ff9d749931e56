// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <map>
#include <numeric>
#include <utility>

#include <ottla/group/impl/assignment_index.hpp>
#include <ottla/group/range_assignor.hpp>

namespace ottla::inline OTTLA_ABI {
namespace group_impl {

/// Instance ids ascending, then the others by member id.
inline std::vector<Index> range_order(const AssignmentIndex& index) {
  std::vector<Index> order(index.members());
  std::iota(order.begin(), order.end(), Index{0});
  std::stable_sort(order.begin(), order.end(), [&index](Index a, Index b) {
    const auto& left = index.member(a).instance_id;
    const auto& right = index.member(b).instance_id;
    return left && right ? *left < *right : left.has_value() && !right.has_value();
  });
  return order;
}

/// How many partitions each of `subscribers` may still get: a quota, and one more while there are
/// extras.
class RangeShares {
 public:
  RangeShares(std::size_t partitions, std::size_t subscribers)
      : taken_(subscribers), quota_(partitions / subscribers), extras_(partitions % subscribers) {}

  std::size_t room(std::size_t subscriber) const {
    const std::size_t most = quota_ + (extras_ > 0 ? 1 : 0);
    return most > taken_[subscriber] ? most - taken_[subscriber] : 0;
  }
  void take(std::size_t subscriber, std::size_t n) {
    taken_[subscriber] += n;
    if (n > 0 && taken_[subscriber] > quota_) {
      --extras_;
    }
  }

 private:
  std::vector<std::size_t> taken_;
  std::size_t quota_;
  std::size_t extras_;
};

/// What is free of one topic, in ascending order, of everything or of one rack. Never goes back.
class FreePartitions {
 public:
  void add(Index partition) { partitions_.push_back(partition); }
  /// `none` when there is none.
  Index next(const std::vector<bool>& taken) {
    while (next_ < partitions_.size() && taken[partitions_[next_]]) {
      ++next_;
    }
    return next_ < partitions_.size() ? partitions_[next_] : none;
  }

 private:
  std::vector<Index> partitions_;
  std::size_t next_ = 0;
};

class RangeAssignment {
 public:
  explicit RangeAssignment(const GroupToAssign& group)
      : index_(group), assigned_(index_.members()), taken_(index_.partitions()) {
    subscribers_.resize(index_.topics());
    for (const Index member : range_order(index_)) {
      for (const Index topic : index_.topics_of(member)) {
        subscribers_[topic].push_back(member);
      }
    }
    for (Index topic = 0; topic < index_.topics(); ++topic) {
      shares_.emplace_back(index_.count(topic), subscribers_[topic].size());
    }
  }

  GroupAssignment assign() && {
    assign_where_racks_match();
    for (Index topic = 0; topic < index_.topics(); ++topic) {
      assign_ranges(topic, false);
    }
    return index_.in_words(std::move(assigned_));
  }

 private:
  bool racks_matter(Index topic) const {
    return index_.racks_matter(subscribers_[topic], index_.first_partition(topic),
                               index_.end_partition(topic));
  }

  void take(Index topic, std::size_t subscriber, Index partition) {
    assigned_[subscribers_[topic][subscriber]].push_back(partition);
    taken_[partition] = true;
  }

  void assign_ranges(Index topic, bool in_rack) {
    FreePartitions all;
    std::vector<FreePartitions> of_rack(in_rack ? index_.racks() : 0);
    for (Index p = index_.first_partition(topic); p < index_.end_partition(topic); ++p) {
      all.add(p);
      for (std::size_t i = 0; in_rack && i < index_.racks_of(p).size(); ++i) {
        of_rack[index_.racks_of(p)[i]].add(p);
      }
    }
    for (std::size_t i = 0; i < subscribers_[topic].size(); ++i) {
      const Index rack = index_.rack_of(subscribers_[topic][i]);
      FreePartitions& free = in_rack && rack != none ? of_rack[rack] : all;
      const std::size_t room = shares_[topic].room(i);
      std::size_t n = 0;
      for (Index p = none; n < room && (p = free.next(taken_)) != none; ++n) {
        take(topic, i, p);
      }
      shares_[topic].take(i, n);
    }
  }

  void assign_where_racks_match() {
    std::vector<bool> matter(index_.topics());
    for (Index topic = 0; topic < index_.topics(); ++topic) {
      matter[topic] = racks_matter(topic);
    }
    if (std::find(matter.begin(), matter.end(), true) == matter.end()) {
      return;
    }
    std::map<std::pair<std::vector<Index>, Index>, std::vector<Index>> alike;
    for (Index topic = 0; topic < index_.topics(); ++topic) {
      alike[{subscribers_[topic], index_.count(topic)}].push_back(topic);
    }
    for (const auto& [subscribers_and_count, topics] : alike) {
      if (topics.size() > 1) {
        assign_alike(topics);
      } else if (matter[topics.front()]) {
        assign_ranges(topics.front(), true);
      }
    }
  }

  /// One member gets partition i of all `topics`, if its rack has all of them. They have the same
  /// subscribers and count, so their shares stay equal.
  void assign_alike(const std::vector<Index>& topics) {
    const std::vector<Index>& subscribers = subscribers_[topics.front()];
    std::vector<std::vector<std::size_t>> waiting(index_.racks() +
                                                  1);  // the last: members of no rack
    for (std::size_t i = subscribers.size(); i-- > 0;) {
      const Index rack = index_.rack_of(subscribers[i]);
      waiting[rack == none ? index_.racks() : rack].push_back(i);
    }
    if (waiting.back().size() == subscribers.size()) {
      return;  // no racks: ranges do it
    }
    const RangeShares& shares = shares_[topics.front()];
    for (Index i = 0; i < index_.count(topics.front()); ++i) {
      std::vector<Index> racks = common_racks(topics, i);
      racks.push_back(static_cast<Index>(index_.racks()));
      std::size_t first = subscribers.size();
      for (const Index rack : racks) {
        while (!waiting[rack].empty() && shares.room(waiting[rack].back()) == 0) {
          waiting[rack].pop_back();
        }
        first = waiting[rack].empty() ? first : std::min(first, waiting[rack].back());
      }
      for (std::size_t t = 0; first < subscribers.size() && t < topics.size(); ++t) {
        take(topics[t], first, index_.first_partition(topics[t]) + i);
        shares_[topics[t]].take(first, 1);
      }
    }
  }

  std::vector<Index> common_racks(const std::vector<Index>& topics, Index i) const {
    std::vector<Index> common = index_.racks_of(index_.first_partition(topics.front()) + i);
    for (const Index topic : topics) {
      std::erase_if(common, [&](Index rack) {
        return !index_.is_in_rack(index_.first_partition(topic) + i, rack);
      });
    }
    return common;
  }

  AssignmentIndex index_;
  std::vector<std::vector<Index>> subscribers_;  ///< of each topic, in range order
  std::vector<RangeShares> shares_;
  std::vector<std::vector<Index>> assigned_;
  std::vector<bool> taken_;
};

}  // namespace group_impl

OTTLA_INLINE Assignor range_assignor() {
  return {.name = "range",
          .protocol = RebalanceProtocol::eager,
          .assign = [](const GroupToAssign& group) {
            return group_impl::RangeAssignment(group).assign();
          }};
}

}  // namespace ottla::inline OTTLA_ABI
