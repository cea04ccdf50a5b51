//! One directory in place of thirty mounts: regreen's own copy of those bits of `/etc` that a
//! sandbox may see. Each mount costs bubblewrap a walk over all mounts so far; together they
//! were the largest part of a sandbox's start.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Component;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;
use std::time::SystemTime;

/// More than this is not copied; the bits are mounted one by one then.
const MOST_BYTES: u64 = 32 << 20;

/// A copy that no regreen has asked for as long as this is removed.
const OLD: Duration = Duration::from_secs(7 * 24 * 3600);

/// A directory with more entries than this is mounted itself: a system has hundreds of links in
/// `/etc/alternatives` and `/etc/ssl/certs`, and to make each anew costs more than two mounts.
const MANY: usize = 64;

/// Where a link may lead that is copied as a link: these appear inside at their own paths.
const INSIDE: &[&str] = &["/usr", "/nix/store", "/gnu/store"];

/// What stands for `/etc` in a sandbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copied {
    /// The copy.
    pub dir: PathBuf,
    /// Directories of which the copy has only the mount point.
    pub whole: Vec<PathBuf>,
}

/// The copies of one user.
#[derive(Debug)]
pub struct Etc {
    cache: PathBuf,
}

impl Etc {
    /// Copies below `cache`, a directory of the user's own.
    pub fn new(cache: PathBuf) -> Self {
        Etc { cache }
    }

    /// A copy of `sources`, all of them below `/etc`, as they are now; made anew when one of
    /// them has changed. `None` where none can be made: then they are mounted one by one.
    pub fn of(&self, sources: &[&Path]) -> Option<Copied> {
        let copy = self.cache.join(stamp(sources));
        if !copy.is_dir()
            && let Err(error) = self.make(sources, &copy)
        {
            tracing::debug!(%error, "no copy of /etc");
            return None;
        }
        let whole = sources.iter().filter(|source| {
            let target = inside(source).map(|inside| copy.join(inside));
            target.is_ok_and(|target| is_empty(&target)) && source.is_dir()
        });
        Some(Copied {
            whole: whole.map(|source| source.to_path_buf()).collect(),
            dir: copy,
        })
    }

    fn make(&self, sources: &[&Path], copy: &Path) -> io::Result<()> {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true).mode(0o700).create(&self.cache)?;
        self.forget_old();
        let draft = tempfile::Builder::new()
            .prefix(".draft-")
            .tempdir_in(&self.cache)?;
        fs::set_permissions(draft.path(), fs::Permissions::from_mode(0o755))?;
        let mut left = MOST_BYTES;
        for source in sources {
            let target = draft.path().join(inside(source)?);
            if let Some(parent) = target.parent() {
                fs::create_dir_all(parent)?;
            }
            if fs::read_dir(source).is_ok_and(|entries| entries.count() > MANY) {
                fs::create_dir_all(target)?;
                continue;
            }
            copy_any(source, &target, &mut left, 0)?;
        }
        // Where the resolver's file is mounted when there is a network.
        let resolver = draft.path().join("resolv.conf");
        if !resolver.exists() {
            fs::write(resolver, "")?;
        }
        match fs::rename(draft.path(), copy) {
            Ok(()) => {
                // Its name is taken by the copy; there is nothing left to remove.
                let _ = draft.keep();
                Ok(())
            }
            // Another regreen was quicker.
            Err(_) if copy.is_dir() => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn forget_old(&self) {
        let Ok(entries) = fs::read_dir(&self.cache) else {
            return;
        };
        for entry in entries.flatten() {
            let age = entry
                .metadata()
                .and_then(|data| data.modified())
                .ok()
                .and_then(|time| SystemTime::now().duration_since(time).ok());
            if age.is_some_and(|age| age > OLD) {
                let _ = fs::remove_dir_all(entry.path());
            }
        }
    }
}

/// Where a source lies in the copy. Never an absolute path: joined, it would stand for itself.
fn inside(source: &Path) -> io::Result<&Path> {
    let inside = source.strip_prefix("/etc").or(source.strip_prefix("/"));
    inside.map_err(io::Error::other)
}

/// Whether it is a directory with nothing in it.
fn is_empty(dir: &Path) -> bool {
    fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_none())
}

/// A name for what the sources are now.
fn stamp(sources: &[&Path]) -> String {
    let mut hash = blake3::Hasher::new();
    hash.update(env!("CARGO_PKG_VERSION").as_bytes());
    for source in sources {
        hash.update(source.as_os_str().as_encoded_bytes());
        let facts = |data: fs::Metadata| {
            [
                data.ino(),
                data.size(),
                data.mtime() as u64,
                data.mtime_nsec() as u64,
                data.ctime() as u64,
                data.ctime_nsec() as u64,
            ]
        };
        for data in [fs::symlink_metadata(source), fs::metadata(source)] {
            for fact in data.map(facts).unwrap_or_default() {
                hash.update(&fact.to_le_bytes());
            }
        }
    }
    hash.finalize().to_hex()[..16].to_owned()
}

