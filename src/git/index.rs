//! The user's index, read as a stream: path, id and the stat that git remembers.
//!
//! libgit2 would load it whole (35 MB at 100,000 files); what is needed is one pass.
//! Format: gitformat-index(5), versions 2, 3 and 4. A split or sparse index is refused with a
//! reason, and everything is hashed instead.

use crate::git::GitError;
use crate::git::Oid;
use std::path::Path;
use std::path::PathBuf;

/// The part of a stat by which git knows that a file is unchanged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StatKey {
    /// Modification time, seconds and nanoseconds, truncated as the index has them.
    pub mtime: (u32, u32),
    /// Change time.
    pub ctime: (u32, u32),
    /// Inode number, lower 32 bits.
    pub ino: u32,
    /// Size, lower 32 bits.
    pub size: u32,
}

impl StatKey {
    /// From a stat.
    pub fn of(stat: &rustix::fs::Stat) -> StatKey {
        StatKey {
            mtime: (stat.st_mtime as u32, stat.st_mtime_nsec as u32),
            ctime: (stat.st_ctime as u32, stat.st_ctime_nsec as u32),
            ino: stat.st_ino as u32,
            size: stat.st_size as u32,
        }
    }

    /// Whether a file with the stat `self` is what the index entry was made from. Zero fields
    /// of the index are unknown (another git implementation wrote it).
    pub fn matches(&self, index: &StatKey) -> bool {
        let nanos = |a: u32, b: u32| a == b || a == 0 || b == 0;
        self.size == index.size
            && self.mtime.0 == index.mtime.0
            && nanos(self.mtime.1, index.mtime.1)
            && (index.ctime.0 == 0
                || (self.ctime.0 == index.ctime.0 && nanos(self.ctime.1, index.ctime.1)))
            && (index.ino == 0 || self.ino == index.ino)
    }
}

/// One entry of the index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexEntry<'a> {
    /// The path.
    pub path: &'a [u8],
    /// The mode as git writes it.
    pub mode: u32,
    /// The blob, or for a submodule the commit.
    pub id: Oid,
    /// The stat that git remembers.
    pub stat: StatKey,
    /// 0, or 1 to 3 in a conflict.
    pub stage: u8,
    /// Left out of the work tree by a sparse checkout.
    pub skip_worktree: bool,
    /// `git add -N`: the id says nothing.
    pub intent_to_add: bool,
}

/// The index file as it was at one moment.
#[derive(Debug)]
pub struct IndexFile {
    data: Vec<u8>,
    path: PathBuf,
    version: u32,
    count: u32,
    /// The file's own modification time: an entry not older than it is racy.
    pub mtime: (u32, u32),
}

impl IndexFile {
    /// Reads the file; `None` if there is none.
    pub fn read(path: &Path) -> Result<Option<IndexFile>, GitError> {
        use std::os::unix::fs::MetadataExt;
        use std::os::unix::fs::OpenOptionsExt;
        let opened = std::fs::File::options()
            .read(true)
            // A hostile repository may have a FIFO here.
            .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
            .open(path);
        let file = match opened {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(GitError::io("open", path)(error)),
        };
        let meta = file.metadata().map_err(GitError::io("look at", path))?;
        let mut data = Vec::with_capacity(meta.len() as usize);
        std::io::Read::read_to_end(&mut &file, &mut data).map_err(GitError::io("read", path))?;
        let mut index = IndexFile {
            data,
            path: path.to_owned(),
            version: 0,
            count: 0,
            mtime: (meta.mtime() as u32, meta.mtime_nsec() as u32),
        };
        let header = index
            .data
            .get(..12)
            .filter(|head| head.starts_with(b"DIRC"));
        let header = header.ok_or_else(|| index.format("it is no index"))?;
        (index.version, index.count) = (be32(header, 4), be32(header, 8));
        if !(2..=4).contains(&index.version) {
            return Err(index.format(&format!("index version {}", index.version)));
        }
        Ok(Some(index))
    }

