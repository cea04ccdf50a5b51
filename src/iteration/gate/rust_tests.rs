//! The tests in a Rust file, found by its tokens: test items with their text, their names,
//! and the examples in doc comments (pure).
//!
//! Tokens and not a syntax tree, because the base of a loop often does not parse: a missing
//! semicolon must not make every repair look like a change of the tests beside it.

use proc_macro2::Delimiter;
use proc_macro2::Group;
use proc_macro2::TokenStream;
use proc_macro2::TokenTree;
use std::ops::Range;

/// What a Rust file holds of tests.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RustTests {
    /// The text of each outermost test item, white space between tokens evened out.
    pub regions: Vec<String>,
    /// Each test function by its path in the file, and whether it is ignored.
    pub functions: Vec<(String, bool)>,
    /// Each example in a doc comment, fence line included.
    pub examples: Vec<String>,
    /// How often the code outside of tests asks whether it is being tested.
    pub asks_whether_tested: usize,
}

/// Finds the tests in `source`; `None` when its brackets do not match.
pub fn rust_tests(source: &str) -> Option<RustTests> {
    let tokens: TokenStream = source.parse().ok()?;
    let mut finder = Finder {
        source,
        found: RustTests::default(),
        path: Vec::new(),
        in_test: false,
    };
    finder.walk(tokens);
    let found = finder.found;
    // The lexer keeps every text it has seen until it is told that no span is used any more.
    proc_macro2::extra::invalidate_current_thread_spans();
    Some(found)
}

/// The whole text with the white space between tokens evened out; `None` when its brackets do
/// not match.
pub(super) fn even_text(source: &str) -> Option<String> {
    let tokens: TokenStream = source.parse().ok()?;
    drop(tokens);
    let text = even(source, 0..source.len());
    proc_macro2::extra::invalidate_current_thread_spans();
    Some(text)
}

struct Finder<'a> {
    source: &'a str,
    found: RustTests,
    path: Vec<String>,
    in_test: bool,
}

/// The attributes before an item.
#[derive(Default)]
struct Attributes {
    start: Option<usize>,
    test: bool,
    function: bool,
    ignored: bool,
    asks: usize,
    doc: Vec<String>,
}

impl Finder<'_> {
    fn walk(&mut self, tokens: TokenStream) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let mut at = 0;
        while at < tokens.len() {
            let (attributes, after) = self.attributes(&tokens, at);
            self.examples(&attributes.doc);
            self.found.asks_whether_tested += if self.in_test { 0 } else { attributes.asks };
            if after > at && attributes.test && !self.in_test {
                at = self.region(&tokens, attributes, after);
            } else if after > at {
                at = self.item(&tokens, &attributes, after);
            } else {
                at = self.plain(&tokens, at);
            }
        }
    }

    /// Reads the run of attributes at `at` and answers where it ends.
    fn attributes(&self, tokens: &[TokenTree], mut at: usize) -> (Attributes, usize) {
        let mut attributes = Attributes::default();
        while let Some((group, after)) = attribute(tokens, at) {
            let first = tokens[at].span().byte_range().start;
            attributes.start.get_or_insert(first);
            if let Some(line) = doc_line(group) {
                attributes.doc.push(line);
            } else {
                let words = words(&group.stream());
                attributes.test |= means_test(&words);
                attributes.function |= is_test_function(&words);
                attributes.asks += usize::from(is_for_the_untested(&words));
                attributes.ignored |= words.iter().any(|word| word == "ignore");
            }
            at = after;
        }
        (attributes, at)
    }

    /// A test item: its text is kept whole, and the functions in it are listed.
    fn region(&mut self, tokens: &[TokenTree], attributes: Attributes, from: usize) -> usize {
        let end = end_of_item(tokens, from);
        let start = attributes.start.unwrap_or_default();
        let stop = tokens[..end]
            .last()
            .map_or(start, |token| token.span().byte_range().end);
        // An attribute of the whole file (`#![cfg(test)]`) has no item of its own.
        let region = even(self.source, start..stop);
        self.found.regions.push(region);
        self.in_test = true;
        self.item(tokens, &attributes, from);
        self.in_test = false;
        end
    }

    /// Lists a function and looks into what the item holds.
    fn item(&mut self, tokens: &[TokenTree], attributes: &Attributes, from: usize) -> usize {
        let end = end_of_item(tokens, from);
        let name = name_of_item(&tokens[from..end]);
        if attributes.function
            && let Some(name) = &name
        {
            let path = [self.path.as_slice(), std::slice::from_ref(name)].concat();
            self.found
                .functions
                .push((path.join("::"), attributes.ignored));
        }
        self.path.extend(name.clone());
        for token in &tokens[from..end] {
            self.look_into(token);
        }
        if name.is_some() {
            self.path.pop();
        }
        end
    }

    /// Whatever has no attribute: an item, an expression, a token.
    fn plain(&mut self, tokens: &[TokenTree], at: usize) -> usize {
        if starts_item(&tokens[at]) {
            return self.item(tokens, &Attributes::default(), at).max(at + 1);
        }
        self.look_into(&tokens[at]);
        if !self.in_test {
            let end = (at + 3).min(tokens.len());
            self.found.asks_whether_tested += usize::from(asks_here(&tokens[at..end]));
        }
        at + 1
    }

    fn look_into(&mut self, token: &TokenTree) {
        if let TokenTree::Group(group) = token {
            self.walk(group.stream());
        }
    }

    fn examples(&mut self, doc: &[String]) {
        let mut open: Option<String> = None;
        for line in doc {
            let fence =
                line.trim_start().starts_with("```") || line.trim_start().starts_with("~~~");
            match (&mut open, fence) {
                (None, true) => open = Some(line.trim().to_owned()),
                (Some(text), true) => {
                    self.found.examples.push(std::mem::take(text));
                    open = None;
                }
                (Some(text), false) => {
                    text.push('\n');
                    text.push_str(line.trim());
                }
                (None, false) => {}
            }
        }
        self.found.examples.extend(open);
    }
}

