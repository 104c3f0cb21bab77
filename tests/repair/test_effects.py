"""What commands change is read before and after: groups, units, capabilities, mounts, packages of each distribution."""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from denet_tui.bpf.facts import Mount
from denet_tui.checks import tracefs
from denet_tui.checks.host import Host, Output
from denet_tui.checks.model import Fix, RunCommand
from denet_tui.repair import effects
from denet_tui.repair.effects import EffectError, effect_of
from denet_tui.repair.repair import Repair
from denet_tui.repair.steps import Settings
from tests.checks.fake import FakeHost
from tests.real import tracefs_held
from tests.repair.machine import in_own_mounts

GROUPS = "root:x:0:\ndenet-trace:x:990:ann,bob\n"


def words(line: str, folder: str = "/usr/bin") -> tuple[str, ...]:
    program, *rest = line.split()
    return (f"{folder}/{program}", *rest)


@pytest.mark.parametrize(
    ("line", "there"),
    [
        ("groupadd --system denet-trace", True),
        ("groupadd --system other", False),
        ("groupdel other", True),
        ("groupdel denet-trace", False),
        ("gpasswd --add ann denet-trace", True),
        ("gpasswd -a eve denet-trace", False),
        ("gpasswd --delete ann denet-trace", False),
        ("usermod -aG denet-trace bob", True),
        ("usermod -aG denet-trace eve", False),
    ],
)
def test_groups(line: str, there: bool) -> None:
    argv = words(line, "/usr/sbin")
    host, effect = FakeHost({"/etc/group": GROUPS}), effect_of(argv)
    assert effect.there(host, argv, effect.state(host, argv)) == there


TRACEFS = Mount("/sys/kernel/tracing", "tracefs", ("rw", "nosuid"), ("rw", "gid=990"))


@pytest.mark.parametrize(
    ("line", "there"),
    [
        ("mount -t tracefs tracefs /sys/kernel/tracing", True),
        ("mount -t debugfs debugfs /sys/kernel/tracing", False),
        ("mount -t tracefs tracefs /sys/kernel/other", False),
        ("mount -o remount,mode=750,gid=denet-trace /sys/kernel/tracing", True),
        ("mount -o remount,mode=0750,gid=990,nosuid /sys/kernel/tracing", True),
        ("mount -o remount,mode=700,gid=990 /sys/kernel/tracing", False),
        ("mount -o remount,mode=750,gid=nobody /sys/kernel/tracing", False),
        ("mount -o remount,noexec /sys/kernel/tracing", False),
        ("umount /sys/kernel/tracing", False),
        ("umount /sys/kernel/other", True),
    ],
)
def test_mounts(line: str, there: bool) -> None:
    argv = words(line)
    host = FakeHost(
        {"/etc/group": GROUPS, "/sys/kernel/tracing/x": ""},
        mounts=[TRACEFS],
        modes={"/sys/kernel/tracing": 0o750},
        owners={"/sys/kernel/tracing": (0, 990)},
    )
    effect = effect_of(argv)
    assert effect.there(host, argv, effect.state(host, argv)) == there


@pytest.mark.parametrize(
    ("verb", "enabled", "active", "there"),
    [
        ("start x.mount", "static", "active", True),
        ("start x.mount", "static", "inactive", False),
        ("stop x.mount", "static", "inactive", True),
        ("enable --now x.service", "enabled", "active", True),
        ("enable --now x.service", "enabled", "failed", False),
        ("enable x.service", "disabled", "active", False),
        ("disable x.service", "disabled", "active", True),
        ("disable --now x.service", "disabled", "active", False),
        ("unmask x.mount", "masked", "inactive", False),
        ("unmask x.mount", "static", "inactive", True),
        ("mask x.mount", "masked-runtime", "inactive", True),
    ],
)
def test_units(verb: str, enabled: str, active: str, there: bool) -> None:
    argv = ("/usr/bin/systemctl", *verb.split())
    answers = {"is-enabled": f"{enabled}\n", "is-active": f"{active}\n"}
    host = FakeHost(commands={(argv[0], ask, argv[-1]): word for ask, word in answers.items()})
    effect = effect_of(argv)
    assert effect.there(host, argv, effect.state(host, argv)) == there


