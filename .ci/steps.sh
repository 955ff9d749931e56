# SPDX-License-Identifier: Apache-2.0
#
# Steps with a heading, a time and a result each. Read by .ci/run and .ci/nightly.
failed=
report=

step() {
  local title=$1 start=$SECONDS result=ok
  shift
  printf '\n======== %s\n' "$title"
  # A subshell, so that the command stops at its first failure and no step changes the next one.
  if ! ("$@") </dev/null; then
    result=FAILED
    failed=yes
  fi
  report+=$(printf '%-8s %4d s  %s' "$result" $((SECONDS - start)) "$title")$'\n'
}

# The full golden data, where it lies beside the project.
golden_data() {
  if [ -z "${OTTLA_GOLDEN_DIR:-}" ] && [ -d ../shared/golden ]; then
    export OTTLA_GOLDEN_DIR=$PWD/../shared/golden
  fi
}

summary() {
  printf '\n======== summary\n%s' "$report"
  [ -z "$failed" ]
}
