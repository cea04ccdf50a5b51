//! What was read so far, from all streams together.

use crate::context::Context;
use crate::event::TestEvent;
use crate::go::build::Builds;
use crate::go::event::Event;
use crate::go::frame;
use crate::go::frame::Ended;
use crate::go::frame::Frame;
use crate::go::place::Places;
use crate::go::resolve;
use crate::go::resolve::Resolved;
use crate::go::section::Mode;
use crate::go::section::Section;
use crate::go::sum::Sum;
use std::collections::BTreeMap;
use std::collections::HashMap;

/// More packages than this are not told apart.
const MOST_PACKAGES: usize = 50_000;
/// More text packages than this are not kept.
const MOST_LINES: usize = 2000;

/// A package of which events came.
#[derive(Debug)]
pub(crate) struct Package {
    /// Its import path.
    pub name: String,
    /// Its tests.
    pub section: Section,
    /// Its start event came.
    pub started: bool,
    /// Its end.
    pub ended: Option<Ended>,
    /// Its own line was among the output: a forger would have to think of it, too.
    pub line: bool,
    /// What could not be built.
    pub failed_build: Option<String>,
    /// The result came out of go's cache.
    pub cached: bool,
    /// Read to its end already.
    pub done: Option<Resolved>,
}

/// A package of which text told, not yet read to its end.
#[derive(Debug)]
pub(crate) struct Told {
    /// Its import path.
    pub name: String,
    /// How it ended; nothing if the text ends before.
    pub ended: Option<Ended>,
    /// Its tests.
    pub section: Section,
    /// The result came out of go's cache.
    pub cached: bool,
}

/// Everything that was read.
#[derive(Debug)]
pub(crate) struct Store {
    /// Where things are.
    pub places: Places,
    /// Packages by events, in order.
    pub packages: Vec<Package>,
    /// Packages by text, in order.
    pub told: Vec<Told>,
    /// `[build failed]` and `[setup failed]` as text.
    pub claims: Vec<(String, Ended)>,
    /// Build errors as text.
    pub builds: Builds,
    /// Build errors as events, by what was built.
    pub built: BTreeMap<String, (Builds, bool)>,
    /// What gotestsum says at its end.
    pub sum: Sum,
    /// The go command's own complaints.
    pub complaints: Vec<String>,
    /// A frame or a package's line came as text.
    pub tests_told: bool,
    /// A package of the project was named: the log is one of this project.
    pub related: bool,
    /// Marked frames are known (Go 1.20 and later).
    pub marked: bool,
    /// Events that came after their package's end.
    pub late: u64,
    index: HashMap<String, usize>,
}

impl Store {
    /// With nothing read yet.
    pub fn new(context: Context) -> Self {
        Store {
            places: Places::new(context),
            packages: Vec::new(),
            told: Vec::new(),
            claims: Vec::new(),
            builds: Builds::default(),
            built: BTreeMap::new(),
            sum: Sum::default(),
            complaints: Vec::new(),
            tests_told: false,
            related: false,
            marked: false,
            late: 0,
            index: HashMap::new(),
        }
    }

    /// Takes an event of `go test -json`.
    pub fn event(&mut self, event: &Event<'_>, events: &mut Vec<TestEvent>) {
        if let Some(path) = event.import_path.as_deref() {
            return self.build_event(event, path);
        }
        let name = event.package.as_deref().unwrap_or("");
        self.marked |= event.action == "start" || event.output_type.is_some();
        let Some(at) = self.package(name, &event.action) else {
            return;
        };
        let package = &mut self.packages[at];
        if package.ended.is_some() {
            // `-count` and reruns of gotestsum begin anew.
            self.late += 1;
            return;
        }
        let test = event.test.as_deref().unwrap_or("");
        if event.action == "start" {
            if package.started {
                package
                    .section
                    .faults
                    .push("the package began twice".to_owned());
            }
            package.started = true;
        }
        if test.is_empty() {
            match &*event.action {
                "pass" => package.ended = Some(Ended::Ok),
                "fail" => package.ended = Some(Ended::Fail),
                "skip" => package.ended = Some(Ended::Nothing),
                "output" => package.words(event.output.as_deref().unwrap_or("")),
                _ => {}
            }
            if package.ended.is_some() {
                if let Some(build) = event.failed_build.as_deref() {
                    package.failed_build = Some(build.to_owned());
                }
                return self.close(at, events);
            }
        }
        self.packages[at].section.event(event);
        announce(event, name, test, events);
    }

