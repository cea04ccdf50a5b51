"""Regreen's reporter for pytest: what happens, one JSON record a line, in a file of its own.

Loaded with `-p regreen_pytest`; the file is named by REGREEN_EVENTS. It needs python 3.8 and
pytest 6 or newer, works under xdist (only the controller writes), and never breaks a run:
whatever fails in here is swallowed. The format is described in parsers/src/pytest/mod.rs.

PYTEST_DONT_REWRITE: there is no assertion in here, and rewriting would be paid at every start.
"""
import functools
import json
import os
import sys

import pytest

VERSION = 1
MESSAGE = 8 * 1024
SIDE = 8 * 1024
DETAILS = 32 * 1024
FRAMES = 30
IDS = 200000

_writer = None
_quoted = json.encoder.encode_basestring


class _Writer:
    """Numbers the records and writes each one whole.

    Writing costs more than anything else here, so that results of passed tests wait for the
    next record that cannot: the beginning of the next test, a failure, the end.
    """

    def __init__(self, path):
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_CLOEXEC", 0)
        self.fd = os.open(path, flags, 0o600)
        self.number = 0
        self.waiting = []
        if hasattr(os, "register_at_fork"):
            # A forked child inherits this object; its word is not the session's.
            os.register_at_fork(after_in_child=self.close)

    def close(self):
        fd, self.fd, self.waiting = self.fd, -1, []
        if fd >= 0:
            os.close(fd)

    def write(self, kind, **record):
        record = dict(n=self.number, k=kind, **record)
        self.line(json.dumps(record, ensure_ascii=False, default=str))
        self.flush()

    def line(self, line):
        self.waiting.append(line)
        self.number += 1

    def flush(self):
        if self.fd < 0:
            return
        # Half a surrogate pair is a character for python and none for anybody else.
        data = "\n".join(self.waiting).encode("utf-8", "replace") + b"\n"
        self.waiting = []
        while data:
            data = data[os.write(self.fd, data):]


def _open():
    global _writer
    path = os.environ.get("REGREEN_EVENTS")
    if not path or _writer is not None or "PYTEST_XDIST_WORKER" in os.environ:
        return
    try:
        _writer = _Writer(path)
        _write(
            "session", version=VERSION, pytest=pytest.__version__, pid=os.getpid(),
            python="%d.%d.%d" % sys.version_info[:3], cwd=os.getcwd(),
        )
    except Exception:
        _writer = None


def _write(kind, **record):
    try:
        if _writer is not None:
            _writer.write(kind, **record)
    except Exception:
        pass


def _quietly(function):
    @functools.wraps(function)
    def call(*args, **kwargs):
        try:
            return function(*args, **kwargs)
        except Exception:
            return None

    return call


def _cap(text, most):
    text = str(text)
    if len(text) <= most:
        return text
    head, tail = most * 2 // 3, most // 3
    return "%s\n[... %d characters left out ...]\n%s" % (text[:head], len(text) - head - tail, text[-tail:])


def _side(value):
    try:
        return _cap(repr(value), SIDE)
    except Exception as error:
        return "<unprintable %s: %s>" % (type(value).__name__, type(error).__name__)


# ---------------------------------------------------------------- exceptions


def _innermost(error):
    """The error that began a chain: the cause of an import error says more than pytest's own."""
    seen = []
    while error is not None and error not in seen and len(seen) < 20:
        seen.append(error)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return seen


def _frames(error):
    """(file, line, function), innermost first, without pytest's own."""
    frames, trace = [], error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        hidden = trace.tb_frame.f_locals.get("__tracebackhide__", False) is True
        name = code.co_filename
        own = os.sep + "_pytest" + os.sep in name or os.sep + "pluggy" + os.sep in name
        own = own or name == __file__ or name.startswith("<frozen ")
        if not own and not hidden:
            frames.append([name, trace.tb_lineno, getattr(code, "co_qualname", code.co_name)])
        trace = trace.tb_next
    frames.reverse()
    return frames[:FRAMES]


def _exception(error):
    """What is known of an exception, in plain types (xdist carries them between processes)."""
    found = {"type": type(error).__name__, "module": str(type(error).__module__), "frames": _frames(error)}
    found["bases"] = [base.__name__ for base in type(error).__mro__[1:6]]
    try:
        found["message"] = _cap(str(error), MESSAGE)
    except Exception:
        found["message"] = "<unprintable %s>" % type(error).__name__
    if isinstance(error, SyntaxError):
        found["syntax"] = [str(error.filename), error.lineno or 0, error.offset or 0, _cap(error.msg, MESSAGE)]
    return found


