//! Where things are: which directory a package lies in, which file a name in a log line means,
//! where a test is defined. Go prints import paths and bare file names.

use crate::compose;
use crate::context::Context;
use crate::go::trace::Call;
use crate::names::Names;
use crate::report::Frame;
use crate::report::Location;
use crate::text;
use std::collections::HashMap;

/// More sources than this are not read.
const MOST_SOURCES: usize = 2000;
/// A helper is looked for in so many packages.
const MOST_IMPORTED: usize = 200;

/// A module of the project.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Module {
    path: String,
    dir: String,
}

/// What a line of a source says about what was reported there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Code {
    /// Nobody can look.
    Unknown,
    /// There is a call, of whatever.
    Call,
    /// `t.Log`, `t.Skip`.
    Log,
    /// `t.Error`, `t.Fatal`.
    Error,
    /// Nothing that reports anything.
    Nothing,
}

/// Whether a test function is in the sources.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Defined {
    /// Here.
    At(Location),
    /// Nowhere in the package's test files.
    Nowhere,
    /// Nobody can look.
    Unknown,
}

/// Knows where things are.
#[derive(Debug)]
pub(crate) struct Places {
    /// The run's surroundings.
    pub context: Context,
    modules: Option<Vec<Module>>,
    /// Import paths and their directories, as absolute paths and build errors told, without
    /// what both end with.
    learned: Vec<(String, String)>,
    /// The module that the packages' names suggest.
    guess: Option<String>,
    sources: HashMap<String, Option<Vec<String>>>,
    found: HashMap<String, Option<(String, String)>>,
    /// Where files lie that are not in the package's own directory.
    helpers: HashMap<(String, String), Option<String>>,
    /// Tests of which a failure was made.
    made: Names<()>,
}

impl Places {
    /// With nothing looked up yet.
    pub fn new(context: Context) -> Self {
        Places {
            context,
            modules: None,
            learned: Vec::new(),
            guess: None,
            sources: HashMap::new(),
            found: HashMap::new(),
            helpers: HashMap::new(),
            made: Names::default(),
        }
    }

    /// Whether more failures were made than a report lists, before that of this test.
    pub fn many(&mut self, package: &str, test: &str) -> bool {
        if self.made.len() >= compose::MOST_FAILURES {
            return true;
        }
        self.made.insert(&format!("{package} {test}"), ());
        false
    }

    fn modules(&mut self) -> &[Module] {
        if self.modules.is_none() {
            self.modules = Some(self.read_modules());
        }
        self.modules.as_deref().unwrap_or(&[])
    }

    fn read_modules(&self) -> Vec<Module> {
        let mut dirs = vec![self.context.dir.clone(), String::new()];
        let mut above = self.context.dir.as_str();
        while let Some((rest, _)) = above.rsplit_once('/') {
            dirs.push(rest.to_owned());
            above = rest;
        }
        for dir in dirs.clone() {
            let work = self
                .context
                .tree
                .read(&join(&dir, "go.work"))
                .unwrap_or_default();
            dirs.extend(used(&work).map(|used| self.context.relative_from(&dir, used)));
        }
        dirs.dedup();
        let mut modules = Vec::new();
        for dir in dirs.into_iter().take(200) {
            let Some(text) = self.context.tree.read(&join(&dir, "go.mod")) else {
                continue;
            };
            if let Some(path) = module_path(&text) {
                let module = Module { path, dir };
                if !modules.contains(&module) {
                    modules.push(module);
                }
            }
        }
        // The longest path fits best.
        modules.sort_by_key(|module| std::cmp::Reverse(module.path.len()));
        modules
    }

    /// The module of a package and the package's directory, where the sources tell.
    fn by_module(&mut self, package: &str) -> Option<(String, String)> {
        if let Some(known) = self.found.get(package) {
            return known.clone();
        }
        let found = self.look(package);
        if self.found.len() < 100_000 {
            self.found.insert(package.to_owned(), found.clone());
        }
        found
    }

