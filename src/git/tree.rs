//! Trees from trees: a sorted batch of edits applied to the last tree, without an index.
//!
//! Only the directories on the way to an edit are read and written, so that one saved file
//! costs the same in a large repository as in a small one. Objects that are already there (in
//! regreen's own store or in the user's) are not written again, and nothing of the user's is
//! touched, not even a pack's time.

use crate::git::GitError;
use crate::git::Objects;
use crate::git::Oid;
use git2::ObjectType;

/// The kind of a tree entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EntryMode {
    /// A regular file.
    File,
    /// A regular file with the executable bit.
    Executable,
    /// A symbolic link; its blob is the target.
    Link,
    /// A submodule; its id is a commit.
    Gitlink,
    /// A directory.
    Tree,
}

impl EntryMode {
    /// The mode as git writes it.
    pub fn raw(self) -> u32 {
        match self {
            EntryMode::File => 0o100_644,
            EntryMode::Executable => 0o100_755,
            EntryMode::Link => 0o120_000,
            EntryMode::Gitlink => 0o160_000,
            EntryMode::Tree => 0o040_000,
        }
    }

    /// From the mode as git writes it; old repositories have odd permission bits.
    pub fn from_raw(mode: u32) -> EntryMode {
        match mode & 0o170_000 {
            0o120_000 => EntryMode::Link,
            0o160_000 => EntryMode::Gitlink,
            0o040_000 => EntryMode::Tree,
            _ if mode & 0o100 != 0 => EntryMode::Executable,
            _ => EntryMode::File,
        }
    }
}

/// One entry of a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreeEntry {
    /// Its name, one path component.
    pub name: Vec<u8>,
    /// Its kind.
    pub mode: EntryMode,
    /// The mode as it was written, kept when the entry is not touched.
    raw_mode: u32,
    /// Its object.
    pub id: Oid,
}

/// One change of a tree: what lies at `path` afterwards, or nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// The path, components joined by `/`, without a leading one.
    pub path: Vec<u8>,
    /// What lies there.
    pub entry: Option<(EntryMode, Oid)>,
}

/// What is done with each path, its mode and its object.
type Visit<'a> = dyn FnMut(&[u8], EntryMode, Oid) -> Result<(), GitError> + 'a;

impl Objects {
    /// The entries of a tree.
    pub fn tree_entries(&self, tree: Oid) -> Result<Vec<TreeEntry>, GitError> {
        let odb = self.odb()?;
        let object = odb
            .read(tree)
            .map_err(GitError::git("read a tree", self.path()))?;
        if object.kind() != ObjectType::Tree {
            return Err(self.malformed(tree, "not a tree"));
        }
        parse(object.data()).ok_or_else(|| self.malformed(tree, "a broken tree"))
    }

    /// Applies edits to a tree (`None` is the empty one) and answers the new tree. Of two
    /// edits of one path the later counts. Directories that become empty vanish; a file that
    /// becomes a directory, or the other way round, is replaced.
    pub fn edit_tree(&self, base: Option<Oid>, edits: &[Edit]) -> Result<Oid, GitError> {
        let mut sorted: Vec<&Edit> = edits.iter().collect();
        sorted.sort_by(|a, b| component_order(&a.path, &b.path));
        let mut unique: Vec<&Edit> = Vec::with_capacity(sorted.len());
        for edit in sorted {
            match unique.last_mut() {
                Some(last) if last.path == edit.path => *last = edit,
                _ => unique.push(edit),
            }
        }
        match self.edit_level(base, &unique, 0)? {
            Some(tree) => Ok(tree),
            None => self.write_object(ObjectType::Tree, &[]),
        }
    }

    /// Edits one directory; `skip` bytes of each path lead to it. `None` if nothing is left.
    fn edit_level(
        &self,
        base: Option<Oid>,
        edits: &[&Edit],
        skip: usize,
    ) -> Result<Option<Oid>, GitError> {
        let mut entries = match base {
            Some(tree) => self.tree_entries(tree)?,
            None => Vec::new(),
        };
        let mut touched: Vec<TreeEntry> = Vec::new();
        let mut gone: Vec<&[u8]> = Vec::new();
        let mut rest = edits;
        while let Some(first) = rest.first() {
            let name = component(&first.path[skip..]);
            let count = rest
                .iter()
                .take_while(|edit| component(&edit.path[skip..]) == name)
                .count();
            let (group, after) = rest.split_at(count);
            rest = after;
            gone.push(name);
            let old = entries.iter().find(|entry| entry.name == name);
            if let Some((mode, id)) = self.edit_entry(old, group, skip + name.len())? {
                touched.push(TreeEntry {
                    name: name.to_vec(),
                    mode,
                    raw_mode: mode.raw(),
                    id,
                });
            }
        }
        gone.sort_unstable();
        entries.retain(|entry| gone.binary_search(&entry.name.as_slice()).is_err());
        entries.append(&mut touched);
        if entries.is_empty() {
            return Ok(None);
        }
        entries.sort_by(tree_order);
        self.write_object(ObjectType::Tree, &emit(&entries))
            .map(Some)
    }

