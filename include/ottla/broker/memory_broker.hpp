// SPDX-License-Identifier: Apache-2.0
//
// A broker in a world of its own, whose files are in memory, whose clock is set and whose
// background work is stepped by the test that hosts it.
//   ottla::MemoryEnv env;
//   auto broker = ottla::MemoryBroker::open(env, {.log_dirs = "data"});
//   env.advance(5min);
#pragma once

#include <ottla/broker/broker.hpp>
#include <ottla/env/memory/memory_env.hpp>

namespace ottla::inline OTTLA_ABI {

using MemoryBroker = BasicBroker<MemoryEnv>;
static_assert(Host<MemoryBroker>);

#ifdef OTTLA_COMPILED
extern template class BasicBrokerCore<MemoryEnv>;
extern template class LocalConnection<MemoryEnv>;
extern template class BasicReadOnlyCore<MemoryEnv>;
extern template class ReadOnlyConnection<MemoryEnv>;
#endif

}  // namespace ottla::inline OTTLA_ABI
