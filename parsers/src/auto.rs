//! Recognises the format of a log by what only its framework prints.
//!
//! A log may hold the output of several tools, and tests may print what imitates another one.
//! So it is weighed: a line that opens or closes a whole run counts much, a line that looks like
//! a result little, and whoever is mentioned most is it. Where nothing is known for sure, the
//! generic reader takes it.

use crate::context::Context;
use crate::event::TestEvent;
use crate::junit::native;
use crate::lines::Lines;
use crate::live::Adapter;
use crate::live::End;
use crate::live::Format;
use crate::live::Live;
use crate::live::Stream;
use crate::mixed::Stretch;
use crate::mixed::Watch;
use crate::report::Note;
use crate::report::Report;

/// So much is looked at before it is decided; what comes after goes straight to the reader.
pub(crate) const MOST: usize = 8 << 20;
/// So much is handed over at once.
const PIECE: usize = 64 << 10;
/// Lines that open or close a run.
const SURE: u64 = 100;
/// Lines that show a result, in a form that is one framework's own.
const RESULT: u64 = 4;
/// Lines that several tools print, or that tests like to imitate.
const HINT: u64 = 1;

/// So much of a log's end is looked through for the end of the whole command.
const TAIL: usize = 4 << 10;

/// The runs of frameworks in each stream.
type Runs = Vec<(Owned, Vec<Stretch>)>;

/// Begins to read a run.
pub(crate) fn open(context: Context) -> Box<dyn Adapter> {
    Box::new(AutoRun::new(context))
}

/// A run whose format is not known yet.
#[derive(Debug)]
pub(crate) struct AutoRun {
    context: Context,
    kept: Vec<(Owned, Vec<u8>)>,
    bytes: usize,
    decided: Option<(Format, Live)>,
    /// What else the log says, which the format's reader does not read.
    besides: Option<Note>,
}

/// A stream by a name of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Owned {
    Stdout,
    Stderr,
    Log,
    File(String),
}

impl Owned {
    /// The same stream.
    pub fn of(stream: Stream<'_>) -> Self {
        match stream {
            Stream::Stdout => Owned::Stdout,
            Stream::Stderr => Owned::Stderr,
            Stream::Log => Owned::Log,
            Stream::File(name) => Owned::File(name.to_owned()),
        }
    }

    /// The stream as an adapter is given it.
    pub fn stream(&self) -> Stream<'_> {
        match self {
            Owned::Stdout => Stream::Stdout,
            Owned::Stderr => Stream::Stderr,
            Owned::Log => Stream::Log,
            Owned::File(name) => Stream::File(name),
        }
    }
}

impl AutoRun {
    /// Begins to read a run.
    pub fn new(context: Context) -> Self {
        AutoRun {
            context,
            kept: Vec::new(),
            bytes: 0,
            decided: None,
            besides: None,
        }
    }

    /// Decides by what has come so far, and hands it all over.
    fn decide(&mut self) -> &mut (Format, Live) {
        let kept = std::mem::take(&mut self.kept);
        let context = self.context.clone();
        let besides = &mut self.besides;
        self.decided.get_or_insert_with(|| {
            let mut format = recognise(&kept);
            if format != Format::Generic {
                let runs = watched(&kept);
                // Several runs one after the other: the generic reader takes them apart.
                if several(runs.clone(), format) {
                    format = Format::Generic;
                } else {
                    *besides = unread(&runs, format, &kept).or_else(|| failed_command(&kept));
                }
            }
            let mut live = Live::new(format, context);
            for (stream, bytes) in &kept {
                // Nobody asks for the events: piece by piece there are only few at a time.
                for piece in bytes.chunks(PIECE) {
                    live.feed(stream.stream(), piece);
                }
                if bytes.is_empty() {
                    live.feed(stream.stream(), bytes);
                }
            }
            (format, live)
        })
    }
}

impl Adapter for AutoRun {
    fn feed(&mut self, stream: Stream<'_>, bytes: &[u8]) -> Vec<TestEvent> {
        if let Some((_, live)) = &mut self.decided {
            return live.feed(stream, bytes);
        }
        // Decided after so many bytes, in however many pieces they come.
        let (looked_at, rest) = bytes.split_at(bytes.len().min(MOST - self.bytes));
        self.bytes += looked_at.len();
        let name = Owned::of(stream);
        match self.kept.last_mut() {
            Some((last, kept)) if *last == name => kept.extend_from_slice(looked_at),
            _ => self.kept.push((name, looked_at.to_vec())),
        }
        if self.bytes < MOST {
            return Vec::new();
        }
        self.decide().1.feed(stream, rest)
    }

