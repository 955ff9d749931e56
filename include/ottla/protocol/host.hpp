// SPDX-License-Identifier: Apache-2.0
//
// Where clients are opened: on a Broker, a Cluster, a remote Kafka, or whatever else connects.
#pragma once

#include <concepts>

#include <ottla/base/ref.hpp>
#include <ottla/base/status.hpp>
#include <ottla/protocol/connection.hpp>

namespace ottla::inline OTTLA_ABI {

template <class H>
concept Host = requires(const H& host) {
  { host.connect() } -> std::same_as<Ref<Connection>>;
};

/// A host that was moved from connects nobody.
inline absl::Status usable_host(const Ref<Connection>& connection) {
  return connection ? absl::OkStatus()
                    : error(Fault::moved_from,
                            "this broker handle was moved from; use the one it went to");
}

}  // namespace ottla::inline OTTLA_ABI
