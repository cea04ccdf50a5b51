//! One run of CTest as its text tells it.
//!
//! The list at the end names what failed; a result line that it does not know was printed by a
//! test. Until the end has come result lines are believed if they count on where the last one
//! stopped. With `-V` each line of a test's output has its number before it; otherwise what
//! stands below a failed test's result is its output.

use crate::ctest::line;
use crate::ctest::line::Status;
use crate::ctest::output::Output;
use crate::event::TestEvent;
use crate::lines::Seen;
use crate::text;
use std::collections::BTreeMap;

/// More tests than this are not followed.
const MOST_TESTS: usize = 200_000;

/// One test.
#[derive(Debug, Default)]
pub(crate) struct Test {
    /// Its name.
    pub name: String,
    /// How it ended, at last.
    pub status: Option<Status>,
    /// Whether an earlier try of it failed.
    pub retried: bool,
    /// How long it took.
    pub ms: Option<u64>,
    /// What it printed, as far as that is shown.
    pub output: Output,
    /// Why it could not run.
    pub reason: String,
    /// The binary and the filter of its command, where `-V` shows it.
    pub command: Option<String>,
    index: Option<u64>,
    heading: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum List {
    #[default]
    None,
    Failed,
    NotRun,
}

/// A run of CTest.
#[derive(Debug, Default)]
pub(crate) struct Session {
    /// The build directory, as it is printed.
    pub dir: Option<String>,
    /// The tests by their numbers.
    pub tests: BTreeMap<u64, Test>,
    /// How many failed out of how many, as the end says.
    pub summary: Option<(u64, u64)>,
    /// What the end names as failed.
    pub listed: Vec<(u64, String, Status)>,
    /// CTest said that there are none.
    pub nothing: bool,
    /// What contradicts itself.
    pub faults: Vec<String>,
    /// The last word came.
    pub ended: bool,
    total: Option<u64>,
    by_index: BTreeMap<u64, u64>,
    /// Whose output comes now.
    current: Option<u64>,
    latest: Option<u64>,
    /// The reason of this one goes on.
    pending: Option<(u64, u8)>,
    list: List,
    list_begun: bool,
    verbose: bool,
}

impl Session {
    /// Whether anything of a run of tests came.
    pub fn began(&self) -> bool {
        self.dir.is_some() || !self.tests.is_empty() || self.summary.is_some()
    }

    /// Whether its end has come, and every test had ended before.
    pub fn is_over(&self) -> bool {
        let last = self.by_index.last_key_value().map_or(0, |(at, _)| *at);
        self.ended && self.total.is_none_or(|total| total == last)
    }

    /// Takes one line.
    pub fn line(&mut self, seen: &Seen<'_>, events: &mut Vec<TestEvent>) {
        if let Some((number, tries)) = self.pending.take() {
            self.reason_goes_on(number, tries, seen);
            return;
        }
        if self.own(seen, events) {
            return;
        }
        if let Some(number) = self.current
            && let Some(test) = self.tests.get_mut(&number)
        {
            test.output.line(seen.bytes);
        }
    }

    /// One of CTest's own lines; whether it is one.
    fn own(&mut self, seen: &Seen<'_>, events: &mut Vec<TestEvent>) -> bool {
        let Some(first) = seen.bytes.first() else {
            return false;
        };
        match first {
            b'0'..=b'9' | b' ' | b'\t' | 0x1b => self.numbered(seen, events),
            b't' if seen.bytes.starts_with(b"test ") && self.current.is_none() => {
                let number = std::str::from_utf8(&seen.bytes[5..]).ok();
                self.verbose |= number.is_some_and(|n| n.trim().parse::<u64>().is_ok());
                self.verbose
            }
            b'T' | b'E' | b'N' | b'U' | b'C' | b'F' => self.worded(seen),
            _ => false,
        }
    }

    fn numbered(&mut self, seen: &Seen<'_>, events: &mut Vec<TestEvent>) -> bool {
        if self.verbose && self.prefixed(seen) {
            return true;
        }
        let bytes = seen.bytes;
        let bare = &bytes[bytes.iter().position(|b| *b != b' ').unwrap_or(bytes.len())..];
        let may = match bare.first() {
            Some(b'S') => bare.starts_with(b"Start "),
            Some(b'T') => bare.starts_with(b"Test "),
            Some(b'0'..=b'9' | b'\t' | 0x1b) => true,
            _ => false,
        };
        if !may || bytes.len() > 16 * 1024 {
            return false;
        }
        let shown = seen.shown();
        if let Some((number, name)) = line::start(&shown) {
            self.start(number, name, events);
            return true;
        }
        if let Some(ended) = line::ended(&shown)
            && self.ended(&ended, events)
        {
            return true;
        }
        if let Some(summary) = line::summary(&shown) {
            self.summary = Some(summary);
            self.listed.clear();
            self.list = List::None;
            self.list_begun = false;
            self.ended = false;
            self.close();
            return true;
        }
        self.in_list(&shown)
    }

