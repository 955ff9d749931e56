// SPDX-License-Identifier: Apache-2.0
#include <cstddef>
#include <utility>

#include <ottla/base/buffer_pool.hpp>

#include "tests/support/catch.hpp"

using namespace ottla;

TEST_CASE("Blocks come back when nobody holds their bytes, and may outlive the pool") {
  constexpr std::size_t block_size = 4096;
  auto pool = make_ref<BufferPool>(block_size, 2 * block_size);
  Buffer first = pool->take();
  REQUIRE(first.capacity() == block_size);
  const std::byte* where = first.data();
  {
    const SharedBytes shared = std::move(first).share(10);
    const SharedBytes copy = shared.slice(2, 3);
    CHECK(pool->kept_bytes() == 0);
  }
  CHECK(pool->kept_bytes() == block_size);
  CHECK(pool->take().data() == where);
  SharedBytes last;
  {
    Buffer taken[3] = {pool->take(), pool->take(), pool->take()};
    last = std::move(taken[0]).share(5);
  }
  CHECK(pool->kept_bytes() == 2 * block_size);  // the third would be one too many
  pool = nullptr;
  CHECK(last.size() == 5);
}
