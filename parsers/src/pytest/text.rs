//! Pytest's output for people, as it is pasted or saved.
//!
//! Only what stands where pytest puts it is believed: the failures' blocks, the short summary
//! and the last line, whose numbers have to agree.

use crate::compose;
use crate::context::Context;
use crate::pytest::failure::last_error;
use crate::pytest::place::Place;
use crate::report::Failure;
use crate::report::FailureKind;
use crate::report::Location;
use crate::report::Phase;
use crate::text;
use std::collections::BTreeMap;

/// The most that is kept of one block.
const MOST_BLOCK: usize = 256 * 1024;
/// More blocks or summary lines than this are not kept.
const MOST: usize = 50_000;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Part {
    #[default]
    Progress,
    Blocks,
    Summary,
    Other,
}

/// One line of the short summary.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Named {
    error: bool,
    /// Which subtest it is, as it is added to the id.
    part: String,
    rest: String,
}

/// The numbers of the last line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Last {
    /// Passed, unexpectedly passed too.
    pub passed: u64,
    /// Failed.
    pub failed: u64,
    /// Errors of set-up, teardown, collection.
    pub errors: u64,
    /// Skipped, failed as expected.
    pub skipped: u64,
    /// Left out by `-k`, `-m` and the like.
    pub deselected: u64,
}

/// Reads the text line by line.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    part: Part,
    began: bool,
    blocks: Vec<(String, String)>,
    named: Vec<Named>,
    last: Option<Last>,
    after_last: bool,
    /// The numbers in the last line that is not empty, if it has no ruling, as with `-q`.
    bare: Option<Last>,
    messages: Vec<String>,
    rootdir: Option<String>,
    verbose: BTreeMap<String, ()>,
}

/// What the text comes to.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// Whether there was anything of pytest.
    pub began: bool,
    /// The numbers of the last line.
    pub last: Option<Last>,
    /// What failed.
    pub failures: Vec<Failure>,
    /// Pytest's `ERROR: …` lines.
    pub messages: Vec<String>,
    /// What contradicts itself.
    pub faults: Vec<String>,
}

impl Reader {
    /// Takes one line.
    pub fn line(&mut self, raw: &str) {
        let line = text::clean(raw);
        let line = line.trim_end_matches('\n');
        if !line.trim().is_empty() {
            self.bare = bare_last(line);
        }
        if let Some(rest) = line.strip_prefix("rootdir: ")
            && self.rootdir.is_none()
        {
            self.rootdir = Some(rest.split(", ").next().unwrap_or(rest).to_owned());
        }
        if let Some(rest) = line.strip_prefix("ERROR: ")
            && self.messages.len() < 20
        {
            self.messages.push(text::one_line(rest));
        }
        if let Some(title) = ruled(line, '=') {
            self.title(title);
            return;
        }
        match self.part {
            Part::Progress => self.progress(line),
            Part::Blocks => self.block_line(line),
            Part::Summary => self.summary_line(line),
            Part::Other => {}
        }
    }

    fn title(&mut self, title: &str) {
        if let Some(last) = last_line(title) {
            // The last one counts: what came before was printed by a test.
            self.last = Some(last);
            self.after_last = true;
            self.part = Part::Other;
            return;
        }
        self.part = match title {
            "test session starts" => {
                self.began = true;
                Part::Progress
            }
            "FAILURES" | "ERRORS" => Part::Blocks,
            "short test summary info" => {
                self.named.clear();
                Part::Summary
            }
            _ => Part::Other,
        };
    }

    fn progress(&mut self, line: &str) {
        for word in [
            " PASSED", " FAILED", " SKIPPED", " XFAIL", " ERROR", " XPASS",
        ] {
            if let Some((id, _)) = line.split_once(word)
                && id.contains("::")
                && self.verbose.len() < MOST
            {
                self.verbose.insert(id.to_owned(), ());
                return;
            }
        }
    }

    fn block_line(&mut self, line: &str) {
        if let Some(title) = ruled(line, '_') {
            if self.blocks.len() < MOST {
                self.blocks.push((title.to_owned(), String::new()));
            }
        } else if let Some((_, block)) = self.blocks.last_mut()
            && block.len() < MOST_BLOCK
        {
            block.push_str(line);
            block.push('\n');
        }
    }

    fn summary_line(&mut self, line: &str) {
        let named = [("FAILED ", false), ("ERROR ", true), ("SUBFAILED", false)]
            .into_iter()
            .find_map(|(start, error)| {
                let rest = line.strip_prefix(start)?;
                Some(Named {
                    error,
                    part: subtest(rest).to_owned(),
                    rest: rest[subtest(rest).len()..].trim_start().to_owned(),
                })
            });
        if let Some(named) = named
            && self.named.len() < MOST
        {
            self.named.push(named);
        }
    }

