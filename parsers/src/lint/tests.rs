//! Lines as the tools print them, and lines that only look so.

use super::*;

fn read(text: &str) -> Said {
    let context = Context::rooted("/p");
    let mut reader = Reader::new(&context);
    let mut lines = crate::lines::Lines::default();
    lines.each(text.as_bytes(), |seen| reader.line(&seen, &context));
    if let Some(line) = lines.finish() {
        reader.line(&line.seen(), &context);
    }
    reader.finish(&context)
}

fn ids(text: &str) -> Vec<String> {
    let said = read(text);
    let all = said.failures.iter();
    all.map(|failure| format!("{} | {}", failure.id, failure.message))
        .collect()
}

#[test]
fn one_line_each() {
    for (line, expected) in [
        (
            "src/a.ts(3,5): error TS2304: Cannot find name 'x'.",
            "src/a.ts:3:5 TS2304 | Cannot find name 'x'.",
        ),
        (
            "src/a.ts:3:5 - error TS2304: Cannot find name 'x'.",
            "src/a.ts:3:5 TS2304 | Cannot find name 'x'.",
        ),
        (
            "error TS18003: No inputs were found in config file 'x'.",
            "TS18003 | No inputs were found in config file 'x'.",
        ),
        (
            "/p/a.js: line 3, col 5, Error - 'x' is not defined. (no-undef)",
            "a.js:3:5 no-undef | 'x' is not defined.",
        ),
        (
            "/p/a.js:3:5: 'x' is not defined. [Error/no-undef]",
            "a.js:3:5 no-undef | 'x' is not defined.",
        ),
        (
            "a/d.py:5:1: F401 [*] `os` imported but unused",
            "a/d.py:5:1 F401 | `os` imported but unused",
        ),
        (
            "broken.py:1:12: invalid-syntax: Expected a parameter",
            "broken.py:1:12 invalid-syntax | Expected a parameter",
        ),
        (
            "e.py:7: error: Incompatible types  [assignment]",
            "e.py:7 assignment | Incompatible types",
        ),
        (
            "/p/a.py:1:11 - error: \"(\" was not closed",
            "a.py:1:11 | \"(\" was not closed",
        ),
        (
            "a.py:1:0: C0114: Missing module docstring (missing-module-docstring)",
            "a.py:1:1 C0114 | Missing module docstring (missing-module-docstring)",
        ),
        (
            "a.py:1: [C0114(missing-module-docstring), ] Missing module docstring",
            "a.py:1 C0114 | Missing module docstring (missing-module-docstring)",
        ),
        (
            "./a.go:5:2: imported and not used: \"os\"",
            "a.go:5:2 | imported and not used: \"os\"",
        ),
        ("vet: ./a.go:5:2: undefined: x", "a.go:5:2 | undefined: x"),
        (
            "a.go:5:2: Error return value is not checked (errcheck)",
            "a.go:5:2 errcheck | Error return value is not checked",
        ),
        (
            "a.sh:3:6: note: Double quote. [SC2086]",
            "a.sh:3:6 SC2086 | Double quote.",
        ),
        (
            "Program.cs(3,5): error CS0103: The name 'x' does not exist",
            "Program.cs:3:5 CS0103 | The name 'x' does not exist",
        ),
        (
            "a.swift:3:5: error: cannot find 'x' in scope",
            "a.swift:3:5 | cannot find 'x' in scope",
        ),
        (
            "a.yml:3:5: [error] trailing spaces (trailing-spaces)",
            "a.yml:3:5 trailing-spaces | trailing spaces",
        ),
        (
            "a.rb:3:5: C: [Correctable] Style/StringLiterals: Prefer single",
            "a.rb:3:5 Style/StringLiterals | Prefer single",
        ),
        (
            "::error title=lint/x,file=src/a.js,line=3,col=5::This is bad.",
            "src/a.js:3:5 lint/x | This is bad.",
        ),
        ("would reformat /p/a.py", "a.py | would be reformatted"),
        (
            "/p/src/a.c:3:5: error: expected ';' before 'x'",
            "src/a.c:3:5 | expected ';' before 'x'",
        ),
        (
            "src/b.c:10: fatal error: b.h: No such file",
            "src/b.c:10 | b.h: No such file",
        ),
        (
            "src/A.java:3: error: ';' expected",
            "src/A.java:3 | ';' expected",
        ),
        (
            "src/lib.rs:3:5: error[E0432]: unresolved import `x`",
            "src/lib.rs:3:5 E0432 | unresolved import `x`",
        ),
    ] {
        assert_eq!(ids(&format!("{line}\n")), [expected], "{line}");
    }
}

