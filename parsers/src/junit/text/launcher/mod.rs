//! The text of JUnit's console launcher, in every `--details` mode.
//!
//! `tree`, `summary` and `none` have a block of failures at the end, `Failures (2):`, each with
//! its source in full; the counts follow. `verbose`, `flat` and `testfeed` tell each failure where
//! it happens, and say which test begins, so that the one that was running has a name when the
//! process leaves. `tree` and `verbose` tell which invocation of a parameterised test an entry is.
//!
//! Whatever looks like a run of the launcher may be printed by a test, or stand in a message. What
//! the launcher prints last counts, and its counts must agree with the failures.

mod block;
mod feed;
mod flat;
mod identity;
mod tree;
mod verbose;

use crate::compose;
use crate::junit::java;
use crate::junit::java::Thrown;
use crate::junit::rerun;
use crate::junit::sources::Sources;
use crate::junit::stack::At;
use crate::junit::text::Told;
use crate::junit::text::launcher::block::Block;
use crate::junit::text::launcher::block::heading;
use crate::junit::text::launcher::feed::Feed;
use crate::junit::text::launcher::flat::Flat;
use crate::junit::text::launcher::identity::Identity;
use crate::junit::text::launcher::tree::Tree;
use crate::junit::text::launcher::verbose::Verbose;
use crate::report::Failure;
use crate::report::FailureKind;
use crate::report::Phase;
use std::collections::BTreeMap;
use std::collections::BTreeSet;

/// More runs than this are not remembered.
const MOST_BEFORE: usize = 8;
/// A message may go on so many bytes behind what looked like the end of the run.
const MOST_HELD: usize = 64 * 1024;

/// A failure that is told where it happens.
#[derive(Debug, Clone, Default)]
struct OnTheWay {
    /// The names of the nodes, outermost first.
    names: Vec<String>,
    /// The unique id; empty where nobody says.
    unique: String,
    /// What was thrown.
    text: String,
}

/// What failed.
#[derive(Debug)]
struct Failed {
    identity: Identity,
    text: String,
    /// It is no test, and others ran in it.
    holds: bool,
}

/// What the launcher counts, by its words.
type Counts = BTreeMap<String, u64>;

/// A run's end: its failures and its counts, and all lines that followed so far.
#[derive(Debug, Clone, Default)]
struct End {
    block: Block,
    counts: Counts,
    held: String,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum State {
    #[default]
    Outside,
    Failures,
    Counts,
}

/// How it tells of failures, as far as that is known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Mode {
    /// At the end, or in the feed of tests, which does not say that it begins.
    #[default]
    AtTheEnd,
    Verbose,
    Flat,
}

/// Reads the launcher's text.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reader {
    state: State,
    block: Block,
    /// The line before may have been the block's last.
    ending: Option<String>,
    /// The lines of the counts, in case that they are a failure's words.
    held: Vec<String>,
    counts: Counts,
    /// The first end of a run since anything else was seen, and the last.
    first: Option<End>,
    last: Option<End>,
    ends: u64,
    /// What looked like a run that failed came before the last one.
    earlier_failed: bool,
    banners: u64,
    seen: bool,
    /// It said how it begins, before anything else.
    started: bool,
    usage: Option<String>,
    tree: Tree,
    mode: Mode,
    /// The counts at the end agree with what was told before them.
    agreed: bool,
    /// The line before said that it begins: the root of the tree may follow.
    begins: bool,
    verbose: Verbose,
    flat: Flat,
    feed: Feed,
    /// What was told in the feed's way before the launcher's first words, if these are its own.
    before: Vec<Feed>,
}

impl Reader {
    /// Whether a line may matter.
    pub fn wants(&self, bytes: &[u8]) -> bool {
        if self.state == State::Failures || self.flat.wants_more() || self.feed.open {
            return true;
        }
        match bytes.first() {
            Some(b'F') => bytes.starts_with(b"Failures (") || bytes.starts_with(b"Finished: "),
            Some(b'S') => bytes.starts_with(b"Started: ") || bytes.starts_with(b"Skipped: "),
            Some(b'R') => bytes.starts_with(b"Registered: "),
            Some(b'T') => bytes.starts_with(b"Test ") || bytes.starts_with(b"Thanks for using JU"),
            Some(b'[') => self.state == State::Counts || bytes.starts_with(b"[  "),
            // Box drawing, and a heart.
            Some(0xe2) => true,
            Some(0xf0) => bytes.ends_with(b"junit.org/sponsoring"),
            Some(b'+' | b'|' | b'\'' | b'`') => true,
            Some(b' ') => {
                self.seen && (self.mode == Mode::Verbose || self.first.is_some() || branches(bytes))
            }
            Some(b'U') => bytes.starts_with(b"Unknown option") || bytes.starts_with(b"Usage: "),
            Some(b'E') => bytes.starts_with(b"Error parsing command-line"),
            Some(b'o') => bytes.starts_with(b"org.junit.platform.commons.JUnitException"),
            Some(b'C') => bytes.starts_with(b"Caused by: org.junit.platform.commons"),
            _ => self.state == State::Counts || self.tree.in_name() || feed::wants(bytes),
        }
    }

