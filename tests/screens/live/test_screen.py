"""The live screen under a pilot: what every key does, and what arrives when."""

import threading
from collections.abc import Callable

import pytest
from textual.pilot import Pilot

from denet_tui.model import RunInfo, Snapshot
from denet_tui.screens.help import HelpScreen
from denet_tui.screens.live.app import DenetApp
from denet_tui.screens.live.messages import SnapshotReady, WatchFailed
from denet_tui.widgets.chart import Chart
from denet_tui.widgets.crumbs import Crumbs
from denet_tui.widgets.header import RunHeader
from denet_tui.widgets.keys import KeyLine
from denet_tui.widgets.processes import ProcessTree
from denet_tui.widgets.syscalls import SyscallTable
from tests.screens.live.double import INFO, Build, Session, empty
from tests.screens.live.driving import ended, lines, live, mouse, running, settle, until

WIDE, NARROW = (120, 40), (80, 24)


def table(pilot: Pilot[object]) -> SyscallTable:
    return pilot.app.screen_stack[0].query_one(SyscallTable)


def tree(pilot: Pilot[object]) -> ProcessTree:
    return pilot.app.screen_stack[0].query_one(ProcessTree)


def header(pilot: Pilot[object]) -> list[str]:
    return lines(pilot.app.screen_stack[0].query_one(RunHeader))


def chart(pilot: Pilot[object]) -> list[str]:
    return lines(pilot.app.screen_stack[0].query_one(Chart))


def crumbs(pilot: Pilot[object]) -> list[str]:
    """What the view is narrowed to; nothing where the line is not there."""
    return [line.strip() for line in lines(pilot.app.screen_stack[0].query_one(Crumbs))]


async def test_the_sums_on_the_screen_are_those_of_the_snapshot() -> None:
    session = running()
    async with DenetApp(session).run_test(size=WIDE) as pilot:
        await settle(pilot, session)
        latest = session.latest
        assert latest is not None
        assert f"{latest.total.calls:,} calls" in header(pilot)[1]
        assert sum(row.counters.calls for row in table(pilot).rows) == latest.total.calls
        assert {row.syscall for row in table(pilot).rows} == set(latest.syscalls)
        assert [row.process.pid for row in tree(pilot).rows][:2] == [4242, 4243]
        assert len(tree(pilot).rows) == len(latest.processes)
        assert chart(pilot)[0].startswith(f"{table(pilot).rows[0].syscall.name}   now")


async def test_before_the_first_snapshot() -> None:
    async with DenetApp(Session()).run_test(size=WIDE) as pilot:
        await pilot.pause()
        assert header(pilot)[0].startswith(" starting  make -j4 all")
        assert "no system call here" in "".join(lines(table(pilot)))
        await pilot.press("j", "enter", "s", "r", "space", "backspace", "tab", "enter", "G")
        assert "paused" in header(pilot)[0]


async def test_space_freezes_the_view_but_not_the_collection() -> None:
    session, build = Session(), Build()
    session.snapshots = [build.step() for _ in range(4)]
    async with DenetApp(session).run_test(size=WIDE) as pilot:
        await settle(pilot, session)
        await pilot.press("space")
        frozen = (header(pilot), lines(table(pilot)), lines(tree(pilot)), chart(pilot))
        assert " paused " in frozen[0][0]
        for _ in range(5):
            session.feed(build.step())
        await settle(pilot, session)
        assert (header(pilot), lines(table(pilot)), lines(tree(pilot)), chart(pilot)) == frozen
        # Another syscall while paused: charted up to the frozen moment, not beyond.
        await pilot.press("j", "k")
        assert chart(pilot) == frozen[3]
        await pilot.press("space")
        assert " paused " not in header(pilot)[0]
        assert session.latest is not None
        assert f"{session.latest.total.calls:,} calls" in header(pilot)[1]
        assert live(pilot.app).rates.whole.tick == 8


def test_ready_messages_merge_with_each_other_only() -> None:
    assert SnapshotReady().can_replace(SnapshotReady())
    assert not SnapshotReady().can_replace(WatchFailed(OSError()))


