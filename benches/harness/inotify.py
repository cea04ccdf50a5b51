"""A minimal inotify, to learn of a replaced status file at once instead of polling for it."""

import ctypes
import os
import select
import time

MOVED_TO, CREATE, CLOSE_WRITE = 0x80, 0x100, 0x8
_libc = ctypes.CDLL(None, use_errno=True)


class Watch:
    """Wakes when something in a directory is renamed into place, created or written."""

    def __init__(self, directory, mask=MOVED_TO | CREATE | CLOSE_WRITE):
        self.fd = _libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self.fd < 0:
            raise OSError(ctypes.get_errno(), "inotify_init1")
        if _libc.inotify_add_watch(self.fd, os.fsencode(str(directory)), mask) < 0:
            code = ctypes.get_errno()
            os.close(self.fd)
            raise OSError(code, f"inotify_add_watch of {directory}")

    def wait(self, seconds):
        """Waits for an event; answers the monotonic time of the waking in ns, or None."""
        ready, _, _ = select.select([self.fd], [], [], max(0, seconds))
        at = time.monotonic_ns()
        if not ready:
            return None
        try:
            os.read(self.fd, 65536)
        except BlockingIOError:
            pass
        return at

    def close(self):
        """Gives the watch back."""
        os.close(self.fd)
