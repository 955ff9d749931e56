// SPDX-License-Identifier: Apache-2.0
//
// A segment asks of a file no more than the concept says: compiled for the least one.
#include <ottla/segment/segment_files.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/env_archetypes.hpp"

template class ottla::BasicSegment<archetypes::File>;

namespace {
using Fs = archetypes::FileSystem;
[[maybe_unused]] auto* const create = &ottla::create_segment<Fs>;
[[maybe_unused]] auto* const open = &ottla::open_segment<Fs>;
[[maybe_unused]] auto* const rename_away = &ottla::rename_to_deleted<Fs>;
[[maybe_unused]] auto* const remove_it = &ottla::remove_deleted<Fs>;
}  // namespace

TEST_CASE("an idle segment is small", "[segment]") { CHECK(sizeof(ottla::Segment) <= 512); }