    /// The checksum at its end, which names its content (all zero if git was told to skip it).
    pub fn checksum(&self) -> &[u8] {
        &self.data[self.data.len().saturating_sub(20)..]
    }

    /// Visits every entry in the order of the file: by path, then by stage.
    pub fn each(
        &self,
        visit: &mut dyn FnMut(&IndexEntry<'_>) -> Result<(), GitError>,
    ) -> Result<(), GitError> {
        let cut = || self.format("it is cut off");
        let data = &self.data[..self.data.len().saturating_sub(20)];
        let mut at = 12;
        let mut path: Vec<u8> = Vec::new();
        for _ in 0..self.count {
            let fixed = data.get(at..at + 62).ok_or_else(cut)?;
            let flags = u16::from_be_bytes([fixed[60], fixed[61]]);
            let extended = flags & 0x4000 != 0;
            let more = if extended {
                let bytes = data.get(at + 62..at + 64).ok_or_else(cut)?;
                u16::from_be_bytes([bytes[0], bytes[1]])
            } else {
                0
            };
            let start = at + if extended { 64 } else { 62 };
            let rest = data.get(start..).ok_or_else(cut)?;
            at = if self.version == 4 {
                let (strip, used) = varint(rest).ok_or_else(cut)?;
                let kept = path.len().checked_sub(strip).ok_or_else(cut)?;
                path.truncate(kept);
                let name = until_nul(&rest[used..]).ok_or_else(cut)?;
                path.extend_from_slice(name);
                start + used + name.len() + 1
            } else {
                let name = until_nul(rest).ok_or_else(cut)?;
                path.clear();
                path.extend_from_slice(name);
                // Entries are padded with one to eight NULs to a multiple of eight bytes.
                at + ((start - at + name.len() + 8) & !7)
            };
            let mode = be32(fixed, 24);
            if mode & 0o170_000 == 0o040_000 {
                return Err(self.format("a sparse index"));
            }
            let id = Oid::from_bytes(&fixed[40..60])
                .map_err(GitError::git("read the index", &self.path))?;
            visit(&IndexEntry {
                path: &path,
                mode,
                id,
                stat: StatKey {
                    ctime: (be32(fixed, 0), be32(fixed, 4)),
                    mtime: (be32(fixed, 8), be32(fixed, 12)),
                    ino: be32(fixed, 20),
                    size: be32(fixed, 36),
                },
                stage: ((flags >> 12) & 3) as u8,
                skip_worktree: more & 0x4000 != 0,
                intent_to_add: more & 0x2000 != 0,
            })?;
        }
        self.refuse_split(data, at)
    }

    /// Whether an entry may have changed after git looked, within the same tick of the clock.
    pub fn is_racy(&self, entry: &StatKey) -> bool {
        entry.mtime >= self.mtime
    }

    /// An extension whose name is lower case changes what the entries mean.
    fn refuse_split(&self, data: &[u8], mut at: usize) -> Result<(), GitError> {
        while let Some(head) = data.get(at..at + 8) {
            if head[0].is_ascii_lowercase() {
                let name = String::from_utf8_lossy(&head[..4]).into_owned();
                return Err(self.format(&format!("the extension `{name}`")));
            }
            at = at.saturating_add(8).saturating_add(be32(head, 4) as usize);
        }
        Ok(())
    }

    fn format(&self, reason: &str) -> GitError {
        GitError::Format {
            path: self.path.clone(),
            reason: reason.to_owned(),
        }
    }
}

fn be32(bytes: &[u8], at: usize) -> u32 {
    let mut four = [0; 4];
    four.copy_from_slice(&bytes[at..at + 4]);
    u32::from_be_bytes(four)
}

fn until_nul(bytes: &[u8]) -> Option<&[u8]> {
    let end = bytes.iter().position(|byte| *byte == 0)?;
    Some(&bytes[..end])
}

/// The offset encoding of packs: seven bits a byte, one added for each continuation.
fn varint(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut value = 0_usize;
    for (at, byte) in bytes.iter().take(9).enumerate() {
        value = (value << 7) | usize::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            return Some((value, at + 1));
        }
        value += 1;
    }
    None
}
