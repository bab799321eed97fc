# shellcheck shell=bash
# options: --variant no-overlay
# A kernel without overlay: our own serves containers through FUSE, and that is said once; copies serve as well.
works
./rl rm -fa
rm -rf ~/.local/share/rl
./rl run --rm --network none builtin echo hi 2>said >/dev/null
grep -q 'driver fuse-overlayfs.*the kernel has no overlay' said || fail "it is not said that files go through FUSE: $(cat said)"
./rl run --rm --network none builtin echo hi 2>said >/dev/null
[[ ! -s said ]] || fail "it is said twice"
refused 'overlay' ./rl --storage-driver overlay run --rm --network none builtin echo hi
[[ $(./rl info -f '{{.Store.GraphDriverName}}') == fuse-overlayfs ]] || fail "info names another driver"
copied
export STORAGE_DRIVER=vfs
copied
