// SPDX-License-Identifier: Apache-2.0
//
// Kafka's directories on a read-only medium: what recovery would find is served, and nothing is
// changed.
#include <ottla/log/read_only_log.hpp>

#include "golden_directory.hpp"
#include "read_only_files.hpp"
#include "tests/support/catch.hpp"

using namespace ottla;
using namespace log_test;

namespace {

Offset recovery_point(GoldenDirectory& directory, const std::string& partition) {
  const std::string path = "/d/recovery-point-offset-checkpoint";
  for (const PartitionOffset& each : must(parse_offset_checkpoint(directory.content(path), path))) {
    if (each.partition.to_string() == partition) {
      return each.offset;
    }
  }
  return Offset(0);
}

std::optional<std::int64_t> own_end(const std::string& partition) {
  return partition == "crash-flip-base-offset-0" ? std::optional<std::int64_t>(106)
         : partition == "crash-flip-magic-0"     ? std::optional<std::int64_t>(100)
         : partition == "crash-flip-epoch-0"     ? std::optional<std::int64_t>(83)
                                                 : std::nullopt;
}

}  // namespace

TEST_CASE("Of Kafka's damaged directories a reader serves what recovery would keep") {
  GoldenDirectory directory("crash", "before");
  AnyFileSystem files = reading(directory.memory);
  int partitions = 0;
  for (const std::string& partition : directory.partitions()) {
    INFO(partition);
    const LogOpening opening{.last_stop = LastStop::system_crash,
                             .recovery_point = recovery_point(directory, partition),
                             .foreign = true};
    auto log = must(ReadOnlyLog::open(files, "/d/" + partition, opening));
    const LogView view = log.view();
    const ReadBytes all = read_bytes(view, view.start(), 1 << 20);
    CHECK(view.start() == Offset(0));
    ++partitions;
    if (partition == "crash-flip-flushed-0") {
      CHECK(same(all.bytes, directory.batches(partition, 0, 16, "before")));
      CHECK(error_code(all.status) == ErrorCode::corrupt_message);
      CHECK(all.status.message().find("1704") != absl::string_view::npos);
      continue;
    }
    CHECK(all.status.ok());
    CHECK(same(all.bytes, own_end(partition)
                              ? directory.batches(partition, 0, *own_end(partition), "before")
                              : directory.batches(partition, 0, INT64_MAX, "after")));
    Decompressor decompressor;
    const Json& client = expected_of("crash")["client_after_recovery"][partition];
    for (const Json& lookup : client["list_offsets_read_uncommitted"]["for_timestamp"]) {
      INFO(lookup.dump());
      const std::int64_t target = number(lookup["target"]);
      const auto found = must(view.find_timestamp(Timestamp(target), view.end(), decompressor));
      if (own_end(partition) || partition == "crash-stale-index-0") {
        CHECK(found == scan_for(view, target));
      } else {
        CHECK((found ? found->offset.value() : -1) == number(lookup["offset"]));
        CHECK((found ? found->timestamp.value() : -1) == number(lookup["timestamp"]));
      }
    }
    CHECK(log.refresh().ok());
    CHECK(log.view().end() == view.end());
  }
  CHECK(partitions == (golden::is_full() ? 26 : partitions));
  CHECK(partitions > 0);
}

TEST_CASE("Kafka's cleanly stopped directories are served to the byte, and not changed") {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"rolled", "data"},       {"codecs", "data"},       {"txn", "data"},
      {"compaction", "before"}, {"compaction", "after1"}, {"compaction", "after3"}};
  int partitions = 0;
  for (const auto& [golden_case, name] : cases) {
    if (!std::filesystem::is_directory(golden::dir() / golden_case / name)) {
      continue;
    }
    GoldenDirectory directory(golden_case, name);
    AnyFileSystem files = reading(directory.memory);
    for (const std::string& partition : directory.partitions()) {
      INFO(golden_case << '/' << name << '/' << partition);
      auto log = must(ReadOnlyLog::open(files, "/d/" + partition,
                                        {.last_stop = LastStop::clean, .foreign = true}));
      const ReadBytes all = read_bytes(log.view(), log.view().start(), 100'000);
      CHECK(all.status.ok());
      CHECK(same(all.bytes, directory.batches(partition, 0, INT64_MAX)));
      ++partitions;
    }
  }
  CHECK(partitions > 5);
  CHECK((!golden::is_full() || partitions > 100));
}
