# shellcheck shell=bash
# options: --user root
# Quadlet's files by generators, which root links: for the system, and for a user.
install -m 755 rl /usr/local/bin/rl
mkdir -p /etc/systemd/{system,user}-generators /etc/containers/systemd/users
ln -s /usr/local/bin/rl /etc/systemd/system-generators/rl-system-generator
ln -s /usr/local/bin/rl /etc/systemd/user-generators/rl-user-generator
printf '[Container]\nImage=builtin\nExec=sleep 1000\nNetwork=none\nStopTimeout=1\n' | tee /etc/containers/systemd/sys.container >/etc/containers/systemd/users/own.container
systemctl daemon-reload
systemctl start sys.service || { journalctl -n 30 --no-pager >&2; fail "sys.service does not start"; }
[[ $(rl ps --format '{{.Names}}') == systemd-sys ]] || fail "no systemd-sys"
systemctl stop sys.service
[[ -z $(rl ps -aq) ]] || fail "systemd-sys is left"

as() { systemd-run --quiet --wait --pipe -p User="$1" -p PAMName=login -p WorkingDirectory=/tmp --setenv=TMPDIR=/tmp "${@:2}"; }
as tester bash -c 'systemctl --user daemon-reload && systemctl --user start own.service && rl ps --format "{{.Names}}" && systemctl --user stop own.service' >names || fail "own.service of a user"
[[ $(<names) == systemd-own ]] || fail "no systemd-own: $(<names)"
