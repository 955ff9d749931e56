// SPDX-License-Identifier: Apache-2.0
//
// The sticky assignment where subscriptions differ: what is owned stays, the rest goes to the least
// loaded, then partitions move from more to less loaded members as long as that helps.
#pragma once

#include <queue>
#include <utility>
#include <vector>

#include <absl/container/btree_map.h>
#include <absl/container/btree_set.h>

#include <ottla/group/impl/assignment_index.hpp>
#include <ottla/group/impl/sticky_claims.hpp>

namespace ottla::inline OTTLA_ABI::group_impl {

/// Where the partitions of each topic have moved from and to, so that instead of moving one more
/// from a to b, one that moved from b to a goes back.
class StickyMovements {
 public:
  StickyMovements(std::size_t topics, std::size_t partitions)
      : moved_(topics), origin_(partitions, none) {}

  /// Which partition of `topic` should go to `to` in the place of `partition`, which `from` has.
  Index instead_of(Index topic, Index partition, Index from, Index to) const {
    const Index origin = origin_[partition] == none ? from : origin_[partition];
    const auto reverse = moved_[topic].find({to, origin});
    return reverse == moved_[topic].end() ? partition : *reverse->second.begin();
  }

  void move(Index topic, Index partition, Index from, Index to) {
    Index origin = from;
    if (origin_[partition] != none) {
      origin = origin_[partition];
      const auto before = moved_[topic].find({origin, from});
      before->second.erase(partition);
      if (before->second.empty()) {
        moved_[topic].erase(before);
      }
    }
    origin_[partition] = origin == to ? none : origin;
    if (origin != to) {
      moved_[topic][{origin, to}].insert(partition);
    }
  }

 private:
  using Pair = std::pair<Index, Index>;
  std::vector<absl::btree_map<Pair, absl::btree_set<Index>>> moved_;
  std::vector<Index> origin_;
};

class StickyGeneral {
 public:
  StickyGeneral(const AssignmentIndex& index, const StickyClaims& claims)
      : index_(index),
        claims_(claims),
        size_(index.members()),
        owner_(index.partitions(), none),
        previous_(index.partitions(), none),
        movements_(index.topics(), index.partitions()) {
    std::vector<Index> everybody(index.members());
    std::iota(everybody.begin(), everybody.end(), Index{0});
    racks_matter_ = index.racks_matter(everybody, 0, static_cast<Index>(index.partitions()));
    topic_order_.resize(index.topics());
    std::iota(topic_order_.begin(), topic_order_.end(), Index{0});
    std::stable_sort(topic_order_.begin(), topic_order_.end(), [&index](Index a, Index b) {
      return index.subscribers(a).size() < index.subscribers(b).size();
    });
  }

  std::vector<std::vector<Index>> assign() {
    find_previous_owners();
    keep_owned();
    const bool initial = std::all_of(size_.begin(), size_.end(), [](Index n) { return n == 0; });
    const std::vector<Index> missing =
        partitions_where([this](Index p) { return owner_[p] == none; });
    if (racks_matter_) {
      assign_missing(true);
    }
    assign_missing(false);
    balance(missing, initial);
    std::vector<std::vector<Index>> assigned(index_.members());
    for (Index partition = 0; partition < index_.partitions(); ++partition) {
      assigned[owner_[partition]].push_back(partition);
    }
    return assigned;
  }

 private:
  /// In the order in which partitions are looked at: those of topics with fewer subscribers first.
  template <class Condition>
  std::vector<Index> partitions_where(Condition condition) const {
    std::vector<Index> found;
    for (const Index topic : topic_order_) {
      for (Index p = index_.first_partition(topic); p < index_.end_partition(topic); ++p) {
        if (condition(p)) {
          found.push_back(p);
        }
      }
    }
    return found;
  }

  /// Who had a partition in the newest generation before the newest.
  void find_previous_owners() {
    for (Index member = 0; member < index_.members(); ++member) {
      const Generation generation = index_.member(member).generation;
      if (generation.value() >= claims_.newest_generation) {
        continue;
      }
      for (const Index partition : claims_.said[member]) {
        Index& previous = previous_[partition];
        if (previous == none || generation > index_.member(previous).generation) {
          previous = member;
        }
      }
    }
  }

  void keep_owned() {
    for (Index member = 0; member < index_.members(); ++member) {
      const Index rack = racks_matter_ ? index_.rack_of(member) : none;
      for (const Index partition : claims_.counted[member]) {
        if (index_.subscribes(member, index_.topic_of(partition)) &&
            (rack == none || index_.is_in_rack(partition, rack))) {
          owner_[partition] = member;
          ++size_[member];
        } else {
          revocation_needed_ = true;
        }
      }
    }
  }

  /// Least loaded first, then by id.
  struct MoreLoaded {
    const std::vector<Index>* size;
    bool operator()(Index a, Index b) const {
      return std::pair((*size)[a], a) > std::pair((*size)[b], b);
    }
  };