@pytest.mark.parametrize(
    ("line", "listing", "lines", "removal"),
    [
        ("apt-get install -y bcc", "dpkg-query", "{} installed\nold:amd64 config-files\n", "dpkg --purge"),
        ("dnf install -y bcc", "rpm", "{}\n", "rpm -e"),
        ("zypper --non-interactive install bcc", "rpm", "{}\n", "rpm -e"),
        ("pacman -S --noconfirm --needed bcc", "pacman", "{}\n", "pacman -Rn --noconfirm"),
        ("apk add bcc", "apk", "{}\n", "apk del"),
    ],
)
def test_packages_of_each_distribution(line: str, listing: str, lines: str, removal: str) -> None:
    argv = words(line)
    tools = {f"/usr/bin/{name}": 0o755 for name in ("dpkg-query", "dpkg", "rpm", "pacman", "apk")}

    def machine(*names: str) -> FakeHost:
        text = "".join(lines.format(name) for name in names)
        return FakeHost(dict.fromkeys(tools, ""), modes=tools, commands={f"/usr/bin/{listing}": text})

    effect = effect_of(argv)
    before, after, later = machine("base"), machine("base", "bcc", "llvm"), machine("base", "bcc", "llvm", "vim")
    old, seen, now = (effect.state(each, argv) for each in (before, after, later))
    assert not effect.there(before, argv, old)
    assert effect.there(after, argv, seen)
    mine = effect.left(old, seen, now)
    assert mine == ["bcc", "llvm"]
    assert effect.back(later, argv, None, mine, cut_off=False) == [(*words(removal), "bcc", "llvm")]
    assert effect.left(old, seen, effect.state(machine("base", "vim"), argv)) == []
    assert effect.left(old, None, now) == ["bcc", "llvm", "vim"], "cut off: nobody can tell what came with it"


def test_a_reinstallation_always_has_something_to_do() -> None:
    lines = (
        "apt-get install -y --reinstall bcc",
        "dnf reinstall -y bcc",
        "zypper install --force bcc",
        "pacman -S bcc",
    )
    for line in lines:
        argv = words(line)
        assert not effect_of(argv).there(Host(), argv, ["bcc"])


def test_packages_that_cannot_be_listed_are_no_packages_to_remove() -> None:
    argv = ("/usr/bin/apt-get", "install", "bcc")
    host = FakeHost(commands={"/usr/bin/dpkg-query": Output(2, "", "database is locked")})
    with pytest.raises(EffectError, match="dpkg-query does not list the packages"):
        effect_of(argv).state(host, argv)


@given(st.text(max_size=500))
def test_any_output_of_a_package_manager_is_read(text: str) -> None:
    argv = ("/usr/bin/apt-get", "install", "bcc")
    host = FakeHost(commands={"/usr/bin/dpkg-query": text})
    found = effect_of(argv).state(host, argv)
    assert found == sorted(set(found))


@pytest.mark.parametrize(
    "argv", [("/usr/bin/rm", "-r", "/"), ("/bin/sh", "-c", "x"), ("/usr/sbin/sysctl", "-w", "kernel.x=1")]
)
def test_no_other_program_is_run(argv: tuple[str, ...]) -> None:
    with pytest.raises(EffectError):
        effect_of(argv)


def test_a_service_reads_its_files_again_after_they_were_given_back() -> None:
    assert effect_of(("/usr/bin/systemctl", "daemon-reload")).reload
    assert not effect_of(("/usr/bin/systemctl", "start", "x")).reload
    assert {name for name, each in effects.EFFECTS.items() if each.reload} == {"udevadm", "sysctl"}


@pytest.fixture
def tool(tmp_path: Path) -> Iterator[Path]:
    """A program that carries capabilities, where the file system can hold them."""
    folder = Path(tempfile.mkdtemp(dir="/var/tmp"))
    copy = folder / "interpreter"
    shutil.copy("/bin/true", copy)
    yield copy
    shutil.rmtree(folder)


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("setcap"), reason="needs root and setcap")
def test_capabilities_are_taken_off_and_put_back(tool: Path, tmp_path: Path) -> None:
    setcap = shutil.which("setcap")
    attribute = bytes.fromhex("0100000200200000000000000000000000000000")
    os.setxattr(tool, "security.capability", attribute)
    change = RunCommand((str(setcap), "-r", str(tool)), undo=(str(setcap), "cap_net_raw=ep", str(tool)))
    repair = Repair(Host(), settings=Settings(state=f"{tmp_path}/state"))
    fix = Fix("PRIV-007.remove", "", (change,), "permanent", "")
    assert repair.apply(fix).changed
    assert "security.capability" not in os.listxattr(tool)
    assert not repair.apply(fix).changed
    assert repair.undo()[0].left == ()
    assert os.getxattr(tool, "security.capability") == attribute


