//! Lines that only one framework prints, and whether they begin or end a run of it.
//!
//! Stricter than what [`crate::auto`] weighs: there a framework is known to be at work, here it
//! may be any program that happens to speak of tests.

use crate::live::Format;
use regex::Regex;
use std::sync::LazyLock;

/// Where in a run a line stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// It begins one.
    Open,
    /// It stands in one; others may print it, too.
    Inside,
    /// It ends one, or stands below its end.
    Close,
}

/// pytest's last line without rules: the words come in this order.
static QUIET: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^(?:\d+ failed)?(?:(?:^|, )\d+ passed)?(?:(?:^|, )\d+ skipped)?(?:(?:^|, )\d+ deselected)?(?:(?:^|, )\d+ xfailed)?(?:(?:^|, )\d+ xpassed)?(?:(?:^|, )\d+ warnings?)?(?:(?:^|, )\d+ errors?)?(?:(?:^|, )\d+ subtests (?:passed|failed))* in \d+\.\d\ds(?: \(\d+:\d\d:\d\d\))?$")
        .expect("a constant pattern")
});
static COUNTED: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^(?P<n>\d+) (?:(?P<mocha>passing(?: \(\d+(?:ms|s|m|h)\))?|failing|pending)|(?P<rspec>examples?, \d+ failures?(?:, \d+ pending)?(?:, \d+ errors? occurred outside of examples)?)|(?P<mini>(?:runs|tests), \d+ assertions, \d+ failures, \d+ errors, \d+ (?:skips|pendings).*)|(?P<bats>tests?, \d+ failures?(?:, \d+ (?:skipped|not run))*(?: in \d+ seconds?)?)|(?P<gradle>tests? completed, \d+ (?:failed|skipped).*))$")
        .expect("a constant pattern")
});
static RAN: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^Ran \d+ tests? in \d+\.\d{3}s$").expect("a constant pattern"));

/// bats overwrites its lines: `   adds1/3 ✓ adds`.
static PRETTY: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^   .*\d+/\d+(?: in \d+ sec)? (?:✓|✗|-) ").expect("a constant pattern")
});

/// What a line, without control sequences, says of whom.
pub(crate) fn mark(line: &str) -> Option<(Format, Role)> {
    let text = line.trim_start();
    if line.starts_with("   ") && !line.is_ascii() && PRETTY.is_match(line) {
        return Some((Format::Bats, Role::Inside));
    }
    match text.bytes().next()? {
        b'=' | b'[' | b'-' | b'#' | b'{' => ruled(line, text),
        b'0'..=b'9' => numbered(line, text),
        b'.' => dots(line),
        byte if byte.is_ascii() => words(line, text),
        _ => signs(line, text),
    }
}

fn ruled(line: &str, text: &str) -> Option<(Format, Role)> {
    let starts = |start: &str| line.starts_with(start);
    let end = || {
        let bare = line.trim_matches('=').trim();
        QUIET.is_match(bare) && bare.len() > 10 || bare.starts_with("no tests ran in ")
    };
    if starts("=====") && line.contains(" test session starts ") {
        Some((Format::Pytest, Role::Open))
    } else if starts("==") && line.ends_with("==") && end() {
        Some((Format::Pytest, Role::Close))
    } else if starts("===== short test summary info =") || starts("===") && rule(line) {
        Some((Format::Pytest, Role::Inside))
    } else if starts("=== RUN   ") || starts("--- FAIL: ") || starts("--- PASS: ") {
        Some((Format::GoTest, Role::Inside))
    } else if starts("[==========] Running ") {
        Some((Format::Gtest, Role::Open))
    } else if starts("[==========] ") && line.contains(" ran.") {
        Some((Format::Gtest, Role::Close))
    } else if [
        "[ RUN      ] ",
        "[  FAILED  ] ",
        "[       OK ] ",
        "[  PASSED  ] ",
    ]
    .iter()
    .any(|start| line.starts_with(start))
    {
        Some((Format::Gtest, Role::Inside))
    } else if starts("# Subtest: ") {
        Some((Format::Tap, Role::Inside))
    } else if starts("# duration_ms ") {
        Some((Format::NodeTest, Role::Close))
    } else if starts("# Running:") && line.trim_end() == "# Running:" {
        Some((Format::Minitest, Role::Open))
    } else if starts("[ERROR] Tests run:") || starts("[INFO] Tests run:") {
        Some((Format::Junit, Role::Close))
    } else if starts("[INFO] BUILD ") || starts("[         ") && line.contains(" tests ") {
        Some((Format::Junit, Role::Inside))
    } else {
        json(text)
    }
}

/// pytest's rules with a word in them.
fn rule(line: &str) -> bool {
    [
        "= FAILURES =",
        "= ERRORS =",
        "= short test summary info =",
        "= warnings summary =",
    ]
    .iter()
    .any(|words| line.contains(words))
}

