//! Finds the runs of test frameworks in the output of a command that is none: `make test`, a
//! script. There may be several, one after the other, with compilers and linters between.
//!
//! A framework is believed only by lines that are its own, the last one of a run above all. What
//! one prints while another one's run goes on is printed by a test, and no run.

mod call;
mod fold;
mod mark;

use crate::auto::Owned;
use crate::context::Context;
use crate::lines::Lines;
use crate::live::End;
use crate::live::Format;
use crate::live::Live;
use crate::live::Stream;
use crate::mixed::fold::Fold;
pub(crate) use crate::mixed::fold::Stretch;
use crate::report::Exit;
use crate::report::Report;

/// Lines longer than this open and close nothing.
const LONGEST: usize = 4096;

/// Watches the streams of a command for runs.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    streams: Vec<(Owned, Lines, u64, Fold)>,
}

impl Watch {
    /// Takes more bytes of one stream.
    pub fn feed(&mut self, stream: Stream<'_>, bytes: &[u8]) {
        if matches!(stream, Stream::File(_)) {
            return;
        }
        let owned = Owned::of(stream);
        let known = self.streams.iter().position(|(name, ..)| *name == owned);
        let at = known.unwrap_or_else(|| {
            let new = (owned, Lines::default(), 0, Fold::default());
            self.streams.push(new);
            self.streams.len() - 1
        });
        let (_, lines, place, fold) = &mut self.streams[at];
        lines.each(bytes, |seen| {
            let from = *place;
            *place += seen.length;
            look(&seen, from, fold);
        });
    }

    /// The streams end: so do their last lines.
    pub fn end(&mut self) {
        for (_, lines, place, fold) in &mut self.streams {
            if let Some(line) = lines.finish() {
                look(&line.seen(), *place, fold);
                *place += line.length;
            }
        }
    }

    /// Whether anything speaks of a framework.
    pub fn is_empty(&self) -> bool {
        self.streams.iter().all(|(.., fold)| fold.is_empty())
    }

    /// The runs of each stream.
    pub fn runs(&self) -> Vec<(Owned, Vec<Stretch>)> {
        let each = self.streams.iter();
        each.map(|(name, _, _, fold)| (name.clone(), fold.runs()))
            .collect()
    }

    /// Forgets what lies before a place of a stream.
    pub fn forget(&mut self, stream: &Owned, before: u64) {
        for (_, _, _, fold) in self.streams.iter_mut().filter(|(name, ..)| name == stream) {
            fold.forget(before);
        }
    }
}

fn look(seen: &crate::lines::Seen<'_>, from: u64, fold: &mut Fold) {
    if seen.bytes.len() > LONGEST {
        return;
    }
    if call::may_call(seen.bytes)
        && let Some(format) = call::call(&seen.shown())
    {
        fold.call(format, from);
        return;
    }
    if !may_mark(seen.bytes) {
        return;
    }
    if let Some(mark) = mark::mark(&seen.shown()) {
        fold.take(mark, from, from + seen.length);
    }
}

/// Whether a line may be one that a framework prints; cheap: by its first characters.
fn may_mark(line: &[u8]) -> bool {
    let blanks = line.iter().take_while(|byte| **byte == b' ').count();
    let Some(first) = line.get(blanks) else {
        return false;
    };
    let next = line.get(blanks + 1).copied().unwrap_or(b'\n');
    match first {
        b'=' => next == b'=',
        b'[' => matches!(next, b'=' | b' ' | b'E' | b'I' | 0x1b),
        b'J' => next == b'U',
        b'-' => next == b'-',
        b'#' => next == b' ',
        b'{' => next == b'"',
        b't' => matches!(next, b'e' | b'/'),
        b'r' => matches!(next, b'u' | b's'),
        b'e' => line.starts_with(b"error: "),
        b'n' => matches!(next, b'o'),
        b'o' => next == b'k',
        b'O' => next == b'K',
        b'?' => next == b' ',
        b'S' => matches!(next, b'n' | b't' | b'u'),
        b'T' => matches!(next, b'e' | b'A' | b'i' | b'o' | b'h'),
        b'R' => matches!(next, b'a' | b'u' | b'e' | b'U'),
        b'D' => matches!(next, b'o' | b'u' | b'O'),
        b'N' => next == b'e',
        b'E' => matches!(next, b'R' | b'r'),
        b'P' | b'F' => true,
        b'0'..=b'9' | b'.' | 0x1b | 0x80.. => true,
        _ => false,
    }
}

