"""denet-tui started from outside, as root or as a real user, and what /proc and the kernel say about it."""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import select
import shlex
import shutil
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from denet_tui.bpf import maps
from denet_tui.counts import Counts
from denet_tui.model import Counters, Syscall
from tests.real import environment

_SCRIPT = Path(sys.executable).with_name("denet-tui")
DENET = [sys.executable, "-IB", *([str(_SCRIPT)] if _SCRIPT.exists() else ["-m", "denet_tui"])]
"""As it starts over: test_isolated.py and others start it as it is called, which takes a tenth of a start more."""
PATIENCE = 60.0
"""Seconds until something that must happen is given up on: other tests may keep this machine busy."""


def run(*words: str, timeout: float = 60, **options: object) -> subprocess.CompletedProcess[str]:
    """Run a program to its end, without a terminal; root is who asks."""
    settings = {"env": environment(), "stdin": subprocess.DEVNULL, "capture_output": True} | options
    return subprocess.run(words, text=True, errors="surrogateescape", timeout=timeout, **settings)  # type: ignore[call-overload,no-any-return]


def denet(*words: str, **options: object) -> subprocess.CompletedProcess[str]:
    """Run denet-tui to its end."""
    return run(*DENET, *words, **options)  # type: ignore[arg-type]


def eventually(condition: Callable[[], object], what: str, seconds: float = PATIENCE) -> None:
    """Look until it is so; the test fails where it does not become so."""
    deadline, pause = time.monotonic() + seconds, 0.02
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"still not so after {seconds:.0f} s: {what}")
        time.sleep(pause)
        pause = min(pause * 1.3, 0.1)  # a look at a terminal costs 5 ms of the time that is waited for


def text_of(path: Path) -> str:
    """What a file holds so far; empty where it is not there yet."""
    try:
        return path.read_text(errors="surrogateescape")
    except OSError:
        return ""


def alive(pid: int) -> bool:
    """True for a process that has not ended (a zombie has)."""
    state = re.search(r"^State:\s*(\w)", text_of(Path(f"/proc/{pid}/status")), re.MULTILINE)
    return bool(state) and state[1] not in "ZX"  # type: ignore[index]


def status(pid: int | str = "self") -> dict[str, str]:
    """/proc/PID/status as a dict."""
    lines = text_of(Path(f"/proc/{pid}/status")).splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def children(pid: int) -> list[int]:
    """All living descendants of a process, parents first."""
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, text_of(task).split()):
            found += [child, *children(child)]
    return found


def command_line(pid: int) -> list[str]:
    return text_of(Path(f"/proc/{pid}/cmdline")).split("\0")[:-1]


def denets(top: int) -> list[int]:
    """The processes of denet-tui itself at and below a process: denet-tui, its supervisor, its loader."""
    family = [top, *children(top)]
    return [pid for pid in family if "python" in "".join(command_line(pid)[:1]) and _of_denet(pid)]


def _of_denet(pid: int) -> bool:
    return any("denet" in word for word in command_line(pid)[1:5])


def descriptors(pid: int) -> dict[int, str]:
    """What each descriptor of a process is."""
    found = {}
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            found[int(entry.name)] = str(entry.readlink())
    return found


_NEXT_ID, _FD_BY_ID = 11, 13


def programs() -> set[int]:
    """Ids of all BPF programs on this machine that have the names of ours."""
    found, last = set(), 0
    while True:
        asked = ctypes.create_string_buffer(struct.pack("<III", last, 0, 0), 12)
        try:
            maps.bpf(_NEXT_ID, asked)
        except OSError:
            return found
        last = struct.unpack_from("<I", asked.raw, 4)[0]
        with contextlib.suppress(OSError):  # it may just have gone
            if _name_of(last).startswith("on_"):
                found.add(last)


def _name_of(program: int) -> str:
    descriptor = maps.bpf(_FD_BY_ID, struct.pack("<III", program, 0, 0))
    try:
        info = ctypes.create_string_buffer(128)
        maps.bpf(maps.OBJECT_INFO, struct.pack("<IIQ", descriptor, len(info), ctypes.addressof(info)))
        return info.raw[64:80].split(b"\0")[0].decode()
    finally:
        os.close(descriptor)


def held_programs() -> set[int]:
    """Ids of the BPF programs that some process has open."""
    found: set[int] = set()
    for folder in Path("/proc").glob("[0-9]*/fdinfo"):
        with contextlib.suppress(OSError):  # the process has just ended
            for path in folder.iterdir():
                found.update(int(number) for number in re.findall(r"^prog_id:\s*(\d+)", text_of(path), re.MULTILINE))
    return found