    /// Whether anything of the launcher's was seen.
    pub fn began(&self) -> bool {
        self.seen
    }

    /// Whether it said that it begins.
    pub fn started(&self) -> bool {
        self.started
    }

    /// How many times it said its first words.
    pub fn banners(&self) -> u64 {
        self.banners
    }

    /// How many times a run of it came to its end.
    pub fn ends(&self) -> u64 {
        self.ends
    }

    /// Why it did not begin.
    pub fn refused(&self) -> Option<String> {
        self.usage.clone()
    }

    /// Takes one line.
    pub fn line(&mut self, line: &str) {
        match self.state {
            // The tree goes on: what looked like the block at the end was printed by a test.
            State::Failures if is_tree(line) || is_root(line) => {
                self.state = State::Outside;
                self.ending = None;
                self.outside(line);
            }
            State::Failures => self.failure_line(line),
            State::Counts => self.count_line(line),
            State::Outside => self.outside(line),
        }
    }

    /// All that was read was printed by a test, or is of a run before.
    fn reset(&mut self, mode: Mode) {
        let known = [self.first.take(), self.last.take()];
        let red = |end: &End| sum(&end.counts) > 0;
        self.earlier_failed |= known.iter().flatten().any(red);
        self.tree = Tree::default();
        self.verbose = Verbose::default();
        self.flat = Flat::default();
        (self.mode, self.agreed) = (mode, false);
    }

    fn outside(&mut self, line: &str) {
        if self.goes_on(line) {
            return;
        }
        let begins = std::mem::take(&mut self.begins);
        if let Some(number) = heading(line).filter(|_| self.mode == Mode::AtTheEnd) {
            self.tree.settle();
            self.state = State::Failures;
            self.block = Block::new(number);
        } else if line.starts_with("Test run finished after ") && line.ends_with(" ms") {
            self.tree.settle();
            self.block = Block::default();
            self.count_from(line);
        } else if is_root(line) {
            if !begins {
                self.reset(Mode::AtTheEnd);
            }
        } else if line.ends_with("https://junit.org/sponsoring") {
            self.banner();
        } else if line.starts_with("Test plan execution started") {
            self.begin(Mode::Verbose);
        } else if line.starts_with("Test execution started") {
            self.begin(Mode::Flat);
        } else if line.starts_with("Error parsing command-line")
            || line.starts_with("Unknown option")
        {
            self.usage.get_or_insert_with(|| line.to_owned());
        } else if line.starts_with("org.junit.platform.commons.JUnitException")
            || line.starts_with("Caused by: org.junit.platform.commons")
        {
            let said = line
                .rsplit_once("Exception: ")
                .map_or(line, |(_, said)| said);
            self.usage = Some(said.to_owned());
        } else if self.on_its_way(line) {
            self.seen = true;
        } else {
            self.node_or_fact(line);
        }
    }

    /// It says that it begins, and tells everything as it happens.
    fn begin(&mut self, mode: Mode) {
        if !self.is_telling() {
            self.reset(mode);
        }
        (self.seen, self.started, self.begins) = (true, true, true);
    }

    /// Whether it tells everything as it happens, and is not over.
    fn is_telling(&self) -> bool {
        let told = !self.verbose.is_empty() || !self.flat.is_empty();
        self.mode != Mode::AtTheEnd && told && !self.agreed
    }

    fn on_its_way(&mut self, line: &str) -> bool {
        match self.mode {
            Mode::Verbose => false,
            Mode::Flat => self.flat.line(line),
            Mode::AtTheEnd => self.flat.line(line) || self.feed.line(line),
        }
    }

    /// The launcher's first words come late where it only prints at its end: what stands before
    /// them was printed by tests.
    fn banner(&mut self) {
        self.started = true;
        self.banners += 1;
        if self.is_telling() {
            return;
        }
        self.reset(Mode::AtTheEnd);
        self.seen = false;
        let feed = std::mem::take(&mut self.feed);
        if !feed.is_empty() && self.before.len() < MOST_BEFORE {
            self.before.push(feed);
        }
    }

