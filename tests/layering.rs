//! The layers of docs/architecture.md: a module imports only lower ones, siblings do not know
//! each other, and `api` and `cli` see nothing but the model, the configuration, the root of
//! `daemon` and `api::client`.
//!
//! It reads every `crate::…` path, in a `use` or inline, and names file and line.

mod house;

use house::Source;
use house::Violation;
use house::Word;
use house::none_of;
use house::sources;
use house::words;

/// The layers, lowest first. Modules of one layer do not know each other.
const LAYERS: &[&[&str]] = &[
    &["model"],
    &["config", "process", "telemetry"],
    &["git"],
    &["watch", "suite", "sandbox", "store", "agent"],
    &["run", "memory"],
    &["workspace"],
    &["iteration"],
    &["daemon"],
    &["api"],
    &["mcp", "tui"],
    &["cli"],
];

/// These stand outside: they see only what is named here, and of `daemon` only its root.
const OUTSIDE: &[&str] = &["api", "mcp", "tui", "cli"];
const SEEN_FROM_OUTSIDE: &[&str] = &["model", "config", "daemon"];
/// Of `api` they see the client; and somebody above it has to start the server.
const SEEN_OF_API: &[&str] = &["client", "Server", "ServeError"];

fn layer_of(module: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&module))
}

/// `src/run/queue.rs` is of `run`, `src/cli/mod.rs` of `cli`.
fn module_of(path: &str) -> Option<&str> {
    let below = path.strip_prefix("src/")?;
    let first = below.split('/').next()?;
    let module = first.strip_suffix(".rs").unwrap_or(first);
    (module != "lib" && module != "main").then_some(module)
}

/// How deep below the crate's root the file's own module lies (`src/run/queue.rs`: 2).
fn depth_of(path: &str) -> usize {
    let below = path.strip_prefix("src/").unwrap_or(path);
    let parts = below.split('/').count();
    parts - usize::from(below.ends_with("/mod.rs"))
}

fn check(source: &Source) -> Vec<Violation> {
    let Some(module) = module_of(&source.path) else {
        return Vec::new();
    };
    let words = words(source);
    let mut violations = Vec::new();
    let mut report = |word: &Word, what: String| {
        violations.push(Violation {
            path: source.path.clone(),
            line: word.line,
            what,
        });
    };
    let Some(own) = layer_of(module) else {
        report(&first(&words), format!("`{module}` stands in no layer"));
        return violations;
    };
    for (at, word) in words.iter().enumerate() {
        if word.text == "super" && climbs_out(&words, at, depth_of(&source.path)) {
            report(word, "`super` climbs to the root: write `crate::…`".into());
        }
        let Some(path) = crate_path(&words, at) else {
            continue;
        };
        if let Some(why) = forbidden(module, own, &path) {
            report(word, why);
        }
    }
    violations
}

fn first(words: &[Word]) -> Word {
    words.first().cloned().expect("a source has words")
}

/// The names of the path `crate::a::b` that begins at this word, at most three.
fn crate_path(words: &[Word], at: usize) -> Option<Vec<String>> {
    if words[at].text != "crate" {
        return None;
    }
    // `pub(crate)` and `$crate` are no paths of this kind.
    if words.get(at + 1)?.text != "::" {
        return None;
    }
    let mut names = Vec::new();
    let mut next = at + 1;
    while names.len() < 3 && words.get(next).is_some_and(|word| word.text == "::") {
        names.push(words.get(next + 1)?.text.clone());
        next += 2;
    }
    Some(names)
}

/// Whether the chain of `super::` that begins here reaches the crate's root.
fn climbs_out(words: &[Word], at: usize, depth: usize) -> bool {
    if at > 1 && words[at - 1].text == "::" {
        return false;
    }
    let mut climbed = 0;
    let mut next = at;
    while words.get(next).is_some_and(|word| word.text == "super") {
        climbed += 1;
        next += 2;
    }
    climbed >= depth + words[at].inline_mods
}

/// Why `module`, of layer `own`, may not name `crate::<path>`; `None` if it may.
fn forbidden(module: &str, own: usize, path: &[String]) -> Option<String> {
    let target = path[0].as_str();
    if target == "{" || target == "*" {
        return Some("imports are one item a line: name what is imported".into());
    }
    if target == module {
        return None;
    }
    let layer = layer_of(target)?;
    if OUTSIDE.contains(&module) {
        return forbidden_outside(module, path);
    }
    if layer == own {
        return Some(format!(
            "`{module}` and `{target}` are siblings and strangers"
        ));
    }
    (layer > own).then(|| format!("`{module}` lies below `{target}` and may not know it"))
}

