# shellcheck shell=bash disable=SC2154
# The stages but for the virtual machine. Sourced by testdata/test.

staticcheck=honnef.co/go/tools/cmd/staticcheck@v0.8.2
govulncheck=golang.org/x/vuln/cmd/govulncheck@v1.9.0
# This driver of containers/storage needs cgo's headers even when it is not used.
tags=exclude_graphdriver_btrfs

# --- build

build_for() { CGO_ENABLED=0 GOOS=linux GOARCH=$1 go build -trimpath -tags "$tags" -o "$work/bin/rl-$1" .; }

# is_static ARCH-AS-FILE-SAYS-IT FILE: no interpreter, no dynamic section, nothing of this machine's paths.
is_static() {
  file -b "$2" && file -b "$2" | grep -q "$1.*statically linked" || return
  ! readelf -lW "$2" | grep -E 'INTERP|DYNAMIC' || return
  ! grep -aqF "$src/" "$2"
}

stage_build() {
  check build/amd64 build_for amd64
  check build/arm64 build_for arm64
  check build/amd64-static is_static x86-64 "$work/bin/rl-amd64"
  check build/arm64-static is_static aarch64 "$work/bin/rl-arm64"
  check build/version says_version "$work/bin/rl-$(go env GOARCH)"
}

says_version() { "$1" version | grep '[0-9a-z]'; }

# have_rl: later stages need the binary, also with --only.
have_rl() {
  local arch
  arch=$(go env GOARCH)
  [[ " ${only//,/ } " == *" build "* ]] || check build/"$arch" build_for "$arch"
  [[ -x $work/bin/rl-$arch ]] && ln -sf "rl-$arch" "$work/bin/rl"
}

# --- lint

no_output() { local out; out=$("$@" 2>&1) || { echo "$out"; return 1; }; [[ -z $out ]] || { echo "$out"; return 1; }; }

# all_packages: patterns with ... leave out everything below a directory testdata.
all_packages() { go list -tags "$tags" ./... && find testdata -name '*.go' -printf './%h\n' | sort -u; }

# Each tool is built outside the module, so that its needs never enter go.mod.
install_tool() { (cd / && GOFLAGS=-mod=mod GOBIN=$work/bin go install "$1"); }

stage_lint() {
  check lint/gofmt no_output gofmt -l .
  local packages
  mapfile -t packages < <(all_packages)
  check lint/vet go vet -tags "$tags" "${packages[@]}"
  check lint/vet-arm64 env GOARCH=arm64 go vet -tags "$tags" "${packages[@]}"
  check lint/staticcheck lint_with_staticcheck "${packages[@]}"
  lint_vulnerabilities
}

lint_with_staticcheck() { install_tool "$staticcheck" && "$work/bin/staticcheck" -tags "$tags" "$@"; }

# The database is on the network: where it cannot be reached nothing was found out, and the skip says so.
lint_vulnerabilities() {
  local log=$work/log/lint_govulncheck status=0
  { install_tool "$govulncheck" && "$work/bin/govulncheck" -tags "$tags" ./...; } >"$log" 2>&1 || status=$?
  if ((status == 0)); then
    pass lint/govulncheck
  elif grep -qE 'vuln\.go\.dev.*(dial|lookup|timeout|connect|unexpected status|Forbidden|EOF)|fetching vulnerabilities' "$log"; then
    skip lint/govulncheck "the database cannot be reached: $(grep -m1 -E 'vuln\.go\.dev|fetching' "$log" | tr '\t' ' ')"
  else
    fail lint/govulncheck "status $status"
    tail -n 40 "$log"
  fi
}

# --- unit

# count NAME COMMAND...: counts the tests of a command that prints test2json's events. A failing command without a failed test fails as NAME.
count() {
  local name=$1 before status=0
  shift
  before=$(grep -c '^FAIL' "$results" || true)
  "$@" 2>"$work/log/$name.err" {lock}>&- | "$work/bin/count" -o "$results" -prefix "$name/" || status=$?
  if ((status != 0)) && (($(grep -c '^FAIL' "$results") == before)); then
    fail "$name" "status $status: $(tail -n 3 "$work/log/$name.err" | tr '\n\t' '  ')"
  fi
}

