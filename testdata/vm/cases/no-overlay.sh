# shellcheck shell=bash
# options: --variant no-overlay
# A kernel without overlay: containers are copies of their images, and that is said once.
works
./rl rm -fa
rm -rf ~/.local/share/rl
./rl run --rm --network none builtin echo hi 2>said >/dev/null
grep -q 'driver vfs.*the kernel has no overlay' said || fail "it is not said that images are copied"
./rl run --rm --network none builtin echo hi 2>said >/dev/null
[[ ! -s said ]] || fail "it is said twice"
refused 'overlay' ./rl --storage-driver overlay run --rm --network none builtin echo hi
[[ $(./rl info -f '{{.Store.GraphDriverName}}') == vfs ]] || fail "info names another driver"
copied
