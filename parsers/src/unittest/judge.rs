//! Which of the runs in a text are real, and which blocks of each: tests may print the like.
//!
//! A real run has letters or lines before its end, as many as it has tests; its blocks are as
//! many as its last line counts. What is too much was printed by a test.

use crate::compose;
use crate::context::Context;
use crate::report::Counts;
use crate::report::Failure;
use crate::unittest::failure;
use crate::unittest::failure::Word;
use crate::unittest::names;
use crate::unittest::names::What;
use crate::unittest::text::Block;
use crate::unittest::text::Numbers;
use crate::unittest::text::Session;
use crate::unittest::text::Shown;
use std::collections::BTreeSet;

/// What one run of the text comes to.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub counts: Counts,
    pub failures: Vec<Failure>,
    /// What contradicts itself.
    pub faults: Vec<String>,
    /// Tests that passed unexpectedly and are not named.
    pub unnamed: u64,
    /// Whether its end was there.
    pub ended: bool,
    /// Its last word was not a good one.
    pub failed: bool,
}

/// The runs that are believed.
pub(crate) fn real(mut sessions: Vec<Session>) -> Vec<Session> {
    let mut kept: Vec<Session> = Vec::new();
    // Runs that were printed within another.
    let mut printed: Vec<Session> = Vec::new();
    while let Some(session) = sessions.pop() {
        if printed.iter().any(|other| alike(other, &session)) {
            continue;
        }
        let only = sessions.is_empty() && kept.is_empty();
        let alone = sessions.is_empty() && (kept.is_empty() || signs(&session) > 0);
        let enough = signs(&session) >= least(&session);
        if enough && !only && !credible(&session) {
            continue;
        }
        if enough || alone {
            kept.push(session);
            continue;
        }
        let own = signs(&session);
        let (mut parts, sum) = within(&sessions, &session);
        let mut fits = sum >= least(&session) && sum <= most(&session);
        let quiet = own == 0 && !fits && quiet(&session, &sessions);
        if quiet {
            (parts, fits) = (sessions.len(), true);
        }
        let inner = &sessions[sessions.len() - parts..];
        // Nothing that is printed within a run has more tests than the run.
        let larger = inner.iter().any(|one| one.ran > session.ran);
        let behind = !quiet && matches!(inner, [one] if satisfied(one));
        if own == 0 && (!fits || larger || behind) {
            // Behind the end of a whole run: what a test printed comes last where standard
            // output is no terminal.
            continue;
        }
        kept.push(match fits {
            true => {
                let inner = sessions.split_off(sessions.len() - parts);
                printed.extend(inner.iter().cloned());
                absorb(session, inner)
            }
            false => session,
        });
    }
    kept.reverse();
    kept
}

/// Whether two runs are the same text, printed twice.
fn alike(one: &Session, two: &Session) -> bool {
    let last = |session: &Session| session.blocks.last().map(|block| block.heading.clone());
    one.ran == two.ran && one.end == two.end && last(one).is_some() && last(one) == last(two)
}

/// A run with `-q` has no signs; it has more tests than all that they print, and tells of each
/// that failed.
fn quiet(session: &Session, before: &[Session]) -> bool {
    let end = session.end.unwrap_or_default();
    let ran = before.iter().map(|one| one.ran.unwrap_or(0)).sum::<u64>();
    let told = session.blocks.len() + before.iter().map(|one| one.blocks.len()).sum::<usize>();
    let bad = end.failures + end.errors;
    session.ran > Some(ran) && bad > 0 && told as u64 >= bad
}

/// How many of the runs before one it takes until there are enough signs, and those. A run with
/// letters has no lines: those are what its tests printed.
fn within(before: &[Session], session: &Session) -> (usize, u64) {
    let letters = |session: &Session| session.progress.letters + session.progress.maybe;
    let (parts, sum) = taken(before, session, letters);
    match (least(session)..=most(session)).contains(&sum) {
        true => (parts, sum),
        false => taken(before, session, signs),
    }
}

fn taken(before: &[Session], session: &Session, signs: fn(&Session) -> u64) -> (usize, u64) {
    let (mut parts, mut sum) = (0, signs(session));
    for inner in before.iter().rev() {
        if sum >= least(session) {
            break;
        }
        parts += 1;
        sum += signs(inner);
    }
    (parts, sum)
}

