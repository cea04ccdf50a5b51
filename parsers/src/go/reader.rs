//! One stream of lines: events where they are, text in between.

use crate::event::TestEvent;
use crate::go::event;
use crate::go::frame;
use crate::go::frame::Ended;
use crate::go::frame::Frame;
use crate::go::frame::Verdict;
use crate::go::section::Mode;
use crate::go::section::Pending;
use crate::go::section::Section;
use crate::go::store::Store;
use crate::go::store::Told;
use crate::lines::Lines;
use crate::lines::Seen;
use std::borrow::Cow;

/// Lines longer than this hold nothing of the go command's.
const LONGEST_SHOWN: usize = 16 * 1024;

/// Reads one stream.
#[derive(Debug)]
pub(crate) struct Reader {
    lines: Lines,
    section: Section,
    /// Standard error alone: only the go command writes there.
    errors: bool,
    /// The packages that ended last, for the case that a test printed their ends.
    closed: Vec<Told>,
    /// `FAIL` alone below the last package: the go command's own last word.
    pub failed: bool,
}

/// So many packages may turn out not to have ended.
const REOPENED: usize = 4;

impl Reader {
    /// For a stream; `errors` if it is standard error alone.
    pub fn new(errors: bool) -> Self {
        Reader {
            lines: Lines::default(),
            section: Section::new(Mode::Text),
            errors,
            closed: Vec::new(),
            failed: false,
        }
    }

    /// Takes more bytes.
    pub fn feed(&mut self, bytes: &[u8], store: &mut Store, events: &mut Vec<TestEvent>) {
        let mut lines = std::mem::take(&mut self.lines);
        lines.each(bytes, |seen| self.line(&seen, store, events));
        self.lines = lines;
    }

    /// The stream is over.
    pub fn finish(&mut self, store: &mut Store) {
        if let Some(line) = self.lines.finish() {
            self.line(&line.seen(), store, &mut Vec::new());
        }
        self.commit(store);
        let section = std::mem::replace(&mut self.section, Section::new(Mode::Text));
        self.closed.drain(..).for_each(|told| store.told(told));
        if !section.is_empty() {
            store.told(Told {
                name: String::new(),
                ended: None,
                section,
                cached: false,
            });
        }
    }

    fn line(&mut self, seen: &Seen<'_>, store: &mut Store, events: &mut Vec<TestEvent>) {
        if seen.bytes.first() == Some(&b'{')
            && let Some(event) = event::of(seen.bytes)
        {
            store.event(&event, events);
            return;
        }
        let shown = match seen.bytes.len() > LONGEST_SHOWN {
            true => crate::text::shown(&seen.bytes[..LONGEST_SHOWN]),
            false => seen.shown(),
        };
        self.text(&shown, store, events);
    }

    fn text(&mut self, line: &str, store: &mut Store, events: &mut Vec<TestEvent>) {
        let alone = self.errors || (!store.tests_told && self.section.is_empty());
        if store.builds.line(line, alone) {
            return;
        }
        if alone {
            complain(line, store);
        }
        let line = match line.strip_prefix("WARN invalid TestEvent: ") {
            // gotestsum could not read what Go 1.19 prints among its events.
            Some(rest) => Cow::Borrowed(rest),
            None => Cow::Borrowed(line),
        };
        store.sum.line(&line);
        let frame = frame::may_be(line.as_bytes())
            .then(|| frame::of(&line))
            .flatten();
        if frame.is_some() {
            store.sum.goes_on();
        }
        match frame {
            Some(Frame::Package {
                ended,
                name,
                cached,
            }) => self.package(ended, name, cached, &line, store),
            Some(frame) if !self.errors => {
                store.tests_told = true;
                self.frame(frame, &line, store, events);
            }
            _ => self.section.text(&line),
        }
    }

    fn frame(
        &mut self,
        frame: Frame<'_>,
        line: &str,
        store: &mut Store,
        events: &mut Vec<TestEvent>,
    ) {
        match frame {
            Frame::Run(name) if !name.contains('/') => {
                self.commit(store);
                events.push(TestEvent::Started {
                    target: None,
                    id: name.to_owned(),
                });
            }
            Frame::Word(_) if self.section.pending.is_some() => return,
            Frame::Word(verdict) => {
                self.failed = verdict == Verdict::Fail && self.section.is_empty();
            }
            Frame::End {
                indent: 0, name, ..
            } if self.section.unknown(name) => self.reopen(name),
            _ => {}
        }
        self.section.frame(frame, line);
    }

    fn package(&mut self, ended: Ended, name: &str, cached: bool, line: &str, store: &mut Store) {
        if matches!(ended, Ended::Build | Ended::Setup) {
            store.builds.close();
            return store.claim(name, ended);
        }
        if store.related && store.places.foreign(name) {
            return self.section.output(line);
        }
        store.tests_told = true;
        self.relate(name, store);
        if line.starts_with('?') {
            self.commit(store);
            let told = Told {
                name: name.to_owned(),
                ended: Some(ended),
                section: Section::new(Mode::Text),
                cached,
            };
            return self.close(told, store);
        }
        let pending = Pending {
            name: name.to_owned(),
            ended,
            cached,
        };
        let other = self
            .section
            .pending
            .as_ref()
            .is_some_and(|known| known.name != name);
        if other {
            self.commit(store);
        }
        let busy = self.section.busy() && self.section.crash.is_none();
        self.section.pending = Some(pending);
        if !busy {
            self.commit(store);
        }
    }

    /// A test ends that began in a package that is said to have ended: it printed so.
    fn reopen(&mut self, name: &str) {
        let fits = |told: &Told| !told.section.quiet() && told.section.alone() == Some(name);
        if let Some(at) = self.closed.iter().rposition(fits) {
            self.closed.truncate(at + 1);
            if let Some(told) = self.closed.pop() {
                self.section = told.section;
            }
        }
    }

    /// The first package of the project is named: what was named before is none, so a test
    /// printed it.
    fn relate(&mut self, name: &str, store: &mut Store) {
        if store.related || !store.places.known(name) {
            return;
        }
        store.related = true;
        self.section.pending = None;
        self.closed.drain(..).for_each(|told| store.told(told));
        while let Some(told) = store.told.pop() {
            self.section.after(told.section);
        }
    }

    /// The package's line was meant.
    fn commit(&mut self, store: &mut Store) {
        let Some(pending) = self.section.pending.take() else {
            return;
        };
        let section = std::mem::replace(&mut self.section, Section::new(Mode::Text));
        self.failed = false;
        self.close(
            Told {
                name: pending.name,
                ended: Some(pending.ended),
                section,
                cached: pending.cached,
            },
            store,
        );
    }

    fn close(&mut self, told: Told, store: &mut Store) {
        self.closed.push(told);
        if self.closed.len() > REOPENED {
            store.told(self.closed.remove(0));
        }
    }
}

/// What the go command says against its arguments or the project's configuration.
fn complain(line: &str, store: &mut Store) {
    const STARTS: [&str; 10] = [
        "go: ",
        "flag provided but not defined: ",
        "flag needs an argument: ",
        "no packages to test",
        "no required module provides",
        "usage: go ",
        "Usage: go ",
        "invalid value ",
        "cannot use -",
        "malformed import path",
    ];
    let may = matches!(
        line.as_bytes().first(),
        Some(b'g' | b'f' | b'n' | b'u' | b'U' | b'i' | b'c' | b'm')
    );
    if may && store.complaints.len() < 50 && STARTS.iter().any(|start| line.starts_with(start)) {
        store.complaints.push(crate::text::one_line(line));
    }
}