    fn finish(mut self: Box<Self>, end: End) -> Report {
        self.decide();
        let Some((format, live)) = self.decided.take() else {
            return Live::new(Format::Generic, self.context).finish(end);
        };
        let mut report = live.finish(end);
        // A red part that is not read must not let the whole be green.
        if let Some(note) = self.besides.filter(|_| report.is_green()) {
            report.complete = false;
            report.notes.push(note);
        }
        let known = report.run.framework != "generic" || !report.failures.is_empty();
        if format == Format::Generic && !(known && report.complete) {
            // An exit status alone makes no log green of which nobody knows what it is.
            report.complete &= !report.is_green();
            let message = "no test framework was recognised in it";
            report.notes.push(
                Note::new("format_unknown", message).remedy("name the format with `--format`"),
            );
        }
        report
    }
}

/// The runs of frameworks that a log holds; none where an injected reporter has told of one.
fn watched(kept: &[(Owned, Vec<u8>)]) -> Runs {
    if kept.iter().any(|(name, _)| matches!(name, Owned::File(_))) {
        return Vec::new();
    }
    let mut watch = Watch::default();
    for (name, bytes) in kept {
        watch.feed(name.stream(), bytes);
    }
    watch.end();
    watch.runs()
}

/// Whether there are runs of several frameworks, one after the other. A test may print whole runs
/// of others; the command of the others has to be told.
fn several(mut runs: Runs, best: Format) -> bool {
    crate::generic::believe(&mut runs, best, |_| false);
    runs.iter().any(|(_, runs)| {
        let own = runs.iter().any(|run| run.format == best);
        own && runs.iter().any(|run| run.format != best)
    })
}

/// What looks like runs of other frameworks.
fn unread(runs: &Runs, best: Format, kept: &[(Owned, Vec<u8>)]) -> Option<Note> {
    let all = || runs.iter().flat_map(|(_, runs)| runs);
    if !all().any(|run| run.format == best) {
        return None;
    }
    let other = all().map(|run| run.format).find(|other| *other != best);
    let behind = runs.iter().any(|(name, runs)| {
        let ends = runs.iter().filter(|run| run.format == best);
        ends.map(|run| run.to)
            .max()
            .is_some_and(|end| has_tap(kept, name, end))
    });
    let other = other.or(behind.then_some(Format::Tap))?;
    let message = format!("a part of the log looks like a run of {other}, which was not read");
    Some(Note::new("other_runs", message).remedy("read each framework's part by itself"))
}

/// Whether a point of TAP that failed stands in a stream behind a place.
fn has_tap(kept: &[(Owned, Vec<u8>)], name: &Owned, end: u64) -> bool {
    let mut at = 0;
    kept.iter()
        .filter(|(own, _)| own == name)
        .any(|(_, bytes)| {
            let length = bytes.len() as u64;
            let from = end.saturating_sub(at).min(length) as usize;
            at += length;
            let mut lines = bytes[from..].split(|byte| *byte == b'\n');
            lines.any(|line| line.starts_with(b"not ok "))
        })
}

/// The word of make or of a service that the command as a whole has failed, near the log's end.
fn failed_command(kept: &[(Owned, Vec<u8>)]) -> Option<Note> {
    let tail = kept.iter().flat_map(|(_, bytes)| {
        let from = bytes.len().saturating_sub(TAIL);
        bytes[from..].split(|byte| *byte == b'\n')
    });
    let mut lines = tail.map(crate::text::shown);
    let line = lines.find(|line| {
        let line = line.trim_end();
        let made = line.starts_with("make") && line.contains(": *** [");
        made || line.contains("Error: Process completed with exit code ")
            || line.contains("##[error]Process completed with exit code ")
    })?;
    let message = format!("the command has failed: {}", crate::text::one_line(&line));
    Some(Note::new("command_failed", message).remedy("tell its exit status with `--exit`"))
}

