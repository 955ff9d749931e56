// SPDX-License-Identifier: Apache-2.0
//
// Includes everything, and says what it was built as. CMake compiles it once per set of flags; UNIT
// is the set's name.
#include "tests/headers/link_unit.hpp"

#include <all_headers.hpp>

#define TEXT_2(x) #x
#define TEXT(x) TEXT_2(x)
#define FUNCTION_2(unit) unit##_unit
#define FUNCTION(unit) FUNCTION_2(unit)

Unit FUNCTION(UNIT)();

Unit FUNCTION(UNIT)() {
#if OTTLA_CHECKED || defined(OTTLA_COMPILED)
  return {TEXT(OTTLA_ABI), OTTLA_CHECKED == 1, false};
#else
  // Were this the function of the unit that has OTTLA_CHECKED, the process would stop here.
  return {TEXT(OTTLA_ABI), false, !ottla::invariant(false)};
#endif
}
