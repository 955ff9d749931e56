// SPDX-License-Identifier: Apache-2.0
//
// Prints the records of a topic on a directory: what a group has not read yet, or all partitions.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <iostream>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include <ottla/ottla.hpp>

#include "support/closing.hpp"
#include "support/command_line.hpp"
#include "support/counted.hpp"
#include "support/interruption.hpp"
#include "support/memory.hpp"
#include "support/output.hpp"
#include "support/progress.hpp"
#include "support/record_format.hpp"

namespace {

constexpr std::string_view synopsis =
    "consumer [--dir DIR] --topic T [--group G] [--from-beginning] [--exit-at-end]\n"
    "                [--format '%t %p %o %k %v\\n']\n"
    "\n"
    "Prints the records of a topic: with a group, those behind what it has committed; without, "
    "every\n"
    "partition. Without --from-beginning a new group, or no group, begins at the end: what is "
    "there\n"
    "already is not printed.";
constexpr std::string_view notes =
    "In a format, %t is the topic, %p the partition, %o the offset, %d the timestamp in ms, %k and "
    "%v\n"
    "key and value as they are (nothing for null), %K and %V the same in hex (null for null), %h "
    "the\n"
    "headers as name=hex joined by commas, %% a percent sign, \\n \\t \\\\ the usual.\n"
    "A group goes on behind what was printed, a new one that found nothing behind where it began:\n"
    "that is committed when the program ends, also after Ctrl-C and on a closed pipe.\n"
    "Without --exit-at-end it waits for more until Ctrl-C; a directory has one owner, so no other\n"
    "program can write into it meanwhile.\n"
    "Exit code: 0 fine, 1 something failed, 2 wrong usage, 130 after Ctrl-C (twice: at once).\n"
    "\n"
    "  consumer --topic logs --from-beginning --exit-at-end --format '%p:%o %v\\n'\n"
    "  consumer --topic orders --group billing --from-beginning --exit-at-end\n";
constexpr std::chrono::milliseconds longest_poll{100};  // until a Ctrl-C or a lost reader shows
constexpr std::chrono::hours longest_pause{24};         // of whoever reads what is printed

struct Settings {
  std::string dir = "./ottla-data";
  std::string topic;
  std::string group;
  bool from_beginning = false;
  bool exit_at_end = false;
  console::RecordFormat format = *console::RecordFormat::parse("%t %p %o %k %v\\n");
};

console::CommandLine command_line(Settings& settings) {
  const auto format = [&settings](std::string_view text) -> std::string {
    if (text.empty()) return "it may not be empty";
    auto parsed = console::RecordFormat::parse(text);
    if (!parsed.ok()) return std::string(ottla::sv(parsed.status().message()));
    settings.format = *std::move(parsed);
    return "";
  };
  return console::CommandLine(
      "consumer", std::string(synopsis), std::string(notes),
      {console::text_option("--dir", "DIR",
                            "where the topics lie, for one process at a time; ./ottla-data"
                            " by default",
                            settings.dir),
       console::topic_option(settings.topic),
       console::text_option("--group", "G", "goes on where this group left off", settings.group),
       console::flag_option("--from-beginning", "where the group has no commit, or without one",
                            settings.from_beginning),
       console::flag_option("--exit-at-end", "ends behind what is there now", settings.exit_at_end),
       {"--format", "F", "how a record is printed; '%t %p %o %k %v\\n' by default", format}});
}

class Printer {
 public:
  using Consumer = ottla::Consumer<std::string_view, std::string_view>;

  Printer(const Settings& settings, const console::Interruption& interruption)
      : settings_(settings), interruption_(interruption) {}

  absl::Status open(const ottla::Broker& broker) {
    ottla::ConsumerConfig config{
        .group = settings_.group, .auto_commit = false, .max_poll_interval = longest_pause};
    config.offset_reset =
        settings_.from_beginning ? ottla::OffsetReset::earliest : ottla::OffsetReset::latest;
    if (!settings_.group.empty()) config.topics = {settings_.topic};
    OTTLA_ASSIGN(Consumer consumer, Consumer::open(broker, std::move(config)));
    consumer_.emplace(std::move(consumer));
    OTTLA_ASSIGN(const auto partitions, consumer_->partitions_of(settings_.topic));
    OTTLA_ASSIGN(ends_, consumer_->end_offsets(partitions));
    if (!settings_.group.empty()) return tell_where_it_begins(partitions);
    OTTLA_TRY(consumer_->assign(partitions));
    return settings_.from_beginning ? consumer_->seek_to_beginning() : consumer_->seek_to_end();
  }