fn json(text: &str) -> Option<(Format, Role)> {
    if !text.starts_with("{\"") {
        return None;
    }
    let has = |word: &str| text.contains(word);
    if has("\"Action\":\"") && has("\"Package\":\"") && has("\"Time\":\"") {
        let ends = !has("\"Test\":") && (has("\"Action\":\"pass\"") || has("\"Action\":\"fail\""));
        let role = if ends { Role::Close } else { Role::Inside };
        return Some((Format::GoTest, role));
    }
    None
}

fn numbered(line: &str, text: &str) -> Option<(Format, Role)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let rest = &text[digits..];
    if rest.starts_with(") ") && line.starts_with("  ") {
        return Some((Format::Mocha, Role::Inside));
    }
    if let Some(last) = rest.strip_prefix("..") {
        let plan = text.starts_with("1..") || text.starts_with("0..");
        let number = last.split([' ', '#']).next().unwrap_or("");
        let plain = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        return (plan && plain).then_some((Format::Tap, Role::Close));
    }
    if rest.starts_with("% tests passed, ") && rest.contains(" out of ") {
        return Some((Format::Ctest, Role::Close));
    }
    if rest.starts_with('/') && rest.contains(" Test ") && rest.contains(" sec") {
        return Some((Format::Ctest, Role::Inside));
    }
    if !rest.starts_with(' ') {
        return None;
    }
    let bare = text.trim_end();
    if bare.ends_with(['s', ')']) && line == text && QUIET.is_match(bare) {
        return Some((Format::Pytest, Role::Close));
    }
    let found = COUNTED.captures(bare)?;
    let has = |name: &str| found.name(name).is_some();
    let format = match () {
        () if has("mocha") && line.starts_with("  ") => Format::Mocha,
        () if has("rspec") => Format::Rspec,
        () if has("mini") => Format::Minitest,
        () if has("bats") => Format::Bats,
        () if has("gradle") => Format::Junit,
        () => return None,
    };
    Some((format, Role::Close))
}

/// `..F.`: whoever prints a dot a test.
fn dots(line: &str) -> Option<(Format, Role)> {
    let bare = line.split(" [").next().unwrap_or(line).trim_end();
    let all = bare.bytes().all(|byte| b".FEsxuSXIR*P".contains(&byte));
    all.then_some((Format::Unittest, Role::Inside))
}

fn words(line: &str, text: &str) -> Option<(Format, Role)> {
    let starts = |start: &str| line.starts_with(start);
    let (format, role) = match text.as_bytes()[0] {
        b't' if starts("test result: ") && line.contains(" passed; ") => {
            (Format::Cargo, Role::Close)
        }
        b't' if starts("test ") && (line.ends_with("... ok") || line.ends_with("... FAILED")) => {
            (Format::Cargo, Role::Inside)
        }
        b't' if starts("test_") && line.contains(") ... ") => (Format::Unittest, Role::Inside),
        b't' if starts("t/") && line.contains(" ..") => (Format::Prove, Role::Inside),
        b'r' if starts("running ") && (line.ends_with(" tests") || line.ends_with(" test")) => {
            (Format::Cargo, Role::Open)
        }
        b'r' if starts("rspec ./") => (Format::Rspec, Role::Close),
        b'e' if starts("error: test failed, to rerun pass") => (Format::Cargo, Role::Close),
        b'e' if starts("error: doctest failed, to rerun pass") => (Format::Cargo, Role::Close),
        b'e' if starts("error: test run failed") => (Format::Nextest, Role::Close),
        b'D' if starts("   Doc-tests ") => (Format::Cargo, Role::Open),
        b'N' if text.starts_with("Nextest run ID ") => (Format::Nextest, Role::Open),
        b'n' if starts("no tests ran in ") => (Format::Pytest, Role::Close),
        b'n' if starts("not ok ") && digit(line, 7) => (Format::Tap, Role::Inside),
        b'S' if text.starts_with("Summary [") && text.contains(" tests run: ") => {
            (Format::Nextest, Role::Close)
        }
        b'S' if text.starts_with("Starting ") && text.contains(" tests across ") => {
            (Format::Nextest, Role::Open)
        }
        b'S' if starts("Snapshots:   ") => (Format::Jest, Role::Close),
        b'S' if line.starts_with("    Start ") => (Format::Ctest, Role::Inside),
        b'T' => return capital_t(line, text),
        b'R' if starts("Ran all test suites") => (Format::Jest, Role::Close),
        b'R' if RAN.is_match(line.trim_end()) => (Format::Unittest, Role::Close),
        b'R' if starts("Run options: ") && line.contains("--seed ") => {
            (Format::Minitest, Role::Open)
        }
        b'R' if starts("Result: ") => (Format::Prove, Role::Inside),
        b'R' if starts(" RUN  v") => (Format::Vitest, Role::Open),
        b'P' | b'F' => return results(line),
        b'E' if starts("ERROR: test") && line.contains(" (") => (Format::Unittest, Role::Inside),
        b'E' if starts("ERROR ") && line.contains(".py") => (Format::Pytest, Role::Inside),
        b'E' if starts("Errors while running CTest") => (Format::Ctest, Role::Close),
        b'o' if starts("ok  \t") => (Format::GoTest, Role::Close),
        b'o' if starts("ok ") && digit(line, 3) => (Format::Tap, Role::Inside),
        b'O' if line == "OK" || starts("OK (skipped=") || starts("OK (expected") => {
            (Format::Unittest, Role::Inside)
        }
        b'O' if starts("OK (") && line.contains(" assertion") => (Format::Phpunit, Role::Close),
        b'O' if starts("OK (") && (line.ends_with(" tests)") || line.ends_with(" test)")) => {
            (Format::Junit, Role::Close)
        }
        b'J' if starts("JUnit version ") => (Format::Junit, Role::Open),
        b'D' if starts("DONE ") && digit(line, 5) && line.contains(" test") => {
            (Format::GoTest, Role::Close)
        }
        b'D' if starts("   Duration  ") => (Format::Vitest, Role::Close),
        b'?' if starts("?   \t") => (Format::GoTest, Role::Inside),
        _ => return None,
    };
    Some((format, role))
}

