# shellcheck shell=bash
# options: --scope
# In a delegated scope, cgroup v2.
works
