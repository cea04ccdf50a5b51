//! Why bubblewrap does not work on this machine and what to do about it. Reads files only.

use crate::sandbox::SandboxError;
use std::path::Path;

/// The oldest version that has every option that the policy needs (`--disable-userns`, `--size`).
pub const OLDEST: (u32, u32) = (0, 8);

/// What a diagnosis depends on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Machine {
    /// `ID` and `ID_LIKE` of os-release.
    pub families: Vec<String>,
    /// Whether regreen runs in a container.
    pub container: bool,
    /// `kernel.apparmor_restrict_unprivileged_userns`.
    pub apparmor: bool,
    /// `kernel.unprivileged_userns_clone` is there and 0.
    pub clone_off: bool,
    /// `user.max_user_namespaces` is 0.
    pub none_left: bool,
}

impl Machine {
    /// Looks at this machine.
    pub fn read() -> Self {
        let sysctl = |name: &str| {
            std::fs::read_to_string(Path::new("/proc/sys").join(name))
                .map(|text| text.trim().to_owned())
                .unwrap_or_default()
        };
        Machine {
            families: families(&std::fs::read_to_string("/etc/os-release").unwrap_or_default()),
            container: in_container(),
            apparmor: sysctl("kernel/apparmor_restrict_unprivileged_userns") == "1",
            clone_off: sysctl("kernel/unprivileged_userns_clone") == "0",
            none_left: sysctl("user/max_user_namespaces") == "0",
        }
    }

    /// The command that installs bubblewrap here, or the four usual ones.
    pub fn install(&self) -> String {
        let command = self.families.iter().find_map(|family| {
            Some(match family.as_str() {
                "debian" | "ubuntu" => "sudo apt install bubblewrap",
                "fedora" | "rhel" | "centos" => "sudo dnf install bubblewrap",
                "arch" => "sudo pacman -S bubblewrap",
                "suse" | "opensuse" => "sudo zypper install bubblewrap",
                "alpine" => "sudo apk add bubblewrap",
                "nixos" => "nix-env -iA nixos.bubblewrap",
                _ => return None,
            })
        });
        match command {
            Some(command) => format!("run `{command}`"),
            None => "install it: Debian and Ubuntu `sudo apt install bubblewrap`, Fedora `sudo \
                     dnf install bubblewrap`, Arch `sudo pacman -S bubblewrap`"
                .into(),
        }
    }

    /// bubblewrap is not there.
    pub fn missing(&self) -> SandboxError {
        SandboxError::Unavailable {
            reason: "bubblewrap (`bwrap`) is not installed".into(),
            remedy: self.install(),
        }
    }

    /// bubblewrap is older than the policy needs.
    pub fn too_old(&self, version: &str) -> SandboxError {
        let (major, minor) = OLDEST;
        SandboxError::Unavailable {
            reason: format!("bubblewrap {version} is too old: {major}.{minor} or later is needed"),
            remedy: "upgrade it (Debian 12, Ubuntu 24.04, Fedora 38 and later have it), or build \
                     it from https://github.com/containers/bubblewrap and set `REGREEN_BWRAP` to \
                     its path"
                .into(),
        }
    }

    /// bubblewrap was started and could not make its namespaces.
    pub fn refused(&self, stderr: &str) -> SandboxError {
        let said = stderr.trim().trim_start_matches("bwrap: ");
        let (reason, remedy) = self.cause();
        SandboxError::Unavailable {
            reason: format!("bubblewrap is refused on this machine: {reason} (it said: {said})"),
            remedy: format!("{remedy}; or let Docker or Podman isolate: `--backend engine`"),
        }
    }