/// The attribute at `at` (outer or inner) and where it ends.
fn attribute(tokens: &[TokenTree], at: usize) -> Option<(&Group, usize)> {
    let is = |token: Option<&TokenTree>, sign: char| matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == sign);
    if !is(tokens.get(at), '#') {
        return None;
    }
    let bracket = at + 1 + usize::from(is(tokens.get(at + 1), '!'));
    match tokens.get(bracket) {
        Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Bracket => {
            Some((group, bracket + 1))
        }
        _ => None,
    }
}

/// The text of `#[doc = "…"]`, which is what a doc comment is to the lexer.
fn doc_line(group: &Group) -> Option<String> {
    let mut tokens = group.stream().into_iter();
    match (tokens.next(), tokens.next(), tokens.next()) {
        (
            Some(TokenTree::Ident(word)),
            Some(TokenTree::Punct(_)),
            Some(TokenTree::Literal(text)),
        ) if word == "doc" => {
            let text = text.to_string();
            let inner = text.trim_start_matches(['r', '#']).trim_end_matches('#');
            Some(inner.trim_matches('"').replace("\\n", "\n"))
        }
        _ => None,
    }
}

fn words(tokens: &TokenStream) -> Vec<String> {
    let mut all = Vec::new();
    for token in tokens.clone() {
        match token {
            TokenTree::Ident(word) => all.push(word.to_string()),
            TokenTree::Group(group) => all.extend(words(&group.stream())),
            _ => {}
        }
    }
    all
}

fn means_test(words: &[String]) -> bool {
    let negated = words
        .windows(2)
        .any(|pair| pair[0] == "not" && pair[1] == "test");
    !negated
        && words.iter().any(|word| {
            word.starts_with("test")
                || word.ends_with("test")
                || word == "bench"
                || word == "proptest"
        })
}

fn is_test_function(words: &[String]) -> bool {
    words
        .first()
        .is_some_and(|word| word != "cfg" && word != "cfg_attr")
        && means_test(words)
}

/// Where the item that begins at `from` ends: after its first brace group or semicolon.
fn end_of_item(tokens: &[TokenTree], from: usize) -> usize {
    for (offset, token) in tokens[from..].iter().enumerate() {
        match token {
            TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => {
                return from + offset + 1;
            }
            TokenTree::Punct(punct) if punct.as_char() == ';' => return from + offset + 1,
            _ => {}
        }
    }
    tokens.len()
}

fn starts_item(token: &TokenTree) -> bool {
    matches!(token, TokenTree::Ident(word) if word == "mod" || word == "fn")
}

/// The name after `mod` or `fn`.
fn name_of_item(tokens: &[TokenTree]) -> Option<String> {
    tokens.windows(2).find_map(|pair| match pair {
        [TokenTree::Ident(keyword), TokenTree::Ident(name)]
            if keyword == "mod" || keyword == "fn" =>
        {
            Some(name.to_string())
        }
        _ => None,
    })
}

/// `cfg!(test)`.
fn asks_here(tokens: &[TokenTree]) -> bool {
    match tokens {
        [
            TokenTree::Ident(word),
            TokenTree::Punct(_),
            TokenTree::Group(group),
        ] => word == "cfg" && words(&group.stream()).iter().any(|word| word == "test"),
        _ => false,
    }
}

/// `#[cfg(not(test))]`.
fn is_for_the_untested(words: &[String]) -> bool {
    let has = |one: &str| words.iter().any(|word| word == one);
    words.first().is_some_and(|word| word.starts_with("cfg")) && has("test") && has("not")
}

