// SPDX-License-Identifier: Apache-2.0
//
// Apache Kafka's own programs, each run in a Java machine of its own, and what they say.
#pragma once

#include <array>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <map>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <sys/wait.h>

namespace kafka {

/// `if (kafka::skip_without_tools()) return;`: CTest then shows the test as skipped.
inline bool skip_without_tools() {
  if (std::filesystem::exists(OTTLA_KAFKA_TOOLS "/ready")) return false;
  std::cout << "SKIPPED: Kafka's tools are not here, as the test that fetches them says\n";
  return true;
}

struct Output {
  int exit_status = 0;
  std::string text;  ///< standard output and standard error
};

inline Output run(const std::string& program, const std::vector<std::string>& arguments) {
  const auto quoted = [](const std::string& word) { return " '" + word + "'"; };
  std::string command =
      "LC_ALL=C.UTF-8 java -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Dfile.encoding=UTF-8 -cp" +
      quoted(OTTLA_KAFKA_TOOLS "/libs/*:" OTTLA_KAFKA_TOOLS "/classes") + quoted(program);
  for (const std::string& argument : arguments) command += quoted(argument);
  FILE* const pipe = ::popen((command + " 2>&1").c_str(), "r");
  if (pipe == nullptr) throw std::runtime_error("cannot run " + command);
  Output output;
  std::array<char, 1 << 16> buffer;
  for (std::size_t n; (n = std::fread(buffer.data(), 1, buffer.size(), pipe)) > 0;) {
    output.text.append(buffer.data(), n);
  }
  const int status = ::pclose(pipe);
  output.exit_status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return output;
}

/// The dump tool upon `files`. Keys and values are printed in hex.
inline Output dump(std::vector<std::string> options, const std::vector<std::string>& files) {
  std::string list;
  for (const std::string& file : files) list += (list.empty() ? "" : ",") + file;
  options.insert(options.end(), {"--files", list});
  return run("org.apache.kafka.tools.DumpLogSegments", options);
}

inline const std::vector<std::string> print_records = {"--deep-iteration",      "--print-data-log",
                                                       "--key-decoder-class",   "HexDecoder",
                                                       "--value-decoder-class", "HexDecoder"};

/// The lines in which the dump tool complains. It exits with 0 all the same, and it has no line
/// that sums up, so its output has to be read.
inline std::vector<std::string> complaints(const Output& output) {
  std::vector<std::string> found;
  if (output.exit_status != 0) {
    found.push_back("exit status " + std::to_string(output.exit_status));
  }
  std::istringstream lines(output.text);
  for (std::string line; std::getline(lines, line);) {
    for (const char* sign : {"isvalid: false", "invalid bytes", "ismatch", "not found in",
                             "out of order", "Exception", "orrupt"}) {
      if (line.find(sign) != std::string::npos) {
        found.push_back(line);
        break;
      }
    }
  }
  return found;
}

/// Cuts off the tool's closing remarks on gaps between offsets, which come in no order: by file.
inline std::map<std::string, std::string> take_gaps(Output& output) {
  constexpr std::string_view title = "Non-consecutive offsets in ";
  std::map<std::string, std::string> gaps;
  std::istringstream lines(output.text);
  std::string rest;
  std::string* into = &rest;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with(title)) {
      into = &gaps[line.substr(title.size())];
    } else {
      *into += line + "\n";
    }
  }
  output.text = rest;
  return gaps;
}

/// Empty when both are the same; else the first lines that differ.
inline std::string difference(std::string_view got, std::string_view expected) {
  std::istringstream a{std::string(got)};
  std::istringstream b{std::string(expected)};
  for (int number = 1;; ++number) {
    std::string line_a = "(the end)";
    std::string line_b = "(the end)";
    const bool more_a = static_cast<bool>(std::getline(a, line_a));
    const bool more_b = static_cast<bool>(std::getline(b, line_b));
    if (!more_a && !more_b) return "";
    if (more_a != more_b || line_a != line_b) {
      return "line " + std::to_string(number) + "\ngot      " + line_a.substr(0, 600) +
             "\nexpected " + line_b.substr(0, 600);
    }
  }
}

}  // namespace kafka
