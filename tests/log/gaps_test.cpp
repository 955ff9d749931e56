// SPDX-License-Identifier: Apache-2.0
//
// No checksum covers the offset of a batch: gaps that are meant are told from bits that turned.
#include <string>

#include "killed.hpp"
#include "tests/support/catch.hpp"

using namespace ottla;
using namespace log_test;

namespace {

using Kind = RecoveryReport::Kind;

const LastStop crashes[] = {LastStop::process_crash, LastStop::system_crash};

std::vector<Batch> with_gaps() {
  return {make_batch(0), make_batch(1), make_batch(5), make_batch(9)};
}

}  // namespace

TEST_CASE("Gaps that a leader left are there after a crash, also when the log is opened twice") {
  for (const LastStop stop : crashes) {
    Disk disk;
    {
      Log log = disk.open();
      must(append(log, with_gaps()).status);
    }
    for (int again = 0; again < 2; ++again) {
      Log log = disk.open_after(stop);
      CHECK(disk.report.findings.empty());
      CHECK(offsets(log.view()) == std::vector<std::int64_t>{0, 1, 5, 9});
    }
  }
}

TEST_CASE(
    "Of the gap that a cut within a batch left, and one behind it, both are there after a crash") {
  for (const LastStop stop : crashes) {
    Disk disk;
    {
      Log log = disk.open();
      must(append(log, {make_batch(0), make_batch(1, {.timestamps = {t0, t0, t0}})}).status);
      must(log.truncate_to(Offset(3), SteadyTime()).status());
      must(append(log, {make_batch(3), make_batch(14), make_batch(15)}).status);
      flush(log);
    }
    const Log log = disk.open_after(stop);
    CHECK(log.damage() == nullptr);
    CHECK(offsets(log.view()) == std::vector<std::int64_t>{0, 3, 14, 15});
  }
}

TEST_CASE("The note of a gap is synced before the first batch that lies apart, and once") {
  Disk disk;
  Log log = disk.open();
  must(append(log, {make_batch(0)}).status);
  std::vector<std::string> calls;
  disk.hook = [&](IoCall& call) {
    if (!call.done && call.operation == IoOperation::sync) {
      calls.emplace_back("sync");
    } else if (!call.done && call.path.ends_with(log_suffix)) {
      calls.emplace_back("write");
    }
    return absl::OkStatus();
  };
  must(append(log, {make_batch(4)}).status);
  CHECK(calls == std::vector<std::string>{"sync", "write"});
  must(append(log, {make_batch(7)}).status);
  CHECK(calls == std::vector<std::string>{"sync", "write", "write"});
}

TEST_CASE("A note whose sync fails is the last write") {
  Disk disk;
  Log log = disk.open();
  must(append(log, {make_batch(0)}).status);
  disk.hook = [](IoCall& call) {
    return call.operation == IoOperation::sync && !call.done &&
                   call.path.find(manifest_file) != std::string_view::npos
               ? error(Fault::io, "input/output error", Outcome::unknown)
               : absl::OkStatus();
  };
  CHECK(fault(append(log, {make_batch(4)}).status) == Fault::io);
  CHECK_FALSE(disk.health->writable());
}

TEST_CASE("A gap that cannot be noted is not written") {
  Disk disk;
  Log log = disk.open();
  must(append(log, {make_batch(0)}).status);
  disk.hook = [](IoCall& call) {
    return call.path.find(manifest_file) != std::string_view::npos
               ? error(Fault::no_space, "no space is left")
               : absl::OkStatus();
  };
  CHECK(fault(append(log, {make_batch(4)}).status) == Fault::no_space);
  disk.hook = [](IoCall&) { return absl::OkStatus(); };
  must(append(log, {make_batch(4)}).status);
  Log again = disk.open_after(LastStop::process_crash);
  CHECK(offsets(again.view()) == std::vector<std::int64_t>{0, 4});
}

TEST_CASE("Gaps in what somebody else wrote are believed, after our own crash, too") {
  for (const LastStop stop : crashes) {
    Disk disk;
    {
      Log log = disk.open();
      must(append(log, with_gaps()).status);
    }
    must(disk.memory.remove(disk.path(manifest_file), IoReason::other));
    {
      Log log = disk.open_after(LastStop::system_crash);
      must(append(log, {make_batch(10)}).status);
    }
    Log log = disk.open_after(stop);
    CHECK_FALSE(disk.report.has(Kind::cut));
    CHECK(offsets(log.view()) == std::vector<std::int64_t>{0, 1, 5, 9, 10});
  }
}

