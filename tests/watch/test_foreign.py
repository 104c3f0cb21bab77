"""A command of another user than whose terminal this is has a session of its own, and little of what is the caller's.

The attack is mounted for real: the command types into every terminal that it can reach (TIOCSTI), and what the shell
there then runs is looked at. Where the kernel refuses TIOCSTI altogether (dev.tty.legacy_tiocsti 0), session, terminal
and descriptors still tell.
"""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from denet_tui.syscalls import numbers
from denet_tui.watch.passed import PASSED
from tests.person import Person
from tests.real import REPOSITORY, environment
from tests.watch.helpers import (
    DENET,
    Tmux,
    command_line,
    denet,
    denets,
    descriptors,
    eventually,
    run,
    status,
    text_of,
    tmux,
)
from tests.watch.test_privilege import AMBIENT

pytestmark = pytest.mark.root

ATTACK = """
import fcntl, json, os, sys
where, line = sys.argv[1:]
with open("/proc/self/stat") as stat:
    fields = stat.read().rpartition(")")[2].split()
seen = {"session": int(fields[3]), "terminal": int(fields[4]), "files": []}
numbers = sorted(map(int, os.listdir("/proc/self/fd")))
try:
    numbers.append(os.open("/dev/tty", os.O_RDWR))
except OSError:
    pass
for number in numbers:
    try:
        seen["files"].append(os.readlink(f"/proc/self/fd/{number}"))
        for character in line.encode() + b"\\n":
            fcntl.ioctl(number, 0x5412, bytes([character]))
    except OSError:
        pass
with open(where, "w") as file:
    json.dump(seen, file)
"""
"""Types `line` into every terminal that it has or can open (0x5412 is TIOCSTI), and writes down where it is."""


def terminal_of(pid: int) -> tuple[int, int]:
    """(session, number of the controlling terminal) of a process (man 5 proc_pid_stat)."""
    fields = text_of(Path(f"/proc/{pid}/stat")).rpartition(")")[2].split()
    return int(fields[3]), int(fields[4])


class Attack:
    """A program of the person's that tries to have the shell on a terminal make a file that the person cannot make."""

    def __init__(self, person: Person, folder: Path) -> None:
        self._folder = folder
        self._program, self._seen = person.home / "attack.py", person.home / "seen"
        self._program.write_text(ATTACK)
        self._seen.unlink(missing_ok=True)
        self.words = shlex.join([sys.executable, str(self._program), str(self._seen), f"touch {folder}/typed"])

    def works(self, terminal: Tmux, line: str, *, screen: bool = False) -> bool:
        """Whether the shell on the terminal has run what was typed by the attack in `line`."""
        terminal.line(f"{line}; echo > {self._folder}/over")
        if screen:
            eventually(lambda: "exited 0" in terminal.screen(), "the screen says that the command has ended")
            terminal.type("q")
        eventually((self._folder / "over").exists, "the line has ended")
        assert self._seen.exists(), "it was not tried"
        terminal.line(f" echo > {self._folder}/answer")  # the shell reads this after what was typed before
        eventually((self._folder / "answer").exists, "the shell answers")
        return (self._folder / "typed").exists()

    def check_place(self, shell: int) -> None:
        """It was in another session than the shell, on another terminal, with no descriptor of that one."""
        seen: dict[str, Any] = json.loads(text_of(self._seen))
        session, number = terminal_of(shell)
        assert number
        assert seen["session"] != session
        assert seen["terminal"] != number
        assert str(Path(f"/proc/{shell}/fd/0").readlink()) not in seen["files"]


@pytest.fixture
def root_shell(tmp_path: Path, person: Person) -> Iterator[Tmux]:
    """Root's shell on a terminal, in a folder where the person may look around."""
    with tmux(tmp_path) as terminal:
        terminal.line(f"cd {person.home}")
        yield terminal


def as_person(person: Person) -> str:
    return f"{' '.join(DENET)} run --user {person.name}"


def test_the_attack_works_where_nothing_is_in_its_way(person: Person, root_shell: Tmux, tmp_path: Path) -> None:
    if text_of(Path("/proc/sys/dev/tty/legacy_tiocsti")).strip() == "0":
        pytest.skip("the kernel refuses TIOCSTI (dev.tty.legacy_tiocsti is 0)")
    attack = Attack(person, tmp_path)
    assert attack.works(root_shell, f"setpriv --reuid={person.uid} --clear-groups {attack.words}")


