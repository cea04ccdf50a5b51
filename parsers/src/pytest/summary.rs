//! What the text of one session comes to: the names of the short summary with their blocks.

use crate::compose;
use crate::pytest::block;
use crate::pytest::last::Last;
use crate::pytest::place::Place;
use crate::pytest::progress::Shown;
use crate::pytest::text::Block;
use crate::pytest::text::Named;
use crate::pytest::text::Session;
use crate::python;
use crate::python::traceback::Entry;
use crate::report::Counts;
use crate::report::Failure;
use crate::report::FailureKind;
use crate::report::Phase;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::collections::HashMap;

/// What one session comes to.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub counts: Counts,
    pub failures: Vec<Failure>,
    pub filtered: u64,
    /// What contradicts itself.
    pub faults: Vec<String>,
    /// Tests that were collected and have no result.
    pub not_run: u64,
}

/// Works out a session whose last line, if there is one, is `last`.
pub(crate) fn found(session: &mut Session, last: Option<Last>, place: &Place) -> Found {
    let found = by_names(session, last, place);
    let said = last.map_or(0, |last| last.failed + last.errors);
    if found.faults.is_empty() || session.named.is_empty() || session.blocks.is_empty() {
        return found;
    }
    // The summary was turned off, and a test has printed one.
    let names = std::mem::take(&mut session.named);
    let other = by_names(session, last, place);
    if other.failures.len() as u64 == said && other.faults.is_empty() {
        return other;
    }
    session.named = names;
    found
}

/// A session with its blocks by their titles: a summary names as many tests as there are blocks.
struct Titled<'a> {
    session: &'a Session,
    /// With and without what a doctest's title begins with.
    by_title: HashMap<&'a str, Vec<usize>>,
}

impl<'a> Titled<'a> {
    fn of(session: &'a Session) -> Self {
        let mut by_title: HashMap<&str, Vec<usize>> = HashMap::new();
        for (at, block) in session.blocks.iter().enumerate() {
            let bare = block::phase(&block.title).1;
            by_title.entry(bare).or_default().push(at);
            if let Some(bare) = bare.strip_prefix("[doctest] ") {
                by_title.entry(bare).or_default().push(at);
            }
        }
        Titled { session, by_title }
    }

    /// The blocks that may have one of these titles, in their order.
    fn candidates(&self, titles: [&str; 2]) -> Vec<usize> {
        let found = titles.iter().filter_map(|title| self.by_title.get(title));
        let mut found: Vec<usize> = found.flatten().copied().collect();
        found.sort_unstable();
        found.dedup();
        found
    }

    /// Whether a block has exactly this title.
    fn has(&self, title: &str) -> bool {
        let exact = |at: &usize| {
            let block = self.session.blocks.get(*at);
            block.is_some_and(|block| block::phase(&block.title).1 == title)
        };
        self.by_title
            .get(title)
            .is_some_and(|found| found.iter().any(exact))
    }
}

fn by_names(session: &Session, last: Option<Last>, place: &Place) -> Found {
    let titled = &Titled::of(session);
    let mut found = Found::default();
    let mut used: BTreeSet<usize> = BTreeSet::new();
    let mut lines = of_lines(titled, place);
    let parents: BTreeSet<String> = session
        .named
        .iter()
        .filter(|named| named.subtest)
        .map(|named| split(&named.rest, titled).0)
        .collect();
    let mut tests = Tests::default();
    let failed_too: BTreeSet<String> = session
        .named
        .iter()
        .filter(|named| !named.error)
        .map(|named| split(&named.rest, titled).0)
        .collect();
    let mut failed_too = failed_too;
    for (number, named) in session.named.iter().enumerate() {
        let (id, message) = split(&named.rest, titled);
        let one = Wanted {
            named,
            id: &id,
            message: &message,
            line: lines.remove(&number),
        };
        // Pytest 9 lets a test fail whose subtests did.
        let parent = !named.error && !named.subtest && parents.contains(&id);
        if parent && message.contains(" failed subtest") {
            used.extend(one.block(titled, &used));
            continue;
        }
        // Behind those that a report lists it only counts that a test failed.
        if found.failures.len() >= compose::MOST_FAILURES && one.is_ordinary(titled) {
            let failure = compose::unlisted(&id, None);
            tests.take(named, &id, &failure);
            found.failures.push(failure);
            failed_too.insert(id);
            continue;
        }
        let failure = one.failure(titled, &mut used, &failed_too, place);
        tests.take(named, &id, &failure);
        found.failures.push(failure);
        // A second error of the same test is its teardown's.
        failed_too.insert(id);
    }
    let said = last.map(|last| last.failed + last.errors);
    if session.named.is_empty() && said.is_none_or(|said| said > 0) {
        unnamed(session, last, &mut tests, &mut found, place);
    }
    if let Some(last) = last {
        let named = session.named.len().max(found.failures.len()) as u64;
        if !session.named.is_empty() && named != last.failed + last.errors {
            found.faults.push(format!(
                "the last line counts {} failures, {named} are named",
                last.failed + last.errors
            ));
        }
    }
    found.filtered = last.map_or(0, |last| last.deselected);
    found.counts = tests.counts(titled, last);
    if let (Some(collected), Some(last)) = (session.collected, last)
        && last.collected == 0
    {
        let ran = found.counts.passed + found.counts.failed + found.counts.skipped;
        found.not_run = collected.saturating_sub(ran + last.deselected);
    }
    found
}

