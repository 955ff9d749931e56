// SPDX-License-Identifier: Apache-2.0
//
// What must happen when the kernel fails: a program (program.cpp) meets it, by a preloaded library
// (shim.cpp). After it, without that, all that was acknowledged is there, where it was said to be.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <map>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include <ottla/ottla.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/must.hpp"
#include "tests/support/temporary_directory.hpp"

using namespace ottla;
using namespace std::chrono_literals;
using test::must;

namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool can_preload = false;
#elif defined(__has_feature)
constexpr bool can_preload = !__has_feature(address_sanitizer) && !__has_feature(thread_sanitizer);
#else
constexpr bool can_preload = true;
#endif

/// False, and said why, where a library cannot be preloaded.
bool may_run() {
  if (!can_preload) std::cout << "SKIPPED: a sanitizer has definitions of its own of these calls\n";
  return can_preload;
}

/// What a scenario says, and how it ended if not well.
std::string run(const TemporaryDirectory& directory, const std::string& scenario,
                const std::string& faults = "") {
  const auto here = std::filesystem::read_symlink("/proc/self/exe").parent_path() / "faults";
  const std::string command = "LD_PRELOAD='" + (here / "libkernel_faults.so").string() +
                              "' OTTLA_FAULTS='" + faults + "' '" +
                              (here / "faults_program").string() + "' " + scenario + " '" +
                              directory.path().string() + "' 2>&1";
  FILE* output = ::popen(command.c_str(), "r");
  if (output == nullptr) return "no child";
  std::string said;
  char buffer[4096];
  for (std::size_t n = 0; (n = std::fread(buffer, 1, sizeof buffer, output)) > 0;) {
    said.append(buffer, n);
  }
  const int status = ::pclose(output);
  return status == 0 ? said : said + " (ended with " + std::to_string(status) + ")";
}

/// All that the programs' producers were told holds of what is there.
std::string judge(const TemporaryDirectory& directory, std::vector<std::string> names = {"data"},
                  int least = 20) {
  for (std::string& name : names) name = directory / name;
  const Broker broker = must(Broker::open({.log_dirs = names}));
  const auto topics = must(broker.list_topics());
  if (std::find(topics.begin(), topics.end(), "orders") == topics.end()) {
    return std::ifstream(directory / "notes").peek() == EOF ? "" : "the topic is not there";
  }
  auto consumer = must(
      Consumer<std::string, std::string>::open(broker, {.offset_reset = OffsetReset::earliest}));
  const std::vector<TopicPartition> partitions = {{"orders", PartitionId(0)},
                                                  {"orders", PartitionId(1)}};
  must(consumer.assign(partitions));
  std::map<std::pair<int, std::int64_t>, std::string> there;
  std::map<std::string, int> times;
  std::int64_t left = 0;
  for (const auto& [partition, end] : must(consumer.end_offsets(partitions))) left += end.value();
  for (int polls = 0; left > 0 && polls < 1'000; ++polls) {
    const auto records = must(consumer.poll(200ms));
    for (const auto& record : records) {
      there[{record.partition().value(), record.offset().value()}] = *record.value();
      if (++times[*record.value()] > 1) return *record.value() + " is there twice";
      --left;
    }
    must(records.status());
  }
  std::ifstream notes(directory / "notes");
  int acknowledged = 0;
  for (std::string kind; notes >> kind;) {
    std::pair<int, std::int64_t> place;
    std::string value;
    if (kind == "acknowledged") notes >> place.first >> place.second;
    notes >> value;
    if (kind == "refused" && times.contains(value)) return value + " was refused, and is there";
    if (kind == "acknowledged" && there[place] != value) return value + " is not there";
    acknowledged += kind == "acknowledged" ? 1 : 0;
  }
  return acknowledged >= least ? "" : "few were acknowledged";
}

/// Of calls that are to fail: a few, or all up to OTTLA_FAULTS_CALLS.
std::vector<int> numbers_of_calls() {
  const char* most = std::getenv("OTTLA_FAULTS_CALLS");
  if (most == nullptr) return {1, 2, 5, 12, 40, 150};
  std::vector<int> all(static_cast<std::size_t>(std::max(1, std::atoi(most))));
  std::iota(all.begin(), all.end(), 1);
  return all;
}

using Files = std::map<std::string, std::string>;

/// The files below the directory that end so, whole.
Files files(const TemporaryDirectory& directory, const std::string& end = "") {
  Files all;
  for (const auto& entry :
       std::filesystem::recursive_directory_iterator(directory.path() / "data")) {
    if (!entry.is_regular_file() || !entry.path().string().ends_with(end)) continue;
    std::ifstream in(entry.path(), std::ios::binary);
    all[entry.path().string()] = {std::istreambuf_iterator<char>(in), {}};
  }
  return all;
}

}  // namespace

