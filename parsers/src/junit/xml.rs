//! A forgiving reader of XML: what a document says before it breaks off, or around what breaks
//! it, is read all the same.
//!
//! Report files are written by programs that were killed in mid-write, that put control
//! characters or other programs' bytes into them, or that were joined with others in one log.
//! A strict reader has nothing to say about these. This one knows elements, attributes, text,
//! character data sections, comments and the five entities; a document type is passed over and
//! its entities are never expanded.

use memchr::memchr;
use memchr::memmem;
use std::borrow::Cow;

/// One piece of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Token<'a> {
    /// An element begins; `empty` if it ends with the same tag.
    Open {
        /// The element's name without its prefix.
        name: &'a str,
        /// Everything behind the name.
        attributes: &'a str,
        /// `<a/>`.
        empty: bool,
    },
    /// An element ends.
    Close(&'a str),
    /// Text between tags.
    Text(Cow<'a, str>),
}

/// Reads one text that holds one document or several, with other text around them.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
    /// What stood where it does not belong.
    pub fault: Option<&'static str>,
}

impl<'a> Reader<'a> {
    /// Begins to read.
    pub fn new(text: &'a str) -> Self {
        Reader {
            text,
            at: 0,
            depth: 0,
            fault: None,
        }
    }

    /// How far it has read.
    pub fn at(&self) -> usize {
        self.at
    }

    /// How deeply the place is nested.
    pub fn depth(&self) -> usize {
        self.depth
    }

    /// The next piece; nothing at the end, or where the text breaks off inside of a tag.
    pub fn next(&mut self) -> Option<Token<'a>> {
        loop {
            let rest = self.text.get(self.at..)?;
            if rest.is_empty() {
                return None;
            }
            if self.depth == 0 {
                self.at += start_of_root(rest)?;
                let rest = &self.text[self.at..];
                if let Some(length) = self.aside(rest) {
                    self.at += length?;
                    continue;
                }
                return self.tag(rest);
            }
            let Some(open) = memchr(b'<', rest.as_bytes()) else {
                self.at = self.text.len();
                return Some(Token::Text(decoded(rest)));
            };
            if open > 0 {
                self.at += open;
                return Some(Token::Text(decoded(&rest[..open])));
            }
            if let Some(data) = rest.strip_prefix("<![CDATA[") {
                let end = memmem::find(data.as_bytes(), b"]]>");
                let body = &data[..end.unwrap_or(data.len())];
                self.at += 9 + body.len() + if end.is_some() { 3 } else { 0 };
                return Some(Token::Text(Cow::Borrowed(body)));
            }
            if let Some(length) = self.aside(rest) {
                self.at += length?;
                continue;
            }
            let named = rest[1..]
                .trim_start_matches('/')
                .starts_with(|c: char| c.is_alphabetic() || c == '_');
            if !named {
                // A sign that nobody escaped.
                self.fault = self.fault.or(Some("a `<` that begins no tag"));
                self.at += 1;
                return Some(Token::Text(Cow::Borrowed("<")));
            }
            return self.tag(rest);
        }
    }

    /// The length of a comment, an instruction or a document type, if one begins here; `Some(None)`
    /// where it never ends.
    fn aside(&mut self, rest: &str) -> Option<Option<usize>> {
        let after = |end: &[u8]| memmem::find(rest.as_bytes(), end).map(|at| at + end.len());
        if rest.starts_with("<!--") {
            Some(after(b"-->"))
        } else if rest.starts_with("<?") {
            Some(after(b"?>"))
        } else if rest.starts_with("<!DOCTYPE") {
            let mut open = 0i32;
            let end = rest.bytes().position(|byte| {
                open += i32::from(byte == b'[') - i32::from(byte == b']');
                byte == b'>' && open <= 0
            });
            if rest[..end.unwrap_or(0)].contains("<!ENTITY") {
                self.fault = Some("it declares entities, which are not expanded");
            }
            Some(end.map(|end| end + 1))
        } else {
            None
        }
    }

    fn tag(&mut self, rest: &'a str) -> Option<Token<'a>> {
        let end = tag_end(rest)?;
        self.at += end + 1;
        let inner = &rest[1..end];
        if let Some(name) = inner.strip_prefix('/') {
            self.depth = self.depth.saturating_sub(1);
            return Some(Token::Close(local(name.trim())));
        }
        let empty = inner.ends_with('/');
        let inner = inner.trim_end_matches('/');
        let split = inner.find(|c: char| c.is_whitespace());
        let (name, attributes) = inner.split_at(split.unwrap_or(inner.len()));
        self.depth += usize::from(!empty);
        Some(Token::Open {
            name: local(name),
            attributes,
            empty,
        })
    }
}

