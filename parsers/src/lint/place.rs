//! Where a line names a place of a source file. Most lines of a log name none, and that has to
//! be seen quickly.

use crate::cc::digits;
use crate::context::Context;

/// What kind of source a file's name speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Language {
    /// Python.
    Python,
    /// JavaScript, TypeScript and what is compiled to them.
    Script,
    /// Go.
    Go,
    /// Rust.
    Rust,
    /// C, C++ and their kin.
    C,
    /// Java, Kotlin, Scala, Groovy.
    Jvm,
    /// A shell's.
    Shell,
    /// Anything else that tools check.
    Other,
}

/// The language by the end of a file's name; nothing if no tool checks such files: a word with a
/// dot in it (`example.com:80`, `v1.2:3`) is no file.
pub(crate) fn language(file: &str) -> Option<Language> {
    let base = file.rsplit(['/', '\\']).next().unwrap_or(file);
    let end = base.rsplit_once('.').map_or("", |(_, end)| end);
    Some(match end {
        "py" | "pyi" | "pyx" | "ipynb" => Language::Python,
        "js" | "jsx" | "mjs" | "cjs" | "ts" | "tsx" | "mts" | "cts" | "vue" | "svelte"
        | "astro" => Language::Script,
        "go" => Language::Go,
        "rs" => Language::Rust,
        "c" | "h" | "cc" | "cpp" | "cxx" | "c++" | "hh" | "hpp" | "hxx" | "h++" | "inl" | "ipp"
        | "tcc" | "m" | "mm" | "s" | "S" | "C" | "H" | "cu" | "cuh" | "ino" | "ii" | "i" | "f"
        | "f90" | "F90" | "f95" | "for" | "d" | "y" | "l" => Language::C,
        "java" | "kt" | "kts" | "scala" | "groovy" => Language::Jvm,
        "sh" | "bash" | "ksh" | "dash" | "bats" | "zsh" => Language::Shell,
        "css" | "scss" | "sass" | "less" | "html" | "htm" | "json" | "jsonc" | "json5" | "yml"
        | "yaml" | "toml" | "md" | "mdx" | "rb" | "rake" | "erb" | "php" | "lua" | "swift"
        | "cs" | "fs" | "vb" | "csproj" | "hs" | "ml" | "mli" | "ex" | "exs" | "erl" | "hrl"
        | "clj" | "dart" | "zig" | "nim" | "v" | "sv" | "vhd" | "vhdl" | "pl" | "pm" | "t"
        | "r" | "R" | "jl" | "tf" | "proto" | "graphql" | "gql" | "sql" | "xml" | "xsd" | "tex"
        | "rst" | "adoc" | "cmake" | "mk" | "nix" | "sol" | "elm" | "asm" | "adb" | "ads"
        | "pas" | "cr" | "ld" | "lds" | "gradle" | "properties" | "glsl" | "vert" | "frag"
        | "wgsl" | "hlsl" | "templ" | "rego" | "hcl" | "bzl" | "robot" | "feature" => {
            Language::Other
        }
        _ => match base {
            "Dockerfile" | "Makefile" | "GNUmakefile" | "Jenkinsfile" | "Gemfile" | "Rakefile"
            | "CMakeLists.txt" | "meson.build" | "BUILD" | "BUILD.bazel" | "go.mod" => {
                Language::Other
            }
            _ => return None,
        },
    })
}

/// Whether a number stands behind a colon or a bracket, and the end of a file's name before it:
/// `.py:3`, `Makefile:3`.
pub(crate) fn may_name(line: &[u8]) -> bool {
    memchr::memchr2_iter(b':', b'(', line).any(|at| {
        if !line.get(at + 1).is_some_and(u8::is_ascii_digit) {
            return false;
        }
        let before = &line[..at];
        let end = before.iter().rev().take(12);
        let word = end.take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'+');
        let length = word.count();
        let dot = before.len() > length && before[before.len() - length - 1] == b'.';
        length > 0
            && dot
            && before[before.len() - length..]
                .iter()
                .any(u8::is_ascii_alphabetic)
            || before.ends_with(b"file")
            || before.ends_with(b"BUILD")
    })
}

/// A place at the beginning of a line.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Placed<'a> {
    /// The file as the tool names it.
    pub file: &'a str,
    /// What its name speaks of.
    pub language: Language,
    /// The line.
    pub line: u32,
    /// The column as the tool counts it.
    pub column: Option<u32>,
    /// What stands behind the place, without the colon and the blanks between.
    pub rest: &'a str,
    /// The place stands in brackets: `a.ts(3,5)`.
    pub brackets: bool,
}

