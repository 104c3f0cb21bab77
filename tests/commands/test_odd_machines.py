"""Machines that are odd in ways that real ones are: one true line, the right status, and no traceback."""

from __future__ import annotations

import os
import pty
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from denet_tui.checks.probe import BPF_FOLDER
from tests.real import DENET, NOTHING_COMPILED, REPOSITORY, environment

pytestmark = pytest.mark.root

KERNEL = f"{BPF_FOLDER}/kernel"


def on(script: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Denet-tui in a mount namespace of its own, after a script; the last word of the script may start it."""
    return subprocess.run(
        ["unshare", "--mount", "sh", "-c", f'umount -q -a -t tracefs; {script} exec "$@"', "sh", *DENET, *words],
        cwd=REPOSITORY, env=environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (["run", "--no-tui", "--", "true"], 125),
        (["selftest"], 125),
        (["machine", "--no-tui"], 125),
        ([], 125),
        (["diag"], 1),
        (["setup", "--plan"], 1),
        (["settings"], 0),
    ],
)
def test_without_proc(words: Sequence[str], status: int) -> None:
    done = on("mount -t tmpfs tmpfs /proc;", *words)
    assert done.returncode == status
    assert done.stderr == "" or done.stderr.endswith("as root: mount -t proc proc /proc\n")
    assert (done.stderr.count("\n"), done.stdout == "") == ((1, True) if status else (0, False))


@pytest.mark.parametrize(
    ("script", "says"),
    [
        ("sed -i /ARRAY_OF_MAPS.grace/d maps.c", " is damaged: it lacks a map"),
        ("rm program.c", "/program.c cannot be read (No such file or directory)"),
        ("rm lives.c", "/lives.c cannot be read (No such file or directory)"),
    ],
)
def test_our_own_program_is_not_whole(script: str, says: str) -> None:
    copy = f"mount -t tmpfs tmpfs /mnt; cp -r {KERNEL}/. /mnt; (cd /mnt; {script}); mount --bind /mnt {KERNEL};"
    done = on(copy, "run", "--no-tui", "--", "true")
    assert (done.returncode, done.stderr) == (125, f"denet-tui: {KERNEL}{says}; install denet-tui again\n")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("state", "says"),
    [
        ("mount -t tmpfs -o ro,mode=755 tmpfs /var/lib;", "Read-only file system; nothing"),
        (
            "mkdir -p /var/lib/denet-tui; mount -t tmpfs -o ro,mode=700 tmpfs /var/lib/denet-tui;",
            "Read-only file system",
        ),
        (
            "mount -t tmpfs -o size=4k,mode=755 tmpfs /var/lib; head -c 4096 /dev/zero > /var/lib/full;",
            "No space left on device; nothing was changed",
        ),
    ],
)
def test_a_state_disk_that_takes_nothing(state: str, says: str, proven: str) -> None:
    mounted = "grep -c ' - tracefs' /proc/self/mountinfo"
    done = on(
        f'{proven} {state} "$@"; echo "exit $?"; {mounted}; ls -A /var/lib/denet-tui;',
        *("setup", "--yes", "--only", "FS-001"),
    )
    line = next(line for line in done.stdout.splitlines() if "Read-only" in line or "No space" in line)
    assert says in line
    assert "symlink" not in line
    assert "exit 1\n0\n" in done.stdout, "nothing was mounted"
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.slow
def test_little_address_space_is_said_by_the_one_check_for_it() -> None:
    done = on("", "diag")
    limited = on(f"{NOTHING_COMPILED} ulimit -v {200 << 10};", "diag")
    assert limited.returncode == 1, limited.stderr
    assert "next    LIM-001: run `ulimit -v unlimited`" in limited.stdout
    blame = [line for line in limited.stdout.splitlines() if "(LIM-001)" in line]
    assert len(blame) <= 1, "bcc cannot be tried; all else was looked at"
    assert "not enough memory to look" not in limited.stdout
    assert done.stdout.count("pass  ") - limited.stdout.count("pass  ") <= 5


@pytest.mark.parametrize(
    ("term", "words"),
    [(None, ["run", "--", "true"]), ("", ["run", "--", "true"]), ("dumb", ["run", "--", "true"]), ("dumb", [])],
)
def test_a_terminal_that_draws_no_screen_gets_none(term: str | None, words: Sequence[str]) -> None:
    variables = {name: value for name, value in environment().items() if name != "TERM"}
    variables |= {} if term is None else {"TERM": term}
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(DENET[0], [*DENET, *words], variables)
    shown = b""
    with suppress(OSError):  # the end of a terminal
        while part := os.read(terminal, 65536):
            shown += part
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert b"\x1b" not in shown
    assert (b"TERM is not set" in shown) == bool(words)


def test_a_missing_interpreter_is_127_as_for_every_shell(tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text("#!/no/such/interpreter\n")
    script.chmod(0o755)
    expected = subprocess.run(["env", script], capture_output=True, timeout=10).returncode
    done = on("", "run", "--no-tui", "--", str(script))
    assert done.returncode == expected == 127
    assert "interpreter" in done.stderr
