// SPDX-License-Identifier: Apache-2.0
//
// The main job: every line of this project's headers, keyed by its file, is a record of a topic of
// three partitions. Two members of one group read it back; one joins late, one leaves early, and in
// the middle everything is closed and opened again. No line may be lost, none come twice.
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iomanip>
#include <iostream>
#include <map>
#include <string>
#include <string_view>

#include <stdlib.h>

#include <ottla/ottla.hpp>

namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using Producer = ottla::Producer<std::string_view, std::string_view>;
using Consumer = ottla::Consumer<std::string_view, std::string_view>;

constexpr std::string_view usage =
    "usage: 01_main_job [--dir DIR] [--table FILE]\n"
    "\n"
    "Run it in the project's folder.\n"
    "  --dir DIR     where a producer wrote topic headers; else the job does, and removes it\n"
    "  --table FILE  to which the lines of each file are written; else only their sums are shown\n";

struct Lines {
  std::int64_t produced = 0;
  std::int64_t consumed = 0;
};

class MainJob {
 public:
  /// Counts the lines, so that nothing depends on what Ottla says.
  absl::Status look_at_headers() {
    std::error_code problem;
    for (const auto& entry : fs::recursive_directory_iterator("include", problem)) {
      if (!entry.is_regular_file() || entry.path().extension() == ".md") continue;
      std::ifstream file(entry.path());
      for (std::string line; std::getline(file, line);) ++lines_[entry.path().string()].produced;
    }
    for (const auto& [file, lines] : lines_) total_ += lines.produced;
    return total_ > 0 ? absl::OkStatus()
                      : absl::NotFoundError("no headers here; run it in the project's folder");
  }

  absl::Status produce(const std::string& directory) const {
    OTTLA_ASSIGN(const ottla::Broker broker, ottla::Broker::open({.log_dirs = directory}));
    OTTLA_TRY(broker.create_topic({.name = "headers", .partitions = 3}));
    OTTLA_ASSIGN(Producer producer, Producer::open(broker));
    OTTLA_ASSIGN(const ottla::Topic topic, producer.topic("headers"));
    for (const auto& [name, counted] : lines_) {
      std::ifstream file(name);
      for (std::string line; std::getline(file, line);) {
        OTTLA_TRY(producer.send({.topic = topic, .key = name, .value = line}).status());
      }
    }
    OTTLA_TRY(producer.close());
    return broker.close();
  }

  /// The first half: alone, together, and the other one alone.
  absl::Status read_half(const std::string& directory) {
    OTTLA_ASSIGN(const ottla::Broker broker, ottla::Broker::open({.log_dirs = directory}));
    OTTLA_ASSIGN(Consumer early, join(broker));
    while (consumed_ < total_ / 6) OTTLA_TRY(read(early, "the early member"));
    OTTLA_ASSIGN(Consumer late, join(broker));
    while (consumed_ < total_ / 3) {
      OTTLA_TRY(read(early, "the early member"));
      OTTLA_TRY(read(late, "the late member"));
    }
    OTTLA_TRY(early.close());
    std::cout << "  the early member leaves\n";
    while (consumed_ < total_ / 2) OTTLA_TRY(read(late, "the late member"));
    OTTLA_TRY(late.close());
    return broker.close();
  }

  /// What a program finds that starts again.
  absl::Status read_rest(const std::string& directory) {
    std::cout << "  all is closed and opened again after " << consumed_ << " lines\n";
    OTTLA_ASSIGN(const ottla::Broker broker, ottla::Broker::open({.log_dirs = directory}));
    OTTLA_ASSIGN(Consumer member, join(broker));
    for (int empty = 0; empty < 50;) {  // polls; the last ones look for lines that come twice
      const std::int64_t before = consumed_;
      OTTLA_TRY(read(member, "a new member"));
      empty = consumed_ != before ? 0 : consumed_ < total_ ? empty + 1 : empty + 25;
    }
    OTTLA_TRY(member.close());
    return broker.close();
  }