fn copy_any(source: &Path, target: &Path, left: &mut u64, depth: usize) -> io::Result<()> {
    let data = fs::symlink_metadata(source)?;
    if data.is_symlink() && (depth > 0 || stays_inside(source)) {
        return std::os::unix::fs::symlink(fs::read_link(source)?, target);
    }
    let data = fs::metadata(source)?;
    if data.is_dir() {
        return copy_dir(source, target, left, depth);
    }
    if !data.is_file() {
        return Ok(());
    }
    *left = left
        .checked_sub(data.len())
        .ok_or_else(|| io::Error::other("the bits of /etc are too large to copy"))?;
    match fs::copy(source, target) {
        // What the user may not read a sandbox cannot need.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        done => done.map(|_| ()),
    }
}

fn copy_dir(source: &Path, target: &Path, left: &mut u64, depth: usize) -> io::Result<()> {
    if depth > 16 {
        return Err(io::Error::other("the bits of /etc are too deep to copy"));
    }
    fs::create_dir_all(target)?;
    let entries = match fs::read_dir(source) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Ok(()),
        entries => entries?,
    };
    let names: BTreeSet<_> = entries.flatten().map(|entry| entry.file_name()).collect();
    for name in names {
        copy_any(&source.join(&name), &target.join(&name), left, depth + 1)?;
    }
    Ok(())
}

/// Whether a link of `/etc` leads to a place that appears inside as it is here.
fn stays_inside(link: &Path) -> bool {
    let Ok(target) = fs::canonicalize(link) else {
        return false;
    };
    let plain = |path: &Path| !path.components().any(|part| part == Component::ParentDir);
    plain(&target) && INSIDE.iter().any(|place| target.starts_with(place))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_made_once_and_anew_when_a_source_changes() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let file = dir.path().join("hosts");
        fs::write(&file, "one").expect("written");
        let etc = Etc::new(dir.path().join("cache"));
        let first = etc.of(&[&file]).expect("a copy");
        assert_eq!(etc.of(&[&file]), Some(first.clone()));
        assert!(first.whole.is_empty());
        fs::write(&file, "two!").expect("written");
        assert_ne!(etc.of(&[&file]), Some(first));
    }

    #[test]
    fn only_what_was_named_is_copied() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let etc = Etc::new(dir.path().join("cache"));
        let copy = etc
            .of(&[Path::new("/etc/passwd"), Path::new("/etc/ssl/certs")])
            .expect("a copy")
            .dir;
        let passwd = fs::read(copy.join("passwd")).expect("copied");
        assert_eq!(passwd, fs::read("/etc/passwd").expect("there"));
        let mut names: Vec<_> = fs::read_dir(&copy)
            .expect("there")
            .flatten()
            .map(|entry| entry.file_name())
            .collect();
        names.sort();
        assert_eq!(names, ["passwd", "resolv.conf", "ssl"]);
        assert!(!copy.join("ssl/private").exists());
        assert!(!copy.join("shadow").exists());
    }

    #[test]
    fn a_link_to_elsewhere_is_copied_as_what_it_leads_to() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        fs::write(dir.path().join("real"), "text").expect("written");
        let link = dir.path().join("link");
        std::os::unix::fs::symlink("real", &link).expect("linked");
        let mut left = MOST_BYTES;
        let target = dir.path().join("copy");
        copy_any(&link, &target, &mut left, 0).expect("copied");
        assert!(!target.is_symlink());
        assert_eq!(fs::read_to_string(target).expect("there"), "text");
        let mut none = 3;
        let again = dir.path().join("again");
        assert!(copy_any(&link, &again, &mut none, 0).is_err());
    }

    #[test]
    fn a_directory_of_many_is_mounted_itself() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let (many, few) = (dir.path().join("many"), dir.path().join("few"));
        for (place, number) in [(&many, MANY + 1), (&few, 3)] {
            fs::create_dir(place).expect("made");
            for n in 0..number {
                std::os::unix::fs::symlink("/usr/bin/true", place.join(n.to_string()))
                    .expect("linked");
            }
        }
        let etc = Etc::new(dir.path().join("cache"));
        let copied = etc.of(&[&many, &few]).expect("a copy");
        assert_eq!(copied.whole, std::slice::from_ref(&many));
        let there = |place: &Path| copied.dir.join(inside(place).expect("inside"));
        assert!(is_empty(&there(&many)) && !is_empty(&there(&few)));
    }
}
