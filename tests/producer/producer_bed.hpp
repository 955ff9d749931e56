// SPDX-License-Identifier: Apache-2.0
//
// A producer of strings on a fake connection, in a world whose clock the test moves.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include <ottla/env/memory/memory_env.hpp>
#include <ottla/env/world.hpp>
#include <ottla/producer/producer.hpp>

#include "tests/producer/fake_leader.hpp"
#include "tests/support/catch.hpp"

using StringProducer = ottla::Producer<std::string, std::string>;

struct FakeHost {
  ottla::Ref<ottla::FakeLeader> connection;
  ottla::Ref<ottla::Connection> connect() const { return connection; }
};

struct ProducerBed {
  ProducerBed() { leader->set_topic("t", 3); }

  StringProducer open(ottla::ProducerConfig config = {}) {
    auto producer = StringProducer::open(FakeHost{leader}, std::move(config));
    REQUIRE(producer.ok());
    return *std::move(producer);
  }

  ottla::MemoryEnv env;
  ottla::WorldOf<ottla::MemoryEnv> world{env};
  ottla::Ref<ottla::FakeLeader> leader = ottla::make_ref<ottla::FakeLeader>(world);
};
