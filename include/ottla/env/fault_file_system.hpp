// SPDX-License-Identifier: Apache-2.0
//
// A file system in front of another, that asks a hook before and after each call: to count, to
// fail, to tear a write, or to kill the process at a named point.
//   FaultFileSystem fs(PosixFileSystem(), [&](IoCall& call) {
//     const bool hit = call.operation == IoOperation::sync && call.reason == IoReason::roll;
//     return hit && !call.done ? error(Fault::io, "the device failed") : absl::OkStatus();
//   });
#pragma once

#include <algorithm>
#include <functional>
#include <string>
#include <utility>

#include <absl/container/inlined_vector.h>

#include <ottla/base/ref.hpp>
#include <ottla/base/status.hpp>
#include <ottla/env/file_system.hpp>

namespace ottla::inline OTTLA_ABI {

enum class IoOperation : std::uint8_t {
  open,
  read,
  write,
  size,
  truncate,
  sync,
  reserve,
  close,
  status,
  list,
  create_directory,
  rename,
  remove,
  remove_directory,
  sync_directory,
  set_modified,
  lock,
  volume,
};

constexpr std::string_view name(IoOperation operation) {
  constexpr std::string_view names[] = {"open",
                                        "read",
                                        "write",
                                        "size",
                                        "truncate",
                                        "sync",
                                        "reserve",
                                        "close",
                                        "status",
                                        "list",
                                        "create_directory",
                                        "rename",
                                        "remove",
                                        "remove_directory",
                                        "sync_directory",
                                        "set_modified",
                                        "lock",
                                        "volume"};
  return names[static_cast<std::size_t>(operation)];
}
static_assert(name(IoOperation::volume) == "volume");

struct IoCall {
  IoOperation operation;
  IoReason reason = IoReason::other;  ///< `other` for calls that have none
  std::string_view path;              ///< a file's: the one that it was opened by
  std::string_view to = {};           ///< of a rename
  OpenMode mode = OpenMode::read;     ///< of an open
  std::int64_t position = 0;          ///< of a read or write; the size, of truncate and reserve
  std::size_t bytes = 0;              ///< of a read or write
  bool done = false;                  ///< false: about to happen; true: it happened
  absl::Status result = {};           ///< once done
  /// A hook that fails a write beforehand may let this many of its first bytes be written.
  std::size_t torn_at = 0;
};

/// Called twice a call: before it, an error is answered in its place; after it, instead of its
/// result. Thread-safe. A destructor that closes a file is not asked about.
using IoHook = std::function<absl::Status(IoCall&)>;

namespace env_impl {

struct SharedHook final : Counted {
  explicit SharedHook(IoHook its_hook) : hook(std::move(its_hook)) {}

  /// Status or StatusOr, whichever `run` answers.
  template <class Run>
  auto around(IoCall call, Run run) const -> decltype(run()) {
    OTTLA_TRY(hook(call));
    auto answer = run();
    call.done = true;
    if constexpr (std::is_same_v<decltype(answer), absl::Status>) {
      call.result = answer;
    } else {
      call.result = answer.status();
    }
    OTTLA_TRY(hook(call));
    return answer;
  }

  const IoHook hook;
};

}  // namespace env_impl

template <File Inner>
class FaultFile {
 public:
  FaultFile(Inner file, std::string path, Ref<env_impl::SharedHook> hook)
      : file_(std::move(file)), path_(std::move(path)), hook_(std::move(hook)) {}

  absl::StatusOr<std::size_t> read(std::int64_t position, MutableBytes into) const {
    return around(
        {.operation = IoOperation::read, .path = path_, .position = position, .bytes = into.size()},
        [&] { return file_.read(position, into); });
  }
  absl::Status write(std::int64_t position, std::span<const Bytes> pieces, IoReason why) {
    if (!hook_) {
      return closed();
    }
    IoCall call = {
        .operation = IoOperation::write, .reason = why, .path = path_, .position = position};
    for (const Bytes piece : pieces) {
      call.bytes += piece.size();
    }
    if (absl::Status failed = hook_->hook(call); !failed.ok()) {
      OTTLA_TRY(write_torn(position, pieces, call.torn_at, why));
      return failed;
    }
    call.result = file_.write(position, pieces, why);
    call.done = true;
    OTTLA_TRY(hook_->hook(call));
    return call.result;
  }
  absl::StatusOr<std::int64_t> size() const {
    return around({.operation = IoOperation::size, .path = path_}, [&] { return file_.size(); });
  }
  absl::Status truncate(std::int64_t size, IoReason why) {
    return around(
        {.operation = IoOperation::truncate, .reason = why, .path = path_, .position = size},
        [&] { return file_.truncate(size, why); });
  }
  absl::Status sync(IoReason why) {
    return around({.operation = IoOperation::sync, .reason = why, .path = path_},
                  [&] { return file_.sync(why); });
  }
  absl::Status reserve(std::int64_t size, IoReason why) {
    return around(
        {.operation = IoOperation::reserve, .reason = why, .path = path_, .position = size},
        [&] { return file_.reserve(size, why); });
  }
  /// Not asked about: it does nothing that can be seen.
  void rest() { file_.rest(); }
  absl::Status close() {
    return around({.operation = IoOperation::close, .path = path_}, [&] { return file_.close(); });
  }

