"""A command of another user is as usable on root's terminal as root's own, though that is not its terminal."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.person import Person
from tests.watch.helpers import Tmux, alive, children, command_line, denets, eventually, run, status, text_of
from tests.watch.test_foreign import as_person, root_shell, terminal_of
from tests.watch.test_kill import OwnTerminal, nothing_is_left, terminal

pytestmark = pytest.mark.root
__all__ = ["nothing_is_left", "root_shell", "terminal"]

HOLD = f"""{sys.executable} -c 'import os, sys, time
while not os.path.exists(sys.argv[1]): time.sleep(0.05)' $mark.go"""
"""Waits for a file. A shell's loop would not do: dash is in vfork(2) again and again, and cannot be stopped there."""


class Job:
    """A command line on root's terminal that runs `script` as the person, and what it leaves."""

    def __init__(self, person: Person, shell: Tmux, folder: Path) -> None:
        self.person, self.shell, self._folder = person, shell, folder
        self.mark = person.home / folder.name
        self._before = self._modes("before")

    def start(self, script: str, *, more: str = "", before: str = "") -> None:
        """`$mark` in the script is a file of the person's; `more` follows the command."""
        inner = shlex.quote(f"mark={self.mark}; {script}")
        self.shell.line(f"{before}{as_person(self.person)} --no-tui -- sh -c {inner} {more}")

    def wrote(self, text: str) -> None:
        eventually(lambda: text in text_of(self.mark), f"the command has written: {text}")

    def shows(self, text: str) -> None:
        eventually(lambda: text in self.shell.history(), f"the terminal shows: {text}")

    def go(self) -> None:
        """For HOLD."""
        Path(f"{self.mark}.go").touch()

    def stopped(self) -> bool:
        """Whether denet-tui and the command are; the supervisor is not."""
        states = [status(pid).get("State", "gone") for pid in children(self.shell.shell)]
        return len([state for state in states if state.startswith("T")]) >= 2

    def ends(self, expected: int) -> None:
        """The shell has its terminal again, as it was before, and the status is that."""
        eventually(lambda: self.shell.flag("pane_current_command") == "bash", "the shell has its terminal again")
        path = self._folder / "status"
        path.unlink(missing_ok=True)
        self.shell.line(f"echo $? > {path}")
        eventually(lambda: text_of(path).strip(), "the shell answers")
        assert text_of(path) == f"{expected}\n"
        assert self._modes("after") == self._before

    def _modes(self, name: str) -> str:
        path = self._folder / name
        path.unlink(missing_ok=True)
        self.shell.line(f"stty -a > {path}; echo over >> {path}")
        eventually(lambda: "over" in text_of(path), "stty answers")
        return text_of(path)


@pytest.fixture
def job(person: Person, root_shell: Tmux, tmp_path: Path) -> Job:
    return Job(person, root_shell, tmp_path)


def below(pid: int) -> list[str]:
    """What the processes below this one were started as."""
    return [(command_line(each) or [""])[0] for each in children(pid)]


def test_prompts_keys_colours_and_the_status(job: Job) -> None:
    ask = 'printf "\\033[31mna%s? \\033[0m" me; read name; stty -echo; printf "%s? " secret; read secret; stty echo'
    job.start(f'{ask}; echo "$name $secret" > $mark; echo "hello $name"; exit 7')
    job.shows("name?")
    assert "\x1b[31mname?" in job.shell.coloured()
    job.shell.line("carol")
    job.shows("name? carol")
    job.shows("secret?")
    job.shell.line("hidden")
    job.wrote("carol hidden")
    job.shows("hello carol")
    job.shows("exited with status 7")
    assert "hidden" not in job.shell.history()
    job.ends(7)


def test_an_interactive_shell_with_jobs_of_its_own(job: Job) -> None:
    job.start("PS1='theirs> ' exec bash --norc --noprofile -i")
    eventually(lambda: "\ntheirs>" in job.shell.screen(), "its prompt")
    job.shell.line("sleep 100")
    eventually(lambda: "sleep" in below(job.shell.shell), "sleep runs")
    job.shell.type("C-z")
    job.shows("Stopped")
    assert not any(status(pid).get("State", "gone").startswith("T") for pid in denets(job.shell.shell))
    job.shell.line("fg")
    eventually(lambda: "fg\nsleep 100" in job.shell.screen(), "it goes on")
    job.shell.type("C-c")
    eventually(lambda: "sleep" not in below(job.shell.shell), "sleep is ended")
    job.shell.line("exit 3")
    job.shows("exited with status 3")
    job.ends(3)


