"""The Output and Log tabs, and running again, under a pilot."""

from __future__ import annotations

import threading

from textual.pilot import Pilot

from denet_tui.model import InFlight, LogEntry
from denet_tui.screens.live.again import AgainScreen
from denet_tui.screens.live.app import DenetApp
from denet_tui.screens.live.difference import DifferenceScreen
from denet_tui.screens.live.quit import QuitScreen
from denet_tui.watch.launch import StartError
from denet_tui.widgets.changes import ChangeTable
from denet_tui.widgets.header import RunHeader
from denet_tui.widgets.keys import KeyLine
from denet_tui.widgets.log import LogView
from denet_tui.widgets.output import OutputView
from denet_tui.widgets.tabs import TabRow
from tests.screens.live.double import SYSCALLS, OwnTerminal, Session
from tests.screens.live.driving import ended, lines, live, mouse, notices, running, settle, until

SIZE = (120, 40)


def with_terminal(session: Session, written: bytes = b"") -> tuple[Session, OwnTerminal]:
    """The same session with a command that has a terminal of ours."""
    terminal = session.terminal = OwnTerminal()
    terminal.output.add(written)
    return session, terminal


def view(pilot: Pilot[object]) -> OutputView:
    return pilot.app.screen.query_one(OutputView)


async def typing(pilot: Pilot[object], session: Session) -> None:
    await settle(pilot, session)
    await pilot.press("5", "i")
    assert view(pilot).typing


async def test_the_output_is_drawn_also_what_came_before_the_tab_was_shown() -> None:
    session, terminal = with_terminal(running(), b"\x1b[31mred\x1b[0m\r\nplain")
    async with DenetApp(session).run_test(size=SIZE) as pilot:
        await settle(pilot, session)
        await pilot.press("5")
        await until(pilot, lambda: lines(view(pilot))[2].startswith("plain"))
        assert lines(view(pilot))[1].startswith("red ")
        terminal.output.add(b"\x1b[H\x1b[2Jfull \x1b[7mscreen")
        await until(pilot, lambda: lines(view(pilot))[1].startswith("full screen"))


async def test_the_terminal_is_as_large_as_the_pane() -> None:
    session, terminal = with_terminal(running())
    async with DenetApp(session).run_test(size=SIZE, notifications=True) as pilot:
        await typing(pilot, session)
        assert terminal.sizes == [(view(pilot).size.width - 1, view(pilot).size.height - 1)]
        await pilot.resize_terminal(80, 24)
        await until(pilot, lambda: terminal.sizes[-1] == (79, view(pilot).size.height - 1))
        size = view(pilot).size
        pilot.app.notify("said")
        await until(pilot, lambda: view(pilot).size.height < size.height)
        live(pilot.app)._fit_terminal()  # type: ignore[arg-type]
        assert terminal.sizes[-1] == (79, size.height - 1), "a message is no news to the command"
        await pilot.resize_terminal(20, 5)  # too small to show anything: the command keeps its size
        await pilot.pause()
        assert terminal.sizes[-1][0] == 79


async def test_keys_go_to_the_command_until_they_are_taken_back() -> None:
    session, terminal = with_terminal(running())
    app = DenetApp(session)
    async with app.run_test(size=SIZE) as pilot:
        await typing(pilot, session)
        await pilot.press("q", "ctrl+c", "ctrl+p", "tab", "1", "R", "space", "up", "enter", "?", "ctrl+q")
        assert terminal.typed == b"q\x03\x10\t1R \x1b[A\r?\x11"
        assert app.screen is live(app)
        assert view(pilot).has_focus
        assert "keys go to the command; ctrl+] gives them back" in lines(view(pilot))[0]
        await pilot.pause()
        assert lines(app.screen.query_one(KeyLine))[0].split() == ["^]", "Keys", "for", "denet-tui", "again"]
        await pilot.press("ctrl+right_square_bracket", "q")
        assert isinstance(app.screen, QuitScreen)
        assert b"\x1d" not in terminal.typed


async def test_nothing_is_typed_unless_asked_for() -> None:
    session, terminal = with_terminal(running())
    async with DenetApp(session).run_test(size=SIZE) as pilot:
        await settle(pilot, session)
        await pilot.press("5", "x", "j", "space", "G")
        assert terminal.typed == b""