 private:
  static absl::Status closed() {
    return error(Fault::closed, "the file was moved from; open it again");
  }
  template <class Run>
  auto around(const IoCall& call, Run run) const -> decltype(run()) {
    return hook_ ? hook_->around(call, run) : decltype(run())(closed());
  }
  absl::Status write_torn(std::int64_t position, std::span<const Bytes> pieces, std::size_t bytes,
                          IoReason why) {
    absl::InlinedVector<Bytes, 8> kept;
    for (const Bytes piece : pieces) {
      kept.push_back(piece.first(std::min(bytes, piece.size())));
      bytes -= kept.back().size();
    }
    return file_.write(position, kept, why);
  }

  Inner file_;
  std::string path_;
  Ref<env_impl::SharedHook> hook_;
};

/// Thread-safe if `Fs` and the hook are.
template <FileSystem Fs>
class FaultFileSystem {
 public:
  using File = FaultFile<typename Fs::File>;
  using Lock = typename Fs::Lock;

  FaultFileSystem(Fs fs, IoHook hook)
      : fs_(std::move(fs)), hook_(make_ref<env_impl::SharedHook>(std::move(hook))) {}

  absl::StatusOr<File> open(std::string_view path, OpenMode mode, IoReason why) {
    return around({.operation = IoOperation::open, .reason = why, .path = path, .mode = mode},
                  [&]() -> absl::StatusOr<File> {
                    OTTLA_ASSIGN(auto file, fs_.open(path, mode, why));
                    return File(std::move(file), std::string(path), hook_);
                  });
  }
  absl::StatusOr<FileStatus> status(std::string_view path) {
    return around({.operation = IoOperation::status, .path = path},
                  [&] { return fs_.status(path); });
  }
  absl::StatusOr<std::vector<DirectoryEntry>> list(std::string_view path) {
    return around({.operation = IoOperation::list, .path = path}, [&] { return fs_.list(path); });
  }
  absl::Status create_directory(std::string_view path, IoReason why) {
    return around({.operation = IoOperation::create_directory, .reason = why, .path = path},
                  [&] { return fs_.create_directory(path, why); });
  }
  absl::Status rename(std::string_view path, std::string_view to, IoReason why) {
    return around({.operation = IoOperation::rename, .reason = why, .path = path, .to = to},
                  [&] { return fs_.rename(path, to, why); });
  }
  absl::Status remove(std::string_view path, IoReason why) {
    return around({.operation = IoOperation::remove, .reason = why, .path = path},
                  [&] { return fs_.remove(path, why); });
  }
  absl::Status remove_directory(std::string_view path, IoReason why) {
    return around({.operation = IoOperation::remove_directory, .reason = why, .path = path},
                  [&] { return fs_.remove_directory(path, why); });
  }
  absl::Status sync_directory(std::string_view path, IoReason why) {
    return around({.operation = IoOperation::sync_directory, .reason = why, .path = path},
                  [&] { return fs_.sync_directory(path, why); });
  }
  absl::Status set_modified(std::string_view path, Timestamp time) {
    return around({.operation = IoOperation::set_modified, .path = path},
                  [&] { return fs_.set_modified(path, time); });
  }
  absl::StatusOr<Lock> lock(std::string_view path) {
    return around({.operation = IoOperation::lock, .path = path}, [&] { return fs_.lock(path); });
  }
  absl::StatusOr<VolumeId> volume(std::string_view path) {
    return around({.operation = IoOperation::volume, .path = path},
                  [&] { return fs_.volume(path); });
  }

 private:
  template <class Run>
  auto around(const IoCall& call, Run run) const -> decltype(run()) {
    return hook_->around(call, run);
  }

  Fs fs_;
  Ref<env_impl::SharedHook> hook_;
};

}  // namespace ottla::inline OTTLA_ABI
