# shellcheck shell=bash
# options: --user root
# A device of a group, as graphics cards and InfiniBand are: only with keep-groups, and without that is said.
groupadd gpu
mkdir -p /dev/dri
mknod -m 660 /dev/dri/renderD128 c 1 5
chgrp gpu /dev/dri/renderD128
cp rl /usr/local/bin/rl
cp -r root /home/tester/root
cp -r root /home/nosub/root
chown -R tester: /home/tester/root
chown -R nosub: /home/nosub/root
as_tester() { runuser -u tester -- env -C /home/tester HOME=/home/tester USER=tester "$@"; }
# shellcheck disable=SC2016
try() { as_tester rl run --rm --network none "$@" --rootfs root /bin/sh -c 'head -c 3 /dev/dri/renderD128 | wc -c' 2>why; cat why >&2; }
[[ $(try --device /dev/dri/renderD128) == 0 ]] || fail "opened without the group"
grep -q 'renderD128: the container cannot open it: .* its group gpu: sudo usermod -aG gpu' why || fail "no word of the group"
usermod -aG gpu tester
[[ $(try --device /dev/dri/renderD128) == 0 ]] || fail "opened without keep-groups"
grep -q 'renderD128: the container cannot open it: .*--group-add keep-groups' why || fail "no word of keep-groups"
[[ $(try --device /dev/dri --group-add keep-groups) == 3 ]] || fail "not opened with keep-groups"
[[ ! -s why ]] || fail "a word too many"
[[ $(try --privileged=true --group-add keep-groups) == 3 ]] || fail "not in a privileged container"
# A user without subordinate ids keeps his groups anyhow.
usermod -aG gpu nosub
[[ $(runuser -u nosub -- env -C /home/nosub HOME=/home/nosub rl run --rm --network none --device /dev/dri --rootfs root /bin/sh -c 'head -c 3 /dev/dri/renderD128 | wc -c') == 3 ]] ||
  fail "not opened by a user with one id"
