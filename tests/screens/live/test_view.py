"""What a Snapshot looks like through the user's choices: its sums stay sums, whatever it is narrowed to."""

import errno

import pytest

from denet_tui.model import NOTHING, Counters, InFlight, Loss, ProcessInfo, Snapshot
from denet_tui.screens.live.view import View, crumbs, seen_through
from denet_tui.syscalls import class_of
from denet_tui.widgets.narrowing import Errno, Family, Named, Narrowing, OneSyscall, Subtree
from tests.screens.live.double import SYSCALLS, TICK_NS, Build, total

READ, OPENAT, FUTEX = SYSCALLS[0], SYSCALLS[2], SYSCALLS[8]


def snapshots(ticks: int = 4, loss: Loss = Loss()) -> list[Snapshot]:  # noqa: B008 (frozen)
    build = Build(loss=loss)
    return [build.step() for _ in range(ticks)]


def process(snapshot: Snapshot, pid: int) -> ProcessInfo:
    (found,) = [each for each in snapshot.processes if each.pid == pid]
    return found


def through(*steps: Narrowing, cumulative: bool = True) -> tuple[Snapshot, Snapshot]:
    """The whole, and what is seen of it."""
    before, whole = snapshots()[-2:]
    return whole, seen_through(View(cumulative=cumulative).narrowed(*steps), whole, before)


def agrees(seen: Snapshot) -> None:
    """Every sum is the sum of its parts."""
    assert seen.total == total(seen.syscalls.values())
    assert seen.delta == total(seen.recent.values())
    for each in seen.processes:
        assert each.total == total(each.syscalls.values())
        assert each.delta == total(each.recent.values())
    for syscall, counters in seen.syscalls.items():
        mine = total(each.syscalls.get(syscall, NOTHING) for each in seen.processes)
        assert mine == counters
        assert counters.errors == sum(count for (call, _), count in seen.errnos.items() if call == syscall)


def test_nothing_chosen_is_the_snapshot_itself() -> None:
    whole, seen = through()
    assert seen is whole
    agrees(seen)


@pytest.mark.parametrize("cumulative", [True, False])
@pytest.mark.parametrize(
    "steps",
    [
        (Subtree(process(snapshots()[-1], 4243)),),
        (Named("cc1"),),
        (Family("file"),),
        (OneSyscall(OPENAT),),
        (Errno(errno.ENOENT),),
        (OneSyscall(OPENAT), Errno(errno.EACCES)),
        (Subtree(process(snapshots()[-1], 4243)), Family("file"), OneSyscall(OPENAT), Errno(errno.ENOENT)),
        (Family("network"), Errno(errno.ENOENT)),
    ],
)
def test_the_sums_agree_however_it_is_narrowed(steps: tuple[Narrowing, ...], cumulative: bool) -> None:
    agrees(through(*steps, cumulative=cumulative)[1])


def test_a_process_stands_for_everything_below_it() -> None:
    whole, seen = through(Subtree(process(snapshots()[-1], 4243)))
    assert {each.pid for each in seen.processes} == {4243, 4245, 4246, 4249, 4250}
    assert seen.total == total(each.total for each in whole.processes if each.pid in {4243, 4245, 4246, 4249, 4250})


def test_a_command_name_stands_for_all_that_have_it() -> None:
    whole, seen = through(Named("cc1"))
    assert [each.pid for each in seen.processes] == [each.pid for each in whole.processes if each.comm == "cc1"]


def test_the_first_process_is_not_everything_where_calls_have_no_process() -> None:
    (whole,) = snapshots(1, Loss(rows=5))
    lost = whole._replace(syscalls={**whole.syscalls, READ: Counters.without_row(5)})
    seen = seen_through(View().narrowed(Subtree(process(lost, 4242))), lost)
    assert seen.syscalls[READ] == total(each.syscalls.get(READ, NOTHING) for each in lost.processes)


def test_a_class_leaves_its_syscalls_and_whoever_called_them() -> None:
    _, seen = through(Family("memory"))
    assert {class_of(call) for call in seen.syscalls} == {"memory"}
    assert {class_of(call) for each in seen.processes for call in each.syscalls} == {"memory"}


def test_whoever_stands_above_a_caller_stays_in_the_tree() -> None:
    whole = snapshots()[-1]
    only = [each for each in whole.processes if FUTEX in each.syscalls]
    kept = tuple(
        each if each.pid == only[-1].pid else each._replace(syscalls={}, recent={}) for each in whole.processes
    )
    seen = seen_through(View().narrowed(OneSyscall(FUTEX)), whole._replace(processes=kept))
    shown = [each.pid for each in seen.processes]
    above = {each.pid: each.ppid for each in whole.processes}
    line = [only[-1].pid]
    while above[line[-1]] in above:
        line.append(above[line[-1]])
    assert sorted(shown) == sorted(line)


def test_under_an_errno_only_its_own_errors_count() -> None:
    whole, seen = through(Errno(errno.EACCES))
    assert list(seen.syscalls) == [OPENAT]
    assert seen.syscalls[OPENAT].errors == whole.errnos[OPENAT, errno.EACCES]
    assert seen.syscalls[OPENAT].calls == whole.syscalls[OPENAT].calls


def test_in_flight_follows() -> None:
    whole = snapshots()[-1]._replace(
        in_flight=(InFlight(1, 4242, READ, 0), InFlight(2, 4243, READ, 0), InFlight(3, 4243, FUTEX, 0)),
    )
    of = View().narrowed(Subtree(process(whole, 4243)))
    assert [each.tid for each in seen_through(of, whole).in_flight] == [2, 3]
    assert [each.tid for each in seen_through(of.narrowed(OneSyscall(FUTEX)), whole).in_flight] == [3]


def test_of_the_last_interval_alone() -> None:
    before, whole = snapshots()[-2:]
    seen = seen_through(View(cumulative=False), whole, before)
    assert seen.syscalls == whole.recent
    assert seen.total == whole.delta
    assert seen.errnos[OPENAT, errno.ENOENT] == (
        whole.errnos[OPENAT, errno.ENOENT] - before.errnos[OPENAT, errno.ENOENT]
    )
    assert seen.interval_ns == TICK_NS
    agrees(seen)


def test_steps_of_one_kind_replace_each_other_and_the_last_is_taken_back_first() -> None:
    make, sh = (Subtree(process(snapshots()[-1], pid)) for pid in (4242, 4243))
    view = View().narrowed(make).narrowed(Family("file")).narrowed(sh)
    assert crumbs(view) == ["all", "cc1 (4243)", "%file"]
    view = view.narrowed(OneSyscall(OPENAT), Errno(errno.ENOENT))
    assert crumbs(view) == ["all", "cc1 (4243)", "%file", "openat", "ENOENT"]
    assert crumbs(view.widened()) == ["all", "cc1 (4243)", "%file", "openat"]
    assert crumbs(View().widened()) == ["all"]
    assert crumbs(View().narrowed(Named("a\x1bb"))) == ["all", "a\\x1bb"]