    fn cause(&self) -> (&'static str, String) {
        if self.container {
            let remedy = "start the container with `--security-opt seccomp=unconfined \
                          --security-opt apparmor=unconfined --security-opt \
                          systempaths=unconfined`, or run regreen outside of it";
            return (
                "regreen runs in a container that forbids namespaces",
                remedy.into(),
            );
        }
        if self.apparmor {
            let remedy = "allow bubblewrap: `sudo apt install apparmor-profiles && sudo install \
                          -m 0644 /usr/share/apparmor/extra-profiles/bwrap-userns-restrict \
                          /etc/apparmor.d/ && sudo apparmor_parser -r \
                          /etc/apparmor.d/bwrap-userns-restrict`";
            return ("AppArmor restricts user namespaces", remedy.into());
        }
        if self.clone_off {
            let remedy = "allow user namespaces: `echo kernel.unprivileged_userns_clone=1 | sudo \
                          tee /etc/sysctl.d/60-userns.conf && sudo sysctl --system`";
            return (
                "unprivileged user namespaces are switched off",
                remedy.into(),
            );
        }
        if self.none_left {
            let remedy = "allow user namespaces: `echo user.max_user_namespaces=15000 | sudo tee \
                          /etc/sysctl.d/60-userns.conf && sudo sysctl --system`";
            return (
                "the number of user namespaces is limited to 0",
                remedy.into(),
            );
        }
        let remedy = "check that user namespaces work: `unshare --user --map-root-user true`; \
                      `regreen doctor` looks at everything that may forbid them";
        ("the kernel forbids its namespaces", remedy.into())
    }
}

/// `ID` and `ID_LIKE`, in this order.
fn families(os_release: &str) -> Vec<String> {
    ["ID=", "ID_LIKE="]
        .iter()
        .filter_map(|key| os_release.lines().find_map(|line| line.strip_prefix(key)))
        .flat_map(|value| value.trim_matches(['"', '\'']).split_ascii_whitespace())
        .map(str::to_owned)
        .collect()
}

fn in_container() -> bool {
    Path::new("/.dockerenv").exists()
        || Path::new("/run/.containerenv").exists()
        || std::fs::read_to_string("/run/systemd/container").is_ok()
        || std::fs::read("/proc/1/environ").is_ok_and(|environ| {
            environ
                .split(|byte| *byte == 0)
                .any(|entry| entry.starts_with(b"container="))
        })
}

/// `bubblewrap 0.8.0` as a pair to compare.
pub fn version(text: &str) -> Option<(u32, u32)> {
    let mut parts = text.trim().rsplit(' ').next()?.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remedy(error: SandboxError) -> String {
        match error {
            SandboxError::Unavailable { remedy, .. } => remedy,
            other => panic!("not a remedy: {other}"),
        }
    }

    #[test]
    fn each_distribution_gets_its_own_command() {
        let on = |text: &str| {
            let machine = Machine {
                families: families(text),
                ..Machine::default()
            };
            remedy(machine.missing())
        };
        assert_eq!(
            on("NAME=x\nID=debian\n"),
            "run `sudo apt install bubblewrap`"
        );
        assert_eq!(
            on("ID=linuxmint\nID_LIKE=\"ubuntu debian\"\n"),
            "run `sudo apt install bubblewrap`"
        );
        assert_eq!(on("ID=fedora\n"), "run `sudo dnf install bubblewrap`");
        assert_eq!(on("ID='arch'\n"), "run `sudo pacman -S bubblewrap`");
        let unknown = on("ID=other\n");
        for command in ["apt install", "dnf install", "pacman -S"] {
            assert!(unknown.contains(command), "{unknown}");
        }
    }

    #[test]
    fn each_refusal_has_its_remedy() {
        let none = Machine::default();
        let cases = [
            (
                Machine {
                    container: true,
                    ..none.clone()
                },
                "--security-opt seccomp=unconfined",
            ),
            (
                Machine {
                    apparmor: true,
                    ..none.clone()
                },
                "bwrap-userns-restrict",
            ),
            (
                Machine {
                    clone_off: true,
                    ..none.clone()
                },
                "unprivileged_userns_clone=1",
            ),
            (
                Machine {
                    none_left: true,
                    ..none.clone()
                },
                "max_user_namespaces=",
            ),
            (none, "unshare --user"),
        ];
        for (machine, expected) in cases {
            let error = machine.refused("bwrap: setting up uid map: Permission denied\n");
            assert!(
                error.to_string().contains("(it said: setting up uid map"),
                "{error}"
            );
            let remedy = remedy(error);
            assert!(remedy.contains(expected), "{remedy}");
        }
    }

    #[test]
    fn versions_compare() {
        assert_eq!(version("bubblewrap 0.8.0\n"), Some((0, 8)));
        assert!(version("bubblewrap 0.11.0").expect("a version") > OLDEST);
        assert!(version("bubblewrap 0.6.1").expect("a version") < OLDEST);
        assert_eq!(version("what"), None);
    }
}
