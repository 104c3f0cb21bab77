"""Other machines: Debian roots with another bcc and another Python, entered by chroot, on this machine's kernel."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

LOCK = Path(__file__).parents[2] / "requirements.lock"
MAKE_IMAGE = Path(__file__).with_name("make-image.sh")
CACHE = Path(os.environ.get("XDG_CACHE_HOME", "/var/cache")) / "denet-tui-lab"
VENV = "/opt/denet-tui"
PROGRAM = f"{VENV}/bin/denet-tui"

# In a mount namespace of its own, so that nothing stays mounted however the command ends.
_ENTER = """
set -eu
root=$1 shared=$2
shift 2
mount -t proc proc "$root/proc"
mount --rbind /sys "$root/sys"
mount --rbind /dev "$root/dev"
mount -t tmpfs tmpfs "$root/tmp"
mount --bind "$shared" "$root/mnt"
mountpoint -q "$root/sys/kernel/tracing" || mount -t tracefs tracefs "$root/sys/kernel/tracing"
exec chroot "$root" "$@"
"""


@dataclass(frozen=True)
class Machine:
    """A root folder, and the folder of the host that shows in it as /mnt."""

    root: Path
    shared: Path

    def run(self, *argv: str, timeout: float = 120) -> subprocess.CompletedProcess[str]:
        """Run a command in it, as root, with an environment as bare as that of a new machine."""
        return subprocess.run(
            ["unshare", "--mount", "sh", "-c", _ENTER, "sh", self.root, self.shared, *argv],
            env={"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
        )

    def check(self, *argv: str, timeout: float = 120) -> str:
        """The stdout of a command that must succeed."""
        done = self.run(*argv, timeout=timeout)
        assert done.returncode == 0, f"{argv} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def install(self) -> None:
        """Put denet-tui there, from the wheels in /mnt/wheels, into a virtual environment of the image's own Python."""
        if not (self.root / PROGRAM[1:]).exists():
            self.check("/usr/bin/python3", "-m", "venv", VENV)
        pip = [f"{VENV}/bin/pip", "install", "--quiet", "--no-index", "--find-links", "/mnt/wheels"]
        if self.run(*pip, "denet-tui").returncode != 0:
            self._download()
            self.check(*pip, "denet-tui")
        # The same version number every time, so pip has to be told that ours is new.
        self.check(*pip, "--no-deps", "--force-reinstall", "denet-tui")

    def _download(self) -> None:
        """Fetch, out here, what denet-tui depends on, as wheels for the Python in there: it needs no network then."""
        version = self.check("/usr/bin/python3", "-c", "import sys; print('%d.%d' % sys.version_info[:2])").strip()
        download(self.shared / "wheels", version)


def download(folder: Path, version: str) -> None:
    """Fetch what denet-tui depends on, as wheels for that version of Python."""
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--require-hashes", "-r", LOCK, "--dest", folder]
    subprocess.run([*pip, "--only-binary=:all:", "--python-version", version], check=True)


def make(image: str) -> Path:
    """The root folder of an image, from the cache or made now (about 80 s); raises CalledProcessError."""
    root = CACHE / image
    made(root, MAKE_IMAGE, image, root)
    return root


def made(folder: Path, script: Path, *words: str | Path) -> None:
    """Have a script make a folder of the cache unless this very script did; raises CalledProcessError.

    Tests that run beside each other wait here for the one that makes it.
    """
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        made_by = folder / ".made-by"
        if not made_by.exists() or made_by.read_bytes() != script.read_bytes():
            subprocess.run(["unshare", "--mount", "sh", script, *words], check=True)


def missing() -> str:
    """Why no machine can be made or entered here; empty where they can."""
    if os.geteuid() != 0:
        return "chroots need root: sudo make lab"
    tools = [tool for tool in ("debootstrap", "unshare", "gcc") if not shutil.which(tool)]
    return f"{', '.join(tools)} not installed" if tools else ""