/// Where a document begins: at the beginning of a line, with an element that reports have.
fn start_of_root(text: &str) -> Option<usize> {
    const ROOTS: [&str; 8] = [
        "<?xml",
        "<!--",
        "<!DOCTYPE",
        "<testsuite",
        "<testrun",
        "<e:events",
        "<events",
        "<ns2:",
    ];
    let mut from = 0;
    loop {
        let line = text.get(from..)?;
        let indent = line.len()
            - line
                .trim_start_matches([' ', '\t', '\r', '\n', '\u{feff}'])
                .len();
        let start = &line[indent..];
        if ROOTS.iter().any(|root| start.starts_with(root)) {
            return Some(from + indent);
        }
        from += indent + memchr(b'\n', start.as_bytes())? + 1;
    }
}

/// Where a tag ends: the first `>` that is not in quotes.
fn tag_end(text: &str) -> Option<usize> {
    let mut quote = None;
    for (at, byte) in text.bytes().enumerate() {
        match (quote, byte) {
            (None, b'"' | b'\'') => quote = Some(byte),
            (None, b'>') => return Some(at),
            (Some(open), _) if open == byte => quote = None,
            _ => {}
        }
    }
    None
}

/// A name without its prefix.
fn local(name: &str) -> &str {
    name.rsplit(':').next().unwrap_or(name)
}

/// The attributes of a tag, decoded.
pub(crate) fn attributes(mut text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    while let Some((name, rest)) = text.split_once('=') {
        let rest = rest.trim_start();
        let Some(quote) = rest.chars().next().filter(|c| *c == '"' || *c == '\'') else {
            break;
        };
        let Some(end) = rest[1..].find(quote) else {
            break;
        };
        let value = &rest[1..1 + end];
        found.push((local(name.trim()).to_owned(), decoded(value).into_owned()));
        text = &rest[end + 2..];
        if found.len() > 200 {
            break;
        }
    }
    found
}

/// Text with its entities resolved; those that nobody knows stay as they are.
fn decoded(text: &str) -> Cow<'_, str> {
    if memchr(b'&', text.as_bytes()).is_none() {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = memchr(b'&', rest.as_bytes()) {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let window = &rest[..crate::text::floor(rest, 12)];
        let end = window.find(';');
        let known = end.and_then(|end| Some((entity(&window[1..end])?, end + 1)));
        let (c, length) = known.unwrap_or(('&', 1));
        out.push(c);
        rest = &rest[length..];
    }
    out.push_str(rest);
    Cow::Owned(out)
}

fn entity(name: &str) -> Option<char> {
    match name {
        "lt" => Some('<'),
        "gt" => Some('>'),
        "amp" => Some('&'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                None => number.parse().ok()?,
            };
            char::from_u32(code)
        }
    }
}

/// The bytes of a document as text: by its byte order mark, as UTF-8, or as Latin-1 where it
/// says so.
pub(crate) fn text_of(bytes: &[u8]) -> Cow<'_, str> {
    let wide = |rest: &[u8], of: fn([u8; 2]) -> u16| {
        let units = rest.chunks_exact(2).map(|pair| of([pair[0], pair[1]]));
        let decoded = char::decode_utf16(units).map(|c| c.unwrap_or('\u{fffd}'));
        decoded.collect::<String>()
    };
    match bytes {
        [0xff, 0xfe, rest @ ..] => return Cow::Owned(wide(rest, u16::from_le_bytes)),
        [0xfe, 0xff, rest @ ..] => return Cow::Owned(wide(rest, u16::from_be_bytes)),
        [b'<', 0, ..] => return Cow::Owned(wide(bytes, u16::from_le_bytes)),
        [0, b'<', ..] => return Cow::Owned(wide(bytes, u16::from_be_bytes)),
        _ => {}
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        return Cow::Borrowed(text);
    }
    let head = String::from_utf8_lossy(&bytes[..bytes.len().min(200)]).to_lowercase();
    if head.contains("iso-8859-1") || head.contains("windows-1252") || head.contains("latin") {
        return Cow::Owned(bytes.iter().map(|byte| char::from(*byte)).collect());
    }
    String::from_utf8_lossy(bytes)
}

/// An element with all that is in it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Element {
    /// Its name without a prefix.
    pub name: String,
    /// Its attributes.
    pub attributes: Vec<(String, String)>,
    /// The elements in it.
    pub children: Vec<Element>,
    /// Its own text, without that of the elements in it.
    pub text: String,
    /// The document ended inside of it.
    pub open: bool,
}

/// Deeper nesting than any report has.
const DEEPEST: usize = 64;
/// More elements in one case than this are not kept.
const MOST_CHILDREN: usize = 10_000;

