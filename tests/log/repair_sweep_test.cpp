// SPDX-License-Identifier: Apache-2.0
//
// One place of a log directory at a time is damaged, and repaired by either choice: no wrong record
// is read, none is gone without being told, and none that was good goes with one that was bad.
#include <random>

#include "reference_directory.hpp"
#include "tests/support/catch.hpp"

using namespace ottla;
using namespace log_test;

namespace {

const Reference& reference_of(LastStop stop) {
  static const Reference references[] = {make_reference(LastStop::clean),
                                         make_reference(LastStop::process_crash),
                                         make_reference(LastStop::system_crash)};
  return references[static_cast<std::size_t>(stop)];
}

/// Offsets of one batch after the other.
std::vector<std::pair<std::int64_t, std::int64_t>> batches_of(const std::string& log) {
  std::vector<std::pair<std::int64_t, std::int64_t>> all;
  BatchCursor batches(as_bytes(log));
  while (const BatchView* batch = batches.next()) {
    all.emplace_back(batch->header().base_offset.value(), batch->header().next_offset().value());
  }
  return all;
}

/// All that a reader gets who goes on where it is told to, and the ranges it is told.
absl::Status read_around(const LogView& view, Records& records, std::vector<SkippedRange>& told) {
  const auto buffers = make_ref<ReadBuffers>();
  for (Offset at = view.start(); at < view.end();) {
    const Offset from = at;
    const auto read = reference_impl::read_batch(view, at, *buffers, records, at);
    if (const auto range = skipped_range(read.status())) {
      told.push_back(*range);
      at = range->next;
      continue;
    }
    OTTLA_TRY(read.status());
    if (at <= from) {
      return error(Fault::internal, "nothing was read");
    }
  }
  return absl::OkStatus();
}

struct Repairs {
  int tried = 0;
  int whole = 0;
  int repaired = 0;

  /// What is wrong with a repaired log; empty where nothing is.
  static std::string check(const Reference& reference, std::size_t i, Repair how, Log& log,
                           const RecoveryReport& report) {
    Records records;
    std::vector<SkippedRange> told;
    if (const absl::Status read = read_around(log.view(), records, told); !read.ok()) {
      return "it cannot be read: " + read.ToString();
    }
    for (const auto& [offset, value] : records) {
      const auto original = reference.records[i].find(offset);
      if (original == reference.records[i].end() || original->second != value) {
        return "a wrong record at " + std::to_string(offset);
      }
    }
    const auto& gone = how == Repair::truncate ? std::vector<SkippedRange>() : told;
    for (const auto& [lost, value] : reference.records[i]) {
      const std::int64_t offset = lost;  // clang 14 lets no lambda capture a binding
      const bool is_told = std::any_of(gone.begin(), gone.end(), [&](const SkippedRange& range) {
        return Offset(offset) >= range.first && Offset(offset) < range.next;
      });
      const bool is_outside = Offset(offset) < log.start() || Offset(offset) >= log.end();
      const bool may_be_cut = how == Repair::truncate || report.has(RecoveryReport::Kind::cut) ||
                              report.has(RecoveryReport::Kind::segments_missing) ||
                              offset >= reference.durable_end[i];
      if (records.count(offset) == 0 && !is_told && !(is_outside && may_be_cut)) {
        return "nobody is told of " + std::to_string(offset);
      }
    }
    const Batch more = make_batch(log.end().value(), {.epoch = 9});
    const absl::Status appended = append(log, {more}).status;
    return appended.ok() ? "" : "it takes no appends: " + appended.ToString();
  }

