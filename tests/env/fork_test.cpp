// SPDX-License-Identifier: Apache-2.0
//
// Other processes: children of fork, and those that hold or want our lock.
#include <functional>
#include <optional>

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <ottla/env/fault_file_system.hpp>
#include <ottla/env/posix/posix_env.hpp>
#include <ottla/env/small_file.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/temporary_directory.hpp"

using namespace ottla;

namespace {

constexpr IoReason why = IoReason::other;

/// What `body` answers in a child.
int in_child(const std::function<int()>& body) {
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    ::_exit(body());
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/// As Java's FileChannel.lock does: a record lock of the process over the whole file.
bool lock_as_java(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  struct flock whole {};
  whole.l_type = F_WRLCK;
  return ::fcntl(fd, F_SETLK, &whole) == 0;
}

}  // namespace

TEST_CASE("each process has a generation of its own", "[env]") {
  const std::uint64_t mine = process_generation();
  CHECK(mine != 0);
  CHECK(process_generation() == mine);
  const ProcessMark mark;
  CHECK(mark.here());
  CHECK(in_child([&] {
          const bool before = mark.here();  // before anything is made in the child
          const std::uint64_t child = process_generation();
          const ProcessMark own;
          const bool differs = child != mine && !before && !mark.here() && own.here();
          return differs && in_child([&] { return own.here() ? 1 : 0; }) == 0 ? 0 : 1;
        }) == 0);
  CHECK(mark.here());
}

TEST_CASE("in a child nothing of the parent's works, and new objects do", "[env]") {
  const TemporaryDirectory directory;
  auto fs = std::make_optional<PosixFileSystem>();
  auto file = fs->open(directory / "f", OpenMode::create, why);
  REQUIRE(file.ok());
  CHECK(in_child([&] {
          std::byte into[1];
          const Bytes text = as_bytes("x");
          int wrong = 0;
          wrong += fault(file->read(0, into).status()) != Fault::forked;
          wrong += fault(file->write(0, std::span(&text, 1), why)) != Fault::forked;
          wrong += fault(file->sync(why)) != Fault::forked;
          wrong += fault(fs->rename(directory / "f", directory / "g", why)) != Fault::forked;
          wrong += fault(fs->open(directory / "f", OpenMode::read, why).status()) != Fault::forked;
          { const PosixFile gone = *std::move(file); }
          fs.reset();
          PosixFileSystem own;
          wrong += !own.open(directory / "f", OpenMode::read_write, why).ok();
          return wrong;
        }) == 0);
  CHECK(file->size().ok());
}

TEST_CASE("a child neither holds nor lets go of its parent's lock", "[env]") {
  const TemporaryDirectory directory;
  PosixFileSystem fs;
  auto lock = fs.lock(directory / ".lock");
  REQUIRE(lock.ok());
  CHECK(in_child([&] {
          { const PosixLock gone = *std::move(lock); }
          PosixFileSystem own;
          return fault(own.lock(directory / ".lock").status()) == Fault::locked ? 0 : 1;
        }) == 0);
  CHECK(fault(fs.lock(directory / ".lock").status()) == Fault::locked);
}

TEST_CASE("an executor of the parent's is dead in a child, and its end waits for nobody", "[env]") {
  auto env = PosixEnv::open();
  REQUIRE(env.ok());
  CHECK(in_child([&] {
          PosixExecutor& executor = (*env)->executor();
          executor.post([] {});
          const bool refused = executor.post_at(never, [] {}) == no_timer &&
                               fault(executor.spawn("x", [] {})) == Fault::forked &&
                               executor.run_once(std::chrono::seconds(1)) == 0;
          Doorbell bell;
          const bool ended = executor.stopping() && !executor.await(bell, never);
          env->reset();
          return refused && ended ? 0 : 1;
        }) == 0);
}

TEST_CASE("our lock and Java's exclude each other, and the holder is named", "[env]") {
  const TemporaryDirectory directory;
  const std::string path = directory / ".lock";
  PosixFileSystem fs;
  {
    const auto lock = fs.lock(path);
    REQUIRE(lock.ok());
    CHECK(in_child([&] { return lock_as_java(path) ? 1 : 0; }) == 0);
  }
  CHECK(in_child([&] { return lock_as_java(path) ? 0 : 1; }) == 0);

  int held[2];
  REQUIRE(::pipe2(held, O_CLOEXEC) == 0);
  const pid_t holder = ::fork();
  REQUIRE(holder >= 0);
  if (holder == 0) {
    const char answer = lock_as_java(path) ? 'y' : 'n';
    const bool told = ::write(held[1], &answer, 1) == 1;
    while (told) {
      ::pause();
    }
    ::_exit(1);
  }
  char answer = 0;
  REQUIRE(::read(held[0], &answer, 1) == 1);
  CHECK(answer == 'y');
  const absl::Status refused = fs.lock(path).status();
  ::kill(holder, SIGKILL);
  ::waitpid(holder, nullptr, 0);
  ::close(held[0]);
  ::close(held[1]);
  CHECK(fault(refused) == Fault::locked);
  CHECK(refused.message().find("process " + std::to_string(holder)) != std::string::npos);
  CHECK(fs.lock(path).ok());
}

TEST_CASE("a process killed at any call of a replacement leaves one content or the other",
          "[env]") {
  const TemporaryDirectory directory;
  const std::string path = directory / "checkpoint";
  const auto replace = [&](auto& fs, std::string_view text) {
    return replace_small_file(fs, path, as_bytes(text), Durability::durable, why);
  };
  int survived = 0;
  for (int kill_at = 0; survived == 0; ++kill_at) {
    PosixFileSystem fs;
    REQUIRE(replace(fs, "old").ok());
    survived = in_child([&] {
                 int calls = 0;
                 FaultFileSystem killing(PosixFileSystem(), [&](IoCall&) {
                   if (calls++ == kill_at) {
                     ::raise(SIGKILL);
                   }
                   return absl::OkStatus();
                 });
                 return replace(killing, "new").ok() ? 1 : 2;
               }) == 1;
    const auto content = read_small_file(fs, path, 100);
    REQUIRE(content.ok());
    CHECK((*content == "new" || (*content == "old" && survived == 0)));
    REQUIRE(kill_at < 100);
  }
}
