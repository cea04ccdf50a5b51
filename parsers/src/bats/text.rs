//! bats's text: TAP (plain, with `suite` and `begin` between, and TAP 13), and the pretty lines
//! of a terminal.
//!
//! A test may write to descriptor 3 and so between these lines. Results are believed by their
//! numbers and by what is said about them: a result whose number is over, or lies beyond the
//! plan, is nobody's; of two with one number the later one is bats's own.

use crate::bats::result::Outcome;
use crate::bats::result::Verdict;
use crate::bats::result::shell_error;
use crate::context::Context;
use crate::report::Location;
use crate::text;
use std::collections::BTreeMap;
use std::collections::HashSet;
use std::sync::Arc;

/// More results than this are only counted.
const MOST_RESULTS: usize = 100_000;
/// More lines of errors are not kept.
const MOST_ERRORS: usize = 50;

/// In which style the results are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    Tap,
    Pretty,
}

/// The last line of the pretty style.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Summary {
    pub tests: u64,
    pub failed: u64,
    pub skipped: u64,
    pub not_run: u64,
}

/// What was told about a run.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    style: Option<Style>,
    /// How many tests were announced, all plans together.
    pub plan: Option<u32>,
    /// Of the plans before the last.
    base: u32,
    /// What is believed.
    pub results: Vec<Outcome>,
    /// How many results are not.
    pub passed_over: u64,
    /// Tests that have begun: number to name and file.
    begun: BTreeMap<u32, (String, Option<Arc<str>>)>,
    /// Numbers of tests whose results came after their beginnings.
    ended: HashSet<u32>,
    extended: bool,
    suite: Option<Arc<str>>,
    /// The lines that follow belong to the last result.
    below: bool,
    /// Inside of a block of TAP 13.
    yaml: bool,
    pub summary: Option<Summary>,
    /// `Error: …`, and files that the shell cannot read.
    pub errors: Vec<String>,
    /// Places of what the shell cannot read.
    pub broken: Vec<(Location, String)>,
    /// Bats was told to stop.
    pub interrupted: bool,
    /// A process of bats's own was killed: what the shell says.
    pub killed: Option<String>,
}

impl Reader {
    /// Whether a line may mean anything.
    pub fn wants(&self, line: &[u8]) -> bool {
        match line.first() {
            Some(b'o' | b'n' | b'1' | b'#' | b's' | b'b' | b'E' | b' ' | b'/' | 0x1b) => true,
            // `a.bats` above its tests, `25 tests, …`.
            Some(_) => {
                line.ends_with(b".bats")
                    || line.first().is_some_and(u8::is_ascii_digit)
                    || memchr::memmem::find(line, b": line ").is_some()
            }
            None => self.below,
        }
    }

    /// Takes one line, with its control sequences.
    pub fn raw(&mut self, bytes: &[u8], shown: &str, context: &Context) {
        // The pretty style goes back to the first column and writes the line again.
        if memchr::memchr(0x1b, bytes).is_none() {
            return self.line(shown, context);
        }
        let Ok(raw) = std::str::from_utf8(bytes) else {
            return self.line(shown, context);
        };
        if !raw.contains("\x1b[1G") {
            return self.line(shown, context);
        }
        let parts: Vec<&str> = raw.split("\x1b[1G").collect();
        for part in &parts[..parts.len() - 1] {
            self.begin_of_line(part);
        }
        let last = parts.last().copied().unwrap_or("");
        let cleaned = text::clean(last);
        if !self.begin_of_line(last) {
            self.line(&cleaned, context);
        }
    }

