"""Fixes on a machine in a folder: applied, applied again, undone, killed anywhere, and lied to by symlinks."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from denet_tui.checks import plan, repair, steps
from denet_tui.checks.host import Host
from denet_tui.checks.model import BOTH, Check, Finding, Fix, RunCommand, SetValue, State, WriteFile
from denet_tui.checks.repair import Repair, RepairError
from denet_tui.checks.runner import CancelledError
from denet_tui.checks.steps import Settings

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root: it writes as root"),
]

APT = """#!/bin/sh
# A package manager that is slow and keeps its list in a file: NAME STATUS.
list="$(dirname "$0")/../packages"
shift
for name; do case $name in -*) ;; *)
    echo "Unpacking $name and its library"
    echo "lib$name:amd64 half-installed" >> "$list"; sleep "${SLOW:-0}"
    sed -i "s/^lib$name:amd64 .*/lib$name:amd64 installed/" "$list"
    grep -q "^$name:" "$list" || echo "$name:amd64 installed" >> "$list"
    [ "$name" != broken ] || { echo "E: $name is broken"; exit 100; }
esac; done
"""
DPKG = """#!/bin/sh
list="$(dirname "$0")/../packages"
[ "$1" != --configure ] || exec sed -i "s/ half-installed$/ installed/" "$list"
shift
for name; do sed -i "/^$name /d" "$list"; done
"""
QUERY = '#!/bin/sh\ncat "$(dirname "$0")/../packages"\n'


class Machine:
    """A folder that stands for a machine: /etc, a value of the kernel, a package manager, and a place to mount on."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for name in ("etc/sysctl.d", "etc/systemd", "proc", "bin", "var/lib", "mnt"):
            (root / name).mkdir(parents=True)
        (root / "proc/value").write_text("3\n")
        (root / "etc/sysctl.d/99-denet-tui-old.conf").write_text("old = 1\n")
        (root / "etc/sysctl.d/99-denet-tui-old.conf").chmod(0o640)
        (root / "etc/leftover.rules").write_text("SUBSYSTEM==x\n")
        (root / "packages").write_text("base:amd64 installed\n")
        for name, text in (("apt-get", APT), ("dpkg", DPKG), ("dpkg-query", QUERY)):
            (root / "bin" / name).write_text(text)
            (root / "bin" / name).chmod(0o755)
        self.settings = Settings(
            state=f"{root}/var/lib/denet-tui",
            files=(f"{root}/etc/sysctl.d/*denet-tui*", f"{root}/etc/systemd/*.d/*denet-tui*"),
            removable=(f"{root}/etc/leftover.rules",),
            values=(f"{root}/proc/",),
            programs=(f"{root}/bin", "/usr/bin", "/usr/sbin", "/bin", "/sbin"),
        )

    def fix(self, name: str) -> Fix:
        """A fix of each kind; the first three together are `all`."""
        etc, apt = f"{self.root}/etc", f"{self.root}/bin/apt-get"
        changes: dict[str, tuple[Any, ...]] = {
            "file": (
                WriteFile(f"{etc}/sysctl.d/50-denet-tui.conf", "kernel.perf_event_paranoid = 2\n"),
                WriteFile(f"{etc}/sysctl.d/99-denet-tui-old.conf", "new = 2\n", 0o600),
                WriteFile(f"{etc}/systemd/x.mount.d/50-denet-tui.conf", "[Mount]\n"),
                WriteFile(f"{etc}/leftover.rules", None),
            ),
            "value": (SetValue(f"{self.root}/proc/value", "2"),),
            "mount": (
                RunCommand(
                    ("/usr/bin/mount", "-t", "tmpfs", "-o", "mode=700", "tmpfs", f"{self.root}/mnt"),
                    undo=("/usr/bin/umount", f"{self.root}/mnt"),
                ),
                RunCommand(
                    ("/usr/bin/mount", "-o", "remount,nosuid", f"{self.root}/mnt"),
                    undo=("/usr/bin/mount", "-o", "remount,suid", f"{self.root}/mnt"),
                ),
            ),
            "packages": (RunCommand((apt, "install", "-y", "bcc"), undo=(apt, "purge", "-y", "bcc"), streams=True),),
        }
        changes["all"] = (*changes["file"], *changes["value"], *changes["packages"])
        return Fix(f"TEST-001.{name}", name, changes[name], "until-reboot", f"undo {name} by hand")

    def picture(self) -> dict[str, Any]:
        """Everything below the root, byte for byte: content, mode, owner, targets of links; and the mounts."""
        found: dict[str, Any] = {}
        for folder, names, files in os.walk(self.root):
            for name in (".", *names, *files):
                path = os.path.normpath(f"{folder}/{name}")
                seen = os.lstat(path)
                content: Any = Path(path).read_bytes() if stat.S_ISREG(seen.st_mode) else None
                content = str(Path(path).readlink()) if stat.S_ISLNK(seen.st_mode) else content
                found[path] = (stat.filemode(seen.st_mode), seen.st_uid, seen.st_gid, content)
        lines = Path("/proc/self/mountinfo").read_text().splitlines()
        return found | {"mounts": sorted(line for line in lines if str(self.root) in line)}

    def repair(self, say: Callable[[str], None] = lambda line: None, **named: Any) -> Repair:
        return Repair(Host(), say, settings=self.settings, **named)


