"""Bytes by process and file, and failing paths, as strace has them of the same run: it is watched while it traces."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from denet_tui.bpf import file_calls
from denet_tui.bpf.handover import Loading
from denet_tui.bpf.request import Request
from denet_tui.bpf.tracer import Tracer
from denet_tui.syscalls import numbers
from tests.real import REPOSITORY, denet, environment, run_summary

pytestmark = pytest.mark.root

PYTHON = str(Path(sys.executable).resolve())
READING = {"read", "pread64", "readv", "preadv", "preadv2", "recvfrom", "recvmsg", "getdents64"}
MAKING = {"openat", "open", "accept4", "socket", "epoll_create1", "memfd_create", "eventfd2"}
WRITING = {"write", "pwrite64", "writev", "sendto", "sendmsg"}
_CALL = re.compile(r"(\w+)\((.*)\) += (-?\d+)(?:<(.*)>)?(?: (E\w+) \(.*\))?$")
_FILE = re.compile(r"\d+<((?:[\w-]+:\[.*?\])|[^<>]*)(?:<char [\d:]+>)?(?:\(deleted\))?>")
_PATH = re.compile(r'(?:(AT_FDCWD|\d+)<([^<>]*)>, )?(?:"((?:[^"\\]|\\.)*)"|(0x\w+))(?:, |$)')
_PEER = re.compile(r'sin6?_port=htons\((\d+)\).*?inet_(?:addr\(|pton\(AF_INET6, )"([^"]+)"')
_TEXT = re.compile(r'"((?:[^"\\]|\\.)*)"')
COMPARED, OF_TWO = 200, 110
"""Letters of a path: of a longer one its end, and of two paths their beginnings, are compared."""


def both(argv: list[str], folder: Path) -> tuple[dict[str, Any], list[tuple[int, re.Match[str]]]]:
    """The summary of a run of strace, and the calls that this strace has seen, by process."""
    summary, log = folder / "summary.json", folder / "log"
    log.mkdir()
    traced = ["strace", "-ff", "-qq", "-yy", "-s", "0", "-e", "signal=none", "-o", str(log / "of"), *argv]
    done = subprocess.run(
        denet("run", "--no-tui", "--detail", "files", "--summary", str(summary), "--", *traced),
        env=environment(), capture_output=True, text=True, errors="replace", timeout=120, cwd=folder,
    )  # fmt: skip
    assert summary.exists(), done.stderr
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f]", done.stderr)  # of whatever a file is called
    calls = []
    for file in log.iterdir():
        lines = file.read_text(errors="replace").splitlines()
        calls += [(int(file.suffix[1:]), found) for line in lines if (found := _CALL.match(line))]
    return json.loads(summary.read_text()), calls


def name_of(told: str) -> str:
    """A file as both call it: with unix sockets told by their kind alone, and by its first name."""
    if told.startswith("UNIX"):
        return "unix"
    if socket := re.match(r"(TCP|UDP)(?:v6)?:\[(.*)\]$", told):
        return f"{socket[1].lower()} {socket[2]}".replace("->", " → ")
    names = {"/renamed": "/one", "/second": "/one", "/work/real/": "/work/bound/below/"}
    for last, first in names.items():
        told = told.replace(last, first)
    return _plain(told)


def _plain(told: str) -> str:
    """Escapes of strace undone, to what JSON has."""
    raw = told.encode("latin-1", "backslashreplace").decode("unicode_escape").encode("latin-1", "replace")
    return raw.decode("utf-8", "backslashreplace")


def uses(calls: list[tuple[int, re.Match[str]]]) -> Counter[tuple[int, str, str]]:
    """What strace has seen: by pid, file and what was counted."""
    found: Counter[tuple[int, str, str]] = Counter()

    def add(pid: int, file: str, what: str, size: int) -> None:
        found[pid, file, f"{what}s"] += 1
        found[pid, file, f"{what}_bytes"] += size

    for pid, (call, words, result, opened, error) in ((pid, each.groups()) for pid, each in calls):
        files = [name_of(each) for each in _FILE.findall(words)]
        if (peer := _PEER.search(words)) and files and files[0].startswith("udp"):
            files[0] += f" → {f'[{peer[2]}]' if ':' in peer[2] else peer[2]}:{peer[1]}"
        if error:
            continue
        if call in READING:
            add(pid, files[0], "read", int(result))
        elif call in WRITING:
            add(pid, files[0], "write", int(result))
        elif call == "sendfile":
            add(pid, files[1], "read", int(result))
            add(pid, files[0], "write", int(result))
        elif call in ("splice", "copy_file_range"):
            add(pid, files[0], "read", int(result))
            add(pid, files[1], "write", int(result))
        elif call in MAKING and opened:
            found[pid, name_of(re.sub(r"<char.*|\(deleted\)", "", opened)), "opens"] += 1
    return _comparable(found)


def _comparable(found: Counter[tuple[int, str, str]]) -> Counter[tuple[int, str, str]]:
    """Without what there is none of, and without opens that strace tells otherwise.

    Sockets are made before they have an address, and what is made by twos it does not name.
    """
    others = ("tcp", "udp", "unix", "pipe:")
    kept = ((key, count) for key, count in found.items() if key[2] != "opens" or not key[1].startswith(others))
    return Counter({key: count for key, count in kept if count})


def told_uses(summary: dict[str, Any], pids: set[int]) -> Counter[tuple[int, str, str]]:
    """The same of a summary."""
    found: Counter[tuple[int, str, str]] = Counter()
    for row in summary["files"]:
        if row["pid"] in pids:
            file = "unix" if row["kind"] == "unix" else row["path"].removesuffix(" (deleted)")
            for what in ("opens", "reads", "writes", "read_bytes", "write_bytes"):
                found[row["pid"], file, what] += row[what]
    return _comparable(found)


def failures(calls: list[tuple[int, re.Match[str]]], folder: Path) -> Counter[tuple[str, str, str | None]]:
    """Failing paths that strace has seen, relative ones below where they begin."""
    kinds = {name: kind for kind, text in file_calls._CALLS.items() for name in _names(text)}
    found: Counter[tuple[str, str, str | None]] = Counter()
    for _, (call, words, _, _, error) in ((pid, each.groups()) for pid, each in calls):
        if not error:
            continue
        if call in ("connect", "bind"):
            text = _TEXT.search(words)
            found[call, error, f"unix {'@' if '@' in words else ''}{text[1]}" if text else None] += 1
        elif kinds.get(call, 0) & file_calls.HAS_OTHER:
            first, second = (_PATH.match(words), _PATH.match(words, _PATH.match(words).end()))  # type: ignore[union-attr]
            apart = first and second and first[1] != second[1] and (first[3] or "/")[0] != "/"
            paths = _told_path(first, folder), _told_path(second, Path("…") if apart else folder, apart=bool(apart))
            found[call, error, " → ".join((path or "?")[:OF_TWO] for path in paths)] += 1
        elif kinds.get(call, 0) & file_calls.HAS_PATH:
            start = _PATH.match(words).end() if call.startswith("symlink") else 0  # type: ignore[union-attr]
            path = _told_path(_PATH.match(words, start), folder)
            found[call, error, path and path[-COMPARED:]] += 1
    return found


def _told_path(told: re.Match[str] | None, folder: Path, *, apart: bool = False) -> str | None:
    """A path that begins where strace says, or in the folder."""
    if told is None or told[3] is None:
        return None
    path, base = _plain(told[3]), (not apart and told[2]) or str(folder)
    if path.startswith("/below/"):  # of who has another root strace tells what is below that
        path = f"{folder}/bound{path}"
    if not path and told[1] in (None, "AT_FDCWD"):
        return '""'
    return path if path.startswith("/") else f"{base}/{path}" if path else base


def _names(text: str) -> Iterator[str]:
    return (row.partition(":")[0] for row in text.split())


def told_failures(summary: dict[str, Any]) -> Counter[tuple[str, str, str | None]]:
    """The same of a summary; those of strace itself are in it."""
    found: Counter[tuple[str, str, str | None]] = Counter()
    for row in summary["failed_paths"]:
        path = row["path"]
        if row["syscall"] != "chdir":  # of a helper of strace
            told = path and path[-COMPARED:]
            if path and " → " in path:
                told = " → ".join(each.rstrip("…")[:OF_TWO] for each in path.split(" → "))
            found[row["syscall"], row["errno"], told] += row["count"]
    return found


@pytest.fixture(scope="module")
def strace_itself(tmp_path_factory: pytest.TempPathFactory) -> Counter[tuple[str, str, str | None]]:
    """Failing paths that are strace's own."""
    folder = tmp_path_factory.mktemp("strace")
    summary, calls = both(["/bin/true"], folder)
    found = told_failures(summary)
    found.subtract(failures(calls, folder))
    return +found


