#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# fetch_tools.sh DIRECTORY
#
# Brings the jars of pom.xml into DIRECTORY/libs, once, and compiles the classes of this folder
# against them into DIRECTORY/classes. DIRECTORY/ready is there when they can be used.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
cd "$1"
rm -f ready

for program in java javac mvn; do
  if ! command -v "$program" >/dev/null; then
    echo "SKIPPED: no $program here: sh cmake/install_packages.sh interop"
    exit 0
  fi
done

if ! cmp -s "$here/pom.xml" libs/pom.xml; then
  rm -rf libs
  cp "$here/pom.xml" pom.xml
  mvn -q -B -Dstyle.color=never \
    org.apache.maven.plugins:maven-dependency-plugin:2.8:copy-dependencies -DoutputDirectory=libs
  mv pom.xml libs/pom.xml
fi
rm -rf classes
javac -d classes -cp 'libs/*' "$here"/*.java
touch ready
