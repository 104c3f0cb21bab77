"""The Details on the live screen, driven with keys."""

from __future__ import annotations

import os
import pwd
import signal
import subprocess
from collections.abc import Iterator

import pytest

from denet_tui.detail import Detail, Time, Wait
from denet_tui.screens.live.app import DenetApp
from denet_tui.screens.live.signalling import SignalScreen
from denet_tui.system import clock
from denet_tui.widgets.details import DetailsPage
from denet_tui.widgets.keys import KeyLine
from denet_tui.widgets.narrowing import Narrow, OneSyscall
from denet_tui.widgets.processes import ProcessTree
from denet_tui.widgets.syscalls import SyscallTable
from denet_tui.widgets.tabs import PaneSwitch
from tests.screens.live.double import SYSCALLS, Build, Session
from tests.screens.live.driving import lines, live, notices, settle, until


def timed() -> Session:
    """A session whose processes spent their time in known parts."""
    build, waits = Build(), {SYSCALLS[12]: Wait(3 * 10**9), SYSCALLS[0]: Wait(10**9)}
    spent = Time(3 * 10**9, 10**9, 10**9, 5 * 10**9, waits)
    snapshots = []
    for _ in range(12):
        each = build.step()
        processes = tuple(process._replace(time=spent) for process in each.processes)
        snapshots.append(each._replace(processes=processes, detail=Detail(time=spent)))
    return Session(snapshots)


async def test_the_details_are_beside_the_tree_where_there_is_room_and_follow_its_cursor() -> None:
    session = timed()
    app = DenetApp(session)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot, session)
        page, tree = live(app).query_one(DetailsPage), live(app).query_one(ProcessTree)
        await pilot.press("tab", "j", "i")
        await pilot.pause()
        assert page.has_focus
        assert page.region.x > tree.region.x
        assert not live(app).query_one(SyscallTable).region
        assert page.texts[0].startswith("cc1 4243: running for 6.0s")
        assert "time    █████████▓▓▓▒▒▒░░░░░░·········" in page.texts
        assert session.latest is not None
        assert "esc Back  k Signal  ⏎ Narrow" in lines(live(app).query_one(KeyLine))[0]
        await pilot.press("shift+tab", "k")
        await pilot.pause()
        assert tree.has_focus
        assert page.texts[0].startswith("make 4242: running for 6.0s")
        later = session.latest._replace(time_ns=session.latest.time_ns + 10**9)
        session.feed(later)
        await settle(pilot, session)
        assert page.texts[0].startswith("make 4242: running for 7.0s")
        live(app).post_message(Narrow(OneSyscall(SYSCALLS[0])))
        await pilot.pause()
        whole = later.processes[0].total  # a view that is narrowed to a call leaves the Details whole
        assert f"calls   {whole.calls:,}, {whole.errors:,} failed; enter shows them" in page.texts
        await pilot.press("t", "home")
        await pilot.pause()
        assert page.texts == ["make: 1 process"]
        await pilot.press("escape")
        await pilot.pause()
        assert not page.region
        assert live(app).view.trail  # one step at a time


async def test_enter_narrows_and_once_more_shows_the_details_and_escape_leads_back() -> None:
    session = timed()
    app = DenetApp(session)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot, session)
        screen = live(app)
        page, tree, table = (screen.query_one(kind) for kind in (DetailsPage, ProcessTree, SyscallTable))
        await pilot.press("tab", "j", "enter")
        await pilot.pause()
        assert [step.label for step in screen.view.trail] == ["cc1 (4243)"]
        assert table.has_focus
        await pilot.press("tab", "enter")
        await pilot.pause()
        assert page.has_focus
        assert page.texts[0].startswith("cc1 4243")
        assert not tree.region
        assert lines(screen.query_one(PaneSwitch))[0].rstrip().endswith("[Details]")
        await pilot.press("escape")
        await pilot.pause()
        assert tree.has_focus
        assert tree.region
        assert screen.view.trail  # one step at a time
        await pilot.press("escape", "i", "enter")  # narrows from here
        await pilot.pause()
        assert table.has_focus
        assert screen.view.trail
        await pilot.click(PaneSwitch, offset=(25, 0))
        await pilot.pause()
        assert page.has_focus


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "300"]) as process:
        yield process
        process.kill()


def watching(pid: int, **more: object) -> Session:
    """A session that watches a process which is really there."""
    build = Build(1)
    last = build.step(3)
    now = clock.now_ns()
    process = last.processes[0]._replace(tgid=pid, pid=pid, comm="sleep", start_ns=now)
    process = process._replace(**more)
    return Session([last._replace(time_ns=now + 10**6, processes=(process,))])


async def test_k_asks_for_a_signal_and_sends_it(sleeper: subprocess.Popen[bytes]) -> None:
    session = watching(sleeper.pid)
    app = DenetApp(session)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot, session)
        await pilot.press("i", "k")
        await pilot.pause()
        assert isinstance(app.screen, SignalScreen)
        user = pwd.getpwuid(os.geteuid()).pw_name
        assert f"user    {user} ({os.geteuid()})" in live(app).query_one(DetailsPage).texts
        await pilot.press("escape")
        assert app.screen is live(app)
        assert notices(app) == []
        if os.geteuid() == 0:
            os.setresuid(65534, 65534, 0)
            try:
                await pilot.press("k")
                await pilot.pause()
            finally:
                os.setresuid(0, 0, 0)
            why = "it is another user's, which only that user and root may signal"
            assert notices(app) == [f"No signal was sent to sleep ({sleeper.pid}): {why}."]
            app.clear_notifications()
        await pilot.press("k", *["j"] * 4, "enter")
        await until(pilot, lambda: os.waitid(os.P_PID, sleeper.pid, os.WSTOPPED | os.WNOHANG) is not None)
        assert notices(app) == [f"SIGSTOP was sent to sleep ({sleeper.pid})."]
        await pilot.press("k", *["k"] * 3)  # up, at the top: still the first
        first = app.screen
        sleeper.kill()
        assert sleeper.wait() == -signal.SIGKILL
        await pilot.press("enter")
        await pilot.pause()
        assert app.screen is not first
        ended = f"No signal was sent to sleep ({sleeper.pid}): it has ended."
        assert notices(app)[1:] == [ended]
        await pilot.press("k")
        await pilot.pause()
        assert app.screen is live(app)
        assert notices(app)[1:] == [ended, ended]


async def test_what_has_ended_is_offered_no_signal(sleeper: subprocess.Popen[bytes]) -> None:
    session = watching(sleeper.pid, end_ns=clock.now_ns(), status=0)
    app = DenetApp(session)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot, session)
        await pilot.press("i", "k")
        await pilot.pause()
        assert app.screen is live(app)
        assert "Signal" not in lines(live(app).query_one(KeyLine))[0]
        assert notices(app) == []