def test_size_of_the_terminal_and_its_changes(job: Job) -> None:
    job.start("trap 'stty size >> $mark' WINCH; stty size > $mark; while :; do sleep 0.1; done")
    job.wrote("40 120\n")
    job.shell.resize(70, 20)
    job.wrote("20 70\n")
    job.shell.type("C-c")
    job.shows("killed by SIGINT")


@pytest.mark.parametrize(
    ("trap", "expected", "redirected"), [("", 130, "< /dev/null > /dev/null 2>&1"), ("trap 'exit 9' INT;", 9, "")]
)
def test_ctrl_c_is_for_the_command(job: Job, trap: str, expected: int, redirected: str) -> None:
    job.start(f"{trap} echo runs > $mark; while :; do sleep 0.1; done", more=redirected)
    job.wrote("runs")
    job.shell.type("C-c")
    job.ends(expected)


def test_ctrl_backslash_is_for_the_command(job: Job) -> None:
    job.start("ulimit -c 0; echo runs > $mark; exec sleep 100")
    job.wrote("runs")
    job.shell.type("C-\\")
    job.ends(128 + signal.SIGQUIT)


@pytest.mark.parametrize("redirected", ["", "< /dev/null > /dev/null 2>&1"])
def test_ctrl_z_stops_and_fg_goes_on(job: Job, redirected: str) -> None:
    job.start(f"echo $$ > $mark; {HOLD}; exit 5", more=redirected)
    job.wrote("\n")
    pid = int(text_of(job.mark))
    eventually(lambda: sys.executable in below(pid), "it waits")
    job.shell.type("C-z")
    job.shows("Stopped")
    assert status(pid)["State"][0] == "T"
    job.ends(128 + signal.SIGTSTP)
    job.go()
    job.shell.line("fg")
    eventually(lambda: not alive(pid), "it went on")
    job.ends(5)


def test_in_the_background_it_goes_on_until_it_wants_to_read(job: Job) -> None:
    job.start(f"echo $$ > $mark; {HOLD}; read a; echo got $a; read b; echo and $b; exit 5")
    job.wrote("\n")
    eventually(lambda: sys.executable in below(int(text_of(job.mark))), "it waits")
    job.shell.type("C-z")
    job.shows("Stopped")
    job.shell.line("bg")
    job.shell.line("echo still $((40 + 2))")
    job.shows("still 42")
    eventually(lambda: not job.stopped(), "it goes on")
    job.go()
    eventually(job.stopped, "it is stopped as it wants to read")
    job.shell.line("fg")
    job.shell.line("one")
    job.shows("got one")
    job.shell.line("two")
    job.shows("and two")
    job.ends(5)


def test_started_in_the_background_it_writes_and_asks_for_the_terminal(job: Job) -> None:
    job.start(f"echo writ''ten; {HOLD}; read a; echo got $a", more="&")
    job.shows("written")
    job.go()
    eventually(job.stopped, "it is stopped as it wants to read")
    job.shell.line("fg")
    job.shell.line("one")
    job.shows("got one")
    job.ends(0)


def test_brought_to_the_front_it_can_be_interrupted(job: Job) -> None:
    job.start("echo runs > $mark; exec sleep 100", more="&")
    job.wrote("runs")
    job.shell.line("fg")
    job.shows("exec sleep 100' &\n")
    eventually(lambda: job.shell.flag("pane_current_command") != "bash", "it is in the foreground")
    job.shell.type("C-c")
    job.shows("killed by SIGINT")
    job.ends(130)


@pytest.mark.parametrize(("before", "command", "after"), [("", "seq 1 3000", "| less"), ("seq 1 3000 |", "less", "")])
def test_in_a_pipeline_the_keys_are_for_who_reads_them(job: Job, before: str, command: str, after: str) -> None:
    # What denet-tui itself says at the end would be written over what less shows.
    job.start(command, before=before, more=f"2> /dev/null {after}")
    eventually(lambda: job.shell.screen().startswith("1\n2\n"), "less shows the first page")
    job.shell.type("G")
    eventually(lambda: "\n3000\n" in job.shell.screen(), "less shows the last page")
    job.shell.type("q")
    job.ends(0)


def test_lines_of_others_in_a_pipeline_are_not_staggered(job: Job) -> None:
    job.start("read a; echo one; echo two; echo three", more="| cat")
    job.shell.line("x")
    job.shows("\none\ntwo\nthree\n")
    job.ends(0)


