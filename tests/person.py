"""A real user of this machine, who may use sudo, for as long as the tests run."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.watch.helpers import DENET

GROUPS = ("users", "audio")


@dataclass(frozen=True)
class Person:
    """Somebody who may use sudo without a password."""

    name: str
    uid: int
    gid: int
    home: Path

    def shell(
        self, script: str, *arguments: str, become: tuple[str, ...] = (), **env: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a shell script as this user, at home, with nothing in the environment but what is named."""
        return subprocess.run(
            self.argv(script, *arguments, become=become, **env),
            cwd=self.home,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )

    def argv(self, script: str, *arguments: str, become: tuple[str, ...] = (), **env: str) -> list[str]:
        """`become` is more for setpriv; the script calls denet-tui as $denet."""
        known = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(self.home), "USER": self.name, **env}
        words = [f"{name}={value}" for name, value in known.items()]
        setpriv = ["setpriv", f"--reuid={self.uid}", f"--regid={self.gid}", "--init-groups", *become]
        denet = f"denet='{' '.join(DENET)}'\n"
        return [*setpriv, "env", "-i", *words, "sh", "-c", denet + script, "sh", *arguments]


@pytest.fixture(scope="session")
def person() -> Iterator[Person]:
    """A user made for these tests, in groups of their own and others, removed afterwards."""
    if os.geteuid() != 0:
        pytest.skip("needs root: a user is made")
    for tool in ("useradd", "sudo", "setpriv"):
        if not shutil.which(tool):
            pytest.skip(f"needs {tool}")
    name = f"denet{os.getpid()}"
    subprocess.run(["useradd", "-m", "-s", "/bin/sh", "-G", ",".join(_known(GROUPS)), name], check=True)
    rule = Path("/etc/sudoers.d") / name
    try:
        entry = pwd.getpwnam(name)
        made = Person(name, entry.pw_uid, entry.pw_gid, Path(entry.pw_dir))
        if made.shell('"$1" -c "import denet_tui"', sys.executable).returncode:
            pytest.skip("needs a checkout and a Python that other users may read")
        rule.write_text(f"{name} ALL=(ALL) NOPASSWD: ALL\n")
        rule.chmod(0o440)
        yield made
    finally:
        rule.unlink(missing_ok=True)
        subprocess.run(["userdel", "-rf", name], capture_output=True)


def _known(names: tuple[str, ...]) -> list[str]:
    groups = {line.partition(":")[0] for line in Path("/etc/group").read_text().splitlines()}
    return [name for name in names if name in groups]