    /// `12: text`, with `-V`.
    fn prefixed(&mut self, seen: &Seen<'_>) -> bool {
        let bytes = seen.bytes;
        let digits = bytes
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        if digits == 0 || digits > 9 || bytes.get(digits) != Some(&b':') {
            return false;
        }
        let number = std::str::from_utf8(&bytes[..digits])
            .ok()
            .and_then(|n| n.parse().ok());
        let Some(test) = number.and_then(|n: u64| self.tests.get_mut(&n)) else {
            return false;
        };
        let text = &bytes[digits + 1..];
        let text = text.strip_prefix(b" ").unwrap_or(text);
        if text.starts_with(b"Test command: ") {
            test.command = Some(text::cut(&text::shown(&text[14..]), 4096));
            test.heading = true;
        } else if test.heading && text.starts_with(b"Test timeout computed to be") {
            test.heading = false;
        } else if !test.heading {
            test.output.line(text);
        }
        true
    }

    fn start(&mut self, number: u64, name: &str, events: &mut Vec<TestEvent>) {
        if self.tests.len() >= MOST_TESTS && !self.tests.contains_key(&number) {
            return;
        }
        self.not_the_end();
        self.close();
        let test = self.tests.entry(number).or_default();
        if test.status.is_some() && test.name != name {
            // Its end was printed by another test.
            *test = Test::default();
        }
        if test.status.is_none() {
            name.clone_into(&mut test.name);
            let id = name.to_owned();
            events.push(TestEvent::Started { target: None, id });
        }
        self.latest = Some(number);
    }

    /// A summary before this line was printed by a test.
    fn not_the_end(&mut self) {
        self.summary = None;
        self.listed.clear();
        self.list = List::None;
        self.list_begun = false;
        self.ended = false;
    }

    fn close(&mut self) {
        self.current = None;
    }

    fn ended(&mut self, ended: &line::Ended<'_>, events: &mut Vec<TestEvent>) -> bool {
        let known = self.tests.get(&ended.number);
        let known = known.map(|test| test.name.as_str());
        let Some((name, status, ms)) = line::outcome(ended.rest, known) else {
            return false;
        };
        let same = known == Some(name);
        let new = known.is_none();
        let name = (!same).then(|| name.to_owned());
        if !self.follows(ended, same) {
            return false;
        }
        if self.tests.len() >= MOST_TESTS && new {
            return true;
        }
        self.not_the_end();
        self.close();
        if let Some((at, total)) = ended.index {
            self.total = Some(total);
            if self.by_index.is_empty() {
                events.push(TestEvent::Planned { total });
            }
            // An earlier line with this index was printed by a test.
            if let Some(other) = self.by_index.insert(at, ended.number)
                && other != ended.number
                && let Some(test) = self.tests.get_mut(&other)
            {
                test.status = None;
            }
        }
        let test = self.tests.entry(ended.number).or_default();
        if let Some(name) = name {
            test.name = name;
        }
        test.index = ended.index.map(|(at, _)| at).or(test.index);
        test.retried |= test.status.as_ref().is_some_and(Status::is_failure);
        let (target, id) = (None, || test.name.clone());
        match &status {
            Status::Passed => events.push(TestEvent::Passed { target, id: id() }),
            Status::Skipped => events.push(TestEvent::Skipped { target, id: id() }),
            _ => {
                // With `-V` the output came before, each line with its number.
                self.current = Some(ended.number).filter(|_| !self.verbose);
                if test.retried && !self.verbose {
                    test.output = Output::default();
                }
            }
        }
        if matches!(status, Status::Failed(_)) && ms.is_none() {
            self.pending = Some((ended.number, 0));
        }
        test.ms = ms.or(test.ms);
        test.status = Some(status);
        true
    }

    /// Whether a result line stands where CTest would put it.
    fn follows(&self, ended: &line::Ended<'_>, known: bool) -> bool {
        let Some((at, total)) = ended.index else {
            // Tries that are repeated have no index; their test has begun.
            return known;
        };
        if self.total.is_some_and(|said| said != total) || at == 0 || at > total {
            return false;
        }
        let last = self.by_index.last_key_value().map_or(0, |(at, _)| *at);
        match at.cmp(&last) {
            std::cmp::Ordering::Greater => true,
            std::cmp::Ordering::Equal => known,
            std::cmp::Ordering::Less => false,
        }
    }

