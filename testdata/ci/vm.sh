# shellcheck shell=bash disable=SC2154
# The stage in a virtual machine. Sourced by testdata/test.

stage_vm() { skip vm "not built yet"; }
