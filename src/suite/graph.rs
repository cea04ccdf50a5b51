//! The crates of a cargo workspace and which of them depend on which, read from the manifests
//! as data. `cargo metadata` would run the project's `build.rustc`.

use crate::suite::Listing;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::path::Component;
use std::path::Path;
use std::path::PathBuf;
use toml::Table;
use toml::Value;

/// Crates by directory, with their path dependencies.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CrateGraph {
    crates: BTreeMap<PathBuf, Crate>,
}

/// One crate.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Crate {
    name: Option<String>,
    /// Directories of its path dependencies.
    uses: BTreeSet<PathBuf>,
    workspace: Option<Workspace>,
    /// `package.workspace`, resolved.
    root: Option<PathBuf>,
    /// Whether it has any target that could hold tests, as far as the manifest says.
    package: bool,
}

/// `[workspace]`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Workspace {
    members: Vec<String>,
    exclude: Vec<PathBuf>,
}

impl CrateGraph {
    /// Reads every manifest of the listing. What does not parse is a crate without a name:
    /// cargo will say what is wrong with it.
    pub fn read(listing: &Listing) -> Self {
        let tables: BTreeMap<PathBuf, Table> = listing
            .dirs_with("Cargo.toml")
            .map(|dir| {
                let text = listing.content(&dir.join("Cargo.toml")).unwrap_or_default();
                (dir.to_owned(), text.parse().unwrap_or_default())
            })
            .collect();
        let mut graph = CrateGraph::default();
        for (dir, table) in &tables {
            graph.crates.insert(dir.clone(), Crate::read(dir, table));
        }
        graph.inherit(&tables);
        graph
    }

    /// Resolves `name.workspace = true` through the `[workspace.dependencies]` of the root.
    fn inherit(&mut self, tables: &BTreeMap<PathBuf, Table>) {
        let roots: Vec<PathBuf> = self.roots().map(Path::to_owned).collect();
        for root in roots {
            let shared = tables
                .get(&root)
                .and_then(|table| table.get("workspace")?.get("dependencies")?.as_table());
            let Some(shared) = shared else { continue };
            let paths: BTreeMap<&str, PathBuf> = shared
                .iter()
                .filter_map(|(name, value)| {
                    Some((name.as_str(), resolve(&root, value.get("path")?.as_str()?)?))
                })
                .collect();
            for (dir, one) in &mut self.crates {
                let Some(table) = tables.get(dir) else {
                    continue;
                };
                for (name, value) in dependencies(table) {
                    if value.get("workspace").and_then(Value::as_bool) == Some(true)
                        && let Some(path) = paths.get(name)
                        && dir.starts_with(&root)
                    {
                        one.uses.insert(path.clone());
                    }
                }
            }
        }
    }

    /// The directories of workspace roots.
    pub fn roots(&self) -> impl Iterator<Item = &Path> {
        self.crates
            .iter()
            .filter(|(_, one)| one.workspace.is_some())
            .map(|(dir, _)| dir.as_path())
    }

    /// Whether there is a `[workspace]` in this directory.
    pub fn is_workspace(&self, dir: &Path) -> bool {
        self.crates
            .get(dir)
            .is_some_and(|one| one.workspace.is_some())
    }

    /// All directories with a manifest.
    pub fn dirs(&self) -> impl Iterator<Item = &Path> {
        self.crates.keys().map(PathBuf::as_path)
    }

    /// The workspace root that a crate belongs to, itself included; `None` when it stands alone.
    pub fn root_of(&self, dir: &Path) -> Option<&Path> {
        let one = self.crates.get(dir)?;
        if let Some(root) = &one.root {
            return self
                .crates
                .get_key_value(root)
                .map(|(root, _)| root.as_path());
        }
        let (root, found) = dir
            .ancestors()
            .filter_map(|up| self.crates.get_key_value(up))
            .find(|(_, up)| up.workspace.is_some())?;
        let workspace = found.workspace.as_ref()?;
        let excluded = workspace
            .exclude
            .iter()
            .any(|out| dir.starts_with(root.join(out)));
        (!excluded).then_some(root.as_path())
    }

    /// The crates of the workspace at `root` that cargo takes as members.
    pub fn members(&self, root: &Path) -> BTreeSet<&Path> {
        let Some((root, one)) = self.crates.get_key_value(root) else {
            return BTreeSet::new();
        };
        let mut members: BTreeSet<&Path> = BTreeSet::from([root.as_path()]);
        let patterns = one.workspace.as_ref().map_or(&[][..], |all| &all.members);
        for dir in self.dirs().filter(|dir| self.root_of(dir) == Some(root)) {
            let below = dir.strip_prefix(root).unwrap_or(dir);
            if patterns.iter().any(|pattern| glob(pattern, below)) {
                members.insert(dir);
            }
        }
        // Path dependencies that lie below the root are members too.
        let mut open: Vec<&Path> = members.iter().copied().collect();
        while let Some(dir) = open.pop() {
            for used in self.crates.get(dir).into_iter().flat_map(|one| &one.uses) {
                if used.starts_with(root)
                    && self.crates.contains_key(used)
                    && self.root_of(used) == Some(root)
                    && members.insert(used)
                {
                    open.push(used);
                }
            }
        }
        members
    }

