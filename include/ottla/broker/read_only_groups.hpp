// SPDX-License-Identifier: Apache-2.0
//
// What the groups of one partition of `__consumer_offsets` have committed, as somebody else writes
// it there: the machine of groups, which is asked and decides nothing.
#pragma once

#include <utility>

#include <ottla/base/guard.hpp>
#include <ottla/base/mutex.hpp>
#include <ottla/base/status.hpp>
#include <ottla/broker/baton.hpp>
#include <ottla/broker/coordinator_log.hpp>
#include <ottla/group/group_coordinator.hpp>

namespace ottla::inline OTTLA_ABI {

/// Thread-safe.
template <class Partition>
class ReadOnlyGroups final : public Counted {
 public:
  /// Of a partition; of none where nothing was ever committed.
  explicit ReadOnlyGroups(Ref<Partition> partition) : partition_(std::move(partition)) {}

  const Ref<Partition>& partition() const { return partition_; }

  /// Takes in what was written since; from the start where the log was cut back, or begins later
  /// now.
  absl::Status catch_up(World& world, SteadyTime deadline) {
    if (!partition_) {
      return absl::OkStatus();
    }
    if (!work_.take(world, deadline)) {
      return error(ErrorCode::coordinator_load_in_progress, Fault::timed_out,
                   "other groups are being loaded; try again");
    }
    absl::Status caught = guarded([&] { return load(); });
    work_.give();
    return caught;
  }

  template <class Ask>
  auto query(Ask ask) {
    Lock lock(mutex_);
    return ask(std::as_const(machine_));
  }

 private:
  absl::Status load() {
    OTTLA_ASSIGN(const auto view, partition_->look());
    const LeaderEpoch epoch = partition_->epoch();
    if (epoch != epoch_ || view.start() > next_) {
      Lock lock(mutex_);
      machine_ = GroupCoordinator();
      next_ = view.start();
    }
    epoch_ = epoch;
    return load_records(*partition_, next_, [&](const WrittenRecord& record) {
      Lock lock(mutex_);
      return machine_.apply(record);
    });
  }

  const Ref<Partition> partition_;
  Baton work_;
  Offset next_{-1};                      // by who has it
  LeaderEpoch epoch_ = no_leader_epoch;  // likewise
  Mutex mutex_;
  GroupCoordinator machine_ OTTLA_GUARDED_BY(mutex_);
};

}  // namespace ottla::inline OTTLA_ABI
