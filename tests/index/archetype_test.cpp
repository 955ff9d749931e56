// SPDX-License-Identifier: Apache-2.0
//
// The indexes ask of a file no more than the concept says: compiled for the least one.
#include <ottla/index/offset_index.hpp>
#include <ottla/index/time_index.hpp>
#include <ottla/index/transaction_index.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/env_archetypes.hpp"

template class ottla::BasicOffsetIndex<archetypes::File>;
template class ottla::BasicTimeIndex<archetypes::File>;
template class ottla::BasicTransactionIndex<archetypes::File>;

TEST_CASE("an idle index is small", "[index]") {
  CHECK(sizeof(ottla::OffsetIndex) <= 136);
  CHECK(sizeof(ottla::TimeIndex) <= 136);
}
