"""A command in regreen's warm Docker container, against `docker run --rm` of the same, by turns.

The Docker is the measurement's own: its data lies below target/bench-work, it has no bridge and no
rule of a firewall. Both sides run `true` in an image of nothing with the machine's /usr."""

import os
import shutil
import subprocess
import time

from harness import places
from harness.proc import quiet
from harness.report import ms

START = 60


def measure(figure, quick):
    """A B A B: one exec by regreen's backend, one container by Docker's client."""
    for program in ("dockerd", "docker", "runc"):
        if not shutil.which(program):
            raise places.Missing(f"`{program}` is not installed: apt install docker.io runc")
    if os.geteuid() != 0:
        raise places.Missing("only root can start a Docker of its own")
    rounds = 10 if quick else 40
    probe = build()
    work = places.WORK / "engine"
    shutil.rmtree(work, ignore_errors=True)
    (work / "slot").mkdir(parents=True)
    with Docker(work) as docker:
        env = dict(os.environ, DOCKER_HOST=docker.address)
        image = docker.image(env)
        command = ["docker", "run", "--rm", "--network", "none", "--volume", "/usr:/usr:ro", image, "/usr/bin/true"]
        ours = subprocess.Popen([str(probe), str(work)], env=env, text=True, stdin=subprocess.PIPE,
                                stdout=subprocess.PIPE)
        try:
            figure.note(f"the first run, which makes the container: {ms(ask(ours)):.0f} ms")
            subprocess.run(command, env=env, check=True)
            for _ in range(rounds):
                quiet()
                figure.sample("regreen, exec", ms(ask(ours)))
                quiet()
                began = time.monotonic_ns()
                subprocess.run(command, env=env, check=True)
                figure.sample("docker run --rm", ms(time.monotonic_ns() - began))
        finally:
            ours.stdin.close()
            ours.wait(30)
    figure.goal("median of an exec", figure.median("regreen, exec"), 60, "ms")
    figure.ratio("docker run --rm / exec", "docker run --rm", "regreen, exec", 4, at_least=True)


def build():
    """The release build of the program that uses regreen's backend."""
    subprocess.run(["cargo", "build", "--release", "--quiet", "--example", "engine-exec"], cwd=places.REPO, check=True)
    return places.TARGET / "release/examples/engine-exec"


def ask(ours):
    """One exec; the nanoseconds that it took."""
    ours.stdin.write("go\n")
    ours.stdin.flush()
    answer = ours.stdout.readline()
    if not answer:
        raise RuntimeError("the program that uses regreen's backend has ended")
    return int(answer)


class Docker:
    """A Docker of our own."""

    def __init__(self, work):
        self.dir = work / "docker"
        self.dir.mkdir()
        # A socket's path has a limit, and the repository may lie deep.
        self.socket = f"/var/tmp/regreen-bench-{os.getpid()}.sock"
        self.address = f"unix://{self.socket}"

    def __enter__(self):
        args = ["dockerd", "--data-root", self.dir / "data", "--exec-root", f"{self.socket}.exec", "--pidfile",
                self.dir / "pid", "--host", self.address, "--iptables=false", "--ip6tables=false", "--bridge=none"]
        with open(self.dir / "log", "wb") as log:
            self.process = subprocess.Popen(args, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        until = time.monotonic() + START
        while subprocess.run(["docker", "version"], env=dict(os.environ, DOCKER_HOST=self.address),
                             capture_output=True, check=False).returncode != 0:
            if time.monotonic() > until or self.process.poll() is not None:
                self.__exit__()
                raise RuntimeError(f"dockerd does not start, see {self.dir / 'log'}")
            time.sleep(0.1)
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(f"{self.socket}.exec", ignore_errors=True)

    def image(self, env):
        """An image of mount points and links only."""
        root = self.dir / "root"
        for name in ("dev", "etc", "proc", "sys", "usr"):
            (root / name).mkdir(parents=True)
        for name in ("bin", "sbin", "lib", "lib64"):
            if os.path.islink(f"/{name}"):
                (root / name).symlink_to(os.readlink(f"/{name}"))
        tar = subprocess.Popen(["tar", "-C", root, "-c", "."], stdout=subprocess.PIPE)
        subprocess.run(["docker", "import", "-", "regreen-bench:1"], env=env, check=True, stdin=tar.stdout,
                       stdout=subprocess.DEVNULL)
        if tar.wait() != 0:
            raise RuntimeError("tar failed")
        return "regreen-bench:1"
