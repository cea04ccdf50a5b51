"""Goals, samples and the table: what a figure hands back, and how it is shown and kept."""

import json
import os
import statistics
import time

from harness import places


class Figure:
    """The result of one benchmark: raw samples by side, and the goals they are held to."""

    def __init__(self, name, title):
        self.name, self.title = name, title
        self.samples, self.goals, self.notes = {}, [], []
        self.load_before, self.load_after = os.getloadavg()[0], None
        self.began = time.time()

    def sample(self, side, value):
        """Keeps one raw sample."""
        self.samples.setdefault(side, []).append(value)

    def values(self, side):
        """The samples of a side that are numbers (a time-out is kept as None)."""
        return [value for value in self.samples.get(side, []) if value is not None]

    def median(self, side):
        """The median of a side's samples, or None."""
        values = self.values(side)
        return statistics.median(values) if values else None

    def goal(self, what, measured, limit, unit="", at_least=False):
        """Holds a measured number to a limit; a missing number misses every goal."""
        held = measured is not None and (measured >= limit if at_least else measured <= limit)
        self.goals.append({"what": what, "measured": measured, "limit": limit, "unit": unit,
                           "at_least": at_least, "held": held})

    def ratio(self, what, side, base, limit, at_least=False):
        """Holds the ratio of two medians to a limit."""
        over, under = self.median(side), self.median(base)
        self.goal(what, over / under if over is not None and under else None, limit, "x", at_least)

    def fail(self, why):
        """A figure that could not be measured is a missed goal, never a silent gap."""
        self.goals.append({"what": f"could be measured ({why})", "measured": None, "limit": None, "unit": "",
                           "at_least": False, "held": False})

    def note(self, text):
        """Something a reader of the figures should know."""
        self.notes.append(text)

    @property
    def held(self):
        """Whether every goal was held."""
        return bool(self.goals) and all(goal["held"] for goal in self.goals)

    def show(self):
        """Prints the figure."""
        print(f"\n== {self.name}: {self.title}   [{time.time() - self.began:.0f} s, load {self.load_before:.1f} -> "
              f"{self.load_after:.1f}]")
        for side, values in self.samples.items():
            numbers = self.values(side)
            raw = " ".join(short(value) for value in values[:60]) + (" ..." if len(values) > 60 else "")
            print(f"   {side}: n={len(values)} median {short(self.median(side))}"
                  + (f" min {short(min(numbers))} max {short(max(numbers))}" if numbers else ""))
            print(f"      raw: {raw}")
        for text in self.notes:
            print(f"   note: {text}")
        for goal in self.goals:
            sign = ">=" if goal["at_least"] else "<="
            limit = "" if goal["limit"] is None else f"  goal {sign} {short(goal['limit'])} {goal['unit']}"
            print(f"   {'HELD  ' if goal['held'] else 'MISSED'} {goal['what']}: {short(goal['measured'])} "
                  f"{goal['unit']}{limit}", flush=True)

    def as_json(self):
        """Everything, for the file of samples."""
        return {"name": self.name, "title": self.title, "samples": self.samples, "goals": self.goals,
                "notes": self.notes, "load": [self.load_before, self.load_after],
                "medians": {side: self.median(side) for side in self.samples}}


def short(value):
    """A number with as many digits as it deserves."""
    if value is None:
        return "-"
    if isinstance(value, bool) or isinstance(value, int):
        return str(value)
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def ms(nanos):
    """Nanoseconds as milliseconds."""
    return nanos / 1e6


def keep(figures, versions, options):
    """Writes all samples of an invocation into target/bench-results; answers the path."""
    places.RESULTS.mkdir(parents=True, exist_ok=True)
    path = places.RESULTS / time.strftime("%Y%m%dT%H%M%SZ.json", time.gmtime())
    path.write_text(json.dumps({"versions": versions, "options": options,
                                "figures": [figure.as_json() for figure in figures]}, indent=1))
    return path


def table(figures):
    """The closing table: one line a goal."""
    print("\n| figure | goal | measured | limit | |\n|---|---|---|---|---|")
    for figure in figures:
        for goal in figure.goals:
            sign = ">=" if goal["at_least"] else "<="
            limit = "" if goal["limit"] is None else f"{sign} {short(goal['limit'])} {goal['unit']}"
            print(f"| {figure.name} | {goal['what']} | {short(goal['measured'])} {goal['unit']} | {limit} | "
                  f"{'held' if goal['held'] else '**missed**'} |")
