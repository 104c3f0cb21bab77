"""Processes of a cgroup and of a user: who was there, who comes, who moves in and out, and nobody else."""

from __future__ import annotations

import json
import os
import pwd
import signal
import struct
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from denet_tui.bpf.handover import Loading
from denet_tui.bpf.request import Request
from denet_tui.bpf.tracer import Tracer
from denet_tui.watch import cgroups
from denet_tui.watch.launch import StartError
from tests import real
from tests.watch.helpers import DENET, PATIENCE, eventually, text_of

pytestmark = pytest.mark.root

CONTAINER, OTHER = "c0ffee" + "0" * 58, "c0ffee1" + "0" * 57
MOVING = """
echo $$ > {inner}/cgroup.procs
{calls} short 20; {calls} wanted 0
echo $$ > {outside}/cgroup.procs
{calls} wanted 0
"""
AS_ANOTHER = """
import os
user = int(os.environ["AS"])
os.setresuid(user, user, 0)
for _ in range(7): os.getppid()
if not os.fork(): os._exit(os.getppid() and 3)
os.wait()
os.setresuid(0, 0, 0)
for _ in range(11): os.getppid()
"""


@pytest.fixture
def group() -> Iterator[cgroups.Cgroup]:
    """A cgroup of this test's own, with two below it, one of them named as a unit."""
    try:
        root = cgroups.at("/")
    except StartError as error:
        pytest.skip(f"needs cgroups of the second version: {error}")
    folder = root.folder / f"denet-test-{os.getpid()}"
    below = [folder, folder / f"denet-{os.getpid()}.service", folder / f"denet-{os.getpid()}.service" / "inner"]
    for each in below:
        each.mkdir()
    yield cgroups.Cgroup(f"/{folder.name}", folder)
    for each in reversed(below):
        eventually(lambda: not text_of(each / "cgroup.procs"), "it is empty")  # noqa: B023
        each.rmdir()


def begin(folder: Path, *words: str) -> subprocess.Popen[bytes]:
    """Denet-tui once it watches; `finish` has its summary."""
    files = ["-o", str(folder / "kept"), "--summary", str(folder / "summary")]
    with (folder / "said").open("wb") as said:
        watcher = subprocess.Popen(
            [*DENET, *words, "--no-tui", "--detail", "calls", *files], env=real.environment(), stderr=said
        )
    eventually(lambda: text_of(folder / "kept").count("\n") >= 2 or watcher.poll() is not None, "it watches")
    return watcher


def finish(watcher: subprocess.Popen[bytes], folder: Path) -> Any:
    watcher.send_signal(signal.SIGINT)
    assert watcher.wait(PATIENCE) == 0, text_of(folder / "said")
    return json.loads((folder / "summary").read_text())


