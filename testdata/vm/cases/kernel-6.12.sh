# shellcheck shell=bash
# options: --kernel 6.12
# A newer kernel.
works
