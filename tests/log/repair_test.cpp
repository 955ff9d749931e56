// SPDX-License-Identifier: Apache-2.0
//
// What the owner of a damaged log decides: what is damaged taken out, or the log cut there.
#include <string>

#include <ottla/log/read_only_log.hpp>

#include "killed.hpp"
#include "tests/support/catch.hpp"

using namespace ottla;
using namespace log_test;

namespace {

using Kind = RecoveryReport::Kind;
using Offsets = std::vector<std::int64_t>;

/// Three segments of four batches: offsets 0 to 11, all on the device and noted so.
struct Closed : Disk {
  std::int32_t batch_size = make_batch(0).facts.size;

  Closed() {
    options.config.segment_bytes = 4 * batch_size;
    Log log = open();
    must(append(log, make_batches(0, 12)).status);
    must(log.close().status());
  }
  std::size_t position(int batch) const { return static_cast<std::size_t>(batch * batch_size); }
  absl::StatusOr<Log> repair(Repair how, LastStop stop = LastStop::system_crash) {
    return try_open({.last_stop = stop, .recovery_point = Offset(0), .repair = how});
  }
  std::vector<SkippedRange> gone() const {
    std::vector<SkippedRange> all;
    for (const Repaired& each : report.repaired) all.push_back(each.offsets);
    return all;
  }
};

/// All offsets that a reader gets who goes on where each error says, and the ranges it is told.
struct Walk {
  Offsets offsets;
  std::vector<SkippedRange> skipped;
};
Walk walk(const LogView& view, std::size_t max_bytes = 1 << 20) {
  Walk all;
  const auto buffers = make_ref<ReadBuffers>();
  for (Offset at = view.start(); at < view.end();) {
    const auto read = view.read({at, view.end(), max_bytes}, *buffers);
    if (const auto skipped = skipped_range(read.status())) {
      CHECK(at <= skipped->next - 1);
      all.skipped.push_back(*skipped);
      at = skipped->next;
      continue;
    }
    must(read.status());
    REQUIRE_FALSE(read->pieces.empty());
    for (const SharedBytes& piece : read->pieces) {
      BatchCursor batches(piece.bytes());
      while (const BatchView* batch = batches.next()) {
        all.offsets.push_back(batch->header().base_offset.value());
        at = batch->header().next_offset();
      }
      must(batches.status());
    }
  }
  return all;
}

Offsets without(Offsets all, std::int64_t from, std::int64_t to) {
  std::erase_if(all, [&](std::int64_t offset) { return offset >= from && offset < to; });
  return all;
}

constexpr LastStop stops[] = {LastStop::clean, LastStop::process_crash, LastStop::system_crash};

/// What was mended stays so, takes appends, and its readers are told.
void check_mended(Disk& disk, Log log, const Offsets& expected,
                  const std::vector<SkippedRange>& skipped, std::int64_t end) {
  CHECK(log.damage() == nullptr);
  CHECK(log.end() == Offset(end));
  CHECK_FALSE(disk.has(damage_file));
  must(append(log, make_batches(end, 2)).status);
  Offsets all = expected;
  all.insert(all.end(), {end, end + 1});
  const auto check = [&](const LogView& view) {
    for (const std::size_t bytes : {std::size_t{1}, std::size_t{1} << 20}) {
      const Walk found = walk(view, bytes);
      CHECK(found.offsets == all);
      CHECK(found.skipped == skipped);
    }
  };
  check(log.view());
  check(must(ReadOnlyLog::open(disk.files, disk.directory)).view());
  must(log.close().status());
  for (const LastStop stop : stops) {
    Log again = disk.open_after(stop);
    CHECK(again.damage() == nullptr);
    CHECK_FALSE(disk.report.has(Kind::cut));
    check(again.view());
  }
}

}  // namespace

TEST_CASE("A batch whose bytes turned is taken out, and the good ones stay at their offsets") {
  const int bad = GENERATE(0, 2, 5, 7, 9, 11);
  INFO(bad);
  Closed disk;
  const std::string name = file(bad / 4 * 4);
  const std::string whole = disk.content(name);
  disk.flip(name, disk.position(bad % 4) + 70);
  const std::string hurt = disk.content(name);
  Log log = must(disk.repair(Repair::skip_range));
  const SkippedRange gone{Offset(bad), Offset(bad + 1)};
  REQUIRE(disk.gone() == std::vector{gone});
  const Repaired& told = disk.report.repaired.front();
  CHECK(told.file == disk.path(name));
  CHECK(told.bytes == disk.batch_size);
  CHECK(disk.content(told.saved_as) == hurt.substr(disk.position(bad % 4), disk.position(1)));
  std::string good = whole;
  good.erase(disk.position(bad % 4), disk.position(1));
  CHECK(disk.content(name) == good);
  CHECK(disk.report.last_stop == LastStop::system_crash);
  check_mended(disk, std::move(log), without(range(0, 12), bad, bad + 1), {gone}, 12);
}

