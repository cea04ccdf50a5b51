//! The policy as a pure function: from the base system and a [`Spec`] to the arguments of
//! bubblewrap. docs/security.md gives the reason for each.

use crate::sandbox::Mount;
use crate::sandbox::Network;
use crate::sandbox::SandboxError;
use crate::sandbox::Spec;
use crate::sandbox::base::Base;
use crate::sandbox::etc::Copied;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::os::fd::RawFd;
use std::path::Component;
use std::path::Path;
use std::path::PathBuf;

/// Size of `/dev/shm`: enough for a browser or a database under test, not for the machine.
pub(super) const SHM_BYTES: u64 = 1 << 30;

/// Where a project cannot lie: mounting it there would hide what programs need.
const SYSTEM: &[&str] = &["/usr", "/dev", "/proc", "/sys", "/etc"];

const ETC: &str = "/etc";

/// One step in building the sandbox's file system.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Op {
    Bind {
        source: PathBuf,
        target: PathBuf,
        writable: bool,
        optional: bool,
    },
    Link {
        target: PathBuf,
        points_to: PathBuf,
    },
    Dir(PathBuf),
    Proc,
    Dev,
    Shm,
}

impl Op {
    fn target(&self) -> &Path {
        match self {
            Op::Bind { target, .. } | Op::Link { target, .. } | Op::Dir(target) => target,
            Op::Proc => Path::new("/proc"),
            Op::Dev => Path::new("/dev"),
            Op::Shm => Path::new("/dev/shm"),
        }
    }

    fn depth(&self) -> usize {
        self.target().components().count()
    }
}

/// What the arguments depend on besides the [`Spec`].
#[derive(Debug, Clone)]
pub struct Context<'a> {
    /// The base system.
    pub base: &'a Base,
    /// One directory that holds all that the base has of `/etc`; without it each bit is mounted
    /// by itself.
    pub etc: Option<&'a Copied>,
    /// The user's `HOME`, where the slot's home appears.
    pub home: &'a Path,
    /// Whether regreen runs as root. Files of `/proc` that belong to root could then be written
    /// without any capability: `/proc/sys/kernel/core_pattern` names a program that the host
    /// starts as root.
    pub root: bool,
    /// The descriptor of the filter.
    pub seccomp: RawFd,
    /// The descriptor that bubblewrap reports to.
    pub status: RawFd,
}

/// The options of bubblewrap, for `--args`; the command itself is not among them.
pub fn options(spec: &Spec, context: &Context<'_>) -> Vec<OsString> {
    let mut args = Args::default();
    args.words(&["--unshare-user", "--unshare-all"]);
    if spec.network == Network::Host {
        args.words(&["--share-net"]);
    }
    args.words(&["--disable-userns", "--die-with-parent", "--new-session"]);
    args.words(&["--cap-drop", "ALL"]);
    for op in file_system(spec, context) {
        args.op(&op);
    }
    // Last, so that the mount points above could still be made.
    args.words(&["--remount-ro", "/dev", "--remount-ro", "/"]);
    if context.root {
        args.words(&["--remount-ro", "/proc"]);
    }
    for (name, value) in &spec.env {
        args.words(&["--setenv", name, value]);
    }
    args.words(&["--chdir"]).path(&spec.cwd);
    args.words(&["--seccomp", &context.seccomp.to_string()]);
    args.words(&["--json-status-fd", &context.status.to_string()]);
    args.0
}

/// Every mount, parents first. Of two on the same place the later one counts: what the caller
/// asked for stands after the base.
fn file_system(spec: &Spec, context: &Context<'_>) -> Vec<Op> {
    let mut ops = base_system(spec, context);
    ops.push(writable(&spec.place.tmp, Path::new("/tmp")));
    // A mount, not a link: bubblewrap makes no mount points below a link.
    ops.push(writable(&spec.place.tmp, Path::new("/var/tmp")));
    ops.push(writable(&spec.place.home, context.home));
    ops.push(writable(&spec.place.tree, &spec.place.root));
    ops.extend(spec.mounts.iter().map(|mount| Op::Bind {
        source: mount.source.clone(),
        target: normal(&mount.target),
        writable: mount.writable,
        optional: mount.optional,
    }));
    let mut seen = BTreeSet::new();
    ops.reverse();
    ops.retain(|op| seen.insert(op.target().to_owned()));
    ops.reverse();
    ops.sort_by_key(Op::depth);
    ops
}

