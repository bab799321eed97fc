# shellcheck shell=bash
# options: 
# rl generate systemd, under a user's manager, for a container that is there; and for a pod, made anew.
mkdir -p "$units"
rl=$PWD/rl
# One that is there.
./rl create --name kept builtin sleep 1000
(cd "$units" && "$rl" generate systemd --files --name --stop-timeout 1 kept)
ctl daemon-reload
start container-kept.service
monitored container-kept.service kept
ctl restart container-kept.service
monitored container-kept.service kept
ctl stop container-kept.service
running kept && fail "kept runs"
gone kept && fail "kept is gone"
./rl rm kept

# A pod, made anew.
./rl pod create --name pod
./rl create --name member --pod pod --stop-timeout 1 builtin sleep 1000
(cd "$units" && "$rl" generate systemd --new --files --name pod)
./rl pod rm -f pod
ctl daemon-reload
start pod-pod.service
within running member
monitored container-member.service member
ctl stop pod-pod.service
within gone member
[[ -z $(./rl pod ps -q) ]] || fail "the pod is left"

