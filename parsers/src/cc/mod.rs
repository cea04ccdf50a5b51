//! Reads what C and C++ compilers, linkers, CMake, make and ninja say: gcc, clang, ld, gold, lld.
//!
//! An error is told with what belongs to it: the files that include it, the templates that
//! instantiate it, its source lines, its notes, its fix-its. The id is `file:line:column code`
//! as the tool places it; the location is the user's own line where a library's header breaks.
//! That make, ninja or the compiler driver end with an error is a failure of its own only
//! where nothing says why.

pub(crate) mod crash;

mod cmake;
mod link;
mod make;
mod message;
mod place;

pub(crate) use place::digits;
pub(crate) use place::split;

use crate::cc::cmake::Block;
use crate::cc::message::Open;
use crate::cc::place::Places;
use crate::context::Context;
use crate::lines::Seen;
use crate::report::Diagnostic;
use crate::report::Failure;
use memchr::memmem::Finder;
use std::collections::BTreeSet;
use std::sync::LazyLock;

/// More errors than this are not kept.
const MOST: usize = 500;
/// More warnings than this are not kept.
const MOST_WARNINGS: usize = 200;
/// Lines longer than this are no messages.
const LONGEST: usize = 16 * 1024;

static ERROR: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("error"));
static WARNING: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("warning: "));
static REFERENCE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("undefined reference"));
static DEFINITION: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("multiple definition"));
static FIND: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("cannot find "));
static STARS: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(": *** "));
static DIRECTORY: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("ing directory"));

/// What the build said.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// What broke it, in order.
    pub failures: Vec<Failure>,
    /// Warnings.
    pub warnings: Vec<Diagnostic>,
    /// More errors came than are kept.
    pub more: u64,
    /// The build itself said that it failed.
    pub stopped: bool,
}

/// Reads a build's output line by line.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    places: Places,
    found: Found,
    seen: BTreeSet<String>,
    open: Open,
    block: Option<Block>,
    link: link::Link,
    make: make::Make,
}

impl Reader {
    /// Takes one line.
    pub fn line(&mut self, seen: &Seen<'_>, context: &Context) {
        if seen.bytes.len() > LONGEST {
            return;
        }
        if self.idle() && !may_matter(seen.bytes) {
            return;
        }
        self.text(&seen.shown(), context);
    }

    /// Whether nothing is open that a further line could belong to.
    fn idle(&self) -> bool {
        self.block.is_none() && self.open.is_idle() && !self.link.is_open()
    }

    fn text(&mut self, line: &str, context: &Context) {
        if Places::is_about(line) {
            // What was said before was said in the directory before.
            self.settle(context);
            self.places.line(line);
            return;
        }
        if let Some(mut block) = self.block.take() {
            if block.line(line) {
                self.block = Some(block);
                return;
            }
            self.cmake(block, context);
        }
        if let Some(block) = Block::begins(line) {
            self.settle(context);
            self.block = Some(block);
            return;
        }
        if let Some(stopped) = self.make.line(line) {
            self.settle(context);
            self.found.stopped |= stopped;
            return;
        }
        if let Some(failures) = self.link.line(line, &self.places, context) {
            self.settle(context);
            for failure in failures {
                self.add(failure);
            }
            return;
        }
        if let Some(done) = self.open.line(line) {
            self.message(done, context);
        }
    }

    /// Somebody else speaks: what is open is whole.
    pub fn settle(&mut self, context: &Context) {
        if let Some(done) = self.open.take() {
            self.message(done, context);
        }
    }

    fn message(&mut self, done: message::Message, context: &Context) {
        if done.is_warning() {
            let warning = done.diagnostic(&self.places, context);
            if self.found.warnings.len() < MOST_WARNINGS && !self.found.warnings.contains(&warning)
            {
                self.found.warnings.push(warning);
            }
        } else if done.is_end() {
            self.found.stopped = true;
            self.make.say(done.text());
        } else {
            let failure = done.failure(&self.places, context);
            self.add(failure);
        }
    }

    fn cmake(&mut self, block: Block, context: &Context) {
        match block.finish(context) {
            cmake::Said::Error(failure) => {
                self.found.stopped = true;
                self.add(*failure);
            }
            cmake::Said::Warning(warning) => {
                if self.found.warnings.len() < MOST_WARNINGS {
                    self.found.warnings.push(warning);
                }
            }
            cmake::Said::Nothing => {}
        }
    }

    /// One message comes from every unit that includes its file: it is told once.
    fn add(&mut self, failure: Failure) {
        if self.found.failures.len() >= MOST {
            self.found.more += 1;
            return;
        }
        let key = format!("{}\n{}", failure.id, failure.message);
        if self.seen.insert(key) {
            self.found.failures.push(failure);
        }
    }

    /// Everything that was read. That make or the compiler driver failed is told where nothing
    /// says why.
    pub fn finish(mut self, context: &Context) -> Found {
        self.end(context);
        if self.found.failures.is_empty()
            && let Some(failure) = self.make.only_word(context)
        {
            self.found.failures.push(failure);
        }
        self.found
    }

    /// Everything that compilers and linkers said: what make ran may be no build at all.
    pub fn finish_said(mut self, context: &Context) -> Found {
        self.end(context);
        self.found
    }

    fn end(&mut self, context: &Context) {
        if let Some(block) = self.block.take() {
            self.cmake(block, context);
        }
        self.settle(context);
        if let Some(failures) = self.link.finish(&self.places, context) {
            failures.into_iter().for_each(|failure| self.add(failure));
        }
    }
}

/// Whether a line may begin something. Cheap: most lines of a log may not.
fn may_matter(line: &[u8]) -> bool {
    let Some(first) = line.first() else {
        return false;
    };
    if memchr::memchr(b':', line).is_none() {
        return line.starts_with(b"CMake ");
    }
    if *first == b'I' && line.starts_with(b"In file included from") {
        return true;
    }
    if *first == b'C' && line.starts_with(b"CMake ") {
        return true;
    }
    ERROR.find(line).is_some()
        || WARNING.find(line).is_some()
        || line.ends_with(b":")
        || line.ends_with(b"required from here")
        || REFERENCE.find(line).is_some()
        || DEFINITION.find(line).is_some()
        || STARS.find(line).is_some()
        || DIRECTORY.find(line).is_some()
        || FIND.find(line).is_some()
        || line.starts_with(b"FAILED: ")
}

#[cfg(test)]
mod tests;
