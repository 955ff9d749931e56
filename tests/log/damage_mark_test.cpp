// SPDX-License-Identifier: Apache-2.0
//
// A log that was found damaged: what later openings make of it, whatever stops come between.
#include <string>

#include "log_fixture.hpp"
#include "tests/support/catch.hpp"

using namespace ottla;
using namespace log_test;

namespace {

using Kind = RecoveryReport::Kind;

std::string file(std::int64_t base) { return offset_file_name(Offset(base), log_suffix); }

constexpr LastStop stops[] = {LastStop::clean, LastStop::process_crash, LastStop::system_crash};

/// Three segments of four batches, of which nothing is known to be on the device; the second batch
/// of the last one is bad, and good ones follow it.
struct Damaged : Disk {
  std::int32_t batch_size = make_batch(0).facts.size;
  std::string whole;
  std::string bad;

  Damaged() {
    options.config.segment_bytes = 4 * batch_size;
    {
      Log log = open();
      must(append(log, make_batches(0, 12)).status);
    }
    whole = content(file(8));
    flip(file(8), static_cast<std::size_t>(batch_size) + 70);
    bad = content(file(8));
  }
  void check_untouched(const Log& log) {
    REQUIRE(log.damage() != nullptr);
    CHECK(log.damage()->offset == Offset(9));
    CHECK(offsets(log.view()) == range(0, 9));
    CHECK(content(file(8)) == bad);
    CHECK_FALSE(report.has(Kind::cut));
    CHECK(has(damage_file));
  }
};

}  // namespace

TEST_CASE("What one stop has made damage, no other stop makes a torn tail") {
  for (const LastStop stop : stops) {
    INFO(static_cast<int>(stop));
    Damaged disk;
    {
      Log log = disk.open_after(LastStop::process_crash);
      disk.check_untouched(log);
      CHECK(disk.content(damage_file).find(disk.path(file(8))) == 0);
      CHECK(fault(log.close().status()) == Fault::corrupt);
    }
    for (int again = 0; again < 2; ++again) {
      Log log = disk.open_after(stop);
      disk.check_untouched(log);
      CHECK(disk.report.last_stop == LastStop::system_crash);
      CHECK_FALSE(append(log, make_batches(9, 1)).status.ok());
    }
  }
}

TEST_CASE("A log whose damage was mended takes appends, and its torn tails are cut again") {
  for (const LastStop stop : stops) {
    INFO(static_cast<int>(stop));
    Damaged disk;
    disk.check_untouched(disk.open_after(LastStop::process_crash));
    disk.put(file(8), disk.whole);
    {
      Log log = disk.open_after(stop);
      CHECK(log.damage() == nullptr);
      CHECK(offsets(log.view()) == range(0, 12));
      CHECK_FALSE(disk.has(damage_file));
      must(append(log, make_batches(12, 2)).status);
    }
    disk.cut(file(12), disk.batch_size + 10);
    const Log log = disk.open_after(LastStop::process_crash);
    CHECK(disk.report.has(Kind::cut));
    CHECK(offsets(log.view()) == range(0, 13));
  }
}

TEST_CASE("Of two damaged places neither is cut when one of them is mended") {
  Damaged disk;
  disk.flip(file(8), 2 * static_cast<std::size_t>(disk.batch_size) + 70);
  { const Log log = disk.open_after(LastStop::process_crash); }
  const std::string both = disk.content(file(8));
  disk.flip(file(8), static_cast<std::size_t>(disk.batch_size) + 70);
  const Log log = disk.open_after(LastStop::system_crash);
  REQUIRE(log.damage() != nullptr);
  CHECK(offsets(log.view()) == range(0, 10));
  CHECK(disk.size(file(8)) == static_cast<std::int64_t>(both.size()));
  CHECK_FALSE(disk.report.has(Kind::cut));
}

TEST_CASE(
    "Damage that a clean stop of Kafka's left is remembered, and its compacted log joins again") {
  Damaged disk;
  disk.put(file(8), disk.whole);
  disk.cut(file(4), 2 * disk.batch_size);  // compacted: it ends before the next one begins
  disk.cut(file(8), 2 * disk.batch_size);
  const std::string whole = disk.content(file(8));
  disk.flip(file(8), static_cast<std::size_t>(disk.batch_size) + 8);  // its size
  const std::string bad = disk.content(file(8));
  must(disk.memory.remove(disk.path(manifest_file), IoReason::other));
  const auto check_untouched = [&](const Log& log) {
    REQUIRE(log.damage() != nullptr);
    CHECK(log.end() == Offset(9));
    CHECK(disk.content(file(8)) == bad);
  };
  check_untouched(disk.open({.last_stop = LastStop::clean, .foreign = true}));
  check_untouched(disk.open_after(LastStop::system_crash, 9));  // as if it had been lowered
  disk.put(file(8), whole);
  const Log log = disk.open_after(LastStop::system_crash);
  CHECK(log.damage() == nullptr);
  CHECK(log.end() == Offset(10));
  CHECK(disk.report.findings.empty());
}

TEST_CASE("Damage in what somebody else wrote that could not be noted is looked for again") {
  Damaged disk;
  disk.flip(file(4), static_cast<std::size_t>(disk.batch_size) + 8);  // its size
  must(disk.memory.remove(disk.path(manifest_file), IoReason::other));
  disk.hook = [](IoCall& call) {
    return call.path.find(damage_file) != std::string_view::npos
               ? error(Fault::no_space, "no space is left")
               : absl::OkStatus();
  };
  LogOpening opening = {.last_stop = LastStop::system_crash,
                        .era = Uuid{{std::byte{7}}},
                        .recovery_point = Offset(7),
                        .foreign = true};
  for (int again = 0; again < 2; ++again) {
    const Log log = disk.open(opening);
    REQUIRE(log.damage() != nullptr);
    CHECK(log.end() == Offset(5));
    opening.last_stop = LastStop::process_crash;
    opening.foreign = false;
  }
}

TEST_CASE("A lost segment of a log that lost its manifest, too, is damage at each opening") {
  Damaged disk;
  disk.put(file(8), disk.whole);
  must(disk.memory.remove(disk.path(manifest_file), IoReason::other));
  must(disk.memory.remove(disk.path(file(4)), IoReason::other));
  for (int again = 0; again < 3; ++again) {
    const Log log = disk.open_after(LastStop::system_crash, 5);
    REQUIRE(log.damage() != nullptr);
    CHECK(log.end() == Offset(4));
    CHECK(disk.has(file(8)));
  }
}

TEST_CASE("A damaged log that lost all its files is no new one") {
  Damaged disk;
  { const Log log = disk.open_after(LastStop::process_crash); }
  for (const std::string& name : disk.names()) {
    if (name != damage_file) {
      must(disk.memory.remove(disk.path(name), IoReason::other));
    }
  }
  const Log log = disk.open_after(LastStop::system_crash);
  CHECK(log.damage() != nullptr);
  CHECK(disk.has(damage_file));
}

TEST_CASE("Where there is no room to note damage the log opens, and closing tries again") {
  Damaged disk;
  bool full = true;
  disk.hook = [&](IoCall& call) {
    return full && !call.done && call.path.find(damage_file) != std::string_view::npos
               ? error(Fault::no_space, "disk full")
               : absl::OkStatus();
  };
  Log log = disk.open_after(LastStop::process_crash);
  CHECK(log.damage() != nullptr);
  CHECK(fault(log.close().status()) == Fault::no_space);
  CHECK_FALSE(disk.has(damage_file));
  full = false;
  CHECK(fault(log.close().status()) == Fault::corrupt);
  disk.check_untouched(log);
}
