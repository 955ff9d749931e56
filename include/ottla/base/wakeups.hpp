// SPDX-License-Identifier: Apache-2.0
//
// How a lower layer says "somebody may go on" without calling up: it puts a wake-up into `Wakeups`,
// whose owner runs them after unlocking. What is woken is counted, so that its owner may be gone by
// then. Declared before the lock, it also runs on every early return:
//   Wakeups wakeups;
//   Lock lock(mutex_);
#pragma once

#include <utility>

#include <absl/container/inlined_vector.h>

#include <ottla/base/mutex.hpp>
#include <ottla/base/ref.hpp>

namespace ottla::inline OTTLA_ABI {

class Wakeable : public Counted {
 public:
  /// Called without any lock, from any thread, perhaps more than once. Returns soon and does not
  /// wait.
  virtual void wake() noexcept = 0;
};

/// Not thread-safe: one owner, on the stack of the call that unlocks.
class Wakeups {
 public:
  Wakeups() = default;
  Wakeups(const Wakeups&) = delete;
  Wakeups& operator=(const Wakeups&) = delete;
  ~Wakeups() { run(); }

  /// Before: `wakeable` is not null.
  void add(Ref<Wakeable> wakeable) { pending_.push_back(std::move(wakeable)); }
  bool empty() const { return pending_.empty(); }

  /// Wakes each once, in the order in which they were added. Before: this thread holds no lock,
  /// unless this is empty. After: empty.
  void run() noexcept {
    if (pending_.empty()) {
      return;
    }
    Mutex::expect_none_held();
    for (const Ref<Wakeable>& wakeable : pending_) {
      wakeable->wake();
    }
    pending_.clear();
  }

 private:
  absl::InlinedVector<Ref<Wakeable>, 4> pending_;
};

}  // namespace ottla::inline OTTLA_ABI
