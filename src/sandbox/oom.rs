//! How often the kernel has ended a process because memory ran out, on the whole machine.

/// The count since boot; 0 where the kernel does not say.
pub(super) fn kills() -> u64 {
    let counters = std::fs::read_to_string("/proc/vmstat").unwrap_or_default();
    let count = counters
        .lines()
        .find_map(|line| line.strip_prefix("oom_kill "));
    count.and_then(|count| count.parse().ok()).unwrap_or(0)
}
