"""Fixes on a machine in a folder: applied, applied again, undone, cancelled, and verified."""

from __future__ import annotations

import os
import stat
import subprocess
import threading
import time
from typing import Any

import pytest

from denet_tui.checks.host import Host
from denet_tui.checks.model import Check, Finding, Fix, RunCommand, State
from denet_tui.repair import repair
from denet_tui.repair.repair import Repair, RepairError, Undone
from denet_tui.repair.runner import CancelledError
from tests.repair.machine import APT, KINDS, Machine, in_own_mounts

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root: it writes as root"),
]


@pytest.mark.parametrize("kind", KINDS)
def test_applied_applied_again_and_undone(machine: Machine, kind: str) -> None:
    def body() -> None:
        before = machine.picture()
        assert machine.repair().apply(machine.fix(kind)).changed
        after = machine.picture()
        assert after != before
        assert not machine.repair().apply(machine.fix(kind)).changed
        assert machine.picture() == after
        assert machine.repair().applied() == (f"TEST-001.{kind}",)
        assert machine.repair().undo() == [repair.Undone(f"TEST-001.{kind}")]
        assert machine.picture() == before
        assert machine.repair().undo() == []
        assert machine.picture() == before

    in_own_mounts(body)


def test_what_was_written_is_as_asked_for(machine: Machine) -> None:
    machine.repair().apply(machine.fix("all"))
    etc = machine.root / "etc"
    assert (etc / "sysctl.d/50-denet-tui.conf").read_text() == "kernel.perf_event_paranoid = 2\n"
    assert stat.S_IMODE((etc / "sysctl.d/99-denet-tui-old.conf").stat().st_mode) == 0o600
    assert (etc / "systemd/x.mount.d").is_dir()
    assert not (etc / "leftover.rules").exists()
    assert (machine.root / "proc/value").read_text() == "2\n"
    assert "bcc:amd64 installed\n" in (machine.root / "packages").read_text()
    state = machine.root / "var/lib/denet-tui"
    assert stat.S_IMODE(state.stat().st_mode) == 0o700
    assert stat.S_IMODE((state / "journal.jsonl").stat().st_mode) == 0o600


def test_a_machine_that_is_already_so_is_not_written_to_at_all(machine: Machine) -> None:
    (machine.root / "proc/value").write_text("2\n")
    before = machine.picture()
    assert not machine.repair().apply(machine.fix("value")).changed
    assert machine.picture() == before


def test_a_service_that_cannot_be_told_leaves_the_journal_settled(machine: Machine) -> None:
    """The files are given back; that nobody reads them anew is said once, not at every setup from now on."""
    (machine.root / "bin/systemctl").write_text("#!/bin/sh\nexit 1\n")
    before = machine.picture()
    with pytest.raises(RepairError, match=r"not all could be taken back: .*daemon-reload exited with status 1"):
        machine.repair().apply(machine.fix("unit"))
    assert machine.picture() == before
    assert not repair.interrupted(machine.settings)
    assert machine.repair().undo() == []


def test_what_cannot_be_taken_back_is_in_force_and_no_longer_half_way(machine: Machine) -> None:
    """Until somebody can take it back: its undoing tries once more."""
    (machine.root / "bin/apt-get").write_text(
        "#!/bin/sh\necho 'bcc:amd64 installed' >> $(dirname $0)/../packages; exit 1\n"
    )
    (machine.root / "bin/dpkg").rename(machine.root / "bin/gone")
    with pytest.raises(RepairError, match="not all could be taken back"):
        machine.repair().apply(machine.fix("packages"))
    assert not repair.interrupted(machine.settings)
    assert machine.repair().applied() == ("TEST-001.packages",)
    (machine.root / "bin/gone").rename(machine.root / "bin/dpkg")
    assert machine.repair().undo() == [Undone("TEST-001.packages")]
    assert machine.repair().applied() == ()


def test_a_step_that_fails_takes_back_the_ones_before_it(machine: Machine) -> None:
    before = machine.picture()
    good = machine.fix("all")
    bad = RunCommand((f"{machine.root}/bin/apt-get", "install", "broken"))
    said: list[str] = []
    with pytest.raises(RepairError, match=r"status 100: E: broken is broken; what it had done was taken back"):
        machine.repair(said.append).apply(Fix("TEST-001.bad", "", (*good.changes, bad), "permanent", ""))
    assert machine.picture() == before
    assert said.index("Unpacking bcc and its library") < said.index("E: broken is broken")


def test_cancelled_during_an_installation(machine: Machine) -> None:
    before = machine.picture()
    (machine.root / "bin/apt-get").write_text(APT.replace("${SLOW:-0}", "60"))
    cancel, started = threading.Event(), time.monotonic()
    say = lambda line: cancel.set() if line.startswith("Unpacking") else None  # noqa: E731
    with pytest.raises(CancelledError, match="taken back"):
        machine.repair(say, cancel=cancel).apply(machine.fix("all"))
    assert time.monotonic() - started < 10
    (machine.root / "bin/apt-get").write_text(APT)
    assert machine.picture() == before


