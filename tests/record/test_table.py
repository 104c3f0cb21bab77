"""The table at the end."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from denet_tui.detail import UNKNOWN, Accounts, Detail, Time
from denet_tui.model import Counters, Loss, Syscall
from denet_tui.record.table import duration, render_table
from tests.record.made import EXITED_3, INFO, KILLED, READ, WRITE, counted, process, snapshot, story


def table(width: int = 100, **more: object) -> str:
    return render_table(INFO, story()[-1]._replace(**more), width)


def rows(text: str) -> list[list[str]]:
    """The cells of the rows between the two rules."""
    return [line.split() for line in re.split(r"^[- ]+$", text, flags=re.MULTILINE)[1].strip().splitlines()]


def test_rows_are_sorted_by_time_and_hold_what_was_counted():
    text = table()
    heads = re.split(" +", text.splitlines()[0].strip().replace("% time", "%time"))
    assert heads == ["%time", "seconds", "usecs/call", "calls", "errors", "p99<=", "max", "syscall"]
    names = [cells[-1] for cells in rows(text)]
    assert names == ["write", "openat", "read", "ia32:read", "mmap", "socket", "exit_group"]
    assert rows(text)[0] == ["99.78", "0.135000", "0.1", "900000", "150ns", "150ns", "write"]
    assert rows(text)[1] == ["0.18", "0.000240", "20.0", "12", "3", "20.0us", "20.0us", "openat"]
    assert rows(text)[-1] == ["0.00", "0.000000", "0.0", "1", "exit_group"], "never returned: no percentile, no maximum"


def test_a_command_line_of_any_length_leaves_room_for_the_rest() -> None:
    text = render_table(INFO._replace(argv=("true", 100_000 * "x")), story()[-1], 100)
    assert "x… (1000)\n" in text
    assert len(text.splitlines()) < len(table().splitlines()) + 5


def test_the_total_row_is_the_sum():
    total = next(line for line in table().splitlines() if line.endswith("total")).split()
    assert total[:2] == ["100.00", "0.135295"]
    assert total[3:5] == ["900068", "8"]


def test_columns_are_aligned():
    head, _, *lines = table().splitlines()
    name_at = head.index("syscall")
    assert all(line[name_at - 1] == " " and line[name_at] != " " for line in [head, *lines[:7]])


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({}, "exited with status 3"),
        ({"status": KILLED}, "was killed by SIGKILL"),
        ({"status": KILLED | 0x80}, "was killed by SIGKILL"),
        ({"status": 40}, "was killed by signal 40"),
        ({"status": None, "running": True}, "still running"),
        ({"status": None}, "exit status not known"),
        ({"loss": Loss()}, "exact: no call lost"),
        ({"loss": Loss(tasks=1)}, "not exact: 1 thread not watched"),
        ({"loss": Loss(rows=12_345)}, "not exact: 12,345 calls not assigned to a process"),
        ({"forgotten": 19_996}, "processes: 20,000, 1 still running"),
    ],
)
def test_the_fate_of_the_run_is_told(more, told):
    assert told in table(**more)


def test_survivors_and_calls_that_never_returned_are_named():
    text = table()
    assert "still running: cc1 (1003)" in text
    assert "unreturned calls: 1 (exit_group 1)" in text
    assert "command: make -j4 (1000)" in text
    assert "note: a note" in text


def test_many_survivors_are_counted():
    crowd = [process(2000 + index, {READ: counted(2, unreturned=0)}) for index in range(10)]
    text = render_table(INFO, snapshot(1, crowd, status=EXITED_3, running=False), 200)
    assert "cc1 (2000), cc1 (2001), cc1 (2002) and 7 more" in text


def test_calls_under_way_are_told_apart_from_those_that_died():
    waiting = Counters(3, returns=1, time_ns=1000, max_ns=1000)
    text = render_table(INFO, snapshot(1, [process(1000, {READ: waiting, WRITE: counted(4, unreturned=2)})]), 100)
    assert "still in a call: 2 (read 2)" in text
    assert "unreturned calls: 2 (write 2)" in text


def test_no_calls_at_all():
    text = render_table(INFO, snapshot(0.1, []), 80)
    assert text.startswith("no syscalls were seen\n")
    assert "processes: 0\n" in text


def test_syscalls_of_no_calls_are_left_out():
    text = render_table(INFO, snapshot(0.1, [process(1000, {READ: counted(0), WRITE: counted(1)})]), 80)
    assert [cells[-1] for cells in rows(text)] == ["write"]


def test_a_name_cannot_reach_the_terminal():
    text = render_table(INFO, snapshot(1, [process(1000, {READ: counted(1)}, comm="\x1b[2J\n\udcff")]), 100)
    assert "\x1b" not in text
    assert "\\x1b[2J\\n\\xff (1000)" in text


def test_a_narrow_terminal_keeps_calls_and_names():
    text = table(20)
    assert text.splitlines()[0].split()[-2:] == ["calls", "syscall"]
    assert rows(text)[0][-2:] == ["900000", "write"]


@given(st.integers(1, 250), st.text(min_size=1, max_size=60), st.integers(1, 2**45))
def test_no_line_is_wider_than_the_terminal(width, name, calls):
    crowd = [process(1000, {Syscall(0, 1, name): counted(calls, each_ns=50_000), READ: counted(1)}, comm=name)]
    text = render_table(INFO, snapshot(1, crowd, loss=Loss(1, 2, 3)), width)
    assert max(map(len, text.split("\n"))) <= width
    assert text.endswith("\n")


@pytest.mark.parametrize("width", range(30, 100))
def test_a_number_and_its_percent_sign_are_on_one_line(width):
    text = table(width, detail=Detail(time=Time(3 * 10**8, 10**8, 2 * 10**8, 10**9)))
    assert "waits for CPU 12 %" in " ".join(text.split())
    assert not [line for line in text.splitlines() if line.startswith("  %")]


@pytest.mark.parametrize(
    ("time_ns", "told"),
    [
        (0, "0ns"), (812, "812ns"), (999.4, "999ns"), (999.9, "1.00us"), (3_250, "3.25us"), (9_996, "10.0us"),
        (15_000_000, "15.0ms"), (999_600_000, "1.00s"), (2_100_000_000, "2.10s"), (7.2e12, "7200s"),
    ],
)  # fmt: skip
def test_durations_have_three_digits(time_ns, told):
    assert duration(time_ns) == told


def test_what_was_used_is_said_and_what_is_not_known_is_not():
    busy = snapshot(2.0, [])._replace(accounts=Accounts(3_300_000_000, 1500, 3, 4096, 335_544_320, 45 << 20))
    said = re.sub(r"\s+", " ", render_table(INFO, busy))
    assert (
        "used: 3.300 s of CPU (165 %), at most 46,080 KiB of memory in a process, 1,503 page faults, 3 of them from "
        "disk, 4,096 bytes read from disks, 335,544,320 written" in said
    )
    unknown = re.sub(r"\s+", " ", render_table(INFO, busy._replace(accounts=Accounts(cpu_ns=1_000_000_000))))
    assert "used: 1.000 s of CPU (50 %) processes:" in unknown
    assert "used: not known" in render_table(INFO, busy._replace(accounts=UNKNOWN))
