# shellcheck shell=bash
# options: 
# Services of Quadlet's files, under a user's manager.
mkdir -p ~/.config/containers/systemd
cat >~/.config/containers/systemd/web.container <<'EOF'
[Container]
Image=builtin
Exec=sh -c 'echo "$$A %n" >/data/said; if [ -e /data/fail ]; then rm /data/fail; exit 5; fi; exec sleep 1000'
Environment="A=a b"
Volume=data.volume:/data
StopTimeout=1
Network=none
[Service]
Restart=on-failure
[Install]
WantedBy=default.target
EOF
printf '[Volume]\n' >~/.config/containers/systemd/data.volume
./rl generate quadlet
ctl daemon-reload
[[ " $(prop default.target Wants) " == *" web.service "* ]] || fail "default.target does not want web.service"
start web.service
monitored web.service systemd-web
said() { [[ $(./rl exec systemd-web cat /data/said) == 'a b web.service' ]]; }
within said
./rl exec systemd-web touch /data/fail
ctl restart web.service
within restarted web.service
within ctl is-active -q web.service
monitored web.service systemd-web
ctl stop web.service
gone systemd-web || fail "stop left the container"
./rl volume exists systemd-data || fail "the volume went, too"
rm ~/.config/containers/systemd/*
[[ -z $(./rl generate quadlet) ]] || fail "units are left"
[[ ! -e ~/.local/share/systemd/user/web.service ]] || fail "web.service is left"
[[ -z $(./rl ps -aq) ]] || fail "a container is left"
