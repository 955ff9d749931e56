// SPDX-License-Identifier: Apache-2.0
//
// What a broker has to say without being asked: recovery reports, failing disks, records that were
// lost. One sink, the host's; never called under a lock, and at most `most` times in `window` for
// each code, so that a fault cannot flood the host's log. Without a sink the library is silent.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include <ottla/base/callback_scope.hpp>
#include <ottla/base/doorbell.hpp>
#include <ottla/base/guard.hpp>
#include <ottla/base/mutex.hpp>
#include <ottla/base/ref.hpp>
#include <ottla/env/world.hpp>

namespace ottla::inline OTTLA_ABI {

enum class EventLevel : std::uint8_t { info, warning, error };

struct BrokerEvent {
  EventLevel level = EventLevel::info;
  std::string code;           ///< short and stable, e.g. "recovered_torn_tail"
  std::string file;           ///< or partition, or directory; may be empty
  std::string text;           ///< what happened and what to do
  std::uint64_t dropped = 0;  ///< events of this code that were not told since the last one
};

using EventSink = std::function<void(const BrokerEvent&)>;

/// Thread-safe.
class Events final : public Counted {
 public:
  static constexpr int most = 20;
  static constexpr std::chrono::seconds window{10};

  /// Before: the env of `world` outlives it.
  Events(World& world, EventSink sink) : world_(world), sink_(std::move(sink)) {}

  /// Throws nothing; what there is no memory for is not told. Before: the caller holds no lock.
  void tell(EventLevel level, std::string_view code, std::string_view file, std::string_view text) {
    guarded([&] {
      std::uint64_t dropped = 0;
      if (!sink_ || !admit(code, dropped)) {
        return;
      }
      const CallbackScope scope;
      // A sink that throws has nobody else to tell.
      guarded([&] {
        sink_({level, std::string(code), std::string(file), std::string(text), dropped});
      }).IgnoreError();
      called();
    }).IgnoreError();
  }

  /// No call of the sink begins any more. Waits until none is under way, until `deadline` at most,
  /// and not at all in a callback.
  void mute(SteadyTime deadline) {
    Ref<Doorbell> bell;
    guarded([&] { bell = make_ref<Doorbell>(); }).IgnoreError();
    {
      Lock lock(mutex_);
      muted_ = true;
      if (calls_ == 0 || !bell || CallbackScope::active()) {
        return;
      }
      idle_ = bell;
    }
    guarded([&] { world_.await(*bell, deadline); }).IgnoreError();
  }

 private:
  struct Rate {
    SteadyTime since{};
    int told = 0;
    std::uint64_t dropped = 0;
  };

  bool admit(std::string_view code, std::uint64_t& dropped) {
    const SteadyTime now = world_.steady_now();
    Lock lock(mutex_);
    if (muted_) {
      return false;
    }
    Rate& rate = rates_.try_emplace(std::string(code), Rate{.since = now}).first->second;
    if (now - rate.since >= window) {
      rate.since = now;
      rate.told = 0;
    }
    if (rate.told == most) {
      ++rate.dropped;
      return false;
    }
    ++rate.told;
    dropped = std::exchange(rate.dropped, 0);
    ++calls_;
    return true;
  }

  void called() {
    Ref<Doorbell> idle;
    {
      Lock lock(mutex_);
      if (--calls_ == 0) {
        idle = std::exchange(idle_, {});
      }
    }
    if (idle) {
      idle->ring();
    }
  }

  World world_;
  const EventSink sink_;
  Mutex mutex_{Mutex::Kind::leaf};
  std::map<std::string, Rate, std::less<>> rates_ OTTLA_GUARDED_BY(mutex_);
  bool muted_ OTTLA_GUARDED_BY(mutex_) = false;
  int calls_ OTTLA_GUARDED_BY(mutex_) = 0;  // under way
  Ref<Doorbell> idle_ OTTLA_GUARDED_BY(mutex_);
};

}  // namespace ottla::inline OTTLA_ABI
