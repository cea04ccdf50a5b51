//! One package's tests while they run: who began, who ended, who printed what.
//!
//! What a test prints may look like the framework's own lines, and up to Go 1.19 even
//! `go test -json` takes it for them. So a frame counts only where testing itself would write
//! it: one sequential test at a time, subtests' ends below their parent's end and indented,
//! nobody ends who did not begin.

use crate::go::clip::Clip;
use crate::go::crash;
use crate::go::crash::Crash;
use crate::go::frame;
use crate::go::frame::Frame;
use crate::go::frame::Verdict;
use crate::go::test::Claim;
use crate::go::test::OUTPUT;
use crate::go::test::Race;
use crate::go::test::Test;
use crate::names::Names;
use memchr::memmem::Finder;
use std::sync::LazyLock;

static PANIC: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("panic: "));

/// More tests than this are not told apart in one package.
const MOST_TESTS: usize = 400_000;
/// More race reports than this are not kept.
const MOST_RACES: usize = 50;

/// How the lines of a package come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// As text, or as JSON that is made of it (up to Go 1.19).
    Text,
    /// As events whose frames testing itself has marked (Go 1.20 and later).
    Marked,
}

/// Where an indented line belongs.
#[derive(Debug, Default)]
pub(super) enum Block {
    /// To whoever is running.
    #[default]
    None,
    /// To the test whose end stands above it; its parents before it.
    Ends(Vec<(usize, usize)>),
}

/// A package whose tests are being read.
#[derive(Debug)]
pub(crate) struct Section {
    /// How its lines come.
    pub mode: Mode,
    /// The tests in the order in which they were seen.
    pub tests: Vec<Test>,
    /// How many began.
    pub runs: u64,
    /// How the binary died, if it did.
    pub crash: Option<Crash>,
    /// Race reports.
    pub races: Vec<Race>,
    /// `PASS` or `FAIL` alone.
    pub word: Option<Verdict>,
    /// `exit status 2`, `signal: killed`.
    pub exit: Option<String>,
    /// What belongs to no test.
    pub free: Clip,
    /// `testing: warning: no tests to run`.
    pub no_tests: bool,
    /// What does not fit together.
    pub faults: Vec<String>,
    /// A test was running when this line came that ends a package.
    pub pending: Option<Pending>,
    pub(super) index: Names<usize>,
    pub(super) current: Option<usize>,
    pub(super) block: Block,
    /// Room for the next block.
    spare: Vec<(usize, usize)>,
    pub(super) last_end: Option<usize>,
    pub(super) leaf: Option<usize>,
    /// The test that ended its parents although other subtests of theirs still ran.
    pub panicked: Option<usize>,
    /// The log that it is a part of was written with `-v`.
    pub verbose: bool,
    pub(super) exclusive: Option<usize>,
    pub(super) previous: Option<usize>,
    pub(super) tentative: Option<(usize, Verdict, Option<u64>)>,
    pub(super) doubt: Option<usize>,
    /// Whether the last end without indentation was one of a test that was said to begin.
    pub last_ran: Option<bool>,
    pub(super) tick: u32,
    pub(super) race: Option<Race>,
    pub(super) passed: Vec<usize>,
    /// The last subtest that began, and its parent.
    pub(super) youngest: Option<(usize, usize)>,
    pub(super) glued_panic: Option<String>,
    /// A piece of a line without its end: whose it is, the piece, and its kind.
    pub(super) partial: Option<(Option<usize>, String, String)>,
    pub(super) run_events: u64,
    pub(super) end_events: u64,
    pub(super) ends: u64,
    /// Ends behind something that was printed, of which go makes no events.
    pub(super) behind: u64,
    pub(super) strays: u64,
}

/// A package's line that a running test may have printed.
#[derive(Debug, Clone)]
pub(crate) struct Pending {
    /// The package.
    pub name: String,
    /// How it ended.
    pub ended: frame::Ended,
    /// The result came out of go's cache.
    pub cached: bool,
}

