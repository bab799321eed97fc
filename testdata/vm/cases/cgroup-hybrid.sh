# shellcheck shell=bash
# options: --variant cgroup-hybrid
works