/// The text with the white space between tokens evened out, and within tokens kept.
fn even(source: &str, range: Range<usize>) -> String {
    let Some(text) = source.get(range) else {
        return String::new();
    };
    let Ok(tokens) = text.parse::<TokenStream>() else {
        return text.to_owned();
    };
    let mut leaves = Vec::new();
    flatten(tokens, &mut leaves);
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for leaf in leaves {
        // The tokens of one doc comment share its span.
        if leaf.start < at {
            continue;
        }
        for word in text[at..leaf.start].split_whitespace() {
            out.push_str(word);
            out.push(' ');
        }
        out.push_str(&text[leaf.clone()]);
        out.push(' ');
        at = leaf.end;
    }
    out
}

fn flatten(tokens: TokenStream, leaves: &mut Vec<Range<usize>>) {
    for token in tokens {
        match token {
            TokenTree::Group(group) => {
                let whole = group.span().byte_range();
                if group.delimiter() != Delimiter::None && whole.len() >= 2 {
                    leaves.push(group.span_open().byte_range());
                    flatten(group.stream(), leaves);
                    leaves.push(group.span_close().byte_range());
                } else {
                    flatten(group.stream(), leaves);
                }
            }
            leaf => leaves.push(leaf.span().byte_range()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r##"
        //! A crate.

        /// Adds.
        ///
        /// ```
        /// assert_eq!(demo::add(1, 1), 2);
        /// ```
        pub fn add(a: i32, b: i32) -> i32 { a + b }

        #[cfg(test)]
        mod tests {
            use super::*;

            #[test]
            fn adds() { assert_eq!(add(2, 2), 4, "a } brace"); }

            #[test]
            #[ignore = "slow"]
            fn slow() { assert!('{' != '}'); }
        }

        #[tokio::test]
        async fn outside() {}
    "##;

    fn found(source: &str) -> RustTests {
        rust_tests(source).expect("brackets match")
    }

    #[test]
    fn regions_functions_and_examples_are_found() {
        let found = found(FILE);
        assert_eq!(found.regions.len(), 2, "{:#?}", found.regions);
        assert_eq!(
            found.functions,
            [
                ("tests::adds".to_owned(), false),
                ("tests::slow".to_owned(), true),
                ("outside".to_owned(), false)
            ]
        );
        assert_eq!(found.examples, ["```\nassert_eq!(demo::add(1, 1), 2);"]);
        assert_eq!(found.asks_whether_tested, 0);
    }

    #[test]
    fn white_space_does_not_matter_and_everything_else_does() {
        let spread = FILE.replace("fn adds() { assert_eq!", "fn adds()\n{\n    assert_eq!");
        assert_eq!(found(&spread), found(FILE));
        for (from, to) in [
            ("add(2, 2), 4", "add(2, 2), 5"),
            ("a } brace", "a  } brace"),
            ("use super::*;", "use super::*; // a comment"),
            ("async fn outside() {}", "async fn outside() { /* x */ }"),
        ] {
            let changed = FILE.replace(from, to);
            assert_ne!(
                found(&changed).regions,
                found(FILE).regions,
                "{from} -> {to}"
            );
        }
        let code = FILE.replace("a + b", "b + a /* comment */");
        assert_eq!(found(&code), found(FILE));
    }

    #[test]
    fn a_syntax_error_elsewhere_does_not_hide_the_tests() {
        let broken = FILE.replace("{ a + b }", "{ let c = a + b c }");
        assert_eq!(found(&broken).regions, found(FILE).regions);
        assert_eq!(rust_tests("fn f() { "), None);
    }

    #[test]
    fn tests_in_macros_and_nested_modules_are_found() {
        let source =
            "mod a { mod b { #[test] fn t() {} } } proptest! { #[test] fn p(x in 0..3) {} }";
        let found = found(source);
        let names: Vec<&str> = found
            .functions
            .iter()
            .map(|(name, _)| name.as_str())
            .collect();
        assert_eq!(names, ["a::b::t", "p"]);
    }

    #[test]
    fn code_that_asks_whether_it_is_tested_is_noticed() {
        let sly = FILE.replace("{ a + b }", "{ if cfg!(test) { 4 } else { a + b } }");
        assert_eq!(found(&sly).asks_whether_tested, 1);
        let twice = FILE.replace("pub fn add", "#[cfg(not(test))]\npub fn add");
        assert_eq!(found(&twice).asks_whether_tested, 1);
    }

    #[test]
    fn a_test_file_as_a_whole_is_one_region_at_least() {
        let found = found("#![cfg(test)]\nfn helper() {}\n#[test]\nfn t() { helper() }\n");
        assert!(!found.regions.is_empty());
    }
}
