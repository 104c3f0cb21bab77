"""The keys of the live screen: tabs, the interval, copying, following; and every key everywhere, at least once."""

import asyncio
import errno

import pytest
from textual.widgets import Static

from denet_tui.model import InFlight
from denet_tui.screens.live.app import DenetApp
from denet_tui.screens.live.screen import LiveScreen
from denet_tui.screens.live.tabs import TABS
from denet_tui.widgets.crumbs import Crumbs
from denet_tui.widgets.divider import Divider
from denet_tui.widgets.narrowing import Errno, Family, Narrow, OneSyscall
from denet_tui.widgets.processes import ProcessTree
from denet_tui.widgets.syscalls import SyscallTable
from tests.screens.live.double import SYSCALLS, Build, Session
from tests.screens.live.driving import ended, lines, live, notices, running, settle

WIDE = (120, 40)


def crumbs(screen: LiveScreen) -> str:
    return "".join(line.strip() for line in lines(screen.query_one(Crumbs))).replace("\u203a", ">")


async def test_each_number_shows_its_tab_and_a_hidden_one_draws_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    session, build = Session(), Build()
    session.snapshots = [build.step() for _ in range(4)]
    app = DenetApp(session)
    async with app.run_test(size=WIDE) as pilot:
        await settle(pilot, session)
        screen = live(app)
        assert len(screen.body) == 1  # the others are made when they are shown
        for number, tab in enumerate(TABS, 1):
            await pilot.press(str(number))
            assert [each.id for each in TABS if screen.query_one(f"#{each.id}").region] == [tab.id]
        table = screen.query_one(SyscallTable)
        drawn = list(table.rows)
        session.feed(build.step())
        await settle(pilot, session)
        assert list(table.rows) == drawn
        await pilot.click("TabRow", offset=(3, 0))
        assert session.latest is not None
        assert sum(row.counters.calls for row in table.rows) == session.latest.total.calls
        assert table.has_focus


async def test_everything_follows_the_narrowing_and_escape_widens() -> None:
    session = running()
    app = DenetApp(session)
    async with app.run_test(size=WIDE) as pilot:
        await settle(pilot, session)
        screen = live(app)
        assert crumbs(screen) == ""
        screen.post_message(Narrow(Family("file")))
        await pilot.pause()
        await pilot.press("tab", "j", "enter")
        await pilot.pause()
        assert crumbs(screen) == "all > %file > cc1 (4243)"
        table, tree = screen.query_one(SyscallTable), screen.query_one(ProcessTree)
        assert {row.syscall.name for row in table.rows} > {"close", "fstat"}
        assert "brk" not in {row.syscall.name for row in table.rows}
        assert [row.process.pid for row in tree.rows] == [4243, 4245, 4249, 4250, 4246]
        assert sum(row.counters.calls for row in table.rows) == sum(row.process.total.calls for row in tree.rows)
        # The bars of a process are of what is shown alone: the last of them is its rate.
        first = tree.rows[0]
        assert screen.rates.of_process(first.key, 12, 0, {row.syscall for row in table.rows})[-1] == first.rate
        screen.post_message(Narrow(OneSyscall(SYSCALLS[2]), Errno(errno.ENOENT)))
        await pilot.pause()
        assert crumbs(screen) == "all > %file > cc1 (4243) > openat > ENOENT  (times are of all calls, failed or not)"
        await pilot.press("escape", "backspace", "escape")
        assert crumbs(screen) == "all > %file"
        await pilot.press("escape", "escape")
        assert crumbs(screen) == ""


async def test_ended_processes_that_a_narrowing_cannot_count_are_said() -> None:
    session = running()
    app = DenetApp(session)
    async with app.run_test(size=WIDE) as pilot:
        await settle(pilot, session)
        assert session.latest is not None
        session.feed(session.latest._replace(forgotten=1234))
        await settle(pilot, session)
        assert crumbs(live(app)) == ""
        tree = live(app).query_one(ProcessTree)
        assert tree.foot.startswith("+ 1,234 ended, ")
        await pilot.press("tab", "slash", *"cc1")
        await pilot.pause()
        assert str(live(app).query_one("FilterLine.-open #count", Static).render()) == "2 of the last 9"
        await pilot.press("escape", "t", "slash", *"cc1")
        await pilot.pause()
        assert str(live(app).query_one("FilterLine.-open #count", Static).render()).endswith(" names")
        await pilot.press("escape", "t", "slash", *"cc1")
        await pilot.pause()
        await pilot.press("escape", "enter")
        await pilot.pause()
        assert crumbs(live(app)).endswith("cc1 (4243)  (without 1,234 processes that ended earlier)")
        assert tree.foot == ""


async def test_c_shows_the_last_interval_alone() -> None:
    session = running()
    app = DenetApp(session)
    async with app.run_test(size=WIDE) as pilot:
        await settle(pilot, session)
        await pilot.press("c")
        assert session.latest is not None
        table = live(app).query_one(SyscallTable)
        assert sum(row.counters.calls for row in table.rows) == session.latest.delta.calls
        assert crumbs(live(app)) == "all  (only the last 0.5 s)"
        await pilot.press("c")
        assert sum(row.counters.calls for row in table.rows) == session.latest.total.calls


