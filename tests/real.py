"""denet-tui and strace run for real on the same command, and what they counted in a form that can be compared."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from denet_tui.bpf import privilege
from denet_tui.bpf.tracer import Tracer
from denet_tui.watch.caller import environment_of

DENET = (sys.executable, "-IB", "-m", "denet_tui")
REPOSITORY = Path(__file__).parents[1]

SHIFTING = {"futex", "wait4", "poll", "restart_syscall"}
"""Calls whose number depends on timing, whoever watches."""

WITH_TRACEFS = """
mountpoint -q /sys/kernel/tracing || mount -t tracefs tracefs /sys/kernel/tracing || exit 99
exec "$@"
"""
"""Run by `unshare --mount sh -c`: the mount is gone with its last process."""

NOTHING_COMPILED = "mount -t tmpfs tmpfs /var/cache;"
"""In a script for a mount namespace: the program has to be compiled there."""


@contextmanager
def tracefs_held(how: int) -> Iterator[None]:
    """All mounts of tracefs show the same: LOCK_EX for who changes owners and modes there, LOCK_SH to count on them."""
    with Path(tempfile.gettempdir(), f"denet-tui-tests-tracefs-{os.geteuid()}").open("w") as file:
        fcntl.flock(file, how)
        yield


def methods() -> list[str]:
    """Both attach methods, for parametrize."""
    return ["raw", "tracefs"]


def denet(*arguments: str, method: str = "raw") -> list[str]:
    """An argv for denet-tui; with tracefs mounted, for it alone, where that way needs it."""
    name, *rest = arguments
    argv = [*DENET, name, "--attach-method", method, *rest]
    return ["unshare", "--mount", "sh", "-c", WITH_TRACEFS, "sh", *argv] if method == "tracefs" else argv


def environment() -> dict[str, str]:
    """For denet-tui: root is who asks, even where these tests run under sudo."""
    asked = ("SUDO_", "DOAS_", "PKEXEC_")
    if b"\0LC_CTYPE=" not in b"\0" + Path("/proc/self/environ").read_bytes():
        asked += ("LC_CTYPE",)  # Python set it for itself, in the C locale (PEP 538); strace's side has not got it
    return {name: value for name, value in os.environ.items() if not name.startswith(asked)}


def run(argv: Sequence[str], timeout: float = 60) -> subprocess.CompletedProcess[str]:
    """Run to its end, without a terminal."""
    return subprocess.run(
        argv,
        env=environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=timeout,
        cwd=REPOSITORY,
    )


@dataclass
class Counts:
    """What somebody counted: per process calls and errors by syscall, in all errors by (syscall, errno)."""

    processes: list[Counter[str]] = field(default_factory=list)
    errors: list[Counter[str]] = field(default_factory=list)
    errnos: Counter[tuple[str, str]] = field(default_factory=Counter)
    status: int = 0
    pids: list[int] = field(default_factory=list)
    """Of strace's processes, in the order of their first calls."""

    @property
    def total(self) -> Counter[str]:
        """Calls by syscall over all processes."""
        return sum(self.processes, Counter[str]())

    def without(self, names: set[str]) -> Counts:
        """The same, with some syscalls left out; processes in an order that does not depend on their ids."""
        return Counts(
            sorted_counters(Counter({n: c for n, c in each.items() if n not in names}) for each in self.processes),
            sorted_counters(Counter({n: c for n, c in each.items() if n not in names}) for each in self.errors),
            Counter({key: count for key, count in self.errnos.items() if key[0] not in names}),
            self.status,
        )


def sorted_counters(counters: Any) -> list[Counter[str]]:
    """Counters in one order, whatever order they came in."""
    return sorted(counters, key=lambda each: sorted(each.items()))


def run_summary(argv: Sequence[str], folder: Path, *options: str, method: str = "raw") -> tuple[int, dict[str, Any]]:
    """Watch a command with `run --no-tui`; denet-tui's status, and the summary."""
    path = folder / f"summary-{method}.json"
    done = run(denet("run", "--no-tui", "--summary", str(path), *options, "--", *argv, method=method))
    assert path.exists(), done.stderr
    return done.returncode, json.loads(path.read_text())


def watched(argv: Sequence[str], folder: Path, *options: str, method: str = "raw") -> tuple[Counts, dict[str, Any]]:
    """Watch a command with `run --no-tui`; its counts with ABI prefixes off (strace has none), and the summary."""
    status, summary = run_summary(argv, folder, *options, method=method)
    counts = Counts(status=status)
    for process in summary["processes"]:
        counts.processes.append(Counter())
        counts.errors.append(Counter())
        for name, row in process["syscalls"].items():
            counts.processes[-1][plain(name)] += row["calls"]
            if row["errors"]:
                counts.errors[-1][plain(name)] += row["errors"]
    for name, row in summary["syscalls"].items():
        for errno, count in row["errnos"].items():
            counts.errnos[plain(name), errno] += count
    return counts, summary


