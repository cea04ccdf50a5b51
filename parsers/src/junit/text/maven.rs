//! Maven's text: Surefire's and Failsafe's results, the compiler's messages, the build's end.
//!
//! Surefire 2.22 was run for this. The forms of Surefire 3 (`-- in`, `FooTest.bar -- Time
//! elapsed`) and of Maven before 3.5 (no `[ERROR]`) are built from their published documentation
//! and tested on samples written by hand, which say so.
//!
//! Each failing test has a block with its trace, and a line in the summary. The blocks are read;
//! where they are turned off (`printSummary`, `--quiet`) the summary's lines are.

use crate::compose;
use crate::junit::sources::Sources;
use crate::junit::text::Told;
use crate::junit::text::core;
use crate::junit::text::number_after;
use crate::report::Failure;
use crate::report::FailureKind;
use crate::report::Location;
use crate::report::Phase;
use crate::text;

/// More failures than this are not kept.
const MOST: usize = 5_000;
/// The most that is kept of one, in bytes.
const LONGEST: usize = 256 * 1024;

/// A block: what its heading says, and the trace.
#[derive(Debug, Clone, Default)]
struct Block {
    class: String,
    method: String,
    body: String,
}

/// A line of the summary.
#[derive(Debug, Clone, Default)]
struct Line {
    error: bool,
    text: String,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Part {
    #[default]
    Outside,
    Failures,
    Errors,
    Flakes,
}

/// Reads Maven's text.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reader {
    began: bool,
    started: bool,
    ends: u64,
    /// The class that is running.
    class: String,
    running: Option<String>,
    open: bool,
    blocks: Vec<Block>,
    results: bool,
    part: Part,
    leveled: bool,
    lines: Vec<Line>,
    /// Tests, failures, errors, skipped: of all modules before the last together.
    total: Option<[u64; 4]>,
    /// The same of the last module.
    module: Option<[u64; 4]>,
    /// How many lines of the summary are of modules before.
    settled: usize,
    /// The modules say when their tests begin, and do not run at once.
    ordered: bool,
    at_once: bool,
    classes: [u64; 4],
    flaky: u64,
    success: bool,
    failed: bool,
    died: Option<String>,
    crashed: Vec<String>,
    naming: bool,
    goal: Option<String>,
    none: bool,
    compile: bool,
}

impl Reader {
    /// Whether a line may matter.
    pub fn wants(&self, bytes: &[u8]) -> bool {
        if self.open || self.results {
            return true;
        }
        match bytes.first() {
            Some(b'[') => {
                bytes.starts_with(b"[ERROR]")
                    || bytes.starts_with(b"[INFO]")
                    || bytes.starts_with(b"[WARN")
                    || bytes.get(1) == Some(&0x1b)
            }
            Some(b'T') => bytes.starts_with(b"Tests run:") || bytes.starts_with(b"Tests in error"),
            Some(b'R') => bytes.starts_with(b"Running ") || bytes.starts_with(b"Results :"),
            Some(b'B') => bytes.starts_with(b"BUILD "),
            _ => memchr::memmem::find(&bytes[..bytes.len().min(600)], b"<<< ").is_some(),
        }
    }

    /// Whether it was seen at all.
    pub fn began(&self) -> bool {
        self.began
    }

    /// Whether it said that it begins.
    pub fn started(&self) -> bool {
        self.started
    }

    /// How many builds came to their end.
    pub fn ends(&self) -> u64 {
        self.ends
    }

    /// Takes one line.
    pub fn line(&mut self, line: &str) {
        let (level, rest) = level(line);
        if level.is_some()
            && ["Scanning for projects...", "T E S T S", "BUILD "]
                .iter()
                .any(|words| rest.trim().starts_with(words))
        {
            self.began = true;
            self.started |= rest.starts_with("Scanning for projects...");
        }
        if level.is_some() && rest.trim() == "T E S T S" {
            self.settle();
            self.ordered = true;
        }
        self.at_once |= rest.starts_with("Using the MultiThreadedBuilder");
        if rest.starts_with("Tests run:") && self.counts(rest) {
            return;
        }
        if let Some(class) = rest.strip_prefix("Running ")
            && !class.contains(' ')
        {
            self.open = false;
            self.began = true;
            self.class = class.trim().to_owned();
            self.running = Some(self.class.clone());
            return;
        }
        if let Some(block) = heading(rest, &self.class) {
            self.began = true;
            self.open = self.blocks.len() < MOST;
            if self.open {
                self.blocks.push(block);
            }
            return;
        }
        if matches!(rest.trim_end(), "Results:" | "Results :") {
            (self.results, self.open) = (true, false);
            self.part = Part::Outside;
            return;
        }
        self.build(level, rest);
        if self.results {
            self.summary(level.is_some(), rest);
        } else if self.open {
            if level.is_some() {
                self.open = false;
            } else if let Some(block) = self.blocks.last_mut()
                && block.body.len() < LONGEST
            {
                block.body.push_str(line);
                block.body.push('\n');
            }
        }
    }