/// The format that a log and its files speak for most.
pub(crate) fn recognise(kept: &[(Owned, Vec<u8>)]) -> Format {
    let mut weights = [0_u64; Format::ALL.len()];
    let mut unfinished: Vec<(&Owned, Lines)> = Vec::new();
    let mut opening = None;
    let mut documents: Vec<Format> = Vec::new();
    let mut roots: Vec<Format> = Vec::new();
    for (stream, bytes) in kept {
        let mut add = |format: Format, weight: u64| {
            if weight >= SURE / 2 {
                opening.get_or_insert(format);
            }
            weights[place(format)] += weight;
        };
        let start = without_mark(bytes).trim_ascii_start();
        let file = matches!(stream, Owned::File(_));
        if start.starts_with(b"{") || start.starts_with(b"[") || start.starts_with(b"<") {
            let xml = file && start.starts_with(b"<");
            let named = matches!(stream, Owned::File(name) if name.ends_with(".xml"));
            let known = whole(start, !file, &mut |format, weight| {
                let format = match format {
                    // Their readers know their files by their ends.
                    Format::Unittest | Format::Bats | Format::Nextest if xml && !named => {
                        Format::Junit
                    }
                    format => format,
                };
                if xml && !documents.contains(&format) {
                    documents.push(format);
                }
                add(format, weight);
            });
            // What tests printed stands in it, too.
            if known && xml {
                continue;
            }
        }
        if let Owned::File(name) = stream
            && (name.ends_with(".events") || name.ends_with(".list"))
        {
            add(Format::Cargo, SURE);
        }
        let known = unfinished.iter().position(|(name, _)| *name == stream);
        let at = known.unwrap_or_else(|| {
            unfinished.push((stream, Lines::default()));
            unfinished.len() - 1
        });
        unfinished[at].1.each(bytes, |line| {
            if may_weigh(line.bytes) {
                let line = line.shown();
                let root = line.starts_with("<testsuites ");
                let suite = line.starts_with("<testsuite ");
                weigh(&line, &mut |format, weight| {
                    // A suite in a root of its own may be anybody's.
                    let known = root || suite && format != Format::Junit;
                    if known && !roots.contains(&format) {
                        roots.push(format);
                    }
                    add(format, weight);
                });
            }
        });
    }
    for (_, mut lines) in unfinished {
        if let Some(line) = lines.finish() {
            weigh(&crate::text::clean(&line.shown()), &mut |format, weight| {
                weights[place(format)] += weight;
            });
        }
    }
    // Documents of several frameworks: each is given to its own.
    let wrapped = |one: &Format| matches!(one, Format::Ctest | Format::Gtest);
    if documents.len() > 1 && !documents.iter().all(wrapped) {
        return Format::Junit;
    }
    // What CTest and nextest run are whole runs of others, one a test.
    if let Some(wrapper @ (Format::Ctest | Format::Nextest)) = opening {
        return wrapper;
    }
    // Of equals the first in the list: the wrappers stand behind what they wrap.
    let best = weights
        .into_iter()
        .enumerate()
        // Hints alone say nothing.
        .filter(|(_, weight)| *weight >= RESULT)
        .max_by_key(|(at, weight)| (*weight, std::cmp::Reverse(*at)));
    match best.map_or(Format::Generic, |(at, _)| Format::ALL[at]) {
        best if roots.len() > 1 && roots.contains(&best) => Format::Junit,
        best => best,
    }
}

/// Where a format stands in the list.
fn place(format: Format) -> usize {
    let at = Format::ALL.iter().position(|known| *known == format);
    at.unwrap_or(0)
}

/// Whether a line may say anything, by its first visible bytes alone; whatever is not plain is
/// looked at. Most lines of a log end here.
fn may_weigh(line: &[u8]) -> bool {
    let mut rest = line;
    loop {
        rest = match rest {
            [b' ' | b'\t', after @ ..] => after,
            [0x1b, b'[', after @ ..] => {
                let Some(end) = after.iter().position(|byte| !matches!(byte, 0x20..=0x3f)) else {
                    return true;
                };
                if !matches!(after[end], 0x40..=0x7e) {
                    return true;
                }
                &after[end + 1..]
            }
            _ => break,
        };
    }
    let maybe = match rest {
        [] => false,
        // A sequence or another control character stands where a letter should.
        [0..=0x1f | 0x7f, ..] | [_, 0..=0x1f | 0x7f, ..] => true,
        [b't', second, ..] => matches!(second, b'e' | b'/'),
        [b'r', second, ..] => matches!(second, b'u' | b's'),
        [b'e', second, ..] => *second == b'r',
        [b'o', second, ..] => *second == b'k',
        [b'n', second, ..] => *second == b'o',
        [b'l', second, ..] => *second == b'o',
        [b'a', second, ..] => *second == b't',
        [b'E', second, ..] => matches!(second, b'R' | b'r'),
        [b'I', second, ..] => *second == b'm',
        [b'J', second, ..] => *second == b'U',
        [b'u', second, ..] => *second == b's',
        [b'v', second, ..] => *second == b'e',
        [b'p', second, ..] => *second == b'a',
        [b'f', second, ..] => *second == b'r',
        [b'g', second, ..] => *second == b'o',
        [b'.', second, ..] => *second == b'/',
        [b'(', second, ..] => *second == b'i',
        [b'?', second, ..] => *second == b' ',
        [
            b'C' | b'D' | b'N' | b'S' | b'T' | b'R' | b'P' | b'F' | b'B',
            ..,
        ] => true,
        [
            b'0'..=b'9' | b'{' | b'=' | b'-' | b'[' | b'#' | b'*' | b'<' | b'%',
            ..,
        ] => true,
        [0xc2 | 0xe1 | 0xe3, ..] => true,
        // The signs: of a circle, a check mark and a cross, rulings and branches.
        [0xe2, 0x84 | 0x8e | 0x94 | 0x97, ..] => true,
        [0xe2, 0x9c, third, ..] => matches!(third, 0x93 | 0x94 | 0x96 | 0x97),
        [0xe2, 0x80 | 0x81, ..] => true,
        _ => false,
    };
    // What stands behind a carriage return is shown in place of all before it.
    maybe || memchr::memchr(b'\r', line).is_some()
}

