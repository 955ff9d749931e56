// SPDX-License-Identifier: Apache-2.0
//
// A commit-log segment alone, without a broker: one data file of Kafka's record batches, and its
// two indexes. Writes every line of some files into it, a record each (key: the file's name, value:
// the line), opens it anew, and reads it back in three ways: batch by batch, by offset, by time.
#include <algorithm>
#include <cerrno>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <iomanip>
#include <iostream>
#include <optional>
#include <string>
#include <vector>

#include <stdlib.h>

#include <ottla/env/posix/clock.hpp>
#include <ottla/env/posix/file_system.hpp>
#include <ottla/record/batch_builder.hpp>
#include <ottla/segment/segment_files.hpp>

namespace fs = std::filesystem;
using ottla::CompressionType, ottla::Offset, ottla::Timestamp;

constexpr std::string_view usage =
    "usage: 02_segment_alone [--dir DIR] [--compression none|gzip|snappy|lz4|zstd] [FILE...]\n"
    "\n"
    "Writes the lines of the files into a segment, reads it back and prints what is in it.\n"
    "  --dir DIR             where the segment is made, and kept; else it is temporary\n"
    "  --compression CODEC   of its batches; none by default\n"
    "  FILE...               else the headers of Ottla itself\n"
    "\n"
    "  02_segment_alone --compression zstd\n"
    "  02_segment_alone --dir notes-segment README.md CHANGELOG.md\n";

constexpr std::size_t batch_bytes = 16 << 10;  // of records, before compression
constexpr std::size_t batches_in_a_write = 8;
// What we wrote ourselves is no bomb, however long its lines.
constexpr ottla::DecompressionLimits own_limits{.max_bytes = INT32_MAX};

struct Options {
  bool help = false;
  std::string directory;
  CompressionType compression = CompressionType::none;
  std::vector<std::string> inputs;
};

/// What went in, or came out.
struct Tally {
  std::int64_t records = 0;
  std::size_t bytes = 0;  // of keys and values
  bool operator==(const Tally&) const = default;
};

/// Gathers records into batches, and batches into writes.
class Writer {
 public:
  Writer(ottla::Segment& segment, CompressionType compression)
      : segment_(segment), builder_({.compression = compression}) {}

  absl::Status add(Timestamp now, std::string_view key, std::string_view value) {
    OTTLA_TRY(builder_.append(
        {.timestamp = now, .key = ottla::as_bytes(key), .value = ottla::as_bytes(value)}));
    ++tally_.records;
    tally_.bytes += key.size() + value.size();
    return builder_.size() < batch_bytes ? absl::OkStatus() : seal();
  }

  /// All of it is in the files, which end where their data ends.
  absl::Status finish() {
    if (!builder_.empty()) OTTLA_TRY(seal());
    OTTLA_TRY(write_out());
    OTTLA_TRY(segment_.become_inactive());
    OTTLA_TRY(segment_.sync());
    return segment_.close();
  }

  const Tally& tally() const { return tally_; }

 private:
  absl::Status seal() {
    OTTLA_ASSIGN(ottla::SealedBatch batch, builder_.seal(compressor_));
    batch.stamp(next_offset_, ottla::LeaderEpoch(0));  // a leader's part
    next_offset_ = ottla::BatchHeader::parse(batch.bytes()).next_offset();
    batches_.push_back(std::move(batch));
    return batches_.size() < batches_in_a_write ? absl::OkStatus() : write_out();
  }

  absl::Status write_out() {
    if (batches_.empty()) return absl::OkStatus();
    std::vector<ottla::Bytes> pieces;
    std::vector<ottla::BatchFacts> facts;
    for (const ottla::SealedBatch& batch : batches_) {
      pieces.push_back(batch.bytes());
      facts.push_back(ottla::BatchFacts::of(ottla::BatchHeader::parse(batch.bytes())));
    }
    OTTLA_ASSIGN(const std::size_t fit, segment_.fitting(facts, {}));
    if (fit < facts.size()) {
      return ottla::error(ottla::Fault::limit_reached,
                          "this is more than one segment holds; name fewer files");
    }
    OTTLA_TRY(segment_.write_out(pieces, facts));
    batches_.clear();
    return absl::OkStatus();
  }

