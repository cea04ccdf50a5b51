//! What `tests/layering.rs` and `tests/tidy.rs` share: the sources as token trees, so that
//! comments and strings deceive nobody.

#![allow(
    dead_code,
    clippy::allow_attributes,
    reason = "two test binaries share this and neither uses all of it"
)]

use proc_macro2::Delimiter;
use proc_macro2::TokenStream;
use proc_macro2::TokenTree;
use std::fmt;
use std::path::Path;
use std::path::PathBuf;
use walkdir::WalkDir;

/// The repository.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// One source file.
pub struct Source {
    /// Its path, relative to the repository.
    pub path: String,
    /// Its text.
    pub text: String,
}

/// Every `.rs` file below these directories of the repository.
pub fn sources(dirs: &[&str]) -> Vec<Source> {
    let mut found = Vec::new();
    for dir in dirs {
        let walk = WalkDir::new(repository().join(dir)).sort_by_file_name();
        for entry in walk.into_iter().flatten() {
            let path = entry.path();
            if path.extension().is_some_and(|ext| ext == "rs") && !in_target(path) {
                found.push(read(path));
            }
        }
    }
    assert!(!found.is_empty(), "no sources below {dirs:?}");
    found
}

fn in_target(path: &Path) -> bool {
    path.components().any(|part| part.as_os_str() == "target")
}

fn read(path: &Path) -> Source {
    let below: PathBuf = path.strip_prefix(repository()).unwrap_or(path).into();
    Source {
        path: below.to_string_lossy().into_owned(),
        text: std::fs::read_to_string(path).expect("sources are UTF-8"),
    }
}

/// A rule that does not hold, and where.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Violation {
    /// The file, relative to the repository.
    pub path: String,
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong and what to do.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.what)
    }
}

/// Panics with all violations, if there are any.
#[track_caller]
pub fn none_of(mut violations: Vec<Violation>) {
    violations.sort();
    violations.dedup();
    let lines: Vec<String> = violations.iter().map(Violation::to_string).collect();
    assert!(lines.is_empty(), "\n{}\n", lines.join("\n"));
}

/// One word of a source: an identifier, a sign, a literal, or the border of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    /// As it is written; `::` is one word.
    pub text: String,
    /// The line, counted from 1.
    pub line: usize,
    /// How many `mod name { … }` blocks enclose it.
    pub inline_mods: usize,
    /// Whether a `#[cfg(test)] mod` encloses it.
    pub in_tests: bool,
}

/// The words of a source, in order, without comments.
pub fn words(source: &Source) -> Vec<Word> {
    let stream: TokenStream = source
        .text
        .parse()
        .unwrap_or_else(|error| panic!("`{}` is no Rust: {error}", source.path));
    let mut words = Vec::new();
    let whole_file = is_test_file(&source.path);
    flatten(stream, 0, whole_file, &mut words);
    words
}

/// Files that only exist under `#[cfg(test)]`.
fn is_test_file(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.contains("/tests/")
}

fn flatten(stream: TokenStream, inline_mods: usize, in_tests: bool, words: &mut Vec<Word>) {
    for tree in stream {
        let line = tree.span().start().line;
        let word = |text: String, line: usize| Word {
            text,
            line,
            inline_mods,
            in_tests,
        };
        match tree {
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    Delimiter::Brace => ("{", "}"),
                    Delimiter::Parenthesis => ("(", ")"),
                    Delimiter::Bracket => ("[", "]"),
                    Delimiter::None => ("", ""),
                };
                words.push(word(open.into(), line));
                let named_mod = open == "{" && is_inline_mod(words);
                let test_mod = named_mod && follows_cfg_test(words);
                let deeper = inline_mods + usize::from(named_mod);
                flatten(group.stream(), deeper, in_tests || test_mod, words);
                words.push(word(close.into(), group.span_close().start().line));
            }
            TokenTree::Punct(punct) => {
                let joins = words.last().is_some_and(|last| last.text == ":");
                match (punct.as_char(), joins) {
                    (':', true) => words.last_mut().expect("just seen").text = "::".into(),
                    (sign, _) => words.push(word(sign.to_string(), line)),
                }
            }
            TokenTree::Ident(ident) => words.push(word(ident.to_string(), line)),
            TokenTree::Literal(literal) => words.push(word(literal.to_string(), line)),
        }
    }
}

/// Whether the words end in `mod name {`.
fn is_inline_mod(words: &[Word]) -> bool {
    words.len() >= 3 && words[words.len() - 3].text == "mod"
}

/// Whether the words end in `#[cfg(test)] mod name {`, perhaps with other attributes between.
fn follows_cfg_test(words: &[Word]) -> bool {
    let before = &words[words.len().saturating_sub(40)..words.len() - 3];
    // Only attributes may stand between: look back to the end of the item before.
    let start = before
        .iter()
        .rposition(|word| word.text == "}" || word.text == ";")
        .map_or(0, |at| at + 1);
    spelled(&before[start..], &["cfg", "(", "test", ")"]).is_some()
}

/// Where in the words this sequence begins.
pub fn spelled(words: &[Word], sequence: &[&str]) -> Option<usize> {
    words.windows(sequence.len()).position(|window| {
        window
            .iter()
            .zip(sequence)
            .all(|(word, wanted)| word.text == *wanted)
    })
}

/// Every place in the words where this sequence begins.
pub fn all_spelled<'w>(words: &'w [Word], sequence: &[&str]) -> Vec<&'w Word> {
    let places = words.windows(sequence.len()).filter(|window| {
        let mut pairs = window.iter().zip(sequence);
        pairs.all(|(word, wanted)| word.text == *wanted)
    });
    places.map(|window| &window[0]).collect()
}
