//! Goroutine traces, as the runtime and the race detector print them.

use crate::go::frame;

/// More frames than this are not read of one goroutine.
const MOST_FRAMES: usize = 200;
/// More goroutines than this are not read.
const MOST_GOROUTINES: usize = 2000;

/// One call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Call {
    /// The function with its package, without arguments.
    pub function: String,
    /// The file, as it was printed.
    pub file: String,
    /// The line.
    pub line: u32,
}

/// One goroutine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Goroutine {
    /// `running`, `chan receive`, …
    pub state: String,
    /// Innermost first.
    pub calls: Vec<Call>,
    /// Who started it.
    pub created_by: Option<Call>,
}

/// Reads the goroutines below a crash's heading.
pub(crate) fn goroutines<'a>(lines: impl IntoIterator<Item = &'a str>) -> Vec<Goroutine> {
    let mut found: Vec<Goroutine> = Vec::new();
    let mut function: Option<(&str, bool)> = None;
    for line in lines {
        if let Some(state) = heading(line) {
            if found.len() >= MOST_GOROUTINES {
                break;
            }
            found.push(Goroutine {
                state: state.to_owned(),
                ..Goroutine::default()
            });
            function = None;
            continue;
        }
        let Some(goroutine) = found.last_mut() else {
            continue;
        };
        if let (Some((name, creator)), Some((file, number))) = (function, place(line)) {
            let call = Call {
                function: name.to_owned(),
                file: file.to_owned(),
                line: number,
            };
            if creator {
                goroutine.created_by = Some(call);
            } else if goroutine.calls.len() < MOST_FRAMES {
                goroutine.calls.push(call);
            }
            function = None;
        } else {
            function = called(line);
        }
    }
    found
}

/// `goroutine 7 [running]:`
pub(crate) fn heading(line: &str) -> Option<&str> {
    let rest = line.strip_prefix("goroutine ")?;
    let (number, rest) = rest.split_once(' ')?;
    let digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    let at = rest.find('[')?;
    let state = rest[at + 1..].strip_suffix("]:")?;
    digits.then_some(state)
}

/// `\t/p/a_test.go:12 +0x1d`, or with blanks as the race detector has it.
pub(crate) fn place(line: &str) -> Option<(&str, u32)> {
    let bare = line.strip_prefix('\t').or(line.strip_prefix("      "))?;
    let (file, rest) = bare.rsplit_once(':')?;
    let number = rest.split(' ').next()?.parse().ok()?;
    (!file.is_empty() && !file.starts_with([' ', '\t'])).then_some((file, number))
}

/// `example.com/p.TestA(0x0?)`, `created by testing.(*T).Run in goroutine 1`.
fn called(line: &str) -> Option<(&str, bool)> {
    if line.starts_with([' ', '\t']) {
        return None;
    }
    if let Some(rest) = line.strip_prefix("created by ") {
        let name = rest
            .split_once(" in goroutine ")
            .map_or(rest, |(name, _)| name);
        return Some((name, true));
    }
    Some((without_arguments(line)?, false))
}

/// A call without the arguments in its last brackets.
pub(crate) fn without_arguments(line: &str) -> Option<&str> {
    let inner = line.trim_end().strip_suffix(')')?;
    let mut depth = 1usize;
    for (at, c) in inner.char_indices().rev() {
        match c {
            ')' => depth += 1,
            '(' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return (at > 0).then(|| &inner[..at]);
        }
    }
    None
}

impl Call {
    /// The package's import path; `%2e` in its last part is a dot.
    pub fn package(&self) -> String {
        let slash = self.function.rfind('/').map_or(0, |at| at + 1);
        let dot = self.function[slash..]
            .find('.')
            .map_or(self.function.len(), |at| slash + at);
        self.function[..dot].replace("%2e", ".")
    }

    /// The function's name without its package.
    pub fn name(&self) -> &str {
        let slash = self.function.rfind('/').map_or(0, |at| at + 1);
        let dot = self.function[slash..].find('.');
        dot.map_or("", |at| &self.function[slash + at + 1..])
    }

    /// The test function in whose body (or closure) this is.
    pub fn test(&self) -> Option<&str> {
        let first = self.name().split('.').next()?;
        let first = first.split('[').next()?;
        (frame::is_test(first) && first != "TestMain").then_some(first)
    }