  void assign_missing(bool in_rack) {
    for (const Index topic : topic_order_) {
      std::priority_queue<Index, std::vector<Index>, MoreLoaded> least_loaded(
          MoreLoaded{&size_}, index_.subscribers(topic));
      for (Index p = index_.first_partition(topic); p < index_.end_partition(topic); ++p) {
        if (owner_[p] != none) {
          continue;
        }
        std::vector<Index> passed_over;
        while (in_rack && !least_loaded.empty() && in_other_rack(least_loaded.top(), p)) {
          passed_over.push_back(least_loaded.top());
          least_loaded.pop();
        }
        if (!least_loaded.empty()) {
          const Index member = least_loaded.top();
          least_loaded.pop();
          owner_[p] = member;
          ++size_[member];
          least_loaded.push(member);
        }
        for (const Index member : passed_over) {
          least_loaded.push(member);
        }
      }
    }
  }
  bool in_other_rack(Index member, Index partition) const {
    return index_.rack_of(member) != none && !index_.is_in_rack(partition, index_.rack_of(member));
  }

  /// Whether its partitions have a choice.
  bool is_shared(Index topic) const { return index_.subscribers(topic).size() >= 2; }

  void balance(const std::vector<Index>& missing, bool initial) {
    const auto shared = [this](Index p) { return is_shared(index_.topic_of(p)); };
    const std::vector<Index> owner_before = owner_;
    const std::vector<Index> size_before = size_;
    if (!revocation_needed_) {
      std::vector<Index> shared_missing = missing;
      std::erase_if(shared_missing, [&shared](Index p) { return !shared(p); });
      move_while_it_helps(shared_missing);
    }
    const bool moved = move_while_it_helps(partitions_where(shared));
    if (!initial && moved && balance_score(size_) >= balance_score(size_before)) {
      owner_ = owner_before;
      size_ = size_before;
    }
  }

  /// Sum of the differences of sizes, over all pairs of members that can give or take.
  std::uint64_t balance_score(const std::vector<Index>& size) const {
    std::vector<Index> sizes;
    for (Index member = 0; member < index_.members(); ++member) {
      if (takes_part(member)) {
        sizes.push_back(size[member]);
      }
    }
    std::sort(sizes.begin(), sizes.end());
    std::uint64_t score = 0;
    std::uint64_t sum = 0;
    for (std::uint64_t i = 0; i < sizes.size(); ++i) {
      score += i * sizes[i] - sum;
      sum += sizes[i];
    }
    return score;
  }

  /// Members with private topics only have nothing to give, nor to take: they have all of these.
  bool takes_part(Index member) const {
    const std::vector<Index>& topics = index_.topics_of(member);
    return std::any_of(topics.begin(), topics.end(),
                       [this](Index topic) { return is_shared(topic); });
  }

  Index least_loaded(Index topic) const {
    const std::vector<Index>& members = index_.subscribers(topic);
    return *std::min_element(members.begin(), members.end(),
                             [this](Index a, Index b) { return size_[a] < size_[b]; });
  }

  bool move_while_it_helps(const std::vector<Index>& partitions) {
    bool moved_any = false;
    for (bool moved = true; moved;) {
      moved = false;
      Index topic = none;
      Index least = none;
      for (const Index partition : partitions) {
        if (index_.topic_of(partition) != topic) {
          topic = index_.topic_of(partition);
          least = least_loaded(topic);
        }
        const Index previous = previous_[partition];
        Index to = least;
        if (previous != none && index_.subscribes(previous, topic) &&
            size_[owner_[partition]] > size_[previous] + 1) {
          to = previous;
        }
        if (size_[owner_[partition]] > size_[to] + 1) {
          move(topic, partition, to);
          least = least_loaded(topic);
          moved = true;
        }
      }
      moved_any = moved_any || moved;
    }
    return moved_any;
  }

  void move(Index topic, Index partition, Index to) {
    // Moving another one back may take from a member that is no better off; a bound on that keeps
    // the loop finite.
    if (moves_++ < 4 * index_.partitions()) {
      partition = movements_.instead_of(topic, partition, owner_[partition], to);
    }
    const Index from = owner_[partition];
    movements_.move(topic, partition, from, to);
    --size_[from];
    ++size_[to];
    owner_[partition] = to;
  }

  const AssignmentIndex& index_;
  const StickyClaims& claims_;
  std::vector<Index> size_;
  std::vector<Index> owner_;     ///< of each partition
  std::vector<Index> previous_;  ///< of each partition, in an older generation
  std::vector<Index> topic_order_;
  StickyMovements movements_;
  std::size_t moves_ = 0;
  bool racks_matter_ = false;
  bool revocation_needed_ = false;
};

}  // namespace ottla::inline OTTLA_ABI::group_impl
