// SPDX-License-Identifier: Apache-2.0
//
// The README's second piece of C++, on a broker in memory.
#include <iostream>

#include <ottla/ottla.hpp>

using namespace std::chrono_literals;

int main() {
  auto broker = ottla::Broker::open({.log_dirs = ottla::in_memory});
  if (!broker.ok()) return 1;
  auto producer = ottla::Producer<std::string, std::string>::open(*broker);
  if (!producer.ok()) return 1;
#include "readme_more.cpp"
  return made.ok() && sent.ok() && set.ok() && config.linger == 20ms ? 0 : 1;
}
