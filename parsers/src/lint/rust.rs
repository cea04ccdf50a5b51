//! rustc's and clippy's text where no cargo adapter reads it: `cargo build`, `cargo clippy`.

use crate::cargo::errors::Errors;
use crate::cargo::errors::Found;
use crate::cargo::package::Package;
use crate::context::Context;
use memchr::memmem;

/// Collects the blocks of the compiler.
#[derive(Debug, Default)]
pub(crate) struct Rust {
    errors: Errors,
    /// Cargo or rustc itself has spoken, so that an error without a place is theirs.
    cargo: bool,
    blank: bool,
    began: bool,
}

impl Rust {
    /// Whether a line may matter; cheap.
    pub fn wants(&self, line: &[u8]) -> bool {
        if self.errors.is_open() {
            return true;
        }
        match line.first() {
            Some(b'e') => line.starts_with(b"error"),
            Some(b'w') => line.starts_with(b"warning"),
            Some(b' ') => line.starts_with(b"   Compiling ") || line.starts_with(b"    Checking "),
            Some(_) => {
                memmem::find(line, b".rs:").is_some()
                    && (memmem::find(line, b": error").is_some()
                        || memmem::find(line, b": warning").is_some())
            }
            None => false,
        }
    }

    /// Takes one line.
    pub fn line(&mut self, line: &str) {
        self.cargo |= line.starts_with("   Compiling ")
            || line.starts_with("    Checking ")
            || line.starts_with("error: could not compile `")
            || line.starts_with("error: aborting due to ");
        if line.trim().is_empty() {
            self.blank = true;
        } else if std::mem::take(&mut self.blank) {
            // Behind a blank line only causes and the next message belong to it.
            let goes_on = line.starts_with([' ', '\t'])
                || ["Caused by", "error", "warning", "note", "help"]
                    .iter()
                    .any(|start| line.starts_with(start));
            if !goes_on {
                self.errors.shut();
            }
        }
        self.began = true;
        self.errors.line(line);
    }

    /// Somebody else speaks.
    pub fn shut(&mut self) {
        self.errors.shut();
    }

    /// Everything that was read; what has no place counts only if cargo was there.
    pub fn finish(self, context: &Context) -> Found {
        if !self.began {
            return Found::default();
        }
        let package = Package::new(context.clone(), &context.dir);
        let mut found = self.errors.finish(false, &package);
        if !self.cargo {
            found.failures.retain(|failure| {
                let at = failure.location.as_ref();
                at.is_some_and(|at| at.file.ends_with(".rs") || at.file.ends_with("Cargo.toml"))
            });
            found.notes.clear();
        } else {
            found
                .failures
                .retain(|failure| failure.location.is_some() || linked(&failure.message));
        }
        found
    }
}

/// What the compiler says of no place of the source.
fn linked(message: &str) -> bool {
    let starts = [
        "linking with ",
        "linker ",
        "failed to run custom build",
        "no matching package",
    ];
    starts.iter().any(|start| message.starts_with(start))
}
