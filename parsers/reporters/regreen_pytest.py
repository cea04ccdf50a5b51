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
# Kept, because a test may have put something else in their place.
_exec, _compile, _getpid = exec, compile, os.getpid
_quoted = json.encoder.encode_basestring


class _Writer:
    """Numbers the records and writes each one whole.

    Writing costs more than anything else here, so that results of passed tests wait for the
    next record that cannot: the beginning of the next test, a failure, the end.
    """

    def __init__(self, path):
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_CLOEXEC", 0)
        self.fd = os.open(path, flags, 0o600)
        # A forked child inherits this object; its word is not the session's. No callback for
        # forks: the interpreter would keep it, and with it everything that this module knows,
        # past its own end, which then takes 5 ms longer.
        self.pid = _getpid()
        self.number = 0
        self.waiting = []

    def write(self, kind, **record):
        record = dict(n=self.number, k=kind, **record)
        self.line(json.dumps(record, ensure_ascii=False, default=str))
        self.flush()

    def line(self, line):
        self.waiting.append(line)
        self.number += 1

    def flush(self):
        if _getpid() != self.pid:
            self.waiting = []
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


def _later():
    """Takes up what only failures need (regreen_pytest_failures.py, which follows this file as a
    text). Compiling it at every start would cost more than everything else in here; reading a
    file at that moment is not possible where a test plays with the file system."""
    global _LATER
    if _LATER is not None:
        text, _LATER = _LATER, None
        _exec(_compile(text, __file__, "exec"), globals())


# ------------------------------------------------------------------- session


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_load_initial_conftests():
    """A conftest that cannot be loaded ends pytest before there is any session."""
    _open()
    outcome = yield
    try:
        info = outcome.excinfo
        if info is not None:
            _later()
            _conftest_error(info[1])
    except Exception:
        pass


@pytest.hookimpl(tryfirst=True)
@_quietly
def pytest_configure(config):
    _open()
    # Child processes of tests have no business with the file.
    if _writer is not None and not hasattr(config, "workerinput"):
        os.environ.pop("REGREEN_EVENTS", None)
        _write(
            "config", rootdir=str(config.rootpath if hasattr(config, "rootpath") else config.rootdir),
            collect_only=bool(getattr(config.option, "collectonly", False)),
        )
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
    _later()
    _write("internal_error", error=_exception(excinfo.value), details=_cap(str(excrepr), DETAILS))


@_quietly
def pytest_keyboard_interrupt(excinfo):
    kind = type(excinfo.value).__name__
    _write("interrupt", type=kind, message=_cap(str(excinfo.value), MESSAGE))


# --------------------------------------------------------------------- tests

_sides = {}


@_quietly
def pytest_assertrepr_compare(config, op, left, right):
    _later()
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
            _later()
            chain = _innermost(call.excinfo.value)
            extra = _exception(chain[0])
            # The comparison belongs to this failure only if the failure is an assertion.
            if isinstance(chain[0], AssertionError) and "last" in _sides:
                extra["compare"] = _sides.pop("last")
            report.regreen = extra
    except Exception:
        pass


@_quietly
def pytest_runtest_logreport(report):
    if _writer is None:
        return
    if _plain(report):
        if not _hold(report):
            _release(report.nodeid)
        return
    _later()
    _release(report.nodeid)
    _write("report", **_record(report))


@pytest.hookimpl(hookwrapper=True)
def pytest_make_collect_report(collector):
    outcome = yield
    try:
        report = outcome.get_result()
        call = getattr(report, "call", None)
        if report.outcome == "failed" and call is not None and call.excinfo is not None:
            _later()
            report.regreen = [_exception(error) for error in _innermost(call.excinfo.value)]
    except Exception:
        pass


@_quietly
def pytest_collectreport(report):
    if report.outcome == "failed":
        _later()
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
