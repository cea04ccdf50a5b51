"""From the save to the spawn of the run: regreen's exec of bubblewrap, bacon's of its command.

Both are seen by the same witness program (tools/stamp.rs), which takes the time as its first act
and then becomes what it stands for; both run `cargo test` on copies of one tree."""

import shutil
import time

from harness import fixtures
from harness import places
from harness import saves
from harness.daemon import Regreen
from harness.daemon import Failed
from harness.proc import quiet
from harness.report import ms
from harness.rivals import Stamps
from harness.rivals import bacon

MODES = {"atomic": saves.atomic, "in place": saves.in_place}


def measure(figure, quick):
    """A B A B: a save in regreen's tree, a save in bacon's."""
    rounds = 6 if quick else 20
    ours = fixtures.tree("spawn-regreen", 10_000)
    theirs = fixtures.copy(ours, "spawn-bacon")
    bwrap = places.witness("bwrap", shutil.which("bwrap") or "/usr/bin/bwrap")
    cargo = places.witness("cargo", shutil.which("cargo"))
    with Regreen("spawn", path_first=[bwrap]) as regreen:
        regreen.start()
        project = regreen.add(ours)
        project.idle()
        with bacon(theirs, [cargo / "cargo", "test"]) as rival:
            rival.settle()
            number = 0
            for mode, save in MODES.items():
                for _ in range(rounds):
                    number += 1
                    one_of_ours(figure, project, Stamps(bwrap), save, number, f"regreen, {mode}")
                    quiet()
                    at = save(theirs / "src/lib.rs", fixtures.small_source(number))
                    seen = Stamps(cargo).after(at, 10)
                    figure.sample(f"bacon, {mode}", ms(seen - at) if seen else None)
                    rival.settle()
                    time.sleep(0.05)
    for mode in MODES:
        figure.goal(f"median, {mode}", figure.median(f"regreen, {mode}"), 10, "ms")
        figure.ratio(f"regreen / bacon, {mode}", f"regreen, {mode}", f"bacon, {mode}", 0.6)


def one_of_ours(figure, project, stamps, save, number, side, path="src/lib.rs"):
    """One save in regreen's tree: the time to the first spawn of bubblewrap after it."""
    quiet()
    before = project.status()["snapshot"]
    at = save(project.root / path, fixtures.small_source(number))
    seen = stamps.after(at, 10)
    figure.sample(side, ms(seen - at) if seen else None)
    if seen is None and not stamps.all():
        raise Failed("regreen never spawned the bubblewrap that lies first in its PATH")
    project.verdict_after(before)
