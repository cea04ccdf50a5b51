//! One line of text that `go test` itself may have written: `=== RUN`, `--- FAIL:`, `ok`, …

/// How a test ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// `--- PASS`, and `--- BENCH`.
    Pass,
    /// `--- FAIL`.
    Fail,
    /// `--- SKIP`.
    Skip,
}

/// How a package ended, as its line says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// `ok`.
    Ok,
    /// `ok … [no tests to run]`, and `?   …`.
    Nothing,
    /// `FAIL` with a time.
    Fail,
    /// `FAIL … [build failed]`.
    Build,
    /// `FAIL … [setup failed]`.
    Setup,
}

/// What a line says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Frame<'a> {
    /// A test begins.
    Run(&'a str),
    /// A parallel test waits for its turn.
    Pause(&'a str),
    /// A parallel test goes on.
    Cont(&'a str),
    /// The output below belongs to this test; also attributes and artifacts.
    Name(&'a str),
    /// A test ended.
    End {
        /// Blanks before it.
        indent: usize,
        /// How.
        verdict: Verdict,
        /// Which.
        name: &'a str,
        /// After how many milliseconds.
        ms: Option<u64>,
    },
    /// A package ended.
    Package {
        /// How.
        ended: Ended,
        /// Its import path.
        name: &'a str,
        /// The result came out of go's cache.
        cached: bool,
    },
    /// `PASS` or `FAIL` alone: the test binary's last word.
    Word(Verdict),
}

/// Whether a line may be a frame, by its first bytes alone.
pub(crate) fn may_be(line: &[u8]) -> bool {
    match line.first() {
        Some(b'=' | b'-' | b'F' | b'o' | b'?' | b'P' | 0x16 | 0x1b) => true,
        Some(b' ') => {
            let blanks = line.iter().take_while(|byte| **byte == b' ').count();
            blanks % 4 == 0 && line[blanks..].starts_with(b"--- ")
        }
        _ => false,
    }
}

/// Reads one line.
pub(crate) fn of(line: &str) -> Option<Frame<'_>> {
    let line = line.strip_prefix('\u{16}').unwrap_or(line);
    match line.as_bytes().first()? {
        b'=' => section(line.strip_prefix("=== ")?),
        b'-' | b' ' => end(line),
        b'P' => (line == "PASS").then_some(Frame::Word(Verdict::Pass)),
        b'F' if line == "FAIL" => Some(Frame::Word(Verdict::Fail)),
        b'F' | b'o' | b'?' => package(line),
        _ => None,
    }
}

fn section(rest: &str) -> Option<Frame<'_>> {
    let (word, name) = rest.split_at(memchr::memchr(b' ', rest.as_bytes())?);
    let name = name.trim_start();
    let end = memchr::memchr(b' ', name.as_bytes());
    let first = &name[..end.unwrap_or(name.len())];
    if !is_test(first) {
        return None;
    }
    match word {
        "RUN" => Some(Frame::Run(name)),
        "PAUSE" => Some(Frame::Pause(name)),
        "CONT" => Some(Frame::Cont(name)),
        "NAME" => Some(Frame::Name(name)),
        "ATTR" | "ARTIFACTS" => Some(Frame::Name(first)),
        _ => None,
    }
}

fn end(line: &str) -> Option<Frame<'_>> {
    let indent = line.bytes().take_while(|byte| *byte == b' ').count();
    let rest = line[indent..].strip_prefix("--- ")?;
    let (verdict, rest) = match rest.as_bytes() {
        [b'P', b'A', b'S', b'S', b':', b' ', ..] => (Verdict::Pass, &rest[6..]),
        [b'F', b'A', b'I', b'L', b':', b' ', ..] => (Verdict::Fail, &rest[6..]),
        [b'S', b'K', b'I', b'P', b':', b' ', ..] => (Verdict::Skip, &rest[6..]),
        _ => (Verdict::Pass, rest.strip_prefix("BENCH: ")?),
    };
    // Only benchmarks have no time. A name has no blanks, so the first one ends it.
    let (name, ms) = match memchr::memchr(b' ', rest.as_bytes()) {
        Some(at) => {
            let time = rest[at..].strip_prefix(" (")?.strip_suffix("s)")?;
            (&rest[..at], Some(seconds(time)?))
        }
        None if rest.starts_with("Benchmark") => (rest, None),
        None => return None,
    };
    (indent.is_multiple_of(4) && is_test(name)).then_some(Frame::End {
        indent,
        verdict,
        name,
        ms,
    })
}

