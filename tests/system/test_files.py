"""Planted links, pipes, devices and huge files: what is read and written where somebody else may have been before."""

from __future__ import annotations

import grp
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from denet_tui.checks.host import Host
from denet_tui.system import files
from tests.person import Person
from tests.planted import NOBODY, as_nobody, mode_of, write
from tests.real import REPOSITORY, environment
from tests.watch.helpers import denet

# The record of the last good run: root reads it below somebody's home

RACE = """
import json, os, sys, threading, time
from denet_tui.bpf.privilege import User
from denet_tui.checks import last_good
from denet_tui.checks.host import Host
home, secret = sys.argv[1:]
class Sudo(Host):
    def asker(self): return User(65534, 65534, "nobody", home)
path, good, link, pipe = (f"{home}/{name}" for name in ("last-good.json", "good", "link", "pipe"))
with open(good, "w") as file: file.write(json.dumps({"format": 1, "seen": {"kernel": "theirs"}}))
os.chmod(good, 0o600); os.chown(good, 65534, 65534)
os.symlink(secret, link); os.mkfifo(pipe, 0o600); os.chown(pipe, 65534, 65534)
def swap():
    while True:
        for other in (good, link, good, pipe):
            os.rename(other, path); os.rename(path, other)
threading.Thread(target=swap, daemon=True).start()
seen, end = set(), time.monotonic() + 1
while time.monotonic() < end or not {"theirs", "OSError"} <= seen:
    try:
        record = last_good.recall(Sudo(), path)
    except (OSError, last_good.LastGoodError) as error:
        seen.add(type(error).__name__)
    else:
        seen.add(record["kernel"] if record else None)
print(json.dumps(sorted(map(str, seen))))
"""