    /// Whether it belongs to Go itself.
    pub fn is_go(&self) -> bool {
        let package = self.package();
        if package.is_empty()
            || self.function.starts_with("main.main") && self.file == "_testmain.go"
        {
            return true;
        }
        let directory = self
            .file
            .rsplit_once('/')
            .map_or("", |(directory, _)| directory);
        let in_goroot = directory.ends_with(&format!("/src/{package}"))
            || directory.contains("/src/runtime")
            || directory == package;
        let dotless = !package.split('/').next().unwrap_or("").contains('.');
        dotless && in_goroot && (KNOWN.contains(&package.split('/').next().unwrap_or("")))
    }
}

/// The first words of the standard library's import paths.
const KNOWN: [&str; 46] = [
    "archive",
    "bufio",
    "builtin",
    "bytes",
    "cmp",
    "compress",
    "container",
    "context",
    "crypto",
    "database",
    "debug",
    "embed",
    "encoding",
    "errors",
    "expvar",
    "flag",
    "fmt",
    "go",
    "hash",
    "html",
    "image",
    "index",
    "internal",
    "io",
    "iter",
    "log",
    "maps",
    "math",
    "mime",
    "net",
    "os",
    "path",
    "plugin",
    "reflect",
    "regexp",
    "runtime",
    "slices",
    "sort",
    "strconv",
    "strings",
    "sync",
    "syscall",
    "testing",
    "text",
    "time",
    "unicode",
];

impl Goroutine {
    /// The test function that this goroutine runs, if testing started it for one.
    pub fn runs(&self) -> Option<&str> {
        let bottom = self
            .calls
            .iter()
            .rposition(|call| call.function == "testing.tRunner")?;
        self.calls[..bottom].iter().rev().find_map(Call::test)
    }

    /// The test function that it has anything to do with.
    pub fn test(&self) -> Option<&str> {
        let own = self
            .runs()
            .or_else(|| self.calls.iter().rev().find_map(Call::test));
        own.or_else(|| self.created_by.as_ref().and_then(Call::test))
    }

    /// Whether it only waits: for subtests, or for its turn.
    pub fn waits(&self) -> bool {
        self.calls.iter().any(|call| {
            matches!(
                call.function.as_str(),
                "testing.(*T).Run" | "testing.(*T).Parallel" | "testing.(*F).Fuzz"
            ) || call.function == "testing.tRunner.func1"
        })
    }

    /// The calls from where the panic began, without what testing and the runtime added.
    pub fn panicked(&self) -> &[Call] {
        let start = self.calls.iter().rposition(|call| {
            matches!(
                call.function.as_str(),
                "panic" | "runtime.gopanic" | "runtime.Goexit"
            )
        });
        &self.calls[start.map_or(0, |at| at + 1)..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "goroutine 19 [running]:
testing.tRunner.func1.2({0x5031a0, 0x5518a8})
\t/usr/lib/go-1.19/src/testing/testing.go:1396 +0x24e
panic({0x5031a0, 0x5518a8})
\t/usr/lib/go-1.19/src/runtime/panic.go:884 +0x212
example.com/p%2ev2.must(...)
\t/p/in_test.go:7
example.com/p%2ev2.(*T[...]).TestPanics(0x0?)
\t/p/in_test.go:15 +0x5a
example.com/p%2ev2.TestPanics.func1({0x1, 0x2})
\t/p/in_test.go:25 +0x5a
testing.tRunner(0xc0000989c0, 0x52f348)
\t/usr/lib/go-1.19/src/testing/testing.go:1446 +0x10b
created by testing.(*T).Run in goroutine 1
\t/usr/lib/go-1.19/src/testing/testing.go:1493 +0x35f
";

    #[test]
    fn a_trace_is_read() {
        let found = goroutines(TRACE.lines());
        assert_eq!(found.len(), 1);
        let calls = found[0].panicked();
        assert_eq!(calls[0].package(), "example.com/p.v2");
        assert_eq!((calls[0].name(), calls[0].line), ("must", 7));
        assert_eq!(found[0].runs(), Some("TestPanics"));
        assert!(found[0].calls[0].is_go() && !calls[0].is_go());
        let created = found[0]
            .created_by
            .as_ref()
            .map(|call| call.function.as_str());
        assert_eq!(created, Some("testing.(*T).Run"));
    }

    #[test]
    fn the_states_are_named() {
        assert_eq!(
            heading("goroutine 1 [chan receive, 2 minutes]:"),
            Some("chan receive, 2 minutes")
        );
        assert_eq!(
            heading("goroutine 7 gp=0xc000 m=0 mp=0x1 [running]:"),
            Some("running")
        );
        assert_eq!(heading("goroutine x [running]:"), None);
    }
}
