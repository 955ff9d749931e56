// SPDX-License-Identifier: Apache-2.0
//
// A log directory as the broker's threads share it: one lock for what is in memory, one baton for
// what touches files.
#pragma once

#include <atomic>
#include <cstdint>
#include <utility>

#include <absl/strings/str_cat.h>

#include <ottla/base/guard.hpp>
#include <ottla/base/mutex.hpp>
#include <ottla/base/status.hpp>
#include <ottla/broker/baton.hpp>
#include <ottla/log/log_directory.hpp>

namespace ottla::inline OTTLA_ABI {

/// Thread-safe.
template <FileSystem Fs>
class BrokerDirectory final : public Counted {
 public:
  BrokerDirectory(World& world, BasicLogDirectory<Fs> directory)
      : world_(world), directory_(std::move(directory)) {}

  const std::string& path() const { return directory_.path(); }

  /// `look` at, or note, what is in memory.
  template <class Look>
  auto locked(Look look) {
    Lock lock(mutex_);
    return look(directory_);
  }
  /// `work` on files, one at a time; `timed_out` where others are at it until `deadline`, `closed`
  /// once it was left.
  template <class Work>
  absl::Status serial(SteadyTime deadline, Work work) {
    if (!baton_.take(world_, deadline)) {
      return error(Fault::timed_out,
                   absl::StrCat(directory_.path(), ": the disk is busy; try again"));
    }
    absl::Status done =
        left_ ? error(Fault::closed, absl::StrCat(directory_.path(), ": the broker was closed"))
              : guarded([&] { return work(directory_); });
    baton_.give();
    return done;
  }
  /// A log in it was not closed: the next opening has to look for itself.
  void keep_unclean() { unclean_.store(true); }
  bool unclean() const { return unclean_.load(); }
  /// Lets go of the lock on the directory, when nobody is at its files any more. Where that is not
  /// before `deadline`, whoever has this object keeps it.
  absl::Status leave(SteadyTime deadline) {
    return serial(deadline, [this](BasicLogDirectory<Fs>& directory) {
      left_ = true;
      directory.let_go();
      return absl::OkStatus();
    });
  }

  /// Writes what is noted for `kind`. Where partitions begin is synced (W7), and written where it
  /// changed only: a file that is replaced without a sync may be empty after a power cut.
  absl::Status checkpoint(CheckpointKind kind, SteadyTime deadline,
                          Durability durability = Durability::written) {
    const bool starts = kind == CheckpointKind::log_start;
    if (starts && starts_are_durable()) {
      return absl::OkStatus();
    }
    return serial(deadline, [&](BasicLogDirectory<Fs>& directory) -> absl::Status {
      const auto [offsets, change] = locked([&](BasicLogDirectory<Fs>& same) {
        return std::pair(same.offsets(kind), same.changes(kind));
      });
      OTTLA_TRY(
          directory.write_checkpoint(kind, offsets, starts ? Durability::durable : durability));
      if (starts) {
        durable_starts_.store(change);
      }
      return absl::OkStatus();
    });
  }
  /// All of them.
  absl::Status checkpoint(SteadyTime deadline) {
    const std::uint64_t behind = behind_.load();
    absl::Status all;
    for (const CheckpointKind kind : checkpoint_kinds) {
      all.Update(checkpoint(kind, deadline));
    }
    if (all.ok()) {
      caught_up_.store(behind);
    }
    return all;
  }
  /// Their files may say something of a partition that is gone.
  void note_behind() { behind_.fetch_add(1); }
  /// Before another partition is made here: none gets what is said of one that had its name.
  absl::Status catch_up(SteadyTime deadline) {
    return behind_.load() != caught_up_.load() ? checkpoint(deadline) : absl::OkStatus();
  }

 private:
  bool starts_are_durable() {
    return locked([](BasicLogDirectory<Fs>& same) {
             return same.changes(CheckpointKind::log_start);
           }) == durable_starts_.load();
  }

  World world_;
  Mutex mutex_{Mutex::Kind::leaf};
  Baton baton_;
  bool left_ = false;  // the baton's
  std::atomic<bool> unclean_{false};
  std::atomic<std::uint64_t> behind_{0};          // how often
  std::atomic<std::uint64_t> caught_up_{0};       // with the first so many
  std::atomic<std::uint64_t> durable_starts_{0};  // the change up to which they are
  BasicLogDirectory<Fs> directory_;
};

}  // namespace ottla::inline OTTLA_ABI
