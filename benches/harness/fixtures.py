"""The trees that figures are measured on, generated: nothing is checked in, nothing downloaded
but the crates that regreen itself is built from (its Cargo.lock pins them)."""

import os
import random
import shutil

from harness.places import REPO, WORK
from harness.saves import git

IGNORES = "target/\n__pycache__/\n.pytest_cache/\nout/\n"


def _write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def _commit(root, message="begin"):
    if not (root / ".git").exists():
        git(root, "init", "-q", "-b", "main")
    git(root, "add", "--all")
    git(root, "commit", "-q", "-m", message)


def place(name):
    """An empty directory for a fixture."""
    root = WORK / "trees" / name
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    return root


def copy(root, name):
    """A second copy, build products and times included, for the other side of a comparison."""
    to = WORK / "trees" / name
    shutil.rmtree(to, ignore_errors=True)
    shutil.copytree(root, to, symlinks=True)
    return to


def small_source(number):
    """A small crate's source; `number` makes each save different and of equal length."""
    return f"""//! A small crate.

/// Differs from save to save.
pub const NUMBER: u64 = {number:012};

/// The double.
pub fn double(of: u64) -> u64 {{
    of * 2
}}

#[cfg(test)]
mod tests {{
    use super::*;

    #[test]
    fn doubles() {{
        assert_eq!(double(NUMBER), NUMBER + NUMBER);
    }}

    #[test]
    fn zero() {{
        assert_eq!(double(0), 0);
    }}

    #[test]
    fn odd() {{
        assert_ne!(double(3) % 2, 1);
    }}
}}
"""


def small_cargo(name):
    """A crate of one file with three tests."""
    root = place(name)
    _small_crate(root)
    _write(root / ".gitignore", IGNORES)
    _commit(root)
    return root


def _small_crate(root):
    # The fixture lies below regreen's own target/: its empty [workspace] makes it its own.
    _write(root / "Cargo.toml", '[package]\nname = "small"\nversion = "0.1.0"\nedition = "2024"\n\n'
                                '[lib]\ndoctest = false\n\n[workspace]\n')
    _write(root / "Cargo.lock", 'version = 4\n\n[[package]]\nname = "small"\nversion = "0.1.0"\n')
    _write(root / "src/lib.rs", small_source(0))


def tree(name, tracked, ignored=0):
    """A small crate in a tree of `tracked` files (about 20 a directory, three levels deep) and
    `ignored` ignored ones."""
    root = place(name)
    dice = random.Random(7)
    _small_crate(root)
    _write(root / ".gitignore", IGNORES)
    _fill(root / "data", tracked - 4, dice)
    if ignored:
        _fill(root / "out", ignored, dice)
    _commit(root)
    return root


def _fill(top, files, dice):
    for number in range(files):
        directory = number // 20
        at = top / f"a{directory // 400:02}" / f"b{directory // 20 % 20:02}" / f"c{directory % 20:02}"
        if number % 20 == 0:
            at.mkdir(parents=True, exist_ok=True)
        (at / f"f{number % 20:02}.txt").write_text(f"{number} " + "x" * dice.randrange(100, 1500))


def big_tree():
    """100,000 files, 50,000 ignored ones beside them. Made once and kept: it takes a while."""
    root, made = WORK / "trees/big", WORK / "trees/big.made"
    if not made.exists():
        tree("big", 100_000, 50_000)
        made.write_text("")
    return root


def directories(root):
    """How many directories of a `tree` git does not ignore, .git left aside."""
    count = 0
    for _, below, _ in os.walk(root):
        below[:] = [name for name in below if name not in (".git", "out", "target")]
        count += 1
    return count


def file_of(root, number):
    """The path of a data file of `tree` by its number."""
    directory = number // 20
    return root / "data" / f"a{directory // 400:02}" / f"b{directory // 20 % 20:02}" \
        / f"c{directory % 20:02}" / f"f{number % 20:02}.txt"


def pytest_project(name, tests, files):
    """`tests` small tests in `files` files, over one module that saves change."""
    root = place(name)
    _write(root / "pyproject.toml", '[project]\nname = "sums"\nversion = "0.1.0"\n\n'
                                    '[tool.pytest.ini_options]\ntestpaths = ["tests"]\npythonpath = ["."]\n')
    _write(root / ".gitignore", IGNORES)
    _write(root / "sums.py", sums_source(0))
    each = tests // files
    for number in range(files):
        body = ["import sums\n"]
        for at in range(each):
            body.append(f"\n\ndef test_{at:03}():\n    assert sums.add({at}, {number}) == {at + number}\n")
        _write(root / f"tests/test_{number:03}.py", "".join(body))
    _commit(root)
    return root


def sums_source(number):
    """The module under test; equal in length for every number."""
    return f'"""Sums."""\n\nNUMBER = {number:012}\n\n\ndef add(a, b):\n    return a + b\n'.replace(
        f"{number:012}", f"1{number:011}")


def value_project(name, seconds):
    """One test of about `seconds` that tells which value it saw: an odd one fails, by name."""
    root = place(name)
    _write(root / "pytest.ini", "[pytest]\n")
    _write(root / ".gitignore", IGNORES)
    _write(root / "value.txt", "1000000\n")
    _write(root / "test_value.py", f"""import pathlib
import time

SEEN = int(pathlib.Path(__file__).with_name("value.txt").read_text())


def test_value():
    time.sleep({seconds})
    assert SEEN % 2 == 0, f"saw {{SEEN}}"
""")
    _commit(root)
    return root


