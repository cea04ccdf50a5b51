//! Which test a title, a source or a unique id of the launcher names.
//!
//! Ids are `com.example.FooTest$Inner.rows(int, String)[2]`; JUnit 4's have no parameters' types:
//! `com.example.OldTest.bar[0]`.

use crate::junit::stack::At;
use std::fmt::Write;

/// A test or a class.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Identity {
    pub id: String,
    /// The class with its package; empty where nobody says.
    pub class: String,
    /// The method's bare name; empty for a class.
    pub method: String,
    /// The types of its parameters in full, where they are known.
    pub types: Option<String>,
}

impl Identity {
    fn of_class(class: &str) -> Identity {
        Identity {
            id: class.to_owned(),
            class: class.to_owned(),
            ..Identity::default()
        }
    }
}

/// What an entry of the block of failures is. `chain` tells where the names of its node and of
/// the nodes around it end, and which child each is.
pub(super) fn of_title(
    title: &str,
    source: &str,
    chain: Option<&[(usize, u64)]>,
    text: &str,
) -> Identity {
    let Some(class) = value(source, "className") else {
        let names: Vec<&str> = title.split(':').collect();
        return match names.last() {
            // JUnit 4's word for a class that cannot be a test: there is no such method.
            Some(&"initializationError") => of_names(&names, text),
            _ => Identity {
                id: title.to_owned(),
                ..Identity::default()
            },
        };
    };
    let Some(method) = value(source, "methodName") else {
        return Identity::of_class(class);
    };
    let types = value(source, "methodParameterTypes").unwrap_or("");
    let mut identity = Identity {
        id: String::new(),
        class: class.to_owned(),
        method: method.to_owned(),
        types: Some(types.to_owned()),
    };
    let name = if title.starts_with("JUnit Vintage:") {
        // JUnit 4's parameters: `bar[0]`.
        let named = title
            .find(&format!(":{method}["))
            .map(|at| &title[at + 1..]);
        named.unwrap_or(method).to_owned()
    } else {
        let name = format!("{method}({})", simple_types(types));
        let index = invocation(title, class, &name, chain);
        format!("{name}{index}")
    };
    identity.id = format!("{class}.{name}");
    identity
}

/// Which invocation of a method it is: `[2][1]`, by the place in the tree or by the usual names.
fn invocation(title: &str, class: &str, name: &str, chain: Option<&[(usize, u64)]>) -> String {
    let shown = format!(":{name}");
    if title.ends_with(&shown) {
        return String::new();
    }
    let found = title.find(&format!("{shown}:")).map(|at| at + shown.len());
    if let Some(chain) = chain {
        let whole = chain.last().map_or(0, |(end, _)| *end);
        let of_method = match found {
            // A name with marks in it may be longer than the tree has it.
            Some(from) => chain.iter().position(|(end, _)| {
                *end == from || whole - end == title.len().saturating_sub(from)
            }),
            None => Some(1 + classes(title, class, chain)),
        };
        if let Some(at) = of_method {
            let deeper = chain.iter().skip(at + 1);
            return deeper.fold(String::new(), |mut all, (_, place)| {
                let _ = write!(all, "[{place}]");
                all
            });
        }
    }
    let rest = match found {
        Some(from) => &title[from + 1..],
        None => title.rsplit(':').next().unwrap_or(title),
    };
    match index_of(rest) {
        Some(index) => format!("[{index}]"),
        None if found.is_some() => format!(" > {rest}"),
        None => String::new(),
    }
}

/// How many nodes of the tree are a class and those that it is nested in: one that is only
/// declared in another has none for that, and both names.
fn classes(title: &str, class: &str, chain: &[(usize, u64)]) -> usize {
    let nested = class.matches('$').count();
    let outer = match chain {
        [(engine, _), (first, _), ..] => title.get(engine + 1..*first).unwrap_or(""),
        _ => "",
    };
    1 + nested - outer.matches('$').count().min(nested)
}

/// What a unique id says: `[engine:junit-jupiter]/[class:a.BTest]/[method:c(int)]`.
pub(super) fn of_unique(unique: &str) -> Option<Identity> {
    let mut identity = Identity::default();
    let (mut name, mut indexes) = (String::new(), String::new());
    for part in unique.trim_matches(['[', ']']).split("]/[") {
        let (kind, value) = part.split_once(':').unwrap_or((part, ""));
        let value = decoded(value);
        match kind {
            "engine" | "suite" => identity = Identity::default(),
            "class" | "runner" => identity.class = value,
            "nested-class" => identity.class = format!("{}${value}", identity.class),
            "method" | "test-template" | "test-factory" => {
                let (method, rest) = value.split_once('(').unwrap_or((&value, ""));
                let types = rest.trim_end_matches(')');
                name = format!("{method}({})", simple_types(types));
                identity.method = method.to_owned();
                identity.types = Some(types.to_owned());
            }
            "test" => vintage(&value, &mut identity, &mut name),
            _ => {
                if let Some(number) = value.strip_prefix('#') {
                    let _ = write!(indexes, "[{number}]");
                }
            }
        }
    }
    if identity.class.is_empty() {
        return None;
    }
    identity.id = match name.as_str() {
        "" => identity.class.clone(),
        name => format!("{}.{name}{indexes}", identity.class),
    };
    Some(identity)
}

/// `bar[0: x](com.example.OldTest)`, `com.example.OldTest$Inner`, `[0: x]`.
fn vintage(value: &str, identity: &mut Identity, name: &mut String) {
    let inner = value.strip_suffix(')').and_then(|v| v.rsplit_once('('));
    if let Some((own, of)) = inner.filter(|(_, of)| is_class(of)) {
        of.clone_into(&mut identity.class);
        own.clone_into(name);
        identity.method = own.split('[').next().unwrap_or(own).to_owned();
        identity.types = Some(String::new());
    } else if is_class(value) {
        value.clone_into(&mut identity.class);
    }
}

