//! Memory that is free goes back to the system: a walk of a large tree needs some, and a
//! daemon lives for weeks.

/// Gives free memory back. glibc raises its own threshold for doing so with every large
/// allocation, and would keep tens of megabytes.
pub fn give_back_memory() {
    #[cfg(target_env = "gnu")]
    {
        // SAFETY: `malloc_trim` takes a number and touches only free memory.
        unsafe {
            libc::malloc_trim(0);
        }
    }
}
