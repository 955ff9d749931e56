// SPDX-License-Identifier: Apache-2.0
//
// What Kafka's consumers have that is not there yet; what stands in its place first.
#pragma once

#include <span>

#include <ottla/base/config_table.hpp>

namespace ottla::inline OTTLA_ABI {

struct ConsumerConfig;
namespace consumer_impl {
inline constexpr AbsentKey absent_consumer_keys[] = {
    {"allow.auto.create.topics", "topics are made by create_topic alone"},
    {"bootstrap.servers", "leave it out: clients take a broker or a connection"},
    {"group.protocol", "groups speak the classic protocol"},
    {"interceptor.classes", "call yours behind poll"},
    {"key.deserializer", "the first template parameter says it: Consumer<K, V>"},
    {"partition.assignment.strategy",
     "set ConsumerConfig::assignors, names in order of preference"},
    {"value.deserializer", "the second template parameter says it: Consumer<K, V>"},
    {"client.dns.lookup"},
    {"client.rack"},
    {"config.providers"},
    {"connections.max.idle.ms"},
    {"enable.metrics.push"},
    {"exclude.internal.topics"},
    {"group.remote.assignor"},
    {"internal.throw.on.fetch.stable.offset.unsupported"},
    {"metadata.max.age.ms"},
    {"metadata.recovery.rebootstrap.trigger.ms"},
    {"metadata.recovery.strategy"},
    {"metric.reporters"},
    {"metrics.num.samples"},
    {"metrics.recording.level"},
    {"metrics.sample.window.ms"},
    {"receive.buffer.bytes"},
    {"reconnect.backoff.max.ms"},
    {"reconnect.backoff.ms"},
    {"request.timeout.ms"},
    {"retry.backoff.max.ms"},
    {"retry.backoff.ms"},
    {"sasl."},
    {"security.protocol"},
    {"security.providers"},
    {"send.buffer.bytes"},
    {"share.acknowledgement.mode"},
    {"share.acquire.mode"},
    {"socket.connection.setup.timeout.max.ms"},
    {"socket.connection.setup.timeout.ms"},
    {"ssl."}};
}
template <>
inline constexpr std::span<const AbsentKey> absent_keys<ConsumerConfig> =
    consumer_impl::absent_consumer_keys;

}  // namespace ottla::inline OTTLA_ABI
