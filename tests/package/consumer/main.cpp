// SPDX-License-Identifier: Apache-2.0
#include <cstdio>

#include <ottla/base/base.hpp>

int other();
#ifdef CONSUMER_HAS_EVERYTHING
int everything();
#else
static int everything() { return 0; }
#endif

int main() {
  const bool same = ottla::name(ottla::ErrorCode::corrupt_message) == "CORRUPT_MESSAGE";
  std::printf("ottla %s\n", OTTLA_VERSION);
  return same && other() == 2 ? everything() : 1;
}
