//! Rust: rustup's toolchains, or cargo where it is installed directly.
//!
//! rustup is never asked. Its proxy would follow an absolute `path` in the project's
//! rust-toolchain.toml and start what lies there; here that file gives a channel's name at most.

use crate::model::Note;
use crate::sandbox::toolchain::Found;
use crate::sandbox::toolchain::cargo_home::CargoHome;
use crate::sandbox::toolchain::data;
use std::path::Path;
use std::path::PathBuf;

/// Programs that rustup's proxies stand for.
pub(super) const PROXIED: &[&str] = &["cargo", "rustc", "rustdoc"];

/// The Rust toolchain of a project.
#[derive(Debug, Default)]
pub(super) struct Rust {
    /// The toolchain's name, if rustup manages it.
    pub toolchain: Option<String>,
    /// Its directory of programs.
    bin: Option<PathBuf>,
    /// The project pins one that is not installed.
    pub missing: bool,
}

impl Rust {
    /// A program past rustup's proxy.
    pub(super) fn program(&self, name: &str) -> Option<PathBuf> {
        let path = self.bin.as_ref()?.join(name);
        (PROXIED.contains(&name) && data::executable(&path)).then_some(path)
    }
}

/// Finds the toolchain, exposes it, and says where cargo's home is.
pub(super) fn discover(found: &mut Found<'_>) -> Rust {
    let cargo_home = place(found, "CARGO_HOME", ".cargo");
    let rustup_home = place(found, "RUSTUP_HOME", ".rustup");
    let home = CargoHome::discover(found, &cargo_home);
    found.env("CARGO_HOME", cargo_home.to_string_lossy());
    found.env("CARGO_NET_OFFLINE", "true");
    found.toolchains.cargo_home = Some(home);
    if !rustup_home.join("toolchains").is_dir() {
        return Rust::default();
    }
    found.expose(&rustup_home, "rustup's toolchains");
    found.env("RUSTUP_HOME", rustup_home.to_string_lossy());
    // A sandbox has no network, and a proxy that tries to install hides the real cause.
    found.env("RUSTUP_AUTO_INSTALL", "0");
    choose(found, &rustup_home)
}

fn place(found: &Found<'_>, variable: &str, below_home: &str) -> PathBuf {
    let named = found.host.var(variable).map(PathBuf::from);
    named
        .filter(|path| path.is_absolute())
        .unwrap_or_else(|| found.host.home.join(below_home))
}

fn choose(found: &mut Found<'_>, rustup_home: &Path) -> Rust {
    let settings = data::text(&rustup_home.join("settings.toml")).unwrap_or_default();
    let settings: toml::Table = settings.parse().unwrap_or_default();
    let Some((wanted, from)) = wanted(found, &settings) else {
        return Rust::default();
    };
    let toolchains = rustup_home.join("toolchains");
    let installed = names(&wanted, &settings)
        .into_iter()
        .find(|name| toolchains.join(name).is_dir());
    let Some(name) = installed else {
        let message = format!("the toolchain `{wanted}` ({from}) is not installed");
        let remedy = format!("run `rustup toolchain install {wanted}`");
        found.note(Note::new("toolchain_missing", message).remedy(remedy));
        found.env("RUSTUP_TOOLCHAIN", wanted);
        return Rust {
            missing: true,
            ..Rust::default()
        };
    };
    let dir = toolchains.join(&name);
    // A toolchain may be a link: to another one, or to a build of the user's own.
    if let Ok(real) = dir.canonicalize()
        && !real.starts_with(rustup_home)
    {
        found.expose(&real, "a linked Rust toolchain");
    }
    found.env("RUSTUP_TOOLCHAIN", &name);
    Rust {
        toolchain: Some(name),
        bin: Some(dir.join("bin")),
        missing: false,
    }
}

/// Which toolchain is asked for, in rustup's order: the environment, then directory overrides
/// and toolchain files from the project upwards, then the default.
fn wanted(found: &mut Found<'_>, settings: &toml::Table) -> Option<(String, String)> {
    if let Some(name) = found.host.var("RUSTUP_TOOLCHAIN")
        && data::plain_name(name)
    {
        return Some((name.to_owned(), "RUSTUP_TOOLCHAIN".into()));
    }
    let overrides = settings.get("overrides").and_then(toml::Value::as_table);
    for dir in found.root.ancestors() {
        let key = dir.to_string_lossy();
        let named = overrides.and_then(|table| table.get(key.as_ref())?.as_str());
        if let Some(name) = named {
            return Some((name.to_owned(), "an override of rustup's".into()));
        }
        for file in ["rust-toolchain", "rust-toolchain.toml"] {
            let path = dir.join(file);
            let Some(text) = data::text(&path) else {
                continue;
            };
            match channel(&text) {
                Channel::Named(name) => return Some((name, format!("from `{}`", path.display()))),
                Channel::Path => found.note(unbelieved(&path)),
                Channel::None => {}
            }
        }
    }
    let default = settings.get("default_toolchain")?.as_str()?;
    Some((default.to_owned(), "rustup's default".into()))
}

fn unbelieved(file: &Path) -> Note {
    let message = format!(
        "`{}` names a toolchain by its path, which is not followed",
        file.display()
    );
    let remedy = "make it known by name: `rustup toolchain link NAME PATH`, and name it in \
                  RUSTUP_TOOLCHAIN or with `rustup override set NAME`";
    Note::new("untrusted_toolchain", message).remedy(remedy)
}

/// What a toolchain file asks for.
#[derive(Debug, PartialEq, Eq)]
enum Channel {
    Named(String),
    Path,
    None,
}

fn channel(text: &str) -> Channel {
    let table: toml::Table = match text.parse() {
        Ok(table) => table,
        // The old form: just a name.
        Err(_) if text.trim().lines().count() == 1 => return named(text.trim()),
        Err(_) => return Channel::None,
    };
    let toolchain = table.get("toolchain").and_then(toml::Value::as_table);
    let key = |name: &str| toolchain?.get(name)?.as_str();
    match (key("channel"), key("path")) {
        (Some(name), _) => named(name),
        (None, Some(_)) => Channel::Path,
        (None, None) => Channel::None,
    }
}

fn named(name: &str) -> Channel {
    match data::plain_name(name) {
        true => Channel::Named(name.to_owned()),
        false => Channel::None,
    }
}

/// The directories that a name may stand for: itself, or with the host's target.
fn names(wanted: &str, settings: &toml::Table) -> Vec<String> {
    let host = settings
        .get("default_host_triple")
        .and_then(toml::Value::as_str)
        .map_or_else(
            || format!("{}-unknown-linux-gnu", std::env::consts::ARCH),
            str::to_owned,
        );
    vec![wanted.to_owned(), format!("{wanted}-{host}")]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_toolchain_file_gives_a_name_or_nothing() {
        let toml = |line: &str| channel(&format!("[toolchain]\n{line}\n"));
        assert_eq!(toml("channel = \"1.70\""), Channel::Named("1.70".into()));
        assert_eq!(toml("path = \"/tmp/evil\""), Channel::Path);
        assert_eq!(toml("channel = \"../../tmp/evil\""), Channel::None);
        assert_eq!(toml("components = []"), Channel::None);
        assert_eq!(channel("nightly\n"), Channel::Named("nightly".into()));
        assert_eq!(channel("/tmp/evil\n"), Channel::None);
        assert_eq!(channel("a\nb\n"), Channel::None);
    }
}
