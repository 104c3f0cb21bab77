"""A folder that stands for a machine, which fixes are tried on."""

from __future__ import annotations

import os
import stat
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from denet_tui.checks.host import Host
from denet_tui.checks.model import Fix, RunCommand, SetValue, WriteFile
from denet_tui.repair import repair
from denet_tui.repair.repair import Repair, RepairError
from denet_tui.repair.steps import Settings

APT = """#!/bin/sh
# A package manager that is slow and keeps its list in a file: NAME STATUS.
list="${0%/*}/../packages"
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
list="${0%/*}/../packages"
[ "$1" != --configure ] || exec sed -i "s/ half-installed$/ installed/" "$list"
shift
for name; do sed -i "/^$name /d" "$list"; done
"""
QUERY = '#!/bin/sh\nwhile read -r line; do echo "$line"; done < "${0%/*}/../packages"\n'
"""Without cat, which would be another process, thousands of times."""
GROUPADD = '#!/bin/sh\necho "$2:x:990:" >> "${0%/*}/../etc/group"\n'
GROUPDEL = '#!/bin/sh\nsed -i "/^$1:/d" "${0%/*}/../etc/group"\n'
SYSTEMCTL = """#!/bin/sh
# A service manager with one unit, which knows its files as they were when it read them last.
root="${0%/*}/.."
case $1 in
is-*) read -r word < "$root/unit/$1" && echo "$word" ;;
daemon-reload) cat "$root"/etc/systemd/x.mount.d/* > "$root/unit/read" 2> /dev/null || : > "$root/unit/read" ;;
start) echo active > "$root/unit/is-active" ;;
stop) echo inactive > "$root/unit/is-active" ;;
mask) echo masked > "$root/unit/is-enabled" ;;
unmask) echo static > "$root/unit/is-enabled" ;;
esac
"""
PROGRAMS = {
    "apt-get": APT,
    "dpkg": DPKG,
    "dpkg-query": QUERY,
    "groupadd": GROUPADD,
    "groupdel": GROUPDEL,
    "systemctl": SYSTEMCTL,
}


class Inside(Host):
    """The real machine, but for the groups, which are those of a folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def read(self, path: str) -> str:
        return super().read(f"{self.root}{path}" if path == "/etc/group" else path)


CARRIED = bytes.fromhex("0100000200200000000000000000000000000000")
"""CAP_NET_RAW, permitted and effective."""


class Machine:
    """A folder that stands for a machine.

    It has /etc, a value of the kernel, a package manager, a service manager, groups, an interpreter that carries
    capabilities, and a place to mount on.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        for name in ("etc/sysctl.d", "etc/systemd", "proc", "bin", "var/lib", "mnt", "unit"):
            (root / name).mkdir(parents=True)
        (root / "proc/value").write_text("3\n")
        (root / "etc/sysctl.d/99-denet-tui-old.conf").write_text("old = 1\n")
        (root / "etc/sysctl.d/99-denet-tui-old.conf").chmod(0o640)
        (root / "etc/leftover.rules").write_text("SUBSYSTEM==x\n")
        (root / "packages").write_text("base:amd64 installed\n")
        (root / "etc/group").write_text("root:x:0:\n")
        for name, text in (("is-enabled", "masked\n"), ("is-active", "inactive\n"), ("read", "")):
            (root / "unit" / name).write_text(text)
        (root / "interpreter").write_text("#!/bin/true\n")
        os.setxattr(root / "interpreter", "security.capability", CARRIED)
        for name, text in PROGRAMS.items():
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
        etc, programs = f"{self.root}/etc", f"{self.root}/bin"
        apt = f"{programs}/apt-get"
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
            "group": (
                RunCommand((f"{programs}/groupadd", "--system", "trace"), undo=(f"{programs}/groupdel", "trace")),
            ),
            "unit": (
                WriteFile(f"{etc}/systemd/x.mount.d/50-denet-tui.conf", "[Mount]\n"),
                RunCommand((f"{programs}/systemctl", "daemon-reload")),
                *(
                    RunCommand(
                        (f"{programs}/systemctl", do, "x.mount"), undo=(f"{programs}/systemctl", back, "x.mount")
                    )
                    for do, back in (("unmask", "mask"), ("start", "stop"))
                ),
            ),
            "capabilities": (
                RunCommand(
                    ("/usr/sbin/setcap", "-r", f"{self.root}/interpreter"),
                    undo=("/usr/sbin/setcap", "cap_net_raw=ep", f"{self.root}/interpreter"),
                ),
            ),
            "packages": (RunCommand((apt, "install", "-y", "bcc"), undo=(apt, "purge", "-y", "bcc")),),
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
                carried = {name: os.getxattr(path, name, follow_symlinks=False) for name in _attributes(path)}
                found[path] = (stat.filemode(seen.st_mode), seen.st_uid, seen.st_gid, content, carried)
        lines = Path("/proc/self/mountinfo").read_text().splitlines()
        return found | {"mounts": sorted(line for line in lines if str(self.root) in line)}

    def repair(self, say: Callable[[str], None] = lambda line: None, **named: Any) -> Repair:
        return Repair(Inside(self.root), say, settings=self.settings, **named)


def _attributes(path: str) -> list[str]:
    return [name for name in os.listxattr(path, follow_symlinks=False) if name == "security.capability"]


KINDS = ("file", "value", "packages", "mount", "group", "unit", "capabilities", "all")


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