    /// `   name<clear>  2/5<back>`: a test begins. What follows on the line is somebody else's.
    fn begin_of_line(&mut self, part: &str) -> bool {
        let Some((name, rest)) = part.split_once("\x1b[K") else {
            return false;
        };
        let Some((_, count)) = rest.split_once('G') else {
            return false;
        };
        let name = text::clean(name);
        let Some(name) = name.strip_prefix("   ") else {
            return false;
        };
        let (count, after) = count.split_once("\x1b[2G").unwrap_or((count, ""));
        let Some((number, total)) = count.trim().split_once('/') else {
            return false;
        };
        let total = total.split(' ').next().and_then(|total| total.parse().ok());
        let (Some(number), Some(total)) = (number.trim().parse::<u32>().ok(), total) else {
            return false;
        };
        self.style = Some(Style::Pretty);
        self.plan = Some(total);
        // After a set-up that failed bats counts differently, and shows its own stream.
        let shifted = name.strip_prefix("begin ").and_then(|rest| {
            let (number, name) = rest.split_once(' ')?;
            Some((number.parse::<u32>().ok()?, name))
        });
        let (number, name) = shifted.unwrap_or((number, name));
        self.begun
            .insert(number, (name.to_owned(), self.suite.clone()));
        self.stray(&text::clean(after));
        true
    }

    /// Takes one line.
    pub fn line(&mut self, line: &str, context: &Context) {
        if self.style != Some(Style::Pretty) && self.tap(line) {
            return;
        }
        if self.style != Some(Style::Tap) && self.pretty(line) {
            return;
        }
        self.stray(line);
        if let Some((at, message)) = shell_error(line, context)
            && message.starts_with("syntax error")
            && self.broken.len() < MOST_ERRORS
        {
            self.broken.push((at, message.to_owned()));
        }
    }

    fn stray(&mut self, line: &str) {
        if line.contains("bats-exec-test") && line.contains(": line ") {
            self.killed = Some(line.trim().to_owned());
        } else if line.contains("Received SIGINT, aborting") {
            self.interrupted = true;
        } else if let Some(error) = line.strip_prefix("Error: ")
            && self.errors.len() < MOST_ERRORS
        {
            self.errors.push(error.to_owned());
        }
    }

    fn tap(&mut self, line: &str) -> bool {
        if self.yaml {
            return self.in_yaml(line);
        }
        match line.as_bytes().first() {
            Some(b'1') => self.planned(line),
            Some(b's') => match line
                .strip_prefix("suite /")
                .filter(|_| self.style.is_some())
            {
                Some(file) => {
                    self.suite = Some(format!("/{file}").into());
                    self.below = false;
                    true
                }
                None => false,
            },
            Some(b'b') => self.begin(line),
            Some(b'o' | b'n') => self.result(line),
            Some(b'#') if self.style == Some(Style::Tap) => {
                let text = line[1..].strip_prefix(' ').unwrap_or(&line[1..]);
                self.say(text);
                self.interrupted |= text.starts_with("Received SIGINT, aborting");
                true
            }
            Some(b' ')
                if self.style == Some(Style::Tap) && self.below && line.trim_end() == "  ---" =>
            {
                self.yaml = true;
                true
            }
            _ => false,
        }
    }

    fn in_yaml(&mut self, line: &str) -> bool {
        if line.trim_end() == "  ..." {
            self.yaml = false;
        } else if let Some(text) = line.strip_prefix("    ") {
            self.say(text);
        } else if let Some(millis) = line.strip_prefix("  duration_ms: ") {
            if let Some(last) = self.results.last_mut() {
                last.millis = millis.trim().parse().ok();
            }
        } else if line.strip_prefix("  timeout_sec: ").is_some() {
            if let Some(last) = self.results.last_mut().filter(|last| last.is_bad()) {
                last.verdict = Verdict::TimedOut;
            }
        } else if !line.is_empty() && !line.starts_with("  ") {
            self.yaml = false;
            return self.tap(line);
        }
        true
    }

