"""A tree of 100,000 files with 50,000 ignored ones beside them: watches, one save, idling, memory."""

import os
import subprocess
import sys
import time

from figures.spawn import one_of_ours
from harness import fixtures
from harness import places
from harness import proc
from harness import saves
from harness.daemon import Failed
from harness.daemon import Regreen
from harness.execs import Execs
from harness.inotify import Watch
from harness.report import ms
from harness.rivals import bacon
from harness.rivals import exists
from harness.rivals import watchexec


def until_watching(pid, started, at_least, still=1.5, patience=90):
    """When the last inotify watch was added, in ms after the start, and how many there are.
    The kernel's own list is read every few ms, for both sides alike."""
    count, last, end = 0, started, time.monotonic() + patience
    while time.monotonic() < end and exists(pid):
        now, at = proc.watches(pid), time.monotonic_ns()
        if now > count:
            count, last = now, at
        if count >= at_least and at - last > still * 1e9:
            return ms(last - started), count
        time.sleep(0.005)
    return None, count


def watches(figure, quick):
    """From the exec of either until its last watch. regreen knows the project already, as after
    any login; its very first start is shown beside it."""
    root = fixtures.big_tree()
    needed = fixtures.directories(root)
    figure.note(f"{needed} directories are not ignored")
    regreen = Regreen("watches")
    with regreen:
        regreen.start()
        at = time.monotonic_ns()
        project = regreen.add(root)
        took, _ = until_watching(regreen.pid, at, needed)
        figure.sample("regreen, add for the first time", took)
        project.idle(300)
        for _ in range(2 if quick else 5):
            regreen.stop()
            proc.quiet()
            started = regreen.start(wait=False)
            took, count = until_watching(regreen.pid, started, needed)
            figure.sample("regreen", took)
            regreen.until_answers()
            project.idle(120)
            proc.quiet()
            with watchexec(root, ["true"]) as rival:
                took, theirs = until_watching(rival.pid, rival.started, needed)
                figure.sample("watchexec", took)
        figure.note(f"watches held: regreen {count}, watchexec {theirs}")
    figure.ratio("regreen / watchexec", "regreen", "watchexec", 0.25)


def slot(figure, quick):
    """The file in the slot is seen by inotify; slot and snapshot id are both there before
    bubblewrap is started, so the time to its spawn is the stricter figure, and it is held."""
    root = fixtures.big_tree()
    with Execs() as execs, Regreen("slot") as regreen:
        regreen.start()
        project = regreen.add(root)
        project.idle(300)
        for number in range(5 if quick else 20):
            path = fixtures.file_of(root, number * 4001 % 99_000)
            inside = path.relative_to(root)
            proc.quiet()
            there = _in_slot(regreen, inside)
            before = project.status()["snapshot"]
            watch = Watch(there.parent)
            at = saves.atomic(path, f"saved {number} {time.time_ns()}\n")
            seen = watch.wait(10)
            watch.close()
            figure.sample("save to the file in the slot", ms(seen - at) if seen else None)
            status, _ = project.verdict_after(before)
            if there.read_bytes() != path.read_bytes():
                raise Failed(f"`{there}` is not what was saved")
            if number == 0 and status["snapshot"] != saves.tree_id(root, places.WORK / "slot-index"):
                raise Failed(f"snapshot {status['snapshot']} is not the tree that git computes")
        for number in range(5 if quick else 20):
            one_of_ours(figure, project, execs, saves.atomic, time.time_ns() % 10**12,
                        "save to the spawn (slot and snapshot id done)")
    figure.goal("median, to the spawn", figure.median("save to the spawn (slot and snapshot id done)"), 15, "ms")


def _in_slot(regreen, inside):
    """The same file in regreen's slot."""
    top = regreen.home / "cache/regreen"
    for at, below, _ in os.walk(top):
        if (candidate := os.path.join(at, inside)) and os.path.lexists(candidate):
            return type(top)(candidate)
        below[:] = [name for name in below if name not in ("data", "out", "target", "home")]
    raise Failed(f"no slot below `{top}` holds `{inside}`")


