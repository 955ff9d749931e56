// SPDX-License-Identifier: Apache-2.0
//
// Recovery of a mutated log directory. The input: a byte for how the last run ended, then edits of
// the files of tests/log/reference_directory.hpp: UINT8 what and how large, UINT8 which file, and
// what it takes. The directory opens or answers an error that says why; it never serves a record
// that was not there; and opened again it is what it was.
#include <algorithm>
#include <array>

#include "fuzz.hpp"
#include "tests/log/reference_directory.hpp"

using namespace ottla;
using namespace log_test;

namespace {

const Reference& reference_of(std::uint8_t choice) {
  static const std::array<Reference, 3> all = {make_reference(LastStop::clean),
                                               make_reference(LastStop::process_crash),
                                               make_reference(LastStop::system_crash)};
  return all[choice % all.size()];
}

/// The file at `index`; an input may name any.
FileSet::iterator file_at(FileSet& files, std::size_t index) {
  return std::next(files.begin(), static_cast<std::ptrdiff_t>(index % files.size()));
}

struct Edits {
  FileSet& files;
  bool displaced = false;  ///< something stands where something else was written

  void apply(fuzz::Input& input) {
    const auto what = input.integer<std::uint8_t>();
    const auto file = file_at(files, input.integer<std::uint8_t>());
    std::string& text = file->second;
    const std::size_t at = text.empty() ? 0 : input.integer<std::uint16_t>() % text.size();
    switch (what % 8) {
      case 0:  // bytes
        overwrite(text, at, as_string_view(input.take(1 + what / 8)));
        break;
      case 1:  // a bit
        overwrite(text, at,
                  std::string(1, static_cast<char>(text.empty() ? 0 : text[at] ^ 1 << what / 32)));
        break;
      case 2:
        text.resize(at);
        break;
      case 3:
        if (files.size() > 1) {
          files.erase(file);
        }
        break;
      case 4:
        std::swap(text, file_at(files, at)->second);
        displaced = true;
        break;
      case 5:  // zeros
        overwrite(text, at, std::string(std::size_t{16} << what / 32, '\0'));
        break;
      case 6:  // behind the end
        text.append(as_string_view(input.take(1 + what / 8)));
        break;
      default:  // what was written somewhere else
        overwrite(text, at,
                  file_at(files, input.integer<std::uint8_t>())
                      ->second.substr(0, std::size_t{8} << what / 32));
        displaced = true;
        break;
    }
  }

 private:
  static void overwrite(std::string& text, std::size_t at, std::string_view with) {
    const std::size_t n = std::min(with.size(), text.size() - at);
    text.replace(at, n, with.substr(0, n));
  }
};

/// The manifest is there: without it nothing tells whether a file, or the offset of a batch, which
/// no checksum covers, is the one that was written.
bool is_placed(const FileSet& files, const Opened& opened, std::size_t partition) {
  return !opened.report.foreign &&
         files.contains("/d/" + reference_partitions[partition].to_string() + "/ottla_manifest") &&
         !opened.partitions[partition].report.has(RecoveryReport::Kind::manifest_dropped);
}

bool begins_with(const Opened::Partition& all, const Opened::Partition& some) {
  return some.records.size() <= all.records.size() &&
         std::equal(some.records.begin(), some.records.end(), all.records.begin());
}

/// No record was never written; none stands where it was not, where that can be known.
void require_written(const Reference& reference, const Opened& opened,
                     const std::array<bool, 2>& placed) {
  const auto values = [&](const Records& all, std::string_view value) {
    return std::any_of(all.begin(), all.end(), [&](const auto& it) { return it.second == value; });
  };
  for (std::size_t i = 0; i < 2; ++i) {
    const Records& original = reference.records[i];
    for (const auto& [offset, value] : opened.partitions[i].records) {
      const auto found = original.find(offset);
      const bool there = found != original.end() && found->second == value;
      const bool somewhere = !placed[i] && (values(reference.records[0], value) ||
                                            values(reference.records[1], value));
      fuzz::require(
          there || somewhere, "a record that was never there:",
          absl::StrCat(reference_partitions[i].to_string(), " has '", value, "' at ", offset));
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  const Reference& reference = reference_of(input.integer<std::uint8_t>());
  FileSet files = reference.files;
  Edits edits{files};
  for (int i = 0; !input.empty() && i < 8; ++i) {
    edits.apply(input);
  }
  DamagedDisk disk(files);
  const Opened opened = disk.open(reference, false);
  const std::array<bool, 2> placed = {!edits.displaced && is_placed(files, opened, 0),
                                      !edits.displaced && is_placed(files, opened, 1)};
  require_written(reference, opened, placed);
  const Opened again = disk.open(reference, false);
  fuzz::require(opened.status.ok() == again.status.ok(), "it opens differently the second time",
                opened.status.ToString() + " / " + again.status.ToString());
  require_written(reference, again, placed);
  for (std::size_t i = 0; i < 2; ++i) {
    const Opened::Partition& before = opened.partitions[i];
    const Opened::Partition& after = again.partitions[i];
    if (!placed[i]) {
      // What the stop was told with is not known any more; what does not fit is told.
      fuzz::require(before.records == after.records || before.is_damaged || after.is_damaged ||
                        after.report.has(RecoveryReport::Kind::cut),
                    "another partition without a word:", reference_partitions[i].to_string());
      continue;
    }
    // After a clean stop damage is met by who reads there, if at all: the next opening looks for
    // it.
    fuzz::require(after.is_damaged ? begins_with(before, after)
                                   : before.records == after.records && before.end == after.end,
                  "another partition the second time:", reference_partitions[i].to_string());
  }
  return 0;
}