def _longrepr(report):
    try:
        text = getattr(report, "longreprtext", "") or ""
        if not text and report.longrepr is not None:
            text = str(report.longrepr)
        return _cap(text, DETAILS)
    except Exception:
        return ""


def _crash(report):
    """(file, line, message) as pytest itself names the place."""
    try:
        crash = report.longrepr.reprcrash
        return [str(crash.path), crash.lineno, _cap(crash.message, MESSAGE)]
    except Exception:
        return None


# ------------------------------------------------------------------- session


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_load_initial_conftests():
    """A conftest that cannot be loaded ends pytest before there is any session."""
    _open()
    outcome = yield
    try:
        info = outcome.excinfo
        if info is not None:
            _conftest_error(info[1])
    except Exception:
        pass


def _conftest_error(error):
    if type(error).__name__ != "ConftestImportFailure":
        return
    cause = getattr(error, "cause", None)
    if cause is None:
        cause = error.excinfo[1]
    chain = _innermost(cause)
    _write("conftest_error", path=str(error.path), error=_exception(chain[0]))


@pytest.hookimpl(tryfirst=True)
@_quietly
def pytest_configure(config):
    _open()
    # Child processes of tests have no business with the file.
    if _writer is not None and not hasattr(config, "workerinput"):
        os.environ.pop("REGREEN_EVENTS", None)
        _write("config", rootdir=str(config.rootpath if hasattr(config, "rootpath") else config.rootdir))
        _whole(config)


def _whole(config):
    """Which tests run must not depend on how the last run went: half a suite is no verdict."""
    for name in ("lf", "stepwise", "stepwise_skip"):
        if getattr(config.option, name, False):
            setattr(config.option, name, False)


@pytest.hookimpl(trylast=True)
@_quietly
def pytest_collection_finish(session):
    if not getattr(session.config.option, "dist", "no") in ("no", None):
        return
    ids = [item.nodeid for item in session.items]
    _write("collected", ids=ids[:IDS], total=len(ids))


@pytest.hookimpl(optionalhook=True)
@_quietly
def pytest_xdist_node_collection_finished(node, ids):
    # Every worker collects the same; the first word counts.
    if not getattr(node.config, "_regreen_collected", False):
        node.config._regreen_collected = True
        ids = [str(one) for one in ids]
        _write("collected", ids=ids[:IDS], total=len(ids))


@pytest.hookimpl(trylast=True)
@_quietly
def pytest_deselected(items):
    _write("deselected", total=len(items))


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_sessionfinish(session, exitstatus):
    yield
    try:
        if not hasattr(session.config, "workerinput"):
            status = int(getattr(session, "exitstatus", exitstatus))
            _ending["status"] = status
            _write("ending", status=status, stop=_stop(session), failed=int(getattr(session, "testsfailed", 0)))
    except Exception:
        pass


_ending = {}


def _stop(session):
    why = getattr(session, "shouldfail", False) or getattr(session, "shouldstop", False)
    return _cap(why, MESSAGE) if why else None


@pytest.hookimpl(trylast=True)
@_quietly
def pytest_unconfigure(config):
    if not hasattr(config, "workerinput"):
        _write("finish", status=_ending.get("status"), records=_writer.number if _writer is not None else 0)


@_quietly
def pytest_internalerror(excrepr, excinfo):
    _write("internal_error", error=_exception(excinfo.value), details=_cap(str(excrepr), DETAILS))


@_quietly
def pytest_keyboard_interrupt(excinfo):
    kind = type(excinfo.value).__name__
    _write("interrupt", type=kind, message=_cap(str(excinfo.value), MESSAGE))


# --------------------------------------------------------------------- tests

_sides = {}


@_quietly
def pytest_assertrepr_compare(config, op, left, right):
    _sides["last"] = [str(op), _side(left), _side(right)]
    return None


# Phases of tests that have passed so far: a test that passes whole needs one record, not three.
_passed = {}


@_quietly
def pytest_runtest_logstart(nodeid, location):
    if _writer is not None:
        _writer.line('{"n":%d,"k":"start","id":%s}' % (_writer.number, _quoted(nodeid)))
        _writer.flush()


