// SPDX-License-Identifier: Apache-2.0
//
// The least that uses all of Ottla's main job: `footprint` reports its size, stripped.
#include <chrono>

#include <ottla/broker/broker.hpp>
#include <ottla/consumer/consumer.hpp>
#include <ottla/producer/producer.hpp>

int main(int, char** arguments) {
  auto broker = ottla::Broker::open({.log_dirs = std::string(arguments[1])});
  if (!broker.ok() || !broker->create_topic({.name = "t", .partitions = 1}).ok()) return 1;
  auto producer = ottla::Producer<std::string_view, std::string_view>::open(*broker);
  auto consumer = ottla::Consumer<std::string_view, std::string_view>::open(*broker);
  if (!producer.ok() || !producer->send({.topic = "t", .value = "v"}).ok()) return 1;
  if (!consumer.ok() || !consumer->assign({{"t", ottla::PartitionId(0)}}).ok()) return 1;
  return consumer->poll(std::chrono::seconds(1)).ok() ? 0 : 1;
}