    fn planned(&mut self, line: &str) -> bool {
        let Some(count) = line
            .strip_prefix("1..")
            .and_then(|n| n.trim_end().parse::<u32>().ok())
        else {
            return false;
        };
        match (self.style, self.plan) {
            (Some(Style::Tap), Some(plan)) => {
                let last = self
                    .results
                    .last()
                    .and_then(|result| result.number)
                    .unwrap_or(0);
                // Another run of bats in the same log.
                if last >= plan {
                    self.base = plan;
                    self.plan = Some(plan.saturating_add(count));
                    self.begun.clear();
                }
            }
            _ => {
                self.style = Some(Style::Tap);
                self.plan = Some(count);
            }
        }
        self.below = false;
        true
    }

    fn begin(&mut self, line: &str) -> bool {
        let Some((number, name)) = line
            .strip_prefix("begin ")
            .and_then(|rest| rest.split_once(' '))
        else {
            return false;
        };
        let Some(number) = number.parse::<u32>().ok().filter(|_| self.style.is_some()) else {
            return false;
        };
        if !self.extended {
            self.extended = true;
            let tests = self.results.iter().filter(|result| !result.is_hook());
            self.ended = tests.filter_map(|result| result.number).collect();
        }
        self.below = false;
        let number = number.saturating_add(self.base);
        if self.begun.len() < MOST_RESULTS {
            self.begun
                .insert(number, (name.to_owned(), self.suite.clone()));
        }
        true
    }

    fn result(&mut self, line: &str) -> bool {
        let (ok, rest) = match line.strip_prefix("not ok ") {
            Some(rest) => (false, rest),
            None => match line.strip_prefix("ok ") {
                Some(rest) => (true, rest),
                None => return false,
            },
        };
        let (number, name) = rest.split_once(' ').unwrap_or((rest, ""));
        let Some(number) = number
            .parse::<u32>()
            .ok()
            .filter(|_| self.style == Some(Style::Tap))
        else {
            return false;
        };
        let (name, verdict) = verdict(ok, name);
        let (name, millis) = timing(name);
        let number = number.saturating_add(self.base);
        let mut found = Outcome::new(Some(number), name, verdict, self.suite.clone());
        found.millis = millis;
        self.below = self.accept(found);
        true
    }

    /// Whether a result is believed so far; it is kept then.
    fn accept(&mut self, found: Outcome) -> bool {
        let number = found.number.unwrap_or(0);
        let hook = found.is_hook();
        if self.extended && !hook {
            let name = self.begun.get(&number).map(|(name, _)| name.as_str());
            let known = name.is_some_and(|name| name == found.name);
            let file = self.begun.get(&number).and_then(|(_, file)| file.clone());
            if !known {
                self.passed_over += 1;
                return false;
            }
            if !self.ended.insert(number) {
                self.results
                    .retain(|known| known.number != Some(number) || known.is_hook());
            }
            let mut found = found;
            found.file = file;
            self.results.push(found);
            return true;
        }
        let plan = self.plan.unwrap_or(0);
        let last = self
            .results
            .last()
            .and_then(|result| result.number)
            .unwrap_or(self.base);
        if number == 0 || (number > plan && !hook) || number <= self.base {
            self.passed_over += 1;
            return false;
        }
        if number == last
            && let Some(before) = self.results.last()
            && before.is_bad()
            && !before.block.is_empty()
            && !found.is_bad()
        {
            // What is explained stays.
            self.passed_over += 1;
            return false;
        }
        let mut found = found;
        if number == last {
            found.instead = self.results.last().cloned().map(|mut before| {
                before.instead = None;
                Box::new(before)
            });
        }
        if number <= last && !self.back_to(number) {
            self.passed_over += 1;
            return false;
        }
        if self.results.len() < MOST_RESULTS {
            self.results.push(found);
        }
        true
    }

