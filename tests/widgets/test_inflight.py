"""The In flight tab: who is inside which call for how long, and what never returned."""

from denet_tui.model import Counters, InFlight, Snapshot
from denet_tui.widgets.inflight import FlightTable, InFlightView, UnreturnedTable, flight_rows, unreturned_rows
from denet_tui.widgets.narrowing import Subtree
from tests.screens.live.double import SYSCALLS, Build
from tests.widgets.shown import Shown

READ, FUTEX, EXIT = SYSCALLS[0], SYSCALLS[8], SYSCALLS[-1]
SECOND = 10**9


def snapshot() -> Snapshot:
    """20 s into a run: make waits since 0.5 s before its start, a thread of cc1 for 3.2 s, others for less."""
    plain = Build(size=3).step(40)
    now, make, cc1 = plain.time_ns, plain.processes[0], plain.processes[1]
    return plain._replace(
        in_flight=(
            InFlight(900, cc1.tgid, FUTEX, now - int(3.2 * SECOND)),
            InFlight(make.tgid, make.tgid, READ, now - int(20.5 * SECOND)),
            InFlight(901, cc1.tgid, READ, now - SECOND // 20),
            InFlight(77, 77, READ, now + 5_000_000),
        ),
        syscalls={READ: Counters(9, 5, 0, 2), FUTEX: Counters(4, 4), EXIT: Counters(3, 0, 0, 3)},
    )


def test_rows_are_as_old_as_the_call() -> None:
    rows = flight_rows(snapshot(), SECOND)
    assert [(row.tid, row.pid, row.syscall, row.age_ns) for row in rows] == [
        (900, 4243, FUTEX, int(3.2 * SECOND)),
        (4242, 4242, READ, int(20.5 * SECOND)),
    ]
    assert [row.since_ns for row in rows] == [int(16.8 * SECOND), -SECOND // 2]


def test_without_a_threshold_all_are_listed_and_none_is_younger_than_now() -> None:
    rows = flight_rows(snapshot(), 0)
    assert [(row.tid, row.age_ns, row.name) for row in rows][:1] == [(77, 0, "?")]
    assert len(rows) == 4


def test_what_never_returned() -> None:
    assert unreturned_rows(snapshot()) == [(EXIT, 3, 3), (READ, 2, 9)]


async def test_the_tab() -> None:
    app = Shown(InFlightView)
    async with app.run_test(size=(90, 24)) as pilot:
        table = app.query_one(FlightTable)
        app.query_one(InFlightView).show(snapshot())
        await pilot.pause()
        assert "Threads inside a call: 4   for 1 s or longer: 2" in app.text
        first, second = [line.split() for line in app.text.split("\n") if "4242" in line or " 900 " in line]
        assert first[:6] == ["▸", "20s", "-", "read", "4242", "4242"]
        assert second[:6] == ["3.2s", "0:16.8", "futex", "900", "4243", "cc1"]
        assert "Calls that never returned" in app.text
        assert [row.syscall for row in app.query_one(UnreturnedTable).rows] == [EXIT, READ]
        table.focus()
        await pilot.press("full_stop")
        assert "for 10 s or longer: 1" in app.text
        await pilot.press(*["comma"] * 4)
        assert "for 1 ms or longer: 3" in app.text
        await pilot.press(*["comma"] * 4)
        assert "Threads inside a call: 4  " in app.text
        assert "or longer" not in app.text
        assert len(table.rows) == 4
        await pilot.press(*["full_stop"] * 20)
        assert "for 10 min or longer: 0" in app.text
        assert "no thread has been inside one call for that long" in app.text
        await pilot.press("enter", *["comma"] * 3, "enter")
        assert app.chosen == [(Subtree(snapshot().processes[0]),)]


async def test_filter() -> None:
    app = Shown(InFlightView)
    async with app.run_test(size=(90, 24)) as pilot:
        app.query_one(InFlightView).show(snapshot())
        await pilot.pause()
        table = app.query_one(FlightTable)
        for text, tids in (("%ipc", [900]), ("make", [4242]), ("read", [4242]), ("nothing", [])):
            table.filter(text)
            assert [row.tid for row in table.rows] == tids
