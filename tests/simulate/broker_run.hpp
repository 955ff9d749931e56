// SPDX-License-Identifier: Apache-2.0
//
// A broker and its clients in a simulated world, life after life: at work among faults until the
// process or the machine dies; at last the faults stop, and everything has to come to its end. What
// the clients were told is a history, which the checkers look at. A run is a function of its
// options.
#pragma once

#include <algorithm>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <absl/strings/str_cat.h>

#include <ottla/sim/checkers.hpp>

#include "broker_clients.hpp"
#include "log_run.hpp"

namespace simulate {

struct BrokerRunOptions {
  std::uint64_t seed = 0;
  int lives = 4;                        ///< before the faults stop
  int steps = 40;                       ///< of a client in a life, at most
  std::uint32_t faults = 0xffff'ffff;   ///< a bit for each SimFault that may come
  std::uint32_t clients = 0xffff'ffff;  ///< a bit for each client: admin, producers, consumers
  std::optional<Step> ignored = {};
};

struct BrokerRunResult {
  Violations violations;
  ottla::History history;
  std::vector<std::string> events;  ///< of the broker: warnings and errors
  int lives = 0;
  SimFaultTable faults;
  std::uint64_t trace = 0;
};

class BrokerRun {
 public:
  explicit BrokerRun(const BrokerRunOptions& options)
      : options_(options),
        dice_(options.seed, Stream::world),
        world_({.seed = options.seed,
                .step_limit = 30'000'000,
                .stall_one_in = dice_.one_in(4) ? 300U : 0U,
                .longest_stall = dice_.pick({1ms, 100ms}),
                .spurious_one_in = dice_.one_in(4) ? 20U : 0U}),
        disk_({.seed = options.seed,
               .crash = {.mode = static_cast<DiskMode>(dice_.below(4))},
               .max_delay = dice_.pick({20ms, 3'000ms}),
               .wall_now = [this] { return wall_now(); },  // files are not older than records
               .pass_time = [this](std::chrono::nanoseconds time) { pass_on_disk(time); }}),
        config_(draw_broker(options.seed)),
        topics_(draw_topics(options.seed)) {
    SimFileSystem files = disk_.file_system();
    for (const std::string& path : config_.log_dirs.paths()) {
      (void)files.create_directory(path, IoReason::other);
    }
    (void)files.sync_directory("/", IoReason::other);
    producers_ = dice_.below(3) + 1;
    groups_ = dice_.below(2) + 1;
    members_ = dice_.below(3) + 1;
    if (options.ignored) {
      disk_.ignore(options.ignored->reason, options.ignored->operation);
    }
  }

  BrokerRunResult run() {
    for (const TopicPlan& topic : topics_) {
      history_.add_topic(topic.name, {.durable = topic.durable, .compacted = topic.compacted});
    }
    for (life_ = 0; life_ < options_.lives && result_.violations.empty(); ++life_) {
      live(Phase::safety);
    }
    for (const Phase phase : {Phase::liveness, Phase::after}) {
      if (result_.violations.empty()) {
        live(phase);
        ++life_;
      }
    }
    for (const SimDiskProblem& problem : disk_.problems()) {
      violated("files", "misused: " + problem.path);
    }
    for (Violation& each : check(history_)) {
      result_.violations.push_back(std::move(each));
    }
    result_.lives = life_;
    result_.faults = disk_.fault_table();
    result_.trace = world_.trace_hash() * 31 + disk_.trace_hash();
    result_.history = std::move(history_);
    return std::move(result_);
  }

 private:
  /// Faults; none any more, and everything is to come to its end; and after a clean stop.
  enum class Phase : std::uint8_t { safety, liveness, after };

  void violated(std::string property, std::string text) {
    result_.violations.push_back({std::move(property), std::move(text)});
  }
  bool takes_part(std::uint64_t client) const { return (options_.clients >> client & 1U) != 0; }
  void pass(std::chrono::nanoseconds time) { world_.await_time(after(world_.now(), time)); }
  Timestamp wall_now() const {
    const auto passed =
        std::chrono::duration_cast<std::chrono::milliseconds>(world_.now().time_since_epoch());
    return Timestamp(1'600'000'000'000 + passed.count());
  }
  void pass_on_disk(std::chrono::nanoseconds time) {
    if (world_.inside()) {
      pass(time);
    }
  }

  // ── a life ──────────────────────────────────────────────────────────────────────────────────

  void live(Phase phase) {
    dice_ = Dice(options_.seed, Stream::main, static_cast<std::uint64_t>(life_));
    power_cuts_ = power_cuts();
    ended_ = false;
    opened_ = false;
    sync_failed_ = false;
    if (unsynced_) {
      note_failed_sync();
    }
    const auto dirs = static_cast<int>(config_.log_dirs.paths().size());
    env_ = std::make_unique<SimProcessEnv>(
        world_, life_ == 0 ? disk_.file_system() : disk_.restart(),
        SimEnvOptions{.name = "life " + std::to_string(life_),
                      .executor = {.threads = dirs + 2},
                      .wall = wall_now(),
                      .on_io = [this](IoCall& call) { return after_io(call); }});
    disk_.heal();
    disk_.set_rates({});
    if (phase == Phase::safety) {
      plan_faults();
    }
    const absl::Status ran = world_.run(env_->process(), [&] { work(phase); });
    if (!ran.ok()) {
      violated("deadlock", std::string(sv(ran.message())) + "\n" + world_.report());
    }
    end_life(dice_.one_in(2) && phase == Phase::safety ? CrashKind::power : CrashKind::process);
    env_.reset();
  }

  void plan_faults() {
    Dice dice(options_.seed, Stream::faults, static_cast<std::uint64_t>(life_));
    disk_.set_rates(draw_faults(dice, options_.faults));
    const CrashKind kind = dice.one_in(2) ? CrashKind::power : CrashKind::process;
    const SimFault fault =
        kind == CrashKind::power ? SimFault::power_crash : SimFault::process_crash;
    if ((options_.faults >> static_cast<unsigned>(fault) & 1U) != 0) {
      const std::uint64_t after = dice.one_in(3) ? dice.below(200) : 200 + dice.below(2'000);
      disk_.crash_at(disk_.calls() + 1 + after, kind);
    }
  }
  absl::Status after_io(const IoCall& call) {
    const bool sync =
        call.operation == IoOperation::sync || call.operation == IoOperation::sync_directory;
    if (call.done && disk_.down()) {
      end_life(CrashKind::process);
    } else if (call.done && sync && !call.result.ok() && !ended_) {
      note_failed_sync();
    }
    return absl::OkStatus();
  }
  void note_failed_sync() {
    if (!std::exchange(sync_failed_, true)) {
      history_.note({.kind = EventKind::sync_failed});
    }
  }
  /// From here on nothing is noted. Whoever is left goes on with a disk that refuses everything,
  /// and ends by its own deadlines.
  void end_life(CrashKind kind) {
    if (std::exchange(ended_, true)) {
      return;
    }
    if (!disk_.down()) {
      disk_.crash(kind);
      power_cuts_ -= kind == CrashKind::power ? 1 : 0;
    }
    const bool power = power_cuts() != power_cuts_;
    unsynced_ = !power && (sync_failed_ || (unsynced_ && !opened_));
    history_.note({.kind = power ? EventKind::power_cut : EventKind::process_death});
  }
  std::uint64_t power_cuts() const { return fired(disk_.fault_table(), SimFault::power_crash); }

  // ── its work ────────────────────────────────────────────────────────────────────────────────

  void work(Phase phase) {
    const HistoryWriter writer(history_);
    BrokerConfig config = config_;
    config.on_event = [this, phase](const BrokerEvent& event) { note_event(event, phase); };
    auto opened = SimBroker::open(*env_, std::move(config));
    if (!opened.ok()) {
      if (phase != Phase::safety) {
        violated("opening", opened.status().ToString());
      }
      return;
    }
    const SimBroker broker = *std::move(opened);
    Stage stage{.world = world_,
                .host = RecordingHost(broker, writer),
                .writer = writer,
                .seed = options_.seed,
                .life = static_cast<std::uint64_t>(life_),
                .steps = options_.steps,
                .topics = topics_there_,
                .topics_gone = topics_gone_,
                .calm = phase != Phase::safety};
    check_topics(broker, stage);
    make_topics(broker, stage);
    if (stage.calm || dice_.one_in(2)) {
      opened_ = read_logs(stage) && !stage.over();
    }
    if (phase == Phase::after) {
      verify(broker);
    } else {
      have_clients_work(broker, stage);
    }
    if (!stage.over() && (stage.calm || dice_.one_in(4))) {
      const absl::Status closed = broker.close();
      if (!closed.ok() && stage.calm) {
        violated("clean stop", closed.ToString());
      }
    }
  }

  void note_event(const BrokerEvent& event, Phase phase) {
    if (event.level == EventLevel::info || ended_) {
      return;
    }
    std::string line = absl::StrCat(life_, " ", event.code, " ", event.file, ": ", event.text);
    // Files wait for file.delete.delay.ms when the broker stops; what was given up stays.
    if (event.code == "sync_failed" && !sync_failed_) {
      history_.note({.kind = EventKind::dimmed});  // it was not even tried: who waited is told
    }
    const bool known = event.text.find("an interrupted deletion") != std::string::npos ||
                       event.text.find("does not say whose it is") != std::string::npos;
    const bool ours =
        event.code != "recovery" ||
        std::any_of(topics_there_.begin(), topics_there_.end(), [&](const TopicPlan& topic) {
          return event.file.starts_with(topic.name + "-");
        });
    if (phase == Phase::after && ours && !known) {
      violated("clean stop", "the next opening tells: " + line);
    }
    result_.events.push_back(std::move(line));
  }

  bool is_there(const std::string& topic) const {
    return std::any_of(topics_there_.begin(), topics_there_.end(),
                       [&](const TopicPlan& each) { return each.name == topic; });
  }
  /// A change of topics that was answered outlives everything.
  void check_topics(const SimBroker& broker, const Stage& stage) {
    const auto names = broker.list_topics();
    if (!names.ok() || stage.over()) {
      return;
    }
    const std::set<std::string> there(names->begin(), names->end());
    for (const TopicPlan& topic : topics_there_) {
      if (there.count(topic.name) == 0) {
        violated("topics", topic.name + " is not there");
      }
    }
    for (const std::string& name : topics_gone_) {
      if (there.count(name) > 0) {
        violated("topics", name + " came back");
      }
    }
  }
  void make_topics(const SimBroker& broker, const Stage& stage) {
    std::vector<TopicPlan> wanted = topics_there_;
    wanted.insert(wanted.end(), topics_.begin(), topics_.end());
    for (const TopicPlan& topic : wanted) {
      const bool known =
          std::any_of(topics_there_.begin(), topics_there_.end(),
                      [&](const TopicPlan& each) { return each.name == topic.name; });
      if (topics_gone_.count(topic.name) > 0) {
        continue;
      }
      const absl::Status made = broker.create_topic({.name = topic.name,
                                                     .partitions = topic.partitions,
                                                     .configs = topic.configs,
                                                     .if_not_exists = true});
      if (made.ok() && !known && !stage.over()) {
        topics_there_.push_back(topic);
      } else if (!made.ok() && stage.calm) {
        give_up(broker, stage, topic.name, made);
      }
    }
  }
  /// A power cut may leave records in a directory that does not say whose it is, where nothing was
  /// durable yet: somebody has to decide.
  void give_up(const SimBroker& broker, const Stage& stage, const std::string& name,
               const absl::Status& why) {
    const bool anonymous = sv(why.message()).find("does not say whose it is") != std::string::npos;
    const bool durable = std::any_of(
        history_.events().begin(), history_.events().end(), [&](const HistoryEvent& event) {
          return event.kind == EventKind::ok && event.partition.topic == name &&
                 (event.durability == Durability::durable || history_.topic(name).durable) &&
                 sv(why.message()).find(event.partition.to_string()) != std::string::npos;
        });
    if (!anonymous || durable) {
      violated("topics", why.ToString());
      return;
    }
    stage.writer.note({.kind = EventKind::delete_topic, .partition = {name, PartitionId(0)}});
    std::erase_if(topics_there_, [&](const TopicPlan& each) { return each.name == name; });
    if (const absl::Status gone = broker.delete_topic(name); !gone.ok()) {
      violated("topics", gone.ToString());
    }
    topics_gone_.insert(name);
  }
  /// Whether all of them could be read.
  bool read_logs(const Stage& stage) {
    bool all = true;
    for (const TopicPartition& partition : partitions_of(topics_there_)) {
      const absl::Status read = stage.over() ? absl::OkStatus() : read_log(stage, partition);
      all = all && read.ok();
      if (!read.ok() && stage.calm) {
        violated("reading", partition.to_string() + ": " + read.ToString());
      }
    }
    return all;
  }
  void verify(const SimBroker& broker) {
    const auto report = broker.verify();
    if (!report.ok() || !report->complete) {
      violated("verify", report.ok() ? "not complete" : report.status().ToString());
      return;
    }
    for (const VerifyReport::Damage& damage : report->damage) {
      if (is_there(damage.partition.topic)) {  // others may be offline
        violated("verify", damage.file + ": " + damage.why);
      }
    }
  }

  template <class Work>
  void start(const std::string& name, int& running, Work work) {
    ++running;
    world_.start(env_->process(), name, [&running, work = std::move(work)]() mutable {
      work();
      --running;
    });
  }
  void have_clients_work(const SimBroker& broker, Stage& stage) {
    int producing = 0;
    int others = 0;
    bool drained = false;
    if (takes_part(0)) {
      start("admin", others, [&stage] { AdministeringClient(stage).run(); });
    }
    for (std::uint64_t i = 0; i < producers_; ++i) {
      if (takes_part(1 + i)) {
        start("producer", producing, [&stage, i] { ProducingClient(stage, i).run(); });
      }
    }
    for (std::uint64_t group = 0; group < groups_; ++group) {
      for (std::uint64_t member = 0; member < members_; ++member) {
        if (takes_part(4 + group * 3 + member)) {
          start("consumer", others, [&stage, &drained, group, member] {
            ConsumingClient(stage, group, member).run([&stage, &drained](int steps) {
              return stage.calm ? drained : steps >= stage.steps;
            });
          });
        }
      }
    }
    while (producing > 0 || (!stage.calm && others > 0)) {
      pass(5ms);
    }
    if (stage.calm) {
      if (const std::string why = send_at_last(broker, stage); !why.empty()) {
        violated("liveness", why);
      }
      await_drained(broker, stage);
    }
    drained = true;
    while (others > 0) {
      pass(5ms);
    }
    if (stage.calm && !stage.over()) {
      look_at_last(stage);
    }
  }

  // ── the liveness phase ──────────────────────────────────────────────────────────────────────

  /// That have something to read.
  bool has_members(std::uint64_t group) const {
    bool any = false;
    for (std::uint64_t member = 0; member < members_; ++member) {
      any = any || takes_part(4 + group * 3 + member);
    }
    return any && !topics_there_.empty();
  }
  /// Groups are stable and have committed all there is, within bounded time.
  void await_drained(const SimBroker& broker, const Stage& stage) {
    const auto admin = Admin::open(broker);
    const SteadyTime deadline = after(world_.now(), 120s);
    for (std::uint64_t group = 0; group < groups_ && admin.ok(); ++group) {
      const std::string name = "g" + std::to_string(group);
      std::string why;
      while (has_members(group) && !stage.over() &&
             !(why = lag(*admin, name, topics_there_)).empty()) {
        if (world_.now() >= deadline) {
          violated("liveness", why);
          return;
        }
        pass(100ms);
      }
    }
  }
  void look_at_last(const Stage& stage) {
    read_logs(stage);
    for (std::uint64_t group = 0; group < groups_; ++group) {
      if (!has_members(group)) {
        continue;
      }
      const std::string name = "g" + std::to_string(group);
      std::vector<TopicPartition> all;
      for (const TopicPlan& topic : topics_there_) {
        for (std::int32_t i = 0; i < topic.partitions; ++i) {
          all.push_back({topic.name, PartitionId(i)});
          stage.writer.note({.kind = EventKind::subscribe, .group = name, .partition = all.back()});
        }
      }
      auto reader = TextConsumer::open(stage.host, {.group = name, .auto_commit = false});
      if (!reader.ok() || !reader->committed(all).ok()) {
        violated("liveness", "what " + name + " has committed is not known");
      }
    }
    stage.writer.note({.kind = EventKind::finished});
  }

  const BrokerRunOptions options_;
  Dice dice_;
  SimScheduler world_;
  SimDisk disk_;
  const BrokerConfig config_;
  const std::vector<TopicPlan> topics_;
  std::uint64_t producers_ = 1;
  std::uint64_t groups_ = 1;
  std::uint64_t members_ = 1;
  ottla::History history_{[this] { return world_.now(); }};
  std::unique_ptr<SimProcessEnv> env_;
  std::vector<TopicPlan> topics_there_;
  std::set<std::string> topics_gone_;
  BrokerRunResult result_;
  int life_ = 0;
  bool ended_ = false;   // this life
  bool opened_ = false;  // and everything was read
  bool sync_failed_ = false;
  bool unsynced_ = false;  // a sync had failed in an earlier life, and no opening since was whole
  std::uint64_t power_cuts_ = 0;  // when this life began
};

}  // namespace simulate