#[test]
fn prose_and_logs_say_nothing() {
    let log = "\
0 errors, 2 warnings
error handling test: ok
FAILED attempts: 0
ERROR: nothing
error: something went wrong
warning: it is late
12:30:01: error: not a place
2026-01-01T12:30:01: error: not a place
2026-01-01 12:30:01,123 ERROR app.py:33 not a message
10.0.0.1:8080: error: refused
db.example.com:5432: error: refused
main.go:12: listening
    a_test.go:12:3: what a test logs
at f (/p/a.js:3:5)
  File \"a.py\", line 3, in f
thread 'main' panicked at src/lib.rs:3:5:
test.sh: line 3: error: no number
see a.py:3: error: in the manual
\"a.py:3: error: quoted\"
[1/3] a.c:3 is fine
{\"level\":\"error\",\"message\":\"x\",\"file\":\"a.py\",\"line\":3}
[
make: *** [Makefile:3: test] Error 1
Found 3 errors in the archive
";
    assert_eq!(ids(log), [] as [&str; 0]);
    assert!(read(log).doubtful.is_empty());
}

#[test]
fn blocks_are_kept_whole_and_hints_with_them() {
    let said = read(
        "a.ts:3:5 - error TS2551: Property 'nmae' does not exist. Did you mean 'name'?

3   return x.nmae;
             ~~~~

  b.ts:1:2
    1 name: string
    'name' is declared here.

F401 [*] `os` imported but unused
 --> pkg/a.py:1:8
  |
1 | import os
  |        ^^
  |
help: Remove unused import: `os`

/p/b.py
  /p/b.py:7:12 - error: Type \"str\" is not assignable
\u{a0}\u{a0}\u{a0}\u{a0}\"str\" is not assignable to \"int\" (reportReturnType)
c.py:25: error: Signature incompatible  [override]
c.py:25: note:      Superclass:
d.py:3: note: Revealed type is \"int\"
",
    );
    let shown: Vec<(&str, Option<&str>, usize)> = said
        .failures
        .iter()
        .map(|one| {
            let lines = one
                .details
                .as_deref()
                .map_or(0, |text| text.lines().count());
            (one.id.as_str(), one.suggestion.as_deref(), lines)
        })
        .collect();
    assert_eq!(
        shown,
        [
            ("a.ts:3:5 TS2551", Some("Did you mean 'name'?"), 8),
            ("pkg/a.py:1:8 F401", Some("Remove unused import: `os`"), 7),
            ("b.py:7:12 reportReturnType", None, 2),
            ("c.py:25 override", None, 2),
        ]
    );
}

#[test]
fn the_same_thing_is_told_once_and_a_number_that_agrees_makes_it_whole() {
    let one = "a.ts(3,5): error TS2304: Cannot find name 'x'.\n";
    let said = read(&format!("{one}{one}\nFound 1 error in a.ts:3\n\n"));
    assert_eq!((said.failures.len(), said.whole), (1, true));
    let said = read(&format!("{one}Found 2 errors in 1 file.\n"));
    assert!(!said.whole);
}

#[test]
fn documents_stand_between_other_lines() {
    let text = "> eslint -f json
[{\"filePath\":\"/p/a.js\",\"messages\":[{\"ruleId\":\"no-undef\",\"severity\":2,\"message\":\"'x' is not defined.\",\"line\":3,\"column\":5},{\"ruleId\":\"eqeqeq\",\"severity\":1,\"message\":\"b.c:1:1: error: y\",\"line\":4,\"column\":5}]}]
[
  {
    \"code\": \"F401\",
    \"filename\": \"/p/a.py\",
    \"location\": { \"row\": 1, \"column\": 8 },
    \"message\": \"`os` imported but unused\"
  }
]
{\"file\": \"b.py\", \"line\": 7, \"column\": 11, \"message\": \"bad\", \"hint\": null, \"code\": \"misc\", \"severity\": \"error\"}
{
  \"unfinished\": [
a.ts(3,5): error TS2304: Cannot find name 'x'.
";
    assert_eq!(
        ids(text),
        [
            "a.js:3:5 no-undef | 'x' is not defined.",
            "a.py:1:8 F401 | `os` imported but unused",
            "b.py:7:12 misc | bad",
            "a.ts:3:5 TS2304 | Cannot find name 'x'.",
        ]
    );
    assert_eq!(read(text).warnings.len(), 1);
}
