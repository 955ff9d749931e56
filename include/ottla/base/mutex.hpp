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

#include <atomic>
#include <cstdint>

#include <ottla/base/abi.hpp>
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

/// A word that threads sleep on where they have to (a futex). Source: U. Drepper, "Futexes Are
/// Tricky", mutex 2.
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
      lock_natively();
    }
    count_held(1);
  }
  void unlock() OTTLA_RELEASE() {
    count_held(-1);
    if (LockScheduler* scheduler = LockScheduler::current(); scheduler != nullptr) [[unlikely]] {
      scheduler->unlock(*this);
    } else {
      unlock_natively();
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

  static constexpr std::uint32_t unlocked = 0;
  static constexpr std::uint32_t locked = 1;
  static constexpr std::uint32_t contended = 2;  // and somebody may sleep

  void lock_natively() {
    std::uint32_t found = unlocked;
    if (!word_.compare_exchange_strong(found, locked, std::memory_order_acquire,
                                       std::memory_order_relaxed)) [[unlikely]] {
      lock_contended();
    }
  }
  /// Once the word is written the mutex may be gone.
  void unlock_natively() {
    if (word_.exchange(unlocked, std::memory_order_release) == contended) [[unlikely]] {
      wake_one();
    }
  }
  void lock_contended();
  void wake_one();

  std::atomic<std::uint32_t> word_{unlocked};
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
  bool wait_natively(Mutex& mutex, SteadyTime deadline) OTTLA_NO_THREAD_SAFETY_ANALYSIS;
  void notify_natively(bool all);

  void notify(bool all) {
    if (LockScheduler* scheduler = LockScheduler::current(); scheduler != nullptr) [[unlikely]] {
      scheduler->notify(*this, all);
    } else if (waiting_.load(std::memory_order_relaxed) > 0) {
      // Else whoever waits from now on sees under the lock what was changed under it.
      notify_natively(all);
    }
  }

  std::atomic<std::uint32_t> changes_{0};
  std::atomic<std::uint32_t> waiting_{0};
};

}  // namespace ottla::inline OTTLA_ABI

#ifndef OTTLA_COMPILED
#include <ottla/base/impl/mutex.ipp>
#endif
