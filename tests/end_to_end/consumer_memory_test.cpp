// SPDX-License-Identifier: Apache-2.0
//
// A consumer whose memory ends, with its broker: whichever allocation fails, alone or with all
// behind it, calls answer typed errors, no record is passed over, and the member goes on or joins
// anew.
#include <array>
#include <optional>

#include "tests/support/catch.hpp"
#include "tests/support/failing_memory.hpp"
#include "tests/support/fake_connection.hpp"
#include "tests/support/memory_broker.hpp"

#ifdef OTTLA_TEST_SANITIZED

#include <cstdio>

TEST_CASE("a consumer without memory: not under a sanitizer") {
  std::puts("SKIPPED: operator new is the sanitizer's");
}

#else

#include "tests/support/replaced_new.hpp"

using namespace ottla;
using namespace test;

namespace {

constexpr std::int64_t per_partition = 6;

struct Swept {
  Swept() {
    for (int i = 0; i < 2; ++i) {
      for (int batch = 0; batch < 2; ++batch) produce_numbers(broker, 3 * batch, 3, i);
    }
    config.group = "billing";
    config.topics = {"orders"};
    config.offset_reset = OffsetReset::earliest;
    config.max_poll_records = 4;
    config.auto_commit_interval = 0ms;
    config.heartbeat_interval = 3s;
    again = config;
  }

  void note(absl::Status status) {
    if (!status.ok() && failed.ok()) failed = std::move(status);
  }
  void open() {
    auto opened = TextConsumer::open(broker, std::move(config));
    if (opened.ok()) {
      consumer.emplace(*std::move(opened));
    } else {
      note(std::move(opened).status());
    }
  }
  /// Also waits until a new group has waited for more members.
  void poll_a_while() {
    for (int i = 0; i < 3; ++i) {
      poll();
      env.advance(4s);
    }
  }
  /// No offset may be passed over; those that were not committed may come again.
  void poll() {
    const auto polled = consumer->poll(0ms);
    note(polled.status());
    if (!polled.ok()) return;
    for (const auto& record : *polled) {
      std::int64_t& next = read.at(static_cast<std::size_t>(record.partition().value()));
      passed_over += record.offset().value() > next ? 1 : 0;
      next = record.offset().value() + 1;
    }
  }
  void check_failed() {
    INFO(failed);
    CHECK((failed.ok() || fault(failed) == Fault::no_memory ||
           error_code(failed) == ErrorCode::unknown_member_id));
    CHECK(passed_over == 0);
    CHECK(env.executor().thrown() == 0);
  }
  /// With memory again: everything is read, committed, and there for the next one.
  void goes_on() {
    failed = absl::OkStatus();
    if (!consumer) {
      config = again;
      open();
    }
    for (int i = 0; i < 20; ++i) {
      poll();
      env.advance(10s);  // whom the coordinator still waits for is not there for ever
    }
    must(failed);
    CHECK(passed_over == 0);
    CHECK(read == std::array<std::int64_t, 2>{per_partition, per_partition});
    CHECK(consumer->assignment()->size() == 2);
    must(consumer->commit());
    must(consumer->close());
    auto next = must(TextConsumer::open(broker, {.group = "billing"}));
    for (const auto& [partition, commit] : must(next.committed({partition(0), partition(1)}))) {
      CHECK(commit.offset == Offset(per_partition));
    }
    must(broker.close());
    CHECK(env.executor().thrown() == 0);
  }

  MemoryEnv env;
  MemoryBroker broker = open_with_topic(env, 2);
  ConsumerConfig config;
  ConsumerConfig again;
  std::vector<std::string> topics{"orders", "other"};
  std::optional<TextConsumer> consumer;
  std::array<std::int64_t, 2> read{};
  int passed_over = 0;
  absl::Status failed;
};

/// Allocations that `run` makes fail, each of the first and then some, alone or with all behind it;
/// then `check`.
template <class Prepare, class Run, class Check>
int sweep(Prepare prepare, Run run, Check check) {
  int most = 0;
  for (const auto how : {FailingMemory::How::for_good, FailingMemory::How::once}) {
    bool reached = true;
    for (int k = 0; reached; k += 1 + k / 32) {
      INFO("allocation " << k << (how == FailingMemory::How::once ? "" : " and all behind it"));
      Swept swept;
      prepare(swept);
      {
        const FailingMemory failing(k, how);
        run(swept);
        reached = failing.reached();
      }
      check(swept);
      most = std::max(most, k);
    }
  }
  return most;
}

constexpr auto as_is = [](Swept&) {};
constexpr auto joined = [](Swept& swept) {
  swept.open();
  swept.poll_a_while();
  CHECK(swept.consumer->assignment()->size() == 2);
  must(swept.failed);
};
constexpr auto goes_on = [](Swept& swept) {
  swept.check_failed();
  swept.goes_on();
};

}  // namespace

