//! Machine-applicable suggestions of rustc and clippy, applied below one directory.

use crate::git::Confined;
use rustfix::CodeFix;
use rustfix::Filter;
use rustfix::Suggestion;
use rustix::fs::Mode;
use rustix::fs::OFlags;
use serde_json::Value;
use std::collections::BTreeMap;
use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::io::Write;
use std::path::Component;
use std::path::Path;
use std::path::PathBuf;

/// A source file is read and written up to this size.
const LARGEST: u64 = 8 << 20;

/// Which messages are heeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heed {
    /// Only errors.
    Errors,
    /// Warnings too.
    All,
}

/// What cargo's JSON messages suggest, a list a file. `root` is the project's directory
/// inside, `dir` cargo's directory below it.
pub(super) fn suggestions(
    messages: &[u8],
    heed: Heed,
    root: &Path,
    dir: &Path,
) -> BTreeMap<PathBuf, Vec<Suggestion>> {
    let mut found: BTreeMap<PathBuf, Vec<Suggestion>> = BTreeMap::new();
    for line in messages.split(|byte| *byte == b'\n') {
        let Ok(line) = serde_json::from_slice::<Value>(line) else {
            continue;
        };
        let message = &line["message"];
        let heeded = heed == Heed::All || message["level"] == "error";
        if line["reason"] != "compiler-message" || !heeded {
            continue;
        }
        let all = HashSet::<String>::new();
        let read = rustfix::get_suggestions_from_json(
            &message.to_string(),
            &all,
            Filter::MachineApplicableOnly,
        );
        for suggestion in read.unwrap_or_default() {
            if let Some(path) = only_file(&suggestion).and_then(|file| below(&file, root, dir)) {
                found.entry(path).or_default().push(suggestion);
            }
        }
    }
    found
}

/// The one file that all parts of a suggestion are about.
fn only_file(suggestion: &Suggestion) -> Option<PathBuf> {
    let mut files: Vec<&str> = suggestion
        .solutions
        .iter()
        .flat_map(|solution| &solution.replacements)
        .map(|replacement| replacement.snippet.file_name.as_str())
        .collect();
    files.sort_unstable();
    files.dedup();
    match files.as_slice() {
        [file] => Some(PathBuf::from(file)),
        _ => None,
    }
}

/// The path relative to the project, if it lies in it.
fn below(file: &Path, root: &Path, dir: &Path) -> Option<PathBuf> {
    let path = if file.is_absolute() {
        file.strip_prefix(root).ok()?.to_owned()
    } else {
        dir.join(file)
    };
    let plain = path
        .components()
        .all(|part| matches!(part, Component::Normal(_)));
    plain.then_some(path)
}

/// Applies suggestions to one file; those that overlap an earlier one wait for the next round.
/// Answers how many were applied.
pub(super) fn apply(tree: &Path, path: &Path, all: &[Suggestion]) -> io::Result<usize> {
    let tree = Confined::open(tree)?;
    let before = tree.read(path, LARGEST)?;
    let Ok(before) = String::from_utf8(before) else {
        return Ok(0);
    };
    let mut fix = CodeFix::new(&before);
    let mut applied = 0;
    for suggestion in all {
        if fix.apply(suggestion).is_ok() {
            applied += 1;
        }
    }
    match fix.finish() {
        Ok(after) if after != before => {
            write(&tree, path, after.as_bytes())?;
            Ok(applied)
        }
        _ => Ok(0),
    }
}

/// Writes in place and through no link: what lies there may have been made by the project.
fn write(tree: &Confined, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let (dir, name) = tree.parent(path)?;
    let flags = OFlags::WRONLY | OFlags::TRUNC | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = rustix::fs::openat(&dir, name, flags, Mode::empty())?;
    File::from(file).write_all(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(level: &str, file: &str, applicability: &str) -> String {
        serde_json::json!({"reason": "compiler-message", "message": {
            "message": "unused", "level": level, "code": {"code": "x", "explanation": null},
            "spans": [], "rendered": "",
            "children": [{"message": "remove", "code": null, "level": "help", "rendered": null,
                "children": [], "spans": [{
                    "file_name": file, "byte_start": 0, "byte_end": 4, "line_start": 1,
                    "line_end": 1, "column_start": 1, "column_end": 5, "is_primary": true,
                    "text": [{"text": "mut a", "highlight_start": 1, "highlight_end": 5}],
                    "label": null, "suggested_replacement": "",
                    "suggestion_applicability": applicability, "expansion": null}]}]
        }})
        .to_string()
    }

    fn found(line: &str, heed: Heed) -> Vec<PathBuf> {
        suggestions(line.as_bytes(), heed, Path::new("/p"), Path::new("sub"))
            .into_keys()
            .collect()
    }

    #[test]
    fn only_what_is_sure_and_inside_is_taken() {
        let sure = "MachineApplicable";
        let inside = PathBuf::from("sub/src/lib.rs");
        assert_eq!(
            found(&message("error", "src/lib.rs", sure), Heed::Errors),
            std::slice::from_ref(&inside)
        );
        assert!(found(&message("warning", "src/lib.rs", sure), Heed::Errors).is_empty());
        assert_eq!(
            found(&message("warning", "src/lib.rs", sure), Heed::All),
            [inside]
        );
        assert!(found(&message("error", "src/lib.rs", "MaybeIncorrect"), Heed::All).is_empty());
        assert!(found(&message("error", "/etc/passwd", sure), Heed::All).is_empty());
        assert!(found(&message("error", "../../x.rs", sure), Heed::All).is_empty());
        assert!(found("not json", Heed::All).is_empty());
    }

    #[test]
    fn a_link_is_not_written_through() {
        let dir = tempfile::tempdir().expect("a directory");
        let victim = dir.path().join("victim.rs");
        std::fs::write(&victim, "mut a").expect("written");
        let tree = dir.path().join("tree");
        std::fs::create_dir(&tree).expect("made");
        std::os::unix::fs::symlink(&victim, tree.join("lib.rs")).expect("linked");
        let all = suggestions(
            message("error", "lib.rs", "MachineApplicable").as_bytes(),
            Heed::All,
            Path::new("/p"),
            Path::new(""),
        );
        let (path, all) = all.into_iter().next().expect("one file");
        assert!(apply(&tree, &path, &all).is_err());
        assert_eq!(std::fs::read_to_string(&victim).expect("there"), "mut a");
        std::fs::write(tree.join("real.rs"), "mut a").expect("written");
        assert_eq!(
            apply(&tree, Path::new("real.rs"), &all).expect("applied"),
            1
        );
        assert_eq!(
            std::fs::read_to_string(tree.join("real.rs")).expect("there"),
            "a"
        );
    }
}