/// The framework of a document that is its report as a whole.
pub(crate) fn document(bytes: &[u8]) -> Option<Format> {
    let start = without_mark(bytes).trim_ascii_start();
    if !matches!(start.first(), Some(b'{' | b'[' | b'<')) {
        return None;
    }
    let mut found = None;
    whole(start, true, &mut |format, _| found = Some(format));
    found
}

/// The bytes behind a byte order mark.
fn without_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)
}

/// A document that is a report as a whole; whether it is one. `inline` where it is a log.
fn whole(bytes: &[u8], inline: bool, add: &mut impl FnMut(Format, u64)) -> bool {
    let head = String::from_utf8_lossy(&bytes[..bytes.len().min(64 * 1024)]);
    if bytes.starts_with(b"<") {
        let known = head.contains("<testsuite") || head.contains("<testrun");
        if known {
            add(native::format(&head, inline), 5 * SURE);
        }
        return known;
    }
    let has = |words: &[&str]| words.iter().all(|word| head.contains(word));
    if has(&["\"numTotalTests\""]) {
        let jest = has(&["\"openHandles\""]) || has(&["\"wasInterrupted\""]);
        add(if jest { Format::Jest } else { Format::Vitest }, SURE);
    } else if has(&["\"stats\"", "\"suites\"", "\"passes\""]) {
        add(Format::Mocha, SURE);
    } else if has(&["\"examples\"", "\"summary_line\""])
        || has(&["\"examples\"", "\"full_description\""])
    {
        add(Format::Rspec, SURE);
    } else if has(&["\"testsuites\"", "\"disabled\""]) {
        add(Format::Gtest, SURE);
    } else {
        return false;
    }
    true
}

/// What one line says for whom.
fn weigh(line: &str, add: &mut impl FnMut(Format, u64)) {
    let Some(first) = line.trim_start().bytes().next() else {
        return;
    };
    match first {
        b'{' => json(line, add),
        b'=' | b'-' | b'[' | b'#' | b'*' | b'<' | b'%' => ruled(line, add),
        b'0'..=b'9' => numbered(line, add),
        b'(' if line.trim_start().starts_with("(in test file ") => add(Format::Bats, SURE / 2),
        _ if first.is_ascii() => words(line, add),
        _ => signs(line, add),
    }
}

/// A record of a stream.
fn json(line: &str, add: &mut impl FnMut(Format, u64)) {
    let line = line.trim_start();
    let has = |word: &str| line.contains(word);
    if has("\"Action\":") && has("\"Package\":") || has("\"Action\":\"build-") {
        add(Format::GoTest, SURE / 4);
    } else if has("\"reason\":\"compiler-") || has("\"reason\":\"build-finished\"") {
        add(Format::Cargo, SURE / 4);
    } else if has("\"type\": \"suite\"") || has("\"type\":\"suite\"") {
        match has("\"nextest\"") {
            true => add(Format::Nextest, SURE),
            false => add(Format::Libtest, SURE / 4),
        }
    } else if has("\"$report_type\"") {
        add(Format::Pytest, SURE / 4);
    } else if has("\"k\":\"session\"") || has("\"k\": \"session\"") {
        records(line, add);
    }
}

/// The first record of one of our own reporters names its runner.
fn records(line: &str, add: &mut impl FnMut(Format, u64)) {
    let Ok(record) = serde_json::from_str::<serde_json::Value>(line) else {
        return;
    };
    if record["pytest"].is_string() {
        add(Format::Pytest, 10 * SURE);
    }
    let runner = record["runner"].as_str().unwrap_or("");
    let name = runner.split([' ', '/']).next().unwrap_or("");
    if let Ok(format) = name.parse::<Format>() {
        add(format, 10 * SURE);
    }
}

fn ruled(line: &str, add: &mut impl FnMut(Format, u64)) {
    let starts = |start: &str| line.starts_with(start);
    if starts("=== RUN ") || starts("--- FAIL: ") || starts("--- PASS: ") {
        add(Format::GoTest, RESULT);
    } else if starts("<testsuite ") || starts("<testsuites ") {
        add(native::format(line, true), SURE);
    } else if starts("[\"start\",{\"total\":") {
        add(Format::Mocha, SURE);
    } else if starts("===") && line.contains(" test session starts ") {
        add(Format::Pytest, SURE);
    } else if starts("===") && (line.contains(" short test summary info ") || pytest_end(line)) {
        add(Format::Pytest, SURE / 2);
    } else if starts("[==========] ") {
        add(Format::Gtest, SURE / 2);
    } else if starts("[ RUN      ]") || starts("[  FAILED  ]") || starts("[       OK ]") {
        add(Format::Gtest, RESULT);
    } else if starts("# (in test file ") || starts("# (from function `") {
        add(Format::Bats, SURE);
    } else if starts("# Subtest: ") || starts("    # Subtest: ") {
        add(Format::NodeTest, HINT);
    } else if starts("# (in test file ")
        || starts("# (from function `")
        || starts("# (in file ")
        || starts("# bats warning: ")
    {
        add(Format::Bats, SURE / 2);
    } else if starts("# duration_ms ") {
        add(Format::NodeTest, SURE);
    } else if starts("# Running:") || starts("# Run options:") {
        add(Format::Minitest, SURE / 2);
    } else if starts("[ERROR] Tests run:") || starts("[INFO] Tests run:") {
        add(Format::Junit, SURE);
    } else if starts("[INFO] BUILD ") || starts("[ERROR] Failed to execute goal") {
        add(Format::Junit, RESULT);
    } else if starts("[         ") && line.ends_with(" tests found           ]") {
        add(Format::Junit, SURE);
    }
}