    fn reason_goes_on(&mut self, number: u64, tries: u8, seen: &Seen<'_>) {
        let shown = seen.shown();
        let Some(test) = self.tests.get_mut(&number) else {
            return;
        };
        let (words, ms) = match line::seconds(&shown) {
            Some((words, ms)) => (words, Some(ms)),
            None => (&*shown, None),
        };
        if let Some(Status::Failed(reason)) = &mut test.status {
            reason.push('\n');
            reason.push_str(words.trim_end());
        }
        test.ms = ms.or(test.ms);
        if ms.is_none() && tries < 8 {
            self.pending = Some((number, tries + 1));
        }
    }

    fn worded(&mut self, seen: &Seen<'_>) -> bool {
        let bytes = seen.bytes;
        let starts = |words: &str| bytes.starts_with(words.as_bytes());
        if starts("Test project ") {
            // A test may print that, too; its session goes on.
            if self.dir.is_none() {
                self.dir = Some(seen.shown()["Test project ".len()..].trim().to_owned());
                return true;
            }
            return false;
        }
        if starts("The following tests FAILED:") && self.summary.is_some() {
            self.list = List::Failed;
            self.list_begun = true;
            self.listed.clear();
            return true;
        }
        if starts("The following tests did not run:") && self.summary.is_some() {
            self.list = List::NotRun;
            return true;
        }
        if starts("Total Test time (real) =") && self.summary.is_some() {
            self.ended = seen.shown().trim_end().ends_with(" sec");
            return true;
        }
        if starts("No tests were found!!!") {
            self.nothing = true;
            return true;
        }
        self.reason(seen)
    }

    /// Why the test that has just begun cannot run.
    fn reason(&mut self, seen: &Seen<'_>) -> bool {
        let words = [
            "Unable to find executable: ",
            "Could not find executable ",
            "Failed test dependencies: ",
            "Unable to find required file: ",
        ];
        let of_ctest = words
            .iter()
            .any(|words| seen.bytes.starts_with(words.as_bytes()));
        if !of_ctest || self.current.is_some() {
            return false;
        }
        let latest = self.latest.and_then(|number| self.tests.get_mut(&number));
        let Some(test) = latest.filter(|test| test.status.is_none()) else {
            return false;
        };
        if test.reason.is_empty() {
            test.reason = text::one_line(&seen.shown());
        }
        true
    }

    fn in_list(&mut self, shown: &str) -> bool {
        if self.list == List::None || self.listed.len() >= MOST_TESTS {
            return false;
        }
        let tests = &self.tests;
        let name_of = |number: u64| tests.get(&number).map(|test| test.name.as_str());
        let Some((number, name, words)) = find(shown, name_of) else {
            return false;
        };
        if self.list == List::Failed {
            self.listed.push((number, name, Status::of_list(&words)));
        }
        true
    }

    /// Which tests failed, checked against the end where it came.
    pub fn settle(&mut self) {
        let Some((failed, total)) = self.summary else {
            return;
        };
        if failed != self.listed.len() as u64 {
            self.ended = false;
            let named = self.listed.len();
            self.faults
                .push(format!("{failed} tests failed, {named} are named"));
        }
        let listed: BTreeMap<u64, (String, Status)> = std::mem::take(&mut self.listed)
            .into_iter()
            .map(|(number, name, status)| (number, (name, status)))
            .collect();
        let whole = failed == listed.len() as u64;
        for (number, test) in &mut self.tests {
            let is_failure = test.status.as_ref().is_some_and(Status::is_failure);
            if whole && is_failure && !listed.contains_key(number) {
                // It was printed by a test.
                test.status = None;
            }
        }
        for (number, (name, status)) in listed {
            let test = self.tests.entry(number).or_default();
            if test.name != name {
                test.name = name;
            }
            if !test.status.as_ref().is_some_and(Status::is_failure) {
                test.status = Some(status);
            }
        }
        self.tests.retain(|_, test| test.status.is_some());
        self.counted(total);
    }

    fn counted(&mut self, total: u64) {
        let of = |wanted: fn(&Status) -> bool| {
            let all = self.tests.values().filter_map(|test| test.status.as_ref());
            all.filter(|status| wanted(status)).count() as u64
        };
        let (passed, failed) = (of(|s| *s == Status::Passed), of(Status::is_failure));
        let skipped = of(|s| *s == Status::Skipped);
        // Disabled tests are not counted, skipped ones are.
        let fits = (passed + failed..=passed + failed + skipped).contains(&total);
        if !fits {
            let seen = passed + failed + skipped;
            self.faults
                .push(format!("{total} tests ran, {seen} came out"));
        }
    }

    /// The tests that had begun and did not end.
    pub fn running(&self) -> impl Iterator<Item = &Test> {
        self.tests.values().filter(|test| test.status.is_none())
    }
}

fn find<'a>(
    line: &'a str,
    name_of: impl Fn(u64) -> Option<&'a str>,
) -> Option<(u64, String, String)> {
    let (number, name, words) = line::listed(line, name_of)?;
    Some((number, name.to_owned(), words.to_owned()))
}
