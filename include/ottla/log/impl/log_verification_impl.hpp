// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <utility>

#include <ottla/base/crc32c.hpp>
#include <ottla/base/guard.hpp>
#include <ottla/base/status.hpp>
#include <ottla/log/directory_health.hpp>
#include <ottla/log/log_verification.hpp>
#include <ottla/record/batch_view.hpp>

namespace ottla::inline OTTLA_ABI {

template <FileSystem Fs>
BasicLogVerification<Fs>::BasicLogVerification(BasicLogView<Fs> view) : view_(std::move(view)) {
  if (view_.damage_ != nullptr) {
    found({view_.damage_->file, view_.damage_->position, view_.damage_->why});
  }
}

template <FileSystem Fs>
void BasicLogVerification<Fs>::found(LogDamage damage) {
  const bool known = std::any_of(damage_.begin(), damage_.end(),
                                 [&](const LogDamage& each) { return each.file == damage.file; });
  if (!known) {
    damage_.push_back(std::move(damage));
  }
}

template <FileSystem Fs>
void BasicLogVerification<Fs>::next_segment() {
  ++index_;
  position_ = 0;
  within_ = {};
  digest_ = 0;
}

template <FileSystem Fs>
absl::StatusOr<bool> BasicLogVerification<Fs>::step(std::size_t bytes, ReadBuffers& buffers) {
  return guarded([&]() -> absl::StatusOr<bool> {
    const auto& segments = view_.list_->segments;
    for (auto left = static_cast<std::int64_t>(bytes); left > 0 && index_ < segments.size();) {
      LogSegment& entry = *segments[index_];
      const log_impl::Pin<Fs> pin(entry);
      if (!pin) {
        next_segment();  // deleted, or compacted: another view has what came instead
        continue;
      }
      const auto segment = entry.segment();
      const bool last = index_ + 1 == segments.size();
      const std::int64_t end = !segment.ok() ? 0 : last ? view_.end_position_ : (*segment)->size();
      const auto checked = !segment.ok()
                               ? absl::StatusOr<std::int64_t>(segment.status())
                               : check(**segment, end, static_cast<std::size_t>(left), buffers);
      if (not_tried(checked.status()) || fault(checked.status()) == Fault::closed) {
        return checked.status();
      }
      if (!checked.ok()) {
        if (entry.gone() == LogSegment::Gone::no) {
          const Fault why = fault(checked.status());
          found({entry.path(), position_, std::string(sv(checked.status().message())),
                 why == Fault::not_found ? Fault::corrupt : why});
        }
        next_segment();
        continue;
      }
      position_ += *checked;
      checked_ += *checked;
      left -= std::max<std::int64_t>(*checked, 1);
      if (position_ >= end) {
        if (!last && entry.closed_digest().value_or(digest_) != digest_) {
          found({entry.path(), 0, "its batches are not those that were there when it was closed"});
        }
        next_segment();
      }
    }
    return index_ < segments.size();
  });
}

/// How many bytes of it, from `position_` on.
template <FileSystem Fs>
absl::StatusOr<std::int64_t> BasicLogVerification<Fs>::check(const Segment& segment,
                                                             std::int64_t end, std::size_t bytes,
                                                             ReadBuffers& buffers) {
  const std::size_t wanted =
      std::min({bytes, ReadBuffers::block_size,
                static_cast<std::size_t>(std::max<std::int64_t>(end - position_, 0))});
  if (wanted == 0) {
    return 0;
  }
  if (const auto& segments = view_.list_->segments; index_ + 1 < segments.size()) {
    within_.below = segments[index_ + 1]->base();
  }
  OTTLA_ASSIGN(const SharedBytes read,
               segment.check_again(position_, wanted, buffers.take(), &within_));
  BatchCursor batches(read.bytes(), "a segment", CheckCrc::skip);
  for (std::size_t at = 0; batches.next() != nullptr; at = batches.position()) {
    digest_ = crc32c(read.bytes().subspan(at, batch_header_size), digest_);
  }
  return static_cast<std::int64_t>(read.size());
}

}  // namespace ottla::inline OTTLA_ABI