fn pytest_end(line: &str) -> bool {
    line.ends_with("==")
        && line.contains(" in ")
        && line.contains('s')
        && ["passed", "failed", "error", "no tests ran", "skipped"]
            .iter()
            .any(|word| line.contains(word))
}

fn numbered(line: &str, add: &mut impl FnMut(Format, u64)) {
    let digits = line
        .trim_start()
        .bytes()
        .take_while(u8::is_ascii_digit)
        .count();
    let rest = &line.trim_start()[digits..];
    if rest.starts_with("..") && rest[2..].bytes().take_while(u8::is_ascii_digit).count() > 0 {
        add(Format::Tap, RESULT);
    } else if rest.starts_with(" passing (") || rest.starts_with(" failing") && rest.len() < 12 {
        add(Format::Mocha, SURE);
    } else if rest.starts_with(" examples, ") || rest.starts_with(" example, ") {
        add(Format::Rspec, SURE);
    } else if rest.starts_with(" runs, ") && rest.contains(" assertions, ") {
        add(Format::Minitest, SURE);
    } else if rest.starts_with("% tests passed, ") {
        add(Format::Ctest, SURE);
    } else if rest.starts_with(" tests completed, ") || rest.starts_with(" test completed, ") {
        add(Format::Junit, SURE);
    } else if is_bats_end(rest) {
        add(Format::Bats, SURE / 2);
    } else if rest.starts_with('/') && rest.contains(" Test #") && rest.contains(" sec") {
        add(Format::Ctest, RESULT);
    } else if rest.starts_with(" passed in ")
        || rest.starts_with(" failed in ")
        || rest.starts_with(" failed, ") && rest.contains(" in ")
    {
        add(Format::Pytest, SURE / 4);
    }
}

/// ` tests, 2 failures, 1 skipped in 3 seconds`, behind the first number.
fn is_bats_end(rest: &str) -> bool {
    let counts = |part: &str| {
        let (number, word) = part.split_once(' ').unwrap_or((part, ""));
        let word = word.split(" in ").next().unwrap_or(word);
        let known = ["failure", "failures", "skipped", "not run", "interrupted"];
        known.contains(&word) && number.bytes().all(|byte| byte.is_ascii_digit())
    };
    let mut parts = rest.trim_end().split(", ");
    let head = parts
        .next()
        .is_some_and(|head| matches!(head, " test" | " tests"));
    let failures = parts
        .next()
        .is_some_and(|part| part.contains(" failure") && counts(part));
    head && failures && parts.all(counts)
}

