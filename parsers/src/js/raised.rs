//! Failures of Jest and Vitest, by the texts that they print of them: message, a piece of the
//! source, stack. Whichever form a run comes in, they are read here.

use crate::compose;
use crate::context::Context;
use crate::js::hook;
use crate::js::hook::Inside;
use crate::js::loose;
use crate::js::sides;
use crate::js::stack;
use crate::js::stack::Place;
use crate::js::thrown;
use crate::js::thrown::Thrown;
use crate::report::Failure;
use crate::report::FailureKind;
use crate::report::Frame;
use crate::report::Location;
use crate::report::Phase;
use crate::text;

/// A longer stack than this is cut.
const MOST_FRAMES: usize = 40;

/// Something that failed, as it is printed.
#[derive(Debug, Clone, Default)]
pub(crate) struct Raised<'a> {
    /// The file, relative to the project's root.
    pub file: &'a str,
    /// The titles; empty where it is the file that failed.
    pub path: &'a [String],
    /// The framework's text, cleaned and without indentation.
    pub text: &'a str,
    /// It is known that a matcher said so.
    pub matcher: bool,
    /// Both sides in whole, where they are known besides.
    pub whole: Option<(Option<String>, Option<String>)>,
    /// Tests of the file have run: it could be loaded.
    pub ran: bool,
    /// The suite is what failed, not one test.
    pub suite: bool,
    /// The text is Jest's for people, which shows the source wherever it can be read.
    pub printed: bool,
}

/// The failure, without rerun and fingerprint.
pub(crate) fn failure(raised: &Raised<'_>, context: &Context) -> Failure {
    let parts = Parts::of(raised.text);
    let message = parts.message();
    let thrown = Thrown::head(&message);
    let places = parts.places(context);
    let alone = raised.path.is_empty();
    let id = match alone {
        true => raised.file.to_owned(),
        false => raised.path.join(" > "),
    };
    let mut failure = compose::failure(id, FailureKind::Panic, Phase::Call, "");
    failure.target = (!alone && !raised.file.is_empty()).then(|| raised.file.to_owned());
    frames(&mut failure, &places, context);
    assertion_line(&mut failure, &message);
    marked_line(&mut failure, &parts);
    readable_line(&mut failure, raised, &parts);
    let inside = inside(&failure, &parts, &places, context);
    settle_kind(&mut failure, raised, &thrown, &places, inside);
    failure.code.clone_from(&thrown.code);
    failure.diff = match failure.kind {
        FailureKind::Timeout | FailureKind::CollectionError | FailureKind::Crash => None,
        _ => compared(raised, &message, &thrown, failure.kind),
    };
    failure.message = shown(&thrown, &failure);
    if failure.kind == FailureKind::CollectionError {
        loose::refine(&mut failure, raised, &message, context);
    }
    if failure.location.is_none() && alone && !raised.file.is_empty() {
        failure.location = Some(Location {
            file: raised.file.to_owned(),
            line: None,
            column: None,
        });
    }
    failure.details = text::block(raised.text, text::DETAILS);
    failure
}

/// The text in its parts.
pub(crate) struct Parts<'a> {
    /// What comes before source and stack.
    head: Vec<&'a str>,
    /// Number and text of the lines of source; the marked one.
    source: Vec<(u32, &'a str)>,
    marked: Option<u32>,
    /// Runs of frames.
    stacks: Vec<Vec<Place>>,
    /// How many of them come before what caused it is told.
    own: Option<usize>,
}

