//! Minitest's output for people, plain, verbose, and as Rails prints it.
//!
//! Tests print what they like while they run. Believed is what stands between `Finished in …`
//! and the line of counts (with Rails: each failure with its `bin/rails test FILE:LINE` below
//! it), as far as the numbers agree. Messages are printed as they are, so that one may hold
//! another run's output: the blocks are numbered, and the counts say how many there are.

use crate::lines::Seen;
use crate::minitest::block;
use crate::minitest::block::Label;
use crate::minitest::block::Result;
use crate::ruby;
use crate::text;
use memchr::memmem;

/// The most that is kept of all blocks.
const MOST_BYTES: usize = 24 * 1024 * 1024;
/// More lines than this are not kept.
const MOST_LINES: usize = 400_000;
/// A longer line of a message is cut.
const MOST_LINE: usize = 64 * 1024;
/// More summaries than this are not kept: a run has one.
const MOST_RUNS: usize = 256;
/// More runs within runs are not told apart.
const MOST_BORDERS: usize = 4_000;
/// A failure of Rails is no longer than this.
const MOST_INLINE: usize = 2_000;

/// The line of counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    /// Tests that ran.
    pub runs: u64,
    /// Of them, those in which an assertion did not hold.
    pub failures: u64,
    /// Those that threw something else.
    pub errors: u64,
    /// Skipped ones.
    pub skips: u64,
}

/// One summary with what belongs to it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Run {
    /// The counts.
    pub totals: Totals,
    /// What failed.
    pub results: Vec<Result>,
    /// Whether the results are as many, and of those kinds, as the counts say.
    pub agrees: bool,
    group: u32,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Part {
    /// Before `# Running:`, and behind the counts.
    #[default]
    Outside,
    /// While tests run.
    Running,
    /// A failure of Rails, or what looks like one.
    Inline,
    /// Behind `Finished in`.
    Blocks,
}

/// Reads the text line by line.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    part: Part,
    group: u32,
    /// How many runs have begun and have no counts yet: a test may print one.
    depth: u32,
    /// Whether the last thing of a run was its counts.
    ended: bool,
    lines: Vec<String>,
    bytes: usize,
    /// Where in the lines `Finished in` (true) and counts stand.
    borders: Vec<(usize, bool)>,
    inline: Vec<Result>,
    inline_lines: Vec<String>,
    runs: Vec<Run>,
    /// A run began.
    pub began: bool,
    /// The test whose name was printed last, and whose result was not (`-v`).
    pub running: Option<String>,
    verbose: bool,
    /// `invalid option: --x`.
    pub usage: Option<String>,
    /// Minitest was told to stop.
    pub interrupted: bool,
}

impl Reader {
    /// Takes one line. Most lines are looked at and forgotten.
    pub fn line(&mut self, seen: &Seen<'_>) {
        let bytes = seen.bytes;
        if bytes.ends_with(b"Interrupted. Exiting...") {
            // Standard error's line, behind whatever marks stood there.
            let marks = &bytes[..bytes.len() - b"Interrupted. Exiting...".len()];
            self.interrupted |= marks.iter().all(|byte| b".FES".contains(byte));
        }
        if matches!(self.part, Part::Outside | Part::Running) {
            let matters = match bytes.first() {
                Some(b'R' | b'#' | b'F' | b'E' | b'S' | b'i' | b'I' | b'\x1b' | b'0'..=b'9') => {
                    true
                }
                Some(_) => self.verbose && memmem::find(bytes, b" = ").is_some(),
                None => false,
            };
            let verbose = !self.verbose && self.began && memmem::find(bytes, b" s = ").is_some();
            if !matters && !verbose {
                return;
            }
        }
        let shown = seen.shown();
        self.shown(shown.trim_end_matches('\r'), seen.unfinished);
    }

    fn shown(&mut self, line: &str, unfinished: bool) {
        if line == "# Running:" {
            self.begin();
            return;
        }
        if line.starts_with("Finished in ") && rates(line) {
            self.finished(line);
            return;
        }
        match self.part {
            Part::Blocks => self.block_line(line),
            Part::Inline => self.inline_line(line),
            Part::Running | Part::Outside => self.running_line(line, unfinished),
        }
    }

