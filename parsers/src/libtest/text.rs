//! The text of Rust's test harness and of rustdoc, as it is written for people.
//!
//! Tests print what they like, also lines that look like results. Three things keep them from
//! being believed: the number of tests is announced, the failed ones are named again at the
//! end, and the last line counts. Only what agrees with these is reported.

use crate::libtest::loose::Loose;
use crate::libtest::panic;
use crate::names::Names;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::collections::HashSet;

/// The most that is kept of one test's output.
const MOST_OUTPUT: usize = 256 * 1024;
/// A run that a test prints has no more failures than this.
const MOST_PRINTED: usize = 1000;
/// A name that is longer is looked at twice.
const MOST_NAME: usize = 4 * 1024;
/// More result lines than this are not kept.
const MOST_TESTS: usize = 500_000;

/// A verdict of one line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Word {
    /// `ok`.
    Ok,
    /// `FAILED`.
    Failed,
    /// `ignored`.
    Ignored,
}

/// A section that has come to its end, or to the log's end.
#[derive(Debug, Default)]
pub(crate) struct Section {
    /// (passed, failed, ignored) by the last line, else by the result lines.
    pub counts: (u64, u64, u64),
    /// Tests that a filter left out, by the last line.
    pub filtered: u64,
    /// The failed tests with what they printed, in the order in which they failed.
    pub failed: Vec<(String, String)>,
    /// A test that had begun and not ended, where the text shows it.
    pub running: Option<String>,
    /// The test that ended the process, how, and what its thread said.
    pub culprit: Option<(String, &'static str, String)>,
    /// The test that had begun is the only one without a result.
    pub last_one: bool,
    /// Whether the last line was there.
    pub ended: bool,
    /// What contradicts itself; empty if the section is believed.
    pub faults: Vec<String>,
}

/// Something that a line made known.
#[derive(Debug)]
pub(crate) enum Said<'a> {
    /// A section began with so many tests.
    Began(u64, Option<Box<Section>>),
    /// Results of tests.
    Results(Vec<(String, Word)>),
    /// The result of a line that holds nothing else.
    Result(&'a str, Word),
    /// A section is over.
    Ended(Box<Section>),
    /// A line within a section.
    Inside,
    /// A line that belongs to no section.
    Outside,
}

#[derive(Debug, Default)]
struct Open {
    announced: u64,
    results: Names<Word>,
    /// How many of them are `ok`, `FAILED`, `ignored`.
    seen: [u64; 3],
    pending: Option<Pending>,
    /// In the order of their headings.
    blocks: Names<String>,
    block: Option<usize>,
    in_failures: bool,
    names: Option<Vec<String>>,
    candidate: Option<Tally>,
    doubled: bool,
    /// One character a test (`--quiet`): only the failed ones have names.
    terse: bool,
    /// The test whose output seemed to end with its result when it printed `failures:`.
    torn: Option<String>,
    /// The last result below that, and all that stands there.
    torn_word: Option<Word>,
    torn_text: String,
    /// Tests whose result stood somewhere behind their name: it may be another test's.
    unsure: HashSet<String>,
    /// What failed tests printed between their name and their result (`--nocapture`).
    printed: BTreeMap<String, String>,
    loose: Loose,
}

/// A test whose name stands before what it prints, and its result behind.
#[derive(Debug)]
struct Pending {
    name: String,
    output: String,
    word: Option<Word>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Tally {
    ok: bool,
    passed: u64,
    failed: u64,
    ignored: u64,
    filtered: u64,
    names: Vec<String>,
}

/// Reads the text line by line.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    open: Option<Open>,
}

impl Reader {
    /// Takes one line, already free of control sequences.
    pub fn line<'a>(&mut self, line: &'a str) -> Said<'a> {
        if let Some((name, word)) = self.result_of(line.as_bytes()) {
            return match self.take(name, word) {
                true => Said::Result(name, word),
                false => Said::Inside,
            };
        }
        let Some(open) = &mut self.open else {
            return match announced(line) {
                Some(count) => {
                    self.begin(count);
                    Said::Began(count, None)
                }
                None => Said::Outside,
            };
        };
        if let Some(count) = announced(line)
            && (open.candidate.is_some() || open.nothing_yet())
        {
            let before = self.close();
            self.begin(count);
            return Said::Began(count, before.map(Box::new));
        }
        if line.starts_with("test result: ") {
            open.settle_pending();
        }
        if let Some(tally) = open.tally(line) {
            if open.agrees(&tally) || open.explains(&tally) {
                open.candidate = Some(tally);
                return match self.close() {
                    Some(section) => Said::Ended(Box::new(section)),
                    None => Said::Inside,
                };
            }
            open.candidate = Some(tally);
            return Said::Inside;
        }
        let found = open.inside(line);
        match found.is_empty() {
            true => Said::Inside,
            false => Said::Results(found),
        }
    }

    /// A line that is nothing but a result, where results are expected: most lines by far.
    pub fn result_of<'a>(&self, line: &'a [u8]) -> Option<(&'a str, Word)> {
        let open = self.open.as_ref()?;
        match open.in_failures || open.pending.is_some() {
            true => None,
            false => bare_result(line),
        }
    }

    /// Takes such a result; whether it is one that counts.
    pub fn take(&mut self, name: &str, word: Word) -> bool {
        let Some(open) = &mut self.open else {
            return false;
        };
        let counts = open.result(name, word);
        open.loose.mark();
        counts
    }

    fn begin(&mut self, announced: u64) {
        self.open = Some(Open {
            announced,
            ..Open::default()
        });
    }

    /// Whether a section has begun and not ended.
    pub fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Whether the section that is open already shows what its failed tests printed.
    pub fn in_failures(&self) -> bool {
        self.open.as_ref().is_some_and(|open| {
            let over = open
                .candidate
                .as_ref()
                .is_some_and(|tally| open.trusts(tally));
            open.in_failures && !over
        })
    }

    /// Ends the section that is open, if there is one: the log is over, or something else
    /// begins.
    pub fn close(&mut self) -> Option<Section> {
        self.open.take().map(Open::close)
    }
}

