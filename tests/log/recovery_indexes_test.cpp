// SPDX-License-Identifier: Apache-2.0
//
// Indexes that an opening makes anew.
#include <string>
#include <vector>

#include "killed.hpp"
#include "tests/support/catch.hpp"

using namespace ottla;
using namespace log_test;

namespace {

using Kind = RecoveryReport::Kind;

}  // namespace

TEST_CASE("Missing indexes are made anew when the log is opened") {
  Killed disk(0);
  const std::string index = disk.content(file(0, offset_index_suffix));
  const std::string times = disk.content(file(4, time_index_suffix));
  must(disk.memory.remove(disk.path(file(0, offset_index_suffix)), IoReason::other));
  must(disk.memory.remove(disk.path(file(4, time_index_suffix)), IoReason::other));
  const Log log = disk.open_after(LastStop::process_crash);
  CHECK(disk.report.findings.size() == 2);
  CHECK(disk.report.has(Kind::index_rebuilt));
  CHECK(disk.content(file(0, offset_index_suffix)) == index);
  CHECK(disk.content(file(4, time_index_suffix)) == times);
}

TEST_CASE("Missing indexes of the last segment are made anew after a clean stop, too") {
  Killed disk(0);
  must(disk.open_after(LastStop::process_crash).close());
  const std::string index = disk.content(file(8, offset_index_suffix));
  const std::string times = disk.content(file(8, time_index_suffix));
  must(disk.memory.remove(disk.path(file(8, offset_index_suffix)), IoReason::other));
  must(disk.memory.remove(disk.path(file(8, time_index_suffix)), IoReason::other));
  const Log log = disk.open_after(LastStop::clean);
  CHECK(disk.report.has(Kind::index_rebuilt));
  CHECK(disk.content(file(8, offset_index_suffix)) == index);
  CHECK(disk.content(file(8, time_index_suffix)) == times);
  Decompressor decompressor;
  const auto largest = must(log.view().find_max_timestamp(log.end(), decompressor));
  REQUIRE(largest.has_value());
  CHECK(largest->offset == Offset(11));
}

TEST_CASE("A closed segment that is not as it was is damage, also where its indexes are missing") {
  for (const std::int64_t left : {0, 2}) {
    Killed disk(0);
    disk.cut(file(4), left * disk.batch_size);
    must(disk.memory.remove(disk.path(file(4, offset_index_suffix)), IoReason::other));
    for (int again = 0; again < 2; ++again) {
      const Log log = disk.open_after(LastStop::process_crash);
      const auto buffers = make_ref<ReadBuffers>();
      const LogView view = log.view();
      CHECK(fault(view.read({Offset(4), view.end(), 1}, *buffers).status()) == Fault::corrupt);
      CHECK(offsets(view, 8) == range(8, 12));
    }
  }
}

TEST_CASE("A segment whose indexes could not be made anew is closed without them") {
  Killed disk(0);
  disk.hook = [&](IoCall& call) {
    return call.operation == IoOperation::truncate && call.path.ends_with(time_index_suffix)
               ? error(Fault::io, "input/output error")
               : absl::OkStatus();
  };
  {
    Log log = disk.open_after(LastStop::process_crash);
    disk.hook = [](IoCall&) { return absl::OkStatus(); };
    must(append(log, make_batches(12, 1)).status);  // which rolls
  }
  CHECK_FALSE(disk.has(file(8, offset_index_suffix)));
  CHECK_FALSE(disk.has(file(8, time_index_suffix)));
  const Log log = disk.open_after(LastStop::process_crash);
  CHECK(disk.has(file(8, time_index_suffix)));
  CHECK(disk.report.has(Kind::index_rebuilt));
}

TEST_CASE("Indexes of what is below the recovery point are on the device when they are made anew") {
  for (const LastStop stop : both) {
    for (const std::int64_t point : {11, 12}) {
      Killed disk(0);
      int synced = 0;
      disk.hook = [&](IoCall& call) {
        synced += call.done && call.operation == IoOperation::sync &&
                  call.reason == IoReason::index_rebuild;
        return absl::OkStatus();
      };
      const Log log = must(disk.try_open({.last_stop = stop, .recovery_point = Offset(point)}));
      CHECK(synced == (point == 12 ? 2 : 0));
    }
  }
}

TEST_CASE(
    "A time index of a closed segment that tells of another largest timestamp is not believed") {
  Killed disk(0);
  must(disk.open_after(LastStop::process_crash).close());
  const std::string times = disk.content(file(4, time_index_suffix));
  REQUIRE(times.size() == 3 * 12);
  const std::string later = times.substr(0, 2 * 12) + '\x01' + times.substr(2 * 12 + 1);
  const std::string earlier = times.substr(0, 12);
  const std::vector<std::string> all = {earlier, std::string(), later, later};
  for (const std::string& half_made : all) {
    for (const LastStop stop : both) {
      disk.put(file(4, time_index_suffix), half_made);
      if (&half_made == &all.back() && disk.has(manifest_file)) {
        must(disk.memory.remove(disk.path(manifest_file), IoReason::other));  // the log knows
      }
      const Log log = must(disk.try_open({.last_stop = stop, .recovery_point = Offset(12)}));
      Decompressor decompressor;
      for (int i = 0; i < 12; ++i) {
        INFO(i << ", " << half_made.size());
        const auto found =
            must(log.view().find_timestamp(Timestamp(t0 + 1'000 * i), log.end(), decompressor));
        REQUIRE(found.has_value());
        CHECK(found->offset == Offset(i));
      }
    }
  }
}

TEST_CASE("Indexes that recovery made anew are those that a writer would have made") {
  for (const std::int32_t interval : {0, 150, 400, 4096}) {
    Killed disk(interval);
    std::vector<std::string> names = disk.names();
    {
      Log log = disk.open_after(LastStop::system_crash);
      must(log.close());
    }
    Disk fresh;
    fresh.options = disk.options;
    Log log = fresh.open();
    must(append(log, make_batches(0, 12)).status);
    must(log.close());
    for (const std::string& name : names) {
      if (name != "ottla_manifest") {
        INFO(name << ", interval " << interval);
        CHECK(disk.content(name) == fresh.content(name));
      }
    }
  }
}
