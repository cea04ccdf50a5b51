//! What go prints when something does not compile, cannot be loaded, or is refused by vet.

use crate::go::frame;

/// More packages than this are not kept.
const MOST_GROUPS: usize = 500;
/// More lines than this are not kept of one.
const MOST_LINES: usize = 400;

/// The errors of one package.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Group {
    /// The package in the heading; empty where there is none.
    pub package: String,
    /// The errors.
    pub errors: Vec<Error>,
    /// The go command itself said that this build failed.
    pub sure: bool,
}

/// One error.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Error {
    /// File, line and column, as far as they were printed.
    pub place: Option<(String, Option<u32>, Option<u32>)>,
    /// What is wrong.
    pub message: String,
    /// The indented lines below it.
    pub more: Vec<String>,
}

/// Collects errors out of lines.
#[derive(Debug, Default)]
pub(crate) struct Builds {
    /// Package by package.
    pub groups: Vec<Group>,
    open: bool,
}

impl Builds {
    /// Takes a line if it belongs to a build's errors. `alone`: nothing else may be meant by a
    /// line, so that errors without a heading count.
    pub fn line(&mut self, line: &str, alone: bool) -> bool {
        if let Some(package) = heading(line) {
            // vet repeats the package in brackets.
            let repeated = self.open
                && self
                    .groups
                    .last()
                    .is_some_and(|g| g.errors.is_empty() && g.package == package);
            if !repeated && self.groups.len() < MOST_GROUPS {
                self.groups.push(Group {
                    package: package.to_owned(),
                    ..Group::default()
                });
            }
            self.open = true;
            return true;
        }
        if !self.open {
            if !alone || !starts_alone(line) {
                return false;
            }
            if self.groups.len() < MOST_GROUPS {
                self.groups.push(Group::default());
            }
            self.open = true;
        }
        self.open = self.inside(line, alone);
        self.open
    }

    fn inside(&mut self, line: &str, alone: bool) -> bool {
        let Some(group) = self.groups.last_mut() else {
            return false;
        };
        if group.errors.len() >= MOST_LINES {
            return false;
        }
        if line.starts_with('\t') {
            if let Some(last) = group.errors.last_mut() {
                if last.more.len() < 40 {
                    last.more.push(line.to_owned());
                }
                return true;
            }
            return false;
        }
        if let Some(error) = error(line) {
            group.errors.push(error);
            return true;
        }
        let loose = loads(line)
            || (group.errors.is_empty() && !group.package.is_empty() && !line.is_empty() && !alone);
        if loose {
            group.errors.push(Error {
                message: line.to_owned(),
                ..Error::default()
            });
        }
        loose
    }

    /// The next line begins something new.
    pub fn close(&mut self) {
        self.open = false;
    }
}

/// `# example.com/p [example.com/p.test]`
fn heading(line: &str) -> Option<&str> {
    let rest = line.strip_prefix("# ")?;
    if let Some(inner) = rest.strip_prefix('[') {
        return inner
            .strip_suffix(']')
            .filter(|name| frame::is_package(name));
    }
    let (name, variant) = rest
        .split_once(" [")
        .map_or((rest, ""), |(name, v)| (name, v));
    let fits = variant.is_empty() || variant.ends_with(".test]");
    (fits && frame::is_package(name)).then_some(name)
}

/// `lib/lib.go:4:9: message`, `vet: lib/lib.go:4:9: message`.
pub(crate) fn error(line: &str) -> Option<Error> {
    let line = line.strip_prefix("vet: ").unwrap_or(line);
    let (place, message) = split(line)?;
    Some(Error {
        place: Some(place),
        message: message.to_owned(),
        more: Vec::new(),
    })
}

type Place = (String, Option<u32>, Option<u32>);

fn split(line: &str) -> Option<(Place, &str)> {
    const KNOWN: [&str; 9] = [
        ".go", ".s", ".c", ".h", ".cc", ".cpp", ".mod", ".work", ".sum",
    ];
    let (file, rest) = line.split_at(memchr::memchr(b':', line.as_bytes())?);
    let known = KNOWN.iter().any(|known| file.ends_with(known));
    if !known || file.contains([' ', '\t', '"', '(']) && !file.starts_with('/') {
        return None;
    }
    let (number, rest) = rest[1..].split_once(':')?;
    let line: u32 = number.parse().ok()?;
    let column = rest
        .split_once(':')
        .and_then(|(column, rest)| Some((column.parse().ok()?, rest)));
    let (column, message) = match column {
        Some((column, rest)) => (Some(column), rest),
        None => (None, rest),
    };
    let message = message.strip_prefix(' ')?;
    Some(((file.to_owned(), Some(line), column), message))
}

/// What go says about packages that cannot be loaded, without a place.
fn loads(line: &str) -> bool {
    const STARTS: [&str; 9] = [
        "found packages ",
        "no Go files in ",
        "no non-test Go files in ",
        "build constraints exclude all Go files in ",
        "import cycle not allowed",
        "use of internal package ",
        "cannot find package ",
        "cannot find module ",
        "no required module provides package ",
    ];
    if !matches!(
        line.as_bytes().first(),
        Some(b'p' | b's' | b'f' | b'n' | b'b' | b'i' | b'u' | b'c')
    ) {
        return false;
    }
    (line.starts_with("package ") && !line.contains('\t') && line.split(' ').count() < 12)
        || (line.starts_with("stat ") && line.ends_with(": directory not found"))
        || (line.starts_with("pattern ") && line.contains(": "))
        || STARTS.iter().any(|start| line.starts_with(start))
}

fn starts_alone(line: &str) -> bool {
    match line.as_bytes().first() {
        None | Some(b' ' | b'\t' | b'{' | b'=' | b'-') => false,
        _ => error(line).is_some() || loads(line),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_stand_below_their_package() {
        let mut builds = Builds::default();
        let text = "# example.com/p [example.com/p.test]\np/a_test.go:4:2: undefined: x\np/a_test.go:5:16: cannot use y:\n\tmissing method\n./b.go:7: old style\nFAIL\texample.com/p [build failed]\n";
        let taken: Vec<bool> = text.lines().map(|line| builds.line(line, false)).collect();
        assert_eq!(taken, [true, true, true, true, true, false]);
        let group = &builds.groups[0];
        assert_eq!(group.package, "example.com/p");
        assert_eq!(group.errors.len(), 3);
        assert_eq!(
            group.errors[0].place,
            Some(("p/a_test.go".into(), Some(4), Some(2)))
        );
        assert_eq!(group.errors[1].more, ["\tmissing method"]);
        assert_eq!(
            group.errors[2].place,
            Some(("./b.go".into(), Some(7), None))
        );
    }

    #[test]
    fn loading_has_forms_without_a_place() {
        let mut builds = Builds::default();
        for line in [
            "package a/b",
            "\timports a/c",
            "\timports a/b: import cycle not allowed",
        ] {
            assert!(builds.line(line, true), "{line}");
        }
        assert!(!builds.line("and so on", true));
        assert!(!builds.line("12:30: nothing", true));
        assert_eq!(builds.groups[0].errors.len(), 1);
    }
}
