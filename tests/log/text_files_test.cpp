// SPDX-License-Identifier: Apache-2.0
#include <random>
#include <string>
#include <vector>

#include <ottla/base/status.hpp>
#include <ottla/log/checkpoint_file.hpp>
#include <ottla/log/clean_stop.hpp>
#include <ottla/log/file_sums.hpp>
#include <ottla/log/known_directories.hpp>
#include <ottla/log/manifest.hpp>
#include <ottla/log/meta_properties.hpp>
#include <ottla/log/partition_metadata.hpp>
#include <ottla/log/run_record.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/golden.hpp"

using namespace ottla;

namespace {

Uuid id(int first) {
  Uuid uuid;
  for (std::size_t i = 0; i < uuid.bytes.size(); ++i) {
    uuid.bytes[i] = static_cast<std::byte>(static_cast<std::size_t>(first) + i);
  }
  return uuid;
}

RunRecord run_record() { return {4711, {"3b07-boot", 2049}, id(16), id(32), true}; }

CleanStop clean_stop() {
  return {{"3b07-boot", 2049},
          id(16),
          {{"orders-0", {Offset(2040), Offset(2000), 8300, 8200, 0xdeadbeef}},
           {"empty-3", {Offset(7)}}}};
}

Manifest some_manifest() {
  Manifest manifest({id(1), PartitionId(3)});
  manifest.add({Offset(0), Offset(99), 1000, Timestamp(1'700'000'000'000), 0x12345678});
  manifest.add({Offset(100), Offset(-1), 0, no_timestamp, std::nullopt});
  manifest.add_gap(Offset(100), Offset(110));
  manifest.set_synced(Offset(123));
  manifest.set_epochs(0xaaaaaaaa, 0xbbbbbbbb);
  manifest.set_era(id(48));
  return manifest;
}

}  // namespace

TEST_CASE("The text files of spec section 28.11 are written and read to the byte") {
  const std::string epochs = "0\n3\n0 0\n2 150\n5 2040\n";
  const std::vector<EpochStart> starts = {
      {LeaderEpoch(0), Offset(0)}, {LeaderEpoch(2), Offset(150)}, {LeaderEpoch(5), Offset(2040)}};
  CHECK(format_epoch_checkpoint(starts) == epochs);
  CHECK(parse_epoch_checkpoint(epochs, "f").value() == starts);

  const std::string offsets = "0\n2\norders 0 2040\nmy-topic 11 17\n";
  const std::vector<PartitionOffset> entries = {{{"orders", PartitionId(0)}, Offset(2040)},
                                                {{"my-topic", PartitionId(11)}, Offset(17)}};
  CHECK(format_offset_checkpoint(entries) == offsets);
  CHECK(parse_offset_checkpoint(offsets, "f").value() == entries);

  const std::string metadata = "version: 0\ntopic_id: AAECAwQFBgcICQoLDA0ODw";
  CHECK(format_partition_metadata(id(0)) == metadata);
  CHECK(parse_partition_metadata(metadata, "f").value() == id(0));

  CHECK(std::string(kafka_clean_stop_text) == R"({"version":0,"brokerEpoch":-1})");
}

TEST_CASE("A checkpoint file may be empty, and its fields may be separated by any blanks") {
  CHECK(parse_epoch_checkpoint("", "f").value().empty());
  CHECK(parse_epoch_checkpoint("0\n0\n", "f").value().empty());
  CHECK(parse_offset_checkpoint("0\n1\n a\t0   5 \n", "f").value().size() == 1);
  CHECK(parse_epoch_checkpoint("0\n1\n3 7", "f").value().size() == 1);  // no last line end
}

TEST_CASE("A malformed checkpoint file is corrupt, and the error names the line") {
  for (const char* text :
       {"1\n0\n", "0\n", "0\nx\n", "0\n-1\n", "0\n2\n0 0\n", "0\n1\n0 0\n1 1\n", "0\n1\n0\n",
        "0\n1\n0 0 0\n", "0\n1\n0 -1\n", "0\n1\n-1 0\n", "0\n1\n0 x\n", "0\n2\n1 0\n1 5\n",
        "0\n2\n1 5\n2 5\n", "0\n1\n99999999999 0\n", "0\n1\n0 99999999999999999999\n", "\n0\n",
        "0\n9223372036854775807\n0 0\n"}) {
    INFO(text);
    const auto parsed = parse_epoch_checkpoint(text, "the-file");
    REQUIRE_FALSE(parsed.ok());
    CHECK(fault(parsed.status()) == Fault::corrupt);
    CHECK(parsed.status().message().find("the-file, line ") != absl::string_view::npos);
  }
  for (const char* text : {"0\n1\na 0\n", "0\n1\na x 5\n", "0\n1\na 0 -5\n", "0\n1\na/b 0 5\n",
                           "0\n1\n.. 0 5\n", "0\n2\na 0 5\n", "0\n1\na 99999999999 5\n"}) {
    INFO(text);
    CHECK(fault(parse_offset_checkpoint(text, "f").status()) == Fault::corrupt);
  }
}

