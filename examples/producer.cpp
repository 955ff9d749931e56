// SPDX-License-Identifier: Apache-2.0
//
// Sends the lines of files, or of standard input, to a topic on a directory.
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <iostream>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <ottla/ottla.hpp>

#include "support/command_line.hpp"
#include "support/deliveries.hpp"
#include "support/interruption.hpp"
#include "support/line_source.hpp"
#include "support/memory.hpp"
#include "support/output.hpp"
#include "support/progress.hpp"

namespace {

constexpr std::string_view synopsis =
    "producer [--dir DIR] --topic T [--partitions N] [--key-separator S]\n"
    "                [--compression none|gzip|snappy|lz4|zstd] [--acks 0|1|all] [--linger MS]\n"
    "                [--durable] [--echo] [FILE...]\n"
    "\n"
    "Sends each line of the files (or of standard input) as a record to a topic, which is made\n"
    "when it is missing.";
constexpr std::string_view notes =
    "A file called - is standard input. Lines may hold any bytes; the line feed is no part of the\n"
    "record. Exit code: 0 all lines were acknowledged, 1 some were not, 2 wrong usage,\n"
    "130 after Ctrl-C, which sends what was read; twice stops at once.\n"
    "\n"
    "  producer --topic logs --partitions 3 --compression zstd /var/log/dpkg.log\n"
    "  printf 'ada:one lamp\\nbob:two\\n' | producer --topic orders --key-separator : --echo\n";
constexpr std::size_t longest_line = 16 << 20;
constexpr std::uint64_t complaints_shown = 10;

struct Settings {
  std::string dir = "./ottla-data";
  std::string topic;
  std::int32_t partitions = -1;
  std::string key_separator;
  bool durable = false;
  bool echo = false;
  ottla::ProducerConfig producer;
  std::vector<std::string> inputs;
};

console::CommandLine command_line(Settings& settings) {
  const auto config = [&settings](std::string name, std::string value, std::string about,
                                  std::string_view key) {
    return console::Option{
        std::move(name), std::move(value), std::move(about),
        [&settings, key](std::string_view text) {
          return std::string(ottla::sv(ottla::set_config(settings.producer, key, text).message()));
        }};
  };
  const auto partitions = [&settings](std::string_view text) -> std::string {
    const char* end = text.data() + text.size();
    const auto [stop, problem] = std::from_chars(text.data(), end, settings.partitions);
    return problem == std::errc() && stop == end && settings.partitions > 0
               ? ""
               : "not a number of partitions; give one above 0";
  };
  return console::CommandLine(
      "producer", std::string(synopsis), std::string(notes),
      {console::text_option("--dir", "DIR",
                            "where the topics lie, for one process at a time; ./ottla-data"
                            " by default",
                            settings.dir),
       console::text_option("--topic", "T", "the topic's name", settings.topic),
       {"--partitions", "N", "of a topic that is made now; 1 by default", partitions},
       console::text_option("--key-separator", "S",
                            "what stands before its first place is the key; no key without it",
                            settings.key_separator),
       config("--compression", "CODEC", "of the batches; none by default", "compression.type"),
       config("--acks", "0|1|all", "what an acknowledgement waits for; all by default", "acks"),
       config("--linger", "MS", "how long a batch waits for more lines; 5 by default", "linger.ms"),
       console::flag_option("--durable", "acknowledged means on the device, not with the kernel",
                            settings.durable),
       console::flag_option("--echo", "print a line once it is acknowledged", settings.echo)});
}

/// Sends lines, and tells what became of them.
class LineSender {
 public:
  using Producer = ottla::Producer<std::string_view, std::string_view>;

  LineSender(const Settings& settings, const console::Interruption& interruption)
      : settings_(settings),
        interruption_(interruption),
        progress_("lines acknowledged", settings.echo) {}

  absl::Status open(const ottla::Broker& broker) {
    ottla::ProducerConfig config = settings_.producer;
    if (settings_.durable) config.durability = ottla::Durability::durable;
    config.on_delivery = [this](const ottla::Delivery& delivery) { deliveries_.add(delivery); };
    OTTLA_ASSIGN(Producer producer, Producer::open(broker, std::move(config)));
    OTTLA_ASSIGN(ottla::Topic topic, producer.topic(settings_.topic));
    topic_.emplace(std::move(topic));
    producer_.emplace(std::move(producer));
    return absl::OkStatus();
  }

