// SPDX-License-Identifier: Apache-2.0
//
// The only lock. Members are annotated `OTTLA_GUARDED_BY(mutex_)` and waits are written
//   while (!ready_) { if (!changed_.wait_until(lock, deadline)) break; }
// Under a lock no system call is made, nothing is called out, nobody is waited for but through a
// condition of that lock, and no second lock is taken but a leaf (caches, pools, metrics), under
// which nothing is called at all. Builds with OTTLA_CHECKED stop where that is broken. The one
// seam: a thread whose world is simulated sets a `LockScheduler`, through which lock, unlock and
// wait yield.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>

#include <ottla/base/thread_annotations.hpp>
#include <ottla/base/time.hpp>

namespace ottla::inline OTTLA_ABI {

class Mutex;
class Condition;

/// What a simulated world does in the place of blocking. All calls come from the thread that set
/// it. One that switches between stacks within a thread gives each its own `Mutex::held()`.
class LockScheduler {
 public:
  virtual void lock(Mutex& mutex) = 0;
  virtual void unlock(Mutex& mutex) = 0;
  /// Releases `mutex`, waits to be notified or for `deadline`, locks again. False when the deadline
  /// passed.
  virtual bool wait(Condition& condition, Mutex& mutex, SteadyTime deadline) = 0;
  virtual void notify(Condition& condition, bool all) = 0;

  /// This thread's scheduler; null in production.
  static LockScheduler*& current() {
    thread_local constinit LockScheduler* scheduler = nullptr;
    return scheduler;
  }

 protected:
  ~LockScheduler() = default;
};

/// How many locks a thread holds; counted only where OTTLA_CHECKED is 1.
struct HeldLocks {
  int ordinary = 0;
  int leaf = 0;
};

class OTTLA_CAPABILITY("mutex") Mutex {
 public:
  enum class Kind : bool {
    ordinary,  ///< the only one its thread holds
    leaf,      ///< may be taken under an ordinary one
  };

  Mutex() = default;
  explicit Mutex(Kind kind) : kind_(kind) {}
  Mutex(const Mutex&) = delete;
  Mutex& operator=(const Mutex&) = delete;

  void lock() OTTLA_ACQUIRE() {
    check_order();
    if (LockScheduler* scheduler = LockScheduler::current(); scheduler != nullptr) [[unlikely]] {
      scheduler->lock(*this);
    } else {
      mutex_.lock();
    }
    count_held(1);
  }
  void unlock() OTTLA_RELEASE() {
    count_held(-1);
    if (LockScheduler* scheduler = LockScheduler::current(); scheduler != nullptr) [[unlikely]] {
      scheduler->unlock(*this);
    } else {
      mutex_.unlock();
    }
  }

  /// This thread's.
  static HeldLocks& held() {
    thread_local constinit HeldLocks held;
    return held;
  }
  /// Called before a system call, and before anything of somebody else's is called: stops where
  /// OTTLA_CHECKED is 1 and this thread holds a lock.
  static void expect_none_held() {
#if OTTLA_CHECKED
    expect(held().ordinary == 0 && held().leaf == 0);
#endif
  }

 private:
  friend class Condition;
#if OTTLA_CHECKED
  static void expect(bool holds) {
    if (!holds) [[unlikely]] {
      __builtin_trap();
    }
  }
  void check_order() const {
    expect(held().leaf == 0 && (kind_ == Kind::leaf || held().ordinary == 0));
  }
  void count_held(int n) const { (kind_ == Kind::leaf ? held().leaf : held().ordinary) += n; }
#else
  void check_order() const {}
  void count_held(int) const {}
#endif

  std::mutex mutex_;
  [[maybe_unused]] Kind kind_ = Kind::ordinary;
};

/// Holds a mutex for a scope, or until `unlock`.
class OTTLA_SCOPED_CAPABILITY Lock {
 public:
  [[nodiscard]] explicit Lock(Mutex& mutex) OTTLA_ACQUIRE(mutex) : mutex_(mutex) { mutex_.lock(); }
  ~Lock() OTTLA_RELEASE() {
    if (held_) {
      mutex_.unlock();
    }
  }
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;

  void unlock() OTTLA_RELEASE() {
    held_ = false;
    mutex_.unlock();
  }
  void lock() OTTLA_ACQUIRE() {
    mutex_.lock();
    held_ = true;
  }

 private:
  friend class Condition;
  Mutex& mutex_;
  bool held_ = true;
};

/// Waits end spuriously: ask the condition again.
class Condition {
 public:
  Condition() = default;
  Condition(const Condition&) = delete;
  Condition& operator=(const Condition&) = delete;

  void wait(Lock& lock) { wait_until(lock, never); }

  /// False when `deadline` passed: the world's steady time, which is std::chrono::steady_clock's
  /// where no scheduler is set. Before: `lock` is held, and nothing else. After: it is held again.
  bool wait_until(Lock& lock, SteadyTime deadline) OTTLA_NO_THREAD_SAFETY_ANALYSIS {
    Mutex& mutex = lock.mutex_;
    mutex.count_held(-1);
    Mutex::expect_none_held();
    LockScheduler* scheduler = LockScheduler::current();
    const bool notified = scheduler != nullptr ? scheduler->wait(*this, mutex, deadline)
                                               : wait_natively(mutex, deadline);
    mutex.count_held(1);
    return notified;
  }

  /// Called after unlocking.
  void notify_one() { notify(false); }
  void notify_all() { notify(true); }

 private:
  bool wait_natively(Mutex& mutex, SteadyTime deadline) {
    std::unique_lock<std::mutex> native(mutex.mutex_, std::adopt_lock);
    bool notified = true;
    if (deadline == never) {
      changed_.wait(native);
    } else {
      using Real = std::chrono::steady_clock;
      const Real::time_point until(
          std::chrono::duration_cast<Real::duration>(deadline.time_since_epoch()));
      notified = changed_.wait_until(native, until) == std::cv_status::no_timeout;
    }
    native.release();
    return notified;
  }

  void notify(bool all) {
    if (LockScheduler* scheduler = LockScheduler::current(); scheduler != nullptr) [[unlikely]] {
      scheduler->notify(*this, all);
    } else if (all) {
      changed_.notify_all();
    } else {
      changed_.notify_one();
    }
  }

  std::condition_variable changed_;
};

}  // namespace ottla::inline OTTLA_ABI
