# shellcheck shell=bash disable=SC2154
# Images made from Debian packages, pushed to the registry as docker.io's would be. Sourced by testdata/test.

suite=bookworm

make_images() {
  mkdir -p "$work/bin" "$work/images"
  (cd "$src" && CGO_ENABLED=0 go build -o "$work/bin/" ./testdata/ci/push ./testdata/ci/count) || return
  chmod 755 "$work/bin" "$work"/bin/*
  busybox_layer && debian_layer && push_images
}

# A layer like alpine's: one static busybox and links to it, accounts, an os-release.
busybox_layer() {
  local root=$work/images/busybox.root name
  rm -rf "$root"
  mkdir -p "$root"/{bin,dev,etc,home,mnt,proc,root,run,sbin,sys,tmp,usr/bin,var/www} || return
  chmod 1777 "$root/tmp"
  cp /bin/busybox "$root/bin/busybox" || return
  for name in $(/bin/busybox --list); do
    [[ $name == busybox ]] || ln -s busybox "$root/bin/$name"
  done
  printf '%s\n' 'root:x:0:0:root:/root:/bin/sh' 'www:x:82:82:www:/var/www:/bin/sh' 'nobody:x:65534:65534:nobody:/:/bin/false' >"$root/etc/passwd"
  printf '%s\n' 'root:x:0:root' 'audio:x:18:www' 'www:x:82:www' 'nogroup:x:65534:' >"$root/etc/group"
  printf '%s\n' 'ID=alpine' 'PRETTY_NAME="Busybox as alpine"' >"$root/etc/os-release"
  echo one >"$root/var/www/index.html"
  # Something with another owner and a set-user-id bit: both must survive the unpacking.
  cp /bin/busybox "$root/usr/bin/suid-id" && chown 82:82 "$root/var/www" "$root/var/www/index.html" && chmod 4755 "$root/usr/bin/suid-id" || return
  make_tar "$root" "$work/images/busybox.tar"
  rm -rf "$root"
}

# A Debian root, kept between runs: it takes a minute to make.
debian_layer() {
  local tar=$work/images/debian-$suite.tar
  [[ ! -s $tar ]] || return 0
  mmdebstrap --quiet --format=tar --variant=minbase --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/doc/*' \
    "$suite" "$tar.new" "$(debian_mirror)" && mv "$tar.new" "$tar"
}

# The mirror which this machine's apt uses.
debian_mirror() {
  apt-get indextargets --format '$(REPO_URI) $(RELEASE)' 'Created-By: Packages' |
    awk -v suite="$suite" '$2 == suite && !found { print $1; found = 1 } END { if (!found) print "http://deb.debian.org/debian" }'
}

# make_tar DIR FILE: the same bytes for the same files.
make_tar() {
  tar --create --file="$2" --directory="$1" --sort=name --mtime=@0 --numeric-owner --format=pax \
    --pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime .
}

push_images() {
  local push=("$work/bin/push" -registry "$registry") tar=$work/images/busybox.tar
  "${push[@]}" -layer "$tar" -cmd sh library/alpine:latest library/busybox:latest library/alpine:3 &&
    "${push[@]}" -layer "$tar" -zstd -cmd sh library/alpine:zstd &&
    "${push[@]}" -layer "$tar" -index -cmd sh library/alpine:index &&
    "${push[@]}" -layer "$tar" -whiteouts -cmd sh library/alpine:whiteouts &&
    "${push[@]}" -layer "$tar" -entrypoint 'echo entry' -cmd 'from cmd' -env GREETING=hello -workdir /var/www -user www library/configured:latest &&
    "${push[@]}" -layer "$work/images/debian-$suite.tar" -cmd bash "library/debian:latest" "library/debian:$suite"
}
