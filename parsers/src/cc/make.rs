//! What make and ninja say of a step that failed. It counts only where nothing says why.

use crate::cc::place;
use crate::compose;
use crate::context::Context;
use crate::report::Failure;
use crate::report::FailureKind;
use crate::report::Location;
use crate::report::Phase;
use crate::text;

/// The first step that failed, as the builder names it.
#[derive(Debug, Default)]
pub(crate) struct Make {
    said: Option<String>,
    driver: Option<String>,
}

impl Make {
    /// Takes a line; whether it is one of these, and then whether the build stopped.
    pub fn line(&mut self, line: &str) -> Option<bool> {
        let make = is_make(line) && line.contains(": *** ");
        let ninja = line.starts_with("ninja: ")
            || line.starts_with("FAILED: ")
            || line.starts_with("ninja: error: ");
        if !make && !ninja {
            return None;
        }
        if line.starts_with("ninja: no work") || line.starts_with("ninja: Entering") {
            return Some(false);
        }
        if self.said.is_none() {
            self.said = Some(text::cut(line.trim_end(), text::MESSAGE));
        }
        Some(true)
    }

    /// A compiler driver says that what it started has failed.
    pub fn say(&mut self, words: &str) {
        if self.driver.is_none() {
            self.driver = Some(text::cut(words, text::MESSAGE));
        }
    }

    /// The failure where nothing else is one.
    pub fn only_word(&self, context: &Context) -> Option<Failure> {
        let said = self.driver.as_ref().or(self.said.as_ref())?;
        let (at, message) = parts(said, context);
        let id = at
            .as_ref()
            .map_or_else(|| "build".to_owned(), |at| super::message::id(at, None));
        let mut failure = compose::failure(id, FailureKind::CompileError, Phase::Build, message);
        failure.kind_sure = false;
        failure.location = at.filter(|at| context.is_user(&at.file));
        Some(compose::seal(failure))
    }
}

/// `make[2]: …`, `gmake: …`, `Makefile:3: …`.
fn is_make(line: &str) -> bool {
    let program = line.split(':').next().unwrap_or("");
    let base = program.rsplit('/').next().unwrap_or(program);
    let base = base.split('[').next().unwrap_or(base);
    matches!(
        base,
        "make" | "gmake" | "mingw32-make" | "Makefile" | "GNUmakefile" | "makefile"
    ) || base.ends_with(".mk")
        || base.ends_with(".make")
}

/// `Makefile:3: *** missing separator.  Stop.` and `make: *** [Makefile:7: all] Error 2`.
fn parts(said: &str, context: &Context) -> (Option<Location>, String) {
    let Some((before, message)) = said.split_once("*** ") else {
        return (None, said.to_owned());
    };
    let place = message
        .strip_prefix('[')
        .and_then(|rest| rest.split(": ").next());
    for place in [before.trim_end(), place.unwrap_or("")] {
        if let Some((file, line, column, _)) = place::split(&format!("{place}:")) {
            let at = Location {
                file: context.relative(file),
                line: Some(line),
                column,
            };
            return (Some(at), message.to_owned());
        }
    }
    (None, message.to_owned())
}
