#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# install_packages.sh SECTION...
#
# Installs what is missing of these sections of packages.txt. Touches no network when nothing is.
set -eu
list=$(dirname "$0")/packages.txt

wanted=
for section in "$@"; do
  packages=$(sed -n "/^\[$section\]/,/^\[/{/^[a-z]/s/ .*//p;}" "$list")
  [ -n "$packages" ] || { echo "error: $list has no section [$section]" >&2; exit 2; }
  wanted="$wanted $packages"
done
# shellcheck disable=SC2086
set -- $wanted

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
  echo "warning: no apt here; make sure that these, by Debian's names, are installed: $*" >&2
  exit 0
fi

missing=
for package in "$@"; do
  case $(dpkg-query -W -f='${Status}' "$package" 2>/dev/null || true) in
    *' installed') ;;
    *) missing="$missing $package" ;;
  esac
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" = 0 ]; then
  root=
elif command -v sudo >/dev/null; then
  root=sudo
else
  echo "error: some packages are missing, and this is neither root nor is there sudo. As root:" >&2
  echo "  apt-get install$missing" >&2
  exit 1
fi

echo "Installing$missing"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# shellcheck disable=SC2086
install() {
  $root apt-get -qq update &&
    $root env DEBIAN_FRONTEND=noninteractive \
      apt-get -qq -y --no-install-recommends install $missing
}
if ! install >"$log" 2>&1; then
  tail -n 20 "$log" >&2
  echo "error: apt-get failed, see above. Try: apt-get update && apt-get install$missing" >&2
  exit 1
fi