/// The place at the beginning of a line: `file:line:column: …`, `file:line: …`,
/// `file:line:column - …`, `file(line,column): …`.
pub(crate) fn split<'a>(line: &'a str, context: &Context) -> Option<Placed<'a>> {
    let line = line.trim_start();
    // A drive's letter has a colon, too.
    let drive = match line.as_bytes() {
        [letter, b':', b'\\' | b'/', ..] if letter.is_ascii_alphabetic() => 2,
        _ => 0,
    };
    let found = memchr::memchr2_iter(b':', b'(', &line.as_bytes()[drive..]).find_map(|at| {
        let at = at + drive;
        let (number, rest) = digits(line.get(at + 1..)?);
        Some((at, number?, rest))
    });
    let (at, number, rest) = found?;
    let file = &line[..at];
    if file.is_empty() || file.len() > 1000 || file.contains("://") {
        return None;
    }
    // `see a.py:3: error` is somebody's sentence, unless there is such a file.
    let odd = |c: char| {
        matches!(
            c,
            '\'' | '"' | '`' | '(' | '[' | '<' | '=' | ',' | '|' | '>'
        )
    };
    if file.contains([' ', '\t']) && !context.tree.holds(&context.relative(file)) {
        return None;
    }
    if file.starts_with(odd) || file.contains(['"', '\'', '`', '=']) {
        return None;
    }
    let language = language(file)?;
    let brackets = line.as_bytes()[at] == b'(';
    let (column, rest) = match brackets {
        true => bracketed(rest)?,
        false => colons(rest)?,
    };
    Some(Placed {
        file,
        language,
        line: number,
        column,
        rest,
        brackets,
    })
}

/// `,5): …` behind the line.
fn bracketed(rest: &str) -> Option<(Option<u32>, &str)> {
    let (inside, rest) = rest.split_once(')')?;
    let column = inside.strip_prefix(',').and_then(|rest| digits(rest).0);
    (inside.is_empty() || column.is_some()).then_some(())?;
    Some((column, rest.trim_start().strip_prefix(':')?.trim_start()))
}

/// `:5: …`, `: …`, `:5 - …`, `:5:7:9: …` behind the line.
fn colons(rest: &str) -> Option<(Option<u32>, &str)> {
    let (column, mut rest) = match rest.strip_prefix(':').map(digits) {
        Some((Some(column), rest)) => (Some(column), rest),
        // Pylint and others count columns from 0.
        Some((None, after)) if rest.starts_with(":0:") => (Some(0), after),
        _ => (None, rest),
    };
    // mypy's end of the place.
    if column.is_some()
        && let Some((Some(_), after)) = rest.strip_prefix(':').map(digits)
    {
        rest = after;
        if let Some((Some(_), after)) = rest.strip_prefix(':').map(digits) {
            rest = after;
        }
    }
    let behind = rest
        .strip_prefix(": ")
        .or_else(|| rest.strip_prefix(" - ").filter(|_| column.is_some()))
        .or_else(|| rest.strip_prefix(' ').filter(|_| column.is_some()))?;
    Some((column, behind.trim_start()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_split_off() {
        let context = Context::default();
        let of = |line| split(line, &context).map(|at| (at.file, at.line, at.column, at.rest));
        assert_eq!(of("src/a.py:3:5: x"), Some(("src/a.py", 3, Some(5), "x")));
        assert_eq!(of("a.py:3: x"), Some(("a.py", 3, None, "x")));
        assert_eq!(of("a.py:3:0: x"), Some(("a.py", 3, Some(0), "x")));
        assert_eq!(of("a.py:3:5:4:9: x"), Some(("a.py", 3, Some(5), "x")));
        assert_eq!(of("  /p/a.py:3:5 - x"), Some(("/p/a.py", 3, Some(5), "x")));
        assert_eq!(of("a.ts(3,5): x"), Some(("a.ts", 3, Some(5), "x")));
        assert_eq!(
            of("C:\\p\\a.ts:3:5 - x"),
            Some(("C:\\p\\a.ts", 3, Some(5), "x"))
        );
        for no in [
            "12:30:01: x",
            "2026-01-01T12:30:01: error: x",
            "10.0.0.1:8080: error: refused",
            "example.com:80: error: x",
            "https://example.com/a.js:3:5: x",
            "see a.py:3: error: x",
            "\"a.py:3: error\"",
            "a.py: x",
        ] {
            assert!(of(no).is_none(), "{no}");
        }
    }

    #[test]
    fn lines_without_a_place_are_passed_over() {
        for no in [
            "2026-01-01T12:30:01Z INFO all is well: 3 of 5",
            "12:30:01 (3 of 5)",
            "Running: a.b.c (5)",
        ] {
            assert!(!may_name(no.as_bytes()), "{no}");
        }
        for yes in ["a.c:3:5: error", "x a.ts(3,5): error", "Makefile:3: x"] {
            assert!(may_name(yes.as_bytes()), "{yes}");
        }
    }
}