  ottla::Segment& segment_;
  ottla::BatchBuilder builder_;
  ottla::Compressor compressor_;
  Offset next_offset_{0};
  std::vector<ottla::SealedBatch> batches_;
  Tally tally_;
};

absl::StatusOr<Tally> write_lines(ottla::AnyFileSystem& files, const Options& options) {
  const ottla::PosixClock clock;
  OTTLA_ASSIGN(ottla::Segment segment, ottla::create_segment(files, options.directory, Offset(0)));
  Writer writer(segment, options.compression);
  for (const std::string& input : options.inputs) {
    std::ifstream in(input, std::ios::binary);
    for (std::string line; std::getline(in, line);) {
      OTTLA_TRY(writer.add(clock.wall_now(), input, line));
    }
    if (!in.eof()) {
      return ottla::error(ottla::Fault::io, "cannot read " + input + "; name files of text");
    }
  }
  OTTLA_TRY(writer.finish());
  return writer.tally();
}

/// At most 60 characters, and none that a terminal would obey.
std::string shown(std::optional<ottla::Bytes> bytes) {
  std::string text(ottla::as_string_view(bytes.value_or(ottla::Bytes())).substr(0, 60));
  for (char& c : text) c = c < ' ' || c > '~' ? '.' : c;
  return text;
}

void print(std::string_view what, const ottla::RecordView& record) {
  std::cout << "  " << std::left << std::setw(9) << what << std::right << std::setw(7)
            << record.offset().value() << "  " << shown(record.key()) << ": "
            << shown(record.value()) << '\n';
}

/// Each batch by its header; only the first and the last ones are printed.
absl::Status print_batches(const ottla::Segment& segment) {
  std::vector<ottla::BatchHeader> batches;
  OTTLA_TRY(segment.each_batch(Offset(0), [&](const ottla::BatchHeader& header, std::int64_t) {
    batches.push_back(header);
    return absl::OkStatus();
  }));
  std::cout << "  base offset  records  codec   bytes\n";
  for (std::size_t i = 0; i < batches.size(); ++i) {
    if (i == 3 && batches.size() > 6) {
      std::cout << "  (" << batches.size() - 6 << " more batches)\n";
      i = batches.size() - 3;
    }
    std::cout << std::setw(13) << batches[i].base_offset.value() << std::setw(9)
              << batches[i].record_count << std::setw(7) << name(batches[i].compression())
              << std::setw(8) << batches[i].size() << '\n';
  }
  return absl::OkStatus();
}

/// Calls `use` for each record from offset `from` on, until it answers false.
template <class Use>
absl::Status each_record(const ottla::Segment& segment, Offset from, Use use) {
  ottla::Decompressor decompressor(own_limits);
  OTTLA_ASSIGN(const auto place, segment.find(from));
  std::int64_t position = place ? place->position : segment.size();
  while (position < segment.size()) {
    OTTLA_ASSIGN(const ottla::SharedBytes bytes, segment.read_batches(position, 256 << 10));
    ottla::BatchCursor batches(bytes.bytes(), segment.name());
    while (const ottla::BatchView* batch = batches.next()) {
      ottla::RecordCursor records = batch->records(decompressor);
      while (const ottla::RecordView* record = records.next()) {
        if (record->offset() >= from && !use(*record)) return absl::OkStatus();
      }
      OTTLA_TRY(records.status());
    }
    OTTLA_TRY(batches.status());
    position += static_cast<std::int64_t>(bytes.size());
  }
  return absl::OkStatus();
}

absl::StatusOr<Tally> read_back(ottla::AnyFileSystem& files, const std::string& directory) {
  OTTLA_ASSIGN(ottla::Segment segment, ottla::open_segment(files, directory, Offset(0)));
  OTTLA_TRY(segment.find_end());
  const ottla::SegmentEnd end = segment.end();
  std::cout << "Opened anew: " << segment.name() << ", " << end.size << " bytes, offsets below "
            << end.next_offset.value() << "\nIts batches:\n";
  OTTLA_TRY(print_batches(segment));

  std::cout << "Its records:\n";
  Tally tally;
  OTTLA_TRY(each_record(segment, Offset(0), [&](const ottla::RecordView& record) {
    ++tally.records;
    tally.bytes += record.payload_size();
    const bool is_last = record.offset() + 1 == end.next_offset;
    if (tally.records == 1 || is_last) print(is_last ? "last" : "first", record);
    return true;
  }));
  OTTLA_TRY(each_record(segment, Offset(end.next_offset.value() / 2), [](const auto& record) {
    print("by offset", record);
    return false;
  }));
  ottla::Decompressor decompressor(own_limits);
  OTTLA_ASSIGN(const auto newest,
               segment.find_timestamp(end.largest.timestamp, Offset(0), decompressor));
  if (newest) {
    OTTLA_TRY(each_record(segment, newest->offset, [](const auto& record) {
      print("by time", record);
      return false;
    }));
  }
  return tally;
}