fn base_system(spec: &Spec, context: &Context<'_>) -> Vec<Op> {
    let base = context.base;
    let network = match spec.network {
        Network::Host => base.with_network.as_slice(),
        Network::None => &[],
    };
    let links = base.links.iter().map(|(target, points_to)| Op::Link {
        target: target.clone(),
        points_to: points_to.clone(),
    });
    // Below a directory that is mounted read-only no further mount points can be made.
    let etc = context
        .etc
        .filter(|_| !spec.mounts.iter().any(|mount| in_etc(&mount.target)));
    let whole = etc.map(|copy| Op::Bind {
        source: copy.dir.clone(),
        target: ETC.into(),
        writable: false,
        optional: false,
    });
    let single = base
        .readonly
        .iter()
        .filter(|path| !in_etc(path) || etc.is_none_or(|etc| etc.whole.contains(path)));
    let readonly = single.chain(network).map(|path| Op::Bind {
        source: path.clone(),
        target: path.clone(),
        writable: false,
        // Files of `/etc` come and go with packages; a missing one is not an error.
        optional: in_etc(path),
    });
    let made = [Op::Proc, Op::Dev, Op::Shm, Op::Dir("/run".into())];
    links.chain(whole).chain(readonly).chain(made).collect()
}

fn in_etc(path: &Path) -> bool {
    path.starts_with(ETC)
}

fn writable(source: &Path, target: &Path) -> Op {
    Op::Bind {
        source: source.to_owned(),
        target: normal(target),
        writable: true,
        optional: false,
    }
}

/// Without `.` and trailing slashes, so that the same place is the same path.
fn normal(path: &Path) -> PathBuf {
    path.components().collect()
}

/// Arguments under construction.
#[derive(Debug, Default)]
struct Args(Vec<OsString>);

impl Args {
    fn words(&mut self, words: &[&str]) -> &mut Self {
        self.0.extend(words.iter().map(OsString::from));
        self
    }

    fn path(&mut self, path: &Path) -> &mut Self {
        self.0.push(path.into());
        self
    }

    fn op(&mut self, op: &Op) {
        match op {
            Op::Bind {
                source,
                target,
                writable,
                optional,
            } => {
                let word = match (writable, optional) {
                    (true, false) => "--bind",
                    (true, true) => "--bind-try",
                    (false, false) => "--ro-bind",
                    (false, true) => "--ro-bind-try",
                };
                self.words(&[word]).path(source).path(target);
            }
            Op::Link { target, points_to } => {
                self.words(&["--symlink"]).path(points_to).path(target);
            }
            Op::Dir(target) => {
                self.words(&["--dir"]).path(target);
            }
            Op::Proc => {
                self.words(&["--proc", "/proc"]);
            }
            Op::Dev => {
                self.words(&["--dev", "/dev"]);
            }
            Op::Shm => {
                let size = SHM_BYTES.to_string();
                self.words(&["--perms", "1777", "--size", &size, "--tmpfs", "/dev/shm"]);
            }
        }
    }
}

/// Refuses projects that lie where a sandbox cannot have them.
///
/// # Errors
/// [`SandboxError::Refused`] with the reason.
pub fn check_root(root: &Path, home: &Path) -> Result<(), SandboxError> {
    let refuse = |reason: String| {
        Err(SandboxError::Refused {
            path: root.to_owned(),
            reason,
        })
    };
    let plain = |component| matches!(component, Component::RootDir | Component::Normal(_));
    if !root.is_absolute() || !root.components().all(plain) {
        return refuse("its path is not absolute and plain".into());
    }
    if root == Path::new("/") {
        return refuse("it is the root of the file system".into());
    }
    if let Some(system) = SYSTEM.iter().find(|dir| root.starts_with(dir)) {
        return refuse(format!(
            "it lies in `{system}`, which belongs to the system"
        ));
    }
    if home == root {
        return refuse(
            "it is the home directory; move the project into a directory of its own".into(),
        );
    }
    if home.starts_with(root) {
        return refuse(format!(
            "it contains the home directory `{}`",
            home.display()
        ));
    }
    Ok(())
}

