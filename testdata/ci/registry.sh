# shellcheck shell=bash disable=SC2154
# The registry under test: Debian's docker-registry on loopback. Sourced by testdata/test.

registry=127.0.0.1:$port

registry_config() {
  cat <<CONF
version: 0.1
log: {level: warn}
storage:
  filesystem: {rootdirectory: $work/registry}
  delete: {enabled: true}
http: {addr: $registry}
CONF
}

start_registry() {
  stop_registry
  mkdir -p "$work/registry"
  registry_config >"$work/registry.yml"
  OTEL_TRACES_EXPORTER=none setsid docker-registry serve "$work/registry.yml" >"$work/log/registry.log" 2>&1 {lock}>&- &
  registry_pid=$!
  echo "$registry_pid" >"$work/registry.pid"
  disown
  local n
  for ((n = 0; n < 100; n++)); do
    if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
      # The port may be another process's.
      kill -0 "$registry_pid" && return
    fi
    sleep 0.1
  done
  cat "$work/log/registry.log"
  return 1
}

stop_registry() {
  [[ -s $work/registry.pid ]] || return 0
  local pid
  pid=$(<"$work/registry.pid")
  # A number may have come to be another process's since.
  if tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | grep -q "^docker-registry serve $work/"; then kill "$pid"; fi
  rm -f "$work/registry.pid"
}
