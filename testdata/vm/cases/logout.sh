# shellcheck shell=bash
# options: --user root
# A host that ends its users' processes at logout: rl says so, and what it tells to do about it holds.
mkdir -p /etc/systemd/logind.conf.d
printf '[Login]\nKillUserProcesses=yes\n' >/etc/systemd/logind.conf.d/kill.conf
systemctl restart systemd-logind
loginctl disable-linger tester
ended() { ! pgrep -u tester -f "$1" >/dev/null; }
out() { ! loginctl list-sessions --no-legend | grep -q tester; }
install -m 755 rl /usr/local/bin/rl

# login COMMAND: in a session of its own, from login to logout.
login() { systemd-run --quiet --wait --pipe --collect -p PAMName=login -p User=tester -p WorkingDirectory=/home/tester bash -c "export XDG_RUNTIME_DIR=/run/user/\$(id -u); $1"; }

login 'rl run -d --name ends --network none builtin sleep 43001' 2>said
grep -qx 'rl: this host ends what its users run when they log out (KillUserProcesses=yes in logind.conf), and this container with it: loginctl enable-linger && systemd-run --user --scope rl run -d ...' said ||
  fail "no word of what logout does: $(cat said)"
within ended 'sleep 43001'
login 'rl ps -a --format "{{.Names}} {{.State}}"' 2>&1 | grep -qx 'ends exited' || fail "the state after logout is not true"

# As told, but that root has to say who lingers: without polkit, as here, a user may not say it of himself.
loginctl enable-linger tester
within test -S "/run/user/$(id -u tester)/systemd/private"
login 'systemd-run --quiet --user --scope rl run -d --name stays --network none builtin sleep 43002' 2>said
! grep -q 'log out' said || fail "told again: $(cat said)"
within out
pgrep -u tester -f 'sleep 43002' >/dev/null || fail "gone with the logout"
login 'rl exec stays echo here' | grep -qx here || fail "it does not answer after logout"
login 'rl rm -f -t 0 stays ends'
within ended 'sleep 43002'

# Nothing is said where nothing is ended.
rm /etc/systemd/logind.conf.d/kill.conf
systemctl restart systemd-logind
login 'rl run -d --name quiet --network none builtin sleep 43003; rl rm -f -t 0 quiet' 2>said
! grep -q 'log out' said || fail "told where it is not so: $(cat said)"