    /// What was read.
    pub fn finish(self, context: &Context) -> Found {
        let mut place = Place::new(context.clone());
        if let Some(rootdir) = &self.rootdir {
            place.set_rootdir(rootdir);
        }
        // Where the session has its heading the last line has its ruling, too.
        let bare = self.bare.filter(|_| !self.began);
        let last = bare.or(self.last);
        let mut found = Found {
            began: self.began || bare.is_some(),
            last,
            messages: self.messages.clone(),
            ..Found::default()
        };
        for named in &self.named {
            found.failures.push(self.failure(named, &place));
        }
        let Some(last) = last else {
            return found;
        };
        let said = last.failed + last.errors;
        if self.named.is_empty() && said > 0 {
            // Without the summary (`-r` can turn it off) the blocks name what failed.
            found.failures.extend(
                self.blocks
                    .iter()
                    .map(|(title, block)| from_block(title, block, &place)),
            );
        }
        if found.failures.len() as u64 != said {
            found.faults.push(format!(
                "the last line counts {said} failures, {} are named",
                found.failures.len()
            ));
        }
        found
    }

    fn failure(&self, named: &Named, place: &Place) -> Failure {
        let (id, message) = self.split(&named.rest);
        // A test in a class has the block `TestClass.test_a`.
        let name = id.split_once("::").map_or("", |(_, name)| name);
        let (path, parameters) = name.split_at(name.find('[').unwrap_or(name.len()));
        let title = path.replace("::", ".") + parameters;
        let file = id.split("::").next().unwrap_or(&id).to_owned();
        let mut of_name = self.blocks.iter().filter(|(block, _)| {
            let bare = bare_title(block);
            bare == title || (title.is_empty() && bare == file)
        });
        let wanted = of_name
            .clone()
            .find(|(block, _)| block.starts_with("ERROR ") == named.error);
        let block = wanted.or_else(|| of_name.next());
        let mut failure = match block {
            Some((title, block)) => from_block(title, block, place),
            None => {
                let kind = if named.error {
                    FailureKind::SetupError
                } else {
                    FailureKind::Panic
                };
                compose::failure(&id, kind, Phase::Call, &message)
            }
        };
        if !id.contains("::") {
            failure.kind = FailureKind::CollectionError;
            failure.phase = Phase::Collect;
        }
        if !message.is_empty() && block.is_none() {
            (failure.kind, failure.kind_sure) = kind_of(&message, failure.kind);
        }
        failure.rerun = place.rerun(&id);
        failure.id = match named.part.as_str() {
            "" => id,
            part => format!("{id} {}", part.trim_start()),
        };
        compose::seal(failure)
    }

    /// The id ends at the first ` - ` that is not inside of it: ids may hold that, too.
    fn split(&self, rest: &str) -> (String, String) {
        let known = self.verbose.keys().filter(|id| {
            rest == *id
                || rest
                    .strip_prefix(id.as_str())
                    .is_some_and(|r| r.starts_with(" - "))
        });
        if let Some(id) = known.max_by_key(|id| id.len()) {
            let message = rest[id.len()..].trim_start_matches(" - ");
            return (id.clone(), message.to_owned());
        }
        for (at, _) in rest.match_indices(" - ") {
            let id = &rest[..at];
            let open = id.matches('[').count();
            if open == 0 || id.ends_with(']') {
                return (id.to_owned(), rest[at + 3..].to_owned());
            }
        }
        (rest.trim_end().to_owned(), String::new())
    }
}

/// `SUBFAILED[part] (i=1) a.py::test - message` names the subtest first.
fn subtest(rest: &str) -> &str {
    if !rest.starts_with(['[', '(']) && !rest.starts_with(" (") {
        return "";
    }
    let start = rest
        .split(' ')
        .find(|word| word.contains("::") || word.ends_with(".py"));
    let at = start.and_then(|word| rest.find(word)).unwrap_or(0);
    rest[..at].trim_end()
}

/// A block's title without what pytest adds before the test's name.
fn bare_title(title: &str) -> String {
    for start in [
        "ERROR at setup of ",
        "ERROR at teardown of ",
        "ERROR collecting ",
    ] {
        if let Some(rest) = title.strip_prefix(start) {
            return rest.to_owned();
        }
    }
    title.to_owned()
}

