//! Errors that Mocha or node prints outside of any reporter: files that cannot be loaded,
//! options that are wrong, exceptions after the end.

use crate::compose;
use crate::compose::Compose;
use crate::context::Context;
use crate::js::load;
use crate::js::thrown;
use crate::js::thrown::Thrown;
use crate::lines::Seen;
use crate::mocha::dialect;
use crate::report::Failure;
use crate::report::FailureKind;
use crate::report::Note;
use crate::report::Outcome;
use crate::report::Phase;
use crate::text;

/// The most that is kept of one.
const MOST_BLOCK: usize = 32 * 1024;
/// More than these are not kept; the last ones count.
const MOST: usize = 20;

/// Collects what looks like such an error.
#[derive(Debug, Default)]
pub(crate) struct Trouble {
    blocks: Vec<String>,
    open: bool,
    framed: bool,
}

/// What begins one.
const STARTS: [&str; 2] = [" Exception during run: ", "✖ ERROR: "];

impl Trouble {
    /// Takes a line.
    pub fn line(&mut self, seen: Seen<'_>) {
        let bytes = seen.bytes;
        if self.open {
            self.more(&seen.shown());
            if self.open {
                return;
            }
        }
        let probable = match bytes.first() {
            Some(b' ') => bytes.starts_with(STARTS[0].as_bytes()),
            Some(0xe2) => bytes.starts_with("✖ ".as_bytes()),
            Some(b'/') => numbered(bytes),
            Some(b'f') => bytes.starts_with(b"file:///") && numbered(bytes),
            Some(b'A'..=b'Z') => named(bytes),
            Some(0x1b) => true,
            _ => false,
        };
        if !probable || bytes.len() > 4096 {
            return;
        }
        let line = seen.shown();
        if bytes[0] == 0xe2 && !line.starts_with(STARTS[1]) {
            return;
        }
        let known = STARTS.iter().any(|start| line.starts_with(start))
            || line.starts_with("Error: No test file");
        if bytes[0] == 0x1b && !known {
            return;
        }
        if self.blocks.len() >= MOST {
            self.blocks.remove(0);
        }
        self.blocks.push(format!("{line}\n"));
        (self.open, self.framed) = (true, false);
    }

    fn more(&mut self, line: &str) {
        let frame = line.trim_start().starts_with("at ");
        let props = line.starts_with("  ") || line == "}";
        if self.framed && !frame && !props {
            self.open = false;
            return;
        }
        self.framed |= frame;
        match self.blocks.last_mut() {
            Some(block) if block.len() < MOST_BLOCK => {
                block.push_str(line);
                block.push('\n');
            }
            _ => self.open = false,
        }
    }

    /// The blocks without Mocha's own words before them.
    fn texts(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.blocks.iter().map(|block| {
            let start = STARTS.iter().find_map(|start| block.strip_prefix(start));
            start.unwrap_or(block)
        })
    }

    /// Nothing ran: why? Whether something was found.
    pub fn instead_of_a_run(&self, compose: &mut Compose, context: &Context) -> bool {
        for text in self.texts().rev() {
            if text.starts_with("Error: No test file") {
                let first = text::one_line(text);
                compose.note(Note::new("no_test_files", first));
                return true;
            }
            if text.contains("code: 'ERR_MOCHA_") {
                compose.outcome(Outcome::UsageError);
                compose.incomplete(Note::new("usage", text::one_line(text)));
                return true;
            }
            if !loading(text) {
                continue;
            }
            if let Some(mut failure) = load::failure(text, None, context) {
                failure.rerun = dialect::rerun(context, &failure.id, &[]);
                compose.failed(compose::seal(failure));
                return true;
            }
        }
        // A loader without a user's file: what is required before the tests.
        let Some(text) = self.texts().rev().find(|text| loading(text)) else {
            return false;
        };
        let message = Thrown::read(load::below_source(text)).line();
        let mut failure = compose::failure(
            "mocha",
            FailureKind::CollectionError,
            Phase::Collect,
            message,
        );
        failure.details = text::block(text, text::DETAILS);
        compose.failed(compose::seal(failure));
        true
    }

    /// An exception that Mocha threw on, because its run was over.
    pub fn after_the_end(&self, context: &Context) -> Option<Failure> {
        let text = self.texts().rfind(|text| {
            let first = text.lines().next().unwrap_or("");
            text.contains("    throw err;\n") && first.contains("/mocha/lib/runner.js:")
        })?;
        let body = load::below_source(text).trim_start();
        let thrown = Thrown::read(body);
        let mut failure =
            compose::failure("mocha", FailureKind::Panic, Phase::Session, thrown.line());
        thrown::place(&mut failure, &thrown.stack, context);
        failure.details = text::block(body, text::DETAILS);
        failure.rerun = context.rerun::<String>(&["npx", "mocha"], []);
        Some(compose::seal(failure))
    }
}

/// Whether it is Mocha that was loading something.
fn loading(text: &str) -> bool {
    [
        "/mocha/lib/",
        "Module._compile",
        "ModuleJob",
        "wrapSafe",
        "finalizeResolution",
        "compileSourceTextModule",
    ]
    .iter()
    .any(|word| text.contains(word))
}

/// `/p/x.js:12` and nothing else.
fn numbered(bytes: &[u8]) -> bool {
    let digits = bytes
        .iter()
        .rev()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    digits > 0 && digits < 8 && bytes.get(bytes.len() - digits - 1) == Some(&b':')
}

/// `TypeError: …`, `SyntaxError[ @…`, `Error [CODE]: …`.
fn named(bytes: &[u8]) -> bool {
    let end = bytes
        .iter()
        .position(|byte| !byte.is_ascii_alphanumeric())
        .unwrap_or(bytes.len());
    let name = &bytes[..end];
    (name.ends_with(b"Error") || name.ends_with(b"Exception"))
        && matches!(bytes.get(end), Some(b':' | b' ' | b'[') | None)
}