    fn begin(&mut self) {
        if self.depth == 0 {
            self.group += u32::from(self.began);
            self.inline.clear();
            self.forget();
        }
        self.depth += 1;
        (self.began, self.ended) = (true, false);
        if self.part != Part::Blocks {
            self.part = Part::Running;
        }
    }

    fn forget(&mut self) {
        self.lines.clear();
        self.borders.clear();
        (self.bytes, self.part) = (0, Part::Outside);
    }

    fn finished(&mut self, line: &str) {
        self.close_inline();
        if self.part != Part::Blocks || !self.room() {
            self.forget();
        }
        self.part = Part::Blocks;
        if self.borders.len() < MOST_BORDERS {
            self.borders.push((self.lines.len(), true));
        }
        self.keep(line);
    }

    fn room(&self) -> bool {
        self.bytes < MOST_BYTES && self.lines.len() < MOST_LINES
    }

    fn keep(&mut self, line: &str) {
        if self.room() {
            let line = text::cut(line, MOST_LINE);
            self.bytes += line.len() + 1;
            self.lines.push(line);
        }
    }

    fn running_line(&mut self, line: &str, unfinished: bool) {
        if Label::of(line).is_some() {
            self.inline_lines.clear();
            self.inline_lines.push(line.to_owned());
            self.part = Part::Inline;
            return;
        }
        if let Some(option) = line.strip_prefix("invalid option: ") {
            self.usage
                .get_or_insert_with(|| format!("invalid option: {}", text::one_line(option)));
        }
        if let Some(counts) = totals(line) {
            // Rails prints the counts without blocks before them.
            self.summary(counts);
        } else if self.began {
            self.progress(line, unfinished);
        }
    }

    /// `TillTest#test_a = 0.00 s = F`, and its beginning where the rest did not come.
    fn progress(&mut self, line: &str, unfinished: bool) {
        let Some((name, rest)) = line
            .split_once(" = ")
            .or_else(|| line.strip_suffix(" =").map(|name| (name, "")))
        else {
            return;
        };
        if !name.contains('#') {
            return;
        }
        let done = rest
            .split_once(" s = ")
            .is_some_and(|(time, _)| time.trim().parse::<f64>().is_ok());
        self.verbose |= done;
        self.running = (!done && (self.verbose || unfinished)).then(|| name.to_owned());
    }

    fn inline_line(&mut self, line: &str) {
        if let Some(defined) = rerun_line(line) {
            let lines: Vec<&str> = self.inline_lines.iter().map(String::as_str).collect();
            if let Some(label) = lines.first().and_then(|line| Label::of(line)) {
                let mut found = block::results(label, &lines[1..]);
                found
                    .iter_mut()
                    .for_each(|one| one.defined = Some(defined.clone()));
                self.inline.extend(found);
            }
            self.close_inline();
        } else if self.inline_lines.len() > MOST_INLINE {
            self.close_inline();
        } else if self.inline_lines.len() == 1 && block::named(line).is_none() {
            // Not what comes below a label.
            self.close_inline();
            self.running_line(line, false);
        } else {
            self.inline_lines.push(text::cut(line, MOST_LINE));
        }
    }

    fn close_inline(&mut self) {
        self.inline_lines.clear();
        if self.part == Part::Inline {
            self.part = match self.began {
                true => Part::Running,
                false => Part::Outside,
            };
        }
    }

    fn block_line(&mut self, line: &str) {
        let counts = totals(line);
        if counts.is_some() && self.borders.len() < MOST_BORDERS {
            self.borders.push((self.lines.len(), false));
        }
        self.keep(line);
        if let Some(counts) = counts {
            self.summary(counts);
        }
    }

    fn summary(&mut self, totals: Totals) {
        self.ended = true;
        self.depth = self.depth.saturating_sub(1);
        self.running = None;
        if self.runs.len() >= MOST_RUNS {
            return;
        }
        let numbered = self.numbered(totals);
        let inline = || {
            // With `-v` skipped tests are told of, too.
            let mut own: Vec<Result> = self.inline.clone();
            own.retain(|one| one.label != Label::Skipped);
            agrees(&own, totals).then_some(own)
        };
        let found = match numbered {
            Some((found, true)) => Some((found, true)),
            some => inline().map(|found| (found, true)).or(some),
        };
        let (results, agrees) = found.unwrap_or_default();
        self.runs.push(Run {
            totals,
            agrees,
            results,
            group: self.group,
        });
    }