TEST_CASE("Gaps between segments that somebody else wrote are believed, after our own crash, too") {
  for (const LastStop first : {LastStop::clean, LastStop::system_crash}) {
    Killed disk;
    disk.cut(file(4), 2 * disk.batch_size);  // compacted: it ends before the next one begins
    must(disk.memory.remove(disk.path(manifest_file), IoReason::other));
    const std::vector<std::int64_t> all = {0, 1, 2, 3, 4, 5, 8, 9, 10, 11};
    { const Log log = disk.open({.last_stop = first, .foreign = true}); }
    for (const LastStop stop : {LastStop::process_crash, LastStop::system_crash}) {
      Log log = disk.open_after(stop);
      CHECK(disk.report.findings.empty());
      CHECK(offsets(log.view()) == all);
    }
    {
      Log log = disk.open_after(LastStop::system_crash);
      must(append(log, make_batches(12, 5)).status);
    }
    disk.cut(file(12), 2 * disk.batch_size);  // ours: it is lost
    const Log log = disk.open_after(LastStop::system_crash);
    CHECK(disk.report.has(Kind::cut));
    CHECK(log.end() == Offset(14));
  }
}

TEST_CASE("A hole that no compaction has made is damage, though the topic is compacted") {
  Killed disk(4096, 10);
  disk.options.config.compact = true;
  disk.cut(file(4), 2 * disk.batch_size);
  const Log log = disk.open_after(LastStop::system_crash, 8);
  REQUIRE(log.damage() != nullptr);
  CHECK(log.damage()->offset == Offset(6));
}

TEST_CASE("What others may have written of an empty log ends where we begin") {
  Killed disk(4096, 0);
  Manifest noted({disk.options.topic_id, disk.options.partition});
  noted.set_others(Manifest::anywhere);
  disk.put(manifest_file, noted.whole_text());
  {
    Log log = disk.open_after(LastStop::system_crash);
    must(append(log, make_batches(0, 9)).status);
  }
  disk.cut(file(4), 2 * disk.batch_size);
  const Log log = disk.open_after(LastStop::system_crash);
  CHECK(disk.report.has(Kind::cut));
  CHECK(log.end() == Offset(6));
}

TEST_CASE("A log of others may begin anywhere") {
  Killed disk;
  for (const std::string_view suffix : {log_suffix, offset_index_suffix, time_index_suffix}) {
    must(disk.memory.remove(disk.path(file(0, suffix)), IoReason::other));
  }
  Manifest noted({disk.options.topic_id, disk.options.partition});
  noted.set_others(Manifest::anywhere);
  disk.put(manifest_file, noted.whole_text());
  const Log log = disk.open_after(LastStop::system_crash);
  CHECK(disk.report.findings.empty());
  CHECK(log.start() == Offset(4));
}

TEST_CASE("Gaps behind damage are believed once an opening finds the log whole") {
  Disk disk;
  {
    Log log = disk.open();
    must(append(log, with_gaps()).status);
  }
  must(disk.memory.remove(disk.path(manifest_file), IoReason::other));
  disk.flip(file(0), static_cast<std::size_t>(make_batch(0).facts.size) + 8);  // its size
  const LogOpening foreign = {
      .last_stop = LastStop::system_crash, .recovery_point = Offset(10), .foreign = true};
  CHECK(disk.open(foreign).damage() != nullptr);
  disk.flip(file(0), static_cast<std::size_t>(make_batch(0).facts.size) + 8);  // its size
  for (int again = 0; again < 2; ++again) {
    const Log log = disk.open_after(LastStop::system_crash, 10);
    CHECK(log.damage() == nullptr);
    CHECK(offsets(log.view()) == std::vector<std::int64_t>{0, 1, 5, 9});
  }
}

