//! How unittest names a test in text, and the id that this comes to.
//!
//! Up to Python 3.10 `test_x (tests.m.C)`, since then `test_x (tests.m.C.test_x)`, both with
//! ` [message] (i=1)` behind it for a subtest. The id is what `TestCase.id()` says, which is
//! also what selects a test: `tests.m.C.test_x`, with the subtest's words behind a space.

/// Words that stand for a fixture where a test's name would.
const FIXTURES: [(&str, bool); 4] = [
    ("setUpClass", true),
    ("setUpModule", true),
    ("tearDownClass", false),
    ("tearDownModule", false),
];
const FUNCTION: &str = "unittest.case.FunctionTestCase";

/// A test as a heading names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Name {
    /// The id, the subtest's words included.
    pub id: String,
    /// The test's own id; the class or module of a fixture.
    pub base: String,
    /// The method, or the fixture.
    pub method: String,
    /// What it really is.
    pub what: What,
}

/// What a heading is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    /// A test.
    Test,
    /// `setUpClass`, `setUpModule`.
    SetUp,
    /// `tearDownClass`, `tearDownModule`.
    TearDown,
    /// A module that could not be loaded, or a name that is none.
    FailedTest,
}

/// Reads a heading without its first word.
pub(crate) fn read(heading: &str) -> Name {
    let heading = heading.trim();
    let parts = heading.split_once(" (").and_then(|(name, rest)| {
        let (container, rest) = rest.split_once(')')?;
        let dotted = !container.is_empty() && !container.contains(' ');
        dotted.then_some((name, container, rest.trim()))
    });
    let Some((name, container, rest)) = parts else {
        return Name {
            id: heading.to_owned(),
            base: heading.to_owned(),
            method: heading.to_owned(),
            what: What::Test,
        };
    };
    if let Some((_, up)) = FIXTURES.iter().find(|(word, _)| *word == name) {
        return Name {
            id: format!("{name} ({container})"),
            base: container.to_owned(),
            method: name.to_owned(),
            what: if *up { What::SetUp } else { What::TearDown },
        };
    }
    let failed = container.starts_with("unittest.loader._FailedTest")
        || container.starts_with("unittest.loader.ModuleImportFailure");
    let method = container.strip_suffix(name);
    let whole = method.is_some_and(|class| class.ends_with('.'));
    let base = if failed {
        name.to_owned()
    } else if name == FUNCTION || whole {
        container.to_owned()
    } else {
        format!("{container}.{name}")
    };
    Name {
        id: match rest {
            "" => base.clone(),
            subtest => format!("{base} {subtest}"),
        },
        base,
        method: if name == FUNCTION { container } else { name }.to_owned(),
        what: if failed { What::FailedTest } else { What::Test },
    }
}

/// Whether a line looks like `test_x (tests.m.C)` and nothing else.
pub(crate) fn is_name(line: &str) -> bool {
    let Some((name, rest)) = line.split_once(" (") else {
        return false;
    };
    let Some((container, _)) = rest.split_once(')') else {
        return false;
    };
    let word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '<' | '>' | '-');
    !name.is_empty()
        && name.chars().all(word)
        && !container.is_empty()
        && container.chars().all(word)
}

/// An id as its pieces: what selects the test, without the subtest's words.
pub(crate) fn without_subtest(id: &str) -> &str {
    for (word, _) in FIXTURES {
        if let Some(rest) = id
            .strip_prefix(word)
            .and_then(|rest| rest.strip_prefix(" ("))
        {
            return rest.trim_end_matches(')');
        }
    }
    id.split(' ').next().unwrap_or(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_and_new_headings_come_to_the_same_id() {
        for (heading, id, base) in [
            ("test_x (tests.m.C)", "tests.m.C.test_x", "tests.m.C.test_x"),
            (
                "test_x (tests.m.C.test_x)",
                "tests.m.C.test_x",
                "tests.m.C.test_x",
            ),
            (
                "test_x (__main__.C.test_x)",
                "__main__.C.test_x",
                "__main__.C.test_x",
            ),
            (
                "test_x (m.C.test_x) [part (odd) [x]] (i=1, word='a b')",
                "m.C.test_x [part (odd) [x]] (i=1, word='a b')",
                "m.C.test_x",
            ),
            ("test_x (m.C) (i=1)", "m.C.test_x (i=1)", "m.C.test_x"),
            ("setUpClass (m.C)", "setUpClass (m.C)", "m.C"),
            (
                "tests.test_a (unittest.loader._FailedTest)",
                "tests.test_a",
                "tests.test_a",
            ),
            (
                "tests.test_a (unittest.loader._FailedTest.tests.test_a)",
                "tests.test_a",
                "tests.test_a",
            ),
            (
                "unittest.case.FunctionTestCase (checks)",
                "checks",
                "checks",
            ),
            (
                "double (tests.documented)",
                "tests.documented.double",
                "tests.documented.double",
            ),
            ("readme.rst", "readme.rst", "readme.rst"),
        ] {
            let name = read(heading);
            assert_eq!(
                (name.id.as_str(), name.base.as_str()),
                (id, base),
                "{heading}"
            );
        }
    }

    #[test]
    fn a_subtest_is_selected_by_its_test() {
        assert_eq!(without_subtest("m.C.test_x [a b] (i=1)"), "m.C.test_x");
        assert_eq!(without_subtest("setUpClass (m.C)"), "m.C");
        assert_eq!(without_subtest("m.C.test_x"), "m.C.test_x");
    }
}
