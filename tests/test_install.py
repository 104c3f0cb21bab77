"""`make install` and `make venv` against somebody who plants packages: only what the lock lists gets in.

The Makefile, pip, sudo and the launcher are the real ones; the package and what it depends on are tiny, to be quick.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pip
import pytest

from tests.person import Person
from tests.real import REPOSITORY

pytestmark = [pytest.mark.root, pytest.mark.slow]

CLI = "import dependency\n\ndef main(): print(dependency.WHOSE)\n"
PLANT = """
planted=$1
set -- tmp/tmp.*/venv
until [ -d "$1" ]; do sleep 0.1; set -- tmp/tmp.*/venv; done
mkdir -p "${1%/venv}/wheels"
cp "$planted" "${1%/venv}/wheels"
"""
"""Run by the attacker, with the victim's uid: `make install` prepares in such a folder what root is to install."""


def wheel(folder: Path, whose: str, version: str = "1", build: str = "") -> Path:
    """The one thing that is depended on, as a wheel."""
    folder.mkdir(exist_ok=True)
    path = folder / f"dependency-{version}{build}-py3-none-any.whl"
    info = f"dependency-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("dependency.py", f"WHOSE = {whose!r}\n")
        file.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: dependency\nVersion: {version}\n")
        file.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        file.writestr(f"{info}/RECORD", "")
    return path


@dataclass(frozen=True)
class Checkout:
    """A checkout of an ordinary user who may use sudo, and where root installs it to."""

    person: Person
    prefix: Path
    link: Path

    def make(self, target: str, wheels: str = "wheels") -> subprocess.CompletedProcess[str]:
        """What the user types; the packages come from a folder in place of the network."""
        where = f"{target} PREFIX={self.prefix} LINK={self.link}"
        home = self.person.home
        offline = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(home / wheels), "TMPDIR": str(home / "tmp")}
        return self.person.shell(f"mkdir -p tmp && exec make -C checkout {where}", **offline)

    @contextmanager
    def attacked(self, planted: Path) -> Iterator[None]:
        """Meanwhile a process of the same user puts a wheel where `make install` collects them."""
        attacker = subprocess.Popen(self.person.argv(PLANT, str(planted)), cwd=self.person.home)
        try:
            yield
            assert attacker.wait(timeout=5) == 0
        finally:
            attacker.kill()
            attacker.wait()

    def leftovers(self) -> list[Path]:
        return [
            path for path in (*self.prefix.parent.iterdir(), *self.person.home.glob("tmp/*")) if path != self.prefix
        ]


@pytest.fixture
def checkout(person: Person, tmp_path: Path) -> Iterator[Checkout]:
    root = person.home / "checkout"
    package = root / "denet_tui"
    package.mkdir(parents=True)
    shutil.copy(REPOSITORY / "Makefile", root)
    shutil.copy(REPOSITORY / "denet_tui/__main__.py", package)
    (package / "__init__.py").touch()
    (package / "cli.py").write_text(CLI)
    (root / "docs").mkdir()
    (root / "docs/exact.md").touch()
    (package / "__pycache__").mkdir()
    (package / "__pycache__/planted.pyc").touch()
    digest = hashlib.sha256(wheel(person.home / "wheels", "the lock's").read_bytes()).hexdigest()
    for name in ("requirements.lock", "requirements-dev.lock"):
        (root / name).write_text(f"dependency==1 --hash=sha256:{digest}\n")
    subprocess.run(["chown", "-R", f"{person.uid}:{person.gid}", person.home], check=True)
    (tmp_path / "opt").mkdir()
    yield Checkout(person, tmp_path / "opt/denet-tui", tmp_path / "bin/denet-tui")
    for path in person.home.iterdir():
        if path.is_dir():
            shutil.rmtree(path)


def test_root_gets_what_the_lock_lists_and_what_else_is_planted_stays_away(checkout: Checkout) -> None:
    newer = wheel(checkout.person.home / "attack", "the attacker's", version="2")
    with checkout.attacked(newer):
        done = checkout.make("install")
    assert done.returncode == 0, done.stderr
    assert subprocess.run([checkout.link], capture_output=True, text=True, check=True).stdout == "the lock's\n"
    installed = [path for path in checkout.prefix.rglob("*") if not path.is_symlink()]
    assert [path for path in installed if path.stat().st_uid or path.stat().st_mode & 0o022] == []
    assert [path for path in installed if path.name.startswith("planted")] == []
    assert [path.name for path in installed if path.suffix == ".md" and path.parent.name == "docs"] == ["exact.md"]
    assert checkout.link.read_bytes().startswith(b"#!%s/bin/python -IB\n" % bytes(checkout.prefix))
    shared = [path for path in (checkout.link.parents[1] / "share").rglob("*") if path.is_file()]
    assert sorted(path.name for path in shared) == ["_denet-tui", "denet-tui", "denet-tui.1", "denet-tui.fish"]
    assert {path.read_text() for path in shared} == {"the lock's\n"}, "what was installed says it of itself"
    assert checkout.leftovers() == []
    assert checkout.make("uninstall").returncode == 0
    assert not checkout.prefix.exists()
    assert not checkout.link.is_symlink()
    assert [path for path in shared if path.exists()] == []


def test_root_refuses_a_package_that_was_changed_on_the_way(checkout: Checkout) -> None:
    (checkout.prefix / "bin").mkdir(parents=True)
    preferred = wheel(checkout.person.home / "attack", "the attacker's", build="-1")  # of two builds, the higher one
    with checkout.attacked(preferred):
        done = checkout.make("install")
    assert done.returncode != 0
    assert "DO NOT MATCH THE HASHES" in done.stderr
    assert "denet-tui: nothing was installed: see above\n" in done.stderr
    assert list(checkout.prefix.iterdir()) == [checkout.prefix / "bin"], "what was installed before is not touched"
    assert checkout.leftovers() == []


def test_the_users_own_environment_gets_nothing_else_either(checkout: Checkout) -> None:
    wheel(checkout.person.home / "other", "somebody's")
    environment = checkout.person.home / "checkout/.venv"  # `make test` has just made one with pip; that takes its time
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    (site,) = environment.glob("lib/python*/site-packages")
    (site / "pip").symlink_to(Path(pip.__file__).parent)
    subprocess.run(["chown", "-hR", f"{checkout.person.uid}:{checkout.person.gid}", environment], check=True)
    done = checkout.make("venv", wheels="other")
    assert done.returncode != 0
    assert "DO NOT MATCH THE HASHES" in done.stderr
    assert list(checkout.person.home.glob("checkout/.venv/lib/*/site-packages/dependency*")) == []


def test_a_link_in_the_checkout_leads_root_nowhere(checkout: Checkout) -> None:
    secret = checkout.person.home / "checkout/denet_tui/secret"
    secret.symlink_to("/etc/shadow")
    done = checkout.make("install")
    assert done.returncode != 0
    assert "denet-tui: not a plain file: denet_tui/secret" in done.stderr
    assert not checkout.prefix.exists()
    assert checkout.leftovers() == []
