//! What one line of TAP is, without its indentation.

/// A remark on a test that changes what its result means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Directive {
    /// The test did not run.
    Skip,
    /// The test is expected to fail.
    Todo,
}

/// `ok 3 - name # SKIP why`, or `not ok …`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Test<'a> {
    /// Whether the line begins with `ok`.
    pub ok: bool,
    /// Its number, where it has one.
    pub number: Option<u32>,
    /// The description, its escapes still in it.
    pub name: &'a str,
    /// The directive and what it says.
    pub directive: Option<(Directive, &'a str)>,
    /// `# time=12.3ms`, in milliseconds.
    pub millis: Option<u64>,
    /// The line ends with `{`: its subtests follow.
    pub opens: bool,
}

/// A line of TAP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Token<'a> {
    /// `TAP version 14`.
    Version,
    /// `1..5`; the reason where everything is skipped.
    Plan(u32, Option<&'a str>),
    /// A result.
    Test(Test<'a>),
    /// `Bail out! why`.
    Bail(&'a str),
    /// `# Subtest: name`.
    Subtest(&'a str),
    /// `# anything else`, without the sign and one blank.
    Comment(&'a str),
    /// `---`.
    Yaml,
    /// `}`.
    Close,
    /// Nothing of TAP's.
    Other,
}

/// Reads a line that has no indentation any more.
pub(crate) fn token(line: &str) -> Token<'_> {
    let known = match line.as_bytes().first() {
        Some(b'o' | b'n') => test(line).map(Token::Test),
        Some(b'1') => plan(line),
        Some(b'#') => Some(comment(line)),
        Some(b'T' | b'K') => version(line),
        Some(b'B') => line
            .strip_prefix("Bail out!")
            .map(|why| Token::Bail(why.trim())),
        Some(b'-') if line.trim_end() == "---" => Some(Token::Yaml),
        Some(b'}') if line.trim_end() == "}" => Some(Token::Close),
        _ => None,
    };
    known.unwrap_or(Token::Other)
}

fn version(line: &str) -> Option<Token<'_>> {
    let rest = line.strip_prefix('K').unwrap_or(line);
    let number = rest.strip_prefix("TAP version ")?.trim();
    number.parse::<u32>().ok().map(|_| Token::Version)
}

fn plan(line: &str) -> Option<Token<'_>> {
    let rest = line.strip_prefix("1..")?;
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let count: u32 = rest[..digits].parse().ok()?;
    let rest = rest[digits..].trim();
    if rest.is_empty() {
        return Some(Token::Plan(count, None));
    }
    let words = rest.strip_prefix('#')?.trim_start();
    match directive_word(words) {
        Some((Directive::Skip, why)) => Some(Token::Plan(count, Some(why))),
        // node-tap's and others' plain remark on the plan.
        _ => Some(Token::Plan(count, (count == 0).then_some(words))),
    }
}

fn comment(line: &str) -> Token<'_> {
    let rest = line.get(1..).unwrap_or("");
    let rest = rest.strip_prefix(' ').unwrap_or(rest);
    match rest.strip_prefix("Subtest:") {
        Some(name) => Token::Subtest(name.trim()),
        None => Token::Comment(rest),
    }
}

fn test(line: &str) -> Option<Test<'_>> {
    let (ok, rest) = match line.strip_prefix("not ok") {
        Some(rest) => (false, rest),
        None => (true, line.strip_prefix("ok")?),
    };
    if !rest.is_empty() && !rest.starts_with([' ', '\t']) {
        return None;
    }
    let rest = rest.trim();
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let after = &rest[digits..];
    let numbered = digits > 0 && (after.is_empty() || after.starts_with(' '));
    let (number, rest) = match numbered {
        true => (Some(rest[..digits].parse().ok()?), after.trim_start()),
        false => (None, rest),
    };
    let rest = rest.strip_prefix("- ").unwrap_or(rest);
    let rest = if rest == "-" { "" } else { rest };
    let (rest, opens) = match rest.strip_suffix(" {") {
        Some(rest) => (rest, true),
        None => (rest, rest == "{"),
    };
    let mut found = Test {
        ok,
        number,
        name: if opens && rest == "{" { "" } else { rest },
        directive: None,
        millis: None,
        opens,
    };
    if memchr::memchr(b'#', rest.as_bytes()).is_none() {
        return Some(found);
    }
    // The first `#` that is not escaped and is followed by a word that is known.
    for (at, _) in rest.match_indices('#') {
        let escaped = rest[..at].bytes().rev().take_while(|b| *b == b'\\').count() % 2 == 1;
        if escaped || (at > 0 && !rest[..at].ends_with([' ', '\t'])) {
            continue;
        }
        let words = rest[at + 1..].trim_start();
        if let Some(directive) = directive_word(words) {
            found.directive = Some(directive);
        } else if let Some(millis) = time(words) {
            found.millis = Some(millis);
        } else {
            continue;
        }
        found.name = rest[..at].trim_end();
        let rest = words.split_once(" # ").map_or("", |(_, rest)| rest);
        found.directive = found.directive.or_else(|| directive_word(rest));
        found.millis = found.millis.or_else(|| time(rest));
        break;
    }
    Some(found)
}

