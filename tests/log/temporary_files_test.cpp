// SPDX-License-Identifier: Apache-2.0
#include <string>
#include <vector>

#include <tests/support/catch.hpp>

#include <ottla/env/any_file_system.hpp>
#include <ottla/env/memory/file_system.hpp>
#include <ottla/log/log_directory.hpp>

using namespace ottla;

namespace {

void put(AnyFileSystem& files, const std::string& path) {
  auto file = files.open(path, OpenMode::create, IoReason::other);
  REQUIRE(file.ok());
  const Bytes text = as_bytes("half");
  REQUIRE(file->write(0, std::span(&text, 1), IoReason::other).ok());
}

bool is_there(AnyFileSystem& files, const std::string& path) { return files.status(path).ok(); }

}  // namespace

TEST_CASE("what a small file was about to be replaced with when the process died goes at open") {
  AnyFileSystem files{MemoryFileSystem()};
  REQUIRE(files.create_directory("d", IoReason::other).ok());
  const std::vector<std::string> ours = {".kafka_cleanshutdown",
                                         ".ottla_clean",
                                         ".ottla_sums",
                                         ".ottla_run",
                                         "meta.properties",
                                         "recovery-point-offset-checkpoint",
                                         "log-start-offset-checkpoint",
                                         "replication-offset-checkpoint"};
  for (const std::string& name : ours) {
    put(files, "d/" + name + ".tmp");
  }
  put(files, "d/notes.tmp");

  DirectoryReport report;
  LogDirectoryOptions options;
  options.path = "d";
  options.properties.cluster_id = "cluster";
  REQUIRE(LogDirectory::open(files, options, report).ok());
  for (const std::string& name : ours) {
    CAPTURE(name);
    CHECK_FALSE(is_there(files, "d/" + name + ".tmp"));
  }
  CHECK(is_there(files, "d/notes.tmp"));
}

TEST_CASE("a partition's half-written small files go when its log is opened") {
  AnyFileSystem files{MemoryFileSystem()};
  REQUIRE(files.create_directory("t-0", IoReason::other).ok());
  for (const char* name :
       {"leader-epoch-checkpoint", "ottla_manifest", "partition.metadata", "x"}) {
    put(files, std::string("t-0/") + name + ".tmp");
  }
  RecoveryReport report;
  auto log = Log::open(files, "t-0", LogOptions{}, LogOpening{},
                       make_ref<DirectoryHealth>(std::string(".")), report);
  REQUIRE(log.ok());
  CHECK_FALSE(is_there(files, "t-0/leader-epoch-checkpoint.tmp"));
  CHECK_FALSE(is_there(files, "t-0/ottla_manifest.tmp"));
  CHECK_FALSE(is_there(files, "t-0/partition.metadata.tmp"));
  CHECK(is_there(files, "t-0/x.tmp"));
}