/// Which tests failed, each once.
#[derive(Debug, Default)]
struct Tests {
    failed: BTreeSet<String>,
    /// Only subtests of them did: before pytest 9 they count as passed.
    by_subtests: BTreeSet<String>,
    /// Only their teardown did: they count as passed or failed besides.
    by_teardown: BTreeSet<String>,
    others: u64,
}

impl Tests {
    fn take(&mut self, named: &Named, id: &str, failure: &Failure) {
        if !id.contains("::") {
            self.others += 1;
        } else if named.subtest {
            self.by_subtests.insert(id.to_owned());
        } else if failure.phase == Phase::Teardown {
            self.by_teardown.insert(id.to_owned());
        } else {
            self.failed.insert(id.to_owned());
        }
    }

    fn counts(&self, titled: &Titled<'_>, last: Option<Last>) -> Counts {
        let session = titled.session;
        let mut all = self.failed.clone();
        all.extend(self.by_subtests.iter().cloned());
        all.extend(self.by_teardown.iter().cloned());
        let failed = all.len() as u64 + self.others;
        let Some(last) = last else {
            return without_end(session, failed);
        };
        let named = !session.named.is_empty() || !all.is_empty();
        let torn = self.by_teardown.difference(&self.failed);
        let torn = torn.filter(|id| !self.by_subtests.contains(*id)).count() as u64;
        let parents = session
            .named
            .iter()
            .filter(|named| !named.subtest && !named.error);
        let parents: BTreeSet<String> = parents.map(|named| split(&named.rest, titled).0).collect();
        let hidden = self.by_subtests.difference(&parents).count() as u64;
        let passed = last.passed.saturating_sub(torn + hidden);
        let failed = if named {
            failed
        } else {
            last.failed + last.errors
        };
        Counts::new(passed, failed, last.skipped)
    }
}

/// Before its end a session has shown letters or lines.
fn without_end(session: &Session, failed: u64) -> Counts {
    let progress = &session.progress;
    if progress.lines == 0 {
        let [passed, bad, errors, skipped] = progress.letters;
        return Counts::new(passed, failed.max(bad + errors), skipped);
    }
    Counts::new(progress.passed, failed, progress.skipped)
}

/// A name of the summary, looking for what else is said of it.
struct Wanted<'a> {
    named: &'a Named,
    id: &'a str,
    message: &'a str,
    /// Its line of `--tb=line`: place and message.
    line: Option<(Entry, String)>,
}

