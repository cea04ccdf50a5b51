# The service in a real systemd, as an ordinary user. Run by boot.sh; prints what it sees, and
# leaves with the first thing that is not as it should be.
set -uo pipefail
user=ada
program=/usr/local/bin/regreen
install -m 0755 /job/regreen "$program"
useradd --create-home --shell /bin/bash "$user"
number=$(id -u "$user")
loginctl enable-linger "$user"

as() { runuser -u "$user" -- env HOME=/home/$user XDG_RUNTIME_DIR="/run/user/$number" \
         PATH=/usr/local/bin:/usr/bin:/bin LANG=C.UTF-8 "$@"; }
fail() { echo "FAILED: $*"
  as journalctl --user -u regreen --no-pager -n 40 2>&1 | tail -40
  as cat "$status" 2>/dev/null; exit 1; }
# await WHAT SECONDS COMMAND...: bounded, and says how long it took.
await() {
  local what=$1 seconds=$2 begin now; shift 2
  begin=$(date +%s%N)
  until "$@"; do
    now=$(date +%s%N)
    [ $(( (now - begin) / 1000000000 )) -lt "$seconds" ] || fail "$what, after $seconds s"
    read -rt 0.05 <> <(:) || true
  done
  now=$(date +%s%N)
  echo "$what after $(( (now - begin) / 1000000 )) ms"
}
property() { as systemctl --user show --property="$1" --value regreen; }
holds() { as grep -q "$1" "$status" 2>/dev/null; }
settled() { holds "\"verdict\": \"$1\"" && holds '"stale": false' && holds '"activity": "idle"'; }
session() { as systemctl --user show-environment > /dev/null 2>&1; }

await "the user's manager is there" 20 session

project=/home/$user/project
status=$project/.git/regreen/status.json
as mkdir "$project"
as tee "$project/regreen.toml" > /dev/null <<TOML
[[suite]]
name = "script"
framework = "generic"
command = ["sh", "test.sh"]
TOML
echo 'exit 0' | as tee "$project/test.sh" > /dev/null
as git -C "$project" init -q -b main
as git -C "$project" add --all
as git -C "$project" -c user.name=A -c user.email=a@example.invalid commit -qm begin

# In a terminal, where nobody handed a control group over: with a limit that needs one the user's
# manager moves the process into a scope of its own, and the run gets a group in it.
as mkdir -p "/home/$user/.config/regreen"
echo '[limits]
memory = "512MiB"' | as tee "/home/$user/.config/regreen/config.toml" > /dev/null
scopes() { find /sys/fs/cgroup -type d -name 'regreen-*.scope'; }
as "$program" run -C "$project" --json -- sh -c 'sleep 3; exit 0' > /job/scoped.json 2>&1 &
own_run() { cat $(scopes | sed 's|$|/run-*/cgroup.procs|') 2>/dev/null | xargs -r ps -o comm= -p |
            grep -qx sleep; }
await "a run in the terminal is in a scope's control group" 10 own_run
top=$(scopes)
given=$(cat "$top/cgroup.subtree_control")
echo "scope: ${top##*/}, controllers: $(cat "$top/cgroup.controllers"), given on: $given"
grep -q . "$top/regreen/cgroup.procs" || fail "regreen itself is not in the scope"
wait
case $given in *memory*) held=enforced ;; *) held=per-process ;; esac
grep -q "\"memory\": *\"$held\"" /job/scoped.json || { cat /job/scoped.json; fail "memory is not $held"; }
no_scope() { [ -z "$(scopes)" ]; }
await "the scope is gone with its process" 10 no_scope
# Without such a limit nobody is asked.
as rm "/home/$user/.config/regreen/config.toml"
as "$program" run -C "$project" -- sh -c 'sleep 1; exit 0' > /dev/null 2>&1 &
plain() { ps -u "$user" -o comm= | grep -qx sleep; }
await "a run without a limit" 10 plain
no_scope || fail "a scope that nobody needs"
wait
as "$program" doctor 2>&1 | grep -i cgroup

as "$program" service install || fail "service install"
[ "$(property ActiveState)" = active ] || fail "not active once it is installed"
as "$program" service status || fail "service status"
as "$program" add "$project" || fail "add"
await "green" 30 settled green
pid=$(property MainPID)
echo "says: $(property StatusText)"

echo 'exit 1' | as tee "$project/test.sh" > /dev/null
await "a save, and it is red" 30 settled red

# Killed in mid-run: back by itself, and the interrupted run is done again.
echo 'sleep 2; exit 0' | as tee "$project/test.sh" > /dev/null
await "running" 20 holds '"activity": "running"'
kill -9 "$pid"
other() { [ "$(property ActiveState)" = active ] && [ "$(property MainPID)" != "$pid" ] &&
          [ "$(property MainPID)" != 0 ]; }
await "back after kill -9" 20 other
await "the interrupted run is repeated, green" 30 settled green
pid=$(property MainPID)
holds "\"pid\": $pid" || fail "the status is another daemon's"

# Frozen: the watchdog sees that the hub no longer ticks.
kill -STOP "$pid"
await "back after a freeze" 60 other
await "true again" 30 settled green
pid=$(property MainPID)

# Stopped: no process of it is left, and the status says so.
echo 'sleep 30; exit 0' | as tee "$project/test.sh" > /dev/null
await "running" 20 holds '"activity": "running"'
# Delegated: the daemon went into a group below its own, and the run has one beside it.
group=/sys/fs/cgroup$(sed -n 's/^0:://p' "/proc/$pid/cgroup")
case $group in */regreen.service/regreen) top=${group%/regreen} ;;
  *) fail "the daemon is in the control group $group" ;; esac
in_run() { cat "$top"/run-*/cgroup.procs 2>/dev/null | xargs -r ps -o comm= -p | grep -qx sleep; }
await "the run is in a control group of its own" 10 in_run
echo "controllers: $(cat "$top/cgroup.controllers"), given on: $(cat "$top/cgroup.subtree_control")"
left() { ps -u "$user" -o comm= | grep -xE 'regreen|bwrap|sh|sleep'; }
left > /dev/null || fail "nothing runs that could be left"
as systemctl --user stop regreen || fail "stop"
gone() { ! left > /dev/null; }
await "no process is left" 10 gone
holds '"daemon": null' || fail "the status names a daemon"
as systemctl --user start regreen || fail "start"
[ "$(property ActiveState)" = active ] || fail "start answered before it was ready"
as "$program" service uninstall || fail "uninstall"
[ ! -e "/home/$user/.config/systemd/user/regreen.service" ] || fail "the unit file stays"
echo "all well"