def _plain(report):
    """Whether nothing is to be said of a phase but that it passed."""
    return (
        report.outcome == "passed"
        and report.when in ("setup", "call", "teardown")
        and not hasattr(report, "wasxfail")
        and not hasattr(report, "context")
    )


def _hold(report):
    """Keeps a passed phase until more is known; says whether that was enough."""
    phases = _passed.setdefault(report.nodeid, [])
    phases.append((report.when, int(max(getattr(report, "duration", 0.0), 0.0) * 1000)))
    if report.when != "teardown":
        return True
    if [when for when, _ in phases] != ["setup", "call", "teardown"]:
        return False
    del _passed[report.nodeid]
    times = tuple(ms for _, ms in phases)
    _writer.line('{"n":%d,"k":"pass","id":%s,"ms":[%d,%d,%d]}' % (_writer.number, _quoted(report.nodeid), *times))
    return True


def _release(nodeid):
    """Writes what was held of a test that did not pass whole."""
    for when, ms in _passed.pop(nodeid, []):
        _write("report", id=nodeid, when=when, outcome="passed", ms=ms)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Adds what a report cannot tell later, in plain types that xdist carries along."""
    outcome = yield
    try:
        if call.when == "setup":
            _sides.pop("last", None)
        report = outcome.get_result()
        if call.excinfo is not None and not call.excinfo.errisinstance(pytest.skip.Exception):
            chain = _innermost(call.excinfo.value)
            extra = _exception(chain[0])
            # The comparison belongs to this failure only if the failure is an assertion.
            if isinstance(chain[0], AssertionError) and "last" in _sides:
                extra["compare"] = _sides.pop("last")
            report.regreen = extra
    except Exception:
        pass


def _xfail(report):
    return hasattr(report, "wasxfail") and _cap(report.wasxfail, 1000)


def _subtest(report):
    context = getattr(report, "context", None)
    if context is None or not type(report).__name__.lower().startswith("subtest"):
        return None
    kwargs = getattr(context, "kwargs", {}) or {}
    shown = {str(key): value if isinstance(value, str) else _side(value) for key, value in dict(kwargs).items()}
    message = getattr(context, "msg", None)
    return {"message": None if message is None else _cap(message, 1000), "kwargs": shown}


@_quietly
def pytest_runtest_logreport(report):
    if _writer is None:
        return
    if _plain(report):
        if not _hold(report):
            _release(report.nodeid)
        return
    _release(report.nodeid)
    record = {
        "id": report.nodeid, "when": report.when, "outcome": report.outcome,
        "ms": int(max(getattr(report, "duration", 0.0), 0.0) * 1000),
    }
    xfail, subtest = _xfail(report), _subtest(report)
    if xfail is not False:
        record["xfail"] = xfail
    if subtest is not None:
        record["subtest"] = subtest
    if report.outcome == "failed":
        record["at"] = [str(report.location[0]), report.location[1]] if report.location else None
        record["details"] = _longrepr(report)
        record["crash"] = _crash(report)
        record["error"] = getattr(report, "regreen", None)
        record["out"] = _cap(report.capstdout, DETAILS)
        record["err"] = _cap(report.capstderr, DETAILS)
        record["log"] = _cap(report.caplog, DETAILS)
    _write("report", **record)


@pytest.hookimpl(hookwrapper=True)
def pytest_make_collect_report(collector):
    outcome = yield
    try:
        report = outcome.get_result()
        call = getattr(report, "call", None)
        if report.outcome == "failed" and call is not None and call.excinfo is not None:
            report.regreen = [_exception(error) for error in _innermost(call.excinfo.value)]
    except Exception:
        pass


@_quietly
def pytest_collectreport(report):
    if report.outcome == "failed":
        _write(
            "collect_error", id=report.nodeid, path=str(report.fspath) if hasattr(report, "fspath") else None,
            errors=getattr(report, "regreen", None), details=_longrepr(report),
        )


@_quietly
def pytest_warning_recorded(warning_message, when, nodeid, location):
    _write(
        "warning", category=warning_message.category.__name__, message=_cap(warning_message.message, 1000),
        file=str(warning_message.filename), line=int(warning_message.lineno), when=when, id=nodeid,
    )