KINDS = ("file", "value", "packages", "mount", "all")


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    """In memory where possible: there are thousands of fsync(2) calls to come."""
    memory = Path("/dev/shm")
    root = Path(tempfile.mkdtemp(dir=memory if memory.is_dir() else tmp_path))
    yield Machine(root / "root")
    shutil.rmtree(root)


def in_own_mounts(body: Callable[[], None]) -> None:
    """Run in a child with its own mount namespace; an assertion that fails there fails here."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.unshare(os.CLONE_NEWNS) if hasattr(os, "unshare") else _unshare()
            subprocess.run(["/usr/bin/mount", "--make-rprivate", "/"], check=True)
            body()
            status = 0
        except BaseException as error:  # noqa: BLE001
            import traceback

            os.write(write, "".join(traceback.format_exception(error)).encode()[-4000:])
        finally:
            os._exit(status)
    os.close(write)
    with os.fdopen(read) as stream:
        said = stream.read()
    assert os.waitpid(child, 0)[1] == 0, said


def _unshare() -> None:
    import ctypes

    assert ctypes.CDLL(None, use_errno=True).unshare(0x20000) == 0, "unshare(CLONE_NEWNS)"


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


POINTS = ("open", "write", "fsync", "rename", "mkdir", "unlink", "rmdir", "fchmod", "ftruncate")


def killed_at(count: int, body: Callable[[], None]) -> bool:
    """Run in a child that gets SIGKILL before its system call number `count`; False where it came to its end."""
    child = os.fork()
    if child == 0:
        left = count

        def counting(call: Callable[..., Any]) -> Callable[..., Any]:
            def counted(*arguments: Any, **named: Any) -> Any:
                nonlocal left
                left -= 1
                if left < 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                return call(*arguments, **named)

            return counted

        try:
            for name in POINTS:
                setattr(os, name, counting(getattr(os, name)))
            subprocess.Popen.__init__ = counting(subprocess.Popen.__init__)  # type: ignore[method-assign]
            subprocess.Popen.poll = counting(subprocess.Popen.poll)  # type: ignore[method-assign]
            body()
        finally:
            os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


@pytest.mark.parametrize("kind", KINDS)
def test_killed_at_any_system_call_the_next_run_undoes_or_repairs(machine: Machine, kind: str) -> None:
    """Every third undo is itself killed on its way. Each of the calls that change a file is a place to die."""

    def body() -> None:
        before = machine.picture()
        count, kills = 0, 0
        while killed_at(count, lambda: machine.repair().apply(machine.fix(kind)) and None):
            kills += 1
            wait_for_programs(machine)
            if count % 3 == 0:
                killed_at(count // 2, lambda: machine.repair().undo() and None)
                wait_for_programs(machine)
            if count % 2:
                machine.repair().apply(machine.fix(kind))
                assert not machine.repair().apply(machine.fix(kind)).changed
            left = [each.left for each in machine.repair().undo() if each.left]
            assert not left, f"killed at {count}: {left}"
            assert machine.picture() == before, f"killed at {count}"
            count += 5 if kind == "all" else 1 if count < 40 else 3
        assert kills > 10
        machine.repair().undo()
        assert machine.picture() == before

    in_own_mounts(body)


def wait_for_programs(machine: Machine) -> None:
    """Until a program that a killed run had started is through: it holds the journal's lock."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            repair.interrupted(machine.settings)
        except RepairError as error:
            assert "in use" in str(error)  # noqa: PT017
            time.sleep(0.01)
        else:
            return
    raise AssertionError("the journal stays locked")


def test_killed_in_the_middle_of_an_installation(machine: Machine) -> None:
    before = machine.picture()
    slow = APT.replace("${SLOW:-0}", "0.5")
    (machine.root / "bin/apt-get").write_text(slow)
    child = os.fork()
    if child == 0:
        machine.repair().apply(machine.fix("packages"))
        os._exit(0)
    deadline = time.monotonic() + 5
    while "half-installed" not in (machine.root / "packages").read_text() and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    with pytest.raises(RepairError, match="still runs"):
        machine.repair().undo()
    wait_for_programs(machine)
    said: list[str] = []
    machine.repair(said.append).undo()
    (machine.root / "bin/apt-get").write_text(APT)
    assert machine.picture() == before
    assert any("was interrupted" in line for line in said)


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


