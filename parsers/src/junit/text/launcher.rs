//! The text of JUnit's console launcher, in every `--details` mode.
//!
//! Failures stand in one block at the end, `Failures (2):`, each with its source in full; the
//! counts follow. `verbose` also says as it goes which test begins, so that the one that was
//! running has a name when the process leaves. `tree` and `verbose` tell which invocation of a
//! parameterised test an entry is.

use crate::compose;
use crate::junit::java;
use crate::junit::java::Thrown;
use crate::junit::rerun;
use crate::junit::sources::Sources;
use crate::junit::stack::At;
use crate::junit::text::Told;
use crate::names::Names;
use crate::report::Failure;
use std::collections::BTreeMap;

/// More entries than this are not kept.
const MOST: usize = 5_000;
/// The most that is kept of one entry, in bytes.
const LONGEST: usize = 256 * 1024;
/// More nodes of the tree than this are not counted.
const MOST_NODES: usize = 200_000;

/// A test or a class that failed, as it is printed.
#[derive(Debug, Clone, Default)]
struct Entry {
    /// `JUnit Jupiter:FooTest:bar()`.
    title: String,
    /// `MethodSource [className = 'FooTest', …]`.
    source: String,
    /// From `=> ` on.
    body: String,
    /// It is no node of the tree that was seen: it may stand in another one's message.
    doubtful: bool,
}

impl Entry {
    fn add(&mut self, line: &str) {
        if self.body.len() < LONGEST {
            self.body.push_str(line);
            self.body.push('\n');
        }
    }
}

/// A test that `verbose` told of.
#[derive(Debug, Clone, Default)]
struct Node {
    title: String,
    source: String,
    caught: String,
    column: usize,
    over: Option<char>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum State {
    #[default]
    Outside,
    Failures,
    Counts,
}

/// Reads the launcher's text.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reader {
    state: State,
    announced: u64,
    entries: Vec<Entry>,
    pending: Option<String>,
    ending: bool,
    /// The lines of the counts, in case that they are a failure's words.
    held: Vec<String>,
    counts: BTreeMap<String, u64>,
    seen: bool,
    finished: bool,
    usage: Option<String>,
    /// The names of the open nodes, joined by colons.
    open: String,
    /// Where in it each of them ends, and how many children it had.
    path: Vec<(usize, u64)>,
    places: Names<u64>,
    nodes: Vec<Node>,
    /// What `flat` tells: unique id and text.
    flat: Vec<(String, String)>,
    flat_column: usize,
    passed: u64,
    skipped: u64,
}

impl Reader {
    /// Whether a line may matter.
    pub fn wants(&self, bytes: &[u8]) -> bool {
        if self.state == State::Failures || self.ending {
            return true;
        }
        match bytes.first() {
            Some(b'F') => bytes.starts_with(b"Failures (") || bytes.starts_with(b"Finished: "),
            Some(b'S' | b'R') => {
                self.flat_column > 0
                    && (bytes.starts_with(b"Started: ") || bytes.starts_with(b"Registered: "))
            }
            Some(b'T') => bytes.starts_with(b"Test "),
            Some(b'[') => self.state == State::Counts || bytes.starts_with(b"[  "),
            // Box drawing.
            Some(0xe2) => true,
            Some(b'+' | b'|' | b'\'' | b'`') => true,
            Some(b' ') => self.seen && (self.open_node() || !self.flat.is_empty()),
            Some(b'U') => bytes.starts_with(b"Unknown option") || bytes.starts_with(b"Usage: "),
            Some(b'E') => bytes.starts_with(b"Error parsing command-line"),
            Some(b'o') => bytes.starts_with(b"org.junit.platform.commons.JUnitException"),
            Some(b'C') => bytes.starts_with(b"Caused by: org.junit.platform.commons"),
            _ => false,
        }
    }

    fn open_node(&self) -> bool {
        self.nodes.last().is_some_and(|node| node.over.is_none())
    }

    /// Whether anything of the launcher's was seen.
    pub fn began(&self) -> bool {
        self.seen
    }

    /// Why it did not begin.
    pub fn refused(&self) -> Option<String> {
        self.usage.clone()
    }

