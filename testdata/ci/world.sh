# shellcheck shell=bash disable=SC2154
# Users, devices and the directories that hold the tests' files. Sourced by testdata/test.

sub_user=rltest    # has subordinate ids
plain_user=rlplain # has none: one id mapped
fs=$work/fs        # what the users and the registry write

make_users() {
  id "$sub_user" >/dev/null 2>&1 || useradd --create-home --shell /bin/bash "$sub_user" || return
  id "$plain_user" >/dev/null 2>&1 || useradd --create-home --shell /bin/bash "$plain_user" || return
  touch /etc/subuid /etc/subgid
  # useradd gives ranges to everyone where login.defs says so.
  sed -i "/^$plain_user:/d" /etc/subuid /etc/subgid
  give_range /etc/subuid && give_range /etc/subgid && make_disk
}

# give_range FILE: 65536 ids that nobody has, past all ranges in the file.
give_range() {
  grep -q "^$sub_user:[0-9]*:65536$" "$1" && return
  local start
  start=$(awk -F: '{ end = $2 + $3 } end > max { max = end } END { print max < 100000 ? 100000 : max }' "$1")
  echo "$sub_user:$start:65536" >>"$1"
}

# The kernel's overlay cannot have its upper directory on another overlay, as inside most containers.
make_disk() {
  mkdir -p "$fs" || return
  if [[ $(stat -f -c %T "$fs") == overlayfs ]]; then
    [[ -e $fs.img ]] || { truncate -s 8G "$fs.img.new" && mkfs.ext4 -q "$fs.img.new" && mv "$fs.img.new" "$fs.img"; } || return
    mount -o loop,noatime "$fs.img" "$fs" || return
  fi
  empty_world
  local user
  for user in "$sub_user" "$plain_user" root; do
    install -d -m 711 -o "$user" "$fs/$user" "$fs/$user/tmp" || return
  done
}

# What a run leaves belongs to subordinate ids too, hence root removes it.
empty_world() {
  local user
  for user in "$sub_user" "$plain_user" root; do
    rm -rf --one-file-system "${fs:?}/$user"
  done
}

clean_world() {
  [[ -d $fs ]] || return 0
  empty_world
  ! mountpoint -q "$fs" || umount "$fs"
}

# As udev does on every normal machine.
open_devices() {
  if [[ ! -e /dev/net/tun ]]; then
    mkdir -p /dev/net && mknod /dev/net/tun c 10 200 || return
  fi
  [[ -e /dev/fuse ]] || mknod /dev/fuse c 10 229 || return
  chmod 666 /dev/net/tun /dev/fuse
}

# As systemd sets it everywhere: ping without privilege.
allow_ping() { sysctl -q -w net.ipv4.ping_group_range='0 2147483647'; }

# as USER COMMAND...: with a clean environment and the user's own directories; nothing of root's session is inherited.
as() {
  local user=$1 id
  shift
  id=$(id -u "$user")
  setpriv --reuid="$id" --regid="$(id -g "$user")" --init-groups --inh-caps=-all \
    env -i HOME="$fs/$user" USER="$user" LOGNAME="$user" SHELL=/bin/bash LANG=C.UTF-8 TMPDIR="$fs/$user/tmp" \
    PATH="/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin" "$@" {lock}>&-
}
