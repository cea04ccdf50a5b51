//! What linkers say: ld, gold, lld, mold.

use crate::cc::place;
use crate::cc::place::Places;
use crate::compose;
use crate::context::Context;
use crate::report::Failure;
use crate::report::FailureKind;
use crate::report::Location;
use crate::report::Phase;
use crate::text;

/// The link that is being read.
#[derive(Debug, Default)]
pub(crate) struct Link {
    /// `ld: main.o: in function `main':`, the line before the messages.
    inside: Option<String>,
    /// lld names the places below its error.
    lld: Option<(String, Vec<String>)>,
}

impl Link {
    /// Whether the next line may belong to what was read.
    pub fn is_open(&self) -> bool {
        self.lld.is_some() || self.inside.is_some()
    }

    /// Takes a line; nothing if it is no linker's, else what is known to have failed by now.
    pub fn line(&mut self, line: &str, places: &Places, context: &Context) -> Option<Vec<Failure>> {
        let mut done = Vec::new();
        if let Some((_, lines)) = &mut self.lld {
            if line.starts_with(">>> ") {
                if lines.len() < 20 {
                    lines.push(line.to_owned());
                }
                return Some(done);
            }
            done.extend(self.close(places, context));
        }
        if line.starts_with(">>> ") {
            return Some(done);
        }
        if let Some(text) = lld(line) {
            self.lld = Some((text.to_owned(), vec![line.to_owned()]));
            return Some(done);
        }
        let bare = without_program(line);
        if bare.contains(": in function `") || bare.contains(": In function `") {
            self.inside = Some(line.to_owned());
            return Some(done);
        }
        if bare.contains(": warning: ") || bare.starts_with("warning: ") {
            return if bare.len() < line.len() || !done.is_empty() {
                Some(done)
            } else {
                None
            };
        }
        let from_ld = bare.len() < line.len();
        match problem(bare, from_ld) {
            Some((place, message)) => {
                done.push(self.failure(place, message, line, places, context));
                Some(done)
            }
            None => {
                self.inside = None;
                (!done.is_empty()).then_some(done)
            }
        }
    }

    /// What is still open at the end.
    pub fn finish(&mut self, places: &Places, context: &Context) -> Option<Vec<Failure>> {
        self.close(places, context).map(|failure| vec![failure])
    }

    fn close(&mut self, places: &Places, context: &Context) -> Option<Failure> {
        let (message, lines) = self.lld.take()?;
        let named = lines.iter().find_map(|line| {
            let rest = line.strip_prefix(">>> referenced by ")?;
            rest.rsplit_once(" (")
                .map_or(Some(rest), |(_, place)| place.strip_suffix(')'))
        });
        let mut failure = self.failure(named.unwrap_or(""), &message, "", places, context);
        failure.details = text::block(&lines.join("\n"), text::DETAILS);
        Some(failure)
    }

    fn failure(
        &self,
        place: &str,
        message: &str,
        line: &str,
        places: &Places,
        context: &Context,
    ) -> Failure {
        let at = location(place, places, context);
        let short = message.split("; ").next().unwrap_or(message);
        let id = match &at {
            Some(at) => format!("{} {short}", super::message::id(at, None)),
            None => short.to_owned(),
        };
        let id = text::cut(&id, text::MESSAGE);
        let mut failure = compose::failure(id, FailureKind::CompileError, Phase::Build, message);
        failure.location = at;
        let details = match &self.inside {
            Some(inside) => format!("{inside}\n{line}"),
            None => line.to_owned(),
        };
        failure.details = text::block(&details, text::DETAILS);
        compose::seal(failure)
    }
}

/// The line without `/usr/bin/ld: ` before it.
fn without_program(line: &str) -> &str {
    let Some((program, rest)) = line.split_once(": ") else {
        return line;
    };
    let base = program.rsplit('/').next().unwrap_or(program);
    let linker = ["ld", "ld.bfd", "ld.gold", "ld.lld", "mold", "wild"].contains(&base)
        || base.ends_with("-ld")
        || base.ends_with("-ld.bfd");
    if linker { rest } else { line }
}

/// `ld.lld: error: undefined symbol: f()`.
fn lld(line: &str) -> Option<&str> {
    let (program, rest) = line.split_once(": error: ")?;
    let base = program.rsplit('/').next().unwrap_or(program);
    ["ld.lld", "lld", "mold", "ld64.lld", "wasm-ld"]
        .contains(&base)
        .then_some(rest)
}

/// The place and the message of one of ld's own problems.
fn problem(line: &str, from_ld: bool) -> Option<(&str, &str)> {
    for words in ["undefined reference to ", "multiple definition of "] {
        if let Some(at) = line.find(words) {
            let before = line[..at].strip_suffix(": ").unwrap_or("");
            let before = before.strip_suffix(": error").unwrap_or(before);
            // Somebody's sentence has blanks where ld has a place.
            if (from_ld || !before.is_empty()) && !before.contains(' ') {
                return Some((before, line[at..].trim_end()));
            }
        }
    }
    if !from_ld {
        return None;
    }
    let fatal = line.starts_with("cannot find ")
        || line.contains("final link failed")
        || line.contains("file format not recognized")
        || line.contains("symbol(s) not found")
        || line.contains("undefined symbol")
        || line.contains(": error: ")
        || line.contains("No such file");
    // ld repeats that way what it has already said.
    let again = line.contains("final link failed: bad value");
    (fatal && !again).then_some(("", line.trim_end()))
}

/// `l.cc:(.text+0xa)`, `/p/l.cc:2`, `main.cpp:3`.
fn location(place: &str, places: &Places, context: &Context) -> Option<Location> {
    let with_end = format!("{place}:");
    if let Some((file, line, column, _)) = place::split(&with_end) {
        return Some(places.location(file, Some(line), column, context));
    }
    let file = place.split(":(").next().unwrap_or("");
    let source = file
        .rsplit_once('.')
        .is_some_and(|(_, end)| !matches!(end, "o" | "a" | "so"));
    (source && !file.is_empty()).then(|| places.location(file, None, None, context))
}
