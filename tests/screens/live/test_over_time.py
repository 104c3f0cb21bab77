"""Moving through time, and the tabs that show it, under a pilot."""

import re

import pytest
from textual.events import MouseScrollUp
from textual.pilot import Pilot

from denet_tui.model import InFlight
from denet_tui.screens.live.app import DenetApp
from denet_tui.screens.live.screen import LiveScreen
from denet_tui.widgets.chart import Chart
from denet_tui.widgets.errors import ErrorTable
from denet_tui.widgets.inflight import FlightTable
from denet_tui.widgets.latency import LatencyView
from denet_tui.widgets.syscalls import SyscallTable
from denet_tui.widgets.timeview import TimeView
from tests.screens.live.double import SYSCALLS, Build, Session
from tests.screens.live.driving import lines, live, mouse, running, settle

WIDE = (120, 40)


def chart(pilot: Pilot[object]) -> list[str]:
    return lines(pilot.app.screen_stack[0].query_one(Chart))


def heat(pilot: Pilot[object]) -> list[str]:
    return lines(pilot.app.screen_stack[0].query_one(LatencyView))


@pytest.mark.parametrize(("tab", "view"), [("1", Chart), ("2", LatencyView)])
async def test_the_keys_move_the_window_of_both_views(tab: str, view: type[TimeView]) -> None:
    session = running(ticks=300)
    async with DenetApp(session).run_test(size=WIDE) as pilot:
        await settle(pilot, session)
        await pilot.press(tab)
        screen = live(pilot.app)
        shown = screen.query_one(view)
        assert shown.window.follows
        await pilot.press("z")
        assert shown.grid.end_s - shown.grid.start_s == pytest.approx(60)
        await pilot.press("left_square_bracket", "left_square_bracket")
        assert (shown.window.end_s, shown.window.span_s) == (90.0, 60.0)
        await pilot.press("Z", "Z")
        assert shown.window.follows
        await pilot.press("shift+left", "shift+left", "shift+right")
        grid = shown.grid
        assert shown.cursor_column(grid) == grid.count - 1
        assert re.search(r" at 2:2\d\.\d ", lines(shown)[0])
        # The other view shows the same.
        await pilot.press("1" if tab == "2" else "2")
        other = screen.query_one(LatencyView if view is Chart else Chart)
        assert other.window == shown.window
        await pilot.press("right_square_bracket", "0")
        assert other.window.follows
        assert other.window.cursor_s is None


async def test_the_window_stands_still_while_new_values_come() -> None:
    session, build = Session(), Build()
    session.snapshots = [build.step() for _ in range(200)]
    async with DenetApp(session).run_test(size=WIDE) as pilot:
        await settle(pilot, session)
        await pilot.press("z", "z", "left_square_bracket")
        before = chart(pilot)
        for _ in range(20):
            session.feed(build.step())
        await settle(pilot, session)
        assert chart(pilot) == before
        await pilot.press("right_square_bracket", "0")
        assert chart(pilot) != before
        assert chart(pilot)[-1].rstrip().endswith("now")


async def test_keys_in_one_go_all_count_and_the_mouse_moves_the_cursor_and_the_window() -> None:
    session = running(ticks=300)
    async with DenetApp(session).run_test(size=WIDE) as pilot:
        await settle(pilot, session)
        view = pilot.app.screen.query_one(Chart)
        for _ in range(6):
            view.move_cursor(-1)
        await pilot.pause()
        assert live(pilot.app).window == view.window
        assert view.cursor_column(view.grid) == view.grid.count - 6
        await pilot.click(Chart, offset=(view.first_cell() + 10, 5))
        assert view.cursor_column(view.grid) == 10
        assert chart(pilot)[2][view.first_cell() + 10] != " "
        await pilot.click(Chart, offset=(2, 5))
        assert view.cursor_column(view.grid) == 10
        end = view.grid.end_s
        await mouse(pilot, [MouseScrollUp], widget=Chart, offset=(9, 3))
        assert view.grid.end_s < end


async def test_marked_syscalls_stay_on_the_chart_beside_the_one_under_the_cursor() -> None:
    session = running()
    async with DenetApp(session).run_test(size=WIDE) as pilot:
        await settle(pilot, session)
        table = pilot.app.screen.query_one(SyscallTable)
        names = [row.syscall.name for row in table.rows]

        def charted() -> list[str]:
            return re.findall(r"[●▲■◆★] (\w+)", " ".join(chart(pilot)[:2]))

        await pilot.press("m", "j")
        assert charted() == [names[0], names[1]]
        await pilot.press("m", "j", "m", "j", "m", "j")
        assert charted() == names[:5]
        await pilot.press("m")
        assert charted() == names[:5]
        await pilot.press("g", "m", "j")
        assert charted() == names[1:4]


async def test_classes_in_place_of_syscalls() -> None:
    session = running()
    async with DenetApp(session).run_test(size=WIDE) as pilot:
        await settle(pilot, session)
        await pilot.press("M")
        title = " ".join(chart(pilot)[:2])
        assert "● %file" in title
        assert "%memory" in title
        await pilot.press("M")
        assert "%file" not in " ".join(chart(pilot)[:2])