    fn package(&mut self, name: &str, action: &str) -> Option<usize> {
        let last = self.packages.last().is_some_and(|last| last.name == name);
        let known = match last {
            true => Some(self.packages.len() - 1),
            false => self.index.get(name).copied(),
        };
        if let Some(at) = known {
            let again = matches!(action, "start" | "run") && self.packages[at].ended.is_some();
            if !again {
                return Some(at);
            }
        }
        if self.packages.len() >= MOST_PACKAGES {
            return None;
        }
        let mode = if self.marked {
            Mode::Marked
        } else {
            Mode::Text
        };
        self.packages.push(Package {
            name: name.to_owned(),
            section: Section::new(mode),
            started: false,
            ended: None,
            line: false,
            failed_build: None,
            cached: false,
            done: None,
        });
        self.index.insert(name.to_owned(), self.packages.len() - 1);
        Some(self.packages.len() - 1)
    }

    /// A package's events are over. Where the sources tell where things are, it is read at once.
    fn close(&mut self, at: usize, events: &mut Vec<TestEvent>) {
        let package = &mut self.packages[at];
        if package.ended == Some(Ended::Ok) && package.section.no_tests {
            package.ended = Some(Ended::Nothing);
        }
        let (name, ended, cached) = (package.name.clone(), package.ended, package.cached);
        if !self.places.known(&name) || package.failed_build.is_some() {
            return;
        }
        let section = std::mem::replace(&mut package.section, Section::new(Mode::Marked));
        let mut resolved = package.read(section, &name, ended, cached, &mut self.places);
        resolved.failures.iter().for_each(|failure| {
            events.push(TestEvent::Failed(Box::new(failure.clone())));
        });
        resolved.package = name;
        self.packages[at].done = Some(resolved);
    }

    fn build_event(&mut self, event: &Event<'_>, path: &str) {
        if self.built.len() >= MOST_LINES && !self.built.contains_key(path) {
            return;
        }
        let (builds, failed) = self.built.entry(path.to_owned()).or_default();
        match &*event.action {
            "build-fail" => *failed = true,
            "build-output" => {
                let text = crate::text::shown(
                    event
                        .output
                        .as_deref()
                        .unwrap_or("")
                        .trim_end_matches(['\n', '\r'])
                        .as_bytes(),
                )
                .into_owned();
                builds.line(&text, false);
            }
            _ => {}
        }
    }

    /// Takes a package's line that stands as text and concerns no tests.
    pub fn claim(&mut self, name: &str, ended: Ended) {
        if self.claims.len() < MOST_LINES {
            self.claims.push((name.to_owned(), ended));
        }
    }

    /// Takes a package that text told of.
    pub fn told(&mut self, told: Told) {
        if self.told.len() < MOST_PACKAGES {
            self.told.push(told);
        }
    }
}

impl Package {
    /// The lines that the go command adds to a binary's output.
    fn words(&mut self, text: &str) {
        let line = text.trim_end_matches(['\n', '\r']);
        if let Some(Frame::Package {
            ended,
            cached,
            name,
        }) = frame::of(line)
        {
            self.line |= name == self.name || self.name.is_empty();
            self.cached |= cached;
            match ended {
                Ended::Nothing => self.section.no_tests = true,
                // Until Go 1.23 only this line says so.
                Ended::Build | Ended::Setup
                    if self.section.tests.is_empty() && name == self.name =>
                {
                    self.failed_build = Some(name.to_owned());
                }
                Ended::Build | Ended::Setup | Ended::Ok | Ended::Fail => {}
            }
        }
    }

    /// Reads a section of it to the end.
    pub fn read(
        &mut self,
        section: Section,
        name: &str,
        ended: Option<Ended>,
        cached: bool,
        places: &mut Places,
    ) -> Resolved {
        let odd = ended.is_some() && section.odd();
        let unstarted = section.mode == Mode::Marked && !self.started && ended.is_some();
        let mut resolved = resolve::resolve(section, name, ended, cached, places);
        if unstarted {
            resolved
                .faults
                .push("its start event is missing".to_owned());
        }
        if odd {
            resolved
                .faults
                .push("events and output do not agree about which tests began".to_owned());
        }
        resolved
    }
}

fn announce(event: &Event<'_>, package: &str, test: &str, events: &mut Vec<TestEvent>) {
    if test.is_empty() {
        return;
    }
    let (target, id) = (Some(package.to_owned()), test.to_owned());
    match &*event.action {
        "run" => events.push(TestEvent::Started { target, id }),
        "pass" => events.push(TestEvent::Passed { target, id }),
        "skip" => events.push(TestEvent::Skipped { target, id }),
        _ => {}
    }
}
