// SPDX-License-Identifier: Apache-2.0
//
// The scenarios. Records are of one size, so that what was cut off would fit behind what is
// appended in its place.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "recovery_scenarios.hpp"

namespace simulate {

/// Adds scenarios that begin with three segments, but for the last batch on the device.
inline auto of_twelve_batches(Scenarios& all) {
  return [&all](std::string name, void (*act)(World&)) {
    all.push_back({std::move(name), small_segments(), [act](World& w) {
                     w.open();
                     w->append(11);
                     w->flush(FlushScope::sealed);
                     w->append(1);
                     w.begin();
                     act(w);
                   }});
  };
}

inline void add_cuts(Scenarios& all) {
  const auto scenario = of_twelve_batches(all);
  scenario("cut back within a segment", [](World& w) {
    w->truncate_to(10);
    w->append(1);
    w->flush();
  });
  scenario("cut back, and filled up to where a segment was", [](World& w) {
    w->truncate_to(7);
    w->append(1);
  });
  scenario("cut back over segments", [](World& w) {
    w->truncate_to(3);
    w->append(6);
    w->flush();
  });
  scenario("cut back to the start of a segment", [](World& w) {
    w->truncate_to(4);
    w->append(4);
  });
  scenario("cut back, killed and opened", [](World& w) {
    w->truncate_to(2);
    w.reopen_after(CrashKind::process);
    w->append(2);
  });
  scenario("begun anew further on", [](World& w) {
    w->begin_anew(20);
    w->append(2);
    w->flush();
  });
}

inline void add_cuts_of_side_files(Scenarios& all) {
  const auto scenario = of_twelve_batches(all);
  scenario("leader epochs cut back", [](World& w) {
    w->begin_epoch();
    w->append(2);
    w->truncate_to(12);
    w->begin_epoch();
    w->append(1);
    w->flush();
  });
  scenario("producers cut back", [](World& w) {
    w->append(4, {.producer = 1});
    w->close();
    w.reopen_after(CrashKind::process);
    w->truncate_to(13);
    w->append(3, {.producer = 2});
    w.reopen_after(CrashKind::power);
    w->append(1, {.producer = 2});
  });
  scenario("producers cut back over snapshots", [](World& w) {
    w->append(8, {.producer = 1});
    w->flush();
    w->truncate_to(9);
    w->append(9, {.producer = 2});
    w->flush(FlushScope::sealed);
  });
}

inline void add_deletions(Scenarios& all) {
  const auto scenario = [&](std::string name, Settings settings, void (*act)(World&)) {
    all.push_back({std::move(name), std::move(settings), [act](World& w) {
                     w.open();
                     w->append(14, {.producer = 1});
                     w->flush(FlushScope::sealed);
                     w.begin();
                     act(w);
                   }});
  };
  const Settings small = small_segments();
  scenario("records deleted", small, [](World& w) {
    w->raise_start(5);
    w->append(1);
    w->raise_start(6);
  });
  scenario("segments deleted", small, [](World& w) {
    w->raise_start(9);
    w->delete_segments();
    w->append(1);
  });
  scenario("segments deleted, and their files later", small, [](World& w) {
    w->raise_start(9);
    w->delete_segments();
    w->remove_deleted(1s);
    w->remove_deleted();
    w->append(1);
    w->flush();
  });
  scenario("segments deleted, killed and opened", small, [](World& w) {
    w->raise_start(9);
    w->delete_segments();
    w.reopen_after(CrashKind::process);
    w->append(1);
  });
  scenario("retention by size", with([](LogConfig& config) { config.retention_bytes = 400; }),
           [](World& w) {
             w->retain();
             w->remove_deleted();
             w->append(3);
             w->retain();
           });
  scenario("retention by time", with([](LogConfig& config) { config.retention = 8s; }),
           [](World& w) {
             w->retain();
             w->append(1);
             w->remove_deleted();
           });
  scenario("retention of all there is", with([](LogConfig& config) { config.retention = 8s; }),
           [](World& w) {
             w->pass(100s);
             w->retain();
             w->remove_deleted();
             w->append(1);
             w->flush();
           });
}

inline void add_compactions(Scenarios& all) {
  const auto scenario = [&](std::string name, void (*act)(World&)) {
    all.push_back(
        {std::move(name), with([](LogConfig& config) { config.compact = true; }), [act](World& w) {
           w.open();
           w->append(9);
           w->append(1, {.tombstone = true});
           w->append(6);
           w->flush(FlushScope::sealed);
           w.begin();
           act(w);
         }});
  };
  scenario("compaction", [](World& w) {
    w->compact();
    w->append(1);
  });
  scenario("compaction, and the old files later", [](World& w) {
    w->compact();
    w->remove_deleted();
    w->flush(FlushScope::sealed);
  });
  scenario("compaction that drops tombstones", [](World& w) {
    w->compact();
    w->pass(100s);
    w->append(5);
    w->flush(FlushScope::sealed);
    w->compact();
  });
  scenario("compaction, killed and opened", [](World& w) {
    w->compact();
    w.reopen_after(CrashKind::process);
    w->append(6);
    w->flush(FlushScope::sealed);
    w->compact();
  });
  all.push_back({"compaction of transactions",
                 with([](LogConfig& config) { config.compact = true; }), [](World& w) {
                   w.open();
                   w->append(3);
                   w->append(2, {.producer = 1, .transactional = true});
                   w->end_transaction(1, ControlType::commit);
                   w->append(8);
                   w->flush(FlushScope::sealed);
                   w.begin();
                   w->compact();
                   w->flush();
                 }});
}

/// Adds scenarios that begin with two batches of one.
inline auto of_a_producer(Scenarios& all) {
  return [&all](std::string name, Settings settings, void (*act)(World&)) {
    all.push_back({std::move(name), std::move(settings), [act](World& w) {
                     w.open();
                     w->append(2, {.producer = 1});
                     w.begin();
                     act(w);
                   }});
  };
}

inline void add_producers(Scenarios& all) {
  const auto scenario = of_a_producer(all);
  const Settings small = small_segments();
  scenario("producers' snapshots at rolls", small, [](World& w) {
    w->append(6, {.producer = 1});
    w->append(3, {.producer = 2});
    w->flush(FlushScope::sealed);
    w.reopen_after(CrashKind::process);
    w->append(1, {.producer = 1});
  });
  Settings expiring = small;
  expiring.producer_id_expiration = 5s;
  scenario("producers that expire", expiring, [](World& w) {
    w->append(3, {.producer = 2});
    w->pass(10s);
    w->expire_producers();
    w->append(5, {.producer = 3});
    w->close();
    w.reopen_after(CrashKind::process);
  });
}

inline void add_transactions(Scenarios& all) {
  const auto scenario = of_a_producer(all);
  const Settings small = small_segments();
  scenario("transactions", small, [](World& w) {
    w->append(2, {.producer = 1, .transactional = true});
    w->end_transaction(1, ControlType::commit);
    w->append(1, {.producer = 2, .transactional = true});
    w->append(1);
    w->end_transaction(2, ControlType::abort);
    w->flush();
  });
  scenario("aborted transactions, rolled, killed and opened", small, [](World& w) {
    for (int i = 0; i < 3; ++i) {
      w->append(1, {.producer = 1, .transactional = true});
      w->end_transaction(1, ControlType::abort);
    }
    w->flush(FlushScope::sealed);
    w.reopen_after(CrashKind::process);
    w->append(1, {.producer = 1, .transactional = true});
    w->end_transaction(1, ControlType::abort);
    w->close();
  });
  scenario("a transaction that is open when the power is cut", small, [](World& w) {
    w->append(1, {.producer = 1, .transactional = true});
    w->end_transaction(1, ControlType::abort);
    w->append(3, {.producer = 1, .transactional = true});
    w->flush();
    w.reopen_after(CrashKind::power);
    w->end_transaction(1, ControlType::abort);
  });
  scenario("aborted transactions cut back", small, [](World& w) {
    w->append(1, {.producer = 1, .transactional = true});
    w->end_transaction(1, ControlType::abort);
    w->append(1, {.producer = 2, .transactional = true});
    w->end_transaction(2, ControlType::abort);
    w->flush();
    w->truncate_to(5);
    w->append(1);
    w->end_transaction(2, ControlType::commit);
  });
}

inline void add_directories(Scenarios& all) {
  const auto scenario = [&](std::string name, void (*act)(World&)) {
    all.push_back({std::move(name), small_segments(), [act](World& w) {
                     w.open();
                     w->append(2);
                     w->flush();
                     w.begin();
                     act(w);
                   }});
  };
  scenario("checkpoints", [](World& w) {
    w->checkpoint_recovery();
    w->append(1);
    w->flush();
    w->checkpoint_recovery();
  });
  scenario("a checkpoint that becomes shorter", [](World& w) {
    w->raise_start(1);
    w->checkpoint_others(12);
    w->checkpoint_others(0);
    w.reopen_after(CrashKind::process);
  });
  scenario("partitions made", [](World& w) {
    w->create_other(1, Durability::written);
    w->create_other(2, Durability::durable);
    w.reopen_after(CrashKind::process);
    w->create_other(3, Durability::durable);
  });
  scenario("partitions deleted", [](World& w) {
    w->create_other(1, Durability::durable);
    w->create_other(2, Durability::durable);
    w->delete_other(1, Durability::durable);
    w->delete_other(2, Durability::written);
    w->remove_deleted_partitions();
  });
  scenario("a partition deleted, and made again", [](World& w) {
    w->create_other(1, Durability::durable);
    w->delete_other(1, Durability::durable);
    w->create_other(1, Durability::durable);
    w.reopen_after(CrashKind::process);
    w->remove_deleted_partitions();
  });
}

inline Scenarios scenarios() {
  Scenarios all;
  add_openings(all);
  add_stops(all);
  add_appends(all);
  add_noting_appends(all);
  add_recoveries(all);
  add_torn_tails(all);
  add_failed_syncs(all);
  add_missing_files(all);
  add_repairs(all);
  add_index_scenarios(all);
  add_cuts(all);
  add_cuts_of_side_files(all);
  add_deletions(all);
  add_compactions(all);
  add_producers(all);
  add_transactions(all);
  add_directories(all);
  return all;
}

}  // namespace simulate
