//! Copying objects between stores: what a loop made goes complete into regreen's own store
//! first, and into the user's when an iteration ends, so that `git gc --prune=now` loses nothing.

use crate::git::CommitInfo;
use crate::git::Confined;
use crate::git::EntryMode;
use crate::git::GitError;
use crate::git::Objects;
use crate::git::Oid;
use crate::git::Worktree;
use git2::ObjectType;
use git2::Odb;
use git2::Repository;
use std::collections::HashSet;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// From so many objects on a pack is written instead of loose objects.
const PACK_FROM: usize = 512;

impl Objects {
    /// Makes sure that a commit with its whole tree, but without its history, is stored here
    /// and not only in an alternate. Answers how many objects were copied.
    pub fn adopt(&self, commit: Oid) -> Result<usize, GitError> {
        let own = self.without_alternates()?;
        let odb = own.odb().map_err(self.failed())?;
        let mut wanted = Vec::new();
        self.missing_commit(commit, &|id| odb.exists(id), &mut wanted)?;
        self.copy_into(&own, &wanted)
    }

    /// Makes sure that every commit from `tip` back to one of `stop_at` is stored complete here.
    pub fn adopt_since(&self, tip: Oid, stop_at: &[Oid]) -> Result<usize, GitError> {
        let own = self.without_alternates()?;
        self.copy_range(tip, stop_at, &own)
    }

    /// Copies every commit from `tip` back to one of `stop_at` (which the user's repository
    /// has), with all that they need, into the user's repository. No ref is moved.
    pub fn copy_closure(
        &self,
        tip: Oid,
        stop_at: &[Oid],
        to: &Worktree,
    ) -> Result<usize, GitError> {
        self.copy_range(tip, stop_at, &to.open()?)
    }

    /// Copies a commit with its whole tree, without its history, into another store. Answers
    /// how many objects were copied.
    pub fn copy_commit(&self, commit: Oid, to: &Objects) -> Result<usize, GitError> {
        let target = to.odb()?;
        let mut wanted = Vec::new();
        self.missing_commit(commit, &|id| target.exists(id), &mut wanted)?;
        self.copy_into(to.repo(), &wanted)
    }

    /// Takes over the commits that an agent made in a private `.git` of its own, from its HEAD
    /// back to `base`; oldest first. The directory is hostile: nothing in it is run, followed
    /// or believed, every object is hashed again. No sandbox may be writing to it meanwhile.
    pub fn absorb(&self, private_git: &Path, base: Oid) -> Result<Vec<CommitInfo>, GitError> {
        inspect(private_git)?;
        crate::git::worktree::prepare();
        let theirs = Repository::open_bare(private_git)
            .map_err(GitError::git("open the agent's repository", private_git))?;
        let odb = theirs
            .odb()
            .map_err(GitError::git("open the agent's objects", private_git))?;
        let head = match theirs.refname_to_id("HEAD") {
            Ok(head) => head,
            // Nothing committed at all.
            Err(_) => return Ok(Vec::new()),
        };
        if head == base {
            return Ok(Vec::new());
        }
        let mut wanted = Wanted::default();
        let mut next = Some(head);
        let mut commits = 0;
        while let Some(id) = next.filter(|id| *id != base) {
            commits += 1;
            if commits > 1_000 {
                return Err(GitError::Hostile {
                    path: private_git.to_owned(),
                    reason: "it has more than 1000 commits on top of the base".to_owned(),
                });
            }
            let commit = theirs
                .find_commit(id)
                .map_err(GitError::git("read the agent's commit", private_git))?;
            wanted.add(id);
            collect_tree(
                &odb,
                commit.tree_id(),
                &|id| self.contains(id),
                &mut wanted,
                0,
            )
            .map_err(GitError::git("read the agent's tree", private_git))?;
            next = commit.parent_ids().next();
        }
        let own = self.without_alternates()?;
        let target = own.odb().map_err(self.failed())?;
        copy_loose(&odb, &target, &wanted.list).map_err(self.failed())?;
        self.adopt_since(head, &[base])?;
        match self.commits_since(head, base, 1_000)? {
            Some(commits) => Ok(commits),
            None => Err(GitError::Hostile {
                path: private_git.to_owned(),
                reason: format!("its history does not lead back to {base}"),
            }),
        }
    }