impl Open {
    fn nothing_yet(&self) -> bool {
        self.announced == 0 && self.results.is_empty()
    }

    fn inside(&mut self, line: &str) -> Vec<(String, Word)> {
        let mut found = Vec::new();
        if self.in_failures && !self.goes_on(line) {
            self.failure_line(line);
            return found;
        }
        if line == "failures:" && self.may_end() {
            let pending = self.pending.as_ref().map(|pending| pending.name.clone());
            found.extend(self.settle_pending());
            (self.torn, self.torn_word) = (pending, None);
            self.torn_text.replace_range(.., "failures:\n");
            self.in_failures = true;
            self.names = None;
            return found;
        }
        self.result_line(line, &mut found);
        found
    }

    /// A test printed `failures:`, and results still come.
    fn goes_on(&mut self, line: &str) -> bool {
        let missing = (self.results.len() as u64) < self.announced;
        if !missing || self.terse {
            return false;
        }
        let new = || {
            let (name, after) = line.strip_prefix("test ")?.split_once(" ... ")?;
            // Where nothing is captured the result stands below.
            let whole = word_of(after).is_some() || self.torn.is_some();
            (whole && !self.results.contains(bare(name))).then_some(())
        };
        if new().is_some() && self.printed_whole() {
            self.in_failures = false;
            self.names = None;
            self.forget();
            return true;
        }
        if self.torn_text.len() < MOST_OUTPUT {
            self.torn_word = word_at_end(line).or(self.torn_word);
            self.torn_text.push_str(line);
            self.torn_text.push('\n');
        }
        false
    }

    /// Whether what stands below `failures:` so far may have been printed by a test: nothing, or
    /// a run with its own last line, that names every block.
    fn printed_whole(&self) -> bool {
        let names = self.candidate.as_ref().map(|tally| &tally.names);
        let names = names.filter(|names| names.len() <= MOST_PRINTED);
        self.blocks
            .iter()
            .all(|(name, _)| names.is_some_and(|names| names.iter().any(|known| known == name)))
    }

