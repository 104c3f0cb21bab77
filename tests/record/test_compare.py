"""Two runs, system call by system call."""

from denet_tui.model import NOTHING, Counters, Syscall
from denet_tui.record.compare import compare

READ, OPEN, MMAP, FOREIGN = (
    Syscall(0, 0, "read"),
    Syscall(0, 257, "openat"),
    Syscall(0, 9, "mmap"),
    Syscall(1, 3, "ia32:read"),
)


def test_the_largest_change_comes_first_and_what_is_in_one_run_only_is_there() -> None:
    before = {READ: Counters(10, 10, 1, 0, 500, 90), OPEN: Counters(100, 100, 5), MMAP: Counters(3, 3, 0, 0, 30)}
    after = {READ: Counters(12, 12, 1, 0, 300, 95), FOREIGN: Counters(7), MMAP: Counters(3, 3, 0, 0, 31)}
    changes = compare(before, after)
    assert [(each.syscall, each.calls, each.errors, each.time_ns) for each in changes] == [
        (OPEN, -100, -5, 0),
        (FOREIGN, 7, 0, 0),
        (READ, 2, 0, -200),
        (MMAP, 0, 0, 1),
    ]
    assert changes[0].after is NOTHING
    assert changes[1].before is NOTHING


def test_equal_runs_differ_in_nothing() -> None:
    run = {READ: Counters(10, 10, 1, 0, 500, 90)}
    assert [(each.calls, each.errors, each.time_ns) for each in compare(run, dict(run))] == [(0, 0, 0)]