TEST_CASE("A gap, and the segment before it, are known by what is there after a cut") {
  constexpr std::int64_t far = std::int64_t{1} << 40;
  for (const std::int64_t end : {std::int64_t{3}, far}) {
    Disk disk;
    {
      Log log = disk.open();
      must(append(log, make_batches(0, 3)).status);
      must(append(log, {make_batch(far)}).status);  // which rolls
      flush(log);
      must(log.truncate_to(Offset(end), SteadyTime()).status());
      must(append(log, make_batches(end, 2)).status);
    }
    for (const LastStop stop : {LastStop::process_crash, LastStop::system_crash}) {
      const Log log = disk.open_after(stop);
      CHECK(log.damage() == nullptr);
      CHECK(offsets(log.view()) == std::vector<std::int64_t>{0, 1, 2, end, end + 1});
    }
  }
}

TEST_CASE("A last batch whose offset is not behind the one before it is cut, and reported") {
  for (const LastStop stop : crashes) {
    for (const int bit : {1, 3, 8, 30}) {
      Disk disk;
      std::int64_t size = 0;
      {
        Log log = disk.open();
        must(append(log, make_batches(0, 4)).status);
        size = make_batch(0).facts.size;
      }
      const std::string name = offset_file_name(Offset(0), log_suffix);
      std::string text = disk.content(name);
      char& byte = text[static_cast<std::size_t>(3 * size + 7 - bit / 8)];
      byte = static_cast<char>(byte ^ 1 << bit % 8);
      disk.put(name, text);
      Log log = disk.open_after(stop);
      INFO("bit " << bit);
      CHECK(offsets(log.view()) == range(0, 3));
      CHECK(disk.report.has(Kind::cut));
    }
  }
}

TEST_CASE(
    "A gap is believed below the recovery point alone, where a power cut spoilt the manifest") {
  for (const std::int64_t recovery_point : {0, 3, 203, 204}) {
    Disk disk;
    std::int64_t size = 0;
    {
      Log log = disk.open();
      must(append(log, make_batches(0, 5)).status);
      size = make_batch(0).facts.size;
    }
    const std::string name = offset_file_name(Offset(0), log_suffix);
    std::string text = disk.content(name);
    for (const std::int64_t offset : {3, 4}) {
      text[static_cast<std::size_t>(offset * size + 7)] = static_cast<char>(200 + offset);
    }
    disk.put(name, text);
    disk.put("ottla_manifest", "spoilt");
    const Log log = disk.open_after(LastStop::system_crash, recovery_point);
    INFO("recovery point " << recovery_point);
    CHECK(log.damage() == nullptr);
    CHECK(log.end() == Offset(recovery_point > 200 ? 205 : 3));
  }
}

TEST_CASE("A batch that overlaps the next one is not read, nor is one passed over without a word") {
  const std::string name = offset_file_name(Offset(0), log_suffix);
  const auto size = static_cast<std::size_t>(make_batch(0).facts.size);
  const auto buffers = make_ref<ReadBuffers>();
  struct Turned {
    std::size_t at;
    char to;
    std::int64_t asked;
  };
  // The second batch's offset up and down, its last offset up.
  for (const Turned& turned : {Turned{size + 7, 2, 1}, Turned{size + 7, 0, 1},
                               Turned{size + 7, 3, 1}, Turned{size + 26, 1, 1}}) {
    Disk disk;
    disk.options.config.index_interval_bytes = 0;
    CleanEnd end;
    {
      Log log = disk.open();
      must(append(log, make_batches(0, 6)).status);
      must(log.roll(Timestamp(t0)));
      must(append(log, make_batches(6, 1)).status);
      end = must(log.close());
    }
    std::string text = disk.content(name);
    text[turned.at] = turned.to;
    disk.put(name, text);
    const Log log = disk.open({.last_stop = LastStop::clean, .clean_end = end});
    const LogView view = log.view();
    INFO("byte " << turned.at << " is " << int{turned.to});
    CHECK(must(view.read({Offset(0), view.end(), 1}, *buffers)).bytes == size);
    for (const std::size_t max_bytes : {std::size_t{1}, std::size_t{1000}}) {
      const auto read = view.read({Offset(turned.asked), view.end(), max_bytes}, *buffers);
      CHECK(fault(read.status()) == Fault::corrupt);
    }
    CHECK(must(view.read({Offset(4), view.end(), 1000}, *buffers)).bytes == 2 * size);
  }
}