TEST_CASE("A log is cut where a batch is bad, and all behind it is kept beside it") {
  const int bad = GENERATE(0, 2, 4, 5, 9, 11);
  INFO(bad);
  Closed disk;
  const std::string name = file(bad / 4 * 4);
  disk.flip(name, disk.position(bad % 4) + 70);
  std::vector<std::string> behind{disk.content(name).substr(disk.position(bad % 4))};
  for (int base = bad / 4 * 4 + 4; base < 12; base += 4) {
    behind.push_back(disk.content(file(base)));
  }
  Log log = must(disk.repair(Repair::truncate));
  REQUIRE(disk.report.repaired.size() == behind.size());
  for (std::size_t i = 0; i < behind.size(); ++i) {
    CHECK(disk.content(disk.report.repaired[i].saved_as) == behind[i]);
  }
  CHECK(disk.report.repaired.front().offsets.first == Offset(bad));
  CHECK(disk.report.repaired.back().offsets.next == Offset(12));
  check_mended(disk, std::move(log), range(0, bad), {}, bad);
}

TEST_CASE("A log that a process has left damaged is mended, also between two openings") {
  for (const Repair how : {Repair::skip_range, Repair::truncate}) {
    INFO(static_cast<int>(how));
    Killed disk;
    disk.flip(file(8), static_cast<std::size_t>(disk.batch_size) + 70);
    {
      const Log log = disk.open_after(LastStop::process_crash);
      REQUIRE(log.damage() != nullptr);
      CHECK(disk.content(damage_file).find("Broker::repair") != std::string::npos);
    }
    Log log = must(disk.try_open({.last_stop = LastStop::process_crash, .repair = how}));
    const bool skip = how == Repair::skip_range;
    const SkippedRange gone{Offset(9), Offset(10)};
    check_mended(disk, std::move(log), skip ? without(range(0, 12), 9, 10) : range(0, 9),
                 skip ? std::vector{gone} : std::vector<SkippedRange>(), skip ? 12 : 9);
  }
}

TEST_CASE("What the head of a bad batch says is not believed where it is bad") {
  const auto byte = static_cast<std::size_t>(GENERATE(0, 3, 7, 8, 10, 11, 14, 16));
  INFO(byte);
  const bool by_length = byte < 8 || byte > 11;
  Closed disk;
  disk.flip(file(4), disk.position(1) + byte);
  Log log = must(disk.repair(Repair::skip_range));
  const SkippedRange gone{Offset(5), Offset(6)};
  CHECK(disk.gone() == std::vector{gone});
  CHECK(disk.report.repaired.front().bytes == disk.batch_size);
  CHECK((by_length || disk.size(file(4)) == 3 * disk.batch_size));
  check_mended(disk, std::move(log), without(range(0, 12), 5, 6), {gone}, 12);
}

TEST_CASE("A block of zeros takes the batches that it touches, and no other") {
  Closed disk;
  std::string text = disk.content(file(4));
  text.replace(disk.position(1) + 30, disk.position(1), disk.position(1), '\0');
  disk.put(file(4), text);
  Log log = must(disk.repair(Repair::skip_range));
  const SkippedRange gone{Offset(5), Offset(7)};
  CHECK(disk.gone() == std::vector{gone});
  check_mended(disk, std::move(log), without(range(0, 12), 5, 7), {gone}, 12);
}

TEST_CASE("All damaged places are mended at once, and each is told") {
  Closed disk;
  disk.flip(file(0), disk.position(1) + 70);
  disk.flip(file(0), disk.position(3) + 70);
  disk.flip(file(8), disk.position(0) + 70);
  Log log = must(disk.repair(Repair::skip_range));
  const std::vector<SkippedRange> gone = {
      {Offset(1), Offset(2)}, {Offset(3), Offset(4)}, {Offset(8), Offset(9)}};
  CHECK(disk.gone() == gone);
  CHECK(disk.report.repaired[0].saved_as == disk.report.repaired[1].saved_as);
  CHECK(disk.size(disk.report.repaired[0].saved_as) == 2 * disk.batch_size);
  check_mended(disk, std::move(log), {0, 2, 4, 5, 6, 7, 9, 10, 11}, gone, 12);
}

TEST_CASE("A segment of which nothing is good stays, and is empty") {
  Closed disk;
  for (const std::int64_t base : {0, 4}) {
    disk.put(file(base), std::string(static_cast<std::size_t>(disk.size(file(base))), 'x'));
  }
  Log log = must(disk.repair(Repair::skip_range));
  const std::vector<SkippedRange> gone = {{Offset(0), Offset(4)}, {Offset(4), Offset(8)}};
  CHECK(disk.gone() == gone);
  CHECK(disk.size(file(0)) == 0);
  CHECK(disk.size(file(4)) == 0);
  check_mended(disk, std::move(log), range(8, 12), gone, 12);
}

