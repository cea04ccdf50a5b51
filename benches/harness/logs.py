"""Logs and report files of test runners, generated: so many tests, so many of them failing."""

import json
from xml.sax.saxutils import quoteattr


def pytest(tests):
    """Text of pytest in which every test fails."""
    lines = ["=" * 28 + " test session starts " + "=" * 29, f"collected {tests} items", "", "tests/test_a.py "
             + "F" * tests, "", "=" * 35 + " FAILURES " + "=" * 35]
    for i in range(tests):
        name = f"test_case_{i}"
        lines += ["_" * 30 + f" {name} " + "_" * 30, "", f"    def {name}():", f">       assert compute({i}) == {i + 1}",
                  f"E       assert {i} == {i + 1}", f"E        +  where {i} = compute({i})", "",
                  f"tests/test_a.py:{4 * i + 2}: AssertionError"]
    lines.append("=" * 27 + " short test summary info " + "=" * 28)
    lines += [f"FAILED tests/test_a.py::test_case_{i} - assert {i} == {i + 1}" for i in range(tests)]
    lines.append("=" * 28 + f" {tests} failed in 12.34s " + "=" * 28)
    return "\n".join(lines) + "\n"


def cargo(tests):
    """Text of libtest in which every test fails."""
    lines = ["", f"running {tests} tests"]
    lines += [f"test tests::case_{i} ... FAILED" for i in range(tests)]
    lines += ["", "failures:", ""]
    for i in range(tests):
        lines += [f"---- tests::case_{i} stdout ----", "",
                  f"thread 'tests::case_{i}' ({1000 + i}) panicked at src/lib.rs:{4 * i + 2}:9:",
                  "assertion `left == right` failed", f"  left: {i}", f" right: {i + 1}", ""]
    lines += ["", "failures:"] + [f"    tests::case_{i}" for i in range(tests)]
    lines += ["", f"test result: FAILED. 0 passed; {tests} failed; 0 ignored; 0 measured; 0 filtered out; "
              "finished in 1.00s", ""]
    return "\n".join(lines) + "\n"


def go(tests, failing=1):
    """`go test -json`, in which one test in so many fails."""
    events, package = [], "example.com/a"

    def event(action, **more):
        events.append(json.dumps({"Time": "2026-11-20T13:22:05.007Z", "Action": action, "Package": package, **more},
                                 separators=(",", ":")))

    event("start")
    for i in range(tests):
        name = f"TestCase{i}"
        event("run", Test=name)
        event("output", Test=name, Output=f"=== RUN   {name}\n")
        fails = i % failing == 0
        if fails:
            event("output", Test=name, Output=f"    a_test.go:{4 * i + 2}: got {i}, want {i + 1}\n")
        word = "FAIL" if fails else "PASS"
        event("output", Test=name, Output=f"--- {word}: {name} (0.00s)\n")
        event(word.lower(), Test=name, Elapsed=0)
    event("output", Output="FAIL\n")
    event("output", Output=f"FAIL\t{package}\t1.000s\n")
    event("fail", Elapsed=1)
    return "\n".join(events) + "\n"


def jest(tests):
    """`jest --json` in which every test fails."""
    message = "Error: expect(received).toBe(expected) // Object.is equality\n\nExpected: {}\nReceived: {}\n" \
              "    at Object.toBe (/p/a.test.js:{}:15)\n    at new Promise (<anonymous>)"
    results = [{"ancestorTitles": ["suite"], "duration": 1, "failureDetails": [{}], "fullName": f"suite case {i}",
                "failureMessages": [message.format(i + 1, i, 4 * i + 2)], "invocations": 1, "location": None,
                "numPassingAsserts": 0, "retryReasons": [], "status": "failed", "title": f"case {i}"}
               for i in range(tests)]
    return json.dumps({
        "numFailedTestSuites": 1, "numFailedTests": tests, "numPassedTestSuites": 0, "numPassedTests": 0,
        "numPendingTestSuites": 0, "numPendingTests": 0, "numRuntimeErrorTestSuites": 0, "numTodoTests": 0,
        "numTotalTestSuites": 1, "numTotalTests": tests, "openHandles": [], "startTime": 1795180925007,
        "success": False, "wasInterrupted": False,
        "testResults": [{"assertionResults": results, "endTime": 1795180926007, "message": "", "name": "/p/a.test.js",
                         "startTime": 1795180925007, "status": "failed", "summary": ""}]}) + "\n"


def junit(tests, failing=1):
    """JUnit XML in which one test in so many fails."""
    failed = len(range(0, tests, failing))
    lines = ['<?xml version="1.0" encoding="UTF-8"?>',
             f'<testsuite name="com.example.A" tests="{tests}" failures="{failed}" errors="0" skipped="0" time="1.0">']
    for i in range(tests):
        case = f'  <testcase name="case{i}" classname="com.example.A" time="0.001"'
        if i % failing:
            lines.append(case + "/>")
            continue
        message = f"expected: <{i + 1}> but was: <{i}>"
        trace = f"org.opentest4j.AssertionFailedError: {message}\n\tat com.example.A.case{i}(A.java:{4 * i + 2})"
        lines += [case + ">", f"    <failure message={quoteattr(message)} type=\"org.opentest4j.AssertionFailedError\">"
                  + trace.replace("<", "&lt;") + "</failure>", "  </testcase>"]
    return "\n".join(lines + ["</testsuite>"]) + "\n"


def tap(tests, failing=1):
    """TAP 13 with diagnostics, in which one test in so many fails."""
    lines = ["TAP version 13", f"1..{tests}"]
    for i in range(tests):
        if i % failing:
            lines.append(f"ok {i + 1} - does the thing number {i}")
            continue
        lines += [f"not ok {i + 1} - does the thing number {i}", "  ---", f"  message: got {i}", "  severity: fail",
                  f"  at: t/a.t:{4 * i + 2}", "  ..."]
    return "\n".join(lines) + "\n"
