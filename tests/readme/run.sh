#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Runs the README's program ($1) in an empty folder and compares its output with three lines.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
"$1" >printed
printf '0@0 bob\n1@0 cyd\n2@0 ada\n' >expected
cmp printed expected || { echo "it printed:"; cat printed; exit 1; }
