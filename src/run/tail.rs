//! Reads event files while they grow. They are written inside a sandbox: only regular files
//! are opened, without following links, and only so much of them.

use rustix::fs::Mode;
use rustix::fs::OFlags;
use rustix::fs::ResolveFlags;
use rustix::fs::inotify;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// All events of one attempt, in bytes; a suite that writes more is not believed.
const MOST_BYTES: u64 = 256 << 20;
/// Bytes of one file that are taken at once; whoever reads asks again until there is no more.
const AT_ONCE: u64 = 4 << 20;
/// Files of one attempt.
const MOST_FILES: usize = 20_000;
/// How often a directory is looked at that cannot be watched.
const POLL: Duration = Duration::from_millis(50);

/// The event files of one attempt.
#[derive(Debug)]
pub struct Tail {
    dir: OwnedFd,
    watch: Option<Watch>,
    files: BTreeMap<String, Growing>,
    bytes: u64,
    /// Whether something was left out because there was too much of it.
    pub overflowed: bool,
    /// Names of what was no regular file.
    pub refused: Vec<String>,
}

#[derive(Debug)]
struct Growing {
    file: File,
    /// It cannot be read any further.
    done: bool,
}

impl Tail {
    /// Begins to watch a directory.
    pub fn open(dir: &Path) -> std::io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = rustix::fs::open(dir, flags, Mode::empty())?;
        Ok(Tail {
            dir: fd,
            watch: watch(dir).ok(),
            files: BTreeMap::new(),
            bytes: 0,
            overflowed: false,
            refused: Vec::new(),
        })
    }

    /// Waits until something was written. Cancel-safe.
    pub async fn changed(&self) {
        let Some(Watch(Some(watch))) = &self.watch else {
            return tokio::time::sleep(POLL).await;
        };
        let drained = watch
            .async_io(Interest::READABLE, |fd| {
                let mut buffer = [0_u8; 4096];
                Ok(rustix::io::read(fd, &mut buffer)?)
            })
            .await;
        if drained.is_err() {
            tokio::time::sleep(POLL).await;
        }
    }

    /// What was appended since the last time, by file; to be asked until the answer is empty.
    /// Lists come before the events that they announce.
    pub fn read(&mut self) -> Vec<(String, Vec<u8>)> {
        for name in self.names() {
            if !self.files.contains_key(&name) && !self.refused.contains(&name) {
                self.take_up(name);
            }
        }
        let mut news = Vec::new();
        for (name, growing) in &mut self.files {
            if growing.done {
                continue;
            }
            let left = MOST_BYTES.saturating_sub(self.bytes).min(AT_ONCE);
            let mut bytes = Vec::new();
            let read = (&mut growing.file).take(left).read_to_end(&mut bytes);
            growing.done = read.is_err();
            self.bytes += bytes.len() as u64;
            self.overflowed |= self.bytes >= MOST_BYTES;
            if !bytes.is_empty() {
                news.push((name.clone(), bytes));
            }
        }
        news.sort_by_key(|(name, _)| !name.ends_with(".list"));
        news
    }

    /// Whether anything was written yet.
    pub fn has_files(&self) -> bool {
        !self.files.is_empty()
    }

    fn names(&mut self) -> Vec<String> {
        let Ok(entries) = rustix::fs::Dir::read_from(&self.dir) else {
            return Vec::new();
        };
        let names = entries.flatten().filter_map(|entry| {
            let name = entry.file_name().to_str().ok()?;
            // Some tools write a file for each test file, below a directory: read after the end.
            // One in the place of an events file is no tool's work, and is refused.
            let directory = entry.file_type() == rustix::fs::FileType::Directory;
            if directory && !name.ends_with(".events") && !name.ends_with(".list") {
                return None;
            }
            let plain = !name.starts_with('.') && !name.ends_with(".tmp");
            plain.then(|| name.to_owned())
        });
        let names: Vec<String> = names.take(MOST_FILES + 1).collect();
        self.overflowed |= names.len() > MOST_FILES;
        names
    }

    fn take_up(&mut self, name: String) {
        let opened = rustix::fs::openat2(
            &self.dir,
            name.as_str(),
            OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK,
            Mode::empty(),
            ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS,
        );
        let file = opened
            .ok()
            .map(File::from)
            .filter(|file| file.metadata().is_ok_and(|meta| meta.is_file()));
        match file {
            Some(file) => {
                self.files.insert(name, Growing { file, done: false });
            }
            None => self.refused.push(name),
        }
    }
}

/// An inotify instance. Closing one waits for a grace period of the kernel (measured: 10 to
/// 30 ms). No verdict has to wait with it, so it is done where blocking is allowed.
#[derive(Debug)]
struct Watch(Option<AsyncFd<OwnedFd>>);

impl Drop for Watch {
    fn drop(&mut self) {
        let Some(fd) = self.0.take().map(AsyncFd::into_inner) else {
            return;
        };
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(move || drop(fd))),
            Err(_) => drop(fd),
        }
    }
}

fn watch(dir: &Path) -> std::io::Result<Watch> {
    let flags = inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK;
    let fd = inotify::init(flags)?;
    let mask =
        inotify::WatchFlags::CREATE | inotify::WatchFlags::MODIFY | inotify::WatchFlags::MOVED_TO;
    inotify::add_watch(&fd, dir, mask)?;
    // SAFETY: the descriptor is owned by the `AsyncFd`, never replaced, and closed with it.
    let watch = unsafe { AsyncFd::register_with_interest(fd, Interest::READABLE) };
    Ok(Watch(Some(watch?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_appended_is_read_once_and_lists_come_first() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut tail = Tail::open(dir.path()).expect("opens");
        assert!(tail.read().is_empty());
        std::fs::write(dir.path().join("1.events"), "a\n").expect("write");
        std::fs::write(dir.path().join("2.list"), "t: test\n").expect("write");
        tail.changed().await;
        let names: Vec<String> = tail.read().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["2.list", "1.events"]);
        assert!(tail.read().is_empty());
        let mut file = std::fs::OpenOptions::new()
            .append(true)
            .open(dir.path().join("1.events"))
            .expect("open");
        std::io::Write::write_all(&mut file, b"b\n").expect("write");
        assert_eq!(tail.read(), [("1.events".to_owned(), b"b\n".to_vec())]);
    }

    #[tokio::test]
    async fn links_fifos_and_sockets_are_refused() {
        let dir = tempfile::tempdir().expect("a directory");
        let secret = dir.path().join("secret");
        std::fs::write(&secret, "secret").expect("write");
        let events = dir.path().join("events");
        std::fs::create_dir(&events).expect("mkdir");
        std::os::unix::fs::symlink(&secret, events.join("1.events")).expect("link");
        std::fs::create_dir(events.join("2.events")).expect("mkdir");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            events.join("3.events"),
            rustix::fs::FileType::Fifo,
            Mode::RWXU,
            0,
        )
        .expect("fifo");
        let mut tail = Tail::open(&events).expect("opens");
        assert!(tail.read().is_empty());
        tail.refused.sort();
        assert_eq!(tail.refused, ["1.events", "2.events", "3.events"]);
    }
}
