"""Takes up regreen's reporter in every python of a run, then the `sitecustomize` that would
have been found without this one. Nothing in here may fail, print or be noticed."""
import os
import sys

_here = os.path.dirname(os.path.abspath(__file__))


def _reporter():
    if "REGREEN_EVENTS" in os.environ:
        import regreen_unittest

        regreen_unittest.install()


def _next():
    """The machine's own one, under its own name."""
    this = sys.modules.pop("sitecustomize", None)
    place = [entry for entry in sys.path if os.path.abspath(entry) == _here]
    for entry in place:
        sys.path.remove(entry)
    try:
        import sitecustomize  # noqa: F401
    except ImportError as error:
        if error.name != "sitecustomize":
            raise
    finally:
        # The directory stays out of the path: no name of ours hides one of the project's.
        sys.modules.setdefault("sitecustomize", this)


try:
    _reporter()
except Exception:
    pass
_next()
