//! Turns the compiler's JSON diagnostics into failures and warnings.

use crate::cargo::package::Package;
use crate::compose;
use crate::report;
use crate::report::Failure;
use crate::report::FailureKind;
use crate::report::Location;
use crate::report::Phase;
use crate::text;
use cargo_metadata::diagnostic::Applicability;
use cargo_metadata::diagnostic::Diagnostic;
use cargo_metadata::diagnostic::DiagnosticLevel;
use cargo_metadata::diagnostic::DiagnosticSpan;

/// What a compiler message comes to.
#[derive(Debug)]
pub(crate) enum Said {
    /// Something does not compile.
    Error(Box<Failure>),
    /// A warning.
    Warning(report::Diagnostic),
    /// Nothing of its own (`aborting due to 2 previous errors`).
    Nothing,
}

/// Reads one diagnostic of `target` (its name, its main source file).
pub(crate) fn read(message: &Diagnostic, target: &str, source: &str, package: &Package) -> Said {
    let summary = message.message.as_str();
    let follows = [
        "aborting due to ",
        "For more information about",
        "Some errors have detailed",
    ]
    .iter()
    .any(|start| summary.starts_with(start))
        || summary.ends_with("warning emitted")
        || summary.ends_with("warnings emitted");
    match message.level {
        _ if follows => Said::Nothing,
        DiagnosticLevel::Error | DiagnosticLevel::Ice => {
            Said::Error(Box::new(error(message, target, source, package)))
        }
        DiagnosticLevel::Warning => Said::Warning(report::Diagnostic {
            level: "warning".to_owned(),
            code: message.code.as_ref().map(|code| code.code.clone()),
            message: text::one_line(summary),
            location: place(message, package),
        }),
        _ => Said::Nothing,
    }
}

fn error(message: &Diagnostic, target: &str, source: &str, package: &Package) -> Failure {
    let location = place(message, package);
    let code = message.code.as_ref().map(|code| code.code.clone());
    let id = id(
        location.as_ref(),
        code.as_deref(),
        &package.compiler_path(source),
    );
    let mut words = message.message.clone();
    if let Some(label) = primary(message).and_then(|span| span.label.as_deref())
        && !words.contains(label)
        && !words.contains('\n')
    {
        words = format!("{words}: {label}");
    }
    let mut failure = compose::failure(id, FailureKind::CompileError, Phase::Build, words);
    failure.target = Some(target.to_owned());
    failure.location = location;
    failure.code = code;
    failure.details = message
        .rendered
        .as_deref()
        .and_then(|text| text::block(text, text::DETAILS));
    failure.suggestion = suggestion(message);
    compose::seal(failure)
}

/// `file:line:column code`, as far as it is known.
pub(crate) fn id(location: Option<&Location>, code: Option<&str>, otherwise: &str) -> String {
    let place = match location {
        Some(at) => {
            let line = at.line.map(|line| format!(":{line}")).unwrap_or_default();
            let column = at
                .column
                .map(|column| format!(":{column}"))
                .unwrap_or_default();
            format!("{}{line}{column}", at.file)
        }
        None => otherwise.to_owned(),
    };
    match code {
        Some(code) => format!("{place} {code}"),
        None => place,
    }
}

fn primary(message: &Diagnostic) -> Option<&DiagnosticSpan> {
    message
        .spans
        .iter()
        .find(|span| span.is_primary)
        .or_else(|| message.spans.first())
}

/// The primary span, walked out of macros until it lies in the user's own files.
fn place(message: &Diagnostic, package: &Package) -> Option<Location> {
    let primary = primary(message)?;
    let mut span = primary;
    // The chain of expansions is finite, but comes from outside.
    for _ in 0..64 {
        let file = package.compiler_path(&span.file_name);
        if package.context.is_user(&file) {
            return Some(location(span, file));
        }
        match &span.expansion {
            Some(expansion) => span = &expansion.span,
            None => break,
        }
    }
    Some(location(primary, package.compiler_path(&primary.file_name)))
}

fn location(span: &DiagnosticSpan, file: String) -> Location {
    Location {
        file,
        line: u32::try_from(span.line_start).ok(),
        column: u32::try_from(span.column_start).ok(),
    }
}

/// The best proposal: a machine-applicable one if there is one.
fn suggestion(message: &Diagnostic) -> Option<String> {
    let proposals = message.children.iter().flat_map(|child| {
        child.spans.iter().filter_map(move |span| {
            let replacement = span.suggested_replacement.as_deref()?;
            let sure = matches!(
                span.suggestion_applicability,
                Some(Applicability::MachineApplicable)
            );
            let shown = match replacement.trim() {
                "" => child.message.clone(),
                new if child.message.contains(new) => child.message.clone(),
                new => format!("{}: `{new}`", child.message),
            };
            Some((sure, shown))
        })
    });
    let mut best: Option<(bool, String)> = None;
    for (sure, shown) in proposals {
        if best.as_ref().is_none_or(|(known, _)| sure && !known) {
            best = Some((sure, shown));
        }
    }
    let help = || {
        let help = message
            .children
            .iter()
            .find(|child| matches!(child.level, DiagnosticLevel::Help));
        help.map(|child| child.message.clone())
    };
    let words = best.map(|(_, shown)| shown).or_else(help)?;
    text::block(&words, text::MESSAGE)
}
