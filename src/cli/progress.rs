//! One line on standard error that says how far a run is, if that is a terminal.

use crate::cli::out;
use crate::cli::out::Paint;
use crate::cli::out::Style;
use crate::model::RunUpdate;
use regreen_parsers::TestEvent;
use std::collections::BTreeSet;
use std::io::IsTerminal;
use std::io::Write;
use std::time::Instant;

/// The line.
#[derive(Debug)]
pub struct Progress {
    terminal: bool,
    paint: Paint,
    begun: Instant,
    what: String,
    now: Option<String>,
    done: u64,
    /// An early look and the whole suite both tell of a failure.
    failed: BTreeSet<(Option<String>, String)>,
    total: u64,
    drawn: bool,
}

impl Progress {
    /// Nothing is known yet.
    pub fn new() -> Self {
        Progress {
            terminal: std::io::stderr().is_terminal(),
            paint: Paint::stderr(),
            begun: Instant::now(),
            what: "starting".to_owned(),
            now: None,
            done: 0,
            failed: BTreeSet::new(),
            total: 0,
            drawn: false,
        }
    }

    /// Takes note of an update.
    pub fn take(&mut self, update: &RunUpdate) {
        match update {
            RunUpdate::Syncing => self.what = "copying the worktree".to_owned(),
            RunUpdate::Started { suite, number, of } => {
                (self.done, self.total) = (0, 0);
                self.failed.clear();
                self.now = None;
                self.what = match of {
                    1 => suite.clone(),
                    _ => format!("{suite} ({number} of {of})"),
                };
            }
            RunUpdate::Test(event) => self.test(event),
            RunUpdate::Ended(_) => self.what = "finishing".to_owned(),
        }
    }

    fn test(&mut self, event: &TestEvent) {
        match event {
            TestEvent::Planned { total } => self.total = *total,
            TestEvent::Started { id, .. } => self.now = Some(id.clone()),
            TestEvent::Passed { .. } | TestEvent::Skipped { .. } => self.done += 1,
            TestEvent::Failed(failure) => {
                let key = (failure.target.clone(), failure.id.clone());
                self.failed.insert(key);
            }
            _ => {}
        }
    }

    /// Draws the line anew.
    pub fn draw(&mut self) {
        if !self.terminal {
            return;
        }
        let mut plain = format!("  {}", self.what);
        let done = self.done + self.failed.len() as u64;
        if done > 0 || self.total > 0 {
            plain.push_str(&format!("  {done}/{}", self.total.max(done)));
        }
        let failed = match self.failed.len() {
            0 => String::new(),
            failed => format!("  {failed} failed"),
        };
        let millis = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        let time = format!("  {}", out::duration(millis));
        let room =
            out::width().saturating_sub(plain.chars().count() + failed.len() + time.len() + 3);
        let now: String = self
            .now
            .iter()
            .flat_map(|now| now.chars())
            .take(room)
            .collect();
        let line = format!(
            "\r\x1b[K{plain}{}{time}  {}",
            self.paint.style(Style::Bad, failed),
            self.paint.style(Style::Dim, now)
        );
        let mut stderr = std::io::stderr().lock();
        // A terminal that went away needs no progress.
        let _ = stderr
            .write_all(line.as_bytes())
            .and_then(|()| stderr.flush());
        self.drawn = true;
    }

    /// Takes the line away.
    pub fn clear(&mut self) {
        if self.drawn {
            let mut stderr = std::io::stderr().lock();
            let _ = stderr.write_all(b"\r\x1b[K").and_then(|()| stderr.flush());
            self.drawn = false;
        }
    }
}
