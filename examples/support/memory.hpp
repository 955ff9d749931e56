// SPDX-License-Identifier: Apache-2.0
//
// A program that ends with a message where memory cannot be had.
#pragma once

#include <cstdlib>
#include <new>

#include "output.hpp"

namespace console {

/// What `work` answers, or the exit code of a failure.
template <class Work>
int run(Work work, int argc, char** argv) {
  try {
    return work(argc, argv);
  } catch (const std::bad_alloc&) {
    complain("no memory is left; give it more (ulimit -v), or fewer partitions");
    return EXIT_FAILURE;
  }
}

}  // namespace console
