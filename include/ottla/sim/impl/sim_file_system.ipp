// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <utility>

#include <ottla/sim/impl/disk_state.hpp>

namespace ottla::inline OTTLA_ABI {
namespace sim_impl {

inline absl::Status file_moved_from() {
  return error(Fault::closed, "the file was moved from; open it again");
}

}  // namespace sim_impl

OTTLA_INLINE SimFile::SimFile(Ref<sim_impl::DiskState> state, std::uint64_t handle,
                              std::string path)
    : state_(std::move(state)), handle_(handle), path_(std::move(path)) {}
OTTLA_INLINE SimFile::SimFile(SimFile&&) noexcept = default;
OTTLA_INLINE SimFile& SimFile::operator=(SimFile&& other) noexcept {
  if (this != &other) {
    if (state_) {
      state_->drop(handle_);
    }
    state_ = std::move(other.state_);
    handle_ = other.handle_;
    path_ = std::move(other.path_);
  }
  return *this;
}
OTTLA_INLINE SimFile::~SimFile() {
  if (state_) {
    state_->drop(handle_);
  }
}

OTTLA_INLINE absl::StatusOr<std::size_t> SimFile::read(std::int64_t position,
                                                       MutableBytes into) const {
  return state_ ? state_->read(handle_, path_, position, into)
                : absl::StatusOr<std::size_t>(sim_impl::file_moved_from());
}
OTTLA_INLINE absl::Status SimFile::write(std::int64_t position, std::span<const Bytes> pieces,
                                         IoReason why) {
  return state_ ? state_->write(handle_, path_, position, pieces, why)
                : sim_impl::file_moved_from();
}
OTTLA_INLINE absl::StatusOr<std::int64_t> SimFile::size() const {
  return state_ ? state_->size(handle_, path_)
                : absl::StatusOr<std::int64_t>(sim_impl::file_moved_from());
}
OTTLA_INLINE absl::Status SimFile::truncate(std::int64_t size, IoReason why) {
  return state_ ? state_->truncate(handle_, path_, size, why) : sim_impl::file_moved_from();
}
OTTLA_INLINE absl::Status SimFile::sync(IoReason why) {
  return state_ ? state_->sync(handle_, path_, why) : sim_impl::file_moved_from();
}
OTTLA_INLINE absl::Status SimFile::reserve(std::int64_t size, IoReason why) {
  return state_ ? state_->reserve(handle_, path_, size, why) : sim_impl::file_moved_from();
}
OTTLA_INLINE void SimFile::rest() {
  if (state_) {
    state_->rest(handle_);
  }
}
OTTLA_INLINE absl::Status SimFile::close() {
  return state_ ? state_->close(handle_, path_) : sim_impl::file_moved_from();
}

OTTLA_INLINE SimLock::SimLock(Ref<sim_impl::DiskState> state, std::uint64_t handle)
    : state_(std::move(state)), handle_(handle) {}
OTTLA_INLINE SimLock::SimLock(SimLock&&) noexcept = default;
OTTLA_INLINE SimLock& SimLock::operator=(SimLock&& other) noexcept {
  std::swap(state_, other.state_);
  std::swap(handle_, other.handle_);
  return *this;
}
OTTLA_INLINE SimLock::~SimLock() {
  if (state_) {
    state_->drop(handle_);
  }
}

OTTLA_INLINE SimFileSystem::SimFileSystem(Ref<sim_impl::DiskState> state, std::uint64_t incarnation)
    : state_(std::move(state)), incarnation_(incarnation) {}
OTTLA_INLINE SimFileSystem::SimFileSystem(const SimFileSystem&) = default;
OTTLA_INLINE SimFileSystem& SimFileSystem::operator=(const SimFileSystem&) = default;
OTTLA_INLINE SimFileSystem::~SimFileSystem() = default;

OTTLA_INLINE absl::StatusOr<SimFile> SimFileSystem::open(std::string_view path, OpenMode mode,
                                                         IoReason why) {
  OTTLA_ASSIGN(std::string full, sim_impl::resolve_path(path));
  OTTLA_ASSIGN(const std::uint64_t handle, state_->open(incarnation_, full, mode, why));
  return SimFile(state_, handle, std::move(full));
}
OTTLA_INLINE absl::StatusOr<FileStatus> SimFileSystem::status(std::string_view path) {
  OTTLA_ASSIGN(const std::string full, sim_impl::resolve_path(path));
  return state_->status(incarnation_, full);
}
OTTLA_INLINE absl::StatusOr<std::vector<DirectoryEntry>> SimFileSystem::list(
    std::string_view path) {
  OTTLA_ASSIGN(const std::string full, sim_impl::resolve_path(path));
  return state_->list(incarnation_, full);
}
OTTLA_INLINE absl::Status SimFileSystem::create_directory(std::string_view path, IoReason why) {
  OTTLA_ASSIGN(const std::string full, sim_impl::resolve_path(path));
  return state_->create_directory(incarnation_, full, why);
}
OTTLA_INLINE absl::Status SimFileSystem::rename(std::string_view path, std::string_view to,
                                                IoReason why) {
  OTTLA_ASSIGN(const std::string full, sim_impl::resolve_path(path));
  OTTLA_ASSIGN(const std::string full_to, sim_impl::resolve_path(to));
  return state_->rename(incarnation_, full, full_to, why);
}
OTTLA_INLINE absl::Status SimFileSystem::remove(std::string_view path, IoReason why) {
  OTTLA_ASSIGN(const std::string full, sim_impl::resolve_path(path));
  return state_->remove(incarnation_, full, FileKind::file, why);
}
OTTLA_INLINE absl::Status SimFileSystem::remove_directory(std::string_view path, IoReason why) {
  OTTLA_ASSIGN(const std::string full, sim_impl::resolve_path(path));
  return state_->remove(incarnation_, full, FileKind::directory, why);
}
OTTLA_INLINE absl::Status SimFileSystem::sync_directory(std::string_view path, IoReason why) {
  OTTLA_ASSIGN(const std::string full, sim_impl::resolve_path(path));
  return state_->sync_directory(incarnation_, full, why);
}
OTTLA_INLINE absl::Status SimFileSystem::set_modified(std::string_view path, Timestamp time) {
  OTTLA_ASSIGN(const std::string full, sim_impl::resolve_path(path));
  return state_->set_modified(incarnation_, full, time);
}
OTTLA_INLINE absl::StatusOr<SimLock> SimFileSystem::lock(std::string_view path) {
  OTTLA_ASSIGN(const std::string full, sim_impl::resolve_path(path));
  OTTLA_ASSIGN(const std::uint64_t handle, state_->lock(incarnation_, full));
  return SimLock(state_, handle);
}
OTTLA_INLINE absl::StatusOr<VolumeId> SimFileSystem::volume(std::string_view path) {
  OTTLA_ASSIGN(const std::string full, sim_impl::resolve_path(path));
  return state_->volume(incarnation_, full);
}

}  // namespace ottla::inline OTTLA_ABI