    /// `Tests run: 9, Failures: 4, Errors: 2, Skipped: 2`, of a class or of a module.
    fn counts(&mut self, line: &str) -> bool {
        let numbers =
            ["Tests run:", "Failures:", "Errors:", "Skipped:"].map(|word| number_after(line, word));
        let [Some(tests), Some(failures), Some(errors), skipped] = numbers else {
            return false;
        };
        let numbers = [tests, failures, errors, skipped.unwrap_or(0)];
        self.began = true;
        self.open = false;
        let target = match line.contains("Time elapsed") {
            true => {
                self.running = None;
                self.unsettle();
                let class = line.rsplit_once(" in ").map(|(_, class)| class.trim());
                if let Some(class) = class.filter(|class| !class.contains(' ')) {
                    self.class = class.to_owned();
                }
                &mut self.classes
            }
            false => {
                (self.results, self.part) = (false, Part::Outside);
                self.flaky += number_after(line, "Flakes:").unwrap_or(0);
                self.module.get_or_insert_default()
            }
        };
        for (sum, number) in target.iter_mut().zip(numbers) {
            *sum = sum.saturating_add(number);
        }
        true
    }

    /// The last module is over.
    fn settle(&mut self) {
        self.settled = self.lines.len();
        let Some(module) = self.module.take() else {
            return;
        };
        let total = self.total.get_or_insert_default();
        for (sum, number) in total.iter_mut().zip(module) {
            *sum = sum.saturating_add(number);
        }
    }

    /// A class is over after the summary of its module: a test printed that.
    fn unsettle(&mut self) {
        if self.ordered && !self.at_once && self.module.take().is_some() {
            self.lines.truncate(self.settled);
        }
    }

    fn summary(&mut self, leveled: bool, rest: &str) {
        let trimmed = rest.trim_end();
        if !matches!(self.part, Part::Failures | Part::Errors) {
            self.leveled = leveled;
        }
        self.part = match trimmed.trim_end_matches([':', ' ']) {
            "Failures" | "Failed tests" if trimmed.contains(':') => Part::Failures,
            "Errors" | "Tests in error" if trimmed.contains(':') => Part::Errors,
            "Flakes" if trimmed.contains(':') => Part::Flakes,
            _ => {
                // Where lines have levels, those without are a message's.
                let named = rest.starts_with("  ") && !rest.starts_with("   ");
                let named = named && (leveled || !self.leveled);
                let wanted = matches!(self.part, Part::Failures | Part::Errors);
                if named && wanted && self.lines.len() < MOST {
                    self.lines.push(Line {
                        error: self.part == Part::Errors,
                        text: rest.trim().to_owned(),
                    });
                } else if !leveled
                    && wanted
                    && !trimmed.is_empty()
                    && let Some(last) = self.lines.last_mut()
                    && last.text.len() < LONGEST
                {
                    last.text.push('\n');
                    last.text.push_str(trimmed);
                }
                self.part
            }
        };
        if let Some(rest) = trimmed.strip_prefix("Failed tests: ") {
            self.part = Part::Failures;
            self.lines.push(Line {
                error: false,
                text: rest.trim().to_owned(),
            });
        }
    }

    /// The build's own words.
    fn build(&mut self, level: Option<&str>, rest: &str) {
        if level.is_none() && !rest.starts_with("BUILD ") {
            return;
        }
        let words = rest.trim();
        if self.naming {
            let class = words.trim_end_matches(',');
            self.naming = !class.is_empty() && !class.contains(' ') && class.contains('.')
                || class.ends_with("Test");
            if self.naming && !self.crashed.contains(&class.to_owned()) && self.crashed.len() < 100
            {
                self.crashed.push(class.to_owned());
            }
        }
        self.ends += u64::from(words.starts_with("BUILD "));
        if words.starts_with("BUILD SUCCESS") {
            self.success = true;
        } else if words.starts_with("BUILD FAILURE") || words.starts_with("BUILD ERROR") {
            self.failed = true;
            (self.results, self.open) = (false, false);
        } else if words.starts_with("COMPILATION ERROR") {
            self.compile = true;
        } else if words.starts_with("Crashed tests:") {
            self.naming = true;
        } else if words.contains("The forked VM terminated without")
            || words.contains("The forked VM terminated with")
        {
            self.died.get_or_insert_with(|| text::one_line(words));
        } else if words.contains("There was a timeout or other error in the fork")
            || words.contains("There was a timeout in the fork")
        {
            self.died = Some("there was a timeout in the fork".to_owned());
        } else if words.starts_with("No tests were executed")
            || words.contains("No tests were executed!")
            || words.contains("No tests matching pattern")
        {
            self.none = true;
        }
        if words.starts_with("Failed to execute goal") {
            self.goal.get_or_insert_with(|| text::one_line(words));
        }
    }