  /// Until the input ends, a Ctrl-C, or an error after which no line can be sent. `input` outlives
  /// this object.
  absl::Status send_all(const std::string& input, int descriptor) {
    console::LineSource lines(descriptor, longest_line);
    for (std::uint64_t number = 1; !interruption_.asked();) {
      switch (lines.next()) {
        case console::LineSource::Got::line:
          OTTLA_TRY(send(lines, input, number++));
          break;
        case console::LineSource::Got::nothing_yet:
          wait_for(descriptor);
          OTTLA_TRY(report());
          break;
        case console::LineSource::Got::end:
          return absl::OkStatus();
        case console::LineSource::Got::error:
          return absl::UnknownError("cannot read " + label(input) + ": " + lines.problem() +
                                    "; lines before that were sent");
      }
    }
    return absl::OkStatus();
  }

  /// Everything sent is acknowledged, or has failed.
  absl::Status finish() {
    const absl::Status flushed = producer_->flush();
    const absl::Status reported = report();
    progress_.clear();
    if (failed_ > complaints_shown) {
      console::complain(std::to_string(failed_ - complaints_shown) + " more lines failed");
    }
    OTTLA_TRY(reported);
    OTTLA_TRY(failed_ > 0 ? absl::OkStatus() : flushed);
    OTTLA_TRY(producer_->close());
    const std::string problem = output_.problem();
    return problem.empty() ? absl::OkStatus() : absl::UnknownError(problem);
  }

  std::uint64_t acknowledged() const { return acknowledged_; }
  std::uint64_t failed() const { return failed_; }

 private:
  struct Pending {
    const std::string* input;
    std::uint64_t number;
    std::string line;  // for --echo only
    bool done = false;
  };

  absl::Status send(const console::LineSource& lines, const std::string& input,
                    std::uint64_t number) {
    if (lines.is_long()) {
      fail(input, number,
           "a line of more than " + std::to_string(longest_line) + " bytes; split it");
      return absl::OkStatus();
    }
    const std::string_view line = lines.line();
    Producer::Record record{.topic = *topic_, .value = line, .tag = sent_};
    const std::size_t separator = settings_.key_separator.empty()
                                      ? std::string_view::npos
                                      : line.find(settings_.key_separator);
    if (separator != std::string_view::npos) {
      record.key = line.substr(0, separator);
      record.value = line.substr(separator + settings_.key_separator.size());
    }
    pending_.push_back({&input, number, settings_.echo ? std::string(line) : std::string()});
    const auto sent = producer_->send(record);
    if (!sent.ok()) {
      pending_.pop_back();
      fail(input, number, ottla::sv(sent.status().message()));
      return is_about_the_line(sent.status()) ? absl::OkStatus() : stopped();
    }
    return ++sent_ % 1024 == 0 ? report() : absl::OkStatus();
  }

  /// Until there is something to read, to report, or to stop for.
  void wait_for(int descriptor) const {
    if (::isatty(descriptor) == 1 && ::isatty(STDERR_FILENO) == 1) std::cerr << "> " << std::flush;
    std::array<pollfd, 3> any = {{{descriptor, POLLIN, 0},
                                  {interruption_.descriptor(), POLLIN, 0},
                                  {deliveries_.descriptor(), POLLIN, 0}}};
    ::poll(any.data(), any.size(), -1);
  }

  /// What became of lines since the last time. An error when no further line can be sent.
  absl::Status report() {
    bool go_on = true;
    for (const console::Deliveries::Outcome& outcome : deliveries_.take()) {
      Pending& pending = pending_[outcome.tag - first_pending_];
      pending.done = true;
      if (outcome.status.ok()) {
        ++acknowledged_;
        if (settings_.echo) {
          output_.add(pending.line);
          output_.add('\n');
        }
      } else {
        fail(*pending.input, pending.number, ottla::sv(outcome.status.message()));
        go_on = go_on && is_about_the_line(outcome.status);
      }
      for (; !pending_.empty() && pending_.front().done; ++first_pending_) pending_.pop_front();
    }
    output_.flush();  // whoever read the echo may go: lines are sent all the same
    progress_.show(acknowledged_);
    return go_on ? absl::OkStatus() : stopped();
  }

  void fail(const std::string& input, std::uint64_t number, std::string_view problem) {
    if (++failed_ > complaints_shown) return;
    progress_.clear();
    console::complain(label(input) + ":" + std::to_string(number) + ": " + std::string(problem));
  }

