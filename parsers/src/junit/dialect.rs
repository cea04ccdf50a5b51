//! Whose conventions a document follows, and the ids that its framework would print.
//!
//! | dialect | recognised by | id | target |
//! |---|---|---|---|
//! | pytest | the suite's name | node id, rebuilt | |
//! | nextest | the root's name | the test's path | the binary |
//! | Java: Surefire, Failsafe, Gradle, Ant, console launcher | a class's name in `classname`, Java's types and traces | `com.example.FooTest.bar` (nested classes with `$`; the name as it stands, so `bar()` of the console launcher and of Gradle, `rows(int)[2]`); a class's own failure has the class as its id | the class |
//! | unittest (xmlrunner) | a file of Python, a traceback of Python | `pkg.module.Class.test_a` | |
//! | PHPUnit | `class` beside `classname` | `Foo\BarTest::testRows with data set "x"` | the class |
//! | go (gotestsum, go-junit-report) | the property `go.version` | `TestA/sub` | the package |
//! | Jest, Vitest, Mocha, node:test, Playwright, Cypress | the root's name, `classname="test"`, a file of JavaScript | titles joined by ` > `, as far as they can be told apart | the file |
//! | GoogleTest | `result` beside `status` | `Suite/Prefix.Test/1` | |
//! | Catch2, doctest | `status="run"` below a root without numbers | `classname.name` | |
//! | CTest | `status="run"` or `"fail"` | the name | |
//! | bats | a `classname` that ends in `.bats` | the name | the file |
//! | RSpec | the suite's name `rspec` | the full description | the file |
//! | minitest | `lineno` | `FooTest#test_bar` | the file |
//! | cargo2junit | the type `cargo test` | `tests::a` | the suite |
//! | linters (ESLint, golangci-lint) | the package `org.eslint`, a place as `classname` | `file:line:col code` | |
//! | .NET | the suite's name ends in `.dll` | `Namespace.Class.Method` | the class |
//! | anything else | | `classname.name` | `classname` |

use crate::junit::xml::Element;
use std::borrow::Cow;

/// Whose conventions a document follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// pytest's `--junitxml`.
    Pytest,
    /// xmlrunner's (unittest-xml-reporting).
    Unittest,
    /// nextest's.
    Nextest,
    /// Surefire, Gradle, Ant, the console launcher.
    Java,
    /// PHPUnit's `--log-junit`.
    Phpunit,
    /// gotestsum, go-junit-report.
    Go,
    /// jest-junit.
    Jest,
    /// Vitest's.
    Vitest,
    /// Mocha's xunit, mocha-junit-reporter (Cypress).
    Mocha,
    /// `node --test`.
    Node,
    /// Playwright's.
    Playwright,
    /// GoogleTest's `--gtest_output=xml`.
    Gtest,
    /// Catch2's, doctest's.
    Catch,
    /// `ctest --output-junit`.
    Ctest,
    /// bats' formatter.
    Bats,
    /// rspec_junit_formatter.
    Rspec,
    /// minitest-reporters.
    Minitest,
    /// cargo2junit and others of libtest's output.
    Cargo,
    /// ESLint, golangci-lint.
    Linter,
    /// The JUnit logger of `dotnet test`.
    Dotnet,
    /// Anybody else's.
    Other,
}

impl Dialect {
    /// Whether `tests` is known to be the number of its test cases. Catch2 counts assertions
    /// there, Jest's and Mocha's reporters count tests that have no element or have elements for
    /// what they do not count, node has tests outside of all suites.
    pub fn counts_cases(self) -> bool {
        matches!(
            self,
            Dialect::Pytest
                | Dialect::Nextest
                | Dialect::Java
                | Dialect::Phpunit
                | Dialect::Go
                | Dialect::Vitest
                | Dialect::Gtest
                | Dialect::Ctest
                | Dialect::Bats
                | Dialect::Rspec
                | Dialect::Minitest
        )
    }

