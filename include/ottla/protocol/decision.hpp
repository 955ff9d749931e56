// SPDX-License-Identifier: Apache-2.0
//
// The words of a rule machine: state that changes by rules alone, without a clock, a thread or a
// file.
//   decide(event, now)  changes nothing and says what should happen: a Decision
//   apply(record), apply(soft change)  are the only ways that its state changes
// Whoever keeps a machine (the keeper) takes one event at a time; the README tells what it does
// with a decision.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include <absl/status/status.h>

#include <ottla/base/bytes.hpp>
#include <ottla/base/error_code.hpp>
#include <ottla/base/ids.hpp>
#include <ottla/base/time.hpp>

namespace ottla::inline OTTLA_ABI {

/// When an event is decided, as its keeper tells it.
struct Now {
  SteadyTime steady;  ///< of timers
  Timestamp wall;     ///< of what is written
};

/// Given to each request by the keeper; never used twice for one machine.
using RequestId = StrongInt<struct RequestIdTag, std::uint64_t>;

/// A record to write.
struct MachineRecord {
  std::optional<std::vector<std::byte>> key = {};
  std::optional<std::vector<std::byte>> value = {};  ///< nothing: a tombstone

  bool operator==(const MachineRecord&) const = default;
};

enum class TransactionMarker : std::uint8_t { none, commit, abort };

/// A record that is written: just now, or found in the log when the machine is rebuilt from it.
struct WrittenRecord {
  std::optional<Bytes> key = {};
  std::optional<Bytes> value = {};
  Offset offset = {};
  ProducerId producer = no_producer_id;                ///< of the transaction that it belongs to
  TransactionMarker marker = TransactionMarker::none;  ///< ends that; has no key and no value
};

template <class Response>
struct Answer {
  RequestId request;  ///< this event's, or one that was left without an answer earlier
  Response response;
};

template <class Timer>
struct TimerChange {
  Timer timer;          ///< there is one deadline for each: an earlier one is replaced
  SteadyTime deadline;  ///< `never`: disarmed
};

/// For machines that ask nothing of the world but records and timers.
struct NoEffect {};

template <class SoftChange_, class Response_, class Timer_, class Effect_ = NoEffect>
struct Decision {
  using SoftChange = SoftChange_;
  using Response = Response_;
  using Timer = Timer_;
  using Effect = Effect_;

  std::vector<MachineRecord> records;  ///< written together or not at all
  std::vector<SoftChange> soft_changes;
  std::vector<Answer<Response>> answers;
  /// Requests left without an answer earlier, whose sender asked anew or left: nobody waits for
  /// them.
  std::vector<RequestId> superseded;
  std::vector<TimerChange<Timer>> timers;
  std::vector<Effect> effects;

  void write(std::vector<std::byte> key, std::optional<std::vector<std::byte>> value) {
    records.push_back({std::move(key), std::move(value)});
  }
  void answer(RequestId request, Response response) {
    answers.push_back({request, std::move(response)});
  }
  void arm(Timer timer, SteadyTime deadline) { timers.push_back({std::move(timer), deadline}); }
  void disarm(Timer timer) { arm(std::move(timer), never); }
};

/// Not thread-safe: its keeper asks and changes it from one thread at a time.
template <class M>
concept RuleMachine = requires(const M& asked, M& changed, const typename M::Event& event, Now now,
                               ErrorCode why, const WrittenRecord& record,
                               typename M::Decision::SoftChange soft_change) {
  { asked.decide(event, now) } -> std::same_as<typename M::Decision>;
  /// The records of decide(event) could not be written, for a reason that its clients are told as
  /// `why`. What is answered instead; writes nothing.
  { asked.decide_failed(event, why, now) } -> std::same_as<typename M::Decision>;
  /// An error means that the record is damaged: the state is as before. What std::bad_alloc left
  /// undone is done when the same record is applied again; it counts once.
  { changed.apply(record) } -> std::same_as<absl::Status>;
  { changed.apply(std::move(soft_change)) } -> std::same_as<void>;
  requires noexcept(changed.apply(std::move(soft_change)));
};

/// What the clients of a group, share or transaction coordinator are told when its records could
/// not be written. Source: spec groups.md section 1.
constexpr ErrorCode coordinator_error(ErrorCode append_error) {
  switch (append_error) {
    case ErrorCode::unknown_topic_or_partition:
    case ErrorCode::not_enough_replicas:
    case ErrorCode::request_timed_out:
      return ErrorCode::coordinator_not_available;
    case ErrorCode::not_leader_or_follower:
    case ErrorCode::kafka_storage_error:
      return ErrorCode::not_coordinator;
    case ErrorCode::message_too_large:
    case ErrorCode::record_list_too_large:
    case ErrorCode::invalid_fetch_size:
      return ErrorCode::unknown_server_error;
    case ErrorCode::network_exception:
      return ErrorCode::coordinator_load_in_progress;
    default:
      return append_error;
  }
}

}  // namespace ottla::inline OTTLA_ABI