    /// Drops a run that a test printed. What stands in it is what tests printed.
    fn forget(&mut self) {
        let text = std::mem::take(&mut self.torn_text);
        text.lines().for_each(|line| self.loose.push(line));
        if let (Some(name), Some(word)) = (self.torn.take(), self.torn_word.take()) {
            let printed = self.printed.remove(&name).unwrap_or_default();
            if word == Word::Failed {
                let text = text.trim_end();
                let text = text.strip_suffix("FAILED").unwrap_or(text);
                self.printed
                    .insert(name.clone(), format!("{printed}\n{text}"));
            }
            self.result(&name, word);
        }
        self.blocks = Names::default();
        self.block = None;
        let ghosts = self.candidate.take().into_iter().flat_map(|it| it.names);
        let ghosts: HashSet<String> = ghosts.collect();
        let before = self.results.len();
        self.results
            .retain(|name, word| *word != Word::Failed || !ghosts.contains(name));
        self.seen[Word::Failed as usize] -= (before - self.results.len()) as u64;
    }

    /// Whether all results may be there.
    fn may_end(&self) -> bool {
        let open = self.pending.as_ref().is_some_and(|p| p.word.is_none());
        !open || self.results.len() as u64 + 1 >= self.announced
    }

    fn result_line(&mut self, line: &str, found: &mut Vec<(String, Word)>) {
        if let Some(rest) = line.strip_prefix("test ")
            && let Some((name, after)) = rest.split_once(" ...")
            && (after.is_empty() || after.starts_with(' '))
        {
            found.extend(self.settle_pending());
            let (name, after) = (bare(name), after.trim_start());
            match word_of(after) {
                Some(word) => {
                    self.said_before(name, word);
                    self.result_into(name, word, found);
                }
                None => {
                    self.pending = Some(Pending {
                        name: name.to_owned(),
                        output: String::new(),
                        word: None,
                    });
                    self.print(after);
                }
            }
            self.loose.mark();
        } else if self.pending.is_some() {
            self.print(line);
        } else if let Some((name, dots)) = terse(line) {
            self.terse |= self.results.is_empty() || name.is_some() || dots;
            if let Some(name) = name {
                self.result_into(bare(name), Word::Failed, found);
            }
        } else {
            if !self.glued(line, found) {
                self.loose.push(line);
            }
        }
    }

    /// rustdoc says what is wrong with an example right above its result, where nothing is
    /// captured.
    fn said_before(&mut self, name: &str, word: Word) {
        let said = self.loose.since().trim();
        if word == Word::Failed && is_example(name) && !said.is_empty() {
            self.printed.insert(name.to_owned(), said.to_owned());
        }
    }

    /// The result of a test that printed something stands at the end of what it printed.
    fn print(&mut self, line: &str) {
        let Some(pending) = &mut self.pending else {
            return;
        };
        pending.word = word_at_end(line).or(pending.word);
        if pending.output.len() < MOST_OUTPUT {
            pending.output.push_str(line);
            pending.output.push('\n');
        }
        match matches!(line, "ok" | "FAILED" | "ignored") {
            true => self.loose.mark(),
            false => self.loose.push(line),
        }
    }

    fn settle_pending(&mut self) -> Option<(String, Word)> {
        // Without a result the test may be the one that was running at the end.
        let pending = self.pending.take_if(|pending| pending.word.is_some())?;
        let word = pending.word?;
        if word == Word::Failed {
            let output = pending.output.trim_end();
            let output = output.strip_suffix("FAILED").unwrap_or(output).to_owned();
            self.printed.insert(pending.name.clone(), output);
        }
        self.unsure.insert(pending.name.clone());
        let counts = self.result(&pending.name, word);
        counts.then_some((pending.name, word))
    }

