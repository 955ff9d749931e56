// SPDX-License-Identifier: Apache-2.0
//
// One place of a log directory at a time is damaged: no wrong record is read, nothing crashes, and
// no record is gone without a word. OTTLA_DAMAGE_FLIPS: how many bits are flipped, 1,500 otherwise.
#include <cstdlib>
#include <iostream>
#include <random>

#include "reference_directory.hpp"
#include "tests/support/catch.hpp"

using namespace ottla;
using namespace log_test;

namespace {

const LastStop all_stops[] = {LastStop::clean, LastStop::process_crash, LastStop::system_crash};

const Reference& reference_of(LastStop stop) {
  static const Reference references[] = {make_reference(LastStop::clean),
                                         make_reference(LastStop::process_crash),
                                         make_reference(LastStop::system_crash)};
  return references[static_cast<std::size_t>(stop)];
}

/// The large one holds nothing.
bool is_worth_damaging(const std::string& path) { return !path.ends_with("/.ottla_reserve"); }

/// What came of many damaged directories.
class Verdicts {
 public:
  explicit Verdicts(const char* sweep) : sweep_(sweep) {}
  ~Verdicts() {
    std::cout << sweep_ << ": " << tried_ << " tried, " << whole_ << " whole, " << reported_
              << " with records that are reported as damaged or cut, " << refused_
              << " refused; wrong " << wrong_ << ", silent " << silent_ << "\n";
  }
  Verdicts(const Verdicts&) = delete;

  /// One directory, with `what` was done to it.
  void add(const Reference& reference, const FileSet& files, const std::string& what) {
    DamagedDisk disk(files);
    const Opened opened = disk.open(reference);
    const std::string wrong = wrong_record(reference, opened);
    const std::string lost = silent_loss(reference, opened);
    ++tried_;
    wrong_ += wrong.empty() ? 0 : 1;
    silent_ += lost.empty() ? 0 : 1;
    if (!wrong.empty() || !lost.empty()) {
      FAIL_CHECK("stop " << static_cast<int>(reference.stop) << ", " << what << ": wrong '" << wrong
                         << "', lost '" << lost << "'");
    }
    bool all_open = opened.status.ok();
    bool all_there = true;
    for (std::size_t i = 0; i < 2; ++i) {
      all_open = all_open && opened.partitions[i].status.ok();
      all_there = all_there && opened.partitions[i].records == reference.records[i];
    }
    ++(!all_open ? refused_ : all_there ? whole_ : reported_);
  }
  int tried() const { return tried_; }
  int whole() const { return whole_; }

