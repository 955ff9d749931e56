// SPDX-License-Identifier: Apache-2.0
//
// Fetching, waiting, looking up.
#pragma once

#include <algorithm>

#include <absl/strings/str_cat.h>

#include <ottla/base/guard.hpp>
#include <ottla/base/status.hpp>
#include <ottla/broker/partition.hpp>

namespace ottla::inline OTTLA_ABI {

template <FileSystem Fs>
absl::StatusOr<BasicLogView<Fs>> BasicPartition<Fs>::view() const {
  Lock lock(mutex_);
  OTTLA_TRY(refusal());
  return log_.view();
}

/// Never below the start: of what is deleted nothing waits to be synced.
template <FileSystem Fs>
Offset BasicPartition<Fs>::visible() const {
  return at_once()          ? next_offset_
         : always_durable() ? std::min(std::max(log_.durable_end(), log_.start()), log_.end())
                            : log_.end();
}

/// What was told is not taken back while the process lives.
template <FileSystem Fs>
Offset BasicPartition<Fs>::show_visible() {
  shown_ = std::max(shown_, visible());
  return visible();
}

template <FileSystem Fs>
Offset BasicPartition<Fs>::visible_to(IsolationLevel isolation) const {
  return isolation == IsolationLevel::read_committed
             ? log_.last_stable_offset(std::min(visible(), log_.end()))
             : visible();
}

template <FileSystem Fs>
std::uint64_t BasicPartition<Fs>::due_bytes() const {
  if (state_ != State::open || abandoned_) {
    return UINT64_MAX;
  }
  return at_once()          ? written_bytes_ + staged_.bytes()
         : always_durable() ? durable_bytes_
                            : written_bytes_;
}

template <FileSystem Fs>
absl::Status BasicPartition<Fs>::check_epoch(LeaderEpoch known) const {
  if (known == no_leader_epoch || known == epoch_) {
    return absl::OkStatus();
  }
  return error(known < epoch_ ? ErrorCode::fenced_leader_epoch : ErrorCode::unknown_leader_epoch,
               absl::StrCat(options_.partition.to_string(), " has leader epoch ", epoch_.value(),
                            ", not ", known.value()));
}

template <FileSystem Fs>
absl::Status BasicPartition<Fs>::check_fetch(const FetchPartition& request) const {
  OTTLA_TRY(check_epoch(request.current_leader_epoch));
  if (log_.damage() != nullptr && request.offset >= log_.end()) {
    return log_.view().check_range(
        request.offset);  // what was there is not known: not out of range
  }
  if (cut_ && request.offset > log_.end() && request.offset <= cut_->next) {
    return records_skipped(
        *cut_, cut_->first,
        absl::StrCat(options_.partition.to_string(), ": offsets ", cut_->first.value(), " to ",
                     cut_->next.value() - 1,
                     " were damaged, and a repair cut them off; reading goes on at ",
                     cut_->first.value()));
  }
  const Offset end = std::max(log_.end(), visible());
  if (request.offset < log_.start() || request.offset > end) {
    return error(ErrorCode::offset_out_of_range,
                 absl::StrCat(options_.partition.to_string(), " has offsets ", log_.start().value(),
                              " to ", end.value(), ", not ", request.offset.value()));
  }
  return absl::OkStatus();
}

template <FileSystem Fs>
std::size_t BasicPartition<Fs>::fetch(const FetchPartition& request, std::size_t max_bytes,
                                      bool at_least_one, FetchedPartition& into,
                                      IsolationLevel isolation) {
  const std::size_t before = into.slices.size();
  std::size_t bytes = 0;
  into.aborted.clear();
  absl::Status fetched =
      guarded([&] { bytes = read(request, max_bytes, at_least_one, into, isolation); });
  if (!fetched.ok()) {
    into.slices.erase(into.slices.begin() + static_cast<std::ptrdiff_t>(before), into.slices.end());
    into.status = std::move(fetched);
    return 0;
  }
  return bytes;
}

template <FileSystem Fs>
std::size_t BasicPartition<Fs>::read(const FetchPartition& request, std::size_t max_bytes,
                                     bool at_least_one, FetchedPartition& into,
                                     IsolationLevel isolation) {
  Lock lock(mutex_);
  used_ = true;
  const bool committed = isolation == IsolationLevel::read_committed;
  if (state_ == State::open && (!at_once() || committed) &&
      request.offset >= visible_to(isolation) && staged_.waiting_bytes() > 0 && may_write()) {
    write_staged();  // whatever add_waiter does not wait for
  }
  into.status = refusal();
  if (!into.status.ok()) {
    return 0;
  }
  const Offset end = visible_to(isolation);
  into.high_watermark = show_visible();
  into.last_stable_offset = visible_to(IsolationLevel::read_committed);
  into.log_start_offset = log_.start();
  into.status = check_fetch(request);
  const std::size_t budget =
      std::min(max_bytes, static_cast<std::size_t>(std::max(request.max_bytes, 0)));
  if (!into.status.ok() || request.offset >= end || (budget == 0 && !at_least_one)) {
    return 0;
  }
  struct Slices {
    FetchedPartition& into;
    void push_back(const SharedBytes& bytes) { into.slices.push_back({bytes, true}); }
  } taken{into};
  if (request.offset >= log_.end()) {
    ++metrics_.tail_fetches;
    return staged_.read(request.offset, budget, at_least_one, taken);
  }
  const BasicLogView<Fs> view = log_.view();
  const std::size_t slices = into.slices.size();
  if (!tail_.empty() && tail_.start() <= request.offset && request.offset < tail_.end()) {
    ++metrics_.tail_fetches;
    const std::size_t bytes = tail_.take(request.offset, end, budget, at_least_one, taken).bytes;
    lock.unlock();
    if (committed) {
      into.status = tell_aborted(view, request.offset, slices, into);
    }
    return into.status.ok() ? bytes : 0;
  }
  ++metrics_.file_fetches;
  lock.unlock();
  auto read =
      view.read({request.offset, std::min(end, view.end()), budget, at_least_one}, *buffers_);
  if (!read.ok()) {
    into.status = annotate(read.status(), options_.partition.to_string());
    return 0;
  }
  for (SharedBytes& piece : read->pieces) {
    into.slices.push_back({std::move(piece), true});
  }
  if (committed) {
    into.status = tell_aborted(view, request.offset, slices, into);
  }
  return into.status.ok() ? read->bytes : 0;
}

/// What a read_committed consumer has to leave out of the slices from index `first` on.
template <FileSystem Fs>
absl::Status BasicPartition<Fs>::tell_aborted(const BasicLogView<Fs>& view, Offset from,
                                              std::size_t first, FetchedPartition& into) const {
  if (into.slices.size() == first) {
    return absl::OkStatus();
  }
  Offset before = from;
  BatchCursor batches(into.slices.back().bytes.bytes(), "a slice", CheckCrc::skip);
  while (const BatchView* batch = batches.next()) {
    before = batch->header().next_offset();
  }
  auto aborted = view.aborted_transactions(from, before);
  if (!aborted.ok()) {
    into.slices.erase(into.slices.begin() + static_cast<std::ptrdiff_t>(first), into.slices.end());
    return annotate(aborted.status(), options_.partition.to_string());
  }
  for (const AbortedTransaction& each : *aborted) {
    into.aborted.push_back({each.producer_id, each.first_offset});
  }
  return absl::OkStatus();
}

template <FileSystem Fs>
bool BasicPartition<Fs>::add_waiter(const Ref<Wakeable>& waiter, Offset high_watermark,
                                    std::int64_t min_bytes, std::optional<Offset> last_stable) {
  Ref<Wakeable> pushed_out;
  {
    Lock lock(mutex_);
    if (state_ != State::open || visible() != high_watermark ||
        (last_stable && visible_to(IsolationLevel::read_committed) != *last_stable)) {
      return false;
    }
    const bool sees_staged = at_once() && !last_stable;
    const auto more = static_cast<std::uint64_t>(std::max<std::int64_t>(min_bytes, 1));
    if (!always_durable() && !sees_staged && may_write() && staged_.waiting_bytes() >= more) {
      return false;  // staged since: the fetch that follows writes it
    }
    const bool waits_for_write = at_once() && last_stable;
    waiters_.add(waiter, (waits_for_write ? written_bytes_ : due_bytes()) + more, pushed_out);
  }
  if (pushed_out) {
    pushed_out->wake();
  }
  return true;
}

template <FileSystem Fs>
ListOffsetsResponse::Partition BasicPartition<Fs>::list_offsets(
    const ListOffsetsRequest::Partition& request, IsolationLevel isolation) {
  ListOffsetsResponse::Partition answer{.partition = options_.partition};
  Lock lock(mutex_);
  used_ = true;
  absl::Status status = refusal();
  status = status.ok() ? check_epoch(request.current_leader_epoch) : status;
  if (!status.ok()) {
    answer.error = error_code(status);
    return answer;
  }
  const Offset end = visible_to(isolation);
  show_visible();
  if (request.timestamp == at_latest || request.timestamp == at_earliest) {
    answer.offset = request.timestamp == at_latest ? end : log_.start();
    answer.leader_epoch = log_.epochs().epoch_for_offset(answer.offset).value_or(no_leader_epoch);
    return answer;
  }
  if (end > log_.end() && staged_.waiting_bytes() > 0 && may_write()) {
    write_staged();  // what is looked up is in the log
  }
  const BasicLogView<Fs> view = log_.view();
  lock.unlock();
  if (end > view.end()) {
    answer.error = ErrorCode::offset_not_available;
    return answer;
  }
  if (request.timestamp < Timestamp(0) && request.timestamp != at_max_timestamp) {
    answer.error = ErrorCode::unsupported_version;
    return answer;
  }
  Decompressor decompressor;
  const auto found = request.timestamp == at_max_timestamp
                         ? view.find_max_timestamp(end, decompressor)
                         : view.find_timestamp(request.timestamp, end, decompressor);
  if (!found.ok()) {
    const ErrorCode code = error_code(found.status());
    answer.error = code == ErrorCode::unknown_server_error ? ErrorCode::kafka_storage_error : code;
  } else if (*found) {
    answer.offset = (*found)->offset;
    answer.timestamp = (*found)->timestamp;
    answer.leader_epoch = (*found)->leader_epoch;
  }
  return answer;
}

}  // namespace ottla::inline OTTLA_ABI
