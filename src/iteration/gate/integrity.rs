//! Integrity: whether the tests of the base are still what they were (pure over contents).
//!
//! Until bodies are compared by syntax tree, anything but white space that changes in an
//! existing test file or test item needs a person's approval; a test that is gone or newly
//! ignored is lost.

use crate::iteration::gate::rust_tests::RustTests;
use crate::iteration::gate::rust_tests::rust_tests;
use regex::Regex;
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// One path that differs between base and head.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FileChange {
    /// The path, relative to the worktree, lossy where it is not UTF-8.
    pub path: String,
    /// Its content at the base; absent when it is new.
    pub base: Option<Vec<u8>>,
    /// Its content at the head; absent when it is gone.
    pub head: Option<Vec<u8>>,
    /// It became a symlink, executable, or changed its kind otherwise.
    pub mode_changed: bool,
    /// It is a symlink at the head.
    pub link: bool,
}

/// What is to be said about one changed path.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Examined {
    /// What a person has to look at.
    pub approvals: Vec<String>,
    /// Tests that are gone or newly ignored in the source.
    pub lost: Vec<String>,
}

impl FileChange {
    /// Whether something besides white space differs.
    pub fn matters(&self) -> bool {
        let plain = |bytes: &Option<Vec<u8>>| -> Option<Vec<u8>> {
            bytes.as_ref().map(|bytes| {
                let mut bytes = bytes.clone();
                bytes.retain(|byte| !byte.is_ascii_whitespace());
                bytes
            })
        };
        match (plain(&self.base), plain(&self.head)) {
            (Some(base), Some(head)) => self.mode_changed || base != head,
            (None, Some(one)) | (Some(one), None) => !one.is_empty(),
            (None, None) => false,
        }
    }
}

/// Looks at one changed path.
pub fn examine(change: &FileChange) -> Examined {
    let mut examined = Examined::default();
    let path = &change.path;
    if change.link {
        examined
            .approvals
            .push(format!("`{path}` is a symbolic link now"));
    } else if change.mode_changed {
        examined
            .approvals
            .push(format!("`{path}` has another mode now"));
    }
    let Some(base) = &change.base else {
        return new_file(change, examined);
    };
    let base = String::from_utf8_lossy(base);
    let head = change.head.as_ref().map_or(String::new(), |head| {
        String::from_utf8_lossy(head).into_owned()
    });
    if path.ends_with(".rs") {
        rust(path, &base, &head, change.head.is_some(), &mut examined);
    } else if is_test_file(path) && !same_lines(path, &base, &head) {
        examined
            .approvals
            .push(format!("`{path}` is an existing test file"));
        if path.ends_with(".py") {
            examined.lost.extend(lost_in_python(path, &base, &head));
        }
    }
    examined
}

fn new_file(change: &FileChange, mut examined: Examined) -> Examined {
    let head = change.head.as_deref().unwrap_or_default();
    let head = String::from_utf8_lossy(head);
    let asks = rust_tests(&head).is_some_and(|found| found.asks_whether_tested > 0);
    if change.path.ends_with(".rs") && !is_test_file(&change.path) && asks {
        examined.approvals.push(asks_about(&change.path));
    }
    examined
}

fn asks_about(path: &str) -> String {
    format!("`{path}` behaves otherwise when it is tested (`cfg(test)` outside of tests)")
}

fn rust(path: &str, base: &str, head: &str, there: bool, examined: &mut Examined) {
    let Some(before) = rust_tests(base) else {
        if is_test_file(path) || base.contains("test]") || base.contains("(test)") {
            examined.approvals.push(format!(
                "`{path}` holds tests and its brackets did not match, so they cannot be compared"
            ));
        }
        return;
    };
    let after = rust_tests(head);
    let Some(after) = after else {
        if is_test_file(path) || !before.regions.is_empty() {
            examined
                .approvals
                .push(format!("`{path}` holds tests and cannot be read any more"));
        }
        return;
    };
    examined.lost.extend(lost_in_rust(path, &before, &after));
    let whole = is_test_file(path) || base.contains("#![cfg(test)]");
    if whole && (!there || !same_tokens(base, head)) {
        examined
            .approvals
            .push(format!("`{path}` is an existing test file"));
        return;
    }
    if !contains_all(&after.regions, &before.regions) {
        examined
            .approvals
            .push(format!("an existing test item in `{path}` was changed"));
    }
    if !contains_all(&after.examples, &before.examples) {
        examined.approvals.push(format!(
            "an existing documentation test in `{path}` was changed"
        ));
    }
    if after.asks_whether_tested > before.asks_whether_tested {
        examined.approvals.push(asks_about(path));
    }
}

