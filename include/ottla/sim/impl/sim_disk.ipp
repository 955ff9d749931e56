// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ottla/sim/impl/disk_state.hpp>

namespace ottla::inline OTTLA_ABI {

OTTLA_INLINE SimDisk::SimDisk(SimDiskOptions options)
    : state_(make_ref<sim_impl::DiskState>(std::move(options))) {}
OTTLA_INLINE SimDisk::SimDisk(Ref<sim_impl::DiskState> state) : state_(std::move(state)) {}
OTTLA_INLINE SimDisk::SimDisk(SimDisk&&) noexcept = default;
OTTLA_INLINE SimDisk& SimDisk::operator=(SimDisk&&) noexcept = default;
OTTLA_INLINE SimDisk::~SimDisk() = default;

OTTLA_INLINE SimFileSystem SimDisk::file_system() const {
  return SimFileSystem(state_, state_->incarnation());
}

OTTLA_INLINE void SimDisk::crash(CrashKind kind) { state_->crash(kind); }
OTTLA_INLINE void SimDisk::crash_at(std::uint64_t call, CrashKind kind) {
  fail_at(call, kind == CrashKind::power ? SimFault::power_crash : SimFault::process_crash);
}
OTTLA_INLINE bool SimDisk::down() const { return state_->down(); }
OTTLA_INLINE SimFileSystem SimDisk::restart() { return SimFileSystem(state_, state_->restart()); }
OTTLA_INLINE DurableStateCount
SimDisk::for_each_durable_state(std::uint64_t limit, const std::function<void(SimDisk&)>& visit,
                                std::optional<std::uint64_t> sample) const {
  const auto visit_disk = [&](Ref<sim_impl::DiskState> left) {
    SimDisk disk(std::move(left));
    visit(disk);
  };
  return state_->for_each_durable_state(limit, visit_disk, sample);
}

OTTLA_INLINE std::uint64_t SimDisk::calls() const { return state_->calls(); }
OTTLA_INLINE void SimDisk::fail_at(std::uint64_t call, SimFault fault, Repeat repeat) {
  state_->fail_at(call, fault, repeat);
}
OTTLA_INLINE void SimDisk::heal() { state_->heal(); }
OTTLA_INLINE void SimDisk::set_rates(const SimFaultRates& rates) { state_->set_rates(rates); }
OTTLA_INLINE void SimDisk::set_max_bytes(std::int64_t max_bytes) {
  state_->set_max_bytes(max_bytes);
}
OTTLA_INLINE void SimDisk::set_max_descriptors(int max_descriptors) {
  state_->set_max_descriptors(max_descriptors);
}
OTTLA_INLINE void SimDisk::set_read_only(bool read_only) { state_->set_read_only(read_only); }
OTTLA_INLINE void SimDisk::ignore(IoReason reason, IoOperation operation) {
  state_->ignore(reason, operation);
}
OTTLA_INLINE std::uint64_t SimDisk::ignored() const { return state_->ignored(); }
OTTLA_INLINE void SimDisk::spoil_sector(std::string_view path, std::int64_t position) {
  state_->spoil_sector(path, position);
}
OTTLA_INLINE void SimDisk::rot(std::string_view path, std::int64_t position, std::byte bits) {
  state_->rot(path, position, bits);
}

OTTLA_INLINE SimFaultTable SimDisk::fault_table() const { return state_->fault_table(); }
OTTLA_INLINE std::vector<SimDiskProblem> SimDisk::problems() const { return state_->problems(); }
OTTLA_INLINE std::vector<std::string> SimDisk::open_files() const { return state_->open_files(); }
OTTLA_INLINE std::uint64_t SimDisk::trace_hash() const { return state_->trace_hash(); }

}  // namespace ottla::inline OTTLA_ABI
