//! The system-call filter of a sandbox: what neither a build nor a test needs and what reaches
//! the kernel past the namespaces. docs/security.md lists it with the reasons.

use crate::sandbox::SandboxError;
use seccompiler::BpfProgram;
use seccompiler::SeccompAction;
use seccompiler::SeccompCmpArgLen;
use seccompiler::SeccompCmpOp;
use seccompiler::SeccompCondition;
use seccompiler::SeccompFilter;
use seccompiler::SeccompRule;
use std::collections::BTreeMap;
use std::io;

/// Calls with their names, which profiles of container engines are written in.
macro_rules! calls {
    ($($name:ident),* $(,)?) => { &[$((stringify!($name), libc::$name)),*] };
}

/// Never allowed, whatever the arguments: answers EPERM.
pub(super) const DENIED: &[(&str, libc::c_long)] = calls![
    // Not namespaced: the kernel's key rings.
    SYS_add_key,
    SYS_keyctl,
    SYS_request_key,
    // Large attack surface that reaches the kernel without a capability check in front.
    SYS_bpf,
    SYS_io_uring_enter,
    SYS_io_uring_register,
    SYS_io_uring_setup,
    SYS_perf_event_open,
    SYS_userfaultfd,
    // Other processes' memory and descriptors.
    SYS_kcmp,
    SYS_pidfd_getfd,
    SYS_process_vm_readv,
    SYS_process_vm_writev,
    // Opens past the path, and with it past the mounts.
    SYS_open_by_handle_at,
    // Mounts and namespaces.
    SYS_fsconfig,
    SYS_fsmount,
    SYS_fsopen,
    SYS_fspick,
    SYS_mount,
    SYS_mount_setattr,
    SYS_move_mount,
    SYS_open_tree,
    SYS_pivot_root,
    SYS_setns,
    SYS_umount2,
    // The machine itself.
    SYS_acct,
    SYS_delete_module,
    SYS_finit_module,
    SYS_init_module,
    SYS_kexec_file_load,
    SYS_kexec_load,
    SYS_quotactl,
    SYS_reboot,
    SYS_swapoff,
    SYS_swapon,
    SYS_syslog,
];

/// `CLONE_NEW*` for `clone` and `unshare`. `CLONE_NEWTIME` (0x80) exists for `unshare` only:
/// in `clone` that bit belongs to the exit signal.
pub(super) const CLONE_NEW: u64 = (libc::CLONE_NEWNS
    | libc::CLONE_NEWCGROUP
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET) as u32 as u64;
pub(super) const CLONE_NEWTIME: u64 = 0x80;

/// Pushes a character into a terminal's input; leaves the sandbox if it shares a terminal.
pub(super) const TIOCSTI: u64 = 0x5412;
/// The same through a virtual console's selection.
pub(super) const TIOCLINUX: u64 = 0x541c;

/// What may be opened as a socket. Others (vsock among them, which no network namespace
/// holds back) reach the host.
pub(super) const SOCKETS: [libc::c_int; 4] = [
    libc::AF_UNIX,
    libc::AF_INET,
    libc::AF_INET6,
    libc::AF_NETLINK,
];

/// What a filter leaves open or closes besides.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Choice {
    /// Programs may trace one another.
    pub ptrace: bool,
    /// The sandbox is pinned to some processors, and cannot choose others.
    pub pinned: bool,
}

/// Builds the filter, as the bytes that bubblewrap reads from `--seccomp`.
///
/// # Errors
/// On a processor that seccompiler does not know.
pub fn filter(choice: Choice) -> Result<Vec<u8>, SandboxError> {
    let program = compile(choice).map_err(|error| SandboxError::Unavailable {
        reason: format!("the system-call filter cannot be built on this processor: {error}"),
        remedy: "run regreen on x86_64 or aarch64".into(),
    })?;
    let mut bytes = Vec::with_capacity(program.len() * 8);
    for instruction in program {
        bytes.extend_from_slice(&instruction.code.to_ne_bytes());
        bytes.extend_from_slice(&[instruction.jt, instruction.jf]);
        bytes.extend_from_slice(&instruction.k.to_ne_bytes());
    }
    Ok(bytes)
}

