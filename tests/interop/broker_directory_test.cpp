// SPDX-License-Identifier: Apache-2.0
//
// A log directory of a broker of ours, judged by Kafka's own code: the dump tool reads every log,
// index and snapshot, its classes read the small files.
#include <set>

#include "tests/interop/dump_checks.hpp"
#include "tests/interop/written_directory.hpp"
#include "tests/support/catch.hpp"

using namespace ottla;
using namespace interop;

namespace {

/// Two spaces in a row have an empty word between them.
std::vector<std::string> words_of(const std::string& line) {
  std::vector<std::string> words;
  for (std::size_t from = 0; from <= line.size();) {
    const std::size_t end = std::min(line.find(' ', from), line.size());
    words.push_back(line.substr(from, end - from));
    from = end + 1;
  }
  return words;
}

/// The word behind `name` in a line of the tool.
std::string word_behind(const std::string& line, const std::string& name, std::size_t from = 0) {
  const std::size_t at = line.find(" " + name + ": ", from);
  if (at == std::string::npos) return "null";
  const std::size_t begin = at + name.size() + 3;
  return line.substr(begin, line.find(' ', begin) - begin);
}

/// "| offset: 7 CreateTime: ... key: 6b payload: 76" in the words of a view.
std::string dumped_record(const std::string& line) {
  const bool created = line.find(" CreateTime: ") != std::string::npos;
  const std::size_t behind_headers = line.rfind(']');
  return word_behind(line, "offset") + " " +
         word_behind(line, created ? "CreateTime" : "LogAppendTime") + (created ? " C " : " L ") +
         word_behind(line, "key", behind_headers) + " " +
         word_behind(line, "payload", behind_headers) + "\n";
}

struct Dumped {
  std::map<std::string, std::string> records;                                // by partition
  std::map<std::string, std::map<std::string, std::string>> last_sequences;  // and producer
  std::set<std::string> codecs;
  int batches = 0;
};

Dumped parse_dump(const std::string& text) {
  Dumped all;
  std::string partition;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("Dumping ")) {
      partition = partition_of(line.substr(8));
    } else if (line.starts_with("| offset: ")) {
      all.records[partition] += dumped_record(line);
    } else if (line.starts_with("baseOffset: ")) {
      ++all.batches;
      all.codecs.insert(word_behind(line, "compresscodec"));
      if (const std::string producer = word_behind(line, "producerId"); producer != "-1") {
        all.last_sequences[partition][producer] = word_behind(line, "lastSequence");
      }
    }
  }
  return all;
}

/// The records of a view, at read_uncommitted, in the words of `dumped_record`.
std::map<std::string, std::string> seen_records(const std::string& view) {
  std::map<std::string, std::string> all;
  std::istringstream lines(view);
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with("R read_uncommitted ")) continue;
    const auto words = words_of(line);
    all[words.at(2)] += words.at(3) + " " + words.at(4) + " " + words.at(5) + " " + words.at(7) +
                        " " + words.at(8) + "\n";
  }
  return all;
}

Dumped check_logs(const std::string& directory, const std::string& view) {
  kafka::Output output = kafka::dump(kafka::print_records, files_of(directory, ".log"));
  CHECK(output.exit_status == 0);
  CHECK(kafka::complaints(output) == std::vector<std::string>());
  kafka::take_gaps(output);
  Dumped dumped = parse_dump(output.text);
  const auto expected = seen_records(view);
  for (const auto& [partition, records] : expected) {
    INFO(partition);
    CHECK(kafka::difference(dumped.records[partition], records) == "");
  }
  return dumped;
}