    /// What was read.
    pub fn finish(mut self, sources: &mut Sources) -> Told {
        self.settle();
        let ended = self.success || self.failed;
        let mut told = Told {
            began: true,
            ended,
            flaky: self.flaky,
            ..Told::default()
        };
        let numbers = match self.total {
            Some(total) if ended || self.classes == [0; 4] => total,
            Some(total) if total[0] >= self.classes[0] => total,
            _ => self.classes,
        };
        let [tests, failures, errors, skipped] = numbers;
        let bad = failures + errors;
        let blocks = std::mem::take(&mut self.blocks);
        let lines = std::mem::take(&mut self.lines);
        if bad == 0 && self.success && self.total.is_some() {
            // Blocks of tests that passed when they ran again, or that a test printed.
        } else if !blocks.is_empty()
            && (blocks.len() as u64 == bad || self.total.is_none() || lines.is_empty())
        {
            for block in &blocks {
                told.failures.push(block.failure(sources));
            }
        } else {
            for line in &lines {
                told.failures.push(line.failure(&blocks, sources));
            }
        }
        let known = told.failures.len() as u64;
        told.counts = Some((tests.saturating_sub(bad + skipped), bad, skipped));
        if ended && known != bad {
            told.faults
                .push(format!("{bad} failures are counted, {known} are told"));
        }
        self.died(&mut told);
        if told.failures.is_empty() && self.failed && told.died.is_none() && !self.none {
            told.refused = self.goal.take();
        }
        told.compile = self.compile;
        told.well = self.success && !self.none && tests > 0;
        told
    }

    fn died(&mut self, told: &mut Told) {
        if let Some(died) = self.died.take() {
            if self.crashed.is_empty() {
                self.crashed.extend(self.running.take());
            }
            for class in &self.crashed {
                told.running.push((class.clone(), class.clone()));
            }
            told.died = Some(died);
        } else if !told.ended
            && let Some(class) = self.running.take()
        {
            told.running.push((class.clone(), class));
        }
    }
}

/// `[ERROR] rest`, the level and the rest; without a level the whole line.
fn level(line: &str) -> (Option<&str>, &str) {
    for level in ["ERROR", "INFO", "WARNING", "WARN", "DEBUG"] {
        let rest = line
            .strip_prefix('[')
            .and_then(|rest| rest.strip_prefix(level));
        if let Some(rest) = rest.and_then(|rest| rest.strip_prefix(']')) {
            return (Some(level), rest.strip_prefix(' ').unwrap_or(rest));
        }
    }
    (None, line)
}

/// `bar(com.example.FooTest)  Time elapsed: 0.02 s  <<< FAILURE!` and its kin.
fn heading(line: &str, class: &str) -> Option<Block> {
    let ends = ["<<< FAILURE!", "<<< ERROR!"];
    if !ends.iter().any(|end| line.trim_end().ends_with(end)) {
        return None;
    }
    let at = line.find("Time elapsed: ")?;
    let name = line[..at].trim_end().trim_end_matches("--").trim_end();
    if name.is_empty() {
        return None;
    }
    let (method, class) = if let Some((method, of)) = name
        .strip_suffix(')')
        .and_then(|rest| rest.rsplit_once('('))
        && of.contains('.')
        && !of.contains(' ')
        && !of.contains(',')
    {
        (method.to_owned(), of.to_owned())
    } else if name == class {
        (String::new(), class.to_owned())
    } else if let Some(method) = name
        .strip_prefix(class)
        .and_then(|rest| rest.strip_prefix('.'))
        && !class.is_empty()
    {
        (method.to_owned(), class.to_owned())
    } else if class.is_empty() && name.contains('.') {
        let (class, method) = name.rsplit_once('.')?;
        (method.to_owned(), class.to_owned())
    } else {
        (name.to_owned(), class.to_owned())
    };
    Some(Block {
        class,
        method,
        body: String::new(),
    })
}

impl Block {
    fn failure(&self, sources: &mut Sources) -> Failure {
        let id = match self.method.as_str() {
            "" => self.class.clone(),
            method => format!("{}.{method}", self.class),
        };
        let body = self.body.trim_matches('\n');
        core::of(&id, &self.class, &self.method, body, sources)
    }
}

