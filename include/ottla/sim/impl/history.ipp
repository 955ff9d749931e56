// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <absl/strings/str_cat.h>

#include <ottla/base/status.hpp>
#include <ottla/sim/history.hpp>

namespace ottla::inline OTTLA_ABI {

OTTLA_INLINE std::uint64_t History::note(HistoryEvent event) {
  using Kind = HistoryEvent::Kind;
  event.time = now_ ? now_() : SteadyTime();
  life_ += event.kind == Kind::process_death || event.kind == Kind::power_cut ? 1 : 0;
  events_.push_back(std::move(event));
  return events_.size() - 1;
}

OTTLA_INLINE std::string text(const HistoryEvent& event) {
  static constexpr std::string_view names[] = {"send",
                                               "ok",
                                               "not_written",
                                               "unknown",
                                               "poll",
                                               "seek",
                                               "commit",
                                               "commit_ok",
                                               "commit_refused",
                                               "commit_unknown",
                                               "committed",
                                               "subscribe",
                                               "owns",
                                               "bounds",
                                               "log",
                                               "delete_records",
                                               "records_deleted",
                                               "delete_topic",
                                               "dimmed",
                                               "sync_failed",
                                               "process_death",
                                               "power_cut",
                                               "finished"};
  std::string line = absl::StrCat(event.time.time_since_epoch().count() / 1'000, " us ",
                                  av(names[static_cast<std::size_t>(event.kind)]));
  const auto add = [&line](std::string_view name, std::string_view value) {
    if (!value.empty()) {
      absl::StrAppend(&line, " ", av(name), av(value));
    }
  };
  add("", event.client);
  add("group=", event.group);
  if (!event.partition.topic.empty()) {
    add("", event.partition.to_string());
  }
  add("", event.record.value);
  add("key=", event.record.key);
  add("", event.record.tombstone ? "(tombstone)" : "");
  const auto add_number = [&](std::string_view name, std::int64_t number) {
    if (number >= 0) {
      absl::StrAppend(&line, " ", av(name), number);
    }
  };
  add_number("@", event.record.offset.value());
  add_number("epoch=", event.record.epoch.value());
  add_number("offset=", event.offset.value());
  add_number("end=", event.end.value());
  add_number("generation=", event.generation.value());
  if (event.durability == Durability::durable) {
    absl::StrAppend(&line, " durable");
  }
  if (event.asked > 0) {
    absl::StrAppend(&line, " #", event.asked);
  }
  for (const HistoryRecord& record : event.records) {
    absl::StrAppend(&line, " ", record.offset.value(), ":", record.value);
  }
  return line;
}

}  // namespace ottla::inline OTTLA_ABI
