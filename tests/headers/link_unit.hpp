// SPDX-License-Identifier: Apache-2.0
//
// What a unit of this test says about itself.
#pragma once

struct Unit {
  const char* abi;
  bool checked;
  bool survives_broken_invariant;
};