    /// For a renewal: what refs reach (complete commits) and what the `keep` trees need beyond
    /// the alternates.
    pub(crate) fn copy_own_into(&self, target: &Repository, keep: &[Oid]) -> Result<(), GitError> {
        let own = self.without_alternates()?;
        let odb = own.odb().map_err(self.failed())?;
        let mut wanted = Wanted::default();
        for (name, tip) in self.refs("refs/")? {
            let mut next = Some(tip);
            // Ours are followed as far as they are stored here; the rest is the user's history.
            while let Some(id) = next.filter(|id| odb.exists(*id)) {
                let commit = own.find_commit(id).map_err(self.failed())?;
                wanted.add(id);
                collect_tree(
                    &odb,
                    commit.tree_id(),
                    &|id| !odb.exists(id),
                    &mut wanted,
                    0,
                )
                .map_err(self.failed())?;
                next = commit.parent_ids().next();
            }
            target
                .odb()
                .and_then(|to| copy_loose(&odb, &to, &wanted.take()))
                .and_then(|()| target.reference(&name, tip, true, "renewed"))
                .map_err(self.failed())?;
        }
        for tree in keep {
            collect_tree(&odb, *tree, &|id| !odb.exists(id), &mut wanted, 0)
                .map_err(self.failed())?;
        }
        let to = target.odb().map_err(self.failed())?;
        copy_loose(&odb, &to, &wanted.list).map_err(self.failed())
    }

    fn copy_range(&self, tip: Oid, stop_at: &[Oid], to: &Repository) -> Result<usize, GitError> {
        let target = to.odb().map_err(self.failed())?;
        let mut wanted = Vec::new();
        let mut queue = vec![tip];
        let mut seen = HashSet::new();
        while let Some(id) = queue.pop() {
            if stop_at.contains(&id) || !seen.insert(id) {
                continue;
            }
            self.missing_commit(id, &|id| target.exists(id), &mut wanted)?;
            queue.extend(self.commit_info(id)?.parents);
        }
        self.copy_into(to, &wanted)
    }

    fn missing_commit(
        &self,
        commit: Oid,
        has: &dyn Fn(Oid) -> bool,
        wanted: &mut Vec<Oid>,
    ) -> Result<(), GitError> {
        let tree = self.commit_info(commit)?.tree;
        let mut found = Wanted::default();
        found.seen.extend(wanted.iter().copied());
        if !has(commit) {
            found.add(commit);
        }
        // A store that has a tree may lack what is below it, if it was pruned or copied in part.
        collect_every(&self.odb()?, tree, &mut found, 0).map_err(self.failed())?;
        wanted.extend(found.list.into_iter().filter(|id| !has(*id)));
        Ok(())
    }

    fn copy_into(&self, to: &Repository, wanted: &[Oid]) -> Result<usize, GitError> {
        let from = self.odb()?;
        let target = to.odb().map_err(self.failed())?;
        if wanted.len() < PACK_FROM {
            copy_loose(&from, &target, wanted).map_err(self.failed())?;
            return Ok(wanted.len());
        }
        let mut pack = self.repo().packbuilder().map_err(self.failed())?;
        for id in wanted {
            pack.insert_object(*id, None).map_err(self.failed())?;
        }
        let dir = to.commondir().join("objects/pack");
        pack.write(&dir, 0o444).map_err(self.failed())?;
        target.refresh().map_err(self.failed())?;
        Ok(wanted.len())
    }

    fn failed(&self) -> impl FnOnce(git2::Error) -> GitError + use<> {
        GitError::git("copy objects", self.path())
    }
}

#[derive(Default)]
struct Wanted {
    seen: HashSet<Oid>,
    list: Vec<Oid>,
}

impl Wanted {
    fn add(&mut self, id: Oid) -> bool {
        let new = self.seen.insert(id);
        if new {
            self.list.push(id);
        }
        new
    }

    fn take(&mut self) -> Vec<Oid> {
        std::mem::take(&mut self.list)
    }
}

/// How deep a tree may be; a deeper one was made to exhaust somebody.
const MAX_DEPTH: usize = 2_000;

