//! GoogleTest's text, as every version prints it: whole, brief, coloured, repeated, shuffled.
//!
//! Only what stands where GoogleTest puts it is believed: a test that is open ends with its own
//! name, whatever else it prints meanwhile; a test begins in the suite that is open; the
//! summary at the end names what failed, and has to agree with what was seen.

use crate::gtest::block::Block;
use crate::gtest::mark::Mark;
use crate::gtest::mark::header;
use crate::gtest::mark::is_end;
use crate::gtest::mark::mark;
use crate::gtest::mark::mark_at;
use crate::gtest::mark::message_on_it;
use crate::gtest::mark::milliseconds;
use crate::gtest::mark::note;
use crate::gtest::mark::ran;
use crate::gtest::mark::running;
use crate::gtest::mark::tests;
use crate::gtest::program::Case;
use crate::gtest::program::Ended;
use crate::gtest::program::Outside;
use crate::gtest::program::Program;
use crate::lines::Seen;
use crate::text;
use crate::text::cut;
use std::collections::BTreeSet;

/// More starts of binaries than this are not followed.
const MOST_PROGRAMS: usize = 20_000;
/// More failed tests of one binary than this are only counted.
const MOST_FAILED: usize = 5_000;
/// More assertions of one test than this are not kept.
const MOST_BLOCKS: usize = 50;
/// The most that is kept of one assertion's text: both values of a comparison may be long.
const MOST_TEXT: usize = 600 * 1024;
/// The most that is kept of a test's output.
const MOST_OUTPUT: usize = 48 * 1024;
/// When so much is kept of one program, each further text is kept short.
const MOST_IN_ALL: usize = 8 * 1024 * 1024;
/// How much then.
const SHORT: usize = 2 * 1024;
/// After so many failed tests each one keeps little.
const WHOLE: usize = 200;

/// What became known by a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum News {
    Planned(u64),
    Started(String),
    Passed(String),
    Skipped(String),
    Failed(Box<Case>),
}

/// What the list at the end says.
#[derive(Debug, Default)]
struct Summary {
    ran: bool,
    passed: Option<u64>,
    skipped: Option<u64>,
    failed: Option<u64>,
    listed: Vec<String>,
    suites: Vec<String>,
}

/// One program as its lines tell it.
#[derive(Debug, Default)]
struct Told {
    program: Program,
    summary: Summary,
    suite: Option<String>,
    suite_ran: u64,
    open: Option<Case>,
    /// Assertions that failed outside of tests, as yet nobody's.
    loose: Vec<Block>,
    /// Those of them above a skip in a brief run.
    skipped: Vec<Block>,
    /// Further lines belong to the last block.
    in_block: bool,
    /// A "Skipped" block is open: its lines are no failure's.
    skipping: bool,
    /// How much text is kept.
    kept: usize,
    /// Nothing was announced: a brief run, or one whose beginning is missing.
    quiet: bool,
    /// Tests that began with a line of their own although nothing was announced.
    begun: Vec<String>,
    /// The test that ended last, and how: it may have printed that end itself.
    last: Option<(String, char)>,
    tear_down: bool,
}

/// Reads GoogleTest's text line by line.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    told: Vec<Told>,
    more: u64,
    repeat: bool,
    filter: Option<String>,
    news: Vec<News>,
}

impl Reader {
    /// Whether anything of GoogleTest came.
    pub fn began(&self) -> bool {
        !self.told.is_empty()
    }

    /// What became known since the last time.
    pub fn news(&mut self) -> Vec<News> {
        std::mem::take(&mut self.news)
    }

    /// Takes one line.
    pub fn line(&mut self, seen: &Seen<'_>) {
        if mark_at(seen.bytes).is_some() {
            let shown = seen.shown();
            if let Some((mark, rest, before)) = mark(&shown) {
                self.marked(mark, rest, before, &shown);
                return;
            }
        }
        if self.told.is_empty() {
            self.before(seen);
            return;
        }
        self.plain(seen);
    }

    /// Nothing of GoogleTest has come yet; with `--gtest_brief=1` a failure may come first.
    fn before(&mut self, seen: &Seen<'_>) {
        let bytes = seen.bytes;
        if bytes.starts_with(b"Note: Google Test filter = ") {
            self.filter = note(&seen.shown());
        } else if bytes.starts_with(b"Repeating all tests (iteration ") {
            self.repeat = !bytes.starts_with(b"Repeating all tests (iteration 1)");
        } else if bytes.starts_with(b"Running main() from ") || header(seen).is_some() {
            self.begin();
            self.plain(seen);
        }
    }

