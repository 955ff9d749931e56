// SPDX-License-Identifier: Apache-2.0
//
// Scenarios of opening, appending and recovering.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "scenario.hpp"

namespace simulate {

using Scenarios = std::vector<Scenario>;
using namespace std::chrono_literals;

inline Settings with(void (*change)(LogConfig&)) {
  Settings settings = small_segments();
  change(settings.config);
  return settings;
}

inline const std::string first_log = "t-0/00000000000000000000.log";

inline void add_openings(Scenarios& all) {
  const Settings small = small_segments();
  Settings durable = small;
  durable.made = Durability::durable;
  const auto new_directory = [](World& w) {
    w.begin();
    w.open();
    w->append(1);
    w->flush();
  };
  all.push_back({"a new directory and a flush", small, new_directory});
  all.push_back({"a new directory and a durable partition", durable, new_directory});
  all.push_back({"an empty log, closed and opened", small, [](World& w) {
                   w.open();
                   w.begin();
                   w->close();
                   w.reopen_after(CrashKind::process);
                   w->append(2);
                 }});
  all.push_back({"closed and opened", small, [](World& w) {
                   w.open();
                   w->append(6);
                   w.begin();
                   w->close();
                   w.reopen_after(CrashKind::process);
                   w->append(2);
                   w->flush();
                 }});
  all.push_back({"closed, the power cut, and opened", small, [](World& w) {
                   w.open();
                   w->append(6, {.producer = 1});
                   w.begin();
                   w->close();
                   w.reopen_after(CrashKind::power);
                   w->append(2);
                 }});
}

inline void add_stops(Scenarios& all) {
  const Settings small = small_segments();
  all.push_back({"closed twice", small, [](World& w) {
                   w.open();
                   w->append(3);
                   w->close();
                   w.begin();
                   w.reopen_after(CrashKind::process);
                   w->close();
                   w.reopen_after(CrashKind::process);
                 }});
  all.push_back({"killed and opened", small, [](World& w) {
                   w.open();
                   w->append(6);
                   w->flush();
                   w->append(3);
                   w.end(CrashKind::process);
                   w.begin();
                   w.open();
                   w->append(3);
                   w->flush(FlushScope::sealed);
                 }});
  all.push_back({"killed, opened and closed", small, [](World& w) {
                   w.open();
                   w->append(9);
                   w.end(CrashKind::process);
                   w.begin();
                   w.open();
                   w->close();
                 }});
  all.push_back({"files of interrupted work", small, [](World& w) {
                   w.open();
                   w->append(6);
                   w->flush(FlushScope::sealed);
                   w.put("recovery-point-offset-checkpoint.tmp", "0\n1\n");
                   w.put("t-0/leader-epoch-checkpoint.tmp", "0\n");
                   w.put("t-0/00000000000000000099.index", "");
                   w.put("t-0/00000000000000000099.log.deleted", "x");
                   w.put("t-0/00000000000000000000.log.cleaned", "x");
                   w.put("t-0/00000000000000000000.log.rewrite", "x");
                   w.end(CrashKind::process);
                   w.begin();
                   w.open();
                   w->append(2);
                 }});
  all.push_back({"a stop of Kafka's own", small, [](World& w) {
                   w.open();
                   w->append(6);
                   w->close();
                   w.reopen_after(CrashKind::process);
                   w->flush(FlushScope::sealed);
                   w.put(".kafka_cleanshutdown", "{\"version\":0,\"brokerEpoch\":-1}");
                   w.end(CrashKind::process);
                   w.begin();
                   w.open();
                   w->append(2);
                   w->flush();
                 }});
}

/// Adds scenarios that begin once the log is open.
inline auto of_an_open_log(Scenarios& all) {
  return [&all](std::string name, Settings settings, void (*act)(World&)) {
    all.push_back({std::move(name), std::move(settings), [act](World& w) {
                     w.open();
                     w.begin();
                     act(w);
                   }});
  };
}

inline void add_appends(Scenarios& all) {
  const Settings small = small_segments();
  const auto scenario = of_an_open_log(all);
  scenario("the first append", small, [](World& w) { w->append(1); });
  scenario("batches in one append", small, [](World& w) {
    w->append(3);
    w->append(1);
  });
  scenario("each append flushed", small, [](World& w) {
    for (int i = 0; i < 6; ++i) {
      w->append(1);
      w->flush();
    }
  });
  scenario("a roll by size", small, [](World& w) {
    w->append(3);
    w->append(3);
    w->flush();
    w->append(3);
  });
  scenario("rolls in one append", small, [](World& w) {
    w->append(14);
    w->flush();
  });
  scenario("a roll by time", with([](LogConfig& config) { config.segment_age = 5s; }),
           [](World& w) {
             w->append(2);
             w->append(1, {.after = 10s});
             w->flush();
             w->append(1, {.after = 10s});
           });
  scenario("a roll by index", with([](LogConfig& config) {
             config.segment_bytes = 1 << 20;
             config.segment_index_bytes = 36;
           }),
           [](World& w) {
             w->append(6);
             w->append(6);
             w->flush(FlushScope::sealed);
           });
  scenario("a roll asked for", small, [](World& w) {
    w->append(1);
    w->roll();
    w->roll();
    w->append(1);
    w->flush();
  });
}

inline void add_noting_appends(Scenarios& all) {
  const Settings small = small_segments();
  const auto scenario = of_an_open_log(all);
  scenario("preallocated segments", with([](LogConfig& config) { config.preallocate = true; }),
           [](World& w) {
             w->append(5);
             w->flush();
             w->append(5);
             w->close();
           });
  scenario("preallocated segments, killed",
           with([](LogConfig& config) { config.preallocate = true; }), [](World& w) {
             w->append(6);
             w.reopen_after(CrashKind::process);
             w->append(4);
             w->flush();
           });
  scenario("what flushes leave in the manifest", small, [](World& w) {
    w->append(9);
    w->flush(FlushScope::sealed);
    w->append(1);
    w->append(5, {.after = 2s});
    w->flush(FlushScope::sealed);
    w->append(1);
  });
  scenario("leader epochs", small, [](World& w) {
    w->begin_epoch();
    w->append(2);
    w->begin_epoch();
    w->append(3);
    w->flush();
    w->begin_epoch();
    w->append(1);
  });
  scenario("leader epochs of an empty log", small, [](World& w) {
    w->begin_epoch();
    w->begin_epoch();
    w->append(1);
    w->flush();
  });
  scenario("offsets left out", small, [](World& w) {
    w->append(2);
    w->flush();
    w->append(2, {.left_out = 5});
    w->flush();
    w->append(1, {.left_out = 3});
  });
  scenario("offsets left out before a roll", small, [](World& w) {
    w->append(4);
    w->append(2, {.left_out = 5});
    w->flush(FlushScope::sealed);
    w.reopen_after(CrashKind::process);
    w->append(4, {.left_out = 2});
  });
}

inline void add_recoveries(Scenarios& all) {
  const Settings small = small_segments();
  all.push_back({"a power cut after some was flushed", small, [](World& w) {
                   w.open();
                   w->append(6);
                   w->flush();
                   w->append(5);
                   w.end(CrashKind::power);
                   w.begin();
                   w.open();
                   w->append(3);
                   w->flush();
                 }});
  all.push_back({"a power cut before anything was flushed", small, [](World& w) {
                   w.open();
                   w->append(6);
                   w.end(CrashKind::power);
                   w.begin();
                   w.open();
                   w->append(3);
                 }});
  all.push_back({"two power cuts", small, [](World& w) {
                   w.open();
                   w->append(5);
                   w->flush(FlushScope::sealed);
                   w->append(5);
                   w.reopen_after(CrashKind::power);
                   w.begin();
                   w->append(3);
                   w.reopen_after(CrashKind::power);
                   w->append(3);
                 }});
}

inline void add_torn_tails(Scenarios& all) {
  const Settings small = small_segments();
  all.push_back({"a torn tail", small, [](World& w) {
                   w.open();
                   w->append(4);
                   w->flush_untold();
                   w.damage(first_log, batch_bytes + 70);
                   w.end(CrashKind::power);
                   w.begin();
                   w.open();
                   w->append(1);
                   w->append(1);
                 }});
  all.push_back({"a torn tail, and segments behind it", small, [](World& w) {
                   w.open();
                   w->append(11);
                   w->flush_untold();
                   w.damage(first_log, 2 * batch_bytes + 70);
                   w.end(CrashKind::power);
                   w.begin();
                   w.open();
                   w->append(2);
                 }});
  all.push_back({"torn tails, one after the other", small, [](World& w) {
                   for (int i = 0; i < 9; ++i) {
                     w.open();
                     w->append(2);
                     w->flush_untold();
                     w.damage(first_log, 70);
                     w.end(CrashKind::power);
                   }
                   w.begin();
                   w.open();
                   w->append(1);
                 }});
}

inline void add_failed_syncs(Scenarios& all) {
  const Settings small = small_segments();
  const auto failed_sync = [](int batches) {
    return [batches](World& w) {
      w.open();
      w->append(2);
      w->flush();
      w->append(batches);
      w.fail_syncs(true);
      w->flush();
      w.fail_syncs(false);
      w.end(CrashKind::process);
      w.begin();
      w.open();
      w->append(2);
      w->flush();
    };
  };
  all.push_back({"a failed sync", small, failed_sync(1)});
  all.push_back({"a failed sync, and segments behind it", small, failed_sync(9)});
  all.push_back({"a failed sync, and a longer copy that was left", small, [](World& w) {
                   w.open();
                   w->append(4);
                   w->flush();
                   const std::string old = w.content(first_log);
                   w->truncate_to(1);
                   w->append(1);
                   w.fail_syncs(true);
                   w->flush();
                   w.fail_syncs(false);
                   w.put(first_log + ".rewrite", old);
                   w.end(CrashKind::process);
                   w.begin();
                   w.open();
                   w->append(1);
                 }});
}

inline void add_missing_files(Scenarios& all) {
  const Settings small = small_segments();
  all.push_back({"a missing index", small, [](World& w) {
                   w.open();
                   w->append(9);
                   w->flush(FlushScope::sealed);
                   w->append(1);
                   w.erase("t-0/00000000000000000000.index");
                   w.erase("t-0/00000000000000000004.timeindex");
                   w.end(CrashKind::process);
                   w.begin();
                   w.open();
                   w->append(2);
                 }});
  all.push_back({"missing epochs", small, [](World& w) {
                   w.open();
                   w->begin_epoch();
                   w->append(5);
                   w->begin_epoch();
                   w->append(3);
                   w->close();
                   w.erase("t-0/leader-epoch-checkpoint");
                   w.end(CrashKind::process);
                   w.begin();
                   w.open();
                   w->append(2);
                   w->flush();
                 }});
}

inline void add_index_scenarios(Scenarios& all) {
  const Settings small = small_segments();
  all.push_back({"a damaged index", small, [](World& w) {
                   w.open();
                   w->append(9);
                   w->close();
                   w.damage("t-0/00000000000000000000.index", 2);
                   w.damage("t-0/00000000000000000000.timeindex", 5);
                   w.reopen_after(CrashKind::process);
                   w.begin();
                   w->check(false);
                   w->repair_indexes();
                   w->append(1);
                   w->flush();
                 }});
  all.push_back({"an index that is longer than its log", small, [](World& w) {
                   w.open();
                   w->append(4);
                   w->roll();
                   w->flush_untold();
                   w.damage(first_log, batch_bytes + 70);
                   w.end(CrashKind::power);
                   w.begin();
                   w.open();
                   w->append(1, {.value_size = 40});
                   w->append(1);
                   w->close();
                   w.reopen_after(CrashKind::process);
                 }});
  all.push_back({"an index cut back, killed", small, [](World& w) {
                   w.open();
                   w->append(4);
                   w->close();
                   w.reopen_after(CrashKind::process);
                   w.begin();
                   w->truncate_to(1);
                   w->append(1, {.value_size = 40});
                   w.reopen_after(CrashKind::process);
                   w->append(1);
                   w->close();
                   w.reopen_after(CrashKind::process);
                 }});
}

inline void add_repairs(Scenarios& all) {
  const auto scenario = [&](std::string name, Repair how) {
    all.push_back({std::move(name), small_segments(), [how](World& w) {
                     w.open();
                     w->append(11, {.producer = 1});
                     w->close();
                     w.damage("t-0/00000000000000000004.log", batch_bytes + 70);
                     w.end(CrashKind::process);
                     w.begin();
                     w.repair(how, 5);
                     w.open();
                     w->append(2);
                     w->flush();
                   }});
  };
  scenario("a damaged batch taken out", Repair::skip_range);
  scenario("a log cut where it is damaged", Repair::truncate);
}

}  // namespace simulate