/// Where a line of the summary points: class, method, line.
fn pointed(word: &str) -> (String, String, String, Option<u32>) {
    // `FooTest>BaseTest.bar:12->helper:34`
    let first = word.split("->").next().unwrap_or(word);
    let last = word.rsplit("->").next().unwrap_or(word);
    let number = |part: &str| {
        part.rsplit_once(':')
            .and_then(|(_, n)| n.parse::<u32>().ok())
    };
    let bare = first.rsplit_once(':').map_or(first, |(name, _)| name);
    let (outer, inner) = bare.split_once('>').unwrap_or((bare, bare));
    let (owner, method) = inner.rsplit_once('.').unwrap_or((inner, ""));
    let class = if outer == inner { owner } else { outer };
    let holder = last
        .rsplit_once(':')
        .map_or(last, |(name, _)| name)
        .rsplit_once('.')
        .map_or(owner, |(class, _)| class);
    let holder = holder.rsplit('>').next().unwrap_or(holder);
    (
        class.to_owned(),
        method.to_owned(),
        holder.to_owned(),
        number(last),
    )
}

impl Line {
    fn failure(&self, blocks: &[Block], sources: &mut Sources) -> Failure {
        let split = self.text.find(' ').unwrap_or(self.text.len());
        let (word, rest) = self.text.split_at(split);
        let (class, method, holder, number) = pointed(word);
        let same = |block: &&Block| {
            let simple = block.class.rsplit('.').next().unwrap_or(&block.class);
            simple == class && (block.method == method || block.method.is_empty())
        };
        if let Some(block) = blocks.iter().find(same) {
            return block.failure(sources);
        }
        let said = rest.trim_start_matches([' ', '»']).trim();
        let kind = match (
            self.error,
            said.contains("TestTimedOut") || said.contains("timed out after"),
        ) {
            (_, true) => FailureKind::Timeout,
            (true, _) => FailureKind::Panic,
            (false, _) => FailureKind::Assertion,
        };
        let id = if method.is_empty() {
            class.clone()
        } else {
            format!("{class}.{method}")
        };
        let said = if said.is_empty() { "no message" } else { said };
        let mut failure = compose::failure(&id, kind, Phase::Call, said);
        failure.target = Some(class.clone());
        let file = format!("{}.java", holder.split('$').next().unwrap_or(&holder));
        failure.location = number.map(|line| Location {
            file: sources.path(&holder, &file),
            line: Some(line),
            column: None,
        });
        failure.diff = crate::junit::compare::sides(said);
        failure.details = text::block(&self.text, text::DETAILS);
        let selected = crate::junit::rerun::Method {
            class: &class,
            name: &method,
            types: None,
        };
        failure.rerun = crate::junit::rerun::method(&selected, sources.context());
        compose::seal(failure)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headings_of_every_version_are_read() {
        for (line, class, method) in [
            (
                "numbers(com.example.OldTest)  Time elapsed: 0.022 s  <<< FAILURE!",
                "com.example.OldTest",
                "numbers",
            ),
            (
                "rows(int, String)[2]  Time elapsed: 0 s  <<< ERROR!",
                "a.FooTest",
                "rows(int, String)[2]",
            ),
            (
                "a.FooTest.bar -- Time elapsed: 0.02 s <<< FAILURE!",
                "a.FooTest",
                "bar",
            ),
            ("a.FooTest  Time elapsed: 0 s  <<< ERROR!", "a.FooTest", ""),
        ] {
            let block = heading(line, "a.FooTest").expect(line);
            assert_eq!(
                (block.class.as_str(), block.method.as_str()),
                (class, method)
            );
        }
        assert!(heading("it says <<< FAILURE!", "a.B").is_none());
    }

    #[test]
    fn the_summary_points_to_the_innermost_line() {
        let read = |word: &str| {
            let (class, method, holder, line) = pointed(word);
            (class, method, holder, line)
        };
        let of = |a: &str, b: &str, c: &str, d| (a.to_owned(), b.to_owned(), c.to_owned(), d);
        assert_eq!(
            read("OldTest.numbers:14"),
            of("OldTest", "numbers", "OldTest", Some(14))
        );
        assert_eq!(
            read("ATest>Base.bar:12->help:34"),
            of("ATest", "bar", "Base", Some(34))
        );
        assert_eq!(
            read("ATest.bar:12->Base.help:3"),
            of("ATest", "bar", "Base", Some(3))
        );
        assert_eq!(read("ATest.bar"), of("ATest", "bar", "ATest", None));
    }
}
