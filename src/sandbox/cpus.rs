//! Fewer processors for a sandbox where no control group limits its time: it is pinned to some of
//! them. The kernel hands that on to everybody in it, and the filter keeps them from undoing it.

use rustix::process::Pid;
use rustix::thread::CpuSet;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

/// Whole processors that a limit leaves; `None` for one below a whole one, which pinning cannot
/// hold.
pub(super) fn whole(millis: Option<u64>) -> Option<usize> {
    let whole = usize::try_from(millis? / 1000).unwrap_or(usize::MAX);
    (whole > 0).then_some(whole)
}

/// Pins a process, and all that it starts from now on, to so many processors: in turn others, so
/// that several sandboxes do not share one while the next is idle.
pub(super) fn pin(pid: Pid, count: usize) -> rustix::io::Result<()> {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let ours = rustix::thread::sched_getaffinity(None)?;
    let ours: Vec<usize> = (0..CpuSet::MAX_CPU)
        .filter(|cpu| ours.is_set(*cpu))
        .collect();
    if ours.len() <= count {
        return Ok(());
    }
    let first = NEXT.fetch_add(count, Ordering::Relaxed);
    let mut chosen = CpuSet::new();
    for cpu in ours.iter().cycle().skip(first % ours.len()).take(count) {
        chosen.set(*cpu);
    }
    rustix::thread::sched_setaffinity(Some(pid), &chosen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_processor_is_none() {
        assert_eq!(whole(None), None);
        assert_eq!(whole(Some(999)), None);
        assert_eq!(whole(Some(1500)), Some(1));
        assert_eq!(whole(Some(4000)), Some(4));
    }
}
