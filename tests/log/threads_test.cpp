// SPDX-License-Identifier: Apache-2.0
//
// A log used as a partition uses it: a lock for looking and publishing, a baton for changing files,
// readers and flushes that have neither.
#include <atomic>
#include <chrono>
#include <thread>

#include <ottla/base/mutex.hpp>

#include "log_fixture.hpp"
#include "tests/support/catch.hpp"

using namespace ottla;
using namespace log_test;
using namespace std::chrono_literals;

namespace {

struct Shared {
  Disk disk;
  Mutex lock;
  Log log;
  std::atomic<bool> baton{false};
  std::atomic<bool> stop{false};
  std::atomic<int> problems{0};
  std::atomic<std::int64_t> reads{0};

  Shared() : log(make()) {}
  Log make() {
    disk.options.config.segment_bytes = 40 * make_batch(0).facts.size;
    disk.options.config.index_interval_bytes = 200;
    disk.options.config.retention = std::nullopt;
    disk.options.config.retention_bytes = 400 * make_batch(0).facts.size;
    return disk.open();
  }

  template <class Body>
  void with_baton(Body body) {
    while (baton.exchange(true, std::memory_order_acquire)) {
      std::this_thread::yield();
    }
    body();
    baton.store(false, std::memory_order_release);
  }
  void publish() {
    Lock held(lock);
    log.publish();
  }
  LogView view() {
    Lock held(lock);
    return log.view();
  }
  void expect(bool holds) { problems += !holds; }
};

void produce(Shared& shared, int batches) {
  for (int i = 0; i < batches; i += 5) {
    const auto next = make_batches(i, 5);
    std::vector<Bytes> pieces;
    std::vector<BatchFacts> facts;
    for (const Batch& batch : next) {
      pieces.push_back(batch.bytes.bytes());
      facts.push_back(batch.facts);
    }
    shared.with_baton([&] {
      shared.expect(shared.log.append(pieces, facts, Timestamp(t0)).status.ok());
      shared.publish();
    });
  }
  shared.stop = true;
}

/// Follows the end, as a consumer does; what was deleted meanwhile is passed over.
void consume(Shared& shared) {
  const auto buffers = make_ref<ReadBuffers>();
  Decompressor decompressor;
  std::int64_t at = 0;
  for (bool last = false; !last;) {
    last = shared.stop;
    const LogView view = shared.view();
    while (at < view.end().value()) {
      const auto answer = view.read({Offset(at), view.end(), 2000}, *buffers);
      if (error_code(answer.status()) == ErrorCode::offset_out_of_range) {
        at = std::max(at, shared.view().start().value());
        if (at >= view.end().value() || at == view.start().value()) {
          break;
        }
        continue;
      }
      shared.expect(answer.ok() && !answer->pieces.empty());
      if (!answer.ok() || answer->pieces.empty()) {
        return;
      }
      for (const SharedBytes& piece : answer->pieces) {
        BatchCursor batches(piece.bytes());
        while (const BatchView* batch = batches.next()) {
          shared.expect(batch->header().base_offset == Offset(at));
          at = batch->header().next_offset().value();
          ++shared.reads;
        }
      }
    }
    const auto found = view.find_timestamp(Timestamp(t0 + at * 1000), view.end(), decompressor);
    shared.expect(found.ok() || error_code(found.status()) == ErrorCode::offset_out_of_range);
  }
}

void retain(Shared& shared) {
  SteadyTime now{};
  while (!shared.stop) {
    shared.with_baton([&] {
      const auto start = shared.log.retention_start(shared.log.end(), Timestamp(t0));
      shared.expect(start.ok() && shared.log.raise_start(*start, shared.log.end()).ok());
      shared.publish();
      shared.expect(start.ok() && shared.log.delete_segments(*start, now).ok());
      shared.publish();
      now += 120s;
      shared.expect(shared.log.remove_deleted(now).ok());
    });
    std::this_thread::yield();
  }
}

void flush_on(Shared& shared) {
  while (!shared.stop) {
    LogFlush plan = [&] {
      Lock held(shared.lock);
      return shared.log.plan_flush(FlushScope::sealed);
    }();
    shared.expect(plan.run().ok());
    Lock held(shared.lock);
    shared.log.flushed(plan);
  }
}

}  // namespace

TEST_CASE("Readers, flushes and retention go on beside the writer") {
  Shared shared;
  constexpr int batches = 6000;
  std::vector<std::thread> threads;
  for (const auto body : {&consume, &consume, &retain, &flush_on}) {
    threads.emplace_back(body, std::ref(shared));
  }
  threads.emplace_back(&produce, std::ref(shared), batches);
  for (std::thread& thread : threads) {
    thread.join();
  }
  CHECK(shared.problems == 0);
  CHECK(shared.reads > 0);
  CHECK(shared.log.end() == Offset(batches));
  CHECK(offsets(shared.log.view()) == range(shared.log.start().value(), batches));
  must(shared.log.close());
  CHECK(shared.log.recovery_point() == Offset(batches));
}

TEST_CASE("Threads that open one segment at the same time all read it") {
  for (int round = 0; round < 20; ++round) {
    Disk disk;
    disk.options.config.segment_bytes = 4 * make_batch(0).facts.size;
    {
      Log log = disk.open();
      must(append(log, make_batches(0, 40)).status);
    }
    const Log log = disk.open_after(LastStop::process_crash);
    const LogView view = log.view();
    std::atomic<int> good{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&] { good += offsets(view) == range(0, 40); });
    }
    for (std::thread& thread : threads) {
      thread.join();
    }
    CHECK(good == 4);
  }
}