    /// Takes one line.
    pub fn line(&mut self, line: &str) {
        match self.state {
            // The tree goes on: what looked like the block at the end was printed by a test.
            State::Failures if is_tree(line) => {
                self.state = State::Outside;
                self.announced = 0;
                self.entries.clear();
                self.pending = None;
                self.outside(line);
            }
            State::Failures => self.failure_line(line),
            State::Counts => self.count_line(line),
            State::Outside => self.outside(line),
        }
    }

    fn outside(&mut self, line: &str) {
        if let Some(number) = heading(line) {
            self.state = State::Failures;
            self.announced = number;
            self.entries.clear();
            self.pending = None;
        } else if line.starts_with("Test run finished after ") && line.ends_with(" ms") {
            self.state = State::Counts;
            self.counts.clear();
            self.held.clear();
            (self.announced, self.finished) = (0, false);
            self.entries.clear();
        } else if line.starts_with("Test plan execution started")
            || line.starts_with("Test execution started")
        {
            self.seen = true;
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
        } else if !self.flat_line(line) {
            self.tree(line);
        }
    }

    /// A line of `flat`: `Finished:    bar() ([engine:…]/[class:…]/[method:bar()])`, then what was
    /// thrown.
    fn flat_line(&mut self, line: &str) -> bool {
        let named = ["Finished: ", "Started: ", "Registered: ", "Skipped: "]
            .iter()
            .any(|start| line.starts_with(start));
        if named {
            let id = line
                .rsplit_once(" ([")
                .map_or("", |(_, id)| id.trim_end_matches(')'));
            self.flat_column = 0;
            if line.starts_with("Finished: ") && id.starts_with("engine:") && self.flat.len() < MOST
            {
                // Only the last one may still be told of.
                if self.flat.last().is_some_and(|(_, text)| text.is_empty()) {
                    self.flat.pop();
                }
                self.flat.push((format!("[{id}"), String::new()));
            }
            return true;
        }
        let Some((_, text)) = self.flat.last_mut() else {
            return false;
        };
        if let Some((before, said)) = line.split_once("=> Exception: ")
            && before.trim().is_empty()
            && text.is_empty()
        {
            self.flat_column = before.chars().count();
            text.push_str(said);
            text.push('\n');
            return true;
        }
        if self.flat_column > 0 && line.starts_with("    ") && text.len() < LONGEST {
            text.extend(line.chars().skip(self.flat_column));
            text.push('\n');
            return true;
        }
        false
    }

    fn failure_line(&mut self, line: &str) {
        if line == "╷" {
            // The tree stands above the failures: what came before it a test printed.
            self.state = State::Outside;
            (self.announced, self.ending, self.pending) = (0, false, None);
            self.entries.clear();
            self.places = Names::default();
            self.path.clear();
            self.open.clear();
            return;
        }
        if self.ending {
            self.ending = false;
            if counted(line).is_some_and(|(_, label)| label == "containers found") {
                self.state = State::Counts;
                self.counts.clear();
                self.finished = false;
                self.held = vec!["Test run finished after".to_owned()];
                self.count_line(line);
                return;
            }
            self.append("Test run finished after");
        }
        if line.starts_with("Test run finished after ") {
            self.ending = true;
            return;
        }
        if let Some(title) = self.pending.take() {
            // An entry is a node of the tree, where there is one; others stand in a message.
            if source(line) || line.starts_with("    => ") {
                // The first is never in a message: the tree was not understood.
                if self.entries.is_empty() && !self.places.contains(&title) {
                    self.places = Names::default();
                }
                let doubtful = !self.places.is_empty() && !self.places.contains(&title);
                if doubtful {
                    self.append(&format!("  {title}"));
                }
                self.entries.push(Entry {
                    title,
                    doubtful,
                    ..Entry::default()
                });
            } else {
                self.append(&format!("  {title}"));
            }
        }
        let titled = line
            .strip_prefix("  ")
            .filter(|rest| !rest.starts_with(' '));
        if let Some(title) = titled.filter(|title| title.contains(':'))
            && self.entries.len() < MOST
        {
            self.pending = Some(title.to_owned());
            return;
        }
        let in_message = self.entries.last().is_some_and(|entry| entry.doubtful);
        match self.entries.last_mut() {
            Some(entry) if entry.body.is_empty() && source(line) => {
                entry.source = line.trim().to_owned();
            }
            Some(entry) if entry.body.is_empty() && line.starts_with("    => ") => {
                entry.body = format!("{}\n", &line[7..]);
            }
            _ => return self.append(line),
        }
        if in_message {
            let holder = self.entries.iter_mut().rev().find(|entry| !entry.doubtful);
            if let Some(entry) = holder {
                entry.add(line);
            }
        }
    }

