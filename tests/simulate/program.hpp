// SPDX-License-Identifier: Apache-2.0
//
// A program with one log directory and a log in it, that does what a broker does and in the same
// order; and what it was told. Its steps do nothing once it has nothing open, and go on after an
// error as their owner has to.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <ottla/env/any_file_system.hpp>
#include <ottla/log/log_cleaning.hpp>
#include <ottla/log/log_directory.hpp>
#include <ottla/record/batch_builder.hpp>

#include "known.hpp"
#include "reading.hpp"

namespace simulate {

class Program {
 public:
  Program(SimFileSystem files, Settings settings, Known& known)
      : files_(std::move(files)), settings_(std::move(settings)), known_(known) {}
  Program(const Program&) = delete;

  bool ready() const { return log_.has_value(); }
  Log& log() { return *log_; }
  LogDirectory& directory() { return *directory_; }

  /// On a `healthy` disk all has to be well; else whether it can go on.
  bool open(Kept kept, bool healthy) {
    const absl::Status opened = try_open(kept, healthy);
    if (!opened.ok()) {
      log_.reset();
      directory_.reset();
      if (healthy) {
        known_.history.violated("opening", opened.ToString());
      }
    }
    return opened.ok();
  }

  // ── what producers and replicas ask for ─────────────────────────────────────────────────────

  void append(int batches, const Shape& shape = {}) {
    if (!ready()) {
      return;
    }
    std::vector<SharedBytes> sealed;
    std::int64_t base = log_->end().value() + shape.left_out;
    if (shape.left_out > 0) {
      known_.history.skipped(base);
    }
    for (int i = 0; i < batches; ++i) {
      sealed.push_back(batch_of(base++, shape));
    }
    write(sealed);
  }
  void end_transaction(std::int64_t producer, ControlType type) {
    if (!ready()) {
      return;
    }
    known_.clock += 1'000;
    auto marker = marker_batch({.base_offset = log_->end(),
                                .leader_epoch = LeaderEpoch(known_.epoch),
                                .timestamp = Timestamp(known_.clock),
                                .producer_id = ProducerId(producer),
                                .producer_epoch = ProducerEpoch(0)},
                               {type, 0});
    std::vector<SharedBytes> sealed;
    sealed.push_back(std::move(*marker).freeze());
    write(sealed);
  }
  void begin_epoch() {
    if (ready()) {
      log_->assign_epoch(LeaderEpoch(++known_.epoch));
    }
  }
  /// A follower's: what its leader does not have goes. The recovery point's checkpoint goes first.
  void truncate_to(std::int64_t end) {
    if (!ready() || !lower_recovery_point(end)) {
      return;
    }
    known_.history.cut_back(end, false);
    if (log_->truncate_to(Offset(end), SteadyTime()).ok() ||
        log_->truncate_to(Offset(end), SteadyTime()).ok()) {
      known_.history.cut_back(end, true);
    } else {
      forget();
      return;
    }
    log_->publish();
  }
  void begin_anew(std::int64_t start) {
    if (!ready() || !lower_recovery_point(0)) {
      return;
    }
    known_.history.begun_anew(start, false);
    if (!log_->truncate_fully_and_start_at(Offset(start), now(), SteadyTime()).ok()) {
      forget();
      return;
    }
    known_.history.begun_anew(start, true);
    log_->publish();
    if (checkpoint_at(CheckpointKind::log_start, start, Durability::durable)) {
      known_.history.start_raised(start);
    }
  }

  // ── what keeps it ───────────────────────────────────────────────────────────────────────────

  bool flush(FlushScope scope = FlushScope::data) {
    if (!ready()) {
      return false;
    }
    LogFlush plan = log_->plan_flush(scope);
    const bool done = plan.run().ok();
    if (done) {
      log_->flushed(plan);
      known_.history.flushed(std::min(plan.end().value(), known_.history.written()));
    }
    log_->publish();
    return done;
  }
  /// On the device, and nobody was told.
  void flush_untold() {
    if (ready()) {
      log_->plan_flush(FlushScope::data).run().IgnoreError();
    }
  }
  void roll() {
    if (ready()) {
      log_->roll(now()).IgnoreError();
      log_->publish();
    }
  }
  void checkpoint_recovery() {
    if (ready()) {
      checkpoint_at(CheckpointKind::recovery_point, log_->recovery_point().value(),
                    Durability::written);
    }
  }
  /// Delete-records and retention: the checkpoint first (W7).
  void raise_start(std::int64_t start) {
    if (!ready()) {
      return;
    }
    known_.history.start_raising(start);
    if (checkpoint_at(CheckpointKind::log_start, start, Durability::durable) &&
        log_->raise_start(Offset(start), log_->end()).ok()) {
      known_.history.start_raised(start);
    }
    log_->publish();
  }
  void delete_segments() {
    if (ready()) {
      log_->delete_segments(log_->start(), SteadyTime()).IgnoreError();
      log_->publish();
    }
  }
  void retain() {
    if (!ready()) {
      return;
    }
    const auto start = log_->retention_start(log_->end(), now());
    log_->publish();
    if (start.ok()) {
      raise_start(start->value());
      delete_segments();
    }
  }
  void remove_deleted(std::chrono::milliseconds later = std::chrono::hours(1)) {
    if (ready()) {
      log_->remove_deleted(after(SteadyTime(), later)).IgnoreError();
    }
  }
  void pass(std::chrono::milliseconds time) { known_.clock += time.count(); }
  void expire_producers() {
    if (ready()) {
      known_.producers_expire = true;
      log_->remove_expired_producers(now());
    }
  }
  void compact() {
    if (!ready()) {
      return;
    }
    known_.history.compacts();
    const auto cleaned = try_compact();
    log_->publish();
    if (cleaned.ok() && *cleaned > Offset(0)) {
      checkpoint_at(CheckpointKind::cleaned, cleaned->value(), Durability::written);
    }
  }
  void repair_indexes() {
    if (ready()) {
      log_->repair_indexes().IgnoreError();
      log_->publish();
    }
  }

