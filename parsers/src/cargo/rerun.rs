//! The argv that runs one Rust test again.

use crate::cargo::targets::Target;
use crate::context::Context;

/// The beginning of the argv: cargo, `test`, and those options of the suite's own command that
/// decide what is built.
fn start(context: &Context) -> Vec<String> {
    let mut words = context.command.iter().peekable();
    let mut argv = vec![words.next().cloned().unwrap_or_else(|| "cargo".to_owned())];
    if let Some(toolchain) = words.next_if(|word| word.starts_with('+')) {
        argv.push(toolchain.clone());
    }
    argv.push("test".to_owned());
    const ALONE: [&str; 7] = [
        "--all-features",
        "--no-default-features",
        "--release",
        "-r",
        "--offline",
        "--locked",
        "--frozen",
    ];
    const WITH_VALUE: [&str; 5] = [
        "--features",
        "-F",
        "--profile",
        "--target",
        "--manifest-path",
    ];
    while let Some(word) = words.next_if(|word| *word != "--") {
        let name = word.split('=').next().unwrap_or(word);
        if ALONE.contains(&word.as_str()) || (name != word && WITH_VALUE.contains(&name)) {
            argv.push(word.clone());
        } else if WITH_VALUE.contains(&word.as_str()) {
            argv.push(word.clone());
            argv.extend(words.next().cloned());
        }
    }
    let manifest = argv.iter().any(|word| word.starts_with("--manifest-path"));
    if !context.dir.is_empty() && !manifest {
        argv.push("--manifest-path".to_owned());
        argv.push(format!("{}/Cargo.toml", context.dir));
    }
    argv
}

fn of_target(context: &Context, target: &Target) -> Vec<String> {
    let mut argv = start(context);
    if !target.package.is_empty() {
        argv.push("-p".to_owned());
        argv.push(target.package.clone());
    }
    argv.extend(target.flags());
    argv
}

/// One test of Rust's own harness.
pub(crate) fn test(context: &Context, target: &Target, name: &str) -> Vec<String> {
    let mut argv = of_target(context, target);
    argv.extend(["--", "--exact", name].map(str::to_owned));
    argv
}

/// A whole target.
pub(crate) fn target(context: &Context, target: &Target) -> Vec<String> {
    of_target(context, target)
}

/// One doctest. Rustdoc splits its arguments at blanks, so the full id selects nothing: the
/// item's path does.
pub(crate) fn doctest(context: &Context, library: Option<&Target>, id: &str) -> Vec<String> {
    let mut argv = start(context);
    if let Some(library) = library.filter(|library| !library.package.is_empty()) {
        argv.push("-p".to_owned());
        argv.push(library.package.clone());
    }
    argv.push("--doc".to_owned());
    let item = id
        .split_once(" - ")
        .and_then(|(_, rest)| rest.split_once("(line "))
        .map(|(item, _)| item.trim());
    if let Some(item) = item.filter(|item| !item.is_empty() && !item.contains(' ')) {
        argv.extend(["--", item].map(str::to_owned));
    }
    argv
}

/// The target in cargo's own words about a failed one: `… to rerun pass `-p demo --lib``.
pub(crate) fn hinted(line: &str) -> Option<Target> {
    let rest = line.strip_prefix("error: ")?;
    let (what, rest) = rest.split_once(" failed, to rerun pass `")?;
    let arguments = rest.split('`').next()?;
    let mut target = Target::default();
    let mut words = arguments.split(' ');
    while let Some(word) = words.next() {
        match word {
            "-p" | "--package" => target.package = words.next()?.to_owned(),
            "--lib" | "--doc" => target.kind = word[2..].to_owned(),
            "--test" | "--bin" | "--example" | "--bench" => {
                target.kind = word[2..].to_owned();
                target.name = words.next()?.to_owned();
            }
            _ => return None,
        }
    }
    // A package may be named by its whole specification.
    if let Some((_, name)) = target.package.rsplit_once('#') {
        target.package = name.split('@').next().unwrap_or(name).to_owned();
    }
    if target.name.is_empty() {
        target.name = target.package.replace('-', "_");
    }
    ["test", "doctest", "bench"]
        .contains(&what)
        .then_some(target)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(argv: Vec<String>) -> String {
        argv.join(" ")
    }

    #[test]
    fn each_kind_of_test_has_its_form() {
        let context = Context::default();
        let target = |kind: &str| Target {
            package: "p".into(),
            name: "n".into(),
            kind: kind.into(),
            dir: "/p".into(),
            ..Target::default()
        };
        assert_eq!(
            words(test(&context, &target("lib"), "tests::a")),
            "cargo test -p p --lib -- --exact tests::a"
        );
        assert_eq!(
            words(test(&context, &target("bin"), "a")),
            "cargo test -p p --bin n -- --exact a"
        );
        assert_eq!(
            words(super::target(&context, &target("test"))),
            "cargo test -p p --test n"
        );
        let library = target("lib");
        let doc = |id| words(doctest(&context, Some(&library), id));
        assert_eq!(
            doc("src/lib.rs - a::b (line 2)"),
            "cargo test -p p --doc -- a::b"
        );
        assert_eq!(doc("src/lib.rs - (line 2)"), "cargo test -p p --doc");
    }

    #[test]
    fn what_decides_the_build_is_kept() {
        let command =
            "cargo +nightly test --workspace --no-fail-fast --features a --release -- --nocapture";
        let context = Context {
            command: command.split(' ').map(str::to_owned).collect(),
            dir: "rust".into(),
            ..Context::default()
        };
        assert_eq!(
            words(test(&context, &Target::default(), "x")),
            "cargo +nightly test --features a --release --manifest-path rust/Cargo.toml -- --exact x"
        );
    }
}
