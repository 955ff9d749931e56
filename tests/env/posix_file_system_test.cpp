// SPDX-License-Identifier: Apache-2.0
//
// What only a real kernel shows: limits, full devices, foreign hands, signals.
#include <atomic>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <thread>

#include <fcntl.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <ottla/base/status.hpp>
#include <ottla/env/posix/file_system.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/temporary_directory.hpp"

using namespace ottla;

namespace {

constexpr IoReason why = IoReason::other;

PosixFile make_file(PosixFileSystem& fs, const std::string& path, std::string_view text = {}) {
  auto file = fs.open(path, OpenMode::create_new, why);
  REQUIRE(file.ok());
  const Bytes piece = as_bytes(text);
  REQUIRE(file->write(0, std::span(&piece, 1), why).ok());
  return *std::move(file);
}

absl::Status append(PosixFile& file, std::int64_t position, std::string_view text) {
  const Bytes piece = as_bytes(text);
  return file.write(position, std::span(&piece, 1), why);
}

/// "!" and the error where reading fails.
std::string content(const PosixFile& file) {
  std::string text(1 << 16, '?');
  const auto size = file.read(0, std::as_writable_bytes(std::span(text)));
  if (!size.ok()) {
    return "!" + std::string(name(fault(size.status())));
  }
  text.resize(*size);
  return text;
}

/// A limit of this process, for a scope.
class Limit {
 public:
  Limit(__rlimit_resource resource, rlim_t value) : resource_(resource) {
    REQUIRE(::getrlimit(resource, &before_) == 0);
    const rlimit lower{.rlim_cur = value, .rlim_max = before_.rlim_max};
    REQUIRE(::setrlimit(resource, &lower) == 0);
  }
  Limit(const Limit&) = delete;
  ~Limit() { ::setrlimit(resource_, &before_); }

 private:
  __rlimit_resource resource_;
  rlimit before_{};
};

/// A tmpfs on a directory, for a scope; false where this user may not mount.
class SmallDevice {
 public:
  explicit SmallDevice(std::string path) : path_(std::move(path)) {
    mounted_ = ::mount("tmpfs", path_.c_str(), "tmpfs", 0, "size=8m") == 0;
  }
  SmallDevice(const SmallDevice&) = delete;
  ~SmallDevice() {
    if (mounted_) {
      ::umount2(path_.c_str(), MNT_DETACH);
    }
  }
  bool usable() const {
    if (!mounted_) {
      std::cout << "SKIPPED: this user may not mount a tmpfs\n";
    }
    return mounted_;
  }
  void make_read_only() {
    REQUIRE(::mount("tmpfs", path_.c_str(), "tmpfs", MS_REMOUNT | MS_RDONLY, "size=8m") == 0);
  }

 private:
  std::string path_;
  bool mounted_;
};

}  // namespace

TEST_CASE("few descriptors serve many open files", "[env]") {
  const TemporaryDirectory directory;
  PosixFileSystem fs({.max_descriptors = 8});
  std::vector<PosixFile> files;
  for (int i = 0; i < 300; ++i) {
    files.push_back(make_file(fs, directory / std::to_string(i), std::to_string(i)));
    CHECK(fs.descriptors() <= 8);
  }
  for (int round = 0; round < 2; ++round) {
    for (std::size_t i = 0; i < files.size(); ++i) {
      REQUIRE(content(files[i]) == std::to_string(i));
    }
  }
  CHECK(fs.descriptors() == 8);
  files.clear();
  CHECK(fs.descriptors() == 0);
}

TEST_CASE("what is used stays open, what is not is evicted", "[env]") {
  const TemporaryDirectory directory;
  PosixFileSystem fs({.max_descriptors = 4});
  const PosixFile hot = make_file(fs, directory / "hot", "hot");
  // With its name gone behind the cache's back, only a descriptor that is never closed reads it.
  std::filesystem::remove(directory / "hot");
  std::vector<PosixFile> cold;
  for (int i = 0; i < 20; ++i) {
    CHECK(content(hot) == "hot");
    cold.push_back(make_file(fs, directory / std::to_string(i)));
  }
  std::filesystem::remove(directory / "0");
  CHECK(content(cold[0]) == "!not_found");
}