    /// Whether another case may still tell otherwise.
    pub fn is_guess(self) -> bool {
        matches!(self, Dialect::Other | Dialect::Java | Dialect::Unittest)
    }
}

/// A suite that is open around a case.
#[derive(Debug, Clone, Default)]
pub(crate) struct Suite {
    /// Its element's name: `testsuites` or `testsuite`.
    pub element: String,
    /// Its name.
    pub name: String,
    /// Its file.
    pub file: Option<String>,
    /// How many tests it announces.
    pub tests: Option<u64>,
    /// How many failures and errors it announces.
    pub bad: Option<u64>,
    /// How many of them are errors.
    pub errors: u64,
    /// `package`.
    pub package: String,
    /// How many tests the suites in it announce.
    pub cases: u64,
    /// Whether a Go property was seen in it.
    pub go: bool,
}

impl Suite {
    /// The suite of a tag.
    pub fn of(element: &Element) -> Suite {
        let number = |name: &str| element.get(name).and_then(|n| n.trim().parse::<u64>().ok());
        let failures = number("failures");
        let errors = number("errors");
        Suite {
            element: element.name.clone(),
            name: element.get("name").unwrap_or("").to_owned(),
            file: element
                .get("file")
                .or(element.get("filepath"))
                .map(str::to_owned),
            tests: number("tests"),
            bad: failures
                .or(errors)
                .map(|_| failures.unwrap_or(0).saturating_add(errors.unwrap_or(0))),
            errors: errors.unwrap_or(0),
            package: element.get("package").unwrap_or("").to_owned(),
            cases: 0,
            go: false,
        }
    }
}

/// Recognises a dialect by the names that some writers give to their suites.
pub(crate) fn by_name(suites: &[Suite]) -> Option<Dialect> {
    let known = [
        ("nextest-run", Dialect::Nextest),
        ("pytest", Dialect::Pytest),
        ("pytest tests", Dialect::Pytest),
        ("jest tests", Dialect::Jest),
        ("vitest tests", Dialect::Vitest),
        ("Mocha Tests", Dialect::Mocha),
    ];
    let mut known = known.into_iter();
    known
        .find(|(word, _)| suites.iter().any(|suite| suite.name == *word))
        .map(|(_, dialect)| dialect)
}

/// Recognises a dialect by the suites around its first case, and that case.
pub(crate) fn recognise(suites: &[Suite], case: &Element) -> Dialect {
    let class = case.get("classname").unwrap_or("");
    let name = case.get("name").unwrap_or("");
    if let Some(dialect) = by_name(suites) {
        return dialect;
    }
    if suites.iter().any(|suite| suite.go) {
        return Dialect::Go;
    }
    let last = suites.last().cloned().unwrap_or_default();
    if last.package == "org.eslint" || name.starts_with("org.eslint") || is_place(class) {
        return Dialect::Linter;
    }
    if is_pytest(case) {
        return Dialect::Pytest;
    }
    if is_python(suites, case) {
        return Dialect::Unittest;
    }
    if case.get("class").is_some() || suites.iter().any(|suite| php(&suite.file)) {
        return Dialect::Phpunit;
    }
    if case.get("lineno").is_some() {
        return Dialect::Minitest;
    }
    if last.name == "rspec" || last.name.starts_with("rspec") && case.get("file").is_some() {
        return Dialect::Rspec;
    }
    if class.ends_with(".bats") || last.name.ends_with(".bats") {
        return Dialect::Bats;
    }
    let bare = suites
        .first()
        .is_some_and(|root| root.element == "testsuites" && root.tests.is_none());
    by_case(case, class, name, (&last, bare))
}