    /// Adds a line to the last entry, and to the one whose message may hold that.
    fn append(&mut self, line: &str) {
        for entry in self.entries.iter_mut().rev() {
            entry.add(line);
            if !entry.doubtful {
                break;
            }
        }
    }

    /// Drops the entries that stand in messages, where the others are as many as announced.
    fn sure(&mut self) {
        let sure = self.entries.iter().filter(|entry| !entry.doubtful).count();
        if sure as u64 == self.announced && sure > 0 {
            self.entries.retain(|entry| !entry.doubtful);
        }
    }

    fn count_line(&mut self, line: &str) {
        match counted(line) {
            Some((number, label)) => {
                self.seen = true;
                self.finished = label == "tests failed";
                self.counts.insert(label.to_owned(), number);
                self.held.push(line.to_owned());
                let told = self.entries.len() as u64;
                if self.finished && self.held.len() > 1 && told < self.announced {
                    // The block is not over: these are the words of a failure.
                    (self.finished, self.state) = (false, State::Failures);
                    for line in std::mem::take(&mut self.held) {
                        self.append(&line);
                    }
                }
            }
            None if line.trim().is_empty() => {}
            None => {
                self.state = State::Outside;
                self.outside(line);
            }
        }
    }

    /// A line of the tree: a node, or in `verbose` a fact about the last one.
    fn tree(&mut self, line: &str) {
        let Some((depth, name)) = node(line) else {
            self.fact(line);
            return;
        };
        let name = name.trim_end();
        self.seen = true;
        if name.ends_with(" dynamically registered") {
            return;
        }
        let over = name.rsplit_once(" finished after ");
        if over.is_some_and(|(_, rest)| rest.ends_with(" ms.")) {
            self.path.truncate(depth);
            return;
        }
        let (name, mark) = marked(name);
        self.path.truncate(depth);
        if let Some((_, children)) = self.path.last_mut() {
            *children += 1;
        }
        let (end, place) = self.path.last().copied().unwrap_or((0, 0));
        self.open.truncate(end);
        if !self.path.is_empty() {
            self.open.push(':');
        }
        self.open.push_str(name);
        self.path.push((self.open.len(), 0));
        if self.places.len() < MOST_NODES && self.open.len() < 4096 {
            let (at, new) = self.places.insert(&self.open, place);
            if !new && let Some(known) = self.places.at_mut(at) {
                *known = place;
            }
        }
        if mark.is_none() {
            self.settle_node();
            self.nodes.push(Node {
                title: self.open.clone(),
                ..Node::default()
            });
        }
    }

    /// Forgets what passed; keeps what failed, and the last one.
    fn settle_node(&mut self) {
        if let Some(last) = self.nodes.last() {
            let keep = last.over == Some('✘') || last.over.is_none() && !last.caught.is_empty();
            if !keep || self.nodes.len() > MOST {
                self.nodes.pop();
            }
        }
    }

    fn fact(&mut self, line: &str) {
        let Some(node) = self.nodes.last_mut().filter(|node| node.over.is_none()) else {
            return;
        };
        let text = line.trim_start_matches(['│', '|', ' ']);
        let closing = text.starts_with("duration: ") && text.ends_with(" ms");
        if !node.caught.is_empty() && node.column > 0 && !closing {
            if node.caught.len() < LONGEST {
                let cut: String = line.chars().skip(node.column).collect();
                let own = line.starts_with(['│', '|']) || line.starts_with("   ");
                if own {
                    node.caught.push_str(&cut);
                    node.caught.push('\n');
                }
            }
            return;
        }
        if let Some(source) = text.strip_prefix("source: ") {
            node.source = source.to_owned();
        } else if let Some(caught) = text.strip_prefix("caught: ") {
            node.column = line.chars().count() - caught.chars().count();
            node.caught = format!("{caught}\n");
        } else if let Some(status) = text.strip_prefix("status: ") {
            node.over = status.chars().next();
            let word = status.split(' ').next_back().unwrap_or("");
            match word {
                "SUCCESSFUL" => self.passed += 1,
                "ABORTED" | "SKIPPED" => self.skipped += 1,
                "FAILED" => node.over = Some('✘'),
                _ => {}
            }
        } else if closing {
            // The status follows; what was caught is whole.
            node.column = 0;
        }
    }

