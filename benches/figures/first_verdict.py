"""The first verdict on a workspace that its user has built, against a cold build of it."""

import shutil
import subprocess
import time

from figures.added import built_workspace
from harness import fixtures
from harness import places
from harness.daemon import Regreen
from harness.proc import quiet
from harness.report import ms


def measure(figure, quick):
    """Each time a regreen that has never seen the project, and a clone that was never built."""
    root = built_workspace("first-verdict")
    for number in range(1 if quick else 3):
        quiet()
        with Regreen("first-verdict") as regreen:
            regreen.start()
            at = time.monotonic_ns()
            project = regreen.add(root)
            status, seen = project.until(lambda s: not s.get("stale") and s.get("activity") == "idle"
                                         and s.get("verdict") not in (None, "unknown"), 300, "the first verdict")
            figure.sample("regreen, add to verdict", ms(seen - at))
            if status["verdict"] != "green":
                figure.fail(f"the first verdict is {status['verdict']}")
            project.close()
        shutil.rmtree(regreen.home / "cache", ignore_errors=True)
        clone = fixtures.place("first-verdict-cold")
        clone.rmdir()
        subprocess.run(["git", "clone", "-q", str(root), str(clone)], check=True, env=places.environment())
        quiet()
        at = time.monotonic_ns()
        subprocess.run(["cargo", "test", "--workspace", "--no-run"], cwd=clone, env=places.environment(), check=True,
                       stdin=subprocess.DEVNULL, capture_output=True)
        figure.sample("cold build", ms(time.monotonic_ns() - at))
        shutil.rmtree(clone, ignore_errors=True)
    figure.ratio("first verdict / cold build", "regreen, add to verdict", "cold build", 0.2)
