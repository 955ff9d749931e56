// SPDX-License-Identifier: Apache-2.0
//
// The system's files, behind a hook that counts how often each named point is reached and kills
// the process at the one that the ledger names. A write can also be torn: its first bytes are
// written, then comes the kill. And the process's calls that change files: counted, killed at by
// their number, and failing.
#pragma once

#include <csignal>
#include <cstddef>
#include <string_view>
#include <utility>

#include <unistd.h>

#include <ottla/env/any_file_system.hpp>
#include <ottla/env/fault_file_system.hpp>
#include <ottla/env/posix/file_system.hpp>

#include "ledger.hpp"
#include "tests/support/interposed_calls.hpp"

namespace crash {

/// Whether the operation changes something, and so is a place to be killed at.
inline bool is_named_point(ottla::IoOperation operation) {
  switch (operation) {
    case ottla::IoOperation::write:
    case ottla::IoOperation::truncate:
    case ottla::IoOperation::sync:
    case ottla::IoOperation::create_directory:
    case ottla::IoOperation::rename:
    case ottla::IoOperation::remove:
    case ottla::IoOperation::remove_directory:
    case ottla::IoOperation::sync_directory:
      return true;
    default:
      return false;
  }
}

[[noreturn]] inline void die() {
  while (true) ::kill(::getpid(), SIGKILL);
}
[[noreturn]] inline void die_at(Ledger& ledger, int point) {
  ledger.killed_at = point;
  die();
}

/// Whose calls below its directory are counted.
struct Counted {
  Ledger* ledger = nullptr;
  std::string_view directory;
};
inline Counted counted;
inline thread_local bool dies_after_its_call = false;

inline bool changes_files(interposed::Kind kind) {
  return kind != interposed::Kind::open && kind != interposed::Kind::read;
}

inline int reason_of(const ottla::IoCall& call) {
  const bool commits = call.reason == ottla::IoReason::append &&
                       call.path.find("/__consumer_offsets-") != std::string_view::npos;
  return commits ? commit_reason : static_cast<int>(call.reason);
}

/// Counts; true when this is where to die.
inline bool is_the_end(Ledger& ledger, int point) {
  const auto at = static_cast<std::size_t>(point);
  const std::uint32_t count = ++ledger.reached[at];
  if (ledger.sent > ledger.settled) ++ledger.reached_in_flight[at];
  return point == ledger.point && count == ledger.nth;
}

/// `torn_share`: of a torn write, how many of 256 parts are written.
inline ottla::AnyFileSystem deadly_files(Ledger& ledger, std::size_t torn_share) {
  static thread_local int torn_at = -1;
  const auto after_tearing = [&ledger](ottla::IoCall& call) {
    if (call.done && torn_at >= 0) die_at(ledger, torn_at);
    return absl::OkStatus();
  };
  const auto hook = [&ledger, torn_share](ottla::IoCall& call) {
    const bool makes_a_file =
        call.operation == ottla::IoOperation::open &&
        (call.mode == ottla::OpenMode::create || call.mode == ottla::OpenMode::create_new);
    if (!makes_a_file && !is_named_point(call.operation)) return absl::OkStatus();
    const auto point = [&](When when) { return point_of(reason_of(call), call.operation, when); };
    if (const int here = point(call.done ? When::after : When::before); is_the_end(ledger, here)) {
      die_at(ledger, here);
    }
    if (!call.done && call.operation == ottla::IoOperation::write && call.bytes > 1 &&
        is_the_end(ledger, point(When::torn))) {
      torn_at = point(When::torn);
      call.torn_at = 1 + (call.bytes - 1) * torn_share / 256;
      return ottla::error(ottla::Fault::io, "torn");
    }
    return absl::OkStatus();
  };
  using Inner = ottla::FaultFileSystem<ottla::PosixFileSystem>;
  return ottla::AnyFileSystem(
      ottla::FaultFileSystem<Inner>(Inner(ottla::PosixFileSystem(), after_tearing), hook));
}

/// What the disk answers to its call of this number.
inline interposed::Answer answer_of_disk(Ledger& ledger, const interposed::Call& call,
                                         std::uint32_t number) {
  constexpr std::uint32_t without_room = 40;
  if (number < ledger.fails_from) return {};
  if (ledger.fails == Failing::sync && call.kind == interposed::Kind::sync &&
      !ledger.sync_failed.exchange(true)) {
    return {.failure = EIO};
  }
  if (ledger.fails == Failing::space && call.kind == interposed::Kind::write &&
      number < ledger.fails_from + without_room) {
    if (number % 2 == 0) return {.failure = 0, .most = (call.bytes + 1) / 2};
    return {.failure = ENOSPC};
  }
  return {};
}

}  // namespace crash

namespace interposed {

inline Answer before(const Call& call) {
  char buffer[4096];
  if (crash::counted.ledger == nullptr || !crash::changes_files(call.kind) ||
      !path_of(call, buffer).starts_with(crash::counted.directory)) {
    return {};
  }
  crash::Ledger& ledger = *crash::counted.ledger;
  const std::uint32_t number = ++ledger.calls;
  if (number != ledger.call) return crash::answer_of_disk(ledger, call, number);
  if (ledger.call_when == crash::When::before) {
    ledger.killed_at_call = static_cast<int>(call.kind);
    crash::die();
  }
  crash::dies_after_its_call = true;
  return {};
}

inline void after(const Call& call, long) {
  if (!crash::dies_after_its_call) return;
  crash::counted.ledger->killed_at_call = static_cast<int>(call.kind);
  crash::die();
}

}  // namespace interposed