fn words(line: &str, add: &mut impl FnMut(Format, u64)) {
    let text = line.trim_start();
    let starts = |start: &str| text.starts_with(start);
    match text.as_bytes()[0] {
        b't' if starts("test result: ") => add(Format::Cargo, SURE / 2),
        b't' if starts("test ") && (text.ends_with("... ok") || text.ends_with("... FAILED")) => {
            add(Format::Cargo, RESULT);
        }
        b't' if starts("t/") && text.contains(" .") => add(Format::Prove, RESULT),
        // The name and, in brackets, the dotted one; of a test that never ended nothing follows.
        b't' if text.contains(" (") && text.contains(") ... ") => add(Format::Unittest, RESULT),
        b'u' if starts("usage: pytest ")
            || starts("usage: __main__.py [options] [file_or_dir]") =>
        {
            add(Format::Pytest, SURE);
        }
        b'r' if starts("running ") && (text.ends_with(" tests") || text.ends_with(" test")) => {
            add(Format::Cargo, HINT);
        }
        b'r' if starts("rspec ./spec/") || starts("rspec './spec/") => add(Format::Rspec, RESULT),
        b'a' if starts("at ") => stack(text, add),
        b'E' if starts("ERROR: usage: ") && text.contains("[file_or_dir]") => {
            add(Format::Pytest, SURE);
        }
        b'E' if starts("ERROR: file or directory not found: ") => add(Format::Pytest, SURE / 4),
        b'E' if starts("Error: No test files found: ") => add(Format::Mocha, SURE / 4),
        b'I' if starts("ImportError while loading conftest '") => add(Format::Pytest, SURE),
        b'F' if starts("File \"") && is_unittest(text) => add(Format::Unittest, HINT),
        b'e' if starts("error: failed to parse manifest at `")
            || starts("error: failed to load manifest for ")
            || starts("error: no matching package ") =>
        {
            add(Format::Cargo, SURE / 4);
        }
        b'f' if starts("from ") && text.contains("/rake_test_loader.rb:") => {
            add(Format::Minitest, HINT);
        }
        b'g' if starts("go: ") => add(Format::GoTest, RESULT),
        b'v' if starts("vet: ") && text.contains(".go:") => add(Format::GoTest, SURE / 4),
        b'.' if starts("./") && text.contains(".go:") => add(Format::GoTest, HINT),
        b'p' if starts("package ") && text.ends_with(": import cycle not allowed") => {
            add(Format::GoTest, SURE / 4);
        }
        b'J' if starts("JUnit version ") => add(Format::Junit, 2 * SURE),
        b'N' if starts("No tests found, exiting with code ") => add(Format::Jest, SURE / 4),
        b'e' if starts("error: test failed, to rerun pass") => add(Format::Cargo, SURE),
        b'e' if starts("error: test run failed") => add(Format::Nextest, SURE),
        b'e' if starts("error: could not compile `") => add(Format::Cargo, SURE / 4),
        b'C' if starts("Compiling ") && text.contains(" v") => add(Format::Cargo, RESULT),
        b'D' if starts("Doc-tests ") => add(Format::Cargo, SURE / 4),
        b'N' if starts("Nextest run ID ") => add(Format::Nextest, 2 * SURE),
        b'S' if starts("Summary [") && text.contains(" tests run: ") => {
            add(Format::Nextest, 2 * SURE)
        }
        b'S' if starts("Starting ") && text.contains(" tests across ") => {
            add(Format::Nextest, 2 * SURE)
        }
        b'S' if starts("Snapshots:   ") => add(Format::Jest, SURE / 4),
        b'T' => capital_t(text, add),
        b'R' if starts("Ran all test suites") => add(Format::Jest, SURE / 4),
        b'R' if starts("Ran ") && text.contains(" test") && text.contains(" in ") => {
            add(Format::Unittest, SURE);
        }
        b'R' if starts("Run options: --seed ") => add(Format::Minitest, SURE),
        b'R' if starts("Result: ") => add(Format::Prove, RESULT),
        b'R' if starts("RUN  v") => add(Format::Vitest, SURE),
        b'R' if starts("Randomized with seed ") => add(Format::Rspec, RESULT),
        b'P' if starts("PHPUnit ") && text.contains(" by Sebastian Bergmann") => {
            add(Format::Phpunit, 2 * SURE);
        }
        b'P' | b'F' => results(text, add),
        b'o' if starts("ok  \t") => add(Format::GoTest, SURE / 4),
        b'o' if starts("ok ") => add(Format::Tap, HINT),
        b'n' if starts("not ok ") => add(Format::Tap, HINT + 1),
        b'?' if starts("?   \t") => add(Format::GoTest, SURE / 4),
        b'B' if starts("BUILD FAILED in ") || starts("BUILD SUCCESSFUL in ") => {
            add(Format::Junit, RESULT)
        }
        b'l' if starts("location: '") && text.ends_with('\'') => add(Format::NodeTest, HINT),
        _ => {}
    }
}

fn capital_t(text: &str, add: &mut impl FnMut(Format, u64)) {
    let starts = |start: &str| text.starts_with(start);
    if starts("TAP version 1") {
        add(Format::Tap, SURE / 2);
    } else if starts("Test Suites: ") {
        add(Format::Jest, SURE);
    } else if starts("Test Files  ") {
        add(Format::Vitest, SURE);
    } else if starts("Test Summary Report") {
        add(Format::Prove, SURE / 2);
    } else if starts("Test project /") || starts("Total Test time (real) = ") {
        add(Format::Ctest, SURE);
    } else if starts("Thanks for using JUnit!") || starts("Test run finished after ") {
        add(Format::Junit, SURE);
    }
}

/// A frame of a stack: whose code called.
fn stack(text: &str, add: &mut impl FnMut(Format, u64)) {
    for (part, format) in [
        ("/node_modules/mocha/", Format::Mocha),
        ("at Context.<anonymous> (", Format::Mocha),
        ("/node_modules/jest-", Format::Jest),
        ("/node_modules/vitest/", Format::Vitest),
        ("/node_modules/@vitest/", Format::Vitest),
        ("node:internal/test_runner/", Format::NodeTest),
    ] {
        if text.contains(part) {
            return add(format, HINT);
        }
    }
}

/// `File "/usr/lib/python3.11/unittest/main.py", line 101, in __init__`: what starts a run.
fn is_unittest(text: &str) -> bool {
    ["main", "__main__", "loader", "runner", "suite"]
        .iter()
        .any(|module| text.contains(&format!("/unittest/{module}.py\"")))
}