POINT = Path(tracefs.POINT)


def owners() -> list[str]:
    """Mode and owner of each file of tracefs."""
    found = subprocess.run(["find", POINT, "-printf", "%p %m %U:%G\n"], capture_output=True, text=True, check=True)
    return sorted(found.stdout.splitlines())


def opened_to_a_group(body: Callable[[], None]) -> None:
    """Run with tracefs as other guides leave it (chgrp -R, chmod g+w), and give it back: all mounts share it."""

    def run() -> None:
        with tracefs_held(fcntl.LOCK_EX):
            changed()

    def changed() -> None:
        subprocess.run(["umount", "--quiet", POINT], check=False)  # `perf trace` leaves it mounted
        subprocess.run(["mount", "-t", "tracefs", "tracefs", POINT], check=True)
        before, file = owners(), POINT / "tracing_on"
        assert not [line for line in before if not line.endswith(" 0:0")], "open already"
        mode, top = stat.S_IMODE(file.stat().st_mode), stat.S_IMODE(POINT.stat().st_mode)
        try:
            subprocess.run(["chgrp", "-R", "54321", POINT], check=True)
            POINT.chmod(0o770)
            file.chmod(mode | 0o020)
            body()
        finally:
            subprocess.run(["mount", "-o", f"remount,mode={top:o},gid=0", POINT], check=True)
            file.chmod(mode)
            assert owners() == before

    in_own_mounts(run)


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: it mounts")
@pytest.mark.slow
def test_undo_of_a_remount_is_judged_by_what_is_so_not_by_what_is_listed(tmp_path: Path) -> None:
    """Once given, mode= and gid= are listed in mountinfo for ever, also where they say what was so without them."""

    def body() -> None:
        before = owners()
        (fix,) = tracefs.check_writable(Host()).fixes
        repair = Repair(Host(), settings=Settings(state=f"{tmp_path}/state"))
        assert repair.apply(fix).changed
        assert not [line for line in owners() if not line.endswith(" 0:0")]
        assert not repair.apply(fix).changed
        (undone,) = repair.undo()
        assert undone.left == ()
        assert owners() == before

    opened_to_a_group(body)


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: it mounts")
@pytest.mark.slow
def test_what_somebody_else_did_to_tracefs_since_is_left_alone(tmp_path: Path) -> None:
    def body() -> None:
        before = owners()
        (fix,) = tracefs.check_writable(Host()).fixes
        repair = Repair(Host(), settings=Settings(state=f"{tmp_path}/state"))
        repair.apply(fix)
        for path in (".", "events/sched/enable"):
            os.chown(POINT / path, -1, 12345)
            theirs = owners()
            (undone,) = repair.undo()
            assert "was changed since, by somebody else: left as it is" in undone.left[0], path
            assert owners() == theirs, path
            os.chown(POINT / path, -1, 0)
        (undone,) = repair.undo()
        assert undone.left == ()
        assert owners() == before

    opened_to_a_group(body)


def test_a_unit_that_ended_by_itself_is_still_ours_to_disable() -> None:
    argv = ("/usr/bin/systemctl", "enable", "--now", "x.socket")
    words = {
        ("/usr/bin/systemctl", "is-enabled", "x.socket"): "enabled\n",
        ("/usr/bin/systemctl", "is-active", "x.socket"): "failed\n",
    }
    effect = effect_of(argv)
    now = effect.state(FakeHost(commands=words), argv)
    assert now == [["enabled", "inactive"]], "what has failed does not run either"
    assert effect.ours([["disabled", "inactive"]], [["enabled", "active"]], now)
    assert effect.left([["disabled", "inactive"]], [["enabled", "active"]], now)
    assert not effect.ours([["disabled", "inactive"]], [["enabled", "active"]], [["masked", "inactive"]])
