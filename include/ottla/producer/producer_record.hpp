// SPDX-License-Identifier: Apache-2.0
//
// What a program sends: a topic, by name or by the handle that spares looking it up, and the
// record.
//   producer->send({.topic = "orders", .key = "ada", .value = "one lamp"});
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include <ottla/base/ids.hpp>
#include <ottla/base/time.hpp>
#include <ottla/producer/producer_topic.hpp>
#include <ottla/record/record_view.hpp>
#include <ottla/record/serde.hpp>

namespace ottla::inline OTTLA_ABI {

template <HasSerde K, HasSerde V>
class Producer;

/// A topic that a producer looked up: `producer->topic("orders")`. Valid for that producer only;
/// cheap to copy.
class Topic {
 public:
  std::string_view name() const { return topic_ ? topic_->name() : std::string_view(); }
  /// How many it has, as the producer last learnt.
  std::int32_t partitions() const { return topic_ ? topic_->snapshot().partitions : 0; }

 private:
  template <HasSerde K, HasSerde V>
  friend class Producer;
  friend class TopicName;
  explicit Topic(Ref<ProducerTopic> topic) : topic_(std::move(topic)) {}
  Ref<ProducerTopic> topic_;
};

/// A topic's name or its handle, borrowed for the call.
class TopicName {
 public:
  TopicName() = default;
  TopicName(std::string_view name) : name_(name) {}
  TopicName(const char* name) : name_(name) {}
  TopicName(const std::string& name) : name_(name) {}
  TopicName(const Topic& topic) : topic_(topic.topic_.get()) {}

  std::string_view name() const { return topic_ == nullptr ? name_ : topic_->name(); }

 private:
  template <HasSerde K, HasSerde V>
  friend class Producer;
  std::string_view name_;
  ProducerTopic* topic_ = nullptr;
};

/// What may be passed as `Input`. Where that is a reference, nothing is made for it that would be
/// gone when it is looked at.
template <class U, class Input>
concept Passable = std::is_convertible_v<U, Input> &&
    (!std::is_reference_v<Input> ||
     std::is_convertible_v<std::remove_reference_t<U>*, const std::remove_reference_t<Input>*>);

/// A key or value on its way in, or null: borrowed, never copied.
template <HasSerde T>
class Outgoing {
 public:
  using Input = typename Serde<T>::input;

  Outgoing() = default;
  Outgoing(std::nullopt_t) {}
  template <class U>
  requires Passable<U&&, Input> Outgoing(U&& value) : input_(keep(static_cast<Input>(value))) {}

  bool is_null() const { return !input_.has_value(); }
  Input input() const {
    if constexpr (std::is_reference_v<Input>) {
      return **input_;
    } else {
      return *input_;
    }
  }

 private:
  using Kept =
      std::conditional_t<std::is_reference_v<Input>, const std::remove_reference_t<Input>*, Input>;
  static Kept keep(Input value) {
    if constexpr (std::is_reference_v<Input>) {
      return &value;
    } else {
      return value;
    }
  }
  std::optional<Kept> input_;
};

/// What it names is borrowed for the call of `send`.
template <HasSerde K, HasSerde V>
struct ProducerRecord {
  TopicName topic = {};
  std::optional<PartitionId> partition = {};  ///< chosen by the partitioner where none is given
  Outgoing<K> key = {};                       ///< null where none is given
  Outgoing<V> value = {};                     ///< null (a tombstone) where none is given
  std::span<const RecordHeader> headers = {};
  Timestamp timestamp = no_timestamp;  ///< now where none is given
  std::uint64_t tag = 0;               ///< comes back in `Delivery`
};

}  // namespace ottla::inline OTTLA_ABI
