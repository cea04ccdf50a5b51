//! Logs of nothing but result lines: what is left when no line can be passed over.

use regreen_parsers::Format;

pub mod runners;
pub mod tools;

/// One log: its name, how it is read, and what stands in it.
pub struct Dense {
    /// What it is called.
    pub name: &'static str,
    /// How it is read.
    pub format: Format,
    make: fn(usize, usize, Paint) -> String,
}

/// Colours, where a log has them.
#[derive(Clone, Copy)]
pub struct Paint(bool);

impl Paint {
    /// The text in one colour.
    pub fn of(self, colour: u8, text: &str) -> String {
        match self.0 {
            true => format!("\u{1b}[{colour}m{text}\u{1b}[39m"),
            false => text.to_owned(),
        }
    }

    /// The whole text with a colour at the beginning and at the end of each line, for formats
    /// that know none themselves.
    pub fn lines(self, text: String) -> String {
        if !self.0 {
            return text;
        }
        let mut log = String::with_capacity(text.len() * 3 / 2);
        for line in text.lines() {
            let (head, last) = line.split_at(line.rfind(' ').unwrap_or(line.len()));
            log.push_str(&format!(
                "\u{1b}[1m{head}\u{1b}[0m\u{1b}[32m{last}\u{1b}[0m\n"
            ));
        }
        log
    }
}

impl Dense {
    /// A log of a name, a format, and how it is made of the number of tests and the part of them
    /// that fails, in percent.
    pub fn of(name: &'static str, format: Format, make: fn(usize, usize, Paint) -> String) -> Self {
        Dense { name, format, make }
    }

    /// About so many bytes of it.
    pub fn log(&self, size: usize, failing: usize, colours: bool) -> String {
        let paint = Paint(colours);
        // A test's lines are about as long in a small log as in a large one.
        let sample = (self.make)(2_000, failing, paint).len().max(1);
        (self.make)((size * 2_000 / sample).max(1), failing, paint)
    }
}

/// Every log there is.
pub fn all() -> Vec<Dense> {
    runners::all().into_iter().chain(tools::all()).collect()
}