    /// Frames behind what looked like the end of the run: that stood in a message.
    fn goes_on(&mut self, line: &str) -> bool {
        let Some(first) = self.first.as_mut() else {
            return false;
        };
        if self.mode == Mode::AtTheEnd && first.block.announced > 0 && block::is_frame(line) {
            if let Some(first) = self.first.take() {
                self.last = None;
                self.block = first.block;
                self.block.lines(&first.held);
                self.block.line(line);
                self.state = State::Failures;
            }
            return true;
        }
        if first.held.len() + line.len() < MOST_HELD {
            first.held.push_str(line);
            first.held.push('\n');
        } else {
            // No message is that long.
            let first = self.first.take();
            self.last = self.last.take().or(first);
        }
        false
    }

    fn failure_line(&mut self, line: &str) {
        if let Some(before) = self.ending.take() {
            if counted(line).is_some_and(|(_, label)| label == "containers found") {
                self.count_from(&before);
                return self.count_line(line);
            }
            self.block_line(&before);
        }
        if line.starts_with("Test run finished after ") {
            self.ending = Some(line.to_owned());
        } else {
            self.block_line(line);
        }
    }

    /// A line of the block; what stands behind an end that was none is kept with that.
    fn block_line(&mut self, line: &str) {
        if let Some(first) = &mut self.first
            && first.held.len() + line.len() < MOST_HELD
        {
            first.held.push_str(line);
            first.held.push('\n');
        }
        self.block.line(line);
    }

    fn count_from(&mut self, line: &str) {
        self.state = State::Counts;
        self.counts.clear();
        self.held = vec![line.to_owned()];
    }

    fn count_line(&mut self, line: &str) {
        match counted(line) {
            Some((number, label)) => {
                self.counts.insert(label.to_owned(), number);
                self.held.push(line.to_owned());
                if label == "tests failed" {
                    self.over();
                }
            }
            None if line.trim().is_empty() => self.held.push(line.to_owned()),
            None if self.block.announced > 0 => {
                self.message_goes_on();
                self.line(line);
            }
            None => {
                self.state = State::Outside;
                self.outside(line);
            }
        }
    }

    /// What looked like the counts are the words of a failure.
    fn message_goes_on(&mut self) {
        self.state = State::Failures;
        for line in std::mem::take(&mut self.held) {
            self.block_line(&line);
        }
    }

    /// The counts are whole: it is over, if they agree with the block.
    fn over(&mut self) {
        let failed = sum(&self.counts);
        let block = self.block.announced;
        if block > 0 && (failed != block || (self.block.len() as u64) < block) {
            return self.message_goes_on();
        }
        (self.seen, self.state) = (true, State::Outside);
        let well = self.counts.get("tests successful").copied();
        self.agreed |= match self.mode {
            Mode::AtTheEnd => false,
            Mode::Verbose => well == Some(self.verbose.passed()),
            Mode::Flat => well == Some(self.flat.passed()),
        };
        self.ends += 1;
        let end = End {
            block: std::mem::take(&mut self.block),
            counts: std::mem::take(&mut self.counts),
            held: std::mem::take(&mut self.held).join("\n") + "\n",
        };
        match &mut self.first {
            Some(first) => {
                if first.held.len() + end.held.len() < MOST_HELD {
                    first.held.push_str(&end.held);
                }
                self.last = Some(end);
            }
            None => self.first = Some(end),
        }
    }

    /// A line of a tree: a node, or in `verbose` a fact about the last one.
    fn node_or_fact(&mut self, line: &str) {
        if let Some((depth, name, ascii)) = node(line) {
            self.seen = true;
            match self.mode {
                Mode::Verbose => self.verbose.node(depth, name),
                Mode::Flat => {}
                Mode::AtTheEnd => self.tree.node(depth, name, ascii),
            }
        } else if self.mode == Mode::Verbose {
            let ascii = line.starts_with('|') || line.trim_start().starts_with('|');
            self.verbose.fact(line, if ascii { 2 } else { 3 });
        } else {
            self.tree.more(line);
        }
    }

