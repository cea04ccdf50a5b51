//! Node's `spec` and `dot`: the tree, the numbers (`ℹ tests 3`), and the list of failing tests.
//!
//! Up to version 20 the tree itself shows the errors; from 22 on only the list does. The list
//! names no suites: the tree does, in the same order. What tests print stands in between and
//! may look like either; the last numbers, and the list below them, are node's own.

use crate::context::Context;
use crate::node::error;
use crate::node::path::Path;
use crate::node::point;
use crate::node::point::Point;
use crate::node::tap::Said;
use crate::node::tap::filtered;
use crate::report::Location;
use crate::text;
use crate::text::Tail;
use std::collections::VecDeque;

/// The most that is kept of one error.
const MOST_BLOCK: usize = 64 * 1024;
/// The most that is kept of all errors.
const MOST_BLOCKS: usize = 24 * 1024 * 1024;
/// More marks than this are not kept.
const MOST: usize = 100_000;
/// Tests are not nested more deeply than this.
const DEEPEST: usize = 60;

/// A line of the tree, or an entry of the list.
#[derive(Debug, Clone, Default)]
struct Mark {
    path: Path,
    sign: char,
    timed: bool,
    /// It closes a group of others.
    group: bool,
    more: Option<Box<More>>,
}

/// What few marks have.
#[derive(Debug, Clone, Default)]
struct More {
    directive: Option<String>,
    at: Option<Location>,
    block: String,
    /// What stood before it, for a file that failed as a whole.
    before: String,
}

impl Mark {
    fn more(&mut self) -> &mut More {
        self.more.get_or_insert_default()
    }

    fn block(&self) -> &str {
        self.more.as_ref().map_or("", |more| &more.block)
    }

    fn directive(&self) -> Option<&str> {
        self.more.as_ref()?.directive.as_deref()
    }
}

/// One end: numbers and list.
#[derive(Debug, Clone, Default)]
struct Run {
    said: Said,
    marks: Vec<Mark>,
    list: Vec<Mark>,
    suites: u64,
    /// A package manager said before it that it starts a script.
    apart: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Part {
    #[default]
    Tree,
    List,
}

/// Reads the text line by line.
#[derive(Debug, Default)]
pub(crate) struct Spec {
    part: Part,
    run: Run,
    ended: Vec<Run>,
    headers: Vec<String>,
    at: Option<Location>,
    /// How deep the error is whose lines come now.
    block: Option<usize>,
    kept: usize,
    before: Tail,
    /// Passed and failed signs of `dot`.
    dots: (u64, u64),
    /// What node wrote of tests whose rest came too late.
    pub late: Vec<String>,
}

/// The signs of the tree.
const SIGNS: [(&str, char); 5] = [
    ("✔ ", '+'),
    ("✖ ", '-'),
    ("▶ ", '>'),
    ("﹣ ", '~'),
    ("⚠ ", '~'),
];

impl Spec {
    /// Takes a line, as it is shown.
    pub fn line(&mut self, line: &str, context: &Context) {
        if line.starts_with("> ") && line.contains('@') && line.len() < 300 {
            if self.run.said.ended {
                self.end();
            }
            self.run.apart = true;
        }
        if line.len() <= 300 && !line.is_empty() && line.bytes().all(|b| matches!(b, b'.' | b'X')) {
            let bad = line.bytes().filter(|b| *b == b'X').count() as u64;
            self.dots.0 += line.len() as u64 - bad;
            self.dots.1 += bad;
            return;
        }
        let indent = line.bytes().take_while(|byte| *byte == b' ').count();
        let body = &line[indent..];
        // Inside of an error, what is indented as much as it belongs to it; so does a line of a
        // tree whose branch never began.
        let deep = self.block.is_some_and(|margin| indent >= margin);
        if deep && (self.part == Part::List || indent / 2 > self.headers.len()) {
            self.other(line, indent);
            return;
        }
        if body.as_bytes().first().is_some_and(|byte| *byte >= 0x80) {
            if let Some(said) = line.strip_prefix("ℹ ") {
                self.block = None;
                self.number(said);
                return;
            }
            if line == "✖ failing tests:" {
                return self.list();
            }
            let sign = SIGNS
                .iter()
                .find_map(|(sign, kind)| Some((*kind, body.strip_prefix(*sign)?)));
            if let Some((sign, rest)) = sign
                && indent.is_multiple_of(2)
                && indent / 2 < DEEPEST
            {
                self.mark(indent / 2, sign, rest);
                return;
            }
        } else if line == "Failed tests:" {
            return self.list();
        }
        if self.part == Part::List
            && let Some(at) = line.strip_prefix("test at ")
            && let Some(at) = point::place(at, context)
        {
            self.at = Some(at);
            self.block = None;
            return;
        }
        self.other(line, indent);
    }

    fn list(&mut self) {
        self.part = Part::List;
        self.block = None;
        self.run.list.clear();
    }