/// Where one stream is cut: from which place on it is whose.
#[derive(Debug, Default)]
pub(crate) struct Cuts {
    /// Format and the place up to which it is read by that.
    parts: Vec<(Format, u64)>,
}

impl Cuts {
    /// What comes before a run belongs to it (a build), what comes after the last one to that.
    pub fn of(runs: &[Stretch]) -> Self {
        let mut parts: Vec<(Format, u64)> = Vec::new();
        for (at, run) in runs.iter().enumerate() {
            let last = at + 1 == runs.len();
            parts.push((run.format, if last { u64::MAX } else { run.to }));
        }
        Cuts { parts }
    }

    /// Cuts bytes that begin at a place into the pieces of each.
    pub fn each(&self, from: u64, mut bytes: &[u8], mut give: impl FnMut(Format, &[u8])) {
        let mut at = from;
        for (format, to) in &self.parts {
            if bytes.is_empty() {
                return;
            }
            let room = usize::try_from(to.saturating_sub(at)).unwrap_or(usize::MAX);
            let (piece, rest) = bytes.split_at(room.min(bytes.len()));
            if !piece.is_empty() {
                give(*format, piece);
            }
            at += piece.len() as u64;
            bytes = rest;
        }
    }
}

/// The readers of the frameworks that were found.
#[derive(Debug)]
pub(crate) struct Readers(Vec<(Format, Live)>);

impl Readers {
    /// One for each.
    pub fn new(formats: &[Format], context: &Context) -> Self {
        let open = |format: &Format| {
            let own = Context {
                command: tool(*format, &context.command),
                ..context.clone()
            };
            (*format, Live::new(*format, own))
        };
        Readers(formats.iter().map(open).collect())
    }

    /// Gives bytes to one of them, as those of a log: nobody has asked it for structure, so none
    /// can be missing.
    pub fn feed(&mut self, format: Format, stream: Stream<'_>, bytes: &[u8]) {
        let reader = self.0.iter_mut().find(|(own, _)| *own == format);
        let stream = match stream {
            Stream::Stdout | Stream::Stderr => Stream::Log,
            other => other,
        };
        if let Some((_, live)) = reader {
            live.feed(stream, bytes);
        }
    }

    /// The last one: what comes later is its.
    pub fn last(&self) -> Option<Format> {
        self.0.last().map(|(format, _)| *format)
    }

    /// Their reports. Only the last one may have ended as the command did, and what make exits
    /// with is not what pytest means by it.
    pub fn finish(self, end: &End, code: Option<i32>) -> Vec<Report> {
        let count = self.0.len();
        let own = end.exit.map(|exit| match exit.code {
            Some(0) | None => exit,
            Some(_) => Exit { code, ..exit },
        });
        let own = own.filter(|exit| *exit != Exit::default());
        let each = self.0.into_iter().enumerate();
        each.map(|(at, (_, live))| {
            let last = at + 1 == count;
            live.finish(End {
                exit: own.filter(|exit| last || exit.success()),
                interrupted: end.interrupted && last,
            })
        })
        .collect()
    }
}

/// What starts the framework itself, if the command does so: make and scripts do not.
fn tool(format: Format, command: &[String]) -> Vec<String> {
    let program = command
        .first()
        .map_or("", |word| word.rsplit('/').next().unwrap_or(word));
    let wrappers = [
        "make", "gmake", "just", "task", "sh", "bash", "zsh", "dash", "env", "tox", "nox", "ninja",
        "invoke", "rake", "ant", "bazel", "script", "nix", "meson",
    ];
    let wraps = wrappers.contains(&program) || program.ends_with(".sh");
    if wraps || command.first().is_some_and(|word| word.starts_with("./")) {
        return Vec::new();
    }
    crate::live::tool(format, command)
}
