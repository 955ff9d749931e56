// SPDX-License-Identifier: Apache-2.0
//
// The files of one simulated process. Each call is a preemption point before and after, in the
// trace both times, and one step for everybody else; it is refused where the process is dead. The
// locks of a dead process are free.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>

#include <ottla/base/ref.hpp>
#include <ottla/env/fault_file_system.hpp>
#include <ottla/sim/sim_scheduler.hpp>

namespace ottla::inline OTTLA_ABI {
namespace sim_impl {

class ProcessSteps {
 public:
  ProcessSteps(SimScheduler& world, SimProcess process) : world_(&world), process_(process) {}

  template <class Run>
  auto step(const IoCall& call, Run run) const -> decltype(run()) {
    OTTLA_TRY(begin(call));
    auto answer = together(run);
    if constexpr (std::is_same_v<decltype(answer), absl::Status>) {
      end(answer.code());
    } else {
      end(answer.status().code());
    }
    return answer;
  }
  /// Without a preemption point, whoever is dead: for destructors.
  template <class Run>
  auto together(Run run) const -> decltype(run()) {
    const Held held(*world_);
    return run();
  }

 private:
  struct Held {
    explicit Held(SimScheduler& its_world) : world(its_world) { world.hold(1); }
    Held(const Held&) = delete;
    Held& operator=(const Held&) = delete;
    ~Held() { world.hold(-1); }
    SimScheduler& world;
  };

  absl::Status begin(const IoCall& call) const;
  void end(absl::StatusCode answer) const;

  SimScheduler* world_;
  SimProcess process_;
};

/// What destroys a file, as one step.
template <class T>
struct ProcessCloser {
  ProcessSteps steps;
  void operator()(T* closed) const {
    steps.together([&] { delete closed; });
  }
};

template <File Inner>
class ProcessFile {
 public:
  ProcessFile(Inner file, std::string path, ProcessSteps steps)
      : file_(new Inner(std::move(file)), {steps}), path_(std::move(path)) {}

  absl::StatusOr<std::size_t> read(std::int64_t position, MutableBytes into) const {
    return step(
        {.operation = IoOperation::read, .path = path_, .position = position, .bytes = into.size()},
        [&] { return file_->read(position, into); });
  }
  absl::Status write(std::int64_t position, std::span<const Bytes> pieces, IoReason why) {
    IoCall call = {
        .operation = IoOperation::write, .reason = why, .path = path_, .position = position};
    for (const Bytes piece : pieces) {
      call.bytes += piece.size();
    }
    return step(call, [&] { return file_->write(position, pieces, why); });
  }
  absl::StatusOr<std::int64_t> size() const {
    return step({.operation = IoOperation::size, .path = path_}, [&] { return file_->size(); });
  }
  absl::Status truncate(std::int64_t size, IoReason why) {
    return step(
        {.operation = IoOperation::truncate, .reason = why, .path = path_, .position = size},
        [&] { return file_->truncate(size, why); });
  }
  absl::Status sync(IoReason why) {
    return step({.operation = IoOperation::sync, .reason = why, .path = path_},
                [&] { return file_->sync(why); });
  }
  absl::Status reserve(std::int64_t size, IoReason why) {
    return step({.operation = IoOperation::reserve, .reason = why, .path = path_, .position = size},
                [&] { return file_->reserve(size, why); });
  }
  void rest() {
    if (file_) {
      file_.get_deleter().steps.together([&] { file_->rest(); });
    }
  }
  absl::Status close() {
    return step({.operation = IoOperation::close, .path = path_}, [&] { return file_->close(); });
  }

 private:
  template <class Run>
  auto step(const IoCall& call, Run run) const -> decltype(run()) {
    return file_ ? file_.get_deleter().steps.step(call, run)
                 : decltype(run())(error(Fault::closed, "the file was moved from; open it again"));
  }

  std::unique_ptr<Inner, ProcessCloser<Inner>> file_;
  std::string path_;  // that it was opened by
};

/// Those that a process has.
template <class Lock>
class ProcessLocks final : public Counted {
 public:
  explicit ProcessLocks(ProcessSteps steps) : steps_(steps) {}

  std::uint64_t add(Lock lock) {
    locks_.emplace(++last_, std::move(lock));
    return last_;
  }
  void release(std::uint64_t lock) {
    steps_.together([&] { locks_.erase(lock); });
  }
  void release_all() {
    steps_.together([&] { locks_.clear(); });
  }

 private:
  const ProcessSteps steps_;
  std::map<std::uint64_t, Lock> locks_;
  std::uint64_t last_ = 0;
};

template <class Lock>
class ProcessLock {
 public:
  ProcessLock(Ref<ProcessLocks<Lock>> locks, std::uint64_t id)
      : locks_(std::move(locks)), id_(id) {}
  ProcessLock(ProcessLock&&) noexcept = default;
  ProcessLock& operator=(ProcessLock&& other) noexcept {
    std::swap(locks_, other.locks_);
    std::swap(id_, other.id_);
    return *this;
  }
  ~ProcessLock() {
    if (locks_) {
      locks_->release(id_);
    }
  }

 private:
  Ref<ProcessLocks<Lock>> locks_;
  std::uint64_t id_;
};

}  // namespace sim_impl
}  // namespace ottla::inline OTTLA_ABI