    fn look(&mut self, package: &str) -> Option<(String, String)> {
        let package = package.strip_suffix("_test").unwrap_or(package);
        let found = self.modules().iter().find_map(|module| {
            let rest = package.strip_prefix(&module.path)?;
            let rest = match rest.strip_prefix('/') {
                Some(rest) => rest,
                None if rest.is_empty() => "",
                None => return None,
            };
            Some((module.dir.clone(), join(&module.dir, rest)))
        });
        found.or_else(|| self.by_suffix(package))
    }

    /// A module somewhere below the root, found by the package's own last parts.
    fn by_suffix(&mut self, package: &str) -> Option<(String, String)> {
        let parts: Vec<&str> = package.split('/').collect();
        for from in 1..parts.len() {
            for to in (from + 1..=parts.len()).rev() {
                let dir = join(&self.context.dir, &parts[from..to].join("/"));
                let text = self.context.tree.read(&join(&dir, "go.mod"));
                let path = text.as_deref().and_then(module_path);
                let Some(path) = path else {
                    continue;
                };
                let rest = package
                    .strip_prefix(&path)
                    .filter(|rest| rest.is_empty() || rest.starts_with('/'));
                if let Some(rest) = rest {
                    let found = join(&dir, rest.trim_start_matches('/'));
                    if let Some(modules) = &mut self.modules {
                        modules.push(Module {
                            path,
                            dir: dir.clone(),
                        });
                    }
                    return Some((dir, found));
                }
            }
        }
        None
    }

    /// Whether the sources tell where the package is.
    pub fn known(&mut self, package: &str) -> bool {
        self.by_module(package).is_some()
    }

    /// The import path of what gotestsum names relative to the module.
    pub fn whole(&mut self, relative: &str) -> String {
        let module = self
            .modules()
            .iter()
            .rfind(|module| !module.path.is_empty())
            .cloned();
        let module = module.map(|module| module.path);
        match module {
            Some(module) if relative.starts_with(&module) => relative.to_owned(),
            Some(module) if relative == "." => module,
            Some(module) => format!("{module}/{relative}"),
            None if relative == "." => ".".to_owned(),
            None if relative
                .split('/')
                .next()
                .is_some_and(|first| first.contains('.')) =>
            {
                relative.to_owned()
            }
            None => format!("./{relative}"),
        }
    }

