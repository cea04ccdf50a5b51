"""How a file is saved, and what git says of the tree afterwards."""

import os
import subprocess
import time
from pathlib import Path

from harness.places import environment


def atomic(path, text, mtime=None):
    """Saves as most editors do, temporary file and rename; answers the time just before the
    rename, in monotonic ns. The temporary file lies outside the watched tree's sources' names
    (`.x.swp~`), as an editor's does."""
    path = Path(path)
    beside = path.with_name(f".{path.name}.swp~")
    beside.write_bytes(text.encode())
    if mtime is not None:
        os.utime(beside, (mtime, mtime))
    at = time.monotonic_ns()
    os.rename(beside, path)
    return at


def outside(path, text, scratch):
    """The same with the temporary file in another directory of the same file system, so that
    the rename is the only thing that happens in the watched tree: the fairest start."""
    path = Path(path)
    beside = Path(scratch) / f"{os.getpid()}.tmp"
    beside.write_bytes(text.encode())
    at = time.monotonic_ns()
    os.rename(beside, path)
    return at


def in_place(path, text):
    """Saves by truncating and writing; answers the time just before."""
    data = text.encode()
    at = time.monotonic_ns()
    with open(path, "wb") as file:
        file.write(data)
    return at


def recreate(path, text):
    """Deletes the file and writes it anew; answers the time just before."""
    data = text.encode()
    at = time.monotonic_ns()
    os.unlink(path)
    with open(path, "wb") as file:
        file.write(data)
    return at


def git(root, *args, **env):
    """Runs git in a fixture, hermetically; answers its output."""
    clean = environment(GIT_CONFIG_NOSYSTEM="1", GIT_CONFIG_GLOBAL="/dev/null", GIT_AUTHOR_NAME="bench",
                        GIT_AUTHOR_EMAIL="bench@localhost", GIT_COMMITTER_NAME="bench",
                        GIT_COMMITTER_EMAIL="bench@localhost", **env)
    out = subprocess.run(["git", "-c", "gc.auto=0", "-c", "maintenance.auto=false", "-C", str(root), *args],
                         env=clean, capture_output=True, text=True)
    if out.returncode != 0:
        raise RuntimeError(f"git {' '.join(args)} in {root}: {out.stderr.strip()}")
    return out.stdout.strip()


def tree_id(root, scratch):
    """The tree id of everything that git does not ignore, made by git itself with an index of
    its own in `scratch`: what a true verdict must name. Objects go to `scratch` too."""
    scratch = Path(scratch)
    objects = scratch / "objects"
    objects.mkdir(parents=True, exist_ok=True)
    env = {"GIT_INDEX_FILE": str(scratch / "index"), "GIT_OBJECT_DIRECTORY": str(objects),
           "GIT_ALTERNATE_OBJECT_DIRECTORIES": str(Path(root) / ".git/objects")}
    git(root, "add", "--all", **env)
    return git(root, "write-tree", **env)