impl Section {
    /// A package of which nothing is known.
    pub fn new(mode: Mode) -> Self {
        Section {
            mode,
            tests: Vec::new(),
            runs: 0,
            crash: None,
            races: Vec::new(),
            word: None,
            exit: None,
            free: Clip::of(OUTPUT),
            no_tests: false,
            faults: Vec::new(),
            pending: None,
            index: Names::default(),
            current: None,
            block: Block::None,
            spare: Vec::new(),
            last_end: None,
            leaf: None,
            panicked: None,
            verbose: false,
            exclusive: None,
            previous: None,
            tentative: None,
            doubt: None,
            last_ran: None,
            tick: 0,
            race: None,
            passed: Vec::new(),
            youngest: None,
            glued_panic: None,
            partial: None,
            run_events: 0,
            end_events: 0,
            ends: 0,
            behind: 0,
            strays: 0,
        }
    }

    /// Whether nothing was seen.
    pub fn is_empty(&self) -> bool {
        self.tests.is_empty()
            && self.crash.is_none()
            && self.word.is_none()
            && self.pending.is_none()
    }

    /// Whether a test is running that is not known to have ended or to wait.
    pub fn busy(&self) -> bool {
        let open = |at: Option<usize>| {
            at.is_some_and(|at| self.tests[at].claim.is_none() && !self.tests[at].waiting)
        };
        open(self.exclusive) || (self.mode == Mode::Text && open(self.current) && self.runs > 0)
    }

    /// One frame of text; `line` is the whole line.
    pub fn frame(&mut self, frame: Frame<'_>, line: &str) {
        if !matches!(frame, Frame::Package { .. }) {
            self.uncrash();
        }
        match frame {
            Frame::Run(name) => self.run(name, line),
            Frame::Pause(name) => self.pause(name),
            Frame::Cont(name) | Frame::Name(name) => self.go_on(name),
            Frame::End {
                indent,
                verdict,
                name,
                ms,
            } => self.end(indent, verdict, name, ms, line),
            Frame::Word(verdict) => {
                self.decide();
                if self.runs > 0 && self.busy() {
                    self.output(line);
                } else {
                    self.word = Some(verdict);
                    self.current = None;
                    self.block = Block::None;
                }
            }
            Frame::Package { .. } => {}
        }
    }

    /// One line of text.
    pub fn text(&mut self, line: &str) {
        if frame::may_be(line.as_bytes())
            && let Some(frame) = frame::of(line)
        {
            return self.frame(frame, line);
        }
        // `no line end--- PASS: TestA (0.00s)`.
        if self.runs > 0
            && line.ends_with("s)")
            && let Some((
                before,
                Frame::End {
                    verdict, name, ms, ..
                },
            )) = frame::glued(line)
            && self.current.is_some_and(|at| self.tests[at].name == name)
        {
            self.output(before);
            self.behind += 1;
            return self.end(0, verdict, name, ms, line);
        }
        if self.runs == 0
            && line.ends_with("s)")
            && let Some((
                before,
                Frame::End {
                    verdict: Verdict::Fail,
                    name,
                    ms,
                    ..
                },
            )) = frame::glued(line)
            && !self.index.contains(name)
            && !name.contains('/')
        {
            self.output(before);
            self.end(0, Verdict::Fail, name, ms, line);
            if let Some(at) = self.index.get(name).copied() {
                self.tests[at].glued = true;
            }
            return;
        }
        self.output(line);
    }

    pub(super) fn add(&mut self, name: &str, ran: u32) -> Option<usize> {
        if self.tests.len() >= MOST_TESTS {
            return None;
        }
        let at = self.tests.len();
        let parent = self.parent(name);
        self.tests.push(Test {
            ran,
            parent,
            ..Test::named(name)
        });
        let (entry, new) = self.index.insert(name, at);
        if let Some(known) = self.index.at_mut(entry).filter(|_| !new) {
            *known = at;
        }
        Some(at)
    }

