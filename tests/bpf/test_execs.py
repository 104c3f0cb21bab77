"""What is executed, also in vain: against strace, cut where it is long, counted where there is no room."""

from __future__ import annotations

import ast
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from denet_tui.bpf.handover import Loading
from denet_tui.bpf.request import Request
from denet_tui.bpf.tracer import Tracer
from denet_tui.detail import Detail
from denet_tui.record.lines import open_file
from denet_tui.record.totals import Totals
from denet_tui.record.track import Track
from denet_tui.syscalls import numbers
from tests.person import Person
from tests.real import denet, environment, run, run_held

pytestmark = pytest.mark.root

MANY = """
import os, sys
here = os.open("deep/folder", os.O_PATH)
os.chdir(here)
for words in (["x" * 3000, "é\\udcff\\n", ""], ["y" * 5000], []):
    if not os.fork():
        os.execv("/bin/true", ["true", *words])
    os.wait()
if not os.fork():
    os.execv("./script", ["script", "word"])
os.wait()
if not os.fork():
    os.chroot("/")
    os.execve(os.open("/bin/true", os.O_RDONLY), ["by descriptor"], {})
os.wait()
several = ["one", "two" * 20, *map(str, range(60))]
for path, words in (
    ("missing", [*several, "last"]), ("missing", ["long", "x" * 3000, "y" * 1080]),
    ("missing", ["v" * 2000, "w" * 3000]), ("missing", [*several, "last", "left out"]), ("z" * 300, ["one"]),
    ("/etc/passwd", ["one"]), ("/", ["one"]),
):
    try:
        os.execv(path, words)
    except OSError:
        pass
"""


def strace_execs(argv: list[str], cwd: Path) -> list[tuple[str, list[str], str | None]]:
    """(path, words, errno) of each execve, as strace has them."""
    log = cwd / "strace"
    if not shutil.which("strace"):
        pytest.skip("needs strace, which this is compared with")
    subprocess.run(
        ["strace", "-f", "-qq", "-v", "-s", "9999", "-e", "trace=execve", "-e", "signal=none", "-o", log, *argv],
        cwd=cwd,
        check=False,
        capture_output=True,
        timeout=60,
    )
    found = []
    for line in log.read_text().splitlines():
        match = re.search(r'execve\("(.*?)", (\[.*?\]), \[.*\) += (?:0|-1 (E\w+))', line)
        assert match, line
        found.append((match[1], ast.literal_eval(match[2]), match[3]))
    return found


def told(summary: Path) -> list[dict[str, Any]]:
    """Those of the summary, in the order of time."""
    processes = json.loads(summary.read_text())["processes"]
    return sorted((each for process in processes for each in process["execs"]), key=lambda each: each["at_ms"])


@pytest.mark.parametrize("method", ["raw", pytest.param("tracefs", marks=pytest.mark.slow)])
def test_every_exec_is_told_as_strace_tells_it_also_in_vain(tmp_path: Path, method: str) -> None:
    argv = ["env", "env", "sh", "-c", "exec env ls /"]
    summary, recording = tmp_path / "summary", tmp_path / "recording"
    options = ("--execs", "--summary", str(summary), "-o", str(recording))
    done = run(denet("run", *options, "--", *argv, method=method))
    execs = told(summary)
    expected = strace_execs(argv, tmp_path)
    assert [(each["path"], each["argv"], each["errno"]) for each in execs] == expected
    successes = [each for each in execs if not each["errno"]]
    assert len(successes) == 5
    assert {each["cwd"] for each in execs} == {str(Path.cwd())}
    assert {each["uid"] for each in execs} == {0}
    (process,) = json.loads(summary.read_text())["processes"]
    assert successes[-1]["at_ms"] + successes[-1]["ran_ms"] == pytest.approx(process["end_ms"], abs=0.01)
    lines = done.stderr.partition("ARGS\n")[2].splitlines()[: len(execs)]
    assert [line.split()[3] for line in lines] == [each["errno"] or "0" for each in execs]
    assert lines[-1].endswith(" ls /")
    (known,) = Totals.of(Track(open_file(str(recording)), "recording")).last.processes
    assert known.programs
    assert [(each.path, [*each.argv], each.errno and "ENOENT") for each in known.programs.kept] == expected


def test_execs_are_printed_whatever_else_is_left_unwatched() -> None:
    done = run(denet("run", "--detail", "calls", "--execs", "--", "/bin/sh", "-c", "/bin/true; true"))
    lines = done.stderr.partition("ARGS\n")[2].splitlines()
    assert [line.split()[4:] for line in lines[:2]] == [["/bin/sh", "-c", "'/bin/true;", "true'"], ["/bin/true"]]


