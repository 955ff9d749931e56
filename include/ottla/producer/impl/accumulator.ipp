// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <iterator>
#include <utility>

#include <ottla/base/status.hpp>
#include <ottla/producer/accumulator.hpp>

namespace ottla::inline OTTLA_ABI {

OTTLA_INLINE std::int64_t PartitionQueue::memory_needed(const RecordFields& record) const {
  return std::max(options_.batch_size, static_cast<std::int64_t>(batch_size_upper_bound(record)));
}

OTTLA_INLINE std::int64_t PartitionQueue::estimated_size() const {
  const std::size_t size = open_->builder.size();
  if (open_->builder.fields().compression == CompressionType::none) {
    return static_cast<std::int64_t>(size);
  }
  return static_cast<std::int64_t>(batch_header_size +
                                   ratio_.estimated_size(size - batch_header_size));
}

OTTLA_INLINE bool PartitionQueue::has_room(const RecordFields& record) const {
  const std::size_t grows = open_->builder.size_with(record) - open_->builder.size();
  return estimated_size() + static_cast<std::int64_t>(grows) <= open_limit_;
}

OTTLA_INLINE void PartitionQueue::close() {
  closed_.push_back(*std::move(open_));
  open_.reset();
}

OTTLA_INLINE std::optional<ClosedBatch> PartitionQueue::drop_empty() {
  return open_->builder.empty() ? std::exchange(open_, std::nullopt) : std::nullopt;
}

OTTLA_INLINE absl::Status PartitionQueue::open(const RecordFields& record, SteadyTime now,
                                               std::int64_t granted) {
  std::int64_t charged = granted;
  if (charged == 0) {
    charged = memory_needed(record);
    if (!budget_.try_take(charged)) {
      return error(Fault::limit_reached, "buffer.memory is full");
    }
  }
  open_.emplace(ClosedBatch{.number = outcomes_.open(),
                            .builder = BatchBuilder(options_.fields),
                            .tags = {},
                            .charged = charged,
                            .opened = now});
  open_limit_ = charged;
  return absl::OkStatus();
}

OTTLA_INLINE bool PartitionQueue::close_open() {
  Lock lock(mutex_);
  if (!open_) {
    return false;
  }
  close();
  return true;
}

OTTLA_INLINE bool PartitionQueue::close_if_open(std::uint64_t batch) {
  Lock lock(mutex_);
  if (!open_ || open_->number != batch) {
    return false;
  }
  close();
  return true;
}

OTTLA_INLINE SteadyTime PartitionQueue::close_opened_by(SteadyTime time) {
  Lock lock(mutex_);
  if (!open_) {
    return never;
  }
  const SteadyTime opened = open_->opened;
  if (opened <= time) {
    close();
  }
  return opened;
}

OTTLA_INLINE std::optional<ClosedBatch> PartitionQueue::take() {
  Lock lock(mutex_);
  if (sending_ || closed_.empty()) {
    return std::nullopt;
  }
  sending_ = true;
  std::optional<ClosedBatch> batch(std::move(closed_.front()));
  closed_.pop_front();
  return batch;
}

OTTLA_INLINE void PartitionQueue::sent() {
  Lock lock(mutex_);
  sending_ = false;
}

OTTLA_INLINE std::vector<ClosedBatch> PartitionQueue::take_all() {
  Lock lock(mutex_);
  if (open_) {
    close();
  }
  std::vector<ClosedBatch> all(std::make_move_iterator(closed_.begin()),
                               std::make_move_iterator(closed_.end()));
  closed_.clear();
  return all;
}

OTTLA_INLINE void PartitionQueue::observed_ratio(float ratio) {
  Lock lock(mutex_);
  ratio_.update(ratio);
}

}  // namespace ottla::inline OTTLA_ABI