fn forbidden_outside(module: &str, path: &[String]) -> Option<String> {
    let target = path[0].as_str();
    if target == "api"
        && path
            .get(1)
            .is_some_and(|name| SEEN_OF_API.contains(&name.as_str()))
    {
        return None;
    }
    if !SEEN_FROM_OUTSIDE.contains(&target) {
        return Some(format!(
            "`{module}` sees only {SEEN_FROM_OUTSIDE:?} and `api::client`, not `{target}`: \
             ask through a method of `daemon::Handle`"
        ));
    }
    // Types begin with a capital, modules do not: `daemon::hub::State` is inside.
    let inside = path.get(2).is_some() && starts_small(&path[1]);
    (target == "daemon" && inside).then(|| {
        let below = &path[1];
        format!("`{module}` sees only the root of `daemon`, not `daemon::{below}`")
    })
}

fn starts_small(name: &str) -> bool {
    name.starts_with(|first: char| first.is_lowercase())
}

#[test]
fn every_module_knows_only_lower_layers() {
    none_of(sources(&["src"]).iter().flat_map(check).collect());
}

#[test]
fn every_module_of_the_library_stands_in_a_layer() {
    let library = sources(&["src"]);
    let library = library
        .iter()
        .find(|source| source.path == "src/lib.rs")
        .expect("the library has a root");
    let words = words(library);
    for (at, word) in words.iter().enumerate() {
        if word.text == "mod" {
            let name = &words[at + 1].text;
            assert!(layer_of(name).is_some(), "`{name}` stands in no layer");
        }
    }
}

/// A file, a source, and the line and a part of what is said of it, if anything.
type Planted = (&'static str, &'static str, Option<(usize, &'static str)>);

/// The checker itself, on planted violations.
const PLANTED: &[Planted] = &[
    ("src/watch/mod.rs", "use crate::git::Head;\n", None),
    (
        "src/watch/mod.rs",
        "use crate::watch::debounce::step;\n",
        None,
    ),
    (
        "src/watch/mod.rs",
        "//! Says what.\nuse crate::run::queue::Queue;\n",
        Some((2, "`watch` lies below `run`")),
    ),
    (
        "src/git/mod.rs",
        "fn f() {\n    crate::store::open();\n}\n",
        Some((2, "`git` lies below `store`")),
    ),
    (
        "src/suite/mod.rs",
        "use crate::sandbox::Spec;\n",
        Some((1, "siblings and strangers")),
    ),
    (
        "src/agent/mod.rs",
        "use crate::\n    suite::Suite;\n",
        Some((1, "siblings")),
    ),
    (
        "src/git/mod.rs",
        "use crate::{model, daemon};\n",
        Some((1, "one item a line")),
    ),
    (
        "src/git/mod.rs",
        "/// [`crate::daemon::Handle`]\nfn f() -> &'static str { \"crate::daemon::x\" }\n",
        None,
    ),
    (
        "src/git/tree.rs",
        "fn f() { super::super::daemon::g(); }\n",
        Some((1, "`super` climbs to the root")),
    ),
    (
        "src/git/tree.rs",
        "mod tests {\n    use super::super::Head;\n}\n",
        None,
    ),
    ("src/git/mod.rs", "pub(crate) fn f() {}\n", None),
    ("src/cli/run.rs", "use crate::daemon::Handle;\n", None),
    ("src/cli/run.rs", "use crate::api::client::Client;\n", None),
    ("src/cli/daemon.rs", "use crate::api::Server;\n", None),
    (
        "src/cli/run.rs",
        "use crate::api::routes::Router;\n",
        Some((1, "sees only")),
    ),
    (
        "src/cli/run.rs",
        "use crate::daemon::hub::State;\n",
        Some((1, "not `daemon::hub`")),
    ),
    (
        "src/cli/mod.rs",
        "fn f() { let _ = crate::run::once(); }\n",
        Some((1, "through a method of `daemon::Handle`")),
    ),
    (
        "src/api/mod.rs",
        "use crate::store::Store;\n",
        Some((1, "sees only")),
    ),
    (
        "src/novel/mod.rs",
        "fn f() {}\n",
        Some((1, "stands in no layer")),
    ),
];

#[test]
fn the_checker_sees_planted_violations_and_no_others() {
    for (path, text, expected) in PLANTED {
        let source = Source {
            path: (*path).into(),
            text: (*text).into(),
        };
        let found = check(&source);
        match expected {
            None => assert!(found.is_empty(), "{text}: {found:?}"),
            Some((line, part)) => {
                assert_eq!(found.len(), 1, "{text}: {found:?}");
                assert_eq!(found[0].line, *line, "{text}: {found:?}");
                assert!(found[0].what.contains(part), "{text}: {found:?}");
            }
        }
    }
}
