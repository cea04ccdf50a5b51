"""regreen under test: a daemon with places of its own, spoken to as any user does, by the
command line and the status file (contract.md)."""

import json
import os
import shutil
import subprocess
import time
from pathlib import Path

from harness import places
from harness import proc
from harness.inotify import Watch


class Failed(Exception):
    """regreen did not do what the contract says; the text says what was seen."""


class Regreen:
    """One daemon. HOME is the user's own, because toolchains lie there; everything regreen keeps
    lies below target/bench-work."""

    def __init__(self, name, fresh=True, path_first=None, env=None):
        self.home = places.WORK / "regreen" / name
        if fresh:
            shutil.rmtree(self.home, ignore_errors=True)
        for below in ("state", "cache", "config", "run"):
            (self.home / below).mkdir(parents=True, exist_ok=True, mode=0o700)
        path = os.environ["PATH"]
        if path_first:
            path = os.pathsep.join([str(one) for one in path_first] + [path])
        self.env = places.environment(
            PATH=path, XDG_STATE_HOME=str(self.home / "state"), XDG_CACHE_HOME=str(self.home / "cache"),
            XDG_CONFIG_HOME=str(self.home / "config"), XDG_RUNTIME_DIR=str(self.home / "run"), **(env or {}))
        self.child = None
        self.log = self.home / "daemon.log"

    @property
    def pid(self):
        """The daemon's process id."""
        return self.child.pid

    def cli(self, *args, cwd=None, timeout=120, check=True):
        """Runs a verb; answers its standard output."""
        out = subprocess.run([str(places.regreen()), *[str(arg) for arg in args]], cwd=cwd, env=self.env,
                             stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout)
        if check and out.returncode != 0:
            raise Failed(f"`regreen {' '.join(map(str, args))}` ended with {out.returncode}: {out.stderr.strip()}")
        return out.stdout

    def start(self, wait=True):
        """Starts the daemon, in a session of its own as a service is; answers the time in ns."""
        with open(self.log, "ab") as out:
            at = time.monotonic_ns()
            self.child = subprocess.Popen([str(places.regreen()), "daemon"], cwd="/", env=self.env,
                                          stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True)
        if wait:
            self.until_answers()
        return at

    def until_answers(self, seconds=30):
        """Waits until the socket is there."""
        until = time.monotonic() + seconds
        socket = self.home / "run/regreen/regreen.sock"
        while not socket.exists():
            if self.child.poll() is not None:
                raise Failed(f"the daemon ended with {self.child.returncode}: {self.tail()}")
            if time.monotonic() > until:
                raise Failed(f"the daemon does not listen after {seconds} s: {self.tail()}")
            time.sleep(0.01)

    def add(self, root):
        """Has it watch a worktree; answers the project's view."""
        self.cli("add", root)
        return Project(self, root)

    def stop(self):
        """Ends it cleanly."""
        if self.child is not None:
            proc.end(self.child)
            self.child = None

    def tail(self, size=1500):
        """The end of its log."""
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return text[-size:]

    def runs(self):
        """The ids of all runs it has begun, by their directories."""
        top = self.home / "state/regreen/runs"
        return {one.name for one in top.iterdir()} if top.is_dir() else set()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


class Project:
    """A watched worktree, seen through its status file."""

    def __init__(self, regreen, root):
        self.regreen = regreen
        self.root = Path(root)
        self.path = Path(regreen.cli("status", "--path", cwd=root).strip())
        until = time.monotonic() + 30
        while not self.path.parent.is_dir():
            if time.monotonic() > until:
                raise Failed(f"`{self.path.parent}` does not appear: {regreen.tail()}")
            time.sleep(0.01)
        self.watch = Watch(self.path.parent)

    def status(self):
        """The status now, or None before there is one."""
        try:
            return json.loads(self.path.read_bytes())
        except (FileNotFoundError, ValueError):
            return None

    def until(self, holds, seconds=60, what="the expected status"):
        """Waits for a status that fulfils a condition; answers it and when it was seen (ns)."""
        end = time.monotonic() + seconds
        status, at = self.status(), time.monotonic_ns()
        while True:
            if status is not None and holds(status):
                return status, at
            left = end - time.monotonic()
            if left <= 0:
                raise Failed(f"no status with {what} after {seconds} s; last: {brief(status)}; "
                             f"log: {self.regreen.tail(600)}")
            at = self.watch.wait(min(left, 1.0)) or time.monotonic_ns()
            status = self.status()

    def verdict_after(self, snapshot, seconds=60):
        """Waits for a settled verdict on another snapshot than `snapshot`."""
        return self.until(lambda s: settled(s) and s.get("snapshot") != snapshot, seconds,
                          f"a verdict on another snapshot than {snapshot}")

    def idle(self, seconds=120):
        """Waits until nothing is to be done; answers the status."""
        return self.until(settled, seconds, "a settled verdict")[0]

    def close(self):
        """Gives the inotify watch back."""
        self.watch.close()


def settled(status):
    """A verdict that holds for the tree as it is."""
    return status.get("verdict") not in (None, "unknown") and not status.get("stale") \
        and status.get("activity") == "idle"


def brief(status):
    """A status in one line, for an error."""
    if status is None:
        return "none"
    keys = ("verdict", "activity", "stale", "snapshot", "updated_at")
    return json.dumps({key: status.get(key) for key in keys} | {
        "suites": [{key: suite.get(key) for key in ("name", "verdict", "activity", "counts", "run")}
                   for suite in status.get("suites", [])], "failures": len(status.get("failures", []))})
