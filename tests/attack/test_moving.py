"""What a process does after an exec by another of its threads, or as another user, is counted or said to be missing."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.person import Person
from tests.real import DENET, WITH_TRACEFS

pytestmark = pytest.mark.root


@pytest.fixture(scope="module")
def programs(moving: Path) -> Iterator[tuple[Path, Path]]:
    """The program where everybody may run it, and a copy of it that is setuid root."""
    folder = Path(tempfile.mkdtemp(prefix="denet-tui-test-", dir="/usr/local/lib"))
    folder.chmod(0o755)
    try:
        plain, setuid = (Path(shutil.copy(moving, folder / name)) for name in ("plain", "setuid"))
        setuid.chmod(0o4755)
        yield plain, setuid
    finally:
        shutil.rmtree(folder)


def summary_of(person: Person, words: str, *, method: str = "raw") -> dict[str, Any]:
    """What is counted under sudo, which is for this user's uid alone."""
    denet = " ".join(DENET)
    inside = f"unshare --mount sh -c '{WITH_TRACEFS}' sh" if method == "tracefs" else ""
    done = person.shell(f"sudo -n {inside} {denet} run --attach-method {method} --no-tui --summary moved -- {words}")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads((person.home / "moved").read_text())
    return found


@pytest.mark.slow
def test_every_refused_call_counts_after_execs_by_another_thread(person: Person, programs: tuple[Path, Path]) -> None:
    plain, _ = programs
    summary = summary_of(person, f"{plain} exec {plain} exec {plain} refuse")
    assert summary["exact"] is True, summary["lost"]
    assert summary["syscalls"]["getppid"]["errnos"] == {"EPERM": 10}
    assert summary["syscalls"]["getppid"]["calls"] == 10


@pytest.mark.parametrize("method", ["raw", pytest.param("tracefs", marks=pytest.mark.slow)])
def test_who_becomes_another_user_after_an_exec_by_another_thread_is_missing(
    person: Person, programs: tuple[Path, Path], method: str
) -> None:
    plain, setuid = programs
    summary = summary_of(person, f"{plain} exec {setuid} leave", method=method)
    assert summary["exact"] is False
    assert {name: count for name, count in summary["lost"].items() if count} == {"foreign": 1}
    assert "getppid" not in summary["syscalls"]
    assert summary["syscalls"]["setuid"]["returns"] == 1
    assert all(each["end_ms"] is not None for each in summary["processes"])


@pytest.mark.slow
def test_who_becomes_another_user_is_missing_also_where_there_is_no_root(
    person: Person, programs: tuple[Path, Path]
) -> None:
    _, setuid = programs
    become = ("--inh-caps=-all,+bpf,+perfmon", "--ambient-caps=-all,+bpf,+perfmon")
    done = person.shell(f"$denet run --no-tui --summary alone -- {setuid} leave", become=become)
    assert done.returncode == 0, done.stderr
    summary = json.loads((person.home / "alone").read_text())
    assert {name: count for name, count in summary["lost"].items() if count} == {"foreign": 1}
    assert "not exact: 1 thread of another user, or gone on as one" in done.stderr