fn package(line: &str) -> Option<Frame<'_>> {
    let (word, rest) = line.split_once('\t')?;
    let made = |ended, name, cached| {
        is_package(name).then_some(Frame::Package {
            ended,
            name,
            cached,
        })
    };
    match word.trim_end() {
        "FAIL" => {
            if let Some(name) = rest.strip_suffix(" [build failed]") {
                return made(Ended::Build, name, false);
            }
            if let Some(name) = rest.strip_suffix(" [setup failed]") {
                return made(Ended::Setup, name, false);
            }
            let (name, time) = rest.split_once('\t')?;
            timed(time)?;
            made(Ended::Fail, name, false)
        }
        "ok" => {
            let (name, time) = rest.split_once('\t')?;
            let cached = time.starts_with("(cached)");
            if !cached {
                timed(time)?;
            }
            let nothing = time.ends_with("[no tests to run]");
            let ended = if nothing { Ended::Nothing } else { Ended::Ok };
            made(ended, name, cached)
        }
        "?" => {
            let (name, why) = rest.split_once('\t')?;
            why.starts_with("[no test files")
                .then(|| made(Ended::Nothing, name, false))
                .flatten()
        }
        _ => None,
    }
}

/// `0.003s`, perhaps with more behind it: go writes a package's time with three digits.
fn timed(text: &str) -> Option<u64> {
    let (time, rest) = text.split_once('s')?;
    time.split_once('.').filter(|(_, part)| part.len() == 3)?;
    (rest.is_empty() || rest.starts_with(['\t', ' '])).then(|| seconds(time))?
}

fn seconds(text: &str) -> Option<u64> {
    let (whole, part) = text.split_once('.')?;
    if whole.len() > 9 || part.len() > 3 {
        return None;
    }
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let add = |sum: u64, digit: u8| sum * 10 + u64::from(digit - b'0');
        digits.then(|| text.bytes().fold(0, add))
    };
    let scale = [100, 10, 1].get(part.len().checked_sub(1)?)?;
    Some(number(whole)? * 1000 + number(part)? * scale)
}

/// Whether go would run a function of this name, or a part of it.
pub(crate) fn is_test(name: &str) -> bool {
    let rest = match name.as_bytes().first() {
        Some(b'T') => name.strip_prefix("Test"),
        Some(b'E') => name.strip_prefix("Example"),
        Some(b'F') => name.strip_prefix("Fuzz"),
        Some(b'B') => name.strip_prefix("Benchmark"),
        _ => None,
    };
    rest.is_some_and(|rest| !rest.starts_with(|c: char| c.is_lowercase()))
}

/// Whether this can be an import path, or a directory in its place.
pub(crate) fn is_package(name: &str) -> bool {
    !name.is_empty() && !name.contains([' ', '\t', '"', ':'])
}

/// A test's end that stands behind what the test itself printed without a line end.
pub(crate) fn glued(line: &str) -> Option<(&str, Frame<'_>)> {
    let at = line.rfind("--- ")?;
    if at == 0 || line[..at].ends_with("    ") && line[..at].trim().is_empty() {
        return None;
    }
    let frame = end(&line[at..])?;
    Some((&line[..at], frame))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_a_line() {
        assert_eq!(of("=== RUN   TestA/b_c"), Some(Frame::Run("TestA/b_c")));
        assert_eq!(of("=== CONT  TestA"), Some(Frame::Cont("TestA")));
        assert_eq!(of("\u{16}=== NAME  TestA"), Some(Frame::Name("TestA")));
        assert_eq!(of("=== ATTR  TestA key v"), Some(Frame::Name("TestA")));
        assert_eq!(
            of("    --- FAIL: TestA/#00 (1.25s)"),
            Some(Frame::End {
                indent: 4,
                verdict: Verdict::Fail,
                name: "TestA/#00",
                ms: Some(1250)
            })
        );
        assert_eq!(
            of("ok  \texample.com/a\t(cached)\tcoverage: 5.0% of statements"),
            Some(Frame::Package {
                ended: Ended::Ok,
                name: "example.com/a",
                cached: true
            })
        );
        assert_eq!(
            of("ok  \ta\t0.003s [no tests to run]"),
            Some(Frame::Package {
                ended: Ended::Nothing,
                name: "a",
                cached: false
            })
        );
        assert_eq!(
            of("FAIL\ta/b [build failed]"),
            Some(Frame::Package {
                ended: Ended::Build,
                name: "a/b",
                cached: false
            })
        );
    }

    #[test]
    fn what_only_looks_alike_is_none() {
        for line in [
            "--- FAIL: TestA",
            "--- FAIL: TestA (soon)",
            "--- FAIL: testing (0.00s)",
            "--- FAIL: Testing (0.00s)",
            "   --- FAIL: TestA (0.00s)",
            "=== FAIL: . TestA (0.00s)",
            "FAIL\ta\tnow",
            "ok  \ta\t0.003",
            "ok, fine",
            "PASS: all",
        ] {
            assert_eq!(of(line), None, "{line}");
        }
    }
}