    /// The blocks between the last counts and the `Finished in` that belongs to them. A whole
    /// run that a message holds has a pair of its own, which is passed over. Whether they are
    /// what the counts say besides.
    fn numbered(&self, totals: Totals) -> Option<(Vec<Result>, bool)> {
        let (end, false) = *self.borders.last()? else {
            return None;
        };
        let (mut depth, mut inner_end) = (0, end);
        let mut inner: Vec<(usize, usize)> = Vec::new();
        for (at, finished) in self.borders.iter().rev().skip(1) {
            match (finished, depth) {
                (true, 0) => return numbered(&self.lines[*at..end], *at, &inner, totals),
                (true, _) => {
                    depth -= 1;
                    if depth == 0 {
                        inner.push((*at, inner_end));
                    }
                }
                (false, _) => {
                    if depth == 0 {
                        inner_end = *at;
                    }
                    depth += 1;
                }
            }
        }
        None
    }

    /// Of each run the last summary that agrees with its blocks, else the last.
    pub fn runs(&mut self) -> Vec<Run> {
        let mut groups: Vec<Vec<Run>> = Vec::new();
        for run in std::mem::take(&mut self.runs) {
            match groups.last_mut() {
                Some(group) if group[0].group == run.group => group.push(run),
                _ => groups.push(vec![run]),
            }
        }
        let chosen = groups.into_iter().map(|mut group| {
            let agrees = group.iter().rposition(|run| run.agrees);
            group.swap_remove(agrees.unwrap_or(group.len() - 1))
        });
        chosen.collect()
    }

    /// Whether the last run that began has its counts.
    pub fn ended(&self) -> bool {
        self.ended
    }

    /// What was told of a run that has no counts: numbered blocks as far as they come, else
    /// what Rails told.
    pub fn unfinished(&mut self) -> Vec<Result> {
        let lines: Vec<&str> = self.lines.iter().map(String::as_str).collect();
        let mut found = Vec::new();
        let mut headings: Vec<(usize, Label)> = Vec::new();
        if let (Part::Blocks, Some((from, true))) = (self.part, self.borders.last()) {
            for at in *from..lines.len() {
                if let Some((number, label)) = heading(&lines, at)
                    && number == headings.len() + 1
                {
                    headings.push((at, label));
                }
            }
        }
        for (this, (at, label)) in headings.iter().enumerate() {
            let end = headings
                .get(this + 1)
                .map_or(lines.len(), |(next, _)| *next);
            found.extend(block::results(*label, &lines[at + 1..end]));
        }
        found.append(&mut self.inline);
        found.retain(|one| one.label != Label::Skipped);
        found
    }
}

/// `  1) Failure:`, with a blank line before and a test's name below.
fn heading(lines: &[&str], at: usize) -> Option<(usize, Label)> {
    let line = lines[at];
    let (number, label) = line.trim_start_matches(' ').split_once(") ")?;
    let label = Label::of(label)?;
    let number = number.parse().ok()?;
    let alone = at == 0 || lines[at - 1].is_empty();
    let below = block::named_over(&lines[at + 1..]).is_some();
    (alone && below && line.starts_with(' ') == (number < 100)).then_some((number, label))
}

/// The blocks that the counts ask for. The first stands right below `Finished in`. What a
/// message holds may look like one, too: then the last of each number before the next counts,
/// or the first.
fn numbered(
    lines: &[String],
    from: usize,
    inner: &[(usize, usize)],
    totals: Totals,
) -> Option<(Vec<Result>, bool)> {
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let within = |at: usize| {
        inner
            .iter()
            .any(|(start, end)| (*start..=*end).contains(&(from + at)))
    };
    let mut headings: Vec<Heading> = Vec::new();
    for at in 0..lines.len() {
        if let Some((number, label)) = heading(&lines, at)
            && (number > 1 || at == 2)
            && !within(at)
        {
            headings.push((at, number, label));
        }
    }
    let bad = (totals.failures + totals.errors) as usize;
    let with_skips = bad + totals.skips as usize;
    for most in [with_skips, bad] {
        for chain in [last_chain(&headings, most), first_chain(&headings, most)] {
            let Some(chain) = chain else { continue };
            let found = cut(&lines, &chain);
            if agrees(&found, totals) {
                return Some((told(found), true));
            }
        }
    }
    let chain = broken_chain(&headings, with_skips);
    (!chain.is_empty()).then(|| (told(cut(&lines, &chain)), false))
}

