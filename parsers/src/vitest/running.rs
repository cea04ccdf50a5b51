//! Which test a worker of Vitest was running: what the workers themselves write down before
//! each test. Results come in batches, and a worker that dies or hangs sends none.

use crate::context::Context;
use crate::lines::Lines;
use serde::Deserialize;
use std::collections::BTreeMap;

/// More workers than this are not followed.
const MOST: usize = 10_000;

#[derive(Debug, Deserialize)]
struct Line {
    w: u64,
    #[serde(default)]
    file: Option<String>,
    #[serde(default)]
    path: Vec<String>,
}

/// What each worker is at.
#[derive(Debug, Default)]
pub(crate) struct Running {
    lines: Lines,
    now: BTreeMap<u64, (String, Vec<String>)>,
}

impl Running {
    /// Takes more bytes of the file.
    pub fn feed(&mut self, bytes: &[u8]) {
        let now = &mut self.now;
        self.lines.each(bytes, |line| {
            let Ok(line) = serde_json::from_slice::<Line>(line.bytes) else {
                return;
            };
            match line.file {
                Some(file) if now.len() < MOST => {
                    now.insert(line.w, (file, line.path));
                }
                Some(_) => {}
                None => {
                    now.remove(&line.w);
                }
            }
        });
    }

    /// The titles of the test that ran in a file when its worker stopped.
    pub fn of(&self, file: &str, context: &Context) -> Option<Vec<String>> {
        let mut found = self.now.values().rev();
        let (_, path) = found.find(|(name, _)| context.relative(name) == file)?;
        (!path.is_empty()).then(|| path.clone())
    }
}