int fail(const absl::Status& problem) {
  std::cout.flush();
  std::cerr << "error: " << problem.message() << '\n';
  return EXIT_FAILURE;
}

/// The program's own source tree, where it still lies where it was built.
std::vector<std::string> own_headers() {
  std::vector<std::string> found;
  std::error_code ignored;
  const fs::path root = fs::path(__FILE__).parent_path().parent_path();
  for (fs::recursive_directory_iterator at(root / "include", ignored), end; at != end;
       at.increment(ignored)) {
    if (at->path().extension() == ".hpp") found.push_back(fs::proximate(at->path(), ignored));
  }
  std::sort(found.begin(), found.end());
  return found;
}

/// Nothing where the arguments are wrong, which was said then.
std::optional<Options> parse(const std::vector<std::string>& arguments) {
  const auto wrong = [](const std::string& what) {
    std::cerr << "error: " << what << "; see 02_segment_alone --help\n";
    return std::nullopt;
  };
  Options options;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string& word = arguments[i];
    if (word == "--help") {
      options.help = true;
      return options;
    }
    if (word != "--dir" && word != "--compression") {
      if (word.starts_with("-")) return wrong("unknown option " + word);
      options.inputs.push_back(word);
      continue;
    }
    if (++i == arguments.size()) return wrong(word + " needs a value");
    if (word == "--dir") {
      options.directory = arguments[i];
      continue;
    }
    const auto codec = ottla::compression_type(arguments[i]);
    if (!codec) return wrong("no codec is called " + arguments[i]);
    options.compression = *codec;
  }
  if (options.inputs.empty()) options.inputs = own_headers();
  if (options.inputs.empty()) return wrong("the headers of Ottla are not there; name files");
  return options;
}

absl::Status run(const Options& options) {
  ottla::AnyFileSystem files{ottla::PosixFileSystem()};
  const absl::Status made = files.create_directory(options.directory, ottla::IoReason::other);
  if (ottla::fault(made) == ottla::Fault::not_found) {
    return ottla::annotate(made, "make the directory above it first");
  }
  if (!made.ok() && ottla::fault(made) != ottla::Fault::already_exists) return made;
  std::cout << "Writing each line as a record into " << options.directory
            << " (files: " << options.inputs.size() << ")\n";
  OTTLA_ASSIGN(const Tally written, write_lines(files, options));
  OTTLA_ASSIGN(const Tally read, read_back(files, options.directory));
  std::cout << "Written: " << written.records << " lines. Read back: " << read.records << ".\n";
  if (read != written) {
    return ottla::error(ottla::Fault::corrupt, "what was read is not what was written");
  }
  return absl::OkStatus();
}

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);  // a closed pipe shows when standard output is flushed
  std::optional<Options> options = parse({argv + 1, argv + argc});
  if (!options) return 2;
  if (options->help) {
    std::cout << usage;
    return EXIT_SUCCESS;
  }

  std::error_code ignored;
  const bool is_temporary = options->directory.empty();
  if (is_temporary) {
    options->directory = (fs::temp_directory_path(ignored) / "ottla-segment-XXXXXX").string();
    if (::mkdtemp(options->directory.data()) == nullptr) {
      return fail(absl::UnknownError("no temporary directory can be made; name one with --dir"));
    }
  }
  const absl::Status done = run(*options);
  if (is_temporary) fs::remove_all(options->directory, ignored);
  if (!done.ok()) return fail(done);
  errno = 0;
  if (!std::cout.flush() && errno != EPIPE) {
    return fail(absl::UnknownError("cannot write to standard output; see where it leads to"));
  }
  return EXIT_SUCCESS;
}