    /// A result behind something that another test printed without a line end. Says whether
    /// nothing else is in the line.
    fn glued(&mut self, line: &str, found: &mut Vec<(String, Word)>) -> bool {
        let Some((before, word)) = line.rsplit_once(" ... ") else {
            return false;
        };
        if let Some(word) = word_of(word)
            && let Some((said, name)) = before.rsplit_once("test ")
            && let name = bare(name)
            && (!name.contains(' ') || is_example(name))
            && !self.results.contains(name)
            && (self.results.len() as u64) < self.announced
        {
            let example = is_example(name);
            if example {
                self.loose.push(said);
                self.said_before(name, word);
                self.loose.mark();
            }
            self.result_into(name, word, found);
            return example;
        }
        false
    }

    fn result_into(&mut self, name: &str, word: Word, found: &mut Vec<(String, Word)>) {
        if self.result(name, word) {
            found.push((name.to_owned(), word));
        }
    }

    /// Notes a result. Of two of one test the worse one counts.
    fn result(&mut self, name: &str, word: Word) -> bool {
        if self.results.len() >= MOST_TESTS && !self.results.contains(name) {
            self.doubled = true;
            return false;
        }
        let (at, new) = self.results.insert(name, word);
        self.seen[word as usize] += 1;
        if !new && let Some(before) = self.results.at_mut(at) {
            self.doubled = true;
            let worse = *before != Word::Failed && word == Word::Failed;
            let dropped = if worse {
                std::mem::replace(before, word)
            } else {
                word
            };
            self.seen[dropped as usize] -= 1;
            return worse;
        }
        true
    }

    /// Whether the result of a test may be torn apart by what others print.
    fn torn(&self, name: &str) -> bool {
        (self.results.len() as u64) < self.announced && self.loose.names(name)
    }

    fn failure_line(&mut self, line: &str) {
        let heading = line.strip_prefix("---- ").and_then(|rest| {
            rest.strip_suffix(" stdout ----")
                .or_else(|| rest.strip_suffix(" ----"))
        });
        if let Some(name) = heading.map(bare)
            && match self.results.get(name) {
                Some(word) => *word == Word::Failed,
                None => self.terse || self.torn(name),
            }
            && self.blocks.len() < MOST_TESTS
            && let (block, true) = self.blocks.insert(name, String::new())
        {
            self.block = Some(block);
            self.names = None;
            return;
        }
        if line == "failures:" {
            self.names = Some(Vec::new());
        } else if let Some(names) = &mut self.names {
            match line.strip_prefix("    ") {
                Some(name) if names.len() < MOST_TESTS => names.push(bare(name).to_owned()),
                _ if line.is_empty() => {}
                _ => self.names = None,
            }
        }
        if let Some(block) = self.block.and_then(|block| self.blocks.at_mut(block))
            && block.len() < MOST_OUTPUT
        {
            block.push_str(line);
            block.push('\n');
        }
    }

    fn tally(&self, line: &str) -> Option<Tally> {
        let (ok, counts) = last_line(line)?;
        Some(Tally {
            ok,
            passed: counts.0,
            failed: counts.1,
            ignored: counts.2,
            filtered: number(line, " filtered out").unwrap_or(0),
            names: self.names.clone().unwrap_or_default(),
        })
    }

    fn agrees(&self, tally: &Tally) -> bool {
        tally.ok == (self.seen[Word::Failed as usize] == 0)
            && (tally.passed, tally.failed, tally.ignored) == self.seen()
            && self.announced == self.results.len() as u64
            && self.failed_are(&tally.names)
            && !self.doubled
    }

    /// Whether these are the failed tests, each once.
    fn failed_are(&self, names: &[String]) -> bool {
        let mut named = vec![false; self.results.len()];
        let mut once = |name: &String| {
            self.results.find(name).is_some_and(|at| {
                let again = std::mem::replace(&mut named[at], true);
                !again && self.results.at(at) == Some(&Word::Failed)
            })
        };
        names.len() as u64 == self.seen[Word::Failed as usize] && names.iter().all(&mut once)
    }

    /// Whether the last line accounts for every announced test and every named failure was
    /// seen: result lines beyond that were printed by something else, and are dropped.
    fn explains(&self, tally: &Tally) -> bool {
        let seen = self.seen();
        let failed = |name: &String| self.results.get(name) == Some(&Word::Failed);
        tally.passed + tally.failed + tally.ignored == self.announced
            && tally.names.len() as u64 == tally.failed
            && tally.ok == (tally.failed == 0)
            && tally.names.iter().all(failed)
            && !self.doubled
            && (seen.0 >= tally.passed && seen.1 >= tally.failed && seen.2 >= tally.ignored)
    }

