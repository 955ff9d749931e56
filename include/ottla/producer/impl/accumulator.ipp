// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <utility>

#include <ottla/base/guard.hpp>
#include <ottla/base/status.hpp>
#include <ottla/producer/accumulator.hpp>

namespace ottla::inline OTTLA_ABI {

OTTLA_INLINE std::int64_t PartitionQueue::memory_needed(const RecordFields& record) const {
  return std::max(options_.batch_size, static_cast<std::int64_t>(batch_size_upper_bound(record)));
}

OTTLA_INLINE std::int64_t PartitionQueue::estimated_compressed_size() const {
  const std::size_t size = open_->builder.size();
  return static_cast<std::int64_t>(batch_header_size +
                                   ratio_.estimated_size(size - batch_header_size));
}

/// However small it may become compressed, readers take no more.
OTTLA_INLINE bool PartitionQueue::has_room_exactly(const RecordFields& record,
                                                   Timestamp timestamp) const {
  const std::size_t size = open_->builder.size_with(record, timestamp);
  const std::size_t grows = size - open_->builder.size();
  return estimated_size() + static_cast<std::int64_t>(grows) <= open_limit_ &&
         (options_.fields.compression == CompressionType::none ||
          size - batch_header_size <= DecompressionLimits().max_bytes);
}

OTTLA_INLINE bool PartitionQueue::make_room(std::size_t size) {
  BatchBuilder& builder = open_->builder;
  const std::size_t now = builder.capacity();
  const std::size_t needed = size + batch_memory_slack;
  if (needed <= now) [[likely]] {
    return true;
  }
  constexpr std::size_t most =
      batch_header_size + DecompressionLimits().max_bytes + batch_memory_slack;
  for (const std::size_t step : {now, now / 8}) {
    const std::size_t wanted = std::max(needed, std::min(now + step, most));
    const std::int64_t more =
        std::max(std::int64_t{0}, static_cast<std::int64_t>(wanted) - open_->charged);
    if (more == 0 || budget_.try_take(more)) {
      open_->charged += more;
      Buffer larger = Buffer::allocate(wanted);
      if (larger) {
        builder.move_to(std::move(larger));
      }
      return builder.capacity() >= needed;
    }
  }
  return false;
}

OTTLA_INLINE void PartitionQueue::close() noexcept {
  open_->records = open_->builder.record_count();
  const std::size_t size = open_->builder.size();
  spare_.front() = *std::move(open_);
  closed_.splice(closed_.end(), spare_, spare_.begin());
  open_.reset();
  expected_size_ = size + size / 8 + batch_memory_slack;
}

OTTLA_INLINE bool PartitionQueue::keep_tag(std::uint64_t tag) {
  std::vector<std::uint64_t>& tags = open_->tags;
  return guarded([&] { tags.push_back(tag); }).ok();
}

OTTLA_INLINE std::optional<ClosedBatch> PartitionQueue::drop_empty() {
  return open_->builder.empty() ? std::exchange(open_, std::nullopt) : std::nullopt;
}

/// As much as the last batch needed, of what is paid for: so neither is a full one copied as it
/// grows nor has a small one, kept in memory by its readers, a large block.
OTTLA_INLINE Buffer PartitionQueue::first_memory(const RecordFields& record) const {
  const std::size_t wanted = std::min(std::max(expected_size_, batch_size_upper_bound(record)),
                                      static_cast<std::size_t>(open_limit_) + batch_memory_slack);
  const std::size_t block = options_.memory ? options_.memory->block_size() : 0;
  return wanted <= block && block / 2 < wanted ? options_.memory->take() : Buffer::allocate(wanted);
}

OTTLA_INLINE absl::Status PartitionQueue::open(const RecordFields& record, SteadyTime now,
                                               GivenBack& granted) {
  if (ended_) {
    return error(Fault::closed, "the producer was closed; open a new one");
  }
  if (granted.bytes == 0) {
    const std::int64_t needed = memory_needed(record);
    if (!budget_.try_take(needed)) {
      return error(Fault::limit_reached, "buffer.memory is full");
    }
    granted.bytes = needed;
  }
  if (spare_.empty()) {
    spare_.emplace_back();
  }
  open_limit_ = granted.bytes;
  const std::uint64_t number = outcomes_.open(this);
  Buffer buffer = first_memory(record);
  open_.emplace();
  open_->number = number;
  open_->charged = std::exchange(granted.bytes, 0);
  open_->opened = now;
  open_->builder = buffer ? BatchBuilder(options_.fields, std::move(buffer))
                          : BatchBuilder(options_.fields);  // its first append says so
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

OTTLA_INLINE std::optional<ClosedBatch> PartitionQueue::take_front(Take what) {
  if (holds_ > 0) {
    return std::nullopt;
  }
  if (closed_.empty() && what == Take::open_too && open_) {
    close();
  }
  if (closed_.empty()) {
    return std::nullopt;
  }
  std::optional<ClosedBatch> batch(std::move(closed_.front()));
  if (spare_.size() < 2) {
    spare_.splice(spare_.end(), closed_, closed_.begin());
  } else {
    closed_.pop_front();
  }
  return batch;
}

OTTLA_INLINE std::optional<ClosedBatch> PartitionQueue::take(Take what) {
  Lock lock(mutex_);
  if (sending_) {
    return std::nullopt;
  }
  std::optional<ClosedBatch> batch = take_front(what);
  sending_ = batch.has_value();
  return batch;
}

OTTLA_INLINE std::optional<ClosedBatch> PartitionQueue::take_next(Take what) {
  Lock lock(mutex_);
  std::optional<ClosedBatch> batch = take_front(what);
  sending_ = batch.has_value();
  return batch;
}

OTTLA_INLINE PartitionQueue::PutBack PartitionQueue::put_back(std::list<ClosedBatch>& batches,
                                                              bool hold) noexcept {
  Lock lock(mutex_);
  if (ended_) {
    return PutBack::ended;
  }
  const auto place = batches.front().place();
  const auto behind = std::find_if(closed_.begin(), closed_.end(),
                                   [&](const ClosedBatch& each) { return each.place() > place; });
  closed_.splice(behind, batches);
  holds_ += hold ? 1 : 0;
  return holds_ > 0 ? PutBack::held : PutBack::queued;
}

OTTLA_INLINE bool PartitionQueue::comes_first(const ClosedBatch& taken) {
  Lock lock(mutex_);
  return closed_.empty() || closed_.front().place() > taken.place();
}

OTTLA_INLINE void PartitionQueue::release() noexcept {
  Lock lock(mutex_);
  --holds_;
}

OTTLA_INLINE std::list<ClosedBatch> PartitionQueue::end() {
  Lock lock(mutex_);
  if (open_) {
    close();
  }
  ended_ = true;
  return std::exchange(closed_, {});
}

OTTLA_INLINE void PartitionQueue::observed_ratio(float ratio) {
  Lock lock(mutex_);
  ratio_.update(ratio);
}

OTTLA_INLINE void PartitionQueue::observed_overflow(float ratio) {
  Lock lock(mutex_);
  ratio_.restart_at(std::max(1.0F, ratio));
}

}  // namespace ottla::inline OTTLA_ABI
