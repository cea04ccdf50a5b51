//! Commits with trailers.

use crate::git::GitError;
use crate::git::Objects;
use crate::git::Oid;
use crate::model::Timestamp;
use git2::Signature;
use git2::Time;

/// A commit to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitSpec {
    /// Its tree.
    pub tree: Oid,
    /// Its parents, first one first.
    pub parents: Vec<Oid>,
    /// First line and body.
    pub message: String,
    /// Trailers, written as `Key: value` in a last paragraph of their own.
    pub trailers: Vec<(String, String)>,
    /// Who wrote it: name and e-mail.
    pub author: (String, String),
    /// When.
    pub time: Timestamp,
}

/// What is known of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitInfo {
    /// Its id.
    pub id: Oid,
    /// Its tree.
    pub tree: Oid,
    /// Its parents.
    pub parents: Vec<Oid>,
    /// Its message, lossy where it is not UTF-8.
    pub message: String,
    /// Author's name and e-mail.
    pub author: (String, String),
    /// Committed when.
    pub time: Timestamp,
}

impl Objects {
    /// Makes a commit; no ref is moved.
    pub fn commit_tree(&self, spec: &CommitSpec) -> Result<Oid, GitError> {
        let failed = |what| GitError::git(what, self.path());
        let repo = self.repo();
        let time = Time::new(spec.time.millis().div_euclid(1000), 0);
        let author = Signature::new(&spec.author.0, &spec.author.1, &time)
            .map_err(failed("sign a commit"))?;
        let committer = Signature::new("regreen", "regreen@localhost", &time)
            .map_err(failed("sign a commit"))?;
        let tree = repo
            .find_tree(spec.tree)
            .map_err(failed("find the tree of a commit"))?;
        let mut parents = Vec::with_capacity(spec.parents.len());
        for id in &spec.parents {
            parents.push(
                repo.find_commit(*id)
                    .map_err(failed("find the parent of a commit"))?,
            );
        }
        let parents: Vec<&git2::Commit<'_>> = parents.iter().collect();
        repo.commit(None, &author, &committer, &spec.text(), &tree, &parents)
            .map_err(failed("make a commit"))
    }

    /// Reads a commit.
    pub fn commit_info(&self, id: Oid) -> Result<CommitInfo, GitError> {
        let commit = self
            .repo()
            .find_commit(id)
            .map_err(GitError::git("read a commit", self.path()))?;
        let author = commit.author();
        let lossy = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok(CommitInfo {
            id,
            tree: commit.tree_id(),
            parents: commit.parent_ids().collect(),
            message: lossy(commit.message_bytes()),
            author: (lossy(author.name_bytes()), lossy(author.email_bytes())),
            time: Timestamp::from_millis(commit.time().seconds().saturating_mul(1000)),
        })
    }

    /// The commits from `tip` back to `base` (left out) along first parents, oldest first;
    /// `None` if `base` is not among the first `cap`.
    pub fn commits_since(
        &self,
        tip: Oid,
        base: Oid,
        cap: usize,
    ) -> Result<Option<Vec<CommitInfo>>, GitError> {
        let mut commits = Vec::new();
        let mut next = tip;
        while next != base {
            if commits.len() == cap {
                return Ok(None);
            }
            let commit = self.commit_info(next)?;
            let parent = commit.parents.first().copied();
            commits.push(commit);
            match parent {
                Some(parent) => next = parent,
                None => return Ok(None),
            }
        }
        commits.reverse();
        Ok(Some(commits))
    }
}

impl CommitSpec {
    /// The message with its trailers. A line break in a trailer would forge another one.
    fn text(&self) -> String {
        let mut text = self.message.trim_end().to_owned();
        text.push('\n');
        if !self.trailers.is_empty() {
            text.push('\n');
        }
        for (key, value) in &self.trailers {
            let value: String = value
                .chars()
                .map(|c| if c.is_control() { ' ' } else { c })
                .collect();
            text.push_str(&format!("{key}: {value}\n"));
        }
        text
    }
}
