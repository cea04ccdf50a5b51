"""A `git checkout` that changes 5,000 of 10,000 files: how many runs it starts, and whether the
last of them saw the final tree."""

import time

from harness import fixtures
from harness import places
from harness import saves
from harness.daemon import Failed
from harness.daemon import Regreen
from harness.daemon import brief
from harness.daemon import settled
from harness.execs import Execs
from harness.execs import child_of
from harness.rivals import bacon
from harness.rivals import watchexec

CHANGED = 5_000


def measure(figure, quick):
    """To and fro between two branches; the verdict must name the tree of HEAD."""
    bin_dir = places.venv() / "bin"
    root = fixtures.two_branches("burst-regreen", 10_000, CHANGED)
    trees = {branch: saves.git(root, "rev-parse", f"{branch}^{{tree}}") for branch in ("one", "two")}
    wrong = 0
    trials = 5 if quick else 50
    with Regreen("burst", path_first=[bin_dir]) as regreen:
        regreen.start()
        project = regreen.add(root)
        project.idle()
        for number in range(trials):
            branch = ("one", "two")[number % 2]
            wrong += not _trial(figure, regreen, project, branch, trees[branch])
    figure.goal("most runs of one checkout", max(figure.values("regreen, runs"), default=None), 2)
    figure.goal(f"last run not on the final tree, of {trials}", wrong, 0)
    rounds = 2 if quick else 4
    for name, start in (("bacon", bacon), ("watchexec", watchexec)):
        theirs = fixtures.copy(root, "burst-rival")
        _rival(figure, theirs, name, start, bin_dir, rounds)


def _trial(figure, regreen, project, branch, tree):
    before = regreen.runs()
    saves.git(project.root, "checkout", "-q", branch)
    done = time.monotonic_ns()

    def right(status):
        return settled(status) and status.get("snapshot") == tree and status["verdict"] == "green"

    try:
        _, at = project.until(right, 30, f"green on {tree}")
    except Failed:
        figure.note(f"wrong after checkout of {branch}: {brief(project.status())}")
        figure.sample("regreen, runs", len(regreen.runs() - before))
        return False
    # A run too many would start now.
    time.sleep(0.5)
    project.until(right, 30, f"still green on {tree}")
    figure.sample("regreen, runs", len(regreen.runs() - before))
    figure.sample("regreen, ms from checkout's end to verdict", (at - done) / 1e6)
    return True


def _rival(figure, root, name, start, bin_dir, rounds):
    saves.git(root, "checkout", "-q", "-f", "two")
    with Execs() as execs, start(root, [str(bin_dir / "python3"), "-m", "pytest", "-q"]) as rival:
        rival.settle(still=1.0)
        for number in range(rounds):
            before = time.monotonic_ns()
            saves.git(root, "checkout", "-q", ("one", "two")[number % 2])
            rival.settle(still=1.0)
            figure.sample(f"{name}, runs", execs.count(before, child_of(rival.pid)))

