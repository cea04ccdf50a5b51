//! One failure as RSpec prints it, without its title and its indentation.

use crate::context::Context;
use crate::report::Failure;
use crate::report::FailureKind;
use crate::report::Frame;
use crate::report::Location;
use crate::report::Phase;
use crate::rspec::message;
use crate::ruby;
use crate::ruby::source;
use crate::ruby::source::Within;
use crate::ruby::uncaught;
use crate::text;

/// What a block says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Said {
    /// The exception's class; empty for RSpec's own.
    pub class: String,
    /// Its message.
    pub message: String,
    /// The backtrace's lines, innermost first.
    pub trace: Vec<String>,
    /// The failing line of the source.
    pub snippet: String,
    /// An example that was expected to fail passed.
    pub fixed: bool,
    /// The example comes from a shared group: the places that include it.
    pub shared: Vec<String>,
    /// `Got 2 failures …`, with what is in them.
    pub parts: Vec<Said>,
}

impl Said {
    /// The exception that says where and what: of several the first.
    pub fn first(&self) -> &Said {
        self.parts.first().map_or(self, Said::first)
    }

    /// Its frames: the backtrace, and the places that include a shared example.
    pub fn frames(&self, context: &Context) -> Vec<Frame> {
        let first = self.first();
        let trace = first.trace.iter().chain(&self.shared).map(String::as_str);
        ruby::frames(context, trace)
    }

    /// One line for all of it.
    pub fn one_line(&self) -> String {
        if self.parts.is_empty() {
            return message::one_line(&self.class, &self.message);
        }
        let head = self.message.trim_end_matches([':', '.']);
        text::one_line(&format!("{head}: {}", self.first().one_line()))
    }
}

/// Reads a block's lines.
pub(crate) fn read(lines: &[&str]) -> Said {
    let mut said = Said::default();
    let mut lines = lines.iter().copied().peekable();
    let mut message: Vec<&str> = Vec::new();
    while lines.next_if(|line| line.is_empty()).is_some() {}
    // Of a file that is not there RSpec proposes others.
    while lines
        .next_if(|line| line.trim_start().starts_with("rspec ./"))
        .is_some()
    {}
    while lines.next_if(|line| line.is_empty()).is_some() {}
    let snippet = lines.next_if(|line| line.starts_with("Failure/Error:"));
    if let Some(line) = snippet {
        line["Failure/Error:".len()..]
            .trim()
            .clone_into(&mut said.snippet);
    }
    if snippet.is_some_and(|line| line.trim_end() == "Failure/Error:") {
        // The failing lines of the source: up to a blank line, or the class.
        while lines.next_if(|line| line.starts_with("  ")).is_some() {}
    }
    let mut rest: Vec<&str> = Vec::new();
    let mut traced = false;
    for line in lines {
        if let Some(frame) = line.strip_prefix("# ") {
            traced = true;
            rest.push(frame);
        } else if let Some(place) = line.strip_prefix("Shared Example Group: ") {
            traced = true;
            let place = place.rsplit(" called from ").next().unwrap_or(place);
            said.shared.push(place.to_owned());
        } else if part_number(line).is_some() || !said.parts.is_empty() {
            part_line(&mut said, line);
        } else if !traced {
            message.push(line);
        }
    }
    said.trace = rest
        .iter()
        .take_while(|line| !line.starts_with("------"))
        .map(|line| (*line).to_owned())
        .collect();
    said_message(&mut said, &message, snippet.is_some());
    finish_parts(&mut said);
    said
}

/// `1.2) ` at a line's beginning: its width.
fn part_number(line: &str) -> Option<usize> {
    let (number, _) = line.split_once(") ")?;
    let dotted = number.contains('.') && number.split('.').all(|part| !part.is_empty());
    (dotted && number.bytes().all(|b| b.is_ascii_digit() || b == b'.')).then_some(number.len() + 2)
}

/// A part's lines are gathered in its message, and read when all are there.
fn part_line(said: &mut Said, line: &str) {
    if let Some(width) = part_number(line) {
        said.parts.push(Said {
            class: " ".repeat(width),
            message: line[width..].to_owned(),
            ..Said::default()
        });
    } else if let Some(part) = said.parts.last_mut() {
        let line = line
            .strip_prefix(part.class.as_str())
            .unwrap_or(line.trim_start());
        part.message.push('\n');
        part.message.push_str(line);
    }
}

fn finish_parts(said: &mut Said) {
    for part in &mut said.parts {
        let lines: Vec<&str> = part.message.lines().collect();
        *part = read(&lines);
    }
}

fn said_message(said: &mut Said, lines: &[&str], snippet: bool) {
    let mut lines = lines
        .iter()
        .copied()
        .skip_while(|line| line.is_empty())
        .peekable();
    if let Some(line) = lines.peek().copied()
        && !line.starts_with(' ')
    {
        if let Some(class) = class(line).filter(|_| snippet) {
            said.class = class.to_owned();
            lines.next();
        }
        said.fixed = line.starts_with("Expected pending '") && line.contains("' to fail.");
    }
    let body: Vec<&str> = lines
        .map(|line| line.strip_prefix("  ").unwrap_or(line))
        .collect();
    said.message = body.join("\n").trim_end().to_owned();
}

