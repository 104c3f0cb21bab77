"""Under sudo everything but a moment belongs to who asked."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
from pathlib import Path

import pytest

from denet_tui.bpf import privilege
from denet_tui.bpf.privilege import User
from tests.forked import each
from tests.helper.helped import in_child
from tests.person import Person
from tests.real import environment
from tests.watch.helpers import (
    DENET,
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

pytestmark = [pytest.mark.root, pytest.mark.early]

EVERYTHING = """
id; umask; pwd; echo "$@"
cat /proc/self/environ | tr '\\0' '\\n' | sort
grep -E '^(Sig(Ign|Blk|Cgt)|Cap|Groups|Uid|Gid|NoNewPrivs|Seccomp)' /proc/self/status
ls /proc/self/fd
"""
"""Prints what a process is given by whoever starts it."""

AMBIENT = ("--inh-caps=-all,+bpf,+perfmon", "--ambient-caps=-all,+bpf,+perfmon")
ALL_SETS = ("CapEff", "CapPrm", "CapInh", "CapAmb")


def complaints(text: str) -> list[str]:
    """All lines but sudo's own: it complains about a host name that it cannot resolve, and goes on."""
    return [line for line in text.splitlines() if not line.startswith("sudo: ")]


@pytest.fixture
def everything(person: Person) -> str:
    path = person.home / "everything"
    path.write_text(EVERYTHING)
    return f"sh {path} one 'two  three'"


def test_under_sudo_the_command_is_as_if_started_by_the_user(person: Person, everything: str) -> None:
    env = {"MINE": "yes", "EDITOR": "ed", "SUDO_EDITOR": "mine too", "HOME": "/var/tmp", "LC_ALL": "C"}
    alone = person.shell(f"trap '' HUP USR1; umask 027; {everything}", **env)
    watched = person.shell(f"trap '' HUP USR1; umask 027; sudo -n $denet run --no-tui -- {everything}", **env)
    assert f"uid={person.uid}" in alone.stdout
    assert "MINE=yes" in alone.stdout
    assert watched.stdout == alone.stdout
    assert watched.returncode == 0


def test_nested_sudo_does_not_give_away_the_environment_of_others(person: Person, everything: str) -> None:
    inner = f"sudo -n {' '.join(DENET)} run --no-tui -- {everything}"
    done = run("sudo", "-u", person.name, "sh", "-c", f"cd; {inner}", env=environment() | {"SECRET": "of root"})
    assert f"uid={person.uid}" in done.stdout
    assert f"\nHOME={person.home}\n" in done.stdout
    assert "SECRET" not in done.stdout


def test_recording_and_summary_belong_to_the_user(person: Person) -> None:
    done = person.shell("sudo -n $denet run --no-tui --detail calls -o rec --summary sum --output out -- echo x")
    assert done.returncode == 0, done.stderr
    for name in ("rec", "sum", "out"):
        found = (person.home / name).stat()
        assert (found.st_uid, found.st_gid) == (person.uid, person.gid)
    assert json.loads((person.home / "sum").read_text())["turned_away"] == {}, "its maker's execve is none of its calls"


@pytest.mark.parametrize("option", ["-o", "--summary", "--output", "--log-file"])
def test_files_that_only_root_may_write_are_refused(person: Person, tmp_path: Path, option: str) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "file").write_text("root's")
    (tmp_path / "file").chmod(0o600)
    done = person.shell(
        f'sudo -n $denet run --no-tui --detail calls {option} "$1" -- touch ran', str(tmp_path / "file")
    )
    assert done.returncode == 125
    said = complaints(done.stderr)
    assert len(said) == 1
    assert "Permission denied" in said[0]
    assert (tmp_path / "file").read_text() == "root's"
    assert not (person.home / "ran").exists()


@pytest.mark.parametrize(
    ("words", "status"),
    [
        ("setup --plan --only KERN-003 --log-file", 64),
        ("diag --only KERN-003 --log-file", 64),
        ("diag --only KERN-003 --report", 64),
        ("run --no-tui --detail calls -o", 125),
    ],
)
def test_a_folder_of_roots_group_is_none_of_the_users(person: Person, tmp_path: Path, words: str, status: int) -> None:
    """Root's groups are given away with root's uid: sudo starts us with them (man 3 initgroups)."""
    tmp_path.parent.chmod(0o755)
    tmp_path.chmod(0o755)
    folder = tmp_path / "roots"
    folder.mkdir()
    os.chown(folder, 0, 0)
    folder.chmod(0o770)
    command = "-- true" if words.startswith("run") else ""
    done = person.shell(f'sudo -n $denet {words} "$1" {command}', str(folder / "file"))
    assert done.returncode == status, done.stderr
    said = complaints(done.stderr)
    assert len(said) == 1
    assert said[0].startswith("denet-tui: cannot write the ")
    assert "Permission denied" in said[0]
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("planted", "state"),
    [
        ("mkdir -p .local/state/denet-tui; mkfifo .local/state/denet-tui/last-good.json", "unknown"),
        ('mkdir -p .local/state/denet-tui; ln -s "$1"/last-good.json .local/state/denet-tui/', "unknown"),
        ('mkdir -p .local/state; ln -s "$1" .local/state/denet-tui', "unknown"),
        ("mkdir -p .local/state; ln -s /proc/self/fd .local/state/denet-tui", "skip"),
        ("mkdir real; ln -s real .local; sudo -n $denet selftest", "pass"),
    ],
    ids=["pipe", "link", "folder of root", "descriptors", "own link"],
)
def test_root_finds_nothing_but_the_askers_own_record(person: Person, tmp_path: Path, planted: str, state: str) -> None:
    """The folder of the record is the asker's, who may have put anything there."""
    (tmp_path / "last-good.json").write_text('{"format": 1, "seen": {"kernel": "of root"}}')
    (tmp_path / "last-good.json").chmod(0o600)
    done = person.shell(f"rm -rf .local real; {planted}", str(tmp_path))
    assert done.returncode == 0, done.stderr
    done = person.shell("sudo -n $denet diag --only DRIFT-001 --json; rm -rf .local real")
    (found,) = json.loads(done.stdout)["findings"]
    assert found["state"] == state, found
    assert "of root" not in done.stdout


