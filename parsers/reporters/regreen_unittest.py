"""Regreen's reporter for unittest: what happens, one JSON record a line, in a file of its own.

`install` waits until a process loads unittest and follows every run of a suite that is not
part of another, by whatever runner: the result object tells. The file is named by
REGREEN_EVENTS; a second run has a file of its own beside it. Needs python 3.6 and never breaks
a run: whatever fails in here is swallowed. The records are described in
parsers/src/records/mod.rs.
"""
import os
import sys
import time

__unittest = True

VERSION = 1
MESSAGE = 16 * 1024
SIDE = 8 * 1024
DETAILS = 32 * 1024
FRAMES = 40
FILES = 100

# Kept, because a test may put something else in their place.
_getpid, _write, _open, _clock = os.getpid, os.write, os.open, time.monotonic
_path = None
_session = None


def install():
    """Waits for unittest."""
    global _path
    _path = os.environ.get("REGREEN_EVENTS")
    if not _path:
        return
    if "unittest.suite" in sys.modules:
        _patch(sys.modules["unittest.suite"])
    else:
        sys.meta_path.insert(0, _Finder())


class _Finder(object):
    """Finds nothing but the moment at which `unittest.suite` is loaded."""

    def find_spec(self, name, path=None, target=None):
        if name != "unittest.suite":
            return None
        try:
            sys.meta_path.remove(self)
        except ValueError:
            return None
        for finder in sys.meta_path:
            find = getattr(finder, "find_spec", None)
            spec = find(name, path, target) if find is not None else None
            if spec is not None:
                _after(spec.loader)
                return spec
        return None


def _after(loader):
    try:
        original = loader.exec_module

        def exec_module(module):
            original(module)
            try:
                _patch(module)
            except Exception:
                pass

        loader.exec_module = exec_module
    except Exception:
        pass


def _patch(suites):
    for owner in (suites.BaseTestSuite, suites.TestSuite):
        for name in ("__call__", "run"):
            if name in vars(owner):
                setattr(owner, name, _around(vars(owner)[name]))


def _around(original):
    """The outermost call with a result object is a run; calls within it are its parts."""

    def run(self, *args, **kwargs):
        if _session is not None or not _begin(self, args, kwargs):
            return original(self, *args, **kwargs)
        try:
            value = original(self, *args, **kwargs)
        except BaseException:
            # Whoever was running is told by what is missing.
            _drop()
            raise
        _end()
        return value

    run.__name__ = getattr(original, "__name__", "run")
    run.__doc__ = original.__doc__
    run.__wrapped__ = original
    return run


def _begin(suite, args, kwargs):
    global _session
    try:
        result = args[0] if args else kwargs.get("result")
        from unittest.result import TestResult

        # Pytest, for one, hands in something of its own.
        if not isinstance(result, TestResult) or _path is None:
            return False
        session = _Session(_path)
        session.begin(suite, result)
        _session = session
        # Child processes of tests have no business with the file.
        os.environ.pop("REGREEN_EVENTS", None)
        return True
    except Exception:
        _session = None
        return False


def _end():
    global _session
    session, _session = _session, None
    try:
        session.finish()
    except Exception:
        pass


def _drop():
    global _session
    session, _session = _session, None
    try:
        session.release()
    except Exception:
        pass


def _quietly(function):
    def call(*args):
        try:
            return function(*args)
        except Exception:
            return None

    return call


def _cap(text, most):
    text = str(text)
    if len(text) <= most:
        return text
    head, tail = most * 2 // 3, most // 3
    return "%s\n[... %d characters left out ...]\n%s" % (text[:head], len(text) - head - tail, text[-tail:])


class _State(object):
    """What is known of a test that has begun."""

    def __init__(self, number, test):
        self.number, self.test = number, test
        self.began = _clock()
        self.failed = self.skipped = self.passed = False
        self.expected = self.unexpected = False
        self.why = ""

    def ms(self):
        return round((_clock() - self.began) * 1000, 1)