    fn begin(&mut self) -> Option<&mut Told> {
        if self.told.len() >= MOST_PROGRAMS {
            self.more += 1;
            return None;
        }
        let mut told = Told::default();
        told.program.repeat = std::mem::take(&mut self.repeat);
        told.program.filter = self.filter.take();
        self.told.push(told);
        self.told.last_mut()
    }

    fn marked(&mut self, mark: Mark, rest: &str, before: &str, line: &str) {
        if self.outer(mark, rest) {
            return;
        }
        self.goes_on(mark, rest);
        if mark == Mark::Rule
            && let Some(tests) = running(rest)
        {
            self.announced(tests);
            return;
        }
        // With `--gtest_brief=1` nothing is announced.
        if self.told.is_empty() && self.begin().is_none() {
            return;
        }
        let Some(told) = self.told.last_mut() else {
            return;
        };
        if !told.marked(mark, rest, before, &mut self.news) {
            told.plain(line);
        }
    }

    /// A program began inside of a test; the test ends, so that was a child of it.
    fn outer(&mut self, mark: Mark, rest: &str) -> bool {
        if !matches!(mark, Mark::Ok | Mark::Failed | Mark::Skipped) || self.told.len() < 2 {
            return false;
        }
        let ends = |told: &Told| {
            let open = told.open.as_ref();
            open.is_some_and(|open| is_end(rest, &open.id))
        };
        if self.told.last().is_some_and(ends) {
            return false;
        }
        let from = self.told.len().saturating_sub(20);
        let Some(at) = (from..self.told.len() - 1)
            .rev()
            .find(|at| ends(&self.told[*at]))
        else {
            return false;
        };
        // An end in a summary of the child's is not the parent's.
        let last = self.told.last();
        if !rest.contains(" ms)") && last.is_some_and(|last| last.lists(mark)) {
            return false;
        }
        self.back_to(at);
        if let Some(told) = self.told.last_mut() {
            told.marked(mark, rest, "", &mut self.news);
        }
        true
    }

    /// A brief run goes on although a whole run came after its beginning: a test printed that.
    fn goes_on(&mut self, mark: Mark, rest: &str) {
        let end = mark == Mark::Failed && rest.contains(" ms)") && rest.contains('.');
        let last = mark == Mark::Rule && ran(rest).is_some();
        let over = self.told.last().is_some_and(|told| told.summary.ran);
        if !over || !(end || last) {
            return;
        }
        let brief = |told: &Told| {
            told.program.announced.is_none() && told.program.started > 0 && !told.summary.ran
        };
        let from = self.told.len().saturating_sub(20);
        if let Some(at) = (from..self.told.len())
            .rev()
            .find(|at| brief(&self.told[*at]))
        {
            self.back_to(at);
        }
    }

    /// Drops the programs after one: its tests printed them. What failed below the last one's
    /// summary is its own.
    fn back_to(&mut self, at: usize) {
        let last = self.told.last_mut().filter(|told| told.summary.ran);
        let blocks = last.map(|told| std::mem::take(&mut told.loose));
        self.told.truncate(at + 1);
        if let (Some(told), Some(blocks)) = (self.told.last_mut(), blocks) {
            match &mut told.open {
                Some(open) => open.blocks.extend(blocks),
                None => told.loose.extend(blocks),
            }
        }
    }

    fn announced(&mut self, tests: u64) {
        let fresh = self.told.last().is_some_and(|told| {
            told.program.announced.is_none() && told.program.started == 0 && !told.summary.ran
        });
        if !fresh && self.begin().is_none() {
            return;
        }
        let filter = self.filter.take();
        if let Some(told) = self.told.last_mut() {
            told.program.announced = Some(tests);
            told.program.filter = filter.or(told.program.filter.take());
            told.in_block = false;
        }
        self.news.push(News::Planned(tests));
    }