/// The two texts hold the same tokens and comments.
fn same_tokens(base: &str, head: &str) -> bool {
    let base = super::rust_tests::even_text(base);
    base.is_some() && base == super::rust_tests::even_text(head)
}

fn lost_in_rust(path: &str, before: &RustTests, after: &RustTests) -> Vec<String> {
    let after: BTreeMap<&str, bool> = after
        .functions
        .iter()
        .map(|(name, ignored)| (name.as_str(), *ignored))
        .collect();
    let lost =
        before
            .functions
            .iter()
            .filter_map(|(name, ignored)| match after.get(name.as_str()) {
                None => Some(format!("test `{name}` in `{path}` is gone")),
                Some(true) if !ignored => Some(format!("test `{name}` in `{path}` is ignored now")),
                Some(_) => None,
            });
    lost.collect()
}

fn contains_all(all: &[String], wanted: &[String]) -> bool {
    let mut left: BTreeMap<&str, usize> = BTreeMap::new();
    for one in all {
        *left.entry(one).or_default() += 1;
    }
    wanted.iter().all(|one| match left.get_mut(one.as_str()) {
        Some(count) if *count > 0 => {
            *count -= 1;
            true
        }
        _ => false,
    })
}

/// The same but for blank lines and white space at line ends. In data files every byte counts.
fn same_lines(path: &str, base: &str, head: &str) -> bool {
    let code = [
        ".py", ".js", ".ts", ".jsx", ".tsx", ".mjs", ".go", ".java", ".rb", ".c", ".cpp",
    ]
    .iter()
    .any(|end| path.ends_with(end));
    if !code {
        return base == head;
    }
    let lines = |text: &str| -> Vec<String> {
        text.lines()
            .map(|line| line.trim_end().to_owned())
            .filter(|line| !line.is_empty())
            .collect()
    };
    lines(base) == lines(head)
}

#[expect(
    clippy::expect_used,
    reason = "the patterns are constants, covered by a test"
)]
fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("a constant pattern")
}

static PYTHON_TEST: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"(?m)^([ \t]*)(?:async[ \t]+)?(?:def[ \t]+(test\w*)|class[ \t]+(Test\w*|\w*Tests?\b))")
});

static PYTHON_SKIP: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"\b(?:mark\.(?:skip|skipif|xfail)|unittest\.(?:skip\w*|expectedFailure)|pytest\.(?:skip|xfail|importorskip|exit)|SkipTest|skipTest|__test__|collect_ignore)\b",
    )
});

fn lost_in_python(path: &str, base: &str, head: &str) -> Vec<String> {
    let names = |text: &str| -> Vec<String> {
        PYTHON_TEST
            .captures_iter(text)
            .filter_map(|found| found.get(2).or(found.get(3)))
            .map(|name| name.as_str().to_owned())
            .collect()
    };
    let after = names(head);
    let before = names(base);
    let mut lost: Vec<String> = before
        .iter()
        .filter(|name| {
            let count = |all: &[String]| all.iter().filter(|one| one == name).count();
            count(&after) < count(&before)
        })
        .map(|name| format!("test `{name}` in `{path}` is gone"))
        .collect();
    lost.dedup();
    let skips = |text: &str| PYTHON_SKIP.find_iter(text).count();
    if skips(head) > skips(base) {
        lost.push(format!("a test in `{path}` is skipped now"));
    }
    lost
}

/// Directories that hold tests or their data.
const TEST_DIRECTORIES: &[&str] = &[
    "tests",
    "test",
    "__tests__",
    "spec",
    "specs",
    "testdata",
    "test_data",
    "test-data",
    "fixtures",
    "snapshots",
    "__snapshots__",
    "golden",
    "goldens",
];

