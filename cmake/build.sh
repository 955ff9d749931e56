#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# build.sh [--quiet] [OPTION...]: cmake --build build OPTION..., and on standard error how far it
# is: a line that is written over on a terminal, else one each tenth. Standard output is ninja's;
# with --quiet only what went wrong.
set -eu
quiet=
[ "${1:-}" != --quiet ] || { quiet=1; shift; }
[ -n "$quiet" ] || [ ! -t 1 ] || exec cmake --build build "$@"  # ninja shows it itself

progress() {
  ready=${1#[} total=${1#*/}
  ready=${ready%%/*} total=${total%%]*}
  if [ -t 2 ]; then
    printf '\r%.79s\033[K' "$1" >&2
  elif [ $((ready * 10 / total)) != "$tenth" ]; then
    tenth=$((ready * 10 / total))
    echo "$1" >&2
  fi
}

clear() {
  [ ! -t 2 ] || printf '\r\033[K' >&2
}

{
  status=0
  NINJA_STATUS='[%f/%t] ' cmake --build build "$@" || status=$?
  echo "built: $status"
} | {
  tenth=
  while IFS= read -r line; do
    case $line in
      'built: '*)
        status=${line#built: }
        continue ;;
      *'Re-checking globbed'*)
        [ -z "$quiet" ] || continue ;;
      \[[0-9]*/[0-9]*\]\ *)
        progress "$line"
        [ -z "$quiet" ] || continue ;;
      'ninja: no work to do.' | 'ninja: Entering directory'*)
        [ -z "$quiet" ] || continue ;;
    esac
    clear
    printf '%s\n' "$line"
  done
  clear
  exit "$status"
}
