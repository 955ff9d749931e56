// SPDX-License-Identifier: Apache-2.0
//
// A numbering producer among actors of a simulated world: its batches are answered by several of
// them, late, and some are refused, for a while or for good. In any schedule what is written is in
// the order of the sends.
#include <algorithm>
#include <deque>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <ottla/broker/partition.hpp>
#include <ottla/env/memory/file_system.hpp>
#include <ottla/env/world.hpp>
#include <ottla/producer/producer.hpp>
#include <ottla/sim/sim_env.hpp>

#include "tests/producer/producer_bed.hpp"

namespace {

using namespace ottla;
using namespace std::chrono_literals;

using Process = SimEnv<MemoryFileSystem>;

constexpr std::uint64_t seeds = 400;
constexpr std::size_t sends = 24;
constexpr PartitionId p0{0};

struct Numbering {
  explicit Numbering(std::uint64_t seed)
      : world({.seed = seed,
               .time_limit = 1h,
               .step_limit = 5'000'000,
               .stall_one_in = seed % 3 == 0 ? 50U : 0U,
               .longest_stall = 20ms}) {
    leader->set_topic("t", 1);
    leader->script = [this](ProduceRequest& request) {
      parked.push_back(std::move(request));
      return true;
    };
  }

  /// In the order of their arrival; what is answered first is up to the schedule.
  void answer() {
    while (!finished) {
      if (parked.empty()) {
        world.await_time(after(world.now(), 1ms));
        continue;
      }
      ProduceRequest request = std::move(parked.front());
      parked.pop_front();
      const absl::Status judged = judge(request);
      world.preempt();
      if (judged.ok()) {
        request.reply->done(ProduceResponse{.base_offset = Offset(end)}, {});
      } else {
        request.reply->done(judged, std::move(request.batch));
      }
    }
  }
  absl::Status judge(const ProduceRequest& request) {
    const std::uint64_t die = world.below(12);
    if (die == 0) {
      return error(ErrorCode::invalid_record, "for good");
    }
    if (die < 3) {
      return error(ErrorCode::not_enough_replicas, "for a while");
    }
    BatchHeader header = BatchHeader::parse(request.batch.bytes());
    OTTLA_TRY(broker_impl::admit(producers, header, Offset(end)).status());
    end += header.record_count;
    Decompressor decompressor;
    const auto batch = BatchView::parse(request.batch.bytes());
    RecordCursor records = batch->records(decompressor);
    while (const RecordView* record = records.next()) {
      written.push_back(std::stoul(std::string(as_string_view(*record->value()))));
    }
    return absl::OkStatus();
  }
  void send() {
    ProducerConfig config{.linger = 0ms};
    config.on_delivery = [this](const Delivery& each) { told[each.tag] += each.offset.ok(); };
    auto producer = StringProducer::open(FakeHost{leader}, std::move(config)).value();
    for (std::size_t i = 0; i < sends; ++i) {
      const std::string value = std::to_string(i);
      taken += producer.send({.topic = "t", .partition = p0, .value = value, .tag = i}).ok();
    }
    flushed = producer.flush(60s);
    finished = true;
  }

  SimScheduler world;
  Process env{world, MemoryFileSystem()};
  WorldOf<Process> its_world{env};
  Ref<FakeLeader> leader = make_ref<FakeLeader>(its_world);
  std::deque<ProduceRequest> parked;
  ProducerState producers;
  std::int64_t end = 0;
  std::vector<std::size_t> written;
  std::map<std::uint64_t, int> told;
  std::size_t taken = 0;
  absl::Status flushed;
  bool finished = false;
};

}  // namespace

TEST_CASE("in any schedule a producer's records are written once, in the order of their sends") {
  std::size_t failed = 0;
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    CAPTURE(seed);
    Numbering run(seed);
    run.world.start(run.env.process(), "sender", [&] { run.send(); });
    for (int i = 0; i < 2; ++i) {
      run.world.start(run.env.process(), "answers", [&] { run.answer(); });
    }
    REQUIRE(run.world.run().ToString() == "OK");
    REQUIRE(run.taken == sends);
    REQUIRE(run.told.size() == sends);
    REQUIRE(std::is_sorted(run.written.begin(), run.written.end()));
    REQUIRE(std::adjacent_find(run.written.begin(), run.written.end()) == run.written.end());
    std::vector<std::size_t> acknowledged;
    for (const auto& [tag, times] : run.told) {
      if (times == 1) acknowledged.push_back(tag);
    }
    REQUIRE(acknowledged == run.written);
    REQUIRE(run.flushed.ok() == (acknowledged.size() == sends));
    failed += sends - acknowledged.size();
  }
  CHECK(failed > seeds);  // or nothing began a new epoch
}
