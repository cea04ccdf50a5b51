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
        } else if begins(&["teardown", "after", "cleanup", "clean", "close", "destroy"]) {
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
            let text = self.text(&path)?;
            let mut lines = text.lines().zip(1u32..);
            let found = lines.find(|(line, _)| declares(line, bare));
            return Some(Location {
                file: path,
                line: found.map(|(_, number)| number),
                column: None,
            });
        }
        None
    }
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
    fn a_declaration_is_no_call() {
        assert!(declares("  public void bar() {", "bar"));
        assert!(declares("    fun `a b`() {", "a b"));
        assert!(!declares("    bar();", "bar"));
        assert!(!declares("    return bar();", "bar"));
        assert!(!declares("    // void bar()", "bar"));
    }
}