/// Checks that what has to be mounted is there, so that the error can name it.
///
/// # Errors
/// [`SandboxError::Mount`] with the first missing source.
pub fn check_sources(spec: &Spec) -> Result<(), SandboxError> {
    let plain = |path: &Path| {
        path.is_absolute() && path.components().all(|part| part != Component::ParentDir)
    };
    if let Some(mount) = spec.mounts.iter().find(|mount| !plain(&mount.target)) {
        return Err(SandboxError::Mount {
            path: mount.source.clone(),
            reason: format!(
                "its place `{}` is not absolute and plain",
                mount.target.display()
            ),
        });
    }
    let place = &spec.place;
    let needed = spec.mounts.iter().filter(|mount| !mount.optional);
    let sources = [&place.tree, &place.home, &place.tmp]
        .into_iter()
        .chain(needed.map(|mount: &Mount| &mount.source));
    for source in sources {
        if let Err(error) = std::fs::metadata(source) {
            return Err(SandboxError::Mount {
                path: source.clone(),
                reason: error.to_string(),
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Limits;
    use crate::sandbox::Place;
    use crate::sandbox::Priority;

    fn spec(root: &str) -> Spec {
        Spec {
            argv: vec!["cargo".into(), "test".into()],
            env: vec![("PATH".into(), "/usr/bin".into())],
            cwd: root.into(),
            place: Place {
                root: root.into(),
                tree: "/slot/tree".into(),
                home: "/slot/home".into(),
                tmp: "/slot/tmp".into(),
            },
            mounts: vec![
                Mount {
                    source: "/home/ada/.rustup".into(),
                    target: "/home/ada/.rustup/".into(),
                    writable: false,
                    optional: true,
                },
                Mount {
                    source: "/cache/src".into(),
                    target: "/home/ada/.cargo/registry/src".into(),
                    writable: true,
                    optional: false,
                },
            ],
            stdin: None,
            limits: Limits::default(),
            network: Network::None,
            image: None,
            priority: Priority::default(),
        }
    }

    fn rendered(spec: &Spec) -> String {
        let base = Base {
            links: vec![("/bin".into(), "usr/bin".into())],
            readonly: vec!["/usr".into(), "/etc/passwd".into()],
            with_network: vec!["/etc/resolv.conf".into()],
        };
        let context = Context {
            etc: None,
            base: &base,
            home: Path::new("/home/ada"),
            root: false,
            seccomp: 11,
            status: 12,
        };
        let args = options(spec, &context);
        let args: Vec<_> = args.iter().map(|arg| arg.to_string_lossy()).collect();
        args.join(" ").replace(" --", "\n--")
    }

    #[test]
    fn the_whole_policy() {
        insta::assert_snapshot!(rendered(&spec("/home/ada/src/app")), @r"
        --unshare-user
        --unshare-all
        --disable-userns
        --die-with-parent
        --new-session
        --cap-drop ALL
        --symlink usr/bin /bin
        --ro-bind /usr /usr
        --proc /proc
        --dev /dev
        --dir /run
        --bind /slot/tmp /tmp
        --ro-bind-try /etc/passwd /etc/passwd
        --perms 1777
        --size 1073741824
        --tmpfs /dev/shm
        --bind /slot/tmp /var/tmp
        --bind /slot/home /home/ada
        --ro-bind-try /home/ada/.rustup /home/ada/.rustup
        --bind /slot/tree /home/ada/src/app
        --bind /cache/src /home/ada/.cargo/registry/src
        --remount-ro /dev
        --remount-ro /
        --setenv PATH /usr/bin
        --chdir /home/ada/src/app
        --seccomp 11
        --json-status-fd 12
        ");
    }

    #[test]
    fn a_network_brings_the_resolver() {
        let mut with = spec("/home/ada/src/app");
        with.network = Network::Host;
        let text = rendered(&with);
        assert!(text.contains("--share-net\n"));
        assert!(text.contains("--ro-bind-try /etc/resolv.conf /etc/resolv.conf"));
        assert!(!rendered(&spec("/home/ada/src/app")).contains("resolv.conf"));
    }

    #[test]
    fn parents_come_before_what_lies_in_them() {
        for root in ["/tmp/x", "/home/ada/x", "/srv/app", "/tmp"] {
            let text = rendered(&spec(root));
            let targets: Vec<&str> = text
                .lines()
                .filter(|line| line.starts_with("--bind") || line.starts_with("--ro-bind"))
                .filter_map(|line| line.rsplit(' ').next())
                .collect();
            for (index, target) in targets.iter().enumerate() {
                for earlier in &targets[..index] {
                    assert!(
                        !Path::new(earlier).starts_with(target),
                        "`{target}` hides `{earlier}` for a project at `{root}`"
                    );
                }
            }
        }
    }

    #[test]
    fn projects_in_the_wrong_place_are_refused() {
        let home = Path::new("/home/ada");
        for root in [
            "/",
            "/home",
            "/home/ada",
            "/usr",
            "/usr/src/x",
            "/etc",
            "/dev/shm/x",
        ] {
            let error = check_root(Path::new(root), home).expect_err(root);
            assert!(error.to_string().contains(root), "{error}");
        }
        for root in ["/home/ada/x", "/tmp/x", "/srv/x", "/home/adam", "/usrx"] {
            check_root(Path::new(root), home).expect(root);
        }
        assert!(check_root(Path::new("/srv/../etc"), home).is_err());
    }
}