  /// Answers what is gone of the first partition that was repaired.
  std::vector<Repaired> add(const Reference& reference, const FileSet& files, Repair how,
                            const std::string& what) {
    DamagedDisk disk(files);
    DirectoryReport found;
    auto directory = reference_impl::open_directory(disk.fs, 7, found);
    std::vector<Repaired> gone;
    for (std::size_t i = 0; directory.ok() && i < 2; ++i) {
      ++tried;
      LogOpening opening = directory->take_opening(reference_partitions[i], Timestamp(t0));
      opening.repair = how;
      RecoveryReport report;
      const auto options = reference_impl::log_options(i);
      const std::string path = directory->path_of(reference_partitions[i]);
      auto log = Log::open(disk.fs, path, options, opening, directory->health(), report);
      if (fault(log.status()) == Fault::invalid_argument) {
        ++whole;
        continue;
      }
      INFO("stop " << static_cast<int>(reference.stop) << ", " << what);
      CHECK(log.status() == absl::OkStatus());
      if (!log.ok()) {
        continue;
      }
      ++repaired;
      CHECK(log->damage() == nullptr);
      CHECK(check(reference, i, how, *log, report) == "");
      gone.insert(gone.end(), report.repaired.begin(), report.repaired.end());
      // The next opening finds the same, and one record more.
      const Offset end = log->end();
      opening = {.last_stop = LastStop::system_crash, .now = Timestamp(t0)};
      const auto again = Log::open(disk.fs, path, options, opening, directory->health(), report);
      CHECK((again.ok() && again->damage() == nullptr && again->end() == end));
    }
    return gone;
  }
};

FileSet with(const Reference& reference, const std::string& path, std::string text) {
  FileSet files = reference.files;
  files[path] = std::move(text);
  return files;
}

constexpr Repair both_ways[] = {Repair::skip_range, Repair::truncate};
constexpr LastStop all_stops[] = {LastStop::clean, LastStop::process_crash, LastStop::system_crash};

void turn_bits(LastStop stop) {
  Repairs repairs;
  std::mt19937_64 random(static_cast<std::uint64_t>(stop) + 1);
  const Reference& reference = reference_of(stop);
  for (const auto& [path, content] : reference.files) {
    if (!path.ends_with(log_suffix)) {
      continue;
    }
    std::size_t position = 0;
    for (const auto& [base, next] : batches_of(content)) {
      const BatchHeader header = BatchHeader::parse(as_bytes(content).subspan(position));
      for (std::size_t byte = 0; byte < header.size(); byte += byte < 27 ? 1 : 17) {
        std::string text = content;
        char& hurt = text[position + byte];
        hurt = static_cast<char>(hurt ^ 1 << random() % 8);
        const std::string what = path + ", byte " + std::to_string(position + byte);
        INFO(what);
        const bool cut = random() % 4 == 0;
        const auto gone = repairs.add(reference, with(reference, path, text),
                                      cut ? Repair::truncate : Repair::skip_range, what);
        const std::size_t partition = path.find("/t-1/") == std::string::npos ? 0 : 1;
        if (gone.empty() || next > reference.durable_end[partition]) {
          continue;  // how many records a torn batch had is not known
        }
        CHECK(gone.front().offsets.first == Offset(base));
        CHECK((cut || gone.size() == 1));
        CHECK((cut || gone.front().offsets.next == Offset(next)));
      }
      position += header.size();
    }
  }
  CHECK(repairs.repaired > 300);
  CHECK(repairs.whole > repairs.tried / 3);
}

}  // namespace

TEST_CASE("Logs with a bit that turned are repaired after a clean stop") {
  turn_bits(LastStop::clean);
}
TEST_CASE("Logs with a bit that turned are repaired when the process died") {
  turn_bits(LastStop::process_crash);
}
TEST_CASE("Logs with a bit that turned are repaired when the machine died") {
  turn_bits(LastStop::system_crash);
}

TEST_CASE("Logs that were cut short, or lost a block or a file, are repaired") {
  Repairs repairs;
  for (const LastStop stop : all_stops) {
    const Reference& reference = reference_of(stop);
    for (const auto& [path, content] : reference.files) {
      if (!path.ends_with(log_suffix)) {
        continue;
      }
      for (const Repair how : both_ways) {
        for (std::size_t at = 0; at < content.size(); at += 97) {
          repairs.add(reference, with(reference, path, content.substr(0, at)), how,
                      path + " cut at " + std::to_string(at));
          std::string text = content;
          const std::size_t n = std::min<std::size_t>(128, text.size() - at);
          text.replace(at, n, n, '\0');
          repairs.add(reference, with(reference, path, text), how,
                      path + " zeros at " + std::to_string(at));
        }
        FileSet files = reference.files;
        files.erase(path);
        repairs.add(reference, files, how, path + " is missing");
      }
    }
  }
  CHECK(repairs.repaired > 200);
}

TEST_CASE("Logs of which two files changed their places are repaired") {
  Repairs repairs;
  const Reference& reference = reference_of(LastStop::clean);
  for (auto one = reference.files.begin(); one != reference.files.end(); ++one) {
    for (auto other = std::next(one); other != reference.files.end(); ++other) {
      if (one->first.ends_with(log_suffix) && other->first.ends_with(log_suffix)) {
        // One that is shorter, and has whole batches at these offsets, seems to be cut short.
        const bool is_first_longer = one->second.size() > other->second.size();
        const std::string& longer = is_first_longer ? one->second : other->second;
        const std::string& into = is_first_longer ? other->first : one->first;
        const auto next = reference.files.upper_bound(into.substr(0, into.find('.')) + "~");
        const bool is_closed = next != reference.files.end() && next->first.ends_with(".index");
        if (is_closed) {  // nothing is noted of the others
          repairs.add(reference, with(reference, into, longer), Repair::skip_range,
                      "a longer file as " + into);
        }
      }
    }
  }
  CHECK(repairs.repaired > 30);
}