    /// A number that is not the next one: what came between was nobody's if the number lies in
    /// a gap, and if it is the last number again the last result was.
    fn back_to(&mut self, number: u32) -> bool {
        let numbers: Vec<u32> = self
            .results
            .iter()
            .filter_map(|result| result.number)
            .collect();
        let from = numbers.len().saturating_sub(64);
        let at = (from..numbers.len()).find(|at| {
            let before = match at.checked_sub(1) {
                Some(before) => numbers[before],
                None => self.base,
            };
            numbers[*at] >= number && before < number
        });
        let Some(at) = at else {
            return false;
        };
        let jumped = numbers[at] > number;
        if jumped || at + 1 == numbers.len() {
            self.passed_over += (numbers.len() - at) as u64;
            self.results.truncate(at);
            return true;
        }
        false
    }

    fn pretty(&mut self, line: &str) -> bool {
        if let Some(text) = line.strip_prefix("   ") {
            if self.style == Some(Style::Pretty) {
                self.say(text);
                return true;
            }
            return false;
        }
        let found = if let Some(name) = line.strip_prefix(" ✓ ") {
            Some((name, Verdict::Passed))
        } else if let Some(name) = line.strip_prefix(" ✗ ") {
            Some((name, Verdict::Failed))
        } else if let Some(rest) = line.strip_prefix(" - ") {
            skipped(rest).map(|name| (name, Verdict::Skipped))
        } else {
            None
        };
        if let Some((name, verdict)) = found {
            self.pretty_result(name.trim_end(), verdict);
            return true;
        }
        if line.ends_with(".bats") && !line.starts_with(' ') && !line.contains(": ") {
            self.suite = Some(line.into());
            self.below = false;
            return true;
        }
        match summary(line) {
            Some(summary) if self.style == Some(Style::Pretty) => {
                let sum = self.summary.unwrap_or_default();
                self.summary = Some(Summary {
                    tests: sum.tests + summary.tests,
                    failed: sum.failed + summary.failed,
                    skipped: sum.skipped + summary.skipped,
                    not_run: sum.not_run + summary.not_run,
                });
                self.below = false;
                true
            }
            _ => false,
        }
    }

    fn pretty_result(&mut self, name: &str, verdict: Verdict) {
        self.style = Some(Style::Pretty);
        let (name, millis, limited) = bracket(name);
        let verdict = match (verdict, limited) {
            (Verdict::Failed, true) => Verdict::TimedOut,
            (verdict, _) => verdict,
        };
        let running = self
            .begun
            .iter()
            .find(|(_, (known, _))| known == name)
            .map(|(n, _)| *n);
        if let Some(number) = running {
            self.begun.remove(&number);
        }
        let mut found = Outcome::new(None, name, verdict, self.suite.clone());
        found.millis = millis;
        self.below = true;
        if self.results.len() < MOST_RESULTS {
            self.results.push(found);
        }
    }

    fn say(&mut self, text: &str) {
        if let Some(last) = self.results.last_mut().filter(|_| self.below) {
            last.say(text);
        }
    }

    /// Whether anything was told.
    pub fn told(&self) -> bool {
        self.style.is_some()
    }

    /// Whether the plain style of TAP was read.
    pub fn is_tap(&self) -> bool {
        self.style == Some(Style::Tap)
    }

    /// Tests that have begun and have no result.
    pub fn running(&self) -> Vec<(String, Option<Arc<str>>)> {
        if self.begun.is_empty() {
            return Vec::new();
        }
        let tests = self.results.iter().filter(|result| !result.is_hook());
        let ended: HashSet<u32> = tests.filter_map(|result| result.number).collect();
        let open = self.begun.iter().filter(|(n, _)| !ended.contains(n));
        open.map(|(_, test)| test.clone()).collect()
    }

    /// Results without a word about them that the pretty style would not print like that.
    pub fn settle(&mut self) {
        for result in &mut self.results {
            if result.is_bad()
                && result.block.is_empty()
                && let Some(before) = result.instead.take()
            {
                *result = *before;
            }
        }
        if self.style == Some(Style::Pretty) {
            let last = self.results.len().saturating_sub(1);
            let whole = self.summary.is_some();
            let mut at = 0;
            let before = self.results.len();
            self.results.retain(|result| {
                at += 1;
                !result.is_bad() || !result.block.is_empty() || (at - 1 == last && !whole)
            });
            self.passed_over += (before - self.results.len()) as u64;
        }
    }
}

