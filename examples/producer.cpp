// SPDX-License-Identifier: Apache-2.0
//
// Sends the lines of files, or of standard input, to a topic on a directory.
#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <iostream>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <ottla/ottla.hpp>

#include "support/closing.hpp"
#include "support/command_line.hpp"
#include "support/counted.hpp"
#include "support/deliveries.hpp"
#include "support/escapes.hpp"
#include "support/failed_lines.hpp"
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
    "A file called - is standard input. A line has at most 1048476 bytes, of any kind; the line "
    "feed\n"
    "is no part of the record. In a separator, \\t is a tab and \\\\ a backslash.\n"
    "Where a line cannot be written, no further one is sent, and it is told which ones failed.\n"
    "Exit code: 0 all lines were acknowledged, 1 some were not, 2 wrong usage, 130 after Ctrl-C,\n"
    "which sends what was read; twice stops at once.\n"
    "\n"
    "  producer --topic logs --partitions 3 --compression zstd /var/log/dpkg.log\n"
    "  printf 'ada:one lamp\\nbob:two\\n' | producer --topic orders --key-separator : --echo\n";
constexpr std::size_t longest_line = 1'048'476;  // and what a batch adds: max.request.size
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
  const auto separator = [&settings](std::string_view text) -> std::string {
    auto plain = console::unescape(text);
    if (!plain || plain->find('\n') != std::string::npos) return "the escapes are \\t \\\\";
    settings.key_separator = *std::move(plain);
    return settings.key_separator.empty() ? "it may not be empty" : "";
  };
  return console::CommandLine(
      "producer", std::string(synopsis), std::string(notes),
      {console::text_option("--dir", "DIR",
                            "where the topics lie, for one process at a time; ./ottla-data"
                            " by default",
                            settings.dir),
       console::topic_option(settings.topic),
       {"--partitions", "N", "of a topic that is made now; 1 by default", partitions},
       {"--key-separator", "S", "what stands before its first place is the key; no key without it",
        separator},
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

  /// Until the input ends, a Ctrl-C, or `stopped()`. `input` is an index of the settings.
  absl::Status send_all(std::size_t input, int descriptor) {
    console::LineSource lines(descriptor, longest_line);
    const bool asks = ::isatty(descriptor) == 1 && ::isatty(STDERR_FILENO) == 1;
    last_read_ = {input, 0};
    while (!interruption_.asked() && !stopped()) {
      switch (lines.next()) {
        case console::LineSource::Got::line:
          prompted_ = false;
          ++last_read_.line;
          send(lines);
          break;
        case console::LineSource::Got::nothing_yet:
          wait_for(descriptor, asks);
          report();
          break;
        case console::LineSource::Got::end:
          end_prompt();
          return absl::OkStatus();
        case console::LineSource::Got::error:
          return absl::UnknownError("cannot read " + label(input) + ": " + lines.problem() +
                                    "; lines before that were sent");
      }
    }
    end_prompt();
    return absl::OkStatus();
  }

  /// Everything sent is acknowledged, or has failed, which is told.
  absl::Status finish() {
    const absl::Status flushed = producer_->flush();
    const absl::Status closed = producer_->close();
    report();
    for (const Pending& pending : pending_) {  // nobody could tell in time
      if (!pending.done) fail(pending.place, unanswered());
    }
    progress_.clear();
    tell_failures();
    if (failed_ == 0) {
      OTTLA_TRY(flushed);
      OTTLA_TRY(closed);
    }
    const std::string problem = output_.problem();
    return problem.empty() ? absl::OkStatus() : absl::UnknownError(problem);
  }

  /// After an error that is not of one line: those that follow would fail, too.
  bool stopped() const { return !cause_.ok() || deliveries_.failed(); }
  std::uint64_t acknowledged() const { return acknowledged_; }
  std::uint64_t failed() const { return failed_; }

 private:
  struct Place {
    std::size_t input = 0;
    std::uint64_t line = 0;  // the first is 1

    auto operator<=>(const Place&) const = default;
  };
  struct Pending {
    Place place;
    std::string line;  // for --echo only
    bool done = false;
  };

  void send(const console::LineSource& lines) {
    if (lines.is_long()) {
      refuse(last_read_, "a line has at most " + std::to_string(longest_line) + " bytes");
      return;
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
    pending_.push_back({last_read_, settings_.echo ? std::string(line) : std::string()});
    const auto sent = producer_->send(record);
    if (!sent.ok()) {
      pending_.pop_back();
      fail(last_read_, sent.status());
    } else if (++sent_ % 1024 == 0) {
      report();
    }
  }

  /// Until there is something to read, to report, or to stop for. Who types is asked for the next
  /// line once the last one was reported.
  void wait_for(int descriptor, bool asks) {
    if (asks && !prompted_ && pending_.empty()) {
      progress_.clear();
      std::cerr << "> " << std::flush;
      prompted_ = true;
    }
    std::array<pollfd, 3> any = {{{descriptor, POLLIN, 0},
                                  {interruption_.descriptor(), POLLIN, 0},
                                  {deliveries_.descriptor(), POLLIN, 0}}};
    ::poll(any.data(), any.size(), -1);
  }

  /// What follows begins a line of its own.
  void end_prompt() {
    if (std::exchange(prompted_, false)) std::cerr << '\n';
  }

  /// What became of lines since the last time.
  void report() {
    for (const console::Deliveries::Outcome& outcome : deliveries_.take()) {
      Pending& pending = pending_[outcome.tag - first_pending_];
      pending.done = true;
      if (outcome.status.ok()) {
        ++acknowledged_;
        last_taken_ = std::max(last_taken_, pending.place);
        if (settings_.echo) {
          output_.add(pending.line);
          output_.add('\n');
        }
      } else {
        fail(pending.place, outcome.status);
      }
      for (; !pending_.empty() && pending_.front().done; ++first_pending_) pending_.pop_front();
    }
    output_.flush();  // whoever read the echo may go: lines are sent all the same
    if (!prompted_) progress_.show(acknowledged_);
  }

  void fail(const Place& place, const absl::Status& why) {
    const std::string_view message = ottla::sv(why.message());
    if (console::Deliveries::is_about_the_line(why)) {
      refuse(place, message.substr(0, message.rfind("; ")));
      return;
    }
    ++failed_;
    failures_.add(place.input, place.line,
                  ottla::outcome(why) == ottla::Outcome::unknown
                      ? console::FailedLines::How::unknown
                      : console::FailedLines::How::failed);
    if (cause_.ok()) cause_ = why;
  }

  /// A line that no topic takes; the others are sent.
  void refuse(const Place& place, std::string_view problem) {
    if (++failed_; ++refused_ > complaints_shown) {
      failures_.add(place.input, place.line, console::FailedLines::How::failed);
      return;
    }
    end_prompt();
    progress_.clear();
    console::complain(label(place.input) + ":" + std::to_string(place.line) + ": " +
                      std::string(problem) + "; split it");
  }

  void tell_failures() {
    if (!cause_.ok()) console::complain(ottla::sv(cause_.message()));
    std::vector<std::string> labels;
    for (std::size_t i = 0; i < settings_.inputs.size(); ++i) labels.push_back(label(i));
    failures_.tell(labels);
    if (cause_.ok()) return;
    console::complain(
        (acknowledged_ == 0 ? "no line was taken" : "the last line taken is " + name(last_taken_)) +
        ", the last one read " + name(last_read_) +
        "; mend the cause, then send again the lines that failed, and all behind the last one "
        "read");
  }

  static absl::Status unanswered() {
    return ottla::error(ottla::Fault::timed_out,
                        "not all lines were acknowledged in time; see whether the disk answers",
                        ottla::Outcome::unknown);
  }
  std::string label(std::size_t input) const {
    const std::string& name = settings_.inputs[input];
    return name == "-" ? std::string("standard input") : name;
  }
  std::string name(const Place& place) const {
    return "line " + std::to_string(place.line) + " of " + label(place.input);
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
  std::uint64_t refused_ = 0;
  console::FailedLines failures_;
  absl::Status cause_;  // of the first that failed
  Place last_read_;
  Place last_taken_;
  bool prompted_ = false;  // and no line was typed yet
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

absl::Status send_inputs(const ottla::Broker& broker, const Settings& settings,
                         const console::Interruption& interruption, LineSender& sender) {
  OTTLA_TRY(prepare_topic(broker, settings));
  OTTLA_TRY(sender.open(broker));
  absl::Status sent;
  for (std::size_t i = 0; i < settings.inputs.size(); ++i) {
    if (!sent.ok() || sender.stopped() || interruption.asked()) break;
    const auto descriptor = open_input(settings.inputs[i]);
    sent = descriptor.ok() ? sender.send_all(i, *descriptor) : descriptor.status();
    if (descriptor.ok() && *descriptor != STDIN_FILENO) ::close(*descriptor);
  }
  const absl::Status finished = sender.finish();
  return sent.ok() ? finished : sent;
}

absl::Status run(const Settings& settings, const console::Interruption& interruption,
                 LineSender& sender) {
  for (const std::string& input : settings.inputs) {  // before anything is sent
    OTTLA_ASSIGN(const int descriptor, open_input(input));
    if (descriptor != STDIN_FILENO) ::close(descriptor);
  }
  OTTLA_ASSIGN(const ottla::Broker broker,
               ottla::Broker::open({.log_dirs = settings.dir,
                                    .on_event = tell,
                                    .close_timeout = console::destructor_close}));
  const absl::Status sent = send_inputs(broker, settings, interruption, sender);
  const absl::Status closed = console::close(broker, settings.dir);
  return sent.ok() ? closed : sent;
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
    const std::uint64_t count = sender.acknowledged();
    std::cerr << "interrupted: " << console::counted(count, "line")
              << (count == 1 ? " was" : " were") << " acknowledged\n";
    return interruption.exit_code();
  }
  return done.ok() && sender.failed() == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

}  // namespace

int main(int argc, char** argv) { return console::run(&work, argc, argv); }
