"""The rivals, each started as its own documentation says, on a tree of its own."""

import os
import subprocess
import time

from harness import places
from harness.proc import children
from harness.proc import cpu_ns
from harness.proc import end_group


class Rival:
    """A rival watcher at work."""

    def __init__(self, name, argv, cwd, env=None):
        self.name = name
        self.log = places.WORK / f"{name}.log"
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with open(self.log, "ab") as out:
            self.started = time.monotonic_ns()
            self.child = subprocess.Popen([str(word) for word in argv], cwd=cwd, env=env or places.environment(),
                                          stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True)
        self.pid = self.child.pid

    def settle(self, still=0.3, patience=60):
        """Waits until it has had no child and burnt no CPU to speak of for `still` seconds."""
        until = time.monotonic() + patience
        calm, last = time.monotonic(), cpu_ns(self.pid, tree=False)
        while time.monotonic() < until:
            time.sleep(0.02)
            if self.child.poll() is not None:
                raise places.Missing(f"{self.name} ended by itself with {self.child.returncode}; see `{self.log}`")
            now = cpu_ns(self.pid, tree=False)
            if children(self.pid) or now - last > 4_000_000:
                calm = time.monotonic()
            last = now
            if time.monotonic() - calm >= still:
                return True
        return False

    def stop(self):
        """Ends it, with what it started."""
        end_group(self.child)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def bacon(root, command):
    """bacon without its screen, on every file of a tree, running `command`."""
    config = places.WORK / "bacon-config"
    config.mkdir(parents=True, exist_ok=True)
    words = ", ".join('"%s"' % word for word in command)
    (root / "bacon.toml").write_text(f'[jobs.bench]\ncommand = [{words}]\nneed_stdout = true\nwatch = ["."]\n'
                                     'default_watch = false\n')
    env = places.environment(XDG_CONFIG_HOME=str(config), BACON_PREFS="")
    env.pop("BACON_PREFS")
    return Rival("bacon", [places.rival("bacon"), "--headless", "--job", "bench"], root, env)


def watchexec(root, command, *flags):
    """watchexec with its defaults, but for `flags`. It is told where the project begins: it would
    find regreen's own .gitignore above the fixture, which ignores target/, and watch nothing."""
    argv = [places.rival("watchexec"), "--project-origin", root, *flags, "--", *command]
    return Rival("watchexec", argv, root)


def exists(pid):
    """Whether a process is there."""
    return os.path.exists(f"/proc/{pid}")
