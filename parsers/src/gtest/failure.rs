//! Makes a failure of a test: one a test, whatever the number of its failed assertions.
//!
//! The first assertion gives the kind, the message, the sides and the place; all of them stand
//! in the details. A place that is not known ("unknown file") is taken from what comes next.

use crate::cc::crash;
use crate::compose;
use crate::context::Context;
use crate::gtest::block::Block;
use crate::gtest::program::Case;
use crate::gtest::program::Outside;
use crate::gtest::within;
use crate::report::Failure;
use crate::report::FailureKind;
use crate::report::Frame;
use crate::report::Location;
use crate::report::Phase;
use crate::text;
use std::collections::BTreeSet;

/// The id of what failed in no test and no suite, as GoogleTest's own files name it.
pub(crate) const ENVIRONMENT: &str = "NonTestSuiteFailure";

/// Turns places as they are printed into places of the project.
#[derive(Debug, Clone, Default)]
pub(crate) struct Places {
    /// Files that were named at the beginning of a line of their own.
    known: BTreeSet<String>,
}

impl Places {
    /// Remembers the files of what failed.
    pub fn learn<'a>(&mut self, blocks: impl IntoIterator<Item = &'a Block>) {
        for block in blocks {
            if let Some((file, _)) = &block.place
                && self.known.len() < 1000
            {
                self.known.insert(file.clone());
            }
        }
    }

    /// The place in the project.
    pub fn location(&self, file: &str, line: u32, context: &Context) -> Location {
        Location {
            file: self.file(file, context),
            line: (line > 0).then_some(line),
            column: None,
        }
    }

    /// What was printed without a line end may stand before the file's name.
    fn file(&self, file: &str, context: &Context) -> String {
        let relative = context.relative(file);
        if context.tree.holds(&relative) {
            return below(relative);
        }
        let shorter = |known: &&String| known.len() < file.len() && file.ends_with(known.as_str());
        if let Some(known) = self.known.iter().find(shorter) {
            return below(context.relative(known));
        }
        let starts = file.char_indices().map(|(at, _)| at).take(300).skip(1);
        for at in starts {
            let rest = context.relative(&file[at..]);
            if context.tree.holds(&rest) {
                return below(rest);
            }
        }
        match file.rsplit_once(' ') {
            Some((_, last)) if last.starts_with('/') => below(context.relative(last)),
            _ => below(relative),
        }
    }
}

/// A build may name its sources from the directory that it stands in.
fn below(file: String) -> String {
    match file.starts_with("../") {
        true => file.trim_start_matches("../").to_owned(),
        false => file,
    }
}

/// The failure of a test that ended.
pub(crate) fn of_case(case: &Case, places: &Places, context: &Context) -> Failure {
    let mut failure = of_blocks(&case.id, &case.blocks, places, context);
    if case.blocks.is_empty() {
        "the test failed; its output does not say why".clone_into(&mut failure.message);
        failure.kind_sure = false;
    }
    // An assertion in a fixture's `SetUp()` is told as its test's.
    if failure.kind == FailureKind::Assertion
        && let Some(at) = &failure.location
        && let Some(source) = context.tree.read(&at.file)
        && let Some((kind, phase)) = at.line.and_then(|line| within::phase(&source, line))
    {
        (failure.kind, failure.phase) = (kind, phase);
    }
    failure.test_location = defined(case, places, context);
    failure.duration_ms = case.ms;
    failure.stdout = text::block(&case.output, text::DETAILS);
    compose::seal(failure)
}

/// The failure of a suite's or the environment's set-up or tear-down.
pub(crate) fn of_outside(outside: &Outside, places: &Places, context: &Context) -> Failure {
    let id = outside.suite.as_deref().unwrap_or(ENVIRONMENT);
    let mut failure = of_blocks(id, &outside.blocks, places, context);
    if outside.blocks.is_empty() {
        "SetUpTestSuite or TearDownTestSuite failed".clone_into(&mut failure.message);
        failure.kind_sure = false;
    }
    // An exception says where it was thrown.
    let known = failure.phase != Phase::Call;
    (failure.kind, failure.phase) = match outside.after {
        _ if known => (failure.kind, failure.phase),
        true => (FailureKind::TeardownError, Phase::Teardown),
        false => (FailureKind::SetupError, Phase::Setup),
    };
    compose::seal(failure)
}