fn told(mut found: Vec<Result>) -> Vec<Result> {
    found.retain(|one| one.label != Label::Skipped);
    found
}

/// Of each number the last before the next, where some are not to be found.
fn broken_chain(headings: &[Heading], most: usize) -> Vec<Heading> {
    let mut chain = Vec::new();
    let mut next = most + 1;
    for heading in headings.iter().rev() {
        if heading.1 < next {
            chain.push(*heading);
            next = heading.1;
        }
    }
    chain.reverse();
    chain
}

/// The rates behind `Finished in`.
fn rates(line: &str) -> bool {
    line.contains(" assertions/s") && (line.contains(" runs/s, ") || line.contains(" tests/s, "))
}

type Heading = (usize, usize, Label);

fn last_chain(headings: &[Heading], most: usize) -> Option<Vec<Heading>> {
    let mut chain = Vec::new();
    let mut wanted = most;
    for heading in headings.iter().rev() {
        if wanted > 0 && heading.1 == wanted {
            chain.push(*heading);
            wanted -= 1;
        }
    }
    chain.reverse();
    (wanted == 0).then_some(chain)
}

fn first_chain(headings: &[Heading], most: usize) -> Option<Vec<Heading>> {
    let mut chain: Vec<Heading> = Vec::new();
    for heading in headings {
        if chain.len() < most && heading.1 == chain.len() + 1 {
            chain.push(*heading);
        }
    }
    (chain.len() == most).then_some(chain)
}

fn cut(lines: &[&str], chain: &[Heading]) -> Vec<Result> {
    let mut found = Vec::new();
    for (this, (at, _, label)) in chain.iter().enumerate() {
        let end = chain.get(this + 1).map_or(lines.len(), |(next, ..)| *next);
        found.extend(block::results(*label, &lines[at + 1..end]));
    }
    found
}

/// Whether results are as many, and of those kinds, as the counts say. A test that failed twice
/// is one, and of the first's kind.
fn agrees(results: &[Result], totals: Totals) -> bool {
    let (mut failures, mut errors) = (0, 0);
    let mut last = "";
    for result in results {
        // The parts of one test stand together.
        if result.id == last {
            continue;
        }
        last = &result.id;
        match result.label {
            Label::Failure => failures += 1,
            Label::Error => errors += 1,
            Label::Skipped => {}
        }
    }
    failures == totals.failures && errors == totals.errors
}

/// `bin/rails test test/a_test.rb:12`.
fn rerun_line(line: &str) -> Option<(String, u32)> {
    let place = line
        .strip_prefix("bin/rails test ")
        .or_else(|| line.strip_prefix("rails test "))
        .or_else(|| line.strip_prefix("bin/test "))?;
    let found = ruby::traced(place)?;
    found
        .rest
        .is_empty()
        .then(|| (found.file.to_owned(), found.line))
}

