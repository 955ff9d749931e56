// SPDX-License-Identifier: Apache-2.0
//
// What must hold of any history, a function a property; each knows nothing of how it is kept. Names
// follow Jepsen's Kafka test (jepsen/src/jepsen/tests/kafka.clj) where it has one.
//   REQUIRE(check(history).empty());
// What was only written may be gone after a `power_cut` or a `sync_failed`; what is durable may
// not.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <ottla/sim/history.hpp>

namespace ottla::inline OTTLA_ABI {

struct Violation {
  std::string property;
  std::string text;  ///< what, where, and which event says so
};
using Violations = std::vector<Violation>;

// ── records ─────────────────────────────────────────────────────────────────────────────────────

/// A record that was acknowledged, polled or found is not in a later `log`, nor deleted, nor
/// superseded by a newer one with its key.
Violations lost_writes(const History& history);
/// A record that was refused as not written is seen; or one that nobody sent.
Violations aborted_reads(const History& history);
/// A record is at two offsets.
Violations duplicates(const History& history);
/// Two records at one offset of a partition, ever.
Violations inconsistent_offsets(const History& history);
/// A client's records in a partition are not in the order of its sends.
Violations misordered_sends(const History& history);
/// Offsets of a `log` do not ascend, leave a gap (but where it is compacted), or have epochs that
/// go back.
Violations gaps(const History& history);
/// A send was told two outcomes, or none though everything has come to its end.
Violations wrong_outcomes(const History& history);

// ── readers ─────────────────────────────────────────────────────────────────────────────────────

/// Nonmonotonic poll, poll skip: what a client polls of a partition ascends, and passes over
/// nothing that is there.
Violations misordered_polls(const History& history);
/// The end of a partition, or its beginning, went back; or it begins below what was deleted.
Violations bounds_gone_back(const History& history);
/// A partition that is not compacted begins above what anybody wanted deleted, and above what may
/// have been lost: a beginning of which nothing was durable when the machine died.
Violations misplaced_starts(const History& history);

// ── groups ──────────────────────────────────────────────────────────────────────────────────────

/// What a group has committed is neither the last commit that was acknowledged nor one that may
/// have come after it.
Violations wrong_commits(const History& history);
/// Two members own a partition in one generation.
Violations shared_partitions(const History& history);
/// At the end: a record of a `log` that a group reads was never polled by it, or its last commit
/// leaves some of it.
Violations unseen_records(const History& history);

struct Checker {
  std::string_view property;
  Violations (*check)(const History& history);
};
std::span<const Checker> all_checkers();

/// All of the above.
Violations check(const History& history);

}  // namespace ottla::inline OTTLA_ABI

#ifndef OTTLA_COMPILED
#include <ottla/sim/impl/checkers.ipp>
#include <ottla/sim/impl/reader_checkers.ipp>
#endif