class _Session(object):
    def __init__(self, path):
        import json
        import threading
        import traceback

        self.dumps = json.dumps
        self.traceback = traceback
        self.lock = threading.RLock()
        self.fd = _new(path)
        # A forked child inherits this object; its word is not the session's.
        self.pid = _getpid()
        self.number = 0
        self.tests = 0
        self.running = {}
        self.planned = {}
        self.counts = {"passed": 0, "failed": 0, "skipped": 0}
        self.result = None

    # ------------------------------------------------------------- writing

    def write(self, what, **record):
        if _getpid() != self.pid:
            return
        with self.lock:
            line = self.dumps(dict(n=self.number, k=what, **record), ensure_ascii=False, default=str)
            # Half a surrogate pair is a character for python and none for anybody else.
            data = line.encode("utf-8", "replace") + b"\n"
            self.number += 1
            while data:
                data = data[_write(self.fd, data):]

    # ------------------------------------------------------------- the run

    def begin(self, suite, result):
        self.write(
            "session", version=VERSION, cwd=os.getcwd(),
            runner="unittest of python %d.%d.%d" % sys.version_info[:3],
        )
        total = 0
        for test in _flat(suite):
            total += 1
            for key in _owners(test):
                self.planned[key] = self.planned.get(key, 0) + 1
        self.write("listed", total=total)
        self.result = result
        # A verdict is about all tests.
        if getattr(result, "failfast", False):
            result.failfast = False
        for name in (
            "startTest", "stopTest", "addSuccess", "addError", "addFailure", "addSkip",
            "addExpectedFailure", "addUnexpectedSuccess", "addSubTest",
        ):
            self.listen(result, name)

    def listen(self, result, name):
        original = getattr(result, name, None)
        if original is None:
            return
        before = _quietly(getattr(self, "on_" + name))

        def call(*args, **kwargs):
            if _session is self:
                before(*(args + tuple(kwargs.values())))
            return original(*args, **kwargs)

        setattr(result, name, call)

    def release(self):
        """The result is as it was."""
        result, self.result = self.result, None
        for name in [name for name in vars(result) if getattr(vars(result)[name], "__qualname__", "").startswith("_Session.listen.")]:
            delattr(result, name)

    def finish(self):
        self.release()
        self.write("finish", records=self.number, **self.counts)

    # ------------------------------------------------------------- tests

    def on_startTest(self, test):
        self.tests += 1
        state = _State(self.tests, test)
        self.running[id(test)] = state
        for key in _owners(test):
            if self.planned.get(key):
                self.planned[key] -= 1
        self.write("start", t=state.number, id=test.id())

    def on_stopTest(self, test):
        state = self.running.pop(id(test), None)
        if state is None:
            return
        if state.unexpected and not state.failed:
            self.fail(state, kind="unexpected_pass", error={"message": "Unexpected success"})
        if state.failed:
            self.counts["failed"] += 1
            self.write("end", t=state.number, ms=state.ms())
        elif not (state.expected or state.skipped or state.passed):
            # Something goes through everything (a key was pressed, say): it has no end.
            self.running[id(test)] = state
        elif state.expected or state.skipped:
            self.counts["skipped"] += 1
            self.write("skip", t=state.number, why=_cap(state.why, 1000), ms=state.ms())
        else:
            self.counts["passed"] += 1
            self.write("pass", t=state.number, ms=state.ms())

    def on_addSuccess(self, test):
        state = self.running.get(id(test))
        if state is not None:
            state.passed = True

    def on_addExpectedFailure(self, test, err):
        state = self.running.get(id(test))
        if state is not None:
            state.expected = True

    def on_addUnexpectedSuccess(self, test):
        state = self.running.get(id(test))
        if state is not None:
            state.unexpected = True

    def on_addSkip(self, test, reason):
        state = self.running.get(id(getattr(test, "test_case", test)))
        if state is not None:
            state.skipped, state.why = True, reason
            return
        # A class or a module that is skipped whole.
        self.counts["skipped"] += 1
        self.write("skip", id=str(test), why=_cap(reason, 1000))
        self.left_out(test)

    def on_addError(self, test, err):
        self.broken(test, err, False)

    def on_addFailure(self, test, err):
        self.broken(test, err, True)

    def on_addSubTest(self, test, subtest, err):
        state = self.running.get(id(test))
        if err is not None and state is not None:
            asserts = issubclass(err[0], test.failureException)
            self.fail(state, id=subtest.id(), **self.failure(state.test, err, asserts))

    def broken(self, test, err, asserts):
        state = self.running.get(id(test))
        if state is None:
            return self.fixture(test, err)
        found = self.failure(test, err, asserts)
        if type(test).__name__ in ("_FailedTest", "ModuleImportFailure"):
            found.update(kind="collection_error", phase="collect", id=_failed_name(test))
        self.fail(state, **found)

    def fail(self, state, **record):
        state.failed = True
        at = _definition(state.test)
        if at is not None:
            record["at"] = at
        result = self.result
        if getattr(result, "buffer", False):
            record["out"], record["err"] = _printed(result, "stdout"), _printed(result, "stderr")
        self.write("fail", t=state.number, open=True, ms=state.ms(), **record)

    def fixture(self, test, err):
        """`setUpClass (tests.m.C)` and its like are no tests, but fail as one."""
        up = str(test).startswith("setUp")
        found = self.failure(test, err, False)
        found.update(phase="setup" if up else "teardown", kind="setup_error" if up else "teardown_error")
        self.counts["failed"] += 1
        self.write("fail", id=test.id(), **found)
        if up:
            self.left_out(test)

    def left_out(self, holder):
        """The tests of a fixture that did not work will not begin."""
        owner = str(holder).partition(" (")[2].rstrip(")")
        total = self.planned.pop(owner, 0)
        if total:
            self.write("unlisted", total=total)

    # ------------------------------------------------------------- errors

    def failure(self, test, err, asserts):
        kind, error, trace = err
        phase = _phase(trace)
        record = {"phase": phase, "error": self.error(kind, error, trace)}
        if phase == "setup":
            record["kind"] = "setup_error"
        elif phase == "teardown":
            record["kind"] = "teardown_error"
        else:
            record["kind"] = "assertion" if asserts else "panic"
        return record

    def error(self, kind, error, trace):
        found = {"name": getattr(kind, "__name__", str(kind))}
        try:
            found["message"] = _cap(str(error), MESSAGE)
        except Exception:
            found["message"] = "<unprintable %s>" % found["name"]
        try:
            found["frames"] = _frames(trace)
        except Exception:
            pass
        try:
            found["stack"] = self.stack(kind, error, trace)
        except Exception:
            pass
        try:
            sides = _sides(trace)
            if sides is not None:
                found["left"], found["right"] = sides
        except Exception:
            pass
        return found

    def stack(self, kind, error, trace):
        told = self.traceback.TracebackException(kind, error, trace)
        seen = []
        each = told
        while each is not None and each not in seen:
            seen.append(each)
            each.stack[:] = [frame for frame in each.stack if not _own(frame.filename)]
            each = each.__cause__ or each.__context__
        return _cap("".join(told.format()), DETAILS)


