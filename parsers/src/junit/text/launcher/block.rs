//! The block of failures that `tree`, `summary` and `none` end with.
//!
//! Its messages stand there as they are, so that one of them may hold the lines of another such
//! block. An entry of the block follows the heading or the frames of the entry before it, and
//! nothing but frames follows its frames: what stands in a message does not keep to that.

use crate::junit::stack::At;
use crate::junit::text::launcher::tree::Tree;

/// More entries than this are not kept.
const MOST: usize = 5_000;
/// The most that is kept of one entry, in bytes; of its frames a little more is.
const LONGEST: usize = 256 * 1024;
/// More lines than this no title has.
const MOST_TITLE: usize = 40;

/// A test or a class that failed, as it is printed.
#[derive(Debug, Clone, Default)]
pub(super) struct Entry {
    /// `JUnit Jupiter:FooTest:bar()`.
    pub title: String,
    /// `MethodSource [className = 'FooTest', …]`.
    pub source: String,
    /// From `=> ` on.
    pub body: String,
    /// It stands where an entry may: behind the heading or behind frames.
    placed: bool,
    /// Text follows its frames.
    resumed: bool,
}

impl Entry {
    fn add(&mut self, line: &str, frame: bool) {
        let most = if frame { LONGEST * 5 / 4 } else { LONGEST };
        if self.body.len() + line.len().min(LONGEST / 4) < most {
            self.body.push_str(line);
            self.body.push('\n');
        }
    }

    /// The lines that it is made of.
    fn raw(&self) -> String {
        let source = match self.source.as_str() {
            "" => String::new(),
            source => format!("    {source}\n"),
        };
        format!("  {}\n{source}    => {}", self.title, self.body)
    }
}

/// A block that is being read.
#[derive(Debug, Clone, Default)]
pub(super) struct Block {
    /// How many failures the heading says.
    pub announced: u64,
    entries: Vec<Entry>,
    /// The lines of what may be a title.
    pending: Vec<String>,
    pending_placed: bool,
    /// The line before was the heading, or a frame.
    placed: bool,
    /// The line before was a frame, or a blank line behind one.
    framed: bool,
}

impl Block {
    /// Begins behind the heading.
    pub fn new(announced: u64) -> Self {
        Block {
            announced,
            placed: true,
            ..Block::default()
        }
    }

    /// How many entries there may be.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Takes one line.
    pub fn line(&mut self, line: &str) {
        if !self.pending.is_empty() {
            if source(line) || line.starts_with("    => ") {
                self.begin();
            } else if self.pending_placed
                && self.pending.len() < MOST_TITLE
                && line.len() < 4096
                && !is_frame(line)
            {
                // A name may have several lines.
                self.pending.push(line.to_owned());
                return;
            } else {
                self.flush();
            }
        }
        if titled(line) && self.entries.len() < MOST {
            self.pending_placed = std::mem::take(&mut self.placed);
            self.pending.push(line.to_owned());
            return;
        }
        let Some(entry) = self.entries.last_mut() else {
            return;
        };
        if entry.body.is_empty() && entry.source.is_empty() && source(line) {
            line.trim().clone_into(&mut entry.source);
        } else if entry.body.is_empty() && line.starts_with("    => ") {
            entry.body = format!("{}\n", &line[7..]);
        } else {
            self.text(line);
        }
    }

    /// Begins the entry whose title is known.
    fn begin(&mut self) {
        let title = std::mem::take(&mut self.pending).join("\n");
        self.framed = false;
        self.entries.push(Entry {
            title: title.get(2..).unwrap_or("").to_owned(),
            placed: self.pending_placed,
            ..Entry::default()
        });
    }

    /// What looked like a title is text.
    fn flush(&mut self) {
        let lines = std::mem::take(&mut self.pending);
        self.pending_placed = false;
        let mut lines = lines.into_iter();
        if let Some(first) = lines.next() {
            self.text(&first);
        }
        for line in lines {
            // Only one of these is a title at a time: behind text a title has one line.
            self.line(&line);
        }
    }

    /// A line of the last entry's text.
    fn text(&mut self, line: &str) {
        let frame = is_frame(line);
        let blank = line.is_empty();
        let Some(entry) = self.entries.last_mut() else {
            self.placed = false;
            return;
        };
        let trimmed = line.trim_start();
        let caused = trimmed.starts_with("Caused by: ") || trimmed.starts_with("Suppressed: ");
        entry.resumed |= self.framed && !frame && !blank && !caused;
        self.placed = frame;
        self.framed = frame || blank && self.framed;
        entry.add(line, frame);
    }

    /// Takes several lines.
    pub fn lines(&mut self, text: &str) {
        for line in text.lines() {
            self.line(line);
        }
    }

    /// The entries that are no part of another's message, as far as anybody can know.
    pub fn chosen(mut self, tree: &mut Tree) -> Vec<Entry> {
        self.flush();
        let announced = self.announced as usize;
        if self.entries.len() <= announced {
            return self.entries;
        }
        let by_place = self.by_place();
        if count(&by_place) != announced && !tree.is_empty() {
            let by_tree: Vec<bool> = self
                .entries
                .iter()
                .map(|entry| tree.take(&entry.title).is_some())
                .collect();
            tree.give_back();
            if count(&by_tree) > 0 && count(&by_tree) <= announced {
                return merged(self.entries, &by_tree);
            }
        }
        merged(self.entries, &by_place)
    }

    /// Which of them stand where an entry may.
    fn by_place(&self) -> Vec<bool> {
        let mut chosen = vec![true; self.entries.len()];
        let mut inside = false;
        for (at, entry) in self.entries.iter().enumerate().skip(1) {
            inside |= !entry.placed;
            chosen[at] = !inside;
            // The message goes on, and ends before the next entry.
            if inside && entry.resumed {
                inside = false;
            }
        }
        chosen
    }
}

fn count(chosen: &[bool]) -> usize {
    chosen.iter().filter(|chosen| **chosen).count()
}

/// The chosen entries; the others are put back into the messages that they stand in.
fn merged(entries: Vec<Entry>, chosen: &[bool]) -> Vec<Entry> {
    let mut out: Vec<Entry> = Vec::new();
    for (entry, chosen) in entries.into_iter().zip(chosen) {
        match out.last_mut() {
            Some(holder) if !chosen => {
                for line in entry.raw().lines() {
                    holder.add(line, is_frame(line));
                }
            }
            _ => out.push(entry),
        }
    }
    out
}

/// `Failures (2):`
pub(super) fn heading(line: &str) -> Option<u64> {
    let rest = line.strip_prefix("Failures (")?.strip_suffix("):")?;
    rest.parse().ok()
}

/// A line that may be a title, or the first line of one.
fn titled(line: &str) -> bool {
    line.strip_prefix("  ").is_some_and(|rest| {
        !rest.starts_with([' ', '\t']) && (rest.contains(':') || rest.starts_with("JUnit "))
    })
}

/// A frame as this block prints it, or what stands for those that are left out.
pub(super) fn is_frame(line: &str) -> bool {
    let Some(rest) = line.strip_prefix("       ") else {
        return false;
    };
    let rest = rest.trim_start();
    rest == "[...]" || rest.starts_with("[CIRCULAR") || At::read(rest).is_some()
}

/// `    MethodSource [className = …]`
pub(super) fn source(line: &str) -> bool {
    line.starts_with("    ") && line.contains("Source [") && line.trim_end().ends_with(']')
}