  /// By folder; by file into `table`, where one is named.
  absl::Status show(const std::string& table) const {
    std::map<std::string, Lines> folders;
    std::ofstream out(table);
    for (const auto& [name, lines] : lines_) {
      const fs::path within = fs::path(name).lexically_relative("include/ottla");
      Lines& folder = folders[within.begin()->string()];
      folder.produced += lines.produced;
      folder.consumed += lines.consumed;
      out << lines.produced << ' ' << lines.consumed << ' ' << name << '\n';
    }
    if (!table.empty() && !out.flush()) return absl::UnknownError("cannot write " + table);
    std::cout << "lines produced and consumed:\n";
    int column = 0;
    for (const auto& [folder, lines] : folders) {
      std::cout << "  " << std::left << std::setw(10) << folder << std::right << std::setw(6)
                << lines.produced << std::setw(6) << lines.consumed
                << (++column % 3 == 0 || column == static_cast<int>(folders.size()) ? "\n" : "   ");
    }
    std::cout << "  in all " << total_ << " produced, " << consumed_ << " consumed\n";
    for (const auto& [name, lines] : lines_) {
      if (lines.produced != lines.consumed) return absl::DataLossError(name + " differs");
    }
    return absl::OkStatus();
  }

 private:
  static absl::StatusOr<Consumer> join(const ottla::Broker& broker) {
    return Consumer::open(broker, {.group = "readers",
                                   .topics = {"headers"},
                                   .offset_reset = ottla::OffsetReset::earliest,
                                   .auto_commit = false,
                                   .max_poll_records = 200,
                                   .heartbeat_interval = 10ms});  // how soon it hears of others
  }

  /// One poll, counted and committed.
  absl::Status read(Consumer& member, std::string_view name) {
    OTTLA_ASSIGN(const Consumer::Records records, member.poll(100ms));
    OTTLA_ASSIGN(const auto assigned, member.assignment());
    std::string partitions;
    for (const ottla::TopicPartition& partition : assigned) {
      partitions += ' ' + std::to_string(partition.partition.value());
    }
    if (std::string& known = partitions_[name]; known != partitions && !partitions.empty()) {
      std::cout << "  " << name << " reads partitions" << partitions << '\n';
      known = partitions;
    }
    for (const auto& record : records) {
      ++lines_[std::string(*record.key())].consumed;
      ++consumed_;
    }
    OTTLA_TRY(records.status());
    return assigned.empty() ? absl::OkStatus() : member.commit();
  }

  std::map<std::string, Lines> lines_;  // by file
  std::map<std::string_view, std::string> partitions_;
  std::int64_t total_ = 0;
  std::int64_t consumed_ = 0;
};

absl::Status run(std::string directory, const std::string& table) {
  MainJob job;
  OTTLA_TRY(job.look_at_headers());
  std::string temporary;
  if (directory.empty()) {
    temporary = (fs::temp_directory_path() / "ottla-main-job-XXXXXX").string();
    if (::mkdtemp(temporary.data()) == nullptr)
      return absl::UnknownError("cannot make a directory");
    directory = temporary;
  }
  absl::Status done = temporary.empty() ? absl::OkStatus() : job.produce(directory);
  if (done.ok()) done = job.read_half(directory);
  if (done.ok()) done = job.read_rest(directory);
  if (done.ok()) done = job.show(table);
  std::error_code ignored;
  if (!temporary.empty()) fs::remove_all(temporary, ignored);
  return done;
}

}  // namespace

int main(int argc, char** argv) {
  std::map<std::string_view, std::string> given = {{"--dir", ""}, {"--table", ""}};
  for (int i = 1; i < argc; i += 2) {
    const auto option = given.find(argv[i]);
    if (option == given.end() || i + 1 == argc) {
      const bool asked = std::string_view(argv[i]) == "--help";
      if (!asked) {
        std::cerr << "error: "
                  << (option == given.end() ? "unknown option " : "a value is missing behind ")
                  << argv[i] << '\n';
      }
      (asked ? std::cout : std::cerr) << usage;
      return asked ? 0 : 2;
    }
    option->second = argv[i + 1];
  }
  const absl::Status done = run(given["--dir"], given["--table"]);
  if (!done.ok()) std::cerr << "error: " << done.message() << '\n';
  return done.ok() ? 0 : 1;
}