def test_numbers_are_this_machines() -> None:
    known = numbers()
    of_table = file_calls.classes()
    assert len(of_table) > 50
    names = {name for text in file_calls._CALLS.values() for name in _names(text)}
    unnamed = {134}  # uselib: gone, and the table of names lacks it
    assert {known[name] for name in names if name in known} == set(of_table) - unnamed


def test_bytes_and_failing_paths_as_strace_has_them(
    tmp_path: Path, strace_itself: Counter[tuple[str, str, str | None]]
) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    program = str(Path(__file__).with_name("touching.py"))
    summary, calls = both([PYTHON, "-S", "-I", program, str(folder)], tmp_path)
    theirs = uses(calls)
    assert summary["exact"], summary["lost"]
    assert summary["turned_away"] == {}
    ours = told_uses(summary, {pid for pid, *_ in theirs})
    assert ours == theirs
    sizes = {size for (_, _, what), size in theirs.items() if what.endswith("bytes")}
    assert {16, 17, 22, 26, 35, 36} <= sizes
    peers = {row["path"]: row["write_bytes"] for row in summary["files"] if row["kind"] == "unix"}
    assert peers["unix @denet-one"] == 38
    failing = failures(calls, folder)
    assert failing["openat", "ENOENT", "/etc/missing"] == failing["openat", "ENOENT", "/etc/../missing"] == 1
    assert failing["linkat", "ENOENT", "/etc/missing → …/here"] == 1
    assert failing["connect", "ECONNREFUSED", "unix @denet-nobody"] == 1
    told = told_failures(summary)
    told.subtract(strace_itself)
    assert {key: told[key] for key in failing} == failing


