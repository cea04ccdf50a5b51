//! The labels of what regreen makes in an engine: whose it is, so that what a dead regreen left
//! is found again, and nobody else's is ever touched.

use crate::process::start_time;
use crate::sandbox::marker::boot_id;
use rustix::process::Pid;
use std::collections::HashMap;
use std::path::PathBuf;

/// On images that regreen imported.
pub const IMAGE: &str = "regreen.image";
/// On containers: which machine, boot, user and set of processes the owner belongs to.
pub const DOMAIN: &str = "regreen.domain";
/// On containers: the owner's pid and start.
pub const OWNER: &str = "regreen.owner";
/// On containers: the slot whose copy is mounted, for whoever looks at a list.
pub const SLOT: &str = "regreen.slot";

/// The domain in which a pid names a process: the same engine may serve other machines, users,
/// and regreens in containers, whose processes cannot be seen from here.
pub fn domain() -> String {
    let read = |path: &str| {
        std::fs::read_to_string(path).map_or_else(|_| String::new(), |text| text.trim().to_owned())
    };
    let processes = std::fs::read_link("/proc/self/ns/pid").unwrap_or_else(|_| PathBuf::new());
    let user = rustix::process::geteuid().as_raw();
    let all = format!(
        "{}\n{}\n{user}",
        read("/etc/machine-id"),
        processes.display()
    );
    blake3::hash(all.as_bytes()).to_hex()[..32].to_owned()
}

/// This process, for good.
pub fn owner() -> String {
    let own = rustix::process::getpid();
    let started = start_time(own).unwrap_or_default();
    format!("{}-{started}-{}", own.as_raw_nonzero(), boot_id())
}

/// Whether the process that is named lives.
pub fn alive(owner: &str) -> bool {
    let mut words = owner.splitn(3, '-');
    let pid = words.next().and_then(|word| word.parse().ok());
    let started: Option<u64> = words.next().and_then(|word| word.parse().ok());
    let boot = words.next().unwrap_or_default();
    let lives = pid.and_then(Pid::from_raw).and_then(start_time);
    boot == boot_id() && lives.is_some() && lives == started
}

/// Whether what carries these labels was left by a regreen that is gone, and is ours to remove.
pub fn is_left_over(labels: &HashMap<String, String>) -> bool {
    let ours = labels.get(DOMAIN).is_some_and(|it| *it == domain());
    ours && labels.get(OWNER).is_some_and(|owner| !alive(owner))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_dead_regreen_of_ours_left_is_left_over() {
        let labels = |domain: &str, owner: &str| {
            HashMap::from([
                (DOMAIN.to_owned(), domain.to_owned()),
                (OWNER.to_owned(), owner.to_owned()),
            ])
        };
        let own = owner();
        let dead = own.replacen('-', "-9", 1);
        assert!(alive(&own) && !alive(&dead) && !alive("what"));
        assert!(!is_left_over(&labels(&domain(), &own)));
        assert!(is_left_over(&labels(&domain(), &dead)));
        assert!(!is_left_over(&labels("another machine", &dead)));
        assert!(!is_left_over(&HashMap::new()));
        let earlier_boot = format!("{}-x", own.rsplit_once('-').expect("words").0);
        assert!(is_left_over(&labels(&domain(), &earlier_boot)));
    }
}
