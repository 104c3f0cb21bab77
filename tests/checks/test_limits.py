"""LIM-001 and NS-001: limits, cgroups and namespaces made for one process."""

from __future__ import annotations

import contextlib
import errno
import math
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from denet_tui.bpf import facts
from denet_tui.bpf.facts import Mount
from denet_tui.checks import limits
from denet_tui.checks.model import State
from tests.checks.fake import FakeHost
from tests.checks.states import see
from tests.real import REPOSITORY

MODULES = ("privileges", "kernel", "limits")
NONE_LEFT = """
import ctypes
from denet_tui.checks import kernel, limits, privileges
from denet_tui.checks.host import Host
RLIMIT_NOFILE = 7
assert ctypes.CDLL(None).setrlimit(RLIMIT_NOFILE, (ctypes.c_ulong * 2)(3, 3)) == 0
checks = (limits.limits, privileges.seccomp, kernel.types, privileges.effective)
print(*(check(Host()).state for check in checks))
"""
V1 = [Mount("/sys/fs/cgroup/memory", "cgroup", ("rw",), ("rw", "memory"))]
V2 = [Mount("/sys/fs/cgroup", "cgroup2", ("rw",), ("rw",))]


@pytest.mark.root
@pytest.mark.parametrize(
    ("option", "state", "fix"),
    [
        ("--nofile=5", "fail", "files"),
        ("--nofile=24", "fail", "files"),
        ("--nofile=56", "warn", "files"),
        ("--as=200000000", "fail", "space"),
        ("--as=400000000", "warn", "space"),
    ],
)
def test_too_little_room_for_the_loader(option: str, state: str, fix: str) -> None:
    seen = see(["prlimit", option], *MODULES)
    assert seen.wrong == {"LIM-001"}
    found = seen.found["LIM-001"]
    assert found["state"] == state
    assert found["blocks"] == (["raw", "tracefs"] if state == "fail" else [])
    assert [each[0] for each in found["fixes"]] == [f"LIM-001.{fix}"]


@contextlib.contextmanager
def cgroup(megabytes: int) -> Iterator[Path]:
    """A memory cgroup of this size, of whichever version this machine has."""
    top = Path("/sys/fs/cgroup")
    top, file = (top / "memory", "memory.limit_in_bytes") if (top / "memory").is_dir() else (top, "memory.max")
    folder = top / "denet-tui-test"
    try:
        folder.mkdir()
        (folder / file).write_text(str(megabytes << 20))
    except OSError as error:
        with contextlib.suppress(OSError):
            folder.rmdir()
        pytest.skip(f"needs a memory cgroup of its own: {error}")
    try:
        yield folder
    finally:
        folder.rmdir()


@pytest.mark.root
@pytest.mark.parametrize(("megabytes", "state"), [(60, "fail"), (128, "warn"), (400, "pass")])
def test_a_memory_cgroup_that_is_too_small(megabytes: int, state: str) -> None:
    with cgroup(megabytes) as folder:
        enter = ["sh", "-c", f'echo $$ > {folder}/cgroup.procs && exec "$@"', "sh"]
        found = see(enter, "limits").found["LIM-001"]
    assert found["state"] == state
    if state != "pass":
        assert f"{megabytes} MiB" in found["title"]
        assert str(folder) in found["title"]
        assert [each[0] for each in found["fixes"]] == ["LIM-001.memory"]


def memory(cgroups: str, mounts: list[Mount], **files: str) -> tuple[float, str]:
    found = {path.replace("__", "/"): text for path, text in files.items()}
    return facts.memory_limit(FakeHost({"/proc/self/cgroup": cgroups, **found}).read, lambda: mounts)


def test_the_tightest_group_above_counts() -> None:
    files = {
        "/sys/fs/cgroup/user.slice/app/memory.max": "max\n",
        "/sys/fs/cgroup/user.slice/memory.max": "8388608\n",
        "/sys/fs/cgroup/memory.max": "99999999\n",
    }
    assert memory("0::/user.slice/app\n", V2, **files) == (8388608, "/sys/fs/cgroup/user.slice/memory.max")


