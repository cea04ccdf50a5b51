//! Where a pytest session runs: what its paths and ids are relative to.

use crate::context::Context;

/// The session's directories.
#[derive(Debug, Clone, Default)]
pub(crate) struct Place {
    /// The run's surroundings.
    pub context: Context,
    /// Pytest's rootdir relative to the project's root: node ids start there.
    pub rootdir: String,
}

impl Place {
    /// The place before pytest has said its rootdir.
    pub fn new(context: Context) -> Self {
        Place {
            rootdir: context.dir.clone(),
            context,
        }
    }

    /// Pytest has said its rootdir.
    pub fn set_rootdir(&mut self, path: &str) {
        // Of a log that is read alone nobody has said the root, but the log itself.
        if self.context.root.is_none() && path.starts_with('/') {
            self.context.root = Some(path.to_owned());
        }
        let relative = self.context.relative_from("", path);
        if !relative.starts_with('/') {
            self.rootdir = relative;
        }
    }

    /// A path as pytest prints it, relative to the project's root.
    pub fn path(&self, path: &str) -> String {
        self.context.relative_from(&self.rootdir, path)
    }

    /// The argv that runs one node again, from the project's root.
    pub fn rerun(&self, id: &str) -> Vec<String> {
        let id = if self.rootdir.is_empty() {
            id.to_owned()
        } else {
            format!("{}/{id}", self.rootdir)
        };
        let mut argv = self.tool();
        argv.push(id);
        argv
    }

    /// The argv that runs everything again.
    pub fn rerun_all(&self) -> Vec<String> {
        let context = Context {
            command: self.tool(),
            ..self.context.clone()
        };
        context.rerun::<String>(&[], [])
    }

    /// Of the suite's command only what starts pytest, not what it selects.
    fn tool(&self) -> Vec<String> {
        let is_pytest = |word: &String| {
            let name = word.rsplit('/').next().unwrap_or(word);
            name == "pytest" || name == "py.test"
        };
        let start = self.context.command.iter().position(is_pytest);
        match start {
            Some(at) => self.context.command[..=at].to_vec(),
            None => vec!["pytest".to_owned()],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rerun_selects_one_node_from_the_root() {
        let mut place = Place::new(Context {
            command: ["python", "-m", "pytest", "-q", "tests"]
                .map(str::to_owned)
                .to_vec(),
            ..Context::rooted("/p")
        });
        place.set_rootdir("/p/tools");
        assert_eq!(
            place.rerun("t/test_a.py::test[x y]"),
            ["python", "-m", "pytest", "tools/t/test_a.py::test[x y]"]
        );
        assert_eq!(place.path("t/test_a.py"), "tools/t/test_a.py");
    }

    #[test]
    fn a_rootdir_above_the_project_is_not_taken() {
        let mut place = Place::new(Context::rooted("/p/sub"));
        place.set_rootdir("/p");
        assert_eq!(place.path("a.py"), "a.py");
    }
}