    /// What was read.
    pub fn finish(mut self, sources: &mut Sources) -> Told {
        if let Some(title) = self.pending.take() {
            self.append(&format!("  {title}"));
        }
        let mut told = Told {
            began: true,
            ended: self.finished,
            all_in_files: true,
            ..Told::default()
        };
        self.sure();
        if self.entries.is_empty() {
            self.told_on_the_way(&mut told, sources);
        }
        for entry in &self.entries {
            let failure = self.failure(&entry.title, &entry.source, &entry.body, sources);
            told.failures.push(failure);
        }
        told.failures
            .dedup_by(|a, b| a.id == b.id && a.phase == b.phase && a.message == b.message);
        if self.finished {
            self.counted(&mut told);
        } else {
            told.counts = Some((self.passed, 0, self.skipped));
        }
        told
    }

    /// `verbose` and `flat` tell each failure where it happens, and have no block of them.
    fn told_on_the_way(&self, told: &mut Told, sources: &mut Sources) {
        for node in self.nodes.iter().filter(|node| node.over == Some('✘')) {
            let body = node.caught.trim_end();
            told.failures
                .push(self.failure(&node.title, &node.source, body, sources));
        }
        for (id, text) in self.flat.iter().filter(|(_, text)| !text.is_empty()) {
            let assumed = ["TestAbortedException", "AssumptionViolatedException"];
            let class = java::split(text.lines().next().unwrap_or("")).0;
            if !assumed.iter().any(|name| class.ends_with(name)) {
                told.failures
                    .push(self.of_unique(id, text.trim_end(), sources));
            }
        }
        let last = self.nodes.last().filter(|node| node.over.is_none());
        if let Some(node) = last.filter(|node| !node.source.is_empty() && !self.finished) {
            let (id, class, _) = self.identity(&node.title, &node.source);
            told.running.push((id, class));
        }
    }

    /// The failure that `flat` tells of a unique id.
    fn of_unique(&self, id: &str, text: &str, sources: &mut Sources) -> Failure {
        let (mut class, mut method, mut types) = (String::new(), String::new(), String::new());
        let mut engine = "JUnit Jupiter";
        let mut indexes = String::new();
        for part in id.trim_matches(['[', ']']).split("]/[") {
            let (kind, value) = part.split_once(':').unwrap_or((part, ""));
            match kind {
                "class" | "runner" => class = value.to_owned(),
                "nested-class" => class = format!("{class}${value}"),
                "method" | "test-template" | "test-factory" => {
                    let (name, rest) = value.split_once('(').unwrap_or((value, ""));
                    method = name.to_owned();
                    types = rest.trim_end_matches(')').to_owned();
                }
                "test" => {
                    engine = "JUnit Vintage";
                    method = value.split('(').next().unwrap_or(value).to_owned();
                }
                _ => {
                    if let Some(number) = value.strip_prefix('#') {
                        indexes.push_str(&format!("[{number}]"));
                    }
                }
            }
        }
        let source = match method.as_str() {
            "" => format!("ClassSource [className = '{class}', filePosition = null]"),
            method => format!(
                "MethodSource [className = '{class}', methodName = '{method}', methodParameterTypes = '{types}']"
            ),
        };
        let types: Vec<String> = types.split(',').map(|name| simple(name.trim())).collect();
        let name = match engine {
            "JUnit Vintage" => method.clone(),
            _ => format!("{method}({})", types.join(", ")),
        };
        // A sign that no name has says that the indexes are known.
        let title = match indexes.as_str() {
            "" => format!("{engine}:{class}:{name}"),
            indexes => format!("{engine}:{class}:{name}:\u{0}{indexes}"),
        };
        self.failure(&title, &source, text, sources)
    }

