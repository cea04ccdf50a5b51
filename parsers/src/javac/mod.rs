//! Reads what Java's and Kotlin's compilers say, alone and through Maven and Gradle.
//!
//! | who | how |
//! |---|---|
//! | javac | `src/Foo.java:3: error: cannot find symbol`, the line of code, a caret, `symbol:` lines |
//! | javac through Maven | `[ERROR] /p/src/Foo.java:[3,5] cannot find symbol` |
//! | kotlinc | `src/Foo.kt:3:5: error: unresolved reference: x` |
//! | kotlinc through Gradle | `e: file:///p/Foo.kt:3:5 Unresolved reference: x`, `e: /p/Foo.kt: (3, 5): …` |
//! | kotlinc through Maven | `[ERROR] /p/Foo.kt: (3, 5) …`, `[ERROR] file:///p/Foo.kt:[3,5] …` |
//!
//! A failure's id is `file:line:column`; javac's own text has the column only by its caret.

use crate::compose;
use crate::context::Context;
use crate::report::Diagnostic;
use crate::report::Failure;
use crate::report::FailureKind;
use crate::report::Location;
use crate::report::Phase;
use crate::text;
use regex::Regex;
use std::sync::LazyLock;

/// More messages than this are not kept.
const MOST: usize = 500;
/// The most that is kept of one message, in bytes.
const LONGEST: usize = 8 * 1024;
/// Lines below a message that may belong to it.
const BELOW: usize = 12;

static PLAIN: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^(?:\[javac\]\s+)?(?P<f>(?:[A-Za-z]:)?[^:\s\[\]][^:\[\]]*\.(?:java|kts?|groovy|scala)):(?P<l>\d{1,7})(?::(?P<c>\d{1,5}))?: (?P<k>error|warning): (?P<m>.+)$")
        .expect("a constant pattern")
});
static MAVEN: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^\[(?P<k>ERROR|WARNING)\]\s+(?:file://)?(?P<f>(?:[A-Za-z]:)?/?[^:\[\]]+\.(?:java|kts?|groovy|scala)):\s?[\[(](?P<l>\d{1,7}),\s?(?P<c>\d{1,5})[\])]:? (?:error: )?(?P<m>.+)$")
        .expect("a constant pattern")
});
static KOTLIN: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^(?P<k>[ew]): (?:file://)?(?P<f>(?:[A-Za-z]:)?/[^:]+\.kts?):\s?\(?(?P<l>\d{1,7})[:,]\s?(?P<c>\d{1,5})\)?:? (?P<m>.+)$")
        .expect("a constant pattern")
});

/// One message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Message {
    file: String,
    line: u32,
    column: Option<u32>,
    error: bool,
    message: String,
    details: String,
}

/// Reads compilers' messages line by line.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reader {
    messages: Vec<Message>,
    below: usize,
}

impl Reader {
    /// Whether a line may matter; cheap.
    pub fn wants(&self, bytes: &[u8]) -> bool {
        if self.below > 0 {
            return true;
        }
        match bytes.first() {
            None | Some(b' ' | b'\t') => false,
            Some(b'e' | b'w') if bytes.get(1) == Some(&b':') => true,
            _ => {
                let head = &bytes[..bytes.len().min(1000)];
                let error = || {
                    memchr::memmem::find(head, b": error: ").is_some()
                        || memchr::memmem::find(head, b": warning: ").is_some()
                };
                let maven = bytes.starts_with(b"[ERROR]") || bytes.starts_with(b"[WARNING]");
                maven || error()
            }
        }
    }

    /// Takes one line.
    pub fn line(&mut self, line: &str) {
        let line = line.trim_start_matches("    [javac] ");
        // Gradle before 5 does not end its own line: `:compileJava/p/A.java:3: error: x`.
        let task = line.starts_with(':').then(|| line.find('/')).flatten();
        let line = &line[task.unwrap_or(0)..];
        if line.len() > LONGEST {
            return;
        }
        let found = PLAIN
            .captures(line)
            .or_else(|| MAVEN.captures(line))
            .or_else(|| KOTLIN.captures(line));
        if let Some(found) = found {
            self.message(&found, line);
        } else if self.below > 0 {
            self.detail(line);
        }
    }

    fn message(&mut self, found: &regex::Captures<'_>, line: &str) {
        let part = |name: &str| found.name(name).map_or("", |part| part.as_str());
        let message = Message {
            file: part("f").trim().to_owned(),
            line: part("l").parse().unwrap_or(0),
            column: part("c").parse().ok(),
            error: matches!(part("k"), "error" | "ERROR" | "e"),
            message: part("m").to_owned(),
            details: format!("{line}\n"),
        };
        self.below = 0;
        if self.messages.len() < MOST && message.line > 0 {
            self.messages.push(message);
            self.below = BELOW;
        }
    }