def totals(summary: dict[str, Any], what: str = "calls") -> Counter[str]:
    """One number of every syscall of a summary, by its whole name; zeros left out."""
    return Counter({name: row[what] for name, row in summary["syscalls"].items() if row[what]})


def vouched(summary: dict[str, Any], method: str) -> bool:
    """Whether nothing is missing; by tracefs tracepoints nobody can tell whether the kernel skipped calls."""
    missing = [name for name, count in summary["lost"].items() if count]
    return (
        not missing
        and summary["exact"] is (method == "raw")
        and (summary["lost"]["missed"] is None) is (method != "raw")
    )


def plain(name: str) -> str:
    """A syscall's name without its ABI."""
    return name.rpartition(":")[2]


def inside(what: str, *argv: str, within: Sequence[str] = ()) -> dict[str, Any]:
    """What `tests.bpf.inside` finds, run as a process of its own."""
    done = subprocess.run(
        [*within, sys.executable, "-m", "tests.bpf.inside", what, *argv],
        env=environment(),
        cwd=REPOSITORY,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


_START = re.compile(r"(\w+)\(")
_ERROR = re.compile(r"\) += -1 (E[A-Z0-9]+) \(.*\)$")
_RESULT = re.compile(r"\) += (\d+)$")
_RESUMED = re.compile(r"<\.\.\. (\w+) resumed>")
_SUPERSEDED = re.compile(r"\+\+\+ superseded by execve in pid (\d+) \+\+\+")


class _Log:
    """Reads the lines of `strace -f -o`: a call is counted where its line starts, in the process of its thread."""

    def __init__(self) -> None:
        self.calls: dict[int, Counter[str]] = {}
        self.errors: dict[int, Counter[str]] = {}
        self.errnos: Counter[tuple[str, str]] = Counter()
        self._creator: dict[int, int] = {}
        self._begun: dict[int, tuple[str, str]] = {}

    def line(self, text: str) -> None:
        tid_text, _, rest = text.partition(" ")
        tid, rest = int(tid_text), rest.lstrip()
        if resumed := _RESUMED.match(rest):
            name, head = self._begun.pop(tid, (_named(resumed[1]), ""))
            self._end(tid, name, head + rest)
        elif superseded := _SUPERSEDED.match(rest):
            # The thread that called execve goes on under the leader's id, in the same process.
            self._begun[tid] = self._begun.pop(int(superseded[1]))
        elif start := _START.match(rest):
            name = _named(start[1])
            self.calls.setdefault(tid, Counter())[name] += 1
            if rest.endswith("<unfinished ...>"):
                self._begun[tid] = (name, rest)
            else:
                self._end(tid, name, rest)

    def _end(self, tid: int, name: str, text: str) -> None:
        if error := _ERROR.search(text):
            self.errors.setdefault(tid, Counter())[name] += 1
            self.errnos[name, error[1]] += 1
        elif name in ("clone", "clone3") and "CLONE_THREAD" in text and (result := _RESULT.search(text)):
            self._creator[int(result[1])] = tid

    def process_of(self, tid: int) -> int:
        """Threads may log before the clone that made them has returned: so this is asked at the end."""
        while tid in self._creator:
            tid = self._creator[tid]
        return tid


def run_held(tracer: Tracer, *argv: str) -> int:
    """Run a program to its end as the command that a tracer holds until its execve; its process id."""
    waiting, go = os.pipe()
    child = os.fork()
    if child == 0:
        os.read(waiting, 1)
        os.execv(argv[0], argv)
    tracer.hold(child)
    os.write(go, b"g")
    os.waitpid(child, 0)
    os.close(waiting)
    os.close(go)
    return child


def _named(name: str) -> str:
    """Strace's name of a syscall as ours: unknown ones by their signed number."""
    if not name.startswith("syscall_0x"):
        return name
    number = int(name[10:], 16)
    return f"syscall_{number - (1 << 64) if number >> 63 else number}"


def straced(argv: Sequence[str], folder: Path) -> Counts:
    """What `strace -f` logs of a command."""
    if not shutil.which("strace"):
        pytest.skip("needs strace, which this is compared with")
    path = folder / "strace.log"
    root = privilege.find_user("0")
    done = subprocess.run(
        ["strace", "-f", "-qq", "-e", "signal=none", "-o", path, *argv],
        env=environment_of(root, root),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        cwd=REPOSITORY,
        timeout=60,
    )
    log = _Log()
    for line in path.read_text(errors="replace").splitlines():
        log.line(line)
    calls: dict[int, Counter[str]] = {}
    errors: dict[int, Counter[str]] = {}
    for tid, counter in log.calls.items():
        calls.setdefault(log.process_of(tid), Counter()).update(counter)
        errors.setdefault(log.process_of(tid), Counter()).update(log.errors.get(tid, {}))
    return Counts(list(calls.values()), list(errors.values()), log.errnos, done.returncode, list(calls))
