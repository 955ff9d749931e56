// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <utility>

#include <ottla/sim/impl/durable_states.hpp>
#include <ottla/sim/impl/file_states.ipp>

namespace ottla::inline OTTLA_ABI {
namespace sim_impl {

OTTLA_INLINE DurableStates::DurableStates(const DiskImage& image, const CrashModel& model,
                                          std::uint64_t seed, std::uint64_t limit)
    : image_(image), model_(model), seed_(seed), limit_(limit) {
  for (const auto& [number, inode] : image.inodes()) {
    for (const EntryChange& change : inode.pending) {
      entries_.push_back({number, &change});
    }
  }
  std::stable_sort(entries_.begin(), entries_.end(), [](const auto& a, const auto& b) {
    return a.change->change < b.change->change;
  });
}

// Follows the names that are kept from the root on. A second way to a directory is cut off, as a
// check of the file system would do it.
OTTLA_INLINE DurableStates::Names DurableStates::names_of(const std::vector<bool>& kept) const {
  std::map<InodeNumber, Entries> all;
  for (const auto& [number, inode] : image_.inodes()) {
    if (inode.kind == FileKind::directory) {
      all[number] = inode.durable_entries;
    }
  }
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    if (kept[i]) {
      entries_[i].change->apply(all[entries_[i].directory]);
    }
  }
  Names names;
  std::set<InodeNumber> reached{root_inode};
  std::vector<InodeNumber> left{root_inode};
  while (!left.empty()) {
    const InodeNumber directory = left.back();
    left.pop_back();
    Entries& entries = names.directories[directory] = std::move(all[directory]);
    std::erase_if(entries, [&](const auto& entry) {
      if (image_.inode(entry.second).kind == FileKind::file) {
        names.files.insert(entry.second);
        return false;
      }
      if (!reached.insert(entry.second).second) {
        return true;
      }
      left.push_back(entry.second);
      return false;
    });
  }
  return names;
}

OTTLA_INLINE DurableStates::Names DurableStates::names_at(ChangeNumber cut) const {
  std::vector<bool> kept;
  for (const PendingEntry& entry : entries_) {
    kept.push_back(entry.change->change <= cut);
  }
  Names names = names_of(kept);
  names.cut = model_.mode == DiskMode::btrfs ? cut : 0;
  return names;
}

// Before everything, and behind each pending change.
OTTLA_INLINE std::vector<ChangeNumber> DurableStates::cuts(bool of_files) const {
  std::set<ChangeNumber> all{0};
  for (const PendingEntry& entry : entries_) {
    all.insert(entry.change->change);
  }
  if (of_files) {
    for (const auto& [number, inode] : image_.inodes()) {
      for (const auto& [sector, versions] : inode.file.pending()) {
        for (const SectorVersion& version : versions) {
          all.insert(version.change);
        }
      }
      for (const SizeChange& size : inode.file.sizes()) {
        all.insert(size.change);
      }
    }
  }
  return {all.begin(), all.end()};
}

/// False where there are too many.
OTTLA_INLINE bool DurableStates::enumerate_names(std::vector<Names>& all) const {
  std::set<Names> distinct;
  if (journaled()) {
    for (const ChangeNumber cut : cuts(model_.mode == DiskMode::btrfs)) {
      distinct.insert(names_at(cut));
    }
  } else {
    if (entries_.size() >= 16) {
      return false;
    }
    for (std::uint32_t picks = 0; picks < (std::uint32_t{1} << entries_.size()); ++picks) {
      std::vector<bool> kept;
      for (std::size_t i = 0; i < entries_.size(); ++i) {
        kept.push_back((picks >> i & 1) != 0);
      }
      distinct.insert(names_of(kept));
    }
  }
  all.assign(distinct.begin(), distinct.end());
  return all.size() <= limit_;
}

OTTLA_INLINE FileStates& DurableStates::states_of(InodeNumber file) {
  const auto found = files_.find(file);
  return found != files_.end() ? found->second
                               : files_
                                     .emplace(file, FileStates(image_.inode(file).file, model_,
                                                               mixed(seed_ ^ mixed(file)), limit_))
                                     .first->second;
}

OTTLA_INLINE std::uint64_t DurableStates::count_files(const Names& names) {
  std::uint64_t count = 1;
  for (const InodeNumber file : names.files) {
    if (model_.mode != DiskMode::btrfs && count <= limit_) {
      count = product_up_to(limit_ + 1, count, states_of(file).count());
    }
  }
  return count;
}

OTTLA_INLINE void DurableStates::visit_all(const Names& names,
                                           const std::function<void(DiskImage)>& visit) {
  const std::uint64_t count = count_files(names);
  for (std::uint64_t state = 0; state < count; ++state) {
    std::uint64_t index = state;
    std::map<InodeNumber, std::vector<std::byte>> files;
    for (const InodeNumber file : names.files) {
      FileStates& its = states_of(file);
      if (model_.mode == DiskMode::btrfs) {
        files[file] = its.in_order(names.cut);
      } else {
        files[file] = its.at(index % its.count());
        index /= its.count();
      }
    }
    visit(image_.restarted(names.directories, std::move(files)));
  }
}

OTTLA_INLINE DurableStateCount DurableStates::for_each(const std::function<void(DiskImage)>& visit,
                                                       std::uint64_t sample) {
  std::vector<Names> all;
  DurableStateCount count;
  count.all = enumerate_names(all);
  std::uint64_t states = 0;
  for (const Names& names : all) {
    count.all = count.all && (states += count_files(names)) <= limit_;
    if (!count.all) {
      break;
    }
  }
  if (count.all) {
    for (const Names& names : all) {
      visit_all(names, visit);
    }
    count.visited = states;
    return count;
  }
  SeededRandom random(seed_);
  for (; count.visited < sample; ++count.visited) {
    visit(draw(random));
  }
  return count;
}

OTTLA_INLINE DiskImage DurableStates::draw(SeededRandom& random) {
  const Draw draw = static_cast<Draw>(random.next() % 4);
  const std::vector<ChangeNumber> all_cuts = cuts(true);
  const std::size_t any = random.next() % all_cuts.size();
  const ChangeNumber cut = draw == Draw::mostly_kept      ? all_changes
                           : draw == Draw::mostly_dropped ? 0
                                                          : all_cuts[any];
  Names names;
  if (journaled() || draw == Draw::in_order) {
    names = names_at(cut);
  } else {
    std::vector<bool> kept;
    for (std::size_t i = 0; i < entries_.size(); ++i) {
      const bool coin = random.next() % 2 != 0;
      const bool usual = draw != Draw::mixed && random.next() % 8 != 0;
      kept.push_back(usual ? draw == Draw::mostly_kept : coin);
    }
    names = names_of(kept);
  }
  std::map<InodeNumber, std::vector<std::byte>> files;
  const Draw file_draw = model_.mode == DiskMode::btrfs ? Draw::in_order : draw;
  for (const InodeNumber file : names.files) {
    files[file] = states_of(file).draw(random, file_draw, cut);
  }
  return image_.restarted(names.directories, std::move(files));
}

}  // namespace sim_impl
}  // namespace ottla::inline OTTLA_ABI
