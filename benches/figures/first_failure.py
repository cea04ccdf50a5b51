"""How soon a failing test is in the status file, against the line of the plain run that first
says so. The failure tells which save it saw, so that an old one cannot be taken for it.

Shown beside it: the same test alone, bare, after a save of its own, which is what no tool that
rebuilds can beat; and how long the plain run needs for a crate's 100 tests, on which the ratio
after a leaf save depends (leaf07 is the tenth crate; see `fixtures.WORK_OF_A_TEST`)."""

import subprocess
import time

from figures.added import built_workspace
from harness import fixtures
from harness import places
from harness import saves
from harness.daemon import Regreen
from harness.proc import quiet
from harness.report import ms
from harness.report import short


def measure(figure, quick):
    """leaf07's t42 fails before and after each save, as in the midst of a repair."""
    ours = built_workspace("first-failure")
    theirs = fixtures.copy(ours, "first-failure-plain")
    with Regreen("first-failure") as regreen:
        regreen.start()
        project = regreen.add(ours)
        project.idle(300)
        numbers = {"core": 0, "leaf": 1}
        for root in (ours, theirs):
            _save(root, "leaf07", 1)
        _ours(project, numbers)
        _plain(theirs, numbers)
        for kind, rounds in (("leaf", 3 if quick else 8), ("core", 2 if quick else 4)):
            for _ in range(rounds):
                numbers[kind] += 2
                crate = "leaf07" if kind == "leaf" else "core0"
                quiet()
                at = _save(ours, crate, numbers[kind])
                first, end = _ours(project, numbers)
                figure.sample(f"regreen, {kind} save, first failure", ms(first - at))
                figure.sample(f"regreen, {kind} save, verdict", ms(end - at))
                quiet()
                at = _save(theirs, crate, numbers[kind])
                first, end = _plain(theirs, numbers)
                figure.sample(f"plain, {kind} save, first failure", ms(first - at))
                figure.sample(f"plain, {kind} save, end", ms(end - at))
                alone = _alone(theirs, crate, numbers[kind])
                figure.sample(f"the failing test alone, bare, {kind} save", alone)
    per_crate = [(end - first) / 10 for first, end in zip(figure.values("plain, leaf save, first failure"),
                                                          figure.values("plain, leaf save, end"))]
    figure.note("100 tests of a crate in the plain run, ms: " + " ".join(short(one) for one in per_crate))
    for kind, times in (("leaf", 2.5), ("core", 8)):
        figure.ratio(f"plain / regreen, first failure after a {kind} save", f"plain, {kind} save, first failure",
                     f"regreen, {kind} save, first failure", times, at_least=True)
        gap = [end - first for first, end in zip(figure.values(f"regreen, {kind} save, first failure"),
                                                 figure.values(f"regreen, {kind} save, verdict"))]
        figure.goal(f"failure in the status before the full verdict, {kind} save: least lead",
                    min(gap) if gap else None, 1, "ms", at_least=True)


def _save(root, crate, number):
    return saves.atomic(root / crate / "src/lib.rs", fixtures.crate_source(crate, number))


def _message(numbers):
    return f"saw core0 {numbers['core']} leaf07 {numbers['leaf']}"


def _ours(project, numbers):
    wanted = _message(numbers)

    def told(status):
        return any(wanted in str(failure.get("message", "")) + str(failure.get("details", ""))
                   for failure in status.get("failures", []))

    _, first = project.until(told, 120, f"the failure `{wanted}`")
    _, end = project.until(lambda s: told(s) and not s.get("stale") and s.get("activity") == "idle", 120,
                           "the full verdict")
    return first, end


def _alone(root, crate, number):
    """The failing test alone, outside any sandbox, after a save; answers ms to its end."""
    quiet()
    at = _save(root, crate, 1_000_000 + number)
    ran = subprocess.run(["cargo", "test", "-p", "leaf07", "--lib", "--", "--exact", "tests::t42"], cwd=root,
                         env=places.environment(), stdin=subprocess.DEVNULL, capture_output=True)
    took = ms(time.monotonic_ns() - at)
    if b"FAILED" not in ran.stdout:
        raise RuntimeError(f"the test alone did not fail in {root}")
    # As the runs before and after expect it.
    _save(root, crate, number)
    return took


def _plain(root, numbers):
    child = subprocess.Popen(["cargo", "test", "--workspace", "--no-fail-fast"], cwd=root, env=places.environment(),
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    first, told = None, False
    for line in child.stdout:
        if first is None and line.rstrip().endswith(b"... FAILED"):
            first = time.monotonic_ns()
        told = told or _message(numbers).encode() in line
    child.wait()
    end = time.monotonic_ns()
    if first is None or not told:
        raise RuntimeError(f"the plain run in {root} did not say `{_message(numbers)}`")
    return first, end
