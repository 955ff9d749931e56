// SPDX-License-Identifier: Apache-2.0
//
// A producer whose memory ends: whichever allocation fails, alone or with all behind it, each
// record that was taken has one outcome, memory comes back, and the producer goes on.
#include "tests/support/failing_memory.hpp"

#include <array>
#include <optional>

#include "tests/producer/producer_bed.hpp"

#ifdef OTTLA_TEST_SANITIZED

#include <cstdio>

TEST_CASE("a producer without memory: not under a sanitizer") {
  std::puts("SKIPPED: operator new is the sanitizer's");
}

#else

#include "tests/support/replaced_new.hpp"

using namespace ottla;
using namespace std::chrono_literals;
using test::FailingMemory;

namespace {

constexpr std::size_t count = 4;

/// What a leader answers to the first batch: nothing special, try again, too large.
enum class First { accepted, refused, too_large };

struct Swept {
  explicit Swept(ProducerConfig config, First first = First::accepted,
                 std::int64_t buffer_memory = 1'500) {
    refusal = first == First::too_large ? error(ErrorCode::message_too_large, "x")
                                        : error(ErrorCode::not_enough_replicas, "x");
    bed.leader->script = [this, first, once = true](ProduceRequest& request) mutable {
      if (first == First::accepted || !std::exchange(once, false)) return false;
      request.reply->done(refusal, std::move(request.batch));
      return true;
    };
    for (std::size_t i = 0; i < count; ++i) {
      records[i].topic = "t";
      records[i].partition = PartitionId(0);
      records[i].value = texts[i];
      records[i].tag = i;
    }
    config.batch_size = 500;
    config.buffer_memory = buffer_memory;
    config.max_block = 5s;
    config.on_delivery = [this](const Delivery& each) {
      ++times[each.tag];
      told[each.tag] = each.offset.status();
    };
    producer.emplace(bed.open(std::move(config)));
  }

  void send() {
    for (std::size_t i = 0; i < count; ++i) sent[i] = producer->send(records[i]);
  }

  /// Each record that was taken has exactly one outcome, which is true; the others left no trace.
  void check_outcomes() {
    const std::vector<std::string> values = bed.leader->values("t", 0);
    CHECK(std::is_sorted(values.begin(), values.end()));
    for (std::size_t i = 0; i < count; ++i) {
      INFO("record " << i << ": " << sent[i].status() << ", " << told[i]);
      const auto written = std::count(values.begin(), values.end(), texts[i]);
      CHECK(times[i] == (sent[i].ok() ? 1 : 0));
      CHECK(written <= 1);
      if (sent[i].ok() && told[i].ok()) CHECK(written == 1);
      if (sent[i].ok() && !told[i].ok()) {
        CHECK((fault(told[i]) == Fault::no_memory || fault(told[i]) == Fault::closed ||
               error_code(told[i]) == error_code(refusal)));
        CHECK((written == 0 || outcome(told[i]) == Outcome::unknown));
      }
      if (!sent[i].ok()) {
        CHECK(fault(sent[i].status()) == Fault::no_memory);
        CHECK(written == 0);
      }
    }
    CHECK(bed.env.executor().thrown() == 0);
  }

  ProducerBed bed;
  absl::Status refusal;
  absl::Status closed;  // what the first close answered
  const std::array<std::string, count> texts = {"0", "1", "2", "3"};
  std::array<StringProducer::Record, count> records;
  std::array<absl::StatusOr<Receipt>, count> sent;
  std::array<int, count> times{};
  std::array<absl::Status, count> told;
  std::optional<StringProducer> producer;
};

/// Each allocation that `run` makes fails, alone or with all behind it; then `check`.
template <class Make, class Run, class Check>
int sweep(Make make, Run run, Check check) {
  int most = 0;
  for (const auto how : {FailingMemory::How::for_good, FailingMemory::How::once}) {
    bool reached = true;
    for (int k = 0; reached; ++k) {
      INFO("allocation " << k << (how == FailingMemory::How::once ? "" : " and all behind it"));
      auto swept = make();
      {
        const FailingMemory failing(k, how);
        run(*swept);
        reached = failing.reached();
      }
      check(*swept);
      most = std::max(most, k);
    }
  }
  return most;
}

}  // namespace

