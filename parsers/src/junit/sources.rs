//! Where a class's source lies in the project, and what its methods are.

use crate::context::Context;
use crate::junit::stack::At;
use crate::junit::stack::Told;
use crate::report::Location;
use crate::report::Phase;
use std::collections::BTreeMap;

/// Where sources lie below a module, most probable first.
const ROOTS: [&str; 16] = [
    "src/test/java",
    "src/main/java",
    "src/test/kotlin",
    "src/main/kotlin",
    "src/test/groovy",
    "src/test/scala",
    "src/main/scala",
    "src/main/groovy",
    "src/it/java",
    "src/integrationTest/java",
    "src/integrationTest/kotlin",
    "src/testFixtures/java",
    "test",
    "tests",
    "src",
    "",
];
/// More classes than this are not remembered.
const MOST: usize = 20_000;

/// The project's sources, as far as anybody can look at them.
#[derive(Debug)]
pub(crate) struct Sources {
    context: Context,
    modules: Option<Vec<String>>,
    found: BTreeMap<(String, String), String>,
    texts: BTreeMap<String, Option<String>>,
}

impl Sources {
    /// Sources of a project.
    pub fn new(context: Context) -> Self {
        Sources {
            context,
            modules: None,
            found: BTreeMap::new(),
            texts: BTreeMap::new(),
        }
    }

    /// The run's surroundings.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// Whether the project's files can be looked at.
    pub fn known(&self) -> bool {
        self.context.tree != crate::tree::Tree::default()
    }

    /// The path of a class's file; its bare name where nobody knows.
    pub fn path(&mut self, class: &str, file: &str) -> String {
        if !self.known() {
            return file.to_owned();
        }
        let package = class.rsplit_once('.').map_or("", |(package, _)| package);
        let key = (package.to_owned(), file.to_owned());
        if let Some(path) = self.found.get(&key) {
            return path.clone();
        }
        let path = self.look(package, file).unwrap_or_else(|| file.to_owned());
        if self.found.len() < MOST {
            self.found.insert(key, path.clone());
        }
        path
    }

    fn look(&mut self, package: &str, file: &str) -> Option<String> {
        let package = package.replace('.', "/");
        let modules = self.modules().to_vec();
        for module in &modules {
            for root in ROOTS {
                // Kotlin may leave the packages out of the directories.
                for package in [package.as_str(), ""] {
                    let parts = [module.as_str(), root, package, file];
                    let parts: Vec<&str> = parts.into_iter().filter(|p| !p.is_empty()).collect();
                    let path = parts.join("/");
                    if self.context.tree.holds(&path) {
                        return Some(path);
                    }
                }
            }
        }
        None
    }

    /// The directory of the command, the root, and the modules that the build files name.
    fn modules(&mut self) -> &[String] {
        if self.modules.is_none() {
            let mut modules = vec![self.context.dir.clone()];
            if !self.context.dir.is_empty() {
                modules.push(String::new());
            }
            let mut at = 0;
            while at < modules.len() && modules.len() < 200 {
                for module in self.named_in(&modules[at].clone()) {
                    if !modules.contains(&module) {
                        modules.push(module);
                    }
                }
                at += 1;
            }
            self.modules = Some(modules);
        }
        self.modules.as_deref().unwrap_or_default()
    }

    fn named_in(&self, module: &str) -> Vec<String> {
        let below = |name: &str| match module {
            "" => name.to_owned(),
            module => format!("{module}/{name}"),
        };
        let mut names = Vec::new();
        let maven = self
            .context
            .tree
            .read(&below("pom.xml"))
            .unwrap_or_default();
        for part in maven.split("<module>").skip(1) {
            names.extend(
                part.split("</module>")
                    .next()
                    .map(|name| below(name.trim())),
            );
        }
        for file in ["settings.gradle", "settings.gradle.kts"] {
            let gradle = self.context.tree.read(&below(file)).unwrap_or_default();
            for line in gradle
                .lines()
                .filter(|line| line.trim_start().starts_with("include"))
            {
                let quoted = line.split(['\'', '"']).skip(1).step_by(2);
                let paths = quoted.map(|name| name.trim_start_matches(':').replace(':', "/"));
                names.extend(paths.map(|path| below(&path)));
            }
        }
        names
    }

    fn text(&mut self, path: &str) -> Option<&str> {
        if !self.texts.contains_key(path) {
            if self.texts.len() > 200 {
                self.texts.clear();
            }
            let text = self.context.tree.read(path);
            self.texts.insert(path.to_owned(), text);
        }
        self.texts.get(path).and_then(|text| text.as_deref())
    }