fn results(text: &str, add: &mut impl FnMut(Format, u64)) {
    let script = |name: &str| {
        let end = name.split_whitespace().next().unwrap_or("");
        [".js", ".jsx", ".ts", ".tsx", ".mjs", ".cjs", ".mts"]
            .iter()
            .any(|kind| end.ends_with(kind))
    };
    let timed = |rest: &str| {
        rest.split(']')
            .next()
            .is_some_and(|time| time.ends_with('s'))
    };
    let timing = text.strip_prefix("PASS [").or(text.strip_prefix("FAIL ["));
    if timing.is_some_and(timed) {
        // Outweighs the end of a run that each of its processes prints.
        add(Format::Nextest, SURE);
    } else if text == "FAIL" || text == "PASS" || text.starts_with("FAIL\t") {
        add(Format::GoTest, RESULT);
    } else if let Some(rest) = text.strip_prefix("PASS ").or(text.strip_prefix("FAIL ")) {
        if script(rest.trim_start()) {
            let vitest = text.starts_with("FAIL  ");
            add(if vitest { Format::Vitest } else { Format::Jest }, RESULT);
        }
    } else if text.starts_with("FAILED ") && text.contains(".py") {
        add(Format::Pytest, RESULT);
    } else if text.starts_with("FAILED (") || text.starts_with("FAIL: test") {
        add(Format::Unittest, RESULT);
    } else if text.starts_with("Files=") && text.contains(", Tests=") {
        add(Format::Prove, SURE);
    } else if text.starts_with("FAILURES!") {
        add(Format::Phpunit, RESULT);
    }
}