async def test_the_heat_map_of_all_calls_and_of_one() -> None:
    session = running(ticks=30)
    async with DenetApp(session).run_test(size=WIDE) as pilot:
        await settle(pilot, session)
        latest = session.latest
        assert latest is not None
        await pilot.press("2")
        assert heat(pilot)[0].startswith("all calls   now ")
        assert f"{latest.delta.calls:,} calls in 0.5 s" in "".join(heat(pilot))
        most = sorted(latest.syscalls, key=lambda call: (-latest.syscalls[call].calls, call.name))
        await pilot.press("down")
        assert heat(pilot)[0].startswith(f"{most[0].name}   now ")
        await pilot.press("j")
        assert heat(pilot)[0].startswith(f"{most[1].name}   now ")
        assert f"{latest.recent[most[1]].calls:,} calls in 0.5 s" in "".join(heat(pilot))
        await pilot.press("k", "a")
        assert heat(pilot)[0].startswith("all calls")
        await pilot.press("a")
        assert heat(pilot)[0].startswith(most[0].name)
        view = pilot.app.screen.query_one(LatencyView)
        for by, name in ((-1, "all calls"), (1, most[-1].name)):
            for _ in range(len(most) + 1):
                view.action_choose(by)
            await pilot.pause()
            assert heat(pilot)[0].startswith(name)


async def test_everything_follows_what_is_narrowed() -> None:
    session = running(ticks=30)
    async with DenetApp(session).run_test(size=WIDE) as pilot:
        await settle(pilot, session)
        latest = session.latest
        assert latest is not None
        table = pilot.app.screen.query_one(SyscallTable)
        await pilot.press("j", "enter", "2")
        name = table.rows[0].syscall.name
        assert heat(pilot)[0].startswith(f"{name}   now ")
        await pilot.press("backspace")
        assert heat(pilot)[0].startswith("all calls")


def with_errors(session: Session) -> Session:
    """The same, the newest snapshots with errors and with calls in flight."""
    openat = SYSCALLS[2]
    for place, snapshot in enumerate(session.snapshots):
        first, *others = snapshot.processes
        errnos = {(openat, 2): 10 * place}
        session.snapshots[place] = snapshot._replace(
            errnos=errnos,
            processes=(first._replace(errnos=errnos), *others),
            in_flight=(InFlight(first.tgid, first.tgid, SYSCALLS[0], snapshot.time_ns - 5 * 10**9),),
        )
    return session


async def test_errors_and_calls_in_flight() -> None:
    session = with_errors(running())
    async with DenetApp(session).run_test(size=WIDE) as pilot:
        await settle(pilot, session)
        await pilot.press("3")
        table = pilot.app.screen.query_one(ErrorTable)
        assert [(row.name, row.times, row.rate) for row in table.rows] == [("ENOENT", 110, 20.0)]
        assert "make -j4 all" in "".join("".join(lines(each)) for each in pilot.app.screen.query("ErrorSources"))
        await pilot.press("4")
        flights = pilot.app.screen.query_one(FlightTable)
        assert [(row.tid, row.age_ns) for row in flights.rows] == [(4242, 5 * 10**9)]
        # Of an interval alone (c), these tabs still count from the start.
        await pilot.press("3", "c")
        assert [row.times for row in table.rows] == [110]


async def test_hidden_tabs_draw_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    session, build = Session(), Build()
    session.snapshots = [build.step() for _ in range(4)]
    async with DenetApp(session).run_test(size=WIDE) as pilot:
        await settle(pilot, session)
        await pilot.press("2", "3", "4")
        drawn: list[str] = []
        for kind in (Chart, LatencyView, ErrorTable):
            monkeypatch.setattr(kind, "show", lambda widget, *_, **__: drawn.append(type(widget).__name__))
        assert isinstance(pilot.app.screen, LiveScreen)
        session.feed(build.step())
        await settle(pilot, session)
        assert drawn == []
        await pilot.press("2")
        assert drawn == ["LatencyView"]


async def test_narrowing_while_paused_is_seen_at_once() -> None:
    session = running(ticks=16)
    async with DenetApp(session).run_test(size=WIDE) as pilot:
        await settle(pilot, session)
        await pilot.press("M")
        before = chart(pilot)
        await pilot.press("space", "tab", "j", "enter")
        assert pilot.app.screen.query_one(Chart)._drawn_now_s == 8.0
        assert chart(pilot) != before
        await pilot.press("backspace")
        assert chart(pilot) == before


async def test_in_a_flat_terminal_only_the_first_list_is_left() -> None:
    session = with_errors(running())
    async with DenetApp(session).run_test(size=(60, 14)) as pilot:
        await settle(pilot, session)
        for tab, first in (("3", ErrorTable), ("4", FlightTable)):
            await pilot.press(tab, "tab")
            assert isinstance(pilot.app.focused, first)
            assert pilot.app.focused.size.height > 5
