// SPDX-License-Identifier: Apache-2.0
//
// System calls that the kernel rarely cuts short: here they are, by definitions of our own in the
// place of the C library's. Sanitizers have theirs, so this file is empty with them.
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define OTTLA_TEST_SANITIZED
#endif
#endif
#else
#define OTTLA_TEST_SANITIZED
#endif

#ifndef OTTLA_TEST_SANITIZED
#include <algorithm>
#include <cerrno>

#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <ottla/base/status.hpp>
#include <ottla/env/posix/file_system.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/temporary_directory.hpp"

using namespace ottla;

namespace {

constexpr IoReason why = IoReason::other;

// What the calls below do; all off outside of the tests of this file.
bool torn = false;      // every other call is interrupted, the rest move one byte
int failing_syncs = 0;  // how many more fail
int failing_reads = 0;
int syncs = 0;
int torn_calls = 0;

bool interrupted() {
  if (torn && ++torn_calls % 2 == 1) {
    errno = EINTR;
    return true;
  }
  return false;
}

}  // namespace

extern "C" {

ssize_t pwritev(int fd, const iovec* pieces, int count, off_t position) {
  if (interrupted()) {
    return -1;
  }
  iovec first = pieces[0];
  first.iov_len = std::min<std::size_t>(first.iov_len, 1);
  return torn ? ::syscall(SYS_pwritev, fd, &first, 1, position, 0)
              : ::syscall(SYS_pwritev, fd, pieces, count, position, 0);
}

ssize_t pwrite(int fd, const void* bytes, size_t size, off_t position) {
  return interrupted() ? -1
                       : ::syscall(SYS_pwrite64, fd, bytes, torn ? std::min<size_t>(size, 1) : size,
                                   position);
}

ssize_t pread(int fd, void* into, size_t size, off_t position) {
  if (failing_reads > 0) {
    --failing_reads;
    errno = EIO;
    return -1;
  }
  return interrupted()
             ? -1
             : ::syscall(SYS_pread64, fd, into, torn ? std::min<size_t>(size, 1) : size, position);
}

int fdatasync(int fd) {
  ++syncs;
  if (interrupted()) {
    return -1;
  }
  if (failing_syncs > 0) {
    --failing_syncs;
    errno = EIO;
    return -1;
  }
  return static_cast<int>(::syscall(SYS_fdatasync, fd));
}
}

TEST_CASE("interrupted and short calls are resumed", "[env]") {
  const TemporaryDirectory directory;
  PosixFileSystem fs;
  auto file = fs.open(directory / "f", OpenMode::create, why);
  REQUIRE(file.ok());
  const Bytes pieces[] = {as_bytes("one "), as_bytes(""), as_bytes("t"), as_bytes("wo three")};
  torn = true;
  const absl::Status wrote = file->write(0, pieces, why);
  std::byte into[20];
  const auto read = file->read(0, into);
  const absl::Status synced = file->sync(why);
  torn = false;
  CHECK(torn_calls > 40);
  CHECK(wrote.ok());
  CHECK(synced.ok());
  REQUIRE(read.ok());
  CHECK(as_string_view(Bytes(into).first(*read)) == "one two three");
}

TEST_CASE("a read that fails is tried once more", "[env]") {
  const TemporaryDirectory directory;
  PosixFileSystem fs;
  auto file = fs.open(directory / "f", OpenMode::create, why);
  REQUIRE(file.ok());
  const Bytes text = as_bytes("text");
  REQUIRE(file->write(0, std::span(&text, 1), why).ok());
  std::byte into[20];
  failing_reads = 1;
  CHECK(file->read(0, into).value() == 4);
  CHECK(as_string_view(Bytes(into).first(4)) == "text");
  failing_reads = 2;
  CHECK(fault(file->read(0, into).status()) == Fault::io);
  CHECK(failing_reads == 0);
}

TEST_CASE("a failed sync is final", "[env]") {
  const TemporaryDirectory directory;
  PosixFileSystem fs;
  auto file = fs.open(directory / "f", OpenMode::create, why);
  REQUIRE(file.ok());
  CHECK(file->sync(why).ok());
  failing_syncs = 1;
  const absl::Status failed = file->sync(why);
  CHECK(fault(failed) == Fault::io);
  CHECK(outcome(failed) == Outcome::unknown);
  CHECK(file->sync(why) == failed);
  CHECK(file->close() == failed);
}

TEST_CASE("who asked for durability is synced before the descriptor is evicted", "[env]") {
  const TemporaryDirectory directory;
  PosixFileSystem fs({.max_descriptors = 1});
  const auto open = [&](const char* name) {
    auto file = fs.open(directory / name, OpenMode::create, why);
    REQUIRE(file.ok());
    return *std::move(file);
  };
  const Bytes text = as_bytes("x");
  PosixFile asks = open("asks");
  PosixFile never_asks = open("never asks");
  REQUIRE(asks.sync(why).ok());
  REQUIRE(asks.write(0, std::span(&text, 1), why).ok());
  syncs = 0;
  REQUIRE(never_asks.write(0, std::span(&text, 1), why).ok());  // evicts the other
  CHECK(syncs == 1);
  REQUIRE(asks.size().ok());        // evicts this one: not synced
  REQUIRE(never_asks.size().ok());  // evicts the other: clean by now
  CHECK(syncs == 1);

  REQUIRE(asks.write(0, std::span(&text, 1), why).ok());
  failing_syncs = 1;
  CHECK(never_asks.size().ok());
  CHECK(failing_syncs == 0);
  const absl::Status remembered = asks.sync(why);
  CHECK(fault(remembered) == Fault::io);
  CHECK(remembered.message().find("asks") != std::string::npos);
  CHECK(never_asks.sync(why).ok());
}

TEST_CASE("a file that rests has no descriptor, unless it has to be synced for that", "[env]") {
  const TemporaryDirectory directory;
  PosixFileSystem fs;
  auto file = fs.open(directory / "f", OpenMode::create, why);
  REQUIRE(file.ok());
  const Bytes text = as_bytes("x");
  REQUIRE(file->write(0, std::span(&text, 1), why).ok());
  syncs = 0;
  file->rest();
  CHECK(fs.descriptors() == 0);
  REQUIRE(file->sync(why).ok());
  REQUIRE(file->write(1, std::span(&text, 1), why).ok());
  file->rest();
  CHECK(fs.descriptors() == 1);
  CHECK(syncs == 1);
  REQUIRE(file->sync(why).ok());
  file->rest();
  CHECK(fs.descriptors() == 0);
  CHECK(file->size().value() == 2);
  CHECK(file->close().ok());
  file->rest();
}

TEST_CASE("a descriptor that need not be synced is evicted first", "[env]") {
  const TemporaryDirectory directory;
  PosixFileSystem fs({.max_descriptors = 3});
  const Bytes text = as_bytes("x");
  std::vector<PosixFile> files;
  for (const char* name : {"asks", "a", "b"}) {
    files.push_back(*fs.open(directory / name, OpenMode::create, why));
    REQUIRE(files.back().write(0, std::span(&text, 1), why).ok());
  }
  REQUIRE(files[0].sync(why).ok());
  REQUIRE(files[0].write(0, std::span(&text, 1), why).ok());
  syncs = 0;
  for (int i = 0; i < 10; ++i) {
    files.push_back(*fs.open(directory / ("c" + std::to_string(i)), OpenMode::create, why));
  }
  CHECK(syncs == 0);
}
#endif