    fn plain(&mut self, seen: &Seen<'_>) {
        let bytes = seen.bytes;
        let Some(told) = self.told.last_mut() else {
            return;
        };
        if told.summary.ran && told.open.is_none() {
            if bytes.starts_with(b"Repeating all tests (iteration ") {
                self.repeat = true;
                return;
            }
            if bytes.starts_with(b"Running main() from ") {
                self.begin();
                return;
            }
            if bytes.starts_with(b"Note: Google Test filter = ") {
                self.filter = note(&seen.shown());
                return;
            }
            if header(seen).is_none() && !told.in_block {
                told.remark(&seen.shown());
                return;
            }
        }
        if told.open.is_none() && bytes.starts_with(b"Note: Google Test filter = ") {
            told.program.filter = note(&seen.shown());
            return;
        }
        if let Some((place, skipped)) = header(seen) {
            told.head(place, skipped, seen);
            return;
        }
        if told.wants() {
            told.plain(&seen.shown());
        }
    }

    /// Everything that was read.
    pub fn finish(self) -> Vec<Program> {
        let mut programs: Vec<Program> = self.told.into_iter().map(Told::finish).collect();
        if self.more > 0
            && let Some(last) = programs.last_mut()
        {
            last.faults
                .push(format!("{} more binaries were started", self.more));
        }
        programs
    }
}

impl Told {
    /// Whether such a mark may stand in the summary's lists now.
    fn lists(&self, mark: Mark) -> bool {
        let summary = &self.summary;
        match mark {
            Mark::Failed => summary
                .failed
                .is_some_and(|number| (summary.listed.len() as u64) < number),
            Mark::Skipped => summary.skipped.is_some(),
            _ => false,
        }
    }

    /// Whether a line of no meaning is kept.
    fn wants(&self) -> bool {
        let (text, output) = self.room();
        match &self.open {
            Some(open) if self.in_block => open.blocks.last().is_some_and(|b| b.text.len() < text),
            Some(open) => open.output.len() < output,
            None if self.in_block => self.loose.last().is_some_and(|b| b.text.len() < text),
            None => self.program.rest.len() < output,
        }
    }

    /// How long an assertion's text and a test's output may be.
    fn room(&self) -> (usize, usize) {
        match self.kept < MOST_IN_ALL {
            true => (MOST_TEXT, MOST_OUTPUT),
            false => (SHORT, SHORT),
        }
    }

    /// One of GoogleTest's own lines; whether it is one.
    fn marked(&mut self, mark: Mark, rest: &str, before: &str, news: &mut Vec<News>) -> bool {
        if self.open.is_some() && matches!(mark, Mark::Ok | Mark::Failed | Mark::Skipped) {
            return self.end(mark, rest, before, news);
        }
        if self.open.is_some() && self.program.announced.is_some() {
            // Everything else is printed by the test itself.
            return false;
        }
        match mark {
            Mark::Rule => self.ran(rest),
            Mark::Dash => self.dash(rest),
            Mark::Run => self.run(rest, news),
            Mark::Passed if self.summary.ran => {
                self.summary.passed = tests(rest);
                true
            }
            Mark::Ok | Mark::Failed | Mark::Skipped if self.summary.ran => self.listed(mark, rest),
            Mark::Ok | Mark::Failed | Mark::Skipped => self.unopened(mark, rest, news),
            Mark::Passed => false,
        }
    }

    fn ran(&mut self, rest: &str) -> bool {
        let whole = rest.ends_with("ms total)") || rest.ends_with(" ran.");
        let Some(number) = whole.then(|| ran(rest)).flatten() else {
            return false;
        };
        if self.summary.ran || self.program.announced.is_some_and(|said| said != number) {
            return false;
        }
        // With `--gtest_brief=1` a test that printed `[ RUN` stays open for nothing.
        self.open = None;
        self.close_loose();
        self.summary.ran = true;
        self.quiet = self.program.announced.is_none();
        self.program.announced.get_or_insert(number);
        self.in_block = false;
        true
    }

    /// `4 tests from Math`, `4 tests from Math (0 ms total)`, `Global test environment set-up.`
    fn dash(&mut self, rest: &str) -> bool {
        if self.summary.ran {
            return false;
        }
        self.close_loose();
        self.in_block = false;
        if rest.starts_with("Global test environment tear-down") {
            self.suite = None;
            self.tear_down = true;
            return true;
        }
        let Some((_, suite)) = rest.split_once(" from ") else {
            return rest.starts_with("Global test environment");
        };
        if rest.ends_with(" ms total)") {
            self.suite = None;
            return true;
        }
        let suite = suite.split(", where ").next().unwrap_or(suite);
        self.suite = Some(suite.trim_end().to_owned());
        self.suite_ran = 0;
        true
    }

