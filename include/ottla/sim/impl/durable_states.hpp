// SPDX-License-Identifier: Apache-2.0
//
// What a power cut can leave of a disk: choices of names, then of each file that a name leads to a
// size and the bytes of its pending sectors. States are told apart by what can be read, so each
// counts once.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <vector>

#include <ottla/env/memory/random.hpp>
#include <ottla/sim/impl/disk_image.hpp>
#include <ottla/sim/sim_disk_crash.hpp>

namespace ottla::inline OTTLA_ABI {
namespace sim_impl {

/// How a state is drawn: all in between, nearly everything, nearly nothing, all up to a change.
enum class Draw : std::uint8_t { mixed, mostly_kept, mostly_dropped, in_order };

/// Of one file, which has to outlive it.
class FileStates {
 public:
  FileStates(const DiskFile& file, const CrashModel& model, std::uint64_t seed,
             std::uint64_t limit);

  /// `limit + 1` where there are more than `limit`.
  std::uint64_t count();
  /// State `index` of `count()`. Before: that was asked, and they are not more than `limit`.
  std::vector<std::byte> at(std::uint64_t index) const;
  std::vector<std::byte> draw(SeededRandom& random, Draw draw, ChangeNumber cut) const;
  /// As it was after change `cut`.
  std::vector<std::byte> in_order(ChangeNumber cut) const;

 private:
  using Pick = std::function<std::size_t(const std::vector<SectorVersion>&, std::size_t)>;

  bool follows_size(std::int64_t sector) const;
  std::vector<Sector> alternatives(std::int64_t sector, const std::vector<SectorVersion>& versions,
                                   std::int64_t size) const;
  void add_spoilt(std::int64_t sector, const std::vector<SectorVersion>& versions,
                  std::size_t visible, std::vector<Sector>& found) const;
  std::uint64_t count_of(std::int64_t size) const;
  std::vector<std::byte> content(std::int64_t size, const Pick& pick) const;

  const DiskFile& file_;
  const CrashModel& model_;
  std::uint64_t seed_;
  std::uint64_t limit_;
  std::vector<std::int64_t> sizes_;    // distinct, the durable one first
  std::vector<std::uint64_t> counts_;  // of states, by size; empty: not asked yet
  std::uint64_t count_ = 0;
};

/// Of `image`, which has to outlive it, as `model`.
class DurableStates {
 public:
  DurableStates(const DiskImage& image, const CrashModel& model, std::uint64_t seed,
                std::uint64_t limit);

  /// All states where they are not more than `limit`, else `sample` drawn ones.
  DurableStateCount for_each(const std::function<void(DiskImage)>& visit, std::uint64_t sample);
  DiskImage draw(SeededRandom& random);

 private:
  struct PendingEntry {
    InodeNumber directory;
    const EntryChange* change;
  };
  struct Names {
    std::map<InodeNumber, Entries> directories;  // that are reached from the root
    std::set<InodeNumber> files;
    ChangeNumber cut = 0;  // btrfs: of the files, too
    auto operator<=>(const Names&) const = default;
  };

  bool journaled() const { return model_.mode != DiskMode::adversarial; }
  Names names_of(const std::vector<bool>& kept) const;
  Names names_at(ChangeNumber cut) const;
  std::vector<ChangeNumber> cuts(bool of_files) const;
  bool enumerate_names(std::vector<Names>& all) const;
  FileStates& states_of(InodeNumber file);
  std::uint64_t count_files(const Names& names);
  void visit_all(const Names& names, const std::function<void(DiskImage)>& visit);

  const DiskImage& image_;
  const CrashModel& model_;
  std::uint64_t seed_;
  std::uint64_t limit_;
  std::vector<PendingEntry> entries_;  // ascending by change
  std::map<InodeNumber, FileStates> files_;
};

}  // namespace sim_impl
}  // namespace ottla::inline OTTLA_ABI

#ifndef OTTLA_COMPILED
#include <ottla/sim/impl/durable_states.ipp>
#endif
