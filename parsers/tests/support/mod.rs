//! Reads the recordings under `fixtures/recordings`.
#![expect(dead_code, reason = "each test binary uses a part of it")]

use regreen_parsers::Context;
use regreen_parsers::End;
use regreen_parsers::Exit;
use regreen_parsers::Format;
use regreen_parsers::Live;
use regreen_parsers::Report;
use regreen_parsers::Stream;
use serde::Deserialize;
use std::fs;
use std::path::Path;
use std::path::PathBuf;

#[derive(Debug, Clone, Deserialize)]
pub struct Case {
    pub format: String,
    pub root: String,
    pub exit: Exit,
    /// Both outputs stand in `stdout`, as in a saved log.
    #[serde(default)]
    pub log: bool,
    /// What was run, for the reruns.
    #[serde(default)]
    pub command: Vec<String>,
    /// The exit status is not told to the parser.
    #[serde(default)]
    pub unknown_exit: bool,
}

#[derive(Debug, Clone)]
pub struct Recording {
    pub name: String,
    pub dir: PathBuf,
    pub case: Case,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
    pub files: Vec<(String, Vec<u8>)>,
}

impl Recording {
    /// Every recording, by name.
    pub fn all() -> Vec<Recording> {
        let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/recordings");
        let mut found = Vec::new();
        for format in entries(&top) {
            for dir in entries(&format) {
                if dir.join("case.json").is_file() {
                    found.push(Recording::read(&format, dir));
                }
            }
        }
        found
    }

    /// One recording, by name.
    pub fn named(name: &str) -> Recording {
        let all = Recording::all();
        all.into_iter()
            .find(|recording| recording.name == name)
            .expect("a recording of that name")
    }

    fn read(format: &Path, dir: PathBuf) -> Recording {
        let last = |path: &Path| {
            path.file_name()
                .expect("a name")
                .to_string_lossy()
                .into_owned()
        };
        let case = fs::read(dir.join("case.json")).expect("case.json");
        let mut files = Vec::new();
        files_below(&dir.join("files"), "", &mut files);
        Recording {
            name: format!("{}/{}", last(format), last(&dir)),
            case: serde_json::from_slice(&case).expect("a valid case.json"),
            stdout: fs::read(dir.join("stdout")).unwrap_or_default(),
            stderr: fs::read(dir.join("stderr")).unwrap_or_default(),
            files,
            dir,
        }
    }

    /// The report of the whole recording.
    pub fn report(&self) -> Report {
        self.report_in_pieces(usize::MAX)
    }

    /// The same, fed in pieces of so many bytes.
    pub fn report_in_pieces(&self, size: usize) -> Report {
        self.report_at(Context::rooted(&self.case.root), size)
    }

    /// The same, as of a command in another place.
    pub fn report_at(&self, context: Context, size: usize) -> Report {
        let format: Format = self.case.format.parse().expect("a known format");
        let context = Context {
            command: regreen_parsers::tool(format, &self.case.command),
            ..context
        };
        let mut live = Live::new(format, context);
        let mut feed = |stream: Stream<'_>, bytes: &[u8]| {
            for piece in bytes.chunks(size.min(bytes.len().max(1))) {
                live.feed(stream, piece);
            }
        };
        if self.case.log {
            feed(Stream::Log, &self.stdout);
        } else {
            feed(Stream::Stdout, &self.stdout);
            feed(Stream::Stderr, &self.stderr);
        }
        for (name, bytes) in &self.files {
            feed(Stream::File(name), bytes);
        }
        let exit = (!self.case.unknown_exit).then_some(self.case.exit);
        live.finish(End {
            exit,
            interrupted: false,
        })
    }
}

/// The files below a directory, named by their paths in it.
fn files_below(dir: &Path, before: &str, files: &mut Vec<(String, Vec<u8>)>) {
    for path in entries(dir) {
        let name = path.file_name().expect("a name").to_string_lossy();
        let name = format!("{before}{name}");
        match path.is_dir() {
            true => files_below(&path, &format!("{name}/"), files),
            false => files.push((name, fs::read(&path).expect("a file"))),
        }
    }
}

fn entries(dir: &Path) -> Vec<PathBuf> {
    let Ok(read) = fs::read_dir(dir) else {
        return Vec::new();
    };
    let mut paths: Vec<PathBuf> = read.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    paths
}