impl Wanted<'_> {
    fn failure(
        &self,
        titled: &Titled<'_>,
        used: &mut BTreeSet<usize>,
        failed_too: &BTreeSet<String>,
        place: &Place,
    ) -> Failure {
        let session = titled.session;
        let at = self.block(titled, used);
        let mut failure = match at.and_then(|at| session.blocks.get(at)) {
            Some(block) => block::failure(&block.title, &block.text, place),
            None => self.bare(failed_too, session, place),
        };
        used.extend(at);
        if !self.id.contains("::") && !self.id.contains(".py ") {
            failure.kind = FailureKind::CollectionError;
            failure.phase = Phase::Collect;
            failure.kind_sure = true;
            failure.diff = None;
        }
        if failure.message.is_empty() || failure.message == "no message" {
            self.message.clone_into(&mut failure.message);
        }
        // What pytest has no stack of it names nevertheless.
        if failure.kind == FailureKind::CollectionError && failure.location.is_none() {
            failure.location = Some(crate::report::Location {
                file: place.path(self.id),
                line: None,
                column: None,
            });
        }
        failure.rerun = place.rerun(self.id);
        failure.id = match self.named.part.as_str() {
            "" => self.id.to_owned(),
            part => format!("{} {part}", self.id),
        };
        compose::seal(failure)
    }

    /// Whether it can only be that the test itself failed: no part of it, no fixture, no crash.
    fn is_ordinary(&self, titled: &Titled<'_>) -> bool {
        let file = self.id.split("::").next().unwrap_or(self.id);
        let named = !self.named.error && !self.named.subtest && self.id.contains("::");
        named && !titled.by_title.contains_key(file)
    }

    /// The first block that is not taken and has the name; in the right file, if it says so.
    fn block(&self, titled: &Titled<'_>, used: &BTreeSet<usize>) -> Option<usize> {
        let session = titled.session;
        let title = title_of(self.id);
        let file = self.id.split("::").next().unwrap_or(self.id);
        let fits = |block: &Block| {
            let (phase, bare) = block::phase(&block.title);
            let error = phase != Phase::Call;
            // A crashed worker's block has the file for its title.
            if bare == file
                && block
                    .text
                    .contains(&format!("crashed while running '{}'", self.id))
            {
                return true;
            }
            if error != self.named.error {
                return false;
            }
            let bare = match bare.strip_prefix("[doctest] ") {
                Some(bare) => bare,
                None => bare,
            };
            if title.is_empty() {
                return bare == file;
            }
            match self.named.part.as_str() {
                "" => bare == title,
                part => bare.strip_prefix(title.as_str()).map(str::trim) == Some(part),
            }
        };
        let candidates = match self.named.part.as_str() {
            "" => titled.candidates([&title, file]),
            _ => (0..session.blocks.len()).collect(),
        };
        let of_name: Vec<usize> = candidates
            .into_iter()
            .filter(|at| !used.contains(at) && session.blocks.get(*at).is_some_and(&fits))
            .collect();
        let in_file = of_name.iter().find(|at| {
            let text = session
                .blocks
                .get(**at)
                .map_or("", |block| block.text.as_str());
            starts_in(text, file)
        });
        in_file.or(of_name.first()).copied()
    }

    /// Without a block: the summary's message, and the line of `--tb=line`.
    fn bare(&self, failed_too: &BTreeSet<String>, session: &Session, place: &Place) -> Failure {
        let shown = session.progress.results.get(self.id);
        let again = shown.is_some_and(|shown| shown.len() > 1) || failed_too.contains(self.id);
        let phase = match (self.named.error, again) {
            (false, _) => Phase::Call,
            (true, true) => Phase::Teardown,
            (true, false) => Phase::Setup,
        };
        let line = self.line.clone();
        let text = match &line {
            Some((_, rest)) => rest.as_str(),
            None => self.message,
        };
        let marked = format!("E   {text}");
        let mut said = block::read(&marked);
        // What is cut off has no second side.
        if said.message.ends_with("...") && line.is_none() {
            said.message = said.message.replace("assert ", "assert\u{a0}");
        }
        let (kind, mut sure) = match self.message {
            // Most failures are assertions.
            "" if line.is_none() && phase == Phase::Call => (FailureKind::Assertion, false),
            _ => block::kind(&said, phase),
        };
        sure &= phase == Phase::Call || again;
        let message = block::one_line(&said).replace('\u{a0}', " ");
        let mut failure = compose::failure(self.id, kind, phase, message);
        failure.kind_sure = sure;
        if let Some((entry, _)) = line {
            said.entries.push(entry);
        }
        block::fill(&mut failure, &said, place);
        failure
    }
}

