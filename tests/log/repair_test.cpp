// SPDX-License-Identifier: Apache-2.0
//
// What the owner of a damaged log decides: what is damaged taken out, or the log cut there.
#include <string>

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
