//! Follows the lines of TAP: streams, levels of subtests, and what stands below a result.
//!
//! Subtests are read in all four ways in which they are written: after `# Subtest: name` before
//! the block (Test::More) or before each result (node:test), in an indented block with a plan
//! and nothing before it (TAP 14), and in braces (node-tap, vitest). An indented block is
//! believed only if its title is the name of the result that follows it, or if its own plan
//! fits: a test may print anything.

use crate::tap::level::Case;
use crate::tap::level::Detail;
use crate::tap::level::Level;
use crate::tap::token::Directive;
use crate::tap::token::Test;
use crate::tap::token::Token;
use crate::tap::token::token;
use crate::tap::token::unescaped;
use crate::tap::yaml;

/// More text below one result is not kept.
const MOST_TEXT: usize = 48 * 1024;
/// Deeper subtests are not followed.
const DEEPEST: usize = 24;
/// More streams than this are not told apart.
const MOST_STREAMS: usize = 10_000;

/// What a line of interest made known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// A test of the outermost level passed.
    Passed(String),
    /// One was skipped, or is expected to fail.
    Skipped(String),
    /// One failed; what it says follows.
    Failed(String),
    /// So many tests are announced.
    Planned(u32),
}

/// Reads TAP.
#[derive(Debug)]
pub(crate) struct Reader {
    /// Streams that are over.
    streams: Vec<Level>,
    /// The stream that is read, and its open subtests.
    levels: Vec<Level>,
    /// Columns of one level.
    unit: usize,
    /// Column of the block that is read.
    yaml: Option<usize>,
    /// In a quoted value of it that has several lines.
    quoted: bool,
    /// The level of the result to which the lines below it belong.
    below: Option<usize>,
    /// A second plan: the next number says what it was.
    plan: Option<(u32, Option<String>)>,
    /// Whether anything of TAP's was seen.
    pub seen: bool,
}

impl Default for Reader {
    fn default() -> Self {
        Reader {
            streams: Vec::new(),
            levels: vec![Level::default()],
            unit: 4,
            yaml: None,
            quoted: false,
            below: None,
            plan: None,
            seen: false,
        }
    }
}

impl Reader {
    /// Whether a line may mean anything to [`Reader::line`].
    pub fn wants(&self, line: &[u8]) -> bool {
        if self.yaml.is_some() {
            return true;
        }
        match line.iter().find(|byte| **byte != b' ') {
            Some(b'o' | b'n' | b'1' | b'#' | b'T' | b'K' | b'B' | b'-' | b'}' | 0x1b) => true,
            // A failing test is often explained in lines that are indented and no TAP.
            Some(_) => self.below.is_some() && line.starts_with(b" "),
            None => false,
        }
    }

    /// Takes one line.
    pub fn line(&mut self, line: &str) -> Option<Step> {
        let indent = line.bytes().take_while(|byte| *byte == b' ').count();
        let body = &line[indent..];
        if self.in_yaml(line, indent, body) {
            return None;
        }
        let depth = indent / self.unit;
        let token = match indent % self.unit {
            0 => token(body),
            // A block stands two columns to the right.
            _ => Some(token(body))
                .filter(|t| *t == Token::Yaml)
                .unwrap_or(Token::Other),
        };
        match token {
            Token::Other => self.other(line, body),
            Token::Yaml => {
                let at = self.below.map(|depth| depth * self.unit);
                if at.is_some_and(|at| indent > at) {
                    self.yaml = Some(indent);
                }
            }
            Token::Comment(text) => self.comment(depth, text),
            Token::Close => self.close_braces(depth),
            Token::Version => self.version(depth, body),
            Token::Bail(why) => {
                self.seen = true;
                self.levels[0].bail = Some(why.to_owned());
            }
            Token::Subtest(name) => self.subtest(depth, name),
            Token::Plan(count, why) => return self.planned(depth, count, why),
            Token::Test(test) => return self.test(depth, &test),
        }
        None
    }

