// SPDX-License-Identifier: Apache-2.0
//
// The fuzz targets as plain programs: <target> PATH... feeds it every file of these directories, or
// these files, each in memory of exactly its size. No file at all is an error.
#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>

#include "fuzz.hpp"

namespace {

std::vector<std::filesystem::path> files_of(const std::filesystem::path& path) {
  if (!std::filesystem::is_directory(path)) {
    return {path};
  }
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(path)) {
    files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

bool feed(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  const std::string text(std::istreambuf_iterator<char>(in), {});
  if (!in.is_open() || in.bad()) {
    std::fprintf(stderr, "cannot read %s\n", path.c_str());
    return false;
  }
  std::fprintf(stderr, "%s\n", path.c_str());  // the last one is the one that failed
  const auto exact = std::make_unique<std::uint8_t[]>(text.size());
  std::memcpy(exact.get(), text.data(), text.size());
  LLVMFuzzerTestOneInput(exact.get(), text.size());
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  int fed = 0;
  for (int i = 1; i < argc; ++i) {
    for (const std::filesystem::path& file : files_of(argv[i])) {
      if (!feed(file)) {
        return 2;
      }
      ++fed;
    }
  }
  std::printf("%d inputs\n", fed);
  return fed == 0 ? 2 : 0;
}