    /// The line of code, the caret, `symbol:` and `location:`.
    fn detail(&mut self, line: &str) {
        let maven = line.strip_prefix("[ERROR] ");
        let own = maven.unwrap_or(line);
        let Some(message) = self.messages.last_mut() else {
            return;
        };
        let continues =
            own.starts_with(' ') || own.trim() == "^" || (maven.is_none() && self.below == BELOW);
        if !continues || line.starts_with("[INFO]") || own.trim().is_empty() {
            self.below = 0;
            return;
        }
        self.below -= 1;
        if own.trim() == "^" && message.column.is_none() {
            message.column = u32::try_from(own.find('^').unwrap_or(0) + 1).ok();
        }
        if message.details.len() < LONGEST {
            message.details.push_str(own);
            message.details.push('\n');
        }
        for word in ["symbol:", "required:", "found:"] {
            if let Some(rest) = own.trim_start().strip_prefix(word)
                && message.message.len() < 400
            {
                message.message = format!("{} ({word} {})", message.message, rest.trim());
            }
        }
    }

    /// The errors as failures of the build, and the warnings.
    pub fn finish(self, context: &Context) -> (Vec<Failure>, Vec<Diagnostic>) {
        let mut failures: Vec<Failure> = Vec::new();
        let mut warnings = Vec::new();
        let mut known: Vec<(String, u32, String)> = Vec::new();
        for message in self.messages {
            let file = context.relative(&message.file);
            let bare = message.message.split(" (").next().unwrap_or("").to_owned();
            let key = (file.clone(), message.line, bare);
            // Maven tells each error twice.
            if known.contains(&key) {
                continue;
            }
            known.push(key);
            let location = Location {
                file,
                line: Some(message.line),
                column: message.column,
            };
            if !message.error {
                warnings.push(Diagnostic {
                    level: "warning".to_owned(),
                    code: None,
                    message: text::one_line(&message.message),
                    location: Some(location),
                });
                continue;
            }
            let column = message.column.map(|column| format!(":{column}"));
            let id = format!(
                "{}:{}{}",
                location.file,
                message.line,
                column.unwrap_or_default()
            );
            let mut failure = compose::failure(
                id,
                FailureKind::CompileError,
                Phase::Build,
                &message.message,
            );
            failure.location = Some(location);
            failure.details = text::block(&message.details, text::DETAILS);
            failures.push(compose::seal(failure));
        }
        (failures, warnings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(text: &str) -> Vec<String> {
        let mut reader = Reader::default();
        for line in text.lines() {
            if reader.wants(line.as_bytes()) {
                reader.line(line);
            }
        }
        let (failures, _) = reader.finish(&Context::rooted("/p"));
        failures
            .into_iter()
            .map(|failure| format!("{} {}", failure.id, failure.message))
            .collect()
    }

    #[test]
    fn javac_s_caret_is_the_column() {
        let text = "src/A.java:3: error: cannot find symbol\n        int x = y;\n                ^\n  symbol:   variable y\n  location: class A\nsrc/A.java:4: error: ';' expected\n        foo()\n             ^\n2 errors\n";
        assert_eq!(
            ids(text),
            [
                "src/A.java:3:17 cannot find symbol (symbol: variable y)",
                "src/A.java:4:14 ';' expected"
            ]
        );
    }

    #[test]
    fn every_way_through_a_build_tool_is_read() {
        let text = "[ERROR] COMPILATION ERROR : \n[ERROR] /p/src/A.java:[3,5] cannot find symbol\n[ERROR]   symbol:   variable x\n[ERROR]   location: class A\n[INFO] 1 error\n[ERROR] Failed to execute goal x: Compilation failure\n[ERROR] /p/src/A.java:[3,5] cannot find symbol\n[ERROR]   symbol:   variable x\ne: file:///p/B.kt:3:5 Unresolved reference: x\ne: /p/C.kt: (3, 7): Unresolved reference: y\nsrc/D.kt:1:2: error: expecting a top level declaration\n[ERROR] /p/E.kt: (4, 1) Unresolved reference: z\n";
        assert_eq!(
            ids(text),
            [
                "src/A.java:3:5 cannot find symbol (symbol: variable x)",
                "B.kt:3:5 Unresolved reference: x",
                "C.kt:3:7 Unresolved reference: y",
                "src/D.kt:1:2 expecting a top level declaration",
                "E.kt:4:1 Unresolved reference: z",
            ]
        );
    }
}