/// The failure of a test in which the process ended.
pub(crate) fn of_running(
    case: &Case,
    kind: FailureKind,
    how: &str,
    output: &str,
    places: &Places,
    context: &Context,
) -> Failure {
    // What it said last stands below its last failed assertion.
    let blocks = case.blocks.iter().map(|block| block.text.as_str());
    let own: Vec<&str> = std::iter::once(case.output.as_str())
        .chain(blocks)
        .chain([output])
        .collect();
    let own = own.join("\n");
    let words =
        crash::words(&own, context).filter(|words| kind == FailureKind::Crash && !words.harmless);
    let message = match &words {
        Some(words) => words.message.clone(),
        None => how.to_owned(),
    };
    let mut failure = compose::failure(&case.id, kind, Phase::Call, message);
    if let Some(words) = &words {
        words.place(&mut failure);
    }
    // What failed before it died is told, too; it is not why the process ended.
    let all: Vec<String> = case.blocks.iter().map(Block::shown).collect();
    let said = match words.is_some() {
        true => own.as_str(),
        false => "",
    };
    let details = [all.join(""), said.to_owned()].join("\n");
    failure.details = text::block(&details, text::DETAILS);
    failure.test_location = defined(case, places, context);
    failure.stdout = text::block(&case.output, text::DETAILS);
    compose::seal(failure)
}

fn defined(case: &Case, places: &Places, context: &Context) -> Option<Location> {
    let (file, line) = case.defined.as_ref()?;
    Some(places.location(file, *line, context))
}

fn of_blocks(id: &str, blocks: &[Block], places: &Places, context: &Context) -> Failure {
    let Some(first) = first(blocks) else {
        return compose::failure(id, FailureKind::Assertion, Phase::Call, "");
    };
    let meaning = first.meaning();
    let mut failure = compose::failure(id, meaning.kind, meaning.phase, &meaning.message);
    failure.kind_sure = meaning.sure;
    failure.diff = meaning.diff.or_else(|| {
        // A mock complains of its missing call below the one that did not fit.
        let mock = first.place.is_none() && meaning.kind == FailureKind::Assertion;
        mock.then(|| blocks.iter().skip(1).find_map(|block| block.meaning().diff))?
    });
    let from = blocks
        .iter()
        .position(|block| std::ptr::eq(block, first))
        .unwrap_or(0);
    let own = blocks[from..].iter().find_map(|block| {
        let (file, line) = block.place.clone().or_else(|| block.mentioned())?;
        let at = places.location(&file, line, context);
        is_own(&at.file, context).then_some(at)
    });
    failure.location = own;
    // An exception has no place; another assertion's place is not its own.
    if matches!(
        meaning.kind,
        FailureKind::Panic | FailureKind::SetupError | FailureKind::TeardownError
    ) && first.place.is_none()
    {
        failure.location = None;
    }
    let trace = first.trace();
    if !trace.is_empty() {
        let at = failure.location.iter().map(|at| frame(at.clone(), context));
        let below = trace
            .into_iter()
            .map(|(file, line)| frame(places.location(&file, line, context), context));
        failure.frames = at.chain(below).collect();
    }
    let all: Vec<String> = blocks.iter().map(Block::shown).collect();
    failure.details = text::block(&all.join("\n"), text::DETAILS);
    failure
}

/// The first assertion. A test may print what looks like one, of a file that is nobody else's.
fn first(blocks: &[Block]) -> Option<&Block> {
    let file = |block: &Block| block.place.as_ref().map(|(file, _)| file.clone());
    let usual: Vec<Option<String>> = blocks.iter().filter(|b| b.is_usual()).map(file).collect();
    let fits = |block: &&Block| block.is_usual() || usual.contains(&file(block));
    blocks.iter().find(fits).or_else(|| blocks.first())
}

/// GoogleTest's own sources are named from where they were built.
fn is_own(file: &str, context: &Context) -> bool {
    context.is_user(file) && !file.contains("googletest/src/") && !file.contains("googlemock/src/")
}

fn frame(at: Location, context: &Context) -> Frame {
    Frame {
        user: is_own(&at.file, context),
        file: at.file,
        line: at.line,
        function: None,
    }
}
