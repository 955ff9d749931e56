// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>

#include <absl/strings/str_cat.h>

#include <ottla/sim/impl/disk_state.hpp>

namespace ottla::inline OTTLA_ABI {
namespace sim_impl {

OTTLA_INLINE absl::StatusOr<HandleNumber> DiskState::open(std::uint64_t incarnation,
                                                          const std::string& path, OpenMode mode,
                                                          IoReason why) {
  const IoCall call{.operation = IoOperation::open, .reason = why, .path = path, .mode = mode};
  const Caller caller{.incarnation = incarnation};
  OTTLA_ASSIGN(const Fate fate, meet(call, caller));
  const Timestamp time = now();
  Lock lock(mutex_);
  OTTLA_TRY(check_alive(call, caller));
  const bool writable = mode != OpenMode::read;
  InodeNumber inode = no_inode;
  DiskFailure failure = refusal(fate, writable ? Changes::something : Changes::nothing);
  if (failure == DiskFailure::none && fate.acts()) {
    failure = image_.open(path, mode, time, inode);
  }
  if (fate.crashes()) {
    return die(fate);
  }
  if (failure == DiskFailure::none) {
    failure = take_descriptor();
  }
  if (failure != DiskFailure::none) {
    return disk_error(failure, mode == OpenMode::create_new ? "create" : "open", path);
  }
  return add_handle({.inode = inode, .path = path, .writable = writable, .lock = false});
}

OTTLA_INLINE absl::StatusOr<HandleNumber> DiskState::lock(std::uint64_t incarnation,
                                                          const std::string& path) {
  const IoCall call{.operation = IoOperation::lock, .path = path};
  const Caller caller{.incarnation = incarnation};
  OTTLA_ASSIGN(const Fate fate, meet(call, caller));
  const Timestamp time = now();
  Lock lock(mutex_);
  OTTLA_TRY(check_alive(call, caller));
  InodeNumber inode = no_inode;
  DiskFailure failure = refusal(fate, Changes::something);
  if (failure == DiskFailure::none && fate.acts()) {
    failure = image_.open(path, OpenMode::create, time, inode);
  }
  if (fate.crashes()) {
    return die(fate);
  }
  if (failure == DiskFailure::none &&
      std::any_of(handles_.begin(), handles_.end(), [&](const auto& handle) {
        return handle.second.lock && handle.second.inode == inode;
      })) {
    return error(Fault::locked, absl::StrCat("cannot lock ", path,
                                             ": another broker holds it; close that one first"));
  }
  if (failure == DiskFailure::none) {
    failure = take_descriptor();
  }
  if (failure != DiskFailure::none) {
    return disk_error(failure, "lock", path);
  }
  return add_handle({.inode = inode, .path = path, .writable = true, .lock = true});
}

OTTLA_INLINE absl::StatusOr<FileStatus> DiskState::status(std::uint64_t incarnation,
                                                          const std::string& path) {
  const IoCall call{.operation = IoOperation::status, .path = path};
  const Caller caller{.incarnation = incarnation};
  OTTLA_ASSIGN(const Fate fate, meet(call, caller));
  Lock lock(mutex_);
  OTTLA_TRY(check_alive(call, caller));
  if (fate.crashes()) {
    return die(fate);
  }
  InodeNumber found = no_inode;
  DiskFailure failure = refusal(fate, Changes::nothing);
  if (failure == DiskFailure::none) {
    failure = image_.find(path, found);
  }
  if (failure != DiskFailure::none) {
    return disk_error(failure, "look at", path);
  }
  const Inode& inode = image_.inode(found);
  return FileStatus{.kind = inode.kind, .size = inode.file.size(), .modified = inode.file.modified};
}

OTTLA_INLINE absl::StatusOr<std::vector<DirectoryEntry>> DiskState::list(std::uint64_t incarnation,
                                                                         const std::string& path) {
  const IoCall call{.operation = IoOperation::list, .path = path};
  const Caller caller{.incarnation = incarnation};
  OTTLA_ASSIGN(const Fate fate, meet(call, caller));
  Lock lock(mutex_);
  OTTLA_TRY(check_alive(call, caller));
  if (fate.crashes()) {
    return die(fate);
  }
  InodeNumber directory = no_inode;
  DiskFailure failure = refusal(fate, Changes::nothing);
  if (failure == DiskFailure::none) {
    failure = image_.find_directory(path, directory);
  }
  if (failure != DiskFailure::none) {
    return disk_error(failure, "list", path);
  }
  std::vector<DirectoryEntry> entries;
  for (const auto& [name, number] : image_.inode(directory).entries) {
    entries.push_back({.name = name, .kind = image_.inode(number).kind});
  }
  return entries;
}

// `change` makes the change under the lock.
template <class Change>
absl::Status DiskState::change_names(const IoCall& call, Caller caller, std::string_view action,
                                     std::string_view shown, Change change) {
  OTTLA_ASSIGN(const Fate fate, meet(call, caller));
  const Timestamp time = now();
  Lock lock(mutex_);
  OTTLA_TRY(check_alive(call, caller));
  if (fate.ignored) {
    return absl::OkStatus();
  }
  const DiskFailure refused = refusal(fate, Changes::something);
  DiskFailure failure = refused;
  if ((refused == DiskFailure::none || refused == DiskFailure::io) && fate.acts()) {
    failure = change(image_, time);
  }
  if (fate.crashes()) {
    return die(fate);
  }
  failure = failure == DiskFailure::none ? refused : failure;
  return disk_error(failure, action, shown,
                    failure == DiskFailure::io ? Outcome::unknown : Outcome::not_written);
}

OTTLA_INLINE absl::Status DiskState::create_directory(std::uint64_t incarnation,
                                                      const std::string& path, IoReason why) {
  const IoCall call{.operation = IoOperation::create_directory, .reason = why, .path = path};
  return change_names(
      call, {.incarnation = incarnation}, "create the directory", path,
      [&](DiskImage& image, Timestamp time) { return image.create_directory(path, time); });
}

OTTLA_INLINE absl::Status DiskState::rename(std::uint64_t incarnation, const std::string& path,
                                            const std::string& to, IoReason why) {
  const IoCall call{.operation = IoOperation::rename, .reason = why, .path = path, .to = to};
  return change_names(call, {.incarnation = incarnation}, "rename", absl::StrCat(path, " to ", to),
                      [&](DiskImage& image, Timestamp) {
                        if (options_.crash.mode == DiskMode::ext4_ordered ||
                            options_.crash.mode == DiskMode::btrfs) {
                          image.settle_replacement(path, to);
                        }
                        return image.rename(path, to);
                      });
}

OTTLA_INLINE absl::Status DiskState::remove(std::uint64_t incarnation, const std::string& path,
                                            FileKind kind, IoReason why) {
  const bool file = kind == FileKind::file;
  const IoCall call{.operation = file ? IoOperation::remove : IoOperation::remove_directory,
                    .reason = why,
                    .path = path};
  return change_names(call, {.incarnation = incarnation}, file ? "remove" : "remove the directory",
                      path, [&](DiskImage& image, Timestamp) { return image.remove(path, kind); });
}

OTTLA_INLINE absl::Status DiskState::set_modified(std::uint64_t incarnation,
                                                  const std::string& path, Timestamp time) {
  const IoCall call{.operation = IoOperation::set_modified, .path = path};
  return change_names(call, {.incarnation = incarnation}, "set the time of", path,
                      [&](DiskImage& image, Timestamp) {
                        InodeNumber found = no_inode;
                        const DiskFailure failure = image.find(path, found);
                        if (failure == DiskFailure::none) {
                          image.inode(found).file.modified = time;
                        }
                        return failure;
                      });
}

OTTLA_INLINE absl::Status DiskState::sync_directory(std::uint64_t incarnation,
                                                    const std::string& path, IoReason why) {
  const IoCall call{.operation = IoOperation::sync_directory, .reason = why, .path = path};
  const Caller caller{.incarnation = incarnation};
  OTTLA_ASSIGN(const Fate fate, meet(call, caller));
  Lock lock(mutex_);
  OTTLA_TRY(check_alive(call, caller));
  if (fate.crashes()) {
    return die(fate);
  }
  InodeNumber directory = no_inode;
  DiskFailure failure = refusal(fate, Changes::nothing);
  if (failure == DiskFailure::none) {
    failure = image_.find_directory(path, directory);
  }
  if (failure == DiskFailure::none && !fate.ignored) {
    if (options_.crash.mode == DiskMode::ext4_ordered || options_.crash.mode == DiskMode::xfs) {
      image_.settle_all_entries();
    } else {
      image_.settle_entries(directory);
    }
  }
  return disk_error(failure, "sync the directory", path,
                    failure == DiskFailure::io || failure == DiskFailure::no_space
                        ? Outcome::unknown
                        : Outcome::not_written);
}

OTTLA_INLINE absl::StatusOr<VolumeId> DiskState::volume(std::uint64_t incarnation,
                                                        const std::string& path) {
  const IoCall call{.operation = IoOperation::volume, .path = path};
  const Caller caller{.incarnation = incarnation};
  OTTLA_ASSIGN(const Fate fate, meet(call, caller));
  Lock lock(mutex_);
  OTTLA_TRY(check_alive(call, caller));
  if (fate.crashes()) {
    return die(fate);
  }
  InodeNumber found = no_inode;
  DiskFailure failure = refusal(fate, Changes::nothing);
  if (failure == DiskFailure::none) {
    failure = image_.find(path, found);
  }
  if (failure != DiskFailure::none) {
    return disk_error(failure, "look at", path);
  }
  return VolumeId{.boot_id = absl::StrCat("sim-boot-", boot_), .device = options_.device};
}

}  // namespace sim_impl
}  // namespace ottla::inline OTTLA_ABI
