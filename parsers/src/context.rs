//! Where a run took place: what paths are relative to, and how a test is run again.

use crate::tree::Tree;

/// What a parser has to be told about the run's surroundings.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Context {
    /// The project's root as the tools saw it (in regreen's sandbox that is the user's own
    /// absolute path). Paths below it are reported relative to it.
    pub root: Option<String>,
    /// The directory that the command ran in, relative to the root; empty for the root.
    pub dir: String,
    /// The argv that starts the tool, without a selection (`["cargo", "test"]`,
    /// `["python", "-m", "pytest"]`). Empty: the tool's usual name.
    pub command: Vec<String>,
    /// The project's files, if they can be asked about: places that cannot be there are then no
    /// places.
    pub tree: Tree,
}

impl Context {
    /// A context with a root and nothing else.
    pub fn rooted(root: impl Into<String>) -> Self {
        Context {
            root: Some(root.into()),
            ..Context::default()
        }
    }

    /// The argv of a rerun: the tool (`usual` where [`Context::command`] is empty) with what
    /// selects one test, started in the command's own directory.
    pub(crate) fn rerun<S: Into<String>>(
        &self,
        usual: &[&str],
        selection: impl IntoIterator<Item = S>,
    ) -> Vec<String> {
        let mut argv = Vec::new();
        if !self.dir.is_empty() {
            argv.extend(["env".to_owned(), format!("--chdir={}", self.dir)]);
        }
        match self.command.is_empty() {
            true => argv.extend(usual.iter().map(|word| (*word).to_owned())),
            false => argv.extend(self.command.iter().cloned()),
        }
        argv.extend(selection.into_iter().map(Into::into));
        argv
    }

    /// A path that is relative to the root, as the command in its own directory names it.
    pub(crate) fn in_dir(&self, path: &str) -> String {
        if self.dir.is_empty() || path.starts_with('/') {
            return path.to_owned();
        }
        let (mut from, mut to) = (self.dir.split('/').peekable(), path.split('/').peekable());
        while from.peek().is_some() && from.peek() == to.peek() {
            from.next();
            to.next();
        }
        let up = from.map(|_| "..");
        up.chain(to).collect::<Vec<_>>().join("/")
    }

    /// `path` relative to the project's root where it lies below it; otherwise as it is.
    /// A relative path is taken to start in the directory that the command ran in.
    pub(crate) fn relative(&self, path: &str) -> String {
        self.relative_from(&self.dir, path)
    }

    /// The same, for a path that is relative to `base` (itself relative to the root).
    pub(crate) fn relative_from(&self, base: &str, path: &str) -> String {
        if path.starts_with('/') {
            let root = self.root.as_deref().unwrap_or("").trim_end_matches('/');
            if root.is_empty() {
                return normal(path);
            }
            return match path.strip_prefix(root) {
                Some("") => String::new(),
                Some(rest) if rest.starts_with('/') => normal(rest.trim_start_matches('/')),
                _ => normal(path),
            };
        }
        if base.is_empty() || path.starts_with('<') {
            return normal(path);
        }
        normal(&format!("{base}/{path}"))
    }

    /// Whether a file, already made relative, is the project's own code: inside the root and
    /// not in a directory where tools put other people's code.
    pub(crate) fn is_user(&self, file: &str) -> bool {
        const FOREIGN: [&str; 13] = [
            "site-packages",
            "dist-packages",
            "node_modules",
            ".venv",
            "venv",
            ".tox",
            ".nox",
            ".cargo",
            ".rustup",
            "rustlib",
            "rustc",
            "vendor",
            "target",
        ];
        if file.is_empty() || file.starts_with('/') && self.root.is_some() {
            return false;
        }
        if file.starts_with('<') || file.starts_with("../") {
            return false;
        }
        let mut parts = file.split('/').filter(|part| !part.is_empty());
        !parts.any(|part| FOREIGN.contains(&part))
    }
}

/// Takes `.` and `..` out of a path, by its letters alone.
fn normal(path: &str) -> String {
    let plain = |part: &str| !matches!(part, "" | "." | "..");
    if path.strip_prefix('/').unwrap_or(path).split('/').all(plain) {
        return path.to_owned();
    }
    let absolute = path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            ".." if absolute => {}
            other => parts.push(other),
        }
    }
    let joined = parts.join("/");
    if absolute {
        format!("/{joined}")
    } else {
        joined
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_below_the_root_become_relative() {
        let context = Context::rooted("/home/u/p");
        assert_eq!(context.relative("/home/u/p/src/lib.rs"), "src/lib.rs");
        assert_eq!(
            context.relative("/home/u/pp/src/lib.rs"),
            "/home/u/pp/src/lib.rs"
        );
        assert_eq!(context.relative("/home/u/p"), "");
        assert_eq!(context.relative("/home/u/p/"), "");
        assert_eq!(context.relative("./tests/../a.py"), "a.py");
        assert_eq!(context.relative("../x/a.py"), "../x/a.py");
    }

    #[test]
    fn relative_paths_start_in_the_command_s_directory() {
        let context = Context {
            dir: "tools".into(),
            ..Context::rooted("/p")
        };
        assert_eq!(context.relative("a/b.py"), "tools/a/b.py");
        assert_eq!(context.relative("../b.py"), "b.py");
        assert_eq!(context.relative("<string>"), "<string>");
    }

    #[test]
    fn a_rerun_starts_in_the_command_s_directory() {
        let context = Context {
            dir: "web/app".into(),
            ..Context::rooted("/p")
        };
        assert_eq!(
            context.rerun(&["npx", "jest"], [context.in_dir("web/app/a.test.js")]),
            ["env", "--chdir=web/app", "npx", "jest", "a.test.js"]
        );
        assert_eq!(context.in_dir("web/b.js"), "../b.js");
        assert_eq!(Context::rooted("/p").in_dir("a/b.js"), "a/b.js");
    }

    #[test]
    fn other_people_s_code_is_not_the_user_s() {
        let context = Context::rooted("/p");
        assert!(context.is_user("src/lib.rs"));
        assert!(!context.is_user("/rustc/abc/library/core/src/panicking.rs"));
        assert!(!context.is_user(".venv/lib/python3.11/site-packages/x.py"));
        assert!(!context.is_user("../other/x.py"));
        assert!(!context.is_user("<string>"));
    }
}