async def test_what_is_pasted_is_typed_and_marked_where_the_command_wants_that() -> None:
    from textual.events import MouseDown, MouseMove, MouseScrollDown, MouseUp, Paste

    session, terminal = with_terminal(running())
    async with DenetApp(session).run_test(size=SIZE) as pilot:
        view_of = lambda: view(pilot)  # noqa: E731
        await typing(pilot, session)
        view_of().post_message(Paste("one\r\n\ttwo\x03é\x9b\x7f\x1b[201~"))
        await until(pilot, lambda: terminal.typed == "one\r\ttwoé[201~".encode())
        terminal.output.add(b"\x1b[?2004hready")
        await until(pilot, lambda: lines(view_of())[1].startswith("ready"))
        view_of().post_message(Paste("\x1b[Hx\n\x1b\x1b[201~[201~\x9b201~"))
        await until(pilot, lambda: terminal.typed.endswith(b"\x1b[200~\x1b[Hx\r[201~[201~201~\x1b[201~"))
        # The mouse, from when the command asks for it on: clicks, then the wheel and what is drawn along.
        await pilot.click(OutputView, offset=(3, 2))
        terminal.typed = b""
        terminal.output.add(b"\x1b[?1000hclicks")
        await until(pilot, lambda: lines(view_of())[1].startswith("readyclicks"))
        await pilot.click(OutputView, offset=(3, 2))
        await until(pilot, lambda: terminal.typed == b'\x1b[M $"\x1b[M#$"')
        terminal.typed = b""
        terminal.output.add(b"\x1b[?1002h\x1b[?1006hdrags")
        await until(pilot, lambda: lines(view_of())[1].startswith("readyclicksdrags"))
        await pilot.click(OutputView, offset=(3, 0))  # the line above the output is ours
        await mouse(pilot, [MouseDown, MouseMove, MouseUp], OutputView, (5, 3), button=1, control=True)
        await mouse(pilot, [MouseScrollDown], OutputView, (5, 3))
        sent = [b"\x1b[<16;6;3M", b"\x1b[<48;6;3M", b"\x1b[<16;6;3m", b"\x1b[<65;6;3M"]
        await until(pilot, lambda: terminal.typed == b"".join(sent))
        # What is dragged out of it ends at its edge; what begins outside is not the command's.
        terminal.typed = b""
        await mouse(pilot, [MouseDown], OutputView, (5, 3), button=1)
        await mouse(pilot, [MouseMove, MouseUp], None, (2, 0), button=1)
        await until(pilot, lambda: terminal.typed == b"\x1b[<0;6;3M\x1b[<32;3;1M\x1b[<0;3;1m")
        await mouse(pilot, [MouseUp], None, (2, 0), button=1)
        await mouse(pilot, [MouseDown, MouseUp], OutputView, (3, 0), button=1)
        await mouse(pilot, [MouseMove, MouseUp], OutputView, (5, 3), button=1)  # as when pressed outside
        await mouse(pilot, [MouseScrollDown], OutputView, (5, 3))
        await until(pilot, lambda: terminal.typed.endswith(b"\x1b[<0;3;1m\x1b[<65;6;3M"))


async def test_the_last_words_of_a_command_that_failed_stand_below_its_status() -> None:
    session, terminal = with_terminal(ended(), b"gcc -c a.c\r\na.c:1:10: fatal error: nothere.h\r\n\r\n")
    async with DenetApp(session).run_test(size=SIZE) as pilot:
        await settle(pilot, session)
        header = pilot.app.screen.query_one(RunHeader)
        await until(pilot, lambda: "fatal error: nothere.h   5 shows all" in lines(header)[1])
        assert lines(header)[0].startswith(" exited 3 ")
        assert header.render_line(0)._segments[0].style == header._style("bad")
        terminal.output.add(b"make: *** [a.o] Error 1\r\n")
        await until(pilot, lambda: "▌make: *** [a.o] Error 1   5 shows all" in lines(header)[1])


async def test_the_terminal_answers_the_command() -> None:
    session, terminal = with_terminal(running(), b"ab\x1b[6n")
    async with DenetApp(session).run_test(size=SIZE) as pilot:
        await settle(pilot, session)
        await until(pilot, lambda: terminal.typed == b"\x1b[1;3R")


async def test_who_waits_for_input_is_named_on_every_tab() -> None:
    session, terminal = with_terminal(running())
    async with DenetApp(session).run_test(size=SIZE) as pilot:
        await settle(pilot, session)
        terminal.asking = InFlight(4243, 4243, SYSCALLS[0], 0)
        row = pilot.app.screen.query_one(TabRow)
        await until(pilot, lambda: "(4243) waits for input" in lines(row)[0])
        await pilot.press("5")
        assert "(4243) waits for input: press i to type" in lines(view(pilot))[0]
        terminal.asking = None
        await until(pilot, lambda: "waits" not in lines(row)[0])


async def test_scrolling_back_stays_there_and_following_returns() -> None:
    session, terminal = with_terminal(running(), b"".join(b"line %d\r\n" % number for number in range(300)))
    async with DenetApp(session).run_test(size=SIZE) as pilot:
        await settle(pilot, session)
        await pilot.press("5")
        await until(pilot, lambda: any("line 299" in line for line in lines(view(pilot))))
        await pilot.press("g")
        assert lines(view(pilot))[1].startswith("line 0 ")
        terminal.output.add(b"more\r\n")
        await until(pilot, lambda: view(pilot)._scrolled > 266)
        assert lines(view(pilot))[1].startswith("line 0 ")
        assert "further down" in lines(view(pilot))[0]
        await pilot.press("f")
        assert any(line.startswith("more") for line in lines(view(pilot)))


async def test_what_was_skipped_is_told() -> None:
    session, terminal = with_terminal(running(), b"x" * 70_000)
    terminal.output.add(b"y" * 70_000)
    async with DenetApp(session).run_test(size=SIZE) as pilot:
        await settle(pilot, session)
        await pilot.press("5")
        await until(pilot, lambda: "skipped 68 KB" in lines(view(pilot))[0])