TEST_CASE("A segment whose file is missing is a gap from then on, or the end") {
  const int missing = GENERATE(4, 8);
  const Repair how = GENERATE(Repair::skip_range, Repair::truncate);
  INFO(missing << " " << static_cast<int>(how));
  Closed disk;
  must(disk.memory.remove(disk.path(file(missing)), IoReason::other));
  REQUIRE(disk.open_after(LastStop::system_crash).damage() != nullptr);
  Log log = must(disk.repair(how));
  const SkippedRange gone{Offset(missing), Offset(missing + 4)};
  if (how == Repair::skip_range) {
    CHECK(disk.gone() == std::vector{gone});
    check_mended(disk, std::move(log), without(range(0, 12), missing, missing + 4), {gone}, 12);
  } else {
    CHECK(disk.report.repaired.back().offsets.next == Offset(12));
    check_mended(disk, std::move(log), range(0, missing), {}, missing);
  }
}

TEST_CASE("A segment that ends before the next one begins is a gap from then on, or the end") {
  const int base = GENERATE(0, 4, 8);
  const Repair how = GENERATE(Repair::skip_range, Repair::truncate);
  INFO(base << " " << static_cast<int>(how));
  Closed disk;
  disk.cut(file(base), 2 * disk.batch_size);
  Log log = must(disk.repair(how));
  const SkippedRange gone{Offset(base + 2), Offset(base + 4)};
  if (how == Repair::skip_range) {
    CHECK(disk.gone() == std::vector{gone});
    CHECK(disk.report.repaired.front().bytes == 0);
    check_mended(disk, std::move(log), without(range(0, 12), base + 2, base + 4), {gone}, 12);
  } else {
    check_mended(disk, std::move(log), range(0, base + 2), {}, base + 2);
  }
}

TEST_CASE("A log whose files are all gone begins anew behind what it had, or where it began") {
  for (const Repair how : {Repair::skip_range, Repair::truncate}) {
    Closed disk;
    for (const std::int64_t base : {0, 4, 8}) {
      must(disk.memory.remove(disk.path(file(base)), IoReason::other));
    }
    REQUIRE(disk.open_after(LastStop::system_crash, 12).damage() != nullptr);
    Log log = must(disk.try_open({.recovery_point = Offset(12), .repair = how}));
    const SkippedRange gone{Offset(0), Offset(12)};
    CHECK(disk.gone() == std::vector{gone});
    const bool skip = how == Repair::skip_range;
    check_mended(disk, std::move(log), {}, skip ? std::vector{gone} : std::vector<SkippedRange>(),
                 skip ? 12 : 0);
  }
}

TEST_CASE("A log that is whole is not repaired, and no byte of it is changed") {
  for (const Repair how : {Repair::skip_range, Repair::truncate}) {
    Closed disk;
    int changes = 0;
    disk.hook = [&](IoCall& call) {
      changes += call.operation == IoOperation::write || call.operation == IoOperation::rename ||
                 call.operation == IoOperation::truncate || call.operation == IoOperation::remove;
      return absl::OkStatus();
    };
    const auto log = disk.repair(how);
    CHECK(fault(log.status()) == Fault::invalid_argument);
    CHECK(log.status().message().find("not damaged") != absl::string_view::npos);
    CHECK(changes == 0);
  }
}

TEST_CASE("A log that its owner mended by hand is only opened") {
  Killed disk;
  const std::string whole = disk.content(file(8));
  disk.flip(file(8), static_cast<std::size_t>(disk.batch_size) + 70);
  REQUIRE(disk.open_after(LastStop::process_crash).damage() != nullptr);
  disk.put(file(8), whole);
  Log log = must(disk.try_open({.repair = Repair::truncate}));
  CHECK(disk.report.repaired.empty());
  check_mended(disk, std::move(log), range(0, 12), {}, 12);
}

TEST_CASE("A file that is restored after a repair is read again") {
  Closed disk;
  const std::string whole = disk.content(file(4));
  disk.flip(file(4), disk.position(1) + 70);
  { const Log log = must(disk.repair(Repair::skip_range)); }
  disk.put(file(4), whole);
  for (const char* suffix : {".index", ".timeindex"}) {
    must(disk.memory.remove(disk.path(file(4, suffix)), IoReason::other));
  }
  const Log log = disk.open_after(LastStop::clean);
  CHECK(offsets(log.view()) == range(0, 12));
}

TEST_CASE("Leader epochs go with the records that had them, and the latest is told") {
  Killed disk;
  {
    Log log = disk.open_after(LastStop::process_crash);
    must(append(log, make_batches(12, 2, {.epoch = 3})).status);
    must(append(log, make_batches(14, 4, {.epoch = 5})).status);
  }
  disk.flip(file(12), static_cast<std::size_t>(disk.batch_size) + 70);
  Log log = must(disk.try_open({.repair = Repair::truncate}));
  CHECK(log.end() == Offset(13));
  CHECK(log.epochs().latest() == LeaderEpoch(3));
  CHECK(disk.report.latest_epoch == LeaderEpoch(5));
}
