"""What repair does not touch, whoever asks: others' files, planted links, programs that are not the distribution's."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from denet_tui.checks.host import Host
from denet_tui.checks.model import Fix, RunCommand, SetValue, WriteFile
from denet_tui.repair.repair import Repair, RepairError
from denet_tui.repair.steps import Settings
from tests.repair.machine import Machine

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root: it writes as root"),
]


@pytest.mark.parametrize("where", ["file", "parent", "above", "draft", "state", "journal", "value"])
def test_planted_symlinks_are_refused(machine: Machine, tmp_path: Path, where: str) -> None:
    """In a folder that somebody else can write to, or in place of a file that is ours."""
    secret = tmp_path / "secret"
    secret.write_text("theirs\n")
    aim = tmp_path / "aim"
    aim.mkdir()
    etc, kind = machine.root / "etc", "value" if where == "value" else "file"
    if where == "file":
        (etc / "sysctl.d/50-denet-tui.conf").symlink_to(secret)
    elif where == "parent":
        (etc / "sysctl.d").rename(etc / "real")
        (etc / "sysctl.d").symlink_to(etc / "real")
        os.lchown(etc / "sysctl.d", 1000, 1000)
    elif where == "above":
        etc.rename(machine.root / "real")
        etc.symlink_to(machine.root / "real")
        machine.root.chmod(0o1777)
    elif where == "draft":
        (etc / "sysctl.d/.50-denet-tui.conf.denet-tui-draft").symlink_to(secret)
    elif where == "state":
        (machine.root / "var/lib/denet-tui").symlink_to(aim)
        os.lchown(machine.root / "var/lib/denet-tui", 1000, 1000)
    elif where == "journal":
        (machine.root / "var/lib/denet-tui").mkdir(mode=0o700)
        (machine.root / "var/lib/denet-tui/journal.jsonl").symlink_to(secret)
    else:
        (machine.root / "proc/value").unlink()
        (machine.root / "proc/value").symlink_to(secret)
    before = machine.picture()
    if where == "draft":  # replaced, never followed
        machine.repair().apply(machine.fix(kind))
    else:
        with pytest.raises(RepairError, match=r"symlink|not a regular file|not a plain file|Not a directory|loop"):
            machine.repair().apply(machine.fix(kind))
        assert machine.picture() == before
    assert secret.read_text() == "theirs\n"
    assert list(aim.iterdir()) == []


@pytest.mark.parametrize(("mode", "owner"), [(0o777, 0), (0o775, 1000), (0o755, 1000)])
def test_folders_that_others_can_change_are_refused(machine: Machine, mode: int, owner: int) -> None:
    folder = machine.root / "etc/sysctl.d"
    folder.chmod(mode)
    os.chown(folder, owner if mode == 0o755 else 0, owner)
    with pytest.raises(RepairError, match=r"written by others|belongs to uid 1000"):
        machine.repair().apply(machine.fix("file"))


def test_links_that_only_root_can_have_made_are_followed(machine: Machine) -> None:
    """As /opt -> /var/opt on some distributions."""
    (machine.root / "etc").rename(machine.root / "real")
    (machine.root / "etc").symlink_to("real")
    before = machine.picture()
    machine.repair().apply(machine.fix("file"))
    assert (machine.root / "real/sysctl.d/50-denet-tui.conf").exists()
    machine.repair().undo()
    assert machine.picture() == before


@pytest.mark.parametrize(
    "change",
    [
        WriteFile("/etc/sysctl.conf", "kernel.x = 1\n"),
        WriteFile("/etc/sysctl.d/50-other.conf", ""),
        WriteFile("/etc/udev/rules.d/99-tracefs.rules", "SUBSYSTEM\n"),
        WriteFile("/etc/sysctl.d/../../root/x-denet-tui", ""),
        WriteFile("/etc/sysctl.d/denet-tui.conf", "", 0o666),
        WriteFile("/etc/sysctl.d/denet-tui.conf", "", 0o4755),
        WriteFile("/root/.bashrc", None),
        SetValue("/etc/hostname", "x"),
        SetValue("/proc/sys/../sysrq-trigger", "b"),
        SetValue("/proc/sysrq-trigger", "b"),
        RunCommand(("mount", "x", "/mnt")),
        RunCommand(("/usr/bin/sh", "-c", "true")),
        RunCommand(("/tmp/mount", "-t", "tmpfs", "x", "/mnt")),
        RunCommand(("/usr/bin/sed", "-i", "s/a/b/", "/etc/sysctl.conf")),
        RunCommand(("/usr/bin/mount", "x", "/mnt"), undo=("/usr/bin/rm", "-r", "/mnt")),
    ],
    ids=str,
)
def test_what_is_not_ours_is_refused_before_anything_happens(tmp_path: Path, change: Any) -> None:
    fix = Fix("TEST-001.bad", "", (change,), "permanent", "")
    with pytest.raises(RepairError, match=r"refused|not a plain absolute path"):
        Repair(Host(), settings=Settings(state=f"{tmp_path}/state")).apply(fix)
    assert list(tmp_path.iterdir()) == []


def test_programs_that_others_can_change_are_refused(machine: Machine) -> None:
    os.chown(machine.root / "bin/apt-get", 1000, 1000)
    with pytest.raises(RepairError, match=r"can be changed by others"):
        machine.repair().apply(machine.fix("packages"))


def test_a_fix_without_changes_is_the_users_to_do(machine: Machine) -> None:
    with pytest.raises(RepairError, match=r"yours to do: reboot"):
        machine.repair().apply(Fix("KERN-001.reboot", "new kernel", (), "permanent", "", advice="reboot"))


def test_without_root_nothing_is_tried(machine: Machine) -> None:
    class Nobody(Host):
        @property
        def uid(self) -> int:
            return 65534

    before = machine.picture()
    for call in (lambda each: each.apply(machine.fix("file")), Repair.undo, Repair.applied):
        with pytest.raises(RepairError, match="only root"):
            call(Repair(Nobody(), settings=machine.settings))
    assert machine.picture() == before
