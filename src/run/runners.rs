//! A project's own target runner, read from `.cargo/config.toml` as data. Regreen's shim takes
//! its place, so it is kept and started by the shim.

use cargo_platform::Cfg;
use cargo_platform::Platform;
use std::path::Path;
use std::path::PathBuf;
use std::str::FromStr;
use toml::Table;
use toml::Value;

/// The runners that cargo would use for test binaries of this machine, by triple; the nearest
/// configuration wins. `dir` is the suite's directory, relative to the tree.
pub fn read(
    dir: &Path,
    read: impl Fn(&Path) -> Option<String>,
    user: Option<&str>,
) -> Vec<(String, Vec<String>)> {
    let nearest_first = dir
        .ancestors()
        .flat_map(|up| [".cargo/config.toml", ".cargo/config"].map(|name| up.join(name)));
    let texts = nearest_first
        .filter_map(|path: PathBuf| Some((path.clone(), read(&path)?)))
        .chain(user.map(|text| (PathBuf::new(), text.to_owned())));
    let mut found: Vec<(String, Vec<String>)> = Vec::new();
    for (path, text) in texts {
        let Ok(table) = text.parse::<Table>() else {
            continue;
        };
        for (triple, runner) in of(&table) {
            if !found.iter().any(|(known, _)| *known == triple) {
                found.push((triple, from(&path, runner)));
            }
        }
    }
    found
}

/// The triple of this machine, with the usual C library.
pub fn host_triple() -> String {
    format!("{}-unknown-linux-gnu", std::env::consts::ARCH)
}

fn of(table: &Table) -> Vec<(String, Vec<String>)> {
    let Some(targets) = table.get("target").and_then(Value::as_table) else {
        return Vec::new();
    };
    let host = host_triple();
    targets
        .iter()
        .filter_map(|(name, target)| {
            let runner = words(target.get("runner")?)?;
            match Platform::from_str(name).ok()? {
                Platform::Name(triple) => Some((triple, runner)),
                platform => platform
                    .matches(&host, &cfgs())
                    .then(|| (host.clone(), runner)),
            }
        })
        .collect()
}

fn words(value: &Value) -> Option<Vec<String>> {
    let words: Vec<String> = match value {
        Value::String(text) => text.split_whitespace().map(str::to_owned).collect(),
        Value::Array(items) => items
            .iter()
            .filter_map(|item| Some(item.as_str()?.to_owned()))
            .collect(),
        _ => return None,
    };
    (!words.is_empty()).then_some(words)
}

/// A program with a slash is meant from the directory that holds `.cargo`.
fn from(config: &Path, mut runner: Vec<String>) -> Vec<String> {
    if let Some(program) = runner.first_mut()
        && program.contains('/')
        && !program.starts_with('/')
        && let Some(base) = config.parent().and_then(Path::parent)
    {
        *program = base.join(&*program).to_string_lossy().into_owned();
    }
    runner
}

/// What `cfg(…)` is asked about on this machine.
fn cfgs() -> Vec<Cfg> {
    let arch = std::env::consts::ARCH;
    [
        "unix".to_owned(),
        "debug_assertions".to_owned(),
        "target_os=\"linux\"".to_owned(),
        "target_family=\"unix\"".to_owned(),
        "target_env=\"gnu\"".to_owned(),
        "target_vendor=\"unknown\"".to_owned(),
        "target_endian=\"little\"".to_owned(),
        format!("target_pointer_width=\"{}\"", usize::BITS),
        format!("target_arch=\"{arch}\""),
    ]
    .iter()
    .filter_map(|text| Cfg::from_str(text).ok())
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_runner_of_this_machine_is_kept() {
        let outer = "[target.'cfg(all(unix, target_os = \"linux\"))']\nrunner = \"tools/run.sh --slow\"\n\
                     [target.'cfg(windows)']\nrunner = 'wine'\n";
        let inner = "[target.wasm32-wasip1]\nrunner = ['wasmtime', '--dir=.']\n";
        let found = read(
            Path::new("sub"),
            |path| match path.to_str() {
                Some("sub/.cargo/config.toml") => Some(inner.to_owned()),
                Some(".cargo/config.toml") => Some(outer.to_owned()),
                _ => None,
            },
            Some(&format!("[target.{}]\nrunner = 'mine'", host_triple())),
        );
        assert_eq!(
            found,
            [
                (
                    "wasm32-wasip1".to_owned(),
                    vec!["wasmtime".to_owned(), "--dir=.".to_owned()]
                ),
                (
                    host_triple(),
                    vec!["tools/run.sh".to_owned(), "--slow".to_owned()]
                ),
            ]
        );
    }
}
