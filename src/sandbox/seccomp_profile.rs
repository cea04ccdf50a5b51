//! The system-call filter as the profile that container engines take: the same rules as
//! bubblewrap's, which the engines' own are not (some let mounts and namespaces through).

use crate::sandbox::seccomp::CLONE_NEW;
use crate::sandbox::seccomp::CLONE_NEWTIME;
use crate::sandbox::seccomp::DENIED;
use crate::sandbox::seccomp::SOCKETS;
use crate::sandbox::seccomp::TIOCLINUX;
use crate::sandbox::seccomp::TIOCSTI;
use serde_json::Value;
use serde_json::json;

/// The highest family of sockets that gets a rule of its own; above it one rule is enough.
const FAMILIES: u64 = 64;
/// The kernel looks at the lower half of these arguments only.
const LOWER: u64 = u32::MAX as u64;

/// The profile, as JSON; `None` on a processor that regreen has no filter for.
pub fn profile() -> Option<String> {
    let architectures: &[&str] = match std::env::consts::ARCH {
        // Whoever tries the x32 numbers gets an answer, and is held to the same rules.
        "x86_64" => &["SCMP_ARCH_X86_64", "SCMP_ARCH_X32"],
        "aarch64" => &["SCMP_ARCH_AARCH64"],
        _ => return None,
    };
    let names = DENIED.iter().map(|(name, _)| *name).chain(["SYS_ptrace"]);
    let names: Vec<&str> = names.filter_map(|name| name.strip_prefix("SYS_")).collect();
    let mut rules = vec![deny(&names, libc::EPERM, &[])];
    // Its flags lie in memory, where no filter can read them; libc falls back to `clone`.
    rules.push(deny(&["clone3"], libc::ENOSYS, &[]));
    rules.extend(bits(CLONE_NEW).map(|flag| deny(&["clone"], libc::EPERM, &[has(0, flag)])));
    let unshared = bits(CLONE_NEW | CLONE_NEWTIME);
    rules.extend(unshared.map(|flag| deny(&["unshare"], libc::EPERM, &[has(0, flag)])));
    for request in [TIOCSTI, TIOCLINUX] {
        rules.push(deny(&["ioctl"], libc::EPERM, &[is(1, request)]));
    }
    let others = (0..=FAMILIES).filter(|family| !SOCKETS.iter().any(|it| *it as u64 == *family));
    rules.extend(others.map(|family| deny(&["socket"], libc::EPERM, &[is(0, family)])));
    let above = json!({"index": 0, "value": FAMILIES, "op": "SCMP_CMP_GT"});
    rules.push(deny(&["socket"], libc::EPERM, &[above]));
    let profile = json!({
        "defaultAction": "SCMP_ACT_ALLOW",
        "architectures": architectures,
        "syscalls": rules,
    });
    Some(profile.to_string())
}

fn deny(names: &[&str], errno: i32, args: &[Value]) -> Value {
    json!({"names": names, "action": "SCMP_ACT_ERRNO", "errnoRet": errno, "args": args})
}

/// The argument is this value.
fn is(index: u32, value: u64) -> Value {
    json!({"index": index, "value": LOWER, "valueTwo": value, "op": "SCMP_CMP_MASKED_EQ"})
}

/// The argument has this bit.
fn has(index: u32, bit: u64) -> Value {
    json!({"index": index, "value": bit, "valueTwo": bit, "op": "SCMP_CMP_MASKED_EQ"})
}

fn bits(flags: u64) -> impl Iterator<Item = u64> {
    let each = (0..u64::from(u32::BITS)).map(|bit| 1u64 << bit);
    each.filter(move |bit| flags & bit != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_profile_denies_what_the_filter_denies() {
        let profile: Value =
            serde_json::from_str(&profile().expect("this processor")).expect("JSON");
        let rules = profile["syscalls"].as_array().expect("rules");
        let of = |name: &str| rules.iter().filter(|rule| rule["names"][0] == name).count();
        let first = rules[0]["names"].as_array().expect("names");
        assert_eq!(first.len(), DENIED.len() + 1);
        assert!(first.iter().any(|name| name == "open_by_handle_at"));
        assert_eq!((of("clone"), of("unshare"), of("ioctl")), (7, 8, 2));
        assert_eq!(of("socket"), FAMILIES as usize + 2 - SOCKETS.len());
        assert_eq!(rules[1]["errnoRet"], libc::ENOSYS);
    }
}
