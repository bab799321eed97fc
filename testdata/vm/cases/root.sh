# shellcheck shell=bash
# options: --user root
# Host root: the same.
works