fn compile(choice: Choice) -> Result<BpfProgram, Box<dyn std::error::Error + Send + Sync>> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> =
        DENIED.iter().map(|(_, call)| (*call, Vec::new())).collect();
    if !choice.ptrace {
        rules.insert(libc::SYS_ptrace, Vec::new());
    }
    if choice.pinned {
        rules.insert(libc::SYS_sched_setaffinity, Vec::new());
    }
    let mut namespaces =
        |call: libc::c_long, flags: u64| -> Result<(), seccompiler::BackendError> {
            let each = (0..u64::from(u32::BITS)).map(|bit| 1u64 << bit);
            let rule =
                |flag: u64| SeccompRule::new(vec![dword(0, SeccompCmpOp::MaskedEq(flag), flag)?]);
            let denied = each.filter(|bit| flags & bit != 0).map(rule);
            rules.insert(call, denied.collect::<Result<_, _>>()?);
            Ok(())
        };
    namespaces(libc::SYS_clone, CLONE_NEW)?;
    namespaces(libc::SYS_unshare, CLONE_NEW | CLONE_NEWTIME)?;
    rules.insert(
        libc::SYS_ioctl,
        vec![
            SeccompRule::new(vec![dword(1, SeccompCmpOp::Eq, TIOCSTI)?])?,
            SeccompRule::new(vec![dword(1, SeccompCmpOp::Eq, TIOCLINUX)?])?,
        ],
    );
    let other_family = SOCKETS
        .iter()
        .map(|family| dword(0, SeccompCmpOp::Ne, *family as u64))
        .collect::<Result<Vec<_>, _>>()?;
    rules.insert(libc::SYS_socket, vec![SeccompRule::new(other_family)?]);
    let filter = SeccompFilter::new(
        rules,
        SeccompAction::Allow,
        SeccompAction::Errno(libc::EPERM as u32),
        std::env::consts::ARCH.try_into()?,
    )?;
    let mut program = prologue();
    program.extend(BpfProgram::try_from(filter)?);
    Ok(program)
}

/// Arguments are compared in their lower half: the kernel ignores the upper one.
fn dword(
    index: u8,
    op: SeccompCmpOp,
    value: u64,
) -> Result<SeccompCondition, seccompiler::BackendError> {
    SeccompCondition::new(index, SeccompCmpArgLen::Dword, op, value)
}

/// Answers ENOSYS to what seccompiler's single action cannot: `clone3`, whose flags lie in
/// memory where no filter can read them (libc then falls back to `clone`), and, on x86_64, the
/// x32 numbers, which would otherwise reach the same calls under other numbers.
fn prologue() -> BpfProgram {
    let enosys = libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32;
    let load = statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0);
    let deny = statement(libc::BPF_RET | libc::BPF_K, enosys);
    let mut program = vec![
        load,
        jump(libc::BPF_JEQ, libc::SYS_clone3 as u32, 0, 1),
        deny.clone(),
    ];
    if cfg!(target_arch = "x86_64") {
        program.push(jump(libc::BPF_JGE, 0x4000_0000, 0, 1));
        program.push(deny);
    }
    program
}

fn statement(code: u32, k: u32) -> seccompiler::sock_filter {
    seccompiler::sock_filter {
        code: code as u16,
        jt: 0,
        jf: 0,
        k,
    }
}

fn jump(test: u32, k: u32, jt: u8, jf: u8) -> seccompiler::sock_filter {
    seccompiler::sock_filter {
        code: (libc::BPF_JMP | test | libc::BPF_K) as u16,
        jt,
        jf,
        k,
    }
}

/// A pipe that holds the filter once [`Gate::open`] is called. bubblewrap reads it as the last
/// thing before the command starts, so it doubles as the gate in front of it; if regreen dies
/// first, bubblewrap reads an empty filter, which the kernel refuses, and ends.
#[derive(Debug)]
pub struct Gate {
    writer: std::os::fd::OwnedFd,
}

impl Gate {
    /// The gate and the end that bubblewrap reads.
    ///
    /// # Errors
    /// If no descriptors are left.
    pub fn new() -> io::Result<(Self, std::os::fd::OwnedFd)> {
        let (reader, writer) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
        Ok((Gate { writer }, reader))
    }

    /// Lets the command start, under this filter.
    ///
    /// # Errors
    /// If bubblewrap is gone already.
    pub fn open(self, filter: &[u8]) -> io::Result<()> {
        // A few kilobytes: far less than a pipe holds, so this never waits.
        let mut rest = filter;
        while !rest.is_empty() {
            let written = rustix::io::write(&self.writer, rest)?;
            rest = &rest[written..];
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_filter_fits_and_differs_with_ptrace() {
        let ptrace = |ptrace| Choice {
            ptrace,
            pinned: false,
        };
        let strict = filter(ptrace(false)).expect("this processor is known");
        let loose = filter(ptrace(true)).expect("this processor is known");
        assert_eq!(strict.len() % 8, 0);
        assert!(strict.len() / 8 < 4096, "the kernel's limit");
        assert!(strict.len() > loose.len());
    }
}
