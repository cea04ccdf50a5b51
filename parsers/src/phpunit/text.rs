//! PHPUnit's text: default and `--testdox` style, PHP's fatal errors.

use crate::context::Context;
use crate::lines::Seen;
use crate::phpunit::failure;
use crate::phpunit::failure::Section;
use crate::phpunit::frames;
use crate::phpunit::results;
use crate::phpunit::results::Results;
use crate::report::Failure;
use std::borrow::Cow;

/// The most that is kept of the results, in bytes.
const MOST_RESULTS: usize = 16 * 1024 * 1024;
/// More items of `--testdox` than this are not kept.
const MOST_ITEMS: usize = 2_000;
/// The most that is kept of one item, in bytes.
const LONGEST: usize = 64 * 1024;

/// What PHP said before it ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Fatal {
    /// Its words, without the place.
    pub message: String,
    /// The file, as it is printed.
    pub file: String,
    /// The line.
    pub line: u32,
    /// The lines below.
    pub details: String,
}

/// One item of `--testdox` that failed.
#[derive(Debug, Clone, Default)]
struct Item {
    heading: String,
    title: String,
    body: String,
    dotted: bool,
}

/// Reads PHPUnit's text line by line.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    /// Whether PHPUnit gave its name.
    pub began: bool,
    /// Whether it said that there is nothing to run.
    pub nothing: bool,
    /// Why it refused to begin.
    pub refused: Option<String>,
    /// PHP's own last words.
    pub fatal: Option<Fatal>,
    results: String,
    times: Vec<usize>,
    heading: String,
    items: Vec<Item>,
    open: bool,
    blank: bool,
    fatal_open: bool,
    inside: bool,
    again: bool,
}

impl Reader {
    /// Takes one line.
    pub fn line(&mut self, seen: &Seen<'_>) {
        let shown = || named_set(seen.bytes).map_or_else(|| seen.shown(), Cow::Owned);
        if !self.times.is_empty() {
            self.result(&shown());
            return;
        }
        let first = seen.bytes.first().copied().unwrap_or(b'\n');
        let may = matches!(
            first,
            b'P' | b'T'
                | b'.'
                | b'R'
                | b'I'
                | b'S'
                | b'D'
                | b'N'
                | b'F'
                | b'A'
                | b'U'
                | b'C'
                | b'M'
                | b'L'
                | b' '
                | b'#'
                | 0x1b
                | b'O'
                | b'E'
                | b'W'
                | b'\n'
        );
        if may
            || self.fatal_open
            || first.is_ascii_alphabetic() && self.began && seen.bytes.len() < 300
        {
            self.look(&shown());
        }
    }

    fn result(&mut self, line: &str) {
        if is_time(line) {
            if self.results.len() > MOST_RESULTS / 2 {
                self.results.clear();
                self.times.clear();
            }
            self.times.push(self.results.len());
        }
        if self.results.len() + line.len() < MOST_RESULTS {
            self.results.push_str(line);
            self.results.push('\n');
        }
        self.fatal_line(line);
        // A test may have printed the end of a run: marks go on behind it, until the real end
        // shows the failed ones again.
        self.again |= line == "Summary of non-successful tests:";
        let title = self.open && self.items.last().is_some_and(|item| item.body.is_empty());
        let shown = line.is_empty() || line.starts_with(' ') || title || is_heading(line);
        if !self.again && shown {
            self.dox(line);
        }
    }

    fn look(&mut self, line: &str) {
        if is_time(line) {
            self.open = false;
            self.result(line);
            return;
        }
        if line.starts_with("PHPUnit ") && line.contains(" by Sebastian Bergmann") {
            self.began = true;
            return;
        }
        self.fatal_line(line);
        if line == "No tests executed!" {
            self.nothing = true;
        } else if line == "An error occurred inside PHPUnit." {
            self.inside = true;
        } else if self.began && self.refused.is_none() && refuses(line) {
            self.refused = Some(line.to_owned());
        }
        self.dox(line);
    }