TEST_CASE("a record has one outcome, whichever allocation failed, and the producer goes on") {
  const First first = GENERATE(First::accepted, First::refused, First::too_large);
  const auto linger = GENERATE(0ms, 5ms);
  const bool topic_changed = GENERATE(false, true);
  CAPTURE(static_cast<int>(first), linger.count(), topic_changed);
  const int most = sweep(
      [&] { return std::make_unique<Swept>(ProducerConfig{.linger = linger}, first); },
      [&](Swept& swept) {
        swept.send();
        if (topic_changed) swept.bed.leader->set_topic("t", 4);
        swept.producer->flush(1s).IgnoreError();
        swept.bed.env.advance(3s);
        if (swept.sent[0].ok()) swept.producer->wait(*swept.sent[0], 1s).IgnoreError();
      },
      [&](Swept& swept) {
        swept.bed.env.advance(3s);
        swept.producer->flush().IgnoreError();
        swept.check_outcomes();
        // All memory is back: three batches are as much as there may be.
        swept.bed.leader->script = {};
        swept.bed.leader->answer_on_write_out = true;
        for (int i = 0; i < 3; ++i) {
          CHECK(
              swept.producer->send({.topic = "t", .partition = PartitionId(i), .value = "x"}).ok());
        }
        REQUIRE(swept.producer->flush().ok());
        CHECK(swept.bed.leader->values("t", 0).back() == "x");
        CHECK(swept.producer->close().ok());
      });
  CHECK(most > 20);
}

namespace {

/// A leader that takes from partition 0 only what follows, and keeps two batches for a while.
/// Needs no memory for that.
struct Strict {
  explicit Strict(Swept& its) : swept(its) {
    parked.reserve(2);
    swept.bed.leader->script = [this](ProduceRequest& request) {
      if (parks > 0) {
        --parks;
        parked.push_back(std::move(request));
        return true;
      }
      const BatchHeader header = BatchHeader::parse(request.batch.bytes());
      const bool begins = header.producer_epoch > epoch && header.base_sequence == 0;
      if (!begins && (header.producer_epoch != epoch || header.base_sequence != next)) {
        ++out_of_order;
        request.reply->done(does_not_follow, std::move(request.batch));
        return true;
      }
      swept.bed.leader->accept(std::move(request));
      epoch = header.producer_epoch;
      next = header.base_sequence + header.record_count;
      return true;
    };
  }
  /// The first one is refused; so the second does not follow.
  void answer_parked() {
    parks = 0;
    absl::Status answer = swept.refusal;
    for (ProduceRequest& request : parked) {
      request.reply->done(answer, std::move(request.batch));
      swept.bed.env.advance(300ms);  // the third one asks for its number
      answer = does_not_follow;
    }
    parked.clear();
  }

  Swept& swept;
  const absl::Status does_not_follow = error(ErrorCode::out_of_order_sequence_number, "x");
  int parks = 2;
  std::vector<ProduceRequest> parked;
  ProducerEpoch epoch{0};
  std::int32_t next = 0;
  int out_of_order = 0;
};

}  // namespace

