// SPDX-License-Identifier: Apache-2.0
//
// Sends typed records to a broker, cluster or remote Kafka, in batches.
//   auto producer = ottla::Producer<std::string, std::string>::open(*broker, {.linger = 5ms});
//   auto sent = producer->send({.topic = "orders", .key = "ada", .value = "one lamp"});
//   auto where = producer->wait(*sent);     // partition and offset, once it is acknowledged
//   absl::Status all = producer->flush();   // or everything sent so far
// Errors are typed: fault(status), error_code(status), outcome(status) tell what happened and what
// may still happen.
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <absl/status/statusor.h>

#include <ottla/base/guard.hpp>
#include <ottla/producer/producer_core.hpp>
#include <ottla/producer/producer_record.hpp>
#include <ottla/protocol/host.hpp>

namespace ottla::inline OTTLA_ABI {

/// Thread-safe, but for moving and destruction. The destructor sends what is left and waits for it,
/// `close_timeout` at most; records that were not acknowledged by then are told to `on_delivery`.
/// In a callback `wait`, `flush`, `close`, and a `send` that would have to wait for memory answer
/// `would_deadlock`, and the destructor waits for nothing.
template <HasSerde K, HasSerde V>
class Producer {
 public:
  using Record = ProducerRecord<K, V>;

  template <Host H>
  static absl::StatusOr<Producer> open(const H& host, ProducerConfig config = {}) {
    OTTLA_ASSIGN(Ref<ProducerCore> core,
                 guarded([&] { return ProducerCore::open(host.connect(), std::move(config)); }));
    return Producer(std::move(core));
  }

  Producer(Producer&&) noexcept = default;
  Producer& operator=(Producer&& other) noexcept {
    if (this != &other) {
      abandon();
      core_ = std::move(other.core_);
    }
    return *this;
  }
  ~Producer() { abandon(); }

  /// Puts the record into its partition's batch and returns; the outcome comes by receipt, callback
  /// or flush. Waits up to max.block.ms where `buffer.memory` is full or the topic is not known
  /// yet. A failed send left nothing behind.
  absl::StatusOr<Receipt> send(const Record& record) {
    OTTLA_TRY(usable());
    if (record.topic.topic_ != nullptr) {
      return send_to(*record.topic.topic_, record);
    }
    OTTLA_ASSIGN(ProducerTopic* const topic, core_->topic(record.topic.name()));
    return send_to(*topic, record);
  }

  /// The topic's handle: sending by it spares a look-up per record.
  absl::StatusOr<Topic> topic(std::string_view name) {
    OTTLA_TRY(usable());
    OTTLA_ASSIGN(ProducerTopic* const topic, core_->topic(name));
    return Topic(Ref<ProducerTopic>(topic));
  }

  /// The topic's partitions and their leaders, as the broker knows them now.
  absl::StatusOr<std::vector<MetadataResponse::Partition>> partitions_for(std::string_view name) {
    OTTLA_TRY(usable());
    return core_->partitions_for(name);
  }

  /// The record's partition and offset once it is acknowledged, or why it never will be. Sends its
  /// batch at once.
  absl::StatusOr<RecordMetadata> wait(Receipt receipt) {
    OTTLA_TRY(usable());
    return wait(receipt, core_->config().delivery_timeout);
  }
  absl::StatusOr<RecordMetadata> wait(Receipt receipt, Duration timeout) {
    OTTLA_TRY(usable());
    return core_->wait(receipt, deadline(timeout));
  }

  /// Sends everything and waits. Ok when all was acknowledged; else the first failure since the
  /// last flush, whichever thread's: it is told once. Of several threads that flush, one that must
  /// know of its own records asks their receipts, or `on_delivery`.
  absl::Status flush() {
    OTTLA_TRY(usable());
    return core_->flush(deadline(core_->config().delivery_timeout));
  }
  absl::Status flush(Duration timeout) {
    OTTLA_TRY(usable());
    return core_->flush(deadline(timeout));
  }

  /// Flushes within `timeout`, fails what is left, and calls nobody back afterwards. `timed_out`
  /// where something was left; else the first failure since the last flush. Closing again answers
  /// the same: while another thread closes this, it waits for that, and answers `timed_out` when
  /// that takes longer than `timeout`.
  absl::Status close(Duration timeout) {
    OTTLA_TRY(usable());
    return core_->close(deadline(timeout));
  }
  absl::Status close() {
    OTTLA_TRY(usable());
    return close(core_->config().close_timeout);
  }

  /// How often `on_delivery` threw.
  std::uint64_t callback_failures() const { return core_ ? core_->callback_failures() : 0; }

 private:
  explicit Producer(Ref<ProducerCore> core) : core_(std::move(core)) {}

  absl::Status usable() const {
    return core_ ? absl::OkStatus()
                 : error(Fault::moved_from, "this producer was moved from; use the one it went to");
  }
  SteadyTime deadline(Duration timeout) const {
    return after(core_->world().steady_now(), timeout);
  }
  void abandon() {
    if (core_) {
      core_->abandon(deadline(core_->config().close_timeout));
    }
  }

  struct Scratch {
    std::vector<std::byte> key;
    std::vector<std::byte> value;
    bool taken = false;
  };

  /// Records are serialized into memory of the thread; where that is taken, by a send that waits
  /// for memory and calls back meanwhile, into memory of this send alone.
  absl::StatusOr<Receipt> send_to(ProducerTopic& topic, const Record& record) {
    thread_local Scratch mine;
    if (mine.taken) {
      Scratch another;
      return send_by(another, topic, record);
    }
    return send_by(mine, topic, record);
  }
  absl::StatusOr<Receipt> send_by(Scratch& scratch, ProducerTopic& topic, const Record& record) {
    const struct Taken {
      explicit Taken(bool& taken) : taken_(taken) { taken_ = true; }
      ~Taken() { taken_ = false; }
      bool& taken_;
    } taken(scratch.taken);
    // Filled in place: a copy made right after would wait for each store (8 ns a record).
    RecordFields fields{.timestamp = record.timestamp, .headers = record.headers};
    OTTLA_TRY(guarded([&] { return serialize<K>(record.key, scratch.key, fields.key); }));
    OTTLA_TRY(guarded([&] { return serialize<V>(record.value, scratch.value, fields.value); }));
    return core_->send(topic, record.partition, fields, record.tag);
  }
  template <class T>
  static absl::Status serialize(const Outgoing<T>& outgoing, std::vector<std::byte>& scratch,
                                std::optional<Bytes>& into) {
    if (outgoing.is_null()) {
      return absl::OkStatus();
    }
    using Serialized = decltype(Serde<T>::serialize(outgoing.input(), scratch));
    if constexpr (std::is_same_v<Serialized, Bytes>) {
      into.emplace(Serde<T>::serialize(outgoing.input(), scratch));
    } else {
      absl::StatusOr<std::optional<Bytes>> bytes = Serde<T>::serialize(outgoing.input(), scratch);
      OTTLA_TRY(bytes.status());
      into = *bytes;
    }
    return absl::OkStatus();
  }

  Ref<ProducerCore> core_;
};

}  // namespace ottla::inline OTTLA_ABI