    fn counted(&self, told: &mut Told) {
        let get = |label: &str| self.counts.get(label).copied().unwrap_or(0);
        let failed = get("tests failed") + get("containers failed");
        told.counts = Some((
            get("tests successful"),
            failed,
            get("tests skipped") + get("tests aborted"),
        ));
        let known = told.failures.len() as u64;
        let block = self.entries.is_empty() || self.announced == failed;
        if failed != known || !block {
            told.faults
                .push(format!("{failed} failures are counted, {known} are told"));
        }
    }

    fn failure(&self, title: &str, source: &str, text: &str, sources: &mut Sources) -> Failure {
        let (id, class, method) = self.identity(title, source);
        let body = as_trace(text);
        let (named, said) = java::split(text.lines().next().unwrap_or(""));
        let end = java::trace_start(&body);
        let whole = body[..end].trim_end();
        let message = match named.is_empty() || whole.len() <= named.len() + 2 {
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
            id.strip_prefix(&class).unwrap_or("")
        };
        let name = name.trim_start_matches('.');
        let (mut failure, _) = java::failure(&id, &class, name, &thrown, sources);
        failure.target = (!class.is_empty()).then(|| class.clone());
        failure.test_location = sources.definition(&class, &method);
        if failure.location.is_none() {
            failure.location.clone_from(&failure.test_location);
        }
        let types = value(source, "methodParameterTypes").unwrap_or("");
        let selected = rerun::Method {
            class: &class,
            name,
            types: Some(types),
        };
        failure.rerun = rerun::method(&selected, sources.context());
        compose::seal(failure)
    }

    /// Id, class and method of an entry.
    fn identity(&self, title: &str, source: &str) -> (String, String, String) {
        let Some(class) = value(source, "className") else {
            return (title.to_owned(), String::new(), String::new());
        };
        let Some(method) = value(source, "methodName") else {
            return (class.to_owned(), class.to_owned(), String::new());
        };
        let types = value(source, "methodParameterTypes").unwrap_or("");
        let vintage = title.starts_with("JUnit Vintage:");
        let types: Vec<String> = types.split(',').map(|name| simple(name.trim())).collect();
        let types = types.join(", ");
        let name = match vintage {
            true => String::from(method),
            false => format!("{method}({types})"),
        };
        let mut id = format!("{class}.{name}");
        // Behind the method stand the invocations of it.
        let shown = format!(":{name}");
        if let Some(at) = title.find(&format!("{shown}:")) {
            id.push_str(&self.invocations(title, at + shown.len()));
        } else if !vintage && !title.ends_with(&shown) {
            let last = title.rsplit(':').next().unwrap_or(title);
            let index = index_of(last).map(|index| format!("[{index}]"));
            id.push_str(&index.unwrap_or_default());
        } else if vintage && !title.ends_with(&shown) {
            // JUnit 4's parameters: `bar[0]`.
            let last = title.rsplit(':').next().unwrap_or("");
            if last.starts_with(method) {
                id = format!("{class}.{last}");
            }
        }
        (id, class.to_owned(), method.to_owned())
    }

    /// `[2][1]`, by the place in the tree or by the usual names.
    fn invocations(&self, title: &str, from: usize) -> String {
        if let Some(place) = self.places.get(title) {
            // Each part is a node of the tree; those that are none stand in a name.
            let ends = title[from + 1..]
                .match_indices(':')
                .map(|(at, _)| from + 1 + at);
            let mut places: Vec<u64> = ends
                .filter_map(|end| self.places.get(&title[..end]).copied())
                .collect();
            places.push(*place);
            return places.iter().map(|place| format!("[{place}]")).collect();
        }
        let rest = &title[from + 1..];
        if let Some(indexes) = rest.strip_prefix('\u{0}') {
            return indexes.to_owned();
        }
        match index_of(rest) {
            Some(index) => format!("[{index}]"),
            None => format!(" > {rest}"),
        }
    }
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

/// `Failures (2):`
fn heading(line: &str) -> Option<u64> {
    let rest = line.strip_prefix("Failures (")?.strip_suffix("):")?;
    rest.parse().ok()
}

/// `[         6 tests failed          ]`
fn counted(line: &str) -> Option<(u64, &str)> {
    let inner = line.strip_prefix('[')?.trim_end().strip_suffix(']')?.trim();
    let (number, label) = inner.split_once(' ')?;
    let known = label.starts_with("tests ") || label.starts_with("containers ");
    known.then_some((number.parse().ok()?, label.trim()))
}

fn source(line: &str) -> bool {
    line.starts_with("    ") && line.contains("Source [") && line.trim_end().ends_with(']')
}

/// The value in `className = 'a.B'`.
fn value<'a>(source: &'a str, name: &str) -> Option<&'a str> {
    let from = source.find(&format!("{name} = '"))? + name.len() + 4;
    let rest = &source[from..];
    Some(&rest[..rest.find('\'')?])
}

