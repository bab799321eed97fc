# shellcheck shell=bash disable=SC2154
# The stage in a virtual machine: testdata/vm/cases, each in a machine freshly booted. Sourced by testdata/test.

stage_vm() {
  have_rl || { fail vm "no binary"; return; }
  check vm/build "$src/testdata/vm/build" --if-needed "$work/vm"
  if [[ ! -e $work/vm/STAMP ]]; then
    fail vm "there is no virtual machine: see vm/build"
    return
  fi
  local case
  for case in "$src"/testdata/vm/cases/*.sh; do
    check "vm/$(basename "$case" .sh)" vm_case "$case"
  done
}

# vm_case FILE: its second line has the options for the machine.
vm_case() {
  local options script=$work/vm-case
  read -ra options < <(sed -n 's/^# options: //p' "$1")
  cat "$src/testdata/vm/cases/prelude" "$1" >"$script"
  cp -L "$work/bin/rl" "$work/vm-rl" && mkdir -p "$work/vm-files" && mv "$work/vm-rl" "$work/vm-files/rl" && mv "$script" "$work/vm-files/case" || return
  "$src/testdata/vm/run" --cache "$work/vm" --timeout 240 "${options[@]}" \
    --copy "$work/vm-files/rl" --copy "$work/vm-files/case" -- bash ./case
}
