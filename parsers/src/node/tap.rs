//! Node's TAP 13: subtests are indented by four, and every point has its YAML.
//!
//! A line without YAML is none of node's: tests print such lines, too.

use crate::context::Context;
use crate::js::thrown::Thrown;
use crate::node::path::Path;
use crate::node::point;
use crate::node::point::Point;
use crate::text;
use crate::text::Tail;

/// The most that is kept of one point's YAML.
const MOST_BLOCK: usize = 64 * 1024;
/// More points than this are not kept.
const MOST: usize = 200_000;
/// Subtests are not nested more deeply than this.
const DEEPEST: usize = 60;

/// Reads the lines.
#[derive(Debug, Default)]
pub(crate) struct Tap {
    version: bool,
    points: Vec<(usize, Point)>,
    open: Option<Open>,
    numbers: Vec<u64>,
    /// Where the points of each depth that have no parent yet begin.
    running: Vec<String>,
    /// The YAML of the open point.
    yaml: String,
    comments: Tail,
    said: Said,
    /// What node wrote of tests whose rest came too late.
    pub late: Vec<String>,
}

/// A point whose YAML is being read.
#[derive(Debug)]
struct Open {
    depth: usize,
    point: Point,
    /// It has the number of the one before: one of the two was printed by a test.
    again: bool,
    yaml: bool,
    /// Its length.
    length: usize,
    /// Its time is there.
    timed: bool,
}

/// The last lines' numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Said {
    /// Tests, those with tests of their own among them.
    pub tests: Option<u64>,
    /// Passed.
    pub pass: Option<u64>,
    /// Failed.
    pub fail: Option<u64>,
    /// Cancelled.
    pub cancelled: Option<u64>,
    /// Skipped, and to do.
    pub kept: u64,
    /// The last of the lines came.
    pub ended: bool,
}

impl Said {
    /// Takes `tests 3` and its kin; whether it was one.
    pub fn line(&mut self, line: &str) -> bool {
        let Some((word, number)) = line.split_once(' ') else {
            return false;
        };
        if word == "duration_ms" {
            self.ended = self.tests.is_some() && number.trim().parse::<f64>().is_ok();
            return self.ended;
        }
        let Ok(number) = number.trim().parse::<u64>() else {
            return false;
        };
        match word {
            "tests" => {
                *self = Said {
                    tests: Some(number),
                    ..Said::default()
                }
            }
            "pass" => self.pass = Some(number),
            "fail" => self.fail = Some(number),
            "cancelled" => self.cancelled = Some(number),
            "skipped" | "todo" => self.kept = self.kept.saturating_add(number),
            "suites" => {}
            _ => return false,
        }
        true
    }

    /// Failed and cancelled together.
    pub fn bad(&self) -> u64 {
        self.fail.unwrap_or(0) + self.cancelled.unwrap_or(0)
    }
}

impl Tap {
    /// Takes a line; whether it was one of TAP's.
    pub fn line(&mut self, line: &str, context: &Context) -> bool {
        if line == "TAP version 13" {
            self.version = true;
            return true;
        }
        if !self.version {
            return false;
        }
        if self.open.is_some() && self.yaml(line, context) {
            return true;
        }
        let body = line.trim_start_matches(' ');
        let indent = line.len() - body.len();
        let depth = indent / 4;
        if !indent.is_multiple_of(4) || depth > DEEPEST {
            return false;
        }
        if let Some(name) = body.strip_prefix("# Subtest: ") {
            match self.running.get_mut(depth) {
                Some(last) if !name.contains('\\') => {
                    last.clear();
                    last.push_str(name);
                    self.running.truncate(depth + 1);
                }
                _ => {
                    self.running.truncate(depth);
                    if self.running.len() == depth {
                        self.running.push(unescaped(name));
                    }
                }
            }
            return true;
        }
        if let Some(comment) = body.strip_prefix("# ") {
            if comment.contains(" generated asynchronous activity after the test ended. ") {
                if self.late.len() < 100 {
                    self.late.push(text::cut(&unescaped(comment), 4000));
                }
            } else if depth == 0 && !self.said.line(comment) {
                self.comments
                    .feed(format!("{}\n", unescaped(comment)).as_bytes());
            }
            return true;
        }
        self.begin(depth, body)
    }

