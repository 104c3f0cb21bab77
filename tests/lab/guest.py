"""Runs inside a virtual machine: makes each state, asks denet-tui about it, lets it repair and undo, and notes all.

Standard library only. Reads states.json beside it and writes NAME.json for each state into `out` beside it.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import os
import re
import stat
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
LOOKED_AT = ("/etc", "/usr/bin", "/usr/sbin", "/usr/local", "/usr/lib/systemd", "/usr/lib/udev", "/usr/lib/sysctl.d")
_BACKUPS = {f"/etc/{name}-" for name in ("group", "gshadow", "passwd", "shadow", "subgid", "subuid")}
"""What the tools of passwd keep of the file before: rewritten by every change, the one that undoes included."""
_SYSCTLS = ("kernel", "net/core", "vm", "fs")
_MOVING = {"fs/dentry-state", "fs/file-nr", "fs/inode-nr", "fs/inode-state", "fs/aio-nr"}
_SHOWN = re.compile(r",(gid|mode)=\d+\b")
"""Once given, they are listed for ever, also where they say what is so without them; kernel_modes() says what is so."""
_UNITS = (
    *("sys-kernel-tracing.mount", "sys-kernel-debug.mount", "tracefs-permissions.service"),
    *("denet-tui-loader.socket", "denet_tui.slice"),
)


def files() -> Iterator[str]:
    """A line for each file: mode, owner, capabilities, and what is in it."""
    for top in LOOKED_AT:
        for folder, folders, names in os.walk(top):
            for path in sorted(f"{folder}/{name}" for name in (*folders, *names)):
                if path in _BACKUPS:
                    continue
                found = os.lstat(path)
                inside = ""
                if stat.S_ISLNK(found.st_mode):
                    inside = str(Path(path).readlink())
                elif stat.S_ISREG(found.st_mode) and top != "/usr/bin":
                    inside = hashlib.sha256(Path(path).read_bytes()).hexdigest()
                elif stat.S_ISREG(found.st_mode):
                    inside = f"{found.st_size} {found.st_mtime_ns}"
                yield f"{path} {found.st_mode:o} {found.st_uid}:{found.st_gid} {inside} {_capabilities(path)}"


def _capabilities(path: str) -> str:
    try:
        return os.getxattr(path, "security.capability", follow_symlinks=False).hex()
    except OSError:
        return ""


def mounts() -> Iterator[str]:
    """The mount table without the numbers, which count up for ever."""
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        yield _SHOWN.sub("", " ".join(line.split()[3:]))


def kernel_modes() -> list[str]:
    """Mode and owner of each file of tracefs, and of debugfs's root."""
    listed = subprocess.run(
        ["find", "/sys/kernel/tracing", "-printf", "%p %m %U:%G\n"], capture_output=True, text=True, check=False
    ).stdout.splitlines()
    # Looked at from above, so that nothing is mounted by looking.
    debugfs = Path("/sys/kernel/debug").stat()
    return [*listed, f"/sys/kernel/debug {debugfs.st_mode:o} {debugfs.st_uid}:{debugfs.st_gid}"]


def sysctls() -> Iterator[str]:
    for area in _SYSCTLS:
        for folder, _, names in os.walk(f"/proc/sys/{area}"):
            for path in (f"{folder}/{name}" for name in names):
                name = path.removeprefix("/proc/sys/")
                if name in _MOVING or "random" in name or name.startswith("kernel/ns_last_pid"):
                    continue
                try:
                    yield f"{name} = {Path(path).read_text(errors='replace').strip()}"
                except OSError:
                    continue


def units() -> Iterator[str]:
    """What systemd thinks of the units that take part."""
    for unit in _UNITS:
        shown = subprocess.run(
            ["systemctl", "show", "-p", "LoadState,ActiveState,UnitFileState,Options,DropInPaths", unit],
            capture_output=True,
            text=True,
            check=False,
        ).stdout
        yield f"{unit} {_SHOWN.sub('', ' '.join(shown.split()))}"


def picture() -> list[str]:
    """The machine, as far as denet-tui could change it."""
    parts: tuple[Callable[[], Any], ...] = (files, mounts, kernel_modes, sysctls, units)
    return [f"{part.__name__} {line}" for part in parts for line in sorted(part())]


def difference(before: list[str], after: list[str]) -> list[str]:
    lines = difflib.unified_diff(before, after, "before", "after", n=0, lineterm="")
    return [line for line in lines if not line.startswith(("@@", "---", "+++"))][:60]


def shell(script: str, timeout: float = 900) -> dict[str, Any]:
    """Run a script; how it ended, what it said, and how long it took."""
    started = time.monotonic()
    try:
        done = subprocess.run(
            ["sh", "-euc", script],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            cwd="/",
            check=False,
        )
        answer = {"status": done.returncode, "stdout": done.stdout, "stderr": done.stderr}
    except subprocess.TimeoutExpired as error:
        answer = {"status": -1, "stdout": str(error.stdout), "stderr": f"took more than {timeout} s: {error.stderr!r}"}
    return {**answer, "seconds": round(time.monotonic() - started, 1)}


def play(state: dict[str, Any]) -> dict[str, Any]:
    """One state from making to cleaning up."""
    seen: dict[str, Any] = {"make": shell(state["make"])}
    try:
        if seen["make"]["status"] == 0:
            seen["diag"] = shell(f"{state['who']} denet-tui diag --json")
            seen["also"] = {name: shell(script) for name, script in state["also"].items()}
            if state["fixes"]:
                seen |= repair(state)
    finally:
        seen["clean"] = shell(state["clean"])
    return seen


def repair(state: dict[str, Any]) -> dict[str, Any]:
    """Fix, ask for the fix once more (which looks at everything again), undo; and what differed after each."""
    setup = "denet-tui setup --json"
    only = " ".join(f"--only {each}" for each in state["fixes"])
    fix = f"{setup} --yes {only}"
    before = picture()
    seen: dict[str, Any] = {"fixed": shell(fix)}
    fixed = picture()
    seen["changed"] = difference(before, fixed)
    seen["again"] = shell(fix)
    seen["changed_again"] = difference(fixed, picture())
    seen["when_fixed"] = {name: shell(script) for name, script in state["when_fixed"].items()}
    seen["undo"] = shell(f"{setup} --undo")
    seen["left"] = difference(before, picture())
    return seen


def main() -> None:
    out = HERE / "out"
    out.mkdir(exist_ok=True)
    shell("denet-tui selftest || true")  # the very first time everything comes from the disk, which is emulated, too
    for state in json.loads((HERE / "states.json").read_text()):
        print(f"LAB {time.monotonic():.0f} {state['name']}", flush=True)
        try:
            seen = play(state)
        except Exception as error:  # noqa: BLE001 - the other states are wanted all the same
            seen = {"broken": f"{type(error).__name__}: {error}"}
        (out / f"{state['name']}.json").write_text(json.dumps(seen))
        os.sync()
    print(f"LAB {time.monotonic():.0f} done", flush=True)


if __name__ == "__main__":
    main()
