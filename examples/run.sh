#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Installs what is missing, builds the library and its examples into build/ and runs the numbered
# ones in order.
set -eu
cd "$(dirname "$0")/.."
sh cmake/install_packages.sh core

[ -f build/CMakeCache.txt ] || set -- -DOTTLA_BUILD_TESTS=OFF -DOTTLA_BUILD_BENCH=OFF
cmake -S . -B build -G Ninja -DOTTLA_BUILD_EXAMPLES=ON "$@" >/dev/null
echo "Building the library and the examples"
cmake --build build --target examples -- --quiet

for example in build/examples/[0-9][0-9]_*; do
  [ -x "$example" ] || { echo "error: no examples were built" >&2; exit 1; }
  printf '\n== %s\n' "$(basename "$example")"
  "$example"
done
