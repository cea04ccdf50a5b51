//! The `.git` that an agent gets: a repository of its own with one commit, so that it can
//! diff and commit, and without the user's history, remotes, hooks or configuration.
//!
//! Objects of the base are read from a store that is mounted read-only beside it; what the
//! agent makes goes nowhere but into the directory made here.

use crate::git::GitError;
use crate::git::Objects;
use crate::git::Oid;
use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

/// What a new `.git` for an agent is made of.
#[derive(Debug, Clone, Copy)]
pub struct AgentGit<'a> {
    /// Where it is made, on the host. What lay there is removed.
    pub dir: &'a Path,
    /// Where the store with the base's objects is mounted, inside.
    pub objects_inside: &'a Path,
    /// The branch that is checked out, without `refs/heads/`.
    pub branch: &'a str,
    /// The commit that it names.
    pub commit: Oid,
}

const CONFIG: &str = "[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = false\n\
                      \tlogallrefupdates = true\n[user]\n\tname = regreen agent\n\
                      \temail = agent@localhost\n[gc]\n\tauto = 0\n[commit]\n\tgpgsign = false\n";

impl Objects {
    /// Makes a `.git` for an agent. `self` must hold the commit and its tree.
    pub fn make_agent_git(&self, git: &AgentGit<'_>) -> Result<(), GitError> {
        let dir = git.dir;
        crate::git::remove_all(dir).map_err(GitError::io("remove", dir))?;
        for part in ["objects/info", "refs/heads", "refs/tags", "info"] {
            let part = dir.join(part);
            fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(&part)
                .map_err(GitError::io("make", &part))?;
        }
        let write = |name: &str, text: String| {
            let path = dir.join(name);
            let parent = path.parent().unwrap_or(dir);
            fs::create_dir_all(parent)
                .and_then(|()| fs::write(&path, text))
                .map_err(GitError::io("write", &path))
        };
        let inside = git.objects_inside.display();
        write("HEAD", format!("ref: refs/heads/{}\n", git.branch))?;
        write("config", CONFIG.to_owned())?;
        write("shallow", format!("{}\n", git.commit))?;
        write("objects/info/alternates", format!("{inside}\n"))?;
        write(
            &format!("refs/heads/{}", git.branch),
            format!("{}\n", git.commit),
        )?;
        self.write_index(&dir.join("index"), git.commit)
    }

    /// An index that names the commit's files; git fills in the times when it first looks.
    fn write_index(&self, path: &Path, commit: Oid) -> Result<(), GitError> {
        let failed = |what| GitError::git(what, path);
        let tree = self
            .repo()
            .find_commit(commit)
            .and_then(|commit| commit.tree())
            .map_err(failed("find the tree of a commit"))?;
        let mut index = git2::Index::open(path).map_err(failed("make an index"))?;
        index.read_tree(&tree).map_err(failed("fill an index"))?;
        index.write().map_err(failed("write an index"))
    }
}
