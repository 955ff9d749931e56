// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>

#include <ottla/broker/read_only_partition.hpp>
#include <ottla/env/small_file.hpp>
#include <ottla/log/partition_metadata.hpp>

namespace ottla::inline OTTLA_ABI {

template <FileSystem Fs>
absl::Status BasicReadOnlyPartition<Fs>::check_isolation(IsolationLevel isolation) {
  return isolation == IsolationLevel::read_uncommitted
             ? absl::OkStatus()
             : error(ErrorCode::unsupported_version, Fault::unsupported,
                     "a broker that was opened with Access::read_only does not know which "
                     "transactions are open; read with isolation read_uncommitted");
}

template <FileSystem Fs>
auto BasicReadOnlyPartition<Fs>::view(LeaderEpoch known) const -> absl::StatusOr<View> {
  Lock lock(mutex_);
  if (closed_) {
    return error(ErrorCode::not_leader_or_follower, Fault::closed,
                 absl::StrCat(options_.partition.to_string(), " is closed"));
  }
  if (known != no_leader_epoch && known != epoch_) {
    return error(known < epoch_ ? ErrorCode::fenced_leader_epoch : ErrorCode::unknown_leader_epoch,
                 absl::StrCat(options_.partition.to_string(), " has leader epoch ", epoch_.value(),
                              ", not ", known.value()));
  }
  return view_.value_or(View());
}

/// UNKNOWN_TOPIC_ID where the directory is not there any more, or another topic's.
template <FileSystem Fs>
absl::Status BasicReadOnlyPartition<Fs>::check_owner() {
  const std::string path = absl::StrCat(options_.directory, "/", av(partition_metadata_file));
  const auto text = read_small_file(files_, path, std::size_t{64} << 10);
  if (text.ok()) {
    const auto id = parse_partition_metadata(*text, path);
    if (!id.ok() || *id == options_.topic_id) {
      return absl::OkStatus();
    }
  } else if (fault(text.status()) != Fault::not_found) {
    return absl::OkStatus();
  }
  return error(ErrorCode::unknown_topic_id, Fault::not_found,
               absl::StrCat(options_.partition.to_string(),
                            " was deleted, or its topic made anew; look it up again"));
}

template <FileSystem Fs>
absl::Status BasicReadOnlyPartition<Fs>::look_at_files(bool anew) {
  const Offset start = log_start_.load();
  if (!log_) {
    LogOpening opening = options_.opening;
    opening.log_start = std::max(opening.log_start, start);
    OTTLA_ASSIGN(log_, BasicReadOnlyLog<Fs>::open(files_, options_.directory, opening));
    return absl::OkStatus();
  }
  return anew ? log_->reopen() : log_->refresh(start);
}

template <FileSystem Fs>
absl::Status BasicReadOnlyPartition<Fs>::look(bool anew) {
  if (!work_.take(world_, file_deadline())) {
    return error(ErrorCode::kafka_storage_error, Fault::timed_out,
                 absl::StrCat(options_.directory, ": the disk is busy; try again"));
  }
  absl::Status looked = gone_.ok() ? guarded([&] { return look_at_files(anew); }) : gone_;
  const Offset before = [&] {
    Lock lock(mutex_);
    return view_ ? view_->end() : Offset(-1);
  }();
  if (gone_.ok() && (!looked.ok() || log_->view().end() != before)) {  // whose records are these?
    gone_ = guarded([&] { return check_owner(); });
    looked = gone_.ok() ? looked : gone_;
  }
  const bool cut = log_ && error_code(looked) == ErrorCode::offset_out_of_range;
  std::uint64_t end = 0;
  std::optional<View> other;  // then the old one: its files are closed without the lock
  if (log_ && (looked.ok() || cut)) {
    other = log_->view();
    Lock lock(mutex_);
    if (!closed_) {
      view_.swap(other);
      epoch_ = cut ? epoch_ + 1 : epoch_;
      end = cut ? UINT64_MAX : static_cast<std::uint64_t>(view_->end().value());
    }
  }
  work_.give();
  wake(end);
  if (cut) {
    events_->tell(EventLevel::warning, "log_cut_back", options_.partition.to_string(),
                  sv(looked.message()));
  }
  return cut ? absl::OkStatus() : annotate(looked, options_.partition.to_string());
}

template <FileSystem Fs>
auto BasicReadOnlyPartition<Fs>::look() -> absl::StatusOr<View> {
  OTTLA_TRY(view().status());
  OTTLA_TRY(look(false));
  return view();
}

template <FileSystem Fs>
void BasicReadOnlyPartition<Fs>::wake(std::uint64_t to) {
  std::array<Ref<Wakeable>, 8> woken;
  std::size_t n = woken.size();
  while (n == woken.size()) {
    {
      Lock lock(mutex_);
      n = waiters_.due(to) ? waiters_.take_due(to, woken) : 0;
    }
    for (std::size_t i = 0; i < n; ++i) {
      std::exchange(woken[i], {})->wake();
    }
  }
}

template <FileSystem Fs>
std::size_t BasicReadOnlyPartition<Fs>::fetch(const FetchPartition& request, std::size_t max_bytes,
                                              bool at_least_one, FetchedPartition& into,
                                              IsolationLevel isolation) {
  const std::size_t before = into.slices.size();
  std::size_t bytes = 0;
  into.aborted.clear();
  into.status = guarded([&]() -> absl::Status {
    OTTLA_TRY(check_isolation(isolation));
    OTTLA_ASSIGN(bytes, read(request, max_bytes, at_least_one, into));
    return absl::OkStatus();
  });
  if (!into.status.ok()) {
    into.slices.erase(into.slices.begin() + static_cast<std::ptrdiff_t>(before), into.slices.end());
    return 0;
  }
  return bytes;
}

/// What fails is tried once more on files that are opened anew: the writer may have taken them
/// away.
template <FileSystem Fs>
absl::StatusOr<std::size_t> BasicReadOnlyPartition<Fs>::read(const FetchPartition& request,
                                                             std::size_t max_bytes,
                                                             bool at_least_one,
                                                             FetchedPartition& into) {
  const std::size_t budget =
      std::min(max_bytes, static_cast<std::size_t>(std::max(request.max_bytes, 0)));
  OTTLA_ASSIGN(View view, this->view());
  OTTLA_TRY(request.offset >= view.end() ? look(false) : absl::OkStatus());
  for (bool anew = false;; anew = true) {
    OTTLA_ASSIGN(view, this->view(request.current_leader_epoch));
    into.high_watermark = into.last_stable_offset = view.end();
    into.log_start_offset = view.start();
    OTTLA_TRY(annotate(view.check_range(request.offset), options_.partition.to_string()));
    if (request.offset == view.end() || (budget == 0 && !at_least_one)) {
      return 0;
    }
    auto found = view.read({request.offset, view.end(), budget, at_least_one}, *buffers_);
    if (found.ok()) {
      for (SharedBytes& piece : found->pieces) {
        into.slices.push_back({std::move(piece), true});
      }
      return found->bytes;
    }
    if (anew) {
      return annotate(found.status(), options_.partition.to_string());
    }
    OTTLA_TRY(look(true));
  }
}

template <FileSystem Fs>
bool BasicReadOnlyPartition<Fs>::add_waiter(const Ref<Wakeable>& waiter, Offset high_watermark,
                                            std::int64_t /*min_bytes*/, std::optional<Offset>) {
  Ref<Wakeable> pushed_out;
  {
    Lock lock(mutex_);
    if (closed_ || !view_ || view_->end() != high_watermark) {
      return false;
    }
    waiters_.add(waiter, static_cast<std::uint64_t>(high_watermark.value()) + 1, pushed_out);
  }
  if (pushed_out) {
    pushed_out->wake();
  }
  return true;
}

template <FileSystem Fs>
bool BasicReadOnlyPartition<Fs>::poll() {
  if (!has_waiters()) {
    return false;
  }
  const bool looked = look(false).ok();  // else the next fetch says what is wrong
  const bool all = [&] {
    Lock lock(mutex_);
    polls_ = polls_ == most_polls ? 0 : polls_ + 1;
    return !looked || polls_ == 0;
  }();
  if (all) {
    wake(UINT64_MAX);
  }
  return has_waiters();
}

template <FileSystem Fs>
absl::StatusOr<std::optional<FoundOffset>> BasicReadOnlyPartition<Fs>::find(Timestamp target) {
  Decompressor decompressor;
  for (bool anew = false;; anew = true) {
    OTTLA_ASSIGN(const View view, this->view());
    auto found = target == at_max_timestamp ? view.find_max_timestamp(view.end(), decompressor)
                                            : view.find_timestamp(target, view.end(), decompressor);
    if (found.ok() || anew) {
      return found;
    }
    OTTLA_TRY(look(true));
  }
}

template <FileSystem Fs>
ListOffsetsResponse::Partition BasicReadOnlyPartition<Fs>::list_offsets(
    const ListOffsetsRequest::Partition& request, IsolationLevel isolation) {
  ListOffsetsResponse::Partition answer{.partition = options_.partition};
  const absl::Status listed = guarded([&]() -> absl::Status {
    OTTLA_TRY(check_isolation(isolation));
    OTTLA_TRY(look().status());
    OTTLA_ASSIGN(const View view, this->view(request.current_leader_epoch));
    if (request.timestamp == at_latest || request.timestamp == at_earliest) {
      answer.offset = request.timestamp == at_latest ? view.end() : view.start();
      return absl::OkStatus();
    }
    if (request.timestamp < Timestamp(0) && request.timestamp != at_max_timestamp) {
      return error(ErrorCode::unsupported_version, "a time that is not known");
    }
    OTTLA_ASSIGN(const auto found, find(request.timestamp));
    if (found) {
      answer.offset = found->offset;
      answer.timestamp = found->timestamp;
      answer.leader_epoch = found->leader_epoch;
    }
    return absl::OkStatus();
  });
  const ErrorCode code = error_code(listed);
  answer.error = code == ErrorCode::unknown_server_error ? ErrorCode::kafka_storage_error : code;
  return answer;
}

template <FileSystem Fs>
void BasicReadOnlyPartition<Fs>::close(SteadyTime deadline) {
  std::optional<View> view;
  {
    Lock lock(mutex_);
    closed_ = true;
    view.swap(view_);
  }
  wake(UINT64_MAX);
  if (work_.take(world_, deadline)) {
    log_.reset();
    work_.give();
  }
}

}  // namespace ottla::inline OTTLA_ABI
