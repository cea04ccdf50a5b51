"""The JUnit exports, read by junitparser and xunitparser: counts, names, kinds, messages and outputs
are those that are expected. Ends with `N cases held`; a difference is an error."""

import json
import os
import sys
from pathlib import Path
from xml.etree import ElementTree

import junitparser
import xunitparser


def same(where, found, expected):
    """Compares, and says where it differs."""
    if found != expected:
        sys.exit(f"{where}\n  found:    {found!r:.2000}\n  expected: {expected!r:.2000}")


def by_junitparser(where, path, suites):
    """Suites and cases, by their own attributes and children."""
    document = junitparser.JUnitXml.fromfile(str(path))
    same(where, [suite.name for suite in document], [suite["name"] for suite in suites])
    for suite, expected in zip(document, suites):
        counts = {"tests": suite.tests, "failed": suite.failures + suite.errors, "skipped": suite.skipped}
        same(where, counts, {name: expected[name] for name in counts})
        same(where, len(list(suite)), len(expected["cases"]))
        for case, facts in zip(suite, expected["cases"]):
            found = {"name": case.name, "class": case.classname, "tag": None}
            for result in case.result:
                found["tag"] = result._tag
                if result._tag != "skipped":
                    found.update(type=result.type, message=result.message, text=result.text)
                    found.update(stdout=case.system_out, stderr=case.system_err)
            same(f"{where}, {case.name!r:.200}", normal(found), normal(facts))


def by_xunitparser(where, path, suites):
    """Each suite by itself: of several, xunitparser makes one, and minds that their properties agree."""
    results = {"error": "errored", "failure": "failed", "skipped": "skipped", None: "success"}
    for element, expected in zip(ElementTree.parse(path).getroot(), suites):
        parsed = xunitparser.TestSuite()
        xunitparser.Parser().parse_testsuite(element, parsed)
        cases = list(parsed)
        same(where, len(cases), len(expected["cases"]))
        for case, facts in zip(cases, expected["cases"]):
            # An empty class is none to it.
            name = (case.classname if facts["class"] else "", case.methodname)
            same(where, name, (facts["class"], facts["name"]))
            assert getattr(case, results[facts["tag"]]), f"{where}: {facts['tag']}"
            if facts["tag"] in ("error", "failure"):
                found = {"type": case.typename, "message": case.message, "text": case.trace,
                         "stdout": case.stdout, "stderr": case.stderr}
                # It strips what was printed.
                stripped = {name: facts[name] and facts[name].strip() if name.startswith("std") else facts[name]
                            for name in found}
                same(f"{where}, {case.methodname!r:.200}", normal(found), normal(stripped))


def normal(facts):
    """An empty text and none are one to XML."""
    return {name: value or None for name, value in facts.items()}


def main():
    """Every case in REGREEN_EXPORTS."""
    count = 0
    for place in sorted(Path(os.environ["REGREEN_EXPORTS"]).iterdir()):
        expected = json.loads((place / "expected.json").read_text())
        for read in (by_junitparser, by_xunitparser):
            read(f"{expected['name']} by {read.__name__[3:]}", place / "junit.xml", expected["suites"])
        count += 1
    print(f"{count} cases held")


main()