    /// `PHP Fatal error:  … in FILE on line N` and what stands below.
    fn fatal_line(&mut self, line: &str) {
        if self.inside {
            self.inside_line(line);
        }
        let may = memchr::memmem::find(line.as_bytes(), b"error: ").is_some();
        if !may && !self.fatal_open {
            return;
        }
        let words = [
            "PHP Fatal error:  ",
            "Fatal error: ",
            "PHP Parse error:  ",
            "Parse error: ",
        ];
        let said = words.iter().find_map(|start| {
            let at = line.find(start)?;
            // Standard error may come in the middle of the row of dots.
            let dots = line[..at]
                .bytes()
                .all(|byte| b".FEWRISDNP ".contains(&byte));
            dots.then(|| &line[at + start.len()..])
        });
        if let Some(said) = said {
            if self.fatal.is_none() {
                self.fatal = Some(fatal(said));
                self.fatal_open = true;
            }
            return;
        }
        if !self.fatal_open {
            return;
        }
        match &mut self.fatal {
            Some(fatal) if fatal.details.len() < 8 * 1024 && !line.starts_with("PHPUnit ") => {
                fatal.details.push_str(line);
                fatal.details.push('\n');
                if fatal.file.is_empty() {
                    *fatal = later(fatal, line);
                }
            }
            _ => self.fatal_open = false,
        }
    }

    /// PHPUnit 10 and later: `Message:` and `Location:`.
    fn inside_line(&mut self, line: &str) {
        let fatal = self.fatal.get_or_insert_with(Fatal::default);
        if let Some(message) = line.strip_prefix("Message: ") {
            fatal.message = message.trim().to_owned();
        } else if let Some(place) = line.strip_prefix("Location: ") {
            if let Some((file, line)) = frames::place(place) {
                (fatal.file, fatal.line) = (file.to_owned(), line);
            }
            self.inside = false;
            self.fatal_open = true;
        }
    }

    /// `--testdox`: a heading, marks, and details behind a rule.
    fn dox(&mut self, line: &str) {
        let apart = std::mem::replace(&mut self.blank, line.is_empty());
        if !line.is_empty() && !line.starts_with(' ') {
            // A data set's name may have line ends.
            if let Some(item) = self
                .items
                .last_mut()
                .filter(|item| !apart && item.body.is_empty())
                && self.open
            {
                item.title.push('\n');
                item.title.push_str(line);
            } else if apart {
                if is_heading(line) {
                    line.clone_into(&mut self.heading);
                }
                self.open = false;
            }
            return;
        }
        let Some(rest) = line.strip_prefix(' ') else {
            return;
        };
        let mark = rest.chars().next().unwrap_or(' ');
        let title = || rest[mark.len_utf8()..].trim_start().to_owned();
        match mark {
            '✔' | '∅' | '↩' | '☢' | '⚠' => self.open = false,
            '✘' => {
                self.open = self.items.len() < MOST_ITEMS;
                if self.open {
                    self.items.push(Item {
                        heading: self.heading.clone(),
                        title: title(),
                        ..Item::default()
                    });
                }
            }
            _ if self.open => {
                let rule = rest.trim_start();
                let text = rule.strip_prefix(['│', '├', '┐', '┴', '┊', '╵', '|']);
                if let (Some(text), Some(item)) = (text, self.items.last_mut())
                    && item.body.len() < LONGEST
                {
                    let text = text.strip_prefix(' ').unwrap_or(text);
                    // With colours blanks of what differs are shown as dots.
                    item.dotted |= text == "---·Expected";
                    match item.dotted && text.starts_with(['+', '-']) {
                        true => item.body.push_str(&text.replace('·', " ")),
                        false => item.body.push_str(text),
                    }
                    item.body.push('\n');
                }
            }
            _ => {}
        }
    }

    /// The results: of several beginnings the last one from which everything agrees up to the
    /// end. What a test printed before the end is none.
    pub fn results(&self) -> Results {
        let mut first = None;
        for at in self.times.iter().rev().take(50) {
            let results = results::read(&self.results[*at..]);
            if results.agree() {
                return results;
            }
            first.get_or_insert(results);
        }
        first.unwrap_or_default()
    }

    /// What `--testdox` shows as failed.
    pub fn dox_failures(&self, context: &Context) -> Vec<Failure> {
        let made = self.items.iter().map(|item| item.failure(context));
        made.collect()
    }
}

impl Item {
    fn failure(&self, context: &Context) -> Failure {
        let body = self.body.trim_matches('\n');
        let asserts = body.contains("Failed asserting");
        let threw = crate::junit::split(body.lines().next().unwrap_or("")).0;
        let section = match !asserts
            && !threw.is_empty()
            && (threw.contains('\\') || threw.ends_with("Error") || threw.ends_with("Exception"))
        {
            true => Section::Error,
            false => Section::Failure,
        };
        if self.title == "Error" && body.contains("data provider") {
            return failure::of("Error", body, Section::Error, context);
        }
        let mut failure = failure::of(&self.id(body, context), body, section, context);
        failure.kind_sure &= asserts || section == Section::Error;
        failure
    }