TEST_CASE("Every checkpoint file of the golden directories is read, and written again as it was") {
  int files = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(golden::dir())) {
    const std::string name = entry.path().filename();
    if (!name.ends_with("-checkpoint")) {
      continue;
    }
    const std::string text = golden::read_text(entry.path());
    INFO(entry.path());
    ++files;
    if (name == "leader-epoch-checkpoint") {
      const auto parsed = parse_epoch_checkpoint(text, name);
      REQUIRE(parsed.ok());
      CHECK((text.empty() ? parsed->empty() : format_epoch_checkpoint(*parsed) == text));
    } else {
      const auto parsed = parse_offset_checkpoint(text, name);
      REQUIRE(parsed.ok());
      CHECK((text.empty() ? parsed->empty() : format_offset_checkpoint(*parsed) == text));
    }
  }
  CHECK(files > 0);
}

TEST_CASE("Kafka's meta.properties and partition.metadata files are read") {
  int files = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(golden::dir())) {
    const std::string name = entry.path().filename();
    INFO(entry.path());
    if (name == "meta.properties") {
      const auto parsed = parse_meta_properties(golden::read_text(entry.path()), name);
      REQUIRE(parsed.ok());
      CHECK(parsed->node_id == BrokerId(1));
      CHECK(parsed->cluster_id.size() == 22);
      CHECK_FALSE(parsed->directory_id.is_zero());
      CHECK(parse_meta_properties(format_meta_properties(*parsed), name).value() == *parsed);
      ++files;
    } else if (name == "partition.metadata") {
      const std::string text = golden::read_text(entry.path());
      const auto parsed = parse_partition_metadata(text, name);
      REQUIRE(parsed.ok());
      CHECK(format_partition_metadata(*parsed) == text);
      ++files;
    }
  }
  CHECK(files > 0);
}

TEST_CASE("meta.properties of version 0 names the node broker.id, and other versions are refused") {
  CHECK(parse_meta_properties("version=0\nbroker.id=7\ncluster.id=c\n", "f").value().node_id ==
        BrokerId(7));
  for (const char* text : {"", "version=1\n", "version=1\nnode.id=1\n", "version=1\ncluster.id=c\n",
                           "version=1\ncluster.id=c\nnode.id=x\n",
                           "version=1\ncluster.id=c\nnode.id=1\ndirectory.id=short\n"}) {
    INFO(text);
    CHECK(fault(parse_meta_properties(text, "f").status()) == Fault::corrupt);
  }
  CHECK(fault(parse_meta_properties("version=2\ncluster.id=c\nnode.id=1\n", "f").status()) ==
        Fault::unsupported);
}

TEST_CASE("meta.properties keeps any cluster id, escaped as Java escapes it") {
  const MetaProperties odd{" a\\b=c:d#e!f\tg\n", BrokerId(1), {}};
  const std::string text = format_meta_properties(odd);
  CHECK(text == "version=1\ncluster.id=\\ a\\\\b\\=c\\:d\\#e\\!f\\tg\\n\nnode.id=1\n");
  CHECK(parse_meta_properties(text, "f").value() == odd);
}

TEST_CASE("partition.metadata must be two lines with an id that is not zero") {
  for (const char* text : {"", "version: 0", "version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAAAA",
                           "version: x\ntopic_id: AAECAwQFBgcICQoLDA0ODw",
                           "version: 0\ntopic_id: AAECAwQFBgcICQoLDA0ODw\nx",
                           "version:0\ntopic_id: AAECAwQFBgcICQoLDA0ODw",
                           "topic_id: AAECAwQFBgcICQoLDA0ODw\nversion: 0"}) {
    INFO(text);
    CHECK(fault(parse_partition_metadata(text, "f").status()) == Fault::corrupt);
  }
}

