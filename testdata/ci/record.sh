# shellcheck shell=bash disable=SC2154
# Results: one line each in $results: PASS, FAIL or SKIP, a tab, the name, a tab, the reason. Sourced by testdata/test.

begin() {
  mkdir -p "$work/log"
  chmod 755 "$work"
  exec {lock}>"$work/lock"
  flock -n "$lock" || { echo "testdata/test: another run uses $work" >&2; exit 2; }
  rm -f "$work"/log/*
  : >"$results"
}

heading() { printf '== %s\n' "$*"; }
pass() { printf 'PASS\t%s\t\n' "$1" >>"$results"; }
skip() { printf 'SKIP\t%s\t%s\n' "$1" "$2" >>"$results"; }
fail() {
  printf 'FAIL\t%s\t%s\n' "$1" "$2" >>"$results"
  printf 'FAIL %s: %s\n' "$1" "$2"
}

# check NAME COMMAND...: one test; its output is shown only when it fails.
check() {
  local name=$1 log
  log=$work/log/${name//\//_}
  shift
  if "$@" >"$log" 2>&1 {lock}>&-; then
    pass "$name"
  else
    fail "$name" "status $?"
    tail -n 40 "$log" | sed 's/^/    /'
  fi
}

# setup NAME COMMAND...: a step that all later ones need; its failure ends the run. It runs in this shell, to keep its variables.
setup() {
  local name=setup/$1
  shift
  heading "$name"
  if ! "$@" >"$work/log/${name//\//_}" 2>&1; then
    fail "$name" "see below"
    tail -n 40 "$work/log/${name//\//_}" | sed 's/^/    /'
    summary
  fi
}

# The list of skips that are known: name, tab, reason. The name may end in * .
known_skip() {
  local name reason
  while IFS=$'\t' read -r name reason; do
    [[ $name && $name != '#'* && $reason ]] || continue
    # shellcheck disable=SC2053  # a pattern on purpose
    if [[ $1 == $name ]]; then return 0; fi
  done <"$src/testdata/skips"
  return 1
}

# summary: counts everything, turns unknown skips into failures, and ends the run.
summary() {
  local kind name reason passed=0 failed=0 skipped=0
  heading summary
  while IFS=$'\t' read -r kind name reason; do
    case $kind in
      PASS) passed=$((passed + 1)) ;;
      FAIL) failed=$((failed + 1)); printf 'failed: %s: %s\n' "$name" "$reason" ;;
      SKIP)
        if known_skip "$name"; then
          skipped=$((skipped + 1))
          printf 'skipped: %s: %s\n' "$name" "$reason"
        else
          failed=$((failed + 1))
          printf 'failed: %s: skipped, but not listed in testdata/skips: %s\n' "$name" "$reason"
        fi
        ;;
    esac
  done <"$results"
  # Nothing at all passed is no success.
  ((passed > 0)) || failed=$((failed + 1))
  ((skipped == 0)) || echo "$skipped skipped, each listed in testdata/skips"
  finished="$passed passed, $failed failed"
  if ((failed > 0)); then exit 1; fi
  exit 0
}

# leave STATUS: stops what we started; the count is the very last line, also after an unforeseen end.
leave() {
  [[ $keep ]] || stop_registry
  [[ $keep ]] || clean_world
  if [[ -z ${finished-} ]]; then
    finished="$(grep -c '^PASS' "$results" || true) passed, $(($(grep -c '^FAIL' "$results" || true) + 1)) failed"
    echo "testdata/test: ended before its end, status $1"
  fi
  echo "$finished"
}