/// The name of a result without its directive, and what it came to.
fn verdict(ok: bool, name: &str) -> (&str, Verdict) {
    let plain = |ok: bool| if ok { Verdict::Passed } else { Verdict::Failed };
    if memchr::memchr(b'#', name.as_bytes()).is_none() {
        return (name, plain(ok));
    }
    if ok {
        let skip = name.rfind(" # skip").filter(|at| {
            let rest = &name[at + 7..];
            rest.is_empty() || rest.starts_with(' ')
        });
        return match skip {
            Some(at) => (&name[..at], Verdict::Skipped),
            None => (name, plain(true)),
        };
    }
    // TAP 13 writes skipped tests as `not ok … # SKIP`.
    if let Some(at) = name.rfind(" # SKIP")
        && (name[at + 7..].is_empty() || name[at + 7..].starts_with(' '))
    {
        return (&name[..at], Verdict::Skipped);
    }
    if let Some((before, limit)) = name.rsplit_once(" # timeout after ")
        && limit
            .strip_suffix('s')
            .is_some_and(|n| n.parse::<f64>().is_ok())
    {
        return (before, Verdict::TimedOut);
    }
    (name, plain(false))
}

/// `name in 12ms`, which `--timing` adds.
fn timing(name: &str) -> (&str, Option<u64>) {
    let Some(start) = name.strip_suffix("ms") else {
        return (name, None);
    };
    let found = start.rsplit_once(" in ").and_then(|(before, time)| {
        let millis = time.parse().ok()?;
        Some((before, Some(millis)))
    });
    found.unwrap_or((name, None))
}

/// `name [6]`, `name [timeout: 1s]`, `name [1002 (timeout: 1s)]`.
fn bracket(name: &str) -> (&str, Option<u64>, bool) {
    let found = name
        .strip_suffix(']')
        .and_then(|rest| rest.rsplit_once(" ["));
    let Some((before, inside)) = found else {
        return (name, None, false);
    };
    let number = inside.split(' ').next().and_then(|n| n.parse().ok());
    let limited = inside.contains("timeout: ");
    let known = limited || inside.bytes().all(|byte| byte.is_ascii_digit());
    match known {
        true => (before, number, limited),
        false => (name, None, false),
    }
}

/// `name (skipped: reason)`.
fn skipped(rest: &str) -> Option<&str> {
    let rest = bracket(rest.trim_end()).0;
    let inner = rest.strip_suffix(')')?;
    let at = inner.rfind(" (skipped")?;
    let why = &inner[at + 9..];
    (why.is_empty() || why.starts_with(':')).then(|| &rest[..at])
}