    fn in_yaml(&mut self, line: &str, indent: usize, body: &str) -> bool {
        let Some(at) = self.yaml else {
            return false;
        };
        if indent == at && body.trim_end() == "..." {
            self.yaml = None;
            return true;
        }
        if indent < at && !body.is_empty() && !self.quoted {
            // It never ended.
            self.yaml = None;
            return false;
        }
        // Vitest writes the lines of a quoted value as they are.
        let text = match self.quoted {
            true => line.to_owned(),
            false => line.get(at..).unwrap_or("").to_owned(),
        };
        self.quoted = match self.quoted {
            true => !yaml::closes(&text),
            false => yaml::opens(&text),
        };
        if let Some(detail) = self.last() {
            push(&mut detail.yaml, &text);
        }
        true
    }

    /// The failing test that the lines below it belong to.
    fn last(&mut self) -> Option<&mut Detail> {
        let level = self.levels.get_mut(self.below?)?;
        let case = level.cases.last_mut().filter(|case| !case.ok)?;
        case.detail.as_deref_mut()
    }

    fn other(&mut self, line: &str, body: &str) {
        let indented = line.len() > body.len();
        match self.last() {
            Some(detail) if indented => push(&mut detail.after, line),
            Some(detail) if body.is_empty() && !detail.after.is_empty() => {
                push(&mut detail.after, "");
            }
            _ => {}
        }
    }

    fn comment(&mut self, depth: usize, text: &str) {
        if self.below == Some(depth)
            && let Some(detail) = self.last()
        {
            push(&mut detail.comments, text);
        }
    }

    fn version(&mut self, depth: usize, body: &str) {
        self.seen = true;
        if depth > 0 {
            return;
        }
        if body.starts_with('K') {
            self.unit = 2;
        }
        self.next_stream();
    }

    /// What follows belongs to another stream.
    pub fn next_stream(&mut self) {
        self.levels.truncate(1);
        self.below = None;
        let whole = self.levels.pop().unwrap_or_default();
        self.levels.push(Level::default());
        if !whole.is_empty() && self.streams.len() < MOST_STREAMS {
            self.streams.push(whole);
        }
    }

    fn subtest(&mut self, depth: usize, name: &str) {
        let name = unescaped(name);
        self.seen = true;
        self.below = None;
        let deepest = self.levels.len() - 1;
        if depth == deepest + 1 && depth < DEEPEST {
            let before = self.levels[deepest].announced.clone();
            // Test::More of old indents the title like the block.
            let announced = before.is_some().then(|| name.clone());
            self.levels.push(Level {
                title: before.or(Some(name)),
                announced,
                ..Level::default()
            });
        } else if depth <= deepest {
            self.levels.truncate(depth + 1);
            self.levels[depth].announced = Some(name);
        }
    }

    /// Opens the level of a line, if it is the next one.
    fn open(&mut self, depth: usize) -> bool {
        let deepest = self.levels.len() - 1;
        if depth == deepest + 1 && depth < DEEPEST {
            let title = self.levels[deepest].announced.clone();
            self.levels.push(Level {
                title,
                ..Level::default()
            });
        }
        depth < self.levels.len()
    }

    fn planned(&mut self, depth: usize, count: u32, why: Option<&str>) -> Option<Step> {
        if !self.open(depth) {
            return None;
        }
        self.seen = true;
        self.below = None;
        let why = why.map(str::to_owned);
        let level = &self.levels[depth];
        if depth == 0 && level.plan.is_some() {
            if level.full() && level.plan != Some(0) || count == 0 {
                self.next_stream();
            } else {
                // Perhaps another stream begins, perhaps a test printed it.
                self.plan = Some((count, why));
                return None;
            }
        }
        let level = &mut self.levels[depth];
        if level.plan.is_none() {
            level.plan = Some(count);
            level.skip_all = why;
            return (depth == 0).then_some(Step::Planned(count));
        }
        None
    }

