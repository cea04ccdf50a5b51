"""Saves made while a run is going on: each must get its verdict without another save.

The one test says by its outcome and its message which value it saw, and the status must name the
tree id that git itself computes for the tree as it is."""

import random
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

RUN = 0.25
SAVES = (saves.atomic, saves.in_place, saves.recreate)


def measure(figure, quick):
    """regreen for every save; the rivals for a few, to show what the figure tells apart."""
    dice = random.Random(time.time_ns())
    bin_dir = places.venv() / "bin"
    root = fixtures.value_project("lost-regreen", RUN)
    theirs = fixtures.copy(root, "lost-rival")
    with Regreen("lost", path_first=[bin_dir]) as regreen:
        regreen.start()
        project = regreen.add(root)
        project.idle()
        for number in range(20 if quick else 200):
            figure.sample("regreen, save to its verdict, ms", _trial(figure, project, number, dice))
    wrong = len(figure.samples["regreen, save to its verdict, ms"]) - len(
        figure.values("regreen, save to its verdict, ms"))
    figure.goal(f"lost of {len(figure.samples['regreen, save to its verdict, ms'])}", wrong, 0)
    for name, start in (("watchexec", lambda c: watchexec(theirs, c)), ("bacon", lambda c: bacon(theirs, c))):
        lost = _rival(theirs, start, bin_dir, dice, 5 if quick else 20)
        figure.note(f"{name}, with its defaults: lost {lost} of {5 if quick else 20}")


def _trial(figure, project, number, dice):
    path = project.root / "value.txt"
    first, second = 2_000_000 + number * 10 + 1, 2_000_000 + number * 10 + 2
    if number % 2:
        first, second = second, first
    if int(path.read_text()) % 2 == first % 2:
        # The verdict must change twice, so that none can be right by chance.
        first, second = second, first
    saves.atomic(path, f"{first}\n")
    project.until(lambda s: s.get("activity") == "running", 30, "a run")
    time.sleep(dice.random() * (RUN + 0.3))
    at = dice.choice(SAVES)(path, f"{second}\n")
    truth = saves.tree_id(project.root, places.WORK / "lost-index")

    def right(status):
        if not settled(status) or status.get("snapshot") != truth:
            return False
        text = str(status.get("failures"))
        return status["verdict"] == ("red" if second % 2 else "green") and (not second % 2 or f"saw {second}" in text)

    answer = _answer(project, right)
    if answer is None:
        figure.note(f"lost: save {number} ({second}, tree {truth}); status {brief(project.status())}")
        return None
    return (answer - at) / 1e6


def _answer(project, right):
    """When the right verdict came; None if regreen rests with another one. A run that is merely
    slow, on a busy machine, is no loss: it is waited for."""
    until = time.monotonic() + 120
    while time.monotonic() < until:
        try:
            return project.until(right, 3)[1]
        except Failed:
            status = project.status()
            if status is not None and settled(status) and not right(status):
                return None
    return None


def _rival(root, start, bin_dir, dice, rounds):
    """How many of the saves made during its run a rival never tested."""
    seen = places.WORK / "lost-seen"
    (root / "tell.py").write_text(
        "import pathlib, time\n"
        f"value = pathlib.Path('value.txt').read_text()\ntime.sleep({RUN})\n"
        f"open({str(seen)!r}, 'w').write(value)\n")
    lost = 0
    with Execs() as execs, start([str(bin_dir / "python3"), "tell.py"]) as rival:
        rival.settle(patience=30)
        for number in range(rounds):
            at = saves.atomic(root / "value.txt", f"{3_000_000 + number * 2}\n")
            if execs.first(at, 10, child_of(rival.pid)) is None:
                lost += 1
                continue
            time.sleep(0.05 + dice.random() * (RUN - 0.05))
            wanted = f"{3_000_001 + number * 2}\n"
            saves.atomic(root / "value.txt", wanted)
            rival.settle(still=1.0, patience=30)
            lost += seen.read_text() != wanted
    return lost
