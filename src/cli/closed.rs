//! Whether standard output was closed when regreen was started (`>&-`). Rust's runtime opens
//! `/dev/null` in its place before `main`, and every answer would be lost without a word.

use rustix::fd::BorrowedFd;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

static CLOSED: AtomicBool = AtomicBool::new(false);

// SAFETY: the loader calls what lies in this section without arguments that matter, once, while
// there is one thread; the function neither allocates nor unwinds nor needs Rust's runtime.
#[used]
#[unsafe(link_section = ".init_array")]
static LOOK: extern "C" fn() = look;

extern "C" fn look() {
    // SAFETY: it is only asked for, by its number, whether it is open.
    let stdout = unsafe { BorrowedFd::borrow_raw(1) };
    let open = rustix::io::fcntl_getfd(stdout).is_ok();
    CLOSED.store(!open, Ordering::Relaxed);
}

/// Whether there was no standard output at the start.
pub fn stdout() -> bool {
    CLOSED.load(Ordering::Relaxed)
}
