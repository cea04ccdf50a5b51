//! What ends a test binary before its last word: panics, the runtime's fatal errors, signals,
//! the framework's own time-out.

use crate::go::clip::Clip;
use crate::go::frame;
use crate::go::trace;
use crate::go::trace::Goroutine;
use crate::report::FailureKind;

/// The most that is kept of each end of a crash's text.
const KEPT: usize = 192 * 1024;

/// The text of a crash, while it comes in.
#[derive(Debug, Clone)]
pub(crate) struct Crash {
    /// What was printed from its first line on.
    pub text: Clip,
    /// The test whose `--- FAIL` stands right above it.
    pub after: Option<usize>,
}

/// What a crash says.
#[derive(Debug, Clone)]
pub(crate) struct Said {
    /// What kind of end it is.
    pub kind: FailureKind,
    /// One line.
    pub message: String,
    /// The tests that `running tests:` lists, parents included.
    pub running: Vec<String>,
    /// The goroutines, the culprit first.
    pub goroutines: Vec<Goroutine>,
    /// The whole text.
    pub text: String,
}

impl Crash {
    /// Begins with a line that [`begins`] knows.
    pub fn new(line: &str, after: Option<usize>) -> Self {
        let mut text = Clip::of(KEPT);
        text.push(line);
        Crash { text, after }
    }

    /// Reads what came.
    pub fn read(&self) -> Said {
        let lines = self.text.lines();
        let goroutines = trace::goroutines(lines.iter().copied());
        let killed = lines.iter().any(|line| line.starts_with("*** Test killed"));
        let (kind, message) = headline(&lines, killed);
        Said {
            kind,
            message,
            running: running(&lines),
            goroutines,
            text: lines.join("\n"),
        }
    }
}

/// Whether a line can begin a crash.
pub(crate) fn begins(line: &str) -> bool {
    const STARTS: [&str; 8] = [
        "panic: ",
        "fatal error: ",
        "runtime: goroutine stack exceeds",
        "runtime: out of memory",
        "unexpected fault address",
        "*** Test killed",
        "runtime/cgo: ",
        "panic during panic",
    ];
    match line.as_bytes().first() {
        Some(b'S') => signal(line).is_some(),
        Some(b'p' | b'f' | b'r' | b'u' | b'*') => {
            STARTS.iter().any(|start| line.starts_with(start))
        }
        _ => false,
    }
}

/// `SIGABRT: abort`.
fn signal(line: &str) -> Option<&str> {
    let (name, what) = line.split_once(": ")?;
    let rest = name.strip_prefix("SIG")?;
    let capitals = !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_uppercase());
    let known = [
        "abort",
        "quit",
        "segmentation",
        "bus error",
        "floating",
        "illegal",
        "trace",
    ];
    (capitals && known.iter().any(|word| what.starts_with(word))).then_some(name)
}

fn headline(lines: &[&str], killed: bool) -> (FailureKind, String) {
    if killed {
        let line = lines
            .iter()
            .find(|line| line.starts_with("*** Test killed"));
        let message = line.map_or("", |line| line.trim_start_matches("*** "));
        return (FailureKind::Timeout, message.to_owned());
    }
    let fatal = lines
        .iter()
        .find_map(|line| line.strip_prefix("fatal error: "));
    let first = lines.first().copied().unwrap_or("");
    if let Some(message) = fatal.filter(|_| !first.starts_with("panic: ")) {
        return (FailureKind::Crash, format!("fatal error: {message}"));
    }
    let Some(message) = first.strip_prefix("panic: ") else {
        return (FailureKind::Crash, first.to_owned());
    };
    if message.starts_with("test timed out after ") {
        return (FailureKind::Timeout, message.trim_end().to_owned());
    }
    (
        FailureKind::Panic,
        format!("panic: {}", panicked(lines, message)),
    )
}

/// The panic's value in one line: the lines down to the trace, without the repetition.
fn panicked(lines: &[&str], first: &str) -> String {
    let bare = |line: &str| -> (String, bool) {
        for end in [" [recovered, repanicked]", " [recovered]"] {
            if let Some(rest) = line.strip_suffix(end) {
                return (rest.trim().to_owned(), true);
            }
        }
        (line.trim().to_owned(), false)
    };
    let (mut value, mut whole) = bare(first);
    for line in &lines[1..] {
        let stop = line.is_empty()
            || line.starts_with("[signal ")
            || line.starts_with("\tpanic: ")
            || line.starts_with("panic: ")
            || trace::heading(line).is_some();
        if whole || stop || value.len() > 2000 {
            break;
        }
        let (more, end) = bare(line);
        whole = end;
        value.push(' ');
        value.push_str(&more);
    }
    value.trim().to_owned()
}

/// The list below `running tests:` (Go 1.20 and later).
fn running(lines: &[&str]) -> Vec<String> {
    let Some(at) = lines
        .iter()
        .take(40)
        .position(|line| line.trim() == "running tests:")
    else {
        return Vec::new();
    };
    let listed = lines[at + 1..].iter().map_while(|line| {
        let bare = line.strip_prefix('\t')?.trim_start();
        let (name, _) = bare.rsplit_once(" (")?;
        frame::is_test(name).then(|| name.to_owned())
    });
    listed.take(1000).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Said {
        let mut lines = text.lines();
        let mut crash = Crash::new(lines.next().unwrap_or(""), None);
        lines.for_each(|line| crash.text.push(line));
        crash.read()
    }

    #[test]
    fn the_value_of_a_panic_is_one_line() {
        let said = read(
            "panic: it must\nnot be false [recovered]\n\tpanic: it must\nnot be false\n\ngoroutine 1 [running]:\n",
        );
        assert_eq!(
            (said.kind, said.message.as_str()),
            (FailureKind::Panic, "panic: it must not be false")
        );
        let said = read("panic: boom [recovered, repanicked]\n\ngoroutine 1 [running]:\n");
        assert_eq!(said.message, "panic: boom");
    }

    #[test]
    fn a_time_out_lists_who_was_running() {
        let said = read(
            "panic: test timed out after 1s\n\trunning tests:\n\t\tTestTop (1s)\n\t\tTestTop/slow (1s)\n\ngoroutine 5 [running]:\n",
        );
        assert_eq!(said.kind, FailureKind::Timeout);
        assert_eq!(said.running, ["TestTop", "TestTop/slow"]);
        let old = read(
            "panic: test timed out after 1s\nrunning tests:\n\tTestTop (1s)\n\ngoroutine 5 [running]:\n",
        );
        assert_eq!(old.running, ["TestTop"]);
    }

    #[test]
    fn what_begins_a_crash() {
        for line in [
            "panic: x",
            "fatal error: concurrent map writes",
            "SIGABRT: abort",
            "SIGQUIT: quit",
        ] {
            assert!(begins(line), "{line}");
        }
        for line in ["panics: x", "SIGNAL: x", "SIGABRT", "fatal: x", " panic: x"] {
            assert!(!begins(line), "{line}");
        }
    }
}