@pytest.mark.slow
def test_a_cgroup_with_who_is_there_and_who_moves_in_and_out(
    calls: Path, tmp_path: Path, group: cgroups.Cgroup
) -> None:
    unit, inner = group.folder / f"denet-{os.getpid()}.service", next(group.folder.glob("*/inner"))
    script = MOVING.format(inner=inner, outside=cgroups.at("/").folder, calls=calls)
    with subprocess.Popen([calls, "gate"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as gate:
        assert gate.stdin
        assert gate.stdout
        assert gate.stdout.readline() == b"ready\n"
        children = Path(f"/proc/{gate.pid}/task/{gate.pid}/children")
        eventually(lambda: len(text_of(children).split()) == 2, "the gate's children")
        older = [gate.pid, *map(int, text_of(children).split())]
        for pid in older:
            (unit / "cgroup.procs").write_text(str(pid))
        watcher = begin(tmp_path, "attach", "--unit", unit.name)
        log = tmp_path / "strace"
        strace = ["strace", "-f", "-qq", "-e", "signal=none", "-o", str(log), "sh", "-c", script]
        assert subprocess.run(strace, stdout=subprocess.DEVNULL, timeout=PATIENCE).returncode == 0
        gate.communicate(b"x", timeout=PATIENCE)
        summary = finish(watcher, tmp_path)
    assert summary["exact"] is True, summary["lost"]
    recorded = [json.loads(line) for line in (tmp_path / "kept").read_text().splitlines()]
    assert recorded[0]["cmd"] == [f"cgroup {group.path}/{unit.name}"]
    within = {each["pid"]: each["cgroup"] for each in recorded if each.get("event") == "fork"}
    assert {pid: within[pid] for pid in older} == dict.fromkeys(older, f"{group.path}/{unit.name}")
    assert {each["pid"]: each["cgroup"] for each in summary["processes"]}.items() >= within.items()
    counted = {each["pid"]: each["syscalls"] for each in summary["processes"]}
    made = {pid: Counter({name: row["calls"] for name, row in rows.items()}) for pid, rows in counted.items()}
    assert sorted(made[pid]["getpgrp"] for pid in older) == [50, 50, 307]

    lines = [(int(line.split()[0]), line) for line in log.read_text(errors="replace").splitlines()]
    shell = lines[0][0]
    first, second = (at for at, (pid, line) in enumerate(lines) if pid == shell and " write(1, " in line)
    logged = real._Log()
    for at, (pid, line) in enumerate(lines):
        if at > first and (pid == shell or at < second):  # what the shell forks out there is not counted
            logged.line(line)
    late = {each["pid"] for each in summary["processes"] if each["ppid"] == gate.pid}
    assert set(logged.calls) | {gate.pid} | late == set(made)
    for pid, theirs in logged.calls.items():
        for name in real.SHIFTING:
            del made[pid][name], theirs[name]
        assert made[pid] == theirs, pid
    assert sum(each["recvfrom"] for each in made.values()) == 17


def test_a_user_as_long_as_it_is_that_one(tmp_path: Path) -> None:
    user = next(each for each in pwd.getpwall() if each.pw_uid and each.pw_name not in ("nobody", "daemon"))
    watcher = begin(tmp_path, "machine", "--user", user.pw_name)
    argv = [sys.executable, "-c", AS_ANOTHER]
    done = subprocess.run(argv, env={**os.environ, "AS": str(user.pw_uid)}, timeout=PATIENCE)
    summary = finish(watcher, tmp_path)
    assert done.returncode == 0
    assert summary["exact"] is True, summary["lost"]
    (child,) = (each for each in summary["processes"] if each["exit_code"] == 3)
    (parent,) = (each for each in summary["processes"] if each["pid"] == child["ppid"])
    assert (parent["syscalls"]["getppid"]["calls"], child["syscalls"]["getppid"]["calls"]) == (7, 1)
    assert parent["syscalls"]["setresuid"]["calls"] == 1, "the one by which it leaves"
    words = json.loads((tmp_path / "kept").read_text().partition("\n")[0])
    assert (words["cmd"], words["denet_tui"]["user"]) == ([f"processes of {user.pw_name}"], user.pw_name)
    assert not any("was not started by root" in note for note in words["denet_tui"]["notes"])


@pytest.mark.slow
def test_what_is_written_into_the_map_reads_no_further_than_the_cgroup_goes() -> None:
    tracer = Tracer(Loading(Request(detail="all", by_cgroup=True)).receive(timeout=PATIENCE))
    tracer.watch_everyone((0, 0))
    for level in (1, 2, 255, 1 << 31, (1 << 32) - 1):
        tracer.maps["cgroup"].update(bytes(4), struct.pack("<QI4x", 0, level))
        subprocess.run(["sh", "-c", "env true; :"], check=True)
        assert tracer.read().processes == []
    tracer.maps["cgroup"].update(bytes(4), struct.pack("<QI4x", *cgroups.at("/").key))
    tracer.renew()
    subprocess.run(["sh", "-c", "env true; :"], check=True)
    assert "true" in {process.comm for process in tracer.read().processes}
    tracer.close()


def test_units_and_containers_are_found_by_their_cgroups(group: cgroups.Cgroup, tmp_path: Path) -> None:
    unit = next(group.folder.glob("*.service"))
    assert cgroups.of_unit(unit.stem) == cgroups.of_unit(unit.name) == cgroups.at(f"{group.path}/{unit.name}")
    assert cgroups.at(str(unit / "inner")).path == f"{group.path}/{unit.name}/inner"
    assert cgroups.at(str(unit / "inner")).key == ((unit / "inner").stat().st_ino, 3)
    for word in ("no/such", f"{group.folder}/..", str(tmp_path), f"{group.path}/cgroup.procs"):
        with pytest.raises(StartError, match="there is no cgroup"):
            cgroups.at(word)
    names = (f"docker-{CONTAINER}.scope", f"libpod-{OTHER}.scope", f"libpod-conmon-{OTHER}.scope")
    folders = [group.folder / name for name in names]
    conmon = tmp_path / "conmon"
    conmon.symlink_to(sys.executable)
    script = tmp_path / "script"
    script.write_text("import time; time.sleep(60)")
    argv = [conmon, script, "--cid", OTHER, "-n", "web-of-this-test"]
    imitation = [conmon, script, "--cid", CONTAINER, "-n", "web-of-this-test"]
    for each in (tmp_path, *tmp_path.parents):
        if "pytest-" in str(each):
            each.chmod(0o755)
    for each in folders:
        each.mkdir()
    with subprocess.Popen(argv) as looks_after:
        try:
            eventually(lambda: text_of(Path(f"/proc/{looks_after.pid}/comm")) == "conmon\n", "it has its name")
            for word in (CONTAINER, CONTAINER[:8]):
                assert cgroups.of_container(word).folder == folders[0]
            assert cgroups.of_container(OTHER[:7]).folder == folders[1]
            assert cgroups.of_container("web-of-this-test").folder == folders[1]
            with subprocess.Popen(imitation, user=1021) as imitates:
                try:
                    eventually(lambda: text_of(Path(f"/proc/{imitates.pid}/comm")) == "conmon\n", "it has its name")
                    assert cgroups.of_container("web-of-this-test").folder == folders[1]
                finally:
                    imitates.kill()
            with pytest.raises(StartError, match="2 cgroups are those of container c0ffee"):
                cgroups.of_container("c0ffee")
            for word in ("c0f", "no-such"):
                with pytest.raises(StartError, match=f"is that of container {word}: give its id as `docker ps`"):
                    cgroups.of_container(word)
            with pytest.raises(StartError, match=r"is that of unit no-such.service: see `systemctl list-units`"):
                cgroups.of_unit("no-such")
        finally:
            looks_after.kill()
            for each in folders:
                each.rmdir()


def test_a_unit_of_the_same_name_below_a_user_or_a_container_is_another(group: cgroups.Cgroup) -> None:
    top = cgroups.at("/").folder / f"test{os.getpid()}.slice"
    within = group.folder / "user@1021.service"
    folders = [top, top / "twin.service", group.folder / "twin.service", within, within / "twin.service"]
    for each in [*folders, within / "lone.service"]:
        each.mkdir()
    try:
        assert cgroups.of_unit("twin").folder == folders[1]
        folders[1].rmdir()
        assert cgroups.of_unit("twin").folder == folders[2]
        with pytest.raises(StartError, match="of a user's own by its path, --cgroup PATH"):
            cgroups.of_unit("lone")
    finally:
        for each in (within / "lone.service", *reversed(folders)):
            if each.exists():
                each.rmdir()


def test_in_a_cgroup_namespace_it_is_said() -> None:
    done = subprocess.run(
        ["unshare", "--cgroup", *DENET, "machine", "--cgroup", "/"], capture_output=True, text=True, timeout=PATIENCE
    )
    assert (done.returncode, done.stderr.count("\n")) == (125, 1)
    assert "inside a cgroup namespace" in done.stderr