TEST_CASE("a file that somebody else replaced is not taken for the one that was open", "[env]") {
  const TemporaryDirectory directory;
  PosixFileSystem fs({.max_descriptors = 1});
  PosixFile file = make_file(fs, directory / "f", "mine");
  make_file(fs, directory / "evict");
  std::ofstream(directory / "other") << "other's";
  std::filesystem::rename(directory / "other", directory / "f");
  CHECK(content(file) == "!not_found");
  CHECK(fault(append(file, 4, "x")) == Fault::not_found);
}

TEST_CASE("a file that somebody else removed is not found any more", "[env]") {
  const TemporaryDirectory directory;
  PosixFileSystem fs({.max_descriptors = 1});
  PosixFile file = make_file(fs, directory / "f", "mine");
  make_file(fs, directory / "evict");
  std::filesystem::rename(directory / "f", directory / "moved");
  CHECK(content(file) == "!not_found");
  // Nor when the name goes once more, now by our own hand.
  const PosixFile other = make_file(fs, directory / "f", "other");
  REQUIRE(fs.remove(directory / "f", why).ok());
  CHECK(content(other) == "other");
  CHECK(content(file) == "!not_found");
  CHECK(fault(file.sync(why)) == Fault::not_found);
  CHECK(file.close().ok());
}