    fn test(&mut self, depth: usize, test: &Test<'_>) -> Option<Step> {
        if !self.open(depth) {
            return None;
        }
        self.seen = true;
        if depth == 0 {
            self.begin_stream_at(test.number);
        }
        let name = unescaped(test.name);
        let children = match self.levels.len() > depth + 1 {
            true => self.levels.drain(depth + 1..).next(),
            false => None,
        };
        let directive = test.directive.map(|(word, _)| word);
        let children = children.filter(|level| belongs(level, &name, test.ok, directive));
        let level = &mut self.levels[depth];
        let number = test.number.unwrap_or_else(|| level.last.saturating_add(1));
        // A stream goes on after what a test only printed.
        level.bail = None;
        let quiet = test.ok && directive.is_none() && children.is_none() && !test.opens;
        let detail = (!quiet).then(|| {
            Box::new(Detail {
                name: name.clone(),
                millis: test.millis,
                children,
                ..Detail::default()
            })
        });
        level.numbered = test.number.is_some();
        level.push(Case {
            number,
            ok: test.ok,
            directive,
            detail,
        });
        self.below = Some(depth);
        if test.opens && depth + 1 < DEEPEST {
            self.levels.push(Level {
                title: Some(name.clone()),
                ..Level::default()
            });
        }
        let step = match (directive, test.ok) {
            (Some(_), _) => Step::Skipped(name),
            (None, true) => Step::Passed(name),
            (None, false) => Step::Failed(name),
        };
        (depth == 0 && !test.opens).then_some(step)
    }

    /// A second plan, or the number 1 after the last of a plan: another stream has begun.
    fn begin_stream_at(&mut self, number: Option<u32>) {
        let level = &self.levels[0];
        let again = number == Some(1) && !level.cases.is_empty();
        let plan = self.plan.take();
        if !(again && (plan.is_some() || level.full())) {
            return;
        }
        self.next_stream();
        if let Some((count, why)) = plan {
            self.levels[0].plan = Some(count);
            self.levels[0].skip_all = why;
        }
    }

    fn close_braces(&mut self, depth: usize) {
        if self.levels.len() <= depth + 1 {
            return;
        }
        let level = self.levels.drain(depth + 1..).next();
        let case = self.levels[depth].cases.last_mut();
        if let (Some(level), Some(case)) = (level, case)
            && let Some(detail) = case.detail.as_deref_mut()
            && level.title.as_deref() == Some(&detail.name)
        {
            detail.children = Some(level);
        }
        self.below = None;
    }

    /// Whether a bare `ok` would not be a result: all tests have numbers, or all are there.
    pub fn is_over(&self) -> bool {
        let level = &self.levels[0];
        level.full() || level.skip_all.is_some() || level.numbered
    }

    /// The streams, the one that was read last with what is left open in it.
    pub fn finish(mut self) -> Vec<Level> {
        // What was open when the output ended is told under the titles that are known.
        while self.levels.len() > 1 {
            let Some(inner) = self.levels.pop() else {
                break;
            };
            let Some(outer) = self.levels.last_mut() else {
                break;
            };
            let braces = outer.cases.last_mut().filter(|case| {
                let detail = case.detail.as_ref();
                detail
                    .is_some_and(|d| d.children.is_none() && Some(&d.name) == inner.title.as_ref())
            });
            if let Some(case) = braces {
                if let Some(detail) = case.detail.as_deref_mut() {
                    detail.children = Some(inner);
                }
            } else if inner.title.is_some() && inner.any_failed() {
                let number = outer.last.saturating_add(1);
                outer.push(Case {
                    number,
                    ok: false,
                    directive: None,
                    detail: Some(Box::new(Detail {
                        name: inner.title.clone().unwrap_or_default(),
                        children: Some(inner),
                        ..Detail::default()
                    })),
                });
            }
        }
        if let Some((count, why)) = self.plan.take()
            && self.levels[0].full()
        {
            self.next_stream();
            self.levels[0].plan = Some(count);
            self.levels[0].skip_all = why;
        }
        let last = self.levels.pop().unwrap_or_default();
        if !last.is_empty() || last.announced.is_some() {
            self.streams.push(last);
        }
        self.streams
    }
}

/// Whether an indented block is what the result below it is made of.
fn belongs(level: &Level, name: &str, ok: bool, directive: Option<Directive>) -> bool {
    let titled = match &level.title {
        Some(title) => title == name || directive == Some(Directive::Skip),
        None => level.plan.is_some() && level.believed().mismatch.is_none(),
    };
    let fits = !ok || directive.is_some() || !level.any_failed();
    titled && fits
}

fn push(text: &mut String, line: &str) {
    if text.len() + line.len() < MOST_TEXT {
        text.push_str(line);
        text.push('\n');
    }
}
