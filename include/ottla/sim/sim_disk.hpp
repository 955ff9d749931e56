// SPDX-License-Identifier: Apache-2.0
//
// A disk that lies like a disk. What is written is pending until it is synced; a power cut keeps
// any part of it. Faults come at a call's number, by chance, or where a hook says so; the same seed
// gives the same run.
//   SimDisk disk({.seed = 7});
//   SimFileSystem files = disk.file_system();     // or AnyFileSystem(disk.file_system())
//   disk.crash_at(disk.calls() + 20, CrashKind::power);
//   ... until disk.down(), when every call fails ...
//   SimFileSystem after = disk.restart();         // one state that the cut can have left
//   disk.for_each_durable_state(4096, [](SimDisk& state) { ... });   // or each of them
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <ottla/base/ref.hpp>
#include <ottla/env/file_system.hpp>
#include <ottla/sim/sim_disk_crash.hpp>
#include <ottla/sim/sim_disk_faults.hpp>

namespace ottla::inline OTTLA_ABI {

namespace sim_impl {
class DiskState;
}

struct SimDiskOptions {
  std::uint64_t seed = 0;
  CrashModel crash = {};
  std::int64_t max_bytes = 0;  ///< that all files hold together; more is `no_space`. 0: no limit
  int max_descriptors = 0;     ///< of open Files and Locks; more is `no_descriptors`. 0: no limit
  bool read_only = false;
  SimFaultRates rates = {};
  std::chrono::nanoseconds max_delay = std::chrono::minutes(2);  ///< of SimFault::delay
  std::uint64_t device = 1;
  std::function<Timestamp()> wall_now = {};  ///< files are stamped with it; none: no time

  // Hooks, called without a lock, from the thread that makes the call.

  /// Before each call does anything: here a scheduler may run somebody else.
  std::function<void(const IoCall&)> before_call = {};
  /// Which fault this call meets, before chance is asked; one that does not apply is none.
  std::function<SimFault(const IoCall&)> choose_fault = {};
  /// Returns when that time has passed; `nanoseconds::max()` is a hang: when somebody ends it, or
  /// after a crash. Without it delays take no time, and a call that hangs fails with `io`.
  std::function<void(std::chrono::nanoseconds)> pass_time = {};
};

/// What a program did that it must not do.
struct SimDiskProblem {
  enum class Kind : std::uint8_t {
    dead_process,  ///< a call of a process that had died, after the next one began
    used_closed,   ///< a File was used after `close`
    closed_twice,  ///< a File was closed after `close`
  };
  Kind kind;
  IoOperation operation;
  std::string path;
  std::uint64_t call = 0;  ///< its number
};

/// Its destructor closes it, which is no call.
class SimFile {
 public:
  SimFile(Ref<sim_impl::DiskState> state, std::uint64_t handle, std::string path);
  SimFile(SimFile&& other) noexcept;
  SimFile& operator=(SimFile&& other) noexcept;
  ~SimFile();

  absl::StatusOr<std::size_t> read(std::int64_t position, MutableBytes into) const;
  absl::Status write(std::int64_t position, std::span<const Bytes> pieces, IoReason why);
  absl::StatusOr<std::int64_t> size() const;
  absl::Status truncate(std::int64_t size, IoReason why);
  absl::Status sync(IoReason why);
  absl::Status reserve(std::int64_t size, IoReason why);
  /// The descriptor does not count until the next call, which may be told `no_descriptors`.
  void rest();
  absl::Status close();

 private:
  Ref<sim_impl::DiskState> state_;
  std::uint64_t handle_;
  std::string path_;
};

class SimLock {
 public:
  SimLock(Ref<sim_impl::DiskState> state, std::uint64_t handle);
  SimLock(SimLock&& other) noexcept;
  SimLock& operator=(SimLock&& other) noexcept;
  ~SimLock();

 private:
  Ref<sim_impl::DiskState> state_;
  std::uint64_t handle_;
};

/// What one process sees of the disk: dead after a crash. Thread-safe. Copies are handles of the
/// same. Relative paths are meant from "/".
class SimFileSystem {
 public:
  using File = SimFile;
  using Lock = SimLock;

  SimFileSystem(Ref<sim_impl::DiskState> state, std::uint64_t incarnation);
  SimFileSystem(const SimFileSystem&);
  SimFileSystem& operator=(const SimFileSystem&);
  ~SimFileSystem();