TEST_CASE(
    "Our own small files come back as they were, and any changed byte makes them unreadable") {
  const std::string run = format_run_record(run_record());
  CHECK(run ==
        "ottla run 1\npid 4711\nboot 3b07-boot\ndevice 2049\n"
        "run 101112131415161718191a1b1c1d1e1f\nera 202122232425262728292a2b2c2d2e2f\nrewrite 1\n"
        "sum 52f0683f\n");
  const std::string clean = format_clean_stop(clean_stop());
  FileSums sums;
  sums.replace("a-checkpoint", 1, 2);
  sums.replace("b", 0, 3);
  const std::string summed = sums.format();
  CHECK(parse_run_record(run) == run_record());
  CHECK(parse_clean_stop(clean) == clean_stop());
  CHECK(FileSums::parse(summed) == sums);
  const std::vector<KnownDirectory> directories = {{{}, "/old kafka"}, {id(16), "data"}};
  const std::string known = format_known_directories(directories);
  CHECK(
      known.starts_with("ottla directories 1\n00000000000000000000000000000000 /old kafka\n"
                        "101112131415161718191a1b1c1d1e1f data\nsum "));
  CHECK(parse_known_directories(known) == directories);
  for (const std::string& text : {run, clean, summed, known}) {
    for (std::size_t i = 0; i < text.size(); ++i) {
      std::string changed = text;
      changed[i] = static_cast<char>(changed[i] ^ 1);
      INFO(changed);
      CHECK_FALSE(parse_run_record(changed).has_value());
      CHECK_FALSE(parse_clean_stop(changed).has_value());
      CHECK_FALSE(FileSums::parse(changed).has_value());
      CHECK_FALSE(parse_known_directories(changed).has_value());
      CHECK_FALSE(parse_run_record(text.substr(0, i)).has_value());
      CHECK_FALSE(parse_clean_stop(text.substr(0, i)).has_value());
      CHECK_FALSE(FileSums::parse(text.substr(0, i)).has_value());
      CHECK_FALSE(parse_known_directories(text.substr(0, i)).has_value());
    }
  }
}

TEST_CASE("A checksum file accepts what a file was and what it was to become, and nothing else") {
  FileSums sums;
  CHECK(sums.may_be("x", 9));
  sums.replace("x", 1, 2);
  CHECK(sums.may_be("x", 1));
  CHECK(sums.may_be("x", 2));
  CHECK_FALSE(sums.may_be("x", 3));
  CHECK(sums.may_be("y", 1));
}

TEST_CASE("A manifest read from its whole text, or from the lines it answered, is the same") {
  const Manifest manifest = some_manifest();
  CHECK(Manifest::parse(manifest.whole_text())->whole_text() == manifest.whole_text());

  Manifest other({id(1), PartitionId(3)});
  std::string text = other.whole_text();
  text += other.add({Offset(0), Offset(99), 1000, Timestamp(1'700'000'000'000), 0x12345678});
  text += other.add({Offset(100), Offset(-1), 0, no_timestamp, std::nullopt});
  text += other.add_gap(Offset(100), Offset(110));
  text += other.set_synced(Offset(123));
  text += other.set_epochs(0xaaaaaaaa, 0xbbbbbbbb);
  text += other.set_era(id(48));
  CHECK(Manifest::parse(text)->whole_text() == manifest.whole_text());
  CHECK(manifest.durable_end() == Offset(123));
  CHECK(manifest.has_gap(Offset(100), Offset(110)));
  CHECK_FALSE(manifest.has_gap(Offset(101), Offset(110)));
  CHECK_FALSE(manifest.has_gap(Offset(100), Offset(111)));
}

TEST_CASE("A manifest is good up to its first malformed line, wherever it is torn or changed") {
  const std::string text = some_manifest().whole_text();
  for (std::size_t i = 0; i <= text.size(); ++i) {
    const auto torn = Manifest::parse(text.substr(0, i));
    const auto lines =
        std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(i), '\n');
    CHECK(torn.has_value() == (lines > 0));
    if (torn) {
      const std::string good = torn->whole_text();
      CHECK(text.compare(0, good.size(), good) == 0);
      CHECK(std::count(good.begin(), good.end(), '\n') == lines);
    }
  }
  for (std::size_t i = 0; i < text.size(); ++i) {
    std::string changed = text;
    changed[i] = static_cast<char>(changed[i] ^ 1);
    const auto parsed = Manifest::parse(changed);
    CHECK((!parsed || text.compare(0, parsed->whole_text().size(), parsed->whole_text()) == 0));
  }
}