  /// Until the end, where that was asked for; until a Ctrl-C or a closed pipe.
  absl::Status print_all() {
    while (!interruption_.asked() && !output_.closed()) {
      OTTLA_ASSIGN(const Consumer::Records records, consumer_->poll(longest_poll));
      OTTLA_TRY(print(records));
      output_.look();
      if (settings_.exit_at_end) {
        OTTLA_ASSIGN(const bool at_end, is_at_end());
        if (at_end) break;
      }
    }
    return absl::OkStatus();
  }

  /// What was printed is committed, also after an error; where all went out, the positions are:
  /// also those of partitions that had nothing to print.
  absl::Status finish() {
    if (!consumer_) return absl::OkStatus();
    absl::Status committed;
    const auto assigned = consumer_->assignment();
    if (!settings_.group.empty() && assigned.ok() && !assigned->empty()) {
      committed = output_.failed() ? consumer_->commit(printed_) : consumer_->commit();
    }
    progress_.clear();
    const absl::Status closed = consumer_->close();
    return committed.ok() ? closed : committed;
  }

  std::uint64_t count() const { return count_; }

 private:
  /// What is there already is passed over where the group has no commit: whoever did not mean that
  /// learns it.
  absl::Status tell_where_it_begins(const std::vector<ottla::TopicPartition>& partitions) {
    if (settings_.from_beginning) return absl::OkStatus();
    OTTLA_ASSIGN(const auto commits, consumer_->committed(partitions));
    const bool passes_over = std::any_of(ends_.begin(), ends_.end(), [&](const auto& end) {
      return end.second > ottla::Offset(0) && !commits.contains(end.first);
    });
    if (passes_over) {
      std::cerr << "note: group " << settings_.group << " begins at the end"
                << (commits.empty() ? "" : " of partitions that it has not committed")
                << "; what is there already, a group of another name prints\n"
                   "  with --from-beginning\n";
    }
    return absl::OkStatus();
  }

  absl::Status print(const Consumer::Records& records) {
    for (const auto& record : records) {
      settings_.format.print(record, output_);
      formatted_[{std::string(record.topic()), record.partition()}] = {
          .offset = record.offset() + 1, .leader_epoch = record.leader_epoch()};
      ++count_;
      if (output_.is_full() && !flush()) break;
    }
    flush();
    progress_.show(count_);
    const std::string problem = output_.problem();
    return problem.empty() ? records.status() : absl::UnknownError(problem);
  }

  bool flush() {
    const bool out = output_.flush();
    if (out) printed_ = formatted_;
    return out;
  }

  absl::StatusOr<bool> is_at_end() {
    OTTLA_ASSIGN(const auto assigned, consumer_->assignment());
    if (assigned.size() < ends_.size()) return false;
    for (const auto& [partition, end] : ends_) {
      OTTLA_ASSIGN(const ottla::Offset position, consumer_->position(partition));
      if (position < end) return false;
    }
    return true;
  }

  const Settings& settings_;
  const console::Interruption& interruption_;
  console::Output output_;
  console::Progress progress_{"records printed", true};
  std::optional<Consumer> consumer_;
  std::map<ottla::TopicPartition, ottla::Offset> ends_;  // when it began
  ottla::OffsetsToCommit formatted_;
  ottla::OffsetsToCommit printed_;
  std::uint64_t count_ = 0;
};

/// An error that names the topics that are there.
absl::Status missing_topic(const ottla::Broker& broker, const Settings& settings) {
  OTTLA_ASSIGN(const auto topics, broker.list_topics());
  std::string known;
  for (const std::string& topic : topics) {
    if (!topic.starts_with("__")) known += (known.empty() ? "" : ", ") + topic;
  }
  return absl::NotFoundError(
      "topic '" + settings.topic + "' is not in " + settings.dir + "; " +
      (known.empty() ? "there are none: write some with producer" : "there are: " + known));
}

/// Prints what the broker has to tell, and keeps in mind whether the topic lost records.
class Teller {
 public:
  explicit Teller(const std::string& topic) : prefix_(topic + "-") {}

