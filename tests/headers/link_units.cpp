// SPDX-License-Identifier: Apache-2.0
#include <cstdio>
#include <cstring>

#include "tests/headers/link_unit.hpp"

Unit plain_unit();
Unit twin_unit();
Unit ndebug_unit();
Unit debug_unit();
Unit bare_unit();
Unit checked_unit();
Unit no_codecs_unit();
Unit compiled_unit();
Unit compiled_bare_unit();

static int failures = 0;

static void expect_same(bool same, const char* what, Unit a, Unit b) {
  if ((std::strcmp(a.abi, b.abi) == 0) == same) return;
  std::printf("%s: %s and %s should %s\n", what, a.abi, b.abi, same ? "be the same" : "differ");
  ++failures;
}

static void expect_unchecked(const char* what, Unit unit) {
  if (!unit.checked && unit.survives_broken_invariant) return;
  std::printf("%s: calls the functions of a unit with OTTLA_CHECKED\n", what);
  ++failures;
}

int main() {
  const Unit plain = plain_unit();
  expect_same(true, "twin", plain, twin_unit());
  expect_same(true, "NDEBUG", debug_unit(), ndebug_unit());
  expect_same(false, "without exceptions", plain, bare_unit());
  expect_same(false, "invariants that stop", plain, checked_unit());
  expect_same(false, "without codecs", plain, no_codecs_unit());
  expect_same(false, "compiled", plain, compiled_unit());
  expect_same(true, "compiled without exceptions", compiled_unit(), compiled_bare_unit());
  expect_unchecked("plain", plain);
  expect_unchecked("without exceptions", bare_unit());
  expect_unchecked("without codecs", no_codecs_unit());
  return failures == 0 ? 0 : 1;
}