@pytest.mark.parametrize(
    "how",
    [
        "{denet} --no-tui -- {attack}",
        "{denet} --no-tui -- {attack} 3<>$(tty)",
        "{denet} --no-tui -- {attack} < /dev/null > /dev/null 2>&1",
        "{denet} --no-tui -- {attack} | cat",
        "{denet} --no-tui -- {attack} & wait",
        "{denet} --no-tui --output {folder}/out -- {attack}",
        "{denet} --json -- {attack} > {folder}/json",
        "{denet} -- {attack}",
        "{denet} -- {attack} 3<>$(tty)",
    ],
)
def test_a_command_of_somebody_else_cannot_type_into_roots_shell(
    person: Person, root_shell: Tmux, tmp_path: Path, how: str
) -> None:
    attack = Attack(person, tmp_path)
    line = how.format(denet=as_person(person), attack=attack.words, folder=tmp_path)
    assert not attack.works(root_shell, line, screen=how.startswith("{denet} -- "))
    attack.check_place(root_shell.shell)


def test_capabilities_alone_do_not_give_roots_terminal_away(person: Person, root_shell: Tmux, tmp_path: Path) -> None:
    attack = Attack(person, tmp_path)
    become = shlex.join(["setpriv", f"--reuid={person.uid}", f"--regid={person.gid}", "--init-groups", *AMBIENT])
    assert not attack.works(root_shell, f"{become} {' '.join(DENET)} run --no-tui -- {attack.words}")
    attack.check_place(root_shell.shell)


@pytest.mark.parametrize("command", ["sudo -n bash --norc", "sudo -n su"])
def test_a_root_shell_within_sudo_is_not_typed_into_by_who_asked(
    person: Person, tmp_path: Path, root_shell: Tmux, command: str
) -> None:
    """There SUDO_UID still names the person, and so the command is theirs; the shell is root's."""
    attack = Attack(person, tmp_path)
    root_shell.line(f"exec {shlex.join(person.argv('exec bash --norc'))}")
    root_shell.line(command)
    root_shell.line(f"export TOKEN=secret; echo $$ > {tmp_path}/shell")
    eventually(lambda: text_of(tmp_path / "shell").strip(), "a root shell")
    assert not attack.works(root_shell, f"{' '.join(DENET)} run --no-tui -- {attack.words}")
    attack.check_place(int(text_of(tmp_path / "shell")))
    root_shell.line(f"{' '.join(DENET)} run --no-tui -- env | tee {tmp_path}/env | wc -l")
    eventually(lambda: "HOME=" in text_of(tmp_path / "env"), "the environment is shown")
    assert f"HOME={person.home}\n" in text_of(tmp_path / "env")
    assert "TOKEN" not in text_of(tmp_path / "env")


def test_under_sudo_the_command_stays_on_the_terminal_of_who_asked(person: Person, root_shell: Tmux) -> None:
    mark = person.home / "place"
    root_shell.line(f"exec {shlex.join(person.argv('exec bash --norc'))}")
    root_shell.line(f"sudo -n {' '.join(DENET)} run --no-tui -- sh -c 'echo $$ > {mark}; exec sleep 100'")
    eventually(lambda: text_of(mark).strip(), "the command runs")
    ours = denets(root_shell.shell)
    assert len(ours) == 2
    assert {terminal_of(pid) for pid in ours} == {terminal_of(int(text_of(mark)))}
    root_shell.type("C-c")
    eventually(lambda: "killed by SIGINT" in root_shell.screen(), "ctrl+c has ended it")


def check_processes(person: Person, shell: int, command: int) -> None:
    """Command and supervisor are the person's, in another session than the shell, with nothing of its terminal."""
    eventually(lambda: command_line(command)[:1] == ["sleep"], "the script has become sleep")
    _, supervisor = denets(shell)
    assert terminal_of(command)[1]
    for pid in (supervisor, command):
        assert status(pid)["Uid"].split() == [str(person.uid)] * 4
        assert not set(terminal_of(shell)) & set(terminal_of(pid))
        assert descriptors(shell)[0] not in descriptors(pid).values()
    assert set(descriptors(command)) == {0, 1, 2}


def test_neither_the_command_nor_its_supervisor_is_in_roots_session(person: Person, root_shell: Tmux) -> None:
    mark = person.home / "own-session"
    root_shell.line(f"{as_person(person)} --no-tui -- sh -c 'echo $$ > {mark}; exec sleep 100'")
    eventually(lambda: text_of(mark).strip(), "the command runs")
    check_processes(person, root_shell.shell, int(text_of(mark)))


def test_nor_on_the_screen_also_when_it_runs_again(person: Person, root_shell: Tmux) -> None:
    mark = person.home / "own-screen"
    root_shell.line(f"{as_person(person)} -- sh -c 'echo $$ > {mark}; exec sleep 100'")
    eventually(lambda: text_of(mark).strip(), "the command runs")
    check_processes(person, root_shell.shell, int(text_of(mark)))
    mark.unlink()
    root_shell.type("R")
    eventually(lambda: "still running" in root_shell.screen(), "whether it is to be ended is asked")
    root_shell.type("e")
    eventually(lambda: text_of(mark).strip(), "it runs again")
    check_processes(person, root_shell.shell, int(text_of(mark)))


