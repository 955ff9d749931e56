// SPDX-License-Identifier: Apache-2.0
//
// What the handles of one simulated disk share: its image, who is alive, what is open, which faults
// are to come. A call first meets its fate (`meet`: hooks, number, fault, delay), then acts under
// the lock.
#pragma once

#include <map>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <ottla/base/mutex.hpp>
#include <ottla/env/memory/random.hpp>
#include <ottla/sim/impl/disk_image.hpp>
#include <ottla/sim/sim_disk.hpp>

namespace ottla::inline OTTLA_ABI {
namespace sim_impl {

using HandleNumber = std::uint64_t;
inline constexpr HandleNumber no_handle = 0;

/// Who calls: a process's file system, or one of its Files.
struct Caller {
  std::uint64_t incarnation = 0;  // of a file system
  HandleNumber handle = no_handle;
};

/// What a call meets.
struct Fate {
  SimFault fault = SimFault::none;
  std::uint64_t chance = 0;  // to draw from
  bool ignored = false;      // the call answers ok and does nothing

  bool crashes() const {
    return fault == SimFault::process_crash || fault == SimFault::power_crash;
  }
  /// Where in [position, position + bytes) a read is hit. Before: `bytes` is not 0.
  std::int64_t place(std::int64_t position, std::int64_t bytes) const {
    return position + static_cast<std::int64_t>(chance / 8 % static_cast<std::uint64_t>(bytes));
  }
  /// Whether what the call is to do happens, where that may be either way.
  bool acts() const {
    const bool open = fault == SimFault::io || fault == SimFault::process_crash;
    return !open || chance % 2 == 0;
  }
};

class DiskState final : public Counted {
 public:
  explicit DiskState(SimDiskOptions options, DiskImage image = {}, std::uint64_t boot = 1);

  // The machine's side: sim_disk.ipp. Each as in SimDisk.
  std::uint64_t incarnation() const;
  void crash(CrashKind kind);
  bool down() const;
  std::uint64_t restart();
  DurableStateCount for_each_durable_state(std::uint64_t limit,
                                           const std::function<void(Ref<DiskState>)>& visit,
                                           std::optional<std::uint64_t> sample) const;
  std::uint64_t calls() const;
  void fail_at(std::uint64_t call, SimFault fault, Repeat repeat);
  void heal();
  void set_rates(const SimFaultRates& rates);
  void set_max_bytes(std::int64_t max_bytes);
  void set_max_descriptors(int max_descriptors);
  void set_read_only(bool read_only);
  void ignore(IoReason reason, IoOperation operation);
  std::uint64_t ignored() const;
  void spoil_sector(std::string_view path, std::int64_t position);
  void rot(std::string_view path, std::int64_t position, std::byte bits);
  SimFaultTable fault_table() const;
  std::vector<SimDiskProblem> problems() const;
  std::vector<std::string> open_files() const;
  std::uint64_t trace_hash() const;

  // Calls on files: disk_file_calls.ipp. `path` is the one that it was opened by.
  absl::StatusOr<std::size_t> read(HandleNumber handle, std::string_view path,
                                   std::int64_t position, MutableBytes into);
  absl::Status write(HandleNumber handle, std::string_view path, std::int64_t position,
                     std::span<const Bytes> pieces, IoReason why);
  absl::StatusOr<std::int64_t> size(HandleNumber handle, std::string_view path);
  absl::Status truncate(HandleNumber handle, std::string_view path, std::int64_t size,
                        IoReason why);
  absl::Status sync(HandleNumber handle, std::string_view path, IoReason why);
  absl::Status reserve(HandleNumber handle, std::string_view path, std::int64_t size, IoReason why);
  void rest(HandleNumber handle);
  absl::Status close(HandleNumber handle, std::string_view path);
  /// Of a destructor.
  void drop(HandleNumber handle);

  // Calls on names: disk_name_calls.ipp. Paths are resolved ones.
  absl::StatusOr<HandleNumber> open(std::uint64_t incarnation, const std::string& path,
                                    OpenMode mode, IoReason why);
  absl::StatusOr<HandleNumber> lock(std::uint64_t incarnation, const std::string& path);
  absl::StatusOr<FileStatus> status(std::uint64_t incarnation, const std::string& path);
  absl::StatusOr<std::vector<DirectoryEntry>> list(std::uint64_t incarnation,
                                                   const std::string& path);
  absl::Status create_directory(std::uint64_t incarnation, const std::string& path, IoReason why);
  absl::Status rename(std::uint64_t incarnation, const std::string& path, const std::string& to,
                      IoReason why);
  absl::Status remove(std::uint64_t incarnation, const std::string& path, FileKind kind,
                      IoReason why);
  absl::Status sync_directory(std::uint64_t incarnation, const std::string& path, IoReason why);
  absl::Status set_modified(std::uint64_t incarnation, const std::string& path, Timestamp time);
  absl::StatusOr<VolumeId> volume(std::uint64_t incarnation, const std::string& path);

