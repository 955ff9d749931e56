// SPDX-License-Identifier: Apache-2.0
//
// Catch2, whichever of version 2 (one header) and version 3 (several) is installed. Tests use what
// both have. Assertions are not thread-safe: threads collect, the test's own thread asserts.
#pragma once

#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>
using Catch::Approx;
#else
#include <catch2/catch.hpp>
#endif
