// SPDX-License-Identifier: Apache-2.0
//
// What Kafka's producers have that is not there yet; what stands in its place first.
#pragma once

#include <span>

#include <ottla/base/config_table.hpp>

namespace ottla::inline OTTLA_ABI {

struct ProducerConfig;
namespace producer_impl {
inline constexpr AbsentKey absent_producer_keys[] = {
    {"bootstrap.servers", "leave it out: clients take a broker or a connection"},
    {"client.id", "leave it out: no request of a producer names it"},
    {"interceptor.classes", "call yours before send, and in on_delivery"},
    {"key.serializer", "the first template parameter says it: Producer<K, V>"},
    {"max.in.flight.requests.per.connection", "order is kept without it"},
    {"partitioner.class", "set ProducerConfig::partitioner, a function"},
    {"value.serializer", "the second template parameter says it: Producer<K, V>"},
    {"client.dns.lookup"},
    {"config.providers"},
    {"connections.max.idle.ms"},
    {"enable.metrics.push"},
    {"metadata.max.age.ms"},
    {"metadata.max.idle.ms"},
    {"metadata.recovery.rebootstrap.trigger.ms"},
    {"metadata.recovery.strategy"},
    {"metric.reporters"},
    {"metrics.num.samples"},
    {"metrics.recording.level"},
    {"metrics.sample.window.ms"},
    {"partitioner.adaptive.partitioning.enable"},
    {"partitioner.availability.timeout.ms"},
    {"receive.buffer.bytes"},
    {"reconnect.backoff.max.ms"},
    {"reconnect.backoff.ms"},
    {"sasl."},
    {"security.protocol"},
    {"security.providers"},
    {"send.buffer.bytes"},
    {"socket.connection.setup.timeout.max.ms"},
    {"socket.connection.setup.timeout.ms"},
    {"ssl."},
    {"transaction.timeout.ms"},
    {"transaction.two.phase.commit.enable"},
    {"transactional.id"}};
}
template <>
inline constexpr std::span<const AbsentKey> absent_keys<ProducerConfig> =
    producer_impl::absent_producer_keys;

}  // namespace ottla::inline OTTLA_ABI
