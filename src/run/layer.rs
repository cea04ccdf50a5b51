//! What a set-up made, kept under a key of everything that it depends on, and mounted read-only
//! under the runs. A layer is whole or not there: it is made beside its place and renamed.
//!
//! It lies in the slot, beside the copy of the project: a set-up runs what the project's files say,
//! and those of a loop are an agent's. So it is as clean as the slot is, goes where the slot is
//! copied to, counts with it and ends with it; and whoever holds the slot has it alone.

use crate::git;
use crate::git::Confined;
use crate::model::Setup;
use crate::run::Job;
use crate::sandbox::Mount;
use serde::Deserialize;
use serde::Serialize;
use std::fs::File;
use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::time::SystemTime;

/// Raised when what a layer holds or how it is made changes.
const VERSION: u32 = 1;
/// Input files above this size are refused.
const MOST_INPUT: u64 = 64 << 20;
/// Layers of one slot that are kept.
const KEPT: usize = 4;
/// Directories of one layer.
const MOST_PARTS: usize = 200;
/// Directories in an installation that tools write to whatever the rest is.
const WRITTEN: [&str; 3] = [".cache", ".vite", ".vite-temp"];

/// What stands in a layer.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq)]
struct Part {
    /// Its name in the layer.
    kept: String,
    /// Its place, relative to the worktree or to the home directory.
    place: PathBuf,
    home: bool,
}

/// A layer.
#[derive(Debug)]
pub struct Layer {
    dir: PathBuf,
    parts: Vec<Part>,
}

