//! The base system of this machine, as far as a sandbox sees it: read once, without starting
//! anything, and then only handed around.

use std::path::Path;
use std::path::PathBuf;

/// Directories of `/` that hold programs and libraries, besides `/usr` itself. On a merged
/// system they are links into it, on others directories of their own.
const TOP: &[&str] = &["bin", "sbin", "lib", "lib32", "lib64", "libx32"];

/// What else programs need to see of the system, outside `/etc`: the stores of NixOS and Guix,
/// and the number of processors.
const STORES: &[&str] = &[
    "/nix/store",
    "/gnu/store",
    "/run/current-system",
    "/sys/devices/system/cpu",
];

/// The bits of `/etc` that programs need: nothing that names a secret, nothing that is asked
/// for out of habit. Directories of private keys (`/etc/ssl/private`) are not below these.
const ETC: &[&str] = &[
    "alternatives",
    "ca-certificates",
    "ca-certificates.conf",
    "crypto-policies",
    "debian_version",
    "default/locale",
    "fedora-release",
    "fonts",
    "gai.conf",
    "gemrc",
    "group",
    "host.conf",
    "hosts",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "locale.alias",
    "locale.conf",
    "localtime",
    "lsb-release",
    "magic",
    "maven",
    "mime.types",
    "networks",
    "nsswitch.conf",
    "os-release",
    "passwd",
    "perl",
    "php",
    "pki/ca-trust",
    "pki/tls/cert.pem",
    "pki/tls/certs",
    "pki/tls/openssl.cnf",
    "profile",
    "protocols",
    "python3",
    "rpc",
    "services",
    "shells",
    "ssl/cert.pem",
    "ssl/certs",
    "ssl/openssl.cnf",
    "static",
    "terminfo",
    "timezone",
    "xml",
];

/// Prefixes of names in `/etc` that belong to versioned packages (`java-17-openjdk`).
const ETC_PREFIXES: &[&str] = &["java-", "python3.", "dotnet"];

/// What resolves host names, needed only with a network.
const RESOLVER: &str = "/etc/resolv.conf";

/// The base system of a machine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Base {
    /// Links of `/`: name and target, as `("bin", "usr/bin")`.
    pub links: Vec<(PathBuf, PathBuf)>,
    /// What is mounted read-only at its own path.
    pub readonly: Vec<PathBuf>,
    /// The same, but only where there is a network.
    pub with_network: Vec<PathBuf>,
}

impl Base {
    /// Looks at this machine.
    pub fn discover() -> Self {
        Base::below(Path::new("/"))
    }

    /// Looks at a machine whose root is `root`; the answer's paths start at `/`.
    pub fn below(root: &Path) -> Self {
        let mut base = Base {
            readonly: vec![PathBuf::from("/usr")],
            ..Base::default()
        };
        for name in TOP {
            let path = root.join(name);
            match std::fs::read_link(&path) {
                Ok(target) => base.links.push((Path::new("/").join(name), target)),
                Err(_) if path.is_dir() => base.readonly.push(Path::new("/").join(name)),
                Err(_) => {}
            }
        }
        for path in STORES {
            base.add(root, Path::new(path));
        }
        for name in ETC {
            base.add(root, &Path::new("/etc").join(name));
        }
        for name in versioned(&root.join("etc")) {
            base.add(root, &Path::new("/etc").join(name));
        }
        if root.join(RESOLVER.trim_start_matches('/')).exists() {
            base.with_network.push(PathBuf::from(RESOLVER));
        }
        base
    }

    /// What is seen of `/etc`.
    pub fn etc(&self) -> Vec<&Path> {
        let all = self.readonly.iter().map(PathBuf::as_path);
        all.filter(|path| path.starts_with("/etc")).collect()
    }

    fn add(&mut self, root: &Path, path: &Path) {
        let relative = path.strip_prefix("/").unwrap_or(path);
        if root.join(relative).exists() {
            self.readonly.push(path.to_owned());
        }
    }
}

/// Names in `/etc` that begin with one of the prefixes, sorted.
fn versioned(etc: &Path) -> Vec<String> {
    let Ok(dir) = std::fs::read_dir(etc) else {
        return Vec::new();
    };
    let mut names: Vec<String> = dir
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| ETC_PREFIXES.iter().any(|prefix| name.starts_with(prefix)))
        .collect();
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root(setup: impl Fn(&Path)) -> tempfile::TempDir {
        let dir = tempfile::tempdir().expect("a temporary directory");
        for name in ["usr/bin", "etc/ssl/certs", "etc/ssl/private", "etc/java-17"] {
            std::fs::create_dir_all(dir.path().join(name)).expect("made");
        }
        std::fs::write(dir.path().join("etc/shadow"), "root:x").expect("written");
        std::fs::write(dir.path().join("etc/passwd"), "root:x").expect("written");
        setup(dir.path());
        dir
    }

    #[test]
    fn a_merged_system_has_links_and_an_older_one_directories() {
        let merged = root(|root| {
            std::os::unix::fs::symlink("usr/bin", root.join("bin")).expect("linked");
        });
        let base = Base::below(merged.path());
        assert_eq!(base.links, [("/bin".into(), "usr/bin".into())]);
        let split = root(|root| std::fs::create_dir(root.join("bin")).expect("made"));
        let base = Base::below(split.path());
        assert!(base.links.is_empty());
        assert!(base.readonly.contains(&PathBuf::from("/bin")));
    }

    #[test]
    fn secrets_of_etc_stay_out() {
        let dir = root(|_| {});
        let base = Base::below(dir.path());
        let etc: Vec<_> = base
            .readonly
            .iter()
            .filter_map(|path| path.to_str())
            .collect();
        assert!(etc.contains(&"/etc/passwd") && etc.contains(&"/etc/java-17"));
        assert!(etc.contains(&"/etc/ssl/certs"));
        for secret in ["/etc", "/etc/ssl", "/etc/ssl/private", "/etc/shadow"] {
            assert!(!etc.contains(&secret), "{secret} must not be mounted");
        }
    }
}