/// `25 tests, 20 failures, 2 skipped, 1 timed out, 1 not run in 3 seconds`.
fn summary(line: &str) -> Option<Summary> {
    let line = line.trim_end();
    let line = line.rsplit_once(" in ").map_or(line, |(before, _)| before);
    let mut found = Summary::default();
    for (at, part) in line.split(", ").enumerate() {
        let (number, word) = part.split_once(' ')?;
        let number: u64 = number.parse().ok()?;
        match (at, word) {
            (0, "test" | "tests") => found.tests = number,
            (1, "failure" | "failures") => found.failed = number,
            (2.., "skipped") => found.skipped = number,
            (2.., "timed out") => found.failed += number,
            (2.., "not run") => found.not_run = number,
            _ => return None,
        }
    }
    line.contains(", ").then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bats::result::is_hook;

    fn read(text: &str) -> Reader {
        let mut reader = Reader::default();
        let context = Context::rooted("/p");
        for line in text.lines() {
            let shown = text::shown(line.as_bytes()).into_owned();
            if reader.wants(line.as_bytes()) {
                reader.raw(line.as_bytes(), &shown, &context);
            }
        }
        reader.settle();
        reader
    }

    fn names(reader: &Reader) -> Vec<(&str, Verdict)> {
        let results = reader.results.iter();
        results
            .map(|result| (result.name.as_str(), result.verdict))
            .collect()
    }

    #[test]
    fn what_a_test_writes_to_descriptor_3_is_no_result() {
        let log = "1..4\nok 1 a\nnot ok 1 ghost\nnot ok 9 ghost\nnot ok 2 ghost\nok 2 b\nnot ok 4 ghost\nok 3 c\nok 4 d # skip not today\n";
        let reader = read(log);
        let expected = [
            ("a", Verdict::Passed),
            ("b", Verdict::Passed),
            ("c", Verdict::Passed),
            ("d", Verdict::Skipped),
        ];
        assert_eq!(names(&reader), expected);
        assert_eq!(reader.passed_over, 4);
        let begun = read(
            "1..2\nsuite /p/a.bats\nbegin 1 a\nnot ok 1 ghost\nok 2 ghost\nok 1 a\nbegin 2 b\n",
        );
        assert_eq!(names(&begun), [("a", Verdict::Passed)]);
        assert_eq!(
            begun.running(),
            [("b".to_owned(), Some("/p/a.bats".into()))]
        );
        let pretty = read(
            "a.bats\n ✗ ghost\n ✓ a\n ✗ b\n   (in test file a.bats, line 2)\n\n2 tests, 1 failure\n",
        );
        assert_eq!(
            names(&pretty),
            [("a", Verdict::Passed), ("b", Verdict::Failed)]
        );
    }

    #[test]
    fn names_may_hold_anything() {
        let log = "1..5\nnot ok 1 a # skip b\n# (in test file a.bats, line 2)\nok 2 x # skip y # skip\nnot ok 3 slow in 1002ms # timeout after 1s\nnot ok 4 off # SKIP why\nok 5 TODO: # todo in 3ms\n";
        let reader = read(log);
        let expected = [
            ("a # skip b", Verdict::Failed),
            ("x # skip y", Verdict::Skipped),
            ("slow", Verdict::TimedOut),
            ("off", Verdict::Skipped),
            ("TODO: # todo", Verdict::Passed),
        ];
        assert_eq!(names(&reader), expected);
        assert_eq!(bracket("a [6]"), ("a", Some(6), false));
        assert_eq!(bracket("a [1002 (timeout: 1s)]"), ("a", Some(1002), true));
        assert_eq!(bracket("a [brackets]"), ("a [brackets]", None, false));
        assert_eq!(skipped("a (b) (skipped: c (d))"), Some("a (b)"));
        assert!(is_hook("setup_file failed"));
    }

    #[test]
    fn a_terminal_shows_who_was_running() {
        let log = "\x1b[34;1ma.bats\n\x1b[0m\x1b[1G   passes\x1b[K\x1b[77G1/3\x1b[2G\x1b[1G ✓ passes\x1b[K\n\x1b[0m\x1b[1G   kills itself\x1b[K\x1b[77G2/3\x1b[2G/usr/libexec/bats-core/bats-exec-file: line 214: 1 Killed  \"$BATS_LIBEXEC/bats-exec-test\"\n\x1b[1G   after\x1b[K\x1b[77G3/3\x1b[2G\x1b[1G ✓ after\x1b[K\n\x1b[31;1m\n3 tests, 0 failures, 1 not run\n";
        let reader = read(log);
        assert_eq!(
            names(&reader),
            [("passes", Verdict::Passed), ("after", Verdict::Passed)]
        );
        assert_eq!(
            reader.running(),
            [("kills itself".to_owned(), Some("a.bats".into()))]
        );
        assert!(reader.killed.is_some());
    }
}
