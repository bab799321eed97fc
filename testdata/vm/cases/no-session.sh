# shellcheck shell=bash
# options: --variant no-session
# No login session: no XDG_RUNTIME_DIR, no user manager.
[[ -z ${XDG_RUNTIME_DIR-} ]] || fail "there is a session"
works
