//! The text of JUnit 4's own runner, `org.junit.runner.JUnitCore`.

use crate::compose;
use crate::junit::java;
use crate::junit::java::Thrown;
use crate::junit::sources::Sources;
use crate::junit::text::Told;
use crate::junit::text::number_after;
use crate::report::Failure;

/// More failures than this are not kept.
const MOST: usize = 5_000;
/// The most that is kept of one, in bytes.
const LONGEST: usize = 256 * 1024;

/// Reads the runner's text.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reader {
    began: bool,
    open: bool,
    announced: u64,
    entries: Vec<(String, String)>,
    total: Option<(u64, u64)>,
    ignored: u64,
}

impl Reader {
    /// Whether a line may matter.
    pub fn wants(&self, bytes: &[u8]) -> bool {
        self.open
            || match bytes.first() {
                Some(b'J') => bytes.starts_with(b"JUnit version "),
                Some(b'T') => {
                    self.began
                        && (bytes.starts_with(b"There w") || bytes.starts_with(b"Tests run: "))
                }
                Some(b'O') => self.began && bytes.starts_with(b"OK ("),
                Some(b'.' | b'E' | b'I') => self.began,
                _ => false,
            }
    }

    /// Whether it was seen at all.
    pub fn began(&self) -> bool {
        self.began
    }

    /// How many runs came to their end.
    pub fn ends(&self) -> u64 {
        u64::from(self.total.is_some())
    }

    /// Takes one line.
    pub fn line(&mut self, line: &str) {
        if line.starts_with("JUnit version ") && line.len() < 60 {
            self.began = true;
        } else if self.began && self.total.is_none() {
            self.within(line);
        }
    }

    fn within(&mut self, line: &str) {
        if let Some(rest) = line.strip_prefix("There w") {
            let number = rest.split(' ').nth(1).and_then(|n| n.parse().ok());
            if let Some(number) = number.filter(|_| rest.contains("failure")) {
                self.open = true;
                self.announced = number;
                self.entries.clear();
            }
        } else if line.starts_with("OK (") && line.contains(" test") {
            self.total = number_after(line, "OK (").map(|tests| (tests, 0));
            self.open = false;
        } else if line.starts_with("Tests run: ") && line.contains("Failures: ") {
            self.total = number_after(line, "Tests run:").zip(number_after(line, "Failures:"));
            self.open = false;
        } else if self.open {
            self.entry(line);
        } else if line.starts_with(['.', 'E', 'I']) && line.bytes().all(|b| b".EI".contains(&b)) {
            self.ignored += line.bytes().filter(|b| *b == b'I').count() as u64;
        }
    }

    fn entry(&mut self, line: &str) {
        let next = self.entries.len() as u64 + 1;
        let title = line.strip_prefix(&format!("{next}) ")).filter(|title| {
            next <= self.announced && (title.ends_with(')') || !title.contains(' '))
        });
        if let Some(title) = title
            && self.entries.len() < MOST
        {
            self.entries.push((title.to_owned(), String::new()));
        } else if let Some((_, body)) = self.entries.last_mut()
            && body.len() < LONGEST
            && !line.starts_with("FAILURES!!!")
        {
            body.push_str(line);
            body.push('\n');
        }
    }

    /// What was read.
    pub fn finish(self, sources: &mut Sources) -> Told {
        let mut told = Told {
            began: true,
            ended: self.total.is_some(),
            ..Told::default()
        };
        for (title, body) in &self.entries {
            told.failures.push(failure(title, body, sources));
        }
        let told_failures = told.failures.len() as u64;
        if let Some((tests, failed)) = self.total {
            let bad = failed.max(told_failures);
            told.counts = Some((tests.saturating_sub(bad), bad, self.ignored));
            if failed != told_failures {
                told.faults.push(format!(
                    "{failed} failures are counted, {told_failures} are told"
                ));
            }
        }
        told
    }
}

/// `bar(com.example.FooTest)` and its trace.
pub(crate) fn failure(title: &str, body: &str, sources: &mut Sources) -> Failure {
    let (method, class) = match title
        .strip_suffix(')')
        .and_then(|rest| rest.rsplit_once('('))
    {
        Some((method, class)) => (method, class),
        None => ("", title),
    };
    let id = match method {
        "" => class.to_owned(),
        method => format!("{class}.{method}"),
    };
    let body = body.trim_end();
    of(&id, class, method, body, sources)
}

/// The failure of a trace that is printed the usual way.
pub(crate) fn of(
    id: &str,
    class: &str,
    method: &str,
    body: &str,
    sources: &mut Sources,
) -> Failure {
    let (named, said) = java::split(body.lines().next().unwrap_or(""));
    let end = java::trace_start(body);
    let whole = body[..end].trim_end();
    let message = match named.is_empty() {
        true => whole,
        false => whole
            .get(named.len()..)
            .unwrap_or(said)
            .trim_start_matches([':', ' ']),
    };
    let thrown = Thrown {
        class: named,
        message,
        body,
    };
    let (mut failure, _) = java::failure(id, class, method, &thrown, sources);
    failure.target = (!class.is_empty()).then(|| class.to_owned());
    failure.test_location = sources.definition(class, method);
    if failure.location.is_none() {
        failure.location.clone_from(&failure.test_location);
    }
    let selected = crate::junit::rerun::Method {
        class,
        name: method,
        types: None,
    };
    failure.rerun = crate::junit::rerun::method(&selected, sources.context());
    compose::seal(failure)
}