# Round trips in one test: a millisecond or two in a debug build, as a small unit test takes. Were
# it nothing, the figures would be about the start of 20 processes. The goals of `first-failure` were
# set on a workspace whose crates took 52 ms each, a fifth of what its failing test took alone
# (267 ms after a save), and that saw its first failure after 730 ms and its end after 1254: with this
# number the plain run comes out there, and the run prints it. After a save in core0 the reference
# saw its first failure after 3242 ms and its end after 3762, the failing test alone after 377; with
# tests that use core0's constant: 2911, 3375 and 384 (n = 5). Without that, cargo's incremental
# builds left most of them as they were: 2161, 2635 and 343, where not even the test alone is 8 x sooner.
WORK_OF_A_TEST = 280
CRATES = ["core0", "core1"] + [f"leaf{number:02}" for number in range(18)]


def workspace(name):
    """20 crates with 2,000 tests, on serde, serde_json and regex as regreen's own lock has them.
    All depend on core0. `tests::t42` of leaf07, the tenth crate in order, tells by its message
    which core0 and which leaf07 it was built from, and fails where leaf07's OWN is odd."""
    root = place(name)
    members = ", ".join(f'"{crate}"' for crate in CRATES)
    _write(root / "Cargo.toml", f"[workspace]\nresolver = \"3\"\nmembers = [{members}]\n")
    shutil.copy(REPO / "Cargo.lock", root / "Cargo.lock")
    _write(root / ".gitignore", IGNORES)
    for crate in CRATES:
        above = {"core0": [], "core1": ["core0"]}.get(crate, ["core0", "core1"])
        deps = "".join(f'{one} = {{ path = "../{one}" }}\n' for one in above)
        _write(root / crate / "Cargo.toml",
               f'[package]\nname = "{crate}"\nversion = "0.1.0"\nedition = "2024"\n\n[lib]\ndoctest = false\n\n'
               f'[dependencies]\n{deps}serde = {{ version = "1", features = ["derive"] }}\n'
               'serde_json = "1"\nregex = "1"\nsimilar = "3"\ntoml = "1"\n')
        _write(root / crate / "src/lib.rs", crate_source(crate, 0))
    return root


def crate_source(crate, own):
    """The source of a crate of `workspace`; `own` makes each save different."""
    lines = [f"//! {crate}.", "", "use serde::Deserialize;", "use serde::Serialize;", "",
             "/// Differs from save to save.", f"pub const OWN: u64 = {own};", ""]
    if crate == "core0":
        lines += ["/// What everything is built from.", "pub fn seed() -> u64 {", "    OWN", "}", ""]
    else:
        lines += ["/// What everything is built from.", "pub fn seed() -> u64 {", "    core0::seed()", "}", ""]
    lines += ["/// A record.", "#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]", "pub struct Record {",
              "    /// A number.", "    pub number: u64,", "    /// A name.", "    pub name: String,", "}", "",
              "/// There and back.", "pub fn round_trip(number: u64) -> Record {",
              "    let record = Record { number, name: format!(\"n{number}\") };",
              "    let text = serde_json::to_string(&record).unwrap();",
              "    serde_json::from_str(&text).unwrap()", "}", "",
              "#[cfg(test)]", "mod tests {", "    use super::*;", ""]
    # Every test uses what core0 says: after a save there, all of them are compiled anew, as in the
    # reference (see WORK_OF_A_TEST).
    from_core = "OWN" if crate == "core0" else "core0::OWN"
    for number in range(100):
        lines.append("    #[test]")
        if crate == "leaf07" and number == 42:
            lines.append("    fn t42() { assert!(OWN % 2 == 0, \"saw core0 {} leaf07 {}\", core0::OWN, OWN); }")
        else:
            lines.append(f"    fn t{number:02}() {{ for n in {from_core}..{from_core} + {WORK_OF_A_TEST} {{ "
                         f"assert_eq!(round_trip(n).number, n + {number} - {number}); }} }}")
        lines.append("")
    return "\n".join(lines + ["}", ""])


def commit(root, message="begin"):
    """Commits everything in a fixture."""
    _commit(root, message)


def two_branches(name, files, changed):
    """A tree with branches `one` and `two` that differ in `changed` files, and one pytest test
    that fails if it sees a mixture of the two."""
    root = tree(name, files)
    for path in ("Cargo.toml", "Cargo.lock", "src/lib.rs"):
        (root / path).unlink()
    _write(root / "pytest.ini", "[pytest]\n")
    _write(root / "test_whole.py", f"""import pathlib
import time


def test_whole():
    time.sleep(0.3)
    top = pathlib.Path(__file__).parent / "data"
    seen = {{path.read_text()[:3] for path in sorted(top.glob("*/*/*/f*.txt"))[:{changed}]}}
    assert len(seen) == 1, sorted(seen)
""")
    paths = sorted((root / "data").glob("*/*/*/f*.txt"))[:changed]
    for branch in ("one", "two"):
        for number, path in enumerate(paths):
            path.write_text(f"{branch} {number} " + "y" * (number % 700))
        if branch == "one":
            _commit(root)
            git(root, "branch", "-q", "-M", "one")
        else:
            git(root, "checkout", "-q", "-b", "two")
            _commit(root, "two")
    return root


def walk(root):
    """Reads every file of a tree once, as an indexer or a backup does; answers how many."""
    seen = 0
    for at, _, names in os.walk(root):
        for name in names:
            try:
                with open(os.path.join(at, name), "rb") as file:
                    file.read()
            except OSError:
                continue
            seen += 1
    return seen
