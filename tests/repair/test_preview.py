"""What a fix would change, as it is shown before anything happens."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from denet_tui.checks.host import Host
from denet_tui.checks.model import Fix, RunCommand, SetValue, WriteFile
from denet_tui.repair import steps
from denet_tui.repair.preview import PreviewLine, as_object, preview, shell
from tests.checks.fake import FakeHost
from tests.repair.machine import Machine

FIX = Fix(
    "A-001.all",
    "all of it",
    (
        RunCommand(("/bin/echo", "a b")),
        SetValue("/proc/a", "2 3"),
        WriteFile("/etc/old", "one\nthree\n", 0o600),
        WriteFile("/etc/gone", None),
    ),
    "permanent",
    "undo it",
)
HOST = FakeHost({"/proc/a": "1\n", "/etc/old": "one\ntwo\n", "/etc/gone": "x"})


def test_every_kind_of_change_has_its_lines() -> None:
    found = preview(FIX, HOST)
    assert found[:3] == (
        PreviewLine("run", "/bin/echo 'a b'", ("/bin/echo", "'a b'")),
        PreviewLine("set", "/proc/a", old="1", new="2 3"),
        PreviewLine("write", "/etc/old", mode="0600"),
    )
    assert [(each.kind, each.text) for each in found[6:]] == [
        ("text", " one"),
        ("removed", "-two"),
        ("added", "+three"),
        ("delete", "/etc/gone"),
        ("removed", "--- /etc/gone"),
        ("added", "+++ /dev/null"),
        ("text", "@@ -1 +0,0 @@"),
        ("removed", "-x"),
    ]


def test_without_a_host_it_is_whole_files() -> None:
    found = [(each.kind, each.text) for each in preview(FIX)[2:]]
    assert found == [("write", "/etc/old"), ("text", "one"), ("text", "three"), ("delete", "/etc/gone")]
    assert as_object(FIX)["values"] == [{"path": "/proc/a", "value": "2 3"}]
    assert as_object(FIX)["files"][0] == {"path": "/etc/old", "text": "one\nthree\n", "mode": "0600"}


def test_what_cannot_be_read_is_said_in_its_place() -> None:
    away = Fix("A-001.x", "x", (SetValue("/proc/none", "2"), WriteFile("/etc/new", "")), "permanent", "")
    assert list(map(str, preview(away, HOST))) == [
        "set    /proc/none: (No such file or directory) -> 2",
        "write  /etc/new (root, mode 0644)",
    ]
    assert as_object(away, HOST)["values"] == [{"path": "/proc/none", "old": "(No such file or directory)", "new": "2"}]


def test_a_shell_does_the_same(tmp_path: Path) -> None:
    """What is copied for a root shell, run by one."""
    value, old, gone = (tmp_path / name for name in ("value", "etc/old", "gone"))
    gone.write_text("x")
    changes = (
        RunCommand(("/bin/echo", "a  b")),
        SetValue(str(value), "2 3"),
        WriteFile(str(old), "one\n$three\n", 0o600),
        WriteFile(str(gone), None),
    )
    done = subprocess.run(["sh", "-euc", shell(Fix("a", "", changes, "permanent", ""))], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("a  b\n", "")
    assert (value.read_text(), old.read_text(), gone.exists()) == ("2 3\n", "one\n$three\n", False)
    assert old.stat().st_mode & 0o777 == 0o600


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: it writes as root")
def test_commands_and_differences_are_shown_as_they_will_be(machine: Machine) -> None:
    lines = [str(line) for line in preview(machine.fix("all"), Host())]
    etc = machine.root / "etc"
    old = f"{etc}/sysctl.d/99-denet-tui-old.conf"
    at = lines.index(f"write  {old} (root, mode 0600)")
    assert lines[at + 1 : at + 6] == [f"--- {old}", f"+++ {old}", "@@ -1 +1 @@", "-old = 1", "+new = 2"]
    assert f"delete {etc}/leftover.rules" in lines
    assert f"set    {machine.root}/proc/value: 3 -> 2" in lines
    assert f"run    {machine.root}/bin/apt-get install -y bcc" in lines
    assert steps.steps_of(machine.fix("value")) == [steps.ValueStep(f"{machine.root}/proc/value", "2")]