fn by_case(case: &Element, class: &str, name: &str, (last, bare): (&Suite, bool)) -> Dialect {
    let status = case.get("status").unwrap_or("");
    if case.get("result").is_some() && ["run", "notrun"].contains(&status) {
        return Dialect::Gtest;
    }
    if class == name && ["run", "fail", "disabled", "notrun"].contains(&status) {
        return Dialect::Ctest;
    }
    if ["run", "notrun"].contains(&status) {
        // GoogleTest's root has numbers.
        return if bare { Dialect::Catch } else { Dialect::Gtest };
    }
    if last.name.ends_with(".dll") {
        return Dialect::Dotnet;
    }
    let script = |path: &str| {
        [".js", ".ts", ".jsx", ".tsx", ".mjs", ".cjs", ".mts", ".cts"]
            .iter()
            .any(|end| path.ends_with(end))
    };
    if script(class) && name.contains(" › ") {
        return Dialect::Playwright;
    }
    if script(class) {
        return Dialect::Vitest;
    }
    if class == "test" {
        return Dialect::Node;
    }
    let fault = ["failure", "error"]
        .iter()
        .find_map(|name| case.child(name));
    let kind = fault.and_then(|fault| fault.get("type")).unwrap_or("");
    if kind == "cargo test" {
        return Dialect::Cargo;
    }
    if kind == "testCodeFailure" {
        return Dialect::Node;
    }
    let text = fault.map_or("", |fault| fault.text.as_str());
    if text.contains("_test.go:") && class == last.name {
        return Dialect::Go;
    }
    let capital = |part: &str| part.starts_with(char::is_uppercase);
    let class_like = identifier(class) && class.split(['.', '$']).any(capital);
    if text.contains("\tat ") && text.contains(".java:") || class_like && class.contains('.') {
        return Dialect::Java;
    }
    let java = [
        "java.",
        "org.junit",
        "org.opentest4j",
        "junit.framework",
        "kotlin.",
    ];
    if java.iter().any(|start| kind.starts_with(start)) {
        return Dialect::Java;
    }
    if output(case).is_some_and(|out| out.contains("unique-id: [engine:")) {
        return Dialect::Java;
    }
    if class.contains(' ') && script(case.get("file").unwrap_or("")) {
        return Dialect::Jest;
    }
    Dialect::Other
}

/// Whether it is Python's own framework, by a file, a class or a traceback.
fn is_python(suites: &[Suite], case: &Element) -> bool {
    let script = |file: Option<&str>| file.is_some_and(|file| file.ends_with(".py"));
    let class = case.get("classname").unwrap_or("");
    script(case.get("file"))
        || suites.iter().any(|suite| script(suite.file.as_deref()))
        || class.starts_with("unittest.")
        || is_traceback(case)
}

/// What failed of a case, by its texts.
fn faults(case: &Element) -> impl Iterator<Item = &str> {
    let faults = case
        .children
        .iter()
        .filter(|child| ["failure", "error"].contains(&child.name.as_str()));
    faults.map(|fault| fault.text.as_str())
}

/// Whether a case failed with a traceback of Python's.
fn is_traceback(case: &Element) -> bool {
    const START: &str = "Traceback (most recent call last):\n";
    faults(case).any(|text| text.trim_start().starts_with(START))
}

/// Whether a case failed with a block of pytest's, whose suite may have any name: the lines of
/// the exception are marked, the last line is the place.
fn is_pytest(case: &Element) -> bool {
    faults(case).any(|text| {
        let last = text.trim_end().lines().next_back().unwrap_or("");
        let place = last.split_once(".py:").map(|(_, rest)| rest);
        let number = place.and_then(|rest| rest.split(':').next());
        number.is_some_and(|number| number.parse::<u32>().is_ok())
            && (text.starts_with("E  ") || text.contains("\nE  "))
    })
}

/// The dialect, where a case tells better than the ones before it: a module's and a class's name
/// look like Java's, and pytest's files are like any of Python's.
pub(crate) fn better(known: Dialect, case: &Element) -> Dialect {
    match known {
        Dialect::Java | Dialect::Unittest if is_pytest(case) => Dialect::Pytest,
        Dialect::Java if is_traceback(case) => Dialect::Unittest,
        known => known,
    }
}

