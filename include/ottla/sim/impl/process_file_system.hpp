// SPDX-License-Identifier: Apache-2.0
//
// A file system as one simulated process sees it.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include <ottla/env/file_system.hpp>
#include <ottla/sim/impl/process_files.hpp>

namespace ottla::inline OTTLA_ABI {
namespace sim_impl {

template <FileSystem Fs>
class ProcessFileSystem {
 public:
  using File = ProcessFile<typename Fs::File>;
  using Lock = ProcessLock<typename Fs::Lock>;
  using Locks = ProcessLocks<typename Fs::Lock>;

  ProcessFileSystem(Fs fs, ProcessSteps steps, Ref<Locks> locks)
      : fs_(std::move(fs)), steps_(steps), locks_(std::move(locks)) {}

  absl::StatusOr<File> open(std::string_view path, OpenMode mode, IoReason why) {
    return steps_.step({.operation = IoOperation::open, .reason = why, .path = path, .mode = mode},
                       [&]() -> absl::StatusOr<File> {
                         OTTLA_ASSIGN(auto file, fs_.open(path, mode, why));
                         return File(std::move(file), std::string(path), steps_);
                       });
  }
  absl::StatusOr<FileStatus> status(std::string_view path) {
    return steps_.step({.operation = IoOperation::status, .path = path},
                       [&] { return fs_.status(path); });
  }
  absl::StatusOr<std::vector<DirectoryEntry>> list(std::string_view path) {
    return steps_.step({.operation = IoOperation::list, .path = path},
                       [&] { return fs_.list(path); });
  }
  absl::Status create_directory(std::string_view path, IoReason why) {
    return steps_.step({.operation = IoOperation::create_directory, .reason = why, .path = path},
                       [&] { return fs_.create_directory(path, why); });
  }
  absl::Status rename(std::string_view path, std::string_view to, IoReason why) {
    return steps_.step({.operation = IoOperation::rename, .reason = why, .path = path, .to = to},
                       [&] { return fs_.rename(path, to, why); });
  }
  absl::Status remove(std::string_view path, IoReason why) {
    return steps_.step({.operation = IoOperation::remove, .reason = why, .path = path},
                       [&] { return fs_.remove(path, why); });
  }
  absl::Status remove_directory(std::string_view path, IoReason why) {
    return steps_.step({.operation = IoOperation::remove_directory, .reason = why, .path = path},
                       [&] { return fs_.remove_directory(path, why); });
  }
  absl::Status sync_directory(std::string_view path, IoReason why) {
    return steps_.step({.operation = IoOperation::sync_directory, .reason = why, .path = path},
                       [&] { return fs_.sync_directory(path, why); });
  }
  absl::Status set_modified(std::string_view path, Timestamp time) {
    return steps_.step({.operation = IoOperation::set_modified, .path = path},
                       [&] { return fs_.set_modified(path, time); });
  }
  absl::StatusOr<Lock> lock(std::string_view path) {
    return steps_.step({.operation = IoOperation::lock, .path = path},
                       [&]() -> absl::StatusOr<Lock> {
                         OTTLA_ASSIGN(auto lock, fs_.lock(path));
                         return Lock(locks_, locks_->add(std::move(lock)));
                       });
  }
  absl::StatusOr<VolumeId> volume(std::string_view path) {
    return steps_.step({.operation = IoOperation::volume, .path = path},
                       [&] { return fs_.volume(path); });
  }

 private:
  Fs fs_;
  ProcessSteps steps_;
  Ref<Locks> locks_;
};

}  // namespace sim_impl
}  // namespace ottla::inline OTTLA_ABI
