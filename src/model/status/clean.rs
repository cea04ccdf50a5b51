//! What tests print is shown, but never obeyed: control sequences are removed, long texts cut.

use crate::model::Failure;
use crate::model::Note;

const LINE: usize = 1_000;
const TEXT: usize = 4_000;
const FRAMES: usize = 10;

/// The text without escape sequences, control characters (but tabs and line ends), and the
/// characters that reorder what is shown around them.
pub fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        match c {
            '\u{1b}' => skip_sequence(&mut rest),
            // The one-character form of "CSI".
            '\u{9b}' => skip_parameters(&mut rest),
            '\n' | '\t' => shown.push(c),
            c if c.is_control() || reorders(c) => {}
            c => shown.push(c),
        }
    }
    shown
}

fn reorders(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}')
}

/// After an escape: CSI, a string that ends with BEL or ST, or a short sequence (ECMA-48).
fn skip_sequence(rest: &mut std::str::Chars<'_>) {
    let mut ahead = rest.clone();
    match ahead.next() {
        Some('[') => {
            *rest = ahead;
            skip_parameters(rest);
        }
        Some(']' | 'P' | 'X' | '^' | '_') => {
            *rest = ahead;
            skip_string(rest);
        }
        Some(' '..='/') => {
            rest.next();
            skip_parameters(rest);
        }
        Some('0'..='~') => {
            rest.next();
        }
        _ => {}
    }
}

/// Up to and with the final byte; a line end means that the sequence was never ended.
fn skip_parameters(rest: &mut std::str::Chars<'_>) {
    loop {
        let mut ahead = rest.clone();
        match ahead.next() {
            Some('@'..='~') => {
                *rest = ahead;
                return;
            }
            Some(' '..='?') => *rest = ahead,
            _ => return,
        }
    }
}

fn skip_string(rest: &mut std::str::Chars<'_>) {
    loop {
        let mut ahead = rest.clone();
        match ahead.next() {
            Some('\u{7}' | '\u{9c}') => {
                *rest = ahead;
                return;
            }
            Some('\u{1b}') => {
                *rest = ahead;
                let mut end = rest.clone();
                if end.next() == Some('\\') {
                    *rest = end;
                }
                return;
            }
            // A string that was never ended must not swallow everything.
            Some('\n') | None => return,
            Some(_) => *rest = ahead,
        }
    }
}

/// Shown, and cut at `limit` bytes with a word about it.
fn cut(text: &str, limit: usize) -> String {
    let shown = printable(text);
    if shown.len() <= limit {
        return shown;
    }
    let end = (0..=limit)
        .rev()
        .find(|&at| shown.is_char_boundary(at))
        .unwrap_or(0);
    format!("{} […{} bytes more]", &shown[..end], shown.len() - end)
}

/// A failure as the status and the journal have it: nothing that could harm a terminal, and
/// bounded in size. The whole of it stands in the run's report.
pub fn for_status(failure: &Failure) -> Failure {
    let line = |text: &Option<String>| text.as_deref().map(|text| cut(text, LINE));
    let long = |text: &Option<String>| text.as_deref().map(|text| cut(text, TEXT));
    let mut shown = failure.clone();
    shown.id = cut(&failure.id, LINE);
    shown.target = line(&failure.target);
    shown.message = cut(&failure.message, LINE);
    shown.details = long(&failure.details);
    if let Some(diff) = &mut shown.diff {
        diff.left = line(&diff.left);
        diff.right = line(&diff.right);
        diff.expected = line(&diff.expected);
        diff.actual = line(&diff.actual);
        diff.unified = long(&diff.unified);
    }
    shown.code = line(&failure.code);
    shown.suggestion = line(&failure.suggestion);
    shown.stdout = line(&failure.stdout);
    shown.stderr = line(&failure.stderr);
    shown.notes = failure.notes.iter().map(note).collect();
    shown.frames.truncate(FRAMES);
    for frame in &mut shown.frames {
        frame.file = cut(&frame.file, LINE);
        frame.function = line(&frame.function);
    }
    for place in [&mut shown.location, &mut shown.test_location]
        .into_iter()
        .flatten()
    {
        place.file = cut(&place.file, LINE);
    }
    shown
}

/// A note whose message may quote what a project's files or tests say.
pub(super) fn note(note: &Note) -> Note {
    Note {
        code: printable(&note.code),
        message: cut(&note.message, LINE),
        remedy: note.remedy.as_deref().map(|text| cut(text, LINE)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sequences_are_removed_and_the_text_stays() {
        for (raw, shown) in [
            ("\u{1b}[1;31mred\u{1b}[0m", "red"),
            ("\u{1b}]0;title\u{7}after", "after"),
            ("\u{1b}]8;;http://x\u{1b}\\link\u{1b}]8;;\u{1b}\\", "link"),
            ("\u{9b}2Jcleared", "cleared"),
            ("a\u{1b}(Bb", "ab"),
            ("a\u{1b}7b\u{1b}cd", "abd"),
            ("bell\u{7} back\u{8}space\r\n\ttab", "bell backspace\n\ttab"),
            ("\u{202e}txet", "txet"),
            (
                "never ended \u{1b}]0;x\nnext line",
                "never ended \nnext line",
            ),
            ("\u{1b}[", ""),
            ("Grüße, 日本", "Grüße, 日本"),
        ] {
            assert_eq!(printable(raw), shown, "{raw:?}");
        }
    }

    proptest! {
        #[test]
        fn nothing_that_controls_is_left(text in "[\\x00-\\x9f\\u{202e}\\u{1b}\\[\\]a-z;0-9]{0,60}") {
            let shown = printable(&text);
            let is_bad = |c: char| (c.is_control() && c != '\n' && c != '\t') || reorders(c);
            prop_assert!(!shown.chars().any(is_bad), "{:?}", shown);
            prop_assert_eq!(printable(&shown), shown.clone());
        }
    }
}