fn digit(line: &str, at: usize) -> bool {
    line.as_bytes().get(at).is_some_and(u8::is_ascii_digit)
}

fn capital_t(line: &str, text: &str) -> Option<(Format, Role)> {
    let starts = |start: &str| line.starts_with(start);
    Some(if starts("TAP version 1") {
        (Format::Tap, Role::Open)
    } else if (starts("Test Suites: ") || starts("Tests:       ")) && line.contains(" total") {
        (Format::Jest, Role::Close)
    } else if starts("Tests run: ") && line.contains(",  Failures: ") {
        (Format::Junit, Role::Close)
    } else if starts("Tests: ") && line.contains(", Assertions: ") {
        (Format::Phpunit, Role::Close)
    } else if starts("Time:        ") {
        (Format::Jest, Role::Inside)
    } else if text.starts_with("Test Files  ") && line.starts_with(' ') {
        (Format::Vitest, Role::Close)
    } else if text.starts_with("Tests  ") && line.starts_with("  ") {
        (Format::Vitest, Role::Inside)
    } else if starts("Test Summary Report") {
        (Format::Prove, Role::Inside)
    } else if starts("Test project /") {
        (Format::Ctest, Role::Open)
    } else if starts("Total Test time (real) = ") {
        (Format::Ctest, Role::Close)
    } else if starts("Thanks for using JUnit!") {
        (Format::Junit, Role::Open)
    } else if starts("Test run finished after ") {
        (Format::Junit, Role::Close)
    } else {
        return None;
    })
}

fn results(line: &str) -> Option<(Format, Role)> {
    let script = |name: &str| {
        let end = name.split_whitespace().next().unwrap_or("");
        let kinds = [".js", ".jsx", ".ts", ".tsx", ".mjs", ".cjs", ".mts"];
        kinds.iter().any(|kind| end.ends_with(kind))
    };
    let starts = |start: &str| line.starts_with(start);
    if starts("FAIL\t") {
        return Some((Format::GoTest, Role::Close));
    }
    if line == "FAIL" || line == "PASS" {
        return Some((Format::GoTest, Role::Inside));
    }
    let file = line.strip_prefix("PASS ").or(line.strip_prefix("FAIL "));
    if let Some(file) = file {
        return script(file.trim_start()).then_some((Format::Jest, Role::Inside));
    }
    if let Some(file) = line.strip_prefix(" FAIL  ") {
        return script(file.split(" >").next()?).then_some((Format::Vitest, Role::Inside));
    }
    if starts("FAILED (")
        && ["failures=", "errors=", "unexpected"]
            .iter()
            .any(|w| line.contains(w))
    {
        return Some((Format::Unittest, Role::Inside));
    }
    if starts("FAIL: test") && line.contains(" (") {
        return Some((Format::Unittest, Role::Inside));
    }
    if starts("FAILED ") && line.contains(".py::") {
        return Some((Format::Pytest, Role::Inside));
    }
    if starts("Files=") && line.contains(", Tests=") {
        return Some((Format::Prove, Role::Close));
    }
    if starts("PHPUnit ") && line.contains(" by Sebastian Bergmann") {
        return Some((Format::Phpunit, Role::Open));
    }
    starts("FAILURES!").then_some((Format::Phpunit, Role::Inside))
}

/// Lines that begin with a sign outside of ASCII.
fn signs(line: &str, text: &str) -> Option<(Format, Role)> {
    if ["ℹ tests ", "ℹ pass ", "ℹ fail ", "ℹ duration_ms "]
        .iter()
        .any(|s| line.starts_with(s))
    {
        return Some((Format::NodeTest, Role::Close));
    }
    if line.starts_with("✖ failing tests:") {
        return Some((Format::NodeTest, Role::Inside));
    }
    if line.starts_with("├─ JUnit ") || line.starts_with("└─ JUnit ") {
        return Some((Format::Junit, Role::Inside));
    }
    let result = ["✓ ", "✔ ", "✗ ", "✖ ", "▶ ", "√ "]
        .iter()
        .any(|sign| text.starts_with(sign));
    result.then_some((Format::Mocha, Role::Inside))
}
