//! The YAML block below a result, read as far as producers of TAP go.
//!
//! Maps become keys that are joined by dots; a value that is a map or a list is also kept as the
//! text that it is.

/// More entries than this are not kept.
const MOST: usize = 200;
/// Deeper maps are text.
const DEEPEST: usize = 6;

/// One value.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    key: String,
    /// The value itself.
    value: String,
    /// As it stands there, if that is one line.
    raw: String,
}

/// A block that was read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Yaml(Vec<Entry>);

impl Yaml {
    /// Reads the lines between `---` and `...`.
    pub fn read(text: &str) -> Yaml {
        let lines: Vec<&str> = text.lines().collect();
        let mut yaml = Yaml::default();
        yaml.map(&lines, "", 0);
        yaml
    }

    /// The value of the first of these keys that is there and says something.
    pub fn get(&self, keys: &[&str]) -> Option<&str> {
        keys.iter().find_map(|key| {
            let entry = self.0.iter().find(|entry| entry.key == *key)?;
            let value = entry.value.as_str();
            (!matches!(value.trim(), "" | "~" | "null")).then_some(value)
        })
    }

    /// A value as the producer printed it: strings in single quotes are its own way to show
    /// them (`'a'` is no `a`), double quotes are YAML's.
    pub fn printed(&self, keys: &[&str]) -> Option<&str> {
        keys.iter().find_map(|key| {
            let entry = self.0.iter().find(|entry| entry.key == *key)?;
            Some(match entry.raw.starts_with('\'') {
                true => entry.raw.as_str(),
                false => entry.value.as_str(),
            })
        })
    }

    fn push(&mut self, key: String, value: String, raw: &str) {
        if self.0.len() < MOST {
            let raw = raw.to_owned();
            self.0.push(Entry { key, value, raw });
        }
    }

    fn map(&mut self, lines: &[&str], before: &str, depth: usize) {
        let own = lines.iter().find(|line| !line.trim().is_empty());
        let Some(indent) = own.map(|line| indent(line)) else {
            return;
        };
        let mut at = 0;
        while at < lines.len() {
            let line = lines[at];
            at += 1;
            if self::indent(line) != indent || line.trim().is_empty() {
                continue;
            }
            let Some((key, value)) = pair(line.trim()) else {
                continue;
            };
            let from = at;
            let open = opens(line);
            let mut quoted = open;
            while at < lines.len() && (quoted || belongs(lines[at], indent)) {
                quoted = match quoted {
                    true => !closes(lines[at]),
                    false => opens(lines[at]),
                };
                at += 1;
            }
            if open && !lines[from..at].iter().all(|line| belongs(line, indent)) {
                let whole = [&[value], &lines[from..at]].concat().join("\n");
                let whole = whole.trim_end();
                self.push(joined(before, key), unquoted(whole), whole);
                continue;
            }
            let key = joined(before, key);
            self.value(key, value, &lines[from..at], depth);
        }
    }

    fn value(&mut self, key: String, value: &str, below: &[&str], depth: usize) {
        match value.as_bytes().first() {
            Some(b'|' | b'>') if value.len() <= 4 => {
                let text = block(below);
                let text = match value.starts_with('>') {
                    true => text.split('\n').collect::<Vec<_>>().join(" "),
                    false => text,
                };
                self.push(key, text.trim_end().to_owned(), "");
            }
            None => {
                let text = block(below);
                if depth < DEEPEST && !text.starts_with("- ") {
                    self.map(below, &key, depth + 1);
                }
                self.push(key, text.trim_end().to_owned(), "");
            }
            // A plain or quoted value may go on in the next lines.
            _ => {
                let mut whole = value.to_owned();
                for line in below {
                    whole.push('\n');
                    whole.push_str(line.trim());
                }
                let whole = whole.trim_end();
                self.push(key, unquoted(whole), whole);
            }
        }
    }
}

fn joined(before: &str, key: &str) -> String {
    match before {
        "" => key.to_owned(),
        before => format!("{before}.{key}"),
    }
}

/// Whether a line begins a value in double quotes that does not end in it.
pub(crate) fn opens(line: &str) -> bool {
    let Some((_, value)) = line.split_once(": \"") else {
        return false;
    };
    let quotes = value.match_indices('"');
    let ends = quotes.filter(|(at, _)| closes(&value[..=*at])).count();
    ends == 0 && pair(line.trim()).is_some_and(|(_, whole)| whole.starts_with('"'))
}

/// Whether a line ends with a double quote that is not escaped.
pub(crate) fn closes(line: &str) -> bool {
    let Some(rest) = line.trim_end().strip_suffix('"') else {
        return false;
    };
    let escapes = rest.bytes().rev().take_while(|byte| *byte == b'\\').count();
    escapes % 2 == 0
}