    /// Whether the last line may be believed although result lines are missing: tests that are
    /// not captured tear them apart, and `--quiet` has none. Each failed test has to be known by
    /// something besides.
    fn trusts(&self, tally: &Tally) -> bool {
        let known = |name: &String| match self.results.get(name) {
            Some(word) => *word == Word::Failed || self.unsure.contains(name),
            None => {
                self.terse
                    || self.blocks.contains(name)
                    || self.printed.contains_key(name)
                    || self.loose.names(name)
            }
        };
        (self.terse || !tally.ok)
            && tally.passed + tally.failed + tally.ignored == self.announced
            && tally.names.len() as u64 == tally.failed
            && tally.ok == (tally.failed == 0)
            && tally.names.iter().all(known)
    }

    /// Whether what stands between a name and its result is another test's: with several threads
    /// it may be anybody's.
    fn foreign(&self, printed: &str, name: &str) -> bool {
        let panics = panic::all(printed);
        let own = |panic: &panic::Panic| panic.thread == name || panic.thread == "main";
        let others = panics
            .iter()
            .any(|panic| self.results.contains(&panic.thread));
        !panics.is_empty() && others && !panics.iter().any(own)
    }

    fn failed(&self) -> Vec<String> {
        let failed = self
            .results
            .iter()
            .filter(|(_, word)| **word == Word::Failed);
        failed.map(|(name, _)| name.to_owned()).collect()
    }

    fn seen(&self) -> (u64, u64, u64) {
        let [passed, failed, ignored] = self.seen;
        (passed, failed, ignored)
    }

    /// With `--quiet` or torn results a heading may be one that a test printed: only the names at
    /// the end tell. Such a block is a part of the one above it.
    fn give_back(&mut self, names: &[String]) {
        let names: HashSet<&str> = names.iter().map(String::as_str).collect();
        let mut above: Option<usize> = None;
        for at in 0..self.blocks.len() {
            let name = self.blocks.name(at).to_owned();
            if names.contains(name.as_str()) {
                above = Some(at);
            } else if let Some(text) = self.blocks.at_mut(at).map(std::mem::take)
                && let Some(block) = above.and_then(|above| self.blocks.at_mut(above))
            {
                block.push_str(&format!("---- {name} stdout ----\n{text}"));
            }
        }
    }

    fn close(mut self) -> Section {
        self.settle_pending();
        let mut faults = Vec::new();
        let mut counts = self.seen();
        let mut filtered = 0;
        let mut failed = self.failed();
        match self.candidate.take() {
            Some(tally) => {
                self.give_back(&tally.names);
                filtered = tally.filtered;
                if !self.agrees(&tally) {
                    if self.explains(&tally) {
                        // Result lines beyond it were printed.
                    } else if self.trusts(&tally) {
                        let mut known: BTreeSet<String> = failed.iter().cloned().collect();
                        for name in &tally.names {
                            if known.insert(name.clone()) {
                                failed.push(name.clone());
                            }
                        }
                    } else {
                        faults.push("the result lines disagree with the last line".to_owned());
                    }
                    counts = (tally.passed, tally.failed, tally.ignored);
                    let named: BTreeSet<&String> = tally.names.iter().collect();
                    failed.retain(|name| named.contains(name));
                }
            }
            None => faults.push("the last line is missing".to_owned()),
        }
        let culprit = self.loose.culprit().map(|(name, how)| {
            let said = self.loose.of(&name);
            (name, how, said)
        });
        let ended = !faults.iter().any(|fault| fault.contains("missing"));
        let mut blocks = std::mem::take(&mut self.blocks);
        let silent = |name: &&String| {
            let printed = self.printed.get(*name);
            let own = printed.is_some_and(|text| !self.foreign(text, name));
            !blocks.contains(name) && !own && !self.loose.speaks(name)
        };
        // A test that fails without a panic has returned an error.
        let silent: BTreeSet<String> = failed.iter().filter(silent).cloned().collect();
        let mut errors = self.loose.errors(silent.len()).into_iter();
        let failed = failed
            .into_iter()
            .map(|name| {
                let printed = self.printed.remove(&name);
                let printed = printed.filter(|text| !self.foreign(text, &name));
                let output = match (block_of(&mut blocks, &name), printed) {
                    (Some(block), None) => {
                        let block = without_names(block, &self.results);
                        match block.contains(" panicked at ") {
                            true => block,
                            false => self.loose.of(&name) + &block,
                        }
                    }
                    (Some(block), Some(printed)) => {
                        format!("{printed}\n{}", without_names(block, &self.results))
                    }
                    (None, Some(printed)) => printed,
                    (None, None) if silent.contains(&name) => errors.next().unwrap_or_default(),
                    (None, None) => self.loose.of(&name),
                };
                (name, output)
            })
            .collect();
        Section {
            counts,
            filtered,
            failed,
            last_one: self.results.len() as u64 + 1 == self.announced,
            culprit: culprit.filter(|_| !ended),
            running: self.pending.map(|pending| pending.name),
            ended,
            faults,
        }
    }
}