 private:
  const char* sweep_;
  int tried_ = 0;
  int refused_ = 0;
  int reported_ = 0;
  int whole_ = 0;
  int wrong_ = 0;
  int silent_ = 0;
};

void flip(Verdicts& verdicts, const Reference& reference, const std::string& path,
          std::size_t bit) {
  FileSet files = reference.files;
  char& byte = files[path][bit / 8];
  byte = static_cast<char>(byte ^ 1 << bit % 8);
  verdicts.add(reference, files, path + ", bit " + std::to_string(bit));
}

/// The positions of the batches' headers.
std::vector<std::size_t> headers_of(const std::string& log) {
  std::vector<std::size_t> positions;
  BatchCursor batches(as_bytes(log));
  for (std::size_t at = 0; batches.next() != nullptr; at = batches.position()) {
    positions.push_back(at);
  }
  return positions;
}

std::size_t flips_asked() {
  const char* asked = std::getenv("OTTLA_DAMAGE_FLIPS");
  return asked == nullptr ? 1'500 : static_cast<std::size_t>(std::strtoull(asked, nullptr, 10));
}

/// A file with `text` in the place of what it holds.
FileSet with(const Reference& reference, const std::string& path, std::string text) {
  FileSet files = reference.files;
  files[path] = std::move(text);
  return files;
}

void turn_bits_outside_checksums(LastStop stop) {
  Verdicts verdicts("bits outside checksums");
  const Reference& reference = reference_of(stop);
  for (const auto& [path, content] : reference.files) {
    if (!path.ends_with(log_suffix)) {
      continue;
    }
    // All of them in one log a partition, and of the others those of the first and last batch.
    const std::vector<std::size_t> headers = headers_of(content);
    for (std::size_t i = 0; i < headers.size(); ++i) {
      if (path.find("/00000000000000000000.log") == std::string::npos && i > 0 &&
          i + 1 < headers.size()) {
        continue;
      }
      for (std::size_t bit = 0; bit < 8 * batch_position::attributes; ++bit) {
        flip(verdicts, reference, path, 8 * headers[i] + bit);
      }
    }
  }
  CHECK(verdicts.tried() > 5'000);
}

}  // namespace

TEST_CASE("A directory that nobody damaged is there as it was, whatever ended the last run") {
  for (const LastStop stop : all_stops) {
    const Reference& reference = reference_of(stop);
    DamagedDisk disk(reference.files);
    const Opened opened = disk.open(reference);
    CHECK(opened.status.ok());
    CHECK(opened.report.last_stop == stop);
    CHECK_FALSE(opened.report.foreign);
    for (std::size_t i = 0; i < 2; ++i) {
      CHECK(opened.partitions[i].report.last_stop == stop);
      CHECK(opened.partitions[i].report.findings.empty());
      CHECK(opened.partitions[i].records == reference.records[i]);
      CHECK(opened.partitions[i].records.size() > 60);
    }
    CHECK(wrong_record(reference, opened).empty());
    CHECK(silent_loss(reference, opened).empty());
  }
}

TEST_CASE("Every bit of headers that no checksum covers may turn after a clean stop") {
  turn_bits_outside_checksums(LastStop::clean);
}
TEST_CASE("Every bit of headers that no checksum covers may turn when the process died") {
  turn_bits_outside_checksums(LastStop::process_crash);
}
TEST_CASE("Every bit of headers that no checksum covers may turn when the machine died") {
  turn_bits_outside_checksums(LastStop::system_crash);
}

TEST_CASE("Any bit of any file may turn") {
  Verdicts verdicts("bits");
  std::mt19937_64 random(20261129);
  std::size_t left = flips_asked();
  for (const LastStop stop : all_stops) {
    const Reference& reference = reference_of(stop);
    std::vector<std::pair<std::string, std::size_t>> bits;
    for (const auto& [path, content] : reference.files) {
      for (std::size_t bit = 0; is_worth_damaging(path) && bit < 8 * content.size(); ++bit) {
        bits.emplace_back(path, bit);
      }
    }
    std::shuffle(bits.begin(), bits.end(), random);
    const std::size_t mine = left / (3 - static_cast<std::size_t>(stop));
    for (std::size_t i = 0; i < mine; ++i) {
      const auto& [path, bit] = bits[i % bits.size()];
      flip(verdicts, reference, path, bit);
    }
    left -= mine;
  }
  CHECK(verdicts.tried() == static_cast<int>(flips_asked()));
  CHECK(verdicts.whole() > verdicts.tried() / 20);
}

TEST_CASE("Any file may be cut short") {
  Verdicts verdicts("cuts");
  for (const LastStop stop : all_stops) {
    const Reference& reference = reference_of(stop);
    for (const auto& [path, content] : reference.files) {
      const std::size_t size = content.size();
      for (const std::size_t length :
           {std::size_t{0}, std::size_t{1}, std::size_t{12}, std::size_t{17}, std::size_t{60},
            std::size_t{61}, std::size_t{62}, size / 2, size * 3 / 4, size - 13, size - 1}) {
        if (length < size) {
          verdicts.add(reference, with(reference, path, content.substr(0, length)),
                       path + " of " + std::to_string(length) + " bytes");
        }
      }
      // Where a batch ends nothing in the file tells that it was longer.
      for (const std::size_t end :
           path.ends_with(log_suffix) ? headers_of(content) : std::vector<std::size_t>()) {
        verdicts.add(reference, with(reference, path, content.substr(0, end)),
                     path + " cut to whole batches, " + std::to_string(end) + " bytes");
      }
    }
  }
  CHECK(verdicts.tried() > 1'000);
}

TEST_CASE("Any sector of any file may be zeros") {
  Verdicts verdicts("zeroed blocks");
  for (const LastStop stop : all_stops) {
    const Reference& reference = reference_of(stop);
    for (const auto& [path, content] : reference.files) {
      for (const std::size_t block : {std::size_t{512}, std::size_t{4096}}) {
        for (std::size_t at = 0; is_worth_damaging(path) && at < content.size(); at += block) {
          std::string text = content;
          const std::size_t n = std::min(block, text.size() - at);
          text.replace(at, n, n, '\0');
          verdicts.add(reference, with(reference, path, text),
                       path + " zeros at " + std::to_string(at));
        }
      }
    }
  }
  CHECK(verdicts.tried() > 300);
}

TEST_CASE("Any file may be missing, or empty but for its size") {
  Verdicts verdicts("missing files");
  for (const LastStop stop : all_stops) {
    const Reference& reference = reference_of(stop);
    for (const auto& [path, content] : reference.files) {
      FileSet files = reference.files;
      files.erase(path);
      verdicts.add(reference, files, path + " is missing");
      verdicts.add(reference, with(reference, path, std::string(content.size(), '\0')),
                   path + " is zeros");
    }
  }
  CHECK(verdicts.tried() > 300);
}

TEST_CASE("Any two files of a kind may change their places") {
  Verdicts verdicts("swapped files");
  for (const LastStop stop : all_stops) {
    const Reference& reference = reference_of(stop);
    for (auto one = reference.files.begin(); one != reference.files.end(); ++one) {
      for (auto other = std::next(one); other != reference.files.end(); ++other) {
        const auto kind = [](const std::string& path) {
          return path.substr(path.find_last_of("./"));
        };
        if (kind(one->first) != kind(other->first) || one->second == other->second) {
          continue;
        }
        FileSet files = reference.files;
        std::swap(files[one->first], files[other->first]);
        verdicts.add(reference, files, one->first + " and " + other->first);
      }
    }
  }
  CHECK(verdicts.tried() > 300);
}