/// What a failure's block says.
fn from_block(title: &str, block: &str, place: &Place) -> Failure {
    // What the test printed stands below, under headings of its own.
    let captured = block.find("\n---").map_or(block.len(), |at| at + 1);
    let (body, output) = block.split_at(captured);
    // Of a chain of exceptions the last one counts.
    let chained = [
        "The above exception was the direct cause of the following exception:",
        "During handling of the above exception, another exception occurred:",
    ];
    let from = chained
        .iter()
        .filter_map(|words| body.rfind(words))
        .max()
        .unwrap_or(0);
    let message = match title.starts_with("ERROR collecting") {
        true => last_error(body),
        false => last_error_first(&body[from..]),
    };
    let (phase, usual) = if title.starts_with("ERROR at setup") {
        (Phase::Setup, FailureKind::SetupError)
    } else if title.starts_with("ERROR at teardown") {
        (Phase::Teardown, FailureKind::TeardownError)
    } else if title.starts_with("ERROR collecting") {
        (Phase::Collect, FailureKind::CollectionError)
    } else {
        (Phase::Call, FailureKind::Panic)
    };
    let (kind, sure) = if phase == Phase::Call {
        kind_of(&message, usual)
    } else {
        (usual, true)
    };
    let shown = message.strip_prefix("AssertionError: ").unwrap_or(&message);
    let mut failure = compose::failure(bare_title(title), kind, phase, shown);
    failure.kind_sure = sure;
    let mut places = body.lines().filter_map(|line| place_of(line, place));
    failure.location = places.next_back().or_else(|| syntax_place(body, place));
    failure.details = text::block(body, text::DETAILS);
    failure.stdout = text::block(output, text::DETAILS);
    compose::seal(failure)
}

/// The first `E   …` line: the exception and its message.
fn last_error_first(body: &str) -> String {
    let shown = body
        .lines()
        .find(|line| line.starts_with("E  "))
        .map(|line| line[2..].trim().to_owned());
    shown.unwrap_or_else(|| last_error(body))
}

fn kind_of(message: &str, otherwise: FailureKind) -> (FailureKind, bool) {
    let class = message.split([':', ' ']).next().unwrap_or("");
    if class == "assert" || class == "AssertionError" {
        (FailureKind::Assertion, true)
    } else if message.starts_with("Failed: Timeout") {
        (FailureKind::Timeout, true)
    } else if class == "Failed" {
        (FailureKind::Assertion, true)
    } else if message.starts_with("[XPASS(strict)]") || message.contains("Unexpected success") {
        (FailureKind::UnexpectedPass, true)
    } else {
        (
            otherwise,
            class.ends_with("Error") || class.ends_with("Exception"),
        )
    }
}

/// `tests/test_a.py:12: AssertionError`, in the user's own code.
fn place_of(line: &str, place: &Place) -> Option<Location> {
    let (path, rest) = line.split_once(':')?;
    let number = rest.split([':', ' ']).next()?;
    let line: u32 = number.parse().ok().filter(|n| *n > 0)?;
    let file = place.path(path.trim_start_matches("E ").trim());
    (file.contains('.') && !file.contains(' ') && place.context.is_user(&file)).then_some(
        Location {
            file,
            line: Some(line),
            column: None,
        },
    )
}

/// `E     File "/p/test_a.py", line 1`, as a syntax error has it.
pub(crate) fn syntax_place(body: &str, place: &Place) -> Option<Location> {
    let line = body
        .lines()
        .rfind(|line| line.contains("File \"") && line.contains("\", line "))?;
    let (file, rest) = line.split_once("File \"")?.1.split_once("\", line ")?;
    let file = place.path(file);
    let line = rest.split(|c: char| !c.is_ascii_digit()).next()?;
    place.context.is_user(&file).then_some(Location {
        file,
        line: line.parse().ok(),
        column: None,
    })
}

/// The title in a line of `=` or `_`.
fn ruled(line: &str, rule: char) -> Option<&str> {
    let inner = line.trim_matches(rule);
    let width = line.len() - inner.len();
    (width >= 4 || (width >= 2 && line.len() > 60))
        .then(|| inner.strip_prefix(' ')?.strip_suffix(' '))
        .flatten()
}

/// The whole line of `pytest -q`, nothing before and nothing after.
fn bare_last(line: &str) -> Option<Last> {
    const WORDS: [&str; 12] = [
        "passed",
        "xpassed",
        "failed",
        "error",
        "errors",
        "skipped",
        "xfailed",
        "deselected",
        "warning",
        "warnings",
        "rerun",
        "subtests passed",
    ];
    let (counts, time) = line.rsplit_once(" in ")?;
    // `61.20s (0:01:01)` above a minute.
    let (seconds, clock) = time.split_once(' ').unwrap_or((time, "(0)"));
    let digits = |text: &str, others: &str| {
        !text.is_empty()
            && text
                .chars()
                .all(|c| c.is_ascii_digit() || others.contains(c))
    };
    let timed = digits(seconds.strip_suffix('s')?, ".")
        && digits(clock.strip_prefix('(')?.strip_suffix(')')?, ":, days");
    let counted = counts == "no tests ran"
        || counts.split(", ").all(|part| {
            part.split_once(' ')
                .is_some_and(|(number, word)| digits(number, "") && WORDS.contains(&word))
        });
    (timed && counted).then(|| last_line(line)).flatten()
}