    /// The test of a name, the last of them; mostly it is the one that runs.
    fn find(&self, name: &str) -> Option<usize> {
        let runs = self.exclusive.filter(|at| self.tests[*at].name == name);
        runs.filter(|_| self.runs == self.index.len() as u64)
            .or_else(|| self.index.get(name).copied())
    }

    /// The nearest test above a subtest that is known.
    pub(super) fn parent(&self, name: &str) -> Option<usize> {
        let mut rest = name;
        while let Some((above, _)) = rest.rsplit_once('/') {
            if let Some(at) = self.index.get(above).copied() {
                return Some(at);
            }
            rest = above;
        }
        None
    }

    pub(super) fn claim(&mut self, at: usize, verdict: Verdict, ms: Option<u64>) {
        let tick = self.tick;
        let test = &mut self.tests[at];
        test.disputed |= test
            .claim
            .is_some_and(|claim| (claim.verdict == Verdict::Fail) != (verdict == Verdict::Fail));
        test.claim = Some(Claim { verdict, tick });
        test.ms = ms.or(test.ms);
    }

    fn run(&mut self, name: &str, line: &str) {
        let known = self.index.get(name).copied();
        let running =
            known.is_some_and(|at| self.tests[at].ran > 0 && self.tests[at].claim.is_none());
        let top = !name.contains('/');
        let open = |at: usize| self.tests[at].claim.is_none() && self.tests[at].ran > 0;
        let parent = self.parent(name).filter(|at| open(*at));
        if running || (!top && parent.is_none()) {
            return self.output(line);
        }
        if top {
            self.decide();
        }
        let open = |at: usize| self.tests[at].claim.is_none() && self.tests[at].ran > 0;
        let busy = self
            .exclusive
            .filter(|at| open(*at) && !self.tests[*at].waiting);
        self.tick += 1;
        self.runs += 1;
        while let Some(at) = self.passed.pop() {
            self.tests[at].out = None;
        }
        if let Block::Ends(mut stack) = std::mem::take(&mut self.block) {
            stack.clear();
            self.spare = stack;
        }
        self.last_end = None;
        let Some(at) = self.add(name, self.tick) else {
            return;
        };
        self.current = Some(at);
        if top {
            match busy {
                Some(under) => {
                    self.tests[at].under = Some(under);
                    self.doubt = Some(at);
                }
                None => {
                    self.previous = self.exclusive.filter(|at| !self.tests[*at].paused);
                    self.exclusive = Some(at);
                    self.doubt = None;
                }
            }
        } else if let Some(parent) = parent {
            self.tests[at].under = self.tests[parent].under;
            if let Some((_, before)) = self
                .youngest
                .replace((parent, at))
                .filter(|(of, _)| *of == parent)
                && !self.tests[before].paused
            {
                self.tests[before].over = true;
            }
        }
    }

    /// The test that ran before the running one was said to end once more, and the running one
    /// has not ended: it never began, the other one printed that it did.
    pub(super) fn decide(&mut self) {
        let Some((at, verdict, ms)) = self.tentative.take() else {
            return;
        };
        self.tick += 1;
        self.claim(at, verdict, ms);
        if let Some(ghost) = self.exclusive {
            self.tests[ghost].under = Some(at);
        }
        self.exclusive = Some(at);
    }

    /// The name of the test that runs alone, or did last.
    pub fn alone(&self) -> Option<&str> {
        self.exclusive.map(|at| self.tests[at].name.as_str())
    }

    /// Whether nobody was said to begin whose end this would be.
    pub fn unknown(&self, name: &str) -> bool {
        self.find(name).is_none_or(|at| self.tests[at].ran == 0)
    }

    fn pause(&mut self, name: &str) {
        if let Some(at) = self.index.get(name).copied() {
            self.tests[at].paused = true;
            self.tests[at].waiting = true;
            self.block = Block::None;
            self.current = self.parent(name);
        }
    }

    fn go_on(&mut self, name: &str) {
        if let Some(at) = self.index.get(name).copied() {
            self.tests[at].waiting = false;
            self.current = Some(at);
            self.block = Block::None;
        }
    }

