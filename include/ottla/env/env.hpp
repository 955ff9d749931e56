// SPDX-License-Identifier: Apache-2.0
//
// The world outside, as one thing: clock, files, executor, randomness. Only a broker asks for all
// of it; a segment asks for a File, a log for a FileSystem, a client for a World. Models: PosixEnv,
// MemoryEnv.
#pragma once

#include <ottla/env/clock.hpp>
#include <ottla/env/executor.hpp>
#include <ottla/env/file_system.hpp>
#include <ottla/env/random.hpp>

namespace ottla::inline OTTLA_ABI {

/// Outlives whatever uses it. Thread-safe.
template <class E>
concept Env = Clock<typename E::Clock> && FileSystem<typename E::FileSystem> &&
    Executor<typename E::Executor> && Random<typename E::Random> && requires(E& env) {
  { env.clock() } -> std::same_as<const typename E::Clock&>;
  { env.file_system() } -> std::same_as<typename E::FileSystem&>;
  { env.executor() } -> std::same_as<typename E::Executor&>;
  { env.random() } -> std::same_as<typename E::Random&>;
  /// Changes in a child of fork: an object remembers it and refuses to work where it differs.
  { env.process_generation() } -> std::same_as<std::uint64_t>;
};

}  // namespace ottla::inline OTTLA_ABI
