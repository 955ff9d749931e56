// SPDX-License-Identifier: Apache-2.0
//
// The sticky assignment where all members subscribe to the same topics: everybody gets `least`
// partitions or one more, and a partition moves only where these sizes leave no choice.
#pragma once

#include <utility>
#include <vector>

#include <ottla/base/invariant.hpp>
#include <ottla/group/impl/assignment_index.hpp>
#include <ottla/group/impl/sticky_claims.hpp>

namespace ottla::inline OTTLA_ABI::group_impl {

class StickyConstrained {
 public:
  StickyConstrained(const AssignmentIndex& index, const StickyClaims& claims)
      : index_(index),
        claims_(claims),
        least_(index.partitions() / index.members()),
        extras_(index.partitions() % index.members()),
        assigned_(index.members()),
        kept_(index.partitions()),
        moves_(index.partitions()),
        given_up_by_(index.partitions(), none) {
    std::vector<Index> everybody(index.members());
    std::iota(everybody.begin(), everybody.end(), Index{0});
    racks_matter_ = index.racks_matter(everybody, 0, static_cast<Index>(index.partitions()));
  }

  std::vector<std::vector<Index>> assign() {
    keep_owned();
    std::vector<Index> rest;
    for (Index partition = 0; partition < index_.partitions(); ++partition) {
      if (!kept_[partition]) {
        rest.push_back(partition);
      }
    }
    if (racks_matter_) {
      rest = hand_out_in_racks(std::move(rest));
    }
    hand_out(rest);
    return std::move(assigned_);
  }

  /// Whether somebody else than its member in the assignment owns the partition.
  bool moves(Index partition) const { return moves_[partition]; }

 private:
  bool in_other_rack(Index member, Index partition) const {
    const Index rack = racks_matter_ ? index_.rack_of(member) : none;
    return rack != none && !index_.is_in_rack(partition, rack);
  }

  /// One more member has `least` + 1; when it was the last one, those that have exactly `least` are
  /// full.
  void use_extra() {
    if (++extras_used_ == extras_) {
      exact_.clear();
    }
  }

  void keep_owned() {
    for (Index member = 0; member < index_.members(); ++member) {
      std::vector<Index> owned;
      for (const Index partition : claims_.counted[member]) {
        if (in_other_rack(member, partition)) {
          given_up_by_[partition] = member;
        } else if (!claims_.disputed[partition]) {
          owned.push_back(partition);
        }
      }
      std::sort(owned.begin(), owned.end(), [this](Index a, Index b) {
        const Index first = a - index_.first_partition(index_.topic_of(a));
        const Index second = b - index_.first_partition(index_.topic_of(b));
        return std::pair(first, index_.topic_of(a)) < std::pair(second, index_.topic_of(b));
      });
      std::size_t keep = owned.size();
      if (owned.size() < least_) {
        under_.push_back(member);
      } else if (owned.size() > least_ && extras_used_ < extras_) {
        use_extra();
        keep = least_ + 1;
      } else {
        keep = least_;
        if (extras_used_ < extras_) {
          exact_.push_back(member);
        }
      }
      for (std::size_t i = 0; i < owned.size(); ++i) {
        if (i < keep) {
          assigned_[member].push_back(owned[i]);
          kept_[owned[i]] = true;
        } else {
          given_up_by_[owned[i]] = member;
        }
      }
    }
  }

  void give(Index member, Index partition) {
    assigned_[member].push_back(partition);
    const Index before = given_up_by_[partition];
    if ((before != none && before != member) || claims_.disputed[partition]) {
      moves_[partition] = true;
    }
  }

  /// The place in `members` of the next one, from `start` on and round, whose rack has the
  /// partition.
  std::size_t next_in_rack(const std::vector<Index>& members, std::size_t start,
                           Index partition) const {
    for (std::size_t i = 0; i < members.size(); ++i) {
      const std::size_t place = (start + i) % members.size();
      const Index rack = index_.rack_of(members[place]);
      if (rack != none && index_.is_in_rack(partition, rack)) {
        return place;
      }
    }
    return members.size();
  }

  /// Gives what can go to a member of its own rack, those first that fewest members could take.
  /// Returns the rest.
  std::vector<Index> hand_out_in_racks(std::vector<Index> partitions) {
    std::vector<std::size_t> members_in(index_.racks());
    for (Index member = 0; member < index_.members(); ++member) {
      if (index_.rack_of(member) != none) {
        ++members_in[index_.rack_of(member)];
      }
    }
    std::vector<std::size_t> takers(index_.partitions());
    for (const Index partition : partitions) {
      for (const Index rack : index_.racks_of(partition)) {
        takers[partition] += members_in[rack];
      }
    }
    std::stable_sort(partitions.begin(), partitions.end(),
                     [&takers](Index a, Index b) { return takers[a] < takers[b]; });
    std::vector<Index> rest;
    std::size_t next = 0;
    for (const Index partition : partitions) {
      if (takers[partition] == 0 || !hand_out_in_rack(partition, next)) {
        rest.push_back(partition);
      }
    }
    return rest;
  }

  bool hand_out_in_rack(Index partition, std::size_t& next) {
    if (std::size_t place = next_in_rack(under_, next, partition); place < under_.size()) {
      const Index member = under_[place];
      give(member, partition);
      if (assigned_[member].size() == least_) {
        under_.erase(under_.begin() + static_cast<std::ptrdiff_t>(place));
        if (extras_used_ < extras_) {
          exact_.push_back(member);
        }
      } else {
        ++place;
      }
      next = under_.empty() ? 0 : place % under_.size();
      return true;
    }
    const std::size_t place = next_in_rack(exact_, 0, partition);
    if (place == exact_.size()) {
      return false;
    }
    const Index member = exact_[place];
    give(member, partition);
    exact_.erase(exact_.begin() + static_cast<std::ptrdiff_t>(place));
    use_extra();
    return true;
  }

  /// Round and round those below `least`; then one more to those that have exactly that, first
  /// come, first served.
  void hand_out(const std::vector<Index>& partitions) {
    auto next = partitions.begin();
    while (!under_.empty() && next != partitions.end()) {
      std::vector<Index> still_under;
      for (const Index member : under_) {
        if (next == partitions.end()) {
          break;
        }
        give(member, *next++);
        (assigned_[member].size() == least_ ? exact_ : still_under).push_back(member);
      }
      under_ = std::move(still_under);
    }
    const auto left = static_cast<std::size_t>(partitions.end() - next);
    if (!invariant(left <= exact_.size())) {
      return;
    }
    for (std::size_t i = 0; i < left; ++i) {
      give(exact_[i], *next++);
    }
  }

  const AssignmentIndex& index_;
  const StickyClaims& claims_;
  const std::size_t least_;
  const std::size_t extras_;  ///< how many members have `least_` + 1 in the end
  std::size_t extras_used_ = 0;
  bool racks_matter_ = false;
  std::vector<Index> under_;  ///< have fewer than `least_`
  std::vector<Index> exact_;  ///< have `least_` and may get one more
  std::vector<std::vector<Index>> assigned_;
  std::vector<bool> kept_;
  std::vector<bool> moves_;
  std::vector<Index> given_up_by_;
};

}  // namespace ottla::inline OTTLA_ABI::group_impl