    fn end(&mut self, indent: usize, verdict: Verdict, name: &str, ms: Option<u64>, line: &str) {
        if indent == 0 {
            self.last_ran = Some(!self.unknown(name));
            let before = self.find(name).filter(|at| Some(*at) == self.previous);
            let open = self
                .exclusive
                .is_some_and(|at| self.tests[at].claim.is_none());
            if let (Some(at), true) = (before, open) {
                self.tentative = Some((at, verdict, ms));
                self.pending = None;
                self.block = Block::Ends(vec![(at, 0)]);
                return;
            }
        }
        let at = match indent {
            0 => self.top_end(name),
            _ => self.sub_end(indent, name),
        };
        let Some(at) = at else {
            self.strays += 1;
            if indent == 0 {
                self.block = Block::None;
            }
            self.output(line);
            return;
        };
        self.tick += 1;
        self.ends += 1;
        self.claim(at, verdict, ms);
        self.last_end = Some(at);
        self.tests[at].waiting = false;
        if Some(at) == self.exclusive {
            self.tentative = None;
        }
        if verdict != Verdict::Fail && indent == 0 {
            self.passed.push(at);
        }
        self.pending = None;
        match (&mut self.block, indent) {
            (Block::Ends(stack), 4..) => stack.push((at, indent)),
            (Block::Ends(stack), _) => {
                stack.clear();
                stack.push((at, indent));
            }
            (Block::None, _) => {
                let mut stack = std::mem::take(&mut self.spare);
                stack.push((at, indent));
                self.block = Block::Ends(stack);
            }
        }
    }

    /// Whose end a line without indentation is.
    fn top_end(&mut self, name: &str) -> Option<usize> {
        if name.contains('/') {
            return None;
        }
        let Some(at) = self.find(name) else {
            // Without `-v` nobody says who begins.
            let printer = self.current.filter(|_| self.runs > 0);
            let at = self.add(name, 0)?;
            self.tests[at].under = printer;
            return Some(at);
        };
        let test = &self.tests[at];
        if test.ran == 0 || Some(at) == self.exclusive || Some(at) == self.doubt {
            return Some(at);
        }
        let busy = self
            .exclusive
            .is_some_and(|at| self.tests[at].claim.is_none() && !self.tests[at].waiting);
        (test.paused && !busy).then_some(at)
    }

    /// Whose end an indented line is: a child's of the end above it.
    fn sub_end(&mut self, indent: usize, name: &str) -> Option<usize> {
        let Block::Ends(stack) = &mut self.block else {
            return None;
        };
        let keep = stack
            .iter()
            .take_while(|(_, above)| *above < indent)
            .count();
        let (parent, above) = *stack.get(keep.checked_sub(1)?)?;
        let of = self.tests[parent].name.as_str();
        let child = name
            .strip_prefix(of)
            .is_some_and(|rest| rest.starts_with('/'));
        // A fuzz target's failing input has its target's name.
        let same = name == of && of.starts_with("Fuzz");
        if above + 4 != indent || !(child || same) {
            return None;
        }
        stack.truncate(keep);
        match self.index.get(name).copied() {
            Some(at) => Some(at),
            None => self.add(name, 0),
        }
    }

