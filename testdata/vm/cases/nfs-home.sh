# shellcheck shell=bash
# options: --variant nfs-home
# Home directories on NFS, with no overlay and no attributes: containers are copies of their images.
./rl run --rm --network none builtin echo hi >rl.out
grep -qx hi rl.out || fail "the built-in image does not run"
[[ $(./rl info -f '{{.Store.GraphDriverName}}') == vfs ]] || fail "info names another driver"
copied
