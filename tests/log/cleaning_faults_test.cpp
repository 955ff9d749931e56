// SPDX-License-Identifier: Apache-2.0
//
// The k-th file call of a round of compaction fails, for every k: no value is lost, none comes
// back, and a later round, or the next opening, goes on.
#include <optional>
#include <string>

#include "cleaning_fixture.hpp"
#include "tests/support/catch.hpp"

using namespace ottla;
using namespace log_test;

namespace {

enum class Failure { nothing_done, no_space, no_descriptors, after };

Keyed record(std::int64_t i) {
  const std::string key(1, static_cast<char>('a' + i * 3 % 5));
  return {key, i % 4 == 3 ? std::nullopt : std::optional(std::to_string(i))};
}

CleaningSettings settings() {
  CleaningSettings settings;
  settings.options.io_bytes = 200;
  settings.options.producers = CleaningProducers{};
  return settings;
}

struct FailingDisk : Disk {
  int calls = 0;
  int failing = -1;
  bool from_then_on = false;
  Failure failure = Failure::nothing_done;

  FailingDisk() {
    options.config.segment_bytes = 4 * keyed_batch(0, {record(0)}).facts.size;
    options.config.index_interval_bytes = 70;
    options.config.compact = true;
  }
  void begin_failing(int at, Failure kind, bool ever) {
    calls = 0;
    failing = at;
    failure = kind;
    from_then_on = ever;
    hook = [this](IoCall& call) { return fail(call); };
  }
  void heal() {
    hook = [](IoCall&) { return absl::OkStatus(); };
  }

 private:
  absl::Status fail(const IoCall& call) {
    if (call.done != (failure == Failure::after)) {
      return absl::OkStatus();
    }
    const int n = calls++;
    if (failing < 0 || (from_then_on ? n < failing : n != failing)) {
      return absl::OkStatus();
    }
    switch (failure) {
      case Failure::no_space:
        return error(Fault::no_space, "no space left");
      case Failure::no_descriptors:
        return error(Fault::no_descriptors, "too many open files");
      case Failure::after:
        return error(Fault::io, "input/output error", Outcome::unknown);
      case Failure::nothing_done:
        break;
    }
    return error(Fault::io, "input/output error");
  }
};

Log filled(FailingDisk& disk) {
  Log log = disk.open();
  for (std::int64_t i = 0; i < 26; ++i) {
    must(append(log, {keyed_batch(i, {record(i)}, t0 + i)}).status);
  }
  flush(log);
  return log;
}

}  // namespace

TEST_CASE("a compaction that meets any failure of a file loses no value") {
  int calls = 0;
  std::map<std::string, std::string> values;
  {
    FailingDisk disk;
    Log log = filled(disk);
    values = latest(log.view());
    disk.begin_failing(-1, Failure::nothing_done, false);
    must(clean(log, settings()));
    calls = disk.calls;
    CHECK(offsets(log.view()).size() < 15);
  }
  REQUIRE(calls > 50);
  for (const Failure failure :
       {Failure::nothing_done, Failure::no_space, Failure::no_descriptors, Failure::after}) {
    for (const bool ever : {false, true}) {
      for (int call = 0; call < calls; ++call) {
        CAPTURE(static_cast<int>(failure), ever, call);
        FailingDisk disk;
        std::optional<Log> log = filled(disk);
        disk.begin_failing(call, failure, ever);
        const auto done = clean(*log, settings());
        disk.heal();
        REQUIRE(latest(log->view()) == values);
        if (disk.health->writable()) {
          must(clean(*log, settings()));
          REQUIRE(latest(log->view()) == values);
          REQUIRE(offsets(log->view()).size() < 15);
        } else {
          CHECK(!done.ok());
        }
        log.reset();
        Log again = disk.open_after(LastStop::process_crash);
        REQUIRE(again.damage() == nullptr);
        REQUIRE(latest(again.view()) == values);
        must(clean(again, settings()));
        REQUIRE(latest(again.view()) == values);
      }
    }
  }
}
