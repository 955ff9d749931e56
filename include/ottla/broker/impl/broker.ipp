// SPDX-License-Identifier: Apache-2.0
//
// Brokers of the usual worlds, compiled once.
#pragma once

#include <ottla/broker/broker.hpp>
#include <ottla/broker/memory_broker.hpp>

#ifdef OTTLA_COMPILED_SOURCE
namespace ottla::inline OTTLA_ABI {
template class MachineKeeper<MetadataMachine>;
template class MachineKeeper<GroupCoordinator>;
template class BasicBrokerCore<PosixEnv>;
template class LocalConnection<PosixEnv>;
template class BasicReadOnlyCore<PosixEnv>;
template class ReadOnlyConnection<PosixEnv>;
template class BasicBrokerCore<MemoryEnv>;
template class LocalConnection<MemoryEnv>;
template class BasicReadOnlyCore<MemoryEnv>;
template class ReadOnlyConnection<MemoryEnv>;
}  // namespace ottla::inline OTTLA_ABI
#endif