TEST_CASE("After a cut a manifest knows nothing above it") {
  Manifest manifest = some_manifest();
  std::string text = manifest.whole_text();
  text += manifest.cut(Offset(50));
  CHECK(manifest.segments().empty());
  CHECK_FALSE(manifest.has_gap(Offset(100), Offset(110)));
  CHECK(manifest.synced() == Offset(50));
  CHECK(Manifest::parse(text)->whole_text() == manifest.whole_text());
}

TEST_CASE("A manifest tells of a cut until something is on the device after it") {
  Manifest manifest = some_manifest();
  CHECK_FALSE(manifest.cut_at().has_value());
  std::string text = manifest.whole_text();
  text += manifest.cut(Offset(50));
  CHECK(manifest.cut_at() == Offset(50));
  CHECK(Manifest::parse(text)->cut_at() == Offset(50));
  CHECK(Manifest::parse(manifest.whole_text())->cut_at() == Offset(50));
  text += manifest.set_synced(Offset(60));
  CHECK_FALSE(Manifest::parse(text)->cut_at().has_value());
  CHECK_FALSE(Manifest::parse(manifest.whole_text())->cut_at().has_value());
}

TEST_CASE("What was written above a cut since is not cut by reading the manifest again") {
  Manifest manifest = some_manifest();
  manifest.cut(Offset(50));
  manifest.add_sparse(Offset(50), Offset(52));
  manifest.add_gap(Offset(52), Offset(60));
  const auto parsed = Manifest::parse(manifest.whole_text());
  REQUIRE(parsed.has_value());
  CHECK(parsed->cut_at() == Offset(50));
  CHECK_FALSE(parsed->is_dense_at(Offset(51)));
  CHECK(parsed->has_gap(Offset(52), Offset(60)));
  manifest.replace(Offset(0), Offset(50));
  CHECK_FALSE(manifest.cut_at().has_value());
}

TEST_CASE("A manifest knows where there may be gaps in segments, as one range, up to a cut") {
  Manifest manifest({id(1), PartitionId(3)});
  CHECK(manifest.is_dense_at(Offset(7)));
  std::string text = manifest.whole_text();
  text += manifest.add_sparse(Offset(0), Offset(5));
  CHECK_FALSE(manifest.is_dense_at(Offset(4)));
  CHECK(manifest.is_dense_at(Offset(5)));
  text += manifest.add_sparse(Offset(20), Offset(INT64_MAX));
  CHECK_FALSE(manifest.is_dense_at(Offset(7)));
  CHECK_FALSE(manifest.is_dense_at(Offset(1'000'000)));
  CHECK(Manifest::parse(text)->whole_text() == manifest.whole_text());
  CHECK(Manifest::parse(manifest.whole_text())->whole_text() == manifest.whole_text());
  text += manifest.cut(Offset(30));
  CHECK_FALSE(manifest.is_dense_at(Offset(29)));
  CHECK(manifest.is_dense_at(Offset(30)));
  CHECK(Manifest::parse(text)->whole_text() == manifest.whole_text());
}

TEST_CASE("A manifest accepts the epoch file as it was and as it was to become") {
  Manifest manifest({id(1), PartitionId(0)});
  CHECK(manifest.may_be_epochs(5));
  manifest.set_epochs(0, 1);
  manifest.set_epochs(1, 2);  // fails
  manifest.set_epochs(1, 3);
  CHECK(manifest.may_be_epochs(1));
  CHECK(manifest.may_be_epochs(3));
  CHECK_FALSE(manifest.may_be_epochs(2));
}

TEST_CASE("Random bytes are no file of ours, and parsing them takes no more than they are") {
  std::mt19937 random(1);
  for (int i = 0; i < 2000; ++i) {
    std::string text(random() % 200, ' ');
    for (char& c : text) {
      c = "0123456789 \nabcdef-segment"[random() % 26];
    }
    CHECK_FALSE(parse_run_record(text).has_value());
    CHECK_FALSE(parse_clean_stop(text).has_value());
    CHECK_FALSE(Manifest::parse(text).has_value());
    (void)parse_epoch_checkpoint(text, "f");
    (void)parse_offset_checkpoint(text, "f");
  }
}
