// SPDX-License-Identifier: Apache-2.0
//
// What files in memory promise beyond the common contract.
#include <algorithm>
#include <atomic>
#include <limits>
#include <optional>
#include <string>
#include <thread>

#include <ottla/base/status.hpp>
#include <ottla/env/memory/file_system.hpp>

#include "tests/support/catch.hpp"

using namespace ottla;

namespace {

constexpr IoReason why = IoReason::other;

MemoryFile make_file(MemoryFileSystem& fs, std::string_view path) {
  auto file = fs.open(path, OpenMode::create_new, why);
  REQUIRE(file.ok());
  return *std::move(file);
}

absl::Status write(MemoryFile& file, std::int64_t position, std::string_view text) {
  const Bytes piece = as_bytes(text);
  return file.write(position, std::span(&piece, 1), why);
}

}  // namespace

TEST_CASE("small files are small, and large ones waste little", "[env]") {
  MemoryFileSystem fs;
  CHECK(fs.bytes() == 0);
  MemoryFile small = make_file(fs, "/small");
  CHECK(fs.bytes() == 0);
  REQUIRE(write(small, 0, "version: 0").ok());
  CHECK(fs.bytes() <= 512);
  MemoryFile large = make_file(fs, "/large");
  const std::string megabyte(1 << 20, 'x');
  for (int i = 0; i < 20; ++i) {
    REQUIRE(write(large, i << 20, megabyte).ok());
  }
  CHECK(fs.bytes() <= (20 << 20) + (256 << 10) + 512);
}

TEST_CASE("memory comes back when a file is cut, removed and closed", "[env]") {
  MemoryFileSystem fs;
  MemoryFile file = make_file(fs, "/f");
  REQUIRE(write(file, 0, std::string(3 << 20, 'x')).ok());
  REQUIRE(file.truncate(1 << 20, why).ok());
  CHECK(fs.bytes() == 1 << 20);
  REQUIRE(fs.remove("/f", why).ok());
  CHECK(fs.bytes() == 1 << 20);
  REQUIRE(file.close().ok());
  CHECK(fs.bytes() == 0);

  for (const char* path : {"/a", "/b"}) {
    MemoryFile replaced = make_file(fs, path);
    REQUIRE(write(replaced, 0, path).ok());
  }
  REQUIRE(fs.rename("/a", "/b", why).ok());
  CHECK(fs.bytes() == 512);
}