@pytest.mark.root
def test_a_record_that_is_swapped_under_way_is_neither_followed_nor_waited_for(theirs: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text(json.dumps({"format": 1, "seen": {"kernel": "of root"}}))
    secret.chmod(0o600)
    done = subprocess.run(
        [sys.executable, "-c", RACE, str(theirs), str(secret)],
        cwd=REPOSITORY,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert "of root" not in seen
    assert {"theirs", "OSError"} <= set(seen), "the swapping was met"


@pytest.mark.root
@pytest.mark.parametrize("what", ["link", "pipe", "folder", "huge", "of root", "twice", "open"])
def test_what_is_no_record_of_the_askers_is_said_at_once(theirs: Path, tmp_path: Path, what: str) -> None:
    path = theirs / "last-good.json"
    target = tmp_path / "target"
    target.write_text('{"format": 1, "seen": {}}')
    if what == "link":
        path.symlink_to(target)
    elif what == "pipe":
        os.mkfifo(path, 0o600)
    elif what == "folder":
        path.mkdir()
    else:
        path.write_text("{}" if what != "huge" else " " * (files.SMALL + 1))
        path.chmod(0o666 if what == "open" else 0o600)
    if what == "twice":
        os.link(path, theirs / "other")
    os.chown(path, 0 if what == "of root" else NOBODY, 0, follow_symlinks=False)
    says = {
        "link": "symbolic links",
        "folder": "Is a directory",
        "huge": "larger than",
        "of root": "belongs to uid 0",
        "twice": "several names",
        "open": "can be written by others",
    }.get(what, "not a regular file")
    started = time.monotonic()
    with pytest.raises(OSError, match=says):
        Host().read_of(NOBODY, str(path))
    assert time.monotonic() - started < 2


@pytest.mark.root
def test_a_link_on_the_way_may_be_the_askers_own_but_nobody_elses(theirs: Path) -> None:
    (theirs / "real").mkdir()
    (theirs / "real" / "record").write_text("{}")
    (theirs / "link").symlink_to("real")
    for path in (theirs / "real", theirs / "real" / "record"):
        os.chown(path, NOBODY, NOBODY)
    assert Host().read_of(NOBODY, str(theirs / "link" / "record")) == b"{}"
    with pytest.raises(OSError, match="symlink that somebody else"):
        Host().read_of(NOBODY - 1, str(theirs / "link" / "record"))


def test_nothing_that_checks_read_is_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    started = time.monotonic()
    for path in (tmp_path / "pipe", tmp_path, Path("/dev/zero"), Path("/dev/tty")):
        with pytest.raises(OSError, match=r"not a regular file|No such device or address|Is a directory"):
            Host().read(str(path))
    assert time.monotonic() - started < 2
    assert Host().read("/proc/self/status").startswith("Name:")
    assert Host().read("/sys/kernel/mm/transparent_hugepage/enabled")


# Recordings, summaries, outputs and logs

OPTIONS = ["-o", "--summary", "--output", "--log-file"]


def plant(sticky: Path, what: str) -> tuple[Path, Path, list[int]]:
    """What somebody else has put where root will write; the file that must stay as it is, and a pipe's reader."""
    path, target, held = sticky / "x", sticky / "target", []
    target.write_text("precious")
    target.chmod(0o666)
    if what == "link":
        as_nobody(lambda: path.symlink_to(target))
    elif what == "link to a link":
        as_nobody(lambda: path.symlink_to("own"))
        (sticky / "own").symlink_to(target)
    elif what == "folder":
        (sticky / "real").mkdir()
        as_nobody(lambda: (sticky / "way").symlink_to("real"))
        path = sticky / "way" / "x"
    elif what == "pipe":
        as_nobody(lambda: os.mkfifo(path, 0o666))
        held.append(os.open(path, os.O_RDONLY | os.O_NONBLOCK))
    elif what == "second name":
        os.link(target, path)
    else:
        as_nobody(lambda: path.write_text("theirs"))
        path.chmod(0o666)
    assert path.is_symlink() or path.exists() or what == "folder"
    return path, target, held


@pytest.mark.root
@pytest.mark.parametrize(
    ("option", "what"),
    [
        *((option, "link") for option in OPTIONS),
        *(("--output", what) for what in ("link to a link", "folder", "pipe", "second name", "file")),
    ],
)
def test_what_somebody_planted_is_not_written_to(sticky: Path, option: str, what: str) -> None:
    """As root with nobody to become, in a folder as /tmp is, and whatever fs.protected_* say."""
    path, target, held = plant(sticky, what)
    done = denet("run", "--no-tui", option, str(path), "--", "touch", str(sticky / "ran"))
    assert done.returncode == 125
    assert done.stderr.count("\n") == 1, done.stderr
    assert done.stderr.startswith("denet-tui: cannot write the ")
    assert str(path) in done.stderr
    assert "name another file" in done.stderr
    assert target.read_text() == "precious"
    assert not (sticky / "ran").exists()
    assert not (sticky / "real" / "x").exists()
    if what == "file":
        assert path.read_text() == "theirs"
    for each in held:
        assert os.read(each, 10) == b""
        os.close(each)


@pytest.mark.root
def test_files_are_the_callers_alone_and_existing_ones_keep_their_mode(sticky: Path) -> None:
    names = dict(zip(OPTIONS, ("recording", "summary", "output", "log"), strict=True))
    words = [word for option, name in names.items() for word in (option, str(sticky / name))]
    before = os.umask(0)
    try:
        done = denet("run", "--no-tui", "--debug", *words, "--", "echo", "said")
    finally:
        os.umask(before)
    assert done.returncode == 0, done.stderr
    assert {name: oct(mode_of(sticky / name)) for name in names.values()} == dict.fromkeys(names.values(), "0o600")
    assert (sticky / "output").read_text() == "said\n"
    logged = (sticky / "log").read_text()
    for name in names.values():
        (sticky / name).chmod(0o640)
    assert denet("run", "--no-tui", "--debug", *words, "--", "echo", "again").returncode == 0
    assert {name: oct(mode_of(sticky / name)) for name in names.values()} == dict.fromkeys(names.values(), "0o640")
    assert (sticky / "output").read_text() == "again\n"
    assert (sticky / "log").read_text().startswith(logged), "a log goes on at its end"
    assert (sticky / "recording").read_text().count('"kind":"metadata"') == 1


@pytest.mark.root
@pytest.mark.parametrize("command", [["diag", "--only", "KERN-003"], ["setup", "--plan", "--only", "KERN-003"]])
def test_the_logs_of_diag_and_setup_are_the_callers_alone(sticky: Path, command: list[str]) -> None:
    assert denet(*command, "--log-file", str(sticky / "log")).returncode == 0
    assert mode_of(sticky / "log") == 0o600
    as_nobody(lambda: (sticky / "link").symlink_to(sticky / "log"))
    size = (sticky / "log").stat().st_size
    done = denet(*command, "--log-file", str(sticky / "link"))
    assert (done.returncode, done.stderr.count("\n")) == (64, 1)
    assert "symlink that somebody else can have put there (you may not write there: name another file)" in done.stderr
    assert (sticky / "log").stat().st_size == size


def test_what_a_user_expects_of_a_file_name(sticky: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Own links, own files, relative names, pipes and devices: all as everywhere else."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "way").symlink_to("folder")
    (tmp_path / "latest").symlink_to(tmp_path / "way" / ".." / "way" / "first")
    (sticky / "mine").symlink_to(tmp_path / "first")
    (sticky / "existing").write_text("much longer than that")
    for name, found in (
        ("first", tmp_path / "first"),
        ("./way/../way/./second", tmp_path / "folder" / "second"),
        ("latest", tmp_path / "folder" / "first"),
        (str(sticky / "mine"), tmp_path / "first"),
        (str(sticky / "existing"), sticky / "existing"),
        (f"//{sticky}//new", sticky / "new"),
    ):
        write(name)
        assert found.read_text() == "written"
    write("first", b" more", append=True)
    assert (tmp_path / "first").read_text() == "written more"
    ours, end = os.pipe()
    for name in (f"/dev/fd/{end}", f"/proc/self/fd/{end}", f"/proc/{os.getpid()}/fd/{end}"):
        write(name, b"piped", special=True)
        assert os.read(ours, 10) == b"piped"
    write("/dev/null", special=True)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        (".", "Is a directory"),
        ("/", "Is a directory|File exists"),
        ("none/x", "No such file"),
        ("file/x", "Not a directory"),
        ("loop", "symbolic links"),
        ("x" * 300, "File name too long"),
        ("pipe", "a pipe without a reader"),
        ("/dev/null", "not a file of your own"),
        ("dangling", "No such file"),
    ],
)
def test_what_cannot_be_written_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, says: str) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "dangling").symlink_to("none/x")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match=says):
        files.create(name)


