# shellcheck shell=bash
# options: 
# rl generate systemd --new: a container comes and goes with the service, under a user's manager.
mkdir -p "$units"
rl=$PWD/rl
./rl create --name new --stop-timeout 1 builtin sleep 1000
./rl create --name failing builtin sh -c 'exit 3'
(cd "$units" && "$rl" generate systemd --new --files --name new && "$rl" generate systemd --new --files --name --restart-sec 1 failing)
./rl rm new failing
ctl daemon-reload
start container-new.service
monitored container-new.service new
first=$(./rl inspect -f '{{.Id}}' new)
ctl restart container-new.service
monitored container-new.service new
[[ $(./rl inspect -f '{{.Id}}' new) != "$first" ]] || fail "restart kept the container"
./rl kill new
within restarted container-new.service
within running new
within ctl is-active -q container-new.service
ctl stop container-new.service
gone new || fail "stop left the container"
ctl start container-failing.service || true
within restarted container-failing.service
ctl stop container-failing.service