/// `tests::a --- FAILED`, or a line of dots (`..F.i 5/29`) and `true`.
fn terse(line: &str) -> Option<(Option<&str>, bool)> {
    if let Some(name) = line.strip_suffix(" --- FAILED") {
        return Some((Some(name), false));
    }
    let (dots, count) = line.split_once(' ').unwrap_or((line, ""));
    let counted = count.is_empty()
        || count.split_once('/').is_some_and(|(done, all)| {
            [done, all]
                .iter()
                .all(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
        });
    let all = !dots.is_empty() && dots.bytes().all(|byte| b".iFtb".contains(&byte));
    (all && counted).then_some((None, true))
}

/// What stands in a test's block, which is then empty.
fn block_of(blocks: &mut Names<String>, name: &str) -> Option<String> {
    let at = blocks.find(name)?;
    blocks.at_mut(at).map(std::mem::take)
}

/// The last block runs into the list of names: cuts the list off.
fn without_names(mut block: String, known: &Names<Word>) -> String {
    const LIST: &str = "\nfailures:\n";
    let Some(at) = memchr::memmem::rfind(block.as_bytes(), LIST.as_bytes()) else {
        return block;
    };
    let mut listed = block[at + LIST.len()..]
        .lines()
        .filter(|line| !line.is_empty());
    if listed.all(|line| {
        line.strip_prefix("    ")
            .is_some_and(|name| known.contains(bare(name)))
    }) {
        block.truncate(at);
    }
    block
}

/// `test NAME ... ok` where the name holds no space and the line nothing else.
fn bare_result(line: &[u8]) -> Option<(&str, Word)> {
    let rest = line.strip_prefix(b"test ")?;
    let (name, word) = match rest.last()? {
        b'k' => (rest.strip_suffix(b" ... ok")?, Word::Ok),
        b'D' => (rest.strip_suffix(b" ... FAILED")?, Word::Failed),
        b'd' => (rest.strip_suffix(b" ... ignored")?, Word::Ignored),
        _ => return None,
    };
    let plain = name
        .iter()
        .fold(true, |plain, byte| plain & byte.is_ascii_graphic());
    if !plain || name.is_empty() || name.len() > MOST_NAME {
        return None;
    }
    Some((std::str::from_utf8(name).ok()?, word))
}

fn word_of(word: &str) -> Option<Word> {
    // `--report-time` adds ` <0.001s>`, an ignored test its reason.
    let word = word.split_once(" <").map_or(word, |(word, _)| word).trim();
    match word {
        "ok" => Some(Word::Ok),
        "FAILED" => Some(Word::Failed),
        "ignored" => Some(Word::Ignored),
        _ if word.starts_with("ignored, ") => Some(Word::Ignored),
        _ if word.starts_with("bench:") => Some(Word::Ok),
        _ => None,
    }
}

/// The result that a line ends with.
fn word_at_end(line: &str) -> Option<Word> {
    let words = ["ok", "FAILED", "ignored"];
    let last = words.into_iter().find(|word| line.ends_with(word));
    last.and_then(word_of)
}

/// Whether a name is one that rustdoc gives: `src/lib.rs - two (line 9)`.
fn is_example(name: &str) -> bool {
    name.ends_with(')') && name.contains(" (line ")
}

/// A test's name without what the list of results adds to it.
fn bare(name: &str) -> &str {
    let name = name.trim_end();
    [" - should panic", " - compile fail", " - compile"]
        .into_iter()
        .find_map(|suffix| name.strip_suffix(suffix))
        .unwrap_or(name)
}

fn announced(line: &str) -> Option<u64> {
    let rest = line.strip_prefix("running ")?;
    let count = rest
        .strip_suffix(" tests")
        .or_else(|| rest.strip_suffix(" test"))?;
    count.parse().ok()
}

/// The verdict and the counts of a section's last line.
pub(crate) fn last_line(line: &str) -> Option<(bool, (u64, u64, u64))> {
    let rest = line.strip_prefix("test result: ")?;
    let (word, rest) = rest.split_once(". ")?;
    let rest = rest.trim_end();
    let whole =
        rest.ends_with(" filtered out") || (rest.contains("; finished in ") && rest.ends_with('s'));
    if !whole {
        return None;
    }
    let ok = match word {
        "ok" => true,
        "FAILED" => false,
        _ => return None,
    };
    let measured = number(rest, " measured").unwrap_or(0);
    Some((
        ok,
        (
            number(rest, " passed")? + measured,
            number(rest, " failed")?,
            number(rest, " ignored")?,
        ),
    ))
}

/// The number before a word of a section's last line.
fn number(line: &str, unit: &str) -> Option<u64> {
    let part = line
        .split(';')
        .find_map(|part| part.trim().strip_suffix(unit))?;
    part.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sections(log: &str) -> Vec<Section> {
        let mut reader = Reader::default();
        let mut done = Vec::new();
        for line in log.lines() {
            match reader.line(line) {
                Said::Ended(section) => done.push(*section),
                Said::Began(_, Some(section)) => done.push(*section),
                _ => {}
            }
        }
        done.extend(reader.close());
        done
    }

    const REAL: &str = "
running 3 tests
test tests::a ... ok
test tests::b - should panic ... FAILED
test tests::c ... ignored, why

failures:

---- tests::b stdout ----
note: test did not panic as expected at src/lib.rs:1:1

failures:
    tests::b

test result: FAILED. 1 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s
";

    #[test]
    fn a_section_is_read() {
        let done = sections(REAL);
        assert_eq!(done.len(), 1);
        assert!(done[0].faults.is_empty() && done[0].ended);
        assert_eq!(done[0].counts, (1, 1, 1));
        let (name, output) = &done[0].failed[0];
        assert_eq!(name, "tests::b");
        assert_eq!(
            output,
            "note: test did not panic as expected at src/lib.rs:1:1\n"
        );
    }

    #[test]
    fn another_harness_s_output_inside_a_failure_is_only_text() {
        let inner = "running 1 test\ntest ghost ... FAILED\n\nfailures:\n    ghost\n\ntest result: FAILED. 0 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0s\n---- tests::a stdout ----\n";
        let log = REAL.replace("note: test did", &format!("{inner}note: test did"));
        let done = sections(&log);
        assert_eq!(done.len(), 1);
        assert_eq!(done[0].failed.len(), 1);
        assert!(done[0].failed[0].1.contains("test ghost ... FAILED"));
        assert!(done[0].faults.is_empty());
    }

    #[test]
    fn a_ghost_line_is_not_reported() {
        let log = REAL.replace("test tests::a", "test ghost ... FAILED\ntest tests::a");
        let done = sections(&log);
        assert_eq!(done[0].counts, (1, 1, 1));
        assert_eq!(done[0].failed.len(), 1);
        assert_eq!(done[0].failed[0].0, "tests::b");
        assert!(done[0].faults.is_empty());
    }

    #[test]
    fn a_last_line_that_does_not_account_for_all_is_not_believed() {
        let log = REAL.replace(
            "1 passed; 1 failed; 1 ignored",
            "2 passed; 1 failed; 1 ignored",
        );
        assert_eq!(sections(&log)[0].faults.len(), 1);
        let log = REAL.replace("    tests::b\n", "    tests::a\n");
        assert_eq!(sections(&log)[0].faults.len(), 1);
    }

    #[test]
    fn every_truncation_has_no_end() {
        let last = REAL.rfind("test result").unwrap_or(0);
        for cut in 0..last {
            for section in sections(REAL.get(..cut).unwrap_or("")) {
                assert!(!section.ended && !section.faults.is_empty(), "cut at {cut}");
            }
        }
    }

    #[test]
    fn a_whole_run_that_a_test_prints_uncaptured_ends_nothing() {
        let fake = "test ghost ... FAILED\n\nfailures:\n\n---- ghost stdout ----\nthread 'ghost' panicked at src/lib.rs:3:5:\nno\n\nfailures:\n    ghost\n\ntest result: FAILED. 0 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n\n";
        let end = "\n\nfailures:\n\nfailures:\n    c\n\ntest result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n";
        let log = format!(
            "running 3 tests\ntest a ... {fake}ok\ntest b ... ok\ntest c ... \nthread 'c' panicked at src/lib.rs:9:5:\nboom\nFAILED\n{end}"
        );
        let done = sections(&log);
        assert_eq!(done.len(), 1);
        assert_eq!(done[0].counts, (2, 1, 0));
        assert!(done[0].faults.is_empty() && done[0].ended);
        assert_eq!(done[0].failed.len(), 1);
        assert!(done[0].failed[0].1.contains("src/lib.rs:9:5"));
    }

    #[test]
    fn a_whole_run_between_the_results_is_dropped() {
        let fake = "test ghost ... FAILED\n\nfailures:\n\n---- ghost stdout ----\nno\n\nfailures:\n    ghost\n\ntest result: FAILED. 0 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n\n";
        let log = format!(
            "running 3 tests\n{fake}test a ... ok\n{fake}test b ... ok\ntest c ... ok\n\ntest result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n"
        );
        let done = sections(&log);
        assert_eq!(done.len(), 1);
        assert_eq!(done[0].counts, (3, 0, 0));
        assert!(done[0].faults.is_empty() && done[0].failed.is_empty());
    }

    #[test]
    fn a_heading_that_a_test_prints_opens_no_block_in_quiet_mode() {
        let log = "running 2 tests\n.F\nfailures:\n\n---- b stdout ----\n---- ghost stdout ----\nfailures:\n    ghost\n\nthread 'b' panicked at src/lib.rs:9:5:\nboom\n\n\nfailures:\n    b\n\ntest result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n";
        let done = sections(log);
        assert_eq!(done[0].counts, (1, 1, 0));
        assert_eq!(done[0].failed.len(), 1);
        assert!(done[0].failed[0].1.contains("src/lib.rs:9:5"));
    }

    #[test]
    fn uncaptured_examples_say_what_is_wrong_above_their_result() {
        let log = "running 2 tests\nIt's marked `should_panic`.test src/lib.rs - a (line 3) ... FAILED\nerror[E0308]: mismatched types\nCouldn't compile the test.test src/lib.rs - b (line 9) - compile ... FAILED\n\nfailures:\n\nfailures:\n    src/lib.rs - a (line 3)\n    src/lib.rs - b (line 9)\n\ntest result: FAILED. 0 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n";
        let failed = &sections(log)[0].failed;
        assert_eq!(failed[0].1, "It's marked `should_panic`.");
        assert!(failed[1].1.starts_with("error[E0308]") && failed[1].1.ends_with("test."));
    }

    #[test]
    fn a_result_may_stand_after_what_the_test_printed() {
        let log = "running 1 test\ntest tests::a ... noise\nmore ok\n\ntest result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n";
        let done = sections(log);
        assert_eq!((done[0].counts, done[0].ended), ((1, 0, 0), true));
    }
}
