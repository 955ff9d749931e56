// SPDX-License-Identifier: Apache-2.0
//
// Files as a simulated process sees them: locks that end with it, calls that are refused when it is
// dead, and a hook that sees each as one step.
#include <string>
#include <vector>

#include <ottla/base/status.hpp>
#include <ottla/env/memory/file_system.hpp>
#include <ottla/env/small_file.hpp>
#include <ottla/sim/sim_env.hpp>

#include "tests/support/catch.hpp"

using namespace ottla;
using namespace std::chrono_literals;

namespace {

using Machine = SimEnv<MemoryFileSystem>;

}  // namespace

TEST_CASE("a lock of a dead process is free, of a living one it is not") {
  for (const bool crashes : {false, true}) {
    SimScheduler world;
    MemoryFileSystem files;
    REQUIRE(files.create_directory("/d", IoReason::other).ok());
    Machine first(world, files);
    Machine second(world, files);
    std::vector<Fault> answers;
    world.start(first.process(), "holder", [&] {
      const auto lock = first.file_system().lock("/d/.lock");
      REQUIRE(lock.ok());
      first.executor().await(*make_ref<Doorbell>(), never);
    });
    world.start(second.process(), "other", [&] {
      world.await_time(after(world.now(), 1s));
      answers.push_back(fault(second.file_system().lock("/d/.lock").status()));
      crashes ? first.crash() : first.fail();
      for (int i = 0; i < 2; ++i) {  // given back by its own destructor, too
        answers.push_back(fault(second.file_system().lock("/d/.lock").status()));
      }
    });
    REQUIRE(world.run().ok());
    CHECK(answers == std::vector<Fault>{Fault::locked, Fault::none, Fault::none});
  }
}

TEST_CASE("every call of a dead process is refused, and changes nothing") {
  SimScheduler world;
  MemoryFileSystem files;
  Machine env(world, files);
  std::vector<absl::Status> answers;
  world.start(env.process(), "zombie", [&] {
    AnyFileSystem& fs = env.file_system();
    auto file = fs.open("/f", OpenMode::create, IoReason::other);
    REQUIRE(file.ok());
    env.fail();
    const Bytes piece = as_bytes(std::string_view("late"));
    std::byte into[4];
    answers = {file->write(0, {&piece, 1}, IoReason::append),
               file->read(0, into).status(),
               file->sync(IoReason::flush),
               file->truncate(9, IoReason::other),
               file->reserve(9, IoReason::other),
               file->size().status(),
               fs.rename("/f", "/g", IoReason::other),
               fs.remove("/f", IoReason::other),
               fs.create_directory("/d", IoReason::other),
               fs.remove_directory("/", IoReason::other),
               fs.sync_directory("/", IoReason::other),
               fs.set_modified("/f", Timestamp(1)),
               fs.list("/").status(),
               fs.status("/f").status(),
               fs.lock("/f").status(),
               fs.volume("/").status(),
               fs.open("/h", OpenMode::create, IoReason::other).status(),
               file->close()};
  });
  REQUIRE(world.run().ok());
  REQUIRE(answers.size() == 18);
  for (const absl::Status& answer : answers) {
    CHECK(fault(answer) == Fault::closed);
    CHECK(outcome(answer) == Outcome::not_written);
  }
  CHECK(files.list("/")->size() == 1);
  CHECK(files.status("/f")->size == 0);
}

TEST_CASE("a hook sees each call before and after, and nobody runs between") {
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    SimScheduler world({.seed = seed, .schedule = Schedule::uniform});
    int under_way = 0;
    int most = 0;
    std::string torn;
    Machine env(world, MemoryFileSystem(), {.on_io = [&](IoCall& call) {
                  under_way += call.done ? -1 : 1;
                  most = std::max(most, under_way);
                  if (!call.done && call.operation == IoOperation::write && call.path == "/1") {
                    --under_way;
                    call.torn_at = 2;
                    return error(Fault::io, "torn", Outcome::unknown);
                  }
                  return absl::OkStatus();
                }});
    for (int actor = 0; actor < 3; ++actor) {
      world.start(env.process(), "writer", [&, actor] {
        const std::string path = "/" + std::to_string(actor);
        auto file = env.file_system().open(path, OpenMode::create, IoReason::other);
        REQUIRE(file.ok());
        const Bytes piece = as_bytes(std::string_view("text"));
        CHECK(file->write(0, {&piece, 1}, IoReason::append).ok() == (actor != 1));
        if (actor == 1) {
          torn = read_small_file(env.file_system(), path, 10).value_or("none");
        }
      });
    }
    REQUIRE(world.run().ok());
    REQUIRE(most == 1);
    REQUIRE(under_way == 0);
    REQUIRE(torn == "te");
  }
}

TEST_CASE("file calls are in the trace: their paths, places and sizes") {
  const auto trace_of = [](const std::string& path, std::int64_t position, std::string_view text) {
    SimScheduler world;
    Machine env(world, MemoryFileSystem());
    CHECK(world
              .run(env.process(),
                   [&] {
                     auto file = env.file_system().open(path, OpenMode::create, IoReason::other);
                     const Bytes piece = as_bytes(text);
                     CHECK(file->write(position, {&piece, 1}, IoReason::append).ok());
                   })
              .ok());
    return world.trace_hash();
  };
  CHECK(trace_of("/f", 0, "a") == trace_of("/f", 0, "b"));
  CHECK(trace_of("/f", 0, "a") != trace_of("/g", 0, "a"));
  CHECK(trace_of("/f", 0, "a") != trace_of("/f", 1, "a"));
  CHECK(trace_of("/f", 0, "a") != trace_of("/f", 0, "ab"));
}
