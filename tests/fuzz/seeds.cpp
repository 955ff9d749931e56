// SPDX-License-Identifier: Apache-2.0
//
// fuzz_seeds DIR: what the fuzz targets begin with, a folder for each, from the golden data and
// from what this library writes. tests/fuzz/run --new-corpus minimises it into corpus/.
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>

#include <ottla/group/consumer_protocol.hpp>
#include <ottla/record/batch_builder.hpp>
#include <ottla/record/batch_view.hpp>

#include "fuzz.hpp"
#include "tests/log/reference_directory.hpp"

using namespace ottla;
using std::filesystem::path;

namespace {

constexpr std::size_t largest = 2000;  // bytes of a seed

path out;

std::string read(const path& file) {
  std::ifstream in(file, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(in), {});
}

void write(const std::string& target, std::string_view content) {
  if (content.size() > largest) {
    return;
  }
  const path directory = out / target;
  std::filesystem::create_directories(directory);
  const std::string name = absl::StrCat(absl::Hex(crc32c(as_bytes(content)), absl::kZeroPad8));
  std::ofstream(directory / name, std::ios::binary)
      << std::string_view(content.data(), content.size());
}

template <class Int>
std::string number(Int value) {
  std::string text(sizeof(Int), '\0');
  store_big_endian(reinterpret_cast<std::byte*>(text.data()), value);
  return text;
}
std::string piece(std::string_view content) {
  return number(static_cast<std::uint16_t>(content.size())) + std::string(content);
}
std::string text_of(std::optional<Bytes> bytes) {
  return std::string(as_string_view(bytes.value_or(Bytes())));
}

void seed_record(const path& log, const BatchHeader& header, const RecordView& record) {
  const std::string key = text_of(record.key());
  const std::string value = text_of(record.value());
  const std::string topic = log.parent_path().filename().string();
  if (header.is_control() || key.size() + value.size() > largest) {
    return;
  }
  if (topic.starts_with("__cluster_metadata")) {
    write("metadata_records", piece(value));
  } else if (topic.starts_with("__consumer_offsets")) {
    write("offset_records", piece(key) + value);
    write("group_records",
          std::string(1, record.value() ? '\0' : '\1') + piece(key) + piece(value));
  }
}

void seed_log(const path& file) {
  const std::string log = read(file);
  path index = file;
  path times = file;
  index.replace_extension(".index");
  times.replace_extension(".timeindex");
  for (const char options : {'\0', '\5', '\x12'}) {
    write("segment_scan", std::string(1, options) + piece(read(index)) + piece(read(times)) + log);
  }
  write("batch_header", log);
  Decompressor decompressor;
  BatchCursor batches(as_bytes(log));
  while (const BatchView* batch = batches.next()) {
    write("batch_records", as_string_view(batch->bytes()));
    RecordCursor records = batch->records(decompressor);
    while (const RecordView* record = records.next()) {
      seed_record(file, batch->header(), *record);
    }
  }
}

void seed_file(const path& file, const std::string& content) {
  const std::string name = file.filename().string();
  const std::string kind = file.extension().string();
  if (kind == ".index" || kind == ".timeindex") {
    for (const char load : {'\0', '\1'}) {
      write(kind == ".index" ? "offset_index" : "time_index", std::string(1, load) + content);
    }
  } else if (kind == ".txnindex") {
    write("transaction_index", content);
  } else if (kind == ".snapshot") {
    write("producer_snapshot", number(std::int64_t{1} << 40) + content);
  } else if (name == "leader-epoch-checkpoint") {
    write("epoch_checkpoint", content);
  } else if (name.ends_with("-offset-checkpoint")) {
    write("offset_checkpoint", content);
  } else if (name == "meta.properties") {
    write("meta_properties", content);
  } else if (name == "partition.metadata") {
    write("partition_metadata", content);
  }
}

/// Without the sums, which the targets add.
std::string without_sums(const std::string& manifest) {
  std::string text;
  for (std::size_t at = 0; at < manifest.size();) {
    const std::size_t end = manifest.find('\n', at);
    text += manifest.substr(at, manifest.rfind(' ', end) - at) + "\n";
    at = end + 1;
  }
  return text;
}

void seed_reference(LastStop stop) {
  const log_test::Reference reference = log_test::make_reference(stop);
  for (const auto& [file, content] : reference.files) {
    seed_file(file, content);
    const std::string name = path(file).filename().string();
    const std::string body = content.substr(0, content.rfind("sum "));
    if (name == ".ottla_clean") {
      write("clean_stop", body);
      write("clean_stop", content);
    } else if (name == ".ottla_run") {
      write("run_record", body);
      write("run_record", content);
    } else if (name == ".ottla_sums") {
      write("file_sums", body);
      write("file_sums", content);
    } else if (name == "ottla_manifest") {
      write("manifest", without_sums(content));
      write("manifest", content);
    }
  }
  write("manifest",
        "ottla 1 AAECAwQFBgcICQoLDA0ODw 3\nsegment 0 9 700 5 -\nreplaced 0 10\n"
        "gap 10 12\ncut 11\nsynced 5\n");
}

void seed_recovery() {
  for (char stop = 0; stop < 3; ++stop) {
    write("recovery", std::string(1, stop));
    for (char what = 0; what < 8; ++what) {
      for (char file = 0; file < 60; file = static_cast<char>(file + 5)) {
        write("recovery", std::string(1, stop) + what + file + number(std::uint16_t{70}) + "abcd");
      }
    }
  }
}

void seed_batches() {
  for (char codec = 0; codec < 5; ++codec) {
    for (const bool is_large : {false, true}) {
      BatchBuilder builder({.compression = static_cast<CompressionType>(codec)});
      const std::string value(is_large ? 300 : 5, 'v');
      const RecordHeader headers[] = {{"id", as_bytes(value)}, {"", std::nullopt}};
      for (int i = 0; i < 3; ++i) {
        RecordFields record{.timestamp = Timestamp(1'700'000'000'000 + i),
                            .key = std::nullopt,
                            .value = as_bytes(value),
                            .headers = std::span(headers).first(static_cast<std::size_t>(i))};
        log_test::must(builder.append(record));
      }
      Compressor compressor;
      const SealedBatch sealed = log_test::must(builder.seal(compressor));
      write("batch_records", as_string_view(sealed.bytes()));
      write("batch_header", as_string_view(sealed.bytes()));
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    return 2;
  }
  out = argv[1];
  for (const auto& entry :
       std::filesystem::recursive_directory_iterator(OTTLA_TESTS_DIR "/golden")) {
    if (!entry.is_regular_file()) {
      continue;
    }
    const std::string kind = entry.path().extension().string();
    seed_file(entry.path(), read(entry.path()));
    if (kind == ".log" || kind == ".checkpoint") {
      seed_log(entry.path());
    }
  }
  for (const LastStop stop : {LastStop::clean, LastStop::process_crash, LastStop::system_crash}) {
    seed_reference(stop);
  }
  seed_recovery();
  seed_batches();
  write("group_records", std::string("\0", 1) + piece("x") +
                             piece(as_string_view(Bytes(encode(ConsumerSubscription{{"t"}})))));
  return 0;
}