/// The newest snapshot of each partition names the producers that its batches name, and where each
/// of them stopped.
int check_snapshots(const std::string& directory, const Dumped& dumped) {
  std::map<std::string, std::string> newest;
  for (const std::string& file : files_of(directory, ".snapshot")) {
    newest[partition_of(file)] = file;
  }
  std::vector<std::string> files;
  for (const auto& [partition, file] : newest) files.push_back(file);
  const kafka::Output output = kafka::dump({}, files);
  CHECK(output.exit_status == 0);
  CHECK(kafka::complaints(output) == std::vector<std::string>());
  std::map<std::string, std::map<std::string, std::string>> found;
  std::string partition;
  int entries = 0;
  std::istringstream lines(output.text);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("Dumping ")) {
      partition = partition_of(line.substr(8));
    } else if (line.starts_with("producerId: ")) {
      found[partition][word_behind(" " + line, "producerId")] = word_behind(line, "lastSequence");
      ++entries;
    }
  }
  CHECK(found == dumped.last_sequences);
  return entries;
}

}  // namespace

TEST_CASE("Kafka's dump tool reads all of a broker's directory, closed and as a kill leaves it",
          "[interop]") {
  if (kafka::skip_without_tools()) return;
  const WrittenDirectory written;
  for (const auto& [partition, lines] : written.put_in()) {
    if (partition == "compacted-0") continue;
    INFO(partition);
    const std::string seen = select(written.seen(), "R read_uncommitted " + partition + " ");
    CHECK(kafka::difference(seen, lines) == "");
  }
  check_logs(written.killed(), written.seen());
  CHECK(check_indexes(written.killed()) > 60);
  const Dumped dumped = check_logs(written.path(), written.seen());
  CHECK(check_indexes(written.path()) > 60);
  const int producers = check_snapshots(written.path(), dumped);
  CHECK(dumped.codecs == std::set<std::string>{"gzip", "lz4", "none", "snappy", "zstd"});
  CHECK(lines_of(written.seen(), "R read_uncommitted compacted-0") < 300);  // of 600
  CHECK(producers > 10);
  std::cout << "dumped: " << dumped.records.size() << " partitions, " << dumped.batches
            << " batches, " << lines_of(written.seen(), "R read_uncommitted") << " records, "
            << files_of(written.path(), ".index").size() << " offset indexes, " << producers
            << " producers\n";

  const kafka::Output offsets =
      kafka::dump({"--offsets-decoder"},
                  files_of(written.path() + "/__consumer_offsets-" +
                               std::to_string(partition_for_id(WrittenDirectory::group, 3)),
                           ".log"));
  CHECK(kafka::complaints(offsets) == std::vector<std::string>());
  CHECK(offsets.text.find(R"("offset":17,"leaderEpoch":0,"metadata":"half")") != std::string::npos);
}

TEST_CASE("Kafka's classes read the small files of a broker's directory", "[interop]") {
  if (kafka::skip_without_tools()) return;
  const WrittenDirectory written;
  const kafka::Output output = kafka::run("SmallFiles", {written.path()});
  CHECK(output.exit_status == 0);
  INFO(output.text);
  const auto says = [&](const std::string& line) {
    return ("\n" + output.text).find("\n" + line + "\n") != std::string::npos;
  };
  CHECK(output.text.starts_with("meta.properties V1 "));
  CHECK(says("clean true"));
  CHECK(output.text.find("\ncleaner-offset-checkpoint compacted-0 ") != std::string::npos);
  std::istringstream lines(written.seen());
  int partitions = 0;
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with("T read_uncommitted ")) continue;
    const auto words = words_of(line);
    const std::string& partition = words.at(2);
    const std::string& offset = words.at(4);
    INFO(line);
    if (words.at(3) == "earliest") {
      CHECK(says("log-start-offset-checkpoint " + partition + " " + offset));
    } else if (words.at(3) == "latest") {
      const std::string topic = partition.substr(0, partition.rfind('-'));
      CHECK(says("recovery-point-offset-checkpoint " + partition + " " + offset));
      CHECK(says("replication-offset-checkpoint " + partition + " " + offset));
      CHECK(says("partition " + partition + " " + written.ids().at(topic) + " 0@0"));
      ++partitions;
    }
  }
  CHECK(partitions == 9);
}