    /// What was read.
    pub fn finish(mut self, sources: &mut Sources) -> Told {
        let (first, last) = (self.first.take(), self.last.take());
        if last.is_some() {
            self.earlier_failed |= first.iter().any(|end| sum(&end.counts) > 0);
        }
        let end = last.or(first);
        let ended = self.state == State::Outside && end.is_some();
        let mut told = Told {
            began: true,
            ended,
            all_in_files: true,
            earlier_failed: self.earlier_failed,
            ..Told::default()
        };
        let (counts, block) = match end.filter(|_| ended) {
            Some(end) => (Some(end.counts), end.block),
            None => (None, std::mem::take(&mut self.block)),
        };
        let announced = block.announced;
        self.fed(counts.as_ref());
        let entries = block.chosen(&mut self.tree);
        let failed: Vec<Failed> = match entries.is_empty() {
            true => self.on_the_way(&mut told),
            false => entries
                .into_iter()
                .map(|entry| {
                    let place = self.tree.take(&entry.title);
                    let chain = place.as_ref().map(|place| place.chain.as_slice());
                    Failed {
                        identity: identity::of_title(
                            &entry.title,
                            &entry.source,
                            chain,
                            &entry.body,
                        ),
                        text: entry.body,
                        holds: place.is_some_and(|place| place.holds),
                    }
                })
                .collect(),
        };
        let ran: BTreeSet<String> = failed.iter().filter_map(Failed::test_of).collect();
        let mut ids = BTreeMap::new();
        for mut each in failed {
            each.holds |= ran.contains(&each.identity.class);
            distinct(&mut each.identity.id, &mut ids);
            told.failures.push(each.failure(sources));
        }
        if let Some(counts) = counts {
            counted_by_itself(&counts, announced, &mut told);
        }
        told
    }

    /// Somebody may have printed the launcher's first words in the middle of its feed.
    fn fed(&mut self, counts: Option<&Counts>) {
        let known = |feeds: &[Feed]| feeds.iter().map(Feed::failures).sum::<u64>();
        let all = known(&self.before) + self.feed.failures();
        if counts.is_some_and(|counts| sum(counts) == all) {
            for mut feed in std::mem::take(&mut self.before).into_iter().rev() {
                feed.append(std::mem::take(&mut self.feed));
                self.feed = feed;
            }
        }
    }

    /// `verbose`, `flat` and `testfeed` tell each failure where it happens, and have no block.
    fn on_the_way(&mut self, told: &mut Told) -> Vec<Failed> {
        let (mut failed, running) = std::mem::take(&mut self.verbose).over(told);
        let mut running: Vec<OnTheWay> = running.into_iter().collect();
        let (more, open) = std::mem::take(&mut self.flat).over(told);
        failed.extend(more);
        running.extend(open);
        let (more, open) = std::mem::take(&mut self.feed).over(told);
        failed.extend(more);
        running.extend(open);
        if !told.ended {
            told.running.extend(running.iter().map(|way| {
                let identity = way.identity();
                (identity.id, identity.class)
            }));
        }
        failed
            .into_iter()
            .map(|way| Failed {
                identity: way.identity(),
                text: way.text,
                holds: false,
            })
            .collect()
    }
}

impl OnTheWay {
    fn identity(&self) -> Identity {
        let names: Vec<&str> = self.names.iter().map(String::as_str).collect();
        identity::of_unique(&self.unique).unwrap_or_else(|| identity::of_names(&names, &self.text))
    }
}

/// Invocations of one test whose names are the same are numbered.
fn distinct(id: &mut String, ids: &mut BTreeMap<String, u64>) {
    let Some(known) = ids.get_mut(id.as_str()) else {
        ids.insert(id.clone(), 1);
        return;
    };
    *known += 1;
    let numbered = format!("{id} ({known})");
    *id = numbered;
}

fn sum(counts: &Counts) -> u64 {
    let get = |label: &str| counts.get(label).copied().unwrap_or(0);
    get("tests failed").saturating_add(get("containers failed"))
}

fn counted_by_itself(counts: &Counts, announced: u64, told: &mut Told) {
    let get = |label: &str| counts.get(label).copied().unwrap_or(0);
    let failed = sum(counts);
    let skipped = get("tests skipped").saturating_add(get("tests aborted"));
    told.counts = Some((get("tests successful"), failed, skipped));
    let known = told.failures.len() as u64;
    if failed != known || announced > 0 && announced != failed {
        told.faults
            .push(format!("{failed} failures are counted, {known} are told"));
    }
}

impl Failed {
    /// The class, if it is a test of one.
    fn test_of(&self) -> Option<String> {
        let Identity { class, method, .. } = &self.identity;
        (!method.is_empty()).then(|| class.clone())
    }

    fn failure(&self, sources: &mut Sources) -> Failure {
        let mut failure = failure(&self.identity, &self.text, sources);
        // Tests ran in this class: it was not its set-up.
        let guessed = failure.kind == FailureKind::SetupError && !failure.kind_sure;
        if guessed && self.holds && self.identity.method.is_empty() {
            failure.kind = FailureKind::TeardownError;
            failure.phase = Phase::Teardown;
        }
        compose::seal(failure)
    }
}

