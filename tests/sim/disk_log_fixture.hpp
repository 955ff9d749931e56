// SPDX-License-Identifier: Apache-2.0
//
// A log on the simulated disk, opened by one process after the other: alone, or in its log
// directory.
#pragma once

#include <string>
#include <utility>

#include <ottla/sim/sim_disk.hpp>

#include "tests/log/directory_fixture.hpp"

namespace disk_test {

using namespace ottla;

/// "/d/t-0", made and synced.
inline void make_partition(SimFileSystem files) {
  for (const char* directory : {"/d", "/d/t-0"}) {
    test::must(files.create_directory(directory, IoReason::other));
  }
  for (const char* directory : {"/d/t-0", "/d", "/"}) {
    test::must(files.sync_directory(directory, IoReason::other));
  }
}

/// A process with the log of "/d/t-0" open, or why it is not.
struct Opened {
  AnyFileSystem files;
  RecoveryReport report;
  absl::StatusOr<Log> log;

  Opened(SimFileSystem its_files, const LogOptions& options, const LogOpening& opening)
      : files(std::move(its_files)),
        log(Log::open(files, "/d/t-0", options, opening, make_ref<DirectoryHealth>("/d"), report)) {
  }
  Opened(SimFileSystem its_files, const LogOptions& options, LastStop stop)
      : Opened(std::move(its_files), options,
               LogOpening{.last_stop = stop, .now = Timestamp(log_test::t0)}) {}
};

const TopicPartition partition{"t", PartitionId(0)};

struct Owning {
  Durability made = Durability::written;  ///< the partition, where there is none
  bool compact = false;
  int segment_batches = 3;
};

/// A process with "/d" open, and the log of its partition, which is made where there is none.
struct Owner {
  AnyFileSystem files;
  DirectoryReport found;
  RecoveryReport report;
  LogDirectory directory;
  Log log;

  template <class Files>
  Owner(Files its_files, int run, const Owning& how = {})
      : files(std::move(its_files)),
        directory(test::must(log_test::open_directory(files, run, found))),
        log(open_log(run, how)) {}

  Log open_log(int run, const Owning& how) {
    using log_test::id;
    if (directory.partitions().empty()) {
      test::must(directory.create_partitions({{{partition, id(1), id(2 + run)}}}, how.made));
      directory.note_created(partition, how.made);
    }
    LogOptions options{.topic_id = id(1), .partition = partition.partition};
    options.config.segment_bytes = how.segment_batches * log_test::make_batch(0).facts.size;
    options.config.compact = how.compact;
    return test::must(Log::open(files, directory.path_of(partition), options,
                                directory.take_opening(partition, Timestamp(log_test::t0)),
                                directory.health(), report));
  }
};

}  // namespace disk_test