def test_setup_has_roots_rights_again_once_its_log_is_open(person: Person) -> None:
    done = person.shell("sudo -n $denet setup --plan --json --only PRIV-001 --log-file log")
    found = {each["id"]: each["title"] for each in json.loads(done.stdout)["verified"]}
    assert found["PRIV-001"] == "root may load BPF programs"
    assert "PRIV-001: pass" in (person.home / "log").read_text()
    assert ((person.home / "log").stat().st_uid, (person.home / "log").stat().st_mode & 0o777) == (person.uid, 0o600)


def _check_nothing_is_left(person: Person, top: int, command: int) -> None:
    ours = denets(top)
    assert len(ours) == 2, [command_line(pid) for pid in ours]  # denet-tui and its supervisor: the loader is gone
    for pid in [*ours, command]:
        known = status(pid)
        assert {known[name] for name in ALL_SETS} == {"0" * 16}, (command_line(pid), known)
        assert set(known["Uid"].split()) == {str(person.uid)}
        assert set(known["Gid"].split()) == {str(person.gid)}
        mapped = text_of(Path(f"/proc/{pid}/maps"))
        assert mapped
        assert "libbcc" not in mapped
        assert "LLVM" not in mapped
    assert set(descriptors(command)) == {0, 1, 2}
    with_bpf = [pid for pid in ours if "bpf" in "".join(descriptors(pid).values())]
    assert with_bpf == ours[:1]  # the supervisor outlives denet-tui: it must not hold a program