/// The lines of `--tb=line` by the number of the name that they belong to: they come in the
/// same order, but some names have none.
fn of_lines(titled: &Titled<'_>, place: &Place) -> BTreeMap<usize, (Entry, String)> {
    let mut found = BTreeMap::new();
    let session = titled.session;
    if session.places.is_empty() {
        return found;
    }
    let lines: Vec<(&str, u32, &str)> = session
        .places
        .iter()
        .filter_map(|line| block::split_place(line))
        .collect();
    let names: Vec<(usize, String, String)> = session
        .named
        .iter()
        .enumerate()
        .filter(|(_, named)| !named.error)
        .map(|(number, named)| {
            let (id, message) = split(&named.rest, titled);
            let wanted = message.strip_suffix("...").unwrap_or(&message).trim_end();
            (number, id, wanted.to_owned())
        })
        .collect();
    let mut at = 0;
    for (index, (number, id, wanted)) in names.iter().enumerate() {
        let next = names
            .get(index + 1)
            .map_or("", |(_, _, next)| next.as_str());
        let own = match wanted.as_str() {
            "" => lines.get(at).filter(|(path, _, rest)| {
                let file = id.split("::").next().unwrap_or(id);
                let of_next = !next.is_empty() && rest.starts_with(next);
                !of_next && place.path(path) == place.path(file)
            }),
            wanted => {
                let ahead = lines.iter().skip(at).take(50);
                let skipped = ahead
                    .clone()
                    .position(|(_, _, rest)| rest.starts_with(wanted));
                at += skipped.unwrap_or(0);
                skipped.and_then(|_| lines.get(at))
            }
        };
        if let Some((path, line, rest)) = own {
            at += 1;
            let entry = Entry {
                file: (*path).to_owned(),
                line: Some(*line),
                function: None,
            };
            found.insert(*number, (entry, (*rest).to_owned()));
        }
    }
    found
}

/// Whether a block's stack begins in a file.
fn starts_in(text: &str, file: &str) -> bool {
    let lines = text.lines().take(2_000);
    let first = lines.filter_map(block::place_line).next();
    first.is_some_and(|entry| entry.file == file || entry.file.ends_with(&format!("/{file}")))
}

/// A block's title for an id: `TestClass.test_a[x]` for `a.py::TestClass::test_a[x]`.
fn title_of(id: &str) -> String {
    let name = id.split_once("::").map_or("", |(_, name)| name);
    let (path, parameters) = name.split_at(name.find('[').unwrap_or(name.len()));
    path.replace("::", ".") + parameters
}

/// The id ends at the first ` - ` that is not inside of it: ids may hold that, too.
fn split(rest: &str, titled: &Titled<'_>) -> (String, String) {
    let session = titled.session;
    let known = |id: &str| session.progress.results.contains_key(id);
    let mut ends: Vec<usize> = rest.match_indices(" - ").map(|(at, _)| at).collect();
    ends.push(rest.trim_end().len());
    if !session.progress.results.is_empty()
        && let Some(end) = ends.iter().rev().find(|end| known(&rest[..**end]))
    {
        let message = rest[*end..].strip_prefix(" - ").unwrap_or("");
        return (rest[..*end].to_owned(), message.to_owned());
    }
    // A block of that title proves an id, too.
    let proves = |id: &str| {
        let title = title_of(id);
        !title.is_empty() && titled.has(&title)
    };
    let mut candidates = ends.iter().copied().filter(|end| {
        let id = &rest[..*end];
        !id.contains('[') || id.ends_with(']')
    });
    let first = candidates.clone().next();
    let proved = match first {
        // Where it may end in several places the blocks decide.
        Some(first) if rest[..first].contains('[') => candidates.find(|end| proves(&rest[..*end])),
        _ => None,
    };
    let end = proved.or(first).unwrap_or(rest.trim_end().len());
    let message = rest[end..].strip_prefix(" - ").unwrap_or("");
    (rest[..end].to_owned(), message.to_owned())
}

