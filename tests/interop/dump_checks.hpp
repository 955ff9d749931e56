// SPDX-License-Identifier: Apache-2.0
//
// What Kafka's dump tool has to say of all files of a log directory: nothing.
#pragma once

#include <algorithm>
#include <filesystem>
#include <sstream>
#include <string>
#include <vector>

#include "tests/interop/kafka_tools.hpp"
#include "tests/support/catch.hpp"

namespace interop {

/// Of all partitions of a directory, sorted.
inline std::vector<std::string> files_of(const std::string& directory, std::string_view suffix) {
  std::vector<std::string> all;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(directory)) {
    const std::string path = entry.path().string();
    const bool metadata = path.find("__cluster_metadata") != std::string::npos;
    if (entry.path().extension() == suffix && !metadata) all.push_back(path);
  }
  std::sort(all.begin(), all.end());
  return all;
}

inline std::string partition_of(const std::string& file) {
  return std::filesystem::path(file).parent_path().filename().string();
}

/// Without what the tool says of time-index entries whose batch compaction emptied and kept for its
/// producer: it says it of Kafka's own, too.
inline void forgive_emptied(kafka::Output& output) {
  std::istringstream lines(output.text);
  std::vector<std::string> kept;
  for (std::string line; std::getline(lines, line);) {
    if (line.find("Index timestamp: ") == std::string::npos || !line.ends_with(" -1")) {
      kept.push_back(line);
    } else if (!kept.empty() && kept.back().find("compact") != std::string::npos) {
      kept.pop_back();
    }
  }
  output.text.clear();
  for (const std::string& line : kept) output.text += line + "\n";
}

inline std::size_t check_indexes(const std::string& directory) {
  std::vector<std::string> indexes = files_of(directory, ".index");
  for (const std::string& file : files_of(directory, ".timeindex")) indexes.push_back(file);
  for (const std::vector<std::string>& options :
       {std::vector<std::string>{"--deep-iteration", "--verify-index-only"},
        std::vector<std::string>{"--index-sanity-check"}}) {
    kafka::Output output = kafka::dump(options, indexes);
    forgive_emptied(output);
    CHECK(output.exit_status == 0);
    CHECK(kafka::complaints(output) == std::vector<std::string>());
  }
  return indexes.size();
}

}  // namespace interop