  absl::StatusOr<SimFile> open(std::string_view path, OpenMode mode, IoReason why);
  absl::StatusOr<FileStatus> status(std::string_view path);
  absl::StatusOr<std::vector<DirectoryEntry>> list(std::string_view path);
  absl::Status create_directory(std::string_view path, IoReason why);
  absl::Status rename(std::string_view path, std::string_view to, IoReason why);
  absl::Status remove(std::string_view path, IoReason why);
  absl::Status remove_directory(std::string_view path, IoReason why);
  absl::Status sync_directory(std::string_view path, IoReason why);
  absl::Status set_modified(std::string_view path, Timestamp time);
  absl::StatusOr<SimLock> lock(std::string_view path);
  absl::StatusOr<VolumeId> volume(std::string_view path);

 private:
  Ref<sim_impl::DiskState> state_;
  std::uint64_t incarnation_;
};
static_assert(FileSystem<SimFileSystem>);

enum class Repeat : std::uint8_t { once, from_then_on };

/// The machine's side of it. Thread-safe, but for `for_each_durable_state`, which nobody's calls
/// may run beside. It begins empty and up.
class SimDisk {
 public:
  explicit SimDisk(SimDiskOptions options = {});
  SimDisk(SimDisk&&) noexcept;
  SimDisk& operator=(SimDisk&&) noexcept;
  ~SimDisk();

  /// Of the process that runs now. Before: not `down()`.
  SimFileSystem file_system() const;

  // ── crashes ───────────────────────────────────────────────────────────────────────────────────

  /// From now on every File, Lock and SimFileSystem is dead: calls fail with `io` and an outcome
  /// `unknown`.
  void crash(CrashKind kind);
  /// Likewise, in the middle of call number `call`.
  void crash_at(std::uint64_t call, CrashKind kind);
  bool down() const;
  /// The next process begins. Where the machine died since the last one, the disk is in one state
  /// of those that this can have left, drawn by the seed, and the boot id is another.
  SimFileSystem restart();
  /// Visits a disk of its own, up, without hooks and faults, for each state that a power cut now
  /// would leave (or left, where the disk is down), if they are not more than `limit`; else for
  /// `sample` drawn ones, as many as `limit` where none is given. This disk stays as it is.
  DurableStateCount for_each_durable_state(std::uint64_t limit,
                                           const std::function<void(SimDisk&)>& visit,
                                           std::optional<std::uint64_t> sample = {}) const;

  // ── faults ────────────────────────────────────────────────────────────────────────────────────

  /// Calls so far, of all processes; the next one has this number plus 1. Opening, reading and
  /// everything else in File and FileSystem counts, but `rest` and destructors.
  std::uint64_t calls() const;
  /// Call number `call` meets `fault`, or each from it on, where it applies.
  void fail_at(std::uint64_t call, SimFault fault, Repeat repeat = Repeat::once);
  /// No fault comes any more, but from budgets: `fail_at`, rates and spoilt sectors are forgotten.
  void heal();
  void set_rates(const SimFaultRates& rates);
  void set_max_bytes(std::int64_t max_bytes);
  void set_max_descriptors(int max_descriptors);
  void set_read_only(bool read_only);
  /// For the rest of the run calls of this kind with this reason do nothing and answer ok (not
  /// `open`). A test that does not notice is no test.
  void ignore(IoReason reason, IoOperation operation);
  /// How many calls were ignored.
  std::uint64_t ignored() const;
  /// The sector at `position` cannot be read any more, nor can a sync write it. Before: the file
  /// exists.
  void spoil_sector(std::string_view path, std::int64_t position);
  /// Flips `bits` of what the device holds at `position`; readers see it unless what they see is
  /// not synced. Before: the file exists.
  void rot(std::string_view path, std::int64_t position, std::byte bits);

  // ── what happened ─────────────────────────────────────────────────────────────────────────────

  SimFaultTable fault_table() const;
  std::vector<SimDiskProblem> problems() const;
  /// Paths of Files that the running process has not closed, in the order of opening: at its end
  /// there should be none.
  std::vector<std::string> open_files() const;
  /// Of all calls and what they met; the same for the same run.
  std::uint64_t trace_hash() const;

 private:
  explicit SimDisk(Ref<sim_impl::DiskState> state);

  Ref<sim_impl::DiskState> state_;
};

}  // namespace ottla::inline OTTLA_ABI

#ifndef OTTLA_COMPILED
#include <ottla/sim/impl/sim_disk.ipp>
#include <ottla/sim/impl/sim_file_system.ipp>
#endif