_ATTACHED = re.compile(rb"^%session-changed .*\n", re.MULTILINE)
_ANSWER = re.compile(rb"^%begin \d+ (\d+) 1\n(.*?)^%(end|error) \d+ \1 1\n", re.DOTALL | re.MULTILINE)


class Tmux:
    """A terminal of its own, on a private socket, with a shell in it."""

    def __init__(self, folder: Path, columns: int = 120, rows: int = 40) -> None:
        if not shutil.which("tmux"):
            pytest.skip("needs tmux: a terminal to look at")
        base = ["tmux", "-f", "/dev/null", "-S", str(folder / "tmux")]
        env = environment()
        env.pop("TMUX", None)
        size = ["-x", str(columns), "-y", str(rows)]
        shell = ["env", "PS1=$ ", "TERM=screen-256color", "bash", "--norc", "--noprofile"]
        subprocess.run([*base, "new-session", "-d", *size, "-c", str(folder), *shell], env=env, check=True, timeout=30)
        # One client that is told what to do: another one for each look at the screen would cost ten times as much.
        self._client = subprocess.Popen(
            [*base, "-C", "attach", "-f", "no-output"],
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self._told(_ATTACHED)
        eventually(lambda: "$" in self.screen(), "the shell's prompt")
        self.shell = int(self._call("display", "-p", "#{pane_pid}"))

    def type(self, *keys: str) -> None:
        """Keys as tmux names them: text, `Enter`, `C-c`."""
        self._call("send-keys", *keys)

    def line(self, text: str) -> None:
        """A line for the shell."""
        self._call("send-keys", "-l", text)
        self.type("Enter")

    def paste(self, file: Path) -> None:
        """What is in the file, as a terminal pastes it."""
        self._call("load-buffer", str(file))
        self._call("paste-buffer", "-p")

    def screen(self) -> str:
        """What is seen."""
        return self._call("capture-pane", "-p")

    def history(self) -> str:
        """Everything, with what has scrolled away."""
        return self._call("capture-pane", "-p", "-J", "-S", "-")

    def coloured(self) -> str:
        """What is seen, with its control sequences for colours."""
        return self._call("capture-pane", "-p", "-e")

    def flag(self, name: str) -> str:
        """A format of tmux: `alternate_on`, `cursor_flag`."""
        return self._call("display", "-p", f"#{{{name}}}").strip()

    def resize(self, columns: int, rows: int) -> None:
        self._call("resize-window", "-x", str(columns), "-y", str(rows))

    def close(self) -> None:
        with contextlib.suppress(OSError):  # it may have ended by itself
            self._call("kill-server")
        self._client.communicate(timeout=30)

    def _call(self, *words: str) -> str:
        """What a command of tmux prints (man 1 tmux, CONTROL MODE); raises OSError where it fails or tmux has ended."""
        assert self._client.stdin is not None
        line = shlex.join(words).replace("\n", "'\"\\n\"'")  # of words in single quotes, as all with one are
        self._client.stdin.write(line.encode() + b"\n")
        self._client.stdin.flush()
        answer = self._told(_ANSWER)
        text = answer[2].decode()
        if answer[3] == b"error":
            raise OSError(f"{words}: {text}")
        return text

    def _told(self, wanted: re.Pattern[bytes]) -> re.Match[bytes]:
        """The next of these that tmux says; raises OSError where it has ended."""
        assert self._client.stdout is not None
        said, stream = b"", self._client.stdout.fileno()
        while not (found := wanted.search(said)):
            assert select.select([stream], [], [], PATIENCE)[0], "tmux does not answer"
            if not (more := os.read(stream, 1 << 16)):
                raise OSError("tmux has ended")
            said += more
        return found


@contextlib.contextmanager
def tmux(folder: Path, columns: int = 120, rows: int = 40) -> Iterator[Tmux]:
    """A terminal that is gone afterwards, with everything in it."""
    terminal = Tmux(folder, columns, rows)
    try:
        yield terminal
    finally:
        terminal.close()


def started(*words: str, env: Mapping[str, str] | None = None, **options: object) -> subprocess.Popen[bytes]:
    """Start denet-tui, without a terminal, and do not wait."""
    settings = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL} | options
    return subprocess.Popen([*DENET, *words], env=env or environment(), **settings)  # type: ignore[call-overload,no-any-return]


def rows_of(counted: Mapping[Syscall, Counters]) -> Counts:
    """Counters by syscall as a reading has them."""
    return Counts(list(counted), [each[0] for each in counted.values()], [each.max_ns for each in counted.values()])


def complaint(done: subprocess.CompletedProcess[str], status: int = 125) -> str:
    """The one line, after a look at all the rest."""
    assert done.returncode == status, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    assert done.stderr.startswith("denet-tui: ")
    assert not done.stdout
    return done.stderr.removeprefix("denet-tui: ").strip()