    /// Takes the packages of the run: what they have in common is probably the module.
    pub fn suggest<'a>(&mut self, packages: impl Iterator<Item = &'a str>) {
        let mut common: Option<Vec<&str>> = None;
        let mut several = false;
        for package in packages.filter(|name| name.contains(['.', '/'])) {
            let parts: Vec<&str> = package.split('/').collect();
            common = Some(match common {
                None => parts,
                Some(known) => {
                    several |= known != parts;
                    let same = known.iter().zip(&parts).take_while(|(a, b)| a == b).count();
                    known[..same].to_vec()
                }
            });
        }
        let Some(mut parts) = common else {
            return;
        };
        let usual = match parts.first() {
            Some(&("github.com" | "gitlab.com" | "bitbucket.org" | "codeberg.org")) => 3,
            Some(first) if first.contains('.') => 2,
            _ => 1,
        };
        let versioned = parts.get(usual).is_some_and(|part| is_version(part));
        parts.truncate(usual + usize::from(versioned));
        if !parts.is_empty() && (several || parts.len() >= usual) {
            self.guess = Some(parts.join("/"));
        }
    }

    /// Learns directories from a trace.
    pub fn learn(&mut self, calls: &[Call]) {
        for call in calls
            .iter()
            .filter(|call| call.file.starts_with('/') && !call.is_go())
        {
            let file = self.context.relative(&call.file);
            if self.context.is_user(&file) && !file.starts_with('/') {
                let package = call.package();
                let package = package.strip_suffix("_test").unwrap_or(&package);
                self.teach(package, &file);
            }
        }
    }

    /// A file lies in a package.
    pub fn teach(&mut self, package: &str, file: &str) {
        let dir = file.rsplit_once('/').map_or("", |(dir, _)| dir);
        if package == "main" || file.starts_with(['/', '.']) || self.learned.len() >= 1000 {
            return;
        }
        let (mut package, mut dir) = (package, dir);
        while let Some((rest, last)) = package.rsplit_once('/') {
            let above = match dir.rsplit_once('/') {
                Some((above, same)) if same == last => above,
                None if dir == last => "",
                _ => break,
            };
            (package, dir) = (rest, above);
        }
        let pair = (package.to_owned(), dir.to_owned());
        if !self.learned.contains(&pair) {
            self.learned.push(pair);
        }
    }

    /// A package's directory relative to the root.
    pub fn dir(&mut self, package: &str) -> Option<String> {
        if package == "command-line-arguments" {
            return Some(self.context.dir.clone());
        }
        if let Some(absolute) = package
            .strip_prefix('_')
            .filter(|rest| rest.starts_with('/'))
        {
            return Some(self.context.relative(absolute));
        }
        if package.starts_with("./") || package == "." {
            return Some(self.context.relative(package));
        }
        if let Some((_, dir)) = self.by_module(package) {
            return Some(dir);
        }
        let known = self.learned.iter().filter_map(|(base, dir)| {
            let rest = package.strip_prefix(base.as_str())?;
            let rest = rest.strip_prefix('/').or(rest.is_empty().then_some(""))?;
            Some((base.len(), join(dir, rest)))
        });
        if let Some((_, dir)) = known.max_by_key(|(length, _)| *length) {
            return Some(dir);
        }
        let guess = self.guess.clone()?;
        let rest = package.strip_prefix(&guess)?;
        let rest = rest.strip_prefix('/').or(rest.is_empty().then_some(""))?;
        Some(join(&self.context.dir, rest))
    }

    /// Whether the package is surely not one of the project's.
    pub fn foreign(&mut self, package: &str) -> bool {
        !self.modules().is_empty()
            && self.by_module(package).is_none()
            && !package.starts_with(['.', '_'])
            && package != "command-line-arguments"
    }

    /// The directory of the package's module, if it is not the one that the command ran in.
    pub fn module_dir(&mut self, package: &str) -> Option<String> {
        let (module, _) = self.by_module(package)?;
        let work = join(&self.context.dir, "go.work");
        let inside = self.context.tree.holds(&work) || module == self.context.dir;
        // A module above the directory is found by go itself.
        let above = self.context.dir.starts_with(&format!("{module}/")) || module.is_empty();
        (!inside && !above).then_some(module)
    }

    /// The file that a test's log line names: a base name, or with `-fullpath` all of it.
    pub fn file(&mut self, package: &str, name: &str) -> String {
        if name.starts_with('/') {
            return self.context.relative(name);
        }
        let Some(dir) = self.dir(package) else {
            return name.to_owned();
        };
        let own = join(&dir, name);
        // The tests of a package can only be its own; a helper may lie in another package.
        if name.ends_with("_test.go") || name.contains('/') || self.source(&own).is_some() {
            return own;
        }
        self.imported(&dir, name).unwrap_or(own)
    }

    /// The file of a name in a package of the project that a package's files import, the nearest
    /// first.
    fn imported(&mut self, dir: &str, name: &str) -> Option<String> {
        let key = (dir.to_owned(), name.to_owned());
        if let Some(known) = self.helpers.get(&key) {
            return known.clone();
        }
        let mut dirs = vec![dir.to_owned()];
        let mut at = 0;
        let mut found = None;
        while at < dirs.len() && at < MOST_IMPORTED {
            let dir = dirs[at].clone();
            at += 1;
            let files = self.context.tree.list(&dir);
            if at > 1 && files.iter().any(|file| file == name) {
                found = Some(join(&dir, name));
                break;
            }
            for file in files.iter().filter(|file| file.ends_with(".go")) {
                for import in self.imports(&join(&dir, file)) {
                    if let Some(dir) = self.in_modules(&import)
                        && !dirs.contains(&dir)
                    {
                        dirs.push(dir);
                    }
                }
            }
        }
        if self.helpers.len() < MOST_SOURCES {
            self.helpers.insert(key, found.clone());
        }
        found
    }

    /// What a source imports.
    fn imports(&mut self, file: &str) -> Vec<String> {
        let Some(lines) = self.source(file) else {
            return Vec::new();
        };
        let head = lines
            .iter()
            .take_while(|line| !line.starts_with("func ") && !line.starts_with("type "));
        let quoted = head.filter_map(|line| {
            let (_, rest) = line.split_once('"')?;
            let (path, _) = rest.split_once('"')?;
            (!path.is_empty() && !path.contains(' ')).then(|| path.to_owned())
        });
        quoted.take(200).collect()
    }

    /// The directory of a package of one of the project's modules.
    fn in_modules(&mut self, package: &str) -> Option<String> {
        self.modules().iter().find_map(|module| {
            let rest = package.strip_prefix(&module.path)?;
            let rest = rest.strip_prefix('/').or(rest.is_empty().then_some(""))?;
            Some(join(&module.dir, rest))
        })
    }

    /// Whether a package's directory is known and has no such file: then it is another
    /// package's, and nobody knows which.
    pub fn elsewhere(&mut self, file: &str) -> bool {
        if file.starts_with('/') || self.source(file).is_some() {
            return false;
        }
        let (dir, name) = file.rsplit_once('/').unwrap_or(("", file));
        let files = self.context.tree.list(dir);
        files.iter().any(|file| file.ends_with("_test.go")) && !files.iter().any(|it| it == name)
    }

    /// A path as the go command prints it: relative to where it ran.
    pub fn path(&mut self, package: &str, path: &str) -> String {
        let plain = self.context.relative(path);
        if path.starts_with('/') || self.context.tree.holds(&plain) {
            return plain;
        }
        let base = path.rsplit('/').next().unwrap_or(path);
        if let Some((module, dir)) = self.by_module(package) {
            for other in [join(&dir, base), self.context.relative_from(&module, path)] {
                if self.context.tree.holds(&other) {
                    return other;
                }
            }
        }
        plain
    }

    /// A frame for people.
    pub fn frame(&mut self, call: &Call) -> Frame {
        let mut file = self.context.relative(&call.file);
        if !call.file.starts_with('/') && !call.is_go() {
            // `-trimpath`: the import path stands in the directory's place.
            let base = call.file.rsplit('/').next().unwrap_or(&call.file);
            let package = call.package();
            if call.file.rsplit_once('/').map(|(dir, _)| dir) == Some(package.as_str()) {
                file = self.file(&package, base);
            }
        }
        let cached = file.contains("/pkg/mod/") || file.contains('@');
        Frame {
            user: !call.is_go()
                && !cached
                && self.context.is_user(&file)
                && call.file != "_testmain.go",
            file,
            line: Some(call.line),
            function: Some(text::cut(&call.function, 300)),
        }
    }

    fn source(&mut self, file: &str) -> Option<&[String]> {
        if !self.sources.contains_key(file) {
            if self.sources.len() >= MOST_SOURCES {
                return None;
            }
            let text = self.context.tree.read(file);
            let lines = text.map(|text| text.lines().map(str::to_owned).collect());
            self.sources.insert(file.to_owned(), lines);
        }
        self.sources.get(file)?.as_deref()
    }

    /// What stands at a place.
    pub fn code(&mut self, file: &str, line: u32) -> Code {
        let Some(lines) = self.source(file) else {
            return Code::Unknown;
        };
        let Some(code) = lines.get(line.saturating_sub(1) as usize) else {
            return Code::Nothing;
        };
        let code = code.trim_start();
        let starts = |words: &[&str]| words.iter().any(|word| code.starts_with(word));
        if !code.contains('(')
            || starts(&["//", "import", "package", "fmt.", "log.", "os.", "print"])
        {
            return Code::Nothing;
        }
        let has = |words: &[&str]| words.iter().any(|word| code.contains(word));
        if has(&[".Error(", ".Errorf(", ".Fatal(", ".Fatalf("]) {
            Code::Error
        } else if has(&[".Log(", ".Logf(", ".Skip(", ".Skipf("]) {
            Code::Log
        } else {
            Code::Call
        }
    }

    /// Whether a place lies in a function that is given to `t.Cleanup`, by the indentation that
    /// gofmt gives.
    pub fn in_cleanup(&mut self, file: &str, line: u32) -> bool {
        let Some(lines) = self.source(file) else {
            return false;
        };
        let at = line.saturating_sub(1) as usize;
        let depth = |line: &str| line.len() - line.trim_start_matches('\t').len();
        let Some(own) = lines.get(at) else {
            return false;
        };
        if own.contains(".Cleanup(func(") {
            return true;
        }
        let mut level = depth(own);
        for above in lines[..at].iter().rev().take(300) {
            if above.trim().is_empty() || depth(above) >= level {
                continue;
            }
            level = depth(above);
            if above.contains(".Cleanup(func(") {
                return true;
            }
            if level == 0 {
                break;
            }
        }
        false
    }

    /// Where a test function is defined.
    pub fn defined(&mut self, package: &str, test: &str) -> Defined {
        let function = test.split('/').next().unwrap_or(test);
        let Some((_, dir)) = self.by_module(package) else {
            return Defined::Unknown;
        };
        let mut files = self.context.tree.list(&dir);
        files.retain(|name| name.ends_with("_test.go"));
        files.sort();
        if files.is_empty() {
            return Defined::Unknown;
        }
        let (plain, generic) = (format!("func {function}("), format!("func {function}["));
        let mut unread = false;
        for name in files {
            let path = join(&dir, &name);
            let Some(lines) = self.source(&path) else {
                unread = true;
                continue;
            };
            let at = lines
                .iter()
                .position(|line| line.starts_with(&plain) || line.starts_with(&generic));
            if let Some(at) = at {
                return Defined::At(Location {
                    file: path,
                    line: u32::try_from(at + 1).ok(),
                    column: None,
                });
            }
        }
        if unread {
            Defined::Unknown
        } else {
            Defined::Nowhere
        }
    }
}