async def test_bursts_are_taken_in_whole_and_drawn_once(monkeypatch: pytest.MonkeyPatch) -> None:
    session, build, drawn = Session(), Build(), []
    session.snapshots = [build.step()]
    async with DenetApp(session).run_test(size=WIDE) as pilot:
        await settle(pilot, session)
        screen = live(pilot.app)
        apply = screen._apply
        monkeypatch.setattr(screen, "_apply", lambda snapshot: (drawn.append(snapshot), apply(snapshot)))
        for _ in range(9):
            session.feed(build.step())
        await settle(pilot, session)
        assert drawn[-1] is session.latest
        assert len(drawn) == 1
        assert screen.rates.whole.tick == 9


async def test_moving() -> None:
    """Each from the first row on; a page is what is visible."""
    session = running()
    async with DenetApp(session).run_test(size=NARROW) as pilot:
        await settle(pilot, session)
        view = table(pilot)
        for keys, row in (("k", 0), ("down", 1), ("j j j", 3), ("j j up", 1), ("j j k", 1), ("G", -1), ("end", -1),
                          ("G g", 0), ("G home", 0), ("pagedown pageup", 0), ("ctrl+f ctrl+b", 0)):  # fmt: skip
            await pilot.press("g", *keys.split())
            assert view.cursor == row % len(view.rows), keys
            assert view.current is not None
            shown = [line for line in lines(view) if line.startswith("▸")]
            assert [line.split()[0] for line in shown] == [f"▸{view.current.syscall.name}"]
            assert chart(pilot)[0].startswith(view.current.syscall.name + " ")
        await pilot.press("g", "pagedown")
        assert view.cursor == view.size.height - 1


async def test_the_wheel_and_clicks() -> None:
    session = running()
    async with DenetApp(session).run_test(size=WIDE) as pilot:
        await settle(pilot, session)
        await pilot.click(SyscallTable, offset=(4, 4))
        assert table(pilot).cursor == 3
        await pilot.click(SyscallTable, offset=(3, 0))
        assert (table(pilot).sort_key, table(pilot).reverse) == ("name", False)
        await pilot.click(SyscallTable, offset=(3, 0))
        assert (table(pilot).sort_key, table(pilot).reverse) == ("name", True)
        await pilot.click(ProcessTree, offset=(4, 3))
        assert tree(pilot).cursor == 2
        before = table(pilot).scroll_offset.y
        await mouse(pilot, [__import__("textual.events").events.MouseScrollDown], SyscallTable, (4, 4))
        await pilot.pause(0.5)
        assert table(pilot).scroll_offset.y > before


async def test_sorting_and_reversing() -> None:
    session = running()
    async with DenetApp(session).run_test(size=WIDE) as pilot:
        await settle(pilot, session)
        seen = [table(pilot).sort_key]
        for _ in range(5):
            await pilot.press("s")
            seen.append(table(pilot).sort_key)
        assert seen == ["total", "share", "errors", "name", "rate", "total"]
        await pilot.press("r", "r", *"ssss")
        names = [row.syscall.name for row in table(pilot).rows]
        await pilot.press("r")
        assert [row.rate for row in table(pilot).rows] == sorted(row.rate for row in table(pilot).rows)
        assert names != [row.syscall.name for row in table(pilot).rows]


