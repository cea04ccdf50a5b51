"""What the kernel knows of a process: CPU time, memory, watches, children."""

import os
import signal
import subprocess
import time


def children(pid):
    """All living descendants of a process."""
    found, todo = [], [pid]
    while todo:
        at = todo.pop()
        try:
            tasks = os.listdir(f"/proc/{at}/task")
        except OSError:
            continue
        for task in tasks:
            try:
                with open(f"/proc/{at}/task/{task}/children") as file:
                    below = [int(word) for word in file.read().split()]
            except OSError:
                continue
            found += below
            todo += below
    return found


def cpu_ns(pid, tree=True):
    """CPU time of a process (and its living descendants) in nanoseconds, by its CPU clock: threads
    that ended are in it, and stat's ticks of 10 ms would be too coarse for an idle daemon.
    Children that ended are not in it."""
    total = 0
    for one in [pid] + (children(pid) if tree else []):
        try:
            # What clock_getcpuclockid(3) answers for another process: ~pid, and CPUCLOCK_SCHED.
            total += time.clock_gettime_ns((~one << 3) | 2)
        except OSError:
            continue
    return total


def reaped_ticks(pid):
    """CPU time of reaped children, in the kernel's ticks (10 ms)."""
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return int(fields[13]) + int(fields[14])


def pss_kb(pid, tree=True):
    """Proportional set size in KiB, of the process and its descendants."""
    total = 0
    for one in [pid] + (children(pid) if tree else []):
        try:
            with open(f"/proc/{one}/smaps_rollup") as file:
                for line in file:
                    if line.startswith("Pss:"):
                        total += int(line.split()[1])
        except OSError:
            continue
    return total


def watches(pid):
    """How many inotify watches a process (with its descendants) holds."""
    total = 0
    for one in [pid] + children(pid):
        try:
            names = os.listdir(f"/proc/{one}/fd")
        except OSError:
            continue
        for name in names:
            try:
                if os.readlink(f"/proc/{one}/fd/{name}") != "anon_inode:inotify":
                    continue
                with open(f"/proc/{one}/fdinfo/{name}", "rb") as file:
                    total += file.read().count(b"inotify wd:")
            except OSError:
                continue
    return total


def switches(pid):
    """Voluntary context switches: how often it woke."""
    total = 0
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/status") as file:
                for line in file:
                    if line.startswith("voluntary_ctxt_switches"):
                        total += int(line.split()[1])
    except OSError:
        pass
    return total


def end(child, grace=15):
    """Ends a process that the harness started, and waits for it."""
    if child.poll() is not None:
        return child.returncode
    child.send_signal(signal.SIGTERM)
    try:
        return child.wait(grace)
    except subprocess.TimeoutExpired:
        child.kill()
        return child.wait()


def end_group(child, grace=5):
    """The same for a child that leads a session: a rival's own children go with it."""
    below = children(child.pid)
    code = end(child, grace)
    for pid in below:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    return code


def busy():
    """The share of CPU time used on the whole machine since boot: (used, all) in ticks."""
    with open("/proc/stat") as file:
        fields = [int(word) for word in file.readline().split()[1:9]]
    idle = fields[3] + fields[4]
    return sum(fields) - idle, sum(fields)


def quiet(patience=1.0, share=0.15):
    """Waits, at most `patience` seconds, for 50 ms in which others leave the machine alone.
    Called before each sample of either side alike; a busy machine only costs the patience."""
    until = time.monotonic() + patience
    while time.monotonic() < until:
        used, total = busy()
        time.sleep(0.05)
        used_now, total_now = busy()
        if total_now > total and (used_now - used) / (total_now - total) <= share:
            return True
    return False