TEST_CASE("batches that wait for one before them have one outcome, whichever allocation failed") {
  const bool failed_for_good = GENERATE(false, true);
  CAPTURE(failed_for_good);
  std::unique_ptr<Strict> strict;
  int out_of_order = 0;
  const int most = sweep(
      [&] {
        strict.reset();
        auto swept = std::make_unique<Swept>(ProducerConfig{.linger = 0ms}, First::accepted, 2'500);
        if (failed_for_good) swept->refusal = error(ErrorCode::invalid_record, "x");
        strict = std::make_unique<Strict>(*swept);
        return swept;
      },
      [&](Swept& swept) {
        swept.send();
        strict->answer_parked();
        swept.bed.env.advance(3s);
        swept.producer->flush(1s).IgnoreError();
      },
      [&](Swept& swept) {
        strict->answer_parked();
        swept.bed.env.advance(3s);
        swept.producer->flush().IgnoreError();
        swept.check_outcomes();
        out_of_order += strict->out_of_order;
        CHECK(swept.producer->send({.topic = "t", .partition = PartitionId(0), .value = "x"}).ok());
        swept.bed.env.advance(3s);
        CHECK(swept.producer->flush().ok());
        CHECK(swept.bed.leader->values("t", 0).back() == "x");
        CHECK(swept.producer->close().ok());
      });
  CHECK(most > 20);
  CHECK(out_of_order > 30);
}

TEST_CASE("what nobody waits for is sent and expires, whichever allocation failed") {
  const bool answered = GENERATE(true, false);
  std::vector<ProduceRequest> parked;
  const int most = sweep(
      [&] {
        auto swept = std::make_unique<Swept>(ProducerConfig{.linger = 5ms});
        parked.clear();
        parked.reserve(count);
        if (!answered) {
          swept->bed.leader->script = [&parked](ProduceRequest& request) {
            parked.push_back(std::move(request));
            return true;
          };
        }
        return swept;
      },
      [&](Swept& swept) {
        swept.send();
        swept.bed.env.advance(10ms);
        swept.bed.env.advance(3min);
      },
      [&](Swept& swept) {
        for (std::size_t i = 0; i < count; ++i) {
          CHECK(swept.times[i] == (swept.sent[i].ok() ? 1 : 0));
        }
        CHECK(swept.bed.env.executor().thrown() == 0);
        parked.clear();
      });
  CHECK(most > 10);
}

TEST_CASE("a producer closes, whichever allocation fails, and tells every record's outcome") {
  const First first = GENERATE(First::accepted, First::refused);
  const int most = sweep(
      [&] {
        auto swept = std::make_unique<Swept>(ProducerConfig{.linger = 1h}, first);
        swept->send();
        return swept;
      },
      [](Swept& swept) { swept.closed = swept.producer->close(2s); },
      [](Swept& swept) {
        swept.check_outcomes();
        CHECK(swept.producer->close() == swept.closed);
        CHECK(fault(swept.producer->send(swept.records[0]).status()) == Fault::closed);
        swept.producer.reset();
        swept.bed.env.advance(1h);
        swept.check_outcomes();
      });
  CHECK(most > 5);
}

TEST_CASE("a producer opens, or says that it has no memory") {
  ProducerBed bed;
  bool reached = true;
  for (int k = 0; reached; ++k) {
    const ProducerConfig config;
    const FakeHost host{bed.leader};
    absl::Status opened;
    {
      const FailingMemory failing(k);
      opened = StringProducer::open(host, config).status();
      reached = failing.reached();
    }
    CHECK((opened.ok() || fault(opened) == Fault::no_memory));
  }
}

TEST_CASE("a tag that finds no memory leaves no open batch: later records linger out") {
  const std::string text = "x";
  const RecordFields record{.value = as_bytes(text)};
  int refused = 0;
  bool reached = true;
  for (int k = 0; reached; ++k) {
    INFO("allocation " << k);
    MemoryEnv env;
    MemoryBudget budget(1'000);
    BatchOutcomes outcomes;
    const BatchingOptions options{.batch_size = 500, .keep_tags = true};
    PartitionQueue queue(options, budget, outcomes);
    bool taken = false;
    {
      const FailingMemory failing(k);
      taken = guarded([&] { return queue.append(record, 1, false, env.clock()).status(); }).ok();
      reached = failing.reached();
    }
    CHECK(queue.close_open() == taken);
    CHECK(budget.available() == (taken ? 500 : 1'000));
    CHECK(outcomes.pending() == (taken ? 1 : 0));
    refused += taken ? 0 : 1;
  }
  CHECK(refused > 1);
}

#endif
