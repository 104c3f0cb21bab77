"""Tables in an app: keys, mouse, and what is painted."""

import random
from collections.abc import Sequence

import pytest
from textual.app import App, ComposeResult
from textual.widgets import Static

from denet_tui.model import ProcessInfo, Snapshot
from denet_tui.screens.live.app import DenetApp
from denet_tui.syscalls import class_of
from denet_tui.widgets.filter import FilterInput, FilterLine
from denet_tui.widgets.narrowing import Family, InCgroup, Named, Narrow, Narrowing, OneSyscall, Subtree
from denet_tui.widgets.processes import ProcessTree
from denet_tui.widgets.syscalls import SyscallTable
from denet_tui.widgets.table import TableView
from tests.screens.live.double import Build, counters
from tests.screens.live.driving import running, settle
from tests.widgets.test_processes import FAMILY, process, snapshot


class Stage(App[None]):
    """One table and nothing else."""

    def __init__(self, view: TableView) -> None:
        super().__init__()
        self.view = view
        self.chosen: list[tuple[Narrowing, ...]] = []

    def compose(self) -> ComposeResult:
        yield self.view

    def on_narrow(self, message: Narrow) -> None:
        self.chosen.append(message.steps)


def flat(key: object) -> Sequence[float]:
    return (3.0, 4.0)


def table(build: Build | None = None) -> SyscallTable:
    view = SyscallTable()
    view.take((build or Build()).step(4), flat)
    return view


def tree(processes: Sequence[ProcessInfo] = FAMILY) -> ProcessTree:
    view = ProcessTree()
    view.take(snapshot(processes), flat)
    return view


def names(view: TableView) -> list[str]:
    return [row.name for row in view.rows]


def count(app: App[None]) -> str:
    return str(app.query_one(FilterLine).query_one("#count", Static).render())


def painted(app: App[None]) -> list[str]:
    """What is on the terminal."""
    return [strip.text.rstrip() for strip in app.screen._compositor.render_strips()]


async def test_a_filter_is_typed_kept_stepped_through_and_cleared() -> None:
    app = Stage(table())
    async with app.run_test(size=(80, 24)) as pilot:
        every = names(app.view)
        # All at once: the first letters must not be taken for keys of the table.
        await pilot.press("slash", *"%process a")
        assert names(app.view) == ["wait4"]
        assert count(app) == f"1 of {len(every)}"
        await pilot.press("backspace", "backspace", "enter")
        assert app.focused is app.view
        assert {class_of(row.syscall) for row in app.view.rows} == {"process"}
        last = len(app.view.rows) - 1
        assert count(app) == f"{last + 1} of {len(every)}"
        app.view.action_edge(0)
        for key, cursor in (("n", 1), ("n", 2), ("N", 1), ("N", 0), ("N", last)):
            await pilot.press(key)
            assert app.view.cursor == cursor
        held = app.view.current.syscall
        await pilot.press("escape")
        assert names(app.view) == every
        assert app.view.current.syscall == held
        assert not app.query_one(FilterLine).region
        await pilot.press("n")
        assert app.view.current.syscall == held


async def test_while_a_filter_is_typed_the_arrows_move_and_escape_clears() -> None:
    app = Stage(table())
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("slash", *"re", "down")
        assert app.view.cursor == 1
        assert isinstance(app.focused, FilterInput)
        await pilot.press("escape")
        assert app.focused is app.view
        assert not app.view.terms
        # Empty, it goes away by itself; opened again, it is empty.
        await pilot.press("slash", "enter")
        assert app.focused is app.view
        assert not app.query_one(FilterLine).region
        await pilot.press("slash", "w")
        assert app.query_one(FilterInput).value == "w"