    /// The package name of a crate.
    pub fn name(&self, dir: &Path) -> Option<&str> {
        self.crates.get(dir)?.name.as_deref()
    }

    /// Whether the directory holds a package and not only a `[workspace]`.
    pub fn is_package(&self, dir: &Path) -> bool {
        self.crates.get(dir).is_some_and(|one| one.package)
    }

    /// The packages below `root` whose tests the changed paths can affect: the crates that hold
    /// them and all that depend on these. `None` when everything may be affected.
    pub fn affected(&self, root: &Path, changed: &[PathBuf]) -> Option<BTreeSet<&str>> {
        let members = self.members(root);
        let mut hit: BTreeSet<&Path> = BTreeSet::new();
        for path in changed {
            let file = path
                .file_name()
                .and_then(|name| name.to_str())
                .unwrap_or_default();
            if matches!(
                file,
                "Cargo.lock" | "rust-toolchain" | "rust-toolchain.toml"
            ) || path.iter().any(|part| part == ".cargo")
            {
                return None;
            }
            let owner = path
                .ancestors()
                .filter_map(|up| self.crates.get_key_value(up))
                .map(|(dir, _)| dir.as_path())
                .next()?;
            // The root's own manifest can change every member.
            if owner == root && file == "Cargo.toml" {
                return None;
            }
            if members.contains(owner) {
                hit.insert(owner);
            }
        }
        let mut grown = true;
        while grown {
            grown = false;
            for dir in &members {
                let uses = self.crates.get(*dir).map(|one| &one.uses);
                if !hit.contains(dir)
                    && uses.is_some_and(|uses| uses.iter().any(|used| hit.contains(used.as_path())))
                {
                    hit.insert(dir);
                    grown = true;
                }
            }
        }
        Some(hit.into_iter().filter_map(|dir| self.name(dir)).collect())
    }
}

impl Crate {
    fn read(dir: &Path, table: &Table) -> Self {
        let package = table.get("package").and_then(Value::as_table);
        let text = |key: &str| package?.get(key)?.as_str();
        Crate {
            name: text("name").map(str::to_owned),
            root: text("workspace").and_then(|up| resolve(dir, up)),
            package: package.is_some(),
            uses: dependencies(table)
                .filter_map(|(_, value)| resolve(dir, value.get("path")?.as_str()?))
                .collect(),
            workspace: table.get("workspace").map(|value| Workspace {
                members: strings(value, "members"),
                exclude: strings(value, "exclude")
                    .iter()
                    .map(PathBuf::from)
                    .collect(),
            }),
        }
    }
}

/// Every dependency of a manifest, those of targets too.
fn dependencies(table: &Table) -> impl Iterator<Item = (&str, &Value)> {
    const KINDS: [&str; 3] = ["dependencies", "dev-dependencies", "build-dependencies"];
    let own = KINDS.iter().filter_map(|kind| table.get(*kind));
    let targets = table
        .get("target")
        .and_then(Value::as_table)
        .into_iter()
        .flat_map(|targets| targets.values())
        .flat_map(|target| KINDS.iter().filter_map(|kind| target.get(*kind)));
    own.chain(targets)
        .filter_map(Value::as_table)
        .flat_map(|table| table.iter().map(|(name, value)| (name.as_str(), value)))
}

fn strings(value: &Value, key: &str) -> Vec<String> {
    value
        .get(key)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|item| Some(item.as_str()?.trim_end_matches('/').to_owned()))
        .collect()
}

/// `dir` joined with a relative path, without `.` and `..`; `None` when it leaves the project.
fn resolve(dir: &Path, path: &str) -> Option<PathBuf> {
    let mut whole = PathBuf::new();
    for part in dir.join(path).components() {
        match part {
            Component::Normal(name) => whole.push(name),
            Component::CurDir => {}
            Component::ParentDir => {
                if !whole.pop() {
                    return None;
                }
            }
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(whole)
}

/// Cargo's member patterns: `*` and `?` within one part of a path, `**` for any parts.
fn glob(pattern: &str, path: &Path) -> bool {
    let pattern: Vec<&str> = pattern.split('/').filter(|part| *part != ".").collect();
    let path: Vec<&str> = path.iter().filter_map(|part| part.to_str()).collect();
    parts(&pattern, &path)
}

fn parts(pattern: &[&str], path: &[&str]) -> bool {
    match (pattern.split_first(), path.split_first()) {
        (None, None) => true,
        (Some((&"**", rest)), _) => {
            parts(rest, path)
                || path
                    .split_first()
                    .is_some_and(|(_, less)| parts(pattern, less))
        }
        (Some((one, rest)), Some((name, less))) => {
            word(one.as_bytes(), name.as_bytes()) && parts(rest, less)
        }
        _ => false,
    }
}

fn word(pattern: &[u8], name: &[u8]) -> bool {
    match (pattern.split_first(), name.split_first()) {
        (None, None) => true,
        (Some((b'*', rest)), _) => {
            word(rest, name)
                || name
                    .split_first()
                    .is_some_and(|(_, less)| word(pattern, less))
        }
        (Some((b'?', rest)), Some((_, less))) => word(rest, less),
        (Some((one, rest)), Some((byte, less))) => one == byte && word(rest, less),
        _ => false,
    }
}
