// SPDX-License-Identifier: Apache-2.0
//
// The machine's side, and what all calls have in common.
#pragma once

#include <absl/strings/str_cat.h>

#include <ottla/sim/impl/disk_state.hpp>
#include <ottla/sim/impl/durable_states.hpp>

namespace ottla::inline OTTLA_ABI {
namespace sim_impl {

inline absl::Status died() {
  return error(Fault::io, "the simulated process has died; restart the disk, open everything anew",
               Outcome::unknown);
}

OTTLA_INLINE DiskState::DiskState(SimDiskOptions options, DiskImage image, std::uint64_t boot)
    : options_(std::move(options)),
      random_(options_.seed),
      image_(std::move(image)),
      boot_(boot),
      max_bytes_(options_.max_bytes),
      max_descriptors_(options_.max_descriptors),
      read_only_(options_.read_only),
      rates_(options_.rates) {}

// ── a call's fate ───────────────────────────────────────────────────────────────────────────────

OTTLA_INLINE absl::StatusOr<Fate> DiskState::meet(const IoCall& call, Caller caller) {
  Mutex::expect_none_held();  // files may be slow
  if (options_.before_call) {
    options_.before_call(call);
  }
  const SimFault wanted = options_.choose_fault ? options_.choose_fault(call) : SimFault::none;
  Fate fate;
  {
    Lock lock(mutex_);
    OTTLA_TRY(check_alive(call, caller, true));
    ++calls_;
    fate.fault = choose(call, wanted);
    fate.chance = random_.next();
    if (!has_effect(call, caller.handle, fate)) {
      fate.fault = SimFault::none;
    }
    fate.ignored = fate.fault == SimFault::none && carries_reason(call.operation) &&
                   ignored_kinds_.contains({call.reason, call.operation});
    ignored_ += fate.ignored ? 1 : 0;
    note(call, fate);
  }
  if (fate.fault == SimFault::delay || fate.fault == SimFault::hang) {
    const bool hangs = fate.fault == SimFault::hang;
    const auto most = static_cast<std::uint64_t>(options_.max_delay.count()) + 1;
    const auto delay = std::chrono::nanoseconds(static_cast<std::int64_t>(fate.chance % most));
    fate.fault = SimFault::none;
    if (options_.pass_time) {
      options_.pass_time(hangs ? std::chrono::nanoseconds::max() : delay);
    } else if (hangs) {
      return disk_error(DiskFailure::io, name(call.operation), call.path, Outcome::unknown);
    }
  }
  return fate;
}

// A call that only ends after its process, since it was delayed, is nobody's fault.
OTTLA_INLINE absl::Status DiskState::check_alive(const IoCall& call, Caller caller, bool begins) {
  const bool of_handle = caller.handle != no_handle;
  if (down_) {
    return died();
  }
  if (of_handle ? caller.handle <= dead_handles_ : caller.incarnation != incarnation_) {
    if (begins) {
      report(SimDiskProblem::Kind::dead_process, call);
    }
    return died();
  }
  if (of_handle && !handles_.contains(caller.handle)) {
    report(call.operation == IoOperation::close ? SimDiskProblem::Kind::closed_twice
                                                : SimDiskProblem::Kind::used_closed,
           call);
    return error(Fault::closed, absl::StrCat(av(call.path), " was closed; open it again"));
  }
  return absl::OkStatus();
}

OTTLA_INLINE void DiskState::report(SimDiskProblem::Kind kind, const IoCall& call) {
  problems_.push_back(
      {.kind = kind, .operation = call.operation, .path = std::string(call.path), .call = calls_});
}

OTTLA_INLINE SimFault DiskState::choose(const IoCall& call, SimFault wanted) {
  const auto fits = [&](SimFault fault) {
    const bool opens_to_read = call.operation == IoOperation::open && call.mode == OpenMode::read;
    return applies(fault, call.operation) &&
           !(opens_to_read && (fault == SimFault::no_space || fault == SimFault::read_only));
  };
  for (const PlannedFault& planned : planned_) {
    const bool due =
        planned.call == calls_ || (planned.repeat == Repeat::from_then_on && planned.call < calls_);
    if (due && fits(planned.fault)) {
      return planned.fault;
    }
  }
  if (fits(wanted)) {
    return wanted;
  }
  for (int i = 1; i < sim_faults; ++i) {
    const auto fault = static_cast<SimFault>(i);
    if (rates_[fault] != 0 && fits(fault) && random_.next() % 1'000'000 < rates_[fault]) {
      return fault;
    }
  }
  return SimFault::none;
}

// Of what answers ok. What fails, takes time or dies has one always.
OTTLA_INLINE bool DiskState::has_effect(const IoCall& call, HandleNumber number,
                                        const Fate& fate) const {
  const auto found = handles_.find(number);
  if (found == handles_.end()) {
    return true;  // a call on names, and they do not lie
  }
  const OpenHandle& open = found->second;
  const DiskFile& file = image_.inode(open.inode).file;
  const std::int64_t at = call.position;
  const auto bytes = static_cast<std::int64_t>(call.bytes);
  const std::int64_t end = std::max(file.size(), at + bytes);
  const bool written = open.writable && !read_only_ && at >= 0 && bytes > 0;
  switch (fate.fault) {
    case SimFault::bad_sector:
      return file.bytes_from(at, bytes) > 0;
    case SimFault::bit_rot:
      return file.bytes_from(at, bytes) > 0 &&
             fate.place(at, file.bytes_from(at, bytes)) < std::ssize(file.durable());
    case SimFault::stale_read:
      return file.is_stale(at, bytes);
    case SimFault::lost_write:
      return written;
    case SimFault::misdirected_write:
      return written && end > sector_size;
    case SimFault::sync_late:
    case SimFault::sync_elsewhere:
      return !(file.pending().empty() && file.sizes().empty()) && !file.spoiled_pending() &&
             !file.fails_next_sync_through(number);
    default:
      return true;
  }
}

OTTLA_INLINE void DiskState::note(const IoCall& call, const Fate& fate) {
  table_.count_call(call.operation, call.reason);
  if (fate.fault != SimFault::none) {
    table_.count(call.operation, call.reason, fate.fault);
  }
  std::uint64_t hash = trace_;
  const auto add = [&hash](std::uint64_t n) { hash = mixed(hash ^ n); };
  add(static_cast<std::uint64_t>(call.operation) << 16 |
      static_cast<std::uint64_t>(call.reason) << 8 | static_cast<std::uint64_t>(fate.fault));
  for (const std::string_view text : {call.path, call.to}) {
    for (const char letter : text) {
      add(static_cast<unsigned char>(letter));
    }
    add(text.size());
  }
  add(static_cast<std::uint64_t>(call.position));
  add(call.bytes);
  trace_ = hash;
}

OTTLA_INLINE DiskFailure DiskState::refusal(const Fate& fate, Changes changes) const {
  switch (fate.fault) {
    case SimFault::io:
      return DiskFailure::io;
    case SimFault::no_space:
      return DiskFailure::no_space;
    case SimFault::no_descriptors:
      return DiskFailure::no_descriptors;
    case SimFault::read_only:
      return DiskFailure::read_only;
    case SimFault::denied:
      return DiskFailure::denied;
    default:
      return read_only_ && changes == Changes::something ? DiskFailure::read_only
                                                         : DiskFailure::none;
  }
}

// ── crashes ─────────────────────────────────────────────────────────────────────────────────────

OTTLA_INLINE void DiskState::go_down(CrashKind kind) {
  down_ = true;
  power_lost_ = power_lost_ || kind == CrashKind::power;
  dead_handles_ = last_handle_;
  handles_.clear();
  descriptors_ = 0;
  image_.drop_handles();
}

OTTLA_INLINE absl::Status DiskState::die(const Fate& fate) {
  go_down(fate.fault == SimFault::power_crash ? CrashKind::power : CrashKind::process);
  return died();
}

OTTLA_INLINE void DiskState::crash(CrashKind kind) {
  Lock lock(mutex_);
  go_down(kind);
}

OTTLA_INLINE std::uint64_t DiskState::restart() {
  Lock lock(mutex_);
  if (!down_) {
    go_down(CrashKind::process);
  }
  if (power_lost_) {
    image_ = DurableStates(image_, options_.crash, states_seed(), 1).draw(random_);
    ++boot_;
    power_lost_ = false;
  }
  down_ = false;
  return ++incarnation_;
}

OTTLA_INLINE DurableStateCount DiskState::for_each_durable_state(
    std::uint64_t limit, const std::function<void(Ref<DiskState>)>& visit,
    std::optional<std::uint64_t> sample) const {
  SimDiskOptions options;
  options.crash = options_.crash;
  options.device = options_.device;
  options.wall_now = options_.wall_now;
  DiskImage image;
  std::uint64_t boot = 0;
  std::uint64_t seed = 0;
  {
    Lock lock(mutex_);
    seed = states_seed();
    image = image_;
    boot = boot_ + 1;
  }
  DurableStates states(image, options_.crash, seed, limit);
  const auto visit_image = [&](DiskImage left) {
    options.seed = mixed(options.seed + seed);
    visit(make_ref<DiskState>(options, std::move(left), boot));
  };
  return states.for_each(visit_image, sample.value_or(limit));
}

OTTLA_INLINE std::uint64_t DiskState::incarnation() const {
  Lock lock(mutex_);
  return incarnation_;
}
OTTLA_INLINE bool DiskState::down() const {
  Lock lock(mutex_);
  return down_;
}

// ── faults ──────────────────────────────────────────────────────────────────────────────────────

OTTLA_INLINE std::uint64_t DiskState::calls() const {
  Lock lock(mutex_);
  return calls_;
}
OTTLA_INLINE void DiskState::fail_at(std::uint64_t call, SimFault fault, Repeat repeat) {
  Lock lock(mutex_);
  planned_.push_back({call, fault, repeat});
}
OTTLA_INLINE void DiskState::heal() {
  Lock lock(mutex_);
  planned_.clear();
  rates_ = {};
  image_.heal_sectors();
}
OTTLA_INLINE void DiskState::set_rates(const SimFaultRates& rates) {
  Lock lock(mutex_);
  rates_ = rates;
}
OTTLA_INLINE void DiskState::set_max_bytes(std::int64_t max_bytes) {
  Lock lock(mutex_);
  max_bytes_ = max_bytes;
}
OTTLA_INLINE void DiskState::set_max_descriptors(int max_descriptors) {
  Lock lock(mutex_);
  max_descriptors_ = max_descriptors;
}
OTTLA_INLINE void DiskState::set_read_only(bool read_only) {
  Lock lock(mutex_);
  read_only_ = read_only;
}
OTTLA_INLINE void DiskState::ignore(IoReason reason, IoOperation operation) {
  Lock lock(mutex_);
  if (operation != IoOperation::open) {
    ignored_kinds_.insert({reason, operation});
  }
}
OTTLA_INLINE std::uint64_t DiskState::ignored() const {
  Lock lock(mutex_);
  return ignored_;
}
OTTLA_INLINE void DiskState::spoil_sector(std::string_view path, std::int64_t position) {
  Lock lock(mutex_);
  InodeNumber found = no_inode;
  if (image_.find(path, found) == DiskFailure::none) {
    image_.inode(found).file.spoil(position / sector_size);
  }
}
OTTLA_INLINE void DiskState::rot(std::string_view path, std::int64_t position, std::byte bits) {
  Lock lock(mutex_);
  InodeNumber found = no_inode;
  if (image_.find(path, found) == DiskFailure::none) {
    image_.inode(found).file.rot(position, bits);
  }
}

// ── what happened ───────────────────────────────────────────────────────────────────────────────

OTTLA_INLINE SimFaultTable DiskState::fault_table() const {
  Lock lock(mutex_);
  return table_;
}
OTTLA_INLINE std::vector<SimDiskProblem> DiskState::problems() const {
  Lock lock(mutex_);
  return problems_;
}
OTTLA_INLINE std::vector<std::string> DiskState::open_files() const {
  Lock lock(mutex_);
  std::vector<std::string> paths;
  for (const auto& [number, handle] : handles_) {
    if (!handle.lock) {
      paths.push_back(handle.path);
    }
  }
  return paths;
}
OTTLA_INLINE std::uint64_t DiskState::trace_hash() const {
  Lock lock(mutex_);
  return trace_;
}

}  // namespace sim_impl
}  // namespace ottla::inline OTTLA_ABI