def test_failing_paths_as_strace_has_them(tmp_path: Path, strace_itself: Counter[tuple[str, str, str | None]]) -> None:
    nowhere = ":".join(f"/nowhere/{number}" for number in range(40))
    imports = f"{PYTHON} -c 'import email.message'"
    looks = f"/usr/bin/env PATH={nowhere}:/usr/bin:/bin /bin/sh -c 'ls / | sort; nope'"
    compiles = f"/usr/bin/gcc -O0 -o /dev/null {Path(__file__).with_name('killed.c')}"
    summary, calls = both(["/bin/sh", "-c", f"{imports}; {looks}; {compiles}"], tmp_path)
    theirs = failures(calls, tmp_path)
    assert {call for call, _, _ in theirs} >= {"newfstatat", "openat"}
    assert sum(theirs.values()) > 40
    told = told_failures(summary)
    told.subtract(strace_itself)
    assert +told == theirs


@pytest.mark.slow
def test_a_million_reads_of_a_byte(tmp_path: Path) -> None:
    summary = tmp_path / "summary.json"
    command = denet("run", "--no-tui", "--summary", str(summary), "--", "dd", "if=/dev/zero", "of=/dev/null", "bs=1")
    subprocess.run([*command, "count=1000000"], env=environment(), capture_output=True, timeout=120, check=True)
    found = json.loads(summary.read_text())
    zero = next(row for row in found["files"] if row["path"] == "/dev/zero" and row["pid"] is None)
    null = next(row for row in found["files"] if row["path"] == "/dev/null" and row["pid"] is None)
    assert (zero["reads"], zero["read_bytes"], null["write_bytes"]) == (1_000_000, 1_000_000, 1_000_000)
    slowest = [row for row in found["slowest"] if row["syscall"] == "read"]
    assert len(slowest) == 5
    assert slowest[0]["time_ns"] == found["syscalls"]["read"]["max_ns"]


def test_of_a_setuid_program_nothing_is_told() -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        program = Path(folder) / "cat"
        shutil.copy("/bin/cat", program)
        program.chmod(0o4755)
        argv = [sys.executable, "-m", "tests.bpf.as_another", "65534", str(program)]
        done = subprocess.run(argv, env=environment(), capture_output=True, text=True, timeout=120, cwd=REPOSITORY)
    found = json.loads(done.stdout.splitlines()[-1])
    assert "/etc/hostname" in found["files"]
    assert "/own-missing" in found["failed"]
    assert "shadow" not in done.stdout
    assert "secret" not in done.stdout
    assert found["turned_away"]["calls of programs that their user may not trace"] > 10


LATE = """
import socket
one, two = socket.socketpair()
for _ in range(2):
    input()
    print(one.send(b"x"), flush=True)
    two.bind(b"\\0denet-late") if not two.getsockname() else None
"""


def test_a_socket_gets_its_name_when_its_peer_has_one() -> None:
    tracer = Tracer(Loading(Request("raw", detail="files")).receive())
    try:
        argv = [PYTHON, "-S", "-c", LATE]
        with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) as watched:
            assert watched.stdin
            assert watched.stdout
            tracer.attach(watched.pid)
            names = []
            for _ in range(2):
                watched.stdin.write("\n")
                assert watched.stdout.readline() == "1\n"
                about = tracer.read().about
                assert about
                names += [file.path for _, file, use in about.used if file.kind == "unix" and use.writes]
    finally:
        tracer.close()
    assert re.fullmatch(r"unix \[\d+\]", names[0] or "")
    assert names[1:] == ["unix @denet-late"]


