// SPDX-License-Identifier: Apache-2.0
//
// Brokers on the real file system: one process writes, and another reads it live.
#include <sys/wait.h>
#include <unistd.h>

#include <ottla/consumer/consumer.hpp>
#include <ottla/ottla.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/must.hpp"
#include "tests/support/temporary_directory.hpp"

using namespace ottla;
using namespace std::chrono_literals;
using test::must;

namespace {

constexpr int records = 3'000;

/// Makes the topic, tells so, and when it is answered produces one batch after the other.
bool write_all(const std::string& directory, int to_parent, int from_parent) {
  auto broker = Broker::open({.log_dirs = directory, .log = {.segment_bytes = 20'000}});
  char byte = 'x';
  if (!broker.ok() || !broker->create_topic({.name = "orders"}).ok() ||
      ::write(to_parent, &byte, 1) != 1 || ::read(from_parent, &byte, 1) != 1) {
    return false;
  }
  auto producer = Producer<std::string, std::string>::open(*broker);
  for (int i = 0; producer.ok() && i < records; ++i) {
    if (!producer->send({.topic = "orders", .value = std::to_string(i)}).ok() ||
        (i % 10 == 0 && !producer->flush().ok())) {
      return false;
    }
  }
  return producer.ok() && producer->flush().ok() &&
         ::read(from_parent, &byte, 1) == 0;  // until all was read
}

}  // namespace

TEST_CASE("A consumer reads live what another process produces") {
  const TemporaryDirectory directory;
  const std::string data = directory / "data";
  int up[2];
  int down[2];
  REQUIRE(::pipe(up) == 0);
  REQUIRE(::pipe(down) == 0);
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    ::close(up[0]);
    ::close(down[1]);
    ::_exit(write_all(data, up[1], down[0]) ? 0 : 1);
  }
  ::close(up[1]);
  ::close(down[0]);
  char byte = 0;
  REQUIRE(::read(up[0], &byte, 1) == 1);
  {
    // The writer has the lock on the directory, and keeps it.
    CHECK(fault(Broker::open({.log_dirs = data}).status()) == Fault::locked);
    const Broker broker =
        must(Broker::open({.log_dirs = data, .access = Access::read_only, .follow_interval = 1ms}));
    auto consumer = must(
        Consumer<std::string, std::string>::open(broker, {.offset_reset = OffsetReset::earliest}));
    must(consumer.assign({{"orders", PartitionId(0)}}));
    REQUIRE(::write(down[1], &byte, 1) == 1);
    int next = 0;
    while (next < records) {
      const auto polled = must(consumer.poll(60s));
      REQUIRE_FALSE(polled.empty());
      for (const auto& record : polled) {
        REQUIRE(*record.value() == std::to_string(next));
        REQUIRE(record.offset() == Offset(next));
        ++next;
      }
    }
    CHECK(next == records);
  }
  ::close(down[1]);
  ::close(up[0]);
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
}
