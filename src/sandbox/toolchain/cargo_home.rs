//! Cargo's home in a sandbox: private to the slot, with the user's downloads read-only in it,
//! the user's unpacked sources linked in, and no credentials.

use crate::model::Note;
use crate::sandbox::Mount;
use crate::sandbox::Place;
use crate::sandbox::beneath;
use crate::sandbox::beneath::Stranger;
use crate::sandbox::toolchain::Found;
use crate::sandbox::toolchain::data;
use rustix::fs::AtFlags;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::path::PathBuf;

/// What is shown read-only at its own path, with the reason.
const SHOWN: &[(&str, &str)] = &[
    ("bin", "cargo and installed subcommands"),
    ("registry/index", "the index of known crates"),
    ("registry/cache", "downloaded crates"),
    ("git/db", "downloaded git dependencies"),
];

/// What is private to the slot, but begins with what the user has: where it lies in cargo's
/// home, where the user's own appears inside, and how deep the entries are that are linked.
const SEEDED: &[(&str, &str)] = &[
    ("registry/src", "/run/regreen/cargo/src"),
    ("git/checkouts", "/run/regreen/cargo/checkouts"),
];

/// Keys of cargo's configuration that hold secrets.
const SECRET_KEYS: &[&str] = &["token", "secret-key"];

/// The name, beside a slot's home, of the configuration without its secrets.
const CLEANED: &str = "cargo-config.toml";

/// Cargo's home.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CargoHome {
    /// Where it lies, outside and inside.
    dir: PathBuf,
    /// The user's `HOME`, which the slot's home replaces.
    home: PathBuf,
    /// The user's `config.toml`, and its text where secrets had to be taken out.
    config: Option<(PathBuf, Option<String>)>,
    /// Directories that the configuration takes sources from.
    sources: Vec<PathBuf>,
}

impl CargoHome {
    pub(super) fn discover(found: &mut Found<'_>, dir: &Path) -> Self {
        let mut home = CargoHome {
            dir: dir.to_owned(),
            home: found.host.home.clone(),
            config: None,
            sources: Vec::new(),
        };
        let config = ["config.toml", "config"].map(|name| dir.join(name));
        let Some(path) = config.into_iter().find(|path| path.is_file()) else {
            return home;
        };
        let table: Option<toml::Table> = data::text(&path).and_then(|text| text.parse().ok());
        let Some(mut table) = table else {
            let message = format!("`{}` cannot be read and is left out", path.display());
            found.note(Note::new("cargo_config", message));
            return home;
        };
        for source in sources(&table, dir) {
            if source.starts_with(dir) {
                home.sources.push(source);
            } else {
                let message = format!(
                    "cargo's configuration takes crates from `{}`, which the sandbox does not see",
                    source.display()
                );
                let remedy = "name it as a mount in regreen's user configuration";
                found.note(Note::new("not_mounted", message).remedy(remedy));
            }
        }
        let cleaned = clean(&mut table).then(|| table.to_string());
        home.config = Some((path, cleaned));
        home
    }

    /// Whether a path lies in cargo's home, which says itself what is shown of it.
    pub(super) fn holds(&self, path: &Path) -> bool {
        path.starts_with(&self.dir)
    }

    /// Makes and seeds the slot's own cargo home; answers the mounts.
    pub(super) fn prepare(&self, place: &Place) -> io::Result<Vec<Mount>> {
        let (base, relative) = self.in_slot(place);
        beneath::directory(&base, &relative, Stranger::Remove)?;
        let mut mounts = Vec::new();
        if !self.dir.starts_with(&self.home) {
            mounts.push(mount(&base.join(&relative), &self.dir, true));
        }
        for (name, _) in SHOWN {
            mounts.extend(self.show(name));
        }
        mounts.extend(self.sources.iter().map(|dir| mount(dir, dir, false)));
        for (name, inside) in SEEDED {
            let user = self.dir.join(name);
            if user.is_dir() {
                seed(&user, Path::new(inside), &base, &relative.join(name))?;
                mounts.push(mount(&user, Path::new(inside), false));
            }
        }
        mounts.extend(self.config_mount(place)?);
        Ok(mounts)
    }

    pub(super) fn describe(&self) -> Vec<String> {
        let shown = SHOWN
            .iter()
            .filter(|(name, _)| self.dir.join(name).exists())
            .map(|(name, why)| format!("ro {}  {why}", self.dir.join(name).display()));
        let seeded = SEEDED
            .iter()
            .filter(|(name, _)| self.dir.join(name).exists())
            .map(|(name, _)| {
                let dir = self.dir.join(name);
                format!(
                    "private {}  begins with links to the user's own",
                    dir.display()
                )
            });
        let config = self.config.iter().map(|(path, cleaned)| match cleaned {
            Some(_) => format!("ro {}  without its secrets", path.display()),
            None => format!("ro {}  cargo's configuration", path.display()),
        });
        let sources = self.sources.iter();
        let sources = sources.map(|dir| format!("ro {}  a source of crates", dir.display()));
        shown.chain(seeded).chain(config).chain(sources).collect()
    }

    fn show(&self, name: &str) -> Option<Mount> {
        let path = self.dir.join(name);
        path.exists().then(|| mount(&path, &path, false))
    }

    /// Where the slot keeps cargo's home: in its home at the same place, or, for one that lies
    /// elsewhere, in a directory of its own.
    fn in_slot(&self, place: &Place) -> (PathBuf, PathBuf) {
        let relative = match self.dir.strip_prefix(&self.home) {
            Ok(relative) if relative != Path::new("") => relative.to_owned(),
            _ => PathBuf::from(".regreen/cargo"),
        };
        (place.home.clone(), relative)
    }