def _new(path):
    """The first run has the file itself, further ones a number in its name."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | getattr(os, "O_CLOEXEC", 0)
    stem, dot, end = path.rpartition(".")
    for number in range(FILES):
        name = path if number == 0 else "%s.%d.%s" % (stem, number, end)
        try:
            return _open(name, flags, 0o600)
        except FileExistsError:
            continue
    raise OSError("too many runs")


def _flat(suite):
    try:
        tests = iter(suite)
    except TypeError:
        yield suite
        return
    for test in tests:
        for one in _flat(test):
            yield one


def _owners(test):
    """Class and module, as the fixtures' names have them."""
    kind = type(test)
    return ["%s.%s" % (kind.__module__, kind.__qualname__), kind.__module__]


def _failed_name(test):
    return getattr(test, "_testMethodName", None) or str(test)


def _definition(test):
    try:
        function = getattr(type(test), test._testMethodName)
        while hasattr(function, "__wrapped__"):
            function = function.__wrapped__
        code = function.__code__
        return [code.co_filename, code.co_firstlineno, None]
    except Exception:
        return None


def _own(name):
    name = name.replace("\\", "/")
    return name == __file__ or "/unittest/" in name and name.rpartition("/unittest/")[0].rpartition("/")[2].startswith("python") or name.startswith("<frozen ")


def _phase(trace):
    """unittest's own function tells which part of a test it had called."""
    while trace is not None:
        code = trace.tb_frame.f_code
        if _own(code.co_filename):
            if code.co_name in ("_callSetUp", "_handleClassSetUp"):
                return "setup"
            if code.co_name in ("_callTearDown", "_callCleanup", "doCleanups", "_tearDownPreviousClass"):
                return "teardown"
            if code.co_name == "_callTestMethod":
                return "call"
        elif code.co_name in ("setUp", "asyncSetUp"):
            # Before 3.8 it was called by `run` itself.
            return "setup"
        elif code.co_name in ("tearDown", "asyncTearDown"):
            return "teardown"
        elif "/asyncio/" not in code.co_filename:
            return "call"
        trace = trace.tb_next
    return "call"


def _frames(trace):
    """(file, line, column, function), innermost first, without unittest's own."""
    frames = []
    while trace is not None:
        code = trace.tb_frame.f_code
        if not _own(code.co_filename):
            frames.append([code.co_filename, trace.tb_lineno, None, getattr(code, "co_qualname", code.co_name)])
        trace = trace.tb_next
    frames.reverse()
    return frames[:FRAMES]


_PAIRS = (
    ("first", "second"), ("list1", "list2"), ("tuple1", "tuple2"), ("set1", "set2"), ("d1", "d2"),
    ("seq1", "seq2"), ("expr1", "expr2"), ("a", "b"), ("member", "container"),
)


def _sides(trace):
    """What the assertion that was called compares: its own variables are whole, its message
    may be cut."""
    while trace is not None:
        frame = trace.tb_frame
        if _own(frame.f_code.co_filename) and frame.f_code.co_name.startswith("assert"):
            # What expects an exception compares nothing.
            if "Raises" in frame.f_code.co_name or "Warns" in frame.f_code.co_name:
                return None
            for left, right in _PAIRS:
                if left in frame.f_locals and right in frame.f_locals:
                    return [_side(frame.f_locals[left]), _side(frame.f_locals[right])]
            return None
        trace = trace.tb_next
    return None


def _side(value):
    try:
        return _cap(repr(value), SIDE)
    except Exception as error:
        return "<unprintable %s: %s>" % (type(value).__name__, type(error).__name__)


def _printed(result, name):
    try:
        return _cap(getattr(result, "_%s_buffer" % name).getvalue(), DETAILS)
    except Exception:
        return ""