async def test_the_interval_changes_within_limits_and_y_copies_the_row_as_text() -> None:
    session = running()
    app = DenetApp(session)
    async with app.run_test(size=WIDE) as pilot:
        await settle(pilot, session)
        await pilot.press("j", "y")
        assert app.clipboard.startswith("write  ")
        assert "99,040" in app.clipboard
        assert notices(app)[-1].startswith("copied: write")
        for key, seconds in (("plus", 1.0), ("plus", 2.0), ("minus", 1.0), ("equals_sign", 2.0)):
            await pilot.press(key)
            assert session.interval_s == seconds
            assert notices(app)[-1] == f"one sample every {seconds:g} s"
        await pilot.press(*["minus"] * 6)
        assert session.interval_s == 0.1
        assert notices(app)[-1] == "one sample every 0.1 s: this is the limit"


async def test_f_goes_back_to_the_first_row_whichever_it_is() -> None:
    session, build = Session(), Build()
    session.snapshots = [build.step() for _ in range(4)]
    app = DenetApp(session)
    async with app.run_test(size=WIDE) as pilot:
        await settle(pilot, session)
        table = live(app).query_one(SyscallTable)
        await pilot.press("j", "r")
        assert table.current is not None
        assert table.current.syscall.name == "write"  # it stays with its row
        assert table.cursor > 1
        await pilot.press("f")
        assert table.cursor == 0
        await pilot.press("r")
        session.feed(build.step())
        await settle(pilot, session)
        assert table.cursor == 0


async def test_the_width_of_the_tree_can_be_changed_within_limits() -> None:
    session = running()
    app = DenetApp(session)
    async with app.run_test(size=WIDE) as pilot:
        await settle(pilot, session)
        tree = live(app).query_one(ProcessTree)
        before = tree.size.width
        await pilot.press("greater_than_sign")
        await pilot.pause()
        assert tree.size.width == before + 4
        divider = live(app).query_one(Divider).region
        await pilot.mouse_down(offset=divider.offset)
        await pilot.hover(offset=(72, 12))
        await pilot.mouse_up(offset=(72, 12))
        assert tree.size.width == 72
        assert live(app).left_as().tree_width == 60
        await pilot.press(*["less_than_sign"] * 16)
        await pilot.pause()
        assert tree.size.width == 120 * 15 // 100
        await pilot.resize_terminal(80, 24)
        await pilot.press("tab")
        await pilot.pause()
        assert tree.size.width > 70


@pytest.mark.slow
async def test_every_key_does_no_harm_wherever_it_is_bound() -> None:
    build = Build()
    snapshots = [build.step() for _ in range(6)]
    flying = (InFlight(4243, 4243, SYSCALLS[8], snapshots[0].time_ns),)
    session = Session([each._replace(in_flight=flying) for each in snapshots])
    app = DenetApp(session)
    pressed: set[str | None] = set()
    async with app.run_test(size=WIDE) as pilot:
        await settle(pilot, session)
        screen = live(app)
        for tab in range(len(TABS)):
            await screen.action_tab(tab)
            for pane in screen._panes():
                pane.focus()
                await pilot.pause()
                bound = {active.binding.id: key for key, active in screen.active_bindings.items()}
                for name in sorted(bound.keys() - pressed - {"app.palette"}, key=str):
                    pressed.add(name)
                    app.simulate_key(bound[name])
                    await pilot.pause()
                    while app.screen is not screen:
                        await app.pop_screen()
                    await screen.action_tab(tab)
                    pane.focus()
                assert app.is_running
    assert len(pressed) > 50
    assert {"app.quit", "app.help", "live.pause", "table.sort", "tree.parent", "errors.narrow"} <= pressed


async def test_every_sum_on_the_screen_is_that_of_the_summary() -> None:
    session = ended(9)
    app = DenetApp(session)
    async with app.run_test(size=WIDE) as pilot:
        await settle(pilot, session)
        final = session.latest
        assert final is not None
        screen = live(app)
        table, tree = screen.query_one(SyscallTable), screen.query_one(ProcessTree)
        assert {row.syscall: row.counters for row in table.rows} == dict(final.syscalls)
        assert {row.process.pid: row.process.total for row in tree.rows} == {
            process.pid: process.total for process in final.processes
        }
        assert sum(row.process.total.calls for row in tree.rows) == final.total.calls
        await pilot.press("3")
        shown = sum(row.times for row in screen.query_one("ErrorTable").rows)  # type: ignore[attr-defined]
        assert shown == final.total.errors


async def test_a_snapshot_that_comes_while_a_tab_is_made_waits_for_it() -> None:
    session = running()
    async with DenetApp(session).run_test(size=(120, 40)) as pilot:
        await settle(pilot, session)
        screen = live(pilot.app)
        for index, tab in enumerate(TABS[1:], 1):
            made = asyncio.ensure_future(screen.action_tab(index))
            await asyncio.sleep(0)  # once: it waits for what is not composed yet
            assert not screen.body[tab.id].is_mounted
            screen._apply(session.latest)
            screen._poll()
            await made
            assert screen.query_one(f"#{tab.id}").display


async def test_the_ended_are_shown_and_folded_whichever_pane_has_the_focus() -> None:
    session = running()
    app = DenetApp(session)
    async with app.run_test(size=WIDE) as pilot:
        await settle(pilot, session)
        tree = live(app).query_one(ProcessTree)
        for pane in (tree, live(app).query_one(SyscallTable)):
            pane.focus()
            before = tree.every_ended
            await pilot.press("e")
            assert tree.every_ended is not before