    /// The test's real name: that of the function around the failure, or one that would be
    /// shown as this.
    fn id(&self, body: &str, context: &Context) -> String {
        let (method, set) = match self.title.find(" with data set ") {
            Some(at) => self.title.split_at(at),
            None => (self.title.as_str(), ""),
        };
        let method = method.trim();
        let found = frames::of(body, context)
            .into_iter()
            .filter(|frame| frame.user)
            .find_map(|frame| {
                let inside = frames::inside(&frame.file, frame.line.unwrap_or(0), context)?;
                let function = &inside.function;
                let words = function.replace('_', " ").to_lowercase();
                let own = function.starts_with("test") || words == method.to_lowercase();
                own.then(|| inside.id())
            });
        if let Some(id) = found {
            return id + set;
        }
        let class = match self.heading.split_once('(') {
            Some((_, full)) => full.trim_end_matches(')').to_owned(),
            None => self.heading.replace(' ', ""),
        };
        let class = if class.ends_with("Test") {
            class
        } else {
            format!("{class}Test")
        };
        let words: String = method.split(' ').map(capital).collect();
        format!("{class}::test{words}{set}")
    }
}

/// The title of a test with a data set as it stands without colours: with them it is only
/// `Rows with two·words`.
fn named_set(line: &[u8]) -> Option<String> {
    const NAMED: &str = "\u{1b}[2m with \u{1b}[22m\u{1b}[36m";
    const NUMBERED: &str = "\u{1b}[2m with data set \u{1b}[22m\u{1b}[36m";
    if !line.starts_with(b" \x1b[") || line.len() > 4096 {
        return None;
    }
    let line = String::from_utf8_lossy(line);
    let (title, set) = match line.split_once(NUMBERED) {
        Some((title, number)) => (title, format!("#{}", crate::text::clean(number))),
        None => {
            let (title, name) = line.split_once(NAMED)?;
            let name = crate::text::clean(name.strip_suffix("\u{1b}[0m")?);
            (title, format!("\"{}\"", name.replace('·', " ")))
        }
    };
    Some(format!("{} with data set {set}", crate::text::clean(title)))
}

/// Whether a line may be the name of a class, as `--testdox` shows it.
fn is_heading(line: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || " _\\()".contains(c);
    let begins = line.starts_with(|c: char| c.is_uppercase());
    begins && line.len() < 300 && line.chars().all(part)
}

fn capital(word: &str) -> String {
    let mut chars = word.chars();
    let first: String = chars
        .next()
        .map(|c| c.to_uppercase().collect())
        .unwrap_or_default();
    first + chars.as_str()
}

fn is_time(line: &str) -> bool {
    line.starts_with("Time: ") && line.contains(", Memory: ")
}

/// What PHPUnit says when it does not begin.
fn refuses(line: &str) -> bool {
    let starts = [
        "Unknown option ",
        "Cannot open file ",
        "Could not read ",
        "Test file \"",
        "option requires an argument",
        "unrecognized option",
        "Could not use ",
    ];
    starts.iter().any(|start| line.starts_with(start))
        || line.starts_with("Class ") && line.contains(" could not be found in ")
        || line.ends_with("\" not found") && line.starts_with("Test ")
}

/// `Uncaught Error: x in /p/a.php:6` or `Allowed memory … in /p/a.php on line 6`.
fn fatal(said: &str) -> Fatal {
    let mut fatal = Fatal {
        message: said.trim().to_owned(),
        details: format!("{said}\n"),
        ..Fatal::default()
    };
    if let Some((message, place)) = said.rsplit_once(" in ") {
        let found = frames::place(place).or_else(|| failure::on_line(place));
        if let Some((file, line)) = found {
            fatal.message = message.trim().to_owned();
            (fatal.file, fatal.line) = (file.to_owned(), line);
        }
    }
    fatal
}

/// The place on a later line: the message had several.
fn later(fatal: &Fatal, line: &str) -> Fatal {
    let place: Cow<'_, str> = match line.rsplit_once(" in ") {
        Some((_, place)) => place.into(),
        None => line.trim_start().trim_start_matches("thrown in ").into(),
    };
    let mut fatal = fatal.clone();
    if let Some((file, line)) = frames::place(&place).or_else(|| failure::on_line(&place))
        && file.starts_with('/')
    {
        (fatal.file, fatal.line) = (file.to_owned(), line);
    }
    fatal
}
