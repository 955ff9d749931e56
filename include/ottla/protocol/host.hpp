// SPDX-License-Identifier: Apache-2.0
//
// Where clients are opened: on a Broker, a Cluster, a remote Kafka, or whatever else connects.
#pragma once

#include <concepts>

#include <ottla/base/ref.hpp>
#include <ottla/protocol/connection.hpp>

namespace ottla::inline OTTLA_ABI {

template <class H>
concept Host = requires(const H& host) {
  { host.connect() } -> std::same_as<Ref<Connection>>;
};

}  // namespace ottla::inline OTTLA_ABI
