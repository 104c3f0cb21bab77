"""Virtual machines: a stock Debian under qemu, on a kernel of one's choice, that makes states and says what it saw."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tests.lab.machines import CACHE, download, made

MAKE_VM = Path(__file__).with_name("make-vm.sh")
GUEST = Path(__file__).with_name("guest.py")
MEMBER = Path(__file__).with_name("member.py")
TYPIST = Path(__file__).with_name("typist.py")
REPOSITORY = Path(__file__).parents[2]
BOOT_S, STATE_S, TYPED_S = 900, 1500, 2 * 3600
"""At most, with everything emulated: 45 s and 30 to 180 s have been seen, many times that on a busy machine."""

# Emulated on a busy machine, everything takes ten times as long: only patience is changed.
_PATIENCE = """
sed -i 's/^SECONDS = 20.0/SECONDS = 300.0/' bpf/prober.py
sed -i 's/^SECONDS = 60.0/SECONDS = 700.0/' checks/probe.py
sed -i 's/timeout: float = 50.0/timeout: float = 300.0/' bpf/handover.py
sed -i 's/timeout: float = 55.0/timeout: float = 400.0/' helper/client.py
sed -i 's/^SECONDS = 60$/SECONDS = 300/' bpf/loader.py
sed -i 's/seconds: float = 5.0/seconds: float = 100.0/' checks/host.py
sed -i 's/seconds=20)/seconds=300)/' checks/toolchain.py
sed -i 's/timeout: float = 55.0/timeout: float = 300.0/; s/settimeout(20)/settimeout(300)/' bpf/unprivileged.py
sed -i 's/^PATIENCE_S = 5$/PATIENCE_S = 60/' bpf/loader.py
sed -i 's/^_TRY_S = 60.0/_TRY_S = 700.0/' checks/service.py
sed -i 's/^RuntimeMaxSec=60/RuntimeMaxSec=300/' checks/units/*.service
"""

# denet-tui as it is now takes the place of the one that the image was made with; its packages are the image's.
_STATES = """
exec > /mnt/log 2>&1 # not the console: getty hangs it up
cp -a /mnt/denet_tui/. /opt/denet-tui/lib/python3.11/site-packages/denet_tui/
install -m 755 /mnt/denet_tui/__main__.py /opt/denet-tui/bin/denet-tui
cd /opt/denet-tui/lib/python3.11/site-packages/denet_tui && sh /mnt/patience
cd / && python3 /mnt/guest.py
"""

# The wheels stand in for the network: pip takes them from the disk.
_TYPING = """
exec > /mnt/log 2>&1
printf '[global]\\nno-index = true\\nfind-links = /mnt/wheels\\n' > /etc/pip.conf
chown -R anna:anna /mnt/repository
systemctl stop sys-kernel-tracing.mount
python3 /mnt/typist.py
"""
_NEW = "rm -rf /opt/denet-tui /usr/local/bin/denet-tui\n"
"""Then it is a machine that has never had denet-tui."""
_WATCHDOG = "softlockup_panic=1 watchdog_thresh=60 no_timer_check"
"""A panic after two minutes (twice the threshold), and none where a busy machine keeps the clock from ticking."""

_QUICK = "mitigations=off"
"""What costs most of all where each jump is emulated, and is not looked at by whoever types."""


@dataclass(frozen=True)
class Case:
    """A state of a machine, how it is made, and what denet-tui must say of it."""

    name: str
    make: str = ""
    """A shell script; its exit status 9 says that this kernel cannot be brought into this state."""
    clean: str = ""
    who: str = ""
    """What `denet-tui diag` is started with; root itself where empty."""
    ready: tuple[str, ...] = ("raw", "tracefs")
    """The attach methods that must be ready; the others must not be."""
    fails: tuple[str, ...] = ()
    """Exactly these ids fail, and none crashes."""
    warns: tuple[str, ...] = ()
    """Exactly these ids warn."""
    fixes: tuple[str, ...] = ()
    """What `setup --only` is asked for."""
    when_fixed: dict[str, str] = field(default_factory=dict)
    """Name -> a script that is run while it is fixed."""
    mends: tuple[str, ...] = ()
    """The ids that must pass once it is fixed."""
    stays: tuple[str, ...] = ()
    """What no undo gives back, on purpose: beginnings of lines of guest.picture()."""
    also: dict[str, str] = field(default_factory=dict)
    """Name -> a script whose outcome a test looks at."""


@dataclass(frozen=True)
class Boot:
    """One boot: a kernel, what is on its command line, and the states that are made one after the other."""

    kernel: str
    cases: tuple[Case, ...]
    options: str = ""

    def __str__(self) -> str:
        return f"{self.kernel} {self.options}".strip()


def make(wheels: Path) -> Path:
    """The folder of the machines, from the cache or made now (about 4 minutes); raises CalledProcessError."""
    folder = CACHE / "vm"
    made(folder, MAKE_VM, folder, wheels)
    return folder


def missing() -> str:
    """Why no machine can be made or booted here; empty where they can."""
    if os.geteuid() != 0:
        return "making the images needs root: sudo make lab"
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    tools = [
        tool for tool in ("qemu-system-x86_64", "debootstrap", "mke2fs", "debugfs") if not shutil.which(tool, path=path)
    ]
    return f"{', '.join(tools)} not installed" if tools else ""


def wheels(folder: Path, wheel: Path) -> Path:
    """denet-tui and all that it depends on as wheels, for machines without a network."""
    download(folder, "3.11")
    shutil.copy(wheel, folder)
    return folder


def boot(machines: Path, wanted: Boot, folder: Path, seconds: int = STATE_S) -> dict[str, dict[str, Any]]:
    """Boot, let it go through its cases, and return what was seen in each, by name.

    `folder` is for the second disk and the console, `seconds` at most for each case. Whatever stays unsaid (a hang, a
    panic) is missing in the result.
    """
    inside = folder / "inside"
    shutil.copytree(REPOSITORY / "denet_tui", inside / "denet_tui", ignore=shutil.ignore_patterns("__pycache__"))
    for script in (GUEST, MEMBER):
        shutil.copy(script, inside)
    (inside / "states.json").write_text(json.dumps([asdict(case) for case in wanted.cases]))
    disk = _second_disk(inside, _STATES)
    machine = machines / wanted.kernel
    _run(machine, disk, wanted.options, BOOT_S + seconds * len(wanted.cases), machine / "disk.img")
    return {case.name: seen for case in wanted.cases if (seen := _read(disk, case.name))}


def typed(
    machine: Path, wheels: Path, keys: Sequence[dict[str, Any]], folder: Path, disk: Path | None = None
) -> dict[str, Any]:
    """Boot a machine with a clone of this repository at hand, and have an ordinary user type.

    One without denet-tui, which is gone afterwards; where `disk` is given, the one that is there, or is made and stays
    there. Returns what typist.py saw; raises AssertionError where it never came to its end.
    """
    inside = folder / "inside"
    # All but denet-tui itself, which is installed from the clone.
    shutil.copytree(wheels, inside / "wheels", ignore=shutil.ignore_patterns("denet_tui-*"))
    subprocess.run(["git", "clone", "--quiet", "--bare", REPOSITORY, inside / "repository"], check=True)
    shutil.copy(TYPIST, inside)
    (inside / "keys.json").write_text(json.dumps(keys))
    first, new = disk or machine / "disk.img", not (disk and disk.exists())
    if disk and new:
        subprocess.run(["cp", "--sparse=always", machine / "disk.img", disk], check=True)
    patience = _PATIENCE.replace("00", "000")  # a loader has been seen to take 400 s
    second = _second_disk(inside, _TYPING.replace("\n", f"\n{_NEW}", 1) if new else _TYPING, patience)
    _run(machine, second, _QUICK, BOOT_S + TYPED_S, first, keep=bool(disk and new), processors=2)
    seen = _read(second, "typed")
    assert seen, f"it never came to its end: see {folder}/console"
    return seen


def _run(
    machine: Path, disk: Path, options: str, seconds: float, first: Path, *, keep: bool = False, processors: int = 1
) -> None:
    """Boot it with these two disks until it powers off or the time is over; `keep` what it writes to the first."""
    command: list[str | Path] = [
        "qemu-system-x86_64",
        # Emulated: hardware help may be missing, or not work, where this is run. One processor where there are many
        # boots: of two, emulated on a busy machine, each has been seen to wait for the other for ever.
        *(
            "-accel",
            "tcg,thread=multi",
            "-smp",
            f"{processors}",
            "-m",
            "4096",
            "-nographic",
            "-no-reboot",
            "-nic",
            "none",
        ),
        *("-kernel", machine / "vmlinuz", "-initrd", machine / "initrd"),
        *("-drive", f"file={first},format=raw,if=virtio,snapshot={'off' if keep else 'on'},cache=unsafe"),
        *("-drive", f"file={disk},format=raw,if=virtio,cache=unsafe"),
        *("-append", f"root=/dev/vda rw console=ttyS0 quiet panic=-1 {_WATCHDOG} {options}"),
    ]
    with disk.with_name("console").open("wb") as console, suppress(subprocess.TimeoutExpired):
        subprocess.run(command, stdin=subprocess.DEVNULL, stdout=console, stderr=console, timeout=seconds, check=True)


def _second_disk(inside: Path, script: str, patience: str = _PATIENCE) -> Path:
    (inside / "out").mkdir()
    (inside / "run").write_text(script)
    (inside / "patience").write_text(patience)
    disk = inside.with_name("second.img")
    with disk.open("wb") as file:
        file.truncate(128 << 20)
    subprocess.run(["/usr/sbin/mke2fs", "-q", "-t", "ext4", "-d", inside, disk], check=True)
    return disk


def _read(disk: Path, name: str) -> dict[str, Any] | None:
    """What a machine wrote, read from its disk without mounting it."""
    read = subprocess.run(["/usr/sbin/debugfs", "-R", f"cat /out/{name}.json", disk], capture_output=True, check=True)
    seen: dict[str, Any] | None = json.loads(read.stdout) if read.stdout else None
    return seen