/// Everything at and below a tree, except what `skip` says (with all below it).
fn collect_tree(
    odb: &Odb<'_>,
    tree: Oid,
    skip: &dyn Fn(Oid) -> bool,
    wanted: &mut Wanted,
    depth: usize,
) -> Result<(), git2::Error> {
    if depth > MAX_DEPTH {
        return Err(git2::Error::from_str("trees are nested too deep"));
    }
    if wanted.seen.contains(&tree) || skip(tree) {
        return Ok(());
    }
    let object = odb.read(tree)?;
    if object.kind() != ObjectType::Tree {
        return Err(git2::Error::from_str("a tree entry is no tree"));
    }
    wanted.add(tree);
    let entries = crate::git::tree::parse(object.data())
        .ok_or_else(|| git2::Error::from_str("a broken tree"))?;
    for entry in entries {
        match entry.mode {
            EntryMode::Tree => collect_tree(odb, entry.id, skip, wanted, depth + 1)?,
            EntryMode::Gitlink => {}
            // A blob above the size limit was hashed and not stored.
            _ if skip(entry.id) => {}
            _ => {
                wanted.add(entry.id);
            }
        }
    }
    Ok(())
}

/// Everything at and below a tree that can be read at all.
fn collect_every(
    odb: &Odb<'_>,
    tree: Oid,
    wanted: &mut Wanted,
    depth: usize,
) -> Result<(), git2::Error> {
    collect_tree(odb, tree, &|id| !odb.exists(id), wanted, depth)
}

fn copy_loose(from: &Odb<'_>, to: &Odb<'_>, wanted: &[Oid]) -> Result<(), git2::Error> {
    for id in wanted {
        if to.exists(*id) {
            continue;
        }
        let object = from.read(*id)?;
        let written = to.write(object.kind(), object.data())?;
        if written != *id {
            return Err(git2::Error::from_str(
                "an object does not have the hash it is stored under",
            ));
        }
    }
    Ok(())
}

/// Only directories and regular files, not too many, and no alternates: libgit2 would follow a
/// link out of the sandbox and wait on a FIFO for ever.
fn inspect(private_git: &Path) -> Result<(), GitError> {
    let refuse = |path: &Path, reason: &str| GitError::Hostile {
        path: path.to_owned(),
        reason: reason.to_owned(),
    };
    let meta = private_git
        .symlink_metadata()
        .map_err(GitError::io("look at", private_git))?;
    if !meta.is_dir() {
        return Err(refuse(private_git, "it is not a directory"));
    }
    let root = Confined::open(private_git).map_err(GitError::io("open", private_git))?;
    let mut dirs = vec![std::path::PathBuf::new()];
    let mut left = 200_000_usize;
    while let Some(dir) = dirs.pop() {
        let fd = root.open_dir(&dir).map_err(GitError::io("look at", &dir))?;
        let entries = rustix::fs::Dir::read_from(&fd).map_err(GitError::io("look at", &dir))?;
        for entry in entries {
            let entry = entry.map_err(GitError::io("look at", &dir))?;
            let name = std::ffi::OsStr::from_bytes(entry.file_name().to_bytes());
            if name == "." || name == ".." {
                continue;
            }
            let path = dir.join(name);
            left = left
                .checked_sub(1)
                .ok_or_else(|| refuse(private_git, "it has more than 200000 files"))?;
            let stat = rustix::fs::statat(&fd, name, rustix::fs::AtFlags::SYMLINK_NOFOLLOW)
                .map_err(GitError::io("look at", &path))?;
            match rustix::fs::FileType::from_raw_mode(stat.st_mode) {
                rustix::fs::FileType::Directory => dirs.push(path),
                rustix::fs::FileType::RegularFile => {}
                _ => {
                    return Err(refuse(
                        &private_git.join(path),
                        "neither a file nor a directory",
                    ));
                }
            }
        }
    }
    // It names a place inside the sandbox, or whatever the agent wrote: never opened here.
    let alternates = Path::new("objects/info/alternates");
    root.remove(alternates)
        .map_err(GitError::io("remove", alternates))?;
    for name in ["commondir", "config.worktree"] {
        if private_git.join(name).exists() {
            return Err(refuse(
                &private_git.join(name),
                "it points outside the workspace",
            ));
        }
    }
    let config = root
        .read(Path::new("config"), 1 << 20)
        .map_err(GitError::io("read", &private_git.join("config")))?;
    let config = String::from_utf8_lossy(&config).to_ascii_lowercase();
    if config.contains("include") {
        return Err(refuse(
            &private_git.join("config"),
            "it includes other configuration",
        ));
    }
    Ok(())
}