    /// What becomes of one name, given all edits at and below it.
    fn edit_entry(
        &self,
        old: Option<&TreeEntry>,
        group: &[&Edit],
        end: usize,
    ) -> Result<Option<(EntryMode, Oid)>, GitError> {
        let here = group.iter().find(|edit| edit.path.len() == end);
        let below: Vec<&Edit> = group
            .iter()
            .filter(|edit| edit.path.len() > end)
            .copied()
            .collect();
        // An edit of the name itself replaces what was below; edits below then add to it.
        let base = match here {
            Some(edit) => edit.entry,
            None => old.map(|entry| (entry.mode, entry.id)),
        };
        if below.is_empty() {
            return Ok(base);
        }
        let tree = base.and_then(|(mode, id)| (mode == EntryMode::Tree).then_some(id));
        let only_removals = below.iter().all(|edit| edit.entry.is_none());
        if only_removals && tree.is_none() {
            // Nothing lies below a file; the file stays.
            return Ok(base);
        }
        let edited = self.edit_level(tree, &below, end + 1)?;
        Ok(edited.map(|tree| (EntryMode::Tree, tree)))
    }

    /// What lies at `path` in a tree.
    pub fn entry_at(&self, tree: Oid, path: &[u8]) -> Result<Option<(EntryMode, Oid)>, GitError> {
        let mut found = (EntryMode::Tree, tree);
        for name in path.split(|byte| *byte == b'/').filter(|it| !it.is_empty()) {
            if found.0 != EntryMode::Tree {
                return Ok(None);
            }
            let entries = self.tree_entries(found.1)?;
            match entries.into_iter().find(|entry| entry.name == name) {
                Some(entry) => found = (entry.mode, entry.id),
                None => return Ok(None),
            }
        }
        Ok(Some(found))
    }

    /// Visits every entry below a tree that is not itself a tree, in git's order of paths.
    pub fn walk_tree(&self, tree: Oid, visit: &mut Visit<'_>) -> Result<(), GitError> {
        self.walk_below(tree, &mut Vec::new(), visit)
    }

    fn walk_below(
        &self,
        tree: Oid,
        prefix: &mut Vec<u8>,
        visit: &mut Visit<'_>,
    ) -> Result<(), GitError> {
        // Long before the stack ends; no file system has such paths.
        if prefix.len() > 16 * 1024 {
            return Err(self.malformed(tree, "a tree nested without end"));
        }
        for entry in self.tree_entries(tree)? {
            let length = prefix.len();
            prefix.extend_from_slice(&entry.name);
            if entry.mode == EntryMode::Tree {
                prefix.push(b'/');
                self.walk_below(entry.id, prefix, visit)?;
            } else {
                visit(prefix, entry.mode, entry.id)?;
            }
            prefix.truncate(length);
        }
        Ok(())
    }
}

/// The first component of a path.
fn component(path: &[u8]) -> &[u8] {
    match path.iter().position(|byte| *byte == b'/') {
        Some(end) => &path[..end],
        None => path,
    }
}

/// Component by component: everything below a directory follows it directly.
pub(crate) fn component_order(a: &[u8], b: &[u8]) -> std::cmp::Ordering {
    a.split(|byte| *byte == b'/')
        .cmp(b.split(|byte| *byte == b'/'))
}

/// Git's order: a directory sorts as if its name ended with `/`.
fn tree_order(a: &TreeEntry, b: &TreeEntry) -> std::cmp::Ordering {
    let key = |entry: &TreeEntry| {
        let mut key = entry.name.clone();
        if entry.mode == EntryMode::Tree {
            key.push(b'/');
        }
        key
    };
    key(a).cmp(&key(b))
}

pub(crate) fn parse(mut data: &[u8]) -> Option<Vec<TreeEntry>> {
    let mut entries = Vec::new();
    while !data.is_empty() {
        let space = data.iter().position(|byte| *byte == b' ')?;
        let mode = std::str::from_utf8(&data[..space]).ok()?;
        let mode = u32::from_str_radix(mode, 8).ok()?;
        data = &data[space + 1..];
        let end = data.iter().position(|byte| *byte == 0)?;
        let (name, after) = (&data[..end], &data[end + 1..]);
        let id = Oid::from_bytes(after.get(..20)?).ok()?;
        if name.is_empty() || name.contains(&b'/') || name == b"." || name == b".." {
            return None;
        }
        entries.push(TreeEntry {
            name: name.to_vec(),
            mode: EntryMode::from_raw(mode),
            raw_mode: mode,
            id,
        });
        data = &after[20..];
    }
    Some(entries)
}

fn emit(entries: &[TreeEntry]) -> Vec<u8> {
    let mut data = Vec::with_capacity(entries.len() * 40);
    for entry in entries {
        data.extend_from_slice(format!("{:o} ", entry.raw_mode).as_bytes());
        data.extend_from_slice(&entry.name);
        data.push(0);
        data.extend_from_slice(entry.id.as_bytes());
    }
    data
}