fn failure(identity: &Identity, text: &str, sources: &mut Sources) -> Failure {
    let Identity {
        id, class, method, ..
    } = identity;
    let body = as_trace(text.trim_end());
    let (named, said) = java::split(body.lines().next().unwrap_or(""));
    let end = java::trace_start(&body);
    let whole = body[..end].trim_end();
    let message = match named.is_empty() || whole.len() <= named.len() + 2 {
        true if named.is_empty() => whole,
        true => said,
        false => whole[named.len()..].trim_start_matches([':', ' ']),
    };
    let thrown = Thrown {
        class: named,
        message,
        body: &body,
    };
    let name = if method.is_empty() {
        ""
    } else {
        id.strip_prefix(class.as_str()).unwrap_or("")
    };
    let name = name.trim_start_matches('.');
    let (mut failure, _) = java::failure(id, class, name, &thrown, sources);
    failure.target = (!class.is_empty()).then(|| class.clone());
    failure.test_location = sources.definition(class, method);
    if failure.location.is_none() {
        failure.location.clone_from(&failure.test_location);
    }
    let selected = rerun::Method {
        class,
        name,
        types: identity.types.as_deref(),
    };
    failure.rerun = rerun::method(&selected, sources.context());
    failure
}

/// What the root of a tree is printed as; the tree follows.
fn is_root(line: &str) -> bool {
    line == "╷"
}

/// A line of the tree of `--details=tree` or `verbose`, in either of its themes.
pub(crate) fn is_tree(line: &str) -> bool {
    let branches = [
        "\u{2502}",
        "\u{251c}\u{2500}",
        "\u{2514}\u{2500}",
        "|  ",
        "+-- ",
        "'-- ",
    ];
    branches.iter().any(|branch| line.starts_with(branch))
}

/// Whether behind blanks a line of a tree stands: the last engine has no line beside it.
fn branches(bytes: &[u8]) -> bool {
    let from = bytes.iter().position(|byte| *byte != b' ');
    from.is_some_and(|from| matches!(bytes[from], 0xe2 | b'+' | b'|' | b'\''))
}

/// `[         6 tests failed          ]`
fn counted(line: &str) -> Option<(u64, &str)> {
    let inner = line.strip_prefix('[')?.trim_end().strip_suffix(']')?.trim();
    let (number, label) = inner.split_once(' ')?;
    let known = label.starts_with("tests ") || label.starts_with("containers ");
    known.then_some((number.parse().ok()?, label.trim()))
}

/// How deep a node of the tree stands, its name with what follows, and its theme.
fn node(line: &str) -> Option<(usize, &str, bool)> {
    let rest = line.trim_start_matches(['│', '|', ' ']);
    let mark = ["├─ ", "└─ ", "+-- ", "'-- ", "`-- "]
        .into_iter()
        .find(|mark| rest.starts_with(mark))?;
    let ascii = !mark.starts_with(['├', '└']);
    let width = if ascii { 2 } else { 3 };
    let columns = line[..line.len() - rest.len()].chars().count();
    Some(((columns / width).min(100), &rest[mark.len()..], ascii))
}

/// The entry's text as a trace is usually printed. Frames that other text follows stand in the
/// message, and stay as they are.
fn as_trace(text: &str) -> String {
    let frame = |line: &str| {
        let indented = line.starts_with("     ") || line.starts_with('\t');
        indented && At::read(line).is_some()
    };
    let caused = |line: &str| {
        let trimmed = line.trim_start();
        trimmed.starts_with("Caused by: ") || trimmed.starts_with("Suppressed: ")
    };
    let mut start = None;
    for (at, line) in text.lines().enumerate() {
        if frame(line) {
            start.get_or_insert(at);
        } else if start.is_some() && caused(line) {
            break;
        } else if !line.trim().is_empty() && line.trim() != "[...]" {
            start = None;
        }
    }
    let start = start.unwrap_or(usize::MAX);
    let mut out = String::with_capacity(text.len() + 64);
    for (at, line) in text.lines().enumerate() {
        let trimmed = line.trim_start();
        if at >= start && frame(line) {
            out.push_str("\tat ");
            out.push_str(trimmed.strip_prefix("at ").unwrap_or(trimmed));
        } else if at >= start && caused(line) {
            out.push_str(trimmed);
        } else if trimmed == "[...]" {
            out.push_str("\t[...]");
        } else {
            out.push_str(line);
        }
        out.push('\n');
    }
    out
}