def test_no_process_keeps_privilege_without_a_screen(person: Person) -> None:
    mark = person.home / "pid1"
    argv = person.argv("exec sudo -n $denet run --no-tui -- sh -c 'echo $$ > pid1; exec sleep 100'")
    with subprocess.Popen(argv, cwd=person.home, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as top:
        eventually(lambda: text_of(mark).strip(), "the command runs")
        command = int(text_of(mark))
        try:
            eventually(lambda: command_line(command)[:1] == ["sleep"], "the shell has become sleep")
            _check_nothing_is_left(person, top.pid, command)
        finally:
            os.kill(command, signal.SIGTERM)
        assert top.wait(30) == 128 + signal.SIGTERM


def test_no_process_keeps_privilege_with_a_screen(person: Person, tmp_path: Path) -> None:
    mark = person.home / "pid2"
    with tmux(tmp_path) as terminal:
        watch = "cd; sudo -n $denet run -- sh -c 'echo $$ > pid2; exec sleep 100'; exit"
        terminal.line(f"exec {shlex.join(person.argv(watch))}")
        eventually(lambda: text_of(mark).strip(), "the command runs")
        command = int(text_of(mark))
        eventually(lambda: command_line(command)[:1] == ["sleep"], "the shell has become sleep")
        eventually(lambda: terminal.flag("alternate_on") == "1", "the screen is there")
        _check_nothing_is_left(person, terminal.shell, command)
        os.kill(command, signal.SIGTERM)


@pytest.mark.slow
def test_two_capabilities_are_enough_for_own_calls_alone_and_the_command_has_none(
    person: Person, everything: str
) -> None:
    script = person.home / "calls.py"
    script.write_text("import os, sys\nfor _ in range(int(sys.argv[1])): os.getppid()\n")
    made = f"/usr/bin/env python3 {script}"
    path = person.home / "all"
    path.write_text(f"{everything}; {made} 5000; sudo -n {made} 50000\n")
    alone = person.shell(f"sh {path}", MINE="yes")
    watched = person.shell(f"$denet run --no-tui --summary own -- sh {path}", become=AMBIENT, MINE="yes")
    assert watched.returncode == 0, watched.stderr
    assert "MINE=yes" in watched.stdout
    assert watched.stdout == alone.stdout
    assert "running as root" not in watched.stderr
    summary = json.loads((person.home / "own").read_text())
    # The same program, once it has become root through sudo, is none of those that are counted.
    assert 5000 <= summary["syscalls"]["getppid"]["calls"] < 50000


def test_without_privilege_nothing_is_run(person: Person) -> None:
    done = person.shell("$denet run --no-tui -- touch unprivileged")
    assert done.returncode == 125
    (line,) = complaints(done.stderr)
    assert line.startswith("denet-tui: loading the BPF program needs root for a moment: run `sudo /")
    assert line.endswith("/denet-tui run --no-tui -- touch unprivileged`")
    assert not (person.home / "unprivileged").exists()
    assert person.shell("$denet run --user root -- touch unprivileged", become=AMBIENT).returncode == 125
    assert not (person.home / "unprivileged").exists()


def test_root_can_run_a_command_as_somebody_else(person: Person) -> None:
    private = person.home / "private"
    private.mkdir(exist_ok=True)
    (private / "program").write_text("#!/bin/sh\nid -un; id -Gn; echo $HOME $USER $LOGNAME\n")
    (private / "program").chmod(0o755)
    private.chmod(0o700)
    run("chown", "-R", person.name, str(private))
    wanted = run("setpriv", f"--reuid={person.uid}", f"--regid={person.gid}", "--init-groups", "id", "-Gn").stdout
    done = denet("run", "--no-tui", "--user", person.name, "--", str(private / "program"))
    assert done.stdout == f"{person.name}\n{wanted}{person.home} {person.name} {person.name}\n"


def test_who_cannot_be_is_refused_before_anything_runs(tmp_path: Path) -> None:
    users = ("", "4294967295", "99999999999", "-1", "\u0664\u0662", "no-such-user")
    words = [["run", "--no-tui", "--user", user, "--", "touch", str(tmp_path / "ran")] for user in users]
    for user, done in zip(users, each(words), strict=True):
        assert done.returncode == 125
        assert done.stderr.splitlines() == [f"denet-tui: there is no user {user!r}; see `getent passwd`"]
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("wrong", [{"uid": 0xFFFFFFFF}, {"gid": 0xFFFFFFFF}])
def test_privilege_that_was_not_given_away_is_an_error(wrong: dict[str, int]) -> None:
    user = User(65534, 65534, "65534", "/")._replace(**wrong)

    def body() -> None:
        with pytest.raises(OSError):  # noqa: PT011 - whichever call notices it first
            privilege.become(user)

    in_child(body)


UNKNOWN = 61234
"""A uid that is in no user database."""


def test_a_user_without_a_name_gets_nobodys_group_and_not_the_callers(person: Person) -> None:
    words = f"run --no-tui --user {UNKNOWN} -- sh -c 'id -u; id -g; id -G'"
    expected = f"{UNKNOWN}\n65534\n65534\n"
    assert person.shell(f"sudo -n $denet {words}").stdout == expected
    assert run("sudo", "-n", "sh", "-c", f"{' '.join(DENET)} {words}").stdout == expected


def test_who_asked_without_a_name_keeps_the_group(person: Person) -> None:
    asked = environment() | {"SUDO_UID": str(UNKNOWN), "SUDO_GID": str(person.gid)}
    done = denet("run", "--no-tui", "--", "sh", "-c", "id -u; id -g", env=asked)
    assert done.stdout == f"{UNKNOWN}\n{person.gid}\n"


def test_as_root_runs_what_only_root_may_run(person: Person, tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\nid -u\n")
    program.chmod(0o700)
    done = person.shell('sudo -n $denet run --no-tui --as-root -o asroot -- "$1"', str(program))
    assert done.stdout == "0\n", done.stderr
    assert (person.home / "asroot").stat().st_uid == person.uid  # the recording is still the user's
    refused = person.shell('sudo -n $denet run --no-tui -- "$1"', str(program))
    assert refused.returncode == 126


def test_attaching_to_somebody_else_needs_a_word(person: Person) -> None:
    with subprocess.Popen(["sleep", "100"]) as other:
        try:
            done = person.shell(f"sudo -n $denet attach {other.pid}")
            assert done.returncode == 125
            assert complaints(done.stderr) == [
                f"denet-tui: process {other.pid} belongs to root, not to {person.name}; to watch it add --as-root"
            ]
            done = person.shell(f"$denet attach {other.pid}", become=AMBIENT)
            (said,) = complaints(done.stderr)
            assert "add --as-root" not in said, "that would be refused"
            assert re.search(rf"only root may watch it: run `sudo .* attach --as-root {other.pid}`$", said)
            attach = f"$denet attach --no-tui --as-root --detail calls -o attached {other.pid}"
            argv = person.argv(f"exec setarch --uname-2.6 sudo -n {attach}")
            with subprocess.Popen(argv, cwd=person.home, stderr=subprocess.DEVNULL) as watching:
                eventually(lambda: "tree" in text_of(person.home / "attached"), "a first tick is recorded")
                ours = denets(watching.pid)
                assert [status(pid)["CapEff"] for pid in ours] == ["0" * 16]
                other.kill()
                assert watching.wait(30) == 0
        finally:
            other.kill()