    fn run(&mut self, rest: &str, news: &mut Vec<News>) -> bool {
        let id = rest.trim_end();
        let suite = id.rsplit_once('.').map_or("", |(suite, _)| suite);
        let fits = self.suite.as_ref().is_none_or(|open| open == suite);
        if self.summary.ran || suite.is_empty() || id.contains(' ') || !fits {
            return false;
        }
        self.close_loose();
        self.open = Some(Case {
            id: cut(id, 4096),
            ..Case::default()
        });
        if self.program.announced.is_none() && self.begun.len() < MOST_FAILED {
            self.begun.push(id.to_owned());
        }
        self.program.started += 1;
        self.suite_ran += 1;
        self.in_block = false;
        self.skipping = false;
        news.push(News::Started(id.to_owned()));
        true
    }

    /// The end of the open test; anything else with such a mark was printed by it.
    fn end(&mut self, mark: Mark, rest: &str, before: &str, news: &mut Vec<News>) -> bool {
        let Some(open) = &self.open else {
            return false;
        };
        if !is_end(rest, &open.id) {
            let brief = self.program.announced.is_none() && rest.contains(" ms)");
            if brief {
                // A test that failed printed `[ RUN`; what failed since then is its own.
                let blocks = self.open.take().map(|open| open.blocks);
                self.loose.extend(blocks.unwrap_or_default());
                return self.unopened(mark, rest, news);
            }
            return false;
        }
        if !before.is_empty() {
            // GoogleTest ends its own lines.
            self.in_block = false;
            self.plain(before);
        }
        let Some(mut case) = self.open.take() else {
            return false;
        };
        case.ms = milliseconds(rest);
        self.closed(mark, case, news);
        true
    }

    fn closed(&mut self, mark: Mark, mut case: Case, news: &mut Vec<News>) {
        self.in_block = false;
        self.skipping = false;
        let how = match mark {
            Mark::Ok => {
                self.program.passed += 1;
                news.push(News::Passed(case.id.clone()));
                'p'
            }
            Mark::Skipped => {
                self.program.skipped += 1;
                news.push(News::Skipped(case.id.clone()));
                's'
            }
            _ => {
                case.ended = Ended::Failed;
                news.push(News::Failed(Box::new(case.clone())));
                'f'
            }
        };
        self.last = Some((case.id.clone(), how));
        if how != 'f' {
            return;
        }
        if self.program.failed.len() >= MOST_FAILED {
            self.program.more += 1;
            return;
        }
        if self.program.failed.len() >= WHOLE {
            slim(&mut case);
        }
        self.program.failed.push(case);
    }

    /// An end although nothing is open: of a brief run, or a second end of the same test, which
    /// printed the first one itself.
    fn unopened(&mut self, mark: Mark, rest: &str, news: &mut Vec<News>) -> bool {
        let id = rest.split([',', ' ']).next().unwrap_or("");
        if !id.contains('.') || !(rest.contains(" ms)") || rest.contains(", where ")) {
            return false;
        }
        if self.last.as_ref().is_some_and(|(last, _)| last == id) {
            self.take_back(id);
            let case = Case {
                id: id.to_owned(),
                blocks: std::mem::take(&mut self.loose),
                ms: milliseconds(rest),
                ..Case::default()
            };
            self.closed(mark, case, news);
            return true;
        }
        if self.program.announced.is_some() {
            return false;
        }
        self.program.started += 1;
        if self.loose.is_empty() {
            self.loose = std::mem::take(&mut self.skipped);
        }
        self.close_skipped();
        let case = Case {
            id: cut(id, 4096),
            blocks: std::mem::take(&mut self.loose),
            output: std::mem::take(&mut self.program.rest),
            ms: milliseconds(rest),
            ..Case::default()
        };
        self.closed(mark, case, news);
        true
    }

