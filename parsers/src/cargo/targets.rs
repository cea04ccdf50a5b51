//! Which target a test binary belongs to, by cargo's own messages.

use crate::cargo::package::Package;
use crate::context::Context;
use cargo_metadata::Artifact;
use std::collections::BTreeMap;

/// More artifacts than this are not remembered.
const MOST: usize = 20_000;

/// A test binary's target.
#[derive(Debug, Clone, Default)]
pub(crate) struct Target {
    /// The package's name.
    pub package: String,
    /// The target's name.
    pub name: String,
    /// `lib`, `bin`, `test`, `example`, `bench`; empty when nobody said.
    pub kind: String,
    /// The package's directory, absolute.
    pub dir: String,
    /// The binary's path, kept only while nobody has said whose it is.
    pub binary: String,
}

impl Target {
    /// The words that select this target: `--lib`, `--test api`.
    pub fn flags(&self) -> Vec<String> {
        match self.kind.as_str() {
            "" => Vec::new(),
            "bin" | "test" | "example" | "bench" => {
                vec![format!("--{}", self.kind), self.name.clone()]
            }
            _ => vec!["--lib".to_owned()],
        }
    }
}

/// Every target that cargo named.
#[derive(Debug, Default)]
pub(crate) struct Targets {
    by_binary: BTreeMap<String, Target>,
    libraries: Vec<Target>,
}

impl Targets {
    /// Remembers an artifact.
    pub fn artifact(&mut self, artifact: &Artifact) {
        let target = Target {
            package: package_name(&artifact.package_id.repr),
            name: artifact.target.name.clone(),
            kind: artifact
                .target
                .kind
                .first()
                .map(ToString::to_string)
                .unwrap_or_default(),
            dir: parent(artifact.manifest_path.as_str()).to_owned(),
            binary: String::new(),
        };
        if self.by_binary.len() + self.libraries.len() >= MOST {
            return;
        }
        if artifact.target.doctest {
            self.libraries.push(target.clone());
        }
        if let Some(binary) = &artifact.executable
            && artifact.profile.test
        {
            self.by_binary.insert(binary.as_str().to_owned(), target);
        }
    }

    /// The target of a binary. Unknown ones are named after the file.
    pub fn of(&self, binary: &str) -> Target {
        if let Some(target) = self.by_binary.get(binary) {
            return target.clone();
        }
        // A pasted log names the binary relative to the workspace.
        let by_end = self.by_binary.iter().find(|(known, _)| {
            known
                .strip_suffix(binary)
                .is_some_and(|rest| rest.ends_with('/'))
        });
        by_end.map_or_else(|| unknown(binary), |(_, target)| target.clone())
    }

    /// The same target by all that is known now: cargo's text and its messages come on two
    /// streams, and the text that names a binary may overtake the message that explains it.
    pub fn settled(&self, target: &Target) -> Target {
        match target.binary.is_empty() || !target.kind.is_empty() {
            true => target.clone(),
            false => self.of(&target.binary),
        }
    }

    /// The word that stands for a target in a report: its name, and more only where another
    /// target that was tested has the same.
    pub fn label(&self, target: &Target) -> String {
        let same: Vec<&Target> = self
            .by_binary
            .values()
            .filter(|other| other.name == target.name)
            .collect();
        let foreign = same.iter().any(|other| other.package != target.package);
        let shadowed = target.kind == "bin"
            && same
                .iter()
                .any(|other| other.package == target.package && other.kind != "bin");
        let package = if foreign {
            format!("{}/", target.package)
        } else {
            String::new()
        };
        let kind = if shadowed { "bin " } else { "" };
        format!("{package}{kind}{}", target.name)
    }

    /// The library whose doctests lie in `file` (relative to the project's root).
    pub fn library(&self, file: &str, context: &Context) -> Option<Target> {
        let inside = |target: &&Target| {
            let dir = context.relative_from("", &target.dir);
            dir.is_empty() || file.starts_with(&format!("{dir}/"))
        };
        self.libraries
            .iter()
            .filter(inside)
            .max_by_key(|target| target.dir.len())
            .cloned()
    }

    /// A library by its package's name, as in `Doc-tests NAME`.
    pub fn library_named(&self, name: &str) -> Option<Target> {
        let same =
            |target: &&Target| target.name.replace('-', "_") == name || target.package == name;
        self.libraries.iter().find(same).cloned()
    }

