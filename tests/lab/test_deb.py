"""The Debian package: installed, run and purged on stock Debians, on this machine's kernel."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.lab.conftest import REPOSITORY
from tests.lab.machines import CACHE, Machine, made, missing

pytestmark = [pytest.mark.lab, pytest.mark.root]

MAKE_DEBIAN = Path(__file__).with_name("make-debian.sh")
ALL_FILES = (
    "find / -xdev -path /var/lib/dpkg -prune -o -path /var/cache/man -prune -o -path '/var/log/*' -prune -o"
    " -path /var/lib/systemd -prune -o ! -type d -printf '%p %m %U:%G %s %l\\n' -o -printf '%p %m %U:%G\\n' | sort"
)
BASH = (
    "source /usr/share/bash-completion/completions/denet-tui; COMP_WORDS=(denet-tui ex); COMP_CWORD=1;"
    " _denet_tui_completion denet-tui; echo ${COMPREPLY[@]}"
)
ZSH = "autoload -Uz compinit; compinit -u -d /tmp/z; print $_comps[denet-tui]"
SEEN = "if mountpoint -q /sys/kernel/tracing; then echo there; else echo gone; fi"
CHANGED = f"""
umount /sys/kernel/tracing; {SEEN}
dpkg -i /mnt/{{}}
denet-tui setup --yes --only FS-001; {SEEN}
dpkg --purge denet-tui; {SEEN}
"""
"""In one mount namespace, which is gone with it."""


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As `make deb` makes it, in a copy of this checkout."""
    if reason := missing():
        pytest.skip(reason)
    checkout = tmp_path_factory.mktemp("checkout")
    for name in ("Makefile", "LICENSE", "requirements.lock"):
        shutil.copy(REPOSITORY / name, checkout)
    for name in ("denet_tui", "deb", "docs"):
        shutil.copytree(REPOSITORY / name, checkout / name)
    subprocess.run(["make", "-C", checkout, "deb"], check=True, timeout=600)
    (path,) = (checkout / "dist").iterdir()
    return path


@pytest.fixture(scope="module", params=["bookworm", "trixie"])
def debian(request: pytest.FixtureRequest, package: Path) -> Machine:
    root = CACHE / f"stock-{request.param}"
    made(root, MAKE_DEBIAN, request.param, root)
    machine = Machine(root, package.parent)
    machine.run("dpkg", "--purge", "denet-tui")  # of a test that was ended half-way
    return machine


def test_it_is_installed_runs_and_is_purged_without_a_trace(debian: Machine, package: Path) -> None:
    before = debian.check("sh", "-c", ALL_FILES)
    debian.check("dpkg", "-i", f"/mnt/{package.name}", timeout=600)
    try:
        assert changeable(debian) == ""
        ran = debian.run("denet-tui", "run", "--no-tui", "--", "ls", "/opt")
        assert (ran.returncode, ran.stdout) == (0, "denet-tui\n"), ran.stderr
        assert "exact" in ran.stderr
        assert "execve" in ran.stderr
        assert debian.check("denet-tui", "diag", "--only", "PRIV-007,BCC-001").count("✓ pass") == 2
        assert "denet-tui attach" in debian.check("man", "denet-tui")
        assert debian.check("bash", "-c", BASH).split() == ["explain", "export"]
        said = debian.check("env", "HOME=/tmp", "fish", "-c", "complete -C 'denet-tui run --interv'")
        assert said.startswith("--interval\tSeconds per tick; 0.5 where the settings file"), said
        said = debian.check("env", "HOME=/tmp", "fish", "-c", "complete -C 'denet-tui run --detail'")
        assert "the calls alone, their files" in said, "a comma ends nothing"
        offered = debian.check("env", "HOME=/tmp", "fish", "-c", "complete -C 'denet-tui ex'").splitlines()
        assert [line.partition("\t")[0] for line in offered] == ["explain", "export"]
        assert debian.check("zsh", "-fc", ZSH) == "_denet-tui\n"
    finally:
        debian.check("dpkg", "--purge", "denet-tui")
    after = debian.check("sh", "-c", ALL_FILES)
    assert sorted({*after.splitlines()} ^ {*before.splitlines()}) == []


def test_what_setup_has_changed_goes_with_it(debian: Machine, package: Path) -> None:
    said = debian.check("sh", "-c", CHANGED.format(package.name), timeout=900)
    assert re.findall("^(?:there|gone)$", said, re.MULTILINE) == ["gone", "there", "gone"], said


def test_it_does_not_overwrite_what_make_install_wrote(debian: Machine, package: Path) -> None:
    (debian.root / "opt/denet-tui").mkdir()
    try:
        refused = debian.run("dpkg", "-i", f"/mnt/{package.name}")
        assert refused.returncode != 0
        assert "say `make uninstall` in that checkout first\n" in refused.stderr
    finally:
        (debian.root / "opt/denet-tui").rmdir()
        debian.run("dpkg", "--purge", "denet-tui")


def changeable(machine: Machine) -> str:
    """What others than root can change of it."""
    return machine.check("find", "/opt/denet-tui", "!", "-type", "l", "(", "!", "-uid", "0", "-o", "-perm", "/022", ")")
