//! What a container is made from: an image that the user names, or none at all: an empty root
//! file system with mount points and links, imported by regreen, in which the host's programs
//! appear by mounts. Nothing is ever downloaded.

use crate::sandbox::SandboxError;
use crate::sandbox::base::Base;
use crate::sandbox::engine::label;
use crate::sandbox::engine::link::Link;
use crate::sandbox::engine::link::words;
use crate::sandbox::engine::stream;
use bollard::errors::Error;
use bollard::query_parameters::CreateImageOptions;
use std::path::Path;

/// What the names of the empty images begin with; what is in one follows. Not as a tag: Podman 4
/// forgets the tag of an import.
const NAME: &str = "regreen-empty-";

/// Directories of the empty root file system.
const DIRS: &[&str] = &[
    "dev", "etc", "proc", "run", "sys", "tmp", "usr", "var", "var/tmp",
];

/// Size of a block of a tar archive.
const BLOCK: usize = 512;

/// What a container is made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// The engine's name for it.
    pub id: String,
    /// The variables that it comes with, as `NAME=value`. Handed to each command by regreen:
    /// Podman forgets them where others are given.
    pub env: Vec<String>,
}

impl Image {
    /// The user's image, or the empty one.
    ///
    /// # Errors
    /// If the user's is not there, or the empty one cannot be made.
    pub async fn of(link: &Link, named: Option<&str>, base: &Base) -> Result<Self, SandboxError> {
        match named {
            Some(name) => match find(link, name).await? {
                Some(image) => Ok(image),
                None => Err(missing(link, name)),
            },
            None => empty(link, base).await,
        }
    }
}

async fn find(link: &Link, name: &str) -> Result<Option<Image>, SandboxError> {
    match link.docker.inspect_image(name).await {
        Ok(image) => Ok(Some(Image {
            id: image.id.unwrap_or_else(|| name.to_owned()),
            env: image.config.and_then(|it| it.env).unwrap_or_default(),
        })),
        Err(Error::DockerResponseServerError {
            status_code: 404, ..
        }) => Ok(None),
        Err(error) => Err(link.failed("look for the image", error)),
    }
}

fn missing(link: &Link, name: &str) -> SandboxError {
    let engine = link.facts.kind.as_str();
    SandboxError::Unavailable {
        reason: format!("the image `{name}` (`sandbox.image`) is not in {engine}"),
        remedy: format!(
            "run `{engine} pull {name}` (regreen downloads none), or leave `sandbox.image` out to \
             use the programs of this machine"
        ),
    }
}

async fn empty(link: &Link, base: &Base) -> Result<Image, SandboxError> {
    let archive = archive(base);
    let digest = blake3::hash(&archive).to_hex();
    let name = format!("{NAME}{}", &digest[..16]);
    // By its name, which says what is in it: of two who import it at once each has an id.
    let image = Image {
        id: name.clone(),
        env: Vec::new(),
    };
    if find(link, &name).await?.is_some() {
        return Ok(image);
    }
    let options = CreateImageOptions {
        from_src: Some("-".into()),
        repo: Some(name.clone()),
        tag: Some("latest".into()),
        changes: vec![format!("LABEL {}=1", label::IMAGE)],
        ..CreateImageOptions::default()
    };
    let body = bollard::body_full(archive.into());
    let mut answers = std::pin::pin!(link.docker.create_image(Some(options), Some(body), None));
    while let Some(answer) = stream::next(&mut answers).await {
        answer.map_err(|error| link.failed("import an empty image", error))?;
    }
    match find(link, &name).await? {
        Some(_) => Ok(image),
        None => Err(SandboxError::Unavailable {
            reason: format!("the image `{name}` was imported and is not there"),
            remedy: "check the disk of the container engine".into(),
        }),
    }
}

impl Link {
    /// The engine did not do what it was asked for.
    pub(super) fn failed(&self, what: &str, error: Error) -> SandboxError {
        let engine = self.facts.kind.as_str();
        let socket = self.socket.display();
        SandboxError::Unavailable {
            reason: format!("{engine} at `{socket}` failed to {what}: {}", words(error)),
            remedy: format!("check that {engine} works: `{engine} info`; or `regreen doctor`"),
        }
    }
}

/// The archive of the empty root file system. Its bytes hang on nothing but the machine's links.
fn archive(base: &Base) -> Vec<u8> {
    let mut tar = Vec::new();
    for dir in DIRS {
        entry(&mut tar, &format!("{dir}/"), b'5', "");
    }
    for (name, target) in &base.links {
        let name = name.strip_prefix("/").unwrap_or(name);
        entry(&mut tar, &text(name), b'2', &text(target));
    }
    for dir in base
        .readonly
        .iter()
        .filter(|dir| dir.components().count() == 2)
    {
        let name = dir.strip_prefix("/").unwrap_or(dir);
        let known = DIRS.iter().any(|known| Path::new(known) == name);
        if !known && dir.is_dir() {
            entry(&mut tar, &format!("{}/", text(name)), b'5', "");
        }
    }
    tar.resize(tar.len() + 2 * BLOCK, 0);
    tar
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// One header in the format of POSIX's ustar; directories and links have no content.
fn entry(tar: &mut Vec<u8>, name: &str, kind: u8, target: &str) {
    let mut header = [0u8; BLOCK];
    let mut put = |at: usize, bytes: &[u8]| header[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, &name.as_bytes()[..name.len().min(99)]);
    let mode: &[u8] = if name.ends_with("tmp/") {
        b"0001777"
    } else {
        b"0000755"
    };
    put(100, mode);
    put(108, b"0000000");
    put(116, b"0000000");
    put(124, b"00000000000");
    put(136, b"00000000000");
    put(148, b"        ");
    put(156, &[kind]);
    put(157, &target.as_bytes()[..target.len().min(99)]);
    put(257, b"ustar\x0000");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    tar.extend_from_slice(&header);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_archive_is_one_that_tar_reads() {
        let base = Base {
            links: vec![("/bin".into(), "usr/bin".into())],
            ..Base::default()
        };
        let archive = archive(&base);
        assert_eq!(archive.len() % BLOCK, 0);
        let sums = archive
            .chunks(BLOCK)
            .filter(|block| block[0] != 0)
            .map(|block| {
                let told = std::str::from_utf8(&block[148..154]).expect("octal digits");
                let told = u32::from_str_radix(told, 8).expect("octal digits");
                let bytes = block.iter().enumerate();
                let sum: u32 = bytes
                    .map(|(at, byte)| {
                        if (148..156).contains(&at) {
                            32
                        } else {
                            u32::from(*byte)
                        }
                    })
                    .sum();
                (told, sum)
            });
        let sums: Vec<_> = sums.collect();
        assert_eq!(sums.len(), DIRS.len() + 1);
        assert!(sums.iter().all(|(told, sum)| told == sum), "{sums:?}");
    }
}
