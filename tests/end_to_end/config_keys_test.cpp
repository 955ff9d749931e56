// SPDX-License-Identifier: Apache-2.0
//
// Kafka's config keys, as its own classes list them: each is taken, or said not to be there.
#include <string>
#include <string_view>

#include <ottla/broker/broker_config.hpp>
#include <ottla/broker/topic_config.hpp>
#include <ottla/consumer/consumer_config.hpp>
#include <ottla/producer/producer_config.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/golden.hpp"

using namespace ottla;

namespace {

/// What setting the key of a producer, consumer, broker or topic is answered.
absl::Status set(std::string_view scope, const std::string& key, const std::string& value) {
  ProducerConfig producer;
  ConsumerConfig consumer;
  BrokerConfig broker;
  return scope == "producer"   ? set_config(producer, key, value)
         : scope == "consumer" ? set_config(consumer, key, value)
         : scope == "broker"   ? set_config(broker, key, value)
                               : resolve_topic_config({}, {{key, value}}).status();
}

std::string text(std::string_view scope, const std::string& key) {
  const absl::Status status = set(scope, key, "x");
  CHECK(error_code(status) == ErrorCode::invalid_config);
  return std::string(sv(status.message()));
}

}  // namespace

TEST_CASE("every key of Kafka's producers, consumers, brokers and topics is one that we know") {
  const auto oracle = golden::read_json(golden::dir() / "oracle" / "configs.json");
  int known = 0;
  for (const auto& each : oracle["cases"]) {
    const auto scope = each["scope"].get<std::string>();
    const auto key = each["name"].get<std::string>();
    if (scope == "admin" || scope == "group") continue;
    INFO(scope << ' ' << key);
    const absl::Status status = set(scope, key, "such a value is nobody's");
    CHECK(status.message().find("unknown config") == std::string::npos);
    ++known;
  }
  CHECK(known >= (golden::is_full() ? 600 : 1));
}

TEST_CASE("a key of Kafka's that is not there says so, and what stands in its place") {
  CHECK(text("producer", "bootstrap.servers") ==
        "bootstrap.servers is Kafka's, and is not there; leave it out: clients take a broker "
        "or a connection");
  CHECK(text("producer", "key.serializer").ends_with("Producer<K, V>"));
  CHECK(text("producer", "client.id").ends_with("leave it out: no request of a producer names it"));
  CHECK(text("consumer", "partition.assignment.strategy").find("ConsumerConfig::assignors") !=
        std::string::npos);
  CHECK(text("broker", "log.retention.hours").ends_with("; use log.retention.ms"));
  CHECK(text("consumer", "client.rack") == "client.rack is Kafka's, and is not there yet");
  CHECK(text("broker", "ssl.keystore.location").find("not there yet") != std::string::npos);
  CHECK(text("topic", "leader.replication.throttled.replicas").find("not there yet") !=
        std::string::npos);
  CHECK(fault(set("producer", "transactional.id", "x")) == Fault::unsupported);
}

TEST_CASE("a key that nobody knows names its neighbour among those that can be set") {
  CHECK(text("producer", "lingr.ms") == "unknown config 'lingr.ms'; did you mean 'linger.ms'?");
  CHECK(text("topic", "retention.m").find("did you mean 'retention.ms'?") != std::string::npos);
  CHECK(text("broker", "no.such.thing.anywhere").find("unknown config") == 0);
}

TEST_CASE("a word that is none names those that are") {
  CHECK(text("topic", "cleanup.policy") ==
        "value 'x' of cleanup.policy: use one of 'delete', 'compact', 'compact,delete', "
        "'delete,compact', ''");
  CHECK(text("consumer", "isolation.level").ends_with("'read_uncommitted', 'read_committed'"));
}

TEST_CASE("a key of topics that is not there may be left at the value that asks for nothing") {
  TopicConfig config;
  for (const std::string key : {"flush.ms", "remote.storage.enable", "local.retention.bytes"}) {
    INFO(key);
    const absl::Status refused = set_config(config, key, "1");
    CHECK(fault(refused) == Fault::unsupported);
    CHECK(refused == set("topic", key, "1"));
    CHECK(refused.message().find(key + "=1 is not there yet; leave it at ") == 0);
  }
  CHECK(set_config(config, "flush.ms", "9223372036854775807").ok());
  CHECK(set_config(config, "remote.storage.enable", "false").ok());
  CHECK(set_config(config, "flush.m", "1").message().find("unknown config") == 0);
  CHECK(set_config(config, "flush.messages", "1").ok());
  CHECK(config.flush_messages == 1);
}