    /// The method that holds a line of a file.
    pub fn method_at(&mut self, path: &str, line: u32) -> Option<String> {
        if !self.known() {
            return None;
        }
        let text = self.text(path)?;
        let lines: Vec<&str> = text.lines().take(line as usize).collect();
        lines.iter().rev().find_map(|line| declaration(line))
    }

    /// What the annotations of a frame's method say about its phase, or else its name.
    pub fn annotated(&mut self, at: &At) -> Told {
        let path = self.path(&at.class, &at.file);
        let line = at.line.unwrap_or(0) as usize;
        if let Some(text) = self.text(&path)
            && let Some(told) = annotation(text, line, &at.method)
        {
            return told;
        }
        let lower = at.method.to_lowercase();
        let begins = |words: &[&str]| words.iter().any(|word| lower.starts_with(word));
        let class = lower.contains("class") || lower.contains("all");
        let phase = if begins(&["setup", "before", "init", "prepare", "<init>"]) {
            Phase::Setup
        } else if begins(&[
            "teardown", "after", "cleanup", "clean", "close", "destroy", "stop", "shutdown",
            "dispose", "release",
        ]) {
            Phase::Teardown
        } else {
            return Told::default();
        };
        Told {
            phase,
            sure: false,
            class,
        }
    }

    /// Where a test method is defined.
    pub fn definition(&mut self, class: &str, method: &str) -> Option<Location> {
        if !self.known() {
            return None;
        }
        let bare = method
            .split(['(', '[', '{'])
            .next()
            .unwrap_or(method)
            .trim();
        let outer = class.split('$').next().unwrap_or(class);
        let simple = outer.rsplit('.').next().unwrap_or(outer).to_owned();
        for extension in ["java", "kt", "groovy"] {
            let path = self.path(outer, &format!("{simple}.{extension}"));
            if !self.context.tree.holds(&path) {
                continue;
            }
            let nested: Vec<&str> = class.split('$').collect();
            let found = declared(self.text(&path)?, &nested, bare);
            return Some(Location {
                file: path,
                line: found,
                column: None,
            });
        }
        None
    }
}

/// The line where a class's method is declared: in its own body, or else in one that it is
/// nested in, or anywhere.
fn declared(text: &str, nested: &[&str], method: &str) -> Option<u32> {
    // How many braces are open, and how many were before the body of each class on the way.
    let (mut depth, mut bodies) = (0_usize, Vec::new());
    let mut best: Option<(usize, u32)> = None;
    for (line, number) in text.lines().zip(1..) {
        let inner = |bodies: &[usize]| bodies.last().is_none_or(|outer| depth == outer + 1);
        let name = nested.get(bodies.len()).map_or("", |name| last_name(name));
        let class = inner(&bodies) && names_class(line, name);
        let own = inner(&bodies);
        if class {
            bodies.push(depth);
        }
        if declares(line, method) {
            let weight = bodies.len() * 2 + usize::from(own);
            if best.is_none_or(|(known, _)| weight > known) {
                best = Some((weight, number));
            }
        }
        let (open, close) = braces(line);
        depth = (depth + open).saturating_sub(close);
        while close > 0 && bodies.last().is_some_and(|outer| depth <= *outer) {
            bodies.pop();
        }
    }
    best.map(|(_, line)| line)
}

/// A class's name without its packages.
fn last_name(class: &str) -> &str {
    class.rsplit('.').next().unwrap_or(class)
}

/// `class Name`, `object Name`, `record Name` and the like.
fn names_class(line: &str, name: &str) -> bool {
    !name.is_empty()
        && line.match_indices(name).any(|(at, _)| {
            let before = line[..at].trim_end();
            let kinds = ["class", "interface", "object", "record", "enum"];
            let known = kinds.iter().any(|kind| before.ends_with(kind));
            let after = line[at + name.len()..].chars().next();
            known && !after.is_some_and(|c| c.is_alphanumeric() || c == '_')
        })
}

/// How many braces a line opens and closes; those in texts do not count.
fn braces(line: &str) -> (usize, usize) {
    let (mut open, mut close) = (0, 0);
    let mut quoted: Option<char> = None;
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        match (quoted, c) {
            (Some(_), '\\') => {
                chars.next();
            }
            (Some(quote), _) if c == quote => quoted = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quoted = Some(c),
            (None, '/') if chars.peek() == Some(&'/') => break,
            (None, '{') => open += 1,
            (None, '}') => close += 1,
            _ => {}
        }
    }
    (open, close)
}

/// `void bar(` or `` fun `a b`( ``.
fn declares(line: &str, method: &str) -> bool {
    if method.is_empty() {
        return false;
    }
    line.match_indices(method).any(|(at, _)| {
        let before = line[..at].trim_end_matches('`');
        let after = line[at + method.len()..]
            .trim_start_matches('`')
            .trim_start();
        let typed = before.trim_end().rsplit([' ', '\t']).next().unwrap_or("");
        let named = before.ends_with([' ', '\t'])
            && !typed.is_empty()
            && !["new", "return", "=", "->"].contains(&typed);
        after.starts_with('(') && named && !line.trim_start().starts_with("//")
    })
}