  static std::string label(const std::string& input) {
    return input == "-" ? std::string("standard input") : input;
  }
  static bool is_about_the_line(const absl::Status& status) {
    return ottla::error_code(status) == ottla::ErrorCode::message_too_large;
  }
  static absl::Status stopped() {
    return absl::UnknownError("no further line was sent; mend the cause, then send the rest");
  }

  const Settings& settings_;
  const console::Interruption& interruption_;
  console::Deliveries deliveries_;
  console::Output output_;
  console::Progress progress_;
  std::optional<Producer> producer_;
  std::optional<ottla::Topic> topic_;
  std::deque<Pending> pending_;  // from `first_pending_` to `sent_`
  std::uint64_t first_pending_ = 0;
  std::uint64_t sent_ = 0;
  std::uint64_t acknowledged_ = 0;
  std::uint64_t failed_ = 0;
};

/// The missing topic is made; of an existing one the partitions stay as they are.
absl::Status prepare_topic(const ottla::Broker& broker, const Settings& settings) {
  const auto existing = broker.describe_topic(settings.topic);
  if (existing.ok()) {
    const std::size_t count = existing->partitions.size();
    if (settings.partitions > 0 && count != static_cast<std::size_t>(settings.partitions)) {
      std::cerr << "note: topic '" << settings.topic << "' is there already and keeps its " << count
                << (count == 1 ? " partition\n" : " partitions\n");
    }
    return absl::OkStatus();
  }
  return broker.create_topic({.name = settings.topic, .partitions = settings.partitions});
}

/// Opens an input; standard input for "-".
absl::StatusOr<int> open_input(const std::string& name) {
  const int descriptor = name == "-" ? STDIN_FILENO : ::open(name.c_str(), O_RDONLY | O_CLOEXEC);
  struct stat about = {};
  const bool is_directory =
      descriptor >= 0 && ::fstat(descriptor, &about) == 0 && S_ISDIR(about.st_mode);
  if (descriptor < 0 || is_directory) {
    const int problem = is_directory ? EISDIR : errno;
    if (is_directory && descriptor != STDIN_FILENO) ::close(descriptor);
    return absl::UnknownError("cannot read " + name + ": " + std::strerror(problem) +
                              "; name files that can be read");
  }
  return descriptor;
}

void tell(const ottla::BrokerEvent& event) {
  if (event.level != ottla::EventLevel::info) {
    std::cerr << "warning: " << event.file << ": " << event.text << '\n';
  }
}

absl::Status run(const Settings& settings, const console::Interruption& interruption,
                 LineSender& sender) {
  for (const std::string& input : settings.inputs) {  // before anything is sent
    OTTLA_ASSIGN(const int descriptor, open_input(input));
    if (descriptor != STDIN_FILENO) ::close(descriptor);
  }
  OTTLA_ASSIGN(const ottla::Broker broker,
               ottla::Broker::open({.log_dirs = settings.dir, .on_event = tell}));
  OTTLA_TRY(prepare_topic(broker, settings));
  OTTLA_TRY(sender.open(broker));
  absl::Status sent;
  for (const std::string& input : settings.inputs) {
    if (!sent.ok() || interruption.asked()) break;
    const auto descriptor = open_input(input);
    sent = descriptor.ok() ? sender.send_all(input, *descriptor) : descriptor.status();
    if (descriptor.ok() && *descriptor != STDIN_FILENO) ::close(*descriptor);
  }
  const absl::Status finished = sender.finish();
  const absl::Status closed = broker.close();
  return !sent.ok() ? sent : !finished.ok() ? finished : closed;
}

int work(int argc, char** argv) {
  console::hold_standard_descriptors();
  Settings settings;
  const console::CommandLine line = command_line(settings);
  int exit_code = EXIT_SUCCESS;
  const auto inputs = line.read(argc, argv, exit_code);
  if (!inputs) return exit_code;
  if (settings.topic.empty()) return line.wrong("no topic is named; give --topic T");
  settings.inputs = inputs->empty() ? std::vector<std::string>{"-"} : *inputs;

  const console::Interruption interruption;
  LineSender sender(settings, interruption);
  const absl::Status done = run(settings, interruption, sender);
  if (!done.ok()) console::complain(ottla::sv(done.message()));
  if (interruption.asked()) {
    std::cerr << "interrupted: " << sender.acknowledged() << " lines were acknowledged\n";
    return interruption.exit_code();
  }
  return done.ok() && sender.failed() == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

}  // namespace

int main(int argc, char** argv) { return console::run(&work, argc, argv); }
