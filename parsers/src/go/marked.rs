//! Takes events whose frames testing itself has marked, and output that comes in pieces.

use crate::go::event::Event;
use crate::go::frame;
use crate::go::frame::Frame;
use crate::go::frame::Verdict;
use crate::go::section::Mode;
use crate::go::section::Section;
use crate::go::test::OUTPUT;

/// A piece of a line of at least this length is one of several.
const PIECE: usize = 1000;

impl Section {
    /// One frame that testing itself has marked.
    pub fn event(&mut self, event: &Event<'_>) {
        let name = event.test.as_deref().unwrap_or("");
        match &*event.action {
            "run" => {
                self.run_events += 1;
                if self.mode == Mode::Marked {
                    self.marked_run(name);
                }
            }
            "pause" | "cont" if self.mode == Mode::Marked => {
                if let Some(at) = self.index.get(name).copied() {
                    self.tests[at].paused = true;
                    self.tests[at].waiting = event.action == "pause";
                }
            }
            "pass" | "bench" | "fail" | "skip" if self.mode == Mode::Marked && !name.is_empty() => {
                let verdict = match &*event.action {
                    "fail" => Verdict::Fail,
                    "skip" => Verdict::Skip,
                    _ => Verdict::Pass,
                };
                self.marked_end(name, verdict, event.ms());
            }
            "pass" | "bench" | "fail" | "skip" if !name.is_empty() => {
                self.end_events += 1;
                let known = self.index.get(name).copied();
                let above = known.and_then(|at| self.tests[at].parent);
                let open = |at: usize| self.tests[at].claim.is_none();
                // Only where frames are marked a subtest ends before its parent.
                if known.is_some_and(open) && above.is_some_and(open) && self.crash.is_none() {
                    self.faults.push("the start event is missing".to_owned());
                }
            }
            "output" => self.event_output(event),
            _ => {}
        }
    }

    fn event_output(&mut self, event: &Event<'_>) {
        let text = event.output.as_deref().unwrap_or("");
        let name = event.test.as_deref().unwrap_or("");
        let at = self.index.get(name).copied();
        let typed = event.output_type.as_deref().unwrap_or("");
        if self.partial.is_none()
            && let Some(line) = text.strip_suffix('\n')
        {
            return self.whole(at, line.strip_suffix('\r').unwrap_or(line), typed);
        }
        // A piece without a line end goes on in the next piece of the same test.
        let (mut line, typed) = match self.partial.take() {
            Some((of, start, first)) if of == at && (typed.is_empty() || start.len() >= PIECE) => {
                // Testing hands a long line on in pieces; its beginning says enough.
                let line = match start.len() < OUTPUT {
                    true => start + text,
                    false if text.ends_with('\n') => start + "\n",
                    false => start,
                };
                (line, first)
            }
            Some((of, start, first)) => {
                self.whole(of, &start, &first);
                (text.to_owned(), typed.to_owned())
            }
            None => (text.to_owned(), typed.to_owned()),
        };
        if !line.ends_with('\n') {
            self.partial = Some((at, line, typed));
            return;
        }
        if line.ends_with('\n') {
            line.pop();
            if line.ends_with('\r') {
                line.pop();
            }
        }
        self.whole(at, &line, &typed);
    }

    /// What stays of a line without its end.
    pub fn flush(&mut self) {
        self.decide();
        if let Some((at, line, typed)) = self.partial.take() {
            self.whole(at, &line, &typed);
        }
        if let Some(race) = self.race.take() {
            self.keep_race(race);
        }
    }

    fn whole(&mut self, at: Option<usize>, line: &str, typed: &str) {
        let shown = crate::text::shown(line.as_bytes());
        if self.mode == Mode::Text {
            return self.text(&shown);
        }
        match typed {
            "frame" => {
                match frame::of(&shown) {
                    Some(Frame::Package { .. }) | None => {}
                    Some(Frame::End {
                        verdict: Verdict::Fail,
                        ..
                    }) => {
                        self.uncrash();
                        self.last_end = at;
                    }
                    Some(_) => self.uncrash(),
                }
                self.words(&shown);
                return;
            }
            "error" | "error-continue" => {
                let mark = if typed == "error" { '\u{2}' } else { '\u{3}' };
                self.push(at, &format!("{mark}{shown}"));
                return;
            }
            _ => {}
        }
        let framed = frame::may_be(shown.as_bytes())
            .then(|| frame::of(&shown))
            .flatten();
        if let Some(found) = framed {
            let own = match found {
                Frame::Run(name) | Frame::Pause(name) | Frame::Cont(name) | Frame::Name(name) => {
                    at.is_some_and(|at| self.tests[at].name == name)
                }
                Frame::End { name, .. } => at.is_some_and(|at| self.tests[at].name == name),
                Frame::Word(_) => at.is_none(),
                Frame::Package { .. } => true,
            };
            if own {
                if !matches!(found, Frame::Package { .. }) {
                    self.uncrash();
                }
                self.words(&shown);
                if let Frame::End {
                    verdict: Verdict::Fail,
                    ..
                } = found
                {
                    self.last_end = at;
                }
                return;
            }
        }
        self.current = at;
        self.output(&shown);
    }

    /// The binary's own words among marked output.
    fn words(&mut self, line: &str) {
        if let Some(Frame::Word(verdict)) = frame::of(line) {
            self.word = Some(verdict);
        }
    }

    fn marked_run(&mut self, name: &str) {
        self.uncrash();
        if let Some(at) = self.index.get(name).copied()
            && self.tests[at].claim.is_none()
        {
            self.faults.push(format!("`{name}` began twice"));
            return;
        }
        self.tick += 1;
        self.runs += 1;
        self.last_end = None;
        self.current = self.add(name, self.tick);
        let parent = self.current.and_then(|at| self.tests[at].parent);
        if let Some(parent) = parent {
            self.tests[parent].open += 1;
            self.tests[parent].children += 1;
        }
    }

    fn marked_end(&mut self, name: &str, verdict: Verdict, ms: Option<u64>) {
        let known = self.index.get(name).copied();
        let at = match known {
            Some(at) if self.tests[at].claim.is_some() => {
                self.faults.push(format!("`{name}` ended twice"));
                return;
            }
            Some(at) => at,
            // Benchmarks of some versions do not say that they begin.
            None if name.starts_with("Benchmark") => match self.add(name, 1) {
                Some(at) => at,
                None => return,
            },
            None => {
                self.faults
                    .push(format!("`{name}` ended and did not begin"));
                return;
            }
        };
        self.tick += 1;
        self.nested(at, verdict);
        self.last_end = Some(at);
        self.tests[at].waiting = false;
        self.claim(at, verdict, ms);
        if verdict != Verdict::Fail {
            self.tests[at].out = None;
        }
    }

    /// Who panics ends all its parents at once, others that run in parallel or not: so it is
    /// known although other ends may stand between it and the panic's text.
    fn nested(&mut self, at: usize, verdict: Verdict) {
        if verdict == Verdict::Fail && self.tests[at].children == 0 {
            self.leaf = Some(at);
        } else if self.tests[at].open > 0 && verdict == Verdict::Fail {
            self.panicked = self.panicked.or(self.leaf);
        }
        if let Some(parent) = self.tests[at].parent {
            let open = &mut self.tests[parent].open;
            *open = open.saturating_sub(1);
        }
    }
}