def test_a_full_screen_program(job: Job) -> None:
    path = job.person.home / "text"
    path.write_text("".join(f"line {number}\n" for number in range(1000)))
    job.start(f"less {path}; exit 4")
    eventually(lambda: job.shell.screen().startswith("line 0\nline 1\n"), "less shows the first page")
    job.shell.type("/", "5", "0", "0", "Enter")
    eventually(lambda: job.shell.screen().startswith("line 500\n"), "less has searched")
    job.shell.type("q")
    job.shows("exited with status 4")
    job.ends(4)


def test_a_command_that_cannot_be_executed_leaves_the_terminal_as_it_was(job: Job) -> None:
    script = job.person.home / "script"
    script.write_text("#!/nowhere/interpreter\n")
    script.chmod(0o755)
    job.shell.line(f"{as_person(job.person)} --no-tui -- {script}")
    job.shows("does not exist")
    job.ends(127)


def test_what_is_typed_before_the_command_reads_arrives_when_it_does(job: Job) -> None:
    job.start(f"echo runs > $mark; {HOLD}; read a; echo got $a")
    job.wrote("runs")
    job.shell.line("early")
    job.go()
    job.shows("got early")
    job.ends(0)


@pytest.mark.parametrize("more", ["sleep 60 & ", "(while :; do echo more; done) & "])
def test_no_output_is_lost_at_the_end(terminal: OwnTerminal, person: Person, more: str) -> None:
    """Nor is it waited for where somebody outlives the command."""
    pid = terminal.start("run", "--no-tui", "--user", person.name, "--", "sh", "-c", f"{more}seq 1 100000; exit 3")
    assert terminal.wait() == 3
    assert not alive(pid)
    eventually(lambda: b"exact: no call lost" in terminal.seen, "the table is printed")
    shown = terminal.seen.replace(b"\r", b"").replace(b"more\n", b"")
    assert b"".join(b"%d\n" % number for number in range(50000, 100001)) in shown
    assert terminal.settings() == terminal.before


@pytest.mark.parametrize("who", [0, 1])
def test_kill_nine_of_denet_tui_or_its_supervisor_leaves_nothing(
    terminal: OwnTerminal, person: Person, who: int
) -> None:
    mark = person.home / f"killed{who}"
    pid = terminal.start("run", "--no-tui", "--user", person.name, "--", "sh", "-c", f"echo > {mark}; cat")
    eventually(mark.exists, "the command runs")
    family = [pid, *children(pid)]
    os.kill(family[who], signal.SIGKILL)
    terminal.wait()
    eventually(lambda: not any(alive(each) for each in family), "all have ended")
    assert who == 0 or terminal.settings() == terminal.before


def test_kill_nine_while_it_is_stopped_leaves_nothing(job: Job) -> None:
    job.start(f"echo runs > $mark; {HOLD}", more="< /dev/null > /dev/null 2>&1")
    job.wrote("runs")
    family = children(job.shell.shell)
    job.shell.type("C-z")
    eventually(job.stopped, "both are stopped")
    job.go()
    job.shell.line("kill -9 %1")
    eventually(lambda: not any(alive(each) for each in family), "all have ended")


@pytest.mark.parametrize("policy", ["kill", "leave"])
def test_a_signal_to_denet_tui_ends_or_leaves_the_command(terminal: OwnTerminal, person: Person, policy: str) -> None:
    mark = person.home / f"policy-{policy}"
    script = f"echo $$ > {mark}; until [ -e {mark}.go ]; do echo more; sleep 0.1; done; touch {mark}.done"
    pid = terminal.start("run", "--no-tui", "--on-quit", policy, "--user", person.name, "--", "sh", "-c", script)
    eventually(lambda: text_of(mark).strip(), "the command runs")
    family = children(pid)
    os.kill(pid, signal.SIGTERM)
    assert terminal.wait() == (128 + signal.SIGTERM if policy == "kill" else 0)
    assert terminal.settings() == terminal.before
    Path(f"{mark}.go").touch()
    eventually(lambda: not any(alive(each) for each in family), "all have ended")
    assert Path(f"{mark}.done").exists() == (policy == "leave")


def test_without_a_terminal_everything_passes_untouched(person: Person) -> None:
    words = [*as_person(person).split(), "--no-tui", "--"]
    data = bytes(range(256)) * 4096
    assert subprocess.run([*words, "cat"], input=data, capture_output=True, timeout=60).stdout == data
    session, number = run(*words, "sh", "-c", "cut -d' ' -f6,7 /proc/$$/stat").stdout.split()
    assert int(session) != terminal_of(os.getpid())[0]
    assert number == "0"
