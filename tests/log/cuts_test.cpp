// SPDX-License-Identifier: Apache-2.0
//
// What recovery cuts off is kept, and what goes for it is of earlier recoveries.
#include <map>
#include <string>

#include "log_fixture.hpp"
#include "tests/support/catch.hpp"

using namespace ottla;
using namespace log_test;

namespace {

/// Of `segments` segments, with two batches each, all but the first batch will be cut.
struct Torn : Disk {
  std::int32_t batch_size = make_batch(0).facts.size;
  int segments;

  explicit Torn(int its_segments) : segments(its_segments) {
    options.config.segment_bytes = 2 * batch_size;
    Log log = open();
    must(append(log, make_batches(0, 2 * segments)).status);
    tear();
  }
  void tear() {
    flip(offset_file_name(Offset(0), log_suffix), static_cast<std::size_t>(batch_size) + 70);
  }
  std::map<std::string, std::string> cuts() {
    std::map<std::string, std::string> all;
    for (const std::string& name : names()) {
      if (name.find(".cut-") != std::string::npos) {
        all[name] = content(name);
      }
    }
    return all;
  }
};

}  // namespace

TEST_CASE("All that one recovery cuts off is kept, however many segments that are") {
  Torn disk(20);
  std::map<std::string, std::string> expected;
  for (int i = 1; i < 20; ++i) {
    const std::string name = offset_file_name(Offset(2 * i), log_suffix);
    expected[name + ".cut-1"] = disk.content(name);
  }
  const Log log = disk.open_after(LastStop::system_crash);
  CHECK(log.end() == Offset(1));
  CHECK(disk.report.findings.size() == 20);
  for (const auto& finding : disk.report.findings) {
    CHECK(disk.has(finding.saved_as));
  }
  std::map<std::string, std::string> cuts = disk.cuts();
  CHECK(cuts.erase("00000000000000000000.log.cut-1") == 1);
  CHECK(cuts == expected);
}

TEST_CASE("A recovery that goes on where it was interrupted keeps what was cut before") {
  for (int k = 0;; ++k) {
    Torn disk(12);
    int calls = 0;
    disk.hook = [&](IoCall& call) {
      return !call.done && calls++ >= k ? error(Fault::io, "input/output error") : absl::OkStatus();
    };
    const bool died = !disk.try_open({.last_stop = LastStop::system_crash}).ok();
    disk.hook = [](IoCall&) { return absl::OkStatus(); };
    INFO("call " << k);
    const Log log = disk.open_after(LastStop::system_crash);
    REQUIRE(log.end() == Offset(1));
    for (int i = 1; i < 12; ++i) {
      bool kept = false;
      for (const auto& [name, text] : disk.cuts()) {
        kept = kept || (name.starts_with(offset_file_name(Offset(2 * i), log_suffix)) &&
                        text.size() == 2 * static_cast<std::size_t>(disk.batch_size));
      }
      REQUIRE(kept);
    }
    if (!died) {
      CHECK(k > 12);
      break;
    }
  }
}

TEST_CASE("Of earlier recoveries the oldest goes first, as a whole") {
  Torn disk(4);
  for (int recovery = 1; recovery <= 10; ++recovery) {
    Log log = disk.open_after(LastStop::system_crash);
    REQUIRE(log.end() == Offset(1));
    const auto cuts = disk.cuts();
    CHECK(cuts.size() == 4U * static_cast<unsigned>(std::min(recovery, 8)));
    CHECK(cuts.count("00000000000000000006.log.cut-" + std::to_string(recovery)) == 1);
    CHECK(cuts.count("00000000000000000006.log.cut-" + std::to_string(recovery - 8)) == 0);
    must(append(log, make_batches(1, 7)).status);
    disk.tear();
  }
}
