"""The parsers alone: bytes a second of every format, what streaming adds, memory, and other readers of
the same files."""

import json
import os
import shutil
import subprocess
import time

from harness import logs
from harness import places
from harness.proc import quiet

#: MB/s at least, without and with colours; ms for 1,000 streamed events at most; MB at most.
PLAIN, COLOURED, STREAMED, MEMORY = 200, 60, 1, 50
#: MB/s at least of logs in which every line is a result, a failure or a diagnostic: the worst there are.
DENSE = 20
FAILURES = 10_000


def throughput(figure, quick):
    """criterion's own figures, whatever groups and logs the benchmark has."""
    home = places.WORK / "criterion"
    shutil.rmtree(home, ignore_errors=True)
    argv = ["cargo", "bench", "--quiet", "--package", "regreen-parsers", "--bench", "throughput", "--", "--noplot"]
    argv += ["--warm-up-time", "0.5", "--measurement-time", "1"] if quick else []
    ran = subprocess.run(argv, cwd=places.REPO, env=dict(os.environ, CRITERION_HOME=str(home)),
                         stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if ran.returncode != 0:
        raise RuntimeError(f"`{' '.join(argv)}` ended with {ran.returncode}: {ran.stderr[-2000:]}")
    slowest = {}
    for group, name, throughput_of, nanos in measured(home):
        amount = throughput_of.get("Bytes")
        if amount is None:
            spent = nanos / 1e6 / (throughput_of["Elements"] / 1000)
            figure.sample(f"{group} {name}, ms for 1,000 events", spent)
            figure.goal(f"{group} {name}, 1,000 events", spent, STREAMED, "ms")
            continue
        speed = amount / 1e6 / (nanos / 1e9)
        figure.sample(f"{group} {name}, MB/s", speed)
        if group not in slowest or speed < slowest[group][0]:
            slowest[group] = (speed, name)
    if not slowest:
        figure.fail("criterion left no figures")
    for group, (speed, name) in sorted(slowest.items()):
        least = {"plain": PLAIN, "coloured": COLOURED}.get(group, DENSE)
        figure.goal(f"{group}, the slowest ({name})", speed, least, "MB/s", at_least=True)


def measured(home):
    """Group, name, amount and the median in ns of each benchmark that criterion has kept."""
    for path in sorted(home.glob("**/new/benchmark.json")):
        about = json.loads(path.read_text())
        median = json.loads(path.with_name("estimates.json").read_text())["median"]["point_estimate"]
        name = about["function_id"] or about["value_str"] or "-"
        if about["throughput"]:
            yield about["group_id"], name, about["throughput"], median


def memory(figure, _quick):
    """What `regreen parse` holds at most, for a log of 10,000 failures: beyond what it begins with."""
    root = fresh("parsers-memory")
    makers = {"pytest": logs.pytest, "cargo-test": logs.cargo, "go-test": logs.go, "jest": logs.jest,
              "junit": logs.junit}
    for name, make in makers.items():
        large = root / name
        large.write_text(make(FAILURES))
        base = beginning(name)
        most, report = peak(name, large)
        figure.sample(f"{name}, MB", (most - base) / 1024)
        figure.note(f"{name}: a log of {large.stat().st_size / 1e6:.1f} MB; {report['counts']['failed']} failed, "
                    f"{len(report['failures'])} listed; {most / 1024:.1f} MB in all")
        if report["counts"]["failed"] != FAILURES:
            figure.fail(f"{name}: {report['counts']['failed']} of {FAILURES} failures were counted")
        figure.goal(f"{name}, {FAILURES} failures", figure.median(f"{name}, MB"), MEMORY, "MB")


def peak(name, path):
    """The most memory that was resident, in KiB, and the report. It is read while the last of the
    report waits to be taken: a process that has ended tells its parent's size instead of its own."""
    child = subprocess.Popen([str(places.regreen()), "parse", "--format", name, "--exit", "1", str(path)],
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, env=places.environment())
    most, pieces = 0, []
    while True:
        piece = os.read(child.stdout.fileno(), 4096)
        most = max(most, high_water(child.pid))
        if not piece:
            break
        pieces.append(piece)
    if child.wait() != 0:
        raise RuntimeError(f"`regreen parse --format {name}` ended with {child.returncode}")
    return most, json.loads(b"".join(pieces))


def beginning(name):
    """The same while it waits for the first byte of a log."""
    child = subprocess.Popen([str(places.regreen()), "parse", "--format", name], stdin=subprocess.PIPE,
                             stdout=subprocess.DEVNULL, env=places.environment())
    most, until = 0, time.monotonic() + 0.5
    while time.monotonic() < until:
        most = max(most, high_water(child.pid))
        time.sleep(0.02)
    child.communicate(b"")
    return most


def high_water(pid):
    """VmHWM, or 0 once it is gone."""
    try:
        with open(f"/proc/{pid}/status") as file:
            return next((int(line.split()[1]) for line in file if line.startswith("VmHWM:")), 0)
    except OSError:
        return 0


def rivals(figure, quick):
    """Whole processes, from start to end, in turns on one file: regreen's and another reader's."""
    root = fresh("parsers-rivals")
    scale = 5 if quick else 20
    files = {"junit": logs.junit(5_000 * scale, 10), "tap": logs.tap(10_000 * scale, 10),
             "go-test": logs.go(2_500 * scale, 10)}
    for name, text in files.items():
        path = root / name
        path.write_text(text)
        rival, version, argv = RIVALS[name](path)
        if argv is None:
            figure.note(f"{name}: {rival} is not here ({version})")
            continue
        figure.note(f"{name}: {rival} {version}, a file of {len(text) / 1e6:.1f} MB")
        ours = [str(places.regreen()), "parse", "--format", name, "--exit", "1", str(path)]
        for _ in range(3 if quick else 7):
            for side, command in (("regreen", ours), (rival, argv)):
                quiet()
                figure.sample(f"{name}: {side}, ms", timed(command))
        figure.ratio(f"{name}: regreen / {rival}", f"{name}: regreen, ms", f"{name}: {rival}, ms", 1)


def timed(argv):
    """ms from start to end."""
    begun = time.monotonic_ns()
    ran = subprocess.run(argv, env=places.environment(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                         stderr=subprocess.PIPE)
    spent = (time.monotonic_ns() - begun) / 1e6
    # gotestsum ends as the tests did.
    if ran.returncode not in (0, 1):
        raise RuntimeError(f"`{argv[0]}` ended with {ran.returncode}: {ran.stderr[-400:]!r}")
    return spent


def _junitparser(path):
    python = places.reader_of_junit()
    version = _said(python, "-c", "import importlib.metadata as m; print(m.version('junitparser'))")
    script = "import sys, junitparser\nfor suite in junitparser.JUnitXml.fromfile(sys.argv[1]):\n" \
             "    for case in suite:\n        print(case.name, [r.message for r in case.result])"
    return "junitparser", version, [str(python), "-c", script, str(path)]


def _tap_parser(path):
    modules = places.npm("tap-parser")
    version = json.loads((modules / "tap-parser/package.json").read_text())["version"]
    script = f"const {{ Parser }} = require({json.dumps(str(modules / 'tap-parser'))});" \
             "const text = require('fs').readFileSync(process.argv[1], 'utf8');" \
             "console.log(JSON.stringify(Parser.parse(text)))"
    return "tap-parser", version, ["node", "-e", script, str(path)]


def _gotestsum(path):
    if shutil.which("gotestsum") is None:
        return "gotestsum", "apt-get install gotestsum", None
    version = _said("dpkg-query", "-W", "-f", "${Version}", "gotestsum")
    return "gotestsum", version, ["gotestsum", "--format", "standard-quiet", "--raw-command", "--", "cat", str(path)]


RIVALS = {"junit": _junitparser, "tap": _tap_parser, "go-test": _gotestsum}


def _said(*argv):
    try:
        ran = subprocess.run([str(word) for word in argv], capture_output=True, text=True)
    except OSError:
        return "of unknown version"
    return ran.stdout.strip() or "of unknown version"


def fresh(name):
    """An empty directory."""
    root = places.WORK / name
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    return root


def measure(figure, quick):
    """All of it."""
    throughput(figure, quick)
    memory(figure, quick)
    rivals(figure, quick)
