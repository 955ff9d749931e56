// SPDX-License-Identifier: Apache-2.0
#include <string>
#include <vector>

#include <ottla/base/string_map.hpp>

#include "tests/support/catch.hpp"
#include "tests/support/replaced_new.hpp"

using ottla::StringMap;

TEST_CASE("a string map is searched by a view") {
  StringMap<int> map;
  map["orders"] = 1;
  CHECK(map.find(std::string_view("orders, and more").substr(0, 6)) != map.end());
  CHECK_FALSE(map.contains(std::string_view("bills")));
}

#ifdef OTTLA_TEST_SANITIZED

#include <cstdio>

TEST_CASE("a string map without memory: not under a sanitizer") {
  std::puts("SKIPPED: operator new is the sanitizer's");
}

#else

namespace {

/// Whether the failing allocation was reached.
bool insert_without_memory(int k, const std::vector<std::string>& keys) {
  StringMap<int> map;
  std::size_t inserted = 0;
  bool reached = false;
  {
    const test::FailingMemory failing(k);
    try {
      for (; inserted < keys.size(); ++inserted) map[keys[inserted]] = static_cast<int>(inserted);
    } catch (const std::bad_alloc&) {
    }
    reached = failing.reached();
  }
  for (std::size_t i = inserted; i < keys.size(); ++i) map[keys[i]] = static_cast<int>(i);
  CHECK(map.size() == keys.size());
  for (std::size_t i = 0; i < keys.size(); ++i) CHECK(map.at(keys[i]) == static_cast<int>(i));
  return reached;
}

}  // namespace

TEST_CASE("a string map is as before where an insertion found no memory, and goes on") {
  std::vector<std::string> keys;
  for (int i = 0; i < 100; ++i) keys.push_back(std::string(40, 'k') + std::to_string(i));
  int k = 0;
  while (insert_without_memory(k, keys)) ++k;
  CHECK(k > 200);
}

#endif
