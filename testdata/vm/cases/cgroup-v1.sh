# shellcheck shell=bash
# options: --variant cgroup-v1
works
