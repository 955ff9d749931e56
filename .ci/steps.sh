# SPDX-License-Identifier: Apache-2.0
#
# Steps with a heading, a time and a result each. Read by .ci/run and .ci/nightly.
failed=
report=
step_log=$(mktemp)
failures=$(mktemp)
trap 'rm -f "$step_log" "$failures"' EXIT

step() {
  local title=$1 start=$SECONDS result=ok
  shift
  printf '\n======== %s\n' "$title"
  # A subshell, so that the command stops at its first failure and no step changes the next one.
  ("$@") </dev/null 2>&1 | tee "$step_log"
  if [ "${PIPESTATUS[0]}" -ne 0 ]; then
    result=FAILED
    failed=yes
    keep_failure "$title"
  fi
  report+=$(printf '%-8s %4d s  %s' "$result" $((SECONDS - start)) "$title")$'\n'
}

# What a reader of the last lines has to see of a failed step: a long log may be cut at its front.
keep_failure() {
  {
    printf '\n======== failed: %s\n' "$1"
    grep -E 'FAILED|\*\*\*|ERROR: |runtime error|SUMMARY: |error:' "$step_log" |
      cut -c 1-300 | tail -n 30
    printf -- '-------- its last lines\n'
    tail -n 20 "$step_log" | cut -c 1-300
  } >>"$failures"
}

# The full golden data, where it lies beside the project.
golden_data() {
  if [ -z "${OTTLA_GOLDEN_DIR:-}" ] && [ -d ../shared/golden ]; then
    export OTTLA_GOLDEN_DIR=$PWD/../shared/golden
  fi
}

summary() {
  cat "$failures"
  printf '\n======== summary\n%s' "$report"
  [ -z "$failed" ]
}
