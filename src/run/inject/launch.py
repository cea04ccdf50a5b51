"""Starts pytest as `python -m pytest` does, but never from a `pytest.py` of the project."""
import os
import runpy
import sys

# The directory of this file stands first; the working directory is not there yet.
sys.path.pop(0)
try:
    import pytest
except ModuleNotFoundError as error:
    if error.name != "pytest":
        raise
    sys.stderr.write("%s: No module named pytest\n" % sys.executable)
    raise SystemExit(1)
try:
    # Before pytest's own importer, which would take the source apart once more.
    import regreen_pytest  # noqa: F401
except ImportError:
    pass
sys.path.insert(0, os.getcwd())
# The package is loaded already, so its `__main__` is found beside it and nowhere else.
runpy.run_module("pytest.__main__", run_name="__main__", alter_sys=True)
