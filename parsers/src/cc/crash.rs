//! What a C or C++ program says when it dies: failed assertions of the library, uncaught
//! exceptions, the sanitizers' reports with their stacks, the allocator's complaints.

use crate::cc::place;
use crate::context::Context;
use crate::report::Failure;
use crate::report::Frame;
use crate::report::Location;
use crate::text;
use regex::Regex;
use std::sync::LazyLock;

/// More frames than this are not kept.
const MOST_FRAMES: usize = 60;

/// What every such line has: a cheap look before the others.
static SIGNS: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"Sanitizer|runtime error: |Assertion |terminate called |libc\+\+abi|pure virtual method|Check failed: |\*\*\* |free\(\)|double free|munmap_chunk|malloc|realloc|corrupted size|Segmentation fault|Aborted|Bus error|Illegal instruction|Floating point exception",
    )
    .expect("a constant pattern")
});

/// Why a program died, as it says itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Words {
    /// One line.
    pub message: String,
    /// Where, if it says so.
    pub location: Option<Location>,
    /// The stack, innermost first.
    pub frames: Vec<Frame>,
    /// A sanitizer found it: the status alone would not say that it was a crash.
    pub sanitizer: bool,
    /// The program goes on after it, if it is not told otherwise.
    pub harmless: bool,
}

impl Words {
    /// Puts the place and the stack into a failure that has none.
    pub fn place(&self, failure: &mut Failure) {
        if failure.location.is_none() {
            failure.location.clone_from(&self.location);
        }
        if failure.frames.is_empty() {
            failure.frames.clone_from(&self.frames);
        }
    }
}

/// The first thing in a text that says why its program died; a sanitizer's report says the
/// most, a remark that lets the program go on the least.
pub(crate) fn words(text: &str, context: &Context) -> Option<Words> {
    if !SIGNS.is_match(text) {
        return None;
    }
    let lines: Vec<&str> = text.lines().collect();
    let mut found: Option<Words> = None;
    for (at, line) in lines.iter().enumerate() {
        if !SIGNS.is_match(line) {
            continue;
        }
        let words = sanitizer(line, &lines[at + 1..], context)
            .or_else(|| undefined(line, &lines[at + 1..], context))
            .or_else(|| assertion(line, context))
            .or_else(|| terminate(line, &lines[at + 1..]))
            .or_else(|| checked(line, context))
            .or_else(|| complaint(line));
        let Some(words) = words else {
            continue;
        };
        let better = match &found {
            None => true,
            Some(known) => known.harmless && !words.harmless,
        };
        if better {
            let done = !words.harmless;
            found = Some(words);
            if done {
                break;
            }
        }
    }
    found
}

/// `==123==ERROR: AddressSanitizer: heap-use-after-free on address …`.
fn sanitizer(line: &str, below: &[&str], context: &Context) -> Option<Words> {
    let at = ["ERROR: ", "WARNING: "].iter().find_map(|word| {
        let at = line.find(word)? + word.len();
        let rest = &line[at..];
        let name = rest.split(':').next().unwrap_or("");
        (name.ends_with("Sanitizer") && !name.contains(' ')).then_some(at)
    })?;
    let message = line[at..].trim();
    // The addresses change from run to run; what matters stands before them.
    let message = message.split(" at pc 0x").next().unwrap_or(message);
    let message = message.split(" (pc 0x").next().unwrap_or(message);
    let message = message.split(" (pid=").next().unwrap_or(message);
    let frames = stack(below, context);
    Some(Words {
        message: text::one_line(message),
        location: innermost(&frames),
        frames,
        sanitizer: true,
        harmless: false,
    })
}

/// `/p/a.cc:3:5: runtime error: signed integer overflow: …`.
fn undefined(line: &str, below: &[&str], context: &Context) -> Option<Words> {
    let (file, number, column, rest) = place::split(line)?;
    let message = rest.trim_start().strip_prefix("runtime error: ")?;
    let mut frames = Vec::new();
    if below
        .first()
        .is_some_and(|line| line.trim_start().starts_with("#0 "))
    {
        frames = stack(below, context);
    }
    Some(Words {
        message: format!("runtime error: {}", text::one_line(message)),
        location: user_place(file, number, column, context).or_else(|| innermost(&frames)),
        frames,
        sanitizer: true,
        harmless: true,
    })
}

/// `prog: a.cc:15: int f(): Assertion `x == 4' failed.`, and how other libraries put it.
fn assertion(line: &str, context: &Context) -> Option<Words> {
    if let Some(rest) = line.strip_prefix("Assertion failed: ") {
        return Some(Words {
            message: text::one_line(line),
            location: elsewhere(rest, context),
            ..Words::default()
        });
    }
    let end = line.trim_end().strip_suffix(" failed.")?;
    let at = end.find(": Assertion ")?;
    let before = &line[..at];
    // The program's name stands before the place, except in libstdc++'s own checks.
    let place = before
        .split_once(": ")
        .filter(|(program, _)| place::split(&format!("{program}:")).is_none())
        .map_or(before, |(_, place)| place);
    let location = place::split(place)
        .and_then(|(file, number, column, _)| user_place(file.trim(), number, column, context));
    Some(Words {
        message: text::one_line(line[at + 2..].trim()),
        location,
        ..Words::default()
    })
}