async def test_a_process_that_was_not_started_here_has_no_output_and_is_not_run_again() -> None:
    session = running()
    app = DenetApp(session)
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot, session)
        await pilot.press("5", "i")
        assert "There is no output here" in lines(view(pilot))[2]
        assert not view(pilot).typing
        await pilot.press("R")
        assert any("nothing to run again" in notice for notice in notices(app))
        assert app.screen is live(app)


async def test_the_log_has_the_newest_first_and_wraps() -> None:
    session = running()
    session.log = [LogEntry(0.0, "info", "loaded"), LogEntry(1.0, "warning", "word " * 40 + "\x1b[2Jend")]
    async with DenetApp(session).run_test(size=(80, 24)) as pilot:
        await settle(pilot, session)
        await pilot.press("6")
        shown = pilot.app.screen.query_one(LogView)
        await until(pilot, lambda: len(shown.rows) > 2)
        assert [row.level for row in shown.rows] == ["warning", *[""] * (len(shown.rows) - 2), "info"]
        assert all(len(line) == shown.size.width - 1 or len(line) == shown.size.width for line in lines(shown))
        assert any("\\x1b[2Jend" in line for line in lines(shown))
        session.log = [*session.log, LogEntry(2.0, "error", "later")]
        await until(pilot, lambda: shown.rows[0].text == "later")


class Runs:
    """Runs of one command: what the app asks for the next one."""

    def __init__(self, first: Session, *following: Session, error: Exception | None = None) -> None:
        self.sessions = [first, *following]
        self.error = error
        self.asked = 0

    def again(self) -> Session:
        assert threading.current_thread() is not threading.main_thread()
        self.asked += 1
        if self.error:
            raise self.error
        self.sessions[0].latest = self.sessions[0].latest._replace(running=False)  # type: ignore[type-var]
        return self.sessions[self.asked]


async def test_running_again_shows_the_new_run_and_at_its_end_what_changed() -> None:
    first, second = with_terminal(ended(ticks=12))[0], with_terminal(ended(ticks=20))[0]
    runs = Runs(first, second)
    app = DenetApp(first, again=runs.again)
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot, first)
        await pilot.press("5", "R")
        await until(pilot, lambda: isinstance(app.screen, DifferenceScreen))
        assert runs.asked == 1
        words = str(app.screen.query_one("#runs").render())
        assert first.latest is not None
        assert second.latest is not None
        more = second.latest.total.calls - first.latest.total.calls
        assert f"+{more:,} calls, +4.0s" in words
        rows = app.screen.query_one(ChangeTable).rows
        assert sum(row.calls for row in rows) == more
        assert [abs(row.calls) for row in rows] == sorted((abs(row.calls) for row in rows), reverse=True)
        await pilot.press("escape")
        assert live(app).source is second
        assert live(app).tab == 4  # the tab that was shown is shown again
        await pilot.press("d")
        assert isinstance(app.screen, DifferenceScreen)
        await pilot.press("q", "q")
    assert app.return_value == "ended"


async def test_a_command_that_still_runs_is_not_ended_unasked() -> None:
    first, second = with_terminal(running())[0], with_terminal(running())[0]
    runs = Runs(first, second)
    app = DenetApp(first, again=runs.again)
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot, first)
        await pilot.press("R")
        assert isinstance(app.screen, AgainScreen)
        await pilot.press("c")
        assert (runs.asked, app.screen) == (0, live(app))
        await pilot.press("R", "e")
        await until(pilot, lambda: isinstance(app.screen_stack[0], type(live(app))) and live(app).source is second)
        await settle(pilot, second)
        await pilot.press("d")
        assert "so far" in str(app.screen.query_one("#runs").render())


async def test_what_cannot_be_run_again_is_told_and_the_last_run_stays() -> None:
    first, _ = with_terminal(ended())
    runs = Runs(first, error=StartError("the command does not end: it cannot be run again"))
    app = DenetApp(first, again=runs.again)
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot, first)
        await pilot.press("R")
        await until(pilot, lambda: bool(notices(app)))
        assert any("does not end" in notice for notice in notices(app))
        assert live(app).source is first
        await pilot.press("d")
        assert app.screen is live(app)


async def test_colours_are_those_of_the_theme() -> None:
    session, _ = with_terminal(running(), b"\x1b[33mbrown\x1b[0m plain")
    app = DenetApp(session)
    async with app.run_test(size=SIZE) as pilot:
        await settle(pilot, session)
        await pilot.press("5")
        grounds = set()
        for theme in ("textual-dark", "textual-light"):
            app.theme = theme
            await pilot.pause()
            await until(pilot, lambda: lines(view(pilot))[1].startswith("brown plain"))
            first, second = list(view(pilot).render_line(1))[:2]
            assert first.style is not None
            assert second.style is not None
            assert first.style.color != second.style.color
            assert first.style.bgcolor == second.style.bgcolor == view(pilot).rich_style.bgcolor
            grounds.add(first.style.bgcolor)
        assert len(grounds) == 2
