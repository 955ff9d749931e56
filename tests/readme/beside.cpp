// SPDX-License-Identifier: Apache-2.0
//
// The README's third piece of C++, beside a broker that has the directory.
#include <iostream>

#include <ottla/ottla.hpp>

using namespace std::chrono_literals;

int main() {
  auto broker = ottla::Broker::open({.log_dirs = "orders-data"});
  if (!broker.ok() || !broker->create_topic({.name = "orders"}).ok()) return 1;
  auto producer = ottla::Producer<std::string, std::string>::open(*broker);
  if (!producer.ok() || !producer->send({.topic = "orders", .value = "one lamp"}).ok()) return 1;
  if (!producer->flush().ok()) return 1;
#include "readme_beside.cpp"
  return assigned.ok() && seen->status().ok() ? 0 : 1;
}