impl Element {
    /// An element whose tag was just read, with all that is in it.
    pub fn read(reader: &mut Reader<'_>, name: &str, tag: &str, empty: bool) -> Element {
        let mut element = Element {
            name: name.to_owned(),
            attributes: attributes(tag),
            ..Element::default()
        };
        if !empty {
            element.fill(reader, 0);
        }
        element
    }

    fn fill(&mut self, reader: &mut Reader<'_>, deep: usize) {
        loop {
            match reader.next() {
                None => {
                    self.open = true;
                    return;
                }
                Some(Token::Close(_)) => return,
                Some(Token::Text(text)) => self.text.push_str(&text),
                Some(Token::Open {
                    name,
                    attributes: tag,
                    empty,
                }) => {
                    let mut child = Element {
                        name: name.to_owned(),
                        attributes: attributes(tag),
                        ..Element::default()
                    };
                    if !empty && deep < DEEPEST {
                        child.fill(reader, deep + 1);
                    } else if !empty {
                        skip(reader);
                    }
                    self.open |= child.open;
                    if self.children.len() < MOST_CHILDREN {
                        self.children.push(child);
                    }
                    if self.open {
                        return;
                    }
                }
            }
        }
    }

    /// The value of an attribute.
    pub fn get(&self, name: &str) -> Option<&str> {
        let found = self.attributes.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The first child of a name.
    pub fn child(&self, name: &str) -> Option<&Element> {
        self.children.iter().find(|child| child.name == name)
    }
}

/// Passes over all that is in an element whose tag was just read.
pub(crate) fn skip(reader: &mut Reader<'_>) {
    let outside = reader.depth().saturating_sub(1);
    while reader.depth() > outside && reader.next().is_some() {}
}

/// Whether elements are nested more deeply than any report nests them: what builds a tree of a
/// document is not given one.
pub(crate) fn too_deep(text: &str) -> bool {
    const DEEPEST: usize = 200;
    let mut depth = 0usize;
    let (mut at, bytes) = (0, text.as_bytes());
    while let Some(found) = memchr::memchr(b'<', &bytes[at..]) {
        at += found + 1;
        match bytes.get(at) {
            Some(b'/') => depth = depth.saturating_sub(1),
            Some(b'!' | b'?') | None => {}
            Some(_) => {
                let Some(end) = memchr::memchr(b'>', &bytes[at..]) else {
                    return false;
                };
                depth += usize::from(bytes[at + end - 1] != b'/');
                if depth > DEEPEST {
                    return true;
                }
                at += end;
            }
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn element(text: &str) -> Element {
        let mut reader = Reader::new(text);
        let Some(Token::Open {
            name,
            attributes,
            empty,
        }) = reader.next()
        else {
            panic!("no element in {text}");
        };
        Element::read(&mut reader, name, attributes, empty)
    }

    #[test]
    fn entities_sections_comments_and_types_are_understood() {
        let found = element(
            "<?xml version=\"1.0\"?><!DOCTYPE x [<!ENTITY a \"b>\">]>\n<!-- <testsuite> -->\n<testsuite name='a &lt;&#228;&quot;&nope;>' x=\"1\"><p:a>1<![CDATA[<b>&amp;]]>2 &amp; 3</p:a><b/></testsuite>",
        );
        assert_eq!(found.get("name"), Some("a <ä\"&nope;>"));
        assert_eq!(
            found.child("a").map(|a| a.text.as_str()),
            Some("1<b>&amp;2 & 3")
        );
        assert!(found.child("b").is_some() && !found.open);
    }

    #[test]
    fn what_stands_before_the_break_is_read() {
        let found = element("<testsuite><a x='1'>text");
        assert!(found.open);
        assert_eq!(found.child("a").map(|a| a.text.as_str()), Some("text"));
        assert!(element("<testsuite><a x='1").children.is_empty());
    }

    #[test]
    fn documents_are_found_between_other_lines() {
        let text = "building <b>\n<testsuite><a/></testsuite> 1 < 2\n<testsuite><b/></testsuite>\n";
        let mut reader = Reader::new(text);
        let mut names = Vec::new();
        while let Some(token) = reader.next() {
            if let Token::Open { name, .. } = token {
                names.push(name);
            }
        }
        assert_eq!(names, ["testsuite", "a", "testsuite", "b"]);
    }

    #[test]
    fn wide_and_old_encodings_are_read() {
        let text = "<testsuite name=\"ä\"/>";
        let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(text_of(&[&[0xff, 0xfe], wide.as_slice()].concat()), text);
        assert_eq!(text_of(&wide), text);
        let old = b"<?xml encoding=\"ISO-8859-1\"?><a b=\"\xe4\"/>";
        assert!(text_of(old).contains('ä'));
    }
}
