"""How much the user's own `cargo build` is slowed while regreen tests the very same save: both
rebuild all 20 crates at once. The daemon and the build are in sessions of their own, as a service
and a terminal are (with sched_autogroup that decides what `nice` is worth)."""

import subprocess
import time

from figures.added import built_workspace
from harness import fixtures
from harness import places
from harness import saves
from harness.daemon import Regreen
from harness.daemon import settled
from harness.proc import quiet
from harness.report import ms
from harness.rivals import bacon


def measure(figure, quick):
    """alone, with regreen, with bacon, and again."""
    root = built_workspace("foreground")
    theirs = fixtures.copy(root, "foreground-bacon")
    for one in (root, theirs):
        _build(one)
    number = 0
    with Regreen("foreground") as regreen:
        regreen.start()
        project = regreen.add(root)
        project.idle(300)
        for _ in range(2 if quick else 6):
            regreen.cli("pause", root)
            number += 2
            quiet()
            _save(root, number)
            figure.sample("build alone", _build(root))
            regreen.cli("resume", root)
            project.until(lambda s: settled(s), 180, "a verdict after resume")
            number += 2
            quiet()
            before = project.status()["snapshot"]
            _save(root, number)
            figure.sample("build beside regreen", _build(root))
            if settled(project.status()) and project.status()["snapshot"] != before:
                figure.note("regreen's run had ended before the build did")
            project.verdict_after(before, 180)
    with bacon(theirs, ["cargo", "test", "--workspace", "--target-dir", "target/bacon"]) as rival:
        rival.settle(patience=300)
        for _ in range(1 if quick else 3):
            number += 2
            quiet()
            _save(theirs, number)
            figure.sample("build beside bacon", _build(theirs))
            rival.settle(patience=120)
    figure.note(f"sched_autogroup_enabled = {places.versions()['sched_autogroup']}")
    figure.ratio("build beside regreen / alone", "build beside regreen", "build alone", 1.25)


def _save(root, number):
    return saves.atomic(root / "core0/src/lib.rs", fixtures.crate_source("core0", number))


def _build(root):
    at = time.monotonic_ns()
    subprocess.run(["cargo", "build", "--workspace"], cwd=root, env=places.environment(), check=True,
                   stdin=subprocess.DEVNULL, capture_output=True, start_new_session=True)
    return ms(time.monotonic_ns() - at)