    fn config_mount(&self, place: &Place) -> io::Result<Option<Mount>> {
        let Some((path, cleaned)) = &self.config else {
            return Ok(None);
        };
        let Some(text) = cleaned else {
            return Ok(Some(mount(path, path, false)));
        };
        // Beside the slot's home, where no sandbox can write.
        let file = place.home.with_file_name(CLEANED);
        if data::text(&file).as_ref() != Some(text) {
            std::fs::write(&file, text)?;
        }
        Ok(Some(mount(&file, path, false)))
    }
}

fn mount(source: &Path, target: &Path, writable: bool) -> Mount {
    Mount {
        source: source.to_owned(),
        target: target.to_owned(),
        writable,
        optional: false,
    }
}

/// Links every entry of the second level of `user` into the slot, where it is not there yet.
/// A link costs nothing, and cargo takes what it points to for unpacked; what is not unpacked
/// yet it unpacks beside the links.
fn seed(user: &Path, inside: &Path, base: &Path, relative: &Path) -> io::Result<()> {
    beneath::directory(base, relative, Stranger::Remove)?;
    for group in std::fs::read_dir(user)?.flatten() {
        let path = group.path();
        if !path.is_dir() {
            continue;
        }
        let name = group.file_name();
        let dir = beneath::directory(base, &relative.join(&name), Stranger::Remove)?;
        let stamp = stamp(&path)?;
        let seeded = OsString::from(".regreen-seeded");
        let target = inside.join(&name);
        if rustix::fs::readlinkat(&dir, &seeded, Vec::new())
            .is_ok_and(|old| old.as_bytes() == stamp.as_bytes())
        {
            continue;
        }
        link_all(&path, &target, &dir)?;
        // The stamp is a link's target: written and replaced as one.
        let _ = rustix::fs::unlinkat(&dir, &seeded, AtFlags::empty());
        rustix::fs::symlinkat(stamp.as_str(), &dir, &seeded)?;
    }
    Ok(())
}

fn link_all(user: &Path, inside: &Path, dir: &OwnedFd) -> io::Result<()> {
    let wanted: BTreeSet<OsString> = std::fs::read_dir(user)?
        .flatten()
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name())
        .collect();
    for name in &wanted {
        match rustix::fs::symlinkat(inside.join(name), dir, name) {
            Ok(()) | Err(rustix::io::Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
    }
    // Links to what the user has removed would keep cargo from unpacking it again.
    for entry in rustix::fs::Dir::read_from(dir)? {
        let entry = entry?;
        let name = OsString::from(entry.file_name().to_string_lossy().into_owned());
        let stale = entry.file_type() == rustix::fs::FileType::Symlink && !wanted.contains(&name);
        if stale && name != ".regreen-seeded" {
            rustix::fs::unlinkat(dir, &name, AtFlags::empty())?;
        }
    }
    Ok(())
}

/// Changes whenever an entry is added to or removed from a directory.
fn stamp(dir: &Path) -> io::Result<String> {
    let stat = std::fs::metadata(dir)?;
    Ok(format!("{}.{:09}", stat.mtime(), stat.mtime_nsec()))
}

/// Directories that `[source]` replaces crates.io by. Relative ones count from the parent of
/// cargo's home, as cargo says.
fn sources(table: &toml::Table, dir: &Path) -> Vec<PathBuf> {
    let Some(sources) = table.get("source").and_then(toml::Value::as_table) else {
        return Vec::new();
    };
    let base = dir.parent().unwrap_or(dir);
    sources
        .values()
        .filter_map(|source| {
            let local = source
                .get("directory")
                .or_else(|| source.get("local-registry"))?;
            Some(base.join(local.as_str()?))
        })
        .collect()
}

/// Takes secrets out of a configuration; says whether there were any.
fn clean(table: &mut toml::Table) -> bool {
    let mut found = false;
    for key in SECRET_KEYS {
        found |= table.remove(*key).is_some();
    }
    for (name, value) in table.iter_mut() {
        let proxy = name == "proxy" && value.as_str().is_some_and(|value| value.contains('@'));
        if proxy {
            *value = toml::Value::String(String::new());
            found = true;
        }
        if let Some(inner) = value.as_table_mut() {
            found |= clean(inner);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_taken_out_of_the_configuration() {
        let text = "[build]\njobs = 3\n[registry]\ntoken = \"s1\"\n[registries.mine]\nindex = \
                    \"x\"\ntoken = \"s2\"\n[http]\nproxy = \"u:s3@host\"\n";
        let mut table: toml::Table = text.parse().expect("TOML");
        assert!(clean(&mut table));
        let cleaned = table.to_string();
        for secret in ["s1", "s2", "s3"] {
            assert!(!cleaned.contains(secret), "{cleaned}");
        }
        assert!(cleaned.contains("jobs = 3") && cleaned.contains("index = \"x\""));
        assert!(!clean(&mut table.clone()), "nothing is left to take out");
    }

    #[test]
    fn sources_are_found_as_cargo_reads_them() {
        let text = "[source.crates-io]\nreplace-with = \"v\"\n[source.v]\ndirectory = \
                    \".cargo/vendor\"\n[source.w]\nlocal-registry = \"/srv/crates\"\n";
        let table: toml::Table = text.parse().expect("TOML");
        let found = sources(&table, Path::new("/home/ada/.cargo"));
        assert_eq!(
            found,
            [
                PathBuf::from("/home/ada/.cargo/vendor"),
                PathBuf::from("/srv/crates")
            ]
        );
    }
}
