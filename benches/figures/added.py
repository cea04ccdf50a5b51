"""What regreen adds to a run: save to verdict in the status file, sandbox on, against the same
command started bare at the moment of the same save, on a copy of the tree."""

import subprocess
import time

from harness import fixtures
from harness import places
from harness import saves
from harness.daemon import Regreen
from harness.proc import quiet
from harness.report import ms


def side_by_side(figure, name, ours, command, save, rounds, path_first=None, warm=2):
    """Saves alternately in regreen's tree and in its copy; keeps ms from save to verdict.
    `save(root, number)` saves and answers the time in ns."""
    theirs = fixtures.copy(ours, f"{name}-bare")
    with Regreen(name, path_first=path_first) as regreen:
        regreen.start()
        project = regreen.add(ours)
        project.idle(300)
        for number in range(1, warm + rounds + 1):
            quiet()
            before = project.status()["snapshot"]
            at = save(ours, number)
            _, seen = project.verdict_after(before, 180)
            took = ms(seen - at)
            quiet()
            bare = bare_run(theirs, command, save, number, regreen.env)
            if number > warm:
                figure.sample("regreen", took)
                figure.sample("bare", bare)
        status = project.status()
        if status["verdict"] != "green":
            figure.fail(f"the last verdict is {status['verdict']}")


def bare_run(root, command, save, number, env):
    """The same save and the bare command after it; answers ms from the save to its end."""
    at = save(root, number)
    ran = subprocess.run(command, cwd=root, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    seen = time.monotonic_ns()
    if ran.returncode != 0:
        raise RuntimeError(f"`{' '.join(command)}` ended with {ran.returncode} in {root}: {ran.stderr[-400:]}")
    return ms(seen - at)


def _added(figure, limit):
    over, under = figure.median("regreen"), figure.median("bare")
    figure.goal("regreen - bare", over - under if over and under else None, limit, "ms")


def cargo(figure, quick):
    """A crate of one file: edit, build, three tests."""
    root = fixtures.small_cargo("added-cargo")
    _warm(root, ["cargo", "test", "--offline"])
    side_by_side(figure, "added-cargo", root, ["cargo", "test"], _save_small, 8 if quick else 40)
    _added(figure, 40)


def pytest(figure, quick):
    """Twenty tests in two files."""
    root = fixtures.pytest_project("added-pytest", 20, 2)
    _pytest(figure, "added-pytest", root, 10 if quick else 50)
    _added(figure, 25)


def full_cargo(figure, quick):
    """The 20-crate workspace after a save in leaf07, all 2,000 tests."""
    root = built_workspace("full-cargo")
    side_by_side(figure, "full-cargo", root, ["cargo", "test", "--workspace"], save_leaf, 4 if quick else 12, warm=1)
    figure.ratio("regreen / bare", "regreen", "bare", 1.15)


def full_pytest(figure, quick):
    """2,000 tests in 50 files."""
    root = fixtures.pytest_project("full-pytest", 2000, 50)
    _pytest(figure, "full-pytest", root, 4 if quick else 15)
    figure.ratio("regreen / bare", "regreen", "bare", 1.15)


def built_workspace(name):
    """The 20-crate workspace as its user has left it: built, green, committed."""
    root = fixtures.workspace(name)
    _warm(root, ["cargo", "test", "--workspace"])
    fixtures.commit(root)
    return root


def save_leaf(root, number):
    """A save in leaf07 that keeps everything green."""
    return saves.atomic(root / "leaf07/src/lib.rs", fixtures.crate_source("leaf07", number * 2))


def _save_small(root, number):
    return saves.atomic(root / "src/lib.rs", fixtures.small_source(number))


def _save_sums(root, number):
    return saves.atomic(root / "sums.py", fixtures.sums_source(number))


def _pytest(figure, name, root, rounds):
    bin_dir = places.venv() / "bin"
    _warm(root, [str(bin_dir / "python3"), "-m", "pytest", "-q"])
    side_by_side(figure, name, root, [str(bin_dir / "python3"), "-m", "pytest"], _save_sums, rounds,
                 path_first=[bin_dir])


def _warm(root, command):
    ran = subprocess.run(command, cwd=root, env=places.environment(), stdin=subprocess.DEVNULL,
                         capture_output=True, text=True)
    if ran.returncode != 0:
        raise RuntimeError(f"`{' '.join(command)}` ended with {ran.returncode} in {root}: {ran.stderr[-400:]}")