    /// One line that is no frame.
    pub fn output(&mut self, line: &str) {
        if let Some(crash) = &mut self.crash {
            if line.starts_with("exit status ") || line.starts_with("signal: ") {
                self.exit = Some(line.to_owned());
            } else {
                crash.text.push(line);
            }
            return;
        }
        if let Some(race) = &mut self.race {
            let over = line.starts_with("==================");
            if !over {
                race.text.push(line);
                return;
            }
            if let Some(race) = self.race.take() {
                self.keep_race(race);
            }
            return;
        }
        match line.as_bytes().first() {
            Some(b'W') if line == "WARNING: DATA RACE" => {
                let mut text = Clip::of(OUTPUT);
                text.push(line);
                let test = self.current.filter(|_| self.runs > 0);
                self.race = Some(Race { test, text });
                return;
            }
            Some(b'=') if line == "==================" => return,
            Some(b't') if line == "testing: warning: no tests to run" => self.no_tests = true,
            Some(b'e') if line.starts_with("exit status ") => {
                self.exit = Some(line.to_owned());
                return;
            }
            Some(b's') if line.starts_with("signal: ") => {
                self.exit = Some(line.to_owned());
                return;
            }
            _ if crash::begins(line) => return self.crashed(line),
            Some(b'g') if crate::go::trace::heading(line).is_some() => {
                // The panic's own line stands behind what was printed without a line end.
                if let Some(start) = self.glued_panic.take() {
                    self.crashed(&start);
                    return self.output(line);
                }
            }
            _ => {}
        }
        if let Some(at) = PANIC.find(line.as_bytes()) {
            self.glued_panic = Some(line[at..].to_owned());
        }
        self.belongs(line);
    }

    fn crashed(&mut self, line: &str) {
        self.crash = Some(Crash::new(line, self.last_end));
    }

    /// After a real crash nothing more is said: whatever it was, it was printed.
    pub(super) fn uncrash(&mut self) {
        if self.crash.is_none() {
            return;
        }
        let Some(crash) = self.crash.take() else {
            return;
        };
        self.exit = None;
        for line in crash.text.lines().into_iter().take(60) {
            self.belongs(line);
        }
    }

    fn belongs(&mut self, line: &str) {
        let blanks = line.len() - line.trim_start_matches(' ').len();
        match &mut self.block {
            Block::Ends(stack) => {
                let keep = stack
                    .iter()
                    .take_while(|(_, above)| *above + 4 <= blanks)
                    .count();
                let example = stack
                    .first()
                    .is_some_and(|(at, _)| self.tests[*at].name.starts_with("Example"));
                if keep > 0 || example || line.trim().is_empty() {
                    if !example && keep > 0 {
                        stack.truncate(keep);
                    }
                    if let Some((at, above)) = stack.last().copied() {
                        let cut = above.min(blanks);
                        self.push(Some(at), &line[cut..]);
                    }
                    return;
                }
                self.block = Block::None;
            }
            Block::None => {}
        }
        self.push(self.current, line);
    }

    pub(super) fn push(&mut self, at: Option<usize>, line: &str) {
        match at {
            Some(at) => self.tests[at].print(line),
            None => self.free.push(line),
        }
    }

    pub(super) fn keep_race(&mut self, race: Race) {
        if self.races.len() < MOST_RACES {
            self.races.push(race);
        }
    }

    /// What was taken for the end of a package before was none: this one's lines go on from
    /// those of that one.
    pub fn after(&mut self, mut before: Section) {
        before.uncrash();
        let shift = before.tests.len();
        let moved = |at: Option<usize>| at.map(|at| at + shift);
        for test in &mut self.tests {
            test.parent = moved(test.parent);
            test.under = moved(test.under);
        }
        for race in &mut self.races {
            race.test = moved(race.test);
        }
        if let Some(crash) = &mut self.crash {
            crash.after = moved(crash.after);
        }
        self.panicked = moved(self.panicked);
        self.tests.splice(0..0, before.tests);
        self.races.splice(0..0, before.races);
        self.runs += before.runs;
        self.last_ran = self.last_ran.or(before.last_ran);
    }

    /// Whether this is the output of `go test` without `-v`: who begins is not said there, and
    /// what says so was printed by a test. A test prints before its own end, so the last end
    /// tells.
    pub fn quiet(&self) -> bool {
        self.mode == Mode::Text && (self.runs == 0 || self.last_ran == Some(false))
    }

    /// Whether the events and the frames in their output are as many.
    pub fn odd(&self) -> bool {
        let ends = self.crash.is_none() && self.end_events + self.behind != self.ends;
        self.mode == Mode::Text && self.strays == 0 && (self.run_events != self.runs || ends)
    }
}