/// `31 runs, 26 assertions, 20 failures, 8 errors, 1 skips`.
pub(crate) fn totals(line: &str) -> Option<Totals> {
    if !line.starts_with(|c: char| c.is_ascii_digit()) || !line.contains(" assertions, ") {
        return None;
    }
    let mut totals = Totals::default();
    let parts: Vec<&str> = line.split(", ").collect();
    if parts.len() < 4 || parts.len() > 5 {
        return None;
    }
    for part in parts {
        let (number, word) = part.split_once(' ')?;
        let number = number.parse().ok()?;
        match word {
            "runs" | "tests" => totals.runs = number,
            "assertions" => {}
            "failures" => totals.failures = number,
            "errors" => totals.errors = number,
            "skips" => totals.skips = number,
            _ => return None,
        }
    }
    Some(totals)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(log: &str) -> Reader {
        let mut reader = Reader::default();
        for line in log.lines() {
            reader.line(&Seen {
                bytes: line.as_bytes(),
                length: line.len() as u64 + 1,
                unfinished: false,
            });
        }
        reader
    }

    const HEAD: &str = "Run options: --seed 1\n\n# Running:\n\nF.\n\n";
    const REAL: &str = "Finished in 0.01s, 3.9 runs/s, 3.7 assertions/s.\n\n  1) Failure:\nA#test_a [a.rb:3]:\nExpected: 1\n  Actual: 2\n\n2 runs, 2 assertions, 1 failures, 0 errors, 0 skips\n";

    fn ids(log: &str) -> Vec<Vec<String>> {
        let runs = read(log).runs();
        let of = |run: &Run| run.results.iter().map(|one| one.id.clone()).collect();
        runs.iter().map(of).collect()
    }

    #[test]
    fn blocks_and_counts_belong_together() {
        let runs = read(&format!("{HEAD}{REAL}")).runs();
        assert!(runs[0].agrees);
        assert_eq!(runs[0].results[0].place, Some(("a.rb".to_owned(), 3)));
        assert_eq!(runs[0].results[0].body, "Expected: 1\n  Actual: 2\n\n");
    }

    #[test]
    fn what_a_test_prints_is_not_believed() {
        let ghost = REAL.replace("A#test_a", "Ghost#test_x");
        for log in [
            format!("{HEAD}{ghost}{REAL}"),
            format!("{HEAD}{HEAD}{ghost}{REAL}"),
            // In a message.
            format!(
                "{HEAD}{}",
                REAL.replace(
                    "  Actual: 2\n",
                    "  Actual: 2\n\n  2) Error:\nGhost#test_x:\nx\n"
                )
            ),
            format!(
                "{HEAD}{}",
                REAL.replace(
                    "  Actual: 2\n",
                    "  Actual: 2\n\n  1) Error:\nGhost#test_x:\nx\n"
                )
            ),
            format!("{HEAD}Failure:\nGhost#test_x [a.rb:1]:\nx\n\n{REAL}"),
            format!("{HEAD}{REAL}\n5 runs, 5 assertions, 3 failures, 0 errors, 0 skips\n"),
        ] {
            assert_eq!(ids(&log), [["A#test_a"]], "{log}");
        }
    }

    #[test]
    fn a_name_of_several_lines_takes_no_other_failure_away() {
        let log = "# Running:\n\nFFE\n\nFinished in 0.1s, 1 runs/s, 1 assertions/s.\n\n  1) Failure:\nA#test_a [test/a.rb:1]:\nno\n\n  2) Failure:\nA#test_one\ntwo [test/a.rb:2]:\nno\n\n  3) Error:\nA#test_c:\nRuntimeError: x\n    test/a.rb:3:in `c'\n\n3 runs, 2 assertions, 2 failures, 1 errors, 0 skips\n";
        assert_eq!(ids(log), [["A#test_a", "A#test_one\ntwo", "A#test_c"]]);
        let mut odd = read(&log.replace("two [", "two <"));
        let run = odd.runs().remove(0);
        let ids: Vec<&str> = run.results.iter().map(|one| one.id.as_str()).collect();
        assert_eq!((run.agrees, ids), (false, vec!["A#test_a", "A#test_c"]));
    }

    #[test]
    fn several_runs_are_several() {
        let log = format!("{HEAD}{REAL}{HEAD}{}", REAL.replace("A#test_a", "B#test_b"));
        assert_eq!(ids(&log), [["A#test_a"], ["B#test_b"]]);
    }

    #[test]
    fn rails_tells_at_once() {
        let log = "# Running:\n\n.F\n\nFailure:\nA#test_a [/p/test/a_test.rb:3]:\nExpected: 1\n  Actual: 2\n\n\nbin/rails test test/a_test.rb:2\n\nE\n\nError:\nA#test_b:\nRuntimeError: x\n    test/a_test.rb:9:in `y'\n\n\nrails test test/a_test.rb:8\n\n\n\nFinished in 0.1s, 1.0 runs/s, 1.0 assertions/s.\n3 runs, 1 assertions, 1 failures, 1 errors, 0 skips\n";
        let runs = read(log).runs();
        assert!(runs[0].agrees, "{runs:?}");
        assert_eq!(
            runs[0].results[1].defined,
            Some(("test/a_test.rb".to_owned(), 8))
        );
    }

    #[test]
    fn who_was_running_shows_in_verbose_output() {
        let log = "Run options: -v --seed 1\n\n# Running:\n\nA#test_a = 0.00 s = .\nA#test_b = a.rb:4: [BUG] Segmentation fault\n";
        assert_eq!(read(log).running.as_deref(), Some("A#test_b"));
    }
}
