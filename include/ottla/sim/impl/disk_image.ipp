// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <set>

#include <ottla/sim/impl/disk_image.hpp>

namespace ottla::inline OTTLA_ABI {
namespace sim_impl {

OTTLA_INLINE void EntryChange::apply(Entries& entries) const {
  if (!removed.empty()) {
    // A move whose source was named anew meanwhile takes only its own name away.
    const auto found = entries.find(removed);
    if (found != entries.end() && (added.empty() || found->second == inode)) {
      entries.erase(found);
    }
  }
  if (!added.empty()) {
    std::erase_if(entries, [this](const auto& entry) { return entry.second == inode; });
    entries[added] = inode;
  }
}

OTTLA_INLINE DiskImage::DiskImage() {
  Inode& root = inodes_[root_inode];
  root.kind = FileKind::directory;
  root.links = 1;
}

OTTLA_INLINE DiskFailure DiskImage::find_directory(std::string_view path,
                                                   InodeNumber& found) const {
  found = root_inode;
  while (path.size() > 1) {
    path.remove_prefix(1);
    const std::string_view name = path.substr(0, path.find('/'));
    path.remove_prefix(name.size());
    const Entries& entries = inode(found).entries;
    const auto entry = entries.find(name);
    if (entry == entries.end()) {
      return DiskFailure::missing;
    }
    if (inode(entry->second).kind != FileKind::directory) {
      return DiskFailure::not_a_directory;
    }
    found = entry->second;
  }
  return DiskFailure::none;
}

OTTLA_INLINE DiskFailure DiskImage::find_place(std::string_view path, InodeNumber& directory,
                                               std::string_view& name) const {
  name = last_name(path);
  return name.empty() ? DiskFailure::in_use : find_directory(parent_path(path), directory);
}

OTTLA_INLINE DiskFailure DiskImage::find(std::string_view path, InodeNumber& found) const {
  found = root_inode;
  if (path == "/") {
    return DiskFailure::none;
  }
  InodeNumber directory = no_inode;
  std::string_view name;
  if (const DiskFailure failure = find_place(path, directory, name); failure != DiskFailure::none) {
    return failure;
  }
  const Entries& entries = inode(directory).entries;
  const auto entry = entries.find(name);
  if (entry == entries.end()) {
    return DiskFailure::missing;
  }
  found = entry->second;
  return DiskFailure::none;
}

OTTLA_INLINE InodeNumber DiskImage::add_inode(FileKind kind, Timestamp now, InodeNumber directory,
                                              std::string_view name) {
  const InodeNumber number = ++last_inode_;
  Inode& fresh = inodes_[number];
  fresh.kind = kind;
  fresh.file.modified = now;
  fresh.links = 1;
  inode(directory).file.modified = now;
  change_entries(directory, {.change = next_change(), .added = std::string(name), .inode = number});
  return number;
}

OTTLA_INLINE void DiskImage::change_entries(InodeNumber directory, EntryChange change) {
  Inode& its = inode(directory);
  change.apply(its.entries);
  its.pending.push_back(std::move(change));
}

OTTLA_INLINE DiskFailure DiskImage::open(std::string_view path, OpenMode mode, Timestamp now,
                                         InodeNumber& found) {
  InodeNumber directory = no_inode;
  std::string_view name;
  if (const DiskFailure failure = find_place(path, directory, name); failure != DiskFailure::none) {
    return failure == DiskFailure::in_use ? DiskFailure::is_a_directory : failure;
  }
  const Entries& entries = inode(directory).entries;
  if (const auto entry = entries.find(name); entry != entries.end()) {
    found = entry->second;
    return mode == OpenMode::create_new               ? DiskFailure::exists
           : inode(found).kind == FileKind::directory ? DiskFailure::is_a_directory
                                                      : DiskFailure::none;
  }
  if (mode != OpenMode::create && mode != OpenMode::create_new) {
    return DiskFailure::missing;
  }
  drop_unreachable();
  found = add_inode(FileKind::file, now, directory, name);
  return DiskFailure::none;
}

OTTLA_INLINE DiskFailure DiskImage::create_directory(std::string_view path, Timestamp now) {
  InodeNumber directory = no_inode;
  std::string_view name;
  if (const DiskFailure failure = find_place(path, directory, name); failure != DiskFailure::none) {
    return failure == DiskFailure::in_use ? DiskFailure::exists : failure;
  }
  if (inode(directory).entries.contains(name)) {
    return DiskFailure::exists;
  }
  add_inode(FileKind::directory, now, directory, name);
  return DiskFailure::none;
}

OTTLA_INLINE DiskFailure DiskImage::rename(std::string_view path, std::string_view to) {
  InodeNumber moved = no_inode;
  InodeNumber from_directory = no_inode;
  InodeNumber to_directory = no_inode;
  std::string_view from_name;
  std::string_view to_name;
  for (const DiskFailure failure : {find(path, moved), find_place(path, from_directory, from_name),
                                    find_place(to, to_directory, to_name)}) {
    if (failure != DiskFailure::none) {
      return failure;
    }
  }
  if (path == to) {
    return DiskFailure::none;
  }
  if (to.starts_with(path) && to[path.size()] == '/') {
    return DiskFailure::invalid;
  }
  const Entries& entries = inode(to_directory).entries;
  if (const auto old = entries.find(to_name); old != entries.end()) {
    Inode& replaced = inode(old->second);
    const bool directory = inode(moved).kind == FileKind::directory;
    if (directory != (replaced.kind == FileKind::directory)) {
      return directory ? DiskFailure::not_a_directory : DiskFailure::is_a_directory;
    }
    if (!replaced.entries.empty()) {
      return DiskFailure::not_empty;
    }
    --replaced.links;
  }
  const ChangeNumber change = next_change();
  EntryChange gone{.change = change, .removed = std::string(from_name)};
  EntryChange made{.change = change, .added = std::string(to_name), .inode = moved};
  if (from_directory == to_directory) {
    made.removed = std::move(gone.removed);
  } else {
    change_entries(from_directory, std::move(gone));
  }
  change_entries(to_directory, std::move(made));
  return DiskFailure::none;
}

OTTLA_INLINE DiskFailure DiskImage::remove(std::string_view path, FileKind kind) {
  InodeNumber directory = no_inode;
  std::string_view name;
  InodeNumber found = no_inode;
  for (const DiskFailure failure : {find_place(path, directory, name), find(path, found)}) {
    if (failure != DiskFailure::none) {
      return failure;
    }
  }
  Inode& removed = inode(found);
  if (removed.kind != kind) {
    return kind == FileKind::file ? DiskFailure::is_a_directory : DiskFailure::not_a_directory;
  }
  if (!removed.entries.empty()) {
    return DiskFailure::not_empty;
  }
  --removed.links;
  change_entries(directory, {.change = next_change(), .removed = std::string(name)});
  return DiskFailure::none;
}

OTTLA_INLINE void DiskImage::settle_entries(InodeNumber directory) {
  Inode& its = inode(directory);
  its.durable_entries = its.entries;
  its.pending.clear();
}

OTTLA_INLINE void DiskImage::settle_all_entries() {
  for (auto& [number, its] : inodes_) {
    if (!its.pending.empty()) {
      settle_entries(number);
    }
  }
}

OTTLA_INLINE void DiskImage::settle_names_of(InodeNumber number) {
  for (auto& [directory, its] : inodes_) {
    std::erase_if(its.pending, [&, &settled = its.durable_entries](const EntryChange& change) {
      if (change.inode == number) {
        change.apply(settled);
      }
      return change.inode == number;
    });
  }
}

OTTLA_INLINE void DiskImage::settle_replacement(std::string_view path, std::string_view to) {
  InodeNumber moved = no_inode;
  InodeNumber replaced = no_inode;
  if (find(path, moved) == DiskFailure::none && find(to, replaced) == DiskFailure::none) {
    inode(moved).file.settle(all_changes);
  }
}

OTTLA_INLINE void DiskImage::heal_sectors() {
  for (auto& [number, its] : inodes_) {
    its.file.heal();
  }
}

OTTLA_INLINE std::int64_t DiskImage::used_bytes() const {
  std::int64_t sum = 0;
  for (const auto& [number, its] : inodes_) {
    sum += its.links > 0 || its.handles > 0 ? its.file.size() : 0;
  }
  return sum;
}

OTTLA_INLINE DiskImage
DiskImage::restarted(const std::map<InodeNumber, Entries>& entries,
                     std::map<InodeNumber, std::vector<std::byte>>&& files) const {
  DiskImage fresh;
  fresh.last_inode_ = last_inode_;
  fresh.changes_ = changes_;
  for (auto& [number, content] : files) {
    fresh.inodes_[number].file = inode(number).file.restarted(std::move(content));
  }
  for (const auto& [number, its_entries] : entries) {
    Inode& directory = fresh.inodes_[number];
    directory.kind = FileKind::directory;
    directory.file.modified = inode(number).file.modified;
    directory.entries = its_entries;
    directory.durable_entries = its_entries;
  }
  for (const auto& [number, its_entries] : entries) {
    for (const auto& [name, named] : its_entries) {
      ++fresh.inode(named).links;
    }
  }
  return fresh;
}

OTTLA_INLINE void DiskImage::drop_handles() {
  for (auto& [number, its] : inodes_) {
    its.handles = 0;
  }
}

// What neither processes nor the device could ever name again.
OTTLA_INLINE void DiskImage::drop_unreachable() {
  if (inodes_.size() < drop_above_) {
    return;
  }
  std::set<InodeNumber> reached{root_inode};
  std::vector<InodeNumber> left{root_inode};
  const auto reach = [&](InodeNumber number) {
    if (number != no_inode && reached.insert(number).second) {
      left.push_back(number);
    }
  };
  for (const auto& [number, its] : inodes_) {
    if (its.handles > 0) {
      reach(number);
    }
  }
  while (!left.empty()) {
    const Inode& its = inode(left.back());
    left.pop_back();
    for (const Entries* entries : {&its.entries, &its.durable_entries}) {
      for (const auto& [name, number] : *entries) {
        reach(number);
      }
    }
    for (const EntryChange& change : its.pending) {
      reach(change.inode);
    }
  }
  std::erase_if(inodes_, [&](const auto& its) { return !reached.contains(its.first); });
  drop_above_ = 2 * inodes_.size() + 64;
}

}  // namespace sim_impl
}  // namespace ottla::inline OTTLA_ABI