/// What a case printed to standard output.
pub(crate) fn output(case: &Element) -> Option<Cow<'_, str>> {
    let mut all = case
        .children
        .iter()
        .filter(|child| child.name == "system-out");
    let first = all.next()?;
    let mut output = Cow::Borrowed(first.text.as_str());
    for more in all {
        output.to_mut().push_str(&more.text);
    }
    Some(output)
}

fn php(file: &Option<String>) -> bool {
    file.as_deref().is_some_and(|file| file.ends_with(".php"))
}

/// `main.go:3:2`.
fn is_place(class: &str) -> bool {
    let mut parts = class.rsplit(':');
    let number = |part: Option<&str>| part.is_some_and(|part| part.parse::<u32>().is_ok());
    number(parts.next()) && number(parts.next())
}

fn identifier(class: &str) -> bool {
    !class.is_empty()
        && class
            .chars()
            .all(|c| c.is_alphanumeric() || "._$".contains(c))
}

/// The id and the target of a case, by the dialect's conventions.
pub(crate) fn identity(
    case: &Element,
    suites: &[Suite],
    dialect: Dialect,
) -> (String, Option<String>) {
    let name = case.get("name").unwrap_or("").to_owned();
    let class = case.get("classname").unwrap_or("");
    let file = case.get("file");
    let suite = suites
        .iter()
        .rev()
        .find(|suite| suite.element == "testsuite");
    let suite_name = suite.map_or("", |suite| suite.name.as_str());
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    match dialect {
        Dialect::Pytest => (pytest_id(class, &name, file), None),
        Dialect::Unittest => (python_id(class, name), None),
        Dialect::Nextest => {
            let target = class.rsplit("::").next().unwrap_or(class);
            let target = target.rsplit('/').next().unwrap_or(target);
            (name, some(target))
        }
        Dialect::Java => java(&name, class, suite_name),
        Dialect::Phpunit => php_id(&name, case.get("class").unwrap_or(class), suites),
        Dialect::Go => (
            name,
            some(if class.is_empty() { suite_name } else { class }),
        ),
        Dialect::Vitest => (name, some(class)),
        Dialect::Playwright => (name.replace(" › ", " > "), some(class)),
        Dialect::Jest | Dialect::Mocha => {
            let root = suites.iter().find_map(|suite| suite.file.as_deref());
            let target = file.or(root).and_then(some);
            (titles(&name, class, suite_name), target)
        }
        Dialect::Node => {
            let outer = suites
                .iter()
                .filter(|suite| suite.element == "testsuite" && !suite.name.is_empty());
            let mut path: Vec<&str> = outer.map(|suite| suite.name.as_str()).collect();
            path.push(&name);
            (path.join(" > "), file.and_then(some))
        }
        Dialect::Gtest => {
            let owner = if class.is_empty() { suite_name } else { class };
            (format!("{owner}.{name}"), None)
        }
        Dialect::Ctest => (name, None),
        Dialect::Bats => (
            name,
            some(if class.is_empty() { suite_name } else { class }),
        ),
        Dialect::Rspec => (name, file.and_then(some).or_else(|| some(class))),
        Dialect::Minitest => {
            let owner = if class.is_empty() { suite_name } else { class };
            (format!("{owner}#{name}"), file.and_then(some))
        }
        Dialect::Cargo => match class.is_empty() || name.starts_with(class) {
            true => (name, some(suite_name)),
            false => (format!("{class}::{name}"), some(suite_name)),
        },
        Dialect::Linter => (name, None),
        Dialect::Dotnet | Dialect::Catch | Dialect::Other => {
            let owner = if class.is_empty() { suite_name } else { class };
            let target = some(owner).filter(|owner| *owner != name);
            let id = match (class.is_empty() || name.starts_with(class), name.is_empty()) {
                (_, true) => owner.to_owned(),
                (true, false) => name,
                (false, false) => format!("{class}.{name}"),
            };
            (id, target)
        }
    }
}