    /// `not ok 3 - name # TODO why`.
    fn begin(&mut self, depth: usize, body: &str) -> bool {
        let (failed, rest) = match (body.strip_prefix("not ok "), body.strip_prefix("ok ")) {
            (Some(rest), _) => (true, rest),
            (_, Some(rest)) => (false, rest),
            _ => return false,
        };
        let Some((number, name)) = rest.split_once(" - ") else {
            return false;
        };
        let Ok(number) = number.parse::<u64>() else {
            return false;
        };
        self.numbers.resize(self.numbers.len().max(depth + 1), 0);
        let (name, directive) = directive(name);
        // Whole files have numbers of their own.
        let file = depth == 0 && is_file(name);
        let last = self.numbers[depth];
        if number != last + 1 && number != last && !file {
            return false;
        }
        let point = Point {
            path: match name.contains('\\') {
                true => Path::of(&[], &unescaped(name)),
                false => Path::of(&[], name),
            },
            failed,
            kept: directive.is_some(),
            filtered: directive.is_some_and(filtered),
            ..Point::default()
        };
        self.open = Some(Open {
            depth,
            point,
            again: number == last && !file,
            yaml: false,
            length: 0,
            timed: false,
        });
        true
    }

    /// A line of the open point's YAML; not if there is none after all.
    fn yaml(&mut self, line: &str, context: &Context) -> bool {
        let Some(open) = &mut self.open else {
            return false;
        };
        let margin = open.depth * 4 + 2;
        let inner = line
            .get(margin..)
            .filter(|_| line[..margin.min(line.len())].trim().is_empty());
        match (open.yaml, inner) {
            (false, Some("---")) => {
                open.yaml = true;
                self.yaml.clear();
            }
            (true, Some("...")) => self.close(context),
            (true, Some(inner)) => {
                if open.length < MOST_BLOCK {
                    open.timed |= inner.starts_with("duration_ms: ");
                    let suite = open.length > 0 && inner.starts_with("type: 'suite'");
                    open.point.suite |= suite && !open.point.failed;
                    open.length += inner.len() + 1;
                    // Of what passed nothing else is told.
                    if open.point.failed {
                        self.yaml.push_str(inner);
                        self.yaml.push('\n');
                    }
                }
            }
            (true, None) if line.trim().is_empty() => {
                open.length += 1;
                self.yaml.push('\n');
            }
            _ => {
                self.open = None;
                return false;
            }
        }
        true
    }

    fn close(&mut self, context: &Context) {
        let Some(open) = self.open.take() else {
            return;
        };
        let (depth, mut point) = (open.depth, open.point);
        if !open.timed {
            return;
        }
        if point.failed {
            explain(&mut point, &self.yaml, context);
        }
        if open.again && !self.replace(depth, &point) {
            return;
        }
        self.numbers.truncate(depth + 1);
        self.numbers[depth] += u64::from(!open.again);
        // What is deeper and has no parent yet is this point's.
        let children = self
            .points
            .iter_mut()
            .rev()
            .take_while(|(at, _)| *at > depth);
        let outer = [point.path.last().to_owned()];
        for (at, child) in children {
            child.path.put_before(&outer);
            *at = depth;
        }
        if point.failed && depth == 0 {
            point.errors = self.comments.lines(300).join("\n");
        }
        if depth == 0 {
            self.comments.clear();
        }
        if self.points.len() < MOST {
            self.points.push((depth, point));
        }
    }

    /// Takes the last point of a depth away, if the new one is as well described.
    fn replace(&mut self, depth: usize, point: &Point) -> bool {
        // Points that are deeper, and wait for their parent, may stand behind it.
        let last = self.points.iter().rposition(|(at, _)| *at <= depth);
        let Some((place, (at, before))) = last.map(|place| (place, &self.points[place])) else {
            return false;
        };
        if *at != depth
            || before.path.depth() > 1
            || (before.at.is_some() && point.at.is_none() && point.failed)
        {
            return false;
        }
        self.points.remove(place);
        true
    }

    /// Whether there was anything.
    pub fn began(&self) -> bool {
        self.version && (!self.points.is_empty() || self.said.tests.is_some())
    }

    /// The numbers of the last lines.
    pub fn said(&self) -> Said {
        self.said
    }

    /// The points, those below what never ended under the names that were begun.
    pub fn points(self) -> Vec<Point> {
        let running = self.running;
        let points = self.points.into_iter().map(|(depth, mut point)| {
            point.path.put_before(&running[..depth.min(running.len())]);
            point
        });
        points.collect()
    }
}

/// Whether a name is that of a script.
pub(crate) fn is_file(name: &str) -> bool {
    let ends = [".js", ".mjs", ".cjs", ".ts", ".mts", ".cts", ".jsx", ".tsx"];
    ends.iter().any(|end| name.ends_with(end))
}

