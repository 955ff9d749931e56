#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Installs what is missing, builds into build/, and runs the main job: every line of the project's
# own headers through a topic, and back by a group that is restarted in the middle.
set -eu
cd "$(dirname "$0")/.."
sh cmake/install_packages.sh core

[ -f build/CMakeCache.txt ] || set -- -DOTTLA_BUILD_TESTS=OFF -DOTTLA_BUILD_BENCH=OFF
cmake -S . -B build -G Ninja -DOTTLA_BUILD_EXAMPLES=ON "$@" >/dev/null
echo "Building the library and the examples (some minutes the first time)"
sh cmake/build.sh --quiet --target examples

job=build/main-job
rm -rf "$job"
mkdir "$job"
headers=$(find include -name '*.?pp' | sort)
tab=$(printf '\t')

echo "producer: every line of our headers, keyed by its file, into a topic of 3 partitions"
for file in $headers; do
  sed "s|^|$file$tab|" "$file"
done | build/examples/producer --dir "$job/data" --topic headers --partitions 3 \
  --key-separator "$tab" --compression lz4

echo "01_main_job: two members of one group read them"
build/examples/01_main_job --dir "$job/data" --table "$job/lines"

echo "consumer: what the group has left to read, and all that the topic holds, counted by file"
left=$(build/examples/consumer --dir "$job/data" --topic headers --group readers --exit-at-end)
[ -z "$left" ] || { echo "error: the group had not read: $left" >&2; exit 1; }
echo "  0 lines are left to read"
build/examples/consumer --dir "$job/data" --topic headers --from-beginning --exit-at-end \
  --format '%k\n' >"$job/keys"

# Every file against wc: produced, consumed by the group, and printed by the consumer.
sort "$job/keys" | uniq -c >"$job/printed"
for file in $headers; do
  printf '%s %s\n' "$(wc -l <"$file")" "$file"
done | awk '
  FILENAME == ARGV[1] { produced[$3] = $1; consumed[$3] = $2; next }
  FILENAME == ARGV[2] { printed[$2] = $1; next }
  { total += $1; files++
    if (produced[$2] != $1 || consumed[$2] != $1 || printed[$2] != $1) {
      print "error: wc -l says " $1 " lines of " $2; wrong = 1 } }
  END { print "  " files " files, " total " lines by wc -l: the counts of each file are " \
              (wrong ? "not the same" : "the same")
        exit wrong }' "$job/lines" "$job/printed" -
echo "Each file: $job/lines (lines produced, lines consumed, file)"