/// The class of a case that is a whole class, as Ant names it.
pub(crate) const AROUND: &str = "junit.framework.TestSuite";

/// `com.example.FooTest` and `bar` make `com.example.FooTest.bar`; what is the class's own has
/// the class's name.
fn java(name: &str, class: &str, suite: &str) -> (String, Option<String>) {
    // Ant's word for what failed around a class.
    let class = match class {
        "" => suite,
        AROUND => name,
        class => class,
    };
    let simple = class.rsplit('.').next().unwrap_or(class);
    let of_class = name.is_empty() || name == class || name == simple || name == "null";
    let id = match of_class || class.is_empty() {
        true if class.is_empty() => name.to_owned(),
        true => class.to_owned(),
        // JUnit 3 and 4 by Ant and the console: `bar(com.example.FooTest)`.
        false => match name.strip_suffix(&format!("({class})")) {
            Some(name) => format!("{class}.{name}"),
            None => format!("{class}.{name}"),
        },
    };
    (id, (!class.is_empty()).then(|| class.to_owned()))
}

fn php_id(name: &str, class: &str, suites: &[Suite]) -> (String, Option<String>) {
    let target = (!class.is_empty()).then(|| class.to_owned());
    if !class.is_empty() {
        return (format!("{class}::{name}"), target);
    }
    // What a data provider threw has the method's own suite around it.
    let method = suites
        .iter()
        .rev()
        .map(|suite| suite.name.as_str())
        .find(|suite| suite.contains("::"));
    match method {
        Some(method) => {
            let class = method.split("::").next().unwrap_or(method);
            (method.to_owned(), Some(class.to_owned()))
        }
        None => (name.to_owned(), None),
    }
}

/// Jest's and Mocha's files hold the titles joined by blanks; where the suite's or the class's
/// name is one of them, they can be told apart.
fn titles(name: &str, class: &str, suite: &str) -> String {
    // mocha-junit-reporter: the class is the last title, the name all of them.
    if class != name
        && let Some(outer) = name.strip_suffix(class)
        && outer.ends_with(' ')
        && !class.is_empty()
    {
        return format!("{} > {class}", outer.trim_end());
    }
    if class == name || class.is_empty() {
        let inner = name
            .strip_prefix(suite)
            .and_then(|rest| rest.strip_prefix(' '));
        return match inner {
            Some(inner) if !suite.is_empty() => format!("{suite} > {inner}"),
            _ => name.to_owned(),
        };
    }
    let named = name.starts_with(class) && name.len() > class.len();
    match named {
        true => format!("{class} > {}", name[class.len()..].trim_start()),
        false => format!("{class} > {name}"),
    }
}

/// What unittest prints: `tests.m.C.test_a`; class-wide steps are `setUpClass (tests.m.C)`.
fn python_id(class: &str, name: String) -> String {
    let step = name.starts_with("setUp") || name.starts_with("tearDown");
    let named = class.is_empty() || class.starts_with("unittest.case.FunctionTestCase");
    match named || step && name.contains(" (") {
        true => name,
        false => format!("{class}.{name}"),
    }
}

/// `tests.test_a.TestX` and `test_b[1]` make `tests/test_a.py::TestX::test_b[1]`.
fn pytest_id(class: &str, name: &str, file: Option<&str>) -> String {
    if class.is_empty() {
        // A file that could not be collected has its module as the name.
        return file.map_or_else(|| format!("{}.py", name.replace('.', "/")), str::to_owned);
    }
    let parts: Vec<&str> = class.split('.').collect();
    let module = parts
        .iter()
        .position(|part| part.starts_with(|c: char| c.is_ascii_uppercase()));
    let module = module.unwrap_or(parts.len());
    let path = file.map_or_else(
        || format!("{}.py", parts[..module].join("/")),
        str::to_owned,
    );
    let mut id = path;
    for class in &parts[module..] {
        id.push_str("::");
        id.push_str(class);
    }
    format!("{id}::{name}")
}
