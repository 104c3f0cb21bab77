"""A folder that stands for a machine, which fixes are tried on."""

from __future__ import annotations

import os
import stat
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from denet_tui.checks import repair
from denet_tui.checks.host import Host
from denet_tui.checks.model import Fix, RunCommand, SetValue, WriteFile
from denet_tui.checks.repair import Repair, RepairError
from denet_tui.checks.steps import Settings

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