/// The key of a set-up for a job: what it is, what it reads, and where it runs. Without inputs it
/// may depend on anything of the snapshot.
///
/// # Errors
/// If an input cannot be read.
pub fn key(job: &Job, setup: &Setup) -> io::Result<String> {
    let mut hash = blake3::Hasher::new();
    let mut add = |bytes: &[u8]| {
        hash.update(&(bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    };
    add(&VERSION.to_le_bytes());
    add(job.place.root.as_os_str().as_encoded_bytes());
    add(&serde_json::to_vec(&(
        &setup.command,
        &setup.dir,
        &setup.provides,
        &setup.env,
    ))?);
    add(&serde_json::to_vec(&job.env)?);
    for word in &setup.command {
        add(identity(word, &job.env).as_bytes());
    }
    let tree = Confined::open(&job.place.tree)?;
    for input in &setup.inputs {
        add(input.as_os_str().as_encoded_bytes());
        match tree.read(input, MOST_INPUT) {
            Ok(bytes) => add(&bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => add(b"none"),
            Err(error) => return Err(named(error, input)),
        }
    }
    if setup.inputs.is_empty() {
        add(job.snapshot.as_str().as_bytes());
    }
    Ok(hash.finalize().to_hex()[..24].to_owned())
}

/// Which program a word of the command is, if it is one: another release makes other things.
fn identity(word: &str, env: &[(String, String)]) -> String {
    use std::os::unix::fs::MetadataExt;
    let path = env.iter().rev().find(|(name, _)| name == "PATH");
    let path = path.map_or("", |(_, value)| value.as_str());
    let mut found = std::env::split_paths(path).map(|dir| dir.join(word));
    let meta = found.find_map(|path| path.canonicalize().ok()?.metadata().ok());
    meta.filter(|meta| meta.is_file())
        .map_or(String::new(), |meta| {
            format!("{}:{}:{}", meta.ino(), meta.size(), meta.mtime())
        })
}

fn named(error: io::Error, path: &Path) -> io::Error {
    io::Error::new(error.kind(), format!("`{}`: {error}", path.display()))
}

/// Where a layer is made, until it is whole.
pub fn stage(layers: &Path, key: &str) -> PathBuf {
    layers.join(format!("{key}.new"))
}

impl Layer {
    /// The layer of a key, if it is there.
    pub fn find(layers: &Path, key: &str) -> Option<Self> {
        let dir = layers.join(key);
        let file = File::open(dir.join("layer.json")).ok()?;
        let parts = serde_json::from_reader(&file).ok()?;
        // Used now: the oldest go first.
        let _ = file.set_modified(SystemTime::now());
        Some(Layer { dir, parts })
    }

    /// Takes over what a set-up made in its stage; nothing where it made none of it.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn keep(layers: &Path, key: &str, setup: &Setup) -> io::Result<Option<Self>> {
        let stage = stage(layers, key);
        let kept = stage.join("kept");
        std::fs::create_dir_all(&kept)?;
        let mut parts = Vec::new();
        for (home, place) in made(&stage, setup) {
            let name = parts.len().to_string();
            let from = stage.join(if home { "home" } else { "tree" }).join(&place);
            std::fs::rename(&from, kept.join(&name))?;
            for dir in WRITTEN.iter().filter(|_| place.ends_with("node_modules")) {
                let _ = std::fs::create_dir(kept.join(&name).join(dir));
            }
            parts.push(Part {
                kept: name,
                place,
                home,
            });
        }
        for rest in ["tree", "home", "tmp"] {
            git::remove_all(&stage.join(rest))?;
        }
        if parts.is_empty() {
            git::remove_all(&stage)?;
            return Ok(None);
        }
        std::fs::write(stage.join("layer.json"), serde_json::to_vec(&parts)?)?;
        let dir = layers.join(key);
        git::remove_all(&dir)?;
        std::fs::rename(&stage, &dir)?;
        forget_oldest(layers, key);
        Ok(Layer::find(layers, key))
    }

    /// The layer's mounts for a job. What tools write to lies in `scratch`, a directory of this
    /// run alone.
    ///
    /// # Errors
    /// If a directory for that cannot be made.
    pub fn mounts(&self, job: &Job, scratch: &Path) -> io::Result<Vec<Mount>> {
        let mut mounts = Vec::new();
        for part in &self.parts {
            let top = if part.home {
                &job.user_home
            } else {
                &job.place.root
            };
            let (source, target) = (
                self.dir.join("kept").join(&part.kept),
                top.join(&part.place),
            );
            for name in WRITTEN {
                if part.place.ends_with("node_modules") && source.join(name).is_dir() {
                    let own = scratch.join(&part.kept).join(name);
                    std::fs::create_dir_all(&own)?;
                    mounts.push(mount(own, target.join(name), true));
                }
            }
            mounts.push(mount(source, target, false));
        }
        Ok(mounts)
    }

    /// The environment in which tests find it.
    pub fn env(&self, job: &Job) -> Vec<(String, String)> {
        let venv = self.parts.iter().find(|part| part.place.ends_with(".venv"));
        let Some(venv) = venv.map(|part| job.place.root.join(&part.place)) else {
            return Vec::new();
        };
        let path = job.env.iter().rev().find(|(name, _)| name == "PATH");
        let path = path.map_or("", |(_, value)| value.as_str());
        vec![
            ("PATH".to_owned(), format!("{}/bin:{path}", venv.display())),
            ("VIRTUAL_ENV".to_owned(), venv.display().to_string()),
        ]
    }
}

fn mount(source: PathBuf, target: PathBuf, writable: bool) -> Mount {
    Mount {
        source,
        target,
        writable,
        optional: false,
    }
}

/// The directories of the wanted names: where they lie in each other the outer ones.
fn made(stage: &Path, setup: &Setup) -> Vec<(bool, PathBuf)> {
    let mut found = Vec::new();
    let is_dir = |path: &Path| path.symlink_metadata().is_ok_and(|meta| meta.is_dir());
    let wanted: Vec<&Path> = setup
        .provides
        .iter()
        .filter(|name| !name.starts_with("~/"))
        .map(Path::new)
        .collect();
    let tree = stage.join("tree");
    let mut queue = vec![PathBuf::new()];
    while let Some(dir) = queue.pop() {
        for entry in std::fs::read_dir(tree.join(&dir))
            .into_iter()
            .flatten()
            .flatten()
        {
            let path = dir.join(entry.file_name());
            if found.len() >= MOST_PARTS || !is_dir(&tree.join(&path)) {
                continue;
            }
            match wanted.iter().any(|name| path.ends_with(name)) {
                true => found.push((false, path)),
                false => queue.push(path),
            }
        }
    }
    let homes = setup
        .provides
        .iter()
        .filter_map(|name| name.strip_prefix("~/"));
    let homes = homes.map(PathBuf::from).filter(|path| {
        let plain = |part| matches!(part, std::path::Component::Normal(_));
        path.components().all(plain) && no_link(&stage.join("home"), path)
    });
    found.extend(homes.map(|path| (true, path)));
    found.sort();
    found
}

/// Whether a directory is there, and no link leads to it.
fn no_link(top: &Path, path: &Path) -> bool {
    let mut at = top.to_owned();
    path.components().all(|part| {
        at.push(part);
        at.symlink_metadata().is_ok_and(|meta| meta.is_dir())
    })
}

/// Removes the layers that were not used for longest.
fn forget_oldest(layers: &Path, but: &str) {
    let mut all: Vec<(SystemTime, String)> = std::fs::read_dir(layers)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let used = entry.path().join("layer.json").metadata().ok()?;
            (name != but).then_some((used.modified().ok()?, name))
        })
        .collect();
    all.sort();
    let surplus = (all.len() + 1).saturating_sub(KEPT);
    for (_, key) in all.into_iter().take(surplus) {
        let _ = git::remove_all(&layers.join(&key));
    }
}
