"""The part of regreen's reporter for pytest that only failures need. It follows
regreen_pytest.py as a text, and runs among its names when the first failure comes."""


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


def _conftest_error(error):
    if type(error).__name__ != "ConftestImportFailure":
        return
    cause = getattr(error, "cause", None)
    if cause is None:
        cause = error.excinfo[1]
    chain = _innermost(cause)
    _write("conftest_error", path=str(error.path), error=_exception(chain[0]))


def _xfail(report):
    return hasattr(report, "wasxfail") and _cap(report.wasxfail, 1000)


def _subtest(report):
    context = getattr(report, "context", None)
    if context is None or not type(report).__name__.lower().startswith("subtest"):
        return None
    kwargs = getattr(context, "kwargs", {}) or {}
    # Pytest 9 keeps what it will print of a value, plugins before kept the value.
    printed = int(pytest.__version__.split(".")[0]) >= 9
    shown = {str(key): str(value) if printed else _side(value) for key, value in dict(kwargs).items()}
    message = getattr(context, "msg", None)
    return {"message": None if message is None else _cap(message, 1000), "kwargs": shown}


def _record(report):
    """All of a phase that did not simply pass."""
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
    return record