/// `KeyError:`, alone on its line.
fn class(line: &str) -> Option<&str> {
    let name = line.trim_end().strip_suffix(':')?;
    let constant = name.starts_with(|c: char| c.is_uppercase())
        && name
            .chars()
            .all(|c| c.is_alphanumeric() || matches!(c, '_' | ':'));
    (constant || name == "(anonymous error class)").then_some(name)
}

/// The failure of an example.
pub(crate) fn failure(
    context: &Context,
    id: &str,
    said: &Said,
    defined: Option<&Location>,
    whole: &str,
) -> Failure {
    let first = said.first();
    let (mut kind, mut sure) = match said.fixed {
        true => (FailureKind::UnexpectedPass, true),
        false => message::kind(&first.class),
    };
    let mut phase = Phase::Call;
    let frames = said.frames(context);
    if !said.fixed
        && let Some((found, proved)) = hook(context, first, &frames, defined)
    {
        (phase, kind, sure) = match found {
            Within::Teardown => (Phase::Teardown, FailureKind::TeardownError, proved),
            _ => (Phase::Setup, FailureKind::SetupError, proved),
        };
    }
    let mut failure = crate::compose::failure(id, kind, phase, said.one_line());
    failure.kind_sure = sure;
    failure.location = ruby::place(context, &frames).or_else(|| defined.cloned());
    failure.frames = frames;
    failure.test_location = defined.cloned();
    failure.diff = message::diff(&first.message);
    failure.details = text::block(whole, text::DETAILS);
    failure
}

/// What failed in a hook after the example had failed already: a failure of its own.
pub(crate) fn hook_after(
    context: &Context,
    id: &str,
    said: &Said,
    defined: Option<&Location>,
    whole: &str,
) -> Option<Failure> {
    let aggregate = said.message.contains("from failure aggregation block");
    let later = said.parts.iter().skip(1).filter(|_| !aggregate);
    for part in later {
        let frames = part.frames(context);
        if !part.trace.is_empty() && hook(context, part, &frames, defined).is_some() {
            let mut failure = failure(context, id, part, defined, whole);
            failure.kind = FailureKind::TeardownError;
            failure.phase = Phase::Teardown;
            return Some(failure);
        }
    }
    None
}

/// A failure's outermost frame lies in the example, unless it comes from a hook. Hooks stand
/// above the examples, mostly; the source, where it may be read, knows.
fn hook(
    context: &Context,
    said: &Said,
    frames: &[Frame],
    defined: Option<&Location>,
) -> Option<(Within, bool)> {
    if let Some(found) = source::opens(&said.snippet).filter(|found| *found != Within::Test) {
        return Some((found, true));
    }
    let outermost = frames.iter().rfind(|frame| frame.user)?;
    let line = outermost.line?;
    let known = source::within(context, &outermost.file, line);
    if let Some(found) = known {
        return (found != Within::Test).then_some((found, true));
    }
    if !said.shared.is_empty() {
        return None;
    }
    // A hook is a block at the top of its file; a thread's outermost frame may be anything.
    let function = outermost.function.as_deref().unwrap_or("");
    if !(function.starts_with("block ") && function.ends_with('>')) {
        return None;
    }
    let (file, first) = defined.and_then(|at| Some((at.file.as_str(), at.line?)))?;
    let elsewhere = !frames.iter().any(|frame| frame.file == file);
    let above = outermost.file == file && line < first;
    (elsewhere || above).then_some((Within::Setup, false))
}

/// What failed outside of examples: `An error occurred while loading ./spec/a_spec.rb.`
pub(crate) fn outside(context: &Context, heading: &str, said: &Said, whole: &str) -> Failure {
    let file = loaded(heading);
    let hook = hook_name(heading);
    let (id, kind, phase) = match (&file, hook) {
        (Some(file), _) => {
            let file = context.relative(file);
            (file, FailureKind::CollectionError, Phase::Collect)
        }
        (None, Some(hook)) if hook.starts_with("after") => {
            let id = format!("{hook} hook");
            (id, FailureKind::TeardownError, Phase::Teardown)
        }
        (None, Some(hook)) => (
            format!("{hook} hook"),
            FailureKind::SetupError,
            Phase::Setup,
        ),
        (None, None) => {
            let id = heading.trim_end_matches('.').to_owned();
            (id, FailureKind::Panic, Phase::Session)
        }
    };
    let mut failure = crate::compose::failure(&id, kind, phase, said.one_line());
    failure.frames = said.frames(context);
    failure.location = ruby::place(context, &failure.frames);
    if said.class == "SyntaxError"
        && let Some((file, line)) = uncaught::syntax_place(&said.message)
    {
        failure.location = Some(ruby::at(&ruby::relative(context, &file), Some(line)));
        failure.message = syntax_line(&said.message, &failure.message);
    }
    if failure.location.is_none() && file.is_some() {
        failure.location = Some(ruby::at(&id, None));
    }
    failure.diff = message::diff(&said.message);
    failure.details = text::block(&format!("{heading}\n{whole}"), text::DETAILS);
    if file.is_some() {
        failure.rerun = context.rerun(&["rspec"], [context.in_dir(&id)]);
    } else {
        failure.target = failure.location.as_ref().map(|at| at.file.clone());
    }
    crate::compose::seal(failure)
}

