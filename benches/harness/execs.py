"""Who was started when, by the kernel's own word.

The process connector (netlink) reports each exec with the kernel's CLOCK_MONOTONIC, which is also
Python's `time.monotonic_ns`. Nothing is wrapped, traced or slowed, and regreen and its rivals are
seen by the same eye. It needs root, or Linux 6.6 and the initial namespaces."""

import os
import select
import socket
import struct
import threading
import time
from dataclasses import dataclass

from harness.places import Missing

_CONNECTOR, _LISTEN, _EXEC = 11, 1, 2


@dataclass(frozen=True)
class Exec:
    """One exec: when (ns), of which process, of which program, by which parent. A process that
    was gone before it could be looked at has program and parent None."""
    at: int
    pid: int
    program: str | None
    parent: int | None


class Execs:
    """All execs on this machine while it is open, collected by a thread."""

    def __enter__(self):
        try:
            self.socket = socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, _CONNECTOR)
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
            self.socket.bind((0, 1))
            body = struct.pack("=IIIIHHI", 1, 1, 0, 0, 4, 0, _LISTEN)
            self.socket.send(struct.pack("=IHHII", 16 + len(body), 3, 0, 0, 0) + body)
        except OSError as error:
            raise Missing(f"the kernel's process connector is refused ({error}); run as root outside containers, "
                          "or on Linux 6.6 and later") from error
        self.seen, self.over = [], False
        self.news = threading.Condition()
        self.thread = threading.Thread(target=self._collect, daemon=True)
        self.thread.start()
        self._prove()
        return self

    def __exit__(self, *_):
        self.over = True
        self.thread.join()
        self.socket.close()

    def _prove(self):
        """A connector that is silent would make every time-out look like a lost save."""
        at = time.monotonic_ns()
        pid = os.spawnv(os.P_NOWAIT, "/bin/sh", ["sh", "-c", "sleep 0.02"])
        os.waitpid(pid, 0)
        if self.first(at, 2, lambda one: one.pid == pid) is None:
            raise Missing("the kernel's process connector says nothing here; run outside containers")

    def _collect(self):
        while not self.over:
            ready, _, _ = select.select([self.socket], [], [], 0.1)
            if not ready:
                continue
            try:
                data = self.socket.recv(4096)
            except OSError:
                continue
            what, _, at = struct.unpack_from("=IIQ", data, 36)
            if what == _EXEC:
                _, pid = struct.unpack_from("=II", data, 52)
                one = Exec(at, pid, *_look(pid))
                with self.news:
                    self.seen.append(one)
                    self.news.notify_all()

    def first(self, since, seconds, wanted):
        """The time of the first exec after `since` that is wanted, waited for at most `seconds`."""
        until, start = time.monotonic() + seconds, 0
        with self.news:
            while True:
                for one in self.seen[start:]:
                    if one.at > since and wanted(one):
                        return one.at
                start = len(self.seen)
                left = until - time.monotonic()
                if left <= 0:
                    return None
                self.news.wait(left)

    def count(self, since, wanted):
        """How many processes that are wanted were started after `since` (a shell that becomes
        another program counts once)."""
        with self.news:
            return len({one.pid for one in self.seen if one.at > since and wanted(one)})


def _look(pid):
    try:
        program = os.path.basename(os.readlink(f"/proc/{pid}/exe"))
        with open(f"/proc/{pid}/stat") as file:
            parent = int(file.read().rsplit(")", 1)[1].split()[1])
        return program, parent
    except (OSError, ValueError):
        return None, None


def sandbox_of(daemon):
    """bubblewrap, started by this daemon."""
    return lambda one: one.program == "bwrap" and one.parent == daemon


def child_of(rival):
    """Whatever a rival starts."""
    return lambda one: one.parent == rival