def test_a_container_sees_its_own_group_at_the_mount() -> None:
    files = {"/sys/fs/cgroup/memory/memory.limit_in_bytes": "8388608\n"}
    assert memory("4:cpu,memory:/docker/0123\n", V1, **files)[0] == 8388608
    assert memory("4:memory:/../..\n", V1, **files)[0] == 8388608
    assert memory("4:cpu:/docker/0123\n", V1, **files)[0] == math.inf


def test_what_both_versions_write_for_no_limit() -> None:
    assert memory("0::/\n", V2, **{"/sys/fs/cgroup/memory.max": "max\n"})[0] == math.inf
    none = {"/sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n"}
    assert memory("4:memory:/\n", V1, **none)[0] == math.inf
    assert memory("", [])[0] == math.inf


@pytest.mark.parametrize(
    ("files", "space", "state"),
    [
        (limits.LEAST_FILES - 1, math.inf, State.FAIL),
        (limits.LEAST_FILES, math.inf, State.WARN),
        (limits.ENOUGH_FILES, math.inf, State.PASS),
        (1024, limits.LEAST_SPACE - 1, State.FAIL),
        (1024, limits.ENOUGH_SPACE, State.PASS),
    ],
)
def test_the_edges(files: float, space: float, state: State) -> None:
    host = FakeHost(limits={"NOFILE": (files, math.inf), "AS": (space, math.inf)}, mounts=[])
    assert limits.limits(host).state is state


def test_two_limits_at_once_are_both_said() -> None:
    found = limits.limits(FakeHost(limits={"NOFILE": (5, 5), "AS": (1000, 1000)}, mounts=[]))
    assert "RLIMIT_NOFILE" in found.title
    assert "RLIMIT_AS" in found.title
    assert [fix.id for fix in found.fixes] == ["LIM-001.files", "LIM-001.space"]


def test_with_no_descriptor_left_at_all_it_is_still_said() -> None:
    done = subprocess.run([sys.executable, "-c", NONE_LEFT], cwd=REPOSITORY, capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == ["fail", "pass", "unknown", "unknown"], done.stderr


@pytest.mark.root
def test_a_pid_namespace_is_a_warning() -> None:
    seen = see(["unshare", "--pid", "--fork", "--mount-proc"], *MODULES)
    assert seen.wrong == {"NS-001"}
    assert seen.found["NS-001"]["state"] == "warn"
    assert "`attach` does not" in seen.found["NS-001"]["title"]


def test_a_hidden_pid_namespace_is_unknown() -> None:
    host = FakeHost(answers={"namespace": OSError(errno.ENOENT, "No such file or directory")})
    assert limits.namespace(host).state is State.UNKNOWN


@pytest.mark.parametrize(
    ("options", "state", "words"),
    [
        (("rw",), State.PASS, "shows the processes of others"),
        (("rw", "hidepid=0"), State.PASS, "shows the processes of others"),
        (("rw", "hidepid=2"), State.WARN, "hidepid=2)"),
        (("rw", "gid=27", "hidepid=invisible"), State.WARN, "hidepid=invisible, but not from group 27)"),
        (("rw", "hidepid=ptraceable"), State.WARN, "hidepid=ptraceable)"),
    ],
)
def test_a_proc_that_hides_processes_is_said(options: tuple[str, ...], state: State, words: str) -> None:
    found = limits.hidden(FakeHost(mounts=[Mount("/proc", "proc", ("rw",), options)]))
    assert (found.state, found.blocks) == (state, ())
    assert words in found.title


HIDDEN = ["unshare", "--mount", "sh", "-c", 'mount -t proc -o hidepid=2 proc /proc && exec "$@"', "sh"]


@pytest.mark.root
def test_where_proc_hides_processes_it_is_said_for_real() -> None:
    seen = see(HIDDEN, "limits")
    assert seen.wrong == {"NS-002"}
