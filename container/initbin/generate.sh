#!/bin/sh
# Builds the committed programs: needs gcc and gcc-aarch64-linux-gnu.
set -eu
cd "$(dirname "$0")/.."
build() {
	"$1" -Os -static -nostdlib -nostartfiles -ffreestanding -fno-stack-protector -fno-tree-loop-distribute-patterns -fno-asynchronous-unwind-tables -fno-pic -no-pie \
		-Wall -Werror -Wl,--build-id=none -Wl,-z,noexecstack -Wl,-z,norelro -Wl,-n -s -o "$3" "$2"
}
for part in initbin/init initbin/pause guard/guard waiter/waiter; do
	build gcc "${part%/*}/src/${part#*/}.c" "${part}_amd64.elf"
	build aarch64-linux-gnu-gcc "${part%/*}/src/${part#*/}.c" "${part}_arm64.elf"
done