def test_of_root_in_a_namespace_of_its_user_all_is_told() -> None:
    """ptrace(2) would let that user trace it: who has made a user namespace can do all in it."""
    argv = [sys.executable, "-m", "tests.bpf.as_another", "65534", "cat", "unshare", "-Ur"]
    done = subprocess.run(argv, env=environment(), capture_output=True, text=True, timeout=120, cwd=REPOSITORY)
    found = json.loads(done.stdout.splitlines()[-1])
    assert "/etc/hostname" in found["files"]
    assert "/etc/shadow" in found["failed"]
    assert found["turned_away"] == {}


@pytest.mark.parametrize(
    "options",
    [["--inh-caps", "+dac_read_search", "--ambient-caps", "+dac_read_search"], ["mapped", "0"], ["mapped", "1000"]],
    ids=["capabilities", "in another's namespace", "without any in another's namespace"],
)
def test_of_what_its_user_may_not_trace_nothing_is_told(options: list[str]) -> None:
    argv = [sys.executable, "-m", "tests.bpf.as_another", "65534", "cat", *options]
    done = subprocess.run(argv, env=environment(), capture_output=True, text=True, timeout=120, cwd=REPOSITORY)
    found = json.loads(done.stdout.splitlines()[-1])
    assert (found["files"], found["failed"]) == ([], [])
    assert found["turned_away"]["calls of programs that their user may not trace"] > 10


MANY = """
import os, sys
for at in range(3000):
    os.close(os.open(f"{sys.argv[1]}/{at}", os.O_CREAT | os.O_RDONLY))
    try:
        os.open(f"{sys.argv[1]}/none-{at}", os.O_RDONLY)
    except OSError:
        pass
"""


@pytest.mark.slow
@pytest.mark.parametrize("full", [False, True])
def test_tables_of_few_rows_count_what_they_turn_away(full: bool, tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    argv = [PYTHON, "-S", "-c", MANY, str(tmp_path / "files")]
    _, found = run_summary(argv, tmp_path, *(["--rows", "64"] if full else []), "--detail", "files")
    opens = sum(each["opens"] for each in found["files"] if each["pid"] is None)
    missed = sum(each["count"] for each in found["failed_paths"])
    away = found["turned_away"]
    assert found["syscalls"]["openat"]["calls"] > 6000, "calls are counted elsewhere"
    assert (away.keys() >= {"files", "paths", "names"}) == full
    assert opens + away.get("files", 0) >= 3000
    assert missed + away.get("paths", 0) >= 3000
    assert (opens < 3000) == (missed < 3000) == full


@pytest.mark.slow
def test_calls_without_a_row_are_missing_here_too_and_counted(tmp_path: Path) -> None:
    many = f"{PYTHON} -S -c 'import os; [os.stat(\"/etc\") for _ in range(50)]'"
    script = "; ".join([many, "cat /etc/passwd", "ls /nowhere"] * 4)
    _, found = run_summary(["/bin/sh", "-c", f"({script}); exit 0"], tmp_path, "--rows", "16", "--detail", "files")
    assert found["lost"]["rows"] > 0, "the badge speaks of calls"
    assert found["turned_away"]["calls on files"] > 0


ELSEWHERE = """
import os, sys
def fails(call, *paths):
    try:
        call(*paths)
    except OSError as problem:
        return problem.errno
    raise SystemExit("it was to fail")
fails(os.stat, "")
os.chdir(sys.argv[1])
fails(os.stat, "")
os.chroot(".")
fails(os.stat, "/missing/name")
fails(os.stat, "below")
fails(os.rename, "/one", "/two")
fails(os.link, "/one", "two")
"""


def test_paths_say_which_root_they_begin_at_and_an_empty_one_is_none(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    _, found = run_summary([PYTHON, "-S", "-c", ELSEWHERE, str(tmp_path / "root")], tmp_path, "--detail", "files")
    paths = Counter[str]()
    for each in found["failed_paths"]:
        if each["path"] == '""' or each["path"].startswith((f"{tmp_path}/root", "/one")):
            paths[each["path"]] += each["count"]
    root = f"{tmp_path}/root"
    assert paths == {
        '""': 2,
        f"{root}/missing/name": 1,
        f"{root}/below": 1,
        f"{root}/one → {root}/two": 1,
        f"/one → {root}/two": 1,  # of both there is one folder alone
    }
