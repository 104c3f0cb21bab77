"""The command gets exactly what it would get without denet-tui, and its caller exactly what it gives."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.person import Person
from tests.real import environment
from tests.record.schema import assert_valid
from tests.watch.helpers import DENET, alive, denet, eventually, run, text_of
from tests.watch.test_privilege import EVERYTHING

pytestmark = pytest.mark.root

PLAIN = [*DENET, "run", "--no-tui", "--"]


@pytest.fixture
def everything(tmp_path: Path) -> list[str]:
    path = tmp_path / "everything"
    path.write_text(EVERYTHING)
    return ["sh", str(path)]


@pytest.mark.parametrize(
    "before",
    [
        "trap '' HUP; umask 077; cd /; exec 5< /dev/null 7> /dev/null; ulimit -n 64",
        "trap '' CHLD TERM USR1 TSTP QUIT INT ALRM RTMIN; unset HOME LANG LC_ALL; export LC_CTYPE=C MINE=1",
    ],
)
def test_nothing_tells_the_command_that_it_is_watched(everything: list[str], before: str) -> None:
    script = before + '\nexec "$@"'
    alone = run("bash", "-c", script, "bash", *everything)
    watched = run("bash", "-c", script, "bash", *PLAIN, *everything)
    assert "Sig" in alone.stdout
    assert (watched.returncode, alone.returncode) == (0, 0)
    unlike = {"PYTEST_CURRENT_TEST", "_"}  # bash names in _ what it starts
    lines = [
        [line for line in done.stdout.splitlines() if line.partition("=")[0] not in unlike] for done in (alone, watched)
    ]
    assert lines[0] == lines[1], watched.stderr


def test_an_empty_environment_stays_empty_and_blocked_signals_blocked() -> None:
    look = ["/bin/cat", "/proc/self/environ", "/proc/self/status"]
    old = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2, signal.SIGTERM})
    try:
        told = [run("env", "-i", *before, *look).stdout.splitlines() for before in ([], PLAIN)]
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, old)
    assert [lines[0] for lines in told] == ["Name:\tcat"] * 2, "nothing comes before the second file"
    alone, watched = ([line for line in lines if line.startswith("SigBlk")] for lines in told)
    assert alone == watched
    assert int(alone[0].split()[1], 16) & 1 << signal.SIGUSR2 - 1


def test_odd_bytes_long_arguments_and_a_deleted_folder(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    words = [b"a\xff\xfe b", b"", b"\n", "ü€".encode(), b"--", b"-x", b"x" * 100_000]
    env = {os.fsencode(name): os.fsencode(value) for name, value in environment().items()}
    env |= {b"ODD": b"\x80\xff=\n"} | {b"LONG%d" % number: b"y" * 100_000 for number in range(9)}
    script = b'printf \'%s\\0\' "$@" "$ODD"; echo ${#LONG1} ${#LONG8}; readlink /proc/self/cwd'
    delete = ["sh", "-c", 'cd "$1"; rmdir "$1"; shift; exec "$@"', "sh", gone, *PLAIN]
    argv = [os.fsencode(word) for word in delete] + [b"sh", b"-c", script, b"sh", *words]
    done = subprocess.run(argv, env=env, capture_output=True, timeout=60)
    last = b"100000 100000\n%s (deleted)\n" % os.fsencode(gone)
    assert done.stdout == b"\0".join([*words, b"\x80\xff=\n", last]), done.stderr
    assert done.returncode == 0


def test_input_and_output_pass_through_untouched() -> None:
    data = bytes(range(256)) * 4096
    done = subprocess.run([*PLAIN, "cat"], input=data, capture_output=True, timeout=60)
    assert done.stdout == data
    assert run("sh", "-c", f"{' '.join(PLAIN)} echo x 2>&- | cat").stdout == "x\n"


@pytest.mark.parametrize("closed", [[1], [0, 2], [0, 1, 2]])
def test_closed_streams_become_nothing_of_ours(tmp_path: Path, closed: list[int]) -> None:
    shutting = " ".join(f"{number}<&-" for number in closed)
    script = f'exec {shutting}; "$@"; echo $? > status'
    look = "readlink /proc/$$/fd/0 /proc/$$/fd/1 /proc/$$/fd/2 > links"
    done = run("bash", "-c", script, "bash", *PLAIN, "bash", "-c", look, cwd=tmp_path, stdin=subprocess.PIPE)
    links = text_of(tmp_path / "links").splitlines()
    assert [number for number in range(3) if links[number] == "/dev/null"] == closed
    assert "%" not in done.stdout
    assert text_of(tmp_path / "status") == "0\n"


def test_process_substitution_reaches_the_command_its_status_its_caller_and_the_supervisor_does_not_stay() -> None:
    script = "'cat $0 $1; echo $PPID; kill -SEGV $$' <(echo one) <(echo two)"
    done = run("bash", "-c", f"{' '.join(PLAIN)} sh -c {script}")
    one, two, supervisor = done.stdout.splitlines()
    assert (one, two) == ("one", "two"), done.stderr
    assert done.returncode == 128 + signal.SIGSEGV
    assert "running as root: there is no other user to become" in done.stderr
    eventually(lambda: not alive(int(supervisor)), "the supervisor has ended")


def test_a_script_without_a_first_line_is_run_by_sh(tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text('echo "$0" "$@"; exit 255\n')
    script.chmod(0o755)
    done = denet("run", "--no-tui", "--", str(script), "a", "b c")
    assert (done.stdout, done.returncode) == (f"{script} a b c\n", 255)


def test_a_missing_interpreter_is_named_as_the_reason(tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text("#!/nowhere/interpreter\n")
    script.chmod(0o755)
    done = denet("run", "--no-tui", "--", str(script))
    assert done.returncode == 127
    reason = "the interpreter that its first line (or its ELF header) names does not exist"
    assert done.stderr == f"denet-tui: cannot execute {script}: {reason}\n"


def test_a_command_in_the_path_of_the_user_only(person: Person) -> None:
    folder = person.home / "bin"
    folder.mkdir(exist_ok=True)
    (folder / "only-mine").write_text("#!/bin/sh\necho mine\n")
    (folder / "only-mine").chmod(0o755)
    done = person.shell("sudo -n $denet run --no-tui -- only-mine", PATH=f"{folder}:/usr/bin:/bin")
    assert done.stdout == "mine\n", done.stderr


def test_the_run_ends_with_the_command_and_names_survivors(tmp_path: Path) -> None:
    script = (
        'setsid sh -c "echo \\$\\$ > pid; exec sleep 100" < /dev/null > /dev/null 2>&1 & until [ -s pid ]; do :; done'
    )
    done = denet("run", "--no-tui", "--summary", "sum", "--", "sh", "-c", script, cwd=tmp_path)
    survivor = int(text_of(tmp_path / "pid"))
    try:
        assert done.returncode == 0
        assert alive(survivor)
        assert str(survivor) in done.stderr
        summary = json.loads((tmp_path / "sum").read_text())
        assert [each["end_ms"] for each in summary["processes"] if each["pid"] == survivor] == [None]
    finally:
        os.kill(survivor, signal.SIGKILL)


def test_json_has_standard_output_to_itself() -> None:
    done = denet("run", "--json", "--detail", "calls", "--", "sh", "-c", "echo to stdout; echo to stderr >&2; exit 4")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert_valid(lines)
    assert [lines[0]["kind"], lines[-1]["kind"]] == ["metadata", "summary"]
    where = lines[0]["denet_tui"]
    assert (where["host"], where["cpus"], where["cwd"]) == (os.uname().nodename, os.cpu_count(), str(Path.cwd()))
    assert lines[-1]["exit_code"] == 4
    assert "to stdout\n" in done.stderr
    assert "to stderr\n" in done.stderr
    assert done.returncode == 4


def test_without_a_screen_the_interval_of_the_settings_file_holds_too(tmp_path: Path) -> None:
    file = tmp_path / "denet-tui/settings.toml"
    file.parent.mkdir()
    tmp_path.chmod(0o755)

    def told(text: str, *words: str) -> tuple[int, list[str]]:
        file.write_text(text)
        argv = ["run", "--json", "--detail", "calls", *words, "--", "true"]
        done = denet(*argv, env={**os.environ, "XDG_CONFIG_HOME": str(tmp_path)})
        assert done.returncode == 0
        said = [line for line in done.stderr.splitlines() if str(file) in line]
        return json.loads(done.stdout.splitlines()[0])["denet_tui"]["interval_ms"], said

    assert told("interval = 3") == (3000, [])
    assert told("interval = 3", "--interval", "2") == (2000, [])
    assert told("[columns]") == (500, [])
    for wrong, says in (("\ninterval = 99", ":2: interval is a number of"), ("x", ":1: not TOML")):
        interval_ms, (said,) = told(wrong)
        assert interval_ms == 500
        assert said.startswith(f"denet-tui: {file}{says}")


def test_a_last_line_without_an_end_takes_two_rows_of_the_table(tmp_path: Path) -> None:
    endless = "head -c 200000 /dev/zero | tr '\\0' x; exit 3"
    done = denet("run", "--no-tui", "--detail", "calls", "--output", "kept", "--", "sh", "-c", endless, cwd=tmp_path)
    _, begun, end = done.stderr.partition("from its output: xxx")
    assert begun
    assert end.endswith("x…\n")
    assert end.count("\n") == 2


@pytest.mark.parametrize(("target", "expected"), [("kept", "out\nerr\n"), ("null", "")])
def test_output_goes_where_it_is_sent(tmp_path: Path, target: str, expected: str) -> None:
    words = ["run", "--json" if target == "kept" else "--no-tui", "--detail", "calls", "--output", target]
    done = denet(*words, "--", "sh", "-c", "echo out; echo err >&2; exit 3", cwd=tmp_path)
    assert done.returncode == 3
    said = [line for line in done.stderr.splitlines() if line.endswith("err")]
    assert said == ["from its output: err"] * (target == "kept"), "and nothing where it is not known"
    assert "out\n" not in done.stdout
    assert not (tmp_path / "null").exists()
    assert text_of(tmp_path / target) == expected


@pytest.mark.parametrize("option", ["-o", "--summary"])
def test_a_full_disk_from_the_start_runs_nothing(tmp_path: Path, option: str) -> None:
    done = denet("run", "--no-tui", "--detail", "calls", option, "/dev/full", "--", "touch", "ran", cwd=tmp_path)
    assert done.returncode == 125
    assert "No space left on device" in done.stderr
    assert (tmp_path / "ran").exists() == (option == "--summary")  # that one is written at the end


def test_a_disk_that_fills_up_leaves_the_command_alone(tmp_path: Path) -> None:
    script = (
        'mount -t tmpfs -o size=16k tmpfs "$1" && cd "$1" && shift && "$@"; echo "status $?"; tail -c 1 rec | od -c'
    )
    argv = [*DENET, "run", "--no-tui", "--detail", "calls", "-o", "rec", "--interval", "0.1", "--"]
    worker = "i=0; while [ $i -lt 100 ]; do /bin/true $i; i=$((i+1)); done; exit 6"
    done = run("unshare", "--mount", "sh", "-c", script, "sh", str(tmp_path), *argv, "sh", "-c", worker)
    assert "status 6" in done.stdout, done.stderr
    assert "No space left on device (free some space" in done.stderr
    assert "\\n" in done.stdout  # the recording ends with a whole line
    assert "Traceback" not in done.stderr


def test_a_reader_that_goes_away_leaves_the_command_alone(tmp_path: Path) -> None:
    script = "\"$@\" -- sh -c 'sleep 0.5; touch done; exit 6' | head -1; echo ${PIPESTATUS[0]}"
    done = run(
        "bash", "-c", script, "bash", *DENET, "run", "--json", "--detail", "calls", "--interval", "0.1", cwd=tmp_path
    )
    lines = done.stdout.splitlines()
    assert json.loads(lines[0])["kind"] == "metadata"
    assert lines[1] == "6"
    assert (tmp_path / "done").exists()
    assert "its reader has gone" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("closed", "options"),
    [(False, []), (True, ["--debug"]), (False, ["--json", "--detail", "calls"]), (True, ["--output", "null"])],
)
def test_the_commands_status_stays_where_standard_error_cannot_be_written(options: list[str], closed: bool) -> None:
    reading, writing = os.pipe() if closed else (-1, os.open("/dev/full", os.O_WRONLY))
    if closed:
        os.close(reading)
    with os.fdopen(writing, "wb") as errors:
        argv = [*DENET, "run", "--no-tui", *options, "--", "sh", "-c", "exit 3"]
        done = subprocess.run(
            argv, env=environment(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors, timeout=60
        )
    assert done.returncode == 3


def test_standard_output_that_cannot_be_written_is_a_failure_of_ours() -> None:
    with Path("/dev/full").open("wb", buffering=0) as full:
        done = run(*DENET, "settings", capture_output=False, stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 125
    assert len(done.stderr.splitlines()) == 1