async def test_enter_narrows_to_the_subtree_and_backspace_widens() -> None:
    session, build = Session(), Build()
    session.snapshots = [build.step() for _ in range(4)]
    async with DenetApp(session).run_test(size=WIDE) as pilot:
        await settle(pilot, session)
        everything = sum(row.counters.calls for row in table(pilot).rows)
        await pilot.press("tab", "j", "enter")
        await settle(pilot, session)
        assert session.latest is not None
        inside = [process for process in session.latest.processes if process.pid in {4243, 4245, 4246, 4249, 4250}]
        assert sum(row.counters.calls for row in table(pilot).rows) == sum(process.total.calls for process in inside)
        assert crumbs(pilot) == ["all \u203a cc1 (4243)"]
        # What was before the narrowing is in the trends as well.
        first = table(pilot).rows[0]
        assert list(first.rates) == pytest.approx(
            [sum(_calls(at, process.pid, first) for process in inside) * 2 for at in session.snapshots]
        )
        session.feed(build.step())
        await settle(pilot, session)
        assert len(table(pilot).rows[0].rates) == 5
        assert table(pilot).rows[0].rates[-1] == pytest.approx(table(pilot).rows[0].rate)
        await pilot.press("backspace")
        assert sum(row.counters.calls for row in table(pilot).rows) > everything
        assert crumbs(pilot) == []


def _calls(snapshot: Snapshot, pid: int, row: object) -> int:
    (process,) = [process for process in snapshot.processes if process.pid == pid]
    found = process.recent.get(row.syscall)
    return found.calls if found else 0


async def test_narrowing_while_paused_stays_at_the_frozen_moment() -> None:
    session, build = Session(), Build()
    session.snapshots = [build.step() for _ in range(4)]
    async with DenetApp(session).run_test(size=WIDE) as pilot:
        await settle(pilot, session)
        await pilot.press("tab", "j", "enter")
        narrowed = (lines(table(pilot)), chart(pilot))
        await pilot.press("backspace", "space")
        for _ in range(3):
            session.feed(build.step())
        await settle(pilot, session)
        await pilot.press("enter")
        assert (lines(table(pilot)), chart(pilot)) == narrowed


async def test_widening_is_offered_only_when_narrowed() -> None:
    session = running()
    async with DenetApp(session).run_test(size=(160, 40)) as pilot:
        await settle(pilot, session)
        line = live(pilot.app).query_one(KeyLine)
        assert "Widen" not in lines(line)[0]
        await pilot.press("tab", "enter")
        await pilot.pause()
        assert "Widen" in lines(line)[0]


async def test_tab_goes_round_the_panes() -> None:
    session = running()
    async with DenetApp(session).run_test(size=NARROW) as pilot:
        await settle(pilot, session)
        assert table(pilot).has_focus
        assert not tree(pilot).region
        await pilot.press("tab")
        assert tree(pilot).has_focus
        assert tree(pilot).region
        assert not table(pilot).region
        await pilot.press("shift+tab")
        assert table(pilot).has_focus
        await pilot.click("PaneSwitch", offset=(15, 0))
        assert tree(pilot).has_focus
        await pilot.press("enter")
        assert table(pilot).has_focus


async def test_resizing_keeps_the_pane() -> None:
    session = running()
    async with DenetApp(session).run_test(size=WIDE) as pilot:
        await settle(pilot, session)
        await pilot.press("tab")
        assert table(pilot).region
        for size, trees, tables in ((NARROW, True, False), ((20, 5), False, False), ((50, 20), True, False),
                                    (WIDE, True, True)):  # fmt: skip
            await pilot.resize_terminal(*size)
            await pilot.pause()
            assert (bool(tree(pilot).region), bool(table(pilot).region)) == (trees, tables)


async def test_too_small_says_so_and_nothing_else() -> None:
    session = running()
    async with DenetApp(session).run_test(size=(20, 5)) as pilot:
        await settle(pilot, session)
        for size in ((20, 5), (39, 30), (120, 9), (1, 1)):
            await pilot.resize_terminal(*size)
            await pilot.pause()
            shown = [widget for widget in pilot.app.screen.walk_children() if widget.region]
            assert [widget.id for widget in shown] == ["too-small"], size
            assert "too small: needs 40x10" in str(pilot.app.screen.query_one("#too-small").render())


async def test_from_the_size_promised_on_everything_fits() -> None:
    session = running()
    async with DenetApp(session).run_test(size=(40, 10)) as pilot:
        await settle(pilot, session)
        screen = live(pilot.app)
        for size in ((40, 10), (50, 12), (80, 24), (100, 18), (120, 40), (200, 50)):
            await pilot.resize_terminal(*size)
            await pilot.pause()
            assert table(pilot).size.height >= 4, size
            for widget in screen.walk_children():
                assert screen.region.contains_region(widget.region), (size, widget)
            if chart(pilot):
                assert "now" in chart(pilot)[-1], size
            assert " Quit" in lines(screen.query_one(KeyLine))[0], size


