// SPDX-License-Identifier: Apache-2.0
//
// Templates of env instantiated with the least they may ask for. Compiling is the test; what runs
// shows that a model is more than an archetype in nothing that matters.
#include <ottla/env/any_file_system.hpp>
#include <ottla/env/fault_file_system.hpp>
#include <ottla/env/memory/memory_env.hpp>
#include <ottla/env/small_file.hpp>
#include <ottla/env/world.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/env_archetypes.hpp"

using namespace ottla;

// Instantiated, never called.
absl::Status use_archetypes(archetypes::FileSystem& fs, archetypes::File file,
                            archetypes::Random& random, archetypes::Env& env) {
  OTTLA_ASSIGN(const std::string text, read_small_file(fs, "a", 10));
  OTTLA_TRY(replace_small_file(fs, "a", as_bytes(text), Durability::durable, IoReason::other));
  AnyFile any(std::move(file));
  OTTLA_TRY(any.sync(IoReason::other));
  WorldOf<archetypes::Env> world(env);
  world.post([id = random_uuid(random)] { (void)id; });
  return absl::OkStatus();
}
template class ottla::FaultFile<archetypes::File>;

TEST_CASE("a world gives what its environment gives", "[env]") {
  MemoryEnv env({.seed = 7, .wall = Timestamp(1000)});
  MemoryEnv twin({.seed = 7, .wall = Timestamp(1000)});
  WorldOf<MemoryEnv> world(env);
  CHECK(world.steady_now() == env.clock().steady_now());
  CHECK(world.wall_now() == Timestamp(1000));
  CHECK(world.next_random() == twin.random().next());
  CHECK(world.process_generation() == process_generation());
  int ran = 0;
  world.post([&] { ++ran; });
  const TimerId timer =
      world.post_at(after(world.steady_now(), std::chrono::seconds(1)), [&] { ++ran; });
  CHECK(world.cancel(timer));
  Doorbell bell;
  CHECK_FALSE(world.await(bell, after(world.steady_now(), std::chrono::seconds(2))));
  CHECK(ran == 1);
  CHECK(world.wall_now() == Timestamp(3000));
}
