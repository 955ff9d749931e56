// SPDX-License-Identifier: Apache-2.0
//
// The metadata log as a file: what a crash can leave of it, what is damage, what is durable.
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <ottla/broker/metadata_file.hpp>
#include <ottla/env/fault_file_system.hpp>
#include <ottla/env/memory/memory_env.hpp>
#include <ottla/env/small_file.hpp>

#include "tests/support/catch.hpp"

using namespace ottla;

namespace {

constexpr std::string_view path = "data/ottla_metadata";

class Changes {
 public:
  Changes() { REQUIRE(env.file_system().create_directory("data", IoReason::other).ok()); }

  absl::Status open(bool clean) {
    file = {};
    cut.clear();
    auto opened = MetadataFile<AnyFileSystem>::open(
        env.file_system(), world, "data", {.clean = clean}, make_ref<DirectoryHealth>("data"), cut);
    if (!opened.ok()) return opened.status();
    file = *std::move(opened);
    return absl::OkStatus();
  }
  absl::StatusOr<Offset> append(const std::string& text) {
    absl::StatusOr<Offset> written = absl::UnknownError("no answer");
    MachineRecord record;
    const Bytes bytes = as_bytes(text);
    record.value.emplace(bytes.begin(), bytes.end());
    file->append(std::span(&record, 1), [&](absl::StatusOr<Offset> base) { written = base; });
    return written;
  }
  std::vector<std::string> all() {
    std::vector<std::string> texts;
    CHECK(file->load([&](const WrittenRecord& record) {
                texts.emplace_back(as_string_view(*record.value));
                return absl::OkStatus();
              })
              .ok());
    return texts;
  }
  std::string content() { return *read_small_file(env.file_system(), path, 1 << 20); }
  void set_content(std::string_view text) {
    REQUIRE(replace_small_file(env.file_system(), path, as_bytes(text), Durability::written,
                               IoReason::other)
                .ok());
  }

  absl::Status fault = absl::OkStatus();  // of the next sync
  std::vector<IoOperation> calls;
  std::function<void()> during_write;  // of the next one
  std::function<void()> during_close;
  MemoryEnv env{{.files = AnyFileSystem(FaultFileSystem(MemoryFileSystem(), [this](IoCall& call) {
                   if (call.done) return absl::OkStatus();
                   calls.push_back(call.operation);
                   if (call.operation == IoOperation::write && during_write) {
                     std::exchange(during_write, nullptr)();
                   }
                   if (call.operation == IoOperation::close && call.path == path && during_close) {
                     std::exchange(during_close, nullptr)();
                   }
                   return call.operation == IoOperation::sync
                              ? std::exchange(fault, absl::OkStatus())
                              : absl::OkStatus();
                 }))}};
  WorldOf<MemoryEnv> world{env};
  Ref<MetadataFile<AnyFileSystem>> file;
  std::string cut;
};

}  // namespace

TEST_CASE("its name is on the device once it is open, a change before it is answered") {
  using enum IoOperation;
  Changes changes;
  REQUIRE(changes.open(true).ok());
  CHECK(std::vector(changes.calls.end() - 2, changes.calls.end()) ==
        std::vector{sync, sync_directory});
  for (const std::string text : {"one", "two"}) {
    changes.calls.clear();
    REQUIRE(changes.append(text).ok());
    CHECK(changes.calls == std::vector{write, sync});
  }
}

TEST_CASE("what a crash can leave of the last change is cut and kept; all else is damage") {
  Changes changes;
  REQUIRE(changes.open(true).ok());
  std::vector<std::size_t> ends{0};
  for (const std::string text : {"one", "two", "three"}) {
    REQUIRE(changes.append(text).ok());
    ends.push_back(changes.content().size());
  }
  const std::string whole = changes.content();
  const std::vector<std::string> two{"one", "two"};
  const auto opens = [&](const std::string& content, bool clean) {
    changes.set_content(content);
    const absl::Status opened = changes.open(clean);
    CHECK((opened.ok() || fault(opened) == Fault::corrupt));
    if (!opened.ok()) CHECK(changes.content() == content);
    return opened.ok();
  };
  for (std::size_t end = ends[2] + 1; end < whole.size(); ++end) {
    const std::string torn = whole.substr(0, end);
    REQUIRE(opens(torn, false));
    CHECK(changes.all() == two);
    CHECK(*read_small_file(changes.env.file_system(), changes.cut, 1000) == torn.substr(ends[2]));
    CHECK_FALSE(opens(torn, true));
  }
  for (const std::size_t at : {ends[2] + 1, ends[2] + 30, whole.size() - 1}) {
    std::string bad = whole;
    bad[at] = static_cast<char>(bad[at] ^ 1);
    CHECK_FALSE(opens(bad, true));
    REQUIRE(opens(bad, false));
    CHECK(changes.all() == two);
  }
  std::string zeros = whole;
  zeros.replace(ends[2], zeros.size() - ends[2], zeros.size() - ends[2], '\0');
  CHECK_FALSE(opens(zeros, true));
  REQUIRE(opens(zeros, false));
  CHECK(changes.all() == two);
  // Whole changes stand behind it: those were synced after it.
  std::string hole = whole;
  hole[ends[1] + 40] = static_cast<char>(hole[ends[1] + 40] ^ 1);
  CHECK_FALSE(opens(hole, false));
}

TEST_CASE("a change that cannot be synced is refused: undone where it was not tried, else final") {
  Changes changes;
  REQUIRE(changes.open(true).ok());
  REQUIRE(changes.append("one").ok());
  const std::string before = changes.content();
  changes.fault = error(Fault::no_descriptors, "no descriptor is left");
  CHECK(fault(changes.append("two").status()) == Fault::no_descriptors);
  CHECK(changes.content() == before);
  REQUIRE(changes.append("three").ok());
  changes.fault = error(Fault::io, "the device failed", Outcome::unknown);
  CHECK(outcome(changes.append("four").status()) == Outcome::unknown);
  CHECK_FALSE(changes.append("five").ok());
  CHECK_FALSE(changes.file->close(never).ok());
}

TEST_CASE("who closes waits for a change under way, and none is written afterwards") {
  Changes changes;
  REQUIRE(changes.open(true).ok());
  absl::Status closed;
  changes.during_write = [&] { closed = changes.file->close(changes.world.steady_now()); };
  REQUIRE(changes.append("one").ok());
  CHECK(fault(closed) == Fault::timed_out);
  CHECK(changes.file->close(never).ok());
  const std::string before = changes.content();
  CHECK(fault(changes.append("two").status()) == Fault::closed);
  CHECK(changes.file->close(never).ok());
  CHECK(changes.content() == before);
}

TEST_CASE("a change that meets who closes is refused at once, however long the disk takes") {
  Changes changes;
  REQUIRE(changes.open(true).ok());
  REQUIRE(changes.append("one").ok());
  absl::StatusOr<Offset> late = absl::UnknownError("not asked");
  changes.during_close = [&] { late = changes.append("two"); };
  CHECK(changes.file->close(never).ok());
  CHECK(fault(late.status()) == Fault::closed);
  CHECK(outcome(late.status()) == Outcome::not_written);
}