def choice(name: str, scope: Any = "until-reboot", changes: tuple[Any, ...] | None = None, weakens: str = "") -> Fix:
    made = (RunCommand(("/usr/bin/mount", "x", "/mnt")),) if changes is None else changes
    return Fix(f"FS-002.{name}", name, made, scope, "", weakens, advice="" if made else "log in again")


SETTING = (SetValue("/proc/sys/kernel/perf_event_paranoid", "2"),)


@pytest.mark.parametrize(
    ("fixes", "permanent", "chosen"),
    [
        ([choice("a"), choice("b")], False, "a"),
        ([choice("a", "permanent"), choice("b")], False, "b"),
        ([choice("a"), choice("b", "permanent")], True, "b"),
        ([choice("a", changes=SETTING), choice("b", "permanent")], False, "b"),
        ([choice("a", weakens="opens all"), choice("b", changes=SETTING)], False, "b"),
        ([choice("a", weakens="opens all")], False, None),
        ([choice("a", changes=()), choice("b", "permanent")], False, "b"),
        ([], False, None),
    ],
)
def test_the_safest_fix_is_chosen(fixes: list[Fix], permanent: bool, chosen: str | None) -> None:
    finding = Finding("FS-002", State.FAIL, "", required_for=BOTH, fixes=tuple(fixes))
    found = plan.plan([finding], permanent=permanent)
    assert [each.fix.id for each in found.choices] == ([f"FS-002.{chosen}"] if chosen else [])
    assert bool(found.stuck) == (chosen is None)


def test_advice_is_no_fix_to_apply() -> None:
    finding = Finding("PRIV-006", State.WARN, "", required_for=BOTH, fixes=(choice("login", changes=()),))
    found = plan.plan([finding])
    assert found.choices == ()
    assert [each.fix.advice for each in found.advice] == ["log in again"]


def test_only_what_the_way_needs_is_planned_and_the_rest_is_offered() -> None:
    findings = [
        Finding("E2E-001", State.PASS, "", required_for=("raw",)),
        Finding("FS-001", State.FAIL, "", required_for=("tracefs",), fixes=(choice("mount"),)),
        Finding("FS-003", State.FAIL, "", fixes=(choice("close"),)),
    ]
    found = plan.plan(findings)
    assert (found.way, found.choices, found.stuck) == ("raw", (), ())
    assert [each.fix.id for each in found.offered] == ["FS-002.mount", "FS-002.close"]
    assert [each.finding.id for each in plan.plan(findings, ["FS-001"]).choices] == ["FS-001"]
    assert [each.finding.id for each in plan.plan(findings, ["FS-002.close"]).choices] == ["FS-003"]


def test_a_fix_that_weakens_is_chosen_by_its_own_id_only() -> None:
    finding = Finding("FS-002", State.FAIL, "", required_for=BOTH, fixes=(choice("group", weakens="read for a group"),))
    assert plan.plan([finding], ["FS-002"]).choices == ()
    assert [each.fix.id for each in plan.plan([finding], ["FS-002.group"]).choices] == ["FS-002.group"]
    with pytest.raises(plan.PlanError, match=r"FS-002\.gruop: no such check or fix here.*FS-002\.group"):
        plan.plan([finding], ["FS-002.gruop"])


def test_the_way_that_fixes_can_free_is_taken() -> None:
    findings = [
        Finding("KERN-001", State.FAIL, "", required_for=("raw",)),
        Finding("FS-001", State.FAIL, "", required_for=("tracefs",), fixes=(choice("mount"),)),
    ]
    found = plan.plan(findings)
    assert (found.way, [each.fix.id for each in found.choices]) == ("tracefs", ["FS-002.mount"])


def test_commands_and_differences_are_shown_as_they_will_be(machine: Machine) -> None:
    lines = plan.shown(machine.fix("all"), Host())
    etc = machine.root / "etc"
    old = f"{etc}/sysctl.d/99-denet-tui-old.conf"
    at = lines.index(f"write  {old} (root, mode 0600)")
    assert lines[at + 1 : at + 6] == [f"--- {old}", f"+++ {old}", "@@ -1 +1 @@", "-old = 1", "+new = 2"]
    assert f"delete {etc}/leftover.rules" in lines
    assert f"set    {machine.root}/proc/value: 3 -> 2" in lines
    assert f"run    {machine.root}/bin/apt-get install -y bcc" in lines
    assert steps.steps_of(machine.fix("value")) == [steps.ValueStep(f"{machine.root}/proc/value", "2")]
