//! What a sandbox used, in the report's words, from the kernel's account of its processes.

use crate::model::MemoryOf;
use crate::model::Used;
use crate::process::Usage;
use std::time::Duration;

/// The account of a process tree that was waited for: the memory is that of its largest process.
pub(super) fn of_tree(usage: Usage) -> Used {
    let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let peak = usage.peak_memory;
    let mut used = Used::default();
    used.peak_memory_bytes = peak;
    used.peak_memory_of = peak.map(|_| MemoryOf::Process);
    used.cpu_user_ms = Some(millis(usage.user));
    used.cpu_system_ms = Some(millis(usage.system));
    used.read_bytes = Some(usage.read);
    used.written_bytes = Some(usage.written);
    used
}