/// `1 failed, 2 passed, 3 warnings in 0.10s`.
fn last_line(title: &str) -> Option<Last> {
    let (counts, time) = title.rsplit_once(" in ")?;
    let seconds = time.split(' ').next()?.strip_suffix('s')?;
    seconds.parse::<f64>().ok()?;
    let mut last = Last::default();
    let mut any = counts == "no tests ran";
    for part in counts.split(", ") {
        let (number, word) = match part.split_once(' ') {
            Some((number, word)) => (number.parse::<u64>().ok(), word),
            None => (None, part),
        };
        let Some(number) = number else {
            continue;
        };
        any = true;
        match word {
            "passed" | "xpassed" => last.passed += number,
            "failed" => last.failed += number,
            "error" | "errors" => last.errors += number,
            "skipped" | "xfailed" => last.skipped += number,
            "deselected" => last.deselected += number,
            _ => {}
        }
    }
    any.then_some(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_is_read() {
        let last =
            last_line("1 failed, 12 passed, 2 skipped, 1 xfailed, 3 warnings, 1 error in 0.10s");
        let expected = Last {
            passed: 12,
            failed: 1,
            errors: 1,
            skipped: 3,
            deselected: 0,
        };
        assert_eq!(last, Some(expected));
        assert_eq!(last_line("no tests ran in 0.01s"), Some(Last::default()));
        assert_eq!(last_line("FAILURES"), None);
    }

    fn read(text: &str) -> Found {
        let mut reader = Reader::default();
        text.lines().for_each(|line| reader.line(line));
        reader.finish(&Context::default())
    }

    #[test]
    fn quiet_output_ends_without_a_ruling() {
        let green = read("..                              [100%]\n2 passed in 0.01s\n\n");
        assert_eq!(green.last.map(|last| last.passed), Some(2));
        assert!(green.faults.is_empty() && green.failures.is_empty());
        let red = read(
            ".F                              [100%]\n=========== FAILURES ===========\n____________ test_t ____________\n\n    def test_t():\n>       assert 1 == 2\nE       assert 1 == 2\n\ntests/x.py:2: AssertionError\n=========== short test summary info ===========\nFAILED tests/x.py::test_t - assert 1 == 2\n1 failed, 1 passed in 0.01s\n",
        );
        assert_eq!(
            red.last.map(|last| (last.failed, last.passed)),
            Some((1, 1))
        );
        assert_eq!(red.failures.len(), 1);
        assert_eq!(red.failures[0].id, "tests/x.py::test_t");
        assert!(red.faults.is_empty(), "{:?}", red.faults);
        let slow = read("1 passed, 2 deselected, 1 warning in 61.20s (0:01:01)\n");
        assert_eq!(slow.last.map(|last| last.passed), Some(1));
        assert_eq!(slow.last.map(|last| last.deselected), Some(2));
    }

    #[test]
    fn what_a_test_prints_is_not_the_quiet_end() {
        for text in [
            // Not the last line.
            "2 passed in 0.01s\nand then it was killed\n",
            "..2 passed in 0.01s\n",
            "it says 2 passed in 0.01s\n",
            "2 passed in 0.01s or so\n",
            "2 passed in 0.01s (nearly)\n",
            "2 passed, 1 lost in 0.01s\n",
            "2 passed in infs\n",
            "passed in 0.01s\n",
            // A session with its heading ends with a ruling.
            "===== test session starts =====\n2 passed in 0.01s\n",
        ] {
            assert_eq!(read(text).last, None, "{text}");
        }
        // The end tells the truth where a test printed another one.
        let both = read("9 passed in 0.01s\n===== 9 passed in 0.01s =====\n1 failed in 0.02s\n");
        assert_eq!(
            both.last.map(|last| (last.failed, last.passed)),
            Some((1, 0))
        );
        assert_eq!(both.faults.len(), 1, "nothing is named");
    }

    #[test]
    fn ids_hold_what_separates_them() {
        let reader = Reader::default();
        assert_eq!(
            reader.split("t.py::a[x - y] - assert 1"),
            ("t.py::a[x - y]".into(), "assert 1".into())
        );
        assert_eq!(
            reader.split("t.py::a - x[1] - y"),
            ("t.py::a".into(), "x[1] - y".into())
        );
    }
}