TEST_CASE("a consumer opens, joins and polls, whichever allocation failed at first") {
  const int most = sweep(
      as_is,
      [](Swept& swept) {
        swept.open();
        if (swept.consumer) swept.poll_a_while();
      },
      goes_on);
  CHECK(most > 100);
}

TEST_CASE("a consumer commits and joins anew, whichever allocation failed at first") {
  const int most = sweep(
      joined,
      [](Swept& swept) {
        swept.note(swept.consumer->commit());
        swept.note(swept.consumer->commit_async());
        swept.note(swept.consumer->enforce_rebalance());
        swept.poll_a_while();
        swept.note(swept.consumer->commit());
      },
      goes_on);
  CHECK(most > 100);
}

TEST_CASE("a consumer follows its topic, whichever allocation failed at first") {
  const int most = sweep(
      [](Swept& swept) {
        joined(swept);
        must(swept.broker.create_topic({.name = "other", .partitions = 1}));
      },
      [](Swept& swept) {
        swept.note(swept.consumer->subscribe(std::move(swept.topics)));
        swept.poll_a_while();
      },
      [](Swept& swept) {
        swept.check_failed();
        must(swept.consumer->subscribe({"orders"}));
        swept.goes_on();
      });
  CHECK(most > 50);
}

TEST_CASE("a consumer closes, or says that it has no memory, whichever allocation fails") {
  const int most = sweep(
      joined, [](Swept& swept) { swept.note(swept.consumer->close()); },
      [](Swept& swept) {
        swept.check_failed();
        const absl::Status again = swept.consumer->close();
        CHECK((again.ok() || again == swept.failed));
        swept.consumer.reset();
        swept.read = {};  // what was not committed comes again
        for (const auto& [partition, commit] :
             must(must(TextConsumer::open(swept.broker, {.group = "billing"}))
                      .committed({partition(0), partition(1)}))) {
          swept.read.at(static_cast<std::size_t>(partition.partition.value())) =
              commit.offset.value();
        }
        swept.goes_on();
      });
  CHECK(most > 10);
}

TEST_CASE("a walk that meets damage, and no memory to say where, says that") {
  FakeHost host;
  const auto damage = [](MutableBytes batch) {
    const std::size_t record = (batch.size() - batch_header_size) / 5;
    batch[batch_header_size + 2 * record] = std::byte{0x7e};  // a length beyond the batch
  };
  host.connection->append(0, changed(batch_of(0, 5), true, damage), 5);
  auto consumer = must(TextConsumer::open(host, {.offset_reset = OffsetReset::earliest}));
  must(consumer.assign({partition(0)}));
  const auto records = must(consumer.poll(0ms));
  int walked = 0;
  {
    const FailingMemory failing(0, FailingMemory::How::for_good);
    for (const auto& record : records) walked += record.offset() == Offset(walked) ? 1 : 0;
  }
  CHECK(walked == 2);
  CHECK(fault(records.status()) == Fault::no_memory);
  CHECK(fault(consumer.poll(0ms).status()) == Fault::corrupt);
}

TEST_CASE("a heartbeat without memory ends no others, or the member knows that it has left") {
  const int most = sweep(
      joined, [](Swept& swept) { swept.env.advance(3s); },
      [](Swept& swept) {
        swept.check_failed();
        swept.env.advance(46s);  // longer than a session
        swept.poll();
        swept.poll();
        must(swept.consumer->commit());
        goes_on(swept);
      });
  CHECK(most > 3);
}

#endif
