//! A cargo package as a base for paths.

use crate::context::Context;

/// Where a package lies. Rust's tools print paths relative to three different places: the
/// compiler (and so a panic's location) to the cargo workspace's root, a backtrace to the
/// package, cargo's messages to nothing at all.
#[derive(Debug, Clone, Default)]
pub(crate) struct Package {
    /// The run's surroundings.
    pub context: Context,
    /// The package's directory relative to the project's root, empty for the root.
    pub dir: String,
}

impl Package {
    /// A package in `dir`, absolute or relative to the project's root.
    pub fn new(context: Context, dir: &str) -> Self {
        let dir = context.relative_from("", dir);
        Package { context, dir }
    }

    /// A path that the compiler printed, relative to the project's root. The workspace's root
    /// is not known; it is that directory between the project's root and the package from
    /// which the path leads into the package.
    pub fn compiler_path(&self, path: &str) -> String {
        if path.starts_with('/') || path.starts_with('<') {
            return self.context.relative(path);
        }
        let inside = format!("{}/", self.dir);
        let mut base = String::new();
        for part in std::iter::once("").chain(self.dir.split('/')) {
            if !part.is_empty() {
                base = if base.is_empty() {
                    part.to_owned()
                } else {
                    format!("{base}/{part}")
                };
            }
            let candidate = self.context.relative_from(&base, path);
            if candidate.starts_with(&inside) {
                return candidate;
            }
        }
        self.context.relative(path)
    }

    /// A path of a backtrace, relative to the project's root.
    pub fn backtrace_path(&self, path: &str) -> String {
        self.context.relative_from(&self.dir, path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_workspace_root_is_found_by_the_path() {
        let package = Package::new(Context::rooted("/p"), "/p/rust/crates/a");
        assert_eq!(
            package.compiler_path("crates/a/src/lib.rs"),
            "rust/crates/a/src/lib.rs"
        );
        assert_eq!(
            package.compiler_path("src/lib.rs"),
            "rust/crates/a/src/lib.rs"
        );
        assert_eq!(
            package.compiler_path("rust/crates/a/src/lib.rs"),
            "rust/crates/a/src/lib.rs"
        );
        assert_eq!(package.compiler_path("/p/rust/x.rs"), "rust/x.rs");
        assert_eq!(
            package.backtrace_path("./src/lib.rs"),
            "rust/crates/a/src/lib.rs"
        );
        let root = Package::new(Context::rooted("/p"), "/p");
        assert_eq!(root.compiler_path("src/lib.rs"), "src/lib.rs");
    }
}