/// `(x == 4), function f, file a.c, line 5.` and `x == 4 (a.c: f: 5)`.
fn elsewhere(rest: &str, context: &Context) -> Option<Location> {
    if let Some((_, place)) = rest.split_once(", file ") {
        let (file, number) = place.split_once(", line ")?;
        let (number, _) = place::digits(number);
        return user_place(file, number?, None, context);
    }
    let place = rest.trim_end().strip_suffix(')')?.rsplit_once(" (")?.1;
    let file = place.split(": ").next()?;
    let (number, _) = place::digits(place.rsplit(": ").next()?);
    user_place(file, number?, None, context)
}

/// `terminate called after throwing an instance of 'std::runtime_error'`, `  what():  boom`.
fn terminate(line: &str, below: &[&str]) -> Option<Words> {
    let plain = line.starts_with("terminate called ")
        || line.starts_with("libc++abi: ")
        || line.starts_with("libc++abi.dylib: ")
        || line.starts_with("pure virtual method called");
    if !plain {
        return None;
    }
    let what = below
        .iter()
        .take(2)
        .find_map(|line| line.trim_start().strip_prefix("what():"));
    let message = match what {
        Some(what) => format!("{}: {}", line.trim_end(), what.trim()),
        None => line.trim_end().to_owned(),
    };
    Some(Words {
        message: text::one_line(&message),
        ..Words::default()
    })
}

/// glog's and abseil's `F0102 03:04:05.6 7 a.cc:12] Check failed: x`.
fn checked(line: &str, context: &Context) -> Option<Words> {
    let (before, message) = line.split_once("] Check failed: ")?;
    let place = before.rsplit(' ').next()?;
    let place = format!("{place}:");
    let location = place::split(&place)
        .and_then(|(file, number, column, _)| user_place(file, number, column, context));
    Some(Words {
        message: text::one_line(&format!("Check failed: {message}")),
        location,
        ..Words::default()
    })
}

/// What the C library and shells say.
fn complaint(line: &str) -> Option<Words> {
    let bare = line.trim();
    let starts = [
        "*** stack smashing detected ***",
        "*** buffer overflow detected ***",
        "double free or corruption",
        "free(): ",
        "munmap_chunk(): ",
        "malloc(): ",
        "realloc(): ",
        "corrupted size vs. prev_size",
        "malloc_consolidate(): ",
    ];
    let shell = [
        "Segmentation fault",
        "Aborted",
        "Bus error",
        "Illegal instruction",
        "Floating point exception",
    ];
    let dumped = shell.iter().any(|word| {
        bare.strip_prefix(word)
            .is_some_and(|rest| matches!(rest, "" | " (core dumped)"))
    });
    let found = starts.iter().any(|start| bare.starts_with(start)) || dumped;
    found.then(|| Words {
        message: text::one_line(bare),
        ..Words::default()
    })
}

/// The frames `#0 0x… in f /p/a.cc:10:3`, as far as they are in one piece.
fn stack(lines: &[&str], context: &Context) -> Vec<Frame> {
    let mut frames = Vec::new();
    for line in lines.iter().take(200) {
        let bare = line.trim_start();
        let is_frame = bare.starts_with('#') && bare[1..].starts_with(|c: char| c.is_ascii_digit());
        if !is_frame {
            if frames.is_empty() {
                continue;
            }
            break;
        }
        if frames.len() < MOST_FRAMES
            && let Some(frame) = frame(bare, context)
        {
            frames.push(frame);
        }
    }
    // Below the user's own code only the library and the harness are left.
    let last = frames.iter().rposition(|frame: &Frame| frame.user);
    frames.truncate(last.map_or(5, |last| last + 3));
    frames
}

fn frame(line: &str, context: &Context) -> Option<Frame> {
    let rest = match line.split_once(" in ") {
        Some((_, rest)) => rest,
        // ThreadSanitizer has no addresses.
        None => line.split_once(' ')?.1,
    };
    let (function, place) = rest.rsplit_once(' ')?;
    if place.starts_with('(') {
        return None;
    }
    let place = format!("{place}:");
    let (file, number, _, _) = place::split(&place)?;
    let file = context.relative(file);
    Some(Frame {
        user: is_own(&file, context),
        file,
        line: Some(number),
        function: Some(text::cut(function, 400)),
    })
}

/// A library's own sources are named relative to where it was built.
fn is_own(file: &str, context: &Context) -> bool {
    let foreign = [
        "libsanitizer/",
        "sysdeps/",
        "csu/",
        "googletest/src/",
        "googlemock/src/",
    ];
    context.is_user(file) && !foreign.iter().any(|part| file.contains(part))
}

fn innermost(frames: &[Frame]) -> Option<Location> {
    let frame = frames.iter().find(|frame| frame.user)?;
    Some(Location {
        file: frame.file.clone(),
        line: frame.line,
        column: None,
    })
}

fn user_place(file: &str, line: u32, column: Option<u32>, context: &Context) -> Option<Location> {
    let file = context.relative(file);
    (context.is_user(&file) && context.tree.may_hold(&file, Some(line))).then_some(Location {
        file,
        line: Some(line),
        column,
    })
}