  void operator()(const ottla::BrokerEvent& event) {
    if (event.level == ottla::EventLevel::info) return;
    std::cerr << "warning: " << event.file << ": " << event.text << '\n';
    if (event.level == ottla::EventLevel::error && event.file.starts_with(prefix_)) lost_ = true;
  }
  absl::Status problem() const {
    return lost_ ? absl::DataLossError(
                       "not all records of the topic can be read: see the warnings above")
                 : absl::OkStatus();
  }

 private:
  const std::string prefix_;
  std::atomic<bool> lost_{false};
};

/// An error where no producer ever was: reading makes no directory.
absl::Status find_topics(const std::string& dir) {
  std::error_code problem;
  std::filesystem::directory_iterator entry(dir, problem);
  for (; !problem && entry != std::filesystem::directory_iterator(); entry.increment(problem)) {
    const std::string name = entry->path().filename().string();
    if (name == "meta.properties" || ottla::TopicPartition::parse(name)) return absl::OkStatus();
  }
  if (problem && problem != std::errc::no_such_file_or_directory) {
    return absl::UnknownError("cannot look into " + dir + ": " + problem.message() +
                              "; name a directory that producer wrote with --dir, and that you may "
                              "read and write");
  }
  return absl::NotFoundError(dir +
                             " holds no topics; name a directory that producer wrote with --dir");
}

/// What the library advises, to seek behind the damage, this program cannot.
absl::Status as_a_user_reads(const absl::Status& status) {
  return ottla::fault(status) != ottla::Fault::corrupt
             ? status
             : absl::DataLossError(std::string(ottla::sv(status.message())) +
                                   "; restore the file from a copy, or read on with a program of "
                                   "yours that seeks");
}

absl::Status print_topic(const ottla::Broker& broker, const Settings& settings, Printer& printer) {
  if (!broker.describe_topic(settings.topic).ok()) return missing_topic(broker, settings);
  OTTLA_TRY(printer.open(broker));
  const absl::Status printed = as_a_user_reads(printer.print_all());
  const absl::Status finished = printer.finish();
  return printed.ok() ? finished : printed;
}

absl::Status run(const Settings& settings, Printer& printer) {
  OTTLA_TRY(find_topics(settings.dir));
  Teller tell(settings.topic);
  OTTLA_ASSIGN(const ottla::Broker broker,
               ottla::Broker::open({.log_dirs = settings.dir,
                                    .on_event = std::ref(tell),
                                    .close_timeout = console::destructor_close}));
  const absl::Status printed = print_topic(broker, settings, printer);
  const absl::Status closed = console::close(broker, settings.dir);
  OTTLA_TRY(printed);
  OTTLA_TRY(closed);
  return tell.problem();
}

int work(int argc, char** argv) {
  console::hold_standard_descriptors();
  Settings settings;
  const console::CommandLine line = command_line(settings);
  int exit_code = EXIT_SUCCESS;
  const auto operands = line.read(argc, argv, exit_code);
  if (!operands) return exit_code;
  if (!operands->empty()) return line.wrong("what is " + operands->front() + " for?");
  if (settings.topic.empty()) return line.wrong("no topic is named; give --topic T");

  const console::Interruption interruption;
  Printer printer(settings, interruption);
  const absl::Status done = run(settings, printer);
  if (!done.ok()) console::complain(ottla::sv(done.message()));
  if (interruption.asked()) {
    std::cerr << "interrupted: " << console::counted(printer.count(), "record")
              << (printer.count() == 1 ? " was" : " were") << " printed\n";
    return interruption.exit_code();
  }
  return done.ok() ? EXIT_SUCCESS : EXIT_FAILURE;
}

}  // namespace

int main(int argc, char** argv) { return console::run(&work, argc, argv); }