/// A unique id's value without the escapes of a URL.
fn decoded(value: &str) -> String {
    if !value.contains(['%', '+']) {
        return value.to_owned();
    }
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let hex = tail.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        let code = hex.and_then(|two| u8::from_str_radix(two, 16).ok());
        match code.filter(|_| *first == b'%') {
            Some(code) => {
                bytes.push(code);
                rest = &tail[2..];
            }
            None => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// What the names of nodes say, outermost first, where nobody says more: the trace knows the
/// class. The first is the engine.
pub(super) fn of_names(names: &[&str], text: &str) -> Identity {
    let frames: Vec<At> = text
        .lines()
        .filter_map(At::read)
        .filter(|at| !at.foreign())
        .collect();
    let named = |name: &str| {
        let whole = frames.iter().map(|at| at.class.as_str());
        let mut all = whole.chain(frames.iter().map(At::outer));
        let ends = |class: &&str| {
            let before = class.strip_suffix(name);
            before.is_some_and(|before| before.is_empty() || before.ends_with(['.', '$']))
        };
        let found = all.find(ends).map(str::to_owned);
        found.or_else(|| (name.contains('.') && is_class(name)).then(|| name.to_owned()))
    };
    let inner = names.get(1..).unwrap_or_default();
    let at = inner.iter().position(|name| name.contains('('));
    let vintage = names.first() == Some(&"JUnit Vintage");
    let last = inner.len().saturating_sub(1);
    let leaf = vintage && last > 0 && !inner[last].contains('.');
    let at = at.or(leaf.then_some(last));
    let (classes, rest) = inner.split_at(at.unwrap_or(inner.len()));
    let bare = rest.first().map_or("", |name| bare(name));
    let of_method = frames
        .iter()
        .rfind(|at| !bare.is_empty() && at.method == bare);
    let spelled = || classes.last().and_then(|name| spelled(text, name));
    let class = of_method
        .map(|at| at.class.clone())
        .or_else(|| classes.iter().rev().find_map(|name| named(name)))
        .or_else(spelled);
    let Some(class) = class else {
        return Identity {
            id: names.join(" > "),
            ..Identity::default()
        };
    };
    let mut name = rest
        .first()
        .map_or(String::new(), |name| (*name).to_owned());
    for part in rest.iter().skip(1) {
        match index_of(part) {
            Some(index) => name.push_str(&format!("[{index}]")),
            None => name.push_str(&format!(" > {part}")),
        }
    }
    let id = match name.as_str() {
        "" => class.clone(),
        name => format!("{class}.{name}"),
    };
    Identity {
        id,
        class,
        method: bare.to_owned(),
        types: None,
    }
}

/// A class's name with its package as the text spells it somewhere.
fn spelled(text: &str, name: &str) -> Option<String> {
    if name.is_empty() {
        return None;
    }
    let part = |c: char| c.is_alphanumeric() || "._$".contains(c);
    text.match_indices(name).take(100).find_map(|(at, _)| {
        let before = text[..at].char_indices().rev();
        let from = before.take_while(|(_, c)| part(*c)).last();
        let package = &text[from.map_or(at, |(from, _)| from)..at];
        let after = text[at + name.len()..].chars().next();
        let whole = !after.is_some_and(|c| c.is_alphanumeric() || "_$".contains(c));
        (whole && package.ends_with('.')).then(|| format!("{package}{name}"))
    })
}

fn is_class(text: &str) -> bool {
    let known = |c: char| c.is_alphanumeric() || "._$".contains(c);
    !text.is_empty() && text.chars().all(known)
}

fn bare(name: &str) -> &str {
    name.split(['(', '[']).next().unwrap_or(name).trim()
}

/// The value in `className = 'a.B'`.
fn value<'a>(source: &'a str, name: &str) -> Option<&'a str> {
    let from = source.find(&format!("{name} = '"))? + name.len() + 4;
    let rest = &source[from..];
    Some(&rest[..rest.find('\'')?])
}

fn simple_types(types: &str) -> String {
    let types: Vec<String> = types.split(',').map(|name| simple(name.trim())).collect();
    types.join(", ")
}

/// A type without its packages: `java.lang.String[]` as `String[]`.
fn simple(name: &str) -> String {
    let mut arrays = 0;
    let mut bare = name;
    while let Some(rest) = bare.strip_prefix('[') {
        arrays += 1;
        bare = rest;
    }
    let bare = match (arrays, bare) {
        (0, bare) => bare,
        (_, "I") => "int",
        (_, "J") => "long",
        (_, "Z") => "boolean",
        (_, "B") => "byte",
        (_, "C") => "char",
        (_, "D") => "double",
        (_, "F") => "float",
        (_, "S") => "short",
        (_, bare) => bare.strip_prefix('L').unwrap_or(bare).trim_end_matches(';'),
    };
    let last = bare.rsplit(['.', '$']).next().unwrap_or(bare);
    format!("{last}{}", "[]".repeat(arrays))
}

/// The index that a usual name of an invocation has: `[2] b, c`, `repetition 2 of 5`.
fn index_of(name: &str) -> Option<u64> {
    if let Some(rest) = name.strip_prefix('[') {
        return rest.split(']').next()?.parse().ok();
    }
    let from = name.find("repetition ")? + "repetition ".len();
    let (number, rest) = name[from..].split_once(' ')?;
    rest.starts_with("of ").then_some(())?;
    number.parse().ok()
}