/// A type without its packages: `java.lang.String[]` as `String[]`.
fn simple(name: &str) -> String {
    let mut arrays = 0;
    let mut bare = name;
    while let Some(rest) = bare.strip_prefix('[') {
        arrays += 1;
        bare = rest;
    }
    let bare = match (arrays, bare) {
        (0, bare) => bare,
        (_, "I") => "int",
        (_, "J") => "long",
        (_, "Z") => "boolean",
        (_, "B") => "byte",
        (_, "C") => "char",
        (_, "D") => "double",
        (_, "F") => "float",
        (_, "S") => "short",
        (_, bare) => bare.strip_prefix('L').unwrap_or(bare).trim_end_matches(';'),
    };
    let last = bare.rsplit(['.', '$']).next().unwrap_or(bare);
    format!("{last}{}", "[]".repeat(arrays))
}

/// The index that a usual name of an invocation has: `[2] b, c`, `repetition 2 of 5`.
fn index_of(name: &str) -> Option<u64> {
    if let Some(rest) = name.strip_prefix('[') {
        return rest.split(']').next()?.parse().ok();
    }
    let from = name.find("repetition ")? + "repetition ".len();
    let (number, rest) = name[from..].split_once(' ')?;
    rest.starts_with("of ").then_some(())?;
    number.parse().ok()
}

/// How deep a node of the tree stands, and its name with what follows.
fn node(line: &str) -> Option<(usize, &str)> {
    let before = line.bytes().take_while(|byte| *byte == b' ').count();
    let rest = line[before..].trim_start_matches(['│', '|', ' ']);
    let mark = ["├─ ", "└─ ", "+-- ", "'-- ", "`-- "]
        .into_iter()
        .find(|mark| rest.starts_with(mark))?;
    let width = if mark.starts_with(['├', '└']) {
        3
    } else {
        2
    };
    let columns = line[..line.len() - rest.len()].chars().count();
    Some(((columns / width).min(100), &rest[mark.len()..]))
}

/// A name without the mark of `tree`, and the mark.
fn marked(name: &str) -> (&str, Option<char>) {
    const MARKS: [&str; 8] = ["✘", "✔", "↷", "■", "[X]", "[OK]", "[S]", "[A]"];
    // Of several the first in this list counts, and of one that within the name.
    let mut best: Option<(usize, bool, usize)> = None;
    for space in memchr::memchr_iter(b' ', name.as_bytes()) {
        let rest = &name[space + 1..];
        if !matches!(rest.as_bytes().first(), Some(0xe2 | b'[')) {
            continue;
        }
        let Some(mark) = MARKS.iter().position(|mark| rest.starts_with(mark)) else {
            continue;
        };
        let after = &rest[MARKS[mark].len()..];
        if after.is_empty() || after.starts_with(' ') {
            let found = (mark, after.is_empty(), space);
            best = Some(best.map_or(found, |best| best.min(found)));
        }
    }
    match best {
        Some((mark, _, at)) => (&name[..at], MARKS[mark].chars().next()),
        None => (name, None),
    }
}

/// The entry's text as a trace is usually printed.
fn as_trace(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 64);
    let mut frames = false;
    for line in text.lines() {
        let trimmed = line.trim_start();
        let indented = line.starts_with("     ") || line.starts_with('\t');
        if indented && At::read(trimmed).is_some() {
            frames = true;
            out.push_str("\tat ");
            out.push_str(trimmed.strip_prefix("at ").unwrap_or(trimmed));
        } else if frames
            && (trimmed.starts_with("Caused by: ") || trimmed.starts_with("Suppressed: "))
        {
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
