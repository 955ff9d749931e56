// SPDX-License-Identifier: Apache-2.0
//
// Everything is read again and checked, whatever was checked before.
#include <ottla/base/endian.hpp>
#include <ottla/log/log_verification.hpp>

#include "log_fixture.hpp"
#include "tests/support/catch.hpp"

using namespace ottla;
using namespace log_test;

namespace {

struct Verified {
  std::int64_t bytes = 0;
  int steps = 0;
  std::vector<LogDamage> damage;
};

Verified verify(const Log& log, std::size_t step = 1 << 20) {
  const auto buffers = make_ref<ReadBuffers>();
  LogVerification all(log.view());
  Verified done;
  do {
    ++done.steps;
  } while (must(all.step(step, *buffers)));
  done.bytes = all.checked_bytes();
  done.damage = all.damage();
  return done;
}

/// Segments of three batches each, the last one of one.
struct Filled : Disk {
  Log log;

  Filled() : log(open_small()) {
    for (int i = 0; i < 10; ++i) must(append(log, make_batches(i, 1)).status);
  }
  Log open_small() {
    options.config.segment_bytes = 3 * make_batches(0, 1)[0].facts.size;
    return open();
  }
  std::int64_t bytes() const {
    std::int64_t all = 0;
    for (const auto& [base, size] : segments(log.view())) all += size;
    return all;
  }
};

}  // namespace

TEST_CASE("A whole log is verified to its last byte, in steps of any size") {
  Filled disk;
  REQUIRE(segments(disk.log.view()).size() == 4);
  const Verified all = verify(disk.log);
  CHECK(all.damage.empty());
  CHECK(all.bytes == disk.bytes());
  CHECK(all.steps == 1);
  const Verified small = verify(disk.log, 1);
  CHECK(small.damage.empty());
  CHECK(small.bytes == disk.bytes());
  CHECK(small.steps == 10);  // a batch at least
}

TEST_CASE("An empty log has nothing to verify") {
  Disk disk;
  const Log log = disk.open();
  const Verified all = verify(log);
  CHECK(all.damage.empty());
  CHECK(all.bytes == 0);
}

TEST_CASE(
    "Any bit of any batch is found, also of one that was read before, and the rest is verified") {
  const std::int64_t size = make_batches(0, 1)[0].facts.size;
  for (std::int64_t at = 0; at < size; ++at) {
    Filled disk;
    REQUIRE(offsets(disk.log.view()) == range(0, 10));
    disk.flip("00000000000000000003.log", static_cast<std::size_t>(size + at));
    const Verified all = verify(disk.log);
    INFO("byte " << at);
    REQUIRE(all.damage.size() == 1);
    CHECK(all.damage[0].file == "/d/t-0/00000000000000000003.log");
    CHECK(all.damage[0].fault == Fault::corrupt);
    const bool is_told_where = all.damage[0].position == size;
    const bool is_offset = at < 8;  // of two that contradict each other either may be wrong
    const bool is_epoch = at >= 12 && at < 16;  // no checksum has it, the manifest's digest has
    CHECK((is_told_where || is_offset || is_epoch));
    CHECK(all.bytes >= 7 * size);
  }
}

TEST_CASE("A file that is short, gone or another one is found") {
  Filled disk;
  must(disk.log.close().status());
  SECTION("it is short") {
    disk.cut("00000000000000000003.log", disk.size("00000000000000000003.log") - 1);
  }
  SECTION("it is another one, whole in itself") {
    std::string other;
    for (int i = 3; i < 6; ++i) {
      const Batch batch = make_batch(i, {.timestamps = {t0 + i}});
      other += as_string_view(batch.bytes.bytes());
    }
    REQUIRE(static_cast<std::int64_t>(other.size()) == disk.size("00000000000000000003.log"));
    disk.put("00000000000000000003.log", other);
  }
  const Log again = disk.open();
  const Verified all = verify(again);
  REQUIRE(all.damage.size() == 1);
  CHECK(all.damage[0].file == "/d/t-0/00000000000000000003.log");
}

TEST_CASE("What was appended, rolled, or deleted meanwhile is no damage") {
  Filled disk;
  const auto buffers = make_ref<ReadBuffers>();
  LogVerification all(disk.log.view());
  REQUIRE(must(all.step(1, *buffers)));
  for (int i = 10; i < 20; ++i) must(append(disk.log, make_batches(i, 1)).status);
  must(disk.log.raise_start(Offset(7), Offset(20)));
  CHECK(must(disk.log.delete_segments(Offset(7), SteadyTime())) == 2);
  while (must(all.step(1, *buffers))) {
  }
  CHECK(all.damage().empty());
  CHECK(verify(disk.log).damage.empty());
}