/// Whether the whole file is a test or the data of one.
pub fn is_test_file(path: &str) -> bool {
    let mut parts: Vec<&str> = path.split('/').collect();
    let name = parts.pop().unwrap_or(path);
    if parts.iter().any(|part| TEST_DIRECTORIES.contains(part)) {
        return true;
    }
    let stem = name.split('.').next().unwrap_or(name);
    let rust = name.ends_with(".rs")
        && (matches!(stem, "test" | "tests")
            || stem.ends_with("_test")
            || stem.ends_with("_tests"));
    let python = name.ends_with(".py") && (stem.starts_with("test_") || stem.ends_with("_test"));
    let others = name.contains(".test.")
        || name.contains(".spec.")
        || name.ends_with("_test.go")
        || name.ends_with(".snap")
        || name == "tests.py";
    rust || python || others
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(path: &str, base: &str, head: &str) -> FileChange {
        FileChange {
            path: path.into(),
            base: Some(base.into()),
            head: Some(head.into()),
            ..FileChange::default()
        }
    }

    const LIB: &str = "pub fn f() -> i32 { 1 }\n#[cfg(test)]\nmod tests {\n    #[test]\n    fn t() { assert_eq!(super::f(), 2); }\n}\n";

    #[test]
    fn code_beside_tests_may_change_and_the_tests_may_not() {
        let fixed = LIB.replace("{ 1 }", "{ 2 }");
        assert_eq!(
            examine(&change("src/lib.rs", LIB, &fixed)),
            Examined::default()
        );
        let bent = LIB.replace("f(), 2", "f(), 1");
        let examined = examine(&change("src/lib.rs", LIB, &bent));
        assert_eq!(
            examined.approvals,
            ["an existing test item in `src/lib.rs` was changed"]
        );
        assert!(examined.lost.is_empty());
        let ignored = LIB.replace("    #[test]\n", "    #[test]\n    #[ignore]\n");
        let examined = examine(&change("src/lib.rs", LIB, &ignored));
        assert_eq!(
            examined.lost,
            ["test `tests::t` in `src/lib.rs` is ignored now"]
        );
        let gone = LIB.split("#[cfg(test)]").next().expect("the code");
        let examined = examine(&change("src/lib.rs", LIB, gone));
        assert_eq!(examined.lost, ["test `tests::t` in `src/lib.rs` is gone"]);
        let more = format!("{fixed}\n#[cfg(test)]\nmod more {{ #[test] fn u() {{}} }}\n");
        assert_eq!(
            examine(&change("src/lib.rs", LIB, &more)),
            Examined::default()
        );
    }

    #[test]
    fn a_missing_semicolon_is_repaired_without_approval() {
        let broken = LIB.replace("{ 1 }", "{ let a = 2 a }");
        let fixed = LIB.replace("{ 1 }", "{ let a = 2; a }");
        assert_eq!(
            examine(&change("src/lib.rs", &broken, &fixed)),
            Examined::default()
        );
    }

    #[test]
    fn unbalanced_files_with_tests_need_a_look() {
        let broken = LIB.replace("{ 1 }", "{ 1 ");
        assert_eq!(
            examine(&change("src/lib.rs", &broken, LIB)).approvals.len(),
            1
        );
        assert!(
            examine(&change("src/a.rs", "fn f() {", "fn f() {}"))
                .approvals
                .is_empty()
        );
    }

    #[test]
    fn whole_test_files_are_compared_without_white_space() {
        let base = "def test_a():\n    assert f() == 1\n";
        let blank = "\n\ndef test_a():  \n    assert f() == 1\n";
        assert_eq!(
            examine(&change("tests/test_a.py", base, blank)),
            Examined::default()
        );
        let bent = base.replace("== 1", "== 2");
        assert_eq!(
            examine(&change("test_a.py", base, &bent)).approvals.len(),
            1
        );
        let skipped = format!("import pytest\n@pytest.mark.skip\n{base}");
        assert_eq!(
            examine(&change("test_a.py", base, &skipped)).lost,
            ["a test in `test_a.py` is skipped now"]
        );
        let gone = FileChange {
            head: None,
            ..change("test_a.py", base, "")
        };
        assert_eq!(
            examine(&gone).lost,
            ["test `test_a` in `test_a.py` is gone"]
        );
        let rust = "#[test]\nfn t() { assert!(true); }\n";
        let wide = "#[test]\nfn t() {\n    assert!(true);\n}\n";
        assert_eq!(
            examine(&change("tests/a.rs", rust, wide)),
            Examined::default()
        );
        let comment = rust.replace("{ assert", "{ /* no */ assert");
        assert_eq!(
            examine(&change("tests/a.rs", rust, &comment))
                .approvals
                .len(),
            1
        );
        assert_eq!(
            examine(&change("tests/data/x.txt", "a", "a "))
                .approvals
                .len(),
            1
        );
    }

    #[test]
    fn code_that_behaves_otherwise_under_test_needs_a_look() {
        let sly = LIB.replace("{ 1 }", "{ if cfg!(test) { 2 } else { 1 } }");
        assert_eq!(examine(&change("src/lib.rs", LIB, &sly)).approvals.len(), 1);
    }

    #[test]
    fn links_and_modes_need_a_look_and_white_space_is_no_change() {
        let link = FileChange {
            link: true,
            ..change("src/a.txt", "x", "/etc/passwd")
        };
        assert_eq!(examine(&link).approvals.len(), 1);
        assert!(!change("a.py", "a = 1\n", "a = 1\n\n").matters());
        assert!(change("a.py", "a = 1\n", "a = 2\n").matters());
    }
}
