"""The two ways in which a kept or coarse modification time makes a tool answer for old content
(facts: cargo trusts mtimes, CPython trusts whole seconds and the size). Bare runs show them."""

import subprocess
import time

from harness import fixtures
from harness import places
from harness import saves
from harness.daemon import Failed
from harness.daemon import Regreen
from harness.daemon import brief
from harness.daemon import settled


def measure(figure, quick):
    """Each hazard, in regreen and bare."""
    rounds = 10 if quick else 50
    _cargo(figure, rounds)
    _pyc(figure, rounds)


def _verdict(figure, project, before, wanted, what):
    """Whether the next verdict is the wanted one."""
    try:
        project.verdict_after(before, 30)
        status, _ = project.until(settled, 30)
    except Failed as error:
        figure.note(f"{what}: {error}")
        return False
    if status["verdict"] != wanted:
        figure.note(f"{what}: wanted {wanted}, got {brief(status)}")
    return status["verdict"] == wanted


def _source(number, good):
    text = fixtures.small_source(number)
    return text if good else text.replace("assert_eq!(double(0), 0)", "assert_eq!(double(0), 1)")


def _cargo(figure, rounds):
    """A file arrives with an mtime older than the last build, as from `cp -p` or an archive."""
    ours = fixtures.small_cargo("stale-cargo")
    theirs = fixtures.copy(ours, "stale-cargo-bare")
    wrong = bare_wrong = 0
    with Regreen("stale-cargo") as regreen:
        regreen.start()
        project = regreen.add(ours)
        project.idle()
        for number in range(1, rounds + 1):
            good = number % 2 == 0
            old = time.time() - 3600 + number
            before = project.status()["snapshot"]
            saves.atomic(ours / "src/lib.rs", _source(number, good), mtime=old)
            wrong += not _verdict(figure, project, before, "green" if good else "red", f"old mtime, save {number}")
            if number <= 10:
                saves.atomic(theirs / "src/lib.rs", _source(number, good), mtime=old)
                bare_wrong += _bare(theirs, ["cargo", "test", "-q"]) != good
    figure.note(f"bare cargo test: {bare_wrong} of 10 wrong")
    figure.goal(f"older mtime than the last build: wrong of {rounds}", wrong, 0)


def _module(good):
    return f"def answer():\n    return {1 if good else 2}\n"


def _pyc(figure, rounds):
    """Two saves of equal size within one second, a run after each."""
    bin_dir = places.venv() / "bin"
    root = fixtures.place("stale-pyc")
    (root / "pytest.ini").write_text("[pytest]\n")
    (root / ".gitignore").write_text(fixtures.IGNORES)
    (root / "module.py").write_text(_module(True))
    (root / "test_module.py").write_text("import module\n\n\ndef test_answer():\n    assert module.answer() == 1\n")
    fixtures.commit(root)
    theirs = fixtures.copy(root, "stale-pyc-bare")
    wrong = bare_wrong = together = 0
    with Regreen("stale-pyc", path_first=[bin_dir]) as regreen:
        regreen.start()
        project = regreen.add(root)
        project.idle()
        for number in range(rounds):
            # Just after a second has begun, so that both saves fit into it.
            time.sleep(1 - time.time() % 1)
            begun = int(time.time())
            fine = True
            for good in (False, True):
                before = project.status()["snapshot"]
                saves.atomic(root / "module.py", _module(good))
                stamp = int((root / "module.py").stat().st_mtime)
                fine &= _verdict(figure, project, before, "green" if good else "red", f"same second, trial {number}")
            together += stamp == begun
            wrong += not fine
            if number < 10:
                time.sleep(1 - time.time() % 1)
                fine = True
                for good in (False, True):
                    saves.atomic(theirs / "module.py", _module(good))
                    fine &= _bare(theirs, [str(bin_dir / "python3"), "-m", "pytest", "-q"]) == good
                bare_wrong += not fine
    figure.note(f"bare pytest: {bare_wrong} of {min(10, rounds)} wrong; both saves of regreen's side fell into one "
                f"second in {together} of {rounds} trials")
    figure.goal(f"equal-size saves within a second: wrong of {rounds}", wrong, 0)
    figure.goal(f"of {rounds} trials, had both saves in one second", together, rounds // 2, at_least=True)


def _bare(root, command):
    return subprocess.run(command, cwd=root, env=places.environment(), stdin=subprocess.DEVNULL,
                          capture_output=True).returncode == 0