/// What stood within a run took a part of its signs away.
fn absorb(mut session: Session, mut inner: Vec<Session>) -> Session {
    let among_blocks = signs(&session) == 0;
    let (least, mut lines) = (least(&session), 0);
    for one in &mut inner {
        // All of the run's own lines were there before.
        if lines > 0 && 10 * lines >= 9 * least {
            one.progress.results.clear();
        }
        lines += one.progress.lines;
    }
    for one in inner.into_iter().rev() {
        let progress = &mut session.progress;
        progress.letters += one.progress.letters;
        progress.dots += one.progress.dots;
        progress.maybe += one.progress.maybe;
        progress.lines += one.progress.lines;
        progress.passed += one.progress.passed;
        progress.skipped += one.progress.skipped;
        progress.results.extend(one.progress.results);
        if among_blocks {
            // It was printed in a test's captured output: the blocks before are the run's.
            let mut blocks = one.blocks;
            blocks.append(&mut session.blocks);
            session.blocks = blocks;
        }
    }
    session
}

/// Letters or lines of tests.
fn signs(session: &Session) -> u64 {
    let progress = &session.progress;
    progress.letters + progress.maybe + progress.lines
}

/// So many signs a run has at most: each failed subtest and each fixture has one, too.
fn most(session: &Session) -> u64 {
    let end = session.end.unwrap_or_default();
    session.ran.unwrap_or(0) + end.failures + end.errors + end.skipped + session.progress.maybe
}

/// What failed in a run has shown before; but for subtests, before 3.12.
fn credible(session: &Session) -> bool {
    let end = session.end.unwrap_or_default();
    let progress = &session.progress;
    let failed = progress
        .results
        .values()
        .any(|shown| *shown == Shown::Failed);
    let subtests = || {
        let mut names = session
            .blocks
            .iter()
            .map(|block| names::read(&block.heading));
        names.any(|name| name.id != name.base)
    };
    let bad = failed || progress.letters > progress.dots || progress.maybe > 0;
    let nothing = signs(session) == 0;
    nothing || end.failures + end.errors == 0 || bad || subtests()
}

fn satisfied(session: &Session) -> bool {
    (least(session)..=most(session)).contains(&signs(session))
}

/// So many signs a run has at least: before 3.12 a test whose subtests failed has none.
fn least(session: &Session) -> u64 {
    let names = session
        .blocks
        .iter()
        .map(|block| names::read(&block.heading));
    let with_subtests: BTreeSet<String> = names
        .filter(|name| name.id != name.base && name.what == What::Test)
        .map(|name| name.base)
        .collect();
    let ran = session.ran.unwrap_or(0);
    ran.saturating_sub(with_subtests.len() as u64)
}

/// What a run comes to.
pub(crate) fn judge(mut session: Session, context: &Context) -> Found {
    let mut found = Found {
        ended: session.ran.is_some() && session.end.is_some(),
        failed: session.end.is_some_and(|end| !end.ok),
        ..Found::default()
    };
    let end = session.end;
    let blocks = std::mem::take(&mut session.blocks);
    let mut kept = blocks;
    if let Some(end) = end {
        kept = cut_down(kept, Word::Fail, end.failures, &session, context);
        kept = cut_down(kept, Word::Error, end.errors, &session, context);
        kept = cut_down(kept, Word::Unexpected, end.unexpected, &session, context);
        for (word, said, name) in [
            (Word::Fail, end.failures, "failures"),
            (Word::Error, end.errors, "errors"),
        ] {
            let named = kept.iter().filter(|block| block.word == word).count() as u64;
            if named != said {
                found
                    .faults
                    .push(format!("{said} {name} are counted, {named} are there"));
            }
        }
    }
    let mut failing: BTreeSet<String> = BTreeSet::new();
    let mut fixtures: BTreeSet<String> = BTreeSet::new();
    for block in &kept {
        let name = names::read(&block.heading);
        // Behind those that a report lists it only counts that a test failed.
        if name.what == What::Test && found.failures.len() >= compose::MOST_FAILURES {
            found.failures.push(compose::unlisted(&name.id, None));
            failing.insert(name.base);
            continue;
        }
        match name.what {
            What::SetUp | What::TearDown => fixtures.insert(name.id),
            _ => failing.insert(name.base),
        };
        found.failures.push(failure::of(
            block.word,
            &block.heading,
            &block.body,
            context,
        ));
    }
    unexpected(&session, end, &mut failing, &mut found);
    if end.is_none() {
        without_end(&session, &mut failing, &mut found, context);
    }
    found.counts = counts(&session, end, failing.len() as u64, fixtures.len() as u64);
    found.counts.failed += found.unnamed;
    found
}