# The scripts need a registry and users: a stage of their own. `go test` needs cgo for -race alone; what ships is built without.
# -count=1: a result from before a package was installed or a kernel changed is none.
stage_unit() {
  count unit env CGO_ENABLED=1 go test -race -count=1 -timeout 20m -tags "$tags" -skip '^(TestScripts|TestTerminal)$' -json ./...
}

# --- fuzz

# fuzz_targets: package and target, one pair a line.
fuzz_targets() {
  local package
  go list -tags "$tags" ./... | while read -r package; do
    go test -tags "$tags" -list '^Fuzz' "$package" 2>/dev/null | grep '^Fuzz' | sed "s|^|$package |" || true
  done
}

# Minimising is bounded by tries: its own limit is a minute for each new input, longer than the whole run, which would then try
# nothing else, and fail when its time ends in the middle of one. Files go to memory where they can: a thousand tries a second, not ten.
fuzz() {
  local dir status try log=$work/log/fuzz.out
  dir=$(mktemp -d -p /dev/shm 2>/dev/null || mktemp -d) || return
  for try in 1 2 3; do
    status=0
    TMPDIR=$dir go test -tags "$tags" -run '^$' -fuzz "^$2\$" -fuzztime "$fuzz_time" -fuzzminimizetime 10x -timeout 10m "$1" >"$log" 2>&1 || status=$?
    cat "$log"
    if ((status == 0)) || ! end_missed "$log"; then break; fi
  done
  rm -rf "$dir"
  return "$status"
}

# end_missed LOG: nothing was found, but go test took the end of the time for a failure, as it may on a busy machine
# (https://go.dev/issue/75804). Then nothing is known of the target, and it is tried again.
end_missed() { grep -qx ' *context deadline exceeded' "$1" && ! grep -qE 'Failing input|panic:|hung or terminated' "$1"; }

stage_fuzz() {
  local package target targets
  targets=$(fuzz_targets)
  while read -r package target; do
    [[ ! $target ]] || check "fuzz/${package##*/}.$target" fuzz "$package" "$target"
  done <<<"$targets"
  # The five that the project promises; a renamed one must not drop out silently.
  for target in unpack reference subuid registries compile; do
    check "fuzz/has-$target" grep -qiE "Fuzz[a-z]*${target/subuid/subu?id}" <<<"$targets"
  done
}

# --- script

# The test binary runs as each user from a place that all can read, against the binary that ships.
stage_script() {
  have_rl || { fail script "no binary"; return; }
  check script/compile go test -c -tags "$tags" -o "$work/bin/rl.test" .
  check script/test2json go build -o "$work/bin/" cmd/test2json
  [[ -x $work/bin/rl.test && -x $work/bin/test2json ]] || return 0
  rm -rf "$work/script"
  cp -r "$src/testdata/script" "$work/script"
  chmod -R a+rX "$work/script" "$work/bin"
  local user
  for user in "$sub_user" "$plain_user" root; do
    heading "script as $user"
    count "script-$user" scripts_as "$user"
  done
}

scripts_as() {
  local lives=$soak
  [[ $1 == "$sub_user" ]] || lives=$((soak / 8)) # one soak in full is worth its minutes
  (cd "$fs/$1" && as "$1" RLTEST_RL="$work/bin/rl" RLTEST_REGISTRY="$registry" RLTEST_SCRIPTS="$work/script" RLTEST_SOAK="$lives" RLTEST_PAIRS="$pairs" RLTEST_CRASH="$crash" \
    "$work/bin/rl.test" -test.v=test2json -test.timeout 20m -test.parallel 4 -test.run '^(TestScripts|TestTerminal)$') 2>&1 |
    "$work/bin/test2json" -t -p "$1"
}
