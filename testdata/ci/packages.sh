# shellcheck shell=bash disable=SC2154
# The Debian packages that the tests need. Sourced by testdata/test.

# What it is for: id maps; images and a peer that reads them; the registry; the seccomp compiler's reference and helpers in C and assembly; the network; the VM.
packages=(
  uidmap util-linux passwd procps file ca-certificates
  busybox-static mmdebstrap podman docker-registry
  gcc libc6-dev binutils libseccomp-dev python3
  iperf3 iproute2 fuse3 attr strace
  e2fsprogs qemu-system-x86
  openssl xz-utils bzip2
)

have_package() { dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null | grep -qx installed; }

install_packages() {
  local missing=() package
  for package in "${packages[@]}"; do
    have_package "$package" || missing+=("$package")
  done
  ((${#missing[@]})) || return 0
  # Services of packages (the registry's above all) must not start: the tests run their own.
  # A policy of the machine's own stays.
  local policy=/usr/sbin/policy-rc.d ours=''
  if [[ ! -e $policy ]]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod +x "$policy"
    ours=1
  fi
  apt-get -q update &&
    DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends "${missing[@]}"
  local status=$?
  [[ ! $ours ]] || rm -f "$policy"
  return $status
}