/// A directory and what lies in it.
fn join(dir: &str, name: &str) -> String {
    match (dir, name) {
        ("", name) => name.to_owned(),
        (dir, "") => dir.to_owned(),
        (dir, name) => format!("{dir}/{name}"),
    }
}

fn is_version(part: &str) -> bool {
    part.strip_prefix('v')
        .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The path in a `go.mod`.
fn module_path(text: &str) -> Option<String> {
    let line = text
        .lines()
        .find_map(|line| line.trim().strip_prefix("module "))?;
    let path = line.split("//").next()?.trim().trim_matches('"');
    (!path.is_empty()).then(|| path.to_owned())
}

/// The directories that a `go.work` uses.
fn used(text: &str) -> impl Iterator<Item = &str> {
    let mut inside = false;
    text.lines().filter_map(move |line| {
        let line = line.split("//").next().unwrap_or("").trim();
        if inside {
            inside = line != ")";
            return (inside && !line.is_empty()).then_some(line.trim_matches('"'));
        }
        let rest = line.strip_prefix("use")?.trim();
        inside = rest == "(";
        (!inside && !rest.is_empty()).then_some(rest.trim_matches('"'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_workspace_lists_its_modules() {
        let text = "go 1.19\n\nuse (\n\t./a // first\n\t./b\n)\nuse ./c\n";
        assert_eq!(used(text).collect::<Vec<_>>(), ["./a", "./b", "./c"]);
        assert_eq!(
            module_path("// x\nmodule \"a.b/c\" // why\n"),
            Some("a.b/c".into())
        );
    }

    #[test]
    fn a_file_of_one_package_tells_where_others_lie() {
        let mut places = Places::new(Context::rooted("/p"));
        places.teach("a.b/gen/v2/bad", "tools/gen/bad/bad.go");
        assert_eq!(places.dir("a.b/gen/v2").as_deref(), Some("tools/gen"));
        assert_eq!(
            places.dir("a.b/gen/v2/x/y").as_deref(),
            Some("tools/gen/x/y")
        );
    }

    #[test]
    fn without_sources_the_names_suggest_the_module() {
        let mut places = Places::new(Context::rooted("/p"));
        places.suggest(["github.com/o/r/internal/a", "github.com/o/r/internal/b"].into_iter());
        assert_eq!(
            places.file("github.com/o/r/internal/a", "a_test.go"),
            "internal/a/a_test.go"
        );
        let mut places = Places::new(Context::rooted("/p"));
        places.suggest(["example.com/m"].into_iter());
        assert_eq!(places.file("example.com/m", "a_test.go"), "a_test.go");
        let mut places = Places::new(Context::rooted("/p"));
        places.suggest(["example.com/m/v2/x", "example.com/m/v2/x/y"].into_iter());
        assert_eq!(
            places.file("example.com/m/v2/x/y", "a_test.go"),
            "x/y/a_test.go"
        );
    }
}
