//! Mocha's TAP, 12 and 13: `not ok 3 full title`, then message and stack, in YAML or bare.
//!
//! Titles are joined by one blank there and cannot be told apart: the id is the full title.

use crate::context::Context;
use crate::mocha::json;
use crate::mocha::json::Found;
use crate::mocha::part;
use crate::mocha::part::Part;

/// The most that is kept of one failure.
const MOST_BLOCK: usize = 64 * 1024;
/// More failures than this are not kept.
const MOST: usize = 10_000;

/// The lines of a stream.
#[derive(Debug, Default)]
pub(crate) struct Tap {
    passed: u64,
    skipped: u64,
    failures: Vec<(u64, String, String)>,
    open: bool,
    next: u64,
    strays: u64,
    /// `# tests`, `# pass`, `# fail`.
    said: [Option<u64>; 3],
    plan: Option<u64>,
}

impl Tap {
    /// Takes a line.
    pub fn line(&mut self, line: &str) {
        let failed = line.starts_with("not ok ");
        if let Some((number, title)) = point(line) {
            self.open = false;
            let expected = self.next + 1;
            // A hook that fails for a test has the number of the test that comes next.
            if number != expected && number != self.next {
                self.strays += 1;
                return;
            }
            self.next = number;
            match title.strip_suffix(" # SKIP -") {
                Some(_) if !failed => self.skipped += 1,
                _ if !failed => self.passed += 1,
                _ if self.failures.len() < MOST => {
                    self.failures
                        .push((number, title.to_owned(), String::new()));
                    self.open = true;
                }
                _ => {}
            }
            return;
        }
        for (at, start) in ["# tests ", "# pass ", "# fail "].into_iter().enumerate() {
            if let Some(number) = line.strip_prefix(start).and_then(|n| n.trim().parse().ok()) {
                self.said[at] = Some(number);
                self.open = false;
            }
        }
        if let Some(plan) = line.strip_prefix("1..").and_then(|n| n.trim().parse().ok()) {
            self.plan = Some(plan);
        }
        if self.open
            && let Some((_, _, block)) = self.failures.last_mut()
            && block.len() < MOST_BLOCK
        {
            block.push_str(line);
            block.push('\n');
        }
    }

    /// Whether this is Mocha's TAP at all.
    pub fn began(&self) -> bool {
        self.next > 0 || self.said.iter().all(Option::is_some)
    }

    /// What it came to.
    pub fn found(&self, context: &Context) -> Found {
        let mut found = Found {
            passed: self.passed,
            skipped: self.skipped,
            failed: self.failures.len() as u64,
            ..Found::default()
        };
        for (_, title, block) in &self.failures {
            found.failures.push(failure(title, block, context));
        }
        let [_, passed, failed] = self.said;
        if passed != Some(self.passed) || failed != Some(found.failed) {
            found.faults.push(match failed {
                Some(_) => "the last lines count otherwise".to_owned(),
                None => "the stream has no last lines".to_owned(),
            });
        }
        if self.strays > 0 {
            found.faults.push(format!(
                "{} lines have numbers that do not fit",
                self.strays
            ));
        }
        found
    }
}

fn point(line: &str) -> Option<(u64, &str)> {
    let rest = line
        .strip_prefix("not ok ")
        .or_else(|| line.strip_prefix("ok "))?;
    let (number, title) = rest.split_once(' ')?;
    Some((number.parse().ok()?, title))
}

fn failure(title: &str, block: &str, context: &Context) -> crate::report::Failure {
    let (message, stack) = yaml(block).unwrap_or_else(|| bare(block));
    part::failure(
        &Part {
            path: path(title),
            thrown: json::thrown(&message, &stack),
            details: if stack.contains(message.trim()) {
                stack
            } else {
                format!("{message}\n{stack}")
            },
            ..Part::default()
        },
        context,
    )
}

/// A hook's part of the title is known by its words.
fn path(title: &str) -> Vec<String> {
    let hook = [
        " \"before all\" hook",
        " \"before each\" hook",
        " \"after each\" hook",
        " \"after all\" hook",
    ]
    .iter()
    .filter_map(|word| title.rfind(word))
    .max();
    match hook {
        Some(at) => vec![title[..at].to_owned(), title[at + 1..].to_owned()],
        None => vec![title.to_owned()],
    }
}

/// `message: |-` and `stack: |-`, each six columns deep.
fn yaml(block: &str) -> Option<(String, String)> {
    let rest = block.strip_prefix("  ---\n")?;
    let (mut message, mut stack) = (String::new(), String::new());
    let mut stacking = false;
    for line in rest.lines() {
        match line {
            "    message: |-" => stacking = false,
            "    stack: |-" => stacking = true,
            "  ..." => break,
            line => {
                let into = if stacking { &mut stack } else { &mut message };
                into.push_str(line.strip_prefix("      ").unwrap_or(line));
                into.push('\n');
            }
        }
    }
    Some((message.trim_end().to_owned(), stack.trim_end().to_owned()))
}

/// The message, and then the stack, which begins with the message again.
fn bare(block: &str) -> (String, String) {
    let lines: Vec<&str> = block
        .lines()
        .map(|line| line.strip_prefix("  ").unwrap_or(line))
        .collect();
    let all = lines.join("\n");
    let first = lines.first().copied().unwrap_or("");
    let again =
        |line: &str| line.ends_with(&format!(": {first}")) || (line == first && !first.is_empty());
    match lines.iter().skip(1).position(|line| again(line)) {
        Some(at) => (
            lines[..=at].join("\n").trim_end().to_owned(),
            lines[at + 1..].join("\n"),
        ),
        None => (String::new(), all),
    }
}
