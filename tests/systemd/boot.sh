#!/usr/bin/env bash
# Boots a real systemd on a throw-away copy of this machine's root and runs a job in it.
#
#   tests/systemd/boot.sh JOB FILE...
#
# JOB (a bash script) runs as root inside, as /job/job; each FILE is put beside it. What the job
# prints is printed, its status is this script's. The root file system is an overlay whose upper
# layer lives in memory: nothing that happens inside reaches the machine. systemd gets control
# group, mount, process, user-session and network namespaces of its own and sees a pure cgroup
# v2, so that it cannot touch the machine's groups. It needs root, and the packages systemd,
# dbus-user-session and libpam-systemd. BOOT_SECONDS (default 180) bounds the whole.
set -euo pipefail

outside() {
  local job=$1; shift
  local groups=/sys/fs/cgroup
  [ -d "$groups/unified" ] && groups=$groups/unified
  own_group=$groups/regreen-boot-$$
  scratch=$(mktemp -d)
  trap 'leave' EXIT
  mkdir "$own_group" "$scratch/job"
  cp "$job" "$scratch/job/job"
  for file in "$@"; do cp -r "$file" "$scratch/job/"; done
  : > "$scratch/job/said"
  local code=0
  # The shell that becomes PID 1 moves itself into the group before it enters the namespaces.
  SCRATCH=$scratch STAGE=inside bash -c 'echo $$ > "$1/cgroup.procs"; shift; exec "$@"' - \
    "$own_group" timeout --signal KILL "${BOOT_SECONDS:-180}" \
    unshare --mount --cgroup --pid --uts --ipc --net --fork --kill-child \
    --propagation private "$0" || code=$?
  cat "$scratch/job/said"
  return "$code"
}

leave() {
  # systemd's own groups go once their last process is reaped; that takes a moment.
  for _ in 1 2 3 4 5 6 7 8 9 10; do
    find "$own_group" -depth -type d -exec rmdir {} + 2>/dev/null && break
    sleep 0.1
  done
  rm -rf "$scratch"
}

inside() {
  local top=$SCRATCH/root memory=$SCRATCH/memory
  mkdir "$top" "$memory"
  mount -t tmpfs -o size=4g none "$memory"
  mkdir "$memory/changes" "$memory/work"
  mount -t overlay none "$top" \
    -o "lowerdir=/,upperdir=$memory/changes,workdir=$memory/work"
  mount -t proc none "$top/proc"
  mount -t sysfs -o ro none "$top/sys"
  mount -t cgroup2 none "$top/sys/fs/cgroup"
  mount -t tmpfs -o mode=0755 none "$top/run"
  mount -t tmpfs none "$top/tmp"
  devices "$top/dev"
  mkdir -p "$top/job" "$top/oldroot"
  mount --bind "$SCRATCH/job" "$top/job"
  units "$top/etc/systemd/system"
  : > "$top/etc/fstab"
  cd "$top"
  # Not chroot: inside one, user namespaces are refused, and with them every sandbox.
  pivot_root . oldroot
  umount --lazy /oldroot
  exec env -i container=regreen-test PATH=/usr/sbin:/usr/bin:/sbin:/bin \
    /lib/systemd/systemd --unit=job.target --show-status=false --log-target=null
}

devices() {
  mount -t tmpfs -o mode=0755 none "$1"
  local name
  for name in null zero full random urandom tty; do
    : > "$1/$name"
    mount --bind "/dev/$name" "$1/$name"
  done
  mkdir "$1/pts" "$1/shm"
  mount -t devpts -o newinstance,ptmxmode=0666 none "$1/pts"
  mount -t tmpfs none "$1/shm"
  ln -s pts/ptmx "$1/ptmx"
  ln -s /proc/self/fd "$1/fd"
}

units() {
  rm -f "$1"/*.wants/*
  cat > "$1/job.service" <<UNIT
[Unit]
Wants=systemd-logind.service
After=basic.target dbus.service systemd-logind.service systemd-user-sessions.service
SuccessAction=exit
FailureAction=exit
[Service]
Type=oneshot
ExecStart=/bin/bash /job/job
StandardOutput=append:/job/said
StandardError=inherit
UNIT
  cat > "$1/job.target" <<UNIT
[Unit]
Requires=basic.target
Wants=job.service
AllowIsolate=yes
UNIT
}

if [ "${STAGE:-}" = inside ]; then
  inside
elif [ $# -ge 1 ]; then
  outside "$@"
else
  sed -n '2,13p' "$0" >&2
  exit 2
fi
