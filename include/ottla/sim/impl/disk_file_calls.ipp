// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>

#include <absl/strings/str_cat.h>

#include <ottla/sim/impl/disk_state.hpp>

namespace ottla::inline OTTLA_ABI {
namespace sim_impl {

OTTLA_INLINE DiskFailure DiskState::take_descriptor() {
  if (max_descriptors_ > 0 && descriptors_ >= max_descriptors_) {
    return DiskFailure::no_descriptors;
  }
  ++descriptors_;
  return DiskFailure::none;
}

OTTLA_INLINE HandleNumber DiskState::add_handle(OpenHandle handle) {
  image_.open_handle(handle.inode);
  handles_.emplace(++last_handle_, std::move(handle));
  return last_handle_;
}

OTTLA_INLINE void DiskState::release(HandleNumber handle) {
  const auto found = handles_.find(handle);
  if (found == handles_.end()) {
    return;
  }
  descriptors_ -= found->second.resting ? 0 : 1;
  image_.close_handle(found->second.inode);
  handles_.erase(found);
}

OTTLA_INLINE void DiskState::drop(HandleNumber handle) {
  Lock lock(mutex_);
  release(handle);
}

OTTLA_INLINE void DiskState::rest(HandleNumber handle) {
  Lock lock(mutex_);
  const auto found = handles_.find(handle);
  if (found != handles_.end() && !found->second.resting) {
    found->second.resting = true;
    --descriptors_;
  }
}

OTTLA_INLINE DiskState::OpenHandle* DiskState::use(const IoCall& call, HandleNumber handle,
                                                   absl::Status& failed) {
  failed = check_alive(call, {.handle = handle});  // it may have died while it waited
  if (!failed.ok()) {
    return nullptr;
  }
  OpenHandle& open = handles_.find(handle)->second;
  if (open.resting) {
    if (const DiskFailure failure = take_descriptor(); failure != DiskFailure::none) {
      failed = disk_error(failure, "open again", call.path);
      return nullptr;
    }
    open.resting = false;
  }
  return &open;
}

OTTLA_INLINE absl::StatusOr<std::size_t> DiskState::read(HandleNumber handle, std::string_view path,
                                                         std::int64_t position, MutableBytes into) {
  const IoCall call{
      .operation = IoOperation::read, .path = path, .position = position, .bytes = into.size()};
  OTTLA_ASSIGN(const Fate fate, meet(call, {.handle = handle}));
  Lock lock(mutex_);
  absl::Status failed;
  const OpenHandle* open = use(call, handle, failed);
  if (open == nullptr) {
    return failed;
  }
  if (position < 0) {
    return negative_position(position);
  }
  if (fate.crashes()) {
    return die(fate);
  }
  DiskFile& file = image_.inode(open->inode).file;
  if (const std::int64_t bytes = file.bytes_from(position, std::ssize(into)); bytes > 0) {
    const std::int64_t hit = fate.place(position, bytes);
    if (fate.fault == SimFault::bad_sector) {
      file.spoil(hit / sector_size);
    } else if (fate.fault == SimFault::bit_rot) {
      file.rot(hit, static_cast<std::byte>(1 << fate.chance % 8));
    }
  }
  if (fate.fault == SimFault::io || file.spoiled(position, into.size())) {
    return disk_error(DiskFailure::io, absl::StrCat("read at ", position, " from"), path);
  }
  return fate.fault == SimFault::stale_read ? file.read_durable(position, into)
                                            : file.read(position, into);
}

// How many of `bytes` fit into the budget.
OTTLA_INLINE std::size_t DiskState::bytes_with_room(const DiskFile& file, std::int64_t position,
                                                    std::size_t bytes) const {
  if (max_bytes_ == 0) {
    return bytes;
  }
  const std::int64_t room = std::max<std::int64_t>(0, max_bytes_ - image_.used_bytes());
  const std::int64_t fit = std::max<std::int64_t>(0, file.size() + room - position);
  return std::min(bytes, static_cast<std::size_t>(fit));
}

OTTLA_INLINE absl::Status DiskState::write_to(OpenHandle& open, const IoCall& call,
                                              std::vector<std::byte> bytes, const Fate& fate) {
  const auto failed = [&](DiskFailure failure, Outcome outcome) {
    return disk_error(failure, absl::StrCat("write at ", call.position, " to"), call.path, outcome);
  };
  if (!open.writable) {
    return failed(DiskFailure::not_for_writing, Outcome::not_written);
  }
  if (read_only_) {
    return failed(DiskFailure::read_only, Outcome::not_written);
  }
  DiskFile& file = image_.inode(open.inode).file;
  const std::size_t fit = bytes_with_room(file, call.position, bytes.size());
  std::size_t kept = bytes.size();
  DiskFailure failure = fit < kept ? DiskFailure::no_space : DiskFailure::none;
  std::int64_t position = call.position;
  switch (fate.fault) {
    case SimFault::io:
      return failed(DiskFailure::io, Outcome::unknown);
    case SimFault::no_space:
    case SimFault::cut_write:
      failure = fate.fault == SimFault::no_space ? DiskFailure::no_space : DiskFailure::io;
      kept = bytes.empty() ? 0 : static_cast<std::size_t>(fate.chance % bytes.size());
      break;
    case SimFault::process_crash:
      kept = static_cast<std::size_t>(fate.chance % (bytes.size() + 1));
      break;
    default:
      break;
  }
  kept = std::min(kept, fit);
  const ChangeNumber change = image_.next_change();
  file.modified = now();
  if (fate.fault == SimFault::lost_write || fate.fault == SimFault::misdirected_write) {
    const std::int64_t end = position + static_cast<std::int64_t>(kept);
    file.truncate(std::max(file.size(), kept == 0 ? 0 : end), change);
    const std::int64_t sectors = (file.size() + sector_size - 1) / sector_size;
    if (fate.fault == SimFault::lost_write || sectors < 2) {
      kept = 0;
    } else {
      const auto others = static_cast<std::uint64_t>(sectors - 1);
      const auto away = 1 + static_cast<std::int64_t>(fate.chance % others);
      position = (position / sector_size + away) % sectors * sector_size;
      kept = std::min(kept, static_cast<std::size_t>(file.size() - position));
    }
    file.write(position, Bytes(bytes).first(kept), change);
    return failure == DiskFailure::none ? absl::OkStatus() : failed(failure, Outcome::unknown);
  }
  file.write(position, Bytes(bytes).first(kept), change);
  if (fate.crashes()) {
    return die(fate);
  }
  return failure == DiskFailure::none
             ? absl::OkStatus()
             : failed(failure, kept == 0 && failure == DiskFailure::no_space ? Outcome::not_written
                                                                             : Outcome::unknown);
}

OTTLA_INLINE absl::Status DiskState::write(HandleNumber handle, std::string_view path,
                                           std::int64_t position, std::span<const Bytes> pieces,
                                           IoReason why) {
  std::vector<std::byte> bytes;
  for (const Bytes piece : pieces) {
    bytes.insert(bytes.end(), piece.begin(), piece.end());
  }
  const IoCall call{.operation = IoOperation::write,
                    .reason = why,
                    .path = path,
                    .position = position,
                    .bytes = bytes.size()};
  OTTLA_ASSIGN(const Fate fate, meet(call, {.handle = handle}));
  Lock lock(mutex_);
  absl::Status failed;
  OpenHandle* open = use(call, handle, failed);
  if (open == nullptr) {
    return failed;
  }
  if (position < 0) {
    return negative_position(position);
  }
  return fate.ignored ? absl::OkStatus() : write_to(*open, call, std::move(bytes), fate);
}

OTTLA_INLINE absl::StatusOr<std::int64_t> DiskState::size(HandleNumber handle,
                                                          std::string_view path) {
  const IoCall call{.operation = IoOperation::size, .path = path};
  OTTLA_ASSIGN(const Fate fate, meet(call, {.handle = handle}));
  Lock lock(mutex_);
  absl::Status failed;
  const OpenHandle* open = use(call, handle, failed);
  if (open == nullptr) {
    return failed;
  }
  if (fate.crashes()) {
    return die(fate);
  }
  if (fate.fault == SimFault::io) {
    return disk_error(DiskFailure::io, "look at", path);
  }
  return image_.inode(open->inode).file.size();
}

OTTLA_INLINE absl::Status DiskState::truncate(HandleNumber handle, std::string_view path,
                                              std::int64_t size, IoReason why) {
  const IoCall call{
      .operation = IoOperation::truncate, .reason = why, .path = path, .position = size};
  OTTLA_ASSIGN(const Fate fate, meet(call, {.handle = handle}));
  Lock lock(mutex_);
  absl::Status failed;
  const OpenHandle* open = use(call, handle, failed);
  if (open == nullptr) {
    return failed;
  }
  if (size < 0) {
    return negative_position(size);
  }
  DiskFailure failure =
      open->writable ? refusal(fate, Changes::something) : DiskFailure::not_for_writing;
  const bool open_end = failure == DiskFailure::io || failure == DiskFailure::none;
  if (open_end && fate.acts() && !fate.ignored) {
    DiskFile& file = image_.inode(open->inode).file;
    file.truncate(size, image_.next_change());
    file.modified = now();
  }
  if (fate.crashes()) {
    return die(fate);
  }
  return disk_error(failure, absl::StrCat("cut to ", size, " bytes"), path,
                    failure == DiskFailure::io ? Outcome::unknown : Outcome::not_written);
}

OTTLA_INLINE absl::Status DiskState::sync_to_device(HandleNumber handle, InodeNumber number,
                                                    const IoCall& call, const Fate& fate) {
  const auto failed = [&](DiskFailure failure) {
    return disk_error(failure, "sync", call.path, Outcome::unknown);
  };
  DiskFile& file = image_.inode(number).file;
  if (fate.crashes()) {
    return die(fate);  // whatever the device has by now is as it is without
  }
  const bool told_late = file.fails_next_sync_through(handle);
  if (told_late || file.spoiled_pending() || fate.fault == SimFault::sync_keeps) {
    file.fails_next_sync = file.fails_next_sync && !told_late;
    file.lose_pending();
    return failed(DiskFailure::io);
  }
  if (fate.fault == SimFault::no_space) {
    file.lose_pending();
    return failed(DiskFailure::no_space);
  }
  if (fate.fault == SimFault::sync_reverts) {
    file.revert();
    return failed(DiskFailure::io);
  }
  if (fate.fault == SimFault::sync_late || fate.fault == SimFault::sync_elsewhere) {
    file.lose_pending();
    file.fails_next_sync = true;
    file.spared_handle = fate.fault == SimFault::sync_elsewhere ? handle : no_handle;
    return absl::OkStatus();
  }
  file.settle(all_changes);
  switch (options_.crash.mode) {
    case DiskMode::adversarial:
      break;
    case DiskMode::ext4_ordered:
    case DiskMode::xfs:
      image_.settle_all_entries();
      break;
    case DiskMode::btrfs:
      image_.settle_names_of(number);
      break;
  }
  return absl::OkStatus();
}

OTTLA_INLINE absl::Status DiskState::sync(HandleNumber handle, std::string_view path,
                                          IoReason why) {
  const IoCall call{.operation = IoOperation::sync, .reason = why, .path = path};
  OTTLA_ASSIGN(const Fate fate, meet(call, {.handle = handle}));
  Lock lock(mutex_);
  absl::Status failed;
  const OpenHandle* open = use(call, handle, failed);
  if (open == nullptr) {
    return failed;
  }
  return fate.ignored ? absl::OkStatus() : sync_to_device(handle, open->inode, call, fate);
}

OTTLA_INLINE absl::Status DiskState::reserve(HandleNumber handle, std::string_view path,
                                             std::int64_t size, IoReason why) {
  const IoCall call{
      .operation = IoOperation::reserve, .reason = why, .path = path, .position = size};
  OTTLA_ASSIGN(const Fate fate, meet(call, {.handle = handle}));
  Lock lock(mutex_);
  absl::Status failed;
  const OpenHandle* open = use(call, handle, failed);
  if (open == nullptr) {
    return failed;
  }
  if (size < 0) {
    return negative_position(size);
  }
  if (fate.crashes()) {
    return die(fate);
  }
  const DiskFile& file = image_.inode(open->inode).file;
  const auto more = static_cast<std::size_t>(std::max<std::int64_t>(0, size - file.size()));
  const DiskFailure failure = read_only_ ? DiskFailure::read_only
                              : bytes_with_room(file, file.size(), more) < more
                                  ? DiskFailure::no_space
                                  : DiskFailure::none;
  return disk_error(failure, absl::StrCat("reserve ", size, " bytes of"), path);
}

OTTLA_INLINE absl::Status DiskState::close(HandleNumber handle, std::string_view path) {
  const IoCall call{.operation = IoOperation::close, .path = path};
  OTTLA_ASSIGN(const Fate fate, meet(call, {.handle = handle}));
  Lock lock(mutex_);
  OTTLA_TRY(check_alive(call, {.handle = handle}));
  release(handle);  // whatever it answers
  if (fate.crashes()) {
    return die(fate);
  }
  return disk_error(refusal(fate, Changes::nothing), "close", path, Outcome::unknown);
}

}  // namespace sim_impl
}  // namespace ottla::inline OTTLA_ABI