TEST_CASE("A read that fails is told as such, what the process lacks ends the step only") {
  Filled disk;
  const auto buffers = make_ref<ReadBuffers>();
  const std::string file = "/d/t-0/00000000000000000003.log";
  const auto with = [&](Fault kind) {
    return [&, kind](IoCall& call) {
      return call.operation == IoOperation::read && call.path == file
                 ? error(kind, "the test says so")
                 : absl::OkStatus();
    };
  };
  disk.hook = with(Fault::io);
  const Verified all = verify(disk.log);
  REQUIRE(all.damage.size() == 1);
  CHECK(all.damage[0].why.find("the test says so") != std::string::npos);
  CHECK(all.damage[0].fault == Fault::io);

  disk.hook = [&](IoCall& call) {
    return call.path == file ? error(Fault::not_found, "it is gone") : absl::OkStatus();
  };
  const Verified gone = verify(disk.log);
  REQUIRE(gone.damage.size() == 1);
  CHECK(gone.damage[0].fault == Fault::corrupt);

  disk.hook = with(Fault::no_descriptors);
  LogVerification later(disk.log.view());
  CHECK_FALSE(later.step(1 << 20, *buffers).ok());
  disk.hook = [](IoCall&) { return absl::OkStatus(); };
  while (must(later.step(1 << 20, *buffers))) {
  }
  CHECK(later.damage().empty());
  CHECK(later.checked_bytes() == disk.bytes());
}

namespace {

/// More than two pieces of a read; each batch has 1 KB. Reopened, so that nothing counts as
/// checked.
struct Long : Disk {
  std::int64_t size = make_batches(0, 1, {.value_size = 1'000})[0].facts.size;
  std::string file = "00000000000000000000.log";

  Long() {
    Log log = open();
    must(append(log, make_batches(0, 700, {.value_size = 1'000})).status);
    must(log.close().status());
  }
  /// The batch says that it is another one: no checksum covers that.
  void set_base(std::int64_t batch, std::int64_t base) {
    std::string text = content(file);
    store_big_endian(reinterpret_cast<std::byte*>(text.data() + batch * size), base);
    put(file, text);
  }
};

}  // namespace

TEST_CASE("An offset that turned is found wherever a piece of a read begins") {
  const auto in_piece = static_cast<std::int64_t>(ReadBuffers::block_size) / Long().size;
  for (const std::int64_t batch : {in_piece - 1, in_piece, in_piece + 1, 2 * in_piece}) {
    for (const std::int64_t base : {batch - 5, batch + 5}) {
      Long disk;
      disk.set_base(batch, base);
      const Log log = disk.open();
      INFO("batch " << batch << " says " << base);
      const Verified all = verify(log);
      CHECK(all.damage.size() == 1);
      const auto buffers = make_ref<ReadBuffers>();
      const LogView view = log.view();
      absl::Status status;
      std::vector<std::int64_t> seen;
      for (Offset at(0); at < view.end() && status.ok();) {
        const auto read = view.read({at, view.end(), 1 << 20}, *buffers);
        status = read.status();
        for (std::size_t i = 0; read.ok() && i < read->pieces.size(); ++i) {
          BatchCursor batches(read->pieces[i].bytes());
          while (const BatchView* each = batches.next()) {
            seen.push_back(each->header().base_offset.value());
            at = each->header().next_offset();
          }
        }
      }
      CHECK(fault(status) == Fault::corrupt);
      CHECK(seen == range(0, static_cast<std::int64_t>(seen.size())));
      CHECK(seen.size() <= static_cast<std::size_t>(batch));
      CHECK(seen.size() + 1 >= static_cast<std::size_t>(batch));
    }
  }
}

TEST_CASE("An offset that turned after it was read is not served the next time") {
  for (const std::int64_t base : {std::int64_t{95}, std::int64_t{105}, std::int64_t{1} << 56}) {
    Long disk;
    const Log log = disk.open();
    const LogView view = log.view();
    REQUIRE(offsets(view) == range(0, 700));
    disk.set_base(100, base);
    const auto buffers = make_ref<ReadBuffers>();
    INFO("batch 100 says " << base);
    for (const std::int64_t from : {0, 99, 100}) {
      const auto read = view.read({Offset(from), view.end(), 1 << 20}, *buffers);
      for (std::size_t i = 0; read.ok() && i < read->pieces.size(); ++i) {
        BatchCursor batches(read->pieces[i].bytes());
        while (const BatchView* each = batches.next()) {
          CHECK(each->header().base_offset < Offset(101));
        }
      }
      CHECK((from < 100 || fault(read.status()) == Fault::corrupt));
    }
  }
}
