//! A log file that is bounded: once it is full it becomes `.1`, what was `.1` becomes `.2`, …

use std::fs::DirBuilder;
use std::fs::File;
use std::io;
use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::path::PathBuf;

/// A log file that is bounded.
#[derive(Debug)]
pub struct Rotating {
    path: PathBuf,
    file: File,
    written: u64,
    limit: u64,
    keep: u32,
}

impl Rotating {
    /// Appends to `path` (its directory is made, for this user only), and moves it aside once
    /// it has `limit` bytes; `keep` older ones stay.
    ///
    /// # Errors
    /// When the file cannot be made or opened.
    pub fn open(path: &Path, limit: u64, keep: u32) -> io::Result<Self> {
        if let Some(dir) = path.parent() {
            DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        }
        let file = open(path)?;
        Ok(Rotating {
            path: path.to_owned(),
            written: file.metadata()?.len(),
            file,
            limit,
            keep,
        })
    }

    fn rotate(&mut self) -> io::Result<()> {
        for number in (1..self.keep).rev() {
            let (from, to) = (self.numbered(number), self.numbered(number + 1));
            match std::fs::rename(from, to) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        match self.keep {
            0 => std::fs::remove_file(&self.path)?,
            _ => std::fs::rename(&self.path, self.numbered(1))?,
        }
        self.file = open(&self.path)?;
        self.written = 0;
        Ok(())
    }

    fn numbered(&self, number: u32) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(format!(".{number}"));
        name.into()
    }
}

fn open(path: &Path) -> io::Result<File> {
    File::options()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(path)
}

impl Write for Rotating {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.written >= self.limit {
            // A log that cannot be moved aside goes on growing rather than lose a line; the
            // next line tries again.
            let _ = self.rotate();
        }
        let written = self.file.write(bytes)?;
        self.written += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_lines_make_room_for_new_ones() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log/x.log");
        let mut log = Rotating::open(&path, 100, 2).unwrap();
        for line in 0..100 {
            writeln!(log, "line {line:04}").unwrap();
        }
        drop(log);
        let mut log = Rotating::open(&path, 100, 2).unwrap();
        writeln!(log, "the last").unwrap();
        let names: Vec<_> = std::fs::read_dir(dir.path().join("log"))
            .unwrap()
            .map(|entry| entry.unwrap().metadata().unwrap().len())
            .collect();
        assert_eq!(names.len(), 3, "{names:?}");
        assert!(names.iter().all(|size| *size <= 110), "{names:?}");
        let newest = std::fs::read_to_string(&path).unwrap();
        assert!(newest.ends_with("the last\n"), "{newest}");
        let older = std::fs::read_to_string(dir.path().join("log/x.log.1")).unwrap();
        assert!(older.contains("line 00"), "{older}");
    }
}