/// Lines that begin with a sign outside of ASCII.
fn signs(line: &str, add: &mut impl FnMut(Format, u64)) {
    let text = line.trim_start();
    let node = ["ℹ tests ", "✖ failing tests:", "ℹ duration_ms "];
    if node.iter().any(|start| text.starts_with(start)) {
        add(Format::NodeTest, SURE);
    } else if let Some(title) = text.strip_prefix("✔ ").or(text.strip_prefix("✖ ")) {
        // Node says of every test how long it took, and in fractions; Mocha sets its titles in.
        let took = title.rsplit_once(" (").map_or("", |(_, took)| took);
        if took.ends_with("ms)") && took.contains('.') {
            add(Format::NodeTest, RESULT);
        } else if line.starts_with("  ") && text.starts_with('✔') {
            add(Format::Mocha, RESULT);
        }
    } else if text.starts_with("✗ ") || text.starts_with("✓ ") {
        add(Format::Bats, HINT);
    } else if text.starts_with("● Unrecognized CLI Parameter") {
        add(Format::Jest, SURE / 4);
    } else if text.starts_with("⎯⎯⎯") {
        add(Format::Vitest, RESULT);
    } else if text.starts_with("├─ JUnit ") || text.starts_with("└─ JUnit ") {
        add(Format::Junit, SURE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Format {
        recognise(&[(Owned::Log, text.as_bytes().to_vec())])
    }

    #[test]
    fn each_framework_is_known_by_its_own_lines() {
        for (text, expected) in [
            (
                "running 2 tests\ntest a ... ok\ntest result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n",
                "cargo-test",
            ),
            (
                "    Starting 3 tests across 1 binary\n        PASS [   0.004s] a b\n     Summary [   0.1s] 3 tests run: 3 passed, 0 skipped\n",
                "nextest",
            ),
            (
                "============================= test session starts ==============================\n",
                "pytest",
            ),
            (".F\n1 failed, 1 passed in 0.02s\n", "pytest"),
            (
                "Test project /p/b\n1/2 Test #1: a ....***Failed    0.00 sec\n[==========] Running 1 test from 1 test suite.\n[ RUN      ] A.a\n[  FAILED  ] A.a (0 ms)\n[==========] 1 test from 1 test suite ran. (0 ms total)\n[==========] Running 1 test from 1 test suite.\n",
                "ctest",
            ),
            (
                "1..2\nok 1 a\nnot ok 2 b\n# (in test file a.bats, line 4)\n#   `false' failed\n",
                "bats",
            ),
            (
                "=== RUN   TestA\n--- FAIL: TestA (0.00s)\nFAIL\nFAIL\tx\t0.002s\n",
                "go-test",
            ),
            (
                "{\"Time\":\"2026\",\"Action\":\"run\",\"Package\":\"x\",\"Test\":\"TestA\"}\n",
                "go-test",
            ),
            (
                "FAIL ./a.test.js\n  ● x\nTest Suites: 1 failed, 1 total\nSnapshots:   0 total\n",
                "jest",
            ),
            (
                " RUN  v3.2.4 /p\n FAIL  a.test.js > x\n Test Files  1 failed (1)\n",
                "vitest",
            ),
            ("  3 passing (4ms)\n  1 failing\n", "mocha"),
            (
                "TAP version 13\n# Subtest: x\nnot ok 1 - x\n1..1\n# tests 1\n# duration_ms 56.5\n",
                "node-test",
            ),
            (
                "✖ x (1ms)\nℹ tests 1\nℹ suites 0\n✖ failing tests:\n",
                "node-test",
            ),
            ("TAP version 13\n1..2\nok 1 - a\nnot ok 2 - b\n", "tap"),
            (
                "[==========] Running 1 test from 1 test suite.\n[ RUN      ] A.B\n",
                "gtest",
            ),
            (
                "Test project /p/build\n1/1 Test #1: u ....***Failed    0.00 sec\n0% tests passed, 1 tests failed out of 1\n",
                "ctest",
            ),
            (
                "Failures:\n\n  1) c d\n\nFinished in 0.01 seconds\n1 example, 1 failure\n",
                "rspec",
            ),
            (
                "Run options: --seed 1\n\n# Running:\n\n1 runs, 1 assertions, 1 failures, 0 errors, 0 skips\n",
                "minitest",
            ),
            (
                "PHPUnit 9.6.7 by Sebastian Bergmann and contributors.\n",
                "phpunit",
            ),
            (
                "a.bats\n ✗ x\n   (in test file a.bats, line 1)\n\n1 test, 1 failure\n",
                "bats",
            ),
            (
                "t/a.t .. ok\nAll tests successful.\nFiles=1, Tests=1,  0 wallclock secs\nResult: PASS\n",
                "prove",
            ),
            (
                "F\n======\nFAIL: test_a (m.C.test_a)\n------\nRan 1 test in 0.000s\n\nFAILED (failures=1)\n",
                "unittest",
            ),
            (
                "<?xml version=\"1.0\"?>\n<testsuites><testsuite name=\"x\"></testsuite></testsuites>",
                "junit",
            ),
            (
                "[ERROR] Tests run: 1, Failures: 1, Errors: 0, Skipped: 0\n[INFO] BUILD FAILURE\n",
                "junit",
            ),
            ("a.c:3:5: error: expected ';'\n", "generic"),
            ("", "generic"),
        ] {
            assert_eq!(of(text).as_str(), expected, "{text}");
        }
    }

    #[test]
    fn documents_are_known_by_their_cases() {
        let file =
            |name: &str, text: &str| (Owned::File(name.to_owned()), text.as_bytes().to_vec());
        let ctest = "<?xml version=\"1.0\"?>\n<testsuite name=\"(empty)\" tests=\"1\" failures=\"1\">\n<testcase name=\"u\" classname=\"u\" status=\"fail\">\n<failure message=\"\"/>\n<system-out>[==========] Running 1 test from 1 test suite.\n[ RUN      ] A.B\n[==========] 1 test from 1 test suite ran.\n</system-out></testcase></testsuite>";
        let pytest = "\u{feff}<testsuites><testsuite name=\"pytest\"><testcase classname=\"t\" name=\"test_a\"/></testsuite></testsuites>";
        let node = "<testsuites>\n<testcase name=\"top\" classname=\"test\"/>\n<!-- duration_ms 1 -->\n</testsuites>";
        for (text, format) in [
            (ctest, Format::Ctest),
            (pytest, Format::Pytest),
            (node, Format::NodeTest),
        ] {
            assert_eq!(recognise(&[file("r.xml", text)]), format);
        }
        assert_eq!(
            recognise(&[file("a.xml", pytest), file("b.xml", node)]),
            Format::Junit
        );
    }

    #[test]
    fn a_red_part_that_is_not_read_makes_no_green() {
        const CARGO: &str = "running 1 test\ntest a ... ok\n\ntest result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n\n";
        let go = "--- FAIL: TestA (0.00s)\n    a_test.go:6: bad\nFAIL\nFAIL\texample.com/a\t0.002s\nFAIL\n";
        let read = |more: &str| {
            let log = format!("{CARGO}{more}");
            crate::parse(&crate::Input::log(Format::Auto, log.as_bytes()))
        };
        assert!(read("").is_green());
        for more in [
            go,
            "a.c:1:2: error: expected ';'\nmake: *** [Makefile:2: all] Error 1\n",
            "##[error]Process completed with exit code 1.\n",
            "1..2\nok 1 a\nnot ok 2 b\n",
        ] {
            assert!(!read(more).is_green(), "{more}");
        }
    }

    #[test]
    fn what_tests_print_does_not_outweigh_the_run_around_it() {
        let log = "============================= test session starts ==============================\n\
            test result: ok. 2 passed; 0 failed; 0 ignored\nTAP version 13\nok 1 - a\nnot ok 2\n\
            --- FAIL: TestGhost (0.00s)\n\
            ========================= 1 failed, 1 passed in 0.02s ==========================\n";
        assert_eq!(of(log), Format::Pytest);
    }
}