/// Before 3.11 only `-v` says which test passed unexpectedly.
fn unexpected(
    session: &Session,
    end: Option<Numbers>,
    failing: &mut BTreeSet<String>,
    found: &mut Found,
) {
    let said = end.map_or(0, |end| end.unexpected);
    let shown = session.progress.results.iter();
    for (id, _) in shown.filter(|(_, shown)| **shown == Shown::UnexpectedSuccess) {
        if failing.insert(id.clone()) {
            found
                .failures
                .push(failure::of(Word::Unexpected, id, "", &Context::default()));
        }
    }
    let kind = crate::report::FailureKind::UnexpectedPass;
    let named = found.failures.iter().filter(|f| f.kind == kind).count() as u64;
    found.unnamed = said.saturating_sub(named);
}

/// A run that was cut off names in `-v` what had failed; the blocks would have followed.
fn without_end(
    session: &Session,
    failing: &mut BTreeSet<String>,
    found: &mut Found,
    context: &Context,
) {
    let shown = session.progress.results.iter();
    for (id, _) in shown.filter(|(_, shown)| **shown == Shown::Failed) {
        if failing.insert(id.clone()) {
            let mut one = failure::of(Word::Fail, id, "", context);
            one.kind_sure = false;
            one.message = "failed; the output ends before it says why".to_owned();
            found.failures.push(crate::compose::seal(one));
        }
    }
}

/// How many tests ended how. A fixture is no test that ran, a test with failed subtests is one.
fn counts(session: &Session, end: Option<Numbers>, failing: u64, fixtures: u64) -> Counts {
    let progress = &session.progress;
    let good = progress.dots.max(progress.passed);
    let Some(end) = end else {
        return Counts::new(good, failing + fixtures, progress.skipped);
    };
    let ran = session.ran.unwrap_or(0);
    let most = ran.saturating_sub(failing);
    let worked_out = most.saturating_sub(end.skipped + end.expected);
    // A class that is skipped whole is counted as skipped, its tests have not run.
    let passed = worked_out.max(good.min(most));
    Counts::new(passed, failing + fixtures, end.skipped + end.expected)
}

/// Of more blocks than are counted the least probable go.
fn cut_down(
    blocks: Vec<Block>,
    word: Word,
    said: u64,
    session: &Session,
    context: &Context,
) -> Vec<Block> {
    let mut ranked: Vec<(u32, usize)> = Vec::new();
    let mut captured = false;
    for (at, block) in blocks.iter().enumerate() {
        if block.word == word {
            ranked.push((doubt(block, captured, session, context), at));
        }
        captured |= block.body.contains("\n\nStdout:\n") || block.body.contains("\n\nStderr:\n");
    }
    let surplus = (ranked.len() as u64).saturating_sub(said) as usize;
    if surplus == 0 {
        return blocks;
    }
    // Most doubtful first; among equals the earlier ones, which stood in the progress.
    ranked.sort_by_key(|(doubt, at)| (std::cmp::Reverse(*doubt), *at));
    let gone: BTreeSet<usize> = ranked.iter().take(surplus).map(|(_, at)| *at).collect();
    let kept = blocks.into_iter().enumerate();
    kept.filter(|(at, _)| !gone.contains(at))
        .map(|(_, block)| block)
        .collect()
}

/// Whether the lines with results are the run's own: it has one for each test that passed.
fn has_lines(session: &Session) -> bool {
    let (progress, end) = (&session.progress, session.end.unwrap_or_default());
    let bad = end.failures + end.errors + end.unexpected;
    let good = session.ran.unwrap_or(0).saturating_sub(bad);
    let letters = progress.letters + progress.maybe;
    let dotted = letters > 0 && letters >= least(session);
    let enough = 2 * progress.lines >= session.ran.unwrap_or(0);
    progress.lines > 0 && !dotted && enough && 2 * (progress.passed + progress.skipped) >= good
}

/// How little a block looks like one of the run's own.
fn doubt(block: &Block, captured: bool, session: &Session, context: &Context) -> u32 {
    let name = names::read(&block.heading);
    let results = &session.progress.results;
    let mut doubt = u32::from(captured);
    let shown = has_lines(session) == results.contains_key(&name.base);
    // A test whose subtests failed has no result of its own.
    if !shown && name.what == What::Test && name.id == name.base {
        doubt += 8;
    }
    if block.word == Word::Unexpected {
        return doubt;
    }
    let made = failure::of(block.word, &block.heading, &block.body, context);
    if !block.body.contains("Traceback (most recent call last):") {
        doubt += 8;
    }
    match &made.location {
        None => doubt += 2,
        Some(at) if !context.tree.may_hold(&at.file, at.line) => doubt += 16,
        Some(_) => {}
    }
    // A test's own method stands in its stack.
    let method = |function: &str| function.rsplit('.').next() == Some(name.method.as_str());
    let frames = made.frames.iter();
    let own = frames
        .filter_map(|frame| frame.function.as_deref())
        .any(method);
    doubt + u32::from(!own)
}
