//! The user's repository, read only through libgit2, and regreen's own object store beside it.
//!
//! Nothing here starts git's own program, and nothing writes to the user's repository except
//! [`PrivateDir`] (`<git dir>/regreen/`) and, for loops, objects and refs below
//! `refs/heads/regreen/` and `refs/regreen/`.

mod agent_git;
mod commit;
mod confined;
mod copy;
mod diff;
mod error;
mod index;
mod land;
mod memory;
mod objects;
mod orphans;
mod private;
mod refs;
mod rules;
mod settle;
mod staged;
mod submodule;
pub(crate) mod tree;
pub(crate) mod worktree;

pub use agent_git::AgentGit;
pub use commit::CommitInfo;
pub use commit::CommitSpec;
pub use confined::Confined;
pub use confined::empty_dir;
pub use confined::read_capped;
pub use confined::regain;
pub use confined::remove_all;
pub use diff::FileChange;
pub use diff::FileChangeKind;
pub use error::GitError;
pub use index::IndexEntry;
pub use index::IndexFile;
pub use index::StatKey;
pub use land::Rebased;
pub use memory::give_back_memory;
pub use memory::keep_little_memory;
pub use objects::Objects;
pub use orphans::Orphan;
pub use orphans::orphans;
pub use orphans::worktree_of;
pub use private::PrivateDir;
pub use refs::RefUpdate;
pub use rules::IgnoreRules;
pub use rules::RuleStack;
pub use submodule::Submodule;
pub use tree::Edit;
pub use tree::EntryMode;
pub use tree::TreeEntry;
pub use worktree::Head;
pub use worktree::Resolved;
pub use worktree::Worktree;
pub use worktree::project_id;
pub use worktree::refuse_path;
pub use worktree::refuse_root;

pub use git2::Oid;