/// Without the summary (`-r` can turn it off, and a log may be cut off) the blocks and the
/// lines of `-v` name what failed.
fn unnamed(
    session: &Session,
    last: Option<Last>,
    tests: &mut Tests,
    found: &mut Found,
    place: &Place,
) {
    let mut by_title: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (id, shown) in &session.progress.results {
        if shown
            .iter()
            .any(|shown| matches!(shown, Shown::Failed | Shown::Error))
        {
            by_title.entry(title_of(id)).or_default().push(id.clone());
        }
    }
    let verbose = session.progress.lines > 0;
    let mut told: BTreeSet<String> = BTreeSet::new();
    for block in &session.blocks {
        let (phase, bare) = block::phase(&block.title);
        let mut failure = block::failure(&block.title, &block.text, place);
        let ids = by_title.get(bare).cloned().unwrap_or_default();
        let file = first_file(&block.text).map(|file| match file.starts_with('/') {
            true => place.path(&file),
            false => file,
        });
        let of_file = |id: &&String| {
            file.as_ref()
                .is_some_and(|file| id.starts_with(&format!("{file}::")))
        };
        let id = ids.iter().find(of_file).or(ids.first()).cloned();
        let id = match (phase, id) {
            (Phase::Collect, _) => bare.to_owned(),
            (_, Some(id)) => id,
            // `-v` would have named it, the letters its file: a test printed it.
            (_, None) if verbose && last.is_some() => continue,
            (Phase::Call, None) if unheard_of(session, file.as_deref()) => continue,
            (Phase::Call, None) => {
                let failing = only(&session.progress.failing);
                guess(bare, file.as_deref().or(failing))
            }
            // A fixture's stack does not begin in the test's file.
            (_, None) => guess(bare, only(&session.progress.erring)),
        };
        if text_only(&failure) {
            continue;
        }
        told.insert(id.clone());
        failure.rerun = place.rerun(&id);
        failure.id = id.clone();
        let named = Named {
            error: phase != Phase::Call,
            subtest: false,
            part: String::new(),
            rest: String::new(),
        };
        let failure = compose::seal(failure);
        tests.take(&named, &id, &failure);
        found.failures.push(failure);
    }
    for (id, shown) in &session.progress.results {
        let bad = shown
            .iter()
            .find(|shown| matches!(shown, Shown::Failed | Shown::Error));
        let Some(bad) = bad.filter(|_| !told.contains(id)) else {
            continue;
        };
        let (kind, phase) = match (bad, shown.len()) {
            (Shown::Failed, _) => (FailureKind::Panic, Phase::Call),
            (_, 1) => (FailureKind::SetupError, Phase::Setup),
            _ => (FailureKind::TeardownError, Phase::Teardown),
        };
        let mut failure = compose::failure(id, kind, phase, "failed; the output does not say why");
        failure.kind_sure = phase != Phase::Call;
        failure.rerun = place.rerun(id);
        let named = Named {
            error: phase != Phase::Call,
            subtest: false,
            part: String::new(),
            rest: String::new(),
        };
        let failure = compose::seal(failure);
        tests.take(&named, id, &failure);
        found.failures.push(failure);
    }
    let said = last.map_or(0, |last| last.failed + last.errors);
    let more = found.failures.len() as u64 > said;
    if last.is_some() && more {
        // Too many: the ones whose stack is nowhere in the project go first.
        found
            .failures
            .sort_by_key(|failure| failure.location.is_none());
        found.failures.truncate(said as usize);
        found
            .faults
            .push("more failures are shown than the last line counts".to_owned());
    }
}

/// Whether the letters name files, and this is none of them.
fn unheard_of(session: &Session, file: Option<&str>) -> bool {
    let files = &session.progress.files;
    let Some(file) = file.filter(|_| !files.is_empty()) else {
        return false;
    };
    !files
        .iter()
        .any(|known| known == file || file.ends_with(&format!("/{known}")))
}

/// A block with nothing that pytest writes in one.
fn text_only(failure: &Failure) -> bool {
    failure.details.is_none()
}

fn first_file(text: &str) -> Option<String> {
    let mut lines = text.lines().take(2_000);
    let first = lines.find_map(block::place_line)?;
    (!python::of_python(&first.file)).then_some(first.file)
}

/// The one file, if it is one.
fn only(files: &BTreeSet<String>) -> Option<&str> {
    let mut files = files.iter();
    files
        .next()
        .filter(|_| files.next().is_none())
        .map(String::as_str)
}

/// `TestClass.test_a[x]` and the file that its stack begins in make an id.
fn guess(title: &str, file: Option<&str>) -> String {
    let name = match title.strip_prefix("[doctest] ") {
        Some(title) => title.to_owned(),
        None => {
            let (path, parameters) = title.split_at(title.find('[').unwrap_or(title.len()));
            path.replace('.', "::") + parameters
        }
    };
    match file {
        Some(file) => format!("{file}::{name}"),
        None => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_hold_what_separates_them() {
        let session = Session::default();
        for (rest, id, message) in [
            ("t.py::a[x - y] - assert 1", "t.py::a[x - y]", "assert 1"),
            ("t.py::a - x[1] - y", "t.py::a", "x[1] - y"),
            ("t.py::a[b]", "t.py::a[b]", ""),
        ] {
            assert_eq!(
                split(rest, &Titled::of(&session)),
                (id.into(), message.into())
            );
        }
    }
}