  // ── the directory ───────────────────────────────────────────────────────────────────────────

  bool checkpoint_at(CheckpointKind kind, std::int64_t offset, Durability durability) {
    directory_->set_offset(kind, main_partition, Offset(offset));
    return directory_->write_checkpoint(kind, directory_->offsets(kind), durability).ok();
  }
  bool lower_recovery_point(std::int64_t end) {
    const auto known = directory_->offset(CheckpointKind::recovery_point, main_partition);
    return !known || known->value() <= end ||
           checkpoint_at(CheckpointKind::recovery_point, end, Durability::durable);
  }
  void checkpoint_others(int n) {
    if (ready()) {
      for (int i = 0; i < 20; ++i) {
        const TopicPartition other{"other", PartitionId(i)};
        i < n ? directory_->set_offset(CheckpointKind::log_start, other, Offset(i))
              : directory_->note_deleted(other);
      }
      const auto offsets = directory_->offsets(CheckpointKind::log_start);
      directory_->write_checkpoint(CheckpointKind::log_start, offsets, Durability::durable)
          .IgnoreError();
    }
  }
  absl::Status create(const TopicPartition& partition, Durability durability) {
    Partition& its = known_.partitions[partition.to_string()];
    its = {Presence::either, Presence::either};
    OTTLA_TRY(directory_->create_partitions({{{partition, main_topic, uuid(++known_.runs)}}},
                                            durability));
    directory_->note_created(partition, durability);
    its.written = Presence::present;
    its.durable = durability == Durability::durable ? Presence::present : Presence::either;
    return absl::OkStatus();
  }
  void create_other(int n, Durability durability) {
    if (ready()) {
      create({"other", PartitionId(n)}, durability).IgnoreError();
    }
  }
  void delete_other(int n, Durability durability) {
    if (!ready()) {
      return;
    }
    const TopicPartition partition{"other", PartitionId(n)};
    Partition& its = known_.partitions[partition.to_string()];
    its = {Presence::either, Presence::either};
    if (directory_->delete_partition(partition, uuid(++known_.runs), durability).ok()) {
      directory_->note_deleted(partition);
      its.written = Presence::absent;
      its.durable = durability == Durability::durable ? Presence::absent : Presence::either;
    }
  }
  void remove_deleted_partitions() {
    for (int i = 0; ready() && i < 4; ++i) {
      directory_->remove_deleted_partitions().IgnoreError();
    }
  }
  /// In the order of a clean stop.
  void close() {
    if (!ready()) {
      return;
    }
    const auto end = log_->close();
    log_.reset();
    if (end.ok()) {
      known_.history.flushed(known_.history.written());
      directory_->set_offset(CheckpointKind::recovery_point, main_partition, end->end);
      directory_->note_closed(main_partition, *end);
      const auto offsets = directory_->offsets(CheckpointKind::recovery_point);
      if (directory_->write_checkpoint(CheckpointKind::recovery_point, offsets, Durability::durable)
              .ok()) {
        closed_ = directory_->close(directory_->clean_ends()).ok();
      }
    }
    directory_.reset();
  }
  bool closed() const { return closed_; }

  /// Everything that is in is read.
  void check(bool healthy) {
    Reading reading;
    if (!ready()) {
      return;
    }
    if (const absl::Status read = read_log(*log_, reading); read.ok()) {
      known_.history.read(reading.found);
      compare(reading, healthy);
    } else if (healthy) {
      known_.history.violated("reading", read.ToString());
    }
  }

 private:
  Timestamp now() const { return Timestamp(known_.clock); }
  void forget() {
    log_.reset();
    directory_.reset();
  }