/// A syntax error in one line, without the place that the location has.
pub(crate) fn syntax_line(message: &str, otherwise: &str) -> String {
    let found = message
        .lines()
        .find_map(|line| uncaught::syntax(line.trim()));
    match found {
        Some((_, _, what)) => {
            // Prism says below the mark what is wrong.
            let marked = message.lines().find_map(|line| {
                let (_, what) = line.split_once(" | ")?;
                what.trim_start().strip_prefix('^')
            });
            let detail = marked.map(|what| what.trim_start_matches(['^', '~', ' ']));
            match detail.filter(|what| !what.is_empty() && !message.contains("syntax error,")) {
                Some(detail) => text::one_line(&format!("SyntaxError: {what}: {detail}")),
                None => text::one_line(&format!("SyntaxError: {what}")),
            }
        }
        None => otherwise.to_owned(),
    }
}

/// The file of a heading about loading.
fn loaded(heading: &str) -> Option<&str> {
    let rest = heading
        .strip_prefix("An error occurred while loading ")
        .or_else(|| heading.strip_prefix("While loading "))?;
    let end = rest.find(".rb").map(|at| at + 3);
    Some(
        &rest[..end.unwrap_or_else(|| rest.find(". ").unwrap_or(rest.trim_end_matches('.').len()))],
    )
}

/// `before(:suite)` of a heading about a hook.
fn hook_name(heading: &str) -> Option<&str> {
    let (_, rest) = heading.split_once('`')?;
    let (name, _) = rest.split_once(['`', '\''])?;
    (name.starts_with("before(") || name.starts_with("after(")).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(block: &str) -> Said {
        read(&block.lines().collect::<Vec<_>>())
    }

    #[test]
    fn a_block_has_class_message_and_trace() {
        let found = said(
            "Failure/Error: key.turn\n\nNoMethodError:\n  undefined method `turn' for nil\n\n      key.turn\n         ^^^^^\n# ./lib/till.rb:29:in `open'\n# ./spec/till_spec.rb:10:in `block'\n# ------------------\n# --- Caused by: ---\n# KeyError:\n#   no",
        );
        assert_eq!(found.class, "NoMethodError");
        assert_eq!(found.trace.len(), 2);
        assert_eq!(
            found.one_line(),
            "NoMethodError: undefined method `turn' for nil"
        );
    }

    #[test]
    fn a_failing_line_may_be_several() {
        let found = said(
            "Failure/Error:\n  expect(a)\n    .to eq(2)\n\n  expected: 2\n       got: 1\n\n  (compared using ==)\n# ./a_spec.rb:3:in `x'",
        );
        assert_eq!(found.class, "");
        assert_eq!(found.one_line(), "expected: 2, got: 1");
    }

    #[test]
    fn parts_of_an_aggregate() {
        let found = said(
            "Got 1 failure and 1 other error:\n\n1.1) Failure/Error: expect(1).to eq(2)\n\n       expected: 2\n            got: 1\n     # ./a_spec.rb:6:in `x'\n\n1.2) Failure/Error: raise \"y\"\n\n     RuntimeError:\n       y\n     # ./a_spec.rb:3:in `x'",
        );
        assert_eq!(found.parts.len(), 2);
        assert_eq!(
            found.one_line(),
            "Got 1 failure and 1 other error: expected: 2, got: 1"
        );
        assert_eq!(found.parts[1].one_line(), "RuntimeError: y");
        assert_eq!(found.parts[1].trace, ["./a_spec.rb:3:in `x'"]);
    }

    #[test]
    fn headings_of_what_is_no_example() {
        let heading = "An error occurred while loading ./spec/b_spec.rb. - Did you mean?";
        assert_eq!(loaded(heading), Some("./spec/b_spec.rb"));
        assert_eq!(
            hook_name("An error occurred in an `after(:context)` hook."),
            Some("after(:context)")
        );
    }

    #[test]
    fn a_hook_stands_above_its_examples() {
        let context = Context::default();
        let defined = ruby::at("spec/a_spec.rb", Some(5));
        let block = said(
            "Failure/Error: x\n\nRuntimeError:\n  y\n# ./spec/a_spec.rb:3:in `block (2 levels) in <top (required)>'",
        );
        let failure = failure(&context, "a", &block, Some(&defined), "");
        assert_eq!(
            (failure.kind, failure.kind_sure),
            (FailureKind::SetupError, false)
        );
    }
}
