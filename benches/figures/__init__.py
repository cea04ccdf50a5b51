"""The figures, in the order in which they are measured."""

from figures import added
from figures import burst
from figures import engine
from figures import first_failure
from figures import first_verdict
from figures import foreground
from figures import lost
from figures import parsers
from figures import scale
from figures import spawn
from figures import stale

FIGURES = {
    "spawn": ("save -> spawn of the run, 10,000 files, against bacon", spawn.measure),
    "added-cargo": ("what regreen adds from save to verdict, small crate, sandbox on", added.cargo),
    "added-pytest": ("what regreen adds from save to verdict, 20 warm pytest tests, sandbox on", added.pytest),
    "full-cargo": ("full verdict on 2,000 cargo tests after a leaf save, against bare", added.full_cargo),
    "full-pytest": ("full verdict on 2,000 pytest tests, against bare", added.full_pytest),
    "first-failure": ("first failure on 2,000 cargo tests, against the plain run's own", first_failure.measure),
    "first-verdict": ("first verdict on a 20-crate workspace that the user has built", first_verdict.measure),
    "foreground": ("how much regreen's runs slow the user's own cargo build", foreground.measure),
    "lost": ("saves made during a run", lost.measure),
    "burst": ("git checkout that changes 5,000 files", burst.measure),
    "stale": ("the two stale-verdict hazards", stale.measure),
    "watches": ("all watches set, 100,000 files and 50,000 ignored, against watchexec", scale.watches),
    "slot": ("one saved file in its slot with its snapshot id, 100,000 files", scale.slot),
    "idle": ("idle CPU, and while another process reads the whole tree", scale.idle),
    "parsers": ("the parsers alone: MB/s of every format, streaming, memory, other readers", parsers.measure),
    "engine": ("a command in a warm Docker container, against docker run --rm", engine.measure),
    "memory": ("the daemon's proportional set size", scale.memory),
}
