// SPDX-License-Identifier: Apache-2.0
//
// A directory of brokers in memory that die, with their process or with the machine.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include <ottla/env/small_file.hpp>
#include <ottla/log/run_record.hpp>

#include "tests/support/memory_broker.hpp"

namespace test {

using namespace ottla;

/// Brokers in one directory, one after the other, and what happens to it.
struct Site {
  MemoryEnv env;
  std::string directory = "data";
  std::vector<std::string> told = {};

  AnyFileSystem& files() { return env.file_system(); }
  std::string read(const std::string& name) {
    return must(read_small_file(files(), directory + name, 100'000));
  }
  void write(const std::string& name, std::string_view text) {
    must(replace_small_file(files(), directory + name, as_bytes(text), Durability::written,
                            IoReason::other));
  }
  MemoryBroker open() {
    BrokerConfig config{.on_event = [this](const BrokerEvent& event) {
      told.push_back(event.code + " " + event.file);
    }};
    config.log_dirs = directory;
    return must(MemoryBroker::open(env, std::move(config)));
  }
  /// From now on we are where the process has died: its files as they are now.
  void kill() {
    const std::string from = std::exchange(directory, directory + "-killed");
    copy(from, directory);
  }
  void copy(const std::string& from, const std::string& to) {
    must(files().create_directory(to, IoReason::other));
    for (const DirectoryEntry& entry : must(files().list(from))) {
      const std::string name = "/" + entry.name;
      if (entry.kind == FileKind::directory) {
        copy(from + name, to + name);
      } else {
        const std::string text = must(read_small_file(files(), from + name, 1'000'000));
        must(replace_small_file(files(), to + name, as_bytes(text), Durability::written,
                                IoReason::other));
      }
    }
  }
  void reboot() {
    RunRecord run = *parse_run_record(read("/.ottla_run"));
    run.volume.boot_id += "-next";
    write("/.ottla_run", format_run_record(run));
  }
};

}  // namespace test
