//! One test, as far as its package's lines tell.

use crate::go::clip::Clip;
use crate::go::frame::Verdict;

/// The most that is kept of each end of one test's output.
pub(crate) const OUTPUT: usize = 12 * 1024;

/// One claim that a test ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Claim {
    /// How.
    pub verdict: Verdict,
    /// When, in the order of frames.
    pub tick: u32,
}

/// One test.
#[derive(Debug)]
pub(crate) struct Test {
    /// `TestA/sub`.
    pub name: String,
    /// When it began; 0 if nobody said that it did.
    pub ran: u32,
    /// The test that it is a subtest of.
    pub parent: Option<usize>,
    /// How many subtests it has, and how many of them have not ended, where frames are marked.
    pub children: u32,
    /// See above.
    pub open: u32,
    /// It is parallel and has waited for its turn.
    pub paused: bool,
    /// It waits now.
    pub waiting: bool,
    /// Its end, the last that was said.
    pub claim: Option<Claim>,
    /// Somebody said that it passed, somebody that it failed.
    pub disputed: bool,
    /// It began while this one was running, which testing does not do.
    pub under: Option<usize>,
    /// The next subtest of its parent began: it has ended, and nobody said how.
    pub over: bool,
    /// Its end stands behind something else in its line.
    pub glued: bool,
    /// How long it took.
    pub ms: Option<u64>,
    /// What it logged and printed; log lines are indented by four.
    pub out: Option<Box<Clip>>,
}

impl Test {
    /// A test that has said nothing yet.
    pub fn named(name: &str) -> Self {
        Test {
            name: name.to_owned(),
            ran: 0,
            parent: None,
            children: 0,
            open: 0,
            paused: false,
            waiting: false,
            claim: None,
            disputed: false,
            under: None,
            glued: false,
            over: false,
            ms: None,
            out: None,
        }
    }

    /// One more line of its output.
    pub fn print(&mut self, line: &str) {
        let out = self.out.get_or_insert_with(|| Box::new(Clip::of(OUTPUT)));
        out.push(line);
    }
}

/// One report of the race detector.
#[derive(Debug)]
pub(crate) struct Race {
    /// Who was running, where that is known.
    pub test: Option<usize>,
    /// The whole of it.
    pub text: Clip,
}