    fn take_back(&mut self, id: &str) {
        match self.last.take() {
            Some((_, 'p')) => self.program.passed = self.program.passed.saturating_sub(1),
            Some((_, 's')) => self.program.skipped = self.program.skipped.saturating_sub(1),
            Some(_) => {
                if let Some(case) = self.program.failed.pop_if(|case| case.id == id) {
                    self.loose = case.blocks;
                }
            }
            None => {}
        }
    }

    /// The lists below the summary.
    fn listed(&mut self, mark: Mark, rest: &str) -> bool {
        let number = tests(rest).filter(|_| {
            rest.ends_with("listed below:") || rest.ends_with(" tests.") || rest.ends_with(" test.")
        });
        match (mark, number) {
            (Mark::Failed, Some(number)) => self.summary.failed = Some(number),
            (Mark::Skipped, Some(number)) => self.summary.skipped = Some(number),
            (Mark::Failed, None) => {
                if let Some((suite, what)) = rest.split_once(": ")
                    && what.starts_with("SetUpTest")
                {
                    self.summary.suites.push(suite.to_owned());
                    return true;
                }
                let room = self.summary.failed.unwrap_or(0).min(100_000);
                if (self.summary.listed.len() as u64) < room {
                    let id = rest.split([',', ' ']).next().unwrap_or(rest);
                    self.summary.listed.push(id.to_owned());
                }
            }
            _ => {}
        }
        true
    }

    fn remark(&mut self, line: &str) {
        if let Some(rest) = line.strip_prefix("  YOU HAVE ")
            && rest.contains(" DISABLED TEST")
            && let Some(number) = rest.split(' ').next()
        {
            self.program.disabled = number.parse().unwrap_or(0);
            return;
        }
        keep(&mut self.program.rest, line, MOST_OUTPUT);
    }

    /// `a.cc:12: Failure`.
    fn head(&mut self, place: Option<(String, u32)>, skipped: bool, seen: &Seen<'_>) {
        self.in_block = true;
        self.skipping = skipped;
        if skipped {
            // In a brief run a skipped test has no end; what failed before was its suite's, or
            // its own, if its end as failed follows.
            if self.program.announced.is_none() && self.open.is_none() && !self.loose.is_empty() {
                self.close_skipped();
                self.skipped = std::mem::take(&mut self.loose);
            }
            return;
        }
        // The place may stand behind what was printed without a line end.
        let block = Block {
            place,
            text: message_on_it(&seen.shown()),
        };
        let blocks = match &mut self.open {
            Some(open) => &mut open.blocks,
            None => &mut self.loose,
        };
        if blocks.len() < MOST_BLOCKS {
            blocks.push(block);
        }
    }

    /// Any other line: of an assertion, or of what the test prints.
    fn plain(&mut self, line: &str) {
        if self.skipping {
            return;
        }
        let (text, output) = self.room();
        let (into, most) = match &mut self.open {
            Some(open) if self.in_block => (open.blocks.last_mut().map(|b| &mut b.text), text),
            Some(open) => (Some(&mut open.output), output),
            None if self.in_block => (self.loose.last_mut().map(|b| &mut b.text), text),
            None => (Some(&mut self.program.rest), output),
        };
        if let Some(into) = into {
            self.kept += keep(into, line, most);
        }
    }

    /// What failed before a skip, and is no test's.
    fn close_skipped(&mut self) {
        let blocks = std::mem::take(&mut self.skipped);
        if !blocks.is_empty() {
            self.outside(None, false, blocks);
        }
    }

    /// Assertions outside of tests belong to the suite or to the environment.
    fn close_loose(&mut self) {
        self.close_skipped();
        self.in_block = false;
        self.skipping = false;
        // With `--gtest_brief=1` they belong to the test whose end is still to come.
        let brief = self.program.announced.is_none();
        if self.loose.is_empty() || (brief && self.suite.is_none()) {
            return;
        }
        let blocks = std::mem::take(&mut self.loose);
        let after = match &self.suite {
            Some(_) => self.suite_ran > 0,
            None => self.tear_down || self.program.started > 0,
        };
        self.outside(self.suite.clone(), after, blocks);
    }

    fn outside(&mut self, suite: Option<String>, after: bool, blocks: Vec<Block>) {
        if self.program.outside.len() < 1000 {
            self.program.outside.push(Outside {
                suite,
                after,
                blocks,
            });
        }
    }