    fn number(&mut self, said: &str) {
        if said.contains(" generated asynchronous activity after the test ended. ")
            && self.late.len() < 100
        {
            self.late.push(text::cut(said, 4000));
            return;
        }
        if said.starts_with("tests ") && self.run.said.ended {
            self.end();
        }
        if let Some(suites) = said
            .strip_prefix("suites ")
            .and_then(|n| n.trim().parse().ok())
        {
            self.run.suites = suites;
        }
        self.run.said.line(said);
    }

    fn end(&mut self) {
        const MOST_RUNS: usize = 50;
        let run = std::mem::take(&mut self.run);
        self.part = Part::Tree;
        if self.ended.len() < MOST_RUNS {
            self.ended.push(run);
        }
    }

    fn mark(&mut self, depth: usize, sign: char, rest: &str) {
        let (name, timed, directive) = title(rest);
        if self.part == Part::List {
            let listed = depth == 0 && (sign == '-' || (sign == '~' && self.at.is_some()));
            if listed {
                let at = self.at.take();
                let path = Path::of(&[], name);
                self.push(path, sign, timed, directive, at, false, 2);
                return;
            }
            // The tree of another run begins.
            if !self.run.said.ended {
                return;
            }
            self.end();
        }
        let closes = self.headers.get(depth).is_some_and(|header| header == name);
        if sign == '>' && !(closes && timed) {
            self.headers.truncate(depth);
            if self.headers.len() == depth {
                self.headers.push(name.to_owned());
            }
            self.block = None;
            return;
        }
        let outer = &self.headers[..depth.min(self.headers.len())];
        let path = Path::of(outer, name);
        if closes {
            self.headers.truncate(depth);
        }
        self.push(path, sign, timed, directive, None, closes, depth * 2 + 2);
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one line")]
    fn push(
        &mut self,
        path: Path,
        sign: char,
        timed: bool,
        directive: Option<&str>,
        at: Option<Location>,
        group: bool,
        margin: usize,
    ) {
        let failing = sign == '-' || sign == '>';
        self.block = failing.then_some(margin);
        let before = match failing && path.depth() == 1 && self.part == Part::Tree {
            true => self.before.lines(300).join("\n"),
            false => String::new(),
        };
        self.before.clear();
        let list = match self.part {
            Part::List => &mut self.run.list,
            Part::Tree => &mut self.run.marks,
        };
        if list.len() < MOST {
            let told = directive.is_some() || at.is_some() || !before.is_empty();
            let more = told.then(|| {
                Box::new(More {
                    directive: directive.map(str::to_owned),
                    at,
                    block: String::new(),
                    before,
                })
            });
            list.push(Mark {
                path,
                sign,
                timed,
                group,
                more,
            });
        }
    }

    /// A line without a sign: of an error, of a name of several lines, or a test's own.
    fn other(&mut self, line: &str, indent: usize) {
        let blank = line.trim().is_empty();
        let Some(margin) = self.block else {
            self.before.feed(line.as_bytes());
            self.before.feed(b"\n");
            return;
        };
        let list = match self.part {
            Part::List => &mut self.run.list,
            Part::Tree => &mut self.run.marks,
        };
        let Some(mark) = list.last_mut() else {
            return;
        };
        if !blank && indent < margin {
            if !mark.timed && mark.block().is_empty() && indent == 0 {
                let (name, timed, directive) = title(line);
                if timed {
                    mark.path.more("\n");
                    mark.path.more(name);
                    mark.timed = true;
                    mark.more().directive = directive.map(str::to_owned);
                    return;
                }
            }
            self.block = None;
            self.before.feed(line.as_bytes());
            self.before.feed(b"\n");
            return;
        }
        if mark.block().len() < MOST_BLOCK && self.kept < MOST_BLOCKS {
            let inner = if blank { "" } else { &line[margin..] };
            let block = &mut mark.more().block;
            block.push_str(inner);
            block.push('\n');
            self.kept += inner.len() + 1;
        }
    }

    /// Whether there was anything.
    pub fn began(&self) -> bool {
        self.run.said.tests.is_some()
            || !self.ended.is_empty()
            || !self.run.marks.is_empty()
            || !self.run.list.is_empty()
    }

    /// How many signs of `dot` there are, where there is nothing else: passed, failed.
    pub fn dots(&self) -> Option<(u64, u64)> {
        let other =
            self.run.said.tests.is_some() || !self.ended.is_empty() || !self.run.marks.is_empty();
        let any = self.dots.0 + self.dots.1 > 0;
        (any && !other).then_some(self.dots)
    }

    /// The numbers of the last end.
    pub fn said(&self) -> Said {
        match self.run.said.tests {
            None => self.ended.last().map_or(self.run.said, |run| run.said),
            Some(_) => self.run.said,
        }
    }

    /// Whether the tree has as many lines as the numbers count.
    pub fn agrees(&self) -> bool {
        agrees(&self.run)
            || (self.run.said.tests.is_none() && self.ended.last().is_some_and(agrees))
    }

    /// Every point. Earlier ends count only where a package manager began a script in between:
    /// else they are what a test printed. `failed` says whether they may name failures at all.
    pub fn points(mut self, failed: bool) -> Vec<Point> {
        let open = !self.run.said.ended && !self.ended.is_empty() && self.run.marks.is_empty();
        if !open {
            let run = std::mem::take(&mut self.run);
            self.ended.push(run);
        }
        let last = self.ended.len().saturating_sub(1);
        let mut points = Vec::new();
        let runs = std::mem::take(&mut self.ended);
        let apart: Vec<bool> = runs.iter().map(|run| run.apart).collect();
        for (number, run) in runs.into_iter().enumerate() {
            let followed = failed && apart.get(number + 1).is_some_and(|apart| *apart);
            if number == last || (followed && agrees(&run)) {
                points.extend(of_run(run));
            }
        }
        points
    }
}

fn agrees(run: &Run) -> bool {
    let marks = run.marks.len() as u64;
    marks > 0
        && run
            .said
            .tests
            .is_some_and(|tests| tests + run.suites == marks)
}

/// The points of one run: the tree's lines, each failing one with what the list says of it.
fn of_run(run: Run) -> Vec<Point> {
    let mut list: VecDeque<Mark> = run.list.into();
    let mut points = Vec::new();
    let listed = !list.is_empty();
    let failed_below = |points: &[Point], path: &Path| {
        points
            .iter()
            .rev()
            .take_while(|one: &&Point| one.path.depth() > path.depth())
            .any(|one| one.failed && !one.kept)
    };
    // Nothing failed by node's own numbers: what looks like it was printed.
    let none = run.said.ended && run.said.bad() == 0 && !listed;
    for mark in run.marks {
        if none && mark.sign == '-' && mark.directive().is_none() {
            continue;
        }
        let entry = match mark.sign {
            '+' => None,
            _ => {
                let last = mark.path.last();
                let same = |entry: &Mark| entry.path.last() == last;
                let at = list.iter().take(64).position(same);
                at.and_then(|at| list.remove(at))
            }
        };
        let below = mark.group && failed_below(&points, &mark.path);
        if listed
            && entry.is_none()
            && mark.sign == '-'
            && !mark.group
            && run.said.ended
            && mark.directive().is_none()
        {
            // The list knows every test that failed.
            continue;
        }
        points.push(of_mark(mark, entry, below));
    }
    for entry in list.into_iter().filter(|one| one.directive().is_none()) {
        points.push(of_mark(entry, None, false));
    }
    points
}

fn of_mark(mark: Mark, entry: Option<Mark>, below: bool) -> Point {
    let mut point = Point {
        path: mark.path,
        ..Point::default()
    };
    if mark.sign == '+' && mark.more.is_none() && entry.is_none() {
        return point;
    }
    let told = mark.more.map(|more| *more).unwrap_or_default();
    let (at, block) = match entry {
        Some(entry) => {
            let entry = entry.more.map(|more| *more).unwrap_or_default();
            (entry.at, Some(entry.block))
        }
        None => (told.at, None),
    };
    let own = block.is_some() || !told.block.trim().is_empty();
    let block = block
        .filter(|block| !block.trim().is_empty())
        .unwrap_or(told.block);
    let block = block.trim_matches('\n');
    let shown = error::read(block);
    let why = told.directive.as_deref();
    point.failed = mark.sign == '-' || (mark.sign == '>' && (below || own));
    point.kept = mark.sign == '~' || why.is_some();
    point.filtered = why.is_some_and(filtered);
    point.at = at;
    if point.failed && below && !own {
        point.word = "subtestsFailed".to_owned();
    }
    point.thrown = shown.thrown;
    point.sides = shown.sides;
    point.details = block.to_owned();
    point.errors = told.before;
    point
}

/// Whether a text is a number; digits and points are known without reading it.
fn is_number(text: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    match text.split_once('.') {
        Some((whole, part)) if digits(whole) && digits(part) => true,
        None if digits(text) => true,
        _ => text.parse::<f64>().is_ok(),
    }
}

/// Name, whether its time is there, and what follows: `name (1.5ms) # SKIP`.
fn title(rest: &str) -> (&str, bool, Option<&str>) {
    let noted = memchr::memchr(b'#', rest.as_bytes()).is_some();
    let (head, directive) = match noted.then(|| rest.rfind("ms) # ")).flatten() {
        Some(at) => (&rest[..at + 3], Some(&rest[at + 6..])),
        None => (rest, None),
    };
    let timed = head
        .strip_suffix("ms)")
        .and_then(|head| head.rsplit_once(" ("));
    if let Some((name, time)) = timed
        && is_number(time)
    {
        return (name, true, directive);
    }
    (rest, false, None)
}