TEST_CASE("calls that are interrupted or cut short are resumed") {
  if (!may_run()) return;
  const TemporaryDirectory directory;
  CHECK(run(directory, "interrupted",
            "open EINTR but=4; open_to_write EINTR but=4; read EINTR but=4; write EINTR but=4; "
            "truncate EINTR but=4; reserve EINTR but=4; sync EINTR but=4; read short; "
            "write short") == "");
  CHECK(judge(directory) == "");
}

TEST_CASE("a disk that is full refuses records, is read from, and goes on by itself") {
  if (!may_run()) return;
  const TemporaryDirectory directory;
  SECTION("for records") { CHECK(run(directory, "no_space") == ""); }
  SECTION("for everything, also at the end") { CHECK(run(directory, "no_space_anywhere") == ""); }
  CHECK(judge(directory) == "");
}

TEST_CASE("a failed sync is told as unknown, and takes the directory offline") {
  if (!may_run()) return;
  const TemporaryDirectory directory;
  SECTION("though the next one would do") { CHECK(run(directory, "sync_fails_once") == ""); }
  SECTION("as all others fail") { CHECK(run(directory, "sync_fails_for_good") == ""); }
  CHECK_FALSE(std::filesystem::exists(directory / "data/.kafka_cleanshutdown"));
  CHECK(judge(directory) == "");
}

TEST_CASE("a log directory goes on while the sync of another one fails") {
  if (!may_run()) return;
  const TemporaryDirectory directory;
  CHECK(run(directory, "other_directory") == "");
  CHECK(judge(directory, {"data", "other"}) == "");
}

TEST_CASE("a failed read is tried again once, then told with its file, and cuts nothing") {
  if (!may_run()) return;
  const TemporaryDirectory directory;
  CHECK(run(directory, "read_fails") == "");
  CHECK(judge(directory) == "");
}

TEST_CASE("a log that cannot be read while it is recovered is left as it is") {
  if (!may_run()) return;
  const TemporaryDirectory directory;
  REQUIRE(run(directory, "fill_and_die") == "");
  const Files before = files(directory, ".log");
  REQUIRE(before.size() >= 4);
  CHECK(run(directory, "read_fails_at_open", "read EIO path=/orders-0/") == "");
  CHECK(files(directory, ".log") == before);
  CHECK(judge(directory) == "");
}

TEST_CASE("who is short of descriptors may try again, and no directory goes offline") {
  if (!may_run()) return;
  const TemporaryDirectory directory;
  CHECK(run(directory, "no_descriptors") == "");
  CHECK(judge(directory) == "");
}

TEST_CASE("a medium that cannot be written is told, and left as it is") {
  if (!may_run()) return;
  const TemporaryDirectory directory;
  const std::string how = GENERATE("fill", "fill_and_die");
  REQUIRE(run(directory, how) == "");
  const Files before = files(directory);
  CHECK(run(directory, "read_only",
            "open_to_write EROFS; make_directory EROFS; rename EROFS; remove EROFS") == "");
  CHECK(files(directory) == before);
  CHECK(judge(directory) == "");
}

TEST_CASE("who waits for a slow disk is told in time, and others go on") {
  if (!may_run()) return;
  const TemporaryDirectory directory;
  SECTION("a producer") { CHECK(run(directory, "slow") == ""); }
  SECTION("a close") { CHECK(run(directory, "hung") == ""); }
  CHECK(judge(directory) == "");
}

TEST_CASE("whichever call fails, nothing that was acknowledged is lost") {
  if (!may_run()) return;
  const std::string fault =
      GENERATE("write ENOSPC", "write EIO", "write short", "sync EIO", "truncate EIO",
               "open_to_write EMFILE", "open EMFILE", "read EIO", "rename EIO", "remove EIO",
               "make_directory ENOSPC");
  for (const int number : numbers_of_calls()) {
    const std::string times = number % 2 == 0 ? " times=2" : "";  // or from then on
    const TemporaryDirectory directory;
    const std::string rule = fault + " from=" + std::to_string(number) + times;
    INFO(rule);
    CHECK(run(directory, "go_on", rule) == "");
    CHECK(judge(directory, {"data"}, 0) == "");
  }
}

TEST_CASE("names that cannot be changed keep no record back") {
  if (!may_run()) return;
  const TemporaryDirectory directory;
  CHECK(run(directory, "rename_fails") == "");
  CHECK(judge(directory) == "");
}
