"""Where things lie, and the programs under test: regreen's release build, the rivals, pytest."""

import os
import subprocess
import sys
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]
TARGET = REPO / "target"
TOOLS = TARGET / "bench-tools"
WORK = TARGET / "bench-work"
RESULTS = TARGET / "bench-results"
RIVALS = {"bacon": "bacon", "watchexec": "watchexec-cli"}


class Missing(Exception):
    """A part that a figure needs is not there; the text says how to get it."""


def environment(**more):
    """A small environment, the same for regreen and for its rivals. Nothing of the caller's
    shell leaks in (PYTHONDONTWRITEBYTECODE alone would make pytest 1.5 times slower)."""
    keep = ("HOME", "PATH", "USER", "LOGNAME", "SHELL", "CARGO_HOME", "RUSTUP_HOME", "RUSTUP_TOOLCHAIN")
    env = {name: os.environ[name] for name in keep if name in os.environ}
    env.update({"LANG": "C.UTF-8", "CARGO_TERM_COLOR": "never"})
    env.update(more)
    return env


def regreen():
    """regreen's release binary. REGREEN_BENCH_BINARY names another one."""
    named = os.environ.get("REGREEN_BENCH_BINARY")
    binary = Path(named) if named else TARGET / "release/regreen"
    if not binary.exists():
        raise Missing(f"`{binary}` is not built: run `cargo build --release`, or leave out --no-build")
    return binary


def build_regreen():
    """Builds the release binary once; cargo does nothing where it is up to date."""
    if "REGREEN_BENCH_BINARY" not in os.environ:
        subprocess.run(["cargo", "build", "--release", "--quiet"], cwd=REPO, check=True)


def rival(name):
    """The program of a rival, installed by name where it is missing."""
    binary = TOOLS / "bin" / name
    if not binary.exists():
        print(f"installing {RIVALS[name]} into {TOOLS} ...", file=sys.stderr, flush=True)
        env = dict(os.environ, CARGO_BUILD_JOBS="1")
        subprocess.run(["nice", "-n", "15", "cargo", "install", "--locked", "--quiet", "--root", str(TOOLS),
                        RIVALS[name]], env=env, check=True)
    return binary


def venv():
    """A virtual environment with pytest: REGREEN_TEST_VENV, or the one scripts/test makes; made
    here where there is none."""
    named = os.environ.get("REGREEN_TEST_VENV")
    place = Path(named) if named else TARGET / "test-tools/venv"
    if not (place / "bin/pytest").exists():
        if named:
            raise Missing(f"REGREEN_TEST_VENV is `{place}`, but there is no pytest in it")
        subprocess.run([sys.executable, "-m", "venv", str(place)], check=True)
        subprocess.run([str(place / "bin/pip"), "install", "-q", "pytest"], check=True)
    return place


def reader_of_junit():
    """A python with junitparser, in a place of its own."""
    place = TOOLS / "venv"
    if not (place / "bin/junitparser").exists():
        subprocess.run([sys.executable, "-m", "venv", str(place)], check=True)
        subprocess.run([str(place / "bin/pip"), "install", "-q", "junitparser"], check=True)
    return place / "bin/python"


def npm(name):
    """Where npm has put a package of this name and what it needs."""
    place = TOOLS / "npm" / name
    if not (place / "node_modules" / name).exists():
        place.mkdir(parents=True, exist_ok=True)
        subprocess.run(["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(place), name],
                       check=True)
    return place / "node_modules"


def versions():
    """The versions of everything that takes part, as each program says them."""
    def ask(*argv):
        try:
            out = subprocess.run([str(a) for a in argv], capture_output=True, text=True, timeout=20, cwd="/")
        except OSError as error:
            return f"not there ({error.strerror})"
        lines = (out.stdout + out.stderr).strip().splitlines()
        return lines[0] if lines else "silent"

    found = {
        "kernel": os.uname().release,
        "cores": str(os.cpu_count()),
        "sched_autogroup": _read("/proc/sys/kernel/sched_autogroup_enabled"),
        "commit": ask("git", "-C", REPO, "describe", "--always", "--dirty"),
        "cargo": ask("cargo", "--version"),
        "bwrap": ask("bwrap", "--version"),
        "git": ask("git", "--version"),
        "harness python": sys.version.split()[0],
    }
    if (TARGET / "release/regreen").exists() or "REGREEN_BENCH_BINARY" in os.environ:
        found["regreen"] = ask(regreen(), "--version")
    for name in RIVALS:
        if (TOOLS / "bin" / name).exists():
            found[name] = ask(TOOLS / "bin" / name, "--version")
    try:
        found["pytest"] = ask(venv() / "bin/pytest", "--version")
    except (Missing, subprocess.CalledProcessError) as error:
        found["pytest"] = f"not there ({error})"
    return found


def _read(path):
    try:
        return Path(path).read_text().strip()
    except OSError:
        return "absent"