impl<'a> Parts<'a> {
    /// Takes a text apart.
    pub fn of(text: &'a str) -> Parts<'a> {
        let mut parts = Parts {
            head: Vec::new(),
            source: Vec::new(),
            marked: None,
            stacks: Vec::new(),
            own: None,
        };
        let mut open = false;
        let mut sources = 0;
        let mut last = 0;
        for line in text.lines() {
            if let Some(place) = frame(line) {
                if !open {
                    parts.stacks.push(Vec::new());
                }
                open = true;
                if let Some(stack) = parts.stacks.last_mut()
                    && stack.len() < MOST_FRAMES
                {
                    stack.push(place);
                }
                continue;
            }
            if let Some((number, source, marked)) = source_line(line) {
                if number < last || sources == 0 {
                    sources += 1;
                }
                last = number.max(1);
                if sources == 1 && number > 0 {
                    parts.source.push((number, source));
                    if marked {
                        parts.marked = Some(number);
                    }
                }
                continue;
            }
            if line.trim().is_empty() || !stack::is_frame(line) {
                open = false;
            }
            if is_cause(line) && !parts.stacks.is_empty() {
                parts.own.get_or_insert(parts.stacks.len());
            }
            if parts.stacks.is_empty() && parts.source.is_empty() && !stack::is_frame(line) {
                parts.head.push(line);
            }
        }
        parts
    }

    fn message(&self) -> String {
        self.head.join("\n").trim().to_owned()
    }

    /// The run of frames that is the error's own: a message may hold others before it, what
    /// caused it has others behind it.
    fn places(&self, context: &Context) -> Vec<Place> {
        let user = |places: &&Vec<Place>| {
            places
                .iter()
                .any(|place| stack::is_user(context, &thrown::relative(context, &place.file)))
        };
        let (own, others) = self.stacks.split_at(self.own.unwrap_or(self.stacks.len()));
        let found = own.iter().rfind(user).or_else(|| others.iter().find(user));
        found.or(own.last()).cloned().unwrap_or_default()
    }
}

/// What follows is told of another error.
fn is_cause(line: &str) -> bool {
    let line = line.trim_start();
    line.starts_with("Cause:")
        || line.starts_with("Caused by:")
        || line.starts_with("Errors contained in AggregateError:")
        || line.starts_with("[cause]:")
}

/// A frame as V8 writes it, or as Vitest does: ` ❯ Module.boom lib.js:3:9`.
fn frame(line: &str) -> Option<Place> {
    let bare = line.trim_start();
    if let Some(rest) = bare.strip_prefix("❯ ") {
        return vitest_frame(rest);
    }
    bare.starts_with("at ")
        .then(|| stack::place(bare))
        .flatten()
}

fn vitest_frame(rest: &str) -> Option<Place> {
    let rest = rest.trim_end();
    let (function, place) = match rest.rsplit_once(' ') {
        Some((function, place)) => (Some(function.trim_end()), place),
        None => (None, rest),
    };
    let mut place = stack::place(&format!("at {place}"))?;
    place.function = function.filter(|name| !name.is_empty()).map(str::to_owned);
    Some(place)
}

/// `> 8 | expect(1)` of Jest, `8| expect(1)` of Vitest; the line of the `^` has no number.
fn source_line(line: &str) -> Option<(u32, &str, bool)> {
    let bare = line.trim_start();
    let (marked, bare) = match bare.strip_prefix('>') {
        Some(rest) => (true, rest.trim_start()),
        None => (false, bare),
    };
    let end = bare.find(|c: char| !c.is_ascii_digit())?;
    let (number, rest) = bare.split_at(end);
    let rest = rest.strip_prefix(' ').unwrap_or(rest).strip_prefix('|')?;
    if number.is_empty() {
        let arrow = rest.trim_start().starts_with('^') && line.starts_with(' ');
        return arrow.then_some((0, rest, false));
    }
    if number.len() > 7 || !(line.starts_with(' ') || marked) {
        return None;
    }
    Some((number.parse().ok()?, rest, marked))
}

/// Gives a failure its frames and the place of the innermost one of the user's.
fn frames(failure: &mut Failure, places: &[Place], context: &Context) {
    for place in places {
        let file = thrown::relative(context, &place.file);
        let user = stack::is_user(context, &file);
        if user && failure.location.is_none() && context.tree.may_hold(&file, place.line) {
            failure.location = Some(Location {
                file: file.clone(),
                line: place.line,
                column: place.column,
            });
        }
        failure.frames.push(Frame {
            user,
            file,
            line: place.line,
            function: place.function.as_deref().map(|name| text::cut(name, 300)),
        });
    }
}

/// Jest puts the stack of what was thrown before the one of `toThrow` itself.
fn assertion_line(failure: &mut Failure, message: &str) {
    if !message.contains(".toThrow") || !message.contains("expect(") {
        return;
    }
    let own = |frame: &&Frame| {
        let function = frame.function.as_deref().unwrap_or("");
        frame.user && function.contains("toThrow")
    };
    let at = failure.frames.iter().find(own).map(|frame| Location {
        file: frame.file.clone(),
        line: frame.line,
        column: None,
    });
    let same = |at: &Location| {
        let known = failure.location.as_ref();
        known.is_some_and(|known| (&known.file, known.line) == (&at.file, at.line))
    };
    if at.as_ref().is_some_and(|at| !same(at)) {
        failure.location = at;
    }
}

/// Jest shows the source of the frame that it takes for the error's own: where a message holds
/// a stack, that tells it apart.
fn marked_line(failure: &mut Failure, parts: &Parts<'_>) {
    let Some(marked) = parts.marked else {
        return;
    };
    if failure
        .location
        .as_ref()
        .is_none_or(|at| at.line == Some(marked))
    {
        return;
    }
    let own = |frame: &&Frame| frame.user && frame.line == Some(marked);
    if let Some(frame) = failure.frames.iter().find(own)
        && failure.frames.iter().filter(|frame| frame.user).count() > 1
        && !failure
            .frames
            .iter()
            .any(|f| f.function.as_deref().is_some_and(|f| f.contains("toThrow")))
    {
        failure.location = Some(Location {
            file: frame.file.clone(),
            line: frame.line,
            column: None,
        });
    }
}

/// Where Jest shows no source, the file of the innermost frame could not be read: a message that
/// holds a stack made it up.
fn readable_line(failure: &mut Failure, raised: &Raised<'_>, parts: &Parts<'_>) {
    let shown = !parts.source.is_empty() || !raised.printed || raised.path.is_empty();
    let own = |file: &str| file == raised.file;
    if shown || failure.location.as_ref().is_none_or(|at| own(&at.file)) {
        return;
    }
    if let Some(frame) = failure.frames.iter().find(|frame| own(&frame.file)) {
        failure.location = Some(Location {
            file: frame.file.clone(),
            line: frame.line,
            column: None,
        });
    }
}

/// What the failing line stands in: by Jest's own frames, by the file, or by the lines of it
/// that are printed.
fn inside(
    failure: &Failure,
    parts: &Parts<'_>,
    places: &[Place],
    context: &Context,
) -> Option<Inside> {
    let calls = |name: &str| {
        places
            .iter()
            .any(|place| place.function.as_deref().is_some_and(|f| f.contains(name)))
    };
    if calls("_callCircusTest") {
        return Some(Inside::Test);
    }
    let outermost = failure.frames.iter().rfind(|frame| frame.user);
    let read = outermost.and_then(|frame| {
        let source = context.tree.read(&frame.file)?;
        let line = frame.line? as usize;
        hook::of(source.lines().take(line).collect::<Vec<_>>().into_iter())
    });
    if read.is_some() {
        return read;
    }
    let line = parts
        .marked
        .or_else(|| failure.location.as_ref().and_then(|at| at.line))?;
    let shown: Vec<&str> = parts
        .source
        .iter()
        .take_while(|(number, _)| *number <= line)
        .map(|(_, source)| *source)
        .collect();
    let complete = parts.source.iter().any(|(number, _)| *number == line);
    let found = complete.then(|| hook::of(shown.into_iter())).flatten();
    // That a hook calls it is sure; which one is not.
    found.or_else(|| calls("_callCircusHook").then_some(Inside::Before))
}

fn settle_kind(
    failure: &mut Failure,
    raised: &Raised<'_>,
    thrown: &Thrown,
    places: &[Place],
    inside: Option<Inside>,
) {
    let message = thrown.message.as_str();
    let phase = inside.map_or(Phase::Call, Inside::phase);
    let function = |name: &str| {
        let named = |place: &Place| place.function.as_deref().is_some_and(|f| f == name);
        places.iter().any(named)
    };
    (failure.kind, failure.kind_sure, failure.phase) = if worker_died(message) {
        let phase = Phase::Call;
        (FailureKind::Crash, true, phase)
    } else if timed_out(message) {
        let hooked = message.contains("for a hook")
            || message.starts_with("Hook timed out")
            || ["beforeEach", "beforeAll", "afterEach", "afterAll"]
                .iter()
                .any(|name| function(name));
        let after = function("afterEach") || function("afterAll");
        let phase = match (hooked, after || phase == Phase::Teardown) {
            (false, _) => Phase::Call,
            (true, true) => Phase::Teardown,
            (true, false) => Phase::Setup,
        };
        (FailureKind::Timeout, true, phase)
    } else if message.starts_with("Obsolete snapshots found") {
        (FailureKind::Assertion, true, Phase::Teardown)
    } else if raised.path.is_empty() || raised.suite {
        match phase {
            Phase::Teardown => (FailureKind::TeardownError, true, Phase::Teardown),
            Phase::Setup => (FailureKind::SetupError, true, Phase::Setup),
            // A suite in a file that was loaded fails by one of its hooks; where its tests
            // have run, by one that comes after them.
            _ if raised.ran => (FailureKind::TeardownError, true, Phase::Teardown),
            _ if raised.suite => (FailureKind::SetupError, false, Phase::Setup),
            _ => (FailureKind::CollectionError, true, Phase::Collect),
        }
    } else if passed_unexpectedly(message) {
        (FailureKind::UnexpectedPass, true, Phase::Call)
    } else if phase == Phase::Setup {
        (FailureKind::SetupError, true, phase)
    } else if phase == Phase::Teardown {
        (FailureKind::TeardownError, true, phase)
    } else if raised.matcher || asserts(thrown) || by_expect(places) {
        (FailureKind::Assertion, true, phase)
    } else if thrown.name.is_empty() && by_matcher(places) {
        (FailureKind::Assertion, false, phase)
    } else {
        // A matcher of the project's own throws a plain `Error`, too: only a whole stack tells.
        let whole = places
            .iter()
            .any(|place| place.file.contains("node_modules/"));
        let error = !thrown.name.is_empty() && (thrown.name != "Error" || whole);
        let told = error || message.starts_with("thrown: ");
        (FailureKind::Panic, told, phase)
    };
}

/// A worker of the runner died, and the file with it.
fn worker_died(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    message.contains("jest worker process")
        || message.contains("jest worker encountered")
        || message.contains("worker exited unexpectedly")
        || message.contains("worker forks emitted error")
        || message.contains("err_worker_out_of_memory")
        || message.contains("worker terminated due to reaching memory limit")
}

fn timed_out(message: &str) -> bool {
    message.starts_with("thrown: \"Exceeded timeout of ")
        || message.starts_with("Exceeded timeout of ")
        || message.starts_with("Test timed out in ")
        || message.starts_with("Hook timed out in ")
        || message == "STACK_TRACE_ERROR"
        || message.contains("Async callback was not invoked within the ")
}

fn passed_unexpectedly(message: &str) -> bool {
    message.starts_with("Failing test passed even though it was supposed to fail")
        || message.starts_with("Expect test to fail")
}

/// Whether the message is one that matchers make.
fn asserts(thrown: &Thrown) -> bool {
    let message = thrown.message.as_str();
    thrown.is_assertion()
        || message.starts_with("expect(")
        || message.starts_with("expect.")
        || message.starts_with("assert.") && message.contains("(received")
        || message.starts_with("assert(received")
        || message.starts_with("Snapshot `")
        || message.starts_with("expected number of assertions to be ")
        || message.starts_with("expected any number of assertion")
        || message.starts_with("Matcher did not succeed ")
        || message.contains("\nExpected: ") && message.contains("\nReceived: ")
        || message.contains("\n- Expected") && message.contains("\n+ Received")
}

/// The innermost frame is that of an assertion's own code.
fn by_expect(places: &[Place]) -> bool {
    let first = places.first().map_or("", |place| place.file.as_str());
    [
        "/@vitest/expect/",
        "/node_modules/chai/",
        "/@vitest/snapshot/",
    ]
    .iter()
    .any(|part| first.contains(part))
}

/// Jest names a frame by what is called there: `at Object.toBeEven (a.test.js:3:5)`.
fn by_matcher(places: &[Place]) -> bool {
    let first = places.first().and_then(|place| place.function.as_deref());
    let name = first.and_then(|name| name.rsplit('.').next()).unwrap_or("");
    name.strip_prefix("to")
        .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_uppercase()))
        && name != "toString"
}