/// The name of the method that a line declares and whose body it begins.
fn declaration(line: &str) -> Option<String> {
    let (head, tail) = line.split_once('(')?;
    let (typed, name) = head.trim_end().rsplit_once([' ', '\t'])?;
    let typed = typed.trim_end().rsplit([' ', '\t']).next().unwrap_or("");
    let part = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
    let kind = |c: char| part(c) || "<>[].,?>".contains(c);
    let known = !name.is_empty() && name.chars().all(part);
    let word = ["new", "return", "else", "throw", "case", "="].contains(&typed);
    let typed = !typed.is_empty() && typed.chars().all(kind) && !word;
    (known && typed && tail.contains(')') && tail.contains('{')).then(|| name.to_owned())
}

/// The annotation above the method that holds a line.
fn annotation(text: &str, line: usize, method: &str) -> Option<Told> {
    let lines: Vec<&str> = text.lines().take(line).collect();
    let head = lines.iter().rposition(|line| declares(line, method))?;
    let from = head.saturating_sub(6);
    let above = lines[from..=head].iter().rev().enumerate();
    for (distance, line) in above {
        let line = line.trim();
        // Another method or its end: what stands above belongs to that.
        if distance > 0 && (line.ends_with('}') || line.ends_with('{') || line.ends_with(';')) {
            break;
        }
        for (name, told) in [
            ("@BeforeAll", Told::of_class(Phase::Setup)),
            ("@BeforeClass", Told::of_class(Phase::Setup)),
            ("@AfterAll", Told::of_class(Phase::Teardown)),
            ("@AfterClass", Told::of_class(Phase::Teardown)),
            ("@BeforeEach", Told::of(Phase::Setup, true)),
            ("@BeforeMethod", Told::of(Phase::Setup, true)),
            ("@AfterEach", Told::of(Phase::Teardown, true)),
            ("@AfterMethod", Told::of(Phase::Teardown, true)),
            ("@Before", Told::of(Phase::Setup, true)),
            ("@After", Told::of(Phase::Teardown, true)),
            ("@Test", Told::default()),
        ] {
            if line.contains(name) {
                return Some(told);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = "class T {\n  @BeforeEach\n  void ready() {\n    boom();\n  }\n\n  @Test\n  void one() {\n    boom();\n  }\n\n  @AfterAll static void done() { boom(); }\n}\n";

    #[test]
    fn annotations_tell_the_phase() {
        assert_eq!(
            annotation(SOURCE, 4, "ready"),
            Some(Told::of(Phase::Setup, true))
        );
        assert_eq!(annotation(SOURCE, 9, "one"), Some(Told::default()));
        assert_eq!(
            annotation(SOURCE, 12, "done"),
            Some(Told::of_class(Phase::Teardown))
        );
        assert_eq!(annotation(SOURCE, 4, "boom"), None);
    }

    #[test]
    fn a_method_is_found_in_its_own_class() {
        let text = "class T {\n  void same() { x(\"}\"); }\n  class A {\n    void same() {\n    }\n    class B { void same() {} }\n  }\n  static class C\n  {\n    void other() {}\n    void same() {}\n  }\n}\n";
        for (class, method, line) in [
            ("a.T", "same", 2),
            ("a.T$A", "same", 4),
            ("a.T$A$B", "same", 6),
            ("a.T$C", "same", 11),
            ("a.T$C", "other", 10),
        ] {
            let nested: Vec<&str> = class.split('$').collect();
            assert_eq!(
                declared(text, &nested, method),
                Some(line),
                "{class}.{method}"
            );
        }
        assert_eq!(declared(text, &["a.T"], "none"), None);
    }

    #[test]
    fn the_method_of_a_line_is_known() {
        for (line, name) in [
            ("  public void bar() throws X {", Some("bar")),
            ("  @After public void tidy() { boom(1); }", Some("tidy")),
            ("    if (bar(1)) {", None),
            ("    return bar(() -> {", None),
            ("    new Thread(x) {", None),
            ("    bar();", None),
        ] {
            assert_eq!(declaration(line).as_deref(), name, "{line}");
        }
    }

    #[test]
    fn a_declaration_is_no_call() {
        assert!(declares("  public void bar() {", "bar"));
        assert!(declares("    fun `a b`() {", "a b"));
        assert!(!declares("    bar();", "bar"));
        assert!(!declares("    return bar();", "bar"));
        assert!(!declares("    // void bar()", "bar"));
    }
}
