// SPDX-License-Identifier: Apache-2.0
//
// SimEnv with the least that it asks of a file system. Compiling is the test.
#include <ottla/env/small_file.hpp>
#include <ottla/sim/sim_env.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/env_archetypes.hpp"

using namespace ottla;

namespace {

/// An archetype that can be copied, and nothing more.
class Handle {
 public:
  using File = archetypes::File;
  using Lock = archetypes::Lock;

  Handle() = delete;
  Handle(const Handle&) = default;

  absl::StatusOr<File> open(std::string_view, OpenMode, IoReason) { archetypes::never_run(); }
  absl::StatusOr<FileStatus> status(std::string_view) { archetypes::never_run(); }
  absl::StatusOr<std::vector<DirectoryEntry>> list(std::string_view) { archetypes::never_run(); }
  absl::Status create_directory(std::string_view, IoReason) { archetypes::never_run(); }
  absl::Status rename(std::string_view, std::string_view, IoReason) { archetypes::never_run(); }
  absl::Status remove(std::string_view, IoReason) { archetypes::never_run(); }
  absl::Status remove_directory(std::string_view, IoReason) { archetypes::never_run(); }
  absl::Status sync_directory(std::string_view, IoReason) { archetypes::never_run(); }
  absl::Status set_modified(std::string_view, Timestamp) { archetypes::never_run(); }
  absl::StatusOr<Lock> lock(std::string_view) { archetypes::never_run(); }
  absl::StatusOr<VolumeId> volume(std::string_view) { archetypes::never_run(); }
};
static_assert(Env<SimEnv<Handle>>);

template <class Fs>
concept Simulated = requires {
  typename SimEnv<Fs>;
};
static_assert(Simulated<Handle>);
static_assert(!Simulated<archetypes::FileSystem>);  // cannot be copied

}  // namespace

template class ottla::SimEnv<Handle>;

TEST_CASE("a simulated world asks of a file system no more than it says") {
  CHECK(sizeof(SimEnv<Handle>) > 0);
}