fn compared(
    raised: &Raised<'_>,
    message: &str,
    thrown: &Thrown,
    kind: FailureKind,
) -> Option<crate::report::Diff> {
    let asserted = kind == FailureKind::Assertion || raised.matcher || asserts(thrown);
    if !asserted {
        return None;
    }
    sides::of(strip_name(message, thrown), raised.whole.clone()).or_else(|| {
        let (expected, actual) = thrown::compared(&thrown.message)?;
        thrown::diff(Some(&expected), Some(&actual))
    })
}

fn strip_name<'a>(message: &'a str, thrown: &Thrown) -> &'a str {
    message
        .find(&thrown.message)
        .map_or(message, |at| &message[at..])
}

/// One line: the message, with short sides where it has none itself.
fn shown(thrown: &Thrown, failure: &Failure) -> String {
    let mut line = thrown.line();
    let own = thrown.message.split_once("\n\nMessage:\n");
    if let Some((_, own)) = own.filter(|_| line.starts_with("assert")) {
        return text::one_line(own);
    }
    if line.ends_with('{') || line.ends_with('[') {
        let words: Vec<&str> = thrown.message.split_whitespace().take(40).collect();
        line = text::cut(&words.join(" "), 200);
    }
    if line == "STACK_TRACE_ERROR" {
        return "timed out".to_owned();
    }
    if let Some(value) = line.strip_prefix("thrown: \"") {
        line = value.trim_end_matches('"').to_owned();
    }
    let sides = failure.diff.as_ref();
    let short = |side: &Option<String>| {
        let side = side.as_deref()?;
        (side.len() < 80 && !side.contains('\n')).then(|| side.to_owned())
    };
    let both = sides.and_then(|diff| short(&diff.expected).zip(short(&diff.actual)));
    match both {
        Some((expected, actual)) if line.starts_with("expect(") => {
            format!("{line} (expected {expected}, received {actual})")
        }
        _ => line,
    }
}
