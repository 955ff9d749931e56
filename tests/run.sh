#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Installs what is missing, builds into build/ and runs the tests; ends with CTest's summary.
# Tests that need a JDK or another build (labels interop, package) are run by .ci/run.
set -eu
cd "$(dirname "$0")/.."
sh cmake/install_packages.sh core test

if [ -z "${OTTLA_GOLDEN_DIR:-}" ] && [ -d ../shared/golden ]; then
  OTTLA_GOLDEN_DIR=$(cd ../shared/golden && pwd)
  export OTTLA_GOLDEN_DIR
fi
echo "Golden data: ${OTTLA_GOLDEN_DIR:-the small copy; tests that need all of it show as skipped}"

cmake -S . -B build -G Ninja -DOTTLA_BUILD_TESTS=ON -DOTTLA_CHECKED=ON -DOTTLA_WARNINGS_AS_ERRORS=ON
sh cmake/build.sh
ctest --test-dir build --output-on-failure --timeout 300 --parallel "$(nproc)" \
  --label-exclude 'interop|package'
