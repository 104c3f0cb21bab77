"""A real systemd on this machine's kernel, in namespaces of its own: units of denet-tui's tried in seconds."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sysconfig
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.real import REPOSITORY

SCRIPT = Path(__file__).with_name("box.sh")
SYSTEMD = "/lib/systemd/systemd"
BOOT_S = 60
_MODULES = ("click", "prometheus_client", "psutil", "system_calls")
"""All that denet-tui imports without a screen."""
_OUTSIDE = {
    "bpf/unprivileged.py": " and not facts.in_pid_namespace()",
    "checks/service.py": " and not in_pid_namespace(host.stat)",
}
"""By file: what keeps a session inside a PID namespace from the machine's service. Here both are in the same one."""
_INSIDE = "    if in_pid_namespace(host.stat):\n"
_PROGRAM = "#!/opt/denet-tui/bin/python -I\nfrom denet_tui.cli import main\nmain()\n"


@dataclass(frozen=True)
class Box:
    """A running one."""

    pid: int
    """Of its systemd, out here."""
    root: Path
    """Its root folder, from out here."""

    def run(self, script: str, timeout: float = 120) -> subprocess.CompletedProcess[str]:
        """Run a shell script in it, as root."""
        enter = ["nsenter", f"--target={self.pid}", "--mount", "--pid", "--uts", "--ipc", "--net", "--cgroup", "--root"]
        known = ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LC_ALL=C.UTF-8"]
        return subprocess.run(
            [*enter, "env", "-i", "--chdir=/", *known, "sh", "-c", script],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout, cwd="/",
        )  # fmt: skip

    def check(self, script: str, timeout: float = 120) -> str:
        """The output of a script that must succeed."""
        done = self.run(script, timeout)
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
        return done.stdout


def missing() -> str:
    """Why there can be none here; empty where there can."""
    if os.geteuid() != 0:
        return "needs root"
    if not os.access(SYSTEMD, os.X_OK):
        return "needs systemd to be installed (it need not run)"
    absent = [tool for tool in ("unshare", "nsenter", "setpriv", "useradd") if not shutil.which(tool)]
    if absent:
        return f"needs {', '.join(absent)}"
    return "" if "overlay" in Path("/proc/filesystems").read_text() else "needs overlayfs"


@contextlib.contextmanager
def booted(folder: Path) -> Iterator[Box]:
    """A box with the users anna and bert, and denet-tui in /opt as `make install` puts it there; ended afterwards."""
    with _group() as procs:
        enter = f'for each in {" ".join(procs)}; do echo $$ > $each; done; exec "$@"'
        space = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--uts", "--ipc", "--net", "--cgroup"]
        argv = ["sh", "-euc", enter, "sh", *space, "sh", "-eu", SCRIPT, folder, REPOSITORY]
        with (folder.parent / "box.log").open("wb") as log:
            process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            box = _first(process, folder)
            _install(box)
            yield box
        finally:
            process.kill()
            process.wait()


@contextlib.contextmanager
def _group() -> Iterator[list[str]]:
    """A control group of its own in each hierarchy: the files that a process is written into to be in it."""
    lines = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    kinds = {point: options for _, point, kind, options, *_ in lines if kind in ("cgroup", "cgroup2")}
    made = [
        Path(point) / f"box-{os.getpid()}" for point, options in kinds.items() if "cpuset" not in options.split(",")
    ]
    try:
        for folder in made:
            folder.mkdir()
        yield [str(folder / "cgroup.procs") for folder in made]
    finally:
        deadline = time.monotonic() + 10
        for folder in made:
            while folder.exists() and time.monotonic() < deadline:
                for each in sorted(folder.rglob("*"), reverse=True):
                    with contextlib.suppress(OSError):
                        each.rmdir()
                with contextlib.suppress(OSError):
                    folder.rmdir()


def _first(process: subprocess.Popen[bytes], folder: Path) -> Box:
    """Wait for its systemd."""
    deadline = time.monotonic() + BOOT_S
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError, ValueError):
            (pid,) = map(int, Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split())
            box = Box(pid, Path(f"/proc/{pid}/root"))
            if box.run("systemctl is-system-running").stdout.strip() in ("running", "degraded"):
                return box
        time.sleep(0.2)
    pytest.skip(f"no systemd can be started in namespaces here: see {folder.parent}/box.log")


def _install(box: Box) -> None:
    box.check("python3 -m venv --without-pip /opt/denet-tui")
    (inside,) = box.root.glob("opt/denet-tui/lib/python3*/site-packages")
    ours = Path(sysconfig.get_paths()["purelib"])
    for name in _MODULES:
        shutil.copytree(ours / name, inside / name)
    package = inside / "denet_tui"
    shutil.copytree(REPOSITORY / "denet_tui", package, ignore=shutil.ignore_patterns("__pycache__"))
    for name, condition in _OUTSIDE.items():
        text = (package / name).read_text()
        assert condition in text, name
        (package / name).write_text(text.replace(condition, "").replace(_INSIDE, "    if False:\n"))
    program = box.root / "opt/denet-tui/bin/denet-tui"
    program.write_text(_PROGRAM)
    program.chmod(0o755)
    box.check(
        "chown -R root:root /opt/denet-tui && chmod -R u+rwX,go+rX,go-w /opt/denet-tui\n"
        "ln -sfn /opt/denet-tui/bin/denet-tui /usr/local/bin/denet-tui\n"
        "for user in anna bert; do id $user 2> /dev/null || useradd --create-home $user; done"
    )


def documented_commands(after: str, document: str = "setup.md") -> list[str]:
    """The commands that a file in docs/ shows after these words, without sudo and comments."""
    text = (REPOSITORY / "docs" / document).read_text().partition(after)[2]
    shown = re.search(r"\n\n((?:    .*\n)+)", text)
    assert shown, after
    return [line.strip().removeprefix("sudo ").partition(" #")[0].strip() for line in shown[1].splitlines()]
