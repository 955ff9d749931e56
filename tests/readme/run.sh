#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Runs a program of the README ($1) in an empty folder and compares its output with a file ($2).
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
"$1" >printed
cmp printed "$2" || { echo "it printed:"; cat printed; exit 1; }
