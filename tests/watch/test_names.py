"""Names and command lines: whole where that can be, as they are now, and said to be cut where they are."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from types import MappingProxyType

import pytest

from denet_tui.bpf.tracer import Reading
from denet_tui.model import Loss
from denet_tui.watch.processes import Present, Usages
from denet_tui.watch.sampler import KEPT_LETTERS, Sampler
from tests.record.schema import assert_valid
from tests.watch.helpers import denet
from tests.watch.test_machine import process

LONG = ("x" + "é" * 1000, "b" * 1000, "")

SCRIPT = """#! /bin/sh
/bin/true "$@"
(:)
perl -e '$0 = "at work: 3 of 7"; open F, ">", "title"; sleep 60' "$@" > /dev/null 2>&1 & echo $! > pid1
perl -e 'open F, ">", "whole"; sleep 60' "$@" > /dev/null 2>&1 & echo $! > pid2
until [ -e title ] && [ -e whole ]; do :; done
"""


@pytest.mark.root
def test_command_lines_are_whole_or_said_to_be_cut(tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text(SCRIPT)
    script.chmod(0o755)
    done = denet("run", "--no-tui", "-o", "recording", "--", str(script), *LONG, cwd=tmp_path)
    titled, living = (int((tmp_path / name).read_text()) for name in ("pid1", "pid2"))
    for pid in (titled, living):
        os.kill(pid, signal.SIGKILL)
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in (tmp_path / "recording").read_text().splitlines()]
    assert_valid(lines)
    command, true, subshell, *_ = processes = sorted(lines[-1]["processes"], key=lambda each: each["start_ms"])
    assert command["cmdline"] == subshell["cmdline"] == ["/bin/sh", str(script), *LONG]
    assert true["cmdline"] == ["/bin/true", "x" + "é" * 58]
    known = {each["pid"]: each for each in processes}
    assert known[titled]["cmdline"] == [known[titled]["comm"]] == ["at work: 3 of 7"]
    whole = ["perl", "-e", 'open F, ">", "whole"; sleep 60', *LONG]
    assert known[living]["cmdline"] == whole
    assert [each for each in processes if "cmdline_cut" in each] == [true]
    said = [line for line in lines if line.get("event") == "exec"]
    assert [line["pid"] for line in said if line.get("cmdline_cut")] == [true["pid"]]
    assert [line["cmdline"] for line in said if line["pid"] in (command["pid"], living)] == [command["cmdline"], whole]


def test_what_has_the_id_of_an_ended_process_is_not_taken_for_it() -> None:
    assert Usages().look([process(os.getpid(), start_ns=1)], {}) == {}


def test_of_the_ended_no_more_is_kept_than_can_be_read() -> None:
    """The recording gets all of it before."""
    sampler, record = Sampler(1), process(100, start_ns=2)
    words = ("a" * 4000, "b" * 4000)

    def reading(now: int, end_ns: int) -> Reading:
        return Reading(now, {}, {}, {}, Loss(), [], [record._replace(end_ns=end_ns)])

    sampler.add(reading(10, 0), MappingProxyType({100: Present(comm="x", cmdline=words)}))
    last = sampler.add(reading(20, 15))
    assert last.ended[0].cmdline == words
    (kept,) = last.processes
    assert kept.cut
    assert sum(map(len, kept.cmdline)) <= KEPT_LETTERS
    assert words[1].startswith(kept.cmdline[1])