/// `SKIP why`, `skipped: why`, `TODO`.
fn directive_word(words: &str) -> Option<(Directive, &str)> {
    let start = words.get(..4)?;
    let directive = if start.eq_ignore_ascii_case("skip") {
        Directive::Skip
    } else if start.eq_ignore_ascii_case("todo") {
        Directive::Todo
    } else {
        return None;
    };
    // `SKIPPED` and `skip:` are seen, too.
    let rest = &words[4..];
    let letters = rest.bytes().take_while(u8::is_ascii_alphanumeric).count();
    if letters > 0 && (directive == Directive::Todo || !rest[..letters].eq_ignore_ascii_case("ped"))
    {
        return None;
    }
    Some((
        directive,
        rest[letters..].trim_start_matches([':', ' ', '-']).trim(),
    ))
}

/// `time=12.3ms`, `time=2s`.
fn time(words: &str) -> Option<u64> {
    let word = words.strip_prefix("time=")?.split(' ').next()?;
    let (number, factor) = match word.strip_suffix("ms") {
        Some(number) => (number, 1.0),
        None => (word.strip_suffix('s')?, 1000.0),
    };
    let number: f64 = number.parse().ok()?;
    (number.is_finite() && number >= 0.0).then_some((number * factor) as u64)
}

/// A description without its escapes.
pub(crate) fn unescaped(name: &str) -> String {
    if memchr::memchr(b'\\', name.as_bytes()).is_none() {
        return name.to_owned();
    }
    let mut out = String::with_capacity(name.len());
    let mut chars = name.chars().peekable();
    while let Some(c) = chars.next() {
        match chars.peek() {
            Some(next @ ('#' | '\\')) if c == '\\' => {
                out.push(*next);
                chars.next();
            }
            _ => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> (bool, Option<u32>, String, Option<(Directive, String)>) {
        let Token::Test(test) = token(line) else {
            panic!("no result: {line}");
        };
        let directive = test.directive.map(|(word, why)| (word, why.to_owned()));
        (test.ok, test.number, unescaped(test.name), directive)
    }

    #[test]
    fn results_are_read() {
        let name = |text: &str| text.to_owned();
        assert_eq!(read("ok"), (true, None, name(""), None));
        assert_eq!(read("not ok 3"), (false, Some(3), name(""), None));
        assert_eq!(read("ok 3 - a - b"), (true, Some(3), name("a - b"), None));
        assert_eq!(read("not ok a name"), (false, None, name("a name"), None));
        assert_eq!(
            read("ok 2nd of them"),
            (true, None, name("2nd of them"), None)
        );
        let skip = Some((Directive::Skip, name("why")));
        assert_eq!(
            read("ok 1 # skip why"),
            (true, Some(1), name(""), skip.clone())
        );
        assert_eq!(
            read("ok 1 a # SKIP: why"),
            (true, Some(1), name("a"), skip.clone())
        );
        assert_eq!(
            read("ok 1 a # Skipped: why"),
            (true, Some(1), name("a"), skip)
        );
        let todo = Some((Directive::Todo, name("")));
        assert_eq!(
            read("not ok 1 - a #TODO"),
            (false, Some(1), name("a"), todo)
        );
        assert_eq!(
            read(r"not ok 1 a \# TODO"),
            (false, Some(1), name("a # TODO"), None)
        );
        assert_eq!(
            read("not ok 1 issue #12"),
            (false, Some(1), name("issue #12"), None)
        );
        assert_eq!(
            read("not ok 1 a # todos"),
            (false, Some(1), name("a # todos"), None)
        );
        assert_eq!(read(r"ok 1 a \\ b"), (true, Some(1), name(r"a \ b"), None));
        assert_eq!(token("okay"), Token::Other);
        assert_eq!(token("ok_1"), Token::Other);
        assert_eq!(token("nothing"), Token::Other);
    }

    #[test]
    fn times_and_braces_belong_to_no_name() {
        let Token::Test(test) = token("not ok 1 - a.test.ts # time=12.50ms {") else {
            panic!("no result");
        };
        assert_eq!(
            (test.name, test.millis, test.opens),
            ("a.test.ts", Some(12), true)
        );
        let Token::Test(test) = token("ok 1 - b # time=1s # SKIP x") else {
            panic!("no result");
        };
        assert_eq!(
            (test.name, test.directive),
            ("b", Some((Directive::Skip, "x")))
        );
    }

    #[test]
    fn other_lines_are_read() {
        assert_eq!(token("1..5"), Token::Plan(5, None));
        assert_eq!(token("1..0 # SKIP none"), Token::Plan(0, Some("none")));
        assert_eq!(token("1..5 apples"), Token::Other);
        assert_eq!(token("1...5"), Token::Other);
        assert_eq!(token("TAP version 14"), Token::Version);
        assert_eq!(token("TAP version of it"), Token::Other);
        assert_eq!(token("# Subtest: a b"), Token::Subtest("a b"));
        assert_eq!(token("#  x"), Token::Comment(" x"));
        assert_eq!(token("Bail out! gone"), Token::Bail("gone"));
    }
}