 private:
  struct OpenHandle {
    InodeNumber inode;
    std::string path;
    bool writable;
    bool lock;
    bool resting = false;
  };
  struct PlannedFault {
    std::uint64_t call;
    SimFault fault;
    Repeat repeat;
  };
  enum class Changes : bool { nothing, something };

  absl::StatusOr<Fate> meet(const IoCall& call, Caller caller);
  absl::Status check_alive(const IoCall& call, Caller caller, bool begins = false)
      OTTLA_REQUIRES(mutex_);
  SimFault choose(const IoCall& call, SimFault wanted) OTTLA_REQUIRES(mutex_);
  /// Whether anything comes of the fault.
  bool has_effect(const IoCall& call, HandleNumber number, const Fate& fate) const
      OTTLA_REQUIRES(mutex_);
  void note(const IoCall& call, const Fate& fate) OTTLA_REQUIRES(mutex_);
  void report(SimDiskProblem::Kind kind, const IoCall& call) OTTLA_REQUIRES(mutex_);
  DiskFailure refusal(const Fate& fate, Changes changes) const OTTLA_REQUIRES(mutex_);
  void go_down(CrashKind kind) OTTLA_REQUIRES(mutex_);
  absl::Status die(const Fate& fate) OTTLA_REQUIRES(mutex_);
  DiskFailure take_descriptor() OTTLA_REQUIRES(mutex_);
  HandleNumber add_handle(OpenHandle handle) OTTLA_REQUIRES(mutex_);
  void release(HandleNumber handle) OTTLA_REQUIRES(mutex_);
  /// Null, and why in `failed`, where the call cannot use it.
  OpenHandle* use(const IoCall& call, HandleNumber handle, absl::Status& failed)
      OTTLA_REQUIRES(mutex_);
  absl::Status write_to(OpenHandle& open, const IoCall& call, std::vector<std::byte> bytes,
                        const Fate& fate) OTTLA_REQUIRES(mutex_);
  absl::Status sync_to_device(HandleNumber handle, InodeNumber number, const IoCall& call,
                              const Fate& fate) OTTLA_REQUIRES(mutex_);
  std::size_t bytes_with_room(const DiskFile& file, std::int64_t position, std::size_t bytes) const
      OTTLA_REQUIRES(mutex_);
  template <class Change>
  absl::Status change_names(const IoCall& call, Caller caller, std::string_view action,
                            std::string_view shown, Change change);
  /// The state that a restart draws is one that `for_each_durable_state` visits.
  std::uint64_t states_seed() const OTTLA_REQUIRES(mutex_) { return mixed(options_.seed + calls_); }
  Timestamp now() const { return options_.wall_now ? options_.wall_now() : no_timestamp; }

  const SimDiskOptions options_;
  mutable Mutex mutex_{Mutex::Kind::leaf};
  SeededRandom random_ OTTLA_GUARDED_BY(mutex_);
  DiskImage image_ OTTLA_GUARDED_BY(mutex_);
  std::uint64_t boot_ OTTLA_GUARDED_BY(mutex_);
  std::uint64_t incarnation_ OTTLA_GUARDED_BY(mutex_) = 1;
  bool down_ OTTLA_GUARDED_BY(mutex_) = false;
  bool power_lost_ OTTLA_GUARDED_BY(mutex_) = false;  // since the last restart
  std::map<HandleNumber, OpenHandle> handles_ OTTLA_GUARDED_BY(mutex_);
  HandleNumber last_handle_ OTTLA_GUARDED_BY(mutex_) = no_handle;
  HandleNumber dead_handles_ OTTLA_GUARDED_BY(mutex_) = no_handle;  // up to this one
  int descriptors_ OTTLA_GUARDED_BY(mutex_) = 0;

  std::int64_t max_bytes_ OTTLA_GUARDED_BY(mutex_);
  int max_descriptors_ OTTLA_GUARDED_BY(mutex_);
  bool read_only_ OTTLA_GUARDED_BY(mutex_);
  SimFaultRates rates_ OTTLA_GUARDED_BY(mutex_);
  std::vector<PlannedFault> planned_ OTTLA_GUARDED_BY(mutex_);
  std::set<std::pair<IoReason, IoOperation>> ignored_kinds_ OTTLA_GUARDED_BY(mutex_);

  std::uint64_t calls_ OTTLA_GUARDED_BY(mutex_) = 0;
  std::uint64_t ignored_ OTTLA_GUARDED_BY(mutex_) = 0;
  SimFaultTable table_ OTTLA_GUARDED_BY(mutex_);
  std::vector<SimDiskProblem> problems_ OTTLA_GUARDED_BY(mutex_);
  std::uint64_t trace_ OTTLA_GUARDED_BY(mutex_) = 0;
};

}  // namespace sim_impl
}  // namespace ottla::inline OTTLA_ABI

#ifndef OTTLA_COMPILED
#include <ottla/sim/impl/disk_file_calls.ipp>
#include <ottla/sim/impl/disk_name_calls.ipp>
#include <ottla/sim/impl/disk_state.ipp>
#endif
