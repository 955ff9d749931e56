// SPDX-License-Identifier: Apache-2.0
//
// The least that each concept of env asks for, and nothing else: a template that compiles with
// these uses no more than it declares. They are never run.
#pragma once

#include <exception>

#include <ottla/env/env.hpp>

namespace archetypes {

[[noreturn]] inline void never_run() { std::terminate(); }

/// Cannot be made or copied, only moved.
class Movable {
 public:
  Movable() = delete;
  Movable(Movable&&) = default;
  Movable& operator=(Movable&&) = default;
};

/// Not even moved.
class Fixed {
 public:
  Fixed() = delete;
  Fixed(Fixed&&) = delete;
};

class File : Movable {
 public:
  absl::StatusOr<std::size_t> read(std::int64_t, ottla::MutableBytes) const { never_run(); }
  absl::Status write(std::int64_t, std::span<const ottla::Bytes>, ottla::IoReason) { never_run(); }
  absl::StatusOr<std::int64_t> size() const { never_run(); }
  absl::Status truncate(std::int64_t, ottla::IoReason) { never_run(); }
  absl::Status sync(ottla::IoReason) { never_run(); }
  absl::Status reserve(std::int64_t, ottla::IoReason) { never_run(); }
  void rest() { never_run(); }
  absl::Status close() { never_run(); }
};
static_assert(ottla::File<File>);

class Lock : Movable {};

class FileSystem : Fixed {
 public:
  using File = archetypes::File;
  using Lock = archetypes::Lock;

  absl::StatusOr<File> open(std::string_view, ottla::OpenMode, ottla::IoReason) { never_run(); }
  absl::StatusOr<ottla::FileStatus> status(std::string_view) { never_run(); }
  absl::StatusOr<std::vector<ottla::DirectoryEntry>> list(std::string_view) { never_run(); }
  absl::Status create_directory(std::string_view, ottla::IoReason) { never_run(); }
  absl::Status rename(std::string_view, std::string_view, ottla::IoReason) { never_run(); }
  absl::Status remove(std::string_view, ottla::IoReason) { never_run(); }
  absl::Status remove_directory(std::string_view, ottla::IoReason) { never_run(); }
  absl::Status sync_directory(std::string_view, ottla::IoReason) { never_run(); }
  absl::Status set_modified(std::string_view, ottla::Timestamp) { never_run(); }
  absl::StatusOr<Lock> lock(std::string_view) { never_run(); }
  absl::StatusOr<ottla::VolumeId> volume(std::string_view) { never_run(); }
};
static_assert(ottla::FileSystem<FileSystem>);

class Clock : Fixed {
 public:
  ottla::SteadyTime steady_now() const { never_run(); }
  ottla::Timestamp wall_now() const { never_run(); }
};
static_assert(ottla::Clock<Clock>);

class Executor : Fixed {
 public:
  void post(ottla::Task) { never_run(); }
  ottla::TimerId post_at(ottla::SteadyTime, ottla::Task, ottla::TaskLane) { never_run(); }
  bool cancel(ottla::TimerId) { never_run(); }
  absl::Status spawn(std::string_view, ottla::Task) { never_run(); }
  bool await(ottla::Doorbell&, ottla::SteadyTime) { never_run(); }
  std::size_t run_once(std::chrono::nanoseconds) { never_run(); }
  bool stopping() const { never_run(); }
};
static_assert(ottla::Executor<Executor>);

class Random : Fixed {
 public:
  std::uint64_t next() { never_run(); }
};
static_assert(ottla::Random<Random>);

class Env : Fixed {
 public:
  using Clock = archetypes::Clock;
  using FileSystem = archetypes::FileSystem;
  using Executor = archetypes::Executor;
  using Random = archetypes::Random;

  const Clock& clock() { never_run(); }
  FileSystem& file_system() { never_run(); }
  Executor& executor() { never_run(); }
  Random& random() { never_run(); }
  std::uint64_t process_generation() { never_run(); }
};
static_assert(ottla::Env<Env>);

}  // namespace archetypes