/// What a reason says that means: left out by a pattern.
pub(crate) fn filtered(why: &str) -> bool {
    why.contains("test name does not match pattern")
        || why.contains("test name matches skip pattern")
        || why.contains("'only' option not set")
}

/// The name and what is behind an unescaped ` # `.
fn directive(name: &str) -> (&str, Option<&str>) {
    if memchr::memchr(b'#', name.as_bytes()).is_none() {
        return (name, None);
    }
    for word in [" # SKIP", " # TODO"] {
        if let Some(at) = name.rfind(word) {
            return (&name[..at], Some(&name[at + 3..]));
        }
    }
    (name, None)
}

/// Names and comments have `\` and `#` escaped, and control characters written out.
fn unescaped(text: &str) -> String {
    if !text.contains('\\') {
        return text.to_owned();
    }
    let mut out = String::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match (c, chars.peek()) {
            ('\\', Some('#')) => {
                out.push('#');
                chars.next();
            }
            ('\\', Some('\\')) => {
                chars.next();
                // A line end is escaped twice.
                match chars.peek() {
                    Some('n') => {
                        out.push('\n');
                        chars.next();
                    }
                    Some('t') => {
                        out.push('\t');
                        chars.next();
                    }
                    _ => out.push('\\'),
                }
            }
            _ => out.push(c),
        }
    }
    out
}

/// The keys of the YAML, each with its lines.
fn explain(point: &mut Point, yaml: &str, context: &Context) {
    let mut keys: Vec<(&str, String, bool)> = Vec::new();
    for line in yaml.lines() {
        let key = line.split_once(':').filter(|(key, _)| {
            !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        });
        match (key, keys.last_mut()) {
            (Some((key, value)), _) => {
                let value = value.strip_prefix(' ').unwrap_or(value);
                let block = value.is_empty() || value == "|-";
                keys.push((
                    key,
                    if block {
                        String::new()
                    } else {
                        value.to_owned()
                    },
                    block,
                ));
            }
            (None, Some((_, value, true))) => {
                value.push_str(line.strip_prefix("  ").unwrap_or(line));
                value.push('\n');
            }
            _ => {}
        }
    }
    let value = |name: &str| {
        let found = keys.iter().find(|(key, ..)| *key == name);
        found.map(|(_, value, _)| value.trim_end_matches('\n').to_owned())
    };
    let word = |name: &str| value(name).map(|value| unquoted(&value));
    point.at = word("location").and_then(|at| point::place(&at, context));
    point.word = word("failureType").unwrap_or_default();
    point.suite = word("type").as_deref() == Some("suite");
    point.exit = value("exitCode").and_then(|code| code.parse().ok());
    point.signal = word("signal").filter(|signal| signal != "~");
    point.ms = value("duration_ms")
        .and_then(|ms| ms.parse::<f64>().ok())
        .map(|ms| ms as u64);
    let frames: Vec<String> = value("stack")
        .unwrap_or_default()
        .lines()
        .map(|line| format!("    at {line}"))
        .collect();
    let code = word("code").filter(|code| code != "ERR_TEST_FAILURE");
    let message = word("error").unwrap_or_default();
    point.details = match frames.is_empty() {
        true => message.clone(),
        false => format!("{message}\n{}", frames.join("\n")),
    };
    point.thrown = Thrown {
        name: word("name").unwrap_or_default(),
        code,
        message,
        stack: frames.join("\n"),
    };
    let throws = matches!(
        word("operator").as_deref(),
        Some("throws" | "rejects" | "doesNotThrow" | "doesNotReject")
    );
    if !throws {
        point.sides = (value("expected"), value("actual"));
    }
    let capped = |side: Option<String>| {
        // What has no properties is written as nothing.
        let side = side.filter(|side| !side.is_empty())?;
        if side == "~" {
            return Some("null".to_owned());
        }
        Some(text::cap(&side, 4 * text::SIDE))
    };
    point.sides = (capped(point.sides.0.take()), capped(point.sides.1.take()));
}

/// A string as it is, without the quotes that YAML and `inspect` put around it.
fn unquoted(value: &str) -> String {
    for quote in ['\'', '"', '`'] {
        if let Some(inner) = value
            .strip_prefix(quote)
            .and_then(|rest| rest.strip_suffix(quote))
        {
            return inner
                .replace("\\'", "'")
                .replace("\\n", "\n")
                .replace("\\\\", "\\");
        }
    }
    value.to_owned()
}
