"""From the save to the spawn of the run: regreen's exec of bubblewrap, bacon's of its command.

Both are seen by the kernel's report of the exec (harness/execs.py), and both run `cargo test` on
copies of one tree."""

import time

from harness import fixtures
from harness import saves
from harness.daemon import Regreen
from harness.execs import Execs
from harness.execs import child_of
from harness.execs import sandbox_of
from harness.proc import quiet
from harness.report import ms
from harness.rivals import bacon

MODES = {"atomic": saves.atomic, "in place": saves.in_place}


def measure(figure, quick):
    """A B A B: a save in regreen's tree, a save in bacon's."""
    rounds = 6 if quick else 20
    ours = fixtures.tree("spawn-regreen", 10_000)
    theirs = fixtures.copy(ours, "spawn-bacon")
    with Execs() as execs, Regreen("spawn") as regreen:
        regreen.start()
        project = regreen.add(ours)
        project.idle()
        with bacon(theirs, ["cargo", "test"]) as rival:
            rival.settle()
            number = 0
            for mode, save in MODES.items():
                for _ in range(rounds):
                    number += 1
                    one_of_ours(figure, project, execs, save, number, f"regreen, {mode}")
                    quiet()
                    at = save(theirs / "src/lib.rs", fixtures.small_source(number))
                    seen = execs.first(at, 10, child_of(rival.pid))
                    figure.sample(f"bacon, {mode}", ms(seen - at) if seen else None)
                    rival.settle()
                    time.sleep(0.05)
    for mode in MODES:
        figure.goal(f"median, {mode}", figure.median(f"regreen, {mode}"), 10, "ms")
        figure.ratio(f"regreen / bacon, {mode}", f"regreen, {mode}", f"bacon, {mode}", 0.6)


def one_of_ours(figure, project, execs, save, number, side, path="src/lib.rs"):
    """One save in regreen's tree: the time to the first spawn of bubblewrap after it."""
    quiet()
    before = project.status()["snapshot"]
    at = save(project.root / path, fixtures.small_source(number))
    seen = execs.first(at, 10, sandbox_of(project.regreen.pid))
    figure.sample(side, ms(seen - at) if seen else None)
    project.verdict_after(before)
