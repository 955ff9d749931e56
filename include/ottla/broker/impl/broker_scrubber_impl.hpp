// SPDX-License-Identifier: Apache-2.0
//
// Verifying all partitions: at once for the host, a step at a time in the background.
#pragma once

#include <algorithm>
#include <string_view>
#include <utility>
#include <vector>

#include <absl/strings/str_cat.h>

#include <ottla/base/guard.hpp>
#include <ottla/base/status.hpp>
#include <ottla/broker/broker_core.hpp>

namespace ottla::inline OTTLA_ABI {
namespace broker_impl {

inline constexpr std::size_t scrub_bytes = std::size_t{1} << 20;  // of one step

}  // namespace broker_impl

/// False: its caller ends it.
template <Env E>
absl::StatusOr<bool> BasicBrokerCore<E>::verify(Partition& partition,
                                                const VerifyProgress& progress,
                                                VerifyReport& report) {
  auto view = partition.view();
  if (!view.ok() && partition.is_closed()) {
    return true;  // deleted meanwhile
  }
  OTTLA_TRY(view.status());
  BasicLogVerification<Fs> log(*std::move(view));
  const std::int64_t before = report.bytes;
  for (bool more = true; more;) {
    OTTLA_TRY(usable());
    OTTLA_ASSIGN(more, log.step(broker_impl::scrub_bytes, *buffers_));
    report.bytes = before + log.checked_bytes();
    if (progress && !progress(report)) {
      return false;
    }
  }
  for (const LogDamage& found : log.damage()) {
    if (!partition.is_closed()) {  // else its files may be gone
      report.damage.push_back(
          {partition.partition(), found.file, found.position, found.why, found.fault});
    }
  }
  return true;
}

template <Env E>
absl::StatusOr<VerifyReport> BasicBrokerCore<E>::verify(const VerifyProgress& progress) {
  OTTLA_TRY(usable());
  VerifyReport report;
  for (const Ref<Topic>& topic : topics_.all()) {
    for (std::size_t i = 0; i < topic->partitions.size(); ++i) {
      const Ref<Partition>& partition = topic->partitions[i];
      ++report.partitions;
      if (!partition) {
        report.damage.push_back({.partition = {topic->name, PartitionId(static_cast<int>(i))},
                                 .file = {},
                                 .why = "it could not be opened; the broker's events say why",
                                 .fault = Fault::none});
        continue;
      }
      OTTLA_ASSIGN(const bool go_on, verify(*partition, progress, report));
      OTTLA_TRY(usable());  // else what could not be looked at seems to be deleted
      if (!go_on) {
        return report;
      }
    }
  }
  report.complete = true;
  return report;
}

/// When to go on.
template <Env E>
Duration BasicBrokerCore<E>::scrub() {
  if (!scrubbing_ && !find_scrubbing()) {
    return config_.scrubber.interval;
  }
  const std::int64_t before = scrubbing_->log.checked_bytes();
  const auto more = scrubbing_->log.step(broker_impl::scrub_bytes, *buffers_);
  const std::int64_t bytes = scrubbing_->log.checked_bytes() - before;
  if (!more.ok() && !scrubbing_->partition->is_closed()) {
    return std::chrono::minutes(1);  // the process lacks something
  }
  if (!more.ok() || !*more) {
    tell_damage(*std::exchange(scrubbing_, std::nullopt));
  }
  const double seconds = static_cast<double>(bytes) / config_.scrubber.max_bytes_per_second;
  return std::chrono::duration<double>(std::min(seconds, 3600.0));
}

/// An event a partition of each kind: there may be as many as files.
template <Env E>
void BasicBrokerCore<E>::tell_damage(const ScrubbingJob& done) {
  if (done.partition->is_closed()) {  // its files may be gone
    return;
  }
  std::vector<LogDamage> damage = done.log.damage();
  const auto unread =
      std::stable_partition(damage.begin(), damage.end(),
                            [](const LogDamage& each) { return each.fault == Fault::corrupt; });
  const auto tell = [&](std::string_view code, auto first, auto last, std::string_view remedy) {
    if (first == last) {
      return;
    }
    const auto more = last - first - 1;
    events_->tell(EventLevel::error, code, first->file,
                  absl::StrCat("byte ", first->position, ": ", first->why,
                               more > 0 ? absl::StrCat("; and ", more, " more files") : "", "; ",
                               av(remedy)));
  };
  tell("damage_found", damage.begin(), unread,
       "repair it (Broker::repair), restore from a backup, or delete the topic");
  tell("read_failed", unread, damage.end(), "see the device; it is read again in the next round");
}

/// The next partition of this round; false where none is left.
template <Env E>
bool BasicBrokerCore<E>::find_scrubbing() {
  TopicPartition& next = next_scrubbed_;
  Ref<Topic> topic = topics_.find(next.topic);
  for (;;) {
    const auto number = static_cast<std::size_t>(next.partition.value());
    if (!topic || number >= topic->partitions.size()) {
      topic = topics_.next(next.topic);
      next = {topic ? topic->name : std::string(), PartitionId(0)};
      if (!topic) {
        return false;
      }
      continue;
    }
    ++next.partition;
    const Ref<Partition>& partition = topic->partitions[number];
    if (!partition) {
      continue;
    }
    if (auto view = partition->view(); view.ok()) {
      scrubbing_.emplace(ScrubbingJob{partition, BasicLogVerification<Fs>(*std::move(view))});
      return true;
    }
  }
}

}  // namespace ottla::inline OTTLA_ABI