async def test_the_filter_of_one_pane_keeps_that_pane_and_takes_the_keys_of_the_app() -> None:
    session = running()
    app = DenetApp(session)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot, session)
        await pilot.press("tab", "slash", *"q 1c", "space", "backspace", "backspace")
        assert isinstance(app.focused, FilterInput)
        assert app.focused.value == "q 1"
        tree = app.screen.query_one(ProcessTree)
        assert tree.region
        assert "nothing matches" in tree.render_line(2).text
        await pilot.press("escape")
        assert tree.has_focus
        assert len(tree.rows) == 9


async def test_the_count_follows_what_comes_in() -> None:
    build = Build()
    app = Stage(table(build))
    async with app.run_test(size=(80, 24)) as pilot:
        app.view.take(build.step()._replace(errnos={}), flat)
        await pilot.press("slash", *"ENOENT")
        assert count(app).startswith("0 of")
        later = build.step()
        openat = next(call for call in later.syscalls if call.name == "openat")
        app.view.take(later._replace(errnos={(openat, 2): 1}), flat)
        await pilot.pause()
        assert count(app).startswith("1 of")
        assert names(app.view) == ["openat"]


async def test_sorting_by_key_and_by_mouse_keeps_the_cursor_on_its_row() -> None:
    build = Build()
    app = Stage(table(build))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("j", "j")
        held = app.view.current.syscall
        for key in ("s", "r", "s", "s", "r"):
            await pilot.press(key)
            assert app.view.current.syscall == held
        await pilot.click(SyscallTable, offset=(3, 0))
        assert names(app.view) == sorted(names(app.view))
        await pilot.click(SyscallTable, offset=(3, 0))
        assert names(app.view) == sorted(names(app.view), reverse=True)
        assert app.view.current.syscall == held
        app.view.sort_by("rate")
        for _ in range(20):
            app.view.take(build.step(), flat)
            assert app.view.current.syscall == held
        await pilot.press("f")
        assert app.view.cursor == 0
        for _ in range(20):
            app.view.take(build.step(), flat)
            assert app.view.cursor == 0


async def test_what_a_filter_found_is_marked() -> None:
    view = table()
    async with Stage(view).run_test(size=(80, 24)):
        for typed, found in (("ea", {"ea"}), ("READ", {"read"}), ("%file", set()), ("", set())):
            view.filter(typed)
            assert view.rows
            drawn = [segment for y in range(1, len(view.rows) + 1) for segment in view.render_line(y)]
            assert {each.text for each in drawn if each.style and each.style.underline} == found


async def test_the_title_that_is_sorted_by_is_whole() -> None:
    view = table()
    async with Stage(view).run_test(size=(80, 24)):
        view.sort_by("errors")
        assert "errors↓" in view.render_line(0).text.split()
        view.sort_by("rate")
        assert {"calls/s↓", "errors"} <= set(view.render_line(0).text.split())


async def test_folding_by_keys_and_by_mouse() -> None:
    app = Stage(tree())
    async with app.run_test(size=(80, 24)) as pilot:

        async def click(line: int) -> None:
            text = painted(app)[line]
            await pilot.click(ProcessTree, offset=(text.index("├"), line))

        await pilot.press("j", "h")
        assert names(app.view) == ["make", "sh", "ld -o a.out", "cc"]
        await pilot.press("l", "l")
        assert names(app.view)[app.view.cursor] == "awk"
        await click(2)
        assert names(app.view) == ["make", "sh", "ld -o a.out", "cc"]
        assert "├─[+1] sh" in painted(app)[2]
        await click(2)
        assert len(app.view.rows) == 5
        await pilot.press("left", "left", "left")
        assert "[+4] make" in painted(app)[1]
        await pilot.click(ProcessTree, offset=(painted(app)[1].index("["), 1))
        assert len(app.view.rows) == 4
        await pilot.press("G", "p")
        assert app.view.cursor == 0


