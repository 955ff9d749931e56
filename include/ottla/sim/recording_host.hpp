// SPDX-License-Identifier: Apache-2.0
//
// A host in front of another, that notes what groups do: commits (automatic ones, too) and what
// became of them, committed offsets, who owns what in which generation, where partitions begin and
// end.
//   const RecordingHost host(broker, HistoryWriter(history));
//   auto consumer = Consumer<std::string, std::string>::open(host, {.group = "billing"});
// What producers send and consumers poll is for their owner to note, who knows what it means.
#pragma once

#include <ottla/protocol/host.hpp>
#include <ottla/sim/history.hpp>

namespace ottla::inline OTTLA_ABI {

/// Its connections are of one thread, as the history.
class RecordingHost {
 public:
  template <Host H>
  RecordingHost(const H& inner, HistoryWriter writer) : RecordingHost(inner.connect(), writer) {}
  /// Before: `inner` is not null.
  RecordingHost(Ref<Connection> inner, HistoryWriter writer)
      : inner_(std::move(inner)), writer_(writer) {}

  Ref<Connection> connect() const;

 private:
  Ref<Connection> inner_;
  HistoryWriter writer_;
};
static_assert(Host<RecordingHost>);

}  // namespace ottla::inline OTTLA_ABI

#ifndef OTTLA_COMPILED
#include <ottla/sim/impl/recording_host.ipp>
#endif