fn indent(line: &str) -> usize {
    line.bytes().take_while(|byte| *byte == b' ').count()
}

/// Whether a line belongs to the value of a key with this indentation. Items of a list may
/// stand as far to the left as the key.
fn belongs(line: &str, key: usize) -> bool {
    let own = indent(line);
    line.trim().is_empty() || own > key || (own == key && line[own..].starts_with("- "))
}

/// `key: value`, `'key': value`, `key:`.
fn pair(line: &str) -> Option<(&str, &str)> {
    let (key, value) = match line.split_once(": ") {
        Some(pair) => pair,
        None => (line.strip_suffix(':')?, ""),
    };
    let key = key.trim().trim_matches(['"', '\'']);
    let known = !key.is_empty()
        && key.len() <= 80
        && key
            .chars()
            .all(|c| c.is_alphanumeric() || "_-$. ".contains(c));
    known.then(|| (key, value.trim()))
}

/// The lines without what they are all indented by.
fn block(lines: &[&str]) -> String {
    let shared = lines
        .iter()
        .filter(|line| !line.trim().is_empty())
        .map(|line| indent(line))
        .next()
        .unwrap_or(0);
    let cut: Vec<&str> = lines
        .iter()
        .map(|line| &line[indent(line).min(shared)..])
        .collect();
    cut.join("\n")
}

/// A scalar without its quotes and escapes.
fn unquoted(value: &str) -> String {
    let inner = |quote: char| {
        let inner = value.strip_prefix(quote)?.strip_suffix(quote)?;
        Some(inner)
    };
    if let Some(inner) = inner('\'') {
        return inner.replace("''", "'");
    }
    let Some(inner) = inner('"') else {
        return value.to_owned();
    };
    let mut out = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('n') => out.push('\n'),
            Some('t') => out.push('\t'),
            Some('r') => {}
            Some('u') => {
                let code: String = chars.by_ref().take(4).collect();
                let code = u32::from_str_radix(&code, 16).ok();
                out.extend(code.and_then(char::from_u32));
            }
            Some(other) => out.push(other),
            None => out.push('\\'),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_of_several_producers_are_read() {
        let yaml = Yaml::read(
            "duration_ms: 1.5\nlocation: '/p/a.js:1:2'\nerror: |-\n  Expected:\n  \n    1 !== 2\n  \nname: 'AssertionError'\nexpected: 'it''s'\nactual: ~\nat:\n  line: 5\n  file: test/a.js\nstack: |-\n  f (/p/a.js:3:4)\n  g (/p/b.js:5:6)\n",
        );
        assert_eq!(yaml.get(&["location"]), Some("/p/a.js:1:2"));
        assert_eq!(yaml.get(&["error"]), Some("Expected:\n\n  1 !== 2"));
        assert_eq!(yaml.get(&["at.file"]), Some("test/a.js"));
        assert_eq!(yaml.get(&["at.line"]), Some("5"));
        assert_eq!(yaml.printed(&["expected"]), Some("'it''s'"));
        assert_eq!(yaml.get(&["actual"]), None);
        assert_eq!(
            yaml.get(&["stack"]).map(|text| text.lines().count()),
            Some(2)
        );
        let lines = Yaml::read(
            "error:\n    name: \"E\"\n    message: \"one\ntwo: \\\"x\\\"\n  three\"\nat: \"/p/a.js:1:2\"\nactual: \"{\n  \\\"a\\\": 1,\n}\"\nexpected: \"\"\n",
        );
        assert_eq!(
            lines.get(&["error.message"]),
            Some("one\ntwo: \"x\"\n  three")
        );
        assert_eq!(lines.get(&["at"]), Some("/p/a.js:1:2"));
        assert_eq!(lines.printed(&["actual"]), Some("{\n  \"a\": 1,\n}"));
        assert_eq!(lines.printed(&["expected"]), Some(""));
        let vitest = Yaml::read(
            "    error:\n        name: \"AssertionError\"\n        message: \"a \\\"b\\\"\"\n    at: \"/p/a.ts:5:15\"\n    actual: \"1\"\n",
        );
        assert_eq!(vitest.get(&["error.message"]), Some("a \"b\""));
        assert_eq!(vitest.get(&["at"]), Some("/p/a.ts:5:15"));
        assert_eq!(vitest.printed(&["actual"]), Some("1"));
    }

    #[test]
    fn lists_and_maps_are_also_text() {
        let yaml = Yaml::read("wanted:\n- 1\n- 2\nfound:\n  a: 1\nfold: >\n  one\n  two\n");
        assert_eq!(yaml.get(&["wanted"]), Some("- 1\n- 2"));
        assert_eq!(yaml.get(&["found"]), Some("a: 1"));
        assert_eq!(yaml.get(&["fold"]), Some("one two"));
    }
}