  absl::Status try_open(Kept kept, bool healthy);
  absl::Status open_partition();
  void check_directory(Kept kept);
  void compare(const Reading& reading, bool healthy) {
    if (healthy) {
      check_epochs(*log_, reading, known_.history);
      check_transactions(*log_, reading, known_.history);
      check_times(*log_, reading, known_.history);
    }
    if (healthy && !known_.producers_expire) {
      check_producers(*log_, reading, known_.history);
    }
  }
  SharedBytes batch_of(std::int64_t offset, const Shape& shape);
  void write(const std::vector<SharedBytes>& sealed);
  absl::StatusOr<Offset> try_compact();

  AnyFileSystem files_;
  const Settings settings_;
  Known& known_;
  std::optional<LogDirectory> directory_;
  std::optional<Log> log_;
  bool closed_ = false;
};

// ── opening ───────────────────────────────────────────────────────────────────────────────────

inline absl::Status Program::try_open(Kept kept, bool healthy) {
  ++known_.runs;
  DirectoryReport found;
  OTTLA_ASSIGN(auto directory,
               LogDirectory::open(files_,
                                  {.path = "/d",
                                   .properties = {"cluster", BrokerId(1), uuid(known_.runs)},
                                   .process = 1,
                                   .run = uuid(known_.runs)},
                                  found));
  directory_.emplace(std::move(directory));
  check_directory(kept);
  OTTLA_TRY(open_partition());
  LogOptions options{.config = settings_.config,
                     .topic_id = main_topic,
                     .partition = main_partition.partition,
                     .producer_id_expiration = settings_.producer_id_expiration};
  RecoveryReport report;
  LogOpening opening = directory_->take_opening(main_partition, now());
  opening.repair = known_.repair;
  if (known_.repair == Repair::truncate && !lower_recovery_point(0)) {
    return error(Fault::io, "the checkpoint cannot be lowered");
  }
  const auto open = [&] {
    return Log::open(files_, directory_->path_of(main_partition), options, opening,
                     directory_->health(), report);
  };
  auto opened = open();
  if (fault(opened.status()) == Fault::invalid_argument) {
    opening.repair.reset();  // it was repaired, and nobody was told
    opened = open();
  }
  OTTLA_ASSIGN(auto log, std::move(opened));
  if (std::exchange(known_.repair, std::nullopt) == Repair::truncate) {
    known_.history.cut_back(known_.damaged, true);
  }
  log_.emplace(std::move(log));
  if (log_->damage() != nullptr) {
    known_.history.violated("damage", log_->damage()->why);
  }
  Reading reading;
  absl::Status read = read_log(*log_, reading);
  if (!read.ok() && !healthy) {
    read = read_log(*log_, reading);
  }
  OTTLA_TRY(read);
  known_.history.opened(reading.found, kept);
  compare(reading, healthy);
  return absl::OkStatus();
}

inline void Program::check_directory(Kept kept) {
  const auto& found = directory_->partitions();
  for (auto& [name, its] : known_.partitions) {
    const TopicPartition partition = *TopicPartition::parse(name);
    const bool is_there = std::find(found.begin(), found.end(), partition) != found.end();
    const Presence expected = kept == Kept::durable ? its.durable : its.written;
    if (expected != Presence::either && is_there != (expected == Presence::present)) {
      known_.history.violated("partitions", name + (is_there ? " came back" : " is gone"));
    }
    its.written = is_there ? Presence::present : Presence::absent;
    its.durable = its.durable == its.written ? its.durable : Presence::either;
  }
  if (known_.directory_id.value_or(directory_->properties().directory_id) !=
      directory_->properties().directory_id) {
    known_.history.violated("meta.properties", "the directory has another id");
  }
  known_.directory_id = directory_->properties().directory_id;
}

inline absl::Status Program::open_partition() {
  const auto& found = directory_->partitions();
  if (std::find(found.begin(), found.end(), main_partition) != found.end()) {
    const absl::Status topic = directory_->topic_id(main_partition).status();
    if (fault(topic) != Fault::not_found && fault(topic) != Fault::corrupt) {
      return topic;
    }
    if (known_.history.durable() > 0) {
      known_.history.violated("partition.metadata", std::string(sv(topic.message())));
    }
    if (const absl::Status made = create(main_partition, settings_.made);
        fault(made) != Fault::already_exists) {
      return made;
    }
    // Nobody knows whose it is, and nothing in it was durable.
    OTTLA_TRY(
        directory_->delete_partition(main_partition, uuid(++known_.runs), Durability::durable));
  }
  if (known_.history.durable() > 0) {
    known_.history.violated("partitions", "one is gone, with what was durable");
  }
  known_.history.lost();
  for (const CheckpointKind kind : checkpoint_kinds) {
    if (directory_->offset(kind, main_partition)) {
      directory_->note_deleted(main_partition);
      for (const CheckpointKind each : checkpoint_kinds) {
        OTTLA_TRY(
            directory_->write_checkpoint(each, directory_->offsets(each), Durability::durable));
      }
      break;
    }
  }
  return create(main_partition, settings_.made);
}

}  // namespace simulate

#include "writing.hpp"