def test_output_comes_while_the_program_still_runs(machine: Machine) -> None:
    (machine.root / "bin/apt-get").write_text(APT.replace("${SLOW:-0}", "0.5"))
    times: dict[str, float] = {}
    machine.repair(lambda line: times.setdefault(line, time.monotonic())).apply(machine.fix("packages"))
    assert time.monotonic() - times["Unpacking bcc and its library"] > 0.4


@pytest.mark.parametrize("kind", ["file", "value", "mount", "folder"])
def test_what_somebody_changed_since_is_left_alone(machine: Machine, kind: str) -> None:
    def body() -> None:
        machine.repair().apply(machine.fix("file" if kind == "folder" else kind))
        theirs = machine.root / "etc/systemd/x.mount.d/theirs.conf"
        if kind == "file":
            (machine.root / "etc/sysctl.d/50-denet-tui.conf").write_text("mine now\n")
        elif kind == "folder":
            theirs.write_text("[Mount]\n")
        elif kind == "value":
            (machine.root / "proc/value").write_text("4\n")
        else:
            subprocess.run(["/usr/bin/mount", "-o", "remount,nosuid,noexec", machine.root / "mnt"], check=True)
        (undone,) = machine.repair().undo()
        assert all("changed since, by somebody else" in line for line in undone.left)
        assert len(undone.left) == (2 if kind == "mount" else 1)  # who remounts, changes what was mounted, too
        if kind == "file":
            assert (machine.root / "etc/sysctl.d/50-denet-tui.conf").read_text() == "mine now\n"
            assert (machine.root / "etc/leftover.rules").exists()
            assert (machine.root / "etc/sysctl.d/99-denet-tui-old.conf").read_text() == "old = 1\n"
        elif kind == "folder":
            assert theirs.exists()
        elif kind == "value":
            assert (machine.root / "proc/value").read_text() == "4\n"
        else:
            assert "noexec" in machine.picture()["mounts"][0]
        assert machine.repair().applied() == (f"TEST-001.{'file' if kind == 'folder' else kind}",)

    in_own_mounts(body)


def test_packages_that_came_by_themselves_stay(machine: Machine) -> None:
    before = (machine.root / "packages").read_text()
    machine.repair().apply(machine.fix("packages"))
    with (machine.root / "packages").open("a") as file:
        file.write("vim:amd64 installed\n")
    assert machine.repair().undo() == [repair.Undone("TEST-001.packages")]
    assert (machine.root / "packages").read_text() == before + "vim:amd64 installed\n"


def test_what_ended_with_a_reboot_is_not_undone(machine: Machine) -> None:
    class Rebooted(Host):
        def read(self, path: str) -> str:
            return "another boot\n" if path.endswith("boot_id") else super().read(path)

    machine.repair().apply(machine.fix("value"))  # after the reboot the file holds 2 because somebody else set it
    assert Repair(Rebooted(), settings=machine.settings).undo() == [repair.Undone("TEST-001.value")]
    assert (machine.root / "proc/value").read_text() == "2\n"


def test_undo_by_id(machine: Machine) -> None:
    machine.repair().apply(machine.fix("value"))
    machine.repair().apply(machine.fix("packages"))
    with pytest.raises(RepairError, match=r"TEST-001\.file: nothing to undo"):
        machine.repair().undo(["TEST-001.file"])
    machine.repair().undo(["TEST-001.value"])
    assert machine.repair().applied() == ("TEST-001.packages",)
    machine.repair().undo(["TEST-001"])
    assert machine.repair().applied() == ()


def test_a_full_disk_under_the_journal(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is changed that the journal could not hold; what was changed already is taken back all the same."""
    before, real, writes = machine.picture(), os.write, 0

    def full(descriptor: int, data: Any) -> int:
        nonlocal writes
        if b'"format"' in bytes(data):
            writes += 1
            if writes > 6:
                raise OSError(28, os.strerror(28))
        return real(descriptor, data)

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(RepairError, match="No space left"):
        machine.repair().apply(machine.fix("file"))
    monkeypatch.undo()
    machine.repair().undo()
    assert machine.picture() == before


def test_verify_looks_at_the_check_its_dependants_and_the_proof() -> None:
    looked: list[str] = []

    def look(ids: Any) -> list[Finding]:
        looked.extend(ids)
        return [Finding(ids[0], State.PASS, "")]

    checks = [
        Check("FS-001", "tracefs", "", lambda host: Finding("", State.PASS, ""), after=("FS-002", "E2E-001")),
        *(Check(each, "tracefs", "", lambda host: Finding("", State.PASS, "")) for each in ("FS-002", "E2E-001")),
    ]
    fix = Fix("FS-001.mount", "", (), "until-reboot", "")
    found = repair.verify(fix, look, checks)
    assert looked == ["FS-001", "FS-002", "E2E-001"]
    assert repair.holds(fix, found)
    assert not repair.holds(fix, [Finding("FS-001", State.FAIL, "")])