@pytest.mark.root
def test_nobody_writes_through_roots_files_either(sticky: Path) -> None:
    """The same for an ordinary user: root's link in a sticky folder is not followed, root's file not written."""
    (sticky / "real").mkdir(mode=0o777)
    (sticky / "real").chmod(0o777)
    (sticky / "link").symlink_to(sticky / "real" / "x")
    (sticky / "file").write_text("root's")
    (sticky / "file").chmod(0o666)
    assert "symlink that somebody else" in as_nobody(lambda: write(sticky / "link"))
    assert "not a file of your own" in as_nobody(lambda: write(sticky / "file"))
    assert as_nobody(lambda: write(sticky / "own")) == ""
    assert ((sticky / "own").stat().st_uid, mode_of(sticky / "own")) == (NOBODY, 0o600)
    assert (sticky / "file").read_text() == "root's"


def test_no_descriptor_is_left_open(tmp_path: Path, sticky: Path) -> None:
    (sticky / "dangling").symlink_to("none/x")
    before = len([*Path("/proc/self/fd").iterdir()])
    for name in (tmp_path, Path("/dev/null"), sticky / "dangling" / "x", Path("/proc/self/fd/0/x"), tmp_path / "none"):
        with pytest.raises(OSError, match=str(name)):
            files.read(name)
        if name.name != "none":
            with pytest.raises(OSError, match=r"\[Errno"):
                files.create(name)
    with pytest.raises(OSError, match="in a folder that can be written by others"):
        files.replace(sticky / "x", b"x")
    files.replace(tmp_path / "a" / "b" / "c", b"x")
    assert files.read(tmp_path / "a" / "b" / "c") == b"x"
    assert len([*Path("/proc/self/fd").iterdir()]) == before


@pytest.mark.root
def test_a_group_with_a_second_member_is_not_the_owners_own(person: Person) -> None:
    """Though its number is the owner's."""
    theirs, group = person.home / "theirs", f"{person.name}g"
    theirs.write_text("{}")
    os.chown(theirs, person.uid, person.uid)
    theirs.chmod(0o660)
    try:
        group = grp.getgrgid(person.uid).gr_name
    except KeyError:
        subprocess.run(["groupadd", "-g", str(person.uid), group], check=True)
    assert files.read(theirs, person.uid) == b"{}"
    subprocess.run(["gpasswd", "-a", "nobody", group], check=True, capture_output=True)
    try:
        with pytest.raises(OSError, match="others"):
            files.read(theirs, person.uid)
    finally:
        subprocess.run(["gpasswd", "-d", "nobody", group], check=True, capture_output=True)
        if group == f"{person.name}g":
            subprocess.run(["groupdel", group], check=True)