KEYS = """
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
add_key, keyctl = map(int, sys.argv[1:3])
SESSION, JOIN, SEARCH = -3, 1, 10
if os.getuid() == 0:
    if libc.syscall(keyctl, JOIN, None) < 0 or libc.syscall(add_key, b"user", b"roots", b"secret", 6, SESSION) < 0:
        sys.exit(99)
    os.execvp(sys.argv[3], sys.argv[3:])
print("found" if libc.syscall(keyctl, SEARCH, SESSION, b"user", b"roots", 0) > 0 else "not found")
"""
"""As root: puts a key into a session keyring and goes on as the rest of its words; as another user: looks for it."""


def test_keys_of_roots_session_are_not_the_commands(person: Person) -> None:
    program = person.home / "keys.py"
    program.write_text(KEYS)
    words = [sys.executable, str(program), *(str(numbers()[name]) for name in ("add_key", "keyctl"))]
    alone = run(*words, "setpriv", f"--reuid={person.uid}", "--clear-groups", *words)
    if alone.returncode == 99:
        pytest.skip("needs a kernel with keyrings, and leave to use them")
    assert alone.stdout == "found\n"  # it is there to be found
    assert run(*words, *as_person(person).split(), "--no-tui", "--", *words).stdout == "not found\n"


# What reaches the command of the caller's environment

PLANTED = {
    "SSH_AUTH_SOCK": "/run/roots/agent",
    "GITHUB_TOKEN": "secret",
    "XDG_RUNTIME_DIR": "/run/user/0",
    "DBUS_SESSION_BUS_ADDRESS": "unix:path=/run/user/0/bus",
    "LD_LIBRARY_PATH": "/root/lib",
    "PYTHONPATH": "/root/python",
    "DISPLAY": ":0",
    "XAUTHORITY": "/root/.Xauthority",
    "PATH": "/root/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "MAIL": "/var/mail/root",
    "LCX": "not a locale",
}
WANTED = {"TERM": "xterm", "COLORTERM": "truecolor", "LANG": "C.UTF-8", "LC_TIME": "C", "LANGUAGE": "de", "TZ": "UTC"}


def login_path() -> str:
    lines = [line.split() for line in text_of(Path("/etc/login.defs")).splitlines()]
    found = [words[1].removeprefix("PATH=") for words in lines if words[:1] == ["ENV_PATH"]]
    return found[0] if found else "/usr/local/bin:/usr/bin:/bin"


def check_environment(person: Person, text: str, **more: str) -> None:
    given = dict(line.split("=", 1) for line in text.splitlines())
    theirs = {"HOME": str(person.home), "USER": person.name, "LOGNAME": person.name, "SHELL": "/bin/sh"}
    assert given == WANTED | theirs | {"PATH": login_path()} | more


def test_another_user_gets_a_short_list_of_roots_environment(person: Person) -> None:
    done = denet("run", "--no-tui", "--user", person.name, "--", "env", env=PLANTED | WANTED)
    check_environment(person, done.stdout)
    assert f"note: denet-tui itself runs as root, only the command as {person.name}\n" in done.stderr
    assert "no other user" not in done.stderr


def test_on_the_screen_it_is_the_same_list(person: Person, root_shell: Tmux, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    words = [f"{name}={value}" for name, value in (PLANTED | WANTED).items()]
    root_shell.line(f"env -i {shlex.join(words)} {as_person(person)} --output {kept} -- env")
    eventually(lambda: "exited 0" in root_shell.screen(), "the command has ended")
    root_shell.type("q")
    check_environment(person, text_of(kept), TERM="xterm-256color")


def test_a_command_is_looked_for_where_that_user_would_find_it(person: Person, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "only-roots").write_text("#!/bin/sh\n")
    (tmp_path / "only-roots").chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    words = ["run", "--no-tui", "--user", person.name, "--"]
    assert denet(*words, "only-roots", env=environment() | {"PATH": path}).returncode == 127
    assert denet(*words, "true", env=environment() | {"PATH": "/nowhere"}).returncode == 0


def test_what_is_passed_is_said(person: Person) -> None:
    told = " ".join(denet("run", "--help").stdout.split())
    documented = " ".join(text_of(REPOSITORY / "docs/watching.md").split())
    for name in (*PASSED, "PATH"):
        assert name in told
        assert f"`{name}`" in documented
