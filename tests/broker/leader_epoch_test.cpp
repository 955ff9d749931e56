// SPDX-License-Identifier: Apache-2.0
//
// Leader epochs over stops: none goes back, whatever was deleted meanwhile.
#include <string>

#include "site.hpp"
#include "tests/support/catch.hpp"

using namespace ottla;
using namespace test;

namespace {

std::vector<std::string> all_of(const MemoryBroker& broker) {
  auto consumer = must(TextConsumer::open(broker, {.offset_reset = OffsetReset::earliest}));
  must(consumer.assign({partition(0)}));
  return drain(consumer);
}

}  // namespace

TEST_CASE("what is written behind records that were all deleted is not cut by later openings") {
  Site site;
  const bool is_clean = GENERATE(true, false);
  INFO(is_clean);
  const auto stop = [&](MemoryBroker& broker, bool clean) {
    clean ? must(broker.close()) : site.kill();
  };
  {
    MemoryBroker broker = site.open();
    must(broker.create_topic({.name = "orders"}));
    produce_numbers(broker, 0, 1);
    stop(broker, false);
  }
  {
    MemoryBroker broker = site.open();  // in another epoch
    produce_numbers(broker, 1, 2);
    Admin admin = must(Admin::open(broker));
    REQUIRE(must(admin.delete_records(partition(0), before_high_watermark)) == Offset(3));
    stop(broker, is_clean);
  }
  for (int i = 0; i < 3; ++i) {
    MemoryBroker broker = site.open();
    CHECK(all_of(broker).size() == static_cast<std::size_t>(i));
    produce_numbers(broker, i, 1);
    stop(broker, is_clean && i != 1);
  }
  MemoryBroker broker = site.open();
  CHECK(all_of(broker).size() == 3);
  for (const std::string& told : site.told) {
    CHECK(told.find("recovery") == std::string::npos);
  }
}