TEST_CASE("a full budget refuses whole writes, and lets files be cut and overwritten", "[env]") {
  MemoryFileSystem fs({.max_bytes = 1 << 20});
  MemoryFile file = make_file(fs, "/f");
  REQUIRE(write(file, 0, std::string(1'000'000, 'x')).ok());
  const absl::Status full = write(file, 1'000'000, std::string(300'000, 'y'));
  CHECK(fault(full) == Fault::no_space);
  CHECK(outcome(full) == Outcome::not_written);
  CHECK(*file.size() == 1'000'000);
  CHECK(full.message().find("/f") != std::string::npos);
  CHECK(fs.bytes() <= 1 << 20);
  REQUIRE(write(file, 999'000, "overwritten").ok());
  REQUIRE(file.truncate(999'011, why).ok());
  CHECK(write(file, 999'011, std::string(1000, 'z')).ok());
  REQUIRE(fs.remove("/f", why).ok());
  MemoryFile next = make_file(fs, "/g");
  CHECK_FALSE(write(next, 0, std::string(300'000, 'x')).ok());
  REQUIRE(file.close().ok());
  CHECK(write(next, 0, std::string(300'000, 'x')).ok());
}

TEST_CASE("an absurd position costs no memory", "[env]") {
  MemoryFileSystem fs;
  MemoryFile file = make_file(fs, "/f");
  CHECK(fault(write(file, std::numeric_limits<std::int64_t>::max() - 1, "xy")) == Fault::no_space);
  CHECK(fault(file.truncate(std::numeric_limits<std::int64_t>::max(), why)) == Fault::no_space);
  CHECK(*file.size() == 0);
  REQUIRE(write(file, 1 << 30, "x").ok());
  CHECK(fs.bytes() <= 256 << 10);
}

namespace {

/// Two threads that read, and tell whether all was as `right` has it, while `write` is called.
template <class Right, class Write>
void beside_readers(const MemoryFile& file, Right right, Write write) {
  std::atomic<bool> stop{false};
  std::atomic<int> wrong{0};
  std::atomic<int> reads{0};
  const auto reader = [&] {
    std::string text(400'000, '?');
    while (!stop) {
      const auto size = file.read(0, std::as_writable_bytes(std::span(text)));
      wrong += !size.ok() || !right(std::string_view(text).substr(0, *size));
      ++reads;
    }
  };
  std::thread first(reader);
  std::thread second(reader);
  for (int round = 0; round < 150; ++round) {
    write(round, [&, before = reads.load()] {  // until they have read once more
      while (reads < before + 2) {
        std::this_thread::yield();
      }
    });
  }
  stop = true;
  first.join();
  second.join();
  CHECK(wrong == 0);
}

}  // namespace

TEST_CASE("a reader sees an append whole or not at all, undone ones too", "[env]") {
  MemoryFileSystem fs;
  MemoryFile file = make_file(fs, "/f");
  constexpr std::size_t piece = 1777;
  const auto right = [](std::string_view text) {
    const auto undone = static_cast<std::size_t>(std::count(text.begin(), text.end(), 'x'));
    const std::string_view kept = text.substr(0, text.size() - undone);
    bool good = (undone == 0 || undone == 900) && kept.size() % piece == 0 &&
                kept.find('x') == std::string_view::npos;
    for (std::size_t i = 0; i < kept.size(); i += 97) {
      good = good && kept[i] == static_cast<char>('a' + i / piece % 23);
    }
    return good;
  };
  beside_readers(file, right, [&](int round, auto wait_for_readers) {
    const auto at = static_cast<std::int64_t>(round) * static_cast<std::int64_t>(piece);
    REQUIRE(write(file, at, std::string(900, 'x')).ok());
    wait_for_readers();
    REQUIRE(file.truncate(at, why).ok());
    REQUIRE(write(file, at, std::string(piece, static_cast<char>('a' + round % 23))).ok());
  });
}

TEST_CASE("a reader sees an overwrite whole or not at all", "[env]") {
  MemoryFileSystem fs;
  MemoryFile file = make_file(fs, "/f");
  REQUIRE(write(file, 0, std::string(300'000, 'a')).ok());
  const auto right = [](std::string_view text) {
    return text.size() == 300'000 && text.find_first_not_of(text[0]) == std::string_view::npos;
  };
  beside_readers(file, right, [&](int round, auto wait_for_readers) {
    wait_for_readers();
    REQUIRE(write(file, 0, std::string(300'000, round % 2 == 0 ? 'b' : 'a')).ok());
  });
}

TEST_CASE("writers of one file take turns", "[env]") {
  MemoryFileSystem fs;
  { make_file(fs, "/f"); }
  std::vector<std::thread> writers;
  std::atomic<int> wrong{0};
  for (int w = 0; w < 3; ++w) {
    writers.emplace_back([&, w] {
      auto file = fs.open("/f", OpenMode::read_write, why);
      for (int i = 0; i < 500; ++i) {
        wrong +=
            !write(*file, (i * 3 + w) * 100, std::string(100, static_cast<char>('a' + w))).ok();
      }
    });
  }
  for (std::thread& writer : writers) {
    writer.join();
  }
  std::string text(150'000, '?');
  REQUIRE(*fs.open("/f", OpenMode::read, why)->read(0, std::as_writable_bytes(std::span(text))) ==
          text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    wrong += text[i] != static_cast<char>('a' + i / 100 % 3);
  }
  CHECK(wrong == 0);
}

TEST_CASE("names may be changed by many threads", "[env]") {
  MemoryFileSystem fs;
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&, t] {
      const std::string mine = "/t" + std::to_string(t);
      for (int i = 0; i < 200; ++i) {
        wrong += !fs.create_directory(mine, why).ok();
        wrong += !fs.open(mine + "/f", OpenMode::create_new, why).ok();
        wrong += !fs.rename(mine, mine + "-delete", why).ok();
        wrong += !fs.list("/").ok();
        wrong += !fs.remove(mine + "-delete/f", why).ok();
        wrong += !fs.remove_directory(mine + "-delete", why).ok();
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  CHECK(wrong == 0);
  CHECK(fs.list("/")->empty());
}

TEST_CASE("a very deep tree is made, walked and destroyed", "[env]") {
  MemoryFileSystem fs;
  // Each step hangs what there is one level deeper: far deeper than a path could say.
  for (int i = 0; i < 100'000; ++i) {
    REQUIRE(fs.create_directory("/next", why).ok());
    if (i > 0) {
      REQUIRE(fs.rename("/top", "/next/top", why).ok());
    }
    REQUIRE(fs.rename("/next", "/top", why).ok());
  }
  CHECK(fs.status("/top/top/top")->kind == FileKind::directory);
}

TEST_CASE("paths of memory files resolve dots, and stop at the root", "[env]") {
  MemoryFileSystem fs;
  REQUIRE(fs.create_directory("d", why).ok());
  make_file(fs, "d/../e");
  CHECK(fs.status("/e").ok());
  CHECK(fs.status("../../e").ok());
  CHECK(fs.status("/d/..").ok());
  CHECK(fs.status("/..")->kind == FileKind::directory);
  CHECK(fault(fs.create_directory("/", why)) == Fault::already_exists);
  CHECK_FALSE(fs.remove_directory("/", why).ok());
  CHECK_FALSE(fs.rename("/", "/x", why).ok());
  CHECK_FALSE(fs.rename("/d", "/", why).ok());
  CHECK(fault(fs.open("/", OpenMode::create, why).status()) == Fault::invalid_argument);
}

TEST_CASE("copies are handles of one file system", "[env]") {
  std::optional<MemoryFileSystem> fs(std::in_place);
  MemoryFileSystem copy = *fs;
  { MemoryFile file = make_file(*fs, "/f"); }
  auto file = fs->open("/f", OpenMode::read_write, why);
  fs.reset();
  CHECK(copy.status("/f").ok());
  copy = MemoryFileSystem();
  CHECK(write(*file, 0, "still usable").ok());
}