def idle(figure, quick):
    """regreen, watchexec and bacon on one tree at the same time: doing nothing, then while another
    process reads every file of it again and again."""
    seconds = 10 if quick else 30
    root = fixtures.big_tree()
    with Regreen("idle") as regreen:
        regreen.start()
        project = regreen.add(root)
        project.idle(300)
        with watchexec(root, ["true"]) as one, bacon(root, ["true"]) as two:
            try:
                one.settle(still=2)
                two.settle(still=2)
                sides = {"regreen": regreen.pid, "watchexec": one.pid, "bacon": two.pid}
                project.idle()
                time.sleep(2)
                woke = proc.switches(regreen.pid)
                quiet = _burnt(sides, seconds)
                figure.note(f"regreen woke about {max(0, proc.switches(regreen.pid) - woke)} times in {seconds} s of nothing")
                reader = subprocess.Popen([sys.executable, "-c", _READER, str(root)])
                try:
                    time.sleep(1)
                    disturbed = _burnt(sides, seconds)
                finally:
                    proc.end(reader)
            finally:
                (root / "bacon.toml").unlink(missing_ok=True)
    for side in sides:
        figure.sample(f"{side}, idle, ms of CPU in {seconds} s", quiet[side])
        figure.sample(f"{side}, beside a reader, % of a core", disturbed[side] / (seconds * 10))
    figure.goal(f"CPU in {seconds} s of nothing", quiet["regreen"], 10 * seconds / 30, "ms")
    figure.goal("CPU beside a reader", disturbed["regreen"] / (seconds * 10), 2, "% of a core")


_READER = """
import os, sys
while True:
    for at, _, names in os.walk(sys.argv[1]):
        for name in names:
            try:
                with open(os.path.join(at, name), 'rb') as file:
                    file.read()
            except OSError:
                pass
"""


def _burnt(sides, seconds):
    """CPU of each side in ms over some seconds, children that came and went included."""
    before = {side: (proc.cpu_ns(pid), proc.reaped_ticks(pid)) for side, pid in sides.items()}
    time.sleep(seconds)
    burnt = {}
    for side, pid in sides.items():
        ran, reaped = before[side]
        burnt[side] = (proc.cpu_ns(pid) - ran) / 1e6 + (proc.reaped_ticks(pid) - reaped) * 10
        if burnt[side] < 0:
            raise RuntimeError(f"the CPU time of {side} went backwards: {burnt[side]} ms")
    return burnt


def memory(figure, quick):
    """Proportional set size with all children, idle, after some saves."""
    for name, root, limit in (("small crate", fixtures.small_cargo("memory"), 20),
                              ("100,000 files", fixtures.big_tree(), 40)):
        with Regreen("memory") as regreen:
            regreen.start()
            project = regreen.add(root)
            project.idle(300)
            for _ in range(2 if quick else 5):
                before = project.status()["snapshot"]
                saves.atomic(root / "src/lib.rs", fixtures.small_source(time.time_ns() % 10**12))
                project.verdict_after(before)
            time.sleep(2)
            figure.sample(f"regreen, {name}, MB", proc.pss_kb(regreen.pid) * 1024 / 1e6)
            peak = [line for line in open(f"/proc/{regreen.pid}/status") if line.startswith("VmHWM")]
            figure.note(f"{name}: peak resident size {peak[0].split(':')[1].strip() if peak else '?'}")
        figure.goal(f"PSS, {name}", figure.median(f"regreen, {name}, MB"), limit, "MB")
        with watchexec(root, ["true"]) as rival:
            rival.settle(still=1)
            figure.sample(f"watchexec, {name}, MB", proc.pss_kb(rival.pid) * 1024 / 1e6)