def test_a_program_that_goes_by_another_name_is_told_with_its_file(tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    calls = f"(exec -a sshd /bin/sleep 0); (exec -a /usr/bin/sleep /bin/sleep 0); (exec -l sleep 0); {script}; :"
    done = run(denet("run", "--execs", "--", "/bin/bash", "-c", calls))
    lines = done.stderr.partition("ARGS\n")[2].splitlines()
    assert [line.split(maxsplit=4)[4] for line in lines[1:5]] == [
        "(/bin/sleep) sshd 0",
        "(/bin/sleep) /usr/bin/sleep 0",
        "-sleep 0",
        f"({script}) /bin/sh {script}",
    ]


def test_what_is_long_is_cut_and_says_so_and_the_folder_is_known(tmp_path: Path) -> None:
    (tmp_path / "deep/folder").mkdir(parents=True)
    script = tmp_path / "deep/folder/script"
    script.write_text("#!/bin/sh -e\ntrue\n")
    script.chmod(0o755)
    summary = tmp_path / "summary"
    bind = 'mount --bind "$0" deep; cd "$0/.."; exec "$@"'
    home = tmp_path / "deep"
    inner = [*denet("run", "--no-tui", "--summary", str(summary), "--"), sys.executable, "-c", MANY]
    subprocess.run(["unshare", "--mount", "sh", "-c", bind, str(home), *inner], cwd=tmp_path, check=True, timeout=60)
    first, long, longer, bare, shell, descriptor, *vain = told(summary)
    whole, missing, longest, many, far, denied, folder = vain
    assert first["argv"][1:] == ["-c", MANY]
    assert long["argv"] == ["true", "x" * 3000, "é\\xff\n", ""]
    assert "argv_cut" not in long
    assert longer["argv"] == ["true", "y" * (4096 - 5)]
    assert longer["argv_cut"] is True
    assert bare["argv"] == ["true"]
    assert (shell["path"], shell["argv"]) == ("./script", ["/bin/sh", "-e", "./script", "word"])
    assert (descriptor["path"].startswith("/dev/fd/"), descriptor["argv"]) == (True, ["by descriptor"])
    assert {each["cwd"] for each in (long, longer, bare, shell, descriptor, missing)} == {str(home / "folder")}
    several = ["one", "two" * 20, *map(str, range(60)), "last"]
    assert (missing["path"], missing["errno"]) == ("missing", "ENOENT")
    assert [whole["argv"], missing["argv"]] == [several, ["long", "x" * 3000, "y" * 1080]]
    assert not {"argv_cut"} & {*whole, *missing}
    assert (longest["argv"], longest["argv_cut"]) == (["v" * 2000, "w" * (4096 - 2001)], True)
    assert (many["argv"], many["argv_cut"]) == ([*several, "left out"], True), (
        "64 words: whether there are more is not seen"
    )
    assert (far["path"], far["path_cut"], far["errno"]) == ("z" * 255, True, "ENAMETOOLONG")
    assert [each["errno"] for each in (denied, folder)] == ["EACCES", "EACCES"]


ELSEWHERE = """
import ctypes, os, sys
libc = ctypes.CDLL(None)
words = (ctypes.c_char_p * 2)(b"nope", None)
below = os.open("/usr/bin", os.O_PATH)
libc.syscall(int(sys.argv[1]), below, b"nope", words, None, 0)
libc.syscall(int(sys.argv[1]), below, b"/nope", words, None, 0)
libc.syscall(int(sys.argv[1]), -100, b"nope", words, None, 0)
os.rmdir(os.getcwd())
os.execv("nope", ["one", "two"])
"""


def test_a_path_below_another_folder_and_a_folder_that_is_gone_say_so(tmp_path: Path) -> None:
    (tmp_path / "gone").mkdir()
    argv = [sys.executable, "-S", "-c", ELSEWHERE, str(numbers()["execveat"])]
    inner = [*denet("run", "--no-tui", "--summary", str(tmp_path / "summary"), "--"), *argv]
    subprocess.run(inner, cwd=tmp_path / "gone", env=environment(), capture_output=True, timeout=60)
    vain = [each for each in told(tmp_path / "summary") if each["errno"]]
    assert [(each["path"], each["argv"]) for each in vain[:3]] == [
        ("…/nope", ["nope"]),
        ("/nope", ["nope"]),
        ("nope", ["nope"]),
    ]
    assert [each["cwd"] for each in vain] == [str(tmp_path / "gone")] * 3 + [f"{tmp_path}/gone (deleted)"]


SMALL = """
from denet_tui.bpf import loader, request
request.SIZES["EXECS"] = {size}
loader.main()
"""


@pytest.mark.slow
def test_what_finds_no_room_is_counted() -> None:
    kernel = Loading(Request("raw", detail="all"), program=("-c", SMALL.format(size=64))).receive()
    tracer = Tracer(kernel)
    try:
        run_held(tracer, "/bin/sh", "-c", "for i in 1 2 3 4 5 6 7 8 9 10; do " + "/bin/true;" * 10 + " done")
        found = tracer.read()
        assert found.detail.execs is not None
        assert len(found.detail.execs) == 64
        assert found.detail.turned_away == {"execs": 1 + 100 - 64}
        assert found.loss.exact, "it is none of the calls"
        assert tracer.read().detail == Detail((), {})
    finally:
        tracer.close()


def test_of_a_setuid_program_it_is_not_told_what_it_looked_for(person: Person) -> None:
    program = person.home / "env"
    shutil.copy("/usr/bin/env", program)
    program.chmod(0o4755)
    done = person.shell('sudo -n $denet run --summary summary.json --execs -- sh -c "./env nowhere; ./env true"')
    execs = told(person.home / "summary.json")
    failed = [each for each in execs if each["errno"]]
    assert failed, done.stderr
    assert all(each["path"] is each["argv"] is None for each in failed if each["cwd"] == str(person.home))
    assert [each["argv"] for each in execs if not each["errno"]][1:] == [
        ["./env", "nowhere"],
        ["./env", "true"],
        ["true"],
    ]