async def test_narrowing_by_process_name_syscall_and_class() -> None:
    app = Stage(tree())
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("g", "enter", "g", "j", "enter", "t", "enter", "t")
        assert app.chosen == [(InCgroup("", "cgroup not known"),), (Subtree(FAMILY[1]),), (Named("sh"),)]
        assert app.view.cursor == 1
    app = Stage(table())
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("enter", "percent_sign")
        assert app.chosen == [(OneSyscall(app.view.rows[0].syscall),), (Family("file"),)]


@pytest.mark.parametrize("make", [table, tree])
async def test_copying_a_row(make: object) -> None:
    app = Stage(make())
    async with app.run_test(size=(60, 24)) as pilot:
        await pilot.press("j", "y")
        assert app.clipboard == app.view.copied()
        assert names(app.view)[1] in app.clipboard


async def test_half_pages() -> None:
    app = Stage(table(Build(width=40)))
    async with app.run_test(size=(80, 21)) as pilot:
        for key, cursor in (("ctrl+d", 10), ("ctrl+d", 20), ("ctrl+u", 10), ("ctrl+u", 0), ("ctrl+u", 0)):
            await pilot.press(key)
            assert app.view.cursor == cursor


class Life:
    """Processes that come, call now and then, and end; the same for the same seed."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._processes = [process(1, 0, "init")]

    def step(self) -> Snapshot:
        for _ in range(self._random.randrange(4)):
            parent = self._random.choice(self._processes)
            pid = len(self._processes) + 1
            self._processes.append(process(pid, parent.pid, f"c{pid % 5}", delta=counters(0)))
        for at, known in enumerate(self._processes):
            if known.alive and self._random.random() < 0.2:
                calls = counters(self._random.randrange(3))
                ends = 99 if at and self._random.random() < 0.2 else None
                self._processes[at] = known._replace(delta=calls, end_ns=ends, status=0)
        return snapshot(self._processes)


@pytest.mark.parametrize("seed", range(2))
async def test_what_is_painted_is_what_a_full_redraw_would_paint(seed: int) -> None:
    """Only lines that changed are painted anew; none of the others may be stale."""
    chance, life = random.Random(seed), Life(seed)
    keys = ("j", "k", "G", "g", "ctrl+d", "s", "r", "h", "l", "t", "a", "p", "slash", "c", "escape", "f", "down")
    app = Stage(ProcessTree())
    async with app.run_test(size=(70, 12)) as pilot:
        for _ in range(25):
            app.view.take(life.step(), flat)
            if chance.random() < 0.5:
                await pilot.press(chance.choice(keys))
            await pilot.pause()
            before = painted(app)
            app.view.forget_strips()
            await pilot.pause()
            assert painted(app) == before


async def test_lines_that_stay_the_same_are_not_painted_again(monkeypatch: pytest.MonkeyPatch) -> None:
    app = Stage(tree())
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        asked: list[int] = []
        refresh = app.view.refresh

        def note(*regions: object, **options: object) -> object:
            asked.extend(region.y for region in regions)
            return refresh(*regions, **options)

        monkeypatch.setattr(app.view, "refresh", note)
        strips = [app.view.render_line(y) for y in range(6)]
        app.view.take(snapshot(FAMILY), flat)
        assert asked == []
        # What a strip knows about itself (its length, its form on the terminal) is kept with it.
        assert all(app.view.render_line(y) is strip for y, strip in enumerate(strips) if y)
        app.view.take(snapshot((*FAMILY[:4], FAMILY[4]._replace(delta=counters(7)))), flat)
        assert asked == [4]


async def test_of_the_last_interval_rows_stay_where_nothing_is_called() -> None:
    session = running()
    app = DenetApp(session)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot, session)
        table = app.screen.query_one(SyscallTable)
        every = set(names(table))
        await pilot.press("j", "j", "c")
        held = table.current.syscall
        session.feed(session.latest._replace(recent={}, interval_ns=session.latest.interval_ns + 1))
        await settle(pilot, session)
        assert set(names(table)) == every
        assert table.current.syscall == held
        assert all(row.counters.calls == 0 for row in table.rows)