    /// The binaries that cargo built for testing.
    pub fn binaries(&self) -> impl Iterator<Item = &str> {
        self.by_binary.keys().map(String::as_str)
    }

    /// The package that holds a target.
    pub fn package(target: &Target, context: &Context) -> Package {
        if target.dir.is_empty() {
            return Package::new(context.clone(), &context.dir);
        }
        Package::new(context.clone(), &target.dir)
    }
}

/// A target of which only the binary is known: its name without the hash.
fn unknown(binary: &str) -> Target {
    let file = binary.rsplit('/').next().unwrap_or(binary);
    let name = match file.rsplit_once('-') {
        Some((name, hash)) if hash.len() == 16 => name,
        _ => file,
    };
    Target {
        name: name.to_owned(),
        binary: binary.to_owned(),
        ..Target::default()
    }
}

pub(crate) fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(parent, _)| parent)
}

/// The package's name in a package id specification (`path+file:///p#0.1.0`, `…#name@0.1.0`).
pub(crate) fn package_name(id: &str) -> String {
    let (url, fragment) = id.rsplit_once('#').unwrap_or((id, ""));
    if let Some((name, _)) = fragment.rsplit_once('@') {
        return name.to_owned();
    }
    // Before the specification became stable: `name 0.1.0 (path+file:///p)`.
    if fragment.is_empty()
        && let Some((name, _)) = id.split_once(' ')
    {
        return name.to_owned();
    }
    let path = url.split('?').next().unwrap_or(url).trim_end_matches('/');
    path.rsplit('/').next().unwrap_or(path).to_owned()
}

/// The directory of a package that lies on this machine.
pub(crate) fn package_dir(id: &str) -> Option<String> {
    let rest = id.split_once("path+file://")?.1;
    let path = rest.split(['#', '?', ')']).next()?;
    let mut bytes = Vec::new();
    let mut left = path.as_bytes();
    while let Some((first, rest)) = left.split_first() {
        let coded = (*first == b'%').then(|| rest.get(..2)).flatten();
        let coded =
            coded.and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        bytes.push(coded.unwrap_or(*first));
        left = if coded.is_some() { &rest[2..] } else { rest };
    }
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn package_ids_of_all_times() {
        assert_eq!(package_name("path+file:///tmp/pw/demo#0.1.0"), "demo");
        assert_eq!(package_name("path+file:///tmp/pw/dir#demo@0.1.0"), "demo");
        assert_eq!(
            package_name("registry+https://github.com/rust-lang/crates.io-index#serde@1.0.0"),
            "serde"
        );
        assert_eq!(package_name("demo 0.1.0 (path+file:///p)"), "demo");
        let dir = package_dir("path+file:///tmp/with%20blank%/demo#0.1.0");
        assert_eq!(dir.as_deref(), Some("/tmp/with blank%/demo"));
    }

    #[test]
    fn a_name_is_enough_until_another_has_it() {
        let mut targets = Targets::default();
        let target = |package: &str, name: &str, kind: &str| Target {
            package: package.into(),
            name: name.into(),
            kind: kind.into(),
            dir: "/p".into(),
            ..Target::default()
        };
        let known = [
            target("a", "a", "lib"),
            target("a", "a", "bin"),
            target("a", "api", "test"),
            target("b", "api", "test"),
        ];
        for (i, target) in known.iter().enumerate() {
            targets.by_binary.insert(i.to_string(), target.clone());
        }
        let labels: Vec<String> = known.iter().map(|target| targets.label(target)).collect();
        assert_eq!(labels, ["a", "bin a", "a/api", "b/api"]);
    }

    #[test]
    fn an_unknown_binary_is_named_after_its_file() {
        let target = Targets::default().of("target/debug/deps/demo-8348ca7a80742723");
        assert_eq!(target.name, "demo");
    }

    #[test]
    fn a_binary_that_was_named_before_it_was_explained_has_one_name() {
        let mut targets = Targets::default();
        let early = targets.of("/p/target/debug/deps/reader-0123456789abcdef");
        let known = Target {
            package: "reader".to_owned(),
            name: "reader".to_owned(),
            ..Target::default()
        };
        let binary = "/p/target/debug/deps/reader-0123456789abcdef".to_owned();
        targets.by_binary.insert(binary, known);
        assert_eq!(targets.label(&targets.settled(&early)), "reader");
    }
}