    fn finish(mut self) -> Program {
        self.program.ended =
            self.summary.ran && self.summary.passed.is_some() && self.program.announced.is_some();
        if !self.summary.ran && self.program.announced.is_some() {
            self.close_loose();
        }
        if !self.summary.ran {
            // A brief run that died does not say in which test.
            for block in std::mem::take(&mut self.loose) {
                keep(&mut self.program.rest, &block.shown(), MOST_OUTPUT);
            }
        }
        self.close_skipped();
        self.program.running = self.open.take();
        if self.summary.ran {
            self.agree();
        }
        self.program
    }

    /// Does the summary agree with what was seen?
    fn agree(&mut self) {
        let program = &mut self.program;
        let said = self.summary.failed.unwrap_or(0);
        let whole = self.summary.listed.len() as u64 == said && self.summary.failed.is_some();
        if whole {
            // A test may print its own end; the list is GoogleTest's.
            let before = program.failed.len();
            let listed: BTreeSet<&str> = self.summary.listed.iter().map(String::as_str).collect();
            program
                .failed
                .retain(|case| listed.contains(case.id.as_str()));
            if program.failed.len() < before {
                program.faults.push(
                    "tests ended as failed that the list at the end does not name".to_owned(),
                );
            }
            let known: BTreeSet<String> =
                program.failed.iter().map(|case| case.id.clone()).collect();
            for id in &self.summary.listed {
                let known = known.contains(id);
                if !known && program.more == 0 && program.failed.len() < MOST_FAILED {
                    program
                        .faults
                        .push(format!("the end of `{}` is missing", cut(id, 200)));
                    program.failed.push(Case {
                        id: id.clone(),
                        ended: Ended::Failed,
                        ..Case::default()
                    });
                }
            }
        } else if self.summary.failed.is_some() {
            program
                .faults
                .push("the list of failed tests is cut off".to_owned());
        }
        for suite in &self.summary.suites {
            let known = program
                .outside
                .iter()
                .any(|outside| outside.suite.as_ref() == Some(suite));
            if !known && program.outside.len() < 1000 {
                program.outside.push(Outside {
                    suite: Some(suite.clone()),
                    after: false,
                    blocks: Vec::new(),
                });
            }
        }
        self.brief();
        let program = &mut self.program;
        let passed = self.summary.passed.unwrap_or(0);
        if program.passed != passed {
            program.faults.push(format!(
                "{} tests are said to have passed, {} were seen to",
                passed, program.passed
            ));
            program.passed = passed;
        }
        let total = passed + program.skipped + program.failed.len() as u64 + program.more;
        if program.announced.is_some_and(|said| said != total) {
            program.faults.push(format!(
                "{} tests ran, {total} came out",
                program.announced.unwrap_or(0)
            ));
        }
    }

    /// A brief run tells only failures; its numbers say what the others came to.
    fn brief(&mut self) {
        if !self.quiet || self.summary.failed.is_some() {
            return;
        }
        let program = &mut self.program;
        program.passed = self.summary.passed.unwrap_or(0);
        program.skipped = self.summary.skipped.unwrap_or(0);
        let ran = program.announced.unwrap_or(0);
        let rest = ran.saturating_sub(program.passed + program.skipped);
        // A test that failed says why, and a brief run does not say that it begins.
        if program.failed.len() as u64 > rest {
            program.failed.retain(|case| !case.blocks.is_empty());
        }
        if program.failed.len() as u64 > rest {
            let begun: BTreeSet<&String> = self.begun.iter().collect();
            program.failed.retain(|case| !begun.contains(&case.id));
        }
    }
}

/// Adds a line as far as there is room; how much was added.
fn keep(into: &mut String, line: &str, most: usize) -> usize {
    let before = into.len();
    if before < most {
        match line.len() <= most {
            true => into.push_str(line),
            false => into.push_str(&cut(line, most)),
        }
        into.push('\n');
    }
    into.len() - before
}

fn slim(case: &mut Case) {
    const LITTLE: usize = 1500;
    case.output = text::cap(&case.output, LITTLE);
    case.output.shrink_to_fit();
    case.blocks.truncate(3);
    for block in &mut case.blocks {
        block.text = text::cap(&block.text, LITTLE);
        block.text.shrink_to_fit();
    }
    case.blocks.shrink_to_fit();
}