async def test_the_end_stays_on_the_screen() -> None:
    session = ended(status=9)
    async with DenetApp(session).run_test(size=WIDE) as pilot:
        await settle(pilot, session)
        await pilot.pause(0.1)
        assert header(pilot)[0].startswith(" killed by SIGKILL ")
        assert session.latest is not None
        assert f" {session.latest.total.calls:,} calls" in header(pilot)[1]
        assert "   last " in chart(pilot)[0]
        assert pilot.app.is_running
        await pilot.press("j", "s", "tab", "enter")
        assert pilot.app.is_running


async def test_help_is_about_the_focused_widget() -> None:
    session = running()
    async with DenetApp(session).run_test(size=WIDE) as pilot:
        await settle(pilot, session)
        await pilot.press("question_mark")
        assert isinstance(pilot.app.screen, HelpScreen)
        about, keys = (str(pilot.app.screen.query_one(name).render()) for name in ("#about", "#keys"))
        assert "one system call" in about
        assert "Sort by the next column" in keys
        await pilot.press("escape", "tab")
        for key in ("f1", "question_mark"):
            await pilot.press(key)
            assert "one process" in str(pilot.app.screen.query_one("#about").render())
            await pilot.press(key)
            assert pilot.app.screen is live(pilot.app)


@pytest.mark.parametrize("size", [WIDE, NARROW])
async def test_messages_cover_nothing(size: tuple[int, int]) -> None:
    session = running()
    async with DenetApp(session).run_test(size=size, notifications=True) as pilot:
        await settle(pilot, session)
        room = live(pilot.app).query_one("#overview").region  # type: ignore[arg-type]
        await pilot.press("plus", "y")
        await until(pilot, lambda: len([each for each in pilot.app.screen.query("Toast") if each.region]) == 2)
        said = [each.region for each in pilot.app.screen.query("Toast")]
        assert said[-1].bottom == size[1]
        assert said[0].y == pilot.app.screen.query_one(KeyLine).region.bottom == size[1] - sum(e.height for e in said)
        now = live(pilot.app).query_one("#overview").region  # type: ignore[arg-type]
        assert (now.y, now.bottom) == (room.y, said[0].y - 1)


async def test_a_click_on_a_key_presses_it() -> None:
    session = running()
    async with DenetApp(session).run_test(size=WIDE) as pilot:
        await settle(pilot, session)
        line = live(pilot.app).query_one(KeyLine)
        await pilot.click(KeyLine, offset=(lines(line)[0].index("Reverse"), 0))
        await pilot.pause()
        assert table(pilot).reverse
        await pilot.hover(KeyLine, offset=(lines(line)[0].index("Pause"), 0))
        assert line.tooltip == "Freeze the view; counting goes on"


class Broken(Session):
    """A session whose kernel side goes away."""

    def __init__(self) -> None:
        super().__init__()
        self.info: RunInfo = INFO

    def run(self, publish: Callable[[Snapshot], None], stop: threading.Event) -> None:
        publish(Build().step())
        raise OSError("the map is gone")


def test_what_the_session_raises_comes_out_of_run() -> None:
    app = DenetApp(Broken())
    with pytest.raises(OSError, match="the map is gone"):
        app.run(headless=True)
    assert app.return_code == 1


def test_a_fault_of_our_own_is_kept_from_the_user(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    app = DenetApp(Session([empty()]))
    monkeypatch.setattr(RunHeader, "show", lambda *_, **__: 1 / 0)
    assert app.run(headless=True) is None
    assert app.return_code == 1
    assert "Traceback" in app.fault
    assert app.fault.endswith("ZeroDivisionError: division by zero")
    assert "Traceback" not in capsys.readouterr().err
