// SPDX-License-Identifier: Apache-2.0
//
// Compaction in the background: one log at a time, the one with the largest share of new data, a
// step of a round each time the chore is due.
#pragma once

#include <algorithm>
#include <utility>

#include <absl/strings/str_cat.h>

#include <ottla/base/guard.hpp>
#include <ottla/base/status.hpp>
#include <ottla/broker/broker_core.hpp>

namespace ottla::inline OTTLA_ABI {

namespace broker_impl {
/// By the topic's id, and the number.
template <FileSystem Fs>
std::string cleaning_name(const BasicPartition<Fs>& partition) {
  return absl::StrCat(partition.topic_id().to_string(), " ",
                      partition.partition().partition.value());
}
}  // namespace broker_impl

template <Env E>
Duration BasicBrokerCore<E>::clean() {
  if (!cleaning_work_.take(world_, SteadyTime::min())) {
    return config_.cleaner.backoff;  // the broker is closing
  }
  Duration delay = config_.cleaner.backoff;
  const absl::Status done = guarded([&] { delay = clean_some(); });
  if (!done.ok() && cleaning_) {
    guarded([&] { end_cleaning(done); }).IgnoreError();
  }
  cleaning_work_.give();
  return delay;
}

/// With the baton, as all below. When to go on.
template <Env E>
Duration BasicBrokerCore<E>::clean_some() {
  if (!cleaning_) {
    find_cleaning();
    if (!cleaning_) {
      return config_.cleaner.backoff;
    }
  }
  const auto done = cleaning_->partition->clean_some(*cleaning_->round);
  if (!done.ok()) {
    end_cleaning(done.status());
    return config_.cleaner.backoff;
  }
  if (cleaning_->round->turn() == CleaningTurn::done) {
    end_cleaning(absl::OkStatus());
    return std::chrono::nanoseconds(0);
  }
  const double seconds = static_cast<double>(*done) / config_.cleaner.io_max_bytes_per_second;
  return std::chrono::duration<double>(std::min(seconds, 3600.0));
}

template <Env E>
void BasicBrokerCore<E>::find_cleaning() {
  using Candidate = typename Partition::CleaningCandidate;
  Ref<Partition> filthiest;
  std::optional<Candidate> candidate;
  for (const Ref<Topic>& topic : topics_.all()) {
    for (const Ref<Partition>& partition : topic->partitions) {
      if (!partition || !partition->config().log.compact || closed_.load() ||
          uncleanable_.count(broker_impl::cleaning_name(*partition)) > 0) {
        continue;
      }
      std::optional<Offset> checkpoint;
      noted(*partition, [&](BasicLogDirectory<Fs>& directory) {
        checkpoint = directory.offset(CheckpointKind::cleaned, partition->partition());
      });
      auto found = partition->find_cleaning(checkpoint);
      if (!found.ok()) {
        note_uncleanable(*partition, found.status());
      }
      if (found.ok() && *found &&
          (!candidate || (*found)->look.range.ratio() > candidate->look.range.ratio())) {
        filthiest = partition;
        candidate = *std::move(found);
      }
    }
  }
  if (candidate) {
    const CleanerConfig& cleaner = config_.cleaner;
    LogCleaningOptions options{.map_bytes = static_cast<std::size_t>(cleaner.dedupe_buffer_bytes),
                               .map_load_factor = cleaner.load_factor,
                               .io_bytes = static_cast<std::size_t>(cleaner.io_buffer_bytes),
                               .seed = env_.random().next()};
    auto round = filthiest->begin_cleaning(*std::move(candidate), std::move(options));
    if (!round.ok()) {
      return note_uncleanable(*filthiest, round.status());
    }
    cleaning_.emplace(CleaningJob{std::move(filthiest), *std::move(round)});
  }
}

/// What has failed would fail again and again, unless it was for want of something.
template <Env E>
void BasicBrokerCore<E>::note_uncleanable(const Partition& partition, const absl::Status& why) {
  const bool changed = error_code(why) == ErrorCode::offset_not_available;
  if (changed || fault(why) == Fault::closed || partition.is_closed()) {
    return;  // the log has changed: it is looked at again
  }
  if (!retriable(why)) {
    uncleanable_.insert(broker_impl::cleaning_name(partition));
  }
  events_->tell(EventLevel::error, "compaction_failed", partition.partition().to_string(),
                absl::StrCat(why.message(), "; it is left as it is"));
}

/// Nothing of a round that was begun is left; and what stopped one of `only` counts no more.
template <Env E>
void BasicBrokerCore<E>::give_up_cleaning(SteadyTime deadline, const Partition* only) {
  if (cleaning_work_.take(world_, deadline)) {
    if (cleaning_ && (only == nullptr || cleaning_->partition.get() == only)) {
      cleaning_->partition->give_up_cleaning();
      cleaning_.reset();
    }
    if (only != nullptr) {
      uncleanable_.erase(broker_impl::cleaning_name(*only));
    }
    cleaning_work_.give();
  }
}

/// How far the log is compacted is noted after it is: a checkpoint that leads would make a
/// tombstone go before what it deletes.
template <Env E>
void BasicBrokerCore<E>::end_cleaning(const absl::Status& ended) {
  const CleaningJob job = *std::exchange(cleaning_, std::nullopt);
  const TopicPartition& partition = job.partition->partition();
  if (ended.ok()) {
    const Ref<Directory> directory = noted(*job.partition, [&](BasicLogDirectory<Fs>& same) {
      same.set_offset(CheckpointKind::cleaned, partition, job.round->cleaned_to());
    });
    if (directory) {
      directory->checkpoint(CheckpointKind::cleaned, file_deadline()).IgnoreError();  // may lag
    }
    return;
  }
  job.partition->give_up_cleaning();
  note_uncleanable(*job.partition, ended);
}

}  // namespace ottla::inline OTTLA_ABI
