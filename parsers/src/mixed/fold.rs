//! Which part of a stream is whose run.

use crate::live::Format;
use crate::mixed::mark::Role;

/// More runs than this are not told apart in one stream.
const MOST: usize = 2000;

/// A stretch of a stream in which one framework speaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stretch {
    /// Whose it is.
    pub format: Format,
    /// Where its first line begins, in bytes of the stream.
    pub from: u64,
    /// Where its last line ends.
    pub to: u64,
    opened: bool,
    closed: bool,
    inside: u64,
    /// It has begun, and not ended yet.
    open: bool,
    /// Where its command is told.
    called: Option<u64>,
}

/// The stretches of one stream.
#[derive(Debug, Default)]
pub(crate) struct Fold {
    stretches: Vec<Stretch>,
    /// The last command that was told.
    call: Option<(Format, u64)>,
}

impl Fold {
    /// Takes a line that speaks of a framework.
    pub fn take(&mut self, (format, role): (Format, Role), from: u64, to: u64) {
        if let Some(last) = self.stretches.last_mut() {
            if let Some(both) = kin(last, format) {
                // What another one's lines begin or end is no run of this one.
                let role = if both == format { role } else { Role::Inside };
                if both != last.format {
                    last.called = last
                        .called
                        .or(self.call.filter(|call| call.0 == both).map(|call| call.1));
                }
                last.format = both;
                last.step(role, to);
                return;
            }
            // Whatever is printed while a run goes on is printed by its tests.
            if last.open {
                return;
            }
        }
        if self.stretches.len() < MOST {
            let mut stretch = Stretch {
                format,
                from,
                to,
                opened: role == Role::Open,
                closed: false,
                inside: 0,
                open: false,
                called: self.call.filter(|call| call.0 == format).map(|call| call.1),
            };
            stretch.step(role, to);
            self.stretches.push(stretch);
        }
    }

    /// Takes a line that says which framework is started.
    pub fn call(&mut self, format: Format, at: u64) {
        self.call = Some((format, at));
    }

    /// Whether anything was seen that is a framework's.
    pub fn is_empty(&self) -> bool {
        self.stretches.is_empty()
    }

    /// The runs that are believed, in order.
    pub fn runs(&self) -> Vec<Stretch> {
        if self.stretches.is_empty() {
            return Vec::new();
        }
        let ends = |format: Format| {
            let mut own = self.stretches.iter().filter(|one| one.format == format);
            own.any(Stretch::is_run)
        };
        let mut kept: Vec<Stretch> = Vec::new();
        for stretch in self.stretches.iter().filter(|one| ends(one.format)) {
            match kept.as_slice() {
                [.., before, between]
                    if before.format == stretch.format
                        && !stretch.opened
                        && !(between.opened && between.closed && before.closed) =>
                {
                    // One run goes on around what its tests printed.
                    kept.pop();
                    if let Some(before) = kept.last_mut() {
                        before.join(stretch);
                    }
                }
                [.., before] if before.format == stretch.format => {
                    if let Some(before) = kept.last_mut() {
                        before.join(stretch);
                    }
                }
                _ => kept.push(stretch.clone()),
            }
        }
        kept.retain(Stretch::is_run);
        // Beside runs of others TAP is what their tests print, or they themselves.
        let others = kept.iter().any(|one| one.format != Format::Tap);
        kept.retain(|one| one.format != Format::Tap || !others);
        kept
    }

    /// Forgets what ended before a place.
    pub fn forget(&mut self, before: u64) {
        self.stretches.retain(|stretch| stretch.to > before);
    }
}

impl Stretch {
    fn step(&mut self, role: Role, to: u64) {
        self.to = to;
        match role {
            Role::Open => {
                self.opened = true;
                self.open = true;
            }
            Role::Inside => self.inside += 1,
            Role::Close => {
                self.closed = true;
                self.open = false;
            }
        }
    }

    /// Whether its command is told.
    pub fn is_called(&self) -> bool {
        self.called.is_some()
    }

    /// Whether it has both its ends.
    pub fn is_whole(&self) -> bool {
        self.opened && self.closed
    }

    /// Where what comes before it surely ends: some print nothing when they begin, and what
    /// stands before their first line may be a test's.
    pub fn begin(&self) -> Option<u64> {
        let says = self.opened || matches!(self.format, Format::Jest | Format::GoTest);
        self.called.or(says.then_some(self.from))
    }

    fn join(&mut self, next: &Stretch) {
        self.to = next.to;
        self.opened |= next.opened;
        self.closed |= next.closed;
        self.inside += next.inside;
    }

    /// Whether this is a run, and not only words that look like a part of one.
    fn is_run(&self) -> bool {
        match self.format {
            // Other programs count tests in the same words.
            Format::Bats => self.closed && self.inside > 0,
            Format::Mocha => self.closed,
            // The plan, and a result; or the version.
            Format::Tap => (self.closed || self.opened) && self.inside > 0,
            Format::Cargo => self.closed || self.opened && self.inside > 0,
            Format::Pytest
            | Format::Gtest
            | Format::Ctest
            | Format::Vitest
            | Format::Phpunit
            | Format::Junit => self.closed || self.opened,
            _ => self.closed,
        }
    }
}

/// The one format of two that print the same lines, where both may be the same run.
fn kin(last: &Stretch, next: Format) -> Option<Format> {
    let loose = !last.opened && !last.closed;
    match (last.format, next) {
        (a, b) if a == b => Some(a),
        // node's TAP ends with its numbers.
        (Format::Tap, Format::NodeTest) | (Format::NodeTest, Format::Tap) => Some(Format::NodeTest),
        // A sign or a dot a test.
        (Format::Mocha, Format::Vitest | Format::Bats | Format::NodeTest | Format::Jest)
            if loose =>
        {
            Some(next)
        }
        (Format::Vitest | Format::Bats | Format::NodeTest | Format::Jest, Format::Mocha)
            if !last.closed =>
        {
            Some(last.format)
        }
        (Format::Unittest, Format::Pytest | Format::Rspec | Format::Minitest | Format::Phpunit)
            if loose =>
        {
            Some(next)
        }
        (Format::Pytest | Format::Rspec | Format::Minitest | Format::Phpunit, Format::Unittest)
            if !last.closed =>
        {
            Some(last.format)
        }
        // `test a ... ok` is unittest's way, too, and a test of nextest is one of libtest.
        (Format::Nextest, Format::Cargo) if last.open => Some(Format::Nextest),
        _ => None,
    }
}