TEST_CASE("the limit of the process on descriptors is lived with", "[env]") {
  const TemporaryDirectory directory;
  // Looked at under the old limit: UBSan itself needs descriptors to look at an object.
  std::size_t descriptors = 0;
  std::vector<std::string> contents;
  bool listed = true;
  std::string unread;
  Fault unopened = Fault::none;
  std::string read_again;
  {
    PosixFileSystem fs({.max_descriptors = 1000});
    const Limit limit(RLIMIT_NOFILE, 64);
    std::vector<PosixFile> files;
    for (int i = 0; i < 200; ++i) {
      files.push_back(make_file(fs, directory / std::to_string(i), std::to_string(i)));
    }
    descriptors = static_cast<std::size_t>(fs.descriptors());
    for (PosixFile& file : files) {
      contents.push_back(content(file));
    }
    // The program itself takes what there is, until nothing is left for us.
    std::vector<int> taken;
    const auto take_all = [&] {
      for (int fd; (fd = ::open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0;) {
        taken.push_back(fd);
      }
    };
    for (take_all(); fs.descriptors() > 0; take_all()) {
      listed = fs.list(directory.path().string()).ok() && listed;  // gives up one of ours
    }
    unread = content(files[0]);
    unopened = fault(fs.open(directory / "0", OpenMode::read, why).status());
    for (const int fd : taken) {
      ::close(fd);
    }
    read_again = content(files[0]);
  }
  CHECK(descriptors < 64);
  for (std::size_t i = 0; i < 200; ++i) {
    REQUIRE(contents[i] == std::to_string(i));
  }
  CHECK(listed);
  CHECK(unread == "!no_descriptors");
  CHECK(unopened == Fault::no_descriptors);
  CHECK(read_again == "0");
}

TEST_CASE("by default half of a low limit on descriptors is used", "[env]") {
  const TemporaryDirectory directory;
  const Limit limit(RLIMIT_NOFILE, 60);
  PosixFileSystem fs;
  std::vector<PosixFile> files;
  for (int i = 0; i < 60; ++i) {
    files.push_back(make_file(fs, directory / std::to_string(i)));
  }
  CHECK(fs.descriptors() == 30);
}

TEST_CASE("a write beyond the limit on file sizes is an error and no signal", "[env]") {
  const TemporaryDirectory directory;
  PosixFileSystem fs;
  PosixFile early = make_file(fs, directory / "early");
  const Limit limit(RLIMIT_FSIZE, 100'000);
  PosixFile file = make_file(fs, directory / "f");
  REQUIRE(append(file, 0, std::string(90'000, 'x')).ok());
  for (PosixFile* each : {&file, &early}) {
    const absl::Status refused = append(*each, 90'000, std::string(10'001, 'y'));
    CHECK(fault(refused) == Fault::no_space);
    CHECK(outcome(refused) == Outcome::not_written);
    CHECK(fault(each->truncate(100'001, why)) == Fault::no_space);
    CHECK(fault(each->reserve(100'001, why)) == Fault::no_space);
  }
  CHECK(*file.size() == 90'000);
  CHECK(append(file, 90'000, std::string(10'000, 'y')).ok());
}

TEST_CASE("a full device is an error, and writing goes on when there is room", "[env]") {
  const TemporaryDirectory directory;
  const SmallDevice device(directory.path().string());
  if (!device.usable()) {
    return;
  }
  PosixFileSystem fs;
  PosixFile file = make_file(fs, directory / "f");
  std::int64_t end = 0;
  absl::Status full;
  const std::string text(3'000'000, 'x');
  while (full.ok()) {
    full = append(file, end, text);
    end += full.ok() ? static_cast<std::int64_t>(text.size()) : 0;
  }
  CHECK(end == 6'000'000);
  CHECK(fault(full) == Fault::no_space);
  CHECK(outcome(full) == Outcome::unknown);  // part of it is there
  CHECK(*file.size() > end);
  CHECK(full.message().find(directory / "f") != std::string::npos);
  CHECK(full.message().find("free space") != std::string::npos);
  const absl::Status still = append(file, 8 << 20, "x");
  CHECK(fault(still) == Fault::no_space);
  CHECK(outcome(still) == Outcome::not_written);
  REQUIRE(file.truncate(end, why).ok());
  CHECK(append(file, end, "fits").ok());
}

TEST_CASE("a read-only device is told from a broken one", "[env]") {
  const TemporaryDirectory directory;
  SmallDevice device(directory.path().string());
  if (!device.usable()) {
    return;
  }
  PosixFileSystem fs;
  { make_file(fs, directory / "f", "text"); }
  device.make_read_only();
  CHECK(content(*fs.open(directory / "f", OpenMode::read, why)) == "text");
  CHECK(fault(fs.open(directory / "f", OpenMode::read_write, why).status()) == Fault::read_only);
  CHECK(fault(fs.open(directory / "g", OpenMode::create, why).status()) == Fault::read_only);
  CHECK(fault(fs.lock(directory / ".lock").status()) == Fault::read_only);
  CHECK(fault(fs.create_directory(directory / "d", why)) == Fault::read_only);
  CHECK(fault(fs.rename(directory / "f", directory / "g", why)) == Fault::read_only);
  CHECK(fault(fs.remove(directory / "f", why)) == Fault::read_only);
}

TEST_CASE("what this user may not write is read-only, what it may not read an error", "[env]") {
  const TemporaryDirectory directory;
  PosixFileSystem fs;
  { make_file(fs, directory / "f", "text"); }
  REQUIRE(::chmod((directory / "f").c_str(), 0000) == 0);
  REQUIRE(::chmod(directory.path().c_str(), 0555) == 0);
  const bool root = ::geteuid() == 0;
  REQUIRE((!root || ::seteuid(65534) == 0));
  const auto create = fs.open(directory / "g", OpenMode::create, why).status();
  const auto write = fs.open(directory / "f", OpenMode::read_write, why).status();
  const auto read = fs.open(directory / "f", OpenMode::read, why).status();
  const auto remove = fs.remove(directory / "f", why);
  REQUIRE((!root || ::seteuid(0) == 0));
  REQUIRE(::chmod(directory.path().c_str(), 0755) == 0);
  CHECK(fault(create) == Fault::read_only);
  CHECK(fault(write) == Fault::read_only);
  CHECK(fault(remove) == Fault::read_only);
  CHECK(fault(read) == Fault::io);
  CHECK(read.message().find("let this user read it") != std::string::npos);
}

TEST_CASE("a pipe or a device is no file", "[env]") {
  const TemporaryDirectory directory;
  PosixFileSystem fs;
  REQUIRE(::mkfifo((directory / "pipe").c_str(), 0600) == 0);
  CHECK(fault(fs.open(directory / "pipe", OpenMode::read, why).status()) ==
        Fault::invalid_argument);
  CHECK(fault(fs.open("/dev/null", OpenMode::read_write, why).status()) == Fault::invalid_argument);
  CHECK(fs.list(directory.path().string())->front().kind == FileKind::other);
}

TEST_CASE("relative paths mean the directory that was current at construction", "[env]") {
  const TemporaryDirectory directory;
  const std::filesystem::path before = std::filesystem::current_path();
  std::filesystem::current_path(directory.path());
  PosixFileSystem fs({.max_descriptors = 1});
  std::filesystem::current_path(before);
  const PosixFile file = make_file(fs, "f", "text");
  make_file(fs, "evict");
  CHECK(std::filesystem::exists(directory / "f"));
  CHECK(content(file) == "text");
}

TEST_CASE("a signal every millisecond disturbs no call", "[env]") {
  static std::atomic<int> signals;
  struct sigaction action {};
  struct sigaction before {};
  action.sa_handler = [](int) { ++signals; };
  REQUIRE(::sigaction(SIGALRM, &action, &before) == 0);  // no SA_RESTART
  const itimerval every{.it_interval = {.tv_sec = 0, .tv_usec = 1000},
                        .it_value = {.tv_sec = 0, .tv_usec = 1000}};
  REQUIRE(::setitimer(ITIMER_REAL, &every, nullptr) == 0);
  signals = 0;
  const TemporaryDirectory directory;
  PosixFileSystem fs({.max_descriptors = 1});
  PosixFile file = make_file(fs, directory / "f");
  PosixFile other = make_file(fs, directory / "g");
  absl::Status failed;
  std::string text(100'000, 'x');
  for (int round = 0; failed.ok() && (signals < 100 || round < 100); ++round) {
    failed.Update(append(file, 0, text));
    failed.Update(other.reserve(1 << 20, why));
    failed.Update(file.sync(why));
    failed.Update(file.read(0, std::as_writable_bytes(std::span(text))).status());
    failed.Update(fs.sync_directory(directory.path().string(), why));
    failed.Update(fs.lock(directory / ".lock").status());
    failed.Update(other.truncate(round, why));
  }
  const itimerval off{};
  ::setitimer(ITIMER_REAL, &off, nullptr);
  ::sigaction(SIGALRM, &before, nullptr);
  CHECK(failed == absl::OkStatus());
  CHECK(text == std::string(100'000, 'x'));
}

TEST_CASE("readers, a writer and renames get along with one descriptor", "[env]") {
  const TemporaryDirectory directory;
  PosixFileSystem fs({.max_descriptors = 2});
  REQUIRE(fs.create_directory(directory / "d", why).ok());
  REQUIRE(fs.create_directory(directory / "e", why).ok());
  std::vector<PosixFile> files;
  for (int i = 0; i < 6; ++i) {
    files.push_back(make_file(fs, directory / ("d/" + std::to_string(i)), "0123456789"));
  }
  std::atomic<bool> stop{false};
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int reader = 0; reader < 2; ++reader) {
    threads.emplace_back([&] {
      for (std::size_t i = 0; !stop; ++i) {
        wrong += content(files[i % files.size()]).substr(0, 10) != "0123456789";
      }
    });
  }
  threads.emplace_back([&] {
    for (std::int64_t i = 10; !stop; ++i) {
      wrong += !append(files[static_cast<std::size_t>(i) % files.size()], 10, "x").ok();
      wrong += i % 50 == 0 && !files[0].sync(why).ok();
    }
  });
  for (int i = 0; i < 150; ++i) {
    wrong += !fs.rename(directory / "d", directory / "moved", why).ok();
    wrong += !fs.rename(directory / "moved/3", directory / "e/3", why).ok();
    make_file(fs, directory / ("e/new" + std::to_string(i)));
    wrong += !fs.remove(directory / ("e/new" + std::to_string(i)), why).ok();
    wrong += !fs.rename(directory / "e/3", directory / "moved/3", why).ok();
    wrong += !fs.rename(directory / "moved", directory / "d", why).ok();
  }
  stop = true;
  for (std::thread& thread : threads) {
    thread.join();
  }
  CHECK(wrong == 0);
}
